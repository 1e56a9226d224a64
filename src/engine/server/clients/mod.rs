//! The client table: which clients sent packets of late, how often, and with which result. Rate limits
//! (`limited`, `kod`, `discard`), ntpq's `mrulist` and interleaved responses are based on it.
//!
//! One entry a source address, all ports; a fixed amount of memory (`mru`). A packet costs one
//! keyed hash and no allocation (`store.rs`). When the table is full a new client replaces the one
//! heard longest ago, by ntpd's rule: always if that was more than `discard monitor` ago, else with
//! the probability age/monitor. So most honest clients stay in the table during a flood of forged sources.

mod bucket;
mod list;
mod store;

pub use bucket::Verdict;
pub use list::Filter;
pub use store::ClientId;

use crate::config::model::{AccessFlags, Config, Discard, Mru};
use crate::engine::contract::Now;
use crate::units::{MonoTime, NtpTimestamp};
use crate::wire::Mode;
use bucket::Limits;
use std::net::{IpAddr, SocketAddr};
use store::Store;

/// Most clients remembered whatever `mru` says: some 400 MB.
pub const MAX_CLIENTS: u32 = 4_000_000;

/// What is known of a source address.
#[derive(Clone, Debug)]
pub struct Client {
    /// The address.
    pub address: IpAddr,
    /// Leap, version and mode of the last packet: its first byte.
    pub first_byte: u8,
    /// Source port of the last packet.
    pub port: u16,
    /// Access flags of the last packet; `limited` and `kod` only where it was limited and got a kiss-o'-death.
    pub flags: AccessFlags,
    /// Packets heard; stops at the largest value.
    pub count: u32,
    /// Packets of them that were dropped, or answered with a kiss, for their rate.
    pub dropped: u32,
    /// When the first one arrived, by the wall clock.
    pub first: NtpTimestamp,
    /// When the last one arrived, by the wall clock.
    pub last: NtpTimestamp,
    /// When the last one arrived, by the monotonic clock.
    pub heard: MonoTime,
    /// Which of our addresses it came to: see [`ClientTable::local_of`].
    local: u16,
    /// When the last answered request arrived, by the response's receive timestamp; zero for none.
    answered: NtpTimestamp,
    /// When that response left.
    left: NtpTimestamp,
    leak: i32,
}

impl Client {
    fn new(address: IpAddr) -> Self {
        Self {
            address,
            first_byte: 0,
            port: 0,
            flags: AccessFlags::NONE,
            count: 0,
            dropped: 0,
            first: NtpTimestamp::ZERO,
            last: NtpTimestamp::ZERO,
            heard: MonoTime::ZERO,
            local: 0,
            answered: NtpTimestamp::ZERO,
            left: NtpTimestamp::ZERO,
            leak: 0,
        }
    }
}

/// Most of our own addresses that are recorded separately.
const LOCALS_MAX: usize = 256;

/// A packet, for the table.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    /// Who sent it.
    pub from: SocketAddr,
    /// Which of our addresses it came to.
    pub to: IpAddr,
    /// When it arrived, by the wall clock.
    pub received: NtpTimestamp,
    /// Its first byte.
    pub first_byte: u8,
    /// The access flags of its sender.
    pub flags: AccessFlags,
}

/// The clients heard of late.
#[derive(Clone, Debug)]
pub struct ClientTable {
    store: Store,
    limits: Limits,
    mru: Mru,
    /// `discard monitor`, seconds.
    monitor: f64,
    on: bool,
    draws: u64,
    /// Our own addresses that clients have asked, by their number in [`Client::local`].
    locals: Vec<IpAddr>,
    tally: Tally,
}

/// What became of packets and places, since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// The most clients that were remembered at once.
    pub deepest: usize,
    /// Packets of clients that were known.
    pub known: u64,
    /// Clients that got a free place.
    pub new: u64,
    /// Clients that took the place of one not heard for `mru maxage`.
    pub replaced_aged: u64,
    /// Clients that took the oldest one's place because the table was full.
    pub replaced_full: u64,
    /// Clients that got no place.
    pub refused: u64,
}

