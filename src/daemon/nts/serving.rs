//! Our server of NTS, as the main process sees it: the keys of its cookies, and the process that exchanges keys.

use super::keys::{self, KeyKeeper};
use super::server::{Counts, Exchange, REPORT_WORDS, Report};
use crate::config::model::{Config, Nts, Restrict};
use crate::daemon::log::Log;
use crate::daemon::perform::now;
use crate::daemon::start::cli::Options;
use crate::engine::Engine;
use crate::engine::contract::Input;
use crate::engine::report::event::Level;
use crate::sys::page::{Page, ReadPage};
use crate::sys::privileges::Account;
use crate::sys::process::{self, Child, Forked};
use crate::units::MonoTime;
use crate::wire::counter::Counter;
use crate::wire::nts::KE_PORT;
use crate::wire::nts::master::MASTER_WORDS;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

/// What serves NTS; nothing where it is not enabled.
#[derive(Debug, Default)]
pub struct NtsServer {
    keeper: Option<KeyKeeper>,
    /// What goes to the process that exchanges keys.
    exchange: Option<Exchange>,
    process: Option<Process>,
    /// What the start had.
    nts: Nts,
}

/// The process that exchanges keys.
#[derive(Debug)]
struct Process {
    child: Child,
    reports: Page<REPORT_WORDS>,
    seen: Counts,
    version: u64,
}

/// That process, as it sees itself.
#[derive(Debug)]
pub struct Exchanger {
    exchange: Exchange,
    /// `None`: the page cannot be had for reading only.
    keys: Option<ReadPage<MASTER_WORDS>>,
    reports: Page<REPORT_WORDS>,
    parent: u32,
}

impl Exchanger {
    /// Takes its place, after root was given up.
    ///
    /// # Errors
    /// Where the main process has ended already.
    pub fn take_up(&self) -> io::Result<()> {
        process::end_with_parent(self.parent)
    }

    /// Exchanges keys until the main process ends. `reload` gives the restrict lines that are in force after a SIGHUP.
    ///
    /// # Errors
    /// Where there are no keys; of epoll and the signal handlers.
    pub fn run(
        mut self,
        nts: &Nts,
        log: Log,
        restrict: &[Restrict],
        reload: impl FnMut() -> Option<Vec<Restrict>>,
    ) -> io::Result<()> {
        let keys = self.keys.ok_or_else(|| io::Error::other("the keys of the cookies cannot be read"))?;
        self.exchange.move_to(nts);
        self.exchange.run(log, keys, &self.reports, restrict, reload)
    }
}

fn file_of(nts: &Nts) -> PathBuf {
    nts.cookie_keys.clone().unwrap_or_else(|| keys::DEFAULT.into())
}

