//! The sources: associations with servers and the local clock, from their line in ntp.conf to their samples.
//!
//! | question | file |
//! |---|---|
//! | which sources there are | here |
//! | what all kinds of sources share, and what ntpq shows of it | `source.rs`, `common.rs` |
//! | whether one may be selected, and how far its time may be off | `fitness.rs` |
//! | what only reference clocks are asked | `clocks.rs` |
//! | what each kind answers in its own way | `kind.rs` |
//! | a server or pool member that is polled | `client.rs`: `poll.rs` says when, `burst.rs` what follows at once, `exchange.rs` what a response amounts to |
//! | a partner: a `peer`, or a host that has made us one | `symmetric.rs` |
//! | a broadcast server | `announcer.rs` |
//! | a manycast client | `beacon.rs` |
//! | a pool | `prototype.rs`; how a server of it gives way to another | `preemption.rs` |
//! | a broadcast client | `listener.rs` |
//! | the undisciplined local clock | `local.rs` |
//! | a reference clock | `reference/` |
//! | which packets which kind takes | `dispatch.rs` |
//! | the clock filter | `filter.rs` |
//! | names that wait for their addresses | `names.rs` |
//! | keys and cookies of NTS, sealed requests and their responses | `nts.rs` |

mod announcer;
mod beacon;
mod burst;
mod client;
mod clocks;
mod common;
pub mod dispatch;
mod exchange;
pub mod filter;
mod fitness;
mod kind;
mod listener;
mod local;
pub mod names;
pub mod nts;
mod poll;
mod preemption;
mod prototype;
pub mod reference;
mod source;
mod symmetric;

pub use announcer::Announcer;
pub use beacon::Beacon;
pub use client::{Client, Mac, Received};
pub use common::{Header, Origin, Peer, Reachability, Selection, Tally};
pub use exchange::{Answer, Arrival, Departed, Exchange, OwnClock};
pub use kind::{Demand, Kind, Making, Polled, Turn};
pub use listener::Listener;
pub use local::Local;
pub use prototype::Prototype;
pub use reference::Reference;
pub use source::{Draft, Source, Uptake};
pub use symmetric::Symmetric;

use crate::config::model::Server;
use crate::units::{AssocId, Host, MonoTime, NTP_PORT, NtpTimestamp};
use crate::wire::{Header as Packet, Mode};
use std::net::{IpAddr, SocketAddr};

/// All sources, in the order in which they were made. They are named by their identifiers.
#[derive(Debug)]
pub struct Sources {
    list: Vec<Source>,
    last_id: u16,
    /// Lines whose address another association has.
    duplicates: Vec<Server>,
    /// Requests sent, which names the next one.
    requests: u64,
    /// When a packet last made an association.
    last_ephemeral: Option<MonoTime>,
    /// How often the clock has been updated by them: dates of certificates count after `nts time-check` updates.
    clock_updates: u32,
}

impl Sources {
    /// No source. Identifiers follow `last_id`: they start anywhere, as ntpd's do, so that no stranger can guess them.
    #[must_use]
    pub const fn new(last_id: u16) -> Self {
        Self {
            list: Vec::new(),
            last_id,
            duplicates: Vec::new(),
            requests: 0,
            last_ephemeral: None,
            clock_updates: 0,
        }
    }

