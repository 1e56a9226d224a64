//! `--server-only --workers N`: processes that do nothing but answer clients, each with a loop, an engine, a
//! client table and a socket of its own, and a processor where there are enough. Together they answer far more
//! clients than one processor can.
//!
//! The main process keeps time and publishes the contents of replies on a page that the workers can
//! only read. It gets everything but clients' requests: servers' replies, ntpq. The workers count on
//! pages of their own, so that ntpq shows what all have done. A worker whose process ends (which should
//! never happen) leaves its socket to the main process, which answers in its place from then on.

use super::log::Log;
use super::net::sockets::{COUNTS, Sockets};
use super::perform::now;
use super::start::cli::Options;
use crate::config::model::{Config, SmearSettings};
use crate::engine::contract::{Input, Setup};
use crate::engine::report::event::Level;
use crate::engine::{Engine, PUBLISHED};
use crate::sys::page::{Page, ReadPage};
use crate::sys::process::{self, Child, Forked};
use crate::wire::counter::Counter;
use crate::wire::nts::master::{MASTER_WORDS, MasterKeys};
use std::{fmt, io};

/// Words on a worker's page: the counters of its engine and of its sockets.
const COUNTERS: usize = COUNTED + COUNTS;
/// Integers of the engine's counters of packets.
const COUNTED: usize = Counter::COUNT;

/// What this process is among those that serve together.
#[derive(Debug)]
pub enum Role {
    /// The only one.
    Alone,
    /// The one that keeps time.
    Main(Workers),
    /// One that only answers.
    Worker(Slot),
}

/// The workers, as the main process sees them.
#[derive(Debug)]
pub struct Workers {
    page: Page<PUBLISHED>,
    published: [u64; PUBLISHED],
    workers: Vec<Worker>,
}

#[derive(Debug)]
struct Worker {
    /// From 1 on.
    number: usize,
    child: Child,
    counters: Page<COUNTERS>,
    seen: [u64; COUNTERS],
    /// The worker's own sockets: open here, too, so that the kernel's order of them stays.
    sockets: Option<Sockets>,
}

/// A worker, as it sees itself.
#[derive(Debug)]
pub struct Slot {
    number: usize,
    parent: u32,
    page: ReadPage<PUBLISHED>,
    counters: Page<COUNTERS>,
    /// The keys of NTS's cookies, where it is served.
    cookie_keys: Option<ReadPage<MASTER_WORDS>>,
    /// Which of them the engine has.
    cookie_version: u64,
}

/// The main process, which keeps time for its workers, has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MainEnded;

impl fmt::Display for MainEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the main process has ended")
    }
}

/// How many workers are wanted; none without `--server-only`.
#[must_use]
pub fn wanted(options: &Options) -> u32 {
    let processors = || std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
    if options.server_only { options.workers.unwrap_or_else(processors) } else { 0 }
}

/// Makes a worker for each of these sets of sockets. Returns in every process, in a worker with its set.
///
/// # Errors
/// Of fork and mmap.
pub fn fork(own: Sockets, sets: Vec<Sockets>) -> io::Result<(Role, Sockets)> {
    if sets.is_empty() {
        return Ok((Role::Alone, own));
    }
    let page = Page::new()?;
    let parent = std::process::id();
    let mut workers = Vec::with_capacity(sets.len());
    for (index, sockets) in sets.into_iter().enumerate() {
        let (number, counters) = (index + 1, Page::new()?);
        match process::fork()? {
            Forked::Parent(child) => {
                workers.push(Worker { number, child, counters, seen: [0; COUNTERS], sockets: Some(sockets) });
            }
            Forked::Child => {
                let page = page.read_only()?;
                let slot = Slot { number, parent, page, counters, cookie_keys: None, cookie_version: 0 };
                return Ok((Role::Worker(slot), sockets));
            }
        }
    }
    Ok((Role::Main(Workers { page, published: [0; PUBLISHED], workers }), own))
}

/// What a worker needs of the configuration: access rights, keys, rate limits.
#[must_use]
pub fn bare(setup: Setup) -> Setup {
    let Setup { mut config, keys, .. } = setup;
    let idle = Config::default();
    config.servers.clear();
    config.enable.ntp = false;
    // What the main process publishes says how replies are smeared.
    config.smear = SmearSettings::default();
    config.enable.bclient = false;
    (config.reception, config.manycast) = (idle.reception, idle.manycast);
    config.statistics = idle.statistics;
    (config.driftfile, config.leapfile, config.logfile, config.saveconfigdir) = (None, None, None, None);
    Setup { config, keys, ..Setup::default() }
}

