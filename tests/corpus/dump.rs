//! What ntpd 4.2.6p5 prints with `--saveconfigquit`, read strictly and apart from our parser: a line that does not
//! have the form that ntpd gives it is an error, and what ntpd does with a setting when it applies it is done here.
//! The outcome is a list of facts, one a line, as `facts.rs` makes them of our configuration.
//!
//! ntpd quotes no names, so options are looked for from the end of a line.

use super::strict::{self, Entries, FLAGS, Line};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The facts of a configuration: of some kinds there may be several alike.
pub type Facts = Vec<String>;

/// As ntpd prints numbers, six digits.
pub fn number(value: f64) -> String {
    format!("{value:.5e}")
}

/// A clock's or host's address, or a name; nothing for what is no name either.
pub fn target(text: &str, family: &str) -> Option<String> {
    let numeric = strict::numeric(text);
    let old = || (family != "-6").then(|| strict::old_style(text).map(IpAddr::V4)).flatten();
    match numeric.or_else(old) {
        Some(address) => Some(address.to_string()),
        None if text.contains(':') || text.starts_with('[') => None,
        None if family.is_empty() => Some(text.to_owned()),
        None => Some(format!("{family} {text}")),
    }
}

const FLAG_OPTIONS: [&str; 9] =
    ["iburst", "burst", "prefer", "noselect", "true", "preempt", "xleave", "autokey", "dynamic"];
const NUMBER_OPTIONS: [&str; 8] = ["minpoll", "maxpoll", "ttl", "mode", "version", "key", "bias", "subtype"];
const FACTORS: [&str; 8] = ["time1", "time2", "stratum", "refid", "flag1", "flag2", "flag3", "flag4"];
const CRYPTO: [&str; 6] = ["host", "ident", "pw", "randfile", "digest", "sign"];
const SWITCHES: [(&str, bool); 7] = [
    ("auth", true),
    ("bclient", false),
    ("calibrate", false),
    ("kernel", true),
    ("monitor", true),
    ("ntp", true),
    ("stats", true),
];
const FILEGEN: [&str; 6] = ["file", "type", "link", "nolink", "enable", "disable"];
/// Settings with their defaults, ranges within which ours are held, and whether they are whole.
pub const SETTINGS: [(&str, &str, f64, (f64, f64)); 23] = [
    ("tos", "minclock", 3.0, (0.0, 1e9)),
    ("tos", "maxclock", 10.0, (1.0, 1e9)),
    ("tos", "minsane", 1.0, (0.0, 1e9)),
    ("tos", "mindist", 0.001, (0.0, 16.0)),
    ("tos", "maxdist", 1.5, (0.0, 16.0)),
    ("tos", "floor", 0.0, (0.0, 16.0)),
    ("tos", "ceiling", 16.0, (1.0, 16.0)),
    ("tos", "cohort", 0.0, (0.0, 1.0)),
    ("tos", "orphan", 17.0, (1.0, 17.0)),
    ("tos", "orphanwait", 300.0, (0.0, 1e9)),
    ("tos", "beacon", 7200.0, (0.0, 4e9)),
    ("tinker", "panic", 1000.0, (0.0, 1e12)),
    ("tinker", "step", 0.128, (0.0, 1e12)),
    ("tinker", "stepout", 900.0, (0.0, 1e12)),
    ("tinker", "dispersion", 15.0, (0.0, 1e6)),
    ("tinker", "allan", 11.0, (0.0, 255.0)),
    ("tinker", "huffpuff", 0.0, (0.0, 1e9)),
    ("tinker", "freq", f64::NAN, (-500.0, 500.0)),
    ("discard", "average", 3.0, (0.0, 17.0)),
    ("discard", "minimum", 1.0, (0.0, 17.0)),
    ("discard", "monitor", 3000.0, (0.0, 4e9)),
    ("key", "controlkey", f64::NAN, (1.0, 65_535.0)),
    ("key", "requestkey", f64::NAN, (1.0, 65_535.0)),
];

#[derive(Default)]
struct Server {
    kind: String,
    target: String,
    options: BTreeMap<String, String>,
    fudge: BTreeMap<String, String>,
}

#[derive(Clone)]
struct Filegen {
    file: String,
    kind: String,
    link: bool,
    enabled: bool,
}

