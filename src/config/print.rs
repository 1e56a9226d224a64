//! A configuration in the syntax of ntp.conf, one setting a line, as `--print-config` shows it and ntpq's
//! `saveconfig` writes it. Read again, it gives the same configuration. Defaults are left out.

use super::language::{self, Context, Effect, Since, name_of};
use super::model::{
    Config, Enable, Family, Filegen, Fudge, InterfaceMatch, Kind, Landlock, Mru, Restrict, RestrictTarget,
    Seccomp, Server, SmearSettings, Target, Tinker, Tos, Variable,
};
use super::{clocks, lexer, servers};
use crate::units::{Driver, KeyId, PollExponent, Ppm};
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

mod nts;
pub(super) use nts::aeads;

/// Bytes that need no quotes.
const PLAIN: &[u8] = b"._:/-+@%[]~*?!&^'<>\\";

/// The configuration as text. Names may hold bytes that are not UTF-8.
#[must_use]
pub fn print(config: &Config) -> Vec<u8> {
    let mut page = Page { out: Vec::new() };
    page.files(config);
    page.authentication(config);
    page.nts(&config.nts);
    page.settings(config);
    page.statistics(config);
    for entry in &config.restrict {
        page.restrict(entry);
    }
    page.idle(config);
    for server in &config.servers {
        page.server(server);
    }
    page.out
}

/// A token where any token may stand: in quotes if it would not be read as it is.
pub(super) fn token(text: &[u8]) -> Vec<u8> {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || PLAIN.contains(b);
    // In quotes it would be the option; only tokens that need none can begin so.
    if text.starts_with(b"-4") || text.starts_with(b"-6") {
        return text.to_vec();
    }
    if text.iter().all(plain) && !text.starts_with(b"-") {
        return text.to_vec();
    }
    // A quotation mark cannot be written; none is ever read.
    let inner: Vec<u8> = text.iter().copied().filter(|b| !matches!(b, b'"' | b'\n' | 0)).collect();
    [b"\"", inner.as_slice(), b"\""].concat()
}

/// A token where keywords and numbers may stand as well.
pub(super) fn plain(text: &[u8]) -> Vec<u8> {
    let keyword = std::str::from_utf8(text).is_ok_and(|text| language::everywhere(text).next().is_some());
    let family = text.starts_with(b"-4") || text.starts_with(b"-6");
    if keyword || (lexer::is_number(text) && !family) { [b"\"", text, b"\""].concat() } else { token(text) }
}

struct Page {
    out: Vec<u8>,
}

impl Page {
    fn line(&mut self, tokens: &[&[u8]]) {
        let tokens: Vec<&[u8]> = tokens.iter().copied().filter(|w| !w.is_empty()).collect();
        self.out.extend(tokens.join(&b' '));
        self.out.push(b'\n');
    }

    /// A line of tokens that need no quotes.
    fn say(&mut self, text: &str) {
        self.line(&[text.as_bytes()]);
    }

    fn path(&mut self, command: &str, path: Option<&Path>, rest: &str) {
        if let Some(path) = path {
            self.line(&[command.as_bytes(), &token(path.as_os_str().as_bytes()), rest.as_bytes()]);
        }
    }

