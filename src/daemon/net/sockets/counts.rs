//! Datagrams of the sockets, for ntpq and for the main process of several.

use super::Sockets;
use crate::engine::control::shell_request::{Endpoint, Traffic};
use crate::sys::clock;
use crate::units::MonoTime;
use std::cell::Cell;

/// What a datagram that arrived is to us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// Longer than any of ours.
    TooLong,
    /// Addressed to no server in particular, or to an address that is not served.
    NotForUs,
    /// To be looked at.
    ForUs,
}

/// Datagrams of a socket, since it was opened.
#[derive(Debug)]
pub struct Counts {
    since: MonoTime,
    received: Cell<u64>,
    dropped: Cell<u64>,
    ignored: Cell<u64>,
    sent: Cell<u64>,
    not_sent: Cell<u64>,
}

fn bump(counter: &Cell<u64>) {
    counter.set(counter.get() + 1);
}

impl Counts {
    pub(super) fn new() -> Self {
        let zero = Cell::default;
        let since = clock::mono();
        Self { since, received: zero(), dropped: zero(), ignored: zero(), sent: zero(), not_sent: zero() }
    }

    /// A datagram arrived.
    pub fn arrived(&self, arrival: Arrival) {
        bump(&self.received);
        match arrival {
            Arrival::TooLong => bump(&self.dropped),
            Arrival::NotForUs => bump(&self.ignored),
            Arrival::ForUs => {}
        }
    }

    /// So many datagrams were sent, and so many were not.
    pub fn left(&self, sent: usize, not_sent: usize) {
        self.sent.set(self.sent.get() + sent as u64);
        self.not_sent.set(self.not_sent.get() + not_sent as u64);
    }
}

/// Words of [`Sockets::counted`].
pub const COUNTS: usize = 5;

/// Datagrams of the sockets that are closed by now.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Closed {
    received: u64,
    dropped: u64,
    ignored: u64,
    sent: u64,
    not_sent: u64,
}

impl Closed {
    pub(super) fn add(&mut self, counts: &Counts) {
        self.received += counts.received.get();
        self.dropped += counts.dropped.get();
        self.ignored += counts.ignored.get();
        self.sent += counts.sent.get();
        self.not_sent += counts.not_sent.get();
    }
}

impl Sockets {
    /// The counters of all sockets together, in an order that only [`Sockets::count_elsewhere`] needs
    /// to know.
    #[must_use]
    pub fn counted(&self) -> [u64; COUNTS] {
        let mut all = self.closed;
        self.open.iter().for_each(|open| all.add(&open.counts));
        [all.received, all.dropped, all.ignored, all.sent, all.not_sent]
    }

    /// Adds datagrams of sockets of another process since the last time.
    pub fn count_elsewhere(&mut self, more: &[u64; COUNTS]) {
        let all = &mut self.closed;
        let fields =
            [&mut all.received, &mut all.dropped, &mut all.ignored, &mut all.sent, &mut all.not_sent];
        for (field, more) in fields.into_iter().zip(more) {
            *field = field.wrapping_add(*more);
        }
    }

    /// The counters of all sockets, for ntpq.
    #[must_use]
    pub fn survey(&self) -> (Traffic, Vec<Endpoint>) {
        let mut all = self.closed;
        let mut endpoints = Vec::with_capacity(self.open.len());
        for open in &self.open {
            let counts = &open.counts;
            all.add(counts);
            endpoints.push(Endpoint {
                name: open.name.clone(),
                address: open.ip,
                serves: !open.ip.is_unspecified() || self.wanted.answers_on_wildcard(),
                received: counts.received.get(),
                sent: counts.sent.get(),
                not_sent: counts.not_sent.get(),
                uptime: clock::mono().since(counts.since).get() as u64,
            });
        }
        let Closed { received, dropped, ignored, sent, not_sent } = all;
        (Traffic { received, dropped, ignored, sent, not_sent, ..Traffic::default() }, endpoints)
    }
}
