//! `rsntpq check`: one line for Nagios and compatible monitoring, with performance data and their exit
//! statuses.

use super::fetch::{self, Source, Which};
use crate::config::model::Family;
use crate::tools::link::{Host, Link, Trouble};
use crate::tools::options;
use crate::wire::status::SystemStatus;
use crate::wire::varlist::VarList;
use clap::{Arg, ArgMatches, Command, value_parser};
use std::ffi::OsString;
use std::fmt;
use std::time::Duration;

/// Exit statuses of plugins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Verdict {
    /// 0.
    Ok,
    /// 1.
    Warning,
    /// 2.
    Critical,
    /// 3: also a mistake on the command line.
    Unknown,
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// Limits. Times in seconds; `None` is not checked.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct Limits {
    /// Offset: warning and critical above.
    pub offset: (Option<f64>, Option<f64>),
    /// Jitter of the system.
    pub jitter: (Option<f64>, Option<f64>),
    /// Stratum.
    pub stratum: (Option<f64>, Option<f64>),
    /// Root distance: root dispersion and half the root delay.
    pub distance: (Option<f64>, Option<f64>),
    /// Fewest usable sources: critical below.
    pub min_sources: Option<u32>,
}

/// The text is no time that can be a limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoTime;

impl fmt::Display for NoTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a time such as 50ms or 0.05")
    }
}

impl std::error::Error for NoTime {}

/// A time with its unit: `50ms`, `100us`, `0.5s`, or seconds without one.
///
/// # Errors
/// [`NoTime`] for anything else, and for what is negative.
pub fn seconds(text: &str) -> Result<f64, NoTime> {
    let (number, factor) = match text {
        t if t.ends_with("ms") => (&t[..t.len() - 2], 1e-3),
        t if t.ends_with("us") => (&t[..t.len() - 2], 1e-6),
        t if t.ends_with("ns") => (&t[..t.len() - 2], 1e-9),
        t if t.ends_with('s') => (&t[..t.len() - 1], 1.0),
        t => (t, 1.0),
    };
    match number.trim().parse::<f64>() {
        Ok(value) if value.is_finite() && value >= 0.0 => Ok(value * factor),
        _ => Err(NoTime),
    }
}

/// The command line.
#[must_use]
pub fn command() -> Command {
    let time = |id: &'static str, help: &'static str| {
        Arg::new(id).long(id).value_name("TIME").value_parser(seconds).help(help)
    };
    let number = |id: &'static str, help: &'static str| {
        Arg::new(id).long(id).value_name("N").value_parser(value_parser!(u32)).help(help)
    };
    options::command("rsntpq check", "rsntpq check prints the state of the daemon in one line, as a Nagios plugin.")
        .override_usage("rsntpq check [OPTION]... [HOST]")
        .after_help("A TIME has a unit (50ms, 100us) or is in seconds.\n\nExit status: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.")
        .arg(time("max-offset", "CRITICAL above this offset"))
        .arg(time("warn-offset", "WARNING above this offset"))
        .arg(number("max-stratum", "CRITICAL above this stratum"))
        .arg(number("warn-stratum", "WARNING above this stratum"))
        .arg(time("max-jitter", "CRITICAL above this jitter"))
        .arg(time("warn-jitter", "WARNING above this jitter"))
        .arg(time("max-distance", "CRITICAL above this root distance"))
        .arg(time("warn-distance", "WARNING above this root distance"))
        .arg(number("min-sources", "CRITICAL with fewer usable sources"))
        .arg(time("timeout", "Response timeout, default 5 s"))
        .arg(Arg::new("host").value_name("HOST").help("Host to query, default localhost"))
}

/// Runs it.
#[must_use]
pub fn main(args: &[OsString]) -> u8 {
    let matches = match options::parse(command(), args, Verdict::Unknown as u8) {
        Ok(matches) => matches,
        Err(code) => return code,
    };
    let limits = limits(&matches);
    let host = matches.get_one::<String>("host").map_or("localhost", String::as_str);
    let (verdict, text) = match ask(host, matches.get_one::<f64>("timeout").copied().unwrap_or(5.0)) {
        Ok((status, list, sources)) => judge(status, &list, &sources, &limits),
        Err(Trouble::NoHost(why)) => (Verdict::Unknown, why.to_string()),
        Err(Trouble::Cannot(why)) => (Verdict::Unknown, why),
        Err(trouble) => (Verdict::Critical, trouble.to_string().replace(['\n', '*'], " ").trim().to_owned()),
    };
    crate::tools::say(&format!("NTP {} - {text}\n", verdict.word()));
    verdict as u8
}

fn limits(matches: &ArgMatches) -> Limits {
    let time = |id: &str| matches.get_one::<f64>(id).copied();
    let number = |id: &str| matches.get_one::<u32>(id).map(|n| f64::from(*n));
    Limits {
        offset: (time("warn-offset"), time("max-offset")),
        jitter: (time("warn-jitter"), time("max-jitter")),
        stratum: (number("warn-stratum"), number("max-stratum")),
        distance: (time("warn-distance"), time("max-distance")),
        min_sources: matches.get_one::<u32>("min-sources").copied(),
    }
}

type Answers = (SystemStatus, VarList, Vec<Source>);