impl Role {
    /// Whether this is a worker.
    #[must_use]
    pub const fn is_worker(&self) -> bool {
        matches!(self, Self::Worker(_))
    }

    /// The loop has woken, and is about to take datagrams.
    pub fn woke(&mut self, engine: &mut Engine, sockets: &mut Sockets) {
        match self {
            Self::Alone => {}
            Self::Main(workers) => workers.collect(engine, sockets),
            Self::Worker(slot) => {
                if let Some(words) = slot.page.read() {
                    engine.adopt(&words);
                }
                if let Some(keys) = slot.new_cookie_keys() {
                    engine.handle(now(), Input::CookieKeys(Box::new(keys)));
                }
            }
        }
    }

    /// The loop has done all there was to do, and is about to sleep.
    pub fn turned(&mut self, engine: &Engine, sockets: &Sockets) {
        match self {
            Self::Alone => {}
            Self::Main(workers) => workers.publish(engine),
            Self::Worker(slot) => {
                let mut words = [0; COUNTERS];
                words[..COUNTED].copy_from_slice(&engine.counted());
                words[COUNTED..].copy_from_slice(&sockets.counted());
                slot.counters.write(&words);
            }
        }
    }

    /// SIGHUP came: the workers read the configuration again, too.
    pub fn hang_up(&self) {
        if let Self::Main(main) = self {
            main.workers.iter().for_each(|worker| worker.child.hang_up());
        }
    }

    /// SIGCHLD came: sockets of workers that have ended, for this process to answer on.
    pub fn exited(&mut self, log: &mut Log) -> Vec<Sockets> {
        let Self::Main(main) = self else { return Vec::new() };
        let mut left = Vec::new();
        for worker in &mut main.workers {
            if worker.sockets.is_some()
                && let Some(how) = worker.child.ended()
            {
                let (number, id) = (worker.number, worker.child.id());
                let what = "the main process answers in its place from now on";
                log.write(Level::Error, &format!("worker {number} (process {id}) {how}: {what}"));
                left.extend(worker.sockets.take());
            }
        }
        left
    }
}

impl Workers {
    /// A line for the log.
    #[must_use]
    pub fn describe(&self) -> String {
        let ids: Vec<String> = self.workers.iter().map(|worker| worker.child.id().to_string()).collect();
        format!("{} processes answer clients: {}", ids.len(), ids.join(" "))
    }

    fn publish(&mut self, engine: &Engine) {
        let words = engine.published();
        if words != self.published {
            self.page.write(&words);
            self.published = words;
        }
    }

    fn collect(&mut self, engine: &mut Engine, sockets: &mut Sockets) {
        for worker in &mut self.workers {
            let Some(counters) = worker.counters.read() else { continue };
            let more: [u64; COUNTERS] = std::array::from_fn(|i| counters[i].wrapping_sub(worker.seen[i]));
            worker.seen = counters;
            if let (Some(counted), Some(datagrams)) =
                (more.first_chunk::<COUNTED>(), more.last_chunk::<COUNTS>())
            {
                engine.count_elsewhere(counted);
                sockets.count_elsewhere(datagrams);
            }
        }
    }
}

impl Drop for Workers {
    /// No worker goes on with a clock that no process disciplines.
    fn drop(&mut self) {
        let running = || self.workers.iter().filter(|worker| worker.sockets.is_some());
        running().for_each(|worker| worker.child.terminate());
        for worker in running() {
            worker.child.wait();
        }
    }
}

impl Slot {
    /// The page with the keys of NTS's cookies.
    pub fn take_cookie_keys(&mut self, page: Option<Page<MASTER_WORDS>>) {
        // A page that cannot be protected is not used.
        self.cookie_keys = page.and_then(|page| page.read_only().ok());
    }

    fn new_cookie_keys(&mut self) -> Option<MasterKeys> {
        let page = self.cookie_keys.as_ref().filter(|page| page.version() != self.cookie_version)?;
        let (version, keys) = (page.version(), MasterKeys::from_words(&page.read()?)?);
        self.cookie_version = version;
        Some(keys)
    }

    /// Takes its place as a worker, after root was given up.
    ///
    /// # Errors
    /// [`MainEnded`], if it has.
    pub fn take_up(&self) -> Result<(), MainEnded> {
        process::end_with_parent(self.parent).map_err(|_| MainEnded)?;
        // Where the system does not let us, the kernel finds a processor.
        let _anywhere = process::stay_on_processor(self.number - 1);
        Ok(())
    }
}
