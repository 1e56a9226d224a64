//! What is understood and yet will bite, or does nothing: told by looking at the configuration as a whole.

use super::diagnostic::{Diagnostic, Severity};
use super::findings::{Spot, Text};
use super::language::Row;
use super::lexer;
use super::model::{AccessFlags, Config, Family, Kind, Origin, Restrict, RestrictTarget, Server, Target};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// So many servers are looked at; nobody has more, and each is compared with each restrict line.
const SERVERS: usize = 50;
/// Below this stratum, a LOCAL clock looks like a real server to its clients.
const LOCAL_STRATUM: u8 = 5;
/// With a mode bit of these, answers of a server are dropped.
const DEAF: [AccessFlags; 2] = [AccessFlags::IGNORE, AccessFlags::NOSERVE];

/// Where lines stand that a lint may be about.
#[derive(Default, Debug)]
pub(super) struct Places {
    /// So many servers come from no file.
    pub(super) skip: usize,
    /// The server lines, in the order of the others.
    pub(super) servers: Vec<Spot>,
    monitor: Option<Spot>,
    /// `fudge` lines whose clock no server line has.
    no_clock: Vec<((u8, u8), Spot)>,
}

impl Places {
    /// The places of a file, behind so many servers that come from elsewhere.
    pub(super) fn behind(skip: usize) -> Self {
        Self { skip, ..Self::default() }
    }

    /// Remembers a `fudge` line for a clock that is not there.
    pub(super) fn no_clock(&mut self, clock: (u8, u8), spot: Spot) {
        if self.no_clock.len() < SERVERS {
            self.no_clock.push((clock, spot));
        }
    }

    /// Remembers where `disable monitor` stands.
    pub(super) fn monitor_off(&mut self, found: &[&'static Row], on: bool, spot: Spot) {
        if !on && found.iter().any(|row| row.name == "monitor") {
            self.monitor = Some(spot);
        }
    }
}

struct Lint<'a> {
    config: &'a Config,
    places: &'a Places,
    texts: &'a [Text],
    list: Vec<Entry>,
    /// What is added to whatever entry applies.
    added: Vec<Entry>,
    found: Vec<Diagnostic>,
}

/// A restrict entry of one family.
struct Entry {
    v4: bool,
    key: (u128, u128, bool),
    flags: AccessFlags,
    origin: Origin,
}

