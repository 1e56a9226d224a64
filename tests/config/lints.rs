//! What is reported about single lines and about the file as a whole. Each test is named after the row of the list of
//! faults that it keeps mended, and has more cases of the kind.

use super::read;
use rsntpd::config::{Diagnostic, Parsed, Severity, parse, parse_keys};
use std::path::Path;

/// All that is reported, in the order in which it is printed.
fn all(parsed: &Parsed) -> Vec<Diagnostic> {
    parsed.diagnostics.iter().chain(&parsed.lints).cloned().collect()
}

/// The findings that a person has to act on.
fn urgent(text: &str) -> Vec<Diagnostic> {
    all(&read(text)).into_iter().filter(|found| found.severity != Severity::Note).collect()
}

#[test]
fn c10_a_missing_value_is_marked_before_the_comment() {
    for (line, column) in [
        ("fudge 127.127.1.0 # the clock", 18),
        ("server 192.0.2.1 minpoll   # often", 25),
        ("setvar \"a # b\" # quoted", 15),
        ("keys#x", 5),
        ("restrict", 9),
    ] {
        let found = &read(line).diagnostics[0];
        assert_eq!((found.column, found.span.len()), (column, 0), "{line}: {}", found.log_line());
    }
}

#[test]
fn c12_a_keyword_and_its_value_are_set_apart() {
    for (line, wanted) in [
        ("server foo maxpoll4", "maxpoll 4"),
        ("server foo iburst minpoll6", "minpoll 6"),
        ("server foo key7", "key 7"),
        ("server foo version3", "version 3"),
        ("server foo key=7", "key 7"),
        ("server foo maxpoll=10", "maxpoll 10"),
        ("fudge 127.127.1.0 stratum10", "stratum 10"),
        ("tinker step0.5", "step 0.5"),
        ("tos minsane2", "minsane 2"),
        ("discard average5", "average 5"),
        ("driftfile/var/lib/ntp/drift", "driftfile /var/lib/ntp/drift"),
        ("server192.0.2.1", "server 192.0.2.1"),
        ("restrict10.0.0.1 nomodify", "restrict 10.0.0.1"),
        ("trustedkey7", "trustedkey 7"),
        ("keys=/etc/ntp/keys", "keys /etc/ntp/keys"),
    ] {
        let found = &read(line).diagnostics[0];
        assert_eq!(found.suggestion.as_deref(), Some(wanted), "{line}: {}", found.log_line());
    }
    let near = &read("server foo perfer4").diagnostics[0];
    assert_ne!(near.suggestion.as_deref(), Some("prefer 4"), "prefer takes no value");
}

#[test]
fn c13_a_file_that_is_no_text_is_one_finding() {
    let text = "# ntp.conf\r\nrestrict default nomodify\r\nserver 192.0.2.1\r\n".repeat(40);
    let wide = |order: fn(u16) -> [u8; 2], mark: &str| -> Vec<u8> {
        format!("{mark}{text}").encode_utf16().flat_map(order).collect()
    };
    for bytes in [
        wide(u16::to_le_bytes, "\u{feff}"),
        wide(u16::to_be_bytes, "\u{feff}"),
        wide(u16::to_le_bytes, ""),
        wide(u16::to_be_bytes, ""),
    ] {
        let parsed = parse(Path::new("ntp.conf"), &bytes, &mut |_| Err(String::new()));
        let [found] = &parsed.diagnostics[..] else { panic!("{:?}", parsed.diagnostics) };
        assert!(found.severity == Severity::Error && found.log_line().contains("UTF-16"), "{found:?}");
        assert!(found.effect.contains("nothing in it takes effect"), "{}", found.effect);
        let inner = parse(Path::new("ntp.conf"), b"includefile a\nserver b\n", &mut |_| Ok(bytes.clone()));
        assert_eq!((inner.diagnostics.len(), inner.config.servers.len()), (1, 1));
        let (keys, found) = parse_keys(Path::new("keys"), &bytes);
        assert!(keys.is_empty() && found.len() == 1 && found[0].message.contains("UTF-16"));
    }
    let old_mac = read(&text.replace("\r\n", "\r"));
    assert!(old_mac.diagnostics[0].log_line().contains("CR"), "{:?}", old_mac.diagnostics);
    assert!(urgent(&text).is_empty(), "line ends of Windows are no fault");
}

#[test]
fn c14_no_range_is_told_of_a_value_without_effect() {
    for line in [
        "tinker allan 300",
        "tinker dispersion 1e9",
        "tinker freq 999",
        "tos orphan 99",
        "tos beacon -1",
        "tos cohort 7",
        "discard monitor -1",
        "peer 192.0.2.1 minpoll 1 maxpoll 30",
        "broadcast 10.255.255.255 minpoll 2 ttl 700",
        "server 127.127.20.0 minpoll 2 maxpoll 1",
        "refclock nmea minpoll 2",
    ] {
        let parsed = read(line);
        let ranges = parsed.diagnostics.iter().filter(|d| {
            ["out of range", "neither 0 nor 1", "above maxpoll"].iter().any(|words| d.message.contains(words))
        });
        assert_eq!(ranges.count(), 0, "{line}: {:?}", parsed.diagnostics);
        assert!(!parsed.diagnostics.is_empty(), "that it has no effect is said: {line}");
    }
    assert!(read("server a minpoll 2").diagnostics[0].message.contains("out of range"));
}