impl NtsServer {
    /// Opens all that it takes, as root.
    pub fn open(config: &Config, options: &Options, account: Option<&Account>, log: &mut Log) -> Self {
        let nts = &config.nts;
        let mut this = Self::default();
        this.nts.clone_from(nts);
        if !nts.serves || options.quit {
            return this;
        }
        match KeyKeeper::open(file_of(nts), account, log) {
            Ok(keeper) => this.keeper = Some(keeper),
            Err(why) => {
                log.write(Level::Error, &format!("NTS is not served: no keys for its cookies: {why}"));
                return this;
            }
        }
        let families = [
            (!options.ipv6_only).then_some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            (!options.ipv4_only).then_some(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
        ];
        let addresses: Vec<IpAddr> = families.into_iter().flatten().collect();
        if nts.processes > 0 {
            this.exchange = Exchange::open(nts, &addresses, log);
        }
        this
    }

    /// Makes the process that exchanges keys, where there is to be one; in it, gives what it has.
    pub fn fork(&mut self, log: &mut Log) -> Option<Exchanger> {
        let exchange = self.exchange.take()?;
        let parent = std::process::id();
        let forked = Page::new().and_then(|reports| Ok((reports, process::fork()?)));
        let why = match forked {
            Ok((reports, Forked::Parent(child))) => {
                let id = child.id();
                log.write(Level::Info, &format!("NTS key exchange on TCP port {KE_PORT}: process {id}"));
                self.process = Some(Process { child, reports, seen: [0; Counter::COUNT], version: 0 });
                return None;
            }
            Ok((reports, Forked::Child)) => {
                let keys = self.take_page().and_then(|page| page.read_only().ok());
                return Some(Exchanger { exchange, keys, reports, parent });
            }
            Err(why) => why,
        };
        log.write(Level::Error, &format!("NTS: no process for the key exchange: {why}"));
        None
    }

    /// Whether another process exchanges keys.
    #[must_use]
    pub const fn has_process(&self) -> bool {
        self.process.is_some()
    }

    /// The page of the keys, in a process that does not keep them.
    pub fn take_page(&mut self) -> Option<Page<MASTER_WORDS>> {
        // Another process's child.
        self.process = None;
        self.keeper.take().map(KeyKeeper::into_page)
    }

    /// The root directory has become another one, where the file of the keys has this name.
    pub fn enter_jail(&mut self, config: &Config) {
        if let Some(keeper) = &mut self.keeper {
            keeper.move_to(file_of(&config.nts));
        }
        self.nts = config.nts.clone();
    }

    /// The engine gets the keys.
    pub fn begin(&self, engine: &mut Engine) {
        if let Some(keeper) = &self.keeper {
            engine.handle(now(), Input::CookieKeys(keeper.keys()));
        }
    }

    /// When there is something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<MonoTime> {
        self.keeper.as_ref().map(KeyKeeper::next_look)
    }

    /// Takes the next key if it is due.
    pub fn look(&mut self, engine: &mut Engine, log: &mut Log) {
        if self.keeper.as_mut().is_some_and(|keeper| keeper.look(now().mono, log)) {
            self.begin(engine);
        }
    }

    /// SIGHUP came; the engine has the configuration.
    pub fn reload(&mut self, engine: &mut Engine, log: &mut Log) {
        let server = |nts: &Nts| Nts { ca: None, dump: None, time_check: 0, ..nts.clone() };
        if server(&engine.config().nts) != server(&self.nts) {
            log.write(
                Level::Warning,
                "what has changed of the NTS server takes effect when the daemon is restarted",
            );
        }
        if self.keeper.as_mut().is_some_and(|keeper| keeper.reread(log)) {
            self.begin(engine);
        }
        if let Some(process) = &self.process {
            process.child.hang_up();
        }
    }

    /// What the other process has counted goes to the engine, and until when its certificate is valid.
    pub fn collect(&mut self, engine: &mut Engine) {
        let Some(process) = &mut self.process else { return };
        if process.version == process.reports.version() {
            return;
        }
        process.version = process.reports.version();
        if let Some(words) = process.reports.read() {
            let Report { counts, certificate_end } = Report::of_words(&words);
            let more: Counts = std::array::from_fn(|i| counts[i].wrapping_sub(process.seen[i]));
            process.seen = counts;
            engine.count_elsewhere(&more);
            engine.handle(now(), Input::KeyExchange(Some(certificate_end)));
        }
    }

    /// SIGCHLD came.
    pub fn exited(&mut self, engine: &mut Engine, log: &mut Log) {
        if let Some(process) = &self.process
            && let Some(how) = process.child.ended()
        {
            let what = "no keys are exchanged any more; clients that have cookies are served";
            log.write(
                Level::Error,
                &format!("NTS key exchange (process {}) {how}: {what}", process.child.id()),
            );
            self.process = None;
            engine.handle(now(), Input::KeyExchange(None));
        }
    }
}

impl Drop for NtsServer {
    fn drop(&mut self) {
        if let Some(process) = &self.process {
            process.child.terminate();
            process.child.wait();
        }
    }
}
