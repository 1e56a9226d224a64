//! Large and hostile files are read in bounded time and memory, and within a second: of processor time,
//! as other tests run beside this one.

use allocation_counter::measure;
use nix::time::{ClockId, clock_gettime};
use rsntpd::config::{Parsed, Style, parse};
use rsntpd::engine::server::access::AccessList;
use std::fmt::Write as _;
use std::path::Path;

/// Octets, at most, at any moment.
const MEMORY: u64 = 64 << 20;
/// Seconds of processor time.
const TIME: f64 = 1.0;

fn used() -> f64 {
    let now = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap();
    now.tv_sec() as f64 + now.tv_nsec() as f64 * 1e-9
}

/// Reads it; an includefile is the same text again.
fn bounded(name: &str, text: &[u8]) -> Parsed {
    let mut parsed = None;
    let before = used();
    let memory = measure(|| parsed = Some(parse(Path::new("big"), text, &mut |_| Ok(text.to_vec()))));
    let time = used() - before;
    println!("{name}: {time:.3} s, {} KiB", memory.bytes_max >> 10);
    assert!(time < TIME, "{name}: {time} s");
    assert!(memory.bytes_max < MEMORY, "{name}: {} octets", memory.bytes_max);
    parsed.unwrap()
}

#[test]
fn a_hundred_thousand_restrict_lines() {
    let mut text = String::new();
    for n in 0..100_000u32 {
        let [_, a, b, c] = n.to_be_bytes();
        let _ = writeln!(text, "restrict 10.{a}.{b}.{c} nomodify notrap");
    }
    let parsed = bounded("100,000 restrict lines", text.as_bytes());
    assert_eq!(parsed.config.restrict.len(), 100_000);
    let before = used();
    let list = AccessList::build(&parsed.config.restrict);
    let time = used() - before;
    assert!(time < TIME, "building the list: {time} s");
    assert!(!list.lookup("10.1.2.3:4000".parse().unwrap()).is_empty());
}

#[test]
fn one_line_of_a_megabyte() {
    for (name, unit) in [
        ("words", "server a "),
        ("one word", "x"),
        ("quotes", "\"\" "),
        ("braces", "{("),
        ("remark", "# "),
        ("octets", "\u{8bbe}"),
    ] {
        let text = unit.repeat((1 << 20) / unit.len());
        let parsed = bounded(&format!("a line of a megabyte, {name}"), text.as_bytes());
        let longest =
            parsed.diagnostics.iter().map(|found| found.render(Style::Plain).len()).max().unwrap_or(0);
        assert!(longest < 4000, "{name}: a finding of {longest} octets");
    }
}

#[test]
fn a_megabyte_of_short_lines() {
    for (name, line) in [
        ("errors", "bogus\n"),
        ("trusted keys", "trustedkey ( 1 ... 65535 )\n"),
        ("servers", "server a\n"),
        ("unpeer", "server a\nunpeer a\n"),
        ("fudge", "server 127.127.1.0\nfudge 127.127.1.0 stratum 3\n"),
        ("switches", "disable ntp\n"),
        ("crypto", "crypto pw a\n"),
        ("simulate", "simulate {\n"),
        ("empty", "\n"),
    ] {
        let text = line.repeat((1 << 20) / line.len());
        bounded(&format!("a megabyte of {name}"), text.as_bytes());
    }
}

#[test]
fn a_megabyte_of_noise() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let noise: Vec<u8> = (0..1 << 20)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect();
    bounded("noise", &noise);
    let words =
        ["server", "restrict", "default", "mask", "10.0.0.0", "key", "7", "\n", "\"", "tos", "(", "=", "-6"];
    let text: String = noise.iter().map(|b| format!("{} ", words[usize::from(*b) % words.len()])).collect();
    bounded("words at random", &text.as_bytes()[..1 << 20]);
}

#[test]
fn files_that_include_themselves() {
    bounded("a file that includes itself", b"server a\nincludefile x\n");
    bounded("and twice", b"includefile x\nincludefile x\n");
    let many = "includefile x\n".repeat(10_000);
    let parsed = bounded("and ten thousand times", many.as_bytes());
    assert!(parsed.diagnostics.iter().any(|found| found.message.contains("nested")));
}

#[test]
fn includefiles_that_are_not_there_count_too() {
    let text = "includefile absent\n".repeat(3_000);
    let mut opened = 0;
    let parsed = parse(Path::new("main"), text.as_bytes(), &mut |_| {
        opened += 1;
        Err("No such file".into())
    });
    assert_eq!(opened, 1_000);
    let last = parsed.diagnostics.last().unwrap();
    assert!(last.message.contains("too much has been included already"), "{}", last.message);
}
