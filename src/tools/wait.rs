//! `rsntp-wait`: waits until the daemon has synchronised the clock, as ntp-wait does.

use super::link::{Ask, Host, Link, Trouble};
use super::options::{self, flag, valued};
use crate::config::model::Family;
use crate::units::DAY;
use crate::wire::control::opcode;
use crate::wire::status::SystemStatus;
use clap::{ArgMatches, Command, value_parser};
use std::ffi::OsString;
use std::time::Duration;

/// Synchronised.
const DONE: u8 = 0;
/// Not within the tries, or no daemon is running.
const NOT: u8 = 1;
/// A mistake on the command line.
const USAGE: u8 = 2;
/// Response timeout.
const PATIENCE: Duration = Duration::from_secs(2);
const UNSYNCHRONISED: u16 = 3;

/// The command line.
#[must_use]
pub fn command() -> Command {
    options::command("rsntp-wait", "rsntp-wait waits until the NTP daemon has synchronised the clock.")
        .after_help("Exit status: 0 synchronised, 1 not synchronised after all tries or no daemon, 2 usage.")
        .arg(
            valued("tries", 'n', "N", "Number of tries, default 1000")
                .default_value("1000")
                .hide_default_value(true)
                .value_parser(value_parser!(u32).range(1..)),
        )
        .arg(
            valued("sleep", 's', "SECONDS", "Time between tries, default 6")
                .default_value("6")
                .hide_default_value(true)
                .value_parser(value_parser!(u32).range(1..=DAY)),
        )
        .arg(flag("verbose", 'v', "Print progress"))
        .arg(clap::Arg::new("host").value_name("HOST").help("Host to query, default localhost"))
}

/// Runs it.
#[must_use]
pub fn main(args: &[OsString]) -> u8 {
    match options::parse(command(), args, USAGE) {
        Ok(matches) => run(&matches),
        Err(code) => code,
    }
}

fn run(matches: &ArgMatches) -> u8 {
    let verbose = matches.get_flag("verbose");
    let progress = |text: &str| {
        if verbose {
            super::say(text);
        }
    };
    let host = matches.get_one::<String>("host").map_or("localhost", String::as_str);
    let host = match Host::find(host, Family::Any) {
        Ok(host) => host,
        Err(why) => {
            super::complain(&format!("rsntp-wait: {why}\n"));
            return NOT;
        }
    };
    let tries = matches.get_one::<u32>("tries").copied().unwrap_or(1000);
    let sleep = Duration::from_secs(matches.get_one::<u32>("sleep").copied().unwrap_or(6).into());
    progress("Waiting for ntpd to synchronize... ");
    for left in (0..tries).rev() {
        let mut link = Link::new(host.clone());
        link.timeout = PATIENCE;
        match link.ask(&Ask::new(opcode::READ_VARIABLES, 0, b"")) {
            Ok(reply) if SystemStatus(reply.status).leap() != UNSYNCHRONISED => {
                progress("\nOK!\n");
                return DONE;
            }
            Ok(_) => progress("."),
            // Without a daemon there is nothing to wait for. One that is silent may be starting.
            Err(Trouble::Refused) => {
                progress("\nntpd is not running\n");
                return NOT;
            }
            Err(Trouble::Cannot(why)) => {
                super::complain(&format!("rsntp-wait: {why}\n"));
                return NOT;
            }
            Err(_) => progress("?"),
        }
        if left > 0 {
            std::thread::sleep(sleep);
        }
    }
    progress("\nNo!\nntpd did not synchronize.\n");
    NOT
}