    fn files(&mut self, config: &Config) {
        let threshold = config.drift_threshold.map(|t| number(rate(t)));
        match (&config.driftfile, threshold) {
            (None, Some(threshold)) => self.say(&format!("nonvolatile {threshold}")),
            (Some(path), Some(threshold)) => {
                // Behind driftfile it must not look like a whole number.
                let point = if threshold.contains('.') { "" } else { ".0" };
                self.path("driftfile", Some(path), &format!("{threshold}{point}"));
            }
            (path, None) => self.path("driftfile", path.as_deref(), ""),
        }
        self.path("leapfile", config.leapfile.as_deref(), "");
        self.path("logfile", config.logfile.as_deref(), "");
        self.path("pidfile", config.pidfile.as_deref(), "");
        self.path("saveconfigdir", config.saveconfigdir.as_deref(), "");
        if !config.logconfig.is_empty() {
            let tokens: Vec<Vec<u8>> = config.logconfig.iter().map(|w| log_class(w)).collect();
            self.line(&[b"logconfig", &tokens.join(&b' ')]);
        }
        for Variable { name, value, shown } in &config.setvar {
            let shown: &[u8] = if *shown { b"default" } else { b"" };
            self.line(&[b"setvar", &token(name.as_bytes()), b"=", &token(value.as_bytes()), shown]);
        }
        for rule in &config.interfaces {
            let action = name_of(
                Context::InterfaceAction,
                |effect| matches!(effect, Effect::InterfaceAction(action) if action == rule.action),
            );
            let which = match &rule.matches {
                InterfaceMatch::Name(name) => plain(name.as_bytes()),
                InterfaceMatch::Address(address, length) => {
                    let whole = if address.is_ipv4() { 32 } else { 128 };
                    let length = if *length == whole { String::new() } else { format!("/{length}") };
                    format!("{address}{length}").into_bytes()
                }
                keyword => name_of(
                    Context::InterfaceMatch,
                    |effect| matches!(effect, Effect::InterfaceMatch(matches) if matches() == *keyword),
                )
                .into(),
            };
            self.line(&[b"interface", action.as_bytes(), &which]);
        }
    }

    fn authentication(&mut self, config: &Config) {
        let auth = &config.auth;
        self.path("keys", auth.keys.as_deref(), "");
        if !auth.trusted.is_empty() {
            self.say(&format!("trustedkey {}", ranges(&auth.trusted).join(" ")));
        }
        if let Some(KeyId(key)) = auth.request {
            self.say(&format!("requestkey {key}"));
        }
        if let Some(KeyId(key)) = auth.control {
            self.say(&format!("controlkey {key}"));
        }
    }

    /// The settings that differ from the default.
    fn pairs(&mut self, command: &str, pairs: &[(&str, Option<f64>)]) {
        let tokens: Vec<String> =
            pairs.iter().filter_map(|(name, value)| value.map(|v| format!("{name} {}", number(v)))).collect();
        if !tokens.is_empty() {
            self.say(&format!("{command} {}", tokens.join(" ")));
        }
    }

    fn tinker(&mut self, config: &Config) {
        let (t, d) = (&config.tinker, Tinker::default());
        self.pairs(
            "tinker",
            &[
                ("panic", unless(d.panic.get(), t.panic.get())),
                ("step", unless(d.step.get(), t.step.get())),
                ("stepout", unless(d.stepout.get(), t.stepout.get())),
                ("dispersion", unless(d.dispersion.get(), t.dispersion.get())),
                ("allan", unless(d.allan, t.allan)),
                ("huffpuff", unless(d.huffpuff.get(), t.huffpuff.get())),
                ("freq", t.freq.map(Ppm::get)),
                ("resume", unless(d.resume.get(), t.resume.get())),
            ],
        );
    }

    fn settings(&mut self, config: &Config) {
        self.tinker(config);
        let (t, d) = (&config.tos, Tos::default());
        self.pairs(
            "tos",
            &[
                ("minclock", unless(d.minclock.into(), t.minclock.into())),
                ("maxclock", unless(d.maxclock.into(), t.maxclock.into())),
                ("minsane", unless(d.minsane.into(), t.minsane.into())),
                ("mindist", unless(d.mindist.get(), t.mindist.get())),
                ("maxdist", unless(d.maxdist.get(), t.maxdist.get())),
                ("floor", unless(d.floor.into(), t.floor.into())),
                ("ceiling", unless(d.ceiling.into(), t.ceiling.into())),
                ("cohort", unless(0.0, u8::from(t.cohort).into())),
                ("orphan", unless(d.orphan.into(), t.orphan.into())),
                ("orphanwait", unless(d.orphanwait.get(), t.orphanwait.get())),
                ("beacon", unless(d.beacon.into(), t.beacon.into())),
                ("showversion", unless(0.0, u8::from(t.showversion).into())),
            ],
        );
        let (t, d) = (&config.discard, super::model::Discard::default());
        self.pairs(
            "discard",
            &[
                ("average", unless(d.average.into(), t.average.into())),
                ("minimum", unless(d.minimum.into(), t.minimum.into())),
                ("monitor", unless(d.monitor.into(), t.monitor.into())),
            ],
        );
        let (t, d) = (&config.mru, Mru::default());
        self.pairs(
            "mru",
            &[
                ("maxdepth", unless(d.maxdepth.into(), t.maxdepth.into())),
                ("maxage", unless(d.maxage.into(), t.maxage.into())),
                ("mindepth", unless(d.mindepth.into(), t.mindepth.into())),
            ],
        );
        if let Some(auth) = config.tos.auth {
            self.say(&format!("tos auth {}", auth.name()));
        }
        self.smear(config.smear);
        if let Some(delay) = config.reception.delay {
            self.say(&format!("broadcastdelay {}", number(delay.get())));
        }
        if let Some(code) = config.dscp {
            self.say(&format!("dscp {code}"));
        }
        self.sandbox(config);
        for ((name, now), (_, default)) in
            switches(&config.enable).into_iter().zip(switches(&Enable::default()))
        {
            if now != default {
                self.say(&format!("{} {name}", if now { "enable" } else { "disable" }));
            }
        }
    }