/// A dump while it is read.
#[derive(Default)]
struct Dump {
    servers: Vec<Server>,
    unpeers: Vec<String>,
    fudges: Vec<(String, BTreeMap<String, String>)>,
    restricts: Vec<Line>,
    settings: BTreeMap<(&'static str, &'static str), f64>,
    switches: Vec<(String, bool)>,
    filegens: BTreeMap<String, Filegen>,
    /// What the last line says of.
    last: BTreeMap<String, String>,
    /// What is kept of each line, in its order.
    lists: BTreeMap<&'static str, Vec<String>>,
    facts: Facts,
}

/// The facts that a dump shows. With `held`, numbers out of range are taken as docs/differences.md says.
pub fn read(text: &str, held: bool) -> Result<Facts, String> {
    let mut dump = Dump::default();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    // statistics lines come before filegen lines when they are applied.
    let is_late = |line: &&&str| line.starts_with("filegen ");
    for line in lines.iter().filter(|line| !is_late(line)).chain(lines.iter().filter(is_late)) {
        dump.line(line, held).ok_or_else(|| format!("not as ntpd prints it: {line}"))?;
    }
    Ok(dump.finish())
}

impl Dump {
    fn line(&mut self, line: &str, held: bool) -> Option<()> {
        if let Some(threshold) = line.strip_prefix("(keyword not found) ") {
            self.last.insert("threshold".to_owned(), number(threshold.parse().ok()?));
            return Some(());
        }
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        match command {
            "server" | "pool" | "peer" | "broadcast" | "manycastclient" => self.server(command, rest, held),
            "unpeer" => {
                self.unpeers.extend(target(rest, ""));
                Some(())
            }
            "fudge" => self.fudge(rest, held),
            "restrict" => {
                self.restricts.push(restrict_line(rest)?);
                Some(())
            }
            "tos" | "tinker" | "discard" => self.settings(command, rest, held),
            "controlkey" | "requestkey" => self.settings("key", line, held),
            "enable" | "disable" => {
                for word in rest.split(' ') {
                    SWITCHES.iter().find(|(name, _)| *name == word)?;
                    self.switches.push((word.to_owned(), command == "enable"));
                }
                Some(())
            }
            "statistics" => {
                for kind in rest.split(' ') {
                    self.filegen_of(kind).enabled = true;
                }
                Some(())
            }
            "filegen" => self.filegen(rest),
            "trustedkey" => self.trusted(rest),
            "driftfile" | "leapfile" | "logfile" | "pidfile" | "saveconfigdir" | "keys" | "keysdir"
            | "statsdir" | "ntpsigndsocket" => {
                let path = rest.strip_prefix('"')?.strip_suffix('"')?;
                self.last.insert(command.to_owned(), path.to_owned());
                Some(())
            }
            "automax" | "broadcastdelay" | "tick" | "calldelay" | "revoke" => {
                self.last.insert(command.to_owned(), number(rest.parse().ok()?));
                Some(())
            }
            "broadcastclient" if rest.is_empty() => self.list("broadcastclient", ""),
            "ttl" => self.list("ttl", rest),
            "phone" => self.list("phone", rest),
            "manycastserver" => self.list("manycastserver", rest),
            "multicastclient" => self.list("multicastclient", rest),
            "trap" => {
                let mut words: Vec<&str> = rest.split(' ').collect();
                words.sort_unstable();
                self.facts.push(format!("trap {}", words.join(" ")));
                Some(())
            }
            "logconfig" => self.logconfig(rest),
            "interface" => self.interface(rest),
            "setvar" => self.setvar(rest),
            "crypto" => self.crypto(rest),
            _ => None,
        }
    }

    fn list(&mut self, name: &'static str, words: &str) -> Option<()> {
        self.lists.entry(name).or_default().extend(words.split(' ').map(str::to_owned));
        Some(())
    }

    fn server(&mut self, command: &str, rest: &str, held: bool) -> Option<()> {
        let mut words: Vec<&str> = rest.split(' ').collect();
        if rest.is_empty() {
            return None;
        }
        let family = if matches!(words[0], "-4" | "-6") { words.remove(0) } else { "" };
        let mut options = BTreeMap::new();
        loop {
            match &words[..] {
                [_, .., name, value] if words.len() > 2 && NUMBER_OPTIONS.contains(name) => {
                    options.insert((*name).to_owned(), number(value.parse().ok()?));
                    words.truncate(words.len() - 2);
                }
                [_, .., flag] if words.len() > 1 && FLAG_OPTIONS.contains(flag) => {
                    options.insert((*flag).to_owned(), String::new());
                    words.truncate(words.len() - 1);
                }
                _ => break,
            }
        }
        let Some(target) = target(&words.join(" "), family) else { return Some(()) };
        if !usable(command, &target) || self.is_there(command, &target) {
            return Some(());
        }
        polls(&mut options, target.starts_with("127.127."))?;
        if held {
            let out = |name: &str, low: f64, high: f64| {
                let value = options.get(name).and_then(|v| v.parse::<f64>().ok());
                value.is_some_and(|v| !(low..=high).contains(&v))
            };
            let bad = [("key", 1.0, 65_535.0), ("version", 1.0, 4.0)];
            let bad: Vec<&str> =
                bad.into_iter().filter(|(name, low, high)| out(name, *low, *high)).map(|b| b.0).collect();
            bad.iter().for_each(|name| drop(options.remove(*name)));
        }
        if options.get("version") == Some(&number(4.0)) {
            options.remove("version");
        }
        self.servers.push(Server { kind: command.to_owned(), target, options, ..Server::default() });
        Some(())
    }

