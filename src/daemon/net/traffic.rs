//! The way of a datagram: read from its socket together with others, answered, and sent together
//! with others. Nothing is allocated for a request and its reply.
//!
//! A reply carries the time of its own departure, so that time is predicted (`pace.rs`): the clock is read right
//! before the reply is sent, and the recent duration of sending is added. Each reply is sent on its own, so
//! that an interruption does not delay those behind it; only a full batch, which shows that there is
//! more to do than time, is sent several in one call.

use super::departures::{Departures, Left};
use super::pace::{Pace, Way};
use super::sockets::{Arrival, Open, Role, Sockets};
use crate::daemon::perform::now;
use crate::engine::contract::{Input, Now, Rx};
use crate::engine::{Engine, Reply, Served};
use crate::sys::batch::{BATCH, Calls, Inbox, Outbox, SEND_MAX, TOGETHER};
use crate::sys::clock;
use crate::sys::socket::Departure;
use crate::units::{MonoTime, Seconds, Stamp};
use crate::wire::header::Mode;

/// How long after a control request the code for such stays in memory: those of one `ntpq -p` follow each other faster.
const CONTROL_KEPT: Seconds = Seconds::new(1.0);

const _: () = assert!(SEND_MAX == Engine::REPLY_MAX, "answers are written where they are sent from");

/// Datagrams in both directions.
#[derive(Debug)]
pub struct Traffic {
    inbox: Inbox,
    outbox: Outbox,
    /// The answers in the outbox, and whether the kernel is asked when they leave.
    replies: [Option<(Reply, bool)>; BATCH],
    pace: Pace,
    /// Datagrams whose departure the kernel is to report.
    pub departures: Departures,
    /// When the code that answers control requests is given back, if one was answered.
    pub control_over: Option<MonoTime>,
}

/// What a turn has brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Turn {
    /// Datagrams taken from the socket.
    pub taken: usize,
    /// Whether there may be more.
    pub more: bool,
}

/// How much there is to respond to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Load {
    /// A batch as large as can be: there is more to do than time.
    Full,
    /// Less.
    Light,
}

impl Traffic {
    /// Nothing has come yet.
    #[must_use]
    pub fn new(calls: Calls) -> Self {
        Self {
            inbox: Inbox::new(calls),
            outbox: Outbox::new(calls),
            replies: [None; BATCH],
            pace: Pace::default(),
            departures: Departures::default(),
            control_over: None,
        }
    }

    /// Takes what waits at a socket, at most [`BATCH`] datagrams, and sends the answers; how many
    /// were taken, and whether there may be more.
    pub fn turn(&mut self, engine: &mut Engine, sockets: &Sockets, open: &Open) -> Turn {
        // An ICMP error of an earlier datagram: reported once, then over.
        let Ok(count) = self.inbox.fill(&open.socket) else { return Turn { taken: 0, more: true } };
        if count == 0 {
            return Turn { taken: 0, more: false };
        }
        debug_assert!(count <= BATCH, "no more datagrams are taken than there is room for: {count}");
        debug_assert!(self.outbox.is_empty(), "the responses of the last batch have been sent");
        let now = now();
        for index in 0..count {
            self.take(engine, sockets, open, now, index);
        }
        if !self.outbox.is_empty() {
            self.send_answers(engine, open, now, if count == BATCH { Load::Full } else { Load::Light });
        }
        Turn { taken: count, more: count == BATCH }
    }

    fn take(&mut self, engine: &mut Engine, sockets: &Sockets, open: &Open, now: Now, index: usize) {
        let Some(received) = self.inbox.get(index) else { return };
        // A broadcast is addressed to no server in particular, and what is too long is no NTP.
        let to = match open.role() {
            Role::Broadcast(own) => own,
            Role::Unicast | Role::Group | Role::SecondPort => received.to.unwrap_or(open.ip),
        };
        let for_us = received.unicast && sockets.is_for_us(open, to, received.data);
        let arrival = match for_us {
            _ if received.oversize => Arrival::TooLong,
            false => Arrival::NotForUs,
            true => Arrival::ForUs,
        };
        open.counts.arrived(arrival);
        if arrival != Arrival::ForUs {
            return;
        }
        let stamp = received.received.map_or_else(|| Stamp::clock(now.wall), Stamp::kernel);
        let rx = Rx { data: received.data, from: received.from, to, socket: open.id, received: stamp };
        if !open.role().answers() {
            return engine.handle(now, Input::Datagram(rx));
        }
        let slot = self.outbox.len();
        let Some(draft) = self.outbox.draft() else { return };
        match engine.answer(now, &rx, draft) {
            Served::Reply(reply) => {
                let source = Some(to).filter(|_| open.ip.is_unspecified());
                let stamp =
                    reply.interleaved && open.socket.can_stamp() && self.departures.has_room(now.mono);
                let departure = if stamp { Departure::Stamped } else { Departure::Unstamped };
                self.outbox.add(rx.from, source, departure);
                self.replies[slot] = Some((reply, stamp));
            }
            Served::Dropped => {}
            Served::NotARequest => {
                if rx.data.first().is_some_and(|first| Mode::from_bits(*first) == Mode::Control) {
                    self.control_over = Some(now.mono + CONTROL_KEPT);
                }
                engine.handle(now, Input::Datagram(rx));
            }
        }
    }

    fn send_answers(&mut self, engine: &mut Engine, open: &Open, now: Now, load: Load) {
        let count = self.outbox.len();
        let (mut from, mut unsent, mut began) = (0, 0, clock::wall());
        while from < count {
            let way = match from {
                _ if load == Load::Full => Way::Together,
                0 => Way::First,
                _ => Way::Next,
            };
            let together = if load == Load::Full { TOGETHER } else { 1 };
            let replies = &self.replies[from..count.min(from + together)];
            let (signed, mut sealed) = (replies.iter().flatten().filter(|r| r.0.is_signed()).count(), began);
            let leaving = self.pace.leaving(began, way, signed);
            for (index, (reply, leaves)) in (from..).zip(replies.iter().zip(leaving)) {
                let Some((reply, stamp)) = reply else { continue };
                self.outbox.seal(index, |bytes| engine.seal(reply, leaves, bytes));
                if *stamp {
                    self.departures.expect(now.mono, Left::Answer(*reply), self.outbox.bytes(index));
                }
            }
            if signed > 0 {
                sealed = clock::wall();
                self.pace.learn_code(signed, (sealed - began).to_seconds());
            }
            unsent += self.outbox.send_some(&open.socket, from..from + replies.len());
            from += replies.len();
            began = clock::wall();
            self.pace.learn(way, replies.len(), (began - sealed).to_seconds());
        }
        self.outbox.clear();
        open.counts.left(count.saturating_sub(unsent), unsent);
    }

    /// Reads the departures of datagrams from a socket's error queue, and hands them to the engine.
    pub fn take_departures(&mut self, engine: &mut Engine, open: &Open) {
        // More than these are not waited for.
        for _ in 0..2 * BATCH {
            if !self.inbox.take_sent(&open.socket).unwrap_or(false) {
                return;
            }
            let (bytes, stamp) = self.inbox.sent();
            let (Some(left), Some(at)) = (self.departures.find(bytes), stamp) else { continue };
            match left {
                Left::Request(token) => {
                    engine.handle(now(), Input::Sent { token, at: Stamp::kernel(at), from: None });
                }
                Left::Answer(reply) => engine.left(&reply, at),
            }
        }
    }
}
