//! `rsntpq metrics`: the daemon's state as Prometheus text, for node_exporter's textfile collector.
//! docs/metrics.md explains every metric; a test holds the two together.

mod security;

use super::fetch::{self, Source, Which};
use super::nts;
use super::peers::refid;
use crate::config::model::Family;
use crate::sys::clock;
use crate::tools::link::{Host, Link, Trouble};
use crate::tools::options;
use crate::units::NtpTimestamp;
use crate::wire::counter::Counter;
use crate::wire::status::SystemStatus;
use crate::wire::varlist::VarList;
use clap::{Arg, Command, value_parser};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The file cannot be written, or a usage error. A daemon that does not respond is a
/// metric of its own.
const FAILED: u8 = 1;

/// A metric: name, type, help.
pub type Metric = (&'static str, &'static str, &'static str);

/// Of the system: its variable, and what its value is to be multiplied by.
const SYSTEM: &[(Metric, &str, f64)] = &[
    (("rsntp_stratum", "gauge", "Stratum of the daemon; 16 is not synchronised."), "stratum", 1.0),
    (("rsntp_leap", "gauge", "Leap bits: 0 none, 1 insert, 2 delete, 3 not synchronised."), "leap", 1.0),
    (("rsntp_offset_seconds", "gauge", "Combined offset of the sources."), "offset", 1e-3),
    (("rsntp_frequency_ppm", "gauge", "Frequency correction of the clock."), "frequency", 1.0),
    (("rsntp_wander_ppm", "gauge", "Frequency wander (RMS change)."), "clk_wander", 1.0),
    (("rsntp_system_jitter_seconds", "gauge", "Combined jitter of the sources."), "sys_jitter", 1e-3),
    (("rsntp_clock_jitter_seconds", "gauge", "Jitter of the clock."), "clk_jitter", 1e-3),
    (
        ("rsntp_root_delay_seconds", "gauge", "Total round-trip delay to the reference clock."),
        "rootdelay",
        1e-3,
    ),
    (
        ("rsntp_root_dispersion_seconds", "gauge", "Total dispersion to the reference clock."),
        "rootdisp",
        1e-3,
    ),
];
/// Counters of packets by the label `kind`.
const PACKETS: &[(&str, Counter)] = &[
    ("received", Counter::Received),
    ("current_version", Counter::ThisVersion),
    ("older_version", Counter::OldVersion),
    ("bad_format", Counter::BadFormat),
    ("bad_authentication", Counter::BadAuth),
    ("declined", Counter::Declined),
    ("restricted", Counter::Restricted),
    ("limited", Counter::Limited),
    ("kiss_of_death", Counter::KissSent),
    ("processed", Counter::Processed),
];
const UP: Metric = ("rsntp_up", "gauge", "Whether the daemon responded.");
const INFO: Metric = ("rsntp_info", "gauge", "Version and system of the daemon, in labels.");
const SYNCHRONISED: Metric = ("rsntp_synchronised", "gauge", "Whether the clock is synchronised.");
const REFERENCE_AGE: Metric =
    ("rsntp_reference_age_seconds", "gauge", "Seconds since the clock was last updated.");
const POLL: Metric = ("rsntp_poll_seconds", "gauge", "Poll interval of the clock discipline.");
const UPTIME: Metric = ("rsntp_uptime_seconds", "counter", "Seconds since the daemon started.");
const PACKETS_TOTAL: Metric = ("rsntp_packets_total", "counter", "Packets by kind.");
const CLIENTS: Metric = ("rsntp_clients", "gauge", "Clients in the table of recently seen clients.");
const SOURCE_STATE: Metric = (
    "rsntp_source_state",
    "gauge",
    "Selection: 0 reject, 1 falsetick, 2 excess, 3 outlier, 4 candidate, 5 backup, 6 sys.peer, 7 pps.peer.",
);
const SOURCE_REACH: Metric =
    ("rsntp_source_reach_ratio", "gauge", "Share of the last 8 polls with a response.");
const SOURCE_HEARD: Metric =
    ("rsntp_source_last_heard_seconds", "gauge", "Seconds since the last response of the source.");
const SOURCE: &[(Metric, &str, f64)] = &[
    (("rsntp_source_stratum", "gauge", "Stratum of the source."), "stratum", 1.0),
    (("rsntp_source_offset_seconds", "gauge", "Offset of the source from the system clock."), "offset", 1e-3),
    (("rsntp_source_delay_seconds", "gauge", "Round-trip delay to the source."), "delay", 1e-3),
    (("rsntp_source_jitter_seconds", "gauge", "Jitter of the source."), "jitter", 1e-3),
    (("rsntp_source_dispersion_seconds", "gauge", "Dispersion of the source."), "dispersion", 1e-3),
];

/// All metrics there are.
#[must_use]
pub fn all() -> Vec<Metric> {
    let rest = [UP, INFO, SYNCHRONISED, REFERENCE_AGE, POLL, UPTIME, PACKETS_TOTAL, CLIENTS];
    let sources = [SOURCE_STATE, SOURCE_REACH, SOURCE_HEARD];
    let tables = SYSTEM.iter().chain(SOURCE).map(|(metric, ..)| *metric);
    rest.into_iter().chain(sources).chain(tables).chain(security::ALL).collect()
}

/// The command line.
#[must_use]
pub fn command() -> Command {
    options::command("rsntpq metrics", "rsntpq metrics prints the state of the daemon in the Prometheus text format.")
        .override_usage("rsntpq metrics [--out FILE] [HOST]")
        .after_help("If the daemon does not respond, rsntp_up is 0.\n\nExit status: 0, or 1 if the file could not be written.")
        .arg(
            Arg::new("out")
                .long("out")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Write to FILE, atomically, instead of standard output"),
        )
        .arg(Arg::new("host").value_name("HOST").help("Host to query, default localhost"))
}

/// Runs it.
#[must_use]
pub fn main(args: &[OsString]) -> u8 {
    let matches = match options::parse(command(), args, FAILED) {
        Ok(matches) => matches,
        Err(code) => return code,
    };
    let host = matches.get_one::<String>("host").map_or("localhost", String::as_str);
    let text = match read(host) {
        Ok(state) => render(&state, clock::wall()),
        Err(trouble) => {
            crate::tools::complain(&format!("{trouble}\n"));
            let mut out = Text::default();
            out.metric(UP, &[(String::new(), 0.0)]);
            out.0
        }
    };
    let Some(file) = matches.get_one::<PathBuf>("out") else {
        crate::tools::say(&text);
        return 0;
    };
    match replace(file, &text) {
        Ok(()) => 0,
        Err(error) => {
            crate::tools::complain(&format!("rsntpq: {}: {error}\n", file.display()));
            FAILED
        }
    }
}

/// Whoever reads the file meanwhile sees the old or the new one.
pub(super) fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let mut aside = file.as_os_str().to_owned();
    aside.push(format!(".{}", std::process::id()));
    std::fs::write(&aside, text)?;
    std::fs::rename(&aside, file).inspect_err(|_| {
        let _the_first_error_counts = std::fs::remove_file(&aside);
    })
}

