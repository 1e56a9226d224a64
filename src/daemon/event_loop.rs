//! The one loop: datagrams, signals, lookups, interface changes and deadlines, one at a time.

use super::cli::Options;
use super::errands;
use super::perform::{Shell, now};
use super::setup::{self, Memory};
use super::sockets::PORT;
use crate::core::contract::{ExitReason, Input, Rx};
use crate::core::errand::{Brought, Errand};
use crate::core::event::Level;
use crate::core::{Engine, Served};
use crate::sys::clock;
use crate::sys::interfaces::{self, ChangeWatch};
use crate::sys::signals::Signals;
use crate::sys::socket::ReceiveBuffer;
use crate::units::{MonoTime, Seconds};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use std::io;
use std::time::Duration;

const SIGNAL: Token = Token(0);
const RESOLVER: Token = Token(1);
const INTERFACES: Token = Token(2);

/// Datagrams taken from one socket before others and deadlines get their turn.
const DRAIN: usize = 64;
/// Pause before addresses are looked at again after a change: new IPv6 addresses cannot be bound
/// while the kernel tries them out.
const SETTLE: Seconds = Seconds::new(2.0);
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
    options: Options,
    memory: Memory,
    buffer: ReceiveBuffer,
    /// Sockets that may hold more datagrams: epoll tells of each arrival only once.
    unread: Vec<usize>,
    next_scan: Option<MonoTime>,
    next_leap_look: MonoTime,
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
        shell: Shell,
        signals: Signals,
        options: Options,
        memory: Memory,
    ) -> io::Result<Self> {
        let registry = poll.registry();
        shell.sockets.watch_all(registry)?;
        registry.register(&mut SourceFd(&signals.raw_fd()), SIGNAL, Interest::READABLE)?;
        // Where the kernel does not tell of changes, regular looks must do.
        let changes = ChangeWatch::open().ok();
        if let Some(changes) = &changes {
            registry.register(&mut SourceFd(&changes.raw_fd()), INTERFACES, Interest::READABLE)?;
        }
        let unread = (0..shell.sockets.len()).collect();
        let mut this = Self {
            poll,
            engine,
            shell,
            signals,
            changes,
            options,
            memory,
            buffer: ReceiveBuffer::default(),
            unread,
            next_scan: None,
            next_leap_look: clock::mono() + LEAP_LOOK,
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
    pub fn run(mut self, serving: impl FnOnce()) -> io::Result<ExitReason> {
        let interfaces = self.shell.sockets.interfaces();
        self.handle(Input::Interfaces(interfaces));
        let mut serving = Some(serving);
        let mut events = Events::with_capacity(128);
        loop {
            if let Some(reason) = self.perform() {
                self.shell.log.flush();
                return Ok(reason);
            }
            if let Some(serving) = serving.take() {
                serving();
            }
            match self.poll.poll(&mut events, self.patience()) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => other?,
            }
            for event in &events {
                self.ready(event.token())?;
            }
            let useful = self.receive_all();
            self.shell.wakeups.0 += 1;
            self.shell.wakeups.1 += u64::from(useful);
            self.timers()?;
        }
    }

    /// Does all that the engine wants done, and what control requests want of the shell.
    fn perform(&mut self) -> Option<ExitReason> {
        loop {
            let exit = self.shell.drain(&mut self.engine);
            if exit.is_some() || self.shell.errands.is_empty() {
                return exit;
            }
            for (id, errand) in std::mem::take(&mut self.shell.errands) {
                let result = self.run_errand(errand);
                self.handle(Input::Returned { id, result });
            }
        }
    }

    fn run_errand(&mut self, errand: Errand) -> Brought {
        match errand {
            Errand::Survey => Brought::Survey(Box::new(self.shell.survey())),
            Errand::Save { name, from } => {
                let text = self.memory.saved_text(&self.options);
                self.shell.save(self.engine.config(), &name, from, &text)
            }
            Errand::Configure { text, from } => {
                let known = errands::known(&self.engine);
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

    fn handle(&mut self, input: Input<'_>) {
        self.engine.handle(now(), input);
    }

    /// How long there is nothing to do.
    fn patience(&self) -> Option<Duration> {
        if !self.unread.is_empty() {
            return Some(Duration::ZERO);
        }
        let leap_look = Some(self.next_leap_look).filter(|_| self.shell.leapfile.is_watched());
        let due = [self.engine.next_deadline(), self.next_scan, leap_look].into_iter().flatten().min()?;
        Some(due.until(clock::mono()))
    }

    fn ready(&mut self, token: Token) -> io::Result<()> {
        match token {
            SIGNAL => self.signalled(),
            RESOLVER => {
                while let Some((id, result)) = self.shell.resolver.poll() {
                    self.handle(Input::Resolved { id, result });
                }
            }
            INTERFACES => {
                if self.changes.as_mut().is_some_and(ChangeWatch::drain) {
                    self.scan()?;
                    self.next_scan = Some(clock::mono() + SETTLE);
                }
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

    fn signalled(&mut self) {
        let requests = self.signals.take();
        if requests.terminate {
            self.handle(Input::Shutdown);
        } else if requests.reload {
            self.shell.log.reopen();
            self.reload();
        }
    }

    fn reload(&mut self) {
        match setup::reload(&self.options, &self.memory) {
            Ok(loaded) => {
                self.shell.log.write_all(loaded.log_lines());
                self.memory = loaded.memory;
                self.shell.take_over(&loaded.setup.config);
                // The rules of the new configuration count from the next look at the interfaces: now.
                self.next_scan = Some(clock::mono());
                self.handle(Input::Reload(Box::new(loaded.setup)));
            }
            Err(refused) => {
                self.shell.log.write_all(refused.lines);
                // Log rotation sends the signal whatever the configuration looks like.
                self.shell.statistics.close();
            }
        }
    }

    /// Takes a bounded number of datagrams from every socket that may have some; whether any had.
    fn receive_all(&mut self) -> bool {
        let sockets = std::mem::take(&mut self.unread);
        let mut any = false;
        for index in sockets {
            let taken = (0..DRAIN).take_while(|_| self.receive(index)).count();
            any |= taken > 0;
            if taken == DRAIN {
                self.unread.push(index);
            }
        }
        any
    }

    /// Takes one datagram; false if there is none.
    fn receive(&mut self, index: usize) -> bool {
        let Some(open) = self.shell.sockets.get(index) else { return false };
        let received = match open.socket.receive(&mut self.buffer) {
            Ok(Some(received)) => received,
            Ok(None) => return false,
            // An ICMP error of an earlier datagram: reported once, then over.
            Err(_) => return true,
        };
        let now = now();
        let to = received.to.unwrap_or(open.ip);
        // A broadcast asks nobody in particular, and what is too long is no NTP.
        let for_us = received.unicast && self.shell.sockets.is_for_us(open, received.data);
        open.counts.arrived(!received.oversize, for_us);
        if received.oversize || !for_us {
            return true;
        }
        let stamp = received.received.unwrap_or(now.wall);
        let rx = Rx { data: received.data, from: received.from, to, socket: open.id, received: stamp };
        let mut reply = [0; Engine::REPLY_MAX];
        match self.engine.serve(now, &rx, &mut clock::wall, &mut reply) {
            Served::Reply(length) => {
                let source = Some(to).filter(|_| open.ip.is_unspecified());
                open.counts.left(open.socket.send(&reply[..length], rx.from, source).is_ok());
            }
            Served::Dropped => {}
            Served::NotARequest => self.engine.handle(now, Input::Datagram(rx)),
        }
        true
    }

    fn timers(&mut self) -> io::Result<()> {
        let mono = clock::mono();
        if self.engine.next_deadline().is_some_and(|due| due <= mono) {
            self.handle(Input::Timer);
        }
        if self.next_leap_look <= mono {
            self.next_leap_look = mono + LEAP_LOOK;
            self.look_at_leapfile();
        }
        if self.next_scan.is_some_and(|due| due <= mono) {
            self.scan()?;
            self.plan_scan();
        }
        Ok(())
    }

    fn look_at_leapfile(&mut self) {
        let (table, notices) = self.shell.leapfile.look();
        for notice in notices {
            self.shell.log.write(notice.level, &notice.text);
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

    /// Looks at the machine's addresses, and opens and closes sockets accordingly.
    fn scan(&mut self) -> io::Result<()> {
        let locals = match interfaces::list() {
            Ok(locals) => locals,
            Err(why) => {
                self.shell.log.write(Level::Warning, &format!("cannot list the interfaces: {why}"));
                return Ok(());
            }
        };
        if self.shell.sockets.follow(&locals, Some(self.poll.registry()))? {
            self.unread = (0..self.shell.sockets.len()).collect();
            let list = self.shell.sockets.interfaces();
            let names: Vec<String> = list.iter().map(|i| i.address.to_string()).collect();
            self.shell.log.write(Level::Info, &format!("listening on port {PORT} of {}", names.join(" ")));
            self.handle(Input::Interfaces(list));
        }
        Ok(())
    }
}
