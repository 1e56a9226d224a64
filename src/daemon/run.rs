//! Start-up, in the order that matters: read, bind, fork, drop root, serve. The parent's exit
//! status tells whether the child serves.

use super::cli::Options;
use super::event_loop::EventLoop;
use super::files;
use super::leapfile::LeapFile;
use super::log::Log;
use super::perform::{Shell, now};
use super::resolver::Resolver;
use super::setup::{self, Loaded};
use super::sockets::{PORT, Sockets, Wanted};
use super::statistics::StatFiles;
use super::traffic::Traffic;
use crate::core::Engine;
use crate::core::contract::{ExitReason, Machine};
use crate::core::event::Level;
use crate::core::interest::Interest;
use crate::sys::batch::Calls;
use crate::sys::privileges::{self, Account};
use crate::sys::signals::Signals;
use crate::sys::{clock, interfaces};
use daemonize::{Daemonize, Outcome};
use mio::{Poll, Waker};
use std::io::{PipeReader, PipeWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Exit status of ntpd's exit(-1).
const FAILED: u8 = 255;
/// What the child writes to its parent once it serves.
const SERVING: u8 = b'+';

/// Runs the daemon; gives the exit status of this process: the parent's, where it forks.
#[must_use]
pub fn run(options: Options) -> u8 {
    let mut log = Log::start(&options);
    match prepare(&options, &mut log).and_then(|prepared| start(options, log, prepared)) {
        Ok(status) => status,
        Err(Failed { why, status }) => {
            eprintln!("rsntpd: {why}");
            status
        }
    }
}

/// Why the daemon does not start.
#[derive(Debug)]
struct Failed {
    why: String,
    status: u8,
}

impl Failed {
    fn told(log: &mut Log, why: String, status: u8) -> Self {
        log.write(Level::Error, &why);
        log.flush();
        Self { why, status }
    }
}

/// What must be had as root, before the fork.
#[derive(Debug)]
struct Prepared {
    loaded: Loaded,
    sockets: Sockets,
    account: Option<Account>,
}

fn prepare(options: &Options, log: &mut Log) -> Result<Prepared, Failed> {
    let uid = privileges::effective_uid();
    if uid != 0 {
        return Err(Failed::told(log, format!("must be run as root, not uid {uid}"), 1));
    }
    log.write(Level::Notice, &format!("rsntpd {} starting", env!("CARGO_PKG_VERSION")));
    let loaded = setup::load(options);
    for (level, line) in loaded.log_lines() {
        log.write(level, &line);
    }
    if let Some(path) = &loaded.setup.config.logfile {
        log.use_file(path);
    }
    let account = match options.user.as_deref().map(Account::find).transpose() {
        Ok(account) => account,
        Err(why) => return Err(Failed::told(log, why, FAILED)),
    };
    let locals = interfaces::list().unwrap_or_default();
    let wanted = Wanted {
        v4: !options.ipv6_only,
        v6: !options.ipv4_only,
        only: options.interfaces.clone(),
        no_virtual: options.novirtualips,
        rules: loaded.setup.config.interfaces.clone(),
        dscp: loaded.setup.config.dscp,
    };
    let sockets = Sockets::open(wanted, &locals).map_err(|e| Failed::told(log, port_words(&e), 1))?;
    for line in sockets.describe() {
        log.write(Level::Info, &line);
    }
    if (options.nice || options.priority.is_some())
        && let Err(why) = privileges::set_real_time(options.priority)
    {
        log.write(Level::Warning, &format!("cannot raise the priority: {why}"));
    }
    if options.lock_memory
        && let Err(why) = privileges::lock_memory()
    {
        log.write(Level::Warning, &format!("cannot lock the memory: {why}"));
    }
    Ok(Prepared { loaded, sockets, account })
}

/// Why port 123 cannot be had, and what to do.
fn port_words(error: &std::io::Error) -> String {
    if error.kind() == std::io::ErrorKind::AddrInUse {
        format!(
            "UDP port {PORT} is in use: another time daemon is running. Stop it first: \
             `service ntpd stop; chkconfig ntpd off', or `systemctl disable --now chronyd' \
             (`ss -lunp' shows who it is)"
        )
    } else {
        format!("cannot bind UDP port {PORT}: {error}")
    }
}

fn start(options: Options, mut log: Log, prepared: Prepared) -> Result<u8, Failed> {
    if options.nofork {
        return serve(options, log, prepared, None);
    }
    let (reader, writer) =
        std::io::pipe().map_err(|e| Failed::told(&mut log, format!("cannot make a pipe: {e}"), FAILED))?;
    log.flush();
    match Daemonize::new().execute() {
        Outcome::Parent(Ok(_)) => {
            drop(writer);
            wait_for_child(reader)
        }
        Outcome::Parent(Err(e)) => Err(Failed::told(&mut log, format!("cannot fork: {e}"), FAILED)),
        Outcome::Child(Ok(_)) => {
            drop(reader);
            serve(options, log, prepared, Some(writer))
        }
        Outcome::Child(Err(e)) => Err(Failed::told(&mut log, format!("cannot become a daemon: {e}"), FAILED)),
    }
}

/// The parent: 0 once the child serves, else what it says.
fn wait_for_child(mut reader: PipeReader) -> Result<u8, Failed> {
    let mut said = Vec::new();
    let mut octet = [0];
    loop {
        match reader.read(&mut octet) {
            Ok(1) if octet[0] == SERVING => return Ok(0),
            Ok(1) => said.push(octet[0]),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Ok(_) | Err(_) => break,
        }
    }
    let said = String::from_utf8_lossy(&said).into_owned();
    let why =
        if said.is_empty() { "the daemon died while starting; the log says why".to_owned() } else { said };
    Err(Failed { why, status: 1 })
}

/// The process that serves: the child, or the only one.
fn serve(
    options: Options,
    mut log: Log,
    prepared: Prepared,
    parent: Option<PipeWriter>,
) -> Result<u8, Failed> {
    // ntpd writes both the file of -p, which the init script knows, and that of `pidfile`.
    let configured = prepared.loaded.setup.config.pidfile.clone();
    let mut pidfiles: Vec<PathBuf> = options.pidfile.iter().cloned().chain(configured).collect();
    pidfiles.dedup();
    for path in &pidfiles {
        if let Err(why) = files::write_pid(path, std::process::id()) {
            log.write(Level::Error, &why);
        }
    }
    let result = serve_until_end(options, log, prepared, parent);
    for path in &pidfiles {
        remove_pid(path);
    }
    result
}

fn remove_pid(path: &Path) {
    // In a directory of root's the user we became may not: the init script does it then.
    let _left_behind = files::remove_pid(path, std::process::id());
}

fn serve_until_end(
    options: Options,
    mut log: Log,
    prepared: Prepared,
    parent: Option<PipeWriter>,
) -> Result<u8, Failed> {
    let tell = |parent: &Option<PipeWriter>, why: &str| {
        if let Some(mut pipe) = parent.as_ref() {
            let _parent_gone = pipe.write_all(why.as_bytes());
        }
    };
    let Prepared { loaded, sockets, account } = prepared;
    if let Err(why) = privileges::drop_root(account.as_ref(), options.jaildir.as_deref()) {
        tell(&parent, &why);
        return Err(Failed::told(&mut log, why, FAILED));
    }
    let result = build(options, log, loaded, sockets);
    let event_loop = match result {
        Ok(event_loop) => event_loop,
        Err(e) => {
            let why = format!("cannot start the event loop: {e}");
            tell(&parent, &why);
            return Err(Failed { why, status: FAILED });
        }
    };
    let serving = move || {
        if let Some(mut pipe) = parent {
            let _parent_gone = pipe.write_all(&[SERVING]);
        }
    };
    match event_loop.run(serving) {
        Ok(reason) => Ok(exit_status(reason)),
        Err(e) => Err(Failed { why: format!("the event loop failed: {e}"), status: FAILED }),
    }
}

fn build(options: Options, log: Log, loaded: Loaded, sockets: Sockets) -> std::io::Result<EventLoop> {
    privileges::set_sharp_timers();
    let signals = Signals::install()?;
    let poll = Poll::new()?;
    let waker = Waker::new(poll.registry(), EventLoop::resolver_token())?;
    let resolver = Resolver::start(Box::new(move || {
        // The loop looks for answers whenever it wakes; a wake-up that fails is made good by the next.
        let _next_time = waker.wake();
    }));
    let steers = clock::can_steer();
    if steers && loaded.setup.config.enable.ntp {
        clock::take_over()?;
    }
    let (system, processor) = names_of_machine();
    let machine = Machine {
        can_steer: steers,
        precision: clock::precision(),
        drift: loaded.drift,
        system,
        processor,
        seed: seed()?,
    };
    let config = &loaded.setup.config;
    let driftfile = config.driftfile.clone();
    let interest = Interest::new(&config.logconfig);
    let leapfile = LeapFile::new(config.leapfile.clone());
    let statistics = StatFiles::new(&config.statistics);
    let started = clock::mono();
    let engine = Engine::new(now(), &machine, loaded.setup);
    let traffic = Traffic::new(Calls::probe());
    let shell = Shell {
        sockets,
        log,
        resolver,
        driftfile,
        interest,
        statistics,
        started,
        leapfile,
        traffic,
        wakeups: (0, 0),
        errands: Vec::new(),
    };
    EventLoop::new(poll, engine, shell, signals, options, loaded.memory)
}

/// `Linux/2.6.32` and `x86_64`.
fn names_of_machine() -> (String, String) {
    nix::sys::utsname::uname().map_or(("Linux".to_owned(), String::new()), |names| {
        let text = |s: &std::ffi::OsStr| s.to_string_lossy().into_owned();
        (format!("{}/{}", text(names.sysname()), text(names.release())), text(names.machine()))
    })
}

/// Randomness of the system, which every kernel has in this file.
fn seed() -> std::io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut seed)?;
    Ok(seed)
}

const fn exit_status(reason: ExitReason) -> u8 {
    match reason {
        ExitReason::Shutdown | ExitReason::ClockSet => 0,
        ExitReason::NoServer | ExitReason::NotSet => 1,
        ExitReason::Panic => FAILED,
    }
}