    fn sandbox(&mut self, config: &Config) {
        if config.seccomp != Seccomp::default() {
            self.say(&format!("seccomp {}", config.seccomp.name()));
        }
        if config.landlock != Landlock::default() {
            self.say(&format!("landlock {}", config.landlock.name()));
        }
    }

    fn smear(&mut self, smear: SmearSettings) {
        let default = SmearSettings::default();
        if smear.interval != default.interval {
            self.say(&format!("leapsmearinterval {}", smear.interval));
        }
        if smear.law != default.law {
            self.say(&format!("leapsmearmode {}", smear.law.name()));
        }
    }

    fn statistics(&mut self, config: &Config) {
        self.path("statsdir", config.statistics.dir.as_deref(), "");
        for Filegen { kind, file, rotation, link, enabled } in &config.statistics.filegens {
            let kind =
                name_of(Context::Statistics, |effect| matches!(effect, Effect::Statistics(k) if k == *kind));
            let rotation = name_of(
                Context::FilegenType,
                |effect| matches!(effect, Effect::FilegenType(r) if r == *rotation),
            );
            let link = if *link { "link" } else { "nolink" };
            let enabled = if *enabled { "enable" } else { "disable" };
            let rest = format!("type {rotation} {link} {enabled}");
            self.line(&[b"filegen", kind.as_bytes(), b"file", &token(file.as_bytes()), rest.as_bytes()]);
        }
    }

    fn restrict(&mut self, entry: &Restrict) {
        let (family, target, mask) = match &entry.target {
            RestrictTarget::Default(family) => (*family, b"default".to_vec(), String::new()),
            RestrictTarget::Source => (Family::Any, b"source".to_vec(), String::new()),
            RestrictTarget::Name(name, family) => (*family, plain(name.as_bytes()), String::new()),
            RestrictTarget::Around { name, mask, .. } => {
                (Family::Any, plain(name.as_bytes()), format!("mask {mask}"))
            }
            RestrictTarget::Net { address, mask } => {
                let mask = if prefix_of(*mask).1 == Some(0) { String::new() } else { format!("mask {mask}") };
                (Family::Any, address.to_string().into_bytes(), mask)
            }
            RestrictTarget::Adds { address, mask } => match prefix_of(*mask) {
                (width, Some(hosts)) => {
                    (Family::Any, format!("{address}/{}", width - hosts).into_bytes(), String::new())
                }
                // Behind -4 and -6 ntpport would not count.
                (width, None) if entry.ntpport => {
                    (Family::Any, format!("{address}/{width}").into_bytes(), format!("mask {mask}"))
                }
                (width, None) => {
                    let family = if width == 32 { Family::V4 } else { Family::V6 };
                    (family, address.to_string().into_bytes(), format!("mask {mask}"))
                }
            },
        };
        // Behind a flag that ntpd 4.2.6 does not know, ntpport would not count.
        let (mut flags, late): (Vec<&str>, Vec<&str>) = entry.flags.names().partition(|flag| {
            language::find(Context::Restrict, flag).is_some_and(|row| row.since == Since::V426)
        });
        if entry.ntpport {
            flags.push("ntpport");
        }
        flags.extend(late);
        let flags = flags.join(" ");
        self.line(&[b"restrict", option_of(family), &target, mask.as_bytes(), flags.as_bytes()]);
    }

