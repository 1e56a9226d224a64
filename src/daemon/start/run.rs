//! Start-up, in the order that matters: read, bind, fork, drop root, serve. The parent's exit
//! status reports whether the child serves.

use super::background::{self, Parent};
use super::cli::Options;
use super::failure::{FAILED, Failure};
use super::setup::{self, Loaded, Memory};
use super::supervisor::Supervisor;
use crate::daemon::event_loop::EventLoop;
use crate::daemon::files;
use crate::daemon::leapfile::LeapFile;
use crate::daemon::log::Log;
use crate::daemon::net::resolver::Resolver;
use crate::daemon::net::sockets::{Hears, Sockets, Wanted};
use crate::daemon::net::traffic::Traffic;
use crate::daemon::nts::client::KeyClient;
use crate::daemon::nts::serving::{Exchanger, NtsServer};
use crate::daemon::nts::tls;
use crate::daemon::perform::{Shell, now};
use crate::daemon::refclocks::RefClocks;
use crate::daemon::reload::ReloadSocket;
use crate::daemon::sandbox::Sandbox;
use crate::daemon::statistics::StatFiles;
use crate::daemon::workers::{self, Role};
use crate::engine::Engine;
use crate::engine::contract::{ExitReason, Input, Machine};
use crate::engine::report::event::Level;
use crate::engine::report::logconfig::LogFilter;
use crate::sys::batch::Calls;
use crate::sys::clock_watch::ClockWatch;
use crate::sys::group;
use crate::sys::interfaces::LocalAddress;
use crate::sys::landlock::Alone;
use crate::sys::privileges::{self, Account, Duty};
use crate::sys::process::Side;
use crate::sys::seccomp::{Libc, Process};
use crate::sys::signals::{self, Signals};
use crate::sys::{clock, interfaces, process, random, resident, zone};
use crate::units::eras_off;
use mio::{Poll, Waker};
use std::path::{Path, PathBuf};

/// Files that are open beside the sockets: log, statistics, lookups, epoll, and room for more.
const OTHER_FILES: u64 = 64;

/// Runs the daemon; gives the exit status of this process: the parent's, where it forks.
#[must_use]
pub fn run(mut options: Options) -> u8 {
    // Where that is not known, as in a directory that was removed, paths stay as they are written.
    if let Ok(directory) = std::env::current_dir() {
        setup::anchor(&mut options, directory);
    }
    // A wrapper or a copy of another name has been executed: the name is cosmetic.
    let _as_executed = process::set_name(&options.name);
    process::make_readable_files();
    // Without the handler the limit would end the daemon, as it does any program.
    let _as_before = signals::survive_file_size_limit();
    let odd_zone = zone::forget_unreadable();
    let name = options.name.clone();
    let mut log = Log::start(&options);
    if let Some(zone) = odd_zone {
        log.write(Level::Warning, &format!("TZ={zone} names no file of a time zone: it is ignored"));
    }
    let enough = process::ensure_stack().map_err(|limit| Failed::logged(&mut log, Failure::Stack { limit }));
    match enough.and_then(|()| prepare(&options, &mut log)).and_then(|prepared| start(options, log, prepared))
    {
        Ok(status) => status,
        Err(Failed { why, seen }) => {
            if !seen {
                eprintln!("{name}: {why}");
            }
            why.exit_status()
        }
    }
}

/// Why the daemon does not start.
#[derive(Debug)]
struct Failed {
    why: Failure,
    /// It is on standard error already, or where that leads.
    seen: bool,
}

impl Failed {
    fn logged(log: &mut Log, why: Failure) -> Self {
        log.write(Level::Error, &why.to_string());
        log.flush();
        Self { why, seen: log.is_seen() }
    }

