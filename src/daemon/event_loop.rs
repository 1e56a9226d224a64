//! The one loop: datagrams, signals, lookups, interface changes and deadlines, one at a time.

use super::net::gather::Gather;
use super::perform::{Shell, now};
use super::reload::{self, Outcome, ReloadSocket};
use super::shell_requests;
use super::start::cli::Options;
use super::start::setup::{self, Memory};
use super::workers::{self, Role};
use crate::engine::Engine;
use crate::engine::contract::{ExitReason, Input};
use crate::engine::control::shell_request::{Brought, ShellRequest};
use crate::engine::report::event::Level;
use crate::sys::alarm::Alarm;
use crate::sys::clock;
use crate::sys::clock_watch::UNWATCHED_LOOK;
use crate::sys::interfaces::{self, ChangeWatch};
use crate::sys::resident;
use crate::sys::signals::Signals;
use crate::units::{MonoTime, NTP_PORT, Seconds};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use std::io;
use std::rc::Rc;
use std::time::Duration;

const SIGNAL: Token = Token(0);
const RESOLVER: Token = Token(1);
const INTERFACES: Token = Token(2);
const ALARM: Token = Token(3);
const RELOAD: Token = Token(4);
const CLOCK: Token = Token(5);

/// Batches taken from one socket before others and deadlines get their turn: half a millisecond.
const DRAIN: usize = 4;
/// Pause before addresses are looked at again after a change: new IPv6 addresses cannot be bound
/// while the kernel tries them out.
const SETTLE: Seconds = Seconds::new(2.0);
/// While addresses keep changing they are looked at so often.
const BURST_LOOK: Seconds = Seconds::new(1.0);
/// How often it is looked whether there is a new leap second file.
const LEAP_LOOK: Seconds = Seconds::new(3600.0);

/// The loop and what it needs.
#[derive(Debug)]
pub struct EventLoop {
    poll: Poll,
    engine: Engine,
    shell: Shell,
    signals: Signals,
    changes: Option<ChangeWatch>,
    /// Ends the sleep for deadlines, which seldom change: cheaper than a timer for each sleep.
    alarm: Option<Alarm>,
    options: Options,
    memory: Memory,
    /// Sockets that may hold more datagrams: epoll reports each arrival only once.
    unread: Vec<usize>,
    next_scan: Option<MonoTime>,
    last_scan: MonoTime,
    next_leap_look: MonoTime,
    /// When to look for a step of the clock where the kernel does not report it.
    next_clock_look: MonoTime,
    gather: Gather,
    role: Role,
}

impl EventLoop {
    /// Watches sockets, signals and interfaces. The resolver wakes `poll` through
    /// [`EventLoop::resolver_token`].
    ///
    /// # Errors
    /// Of epoll.
    pub fn new(
        poll: Poll,
        engine: Engine,
        mut shell: Shell,
        signals: Signals,
        options: Options,
        memory: Memory,
        role: Role,
    ) -> io::Result<Self> {
        let registry = poll.registry();
        shell.sockets.watch_all(registry)?;
        registry.register(&mut SourceFd(&signals.raw_fd()), SIGNAL, Interest::READABLE)?;
        // Where the kernel does not report changes, the interfaces are listed regularly.
        let changes = ChangeWatch::open().ok();
        if let Some(changes) = &changes {
            registry.register(&mut SourceFd(&changes.raw_fd()), INTERFACES, Interest::READABLE)?;
        }
        if let Some(socket) = &shell.reload_socket {
            registry.register(&mut SourceFd(&socket.raw_fd()), RELOAD, Interest::READABLE)?;
        }
        let alarm = Alarm::new().ok();
        if let Some(alarm) = &alarm {
            registry.register(&mut SourceFd(&alarm.raw_fd()), ALARM, Interest::READABLE)?;
        }
        if let Some(fd) = shell.clock_watch.raw_fd() {
            registry.register(&mut SourceFd(&fd), CLOCK, Interest::READABLE)?;
        }
        let shared = Rc::new(registry.try_clone()?);
        shell.refclocks.watch(Rc::clone(&shared));
        shell.key_client.watch(shared);
        let unread = (0..shell.sockets.len()).collect();
        let mut this = Self {
            poll,
            engine,
            shell,
            signals,
            changes,
            alarm,
            options,
            memory,
            unread,
            next_scan: None,
            last_scan: clock::mono(),
            next_leap_look: clock::mono() + LEAP_LOOK,
            next_clock_look: clock::mono() + UNWATCHED_LOOK,
            gather: Gather::new(clock::mono()),
            role,
        };
        this.plan_scan();
        Ok(this)
    }

    /// The token by which the resolver wakes the loop.
    #[must_use]
    pub const fn resolver_token() -> Token {
        RESOLVER
    }