    /// What changes nothing; options of one command on one line.
    fn idle(&mut self, config: &Config) {
        for same in config.idle.chunk_by(|a, b| a.command == b.command && !b.option.is_empty()) {
            let mut tokens: Vec<&[u8]> = vec![same[0].command.as_bytes()];
            tokens.extend(same.iter().flat_map(|idle| [idle.option.as_bytes(), &idle.value]));
            self.line(&tokens);
        }
    }

    fn server(&mut self, server: &Server) {
        let command = match server.kind {
            Kind::Server => "server",
            Kind::Pool => "pool",
            Kind::Peer => "peer",
            Kind::Broadcast => "broadcast",
            Kind::ManycastClient => "manycastclient",
        };
        let port = server.nts.as_ref().and_then(|nts| nts.port);
        let target = match (&server.target, port) {
            (target, Some(port)) => nts::with_port(target, port),
            (Target::Address(address), None) => address.to_string().into_bytes(),
            (Target::Name(name), None) => token(name.as_bytes()),
            (Target::LocalClock { unit }, None) => format!("127.127.1.{unit}").into_bytes(),
            (Target::RefClock { kind, unit }, None) => format!("127.127.{kind}.{unit}").into_bytes(),
        };
        let mut options: Vec<Vec<u8>> = Vec::new();
        for (set, name) in [
            (server.iburst, "iburst"),
            (server.burst, "burst"),
            (server.prefer, "prefer"),
            (server.noselect, "noselect"),
            (server.truechimer, "true"),
            (server.preempt, "preempt"),
            (server.xleave, "xleave"),
        ] {
            if set {
                options.push(name.into());
            }
        }
        let mut number = |name: &str, value: u32, default: u32| {
            if value != default {
                options.push(format!("{name} {value}").into_bytes());
            }
        };
        number("minpoll", server.minpoll.get().into(), PollExponent::DEFAULT_MIN.get().into());
        number("maxpoll", server.maxpoll.get().into(), servers::default_maxpoll(server).get().into());
        number("key", server.key.map_or(0, |key| key.0), 0);
        number("version", server.version.into(), 4);
        number("mode", server.device.mode, 0);
        if let Some(entry) = server.ttl {
            options.push(format!("ttl {entry}").into_bytes());
        }
        options.extend(server.nts.as_ref().map(nts::options));
        for idle in &server.idle {
            let tokens = [idle.option.as_bytes(), &idle.value];
            options.push(tokens[..1 + usize::from(!idle.value.is_empty())].join(&b' '));
        }
        let factors = factors(&server.fudge);
        if let Some((driver, unit)) = driver_of(server) {
            // Its own options may stand nowhere else.
            let mut own = vec![format!("unit {unit}").into_bytes()];
            let device = &server.device;
            for (name, path) in [("path ", &device.path), ("ppspath ", &device.pulse_path)] {
                own.extend(
                    path.as_ref().map(|path| [name.as_bytes(), &plain(path.as_os_str().as_bytes())].concat()),
                );
            }
            own.extend(device.baud.map(|baud| format!("baud {baud}").into_bytes()));
            let tokens = [own, options, factors].concat().join(&b' ');
            self.line(&[b"refclock", driver.as_bytes(), &tokens]);
            return;
        }
        let options = options.join(&b' ');
        self.line(&[command.as_bytes(), option_of(server.family), &target, &options]);
        if !factors.is_empty() {
            self.line(&[b"fudge", &target, &factors.join(&b' ')]);
        }
    }
}

/// The driver and unit of a clock with options that only a `refclock` line has.
fn driver_of(server: &Server) -> Option<(&'static str, u8)> {
    let (kind, unit) = match server.target {
        Target::LocalClock { unit } => (1, unit),
        Target::RefClock { kind, unit } => (kind, unit),
        Target::Address(_) | Target::Name(_) => return None,
    };
    let ours =
        matches!(Driver::of_number(kind), Some(Driver::Phc | Driver::Sock)) && server.kind == Kind::Server;
    let own = ours || server.device.has_path() || server.device.baud.is_some();
    clocks::keyword(kind).filter(|_| own).map(|driver| (driver, unit))
}

