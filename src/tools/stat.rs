//! `rsntpstat`: whether the clock is synchronised, in the words and with the exit statuses of
//! CentOS's ntpstat.

use super::link::{Ask, Host, Link, Trouble};
use super::options;
use crate::config::model::Family;
use crate::wire::control::opcode;
use crate::wire::reply::Reply;
use crate::wire::status::SystemStatus;
use crate::wire::varlist::VarList;
use clap::{ArgMatches, Command, value_parser};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::time::Duration;

/// Synchronised, with everything known.
const SYNCHRONISED: u8 = 0;
/// Not synchronised, or something is missing.
const UNSYNCHRONISED: u8 = 1;
/// No response.
const UNKNOWN: u8 = 2;
/// A mistake on the command line.
const USAGE: u8 = 3;
/// ntpstat sends version 2 and waits a second.
const VERSION: u8 = 2;
const PATIENCE: Duration = Duration::from_secs(1);
/// Names of the clock source, by its number in the status word.
const SOURCES: [&str; 10] = [
    "unspecified",
    "atomic clock",
    "VLF radio",
    "HF radio",
    "UHF radio",
    "local net",
    "NTP server",
    "UDP/TIME",
    "wristwatch",
    "modem",
];
const NTP_SERVER: u16 = 6;
const RESTARTING: u16 = 1;

/// The command line.
#[must_use]
pub fn command() -> Command {
    options::command(
        "rsntpstat",
        "rsntpstat shows whether the system clock is synchronised, and its maximum error.",
    )
    .after_help("Exit status: 0 synchronised, 1 not synchronised, 2 no response from the daemon, 3 usage.")
    .arg(
        options::valued(
            "maxerror",
            'm',
            "MS",
            "Report not synchronised if the maximum error exceeds MS milliseconds",
        )
        .value_parser(value_parser!(f64)),
    )
    .arg(clap::Arg::new("host").value_name("HOST").help("Host to query, default localhost"))
}

/// Runs it.
#[must_use]
pub fn main(args: &[OsString]) -> u8 {
    let matches = match options::parse(command(), args, USAGE) {
        Ok(matches) => matches,
        Err(code) => return code,
    };
    run(&matches)
}

fn run(matches: &ArgMatches) -> u8 {
    let host = matches.get_one::<String>("host").map_or("localhost", String::as_str);
    let host = match Host::find(host, Family::Any) {
        Ok(host) => host,
        Err(why) => {
            super::complain(&format!("rsntpstat: {why}\n"));
            return UNKNOWN;
        }
    };
    let mut link = Link::new(host);
    link.version = VERSION;
    link.timeout = PATIENCE;
    match link.ask(&Ask::new(opcode::READ_VARIABLES, 0, b"")) {
        Ok(reply) => {
            let (text, code) = report(&reply, matches.get_one::<f64>("maxerror").copied());
            super::say(&text);
            code
        }
        Err(trouble) => {
            super::complain(match trouble {
                Trouble::Refused => "Unable to talk to NTP daemon. Is it running?\n",
                Trouble::Silent { .. } => "timeout\n",
                Trouble::Server(_) => "return data appears to be invalid based on status word\n",
                Trouble::Socket(_) | Trouble::NoHost(_) | Trouble::Cannot(_) => {
                    "unable to send command to NTP port\n"
                }
            });
            UNKNOWN
        }
    }
}

/// The report, and what to exit with.
#[must_use]
pub fn report(reply: &Reply, maxerror: Option<f64>) -> (String, u8) {
    let vars = VarList::parse(&reply.data);
    let status = SystemStatus(reply.status);
    let mut text = String::new();
    let mut code = SYNCHRONISED;
    let error = correct_within(&vars);
    let too_wrong = matches!((error, maxerror), (Some(error), Some(most)) if error > most);
    if status.leap() == 3 || too_wrong {
        text.push_str("unsynchronised\n");
        if status.leap() == 3 && status.event() == RESTARTING {
            text.push_str("  time server re-starting\n");
        }
        code = UNSYNCHRONISED;
    } else {
        text.push_str("synchronised to ");
        text.push_str(SOURCES.get(usize::from(status.source())).unwrap_or(&"unknown source"));
        if status.source() == NTP_SERVER {
            let address = vars.get("refid").filter(|refid| !refid.is_empty());
            let _ = write!(text, " ({})", address.unwrap_or("<IP unknown>"));
        }
        match vars.get("stratum") {
            Some(stratum) => {
                let _ = writeln!(text, " at stratum {stratum} ");
            }
            None => {
                text.push_str(", stratum unknown\n");
                code = UNSYNCHRONISED;
            }
        }
        if let Some(error) = error {
            let _ = writeln!(text, "   time correct to within {error:.0} ms");
        } else {
            text.push_str("accuracy unknown\n");
            code = UNSYNCHRONISED;
        }
    }
    match vars.integer("tc").and_then(|tc| u32::try_from(tc).ok()).and_then(|tc| 1u64.checked_shl(tc)) {
        Some(seconds) => {
            let _ = writeln!(text, "   polling server every {seconds} s");
        }
        None => {
            text.push_str("poll interval unknown\n");
            code = UNSYNCHRONISED;
        }
    }
    (text, code)
}

/// The largest error, ms: root dispersion and half the root delay.
fn correct_within(vars: &VarList) -> Option<f64> {
    let dispersion = vars.number("rootdisp").or_else(|| vars.number("rootdispersion"))?;
    Some(dispersion + vars.number("rootdelay")? / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Leap;

    fn reported(status: u16, data: &str, maxerror: Option<f64>) -> (String, u8) {
        let reply = Reply { leap: Leap::None, status, association: 0, data: data.as_bytes().to_vec() };
        report(&reply, maxerror)
    }

    #[test]
    fn synchronised_and_how_well() {
        let data = "stratum=3, rootdelay=12.000, rootdisp=40.4, refid=192.0.2.7, tc=7, mintc=3";
        let expected = "synchronised to NTP server (192.0.2.7) at stratum 3 \n   \
                        time correct to within 46 ms\n   polling server every 128 s\n";
        assert_eq!(reported(0x0615, data, None), (expected.to_owned(), 0));
        assert_eq!(reported(0x0615, data, Some(46.0)).1, 1);
        assert_eq!(reported(0x0615, data, Some(47.0)).1, 0);
        assert!(reported(0x0515, data, None).0.starts_with("synchronised to local net at stratum 3 \n"));
        assert!(reported(0x3f15, data, None).0.starts_with("synchronised to unknown source at"));
    }

    #[test]
    fn unsynchronised_and_what_is_missing() {
        assert_eq!(
            reported(0xc511, "tc=6", None),
            ("unsynchronised\n  time server re-starting\n   polling server every 64 s\n".to_owned(), 1)
        );
        assert_eq!(
            reported(0xc016, "tc=3", None),
            ("unsynchronised\n   polling server every 8 s\n".to_owned(), 1)
        );
        let expected = "synchronised to NTP server (<IP unknown>), stratum unknown\naccuracy unknown\n\
                        poll interval unknown\n";
        assert_eq!(reported(0x0615, "tc=x", None), (expected.to_owned(), 1));
        assert_eq!(reported(0x0615, "tc=64", None).1, 1);
    }
}