/// All that is worth telling about the whole.
pub(super) fn lint(config: &Config, places: &Places, texts: &[Text]) -> Vec<Diagnostic> {
    let is_added = |line: &&Restrict| matches!(line.target, RestrictTarget::Adds { .. });
    let (added, lines): (Vec<&Restrict>, Vec<&Restrict>) = config.restrict.iter().partition(is_added);
    let [list, added] = [lines, added].map(|lines| lines.into_iter().flat_map(entries).collect());
    let mut lint = Lint { config, places, texts, list, added, found: Vec::new() };
    for (server, spot) in config.servers.iter().skip(places.skip).zip(&places.servers).take(SERVERS) {
        lint.access(server, spot);
        lint.key(server, spot);
        lint.local(server, spot);
    }
    for ((kind, unit), spot) in &places.no_clock {
        let message = format!("there is no line server 127.127.{kind}.{unit}");
        let effect = "the factors have nothing to apply to: add the server line, or drop this one".to_owned();
        lint.say(Severity::Note, spot, message, effect);
    }
    lint.pool();
    lint.few();
    lint.repeated();
    lint.kod();
    lint.monitor();
    lint.found
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits().into(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn entries(line: &Restrict) -> Vec<Entry> {
    let entry = |v4, key| Entry { v4, key, flags: line.flags, origin: line.origin.clone() };
    match &line.target {
        RestrictTarget::Default(family) => [(true, Family::V6), (false, Family::V4)]
            .into_iter()
            .filter(|(_, other)| family != other)
            .map(|(v4, _)| entry(v4, (0, 0, line.ntpport)))
            .collect(),
        RestrictTarget::Net { address, mask } | RestrictTarget::Adds { address, mask } => {
            let mask = bits(*mask);
            vec![entry(address.is_ipv4(), (bits(*address) & mask, mask, line.ntpport))]
        }
        RestrictTarget::Name(..) | RestrictTarget::Around { .. } | RestrictTarget::Source => Vec::new(),
    }
}

/// These flags with those of more entries, and the first line that they come from.
fn sum<'e>(
    start: (AccessFlags, Option<Origin>),
    entries: impl Iterator<Item = &'e Entry>,
) -> (AccessFlags, Option<Origin>) {
    entries
        .fold(start, |(flags, origin), e| (flags.union(e.flags), origin.or_else(|| Some(e.origin.clone()))))
}

impl Lint<'_> {
    fn say(&mut self, severity: Severity, spot: &Spot, message: String, effect: String) {
        let Some(text) = self.texts.get(spot.text) else { return };
        let rest = text.octets.get(spot.start..).unwrap_or_default();
        let line = rest.split(|b| *b == b'\n').next().unwrap_or_default();
        let mut found = Diagnostic {
            severity,
            file: text.file.clone(),
            line: spot.line,
            column: spot.span.start as u32 + 1,
            source: Vec::new(),
            span: 0..0,
            message,
            expected: None,
            effect,
            suggestion: None,
            include_stack: text.stack.clone(),
        };
        found.show(line, spot.span.clone());
        self.found.push(found);
    }

    /// The whole line that a restrict entry comes from.
    fn spot_of(&self, origin: &Origin) -> Option<Spot> {
        let text = self.texts.iter().position(|text| text.file == origin.file)?;
        let octets = &self.texts[text].octets;
        let mut ends = octets.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at + 1);
        let start = match origin.line.checked_sub(2) {
            Some(before) => ends.nth(before as usize)?,
            None => 0,
        };
        let line = octets[start..].split(|b| *b == b'\n').next().unwrap_or_default();
        let first = line.len() - line.trim_ascii_start().len();
        let code = lexer::code(line).len();
        Some(Spot { text, line: origin.line, start, span: first..code.max(first) })
    }

    /// The flags for packets of a server at this address, and the line that they come from.
    fn flags(&self, address: IpAddr) -> (AccessFlags, Option<Origin>) {
        let wanted = bits(address);
        let fits = |e: &&Entry| e.v4 == address.is_ipv4() && wanted & e.key.1 == e.key.0;
        let best = self.list.iter().filter(fits).map(|e| e.key).max();
        let host = if address.is_ipv4() { u32::MAX.into() } else { u128::MAX };
        let start = match self.source().filter(|_| best.is_none_or(|key| key.1 != host)) {
            Some(source) => (source.flags, Some(source.origin.clone())),
            None => {
                sum((AccessFlags::NONE, None), self.list.iter().filter(fits).filter(|e| Some(e.key) == best))
            }
        };
        sum(start, self.added.iter().filter(fits))
    }

    fn source(&self) -> Option<&Restrict> {
        self.config.restrict.iter().rev().find(|line| line.target == RestrictTarget::Source)
    }

    /// The flags of those whom no line is about.
    fn default(&self, v4: bool) -> AccessFlags {
        let all = self.list.iter().filter(|e| e.v4 == v4 && e.key == (0, 0, false));
        all.fold(AccessFlags::NONE, |flags, e| flags.union(e.flags))
    }

    /// A server whose answers the restrict lines drop.
    fn access(&mut self, server: &Server, spot: &Spot) {
        match &server.target {
            Target::Address(address) => {
                let (flags, origin) = self.flags(*address);
                let place = origin.map_or(String::new(), |o| format!(" of line {}", o.line));
                let deaf = DEAF.iter().any(|flag| flags.contains(*flag));
                let untrusted = flags.contains(AccessFlags::NOTRUST) && server.key.is_none();
                let remedy = format!("add restrict {address} nomodify notrap noquery");
                if deaf {
                    let message = format!("the answers of this server are dropped by restrict{place}");
                    self.say(Severity::Warning, spot, message, format!("it is never heard: {remedy}"));
                } else if untrusted {
                    let message = format!("notrust{place} drops answers that are not authenticated");
                    let effect = format!("it is never heard: give the server a key, or {remedy}");
                    self.say(Severity::Warning, spot, message, effect);
                }
            }
            Target::Name(name) => self.access_of_name(server, name, spot),
            Target::LocalClock { .. } | Target::RefClock { .. } => {}
        }
    }

    fn access_of_name(&mut self, server: &Server, name: &str, spot: &Spot) {
        let families = [(true, Family::V6), (false, Family::V4)];
        let blocked = families.iter().filter(|(_, other)| server.family != *other).all(|(v4, _)| {
            let flags = self.default(*v4);
            let untrusted = flags.contains(AccessFlags::NOTRUST) && server.key.is_none();
            untrusted || DEAF.iter().any(|flag| flags.contains(*flag))
        });
        let named = self
            .config
            .restrict
            .iter()
            .any(|line| matches!(&line.target, RestrictTarget::Name(other, _) | RestrictTarget::Around { name: other, .. } if other == name));
        if !blocked || named || self.source().is_some() {
            return;
        }
        let loopback = |e: &Entry| if e.v4 { e.key.0 >> 24 == 127 } else { e.key.0 == 1 };
        let holes = self.list.iter().any(|e| e.key.1 != 0 && !loopback(e));
        let severity = if holes { Severity::Note } else { Severity::Warning };
        let message = "restrict default drops the answers of this server".to_owned();
        let unless = if holes { ", unless another restrict line is about its address" } else { "" };
        let effect = format!("it is never heard{unless}: add restrict source nomodify notrap noquery");
        self.say(severity, spot, message, effect);
    }

    /// A key that is not there or not trusted.
    fn key(&mut self, server: &Server, spot: &Spot) {
        let Some(key) = server.key else { return };
        if self.config.auth.keys.is_none() {
            let message = format!("key {} is used, and there is no keys line", key.0);
            let effect = "the server is never heard: add keys /etc/ntp/keys".to_owned();
            self.say(Severity::Warning, spot, message, effect);
        } else if !self.config.auth.trusted.contains(&key) {
            let message = format!("key {} is used, and is not trusted", key.0);
            let effect = format!("the server is never heard: add {} to the trustedkey line", key.0);
            self.say(Severity::Warning, spot, message, effect);
        }
    }

    fn local(&mut self, server: &Server, spot: &Spot) {
        let Target::LocalClock { unit } = server.target else { return };
        let Some(stratum) = server.fudge.stratum.filter(|s| s.get() < LOCAL_STRATUM) else { return };
        let message = format!("the LOCAL clock has stratum {}", stratum.get());
        let effect = format!(
            "clients may take it for a real server: use fudge 127.127.1.{unit} stratum 10, or drop the clock"
        );
        self.say(Severity::Warning, spot, message, effect);
    }

    fn file_servers(&self) -> impl Iterator<Item = (&Server, &Spot)> {
        self.config.servers.iter().skip(self.places.skip).zip(&self.places.servers)
    }

    fn pool(&mut self) {
        let nopeer = |v4| self.default(v4).contains(AccessFlags::NOPEER);
        let pool = self.file_servers().find(|(server, _)| server.kind == Kind::Pool).map(|(_, spot)| spot);
        let Some(spot) = pool.filter(|_| nopeer(true) && self.source().is_none()) else { return };
        let message = "a pool under restrict default nopeer".to_owned();
        let effect =
            "it works here, but ntpd 4.2.8 would need restrict source nomodify notrap noquery".to_owned();
        self.say(Severity::Note, &spot.clone(), message, effect);
    }

    /// One server cannot be checked by another, and of two nobody knows which one is right.
    fn few(&mut self) {
        let real = |s: &Server| {
            s.kind == Kind::Server && !s.noselect && matches!(s.target, Target::Address(_) | Target::Name(_))
        };
        let pools = self.config.servers.iter().any(|s| s.kind == Kind::Pool);
        let count = self.config.servers.iter().filter(|s| real(s)).count();
        let last = self.file_servers().filter(|(s, _)| real(s)).last().map(|(_, spot)| spot.clone());
        let Some(spot) = last.filter(|_| !pools && count <= 2) else { return };
        let (message, effect) = if count == 1 {
            ("there is one server", "nothing tells when it is wrong: use four or more")
        } else {
            ("there are two servers", "if they disagree, nothing tells which one is wrong: use four or more")
        };
        self.say(Severity::Note, &spot, message.to_owned(), effect.to_owned());
    }

    fn repeated(&mut self) {
        let mut seen = BTreeSet::new();
        let mut again = Vec::new();
        for (server, spot) in self.file_servers() {
            if let Target::Name(name) = &server.target
                && server.kind != Kind::Pool
                && !seen.insert(name.to_ascii_lowercase())
            {
                again.push(spot.clone());
            }
        }
        for spot in again.iter().take(SERVERS) {
            let message = "this name has a server line already".to_owned();
            let effect =
                "it adds another server only if the name has more addresses; pool is for that".to_owned();
            self.say(Severity::Note, spot, message, effect);
        }
    }

    fn kod(&mut self) {
        let mut sums = BTreeMap::new();
        for e in &self.list {
            let sum: &mut (_, Option<&Origin>) =
                sums.entry((e.v4, e.key)).or_insert((AccessFlags::NONE, None));
            sum.0 = sum.0.union(e.flags);
            if e.flags.contains(AccessFlags::KOD) {
                sum.1 = sum.1.or(Some(&e.origin));
            }
        }
        let lonely = sums.into_values().filter(|(flags, _)| !flags.contains(AccessFlags::LIMITED));
        let mut lines: Vec<Origin> = lonely.filter_map(|(_, origin)| origin.cloned()).collect();
        lines.sort_by_key(|origin| origin.line);
        lines.dedup();
        for origin in lines.iter().take(SERVERS) {
            if let Some(spot) = self.spot_of(origin) {
                let message = "kod does nothing without limited".to_owned();
                let effect = "nobody is rate limited by this line: add limited, or drop kod".to_owned();
                self.say(Severity::Note, &spot, message, effect);
            }
        }
    }

    fn monitor(&mut self) {
        let limited = self.config.restrict.iter().any(|line| line.flags.contains(AccessFlags::LIMITED));
        let Some(spot) = self.places.monitor.clone().filter(|_| limited && !self.config.enable.monitor)
        else {
            return;
        };
        let message = "disable monitor does nothing while a restrict line has limited".to_owned();
        let effect = "clients are remembered all the same, to limit them".to_owned();
        self.say(Severity::Note, &spot, message, effect);
    }
}
