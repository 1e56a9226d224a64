//! What is valid and probably wrong, or does nothing: seen by looking at the configuration as a whole.
//! `sources.rs` looks at the servers, `clocks.rs` at reference clocks, `clients.rs` at the restrict and interface lines, `reception.rs` at
//! broadcasts, `smear.rs` at smeared leap seconds,
//! `nts.rs` at authentication by NTS.

mod clients;
mod clocks;
mod modes;
mod nts;
mod reception;
mod smear;
mod sources;

pub use self::sources::usable;

use super::diagnostic::{Diagnostic, Severity};
use super::findings::{Findings, Spot, Text};
use super::language::{self, Context, Row};
use super::lexer;
use super::model::{AccessFlags, ClockAddress, Config, Family, Origin, Restrict, RestrictTarget, Tos};
use super::settings::Turn;
use crate::units::KeyId;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// So many lines of a kind are looked at: no site has more servers, and each is compared with each restrict line.
const LOOKED_AT: usize = 50;

/// Where lines stand that a lint may be about.
#[derive(Default, Debug)]
pub(super) struct Places {
    /// So many servers come from no file.
    pub(super) skip: usize,
    /// Keys that the command line trusts besides those of the file.
    pub(super) trusted: Vec<KeyId>,
    /// The server lines, in the order of the others.
    pub(super) servers: Vec<Spot>,
    monitor: Option<Spot>,
    auth: Option<Spot>,
    /// The last line that has broadcasts heard.
    pub(super) reception: Option<Spot>,
    /// The last `broadcastdelay` line.
    pub(super) broadcastdelay: Option<Spot>,
    /// The last `interface` line.
    pub(super) interface: Option<Spot>,
    /// The settings of `nts` that only a server needs.
    pub(super) nts: BTreeMap<&'static str, Spot>,
    /// The last `leapsmearinterval` line.
    pub(super) smear: Option<Spot>,
    /// Which line a setting of `tos` comes from.
    tos: BTreeMap<&'static str, Spot>,
    /// `fudge` lines whose clock no server line has.
    no_clock: Vec<(ClockAddress, Spot)>,
}

impl Places {
    /// The places of a file, behind what comes from elsewhere.
    pub(super) fn behind(base: &Config) -> Self {
        Self { skip: base.servers.len(), trusted: base.auth.trusted.clone(), ..Self::default() }
    }

    /// Remembers a `fudge` line for a clock that is not there.
    pub(super) fn no_clock(&mut self, clock: ClockAddress, spot: Spot) {
        if self.no_clock.len() < LOOKED_AT {
            self.no_clock.push((clock, spot));
        }
    }

    /// Remembers which settings of `tos` a line changed.
    pub(super) fn tos(&mut self, before: &Tos, after: &Tos, spot: &Spot) {
        for (name, changed) in [
            ("minsane", before.minsane != after.minsane),
            ("floor", before.floor != after.floor),
            ("ceiling", before.ceiling != after.ceiling),
            ("maxdist", before.maxdist != after.maxdist),
            ("auth", before.auth != after.auth),
        ] {
            if changed {
                self.tos.insert(name, spot.clone());
            }
        }
    }

    /// Remembers where `disable monitor`, `disable auth` and `enable bclient` stand.
    pub(super) fn switches(&mut self, found: &[&'static Row], turn: Turn, spot: &Spot) {
        for row in found {
            let place = match (row.name, turn) {
                ("monitor", Turn::Off) => &mut self.monitor,
                ("auth", Turn::Off) => &mut self.auth,
                ("bclient", Turn::On) => &mut self.reception,
                _ => continue,
            };
            *place = Some(spot.clone());
        }
    }
}

struct Lint<'a> {
    config: &'a Config,
    places: &'a Places,
    texts: &'a [Text],
    /// What was found in single lines.
    findings: &'a Findings,
    list: Vec<Entry>,
    /// What is added to whatever entry applies.
    added: Vec<Entry>,
    found: Vec<Diagnostic>,
    outlook: Outlook,
}

/// What is to be expected of the servers, by their indices in the configuration.
#[derive(Clone, Default, Debug)]
pub struct Outlook {
    /// Those that the clock can never be synchronized to.
    pub useless: BTreeSet<usize>,
    /// Those with a key, and a note without text about their lines.
    pub keyed: Vec<(usize, Diagnostic)>,
    /// The same of those with `nts`.
    pub nts: Vec<(usize, Diagnostic)>,
}

/// A restrict entry of one family.
struct Entry {
    v4: bool,
    key: (u128, u128, bool),
    flags: AccessFlags,
    origin: Origin,
}

