//! Our configuration as facts, to be compared with those of ntpd's dump.

use super::dump::{self, Facts, SETTINGS, number};
use rsntpd::config::model::{
    Config, Family, FilegenType, InterfaceAction, InterfaceMatch, Kind, Mru, Restrict, RestrictTarget,
    Server, StatKind, Target, Variable,
};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The facts of a configuration.
pub fn facts(config: &Config) -> Facts {
    let mut facts: Facts = config.servers.iter().map(server).collect();
    facts.extend(restricts(&config.restrict));
    facts.extend(settings(config));
    let e = &config.enable;
    for (name, on) in [
        ("auth", e.auth),
        ("bclient", e.bclient),
        ("calibrate", e.calibrate),
        ("kernel", e.kernel),
        ("monitor", e.monitor),
        ("ntp", e.ntp),
        ("stats", e.stats),
    ] {
        facts.push(format!("switch {name} {on}"));
    }
    for f in &config.statistics.filegens {
        facts.push(dump::filegen_fact(kind_of(f.kind), &f.file, rotation(f.rotation), f.link, f.enabled));
    }
    for (name, path) in [
        ("driftfile", &config.driftfile),
        ("leapfile", &config.leapfile),
        ("logfile", &config.logfile),
        ("pidfile", &config.pidfile),
        ("saveconfigdir", &config.saveconfigdir),
        ("keys", &config.auth.keys),
        ("statsdir", &config.statistics.dir),
    ] {
        facts.extend(path.as_ref().map(|path| format!("{name} {}", path.display())));
    }
    facts.extend(config.drift_threshold.map(|t| format!("threshold {}", number(t.get() / 1e6))));
    let (m, d) = (&config.mru, Mru::default());
    for (name, value, default) in [
        ("maxdepth", m.maxdepth, d.maxdepth),
        ("mindepth", m.mindepth, d.mindepth),
        ("maxage", m.maxage, d.maxage),
    ] {
        facts.extend((value != default).then(|| format!("mru {name} {value}")));
    }
    facts.extend(config.dscp.map(|code| format!("dscp {code}")));
    if !config.auth.trusted.is_empty() {
        let mut keys: Vec<String> = config.auth.trusted.iter().map(|key| key.0.to_string()).collect();
        keys.sort();
        facts.push(format!("trustedkey {}", keys.join(" ")));
    }
    for Variable { name, value, shown } in &config.setvar {
        facts.push(format!("setvar {name} = {value}{}", if *shown { " default" } else { "" }));
    }
    for (name, words) in [("interface", &interfaces(config)), ("logconfig", &config.logconfig)] {
        facts.extend((!words.is_empty()).then(|| dump::list_fact(name, words)));
    }
    facts.extend(config.reception.delay.map(|delay| format!("broadcastdelay {}", number(delay.get()))));
    facts.extend(idle(config));
    facts.sort();
    facts
}

/// The `interface` lines.
fn interfaces(config: &Config) -> Vec<String> {
    config
        .interfaces
        .iter()
        .map(|rule| {
            let action = match rule.action {
                InterfaceAction::Listen => "listen",
                InterfaceAction::Ignore => "ignore",
                InterfaceAction::Drop => "drop",
            };
            let which = match &rule.matches {
                InterfaceMatch::All => "all".to_owned(),
                InterfaceMatch::V4 => "ipv4".to_owned(),
                InterfaceMatch::V6 => "ipv6".to_owned(),
                InterfaceMatch::Wildcard => "wildcard".to_owned(),
                InterfaceMatch::Name(name) => name.clone(),
                InterfaceMatch::Address(address, length) => format!("{address}/{length}"),
            };
            format!("{action}/{which}")
        })
        .collect()
}