impl ClientTable {
    /// An empty table, hashed with `key`, which must be random.
    #[must_use]
    pub fn new(config: &Config, key: [u8; 16]) -> Self {
        let (discard, mru) = (&config.discard, &config.mru);
        Self {
            store: Store::new(depth_of(mru), key),
            limits: Limits::new(discard),
            mru: *mru,
            monitor: f64::from(discard.monitor.max(1)),
            on: is_on(config),
            draws: 0,
            // All at once: a packet allocates nothing.
            locals: Vec::with_capacity(LOCALS_MAX),
            tally: Tally::default(),
        }
    }

    /// Other limits from now on. Clients beyond a smaller depth are forgotten, those heard longest
    /// ago first.
    pub fn configure(&mut self, config: &Config) {
        self.set_discard(&config.discard);
        if depth_of(&config.mru) != self.store.depth() {
            self.store = self.store.resized(depth_of(&config.mru));
        }
        self.mru = config.mru;
        self.on = is_on(config);
    }

    /// The average spacing of requests that is allowed, as a poll exponent.
    #[must_use]
    pub const fn average_poll(&self) -> i8 {
        self.limits.average()
    }

    fn set_discard(&mut self, discard: &Discard) {
        self.limits = Limits::new(discard);
        self.monitor = f64::from(discard.monitor.max(1));
    }

    /// Records a request and applies the rate limits. Returns the client's entry, unless the client is not recorded.
    pub fn judge(&mut self, now: Now, heard: &Heard) -> (Verdict, Option<ClientId>) {
        if !self.on {
            return (Verdict::Pass, None);
        }
        let limits = self.limits;
        let Some((id, interval)) = self.note(now, heard) else { return (Verdict::Pass, None) };
        let Some(client) = self.store.get_mut(id) else { return (Verdict::Pass, None) };
        // The first packet from an address always passes.
        let verdict = interval.map_or(Verdict::Pass, |interval| {
            limits.judge(&mut client.leak, interval, heard.flags, Mode::from_bits(heard.first_byte))
        });
        client.flags = match verdict {
            Verdict::Pass => heard.flags.without(AccessFlags::LIMITED.union(AccessFlags::KOD)),
            Verdict::Drop => heard.flags.without(AccessFlags::KOD),
            Verdict::Kiss => heard.flags,
        };
        client.dropped += u32::from(verdict != Verdict::Pass && client.dropped < u32::MAX);
        (verdict, Some(id))
    }

    /// Notes a packet that is not limited: an answer of a server of ours, or a control request.
    pub fn observe(&mut self, now: Now, heard: &Heard) {
        if self.on
            && let Some((id, _)) = self.note(now, heard)
            && let Some(client) = self.store.get_mut(id)
        {
            client.flags = heard.flags.without(AccessFlags::LIMITED.union(AccessFlags::KOD));
        }
    }

    /// The packet's entry, and the whole seconds since the one before, if there was one.
    fn note(&mut self, now: Now, heard: &Heard) -> Option<(ClientId, Option<i64>)> {
        let address = heard.from.ip();
        let known = self.store.find(address);
        let id = match known {
            Some(id) => {
                self.store.touch(id);
                self.tally.known += 1;
                id
            }
            None => self.admit(now.mono, address)?,
        };
        let local = self.number_of(heard.to, self.store.get(id)?.local);
        let client = self.store.get_mut(id)?;
        client.local = local;
        debug_assert!(client.heard <= now.mono, "no client was heard later than now");
        let interval = known.map(|_| now.mono.since(client.heard).get().max(0.0) as i64);
        if known.is_none() {
            client.first = heard.received;
        }
        client.count = client.count.saturating_add(1);
        (client.last, client.heard) = (heard.received, now.mono);
        (client.port, client.first_byte) = (heard.from.port(), heard.first_byte);
        Some((id, interval))
    }