/// What was read.
#[derive(Clone, PartialEq, Debug)]
pub struct State {
    /// The system's status word.
    pub status: SystemStatus,
    /// Its variables.
    pub system: VarList,
    /// Counters; empty where the server has none.
    pub counters: VarList,
    /// Those of NTS, likewise.
    pub nts: VarList,
    /// The sources.
    pub sources: Vec<Source>,
}

fn read(host: &str) -> Result<State, Trouble> {
    let mut link = Link::new(Host::find(host, Family::Any).map_err(Trouble::NoHost)?);
    let system = fetch::variables(&mut link, 0, "")?;
    let packets = PACKETS.iter().map(|(_, counter)| counter.name());
    let names: Vec<&str> = packets.chain(["ss_uptime", "mru_depth"]).collect();
    // Daemons before 4.2.7 have no counters to read, and most have none of NTS.
    let counters = if_there(fetch::named_variables(&mut link, 0, &names).map(|found| found.list))?;
    let nts = if_there(nts::counters(&mut link))?;
    let mut sources = fetch::sources(&mut link, Which::InUse)?;
    nts::add_details(&mut link, &mut sources)?;
    Ok(State { status: SystemStatus(system.status), system: system.list, counters, nts, sources })
}

/// Nothing where the server does not have it.
fn if_there(found: Result<VarList, Trouble>) -> Result<VarList, Trouble> {
    match found {
        Err(Trouble::Server(_)) => Ok(VarList::default()),
        other => other,
    }
}

/// The text.
#[must_use]
pub fn render(state: &State, now: NtpTimestamp) -> String {
    let mut out = Text::default();
    let one = |value: f64| vec![(String::new(), value)];
    out.metric(UP, &one(1.0));
    let info = ["version", "system", "processor"]
        .map(|name| label(name, state.system.get(name).unwrap_or_default()));
    out.metric(INFO, &[(format!("{{{}}}", info.join(",")), 1.0)]);
    out.metric(SYNCHRONISED, &one(f64::from(u8::from(state.status.leap() != 3))));
    for (metric, name, factor) in SYSTEM {
        if let Some(value) = state.system.number(name) {
            out.metric(*metric, &one(value * factor));
        }
    }
    if let Some(stamp) = state.system.timestamp("reftime").filter(|stamp| !stamp.is_zero()) {
        out.metric(REFERENCE_AGE, &one((now - stamp).to_seconds().get()));
    }
    if let Some(exponent) = state.system.number("tc") {
        out.metric(POLL, &one(exponent.clamp(0.0, 32.0).exp2()));
    }
    if let Some(uptime) = state.counters.number("ss_uptime") {
        out.metric(UPTIME, &one(uptime));
    }
    let packets = PACKETS.iter().filter_map(|(kind, counter)| {
        Some((format!("{{{}}}", label("kind", kind)), state.counters.number(counter.name())?))
    });
    out.metric(PACKETS_TOTAL, &packets.collect::<Vec<_>>());
    if let Some(clients) = state.counters.number("mru_depth") {
        out.metric(CLIENTS, &one(clients));
    }
    security::counted(&mut out, &state.nts);
    sources(&mut out, &state.sources, now);
    out.0
}