    const fn unlogged(why: Failure) -> Self {
        Self { why, seen: false }
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
    nts_server: NtsServer,
}

fn prepare(options: &Options, log: &mut Log) -> Result<Prepared, Failed> {
    let uid = privileges::effective_uid();
    if uid != 0 && !privileges::may_do_its_duty() {
        return Err(Failed::logged(log, Failure::NotRoot { uid }));
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
        // Who is that user already need not become it, and without root could not.
        Ok(account) => account.filter(|account| uid == 0 || account.uid() != uid),
        Err(why) => return Err(Failed::logged(log, Failure::Account(why))),
    };
    let files = privileges::raise_open_files().unwrap_or(u64::MAX);
    let locals = interfaces::list().unwrap_or_default();
    let nts = &loaded.setup.config.nts;
    let wanted = Wanted {
        v4: !options.ipv6_only,
        v6: !options.ipv4_only,
        only: options.interfaces.clone(),
        no_virtual: options.novirtualips,
        rules: loaded.setup.config.interfaces.clone(),
        hears: Hears::of(&loaded.setup.config),
        dscp: loaded.setup.config.dscp,
        second_port: nts.port.filter(|_| nts.serves),
        room: usize::try_from(files.saturating_sub(OTHER_FILES)).ok(),
    };
    let (mut sockets, others) = open(options, log, wanted, &locals)?;
    for line in sockets.describe() {
        log.write(Level::Info, &line);
    }
    log.write_all(sockets.take_notices());
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
    let nts_server = NtsServer::open(&loaded.setup.config, options, account.as_ref(), log);
    Ok(Prepared { loaded, sockets, others, account, nts_server })
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
    if workers > 0 && wanted.ignores_wildcard() {
        let why =
            "`interface ignore wildcard' has no effect with --server-only, whose sockets are wildcard ones";
        log.write(Level::Warning, why);
    }
    let opened = if workers > 0 {
        Sockets::open_groups(&wanted, locals, workers).map(|mut sets| {
            let own = sets.remove(0);
            (own, sets)
        })
    } else {
        Sockets::open(wanted, locals).map(|own| (own, Vec::new()))
    };
    opened.map_err(|e| Failed::logged(log, Failure::Port(e)))
}

fn start(options: Options, mut log: Log, prepared: Prepared) -> Result<u8, Failed> {
    let supervisor = Supervisor::of_environment();
    if options.nofork {
        return serve(options, log, prepared, Parent { pipe: None, supervisor });
    }
    let (reader, writer) = std::io::pipe().map_err(|e| Failed::logged(&mut log, Failure::Pipe(e)))?;
    log.flush();
    match background::enter() {
        Err(e) => Err(Failed::logged(&mut log, Failure::Fork(e))),
        Ok(Side::Parent) => {
            drop(writer);
            let child = background::wait_for_child(reader).map_err(Failed::unlogged)?;
            supervisor.handed_over(child);
            Ok(0)
        }
        Ok(Side::Child) => {
            drop(reader);
            serve(options, log, prepared, Parent { pipe: Some(writer), supervisor })
        }
    }
}

/// The process that serves: the child, or the only one.
fn serve(options: Options, mut log: Log, prepared: Prepared, parent: Parent) -> Result<u8, Failed> {
    // ntpd writes both the file of -p, which the init script knows, and that of `pidfile`.
    let configured = prepared.loaded.setup.config.pidfile.clone();
    let mut pidfiles: Vec<PathBuf> = options.pidfile.iter().cloned().chain(configured).collect();
    pidfiles.dedup();
    for path in &pidfiles {
        if let Err(why) = files::write_pid(path, std::process::id()) {
            log.write(Level::Error, &why.to_string());
        }
    }
    if options.jaildir.is_some() {
        tls::open_randomness();
    }
    let reload_socket = reload_socket(&pidfiles, &mut log);
    let result = serve_until_end(options, log, prepared, parent, reload_socket);
    for path in &pidfiles {
        remove_pid(path);
    }
    result
}

/// Where `--reload` asks: beside the first pid file, unless that is a device.
fn reload_socket(pidfiles: &[PathBuf], log: &mut Log) -> Option<ReloadSocket> {
    let pidfile = pidfiles.first().filter(|path| path.is_file())?;
    match ReloadSocket::open(pidfile) {
        Ok(socket) => Some(socket),
        Err(why) => {
            log.write(Level::Warning, &format!("cannot create the socket of --reload, SIGHUP only: {why}"));
            None
        }
    }
}

fn remove_pid(path: &Path) {
    // In a directory of root's the user we became may not: the init script does it then.
    let _left_behind = files::remove_pid(path, std::process::id());
}

fn serve_until_end(
    mut options: Options,
    mut log: Log,
    prepared: Prepared,
    mut parent: Parent,
    mut reload_socket: Option<ReloadSocket>,
) -> Result<u8, Failed> {
    let Prepared { mut loaded, sockets, others, account, mut nts_server } = prepared;
    log.flush();
    if let Some(exchanger) = nts_server.fork(&mut log) {
        drop((sockets, others, parent, reload_socket));
        return exchange_keys(options, log, loaded, exchanger, account.as_ref());
    }
    let (mut role, sockets) = match workers::fork(sockets, others) {
        Ok(forked) => forked,
        Err(e) => {
            let why = Failure::Workers(e);
            parent.failed(&why);
            return Err(Failed::logged(&mut log, why));
        }
    };
    if let Role::Worker(slot) = &mut role {
        // Only the main process reports, and takes reload requests.
        (parent, reload_socket) = (Parent::default(), None);
        slot.take_cookie_keys(nts_server.take_page());
    }
    // Only the main process reads clocks; their devices are root's.
    let refclocks = if role.is_worker() {
        RefClocks::default()
    } else {
        let own = account.as_ref().map_or_else(privileges::effective_uid, Account::uid);
        RefClocks::open_all(&loaded.setup.config, own)
    };
    let mut opened = Opened { sockets, refclocks, nts_server };
    if let Err(why) = settle(&options, &mut log, &role, account.as_ref()) {
        parent.failed(&why);
        return Err(Failed::logged(&mut log, why));
    }
    if let Some(jail) = options.jaildir.clone() {
        setup::enter_jail(&mut options, &mut loaded.setup.config, &jail);
        opened.nts_server.enter_jail(&loaded.setup.config);
    }
    let Parent { pipe, supervisor } = parent;
    let main_process = !role.is_worker();
    let event_loop = match build(options, log, loaded, opened, role, supervisor, reload_socket) {
        Ok(event_loop) => event_loop,
        Err(e) => {
            let why = Failure::EventLoop(e);
            Parent { pipe, ..Parent::default() }.failed(&why);
            return Err(Failed::unlogged(why));
        }
    };
    let serving = move |shell: &mut Shell| {
        match pipe {
            // The parent reports to the service manager.
            Some(pipe) => background::report_serving(pipe),
            None if main_process => shell.supervisor.ready(),
            None => {}
        }
        resident::give_back_code();
    };
    match event_loop.run(serving) {
        Ok(reason) => Ok(exit_status(reason)),
        Err(e) => Err(Failed::unlogged(Failure::Stopped(e))),
    }
}

/// Gives up root; in a worker, all that is the main process's business.
fn settle(options: &Options, log: &mut Log, role: &Role, account: Option<&Account>) -> Result<(), Failure> {
    let root = options.jaildir.as_deref();
    let Role::Worker(slot) = role else {
        if let Role::Main(workers) = role {
            log.write(Level::Info, &workers.describe());
        }
        if let Some(account) = account {
            log.hand_to(account);
        }
        privileges::drop_root(Duty::Clock, account, root).map_err(Failure::Privileges)?;
        close_memory(options, log);
        return Ok(());
    };
    log.keep_errors();
    if options.lock_memory {
        // Locks are not inherited. The main process has logged whether this can be done.
        let _unlocked = privileges::lock_memory();
    }
    privileges::drop_root(Duty::Answers, account, root).map_err(Failure::Privileges)?;
    close_memory(options, log);
    slot.take_up().map_err(Failure::Worker)
}

/// Keys are in memory: it is in no core file, unless the daemon is being debugged, and no other process reads it.
fn close_memory(options: &Options, log: &mut Log) {
    privileges::refuse_new_code();
    if options.debug == 0
        && let Err(why) = privileges::keep_memory_private()
    {
        log.write(Level::Warning, &format!("keys in memory could get into a core file: {why}"));
    }
}

/// The process that exchanges keys of NTS with clients.
fn exchange_keys(
    mut options: Options,
    mut log: Log,
    mut loaded: Loaded,
    exchanger: Exchanger,
    account: Option<&Account>,
) -> Result<u8, Failed> {
    privileges::set_ordinary();
    if options.lock_memory {
        // The main process has logged whether this can be done.
        let _unlocked = privileges::lock_memory();
    }
    let root = options.jaildir.clone();
    let config = &mut loaded.setup.config;
    let dropped = privileges::drop_root(Duty::Answers, account, root.as_deref());
    dropped.map_err(|why| Failed::logged(&mut log, Failure::Privileges(why)))?;
    close_memory(&options, &mut log);
    if let Some(jail) = root {
        setup::enter_jail(&mut options, config, &jail);
    }
    exchanger.take_up().map_err(|e| Failed::unlogged(Failure::Stopped(e)))?;
    let read = loaded.memory.files();
    let _in_force = Sandbox::enter(Process::KeyExchange, Alone::Yes, &options, config, &read, &mut log);
    let restrict = std::mem::take(&mut config.restrict);
    let mut memory = loaded.memory;
    let reload = || {
        // The main process logs what there is to log.
        let loaded = setup::reload(&options, &memory).ok()?;
        memory = loaded.memory;
        Some(loaded.setup.config.restrict)
    };
    exchanger
        .run(&loaded.setup.config.nts, log, &restrict, reload)
        .map_err(|e| Failed::unlogged(Failure::Stopped(e)))?;
    Ok(0)
}

/// What was opened as root.
#[derive(Debug)]
struct Opened {
    sockets: Sockets,
    refclocks: RefClocks,
    nts_server: NtsServer,
}

fn build(
    options: Options,
    mut log: Log,
    mut loaded: Loaded,
    opened: Opened,
    role: Role,
    supervisor: Supervisor,
    reload_socket: Option<ReloadSocket>,
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
    let log_filter = LogFilter::new(&config.logconfig);
    let leapfile = LeapFile::new(config.leapfile.clone());
    let statistics = StatFiles::new(&config.statistics);
    let key_client = KeyClient::new(config);
    let started = clock::mono();
    let mut engine = Engine::new(now(), &machine, loaded.setup);
    engine.handle(now(), Input::WrongEra(eras_off(clock::unix().0)));
    let traffic = Traffic::new(Calls::probe());
    let Opened { sockets, refclocks, nts_server } = opened;
    nts_server.begin(&mut engine);
    let sandbox = confine(&role, &nts_server, &options, &engine, &loaded.memory, &mut log);
    let shell = Shell {
        sockets,
        log,
        resolver,
        driftfile,
        log_filter,
        statistics,
        started,
        leapfile,
        traffic,
        clock_watch: ClockWatch::new(),
        wakeups: (0, 0),
        shell_requests: Vec::new(),
        supervisor,
        reload_socket,
        refclocks,
        key_client,
        nts_server,
        sandbox,
    };
    EventLoop::new(poll, engine, shell, signals, options, loaded.memory, role)
}

/// Before the first packet is read, and before there are other threads.
fn confine(
    role: &Role,
    nts_server: &NtsServer,
    options: &Options,
    engine: &Engine,
    memory: &Memory,
    log: &mut Log,
) -> Sandbox {
    let process = if role.is_worker() { Process::Worker } else { Process::Main };
    // Other processes of ours get signals, and the service manager may listen at a name that no file system has.
    let alone = match role {
        Role::Worker(_) => Alone::Yes,
        Role::Alone if !nts_server.has_process() && Libc::OF_PROGRAM == Libc::Own => Alone::Yes,
        Role::Alone | Role::Main(_) => Alone::No,
    };
    Sandbox::enter(process, alone, options, engine.config(), &memory.files(), log)
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