    /// A place for a new client; none where the table is full of clients heard too lately.
    fn admit(&mut self, now: MonoTime, address: IpAddr) -> Option<ClientId> {
        let client = Client::new(address);
        let age = self.store.oldest().and_then(|id| self.store.get(id)).map(|c| now.since(c.heard).get());
        let age = age.unwrap_or(0.0);
        let len = self.store.len();
        if len > 0 && len >= self.mru.mindepth as usize && age > f64::from(self.mru.maxage) {
            self.tally.replaced_aged += 1;
            return Some(self.store.replace_oldest(client));
        }
        if len < self.store.depth() {
            self.tally.new += 1;
            self.tally.deepest = self.tally.deepest.max(len + 1);
            return Some(self.store.insert(client));
        }
        self.draws += 1;
        let chance = f64::from(self.store.draw(self.draws)) / f64::from(u32::MAX);
        if chance * self.monitor < age {
            self.tally.replaced_full += 1;
            return Some(self.store.replace_oldest(client));
        }
        self.tally.refused += 1;
        None
    }

    /// The number of an address of ours, mostly the one that the client asked before. Addresses past
    /// the number that a machine has share one.
    fn number_of(&mut self, local: IpAddr, before: u16) -> u16 {
        if self.locals.get(usize::from(before)) == Some(&local) {
            return before;
        }
        let index = self.locals.iter().position(|known| *known == local).unwrap_or(self.locals.len());
        if index == self.locals.len() && index < LOCALS_MAX {
            self.locals.push(local);
        }
        debug_assert!(
            self.locals.len() <= LOCALS_MAX,
            "addresses of ours that have numbers of their own are bounded"
        );
        index as u16
    }

    /// When the last response to this client left, if its request shows that it received that response:
    /// the request's origin is the response's receive timestamp (interleaved mode, RFC 9769). Valid for
    /// one request: a repeated one gets a plain response.
    pub fn interleaved(&mut self, id: ClientId, origin: NtpTimestamp) -> Option<NtpTimestamp> {
        let client = self.store.get_mut(id)?;
        if origin.is_zero() || origin != client.answered || client.left.is_zero() {
            return None;
        }
        client.answered = NtpTimestamp::ZERO;
        Some(client.left)
    }

    /// Remembers an answer to this client: its receive timestamp, and when it is to leave.
    pub fn answering(&mut self, id: ClientId, received: NtpTimestamp, leaves: NtpTimestamp) {
        if let Some(client) = self.store.get_mut(id) {
            (client.answered, client.left) = (received, leaves);
        }
    }

    /// The response with this receive timestamp has left at `at`: known better than predicted.
    pub fn answer_left(&mut self, id: ClientId, received: NtpTimestamp, at: NtpTimestamp) {
        if let Some(client) = self.store.get_mut(id).filter(|c| c.answered == received) {
            client.left = at;
        }
    }
}

/// Monitoring is on by default; `limited` needs it even where it is disabled.
fn is_on(config: &Config) -> bool {
    config.enable.monitor || config.restrict.iter().any(|r| r.flags.contains(AccessFlags::LIMITED))
}

