//! Nothing fails open: whatever restrict lines a file has, every client that ntpd 4.2.6p5 restricts is restricted at
//! least as much. The exceptions stand in docs/differences.md: `restrict source`, and a mask behind a name with addresses
//! of both families.

use super::strict::{Entries, lines};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use rsntpd::config::model::{AccessFlags, RestrictTarget};
use rsntpd::config::parse;
use rsntpd::engine::server::access::AccessList;
use std::net::IpAddr;
use std::path::Path;

/// What the names of the generated lines lead to.
fn resolve(name: &str) -> Vec<IpAddr> {
    let found: &[&str] = match name {
        "four.example" => &["10.0.0.2", "10.9.9.9"],
        "six.example" => &["2001:db8::2"],
        "both.example" => &["10.0.1.1", "2001:db8:1::1"],
        "refclock" | "abbrev" | "1e5" => &["10.0.0.1"],
        _ => &[],
    };
    found.iter().map(|address| address.parse().unwrap()).collect()
}

/// The list that the daemon would have, once its names have been looked up.
fn ours(text: &str) -> AccessList {
    let config = parse(Path::new("/etc/ntp.conf"), text.as_bytes(), &mut |_| Err("none".into())).config;
    let mut list = AccessList::build(&config.restrict);
    for line in &config.restrict {
        if let RestrictTarget::Name(name, family) | RestrictTarget::Around { name, family, .. } = &line.target
        {
            let fitting: Vec<IpAddr> =
                resolve(name).into_iter().filter(|address| family.admits(*address)).collect();
            list.insert_resolved(&config.restrict, line, &fitting);
        }
    }
    list
}

/// The clients to ask about: near every address of the generated lines, and far from all.
const CLIENTS: [&str; 16] = [
    "10.0.0.0",
    "10.0.0.1",
    "10.0.0.2",
    "10.0.0.9",
    "10.0.1.1",
    "10.0.1.7",
    "10.9.9.9",
    "8.0.0.1",
    "192.0.2.1",
    "127.0.0.1",
    "2001:db8::",
    "2001:db8::1",
    "2001:db8::2",
    "2001:db8:1::1",
    "fe80::1",
    "2001:db9::1",
];

/// What ntpd forbids and we do not.
fn opened(text: &str) -> Vec<String> {
    let theirs = Entries::of(&lines(text.as_bytes()), &resolve);
    let list = ours(text);
    let mut opened = Vec::new();
    for client in CLIENTS {
        let address: IpAddr = client.parse().unwrap();
        for port in [123, 40_000] {
            let allowed = list.lookup((address, port).into());
            for flag in theirs.of_client(address, port) {
                let (_, wanted) = AccessFlags::NAMES.iter().find(|(word, _)| *word == flag).unwrap();
                if !allowed.contains(*wanted) {
                    opened.push(format!("{client} port {port}: {flag}"));
                }
            }
        }
    }
    opened
}

fn target() -> impl Strategy<Value = &'static str> {
    select(vec![
        "default",
        "-4 default",
        "-6 default",
        "\"default\"",
        "10.0.0.0",
        "10.0.0.1",
        "[10.0.0.1]",
        "10.0.0.1:123",
        "010.0.0.1",
        "0xa.1",
        "\"10\"",
        "10",
        "10.1",
        "10.0.0.0/8",
        "10.0.0.0/33",
        "10.0.0.1/32",
        "-4 10.0.0.1",
        "-6 10.0.0.1",
        "-6 010.0.0.1",
        "-4 2001:db8::1",
        "2001:db8::",
        "2001:db8::/32",
        "2001:db8::1",
        "[2001:db8::1]",
        "[2001:db8::1]:123",
        "[2001:db8::1",
        "-6 [2001:db8::1]x",
        "fe80::1%",
        "fe80::1%lo",
        "\"-6\" fe80::1",
        "\"-6x\" default",
        "four.example",
        "-6 four.example",
        "six.example",
        "-6 six.example",
        "both.example",
        "-4 both.example",
        "-6 both.example",
        "none.example",
        "refclock",
        "abbrev",
        "1e5",
        "ntp",
        "\"\" 10.0.0.1",
        "",
    ])
}

fn mask() -> impl Strategy<Value = &'static str> {
    let masks = select(vec![
        "mask 255.255.255.0",
        "mask 255.0.0.0",
        "mask 255.0.0.255",
        "mask 255.255.0",
        "mask 0.0.0.0",
        "mask ffff:ffff::",
        "mask [ffff::]:1",
        "mask ::",
        "mask 255",
        "mask none.example",
        "mask",
        "255.255.255.0",
    ]);
    prop_oneof![3 => Just(""), 3 => masks]
}

fn word() -> impl Strategy<Value = &'static str> {
    let flags = select(vec![
        "ignore",
        "noserve",
        "notrust",
        "nomodify",
        "noquery",
        "nopeer",
        "notrap",
        "limited",
        "kod",
        "version",
        "flake",
        "lowpriotrap",
        "mssntp",
        "ntpport",
        "ntpport",
    ]);
    let others = select(vec![
        "bogus",
        ",",
        "nomodify,ntpport",
        "noepeer",
        "nomrulist",
        "epeer",
        "ippeerlimit 3",
        "serverresponse fuzz",
        "server",
        "abbrev",
        "refid",
        "driftfile",
        "phone",
        "3",
        "0.5",
        "=",
        "\"nomodify\"",
        "\"\"",
        "\" \"",
        "10.0.0.2",
        "mask 255.0.0.0",
        "default",
        "# ignore",
        "\"",
        "允许",
        "-4",
    ]);
    prop_oneof![4 => flags, 1 => others]
}

fn line() -> impl Strategy<Value = String> {
    (target(), mask(), vec(word(), 0..4))
        .prop_filter("a mask behind a name of both families is an exception", |(target, mask, _)| {
            !target.ends_with("both.example") || !mask.starts_with("mask")
        })
        .prop_map(|(target, mask, words)| format!("restrict {target} {mask} {}\n", words.join(" ")))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn what_ntpd_restricts_is_restricted(lines in vec(line(), 1..5)) {
        let text = lines.concat();
        let opened = opened(&text);
        prop_assert!(opened.is_empty(), "{}{:?}\ntheirs {:?}", text, opened, super::strict::lines(text.as_bytes()));
    }
}

/// The test above can fail: these open what ntpd has closed, and are told by it.
#[test]
fn an_opening_is_found() {
    let theirs = Entries::of(&lines(b"restrict default ignore\nrestrict 10.0.0.1 nomodify"), &resolve);
    assert!(theirs.of_client("10.0.0.2".parse().unwrap(), 123).contains("ignore"));
    assert!(!theirs.of_client("10.0.0.1".parse().unwrap(), 123).contains("ignore"));
    assert!(opened("restrict default ignore\nrestrict source mask 255.0.0.0 nomodify").is_empty());
    assert!(!ours("restrict default nomodify").lookup("10.0.0.1:5".parse().unwrap()).is_empty());
}