    /// A second line for an address is dropped; a name may lead to another one.
    fn is_there(&self, command: &str, target: &str) -> bool {
        strict::numeric(target).is_some()
            && self.servers.iter().any(|s| s.kind == command && s.target == target)
    }

    fn fudge(&mut self, rest: &str, held: bool) -> Option<()> {
        let (address, rest) = rest.split_once(' ')?;
        let mut factors: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in options(rest, &FACTORS)? {
            let value = match name {
                "refid" => value.chars().take(4).collect(),
                _ => number(value.parse().ok()?),
            };
            factors.insert(name.to_owned(), value);
        }
        let zero = |name: &String, value: &String| name != "stratum" && *value == number(0.0);
        factors.retain(|name, value| !zero(name, value));
        if held
            && factors
                .get("stratum")
                .is_some_and(|s| s.parse().is_ok_and(|s: f64| !(0.0..=16.0).contains(&s)))
        {
            factors.remove("stratum");
        }
        self.fudges.push((target(address, "")?, factors));
        Some(())
    }

    fn settings(&mut self, command: &str, rest: &str, held: bool) -> Option<()> {
        let words: Vec<&str> = rest.split(' ').collect();
        for pair in words.chunks(2) {
            let [name, value] = pair else { return None };
            let (command, name, _, (low, high)) =
                SETTINGS.iter().find(|(of, setting, ..)| *of == command && setting == name)?;
            let mut value: f64 = value.parse().ok()?;
            if matches!(*name, "minclock" | "maxclock") {
                value = value.trunc();
            }
            if held {
                let ignored = *command == "key" && !(*low..=*high).contains(&value);
                value = if ignored { f64::NAN } else { value.clamp(*low, *high) };
            }
            self.settings.insert((command, name), value);
        }
        Some(())
    }

    fn filegen_of(&mut self, kind: &str) -> &mut Filegen {
        let fresh = || Filegen { file: kind.to_owned(), kind: "day".to_owned(), link: true, enabled: false };
        self.filegens.entry(kind.to_owned()).or_insert_with(fresh)
    }