fn depth_of(mru: &Mru) -> usize {
    mru.maxdepth.clamp(1, MAX_CLIENTS) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::{Origin, Restrict, RestrictTarget};
    use crate::units::Seconds;

    const LIMITED: AccessFlags = AccessFlags::LIMITED;

    fn table(config: &Config) -> ClientTable {
        ClientTable::new(config, [5; 16])
    }

    fn at(seconds: f64) -> Now {
        let by = Seconds::new(seconds);
        Now { mono: MonoTime::ZERO + by, wall: NtpTimestamp::from_unix(1_700_000_000, 0).offset(by) }
    }

    fn heard(n: u32, now: Now, flags: AccessFlags) -> Heard {
        let from = SocketAddr::from((std::net::Ipv4Addr::from_bits(0x0a00_0000 + n), 1000));
        Heard { from, to: IpAddr::from([10, 255, 0, 1]), received: now.wall, first_byte: 0x23, flags }
    }

    fn run(flags: AccessFlags, spacing: f64, count: u32) -> Vec<Verdict> {
        let mut table = table(&Config::default());
        (0..count)
            .map(|i| {
                let now = at(f64::from(i) * spacing);
                table.judge(now, &heard(1, now, flags)).0
            })
            .collect()
    }

    #[test]
    fn polite_clients_pass_and_hasty_ones_do_not() {
        let flags = LIMITED.union(AccessFlags::KOD);
        assert!(run(flags, 64.0, 50).iter().all(|v| *v == Verdict::Pass));
        let hasty = run(flags, 0.1, 50);
        assert_eq!(hasty[0], Verdict::Pass);
        assert_eq!(hasty.iter().filter(|v| **v == Verdict::Kiss).count(), 1, "{hasty:?}");
        assert!(hasty[2..].iter().all(|v| *v == Verdict::Drop));
        assert!(run(AccessFlags::KOD, 0.1, 50).iter().all(|v| *v == Verdict::Pass), "kod alone does nothing");
        assert!(!run(LIMITED, 0.1, 50).contains(&Verdict::Kiss));
    }

    #[test]
    fn entries_tell_what_was_heard() {
        let mut table = table(&Config::default());
        let flags = LIMITED.union(AccessFlags::NOMODIFY);
        for i in 0..3 {
            let now = at(f64::from(i) * 0.25);
            table.judge(now, &Heard { from: "10.0.0.9:77".parse().unwrap(), ..heard(9, now, flags) });
        }
        let client = table.oldest_first().last().unwrap();
        assert_eq!((client.count, client.dropped, client.port), (3, 2, 77));
        assert_eq!((client.first, client.last), (at(0.0).wall, at(0.5).wall));
        assert_eq!(client.flags, flags);
    }

    #[test]
    fn a_flood_of_sources_neither_grows_the_table_nor_empties_it() {
        let config = Config { mru: Mru { maxdepth: 1000, ..Mru::default() }, ..Config::default() };
        let mut table = table(&config);
        for i in 0..1000 {
            table.judge(at(1.0), &heard(i, at(1.0), LIMITED));
        }
        for i in 1000..101_000 {
            let now = at(10.0 + f64::from(i) * 1e-5);
            assert_eq!(table.judge(now, &heard(i, now, LIMITED)).0, Verdict::Pass);
        }
        assert_eq!(table.oldest_first().count(), 1000);
        let honest = table.oldest_first().filter(|c| c.heard == at(1.0).mono).count();
        assert!((500..990).contains(&honest), "{honest}");
        // Long unheard, they make room at once.
        let later = at(4000.0);
        table.judge(later, &heard(7_000_000, later, LIMITED));
        assert_eq!(table.oldest_first().last().unwrap().heard, later.mono);
    }

    #[test]
    fn the_aged_are_reused_before_the_table_grows() {
        let config = Config { mru: Mru { mindepth: 10, maxage: 60, ..Mru::default() }, ..Config::default() };
        let mut table = table(&config);
        for i in 0..100 {
            let now = at(f64::from(i) * 10.0);
            table.judge(now, &heard(i, now, AccessFlags::NONE));
        }
        assert_eq!(table.oldest_first().count(), 10);
    }

    #[test]
    fn disable_monitor_is_honoured_unless_something_is_limited() {
        let mut config = Config::default();
        config.enable.monitor = false;
        let mut table = table(&config);
        assert_eq!(table.judge(at(0.0), &heard(1, at(0.0), AccessFlags::NONE)), (Verdict::Pass, None));
        let target = RestrictTarget::Default(crate::config::model::Family::Any);
        config.restrict =
            vec![Restrict { target, flags: LIMITED, ntpport: false, origin: Origin::default() }];
        table.configure(&config);
        assert!(table.judge(at(0.0), &heard(1, at(0.0), AccessFlags::NONE)).1.is_some());
    }

    #[test]
    fn an_interleaved_answer_is_given_once_and_never_for_zero() {
        let mut table = table(&Config::default());
        let (_, id) = table.judge(at(0.0), &heard(1, at(0.0), AccessFlags::NONE));
        let id = id.unwrap();
        assert_eq!(table.interleaved(id, NtpTimestamp::ZERO), None);
        let (received, left) = (at(1.0).wall, at(1.001).wall);
        table.answering(id, received, left);
        table.answer_left(id, at(9.0).wall, at(9.0).wall);
        assert_eq!(table.interleaved(id, at(2.0).wall), None);
        assert_eq!(table.interleaved(id, received), Some(left));
        assert_eq!(table.interleaved(id, received), None, "a replay");
    }
}
