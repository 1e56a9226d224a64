//! A pool: a prototype that is no source itself. It solicits the addresses of its name, and each server that responds becomes a
//! client association of its own, with the options of the pool's line. While there are too few of them it goes on, with the
//! addresses that the name has by then.
//!
//! What is sent to an address is a client's request, so a server's first response is a sample already: it costs no time that the
//! address was tried first. As with the burst of a `server` line, a lost packet is sent again.

use super::common::Common;
use super::exchange::{Departed, Requests};
use super::kind::{Begun, Behaviour, Demand, Kind, Making, Polled, Turn};
use super::source::Source;
use crate::engine::timers::{Timer, Timers};
use crate::units::{Host, MonoTime, NTP_PORT, RefId, Seconds};
use crate::wire::Header;
use crate::wire::kiss::Kiss;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

/// Packets that an address gets, until it is given up for this time.
const PACKETS: u8 = 3;
/// Their spacing, seconds: that of a burst.
const RETRY: Seconds = Seconds::new(2.0);
/// How long the response to the last one may take, seconds.
const PATIENCE: Seconds = Seconds::new(4.0);
/// Between packets to different addresses, seconds, half of it to one and a half times.
const SPACING: f64 = 0.05;
/// How often the pause between lookups doubles that find no new server: from `minpoll` to 64 times that.
const DOUBLINGS: u32 = 6;
/// The same while there are fewer servers than `tos minclock`.
const DOUBLINGS_IN_NEED: u32 = 3;
/// Most addresses that sent a DENY or RSTR kiss and are remembered.
const REFUSED: usize = 64;

/// An address that was sent a request, and has not responded yet.
#[derive(Clone, Debug)]
struct Solicitation {
    host: Host,
    requests: Requests,
    packets: u8,
    /// When the last packet left.
    sent: MonoTime,
    /// When the next one is due, or the address is given up.
    due: MonoTime,
}

/// What only a pool has. By default its name is being looked up.
#[derive(Clone, Debug, Default)]
pub struct Prototype {
    /// Addresses of the name that are still to be solicited.
    fresh: VecDeque<Host>,
    open: Vec<Solicitation>,
    /// To which of these the next packet goes.
    next: Option<Host>,
    /// Addresses that do not want us.
    refused: Vec<Host>,
    /// When the name was looked up last.
    looked_up: Option<MonoTime>,
    /// Lookups since the last one that found a new server.
    in_vain: u32,
    /// How many more associations were wanted when it was polled last.
    wanted: usize,
}

impl Prototype {
    /// The name has these addresses now. Those that other associations have are not among them.
    pub(super) fn resolved(&mut self, hosts: &[Host], now: MonoTime) {
        let known = |host: &Host| self.refused.contains(host) || self.open.iter().any(|s| s.host == *host);
        self.fresh = hosts.iter().copied().filter(|host| !known(host)).collect();
        self.looked_up = Some(now);
    }

    /// A server of the pool wants nothing to do with us.
    pub(super) fn refused(&mut self, host: Host) {
        self.refused.truncate(REFUSED - 1);
        self.refused.insert(0, host);
    }

    /// An association of the pool ended: another one may be wanted.
    pub(super) fn member_lost(&mut self, common: &Common, now: MonoTime, timers: &mut Timers) {
        self.in_vain = 0;
        let timer = Timer::Poll(common.id);
        if let Some(due) = timers.get(timer) {
            timers.set(timer, due.min(now + RETRY));
        }
    }

    /// When the next lookup may be made.
    fn next_lookup(&self, common: &Common, demand: Demand) -> Option<MonoTime> {
        let doublings = if demand.in_need { DOUBLINGS_IN_NEED } else { DOUBLINGS };
        let times = f64::from(1u32 << self.in_vain.min(doublings));
        self.looked_up.map(|at| at + common.config.minpoll.interval() * times)
    }

    /// Takes the next address that is due for a packet, if there is one.
    fn choose(&mut self, common: &Common, now: MonoTime, demand: Demand) -> Option<Host> {
        self.open.retain(|s| s.packets < PACKETS || s.due > now);
        if let Some(again) = self.open.iter().find(|s| s.due <= now) {
            return Some(again.host);
        }
        if self.open.len() >= demand.wanted {
            return None;
        }
        let host = self.fresh.pop_front()?;
        let requests = Requests::new(common.config.version);
        self.open.push(Solicitation { host, requests, packets: 0, sent: now, due: now });
        Some(host)
    }
}

impl Source {
    /// The pool, with what all kinds share.
    fn as_pool(&mut self) -> Option<(&mut Prototype, &Common)> {
        if let Kind::Prototype(pool) = &mut self.kind { Some((pool, &self.common)) } else { None }
    }