    /// Each line begins with the kind's own name and is about a file that is written.
    fn filegen(&mut self, rest: &str) -> Option<()> {
        let (kind, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let filegen = self.filegen_of(kind);
        filegen.file = kind.to_owned();
        filegen.enabled = true;
        for (name, value) in options(rest, &FILEGEN)? {
            match (name, value.is_empty()) {
                ("file", false) => filegen.file = value,
                ("type", false) => filegen.kind = value,
                ("link" | "nolink", true) => filegen.link = name == "link",
                ("enable" | "disable", true) => filegen.enabled = name == "enable",
                _ => return None,
            }
        }
        Some(())
    }

    fn trusted(&mut self, rest: &str) -> Option<()> {
        let mut keys = BTreeSet::new();
        for part in rest.replace(" ... ", "...").split(' ') {
            let (first, last) = match part.strip_prefix('(').and_then(|range| range.strip_suffix(')')) {
                Some(range) => range.split_once("...")?,
                None => (part, part),
            };
            let (first, last): (i64, i64) = (first.parse().ok()?, last.parse().ok()?);
            keys.extend((first.max(1)..=last.min(65_535)).map(|key| key.to_string()));
        }
        self.last.insert("trustedkey".to_owned(), keys.into_iter().collect::<Vec<_>>().join(" "));
        Some(())
    }

    /// Of a class that ntpd does not know, the sign is left if it is `=`.
    fn logconfig(&mut self, rest: &str) -> Option<()> {
        let types = ["all", "info", "events", "status", "statistics"];
        let classes = ["", "all", "clock", "peer", "sync", "sys"];
        for word in rest.split(' ') {
            let class = word.strip_prefix(['=', '+', '-'])?;
            let known = classes.iter().any(|c| class.strip_prefix(c).is_some_and(|t| types.contains(&t)))
                || class.strip_prefix("all").is_some_and(|c| classes[2..].contains(&c));
            if known || word == "=" {
                self.list("logconfig", word)?;
            } else if word.starts_with('=') {
                self.list("logconfig", "=")?;
            }
        }
        self.lists.entry("logconfig").or_default();
        Some(())
    }

    fn interface(&mut self, rest: &str) -> Option<()> {
        let (action, which) = rest.split_once(' ')?;
        ["listen", "ignore", "drop"].iter().find(|known| **known == action)?;
        self.list("interface", &format!("{action}/{}", interface_of(which)))
    }

    fn setvar(&mut self, rest: &str) -> Option<()> {
        let (name, value) = rest.split_once(" = ")?;
        let (value, shown) = match value.strip_suffix(" default") {
            Some(value) => (value, true),
            None => (value, false),
        };
        let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
        self.facts.push(format!("setvar {name} = {value}{}", if shown { " default" } else { "" }));
        Some(())
    }

    fn crypto(&mut self, rest: &str) -> Option<()> {
        self.last.insert("crypto".to_owned(), String::new());
        for (name, value) in options(rest, &CRYPTO)? {
            self.last.insert(format!("crypto {name}"), value);
        }
        Some(())
    }

    fn finish(mut self) -> Facts {
        let unpeers = std::mem::take(&mut self.unpeers);
        self.servers.retain(|server| !unpeers.iter().any(|gone| same(gone, &server.target)));
        for (clock, factors) in std::mem::take(&mut self.fudges) {
            for server in
                self.servers.iter_mut().filter(|s| s.target == clock && clock.starts_with("127.127."))
            {
                server.fudge.extend(factors.clone());
            }
        }
        let mut facts = std::mem::take(&mut self.facts);
        facts.extend(self.servers.iter().map(|s| server_fact(&s.kind, &s.target, &s.options, &s.fudge)));
        facts.extend(restrict_facts(&self.restricts));
        for (command, name, default, _) in SETTINGS {
            let value = self.settings.get(&(command, name)).copied().unwrap_or(default);
            facts.push(format!("{command} {name} {}", number(value)));
        }
        for wanted in [true, false] {
            for (name, _) in self.switches.iter().filter(|(_, on)| *on == wanted) {
                self.last.insert(format!("switch {name}"), wanted.to_string());
            }
        }
        for (name, default) in SWITCHES {
            let on = self.last.remove(&format!("switch {name}")).unwrap_or_else(|| default.to_string());
            facts.push(format!("switch {name} {on}"));
        }
        for (kind, f) in &self.filegens {
            facts.push(filegen_fact(kind, &f.file, &f.kind, f.link, f.enabled));
        }
        facts.extend(
            self.last
                .iter()
                .filter(|(name, value)| !value.is_empty() || *name == "crypto")
                .map(|(name, value)| format!("{name} {value}")),
        );
        facts.extend(self.lists.iter().filter(|(_, l)| !l.is_empty()).map(|(name, l)| list_fact(name, l)));
        facts.sort();
        facts
    }
}

/// A restrict line, whose flags are at its end.
pub fn restrict_line(rest: &str) -> Option<Line> {
    let mut words: Vec<&str> = rest.split(' ').collect();
    let mut flags = BTreeSet::new();
    while words.len() > 1 && words.last().is_some_and(|w| FLAGS.contains(w) || *w == "ntpport") {
        flags.extend(words.pop().map(str::to_owned));
    }
    let mask = match words[..] {
        [_, .., "mask", mask] if words.len() > 2 => Some(mask.to_owned()),
        _ => None,
    };
    words.truncate(words.len() - if mask.is_some() { 2 } else { 0 });
    let host = words.join(" ");
    let target = match host.as_str() {
        "" => return None,
        "default" => strict::Target::Default(None),
        _ => strict::Target::Host(host, None),
    };
    Some(Line { target, mask, flags })
}

/// Options with values: a value goes on to the next option's name, as ntpd quotes none.
fn options<'o>(rest: &str, names: &[&'o str]) -> Option<Vec<(&'o str, String)>> {
    let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
    for word in rest.split(' ').filter(|word| !word.is_empty()) {
        let name = names.iter().find(|name| **name == word);
        // What stands right behind a name that takes a value is the value, whatever it reads.
        let value_wanted = found.last().is_some_and(|(of, value)| {
            value.is_empty() && !matches!(*of, "link" | "nolink" | "enable" | "disable")
        });
        match name {
            Some(name) if !value_wanted => found.push((name, Vec::new())),
            _ => found.last_mut()?.1.push(word),
        }
    }
    Some(found.into_iter().map(|(name, value)| (name, value.join(" "))).collect())
}

