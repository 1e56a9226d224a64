//! `rsntptrace`: from a daemon to its system peer, and so on up to the reference clock.

use super::link::{Host, Link, Trouble};
use super::options::{self, flag, valued};
use super::query::fetch::{self, is_clock};
use super::query::names::Names;
use crate::config::model::Family;
use crate::wire::varlist::VarList;
use clap::{Command, value_parser};
use std::ffi::OsString;
use std::net::IpAddr;
use std::time::Duration;

/// The first host did not respond, or a usage error.
const FAILED: u8 = 1;
/// How long one host may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// The command line.
#[must_use]
pub fn command() -> Command {
    let command = options::command(
        "rsntptrace",
        "rsntptrace traces a chain of NTP servers to the primary source of time.",
    );
    options::without_effect(command, &[('d', "debug"), ('v', "verbose")], &[('t', "timeout")])
        .after_help("Exit status: 0, or 1 if the first host does not respond.")
        .arg(flag("numeric", 'n', "Show addresses instead of names"))
        .arg(
            valued("max-hosts", 'm', "N", "Maximum number of hosts to query, default 99")
                .default_value("99")
                .hide_default_value(true)
                .value_parser(value_parser!(u32).range(1..=1000)),
        )
        .arg(valued("host", 'r', "HOST", "Host to start at, same as the argument"))
        .arg(clap::Arg::new("first").value_name("HOST").help("Host to start at, default localhost"))
}

/// Runs it.
#[must_use]
pub fn main(args: &[OsString]) -> u8 {
    let matches = match options::parse(command(), args, FAILED) {
        Ok(matches) => matches,
        Err(code) => return code,
    };
    let first = matches.get_one::<String>("first").or_else(|| matches.get_one("host"));
    let first = first.map_or("localhost", String::as_str);
    let most = matches.get_one::<u32>("max-hosts").copied().unwrap_or(99);
    let mut names = if matches.get_flag("numeric") { Names::numeric() } else { Names::resolved() };
    let host = match Host::find(first, Family::Any) {
        Ok(host) => host,
        Err(why) => {
            super::complain(&format!("rsntptrace: {why}\n"));
            return FAILED;
        }
    };
    follow(host, most, &mut names)
}

fn follow(first: Host, most: u32, names: &mut Names) -> u8 {
    let (mut host, mut shown) = (first.clone(), first.name);
    let mut asked: Vec<std::net::SocketAddr> = Vec::new();
    for index in 0..most {
        asked.extend(host.addresses.iter().copied());
        let mut link = Link::new(host);
        link.timeout = PATIENCE;
        match step(&mut link, &shown) {
            Ok((line, next)) => {
                super::say(&line);
                let Some(next) = next.filter(|a| !is_clock(*a) && !a.is_unspecified()) else { return 0 };
                host = Host::at(std::net::SocketAddr::new(next, crate::units::NTP_PORT));
                // Two servers that are synchronized to each other would make an endless chain.
                if asked.contains(&host.addresses[0]) {
                    return 0;
                }
                shown = names.of(next);
            }
            Err(trouble) => {
                let what = match trouble {
                    Trouble::Silent { .. } => "timed out, nothing received".to_owned(),
                    other => other.to_string().trim_start_matches(['*']).to_owned(),
                };
                super::say(&format!("{shown}:\t*{what}*\n"));
                return if index == 0 { FAILED } else { 0 };
            }
        }
    }
    0
}

/// The line of a host, and the address of its system peer.
fn step(link: &mut Link, shown: &str) -> Result<(String, Option<IpAddr>), Trouble> {
    let system = fetch::variables(link, 0, "")?.list;
    let peer = system.integer("peer").and_then(|id| u16::try_from(id).ok()).filter(|id| *id != 0);
    let mut next = None;
    if let Some(peer) = peer {
        // A server without the variables of its system peer has reported its own at least.
        let reported = fetch::variables(link, peer, "srcadr").map(|found| found.list).unwrap_or_default();
        next = reported.get("srcadr").and_then(|address| address.parse().ok());
    }
    Ok((line(shown, &system), next))
}

fn line(shown: &str, system: &VarList) -> String {
    let seconds = |name| system.number(name).unwrap_or(0.0) / 1e3;
    let distance = seconds("rootdelay") / 2.0 + seconds("rootdisp");
    let stratum = system.integer("stratum").unwrap_or(16);
    let mut text =
        format!("{shown}: stratum {stratum}, offset {:.6}, synch distance {distance:.6}", seconds("offset"));
    if stratum == 1 {
        text.push_str(&format!(", refid '{}'", system.get("refid").unwrap_or_default()));
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_ntptrace() {
        let list = |text: &[u8]| VarList::parse(text);
        assert_eq!(
            line("a", &list(b"stratum=2, offset=-0.5, rootdelay=10.0, rootdisp=20.0, refid=192.0.2.1")),
            "a: stratum 2, offset -0.000500, synch distance 0.025000\n"
        );
        assert!(line("b", &list(b"stratum=1, refid=GPS")).ends_with(", refid 'GPS'\n"));
    }
}