    /// Runs until the engine ends; `serving` is called once, when the first turn is over.
    ///
    /// # Errors
    /// Of epoll.
    pub fn run(mut self, serving: impl FnOnce(&mut Shell)) -> io::Result<ExitReason> {
        let interfaces = self.shell.sockets.interfaces();
        self.handle(Input::Interfaces(interfaces));
        let mut serving = Some(serving);
        let mut events = Events::with_capacity(128);
        loop {
            if let Some(reason) = self.perform() {
                self.shell.log.flush();
                return Ok(reason);
            }
            self.role.turned(&self.engine, &self.shell.sockets);
            if let Some(serving) = serving.take() {
                serving(&mut self.shell);
            }
            let (before, after) = self.sleep(&mut events)?;
            for event in &events {
                // Before anything is received: an answer is judged by when its request left.
                if event.is_error() {
                    self.departed(event.token());
                }
                self.ready(event.token())?;
            }
            self.role.woke(&mut self.engine, &mut self.shell.sockets);
            self.shell.nts_server.collect(&mut self.engine);
            let taken = self.receive_all()?;
            self.gather.turned(before, after, taken);
            self.shell.wakeups.0 += 1;
            self.shell.wakeups.1 += u64::from(taken > 0);
            self.timers()?;
        }
    }

    /// Does all that the engine wants done, and what control requests want of the shell.
    fn perform(&mut self) -> Option<ExitReason> {
        loop {
            let exit = self.shell.drain(&mut self.engine);
            if exit.is_some() || self.shell.shell_requests.is_empty() {
                return exit;
            }
            for (id, shell_request) in std::mem::take(&mut self.shell.shell_requests) {
                let result = self.run_shell_request(shell_request);
                self.handle(Input::Returned { id, result });
            }
        }
    }

    fn run_shell_request(&mut self, shell_request: ShellRequest) -> Brought {
        match shell_request {
            ShellRequest::Survey => Brought::Survey(Box::new(self.shell.survey())),
            ShellRequest::Save { name, from } => {
                let text = self.memory.saved_text(self.engine.config());
                self.shell.save(self.engine.config(), &name, from, &text)
            }
            ShellRequest::Configure { text, from } => {
                let known = shell_requests::known(&self.engine);
                let running = self.engine.config();
                let done = setup::configure(&self.options, &mut self.memory, running, &known, from, &text);
                self.shell.log.write_all(done.lines);
                if let Some(setup) = &done.setup {
                    self.shell.take_over(&setup.config);
                    self.next_scan = Some(clock::mono());
                }
                Brought::Configured { reply: done.reply, setup: done.setup.map(Box::new) }
            }
        }
    }

