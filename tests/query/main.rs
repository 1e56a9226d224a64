//! The companions against what the classic ones printed: the conversations of ../shared/data are
//! played back by a server that knows nothing else, and the screens compared octet by octet.
//! Without that folder these tests say that they were skipped.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on fails

mod capture;
mod companions;
mod documents;
mod replay;
mod security;

use capture::{Capture, Screen, captures};
use replay::Replay;
use rsntpd::tools::query::console::{Console, Settings};
use rsntpd::units::NtpTimestamp;
use std::process::Command;

/// Runs a companion as it is built and gives its two outputs, one after the other, and status.
fn tool(name: &str, args: &[&str]) -> (String, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rsntpq"));
    let output = command.args(["--tool", name]).args(args).env("TZ", "UTC").output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (String::from_utf8_lossy(&text).into_owned(), output.status.code())
}

#[test]
fn ntpstat_as_captured() {
    let mut compared = 0;
    for capture in captures() {
        for screen in capture.screens.iter().filter(|s| s.tool == "ntpstat") {
            let server = Replay::start(&capture);
            let (text, code) = tool("rsntpstat", &[&server.address()]);
            let text = format!("{text}exit status {}\n", code.unwrap());
            assert_eq!(text, screen.text, "{}: {}", capture.name, screen.command);
            compared += 1;
        }
    }
    capture::told("ntpstat", compared);
}

/// Screens that differ on purpose, see docs/differences.md: `&1` means an association without a list
/// that was asked for before.
const OTHERWISE: [&str; 2] = ["-c rv &1", "-c rv &2"];

/// The clock of the machine on which a list of sources was made: the time at which the first source
/// was heard, and what the column `when` says has passed since.
fn clock_of(capture: &Capture, screen: &Screen) -> Option<NtpTimestamp> {
    let row = screen.text.lines().nth(2)?;
    let when: u64 = row.split_whitespace().nth(4)?.parse().ok()?;
    let heard = answers_of(capture, screen).iter().flat_map(|(_, answers)| answers).find_map(|answer| {
        let text = String::from_utf8_lossy(answer).into_owned();
        let at = text.find("rec=0x")? + 6;
        u64::from_str_radix(text.get(at..at + 8)?, 16).ok()
    })?;
    Some(NtpTimestamp::from_bits((heard + when) << 32))
}

/// A screen without an exchange of its own was made from the same answers as others of its file.
fn answers_of<'a>(capture: &'a Capture, screen: &'a Screen) -> &'a [(Vec<u8>, Vec<Vec<u8>>)] {
    if screen.exchanges.is_empty() { &capture.answers } else { &screen.exchanges }
}

/// The same with the values that had moved on when this screen was made, as it shows them.
fn moved(capture: &Capture, screen: &Screen) -> Vec<(Vec<u8>, Vec<Vec<u8>>)> {
    let mut answers = answers_of(capture, screen).to_vec();
    if !screen.exchanges.is_empty() || !screen.text.contains("rootdisp=") {
        return answers;
    }
    for (name, prefix) in [("rootdisp=", ""), ("clock=", "0x"), ("reftime=", "0x")] {
        let shown = screen.text.split(name).nth(1).unwrap();
        let shown = format!("{prefix}{}", shown.split([',', ' ']).next().unwrap());
        for datagram in answers.iter_mut().flat_map(|(_, got)| got) {
            let find = |text: &[u8], what: &[u8]| text.windows(what.len()).position(|w| w == what);
            if let Some(at) = find(datagram, name.as_bytes()) {
                let start = at + name.len();
                datagram[start..start + shown.len()].copy_from_slice(shown.as_bytes());
            }
        }
    }
    answers
}

/// What ours prints for a captured command line, errors behind or before as in a terminal.
fn ours(capture: &Capture, screen: &Screen) -> String {
    let server = Replay::of(moved(capture, screen));
    let settings =
        Settings { numeric: screen.command == "-pn", now: clock_of(capture, screen), ..Settings::default() };
    let mut console = Console::new(settings);
    console.open(&server.address()).unwrap();
    let line = if screen.command == "-pn" { "peers" } else { screen.command.strip_prefix("-c ").unwrap() };
    let said = console.run(line);
    said.err + &said.out
}

/// The captures were made in UTC. (The console runs in this process, whose environment is given.)
fn in_utc() -> bool {
    chrono::Local::now().offset().local_minus_utc() == 0
}

#[test]
fn ntpq_as_captured() {
    let mut compared = 0;
    for capture in captures().iter().filter(|_| in_utc()) {
        for screen in capture.screens.iter().filter(|s| s.tool.starts_with("ntpq-")) {
            // That answer is in no file.
            let lost = screen.exchanges.is_empty() && screen.text.contains("device=");
            if lost || OTHERWISE.contains(&screen.command.as_str()) {
                continue;
            }
            let (tool, command) = (&screen.tool, &screen.command);
            assert_eq!(ours(capture, screen), screen.text, "{}: {tool} {command}", capture.name);
            compared += 1;
        }
    }
    if in_utc() {
        capture::told("ntpq", compared);
    } else {
        skip::because("the captures were made in UTC, and this machine has another time zone");
    }
}

#[test]
fn ntpstat_without_anybody_to_ask() {
    let (text, code) = tool("rsntpstat", &["127.0.0.1:9"]);
    assert_eq!((text.as_str(), code), ("Unable to talk to NTP daemon. Is it running?\n", Some(2)));
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let (text, code) = tool("rsntpstat", &[&silent.local_addr().unwrap().to_string()]);
    assert_eq!((text.as_str(), code), ("timeout\n", Some(2)));
    assert_eq!(tool("rsntpstat", &["--nonsense"]).1, Some(3));
}

#[test]
fn captures_are_understood() {
    for capture in captures() {
        assert!(capture.screens.len() > 10, "{}", capture.name);
        assert!(capture.answers.len() > 3, "{}", capture.name);
        let commands: Vec<&str> = capture.screens.iter().map(|s: &Screen| s.command.as_str()).collect();
        assert!(commands.contains(&"-c rv") && commands.contains(&"-pn"), "{commands:?}");
    }
}
