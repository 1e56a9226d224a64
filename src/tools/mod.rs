//! The command-line companions, one program: its name selects one (`rsntpq` and `ntpq`, …), as does
//! `rsntpq --tool NAME`. The daemon is another program, and nothing of this is linked into it.
//!
//! They query a daemon with mode 6 or time packets, as any other client: they know nothing of its inside.
//! Servers are not trusted: responses are bounded, and escaped for the terminal in `wire::varlist`.

pub mod date;
pub mod keygen;
pub mod link;
mod options;
pub mod query;
pub mod stat;
pub mod time;
pub mod trace;
pub mod wait;

use crate::sys::{clock, zone};
use crate::units::Companion;
use chrono::{DateTime, Local};
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::Path;

/// Runs a companion; `args` begin with the program's name. Gives what to exit with.
#[must_use]
pub fn run(companion: Companion, args: &[OsString]) -> u8 {
    if let Some(zone) = zone::forget_unreadable() {
        eprintln!("TZ={zone} names no file of a time zone: it is ignored");
    }
    match companion {
        Companion::Query => query::main(args),
        Companion::Stat => stat::main(args),
        Companion::Date => date::main(args),
        Companion::Wait => wait::main(args),
        Companion::Keygen => keygen::main(args),
        Companion::Time => time::main(args),
        Companion::Trace => trace::main(args),
    }
}

/// The companion that a command line is for, with its own command line: the one of `--tool NAME`, else the one
/// whose name the program has. Under any other name it is rsntpq.
#[must_use]
pub fn chosen(args: &[OsString]) -> (Companion, Vec<OsString>) {
    let named = |word: &OsStr| Path::new(word).file_name().and_then(OsStr::to_str).and_then(Companion::named);
    if let [_, option, name, ..] = args
        && option == "--tool"
        && let Some(companion) = named(name)
    {
        return (companion, args[2..].to_vec());
    }
    let own = args.first().and_then(|program| named(program));
    (own.unwrap_or(Companion::Query), args.to_vec())
}

/// Prints to standard output. A reader that closed its end early got what it wanted.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _reader_gone = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints to standard error.
fn complain(text: &str) {
    let _no_terminal = std::io::stderr().write_all(text.as_bytes());
}

/// The local time of the years 1 to 9999, whatever the clock shows: chrono's own reading of it panics before 1970.
fn local_time() -> DateTime<Local> {
    let (seconds, nanos) = clock::unix();
    let seconds = seconds.clamp(-62_135_596_800, 253_402_200_000);
    DateTime::from_timestamp(seconds, nanos).unwrap_or_default().with_timezone(&Local)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(words: &[&str]) -> (Companion, usize) {
        let args: Vec<OsString> = words.iter().map(OsString::from).collect();
        let (companion, rest) = chosen(&args);
        (companion, rest.len())
    }

    #[test]
    fn the_name_selects_the_companion() {
        assert_eq!(pick(&["/usr/sbin/ntpstat", "-h"]), (Companion::Stat, 2));
        assert_eq!(pick(&["rsntpstat"]), (Companion::Stat, 1));
        assert_eq!(pick(&["rsntpq", "--tool", "rsntpstat", "-h"]), (Companion::Stat, 2));
        for other in [&["rsntpq"][..], &["renamed"], &["rsntpq", "--tool"], &["rsntpq", "--tool", "x"], &[]] {
            assert_eq!(pick(other), (Companion::Query, other.len()));
        }
    }
}
