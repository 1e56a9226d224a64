//! Pools: how the addresses of a name become servers, how many of them, and how they give way to others.
//!
//! The flag `nopeer` of the access list does not count for a pool: it is against strangers, and a pool's servers are those that its
//! line asks for. Nor does `enable auth`, as in ntpd. A response must give back the random number that was sent to its address. Who
//! answers a beacon is a stranger: both count there, so it needs a key.

use crate::config::model::{ASSOCIATIONS_MAX, AccessFlags, Kind, Server, Target};
use crate::engine::Engine;
use crate::engine::contract::{Now, Rx};
use crate::engine::reject::Reject;
use crate::engine::routes::datagram::judged;
use crate::engine::server::Admitted;
use crate::engine::sources::{Client, Demand, Draft, Mac, Origin, Selection, Source};
use crate::engine::timers::Timer;
use crate::units::{AssocId, Host, Leap, Seconds, Stratum};
use crate::wire::{Header, Mode};

/// How soon after the resolver responded a pool begins, seconds.
const FIRST_PACKET: Seconds = Seconds::new(0.02);

impl Engine {
    /// How many more associations the pools may make: up to `tos maxclock` servers, or as many as survivors are missing for `tos
    /// minclock`; never so many that there are more than twice `maxclock` associations in all. What is no server, such as the
    /// pool itself, does not count among the servers, nor does a server of a pool that is unreachable while others are not.
    pub(super) fn demand(&self) -> Demand {
        let tos = &self.setup.config.tos;
        let (minclock, maxclock) = (tos.minclock as usize, tos.maxclock as usize);
        let some_respond = self.sources.reachable().next().is_some();
        let lost = |s: &&Source| some_respond && s.made_by().is_some() && !s.reach().is_reachable();
        let missing = maxclock.saturating_sub(self.sources.servers().filter(|s| !lost(s)).count());
        let survivors = self.sources.servers().filter(|s| s.selection() >= Selection::Candidate).count();
        let starting = self.sources.iter().any(Source::is_starting);
        let lacking = if starting { 0 } else { minclock.saturating_sub(survivors) };
        let wanted = if missing > 0 { missing } else { lacking };
        Demand {
            wanted: wanted.min(self.room()),
            in_need: survivors < minclock,
            hop_limits: self.setup.config.hop_limits().len(),
            restarts_after: tos.beacon,
        }
    }

    /// How many associations there may be beside those that there are.
    fn room(&self) -> usize {
        let most = (2 * self.setup.config.tos.maxclock as usize).min(ASSOCIATIONS_MAX);
        most.saturating_sub(self.sources.len())
    }

    /// The name of a pool has these addresses.
    pub(super) fn pool_resolved(&mut self, now: Now, id: AssocId, hosts: &[Host]) {
        let own = |host: &Host| self.server.is_own(host.ip);
        let taken = |host: &Host| self.sources.has_address(*host, Mode::Client, None);
        let free: Vec<Host> = hosts.iter().copied().filter(|host| !own(host) && !taken(host)).collect();
        if let Some(source) = self.sources.get_mut(id) {
            source.pool_resolved(&free, now.mono);
            self.timers.set(Timer::Poll(id), now.mono + FIRST_PACKET);
        }
    }

