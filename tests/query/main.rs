//! The companions against what the classic ones printed: the conversations of ../shared/data are
//! played back by a server that knows nothing else, and the screens compared octet by octet.
//! Without that folder these tests say that they were skipped.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on fails

mod capture;
mod replay;

use capture::{Screen, captures};
use replay::Replay;
use std::process::Command;

/// Runs a companion of the shipped binary and gives its two outputs, one after the other, and status.
fn tool(name: &str, args: &[&str]) -> (String, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rsntpd"));
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
