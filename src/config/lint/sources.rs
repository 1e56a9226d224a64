//! Servers that cannot work: nothing would be wrong with their lines alone.

use super::{Effective, Entry, LOOKED_AT, Lint, bits};
use crate::config::diagnostic::Severity;
use crate::config::findings::Spot;
use crate::config::hostname;
use crate::config::model::{AccessFlags, ClockAddress, Config, Family, Kind, RestrictTarget, Server, Target};
use crate::config::servers::{is_this_machine, is_unsupported};
use crate::units::{Driver, Host};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Below this stratum, a LOCAL clock looks like a real server to its clients.
const LOCAL_STRATUM: u8 = 5;
/// The strata that a server can have.
const STRATA: std::ops::RangeInclusive<u8> = 1..=15;
/// Public servers have no stratum above this one.
const USUAL_STRATUM: u8 = 4;
/// Hardly a server has a smaller root distance, seconds: ntpd adds 0.01 to what it measures.
const SMALL_DISTANCE: f64 = 0.02;

/// Why restrict lines drop the responses of a server.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Why {
    /// `ignore` or `noserve`.
    Deaf,
    /// `notrust`, and the server has neither a key nor NTS.
    NoKey,
    /// `version`, and the server line sets an older one.
    Version,
}

/// What drops the responses of some servers; those with the same cause are one finding.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Block {
    why: Why,
    line: u32,
    file: std::path::PathBuf,
    /// Whether no other line may be about the servers, whose addresses are not known yet.
    sure: bool,
}

impl Block {
    fn of(effective: Effective, server: &Server) -> Option<Self> {
        let has = |flag| effective.flags.contains(flag);
        let why = if has(AccessFlags::IGNORE) || has(AccessFlags::NOSERVE) {
            Why::Deaf
        } else if has(AccessFlags::NOTRUST) && server.key.is_none() && server.nts.is_none() {
            Why::NoKey
        } else if has(AccessFlags::VERSION) && server.version != 4 {
            Why::Version
        } else {
            return None;
        };
        let origin = effective.origin.unwrap_or_default();
        Some(Self { why, line: origin.line, file: origin.file, sure: true })
    }
}

/// The servers with the same trouble, and where the first one stands.
struct Group {
    spot: Spot,
    servers: Vec<Server>,
}

impl Group {
    fn add<K: Ord>(groups: &mut BTreeMap<K, Self>, key: K, server: &Server, spot: &Spot) {
        let group = groups.entry(key).or_insert_with(|| Self { spot: spot.clone(), servers: Vec::new() });
        group.servers.push(server.clone());
    }

    /// "this server", or how many.
    fn names(&self) -> String {
        if self.servers.len() == 1 {
            "this server".to_owned()
        } else {
            format!("{} servers", self.servers.len())
        }
    }

    /// Their names, if there are several, and what will not happen.
    fn never(&self) -> String {
        const SHOWN: usize = 4;
        let names: Vec<String> = self.servers.iter().map(|server| name(&server.target)).collect();
        match &names[..] {
            [_] => "it is never used".to_owned(),
            [few @ .., last] if names.len() <= SHOWN => {
                format!("{} and {last} are never used", few.join(", "))
            }
            many => format!("{} and {} more are never used", many[..SHOWN].join(", "), names.len() - SHOWN),
        }
    }
}

pub(super) fn name(target: &Target) -> String {
    match target {
        Target::Address(address) => address.to_string(),
        Target::Name(name) => name.clone(),
        Target::LocalClock { unit } => format!("127.127.1.{unit}"),
        Target::RefClock { kind, unit } => format!("127.127.{kind}.{unit}"),
    }
}