    /// Sleeps until there is something to do; from when to when.
    fn sleep(&mut self, events: &mut Events) -> io::Result<(MonoTime, MonoTime)> {
        let before = clock::mono();
        let patience = self.patience(before);
        if let Some(pause) = self.gather.pause()
            && patience.is_none_or(|patience| patience > pause)
        {
            std::thread::sleep(pause);
        }
        let patience = patience.filter(|patience| patience.is_zero() || !self.alarm_takes());
        match self.poll.poll(events, patience) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => other?,
        }
        Ok((before, clock::mono()))
    }

    fn handle(&mut self, input: Input<'_>) {
        self.engine.handle(now(), input);
    }

    /// How long there is nothing to do.
    fn patience(&self, now: MonoTime) -> Option<Duration> {
        if !self.unread.is_empty() {
            return Some(Duration::ZERO);
        }
        self.due().map(|due| due.until(now))
    }

    fn due(&self) -> Option<MonoTime> {
        let leap_look = Some(self.next_leap_look).filter(|_| self.shell.leapfile.is_watched());
        let unwatched = self.shell.clock_watch.raw_fd().is_none() && !self.role.is_worker();
        let clock_look = Some(self.next_clock_look).filter(|_| unwatched);
        let refclocks = self.shell.refclocks.next_deadline();
        let keys = [self.shell.key_client.next_deadline(), self.shell.nts_server.next_deadline()];
        let code = self.shell.traffic.control_over;
        let all = [self.engine.next_deadline(), self.next_scan, leap_look, clock_look, refclocks, code];
        all.into_iter().chain(keys).flatten().min()
    }

    /// Whether the alarm ends the sleep for the next deadline.
    fn alarm_takes(&mut self) -> bool {
        let due = self.due();
        self.alarm.as_mut().is_some_and(|alarm| alarm.takes(due).unwrap_or(false))
    }

    fn ready(&mut self, token: Token) -> io::Result<()> {
        match token {
            SIGNAL => self.signalled()?,
            RESOLVER => self.resolved(),
            // The deadlines are looked at in every turn.
            ALARM => {}
            CLOCK => self.look_at_clock(),
            INTERFACES => self.addresses_changed()?,
            RELOAD => self.reload_asked(),
            other if self.shell.refclocks.ready(other) => {
                self.shell.hand_over_readings(&mut self.engine);
            }
            other if self.shell.key_client.ready(other, &mut self.shell.resolver) => {
                self.shell.hand_over_keys(&mut self.engine);
            }
            other => {
                if let Some(index) = self.shell.sockets.of_token(other)
                    && !self.unread.contains(&index)
                {
                    self.unread.push(index);
                }
            }
        }
        Ok(())
    }

    fn resolved(&mut self) {
        while let Some((id, result)) = self.shell.resolver.poll() {
            let Shell { key_client, resolver, .. } = &mut self.shell;
            match key_client.resolved(id, result, resolver) {
                Some(result) => self.handle(Input::Resolved { id, result }),
                None => self.shell.hand_over_keys(&mut self.engine),
            }
        }
    }

    fn departed(&mut self, token: Token) {
        if let Some(open) = self.shell.sockets.of_token(token).and_then(|index| self.shell.sockets.get(index))
        {
            self.shell.traffic.take_departures(&mut self.engine, open);
        }
    }

    fn signalled(&mut self) -> io::Result<()> {
        let requests = self.signals.take();
        if let Some(signal) = requests.terminate {
            let name = &self.options.name;
            self.shell.log.write(Level::Notice, &format!("{name} exiting on signal {signal}"));
            self.shell.supervisor.stopping();
            self.handle(Input::Shutdown);
            return Ok(());
        }
        if requests.reload {
            self.reload();
        }
        if requests.child {
            self.shell.nts_server.exited(&mut self.engine, &mut self.shell.log);
            for left in self.role.exited(&mut self.shell.log) {
                self.shell.sockets.inherit(left, self.poll.registry())?;
                self.unread = (0..self.shell.sockets.len()).collect();
            }
        }
        Ok(())
    }

    /// `--reload` waits for the result.
    fn reload_asked(&mut self) {
        let askers = self.shell.reload_socket.as_ref().map(ReloadSocket::askers).unwrap_or_default();
        if !askers.is_empty() {
            let outcome = self.reload();
            reload::answer(askers, &outcome);
        }
    }

    /// Opens the files of the log and the statistics anew, and reads the configuration again, as the workers do.
    fn reload(&mut self) -> Outcome {
        self.shell.supervisor.reloading();
        let mut outcome =
            Outcome { failures: self.shell.log.reopen().into_iter().collect(), ..Outcome::default() };
        self.reload_configuration(&mut outcome);
        self.shell.nts_server.reload(&mut self.engine, &mut self.shell.log);
        self.role.hang_up();
        self.shell.supervisor.reloaded(outcome.failures.last().map(String::as_str));
        outcome
    }

    fn reload_configuration(&mut self, outcome: &mut Outcome) {
        // Workers read the same: the main process logs what there is to log.
        let quiet = self.role.is_worker();
        match setup::reload(&self.options, &self.memory) {
            Ok(loaded) => {
                let lines: Vec<_> = loaded.log_lines().filter(|_| !quiet).collect();
                outcome.note(&lines);
                self.shell.log.write_all(lines);
                outcome.failures.extend(loaded.unread);
                self.memory = loaded.memory;
                let setup = if quiet { workers::bare(loaded.setup) } else { loaded.setup };
                self.shell.take_over(&setup.config);
                // The rules of the new configuration count from the next look at the interfaces: now.
                self.next_scan = Some(clock::mono());
                self.handle(Input::Reload(Box::new(setup)));
                resident::give_back_code();
            }
            Err(refused) => {
                outcome.failures.extend(refused.lines.last().map(|(_, line)| line.clone()));
                outcome.note(&refused.lines);
                self.shell.log.write_all(refused.lines.into_iter().filter(|_| !quiet));
                // Log rotation sends the signal whatever the configuration looks like.
                self.shell.statistics.close();
            }
        }
    }

    /// Takes a bounded number of datagrams from every socket that may have some; gives how many. A
    /// socket that does not run empty is not watched until it does: there is nothing to wait for.
    fn receive_all(&mut self) -> io::Result<usize> {
        let (mut taken, mut at) = (0, 0);
        let registry = self.poll.registry();
        debug_assert!(
            self.unread.iter().all(|index| *index < self.shell.sockets.len()),
            "sockets that are to be read are open: {:?}",
            self.unread
        );
        while let Some(open) = self.unread.get(at).map(|index| self.shell.sockets.get(*index)) {
            let traffic = &mut self.shell.traffic;
            if let Some(open) = open.filter(|open| !open.is_watched() && traffic.departures.is_waiting()) {
                traffic.take_departures(&mut self.engine, open);
            }
            let more = open.is_some_and(|open| {
                (0..DRAIN).all(|_| {
                    let turn = traffic.turn(&mut self.engine, &self.shell.sockets, open);
                    taken += turn.taken;
                    turn.more
                })
            });
            if let Some(open) = open {
                // What arrived since it was found empty is reported when it is watched again.
                if more { open.unwatch(registry)? } else { open.watch(registry)? }
            }
            if more {
                at += 1;
            } else {
                self.unread.swap_remove(at);
            }
        }
        Ok(taken)
    }

    fn timers(&mut self) -> io::Result<()> {
        let mono = clock::mono();
        if self.engine.next_deadline().is_some_and(|due| due <= mono) {
            self.look_at_clock();
            self.handle(Input::Timer);
        }
        if self.shell.refclocks.next_deadline().is_some_and(|due| due <= mono) {
            self.look_at_clock();
            self.shell.refclocks.work(mono);
            self.shell.hand_over_readings(&mut self.engine);
        }
        if self.shell.key_client.next_deadline().is_some_and(|due| due <= mono) {
            self.shell.key_client.work(mono, &mut self.shell.resolver);
            self.shell.hand_over_keys(&mut self.engine);
        }
        if self.shell.nts_server.next_deadline().is_some_and(|due| due <= mono) {
            self.shell.nts_server.look(&mut self.engine, &mut self.shell.log);
        }
        if self.next_clock_look <= mono {
            self.look_at_clock();
        }
        if self.next_leap_look <= mono {
            self.next_leap_look = mono + LEAP_LOOK;
            self.look_at_leapfile();
        }
        if self.next_scan.is_some_and(|due| due <= mono) {
            self.plan_scan();
            self.scan()?;
        }
        if self.shell.traffic.control_over.take_if(|due| *due <= mono).is_some() {
            resident::give_back_code();
        }
        Ok(())
    }

    /// Reports to the engine a step of the wall clock that was not ours, and a machine that was suspended.
    fn look_at_clock(&mut self) {
        self.next_clock_look = clock::mono() + UNWATCHED_LOOK;
        let happened = self.shell.clock_watch.look();
        if !self.role.is_worker() {
            self.shell.hand_over_happened(&mut self.engine, happened);
        }
    }

    fn look_at_leapfile(&mut self) {
        let (table, notices) = self.shell.leapfile.look();
        for notice in notices {
            self.shell.log.write(setup::level(notice.severity), &notice.text);
        }
        if let Some(table) = table {
            self.memory.leap_table = Some(table.clone());
            self.handle(Input::LeapSeconds(table));
        }
    }

    fn plan_scan(&mut self) {
        let interval = f64::from(self.options.updateinterval);
        self.next_scan = (interval > 0.0).then(|| clock::mono() + Seconds::new(interval));
    }

    /// The kernel reports changes, perhaps a burst: look at once, then once a second, and when all has settled.
    fn addresses_changed(&mut self) -> io::Result<()> {
        let Some(drained) = self.changes.as_mut().map(ChangeWatch::drain) else { return Ok(()) };
        if drained.changed {
            let due = self.last_scan + BURST_LOOK <= clock::mono();
            if due {
                self.scan()?;
            }
            // Messages that are left raise no new event: the next scan reads them.
            self.next_scan = Some(clock::mono() + if drained.more { BURST_LOOK } else { SETTLE });
        }
        Ok(())
    }

    /// Looks at the machine's addresses, and opens and closes sockets accordingly.
    fn scan(&mut self) -> io::Result<()> {
        self.last_scan = clock::mono();
        // The list shows every change that was reported until now.
        if let Some(drained) = self.changes.as_mut().map(ChangeWatch::drain).filter(|drained| drained.changed)
        {
            self.next_scan = Some(clock::mono() + if drained.more { BURST_LOOK } else { SETTLE });
        }
        let locals = match interfaces::list() {
            Ok(locals) => locals,
            Err(why) => {
                self.shell.log.write(Level::Warning, &format!("cannot list the interfaces: {why}"));
                return Ok(());
            }
        };
        let changed = self.shell.sockets.follow(&locals, Some(self.poll.registry()))?;
        let notices = self.shell.sockets.take_notices();
        self.shell.log.write_all(notices);
        if changed {
            self.unread = (0..self.shell.sockets.len()).collect();
            let list = self.shell.sockets.interfaces();
            let names: Vec<String> = list.iter().map(|i| i.address.to_string()).collect();
            self.shell
                .log
                .write(Level::Info, &format!("listening on port {NTP_PORT} of {}", names.join(" ")));
            self.handle(Input::Interfaces(list));
        }
        Ok(())
    }
}