    /// An identifier that no source has.
    pub fn free_id(&mut self) -> AssocId {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            let id = AssocId(self.last_id);
            if self.get(id).is_none() {
                return id;
            }
        }
    }

    /// One more source.
    pub fn add(&mut self, source: Source) -> &mut Source {
        debug_assert!(self.get(source.id()).is_none(), "identifiers are unique");
        self.list.push_mut(source)
    }

    /// Takes a source out, if there is one.
    pub fn remove(&mut self, id: AssocId) -> Option<Source> {
        let index = self.list.iter().position(|s| s.id() == id)?;
        Some(self.list.remove(index))
    }

    /// The source with this identifier.
    #[must_use]
    pub fn get(&self, id: AssocId) -> Option<&Source> {
        self.list.iter().find(|s| s.id() == id)
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, id: AssocId) -> Option<&mut Source> {
        self.list.iter_mut().find(|s| s.id() == id)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Source> + Clone {
        self.list.iter()
    }

    /// All of them, to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Source> {
        self.list.iter_mut()
    }

    /// Their identifiers.
    #[must_use]
    pub fn ids(&self) -> Vec<AssocId> {
        self.list.iter().map(Source::id).collect()
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The source that takes packets of this mode from this address and port. Of several, the one that awaits a response with this
    /// origin.
    #[must_use]
    pub fn taking(&self, from: SocketAddr, mode: Mode, origin: NtpTimestamp) -> Option<&Source> {
        let mut all =
            self.list.iter().filter(|s| s.endpoint() == Some(from) && dispatch::takes(s.kind(), mode));
        let first = all.next()?;
        if first.awaits(origin) { Some(first) } else { all.find(|s| s.awaits(origin)).or(Some(first)) }
    }

    /// Whether a source, but not `but`, has this address and sends packets of this mode.
    #[must_use]
    pub fn has_address(&self, address: Host, mode: Mode, but: Option<AssocId>) -> bool {
        self.holder(address, mode, but).is_some()
    }

    /// The source, but not `but`, that has this address and sends packets of this mode.
    #[must_use]
    pub fn holder(&self, address: Host, mode: Mode, but: Option<AssocId>) -> Option<&Source> {
        // A broadcast client's server may be polled as well.
        let mut others = self.list.iter().filter(|s| Some(s.id()) != but && !s.is_listener());
        others.find(|s| s.address() == Some(address) && s.own_mode() == mode)
    }

    /// Those that take their time from elsewhere: servers and partners.
    pub fn servers(&self) -> impl Iterator<Item = &Source> + Clone {
        self.list.iter().filter(|s| s.measures())
    }

    /// Associations that packets of strangers made.
    pub fn ephemeral(&self) -> impl Iterator<Item = &Source> + Clone {
        self.list.iter().filter(|s| s.origin() == Origin::Ephemeral)
    }

    /// When a packet last made an association.
    #[must_use]
    pub const fn last_ephemeral(&self) -> Option<MonoTime> {
        self.last_ephemeral
    }

    /// A packet makes an association.
    pub const fn note_ephemeral(&mut self, now: MonoTime) {
        self.last_ephemeral = Some(now);
    }

    /// The servers that respond and whose time could count.
    pub fn reachable(&self) -> impl Iterator<Item = &Source> + Clone {
        self.list.iter().filter(|s| s.may_count() && s.reach().is_reachable())
    }

    /// The addresses of all servers, and those from which a response is awaited that may make one.
    #[must_use]
    pub fn addresses(&self) -> Vec<IpAddr> {
        let solicited = self.list.iter().flat_map(Source::solicited);
        self.list.iter().filter_map(Source::endpoint).map(|e| e.ip()).chain(solicited).collect()
    }

    /// The pool to whose packet this one responds, though no association takes it.
    #[must_use]
    pub fn soliciting(&self, from: SocketAddr, data: &[u8]) -> Option<AssocId> {
        let header = Packet::parse(data).ok().filter(|_| from.port() == NTP_PORT)?;
        let from = Host::from(from);
        self.list.iter().find(|s| s.has_solicited(from, &header)).map(Source::id)
    }

    /// Names the next request.
    pub const fn next_request(&mut self) -> u64 {
        self.requests += 1;
        self.requests
    }

    /// Requests sent so far.
    #[must_use]
    pub const fn requests(&self) -> u64 {
        self.requests
    }

    /// How often the clock has been updated by them.
    #[must_use]
    pub const fn clock_updates(&self) -> u32 {
        self.clock_updates
    }

    /// The clock is updated; gives how often by now.
    pub const fn note_clock_update(&mut self) -> u32 {
        self.clock_updates = self.clock_updates.saturating_add(1);
        self.clock_updates
    }

    /// Remembers a line that got no association since another one has its address.
    pub fn note_duplicate(&mut self, line: Server) {
        self.duplicates.push(line);
    }

    /// Whether the line got no association since another one has its address.
    #[must_use]
    pub fn is_duplicate(&self, line: &Server) -> bool {
        self.duplicates.contains(line)
    }

    /// Forgets the other lines that got no association.
    pub fn keep_duplicates(&mut self, kept: impl Fn(&Server) -> bool) {
        self.duplicates.retain(|line| kept(line));
    }
}