fn settings(config: &Config) -> Facts {
    let (o, t, d, k) = (&config.tos, &config.tinker, &config.discard, &config.auth);
    let key = |key: Option<rsntpd::units::KeyId>| key.map_or(f64::NAN, |key| key.0.into());
    let value = |command: &str, name: &str| match (command, name) {
        ("tos", "minclock") => o.minclock.into(),
        ("tos", "maxclock") => o.maxclock.into(),
        ("tos", "minsane") => o.minsane.into(),
        ("tos", "mindist") => o.mindist.get(),
        ("tos", "maxdist") => o.maxdist.get(),
        ("tos", "floor") => o.floor.into(),
        ("tos", "ceiling") => o.ceiling.into(),
        ("tos", "cohort") => u8::from(o.cohort).into(),
        ("tos", "orphan") => o.orphan.into(),
        ("tos", "orphanwait") => o.orphanwait.get(),
        ("tos", "beacon") => o.beacon.into(),
        ("tinker", "panic") => t.panic.get(),
        ("tinker", "step") => t.step.get(),
        ("tinker", "stepout") => t.stepout.get(),
        ("tinker", "dispersion") => t.dispersion.get(),
        ("tinker", "allan") => t.allan,
        ("tinker", "huffpuff") => t.huffpuff.get(),
        ("tinker", "freq") => t.freq.map_or(f64::NAN, rsntpd::units::Ppm::get),
        ("discard", "average") => d.average.into(),
        ("discard", "minimum") => d.minimum.into(),
        ("discard", "monitor") => d.monitor.into(),
        ("key", "controlkey") => key(k.control),
        ("key", "requestkey") => key(k.request),
        _ => panic!("no setting {command} {name}"),
    };
    SETTINGS.iter().map(|(c, n, ..)| format!("{c} {n} {}", number(value(c, n)))).collect()
}

fn server(server: &Server) -> String {
    let kind = match server.kind {
        Kind::Server => "server",
        Kind::Pool => "pool",
        Kind::Peer => "peer",
        Kind::Broadcast => "broadcast",
        Kind::ManycastClient => "manycastclient",
    };
    let family = match server.family {
        Family::Any => "",
        Family::V4 => "-4 ",
        Family::V6 => "-6 ",
    };
    let target = match &server.target {
        Target::Address(address) => address.to_string(),
        // An address with its link, which the reader of the dump leaves out.
        Target::Name(name) if name.contains(':') => name.split('%').next().unwrap_or_default().to_owned(),
        Target::Name(name) => format!("{family}{name}"),
        Target::LocalClock { unit } => format!("127.127.1.{unit}"),
        Target::RefClock { kind, unit } => format!("127.127.{kind}.{unit}"),
    };
    let mut options: BTreeMap<String, String> = BTreeMap::new();
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
            options.insert(name.to_owned(), String::new());
        }
    }
    options.insert("minpoll".to_owned(), number(server.minpoll.get().into()));
    options.insert("maxpoll".to_owned(), number(server.maxpoll.get().into()));
    options.extend(server.ttl.map(|entry| ("ttl".to_owned(), number(entry.into()))));
    options.extend(server.key.map(|key| ("key".to_owned(), number(key.0.into()))));
    options.extend((server.version != 4).then(|| ("version".to_owned(), number(server.version.into()))));
    if server.device.mode != 0 {
        options.insert("mode".to_owned(), number(server.device.mode.cast_signed().into()));
    }
    for idle in &server.idle {
        let value = String::from_utf8_lossy(&idle.value).into_owned();
        options.insert(idle.option.to_owned(), value.parse().map_or(value, number));
    }
    let mut fudge = BTreeMap::new();
    for (name, value) in [("time1", server.fudge.time1), ("time2", server.fudge.time2)] {
        fudge.extend((value.get() != 0.0).then(|| (name.to_owned(), number(value.get()))));
    }
    fudge.extend(server.fudge.stratum.map(|s| ("stratum".to_owned(), number(s.get().into()))));
    let refid = server.fudge.refid.map(|id| String::from_utf8_lossy(id.text()).into_owned());
    fudge.extend(refid.map(|id| ("refid".to_owned(), id)));
    for (index, on) in server.fudge.flags.iter().enumerate() {
        fudge.extend(on.then(|| (format!("flag{}", index + 1), number(1.0))));
    }
    dump::server_fact(kind, &target, &options, &fudge)
}

