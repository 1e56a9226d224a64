//! What can never be a host name, and what was probably meant.

use super::address::{address, on_link};
use super::diagnostic::quote;
use super::line::Advice;
use std::net::Ipv4Addr;

/// Longest host name and longest label of one, in bytes (RFC 1035).
const NAME_MAX: usize = 253;
const LABEL_MAX: usize = 63;

/// Why a name cannot be resolved, whatever the resolver knows.
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) advice: Advice,
}

/// What is wrong with a text that is no address and will be looked up as a host name. Names are not changed by it:
/// they are looked up all the same, as ntpd does, should the hosts file have such a one.
pub(super) fn fault(text: &[u8]) -> Option<Fault> {
    let expected = wrong(text).filter(|_| on_link(text).is_none())?;
    let meant = meant(text).filter(|meant| {
        meant.as_bytes() != text && (address(meant.as_bytes()).is_some() || wrong(meant.as_bytes()).is_none())
    });
    let message = format!("{} cannot be a host name", quote(text));
    Some(Fault { message, advice: Advice { expected: Some(expected.to_owned()), suggestion: meant } })
}

/// What is expected instead of a text that cannot be a name.
fn wrong(text: &[u8]) -> Option<&'static str> {
    let has = |byte: u8| text.contains(&byte);
    let name = text.strip_suffix(b".").unwrap_or(text);
    let labels = || name.split(|b| *b == b'.');
    let is_number = |label: &[u8]| label.iter().all(u8::is_ascii_digit) || label.starts_with(b"0x");
    if has(b',') {
        Some("one address or host name a line, and spaces between tokens")
    } else if text.windows(3).any(|w| w == b"://") {
        Some("an address or a host name, not a URL")
    } else if has(b'/') {
        Some("an address without a prefix length, or a host name")
    } else if has(b'=') {
        Some("a space instead of =")
    } else if text.iter().any(|b| b.is_ascii() && !b.is_ascii_alphanumeric() && !b"-._".contains(b)) {
        Some("letters, digits, hyphens and dots only")
    } else if name.first() == Some(&b'-') {
        Some("an address or a host name, which begins with a letter or digit")
    } else if labels().any(<[u8]>::is_empty) {
        Some("a host name without empty parts between dots")
    } else if name.len() > NAME_MAX || labels().any(|label| label.len() > LABEL_MAX) {
        Some("a host name of at most 253 characters, 63 between two dots")
    } else if labels().next_back().is_some_and(is_number) {
        Some("an IPv4 address of four numbers from 0 to 255, or a host name")
    } else {
        None
    }
}

/// The first name or address in the text, without what cannot belong to it.
fn meant(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok().filter(|text| !text.contains(char::is_control))?;
    let text = text.split_once("://").map_or(text, |(_, rest)| rest).trim_start_matches('=');
    let first = text.split([',', ';', '/', '=', '|', ' ']).find(|part| !part.is_empty())?;
    let bare = first.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let whole = bare.parse::<Ipv4Addr>().is_ok() || bare.bytes().any(|b| b.is_ascii_alphabetic());
    whole.then(|| bare.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c5_what_cannot_be_a_name_is_told_from_what_can() {
        let long = format!("{}.example", "a".repeat(64));
        let longer = "abcdefgh.".repeat(30);
        for bad in [
            "a,b",
            "192.0.2.1,",
            "10.0.0.1/24",
            "192.168.0.0./16",
            "=1.2.3.4",
            "name;",
            "a;b",
            "ntp://a.example",
            "user@host",
            "*.example",
            "a b",
            "a\r",
            "host=a",
            "a..b",
            ".a",
            "-4a",
            "--iburst",
            "192.168.0.256",
            "1.2.3.4.5",
            "10.0.0.1.",
            "a.example.7",
            "300.300.300.300",
            "(a)",
            "a|b",
            "a\u{1}",
            "$host",
            "{{ntp}}",
            "%eth0",
            "a/b",
            "\'a\'",
            &long,
            &longer,
        ] {
            assert!(fault(bad.as_bytes()).is_some(), "{bad}");
        }
        for good in [
            "a",
            "ntp.example",
            "ntp.example.",
            "0.pool.ntp.org",
            "a-b.example",
            "_ntp._udp.example",
            "3com",
            "1a",
            "10.example",
            "xn--p1ai",
            "NTP1",
            "a1.2b",
            "\u{8bbe}.example",
            "0.centos.pool.ntp.org",
        ] {
            assert!(fault(good.as_bytes()).is_none(), "{good}");
        }
    }

    #[test]
    fn what_was_meant_is_offered_only_where_it_would_work() {
        let meant = |text: &str| fault(text.as_bytes()).unwrap().advice.suggestion;
        assert_eq!(meant("name;").as_deref(), Some("name"));
        assert_eq!(meant("=1.2.3.4").as_deref(), Some("1.2.3.4"));
        assert_eq!(meant("10.0.0.1/24").as_deref(), Some("10.0.0.1"));
        assert_eq!(meant("192.168.0.0./16").as_deref(), Some("192.168.0.0"));
        assert_eq!(meant("http://ntp.example/x").as_deref(), Some("ntp.example"));
        assert_eq!(meant("a,b").as_deref(), Some("a"));
        assert_eq!(meant("192.168.0.256"), None);
        assert_eq!(meant("1.2.3.4.5"), None);
    }
}