impl Lint<'_> {
    /// Each server, then what holds of those that are left.
    pub(super) fn sources(&mut self) {
        let (config, places) = (self.config, self.places);
        let servers = config.servers.iter().enumerate().skip(places.skip).zip(&places.servers);
        let (mut blocks, mut keys) = (BTreeMap::new(), BTreeMap::new());
        for ((index, server), spot) in servers.take(LOOKED_AT) {
            self.entry(server, spot);
            if server.kind == Kind::Broadcast {
                // It gives time and takes none.
                self.outlook.useless.insert(index);
                continue;
            }
            if is_unsupported(server) || impossible(&server.target) {
                // The line has been reported.
                self.outlook.useless.insert(index);
                continue;
            }
            let itself = self.itself(server, spot);
            let block = if itself { None } else { self.block(server) };
            let key = self.key_fault(server);
            if itself || block.as_ref().is_some_and(|block| block.sure) || key.is_some() {
                self.outlook.useless.insert(index);
            }
            if let Some(block) = block {
                Group::add(&mut blocks, block, server, spot);
            }
            if let Some(fault) = key {
                Group::add(&mut keys, (server.key, fault), server, spot);
            } else if server.key.is_some()
                && let Some(mark) = self.mark(spot)
            {
                self.outlook.keyed.push((index, mark));
            }
            if server.nts.is_some()
                && let Some(mark) = self.mark(spot)
            {
                self.outlook.nts.push((index, mark));
            }
            self.local(server, spot);
            self.partner(server, spot);
            self.manycast(index, server, spot);
        }
        for (block, group) in blocks {
            self.say_blocked(&block, &group);
        }
        for ((key, fault), group) in keys {
            self.say_key(key.map_or(0, |key| key.0), fault, &group);
        }
        self.enough();
    }

    /// A line that names this machine; true if it does.
    fn itself(&mut self, server: &Server, spot: &Spot) -> bool {
        let name = name(&server.target);
        if !is_this_machine(name.as_bytes()) {
            return false;
        }
        let message = format!("{name} is this machine itself");
        let refused = matches!(server.target, Target::Address(a) if Host::from(a).is_no_server());
        let what = if refused {
            "it is not used, as ntpd refuses such an address"
        } else {
            "it polls itself and is never synchronized to that"
        };
        let effect =
            format!("{what}; the LOCAL clock is server 127.127.1.0 with fudge 127.127.1.0 stratum 10");
        self.say(Severity::Warning, spot, message, effect);
        true
    }

    /// What drops the responses of a server.
    fn block(&self, server: &Server) -> Option<Block> {
        match &server.target {
            // Its servers have addresses that are not known yet.
            Target::Address(address) if address.is_multicast() => self.block_of_name(server, ""),
            Target::Address(address) => Block::of(self.flags(*address), server),
            Target::Name(name) => self.block_of_name(server, name),
            Target::LocalClock { .. } | Target::RefClock { .. } => None,
        }
    }

    /// A name gets the default's flags, unless a line is about the addresses that it turns out to have.
    fn block_of_name(&self, server: &Server, name: &str) -> Option<Block> {
        let named =
            |target: &RestrictTarget| matches!(target, RestrictTarget::Name(other, _) if other == name);
        if self.config.restrict.iter().any(|line| named(&line.target)) {
            return None;
        }
        if let Some(source) = self.source() {
            let origin = Some(source.origin.clone());
            return Block::of(Effective { flags: source.flags, origin }, server);
        }
        let families = [(Family::V4, Family::V6), (Family::V6, Family::V4)];
        let families = families.into_iter().filter(|(_, other)| server.family != *other);
        let blocks: Option<Vec<Block>> =
            families.map(|(family, _)| Block::of(self.default(family), server)).collect();
        let block = blocks?.into_iter().next()?;
        let loopback = |e: &Entry| if e.v4 { e.key.0 >> 24 == 127 } else { e.key.0 == 1 };
        // Servers on the Internet are in no private network; a local name may be.
        let public = server.kind == Kind::Pool || is_public(&server.target);
        let other = |e: &&Entry| e.key.1 != 0 && !loopback(e) && !(public && e.is_private());
        let sure = !self.list.iter().any(|e| other(&e));
        Some(Block { sure, ..block })
    }

    fn say_blocked(&mut self, block: &Block, group: &Group) {
        let who = group.names();
        let of_line = if block.line == 0 { String::new() } else { format!(" of line {}", block.line) };
        let message = match block.why {
            Why::Deaf => format!("the responses of {who} are dropped by restrict{of_line}"),
            Why::NoKey => {
                format!("notrust{of_line} drops the responses of {who}, which are not authenticated")
            }
            Why::Version => {
                format!("version{of_line} drops the responses of {who}, which are not of version 4")
            }
        };
        let unless = if block.sure { "" } else { ", unless another restrict line is about its address" };
        let effect = format!("{}{unless}: {}", group.never(), self.remedy(block, group));
        let severity = if block.sure { Severity::Warning } else { Severity::Note };
        self.say(severity, &group.spot, message, effect);
    }

    fn remedy(&self, block: &Block, group: &Group) -> String {
        let own = |address: IpAddr, e: &&Entry| {
            e.v4 == address.is_ipv4()
                && e.key.0 == bits(address)
                && e.origin.line == block.line
                && e.is_host()
        };
        let targets: Vec<&Target> = group.servers.iter().map(|server| &server.target).collect();
        let is_own_line = |target: &Target| match target {
            Target::Address(address) => self.list.iter().any(|e| own(*address, &e)),
            _ => self.source().is_some_and(|source| source.origin.line == block.line),
        };
        let flag = match block.why {
            Why::Deaf => "ignore and noserve",
            Why::NoKey => "notrust",
            Why::Version => return "remove version from that line, or from the server line".to_owned(),
        };
        if targets.iter().any(|target| is_own_line(target)) {
            return format!("remove {flag} from that line");
        }
        let numeric = targets.iter().all(|target| matches!(target, Target::Address(_)));
        // Whose addresses differ each time they are looked up.
        let found = |server: &Server| matches!(server.kind, Kind::Pool | Kind::ManycastClient);
        let pool = group.servers.iter().any(|server| found(server) || is_public(&server.target));
        let add = match &targets[..] {
            [one] if !pool => format!("add restrict {} nomodify notrap noquery", name(one)),
            _ if !numeric && self.is_late() => "add restrict source nomodify notrap noquery".to_owned(),
            _ if pool => format!("replace {flag} of that line by nomodify notrap nopeer noquery"),
            _ => "add restrict ADDRESS nomodify notrap noquery for each".to_owned(),
        };
        if block.why == Why::NoKey { format!("use nts or key, or {add}") } else { add }
    }

    /// What is wrong with the key of a server as far as ntp.conf shows; the keys file is looked at elsewhere.
    fn key_fault(&self, server: &Server) -> Option<KeyFault> {
        let key = server.key?;
        if self.config.auth.keys.is_none() {
            Some(KeyFault::NoFile)
        } else if !self.config.auth.trusted.contains(&key) && !self.places.trusted.contains(&key) {
            Some(KeyFault::NotTrusted)
        } else {
            None
        }
    }

    pub(super) fn has_trusted_key(&self) -> bool {
        !self.config.auth.trusted.is_empty() || !self.places.trusted.is_empty()
    }

    fn say_key(&mut self, key: u32, fault: KeyFault, group: &Group) {
        let who = group.names();
        let (message, remedy) = match fault {
            KeyFault::NoFile => (
                format!("key {key} of {who} is in no file: there is no keys line"),
                "add keys /etc/ntp/keys".to_owned(),
            ),
            KeyFault::NotTrusted => {
                (format!("key {key} of {who} is not trusted"), format!("add {key} to the trustedkey line"))
            }
        };
        let effect = format!("{}: {remedy}", group.never());
        self.say(Severity::Warning, &group.spot, message, effect);
    }

    fn local(&mut self, server: &Server, spot: &Spot) {
        let Target::LocalClock { unit } = server.target else { return };
        let Some(stratum) = server.fudge.stratum.filter(|s| s.get() < LOCAL_STRATUM) else { return };
        let message = format!("the LOCAL clock has stratum {}", stratum.get());
        let effect = format!(
            "clients may take it for a real server: use fudge 127.127.1.{unit} stratum 10, or remove the clock"
        );
        self.say(Severity::Warning, spot, message, effect);
    }

    pub(super) fn file_servers(&self) -> impl Iterator<Item = (&Server, &Spot)> {
        self.config.servers.iter().skip(self.places.skip).zip(&self.places.servers)
    }

    /// Whether the servers that are left can set the clock under `tos`.
    fn enough(&mut self) {
        let all = self.config.servers.iter().enumerate();
        let useful = all.filter(|(index, server)| {
            !self.outlook.useless.contains(index)
                && !server.noselect
                && server.kind != Kind::Broadcast
                && !is_unsupported(server)
                && !matches!(
                    server.target.clock().and_then(ClockAddress::driver),
                    Some(Driver::Local | Driver::Pps)
                )
        });
        let (pools, single): (Vec<_>, Vec<_>) =
            useful.partition(|(_, server)| matches!(server.kind, Kind::Pool | Kind::ManycastClient));
        let count = single.len() + pools.len() * self.config.tos.maxclock as usize;
        if count == 0 {
            return; // which is reported when the keys file has been read, too
        }
        self.few(count, single.last().map(|(index, _)| *index));
        self.sane(count);
        self.strata();
    }

    fn sane(&mut self, count: usize) {
        let minsane = self.config.tos.minsane as usize;
        let Some(spot) = self.places.tos.get("minsane").filter(|_| minsane > count) else { return };
        let have = if count == 1 { "there is one".to_owned() } else { format!("there are {count}") };
        let message = format!("tos minsane {minsane} needs {minsane} servers that agree, and {have}");
        let effect = "the clock is never adjusted: add servers, or lower minsane".to_owned();
        self.nothing_is_useful();
        self.say(Severity::Warning, spot, message, effect);
    }

    /// `tos floor`, `ceiling` and `maxdist`.
    fn strata(&mut self) {
        let (places, tos) = (self.places, self.config.tos);
        let last = tos.ceiling.saturating_sub(1).min(*STRATA.end());
        let first = tos.floor.max(*STRATA.start());
        let spot = |name| places.tos.get(name);
        if let Some(spot) = spot("floor").or(spot("ceiling")).filter(|_| first > last) {
            let message = format!("tos floor {} and ceiling {} leave no stratum", tos.floor, tos.ceiling);
            let effect =
                "no server is ever used: strata from floor to below ceiling are, and servers have 1 to 15";
            self.nothing_is_useful();
            self.say(Severity::Warning, spot, message, effect.to_owned());
        } else if let Some(spot) = spot("floor").filter(|_| first > USUAL_STRATUM) {
            let message = format!("tos floor {} rejects every server of a smaller stratum", tos.floor);
            let effect = "the strata of public servers are 1 to 4".to_owned();
            self.say(Severity::Warning, spot, message, effect);
        } else if let Some(spot) = spot("ceiling").filter(|_| last < 2) {
            let message = format!("tos ceiling {} rejects every server but those of stratum 1", tos.ceiling);
            let effect = "the strata of public servers are 1 to 4".to_owned();
            self.say(Severity::Warning, spot, message, effect);
        }
        if let Some(spot) = spot("maxdist").filter(|_| tos.maxdist.get() < SMALL_DISTANCE) {
            let message = format!("tos maxdist {} rejects nearly every server", tos.maxdist.get());
            let effect =
                "the root distance of a server is seldom below 0.02 s; the default is 1.5 s".to_owned();
            self.say(Severity::Warning, spot, message, effect);
        }
    }

    pub(super) fn nothing_is_useful(&mut self) {
        let servers = self.config.servers.iter().enumerate();
        let network = servers.filter(|(_, server)| !matches!(server.target, Target::LocalClock { .. }));
        self.outlook.useless.extend(network.map(|(index, _)| index));
    }

    /// One server cannot be checked by another, and of two it is unknown which one is right.
    fn few(&mut self, count: usize, last: Option<usize>) {
        let spot = last.and_then(|index| self.places.servers.get(index.checked_sub(self.places.skip)?));
        let Some(spot) = spot.filter(|_| count <= 2) else { return };
        let clock = last.is_some_and(|index| self.config.servers[index].target.clock().is_some());
        let (message, effect) = if count == 1 && clock {
            ("there is one clock and no server", "no server shows when it is wrong: add three or more")
        } else if count == 1 {
            ("there is one server", "no other server shows when it is wrong: use four or more")
        } else if clock {
            ("there are two sources", "if they disagree, neither can be trusted: use four or more")
        } else {
            ("there are two servers", "if they disagree, neither can be trusted: use four or more")
        };
        self.say(Severity::Note, spot, message.to_owned(), effect.to_owned());
    }

    pub(super) fn pool(&mut self) {
        let nopeer = self.default(Family::V4).flags.contains(AccessFlags::NOPEER);
        let pool = self.file_servers().find(|(server, _)| server.kind == Kind::Pool).map(|(_, spot)| spot);
        let Some(spot) = pool.filter(|_| nopeer && self.source().is_none() && self.is_late()) else { return };
        let message = "a pool under restrict default nopeer".to_owned();
        let effect =
            "it works here, but ntpd 4.2.8 would need restrict source nomodify notrap noquery".to_owned();
        self.say(Severity::Note, &spot.clone(), message, effect);
    }

    pub(super) fn repeated(&mut self) {
        let mut seen = BTreeSet::new();
        let mut again = Vec::new();
        for (server, spot) in self.file_servers() {
            if let Target::Name(name) = &server.target
                && server.kind != Kind::Pool
                && server.kind != Kind::Broadcast
                && !is_unsupported(server)
                && !seen.insert((name.to_ascii_lowercase(), server.nts.as_ref().and_then(|nts| nts.port)))
            {
                again.push(spot.clone());
            }
        }
        for spot in again.iter().take(LOOKED_AT) {
            let message = "this name has a server line already".to_owned();
            let effect =
                "it adds another server only if the name has more addresses: use pool instead".to_owned();
            self.say(Severity::Note, spot, message, effect);
        }
    }

    /// Factors of clocks that no server line has.
    pub(super) fn clocks(&mut self) {
        let clocks: Vec<ClockAddress> =
            self.config.servers.iter().filter_map(|server| server.target.clock()).collect();
        for (ClockAddress { kind, unit }, spot) in &self.places.no_clock {
            let message = format!("there is no line server 127.127.{kind}.{unit}");
            let other = clocks.iter().find(|other| other.kind == *kind);
            let effect = match other {
                Some(ClockAddress { kind, unit }) => {
                    format!("the factors have no effect: the server line has 127.127.{kind}.{unit}")
                }
                None => "the factors have no effect: add the server line, or remove this one".to_owned(),
            };
            self.say(Severity::Note, spot, message, effect);
        }
    }
}

/// What is wrong with a key in ntp.conf.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum KeyFault {
    NoFile,
    NotTrusted,
}

/// Whether it is a name of the public pool.
fn is_public(target: &Target) -> bool {
    let is_pool = |name: &str| name.trim_end_matches('.').to_ascii_lowercase().ends_with("pool.ntp.org");
    matches!(target, Target::Name(name) if is_pool(name))
}

/// Whether nothing can be sent to it, or found under its name: its line has been reported.
fn impossible(target: &Target) -> bool {
    match target {
        Target::Name(name) => hostname::fault(name.as_bytes()).is_some(),
        Target::Address(IpAddr::V6(address)) => address.is_unicast_link_local(),
        _ => false,
    }
}

/// How many sources of a configuration the clock can be synchronized to; broadcasts count as one. `useless` are those that are known not to
/// do.
#[must_use]
pub fn usable(config: &Config, useless: &BTreeSet<usize>) -> usize {
    let servers = config.servers.iter().enumerate();
    let good = |(index, server): &(usize, &Server)| {
        !useless.contains(index)
            && !server.noselect
            && !is_unsupported(server)
            && server.kind != Kind::Broadcast
    };
    servers.filter(good).count() + usize::from(config.uses_broadcasts())
}