/// Entries as ntpd makes them; their flags add up.
fn restricts(lines: &[Restrict]) -> Facts {
    let mut entries: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for line in lines {
        let (any4, any6) = (IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        let targets = match &line.target {
            RestrictTarget::Default(Family::Any) => vec![net(any4, any4), net(any6, any6)],
            RestrictTarget::Default(Family::V4) => vec![net(any4, any4)],
            RestrictTarget::Default(Family::V6) => vec![net(any6, any6)],
            RestrictTarget::Net { address, mask } => vec![net(*address, *mask)],
            RestrictTarget::Adds { address, mask } => vec![format!("adds {}", net(*address, *mask))],
            RestrictTarget::Name(name, _) => vec![name.clone()],
            RestrictTarget::Around { name, mask, .. } => vec![format!("{name} mask {mask}")],
            RestrictTarget::Source => vec!["source".to_owned()],
        };
        let port = if line.ntpport { " ntpport" } else { "" };
        for target in targets {
            entries.entry(format!("{target}{port}")).or_default().extend(line.flags.names());
        }
    }
    let fact = |(name, mut flags): (String, Vec<&str>)| {
        flags.sort_unstable();
        flags.dedup();
        format!("restrict {name}: {}", flags.join(" "))
    };
    entries.into_iter().map(fact).collect()
}

fn net(address: IpAddr, mask: IpAddr) -> String {
    match (address, mask) {
        (IpAddr::V4(a), IpAddr::V4(m)) => format!("{} mask {m}", a & m),
        (IpAddr::V6(a), IpAddr::V6(m)) => format!("{} mask {m}", a & m),
        _ => panic!("two families"),
    }
}

const fn kind_of(kind: StatKind) -> &'static str {
    match kind {
        StatKind::Clock => "clockstats",
        StatKind::Crypto => "cryptostats",
        StatKind::Loop => "loopstats",
        StatKind::Peer => "peerstats",
        StatKind::Proto => "protostats",
        StatKind::Raw => "rawstats",
        StatKind::Sys => "sysstats",
        StatKind::Nts => "ntsstats",
        StatKind::NtsKe => "ntskestats",
        StatKind::Timing => "timingstats",
    }
}

const fn rotation(rotation: FilegenType) -> &'static str {
    match rotation {
        FilegenType::None => "none",
        FilegenType::Pid => "pid",
        FilegenType::Day => "day",
        FilegenType::Week => "week",
        FilegenType::Month => "month",
        FilegenType::Year => "year",
        FilegenType::Age => "age",
    }
}

/// What changes nothing and is kept; of words in quotes the quotes do not count.
fn idle(config: &Config) -> Facts {
    let mut facts = Facts::new();
    let mut lists: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for idle in &config.idle {
        let value = String::from_utf8_lossy(&idle.value).replace('"', "");
        match idle.command {
            "ttl" | "phone" | "manycastserver" | "multicastclient" | "broadcastclient" => {
                lists.entry(idle.command).or_default().extend(value.split(' ').map(str::to_owned));
            }
            "trap" => {
                let mut words: Vec<&str> = value.split(' ').collect();
                words.sort_unstable();
                facts.push(format!("trap {}", words.join(" ")));
            }
            _ => {
                let name = format!("{} {}", idle.command, idle.option);
                let value = value.parse().map_or(value, number);
                facts.push(format!("{} {value}", name.trim_end()));
            }
        }
    }
    facts.extend(lists.iter().map(|(name, words)| dump::list_fact(name, words)));
    facts
}
