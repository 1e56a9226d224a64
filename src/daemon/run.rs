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
use super::workers::{self, Role};
use crate::core::Engine;
use crate::core::contract::{ExitReason, Input, Machine};
use crate::core::event::Level;
use crate::core::interest::Interest;
use crate::sys::batch::Calls;
use crate::sys::group;
use crate::sys::interfaces::LocalAddress;
use crate::sys::privileges::{self, Account, Duty};
use crate::sys::process::Side;
use crate::sys::signals::Signals;
use crate::sys::{clock, interfaces, process, random, resident};
use crate::units::eras_off;
use daemonize::{Daemonize, Outcome};
use mio::{Poll, Waker};
use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Exit status of ntpd's exit(-1).
const FAILED: u8 = 255;
/// What the child writes to its parent once it serves.
const SERVING: u8 = b'+';

/// Runs the daemon; gives the exit status of this process: the parent's, where it forks.
#[must_use]
pub fn run(mut options: Options) -> u8 {
    // Where that is not known, as in a directory that was removed, paths stay as they are written.
    if let Ok(directory) = std::env::current_dir() {
        setup::anchor(&mut options, directory);
    }
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
    /// Those of the workers, if there are to be any.
    others: Vec<Sockets>,
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
    let (sockets, others) = open(options, log, wanted, &locals)?;
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
    Ok(Prepared { loaded, sockets, others, account })
}

/// The sockets of this process, and those of its workers.
fn open(
    options: &Options,
    log: &mut Log,
    wanted: Wanted,
    locals: &[LocalAddress],
) -> Result<(Sockets, Vec<Sockets>), Failed> {
    let mut workers = workers::wanted(options);
    if workers > 0 && !group::is_supported() {
        let why = "this kernel cannot share requests out among processes (Linux 4.6 can): one answers all";
        log.write(Level::Warning, why);
        workers = 0;
    }
    let opened = if workers > 0 {
        Sockets::open_groups(&wanted, locals, workers).map(|mut sets| {
            let own = sets.remove(0);
            (own, sets)
        })
    } else {
        Sockets::open(wanted, locals).map(|own| (own, Vec::new()))
    };
    opened.map_err(|e| Failed::told(log, port_words(&e), 1))
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
    match go_background() {
        Err(e) => Err(Failed::told(&mut log, format!("cannot become a daemon: {e}"), FAILED)),
        Ok(Side::Parent) => {
            drop(writer);
            wait_for_child(reader)
        }
        Ok(Side::Child) => {
            drop(reader);
            serve(options, log, prepared, Some(writer))
        }
    }
}

fn go_background() -> io::Result<Side> {
    // The crate cannot do without /dev/null, a root directory that holds nothing but us has none.
    if !Path::new("/dev/null").exists() {
        return process::detach();
    }
    match Daemonize::new().execute() {
        Outcome::Parent(Ok(_)) => Ok(Side::Parent),
        Outcome::Child(Ok(_)) => Ok(Side::Child),
        Outcome::Parent(Err(e)) | Outcome::Child(Err(e)) => Err(io::Error::other(e)),
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
    mut options: Options,
    mut log: Log,
    prepared: Prepared,
    parent: Option<PipeWriter>,
) -> Result<u8, Failed> {
    let tell = |parent: &Option<PipeWriter>, why: &str| {
        if let Some(mut pipe) = parent.as_ref() {
            let _parent_gone = pipe.write_all(why.as_bytes());
        }
    };
    let Prepared { mut loaded, sockets, others, account } = prepared;
    log.flush();
    let (role, sockets) = match workers::fork(sockets, others) {
        Ok(forked) => forked,
        Err(e) => {
            let why = format!("cannot make workers: {e}");
            tell(&parent, &why);
            return Err(Failed::told(&mut log, why, FAILED));
        }
    };
    // Only the main process tells its parent how it went.
    let parent = parent.filter(|_| !role.is_worker());
    if let Err(why) = settle(&options, &mut log, &role, account.as_ref()) {
        tell(&parent, &why);
        return Err(Failed::told(&mut log, why, FAILED));
    }
    if let Some(jail) = options.jaildir.clone() {
        setup::enter_jail(&mut options, &mut loaded.setup.config, &jail);
    }
    let result = build(options, log, loaded, sockets, role);
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
        resident::give_back_code();
    };
    match event_loop.run(serving) {
        Ok(reason) => Ok(exit_status(reason)),
        Err(e) => Err(Failed { why: format!("the event loop failed: {e}"), status: FAILED }),
    }
}

/// Gives up root; in a worker, all that is the main process's business.
fn settle(options: &Options, log: &mut Log, role: &Role, account: Option<&Account>) -> Result<(), String> {
    let root = options.jaildir.as_deref();
    let Role::Worker(post) = role else {
        if let Role::Main(crew) = role {
            log.write(Level::Info, &crew.describe());
        }
        return privileges::drop_root(Duty::Clock, account, root);
    };
    log.keep_errors();
    if options.lock_memory {
        // Locks are not inherited. The main process has told whether this can be done.
        let _unlocked = privileges::lock_memory();
    }
    privileges::drop_root(Duty::Answers, account, root)?;
    post.take_up()
}

fn build(
    options: Options,
    log: Log,
    mut loaded: Loaded,
    sockets: Sockets,
    role: Role,
) -> std::io::Result<EventLoop> {
    privileges::set_sharp_timers();
    let signals = Signals::install()?;
    let poll = Poll::new()?;
    let waker = Waker::new(poll.registry(), EventLoop::resolver_token())?;
    let resolver = Resolver::start(Box::new(move || {
        // The loop looks for answers whenever it wakes; a wake-up that fails is made good by the next.
        let _next_time = waker.wake();
    }));
    if role.is_worker() {
        loaded.setup = workers::bare(loaded.setup);
        loaded.drift = None;
    }
    let steers = !role.is_worker() && clock::can_steer();
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
        seed: random::seed(),
    };
    let config = &loaded.setup.config;
    let driftfile = config.driftfile.clone();
    let interest = Interest::new(&config.logconfig);
    let leapfile = LeapFile::new(config.leapfile.clone());
    let statistics = StatFiles::new(&config.statistics);
    let started = clock::mono();
    let mut engine = Engine::new(now(), &machine, loaded.setup);
    engine.handle(now(), Input::WrongEra(eras_off(clock::unix().0)));
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
    EventLoop::new(poll, engine, shell, signals, options, loaded.memory, role)
}

/// `Linux/2.6.32` and `x86_64`.
fn names_of_machine() -> (String, String) {
    nix::sys::utsname::uname().map_or(("Linux".to_owned(), String::new()), |names| {
        let text = |s: &std::ffi::OsStr| s.to_string_lossy().into_owned();
        (format!("{}/{}", text(names.sysname()), text(names.release())), text(names.machine()))
    })
}

const fn exit_status(reason: ExitReason) -> u8 {
    match reason {
        ExitReason::Shutdown | ExitReason::ClockSet => 0,
        ExitReason::NoServer | ExitReason::NotSet => 1,
        ExitReason::Panic => FAILED,
    }
}
