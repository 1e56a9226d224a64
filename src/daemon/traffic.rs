//! The way of a datagram: taken from its socket together with others, answered, and sent together
//! with others. Nothing is allocated for a request and its answer.
//!
//! An answer says when it leaves before it leaves. So its time is foretold: the clock is read once
//! for all that leave together, and each is given the time that those before it have been taking
//! of late (`pace.rs`).

use super::departures::{Departures, Left};
use super::pace::Pace;
use super::perform::now;
use super::sockets::{Open, Sockets};
use crate::core::contract::{Input, Now, Rx};
use crate::core::{Engine, Reply, Served};
use crate::sys::batch::{BATCH, Calls, Inbox, Outbox, SEND_MAX};
use crate::sys::clock;

const _: () = assert!(SEND_MAX == Engine::REPLY_MAX, "answers are written where they are sent from");

/// Datagrams in both directions.
#[derive(Debug)]
pub struct Traffic {
    inbox: Inbox,
    outbox: Outbox,
    /// The answers in the outbox.
    replies: [Option<Reply>; BATCH],
    pace: Pace,
    /// Datagrams whose leaving the kernel is to tell.
    pub departures: Departures,
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
        }
    }

    /// Takes what waits at a socket, at most [`BATCH`] datagrams, and sends the answers; how many
    /// were taken, and whether there may be more.
    pub fn turn(&mut self, engine: &mut Engine, sockets: &Sockets, open: &Open) -> (usize, bool) {
        // An ICMP error of an earlier datagram: reported once, then over.
        let Ok(count) = self.inbox.fill(&open.socket) else { return (0, true) };
        if count == 0 {
            return (0, false);
        }
        let now = now();
        for index in 0..count {
            self.take(engine, sockets, open, now, index);
        }
        self.send_answers(engine, open);
        (count, count == BATCH)
    }

    fn take(&mut self, engine: &mut Engine, sockets: &Sockets, open: &Open, now: Now, index: usize) {
        let Some(received) = self.inbox.get(index) else { return };
        // A broadcast asks nobody in particular, and what is too long is no NTP.
        let for_us = received.unicast && sockets.is_for_us(open, received.data);
        open.counts.arrived(!received.oversize, for_us);
        if received.oversize || !for_us {
            return;
        }
        let to = received.to.unwrap_or(open.ip);
        let stamp = received.received.unwrap_or(now.wall);
        let rx = Rx { data: received.data, from: received.from, to, socket: open.id, received: stamp };
        let slot = self.outbox.len();
        let Some(draft) = self.outbox.draft() else { return };
        match engine.answer(now, &rx, draft) {
            Served::Reply(reply) => {
                let source = Some(to).filter(|_| open.ip.is_unspecified());
                self.outbox.add(rx.from, source, reply.interleaved && open.socket.can_stamp());
                self.replies[slot] = Some(reply);
            }
            Served::Dropped => {}
            Served::NotARequest => engine.handle(now, Input::Datagram(rx)),
        }
    }

    fn send_answers(&mut self, engine: &mut Engine, open: &Open) {
        let count = self.outbox.len();
        if count == 0 {
            return;
        }
        let replies = &self.replies[..count];
        let signed = replies.iter().flatten().filter(|r| r.is_signed()).count();
        let began = clock::mono();
        let leaving = self.pace.leaving(clock::wall(), count, signed);
        for (index, (reply, leaves)) in replies.iter().zip(leaving).enumerate() {
            let Some(reply) = reply else { continue };
            self.outbox.seal(index, |octets| engine.seal(reply, leaves, octets));
            if reply.interleaved && open.socket.can_stamp() {
                self.departures.expect(Left::Answer(*reply), self.outbox.octets(index));
            }
        }
        let sealed = clock::mono();
        let unsent = self.outbox.send(&open.socket);
        open.counts.left(count.saturating_sub(unsent), unsent);
        self.pace.learn(count, signed, sealed.since(began), clock::mono().since(sealed));
    }

    /// Takes from a socket's error queue when datagrams have left, and tells the engine.
    pub fn take_departures(&mut self, engine: &mut Engine, open: &Open) {
        // Bounded: what is left comes with the next one.
        for _ in 0..BATCH {
            if !self.inbox.take_sent(&open.socket).unwrap_or(false) {
                return;
            }
            let (octets, stamp) = self.inbox.sent();
            let (Some(left), Some(at)) = (self.departures.find(octets), stamp) else { continue };
            match left {
                Left::Request(token) => engine.handle(now(), Input::Sent { token, at }),
                Left::Answer(reply) => engine.left(&reply, at),
            }
        }
    }
}
