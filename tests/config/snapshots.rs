//! Typical mistakes and what is said about them, in `diagnostics.txt`, to be read by people: each should
//! tell a tired administrator what to do. `UPDATE=1` writes it anew.

use rsntpd::config::{Style, parse};
use std::path::{Path, PathBuf};

/// Lines of the configuration begin with this.
const INPUT: &str = "| ";

/// What `inner.conf` holds.
const INNER: &[u8] = b"# the servers of this site\nserver 192.0.2.1 ibrust\n";

fn snapshots() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/diagnostics.txt")
}

/// The octets of a line; `\xNN` stands for one.
fn octets(line: &str) -> Vec<u8> {
    let mut parts = line.split("\\x");
    let mut out = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        out.push(u8::from_str_radix(&part[..2], 16).unwrap());
        out.extend(&part.as_bytes()[2..]);
    }
    out
}

/// What is said about a configuration.
fn told(text: &[u8]) -> String {
    let parsed = parse(Path::new("ntp.conf"), text, &mut |path| {
        if path == Path::new("inner.conf") {
            Ok(INNER.to_vec())
        } else {
            Err("No such file or directory".into())
        }
    });
    let findings = parsed.diagnostics.iter().chain(&parsed.lints);
    let shown: Vec<String> = findings.map(|found| found.render(Style::Plain).trim_end().to_owned()).collect();
    if shown.is_empty() { "(nothing)".to_owned() } else { shown.join("\n\n") }
}

#[test]
fn what_is_said_about_typical_mistakes() {
    let there = std::fs::read_to_string(snapshots()).unwrap();
    let mut made = String::new();
    let mut cases = 0;
    for case in there.split("=== ").skip(1) {
        let title = case.lines().next().unwrap_or_default();
        let input: Vec<&str> = case.lines().filter_map(|line| line.strip_prefix(INPUT)).collect();
        let text: Vec<u8> = input.iter().flat_map(|line| [octets(line), b"\n".to_vec()].concat()).collect();
        made += &format!("=== {title}\n");
        input.iter().for_each(|line| made += &format!("{INPUT}{line}\n"));
        made += &format!("\n{}\n\n", told(&text));
        cases += 1;
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(snapshots(), &made).unwrap();
    } else if made != there {
        let (old, new) = there.lines().zip(made.lines()).find(|(old, new)| old != new).unwrap_or(("", ""));
        panic!("not as in diagnostics.txt (UPDATE=1 writes it):\n{old}\n{new}");
    }
    assert!(cases > 20);
}