fn ask(host: &str, timeout: f64) -> Result<Answers, Trouble> {
    let mut link = Link::new(Host::find(host, Family::Any).map_err(Trouble::NoHost)?);
    link.timeout = Duration::from_secs_f64(timeout.clamp(0.01, 300.0));
    let system = fetch::variables(&mut link, 0, "")?;
    let sources = fetch::sources(&mut link, Which::InUse)?;
    Ok((SystemStatus(system.status), system.list, sources))
}

/// The verdict, and the line behind it without its word.
#[must_use]
pub fn judge(status: SystemStatus, list: &VarList, sources: &[Source], limits: &Limits) -> (Verdict, String) {
    let millis = |name: &str| list.number(name).map(|ms| ms / 1e3);
    let offset = millis("offset");
    let distance = match (millis("rootdelay"), millis("rootdisp")) {
        (Some(delay), Some(dispersion)) => Some(delay / 2.0 + dispersion),
        _ => None,
    };
    let stratum = list.number("stratum");
    let usable = sources.iter().filter(|s| s.listed.status.selection() >= 4).count();
    let values = [
        ("offset", "s", offset, limits.offset),
        ("jitter", "s", millis("sys_jitter"), limits.jitter),
        ("stratum", "", stratum, limits.stratum),
        ("distance", "s", distance, limits.distance),
    ];
    let mut verdict = Verdict::Ok;
    let mut parts = Vec::new();
    if status.leap() == 3 {
        verdict = Verdict::Critical;
        parts.push("not synchronised".to_owned());
    }
    let mut data = Vec::new();
    for (name, unit, value, (warn, most)) in values {
        let digits = if unit.is_empty() { 0 } else { 6 };
        let Some(value) = value else {
            if warn.is_some() || most.is_some() {
                verdict = verdict.max(Verdict::Unknown);
                parts.push(format!("{name} not available"));
            }
            continue;
        };
        let above = |limit: Option<f64>| limit.is_some_and(|limit| value.abs() > limit);
        let text = format!("{name} {value:.digits$}{}{unit}", if unit.is_empty() { "" } else { " " });
        if above(most) {
            verdict = verdict.max(Verdict::Critical);
            parts.push(format!("{text} exceeds the critical limit"));
        } else if above(warn) {
            verdict = verdict.max(Verdict::Warning);
            parts.push(format!("{text} exceeds the warning limit"));
        } else {
            parts.push(text);
        }
        let limit = |limit: Option<f64>| limit.map_or_else(String::new, |limit| limit.to_string());
        data.push(format!("{name}={value:.digits$}{unit};{};{}", limit(warn), limit(most)));
    }
    let few = limits.min_sources.is_some_and(|least| usable < least as usize);
    if few {
        verdict = verdict.max(Verdict::Critical);
    }
    parts.push(format!("{usable} of {} sources usable{}", sources.len(), if few { ", too few" } else { "" }));
    let least = limits.min_sources.map_or_else(String::new, |least| format!("{least}:"));
    data.push(format!("sources={usable};;{least};0;{}", sources.len()));
    (verdict, format!("{} | {}", parts.join(", "), data.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &[u8] = b"stratum=3, rootdelay=20.0, rootdisp=10.0, offset=-12.5, sys_jitter=0.5";

    fn judged(status: u16, list: &[u8], limits: &Limits) -> (Verdict, String) {
        judge(SystemStatus(status), &VarList::parse(list), &[], limits)
    }

    #[test]
    fn limits_make_the_verdict() {
        let with = |warn, most| Limits { offset: (warn, most), ..Limits::default() };
        assert_eq!(
            judged(0x0615, GOOD, &with(Some(0.01), Some(0.05))),
            (
                Verdict::Warning,
                "offset -0.012500 s exceeds the warning limit, jitter 0.000500 s, stratum 3, distance 0.020000 s, 0 of 0 sources \
                 usable | offset=-0.012500s;0.01;0.05 jitter=0.000500s;; stratum=3;; distance=0.020000s;; \
                 sources=0;;;0;0"
                    .to_owned()
            )
        );
        assert_eq!(judged(0x0615, GOOD, &with(None, Some(0.01))).0, Verdict::Critical);
        assert_eq!(judged(0x0615, GOOD, &Limits::default()).0, Verdict::Ok);
        assert_eq!(judged(0xc016, GOOD, &Limits::default()).0, Verdict::Critical);
        assert_eq!(judged(0x0615, b"", &with(None, Some(1.0))).0, Verdict::Unknown);
        let few = Limits { min_sources: Some(1), ..Limits::default() };
        assert_eq!(judged(0x0615, GOOD, &few).0, Verdict::Critical);
        let far = Limits { stratum: (Some(2.0), Some(4.0)), ..Limits::default() };
        assert_eq!(judged(0x0615, GOOD, &far).0, Verdict::Warning);
    }

    #[test]
    fn times_have_units() {
        assert_eq!(seconds("50ms"), Ok(0.05));
        assert!((seconds("100us").unwrap() - 1e-4).abs() < 1e-12);
        assert_eq!((seconds("0.5"), seconds("2s")), (Ok(0.5), Ok(2.0)));
        for bad in ["", "x", "-1", "nan", "1h", "ms"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