    /// The name of a pool has these addresses, as far as no other association has them.
    pub fn pool_resolved(&mut self, hosts: &[Host], now: MonoTime) {
        if let Some((pool, _)) = self.as_pool() {
            pool.resolved(hosts, now);
        }
    }

    /// An association of the pool ended: another one may be wanted.
    pub fn member_lost(&mut self, now: MonoTime, timers: &mut Timers) {
        if let Some((pool, common)) = self.as_pool() {
            pool.member_lost(common, now, timers);
        }
    }

    /// A server of the pool does not want us: it is not tried again.
    pub fn refused(&mut self, host: Host) {
        if let Some((pool, _)) = self.as_pool() {
            pool.refused(host);
        }
    }

    /// An address of the pool responded that it is of no use.
    pub fn solicited_in_vain(&mut self, host: Host, header: &Header) {
        if let Some((pool, _)) = self.as_pool() {
            pool.open.retain(|s| s.host != host);
            if header.stratum == 0 && matches!(Kiss::of(header), Some(Kiss::Deny | Kiss::Restricted)) {
                pool.refused(host);
            }
        }
    }
}

impl Behaviour for Prototype {
    fn poll(&mut self, common: &mut Common, turn: Turn, timers: &mut Timers) -> Polled {
        let now = turn.now.mono;
        self.wanted = turn.demand.wanted;
        self.next = self.choose(common, now, turn.demand);
        let mut solicits = None;
        if let Some(chosen) = self.open.iter_mut().find(|s| Some(s.host) == self.next) {
            chosen.packets += 1;
            solicits = self.next.filter(|_| chosen.packets == 1);
            chosen.sent = now;
            chosen.due = now + if chosen.packets < PACKETS { RETRY } else { PATIENCE };
        }
        let room = self.open.len() < turn.demand.wanted;
        let looks_up = room && self.fresh.is_empty() && self.next_lookup(common, turn.demand) <= Some(now);
        if looks_up {
            self.looked_up = Some(now);
            self.in_vain = self.in_vain.saturating_add(1);
        }
        let more = room && !self.fresh.is_empty() || self.open.iter().any(|s| s.due <= now);
        let next = if more {
            now + Seconds::new(SPACING * (0.5 + turn.jitter))
        } else {
            let idle = turn.after(common.config.minpoll);
            self.open.iter().map(|s| s.due).min().map_or(idle, |due| due.min(idle))
        };
        debug_assert!(next > now, "a pool's next packet comes later");
        timers.set(Timer::Poll(common.id), next);
        Polled { asks: self.next.is_some(), looks_up, solicits, ..Polled::default() }
    }

    fn request(&mut self, common: &Common, making: &Making) -> Option<Header> {
        let solicitation = self.open.iter_mut().find(|s| Some(s.host) == self.next)?;
        Some(solicitation.requests.make(common, making, common.config.minpoll))
    }

    fn sends_to(&self, _common: &Common) -> Option<SocketAddr> {
        self.next.map(|host| host.at_port(NTP_PORT))
    }

    fn sent(&mut self, departed: Departed) -> Option<Seconds> {
        self.open.iter_mut().find_map(|s| s.requests.sent(departed))
    }

    fn has_solicited(&self, from: Host, header: &Header) -> bool {
        self.open.iter().any(|s| s.host == from && s.requests.awaits(header.origin))
    }

    fn begin(&mut self, from: Host) -> Option<Begun> {
        let at = self.open.iter().position(|s| s.host == from)?;
        let Solicitation { requests, sent, .. } = self.open.swap_remove(at);
        self.in_vain = 0;
        self.wanted = self.wanted.saturating_sub(1);
        Some(Begun { requests, sent })
    }

    fn describe(&self, common: &mut Common, _precision: i8) {
        common.header.refid = RefId::from_bytes(*b"POOL");
    }

    /// It has no address, so it has no port.
    fn port(&self) -> u16 {
        0
    }

    fn measures(&self) -> bool {
        false
    }

    fn is_polled(&self, _common: &Common) -> bool {
        self.looked_up.is_some()
    }

    fn is_soliciting(&self) -> bool {
        !self.open.is_empty() || !self.fresh.is_empty()
    }

    fn awaited(&self) -> usize {
        let open = self.open.len();
        open + self.fresh.len().min(self.wanted.saturating_sub(open))
    }

    /// The addresses that the packets under way went to.
    fn solicited(&self) -> Vec<IpAddr> {
        self.open.iter().map(|solicitation| solicitation.host.ip).collect()
    }
}