/// The polls that ntpd makes of them: 0 is none given, held to the range, the smaller one not above the other.
fn polls(options: &mut BTreeMap<String, String>, clock: bool) -> Option<()> {
    let mut given = |name: &str| {
        let value = options.remove(name).map(|v| v.parse::<f64>());
        value.transpose().map(|v| v.filter(|v| *v != 0.0).map(|v| v.clamp(3.0, 17.0)))
    };
    let (min, max) = (given("minpoll").ok()?, given("maxpoll").ok()?);
    let min = min.unwrap_or(6.0);
    let max = max.unwrap_or(if clock { min } else { 10.0 });
    options.insert("minpoll".to_owned(), number(min.min(max)));
    options.insert("maxpoll".to_owned(), number(max));
    Some(())
}

/// ntpd refuses a group where it wants one host, and the other way round.
fn usable(command: &str, target: &str) -> bool {
    match (command, strict::numeric(target)) {
        ("server" | "peer" | "pool", Some(address)) => !address.is_multicast(),
        ("manycastclient", Some(address)) => address.is_multicast(),
        _ => true,
    }
}

/// Whether two lines are about one address or name, whatever family the name is looked up in.
fn same(one: &str, other: &str) -> bool {
    let name = |text: &str| text.trim_start_matches("-4 ").trim_start_matches("-6 ").to_owned();
    name(one) == name(other)
}

/// An address with its length, if that is not the whole one.
pub fn interface_of(which: &str) -> String {
    let (net, length) = which.rsplit_once('/').map_or((which, None), |(net, length)| (net, Some(length)));
    match strict::numeric(net) {
        Some(address) => {
            let whole: u8 = if address.is_ipv4() { 32 } else { 128 };
            match length.map(str::parse::<u8>) {
                None => format!("{address}/{whole}"),
                Some(Ok(length)) if length <= whole => format!("{address}/{length}"),
                // ntpd takes the nearest length, or none.
                Some(_) => format!("{address}/{whole}"),
            }
        }
        None => which.to_owned(),
    }
}

pub fn server_fact(
    kind: &str,
    target: &str,
    options: &BTreeMap<String, String>,
    fudge: &BTreeMap<String, String>,
) -> String {
    let words = |map: &BTreeMap<String, String>| -> String {
        map.iter().map(|(name, value)| format!(" {name} {value}").trim_end().to_owned()).collect()
    };
    format!("{kind} {target}{} :{}", words(options), words(fudge))
}

pub fn filegen_fact(kind: &str, file: &str, rotation: &str, link: bool, enabled: bool) -> String {
    format!("filegen {kind} file {file} type {rotation} link {link} enabled {enabled}")
}

pub fn list_fact(name: &str, words: &[String]) -> String {
    format!("{name} {}", words.join(" ").trim_start())
}

/// ntpd looks such a name up and never finds it.
fn is_prefix(host: &str) -> bool {
    host.split_once('/')
        .is_some_and(|(net, length)| strict::numeric(net).is_some() && length.parse::<u8>().is_ok())
}

/// The entries that lines make; of names that may lead somewhere, one for each name and mask.
fn restrict_facts(lines: &[Line]) -> Facts {
    let mut facts = Entries::of(lines, &|_| Vec::new()).facts();
    let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in lines {
        let strict::Target::Host(host, _) = &line.target else { continue };
        let numeric = strict::numeric(host).is_some() || strict::old_style(host).is_some();
        if numeric || host.contains(':') || host.starts_with('[') || is_prefix(host) {
            continue;
        }
        let mask = line
            .mask
            .as_ref()
            .and_then(|mask| strict::numeric(mask).or_else(|| strict::old_style(mask).map(IpAddr::V4)));
        if line.mask.is_some() == mask.is_some() {
            let port = if line.flags.contains("ntpport") { " ntpport" } else { "" };
            let mask = mask.map_or(String::new(), |mask| format!(" mask {mask}"));
            let flags = line.flags.iter().filter(|flag| *flag != "ntpport").cloned();
            names.entry(format!("{host}{mask}{port}")).or_default().extend(flags);
        }
    }
    facts.extend(names.into_iter().map(|(name, flags)| {
        format!("restrict {name}: {}", flags.into_iter().collect::<Vec<_>>().join(" "))
    }));
    facts
}
