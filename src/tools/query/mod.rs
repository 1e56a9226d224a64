//! `rsntpq`: ntpq's command line, commands and screens, and what monitoring wants besides.
//!
//! | question | file |
//! |---|---|
//! | options, sessions | here, `session.rs` |
//! | which commands there are | `commands.rs`, `console.rs` |
//! | what is read from the server | `fetch.rs`, `mru.rs`, `ordered.rs` |
//! | how it looks | `peers.rs`, `associations.rs`, `variables.rs`, `summaries.rs`, `cooked.rs`, `names.rs`, `json.rs` |
//! | Network Time Security | `nts.rs` |
//! | changing something | `change.rs`, `local.rs` |
//! | monitoring | `check.rs`, `metrics.rs`, `watch/` |
//! | pages of charts | `report/` |

mod associations;
mod change;
pub mod check;
pub mod commands;
pub mod console;
pub mod cooked;
pub mod fetch;
mod json;
mod local;
pub mod metrics;
pub mod mru;
pub mod names;
pub mod nts;
mod ordered;
mod peers;
pub mod report;
mod session;
mod summaries;
mod variables;
pub mod watch;

use super::options::{self, flag, valued};
use crate::config::model::Family;
use crate::units::KeyId;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use console::{Console, Outcome, Settings};
use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::PathBuf;

/// Exit status after a mistake on the command line, or a command that failed.
const FAILED: u8 = 1;

const USAGE: &str = "rsntpq [OPTION]... [HOST]...
       rsntpq check [OPTION]... [HOST]
       rsntpq metrics [--out FILE] [HOST]
       rsntpq report [--out FILE] STATSDIR...
       rsntpq watch [OPTION]... [HOST]";
