//! The billboards: a line for each source of time.

use super::associations;
use super::commands::Result;
use super::console::{Console, Output};
use super::cooked::{cut, interval, iso, millis};
use super::fetch::{self, Source, Which, is_clock};
use super::names::clock_name;
use crate::units::NtpTimestamp;
use serde_json::json;
use std::fmt::Write as _;
use std::net::IpAddr;

/// Which columns.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `peers`.
    Usual,
    /// `opeers`.
    Old,
    /// `apeers`.
    Identified,
}

/// Columns of the remote host on a display of 80.
const REMOTE: usize = 15;
/// Columns that a wider display gives it at most, as NTPsec's ntpq does.
const REMOTE_MORE: usize = 24;

impl Form {
    /// The heads behind the remote host's.
    const fn head(self) -> &'static str {
        match self {
            Self::Usual => "       refid      st t when poll reach   delay   offset  jitter",
            Self::Old => "       local      st t when poll reach   delay   offset    disp",
            Self::Identified => "   refid   assid  st t when poll reach   delay   offset  jitter",
        }
    }
}

/// `peers`.
pub(super) fn peers(console: &mut Console, _: &[&str], _: &str) -> Result {
    show(console, Form::Usual, Which::InUse)
}

/// `lpeers`.
pub(super) fn lpeers(console: &mut Console, _: &[&str], _: &str) -> Result {
    show(console, Form::Usual, Which::All)
}

/// `opeers`.
pub(super) fn opeers(console: &mut Console, _: &[&str], _: &str) -> Result {
    show(console, Form::Old, Which::InUse)
}

/// `lopeers`.
pub(super) fn lopeers(console: &mut Console, _: &[&str], _: &str) -> Result {
    show(console, Form::Old, Which::All)
}

/// `apeers`.
pub(super) fn apeers(console: &mut Console, _: &[&str], _: &str) -> Result {
    show(console, Form::Identified, Which::InUse)
}

fn show(console: &mut Console, form: Form, which: Which) -> Result {
    let sources = fetch::sources(console.link()?, which)?;
    let now = console.now();
    if console.settings.json {
        let rows: Vec<_> = sources.iter().map(|source| data(console, source, now)).collect();
        return Ok(Output::Data(json!({ "peers": rows })));
    }
    if sources.is_empty() {
        return Ok(Output::Text(associations::none_returned(console)));
    }
    let width = console.host_column;
    let mut text = String::new();
    if width > 0 {
        let _ = write!(text, "{:<width$} ", "server");
    }
    let columns = remote_columns(console);
    let ruler = "=".repeat(78 + columns - REMOTE + if width > 0 { width + 1 } else { 0 });
    let _ = writeln!(text, "{:<columns$}{}\n{ruler}", "     remote    ", form.head());
    for source in &sources {
        if width > 0 {
            let _ = write!(text, "{:<width$} ", console.host());
        }
        row(&mut text, console, source, form, now);
    }
    Ok(Output::Text(text))
}

/// Columns of the remote host.
fn remote_columns(console: &Console) -> usize {
    REMOTE + usize::from(console.settings.width.unwrap_or(80)).saturating_sub(80).min(REMOTE_MORE)
}

fn row(text: &mut String, console: &mut Console, source: &Source, form: Form, now: NtpTimestamp) {
    let name = remote(console, source);
    let tally = source.listed.status.tally();
    let columns = remote_columns(console);
    if console.settings.wide && name.len() > columns {
        let _ = write!(text, "{tally}{name}\n{:1$}", "", columns + 2);
    } else {
        let _ = write!(text, "{tally}{:<columns$} ", cut(&name, columns));
    }
    let second = match form {
        Form::Old => local_address(source),
        Form::Usual | Form::Identified => refid(&source.refid),
    };
    let _ = match form {
        Form::Identified => write!(text, "{second:<9}{:<6}", source.listed.id),
        Form::Usual | Form::Old => write!(text, "{second:<15}"),
    };
    let last = match form {
        Form::Old => source.dispersion,
        Form::Usual | Form::Identified => source.jitter.or(source.dispersion),
    };
    let when = interval(source.when(now).unwrap_or(0));
    let poll = interval(source.poll);
    let _ = writeln!(
        text,
        " {:2} {} {:>4} {:>4}  {:3o}  {:>7} {:>8} {:>7}",
        source.stratum,
        source.kind,
        cut(&when, 4),
        cut(&poll, 4),
        source.reach,
        millis(source.delay),
        millis(source.offset),
        millis(last.unwrap_or(0.0)),
    );
}

/// The name of a source: the one it was configured by, which of a clock is its driver's; else that of its address; else its numbers.
pub(super) fn remote(console: &mut Console, source: &Source) -> String {
    let Some(address) = source.address else { return source.host.clone().unwrap_or_default() };
    // Some daemons have the address of a clock there.
    let is_name = |host: &&String| !is_clock(address) || host.parse::<IpAddr>().is_err();
    match source.host.as_ref().filter(is_name) {
        Some(host) if !console.names.numeric => host.clone(),
        _ => console.names.of(address),
    }
}

/// A reference identifier: four letters between dots, a clock's name, or an address.
pub(super) fn refid(sent: &str) -> String {
    match sent.parse::<IpAddr>() {
        Ok(address) if is_clock(address) => clock_name(address),
        Ok(address) => address.to_string(),
        // Also where nothing of it can be shown: columns are counted by scripts.
        Err(_) if sent.len() <= 4 => format!(".{sent}."),
        Err(_) => cut(sent, 15).to_owned(),
    }
}

/// The end of a local address differs more than its beginning.
fn local_address(source: &Source) -> String {
    let text = source.local.map(|address| address.to_string()).unwrap_or_default();
    text[text.len().saturating_sub(15)..].to_owned()
}

fn data(console: &mut Console, source: &Source, now: NtpTimestamp) -> serde_json::Value {
    let status = source.listed.status;
    json!({
        "associd": source.listed.id,
        "tally": status.tally().to_string(),
        "condition": status.condition(),
        "configured": status.configured(),
        "reachable": status.reachable(),
        "remote": remote(console, source),
        "address": source.address.map(|a| a.to_string()),
        "local_address": source.local.map(|a| a.to_string()),
        "refid": source.refid,
        "stratum": source.stratum,
        "type": source.kind.to_string(),
        "last_heard_utc": iso(source.heard),
        "when_s": source.when(now),
        "poll_s": source.poll,
        "reach": source.reach,
        "delay_ms": source.delay,
        "offset_ms": source.offset,
        "jitter_ms": source.jitter,
        "dispersion_ms": source.dispersion,
    })
}