/// The factors that differ from the default.
fn factors(fudge: &Fudge) -> Vec<Vec<u8>> {
    let mut factors: Vec<Vec<u8>> = Vec::new();
    for (name, value) in [("time1", fudge.time1.get()), ("time2", fudge.time2.get())] {
        if value != 0.0 {
            factors.push(format!("{name} {}", number(value)).into_bytes());
        }
    }
    if let Some(stratum) = fudge.stratum {
        factors.push(format!("stratum {}", stratum.get()).into_bytes());
    }
    if let Some(refid) = fudge.refid {
        // Spaces alone would end the line; what is behind the fourth character does not count.
        let blank = refid.text().trim_ascii().is_empty();
        let text = if blank { [refid.text(), b"."].concat() } else { refid.text().to_vec() };
        factors.push([b"refid ", token(&text).as_slice()].concat());
    }
    for (flag, number) in fudge.flags.iter().zip(1..) {
        if *flag {
            factors.push(format!("flag{number} 1").into_bytes());
        }
    }
    factors.extend(fudge.min_jitter.map(|least| format!("minjitter {}", number(least.get())).into_bytes()));
    factors
}

/// The value, where it is not the default.
fn unless(default: f64, value: f64) -> Option<f64> {
    (value != default).then_some(value)
}

/// The bits of an address of the mask's family, and how many of them are for hosts, where those are the last ones.
fn prefix_of(mask: IpAddr) -> (u32, Option<u32>) {
    let (width, hosts) = match mask {
        IpAddr::V4(mask) => (32, u128::from(!mask.to_bits())),
        IpAddr::V6(mask) => (128, !mask.to_bits()),
    };
    let ones = hosts.trailing_ones();
    (width, (hosts.count_ones() == ones).then_some(ones))
}

const fn switches(enable: &Enable) -> [(&'static str, bool); 8] {
    [
        ("auth", enable.auth),
        ("bclient", enable.bclient),
        ("calibrate", enable.calibrate),
        ("kernel", enable.kernel),
        ("monitor", enable.monitor),
        ("ntp", enable.ntp),
        ("stats", enable.stats),
        ("fips-legacy", enable.fips_legacy),
    ]
}

fn option_of(family: Family) -> &'static [u8] {
    match family {
        Family::Any => b"",
        Family::V4 => b"-4",
        Family::V6 => b"-6",
    }
}

/// A token of `logconfig`, where `=` has no other meaning.
fn log_class(text: &str) -> Vec<u8> {
    match text.strip_prefix('=') {
        Some(rest) if token(rest.as_bytes()) == rest.as_bytes() => text.as_bytes().to_vec(),
        _ if text.starts_with('-') && !text.starts_with("-4") && !text.starts_with("-6") => text.into(),
        _ => token(text.as_bytes()),
    }
}

/// The number that reads as this threshold: a rate, such as 1e-7 for 0.1 ppm.
fn rate(threshold: Ppm) -> f64 {
    let near = threshold.get() / 1e6;
    let candidates = [near, near.next_up(), near.next_down(), near.next_up().next_up()];
    let reads = |rate: &f64| rate.is_finite() && Ppm::from_rate(*rate) == threshold;
    candidates.into_iter().find(reads).unwrap_or(near)
}

/// A number that ntpd 4.2.6 reads, too: with an exponent there must be a point.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 {
        // Without the sign of -0.0, which a whole number does not have.
        return "0".to_owned();
    }
    if (1e-9..1e15).contains(&size) {
        return value.to_string();
    }
    let text = format!("{value:e}");
    if text.contains('.') { text } else { text.replace('e', ".0e") }
}

/// Keys, three and more in a row as a range.
fn ranges(keys: &[KeyId]) -> Vec<String> {
    let runs = keys.chunk_by(|a, b| a.0.checked_add(1) == Some(b.0));
    runs.flat_map(|run| match run {
        [first, _, .., last] => vec![format!("( {} ... {} )", first.0, last.0)],
        _ => run.iter().map(|key| key.0.to_string()).collect(),
    })
    .collect()
}