fn sources(out: &mut Text, sources: &[Source], now: NtpTimestamp) {
    let rows = |value: &dyn Fn(&Source) -> Option<f64>| -> Vec<(String, f64)> {
        sources.iter().filter_map(|source| Some((labels(source), value(source)?))).collect()
    };
    out.metric(SOURCE_STATE, &rows(&|s| Some(f64::from(s.listed.status.selection()))));
    out.metric(SOURCE_REACH, &rows(&|s| Some(f64::from(s.reach.count_ones()) / 8.0)));
    out.metric(SOURCE_HEARD, &rows(&|s| s.when(now).map(|seconds| seconds as f64)));
    for (metric, name, factor) in SOURCE {
        out.metric(*metric, &rows(&|s| s.list.number(name).map(|value| value * factor)));
    }
    security::sources(out, sources);
}

/// A source without an address yet goes by its name, if the server reports it.
fn labels(source: &Source) -> String {
    let address = match (source.address, &source.host) {
        (Some(address), Some(host)) if address.is_unspecified() => host.clone(),
        (address, _) => address.map(|a| a.to_string()).unwrap_or_default(),
    };
    let id = source.listed.id.to_string();
    format!(
        "{{{},{},{}}}",
        label("source", &address),
        label("associd", &id),
        label("refid", &refid(&source.refid))
    )
}

fn label(name: &str, value: &str) -> String {
    format!("{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Text that grows by metrics.
#[derive(Default)]
struct Text(String);

impl Text {
    /// A metric with its values by their labels; nothing without values.
    fn metric(&mut self, (name, kind, help): Metric, values: &[(String, f64)]) {
        if values.is_empty() {
            return;
        }
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in values {
            let _ = writeln!(self.0, "{name}{labels} {value}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fetch::Listed;
    use super::*;
    use crate::wire::status::PeerStatus;

    #[test]
    fn what_a_daemon_says_becomes_metrics() {
        let list =
            VarList::parse(b"srcadr=192.0.2.1, refid=GPS, stratum=1, offset=-1.5, delay=20, reach=0x3f");
        let source = Source::new(Listed { id: 7, status: PeerStatus(0x963a) }, list);
        let state = State {
            status: SystemStatus(0x0615),
            system: VarList::parse(
                b"version=\"a\\b\", stratum=2, offset=-0.25, tc=6, reftime=0xeead8c50.00000000",
            ),
            counters: VarList::parse(b"ss_received=12"),
            nts: VarList::default(),
            sources: vec![source],
        };
        let text = render(&state, NtpTimestamp::from_bits(0xeead_8c60_0000_0000));
        for line in [
            "rsntp_up 1",
            "rsntp_synchronised 1",
            "rsntp_info{version=\"a\\\\b\",system=\"\",processor=\"\"} 1",
            "rsntp_offset_seconds -0.00025",
            "rsntp_poll_seconds 64",
            "rsntp_reference_age_seconds 16",
            "rsntp_packets_total{kind=\"received\"} 12",
            "rsntp_source_state{source=\"192.0.2.1\",associd=\"7\",refid=\".GPS.\"} 6",
            "rsntp_source_reach_ratio{source=\"192.0.2.1\",associd=\"7\",refid=\".GPS.\"} 0.75",
            "# TYPE rsntp_source_delay_seconds gauge",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("rsntp_frequency_ppm"), "a variable without a value is left out");
    }

    #[test]
    fn a_source_without_an_address_goes_by_its_name() {
        let of = |list: &str| {
            let listed = Listed { id: 7, status: PeerStatus(0x963a) };
            labels(&Source::new(listed, VarList::parse(list.as_bytes())))
        };
        let name = "srchost=\"ke.test\", refid=INIT";
        assert_eq!(
            of(&format!("srcadr=0.0.0.0, {name}")),
            "{source=\"ke.test\",associd=\"7\",refid=\".INIT.\"}"
        );
        assert_eq!(
            of(&format!("srcadr=192.0.2.1, {name}")),
            "{source=\"192.0.2.1\",associd=\"7\",refid=\".INIT.\"}"
        );
    }

    #[test]
    fn names_are_unique_and_well_formed() {
        let mut names: Vec<&str> = all().iter().map(|(name, ..)| *name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
        for (name, kind, help) in all() {
            assert!(name.starts_with("rsntp_") && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
            assert!(["gauge", "counter"].contains(&kind) && help.ends_with('.') && !help.contains('\n'));
            assert_eq!(kind == "counter", name.ends_with("_total") || name == "rsntp_uptime_seconds");
        }
    }
}