    /// A packet that responds to what the pool `by` sent: its server gets an association, which takes the packet in.
    pub(super) fn solicited(&mut self, now: Now, rx: &Rx<'_>, by: AssocId) -> Result<(), Reject> {
        let admitted = self.server.admitted(&mut self.rng, rx)?;
        let Some(pool) = self.sources.get_mut(by) else { return Err(Reject::Unasked) };
        let line_kind = pool.config().kind;
        let unsigned_will_do = line_kind == Kind::Pool
            || !(self.setup.config.enable.auth || admitted.flags.contains(AccessFlags::NOPEER));
        if judged(pool.config().key, admitted.authenticity) == Mac::Wrong
            || !(unsigned_will_do || pool.config().key.is_some())
        {
            return Err(pool.rejects(Reject::Auth));
        }
        let host = Host::from(rx.from);
        if !self.is_fit(&admitted) {
            self.solicited_in_vain(by, host, &admitted.header);
            return Err(Reject::Unsynchronised);
        }
        let own = host.is_no_server() || self.server.is_own(host.ip);
        if own || self.sources.has_address(host, Mode::Client, None) || self.room() == 0 {
            return Err(Reject::Unasked);
        }
        if line_kind == Kind::ManycastClient && self.demand().wanted == 0 {
            // All of the group answer, however many are wanted.
            return Err(Reject::Unasked);
        }
        let Some(pool) = self.sources.get_mut(by) else { return Err(Reject::Unasked) };
        let Some(begun) = pool.begin(host) else { return Err(Reject::Unasked) };
        let line = member(pool.config(), host);
        let id = self.sources.free_id();
        let sent = begun.sent();
        let client = Client::begun(&line, begun);
        self.timers.set(Timer::Poll(id), client.next_of_burst(now.mono));
        let (kind, address, origin) = (client.into(), Some(host), Origin::Preemptible { by });
        self.add(Draft { id, line, kind, address, made: now.mono, origin });
        if let Some(source) = self.sources.get_mut(id) {
            source.request_left(sent);
        }
        self.sources_changed();
        self.of_source(now, rx, &admitted, id)
    }

    /// Whether a server may become a source: it is synchronized, and its stratum within `tos floor` and `ceiling`.
    fn is_fit(&self, admitted: &Admitted) -> bool {
        let header = &admitted.header;
        header.leap != Leap::Unsynchronised
            && self.setup.config.tos.admits(Stratum::from_wire(header.stratum))
    }

    /// A server of a pool responded that it is of no use. One that does not want us is not tried again.
    fn solicited_in_vain(&mut self, by: AssocId, host: Host, header: &Header) {
        if let Some(pool) = self.sources.get_mut(by) {
            pool.solicited_in_vain(host, header);
        }
    }

    /// A server does not want us: where a pool found it, it ends, and is not tried again.
    pub(super) fn refused(&mut self, id: AssocId) {
        let Some(source) = self.sources.get(id) else { return };
        let host = source.address();
        if let (Some(by), Some(host)) = (source.made_by(), host) {
            if let Some(pool) = self.sources.get_mut(by) {
                pool.refused(host);
            }
            self.demobilize(id);
        }
    }

    /// A line of the configuration has this address: the server of a pool that has it ends.
    pub(super) fn make_way(&mut self, address: Host) {
        let of_pool = |s: &&Source| s.address() == Some(address) && s.made_by().is_some();
        let found = self.sources.iter().find(of_pool).map(Source::id);
        if let Some(id) = found {
            self.demobilize(id);
        }
    }

    /// Whether an association gives way: a server of a pool that has not responded for long, or any preemptible one that is of
    /// no use while there are more than `tos maxclock` servers, and that no other one has a lower score than. While no other server
    /// responds, it is the network that fails: all stay then.
    pub(super) fn gives_way(&self, id: AssocId) -> bool {
        let Some(source) = self.sources.get(id).filter(|source| source.is_preemptible()) else {
            return false;
        };
        if !self.sources.reachable().any(|other| other.id() != id) {
            return false;
        }
        let crowded = self.sources.servers().count() > self.setup.config.tos.maxclock as usize;
        let mut others = self.sources.iter().filter(|other| other.is_preemptible());
        source.is_dead()
            || crowded && source.is_unused() && others.all(|other| other.score() >= source.score())
    }

    /// The line of a pool has other options now: so have its servers.
    pub(super) fn reconfigure_members(&mut self, line: &Server, by: AssocId) {
        for source in self.sources.iter_mut().filter(|s| s.made_by() == Some(by)) {
            if let Some(host) = source.address() {
                source.reconfigure(member(line, host));
            }
        }
    }
}

/// The line of a server that a pool's line found.
pub(super) fn member(line: &Server, host: Host) -> Server {
    Server { kind: Kind::Server, target: Target::Address(host.ip), ..line.clone() }
}