const AFTER: &str = "\
Without -c and -p, commands are read from standard input; `help' lists them. HOST may have a port
(HOST:PORT, [ADDRESS]:PORT). To query a host named check, metrics, report or watch, give its address.
See `rsntpq check --help' etc. for the other forms.

Exit status: 0, or 1 if a host did not respond or returned an error.";

/// Options of 4.2.8 and NTPsec about debugging, host names, units and sockets.
const NO_EFFECT: &[(char, &str)] = &[('s', "srcname"), ('S', "srcnumber"), ('u', "units")];
const NO_EFFECT_VALUES: &[(char, &str)] = &[('l', "logfile"), ('r', "refid")];

/// The command line.
#[must_use]
pub fn command() -> Command {
    let long =
        |id: &'static str, help: &'static str| Arg::new(id).long(id).action(ArgAction::SetTrue).help(help);
    let command = options::command("rsntpq", "rsntpq queries an NTP daemon about its state, as ntpq does.");
    options::without_effect(command, NO_EFFECT, NO_EFFECT_VALUES)
        .mut_arg("units", |units| units.alias("unconnected"))
        .override_usage(USAGE)
        .after_help(AFTER)
        .arg(flag("ipv4", '4', "Use IPv4 only").overrides_with("ipv6"))
        .arg(flag("ipv6", '6', "Use IPv6 only"))
        .arg(
            valued("authentication", 'a', "KEY", "Sign requests that change something with key number KEY")
                .value_parser(value_parser!(u32).range(1..=65_535)),
        )
        .arg(valued("command", 'c', "COMMAND", "Run a command; may be repeated").action(ArgAction::Append))
        .arg(flag("interactive", 'i', "Read commands from standard input after those of -c and -p"))
        .arg(long("json", "Print JSON, one line per command"))
        .arg(
            valued("keyfile", 'k', "FILE", "Keys file, default /etc/ntp/keys")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(flag("numeric", 'n', "Show addresses instead of names"))
        .arg(long("old-rv", "Print the status word before variables that are read by name").short('O'))
        .arg(flag("peers", 'p', "List the time sources, same as -c peers"))
        .arg(flag("wide", 'w', "Print long names on a line of their own"))
        .arg(
            valued("width", 'W', "N", "Display width in columns, default 80")
                .value_parser(value_parser!(u16)),
        )
        .arg(
            Arg::new("debug-level")
                .short('d')
                .long("debug-level")
                .action(ArgAction::Count)
                .help("Accepted for compatibility, no effect"),
        )
        .arg(
            Arg::new("set-debug-level")
                .short('D')
                .long("set-debug-level")
                .value_name("N")
                .help("Accepted for compatibility, no effect"),
        )
        .arg(Arg::new("hosts").value_name("HOST").num_args(0..).help("Hosts to query, default localhost"))
}

/// What the first word of a command line may be instead of a host: name, what it is for, what does it.
type Part = (&'static str, fn(&[OsString]) -> u8);
const PARTS: &[Part] =
    &[("check", check::main), ("metrics", metrics::main), ("report", report::main), ("watch", watch::main)];

/// Runs it.
#[must_use]
pub fn main(args: &[OsString]) -> u8 {
    let word = args.get(1).and_then(|word| word.to_str());
    if let Some((_, run)) = PARTS.iter().find(|(name, _)| word == Some(*name)) {
        return run(&args[1..]);
    }
    let matches = match options::parse(command(), args, FAILED) {
        Ok(matches) => matches,
        Err(code) => return code,
    };
    run(&matches)
}

fn settings(matches: &ArgMatches) -> Settings {
    Settings {
        family: match (matches.get_flag("ipv4"), matches.get_flag("ipv6")) {
            (true, _) => Family::V4,
            (_, true) => Family::V6,
            _ => Family::Any,
        },
        numeric: matches.get_flag("numeric"),
        wide: matches.get_flag("wide"),
        width: matches.get_one::<u16>("width").copied(),
        json: matches.get_flag("json"),
        old_rv: matches.get_flag("old-rv"),
        keys_file: matches.get_one::<PathBuf>("keyfile").cloned(),
        key: matches.get_one::<u32>("authentication").map(|id| KeyId(*id)),
        ..Settings::default()
    }
}

/// The commands of `-c` and `-p` in the order in which they were given.
fn commands_of(matches: &ArgMatches) -> Vec<String> {
    let mut all: Vec<(usize, String)> = Vec::new();
    if let (Some(places), Some(texts)) =
        (matches.indices_of("command"), matches.get_many::<String>("command"))
    {
        all.extend(places.zip(texts.cloned()));
    }
    if matches.get_flag("peers") {
        all.push((matches.index_of("peers").unwrap_or(0), "peers".to_owned()));
    }
    all.sort();
    all.into_iter().map(|(_, text)| text).collect()
}

fn run(matches: &ArgMatches) -> u8 {
    let mut hosts: Vec<String> = matches.get_many::<String>("hosts").into_iter().flatten().cloned().collect();
    if hosts.is_empty() {
        hosts.push("localhost".to_owned());
    }
    let commands = commands_of(matches);
    let mut console = Console::new(settings(matches));
    if hosts.len() > 1 {
        console.host_column = hosts.iter().map(String::len).max().unwrap_or(0);
    }
    if std::io::stdin().is_terminal() {
        console.ask_secret = Some(session::ask_secret);
    }
    let mut failed = false;
    for host in &hosts {
        match console.open(host) {
            Ok(()) => {}
            Err(trouble) => {
                print(&Outcome { err: format!("{trouble}\n"), ..Outcome::default() });
                failed = true;
                continue;
            }
        }
        for line in &commands {
            let outcome = console.run(line);
            print(&outcome);
            failed |= outcome.failed;
            if outcome.quit {
                return u8::from(failed) * FAILED;
            }
        }
        if commands.is_empty() {
            break;
        }
    }
    if commands.is_empty() || matches.get_flag("interactive") {
        failed |= session::run(&mut console);
    }
    u8::from(failed) * FAILED
}

/// Prints the output of a command; notes on standard error first, as ntpq does.
fn print(outcome: &Outcome) {
    if !outcome.failed {
        super::complain(&outcome.err);
    }
    super::say(&outcome.out);
    if outcome.failed {
        super::complain(&outcome.err);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_commands_is_kept() {
        let words = ["rsntpq", "-nc", "rv", "-p", "-c", "as", "a", "b"];
        let matches = command().try_get_matches_from(words).unwrap();
        assert_eq!(commands_of(&matches), ["rv", "peers", "as"]);
        assert!(settings(&matches).numeric);
        assert_eq!(matches.get_many::<String>("hosts").unwrap().count(), 2);
    }

    #[test]
    fn mistakes_are_told_without_asking_anybody() {
        let mut console = Console::new(Settings::default());
        for (line, complaint) in [
            ("xyzzy", "***Command `xyzzy' unknown"),
            ("rv x=", "***No host open"),
            ("timeout 0", "***Usage: timeout"),
            ("keyid 0", "***Usage: keyid"),
            ("writevar 0", "***Usage: writevar"),
            (":config", "***Usage: :config"),
            ("mrulist x", "***`x' is not understood"),
        ] {
            let outcome = console.run(line);
            assert!(outcome.failed && outcome.err.contains(complaint), "{line}: {}", outcome.err);
        }
        assert!(console.run("  ").out.is_empty() && console.run("quit").quit);
        assert!(console.run("help rv").out.contains("usage: rv"));
        assert_eq!(console.run("keytype aes").out, "");
        assert_eq!(console.run("keytype").out, "keytype is AES-128-CMAC with 16 octet digests\n");
    }
}