/// All that is worth reporting about the whole, and what is to be expected of the servers.
pub(super) fn lint(
    config: &Config,
    places: &Places,
    texts: &[Text],
    findings: &Findings,
) -> (Vec<Diagnostic>, Outlook) {
    let is_added = |line: &&Restrict| matches!(line.target, RestrictTarget::Adds { .. });
    let (added, lines): (Vec<&Restrict>, Vec<&Restrict>) = config.restrict.iter().partition(is_added);
    let [list, added] = [lines, added].map(|lines| lines.into_iter().flat_map(entries).collect());
    let (found, outlook) = (Vec::new(), Outlook::default());
    let mut lint = Lint { config, places, texts, findings, list, added, found, outlook };
    lint.sources();
    lint.clocks();
    lint.reference_clocks();
    lint.pool();
    lint.repeated();
    lint.clients();
    lint.interfaces();
    lint.kod();
    lint.monitor();
    lint.smear();
    lint.reception();
    lint.nts();
    (lint.found, lint.outlook)
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

/// The flags that apply, and the first line that they come from.
#[derive(Default)]
struct Effective {
    flags: AccessFlags,
    origin: Option<Origin>,
}

impl Effective {
    /// With the flags of more entries.
    fn with<'e>(self, entries: impl Iterator<Item = &'e Entry>) -> Self {
        entries.fold(self, |Self { flags, origin }, e| Self {
            flags: flags.union(e.flags),
            origin: origin.or_else(|| Some(e.origin.clone())),
        })
    }
}

impl Lint<'_> {
    fn say(&mut self, severity: Severity, spot: &Spot, message: String, effect: String) {
        if let Some(mark) = self.mark(spot) {
            self.found.push(Diagnostic { severity, message, effect, ..mark });
        }
    }

    /// A note without text about this place.
    fn mark(&self, spot: &Spot) -> Option<Diagnostic> {
        let text = self.texts.get(spot.text)?;
        let rest = text.bytes.get(spot.start..).unwrap_or_default();
        let line = rest.split(|b| *b == b'\n').next().unwrap_or_default();
        let mut mark = Diagnostic {
            severity: Severity::Note,
            file: text.file.clone(),
            line: spot.line,
            column: spot.span.start as u32 + 1,
            source: Vec::new(),
            span: 0..0,
            message: String::new(),
            expected: None,
            effect: String::new(),
            suggestion: None,
            include_stack: text.stack.clone(),
        };
        mark.show(line, spot.span.clone());
        Some(mark)
    }

    /// Whether the files use keywords that ntpd 4.2.6 does not know.
    fn is_late(&self) -> bool {
        // So much of a file: no file begins so late.
        const ENOUGH: usize = 1 << 16;
        let ours = |name: &&str| language::find(Context::Foreign, name).is_none() && language::is_late(name);
        let late: BTreeSet<&[u8]> =
            language::keywords().map(|row| row.name).filter(ours).map(str::as_bytes).collect();
        self.texts.iter().any(|text| {
            let lines = text.bytes[..text.bytes.len().min(ENOUGH)].split(|b| *b == b'\n');
            lines
                .flat_map(|line| lexer::code(line).split(u8::is_ascii_whitespace))
                .any(|token| late.contains(token))
        })
    }

    /// The whole line that a restrict entry comes from.
    fn spot_of(&self, origin: &Origin) -> Option<Spot> {
        let text = self.texts.iter().position(|text| text.file == origin.file)?;
        let bytes = &self.texts[text].bytes;
        let mut ends = bytes.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at + 1);
        let start = match origin.line.checked_sub(2) {
            Some(before) => ends.nth(before as usize)?,
            None => 0,
        };
        let line = bytes[start..].split(|b| *b == b'\n').next().unwrap_or_default();
        let first = line.len() - line.trim_ascii_start().len();
        let code = lexer::code(line).len();
        Some(Spot { text, line: origin.line, start, span: first..code.max(first) })
    }

    /// The flags for packets of a server at this address, and the line that they come from.
    fn flags(&self, address: IpAddr) -> Effective {
        let wanted = bits(address);
        let fits = |e: &&Entry| e.v4 == address.is_ipv4() && wanted & e.key.1 == e.key.0;
        let best = self.list.iter().filter(fits).map(|e| e.key).max();
        let host = if address.is_ipv4() { u32::MAX.into() } else { u128::MAX };
        let start = match self.source().filter(|_| best.is_none_or(|key| key.1 != host)) {
            Some(source) => Effective { flags: source.flags, origin: Some(source.origin.clone()) },
            None => Effective::default().with(self.list.iter().filter(fits).filter(|e| Some(e.key) == best)),
        };
        start.with(self.added.iter().filter(fits))
    }

    fn source(&self) -> Option<&Restrict> {
        self.config.restrict.iter().rev().find(|line| line.target == RestrictTarget::Source)
    }

    /// The flags for servers that no other line is about, and the line that they come from.
    fn default(&self, family: Family) -> Effective {
        let v4 = family == Family::V4;
        let of_port = |ntpport| self.list.iter().filter(move |e| e.v4 == v4 && e.key == (0, 0, ntpport));
        // Servers respond from port 123.
        Effective::default().with(if of_port(true).next().is_some() { of_port(true) } else { of_port(false) })
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
        for origin in lines.iter().take(LOOKED_AT) {
            if let Some(spot) = self.spot_of(origin) {
                let message = "kod does nothing without limited".to_owned();
                let effect = "no client is rate limited by this line: add limited, or remove kod".to_owned();
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
        let effect = "clients are recorded all the same: rate limits need it".to_owned();
        self.say(Severity::Note, &spot, message, effect);
    }
}
