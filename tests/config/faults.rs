//! Faults that were found by use, each with its number: the smallest input that showed it, and its kind.

use super::{read, restricts, servers};
use rsntpd::config::model::{Family, RestrictTarget, Target};
use rsntpd::config::{Diagnostic, Severity, print};
use rsntpd::engine::server::access::AccessList;
use std::net::IpAddr;

/// What a client may not do, under these lines; names lead to `named`.
fn denied(text: &str, client: &str, named: &[&str]) -> Vec<&'static str> {
    let config = read(text).config;
    let mut list = AccessList::build(&config.restrict);
    let named: Vec<IpAddr> = named.iter().map(|address| address.parse().unwrap()).collect();
    for line in &config.restrict {
        if let RestrictTarget::Name(..) | RestrictTarget::Around { .. } = &line.target {
            list.insert_resolved(&config.restrict, line, &named);
        }
    }
    list.lookup(client.parse().unwrap()).names().collect()
}

/// What is said about a text, one line a finding.
fn said(text: &str) -> Vec<String> {
    read(text).diagnostics.iter().map(Diagnostic::log_line).collect()
}

#[test]
fn b1_a_family_before_a_numeric_restrict_address_counts_for_nothing() {
    for (line, client) in [
        ("restrict -6 10.0.0.1 nomodify", "10.0.0.1:5"),
        ("restrict -4 ::1 nomodify", "[::1]:5"),
        ("restrict -4 10.0.0.1 nomodify", "10.0.0.1:5"),
    ] {
        assert_eq!(denied(line, client, &[]), ["nomodify"], "{line}");
    }
    assert!(said("restrict -6 10.0.0.1")[0].contains("-6 has no effect before the address 10.0.0.1"));
    // A number of the C library is looked up, so there the family counts: ntpd makes no entry.
    assert_eq!(denied("restrict default ignore\nrestrict -6 010.0.0.1", "8.0.0.1:5", &[]), ["ignore"]);
}

#[test]
fn b2_what_follows_a_bracket_and_an_empty_zone_are_dropped() {
    for (line, client) in [
        ("restrict [2001:db8::9]:123 nopeer", "[2001:db8::9]:5"),
        ("restrict [2001:db8::9 nopeer", "[2001:db8::9]:5"),
        ("restrict [2001:db8::9]x nopeer", "[2001:db8::9]:5"),
        ("restrict fe80::1% nopeer", "[fe80::1]:5"),
        ("restrict [fe80::1%eth0]:1 nopeer", "[fe80::1]:5"),
        ("restrict 2001:db8:: mask [ffff::]:1 nopeer", "[2001::1]:5"),
    ] {
        assert_eq!(denied(line, client, &[]), ["nopeer"], "{line}");
    }
    assert_eq!(restricts(&read("restrict [10.0.0.1] nopeer").config), [""; 0]);
    assert!(said("restrict [2001:db8::9]:123")[0].contains("\":123\" behind the bracket"));
}

#[test]
fn b3_flags_behind_an_unknown_token_only_restrict() {
    for line in [
        "restrict default nomodify bogus ntpport",
        "restrict default nomodify,ntpport",
        "restrict default bogus nomodify ntpport",
        "restrict default noepeer ntpport nomodify",
        "restrict default nomodify refid ntpport",
        "restrict default mask 255.0.0.0 nomodify ntpport",
        "restrict default nomodify 255.255.0.0 ntpport",
    ] {
        assert!(denied(line, "192.0.2.1:5", &[]).contains(&"nomodify"), "{line}");
        let ignored = said(line).iter().any(|found| found.contains("ntpport behind a keyword"));
        assert!(ignored, "{line}: {:?}", said(line));
    }
    // Before it, it counts; and keywords that ask for a string do not swallow the flag behind them.
    assert_eq!(denied("restrict default ntpport nomodify bogus", "192.0.2.1:5", &[]), [""; 0]);
    assert_eq!(denied("restrict default driftfile nomodify", "192.0.2.1:5", &[]), ["nomodify"]);
    assert_eq!(
        denied("restrict default phone nomodify noquery", "192.0.2.1:5", &[]),
        ["nomodify", "noquery"]
    );
}

#[test]
fn b3_what_ntpd_does_not_read_opens_nothing() {
    for line in ["restrict 10.0.0.0/8 nomodify", "restrict -4 10.0.0.0 mask 255.0.0.0 nomodify"] {
        let text = format!("restrict default ignore\n{line}");
        assert_eq!(denied(&text, "10.9.9.9:5", &[]), ["ignore", "nomodify"], "{line}");
        assert_eq!(denied(&text, "11.0.0.1:5", &[]), ["ignore"], "{line}");
        let text = format!("restrict 10.9.0.0 mask 255.255.0.0 noquery\n{line} ntpport");
        assert_eq!(denied(&text, "10.9.9.9:123", &[]), ["nomodify", "noquery"], "{line}");
    }
}

#[test]
fn b4_a_mask_behind_a_name_is_about_the_network_around_it() {
    let line = "restrict foo.example mask 255.255.255.0 noserve";
    for (client, named, expected) in [
        ("10.0.0.77:5", &["10.0.0.1"][..], &["noserve"][..]),
        ("10.0.1.1:5", &["10.0.0.1", "10.0.1.1"], &[]),
        ("10.0.0.77:5", &["2001:db8::1", "10.0.0.1"], &["noserve"]),
        // ntpd finds no bits in a mask of the other family.
        ("[2001:db8:9::]:5", &["2001:db8::1"], &["noserve"]),
    ] {
        assert_eq!(denied(line, client, named), expected, "{client}");
    }
    assert_eq!(said(line), [""; 0]);
    assert_eq!(denied("restrict 10.0.0.0 mask ffff:: nomodify", "192.0.2.1:5", &[]), ["nomodify"]);
}

#[test]
fn b5_a_host_may_be_called_like_a_word_of_later_versions() {
    for host in ["refclock", "abbrev", "nts", "mru", "1e5"] {
        let line = format!("restrict {host} nomodify noquery");
        assert_eq!(restricts(&read(&line).config), [format!("{host}: nomodify noquery")]);
        assert_eq!(said(&line), [""; 0]);
    }
    // Nor is a word that no resolver will find lost; that it is none is said.
    assert_eq!(restricts(&read("restrict +5 nomodify noquery").config), ["+5: nomodify noquery"]);
    assert!(said("restrict +5 nomodify noquery")[0].contains("cannot be a host name"));
    // What 4.2.6 knows is no host.
    assert_eq!(restricts(&read("restrict ntp nomodify").config), [""; 0]);
}

#[test]
fn b8_servers_with_brackets_ports_and_needless_families_are_used() {
    for (line, expected) in [
        ("server [2001:db8::1]:123", "server 2001:db8::1"),
        ("server -6 10.9.0.2", "server 10.9.0.2"),
        ("server -4 2001:db8::3 iburst", "server 2001:db8::3 iburst"),
        ("peer -6 10.9.0.2", "peer 10.9.0.2"),
        ("server -6 127.127.1.0", "server local(0) maxpoll 6"),
    ] {
        assert_eq!(servers(&read(line).config), [expected], "{line}");
    }
    let worst = read("server [2001:db8::1]:123").diagnostics[0].severity;
    assert_eq!(worst, Severity::Warning);
}

#[test]
fn b7_a_maxpoll_of_0_is_as_without_it() {
    for (line, expected) in [
        ("server foo maxpoll 0", "server foo"),
        ("server foo minpoll 4 maxpoll 0", "server foo minpoll 4"),
        ("server foo maxpoll 8 maxpoll 0", "server foo maxpoll 8"),
        ("server 127.127.1.0 minpoll 5 maxpoll 0", "server local(0) minpoll 5 maxpoll 5"),
        ("server foo maxpoll 1", "server foo minpoll 3 maxpoll 3"),
    ] {
        assert_eq!(servers(&read(line).config), [expected], "{line}");
    }
    assert!(said("server foo maxpoll 0")[0].contains("maxpoll 0 is as without it"));
}

#[test]
fn b9_filegen_lines_come_after_statistics_and_begin_anew() {
    let show = |text: &str| -> Vec<String> {
        let printed = String::from_utf8(print(&read(text).config)).unwrap();
        printed.lines().map(str::to_owned).collect()
    };
    for (text, expected) in [
        (
            "filegen loopstats file a type none\nfilegen loopstats type none nolink",
            "filegen loopstats file loopstats type none nolink enable",
        ),
        (
            "filegen loopstats file a type week\nfilegen loopstats nolink",
            "filegen loopstats file loopstats type week nolink enable",
        ),
        (
            "filegen loopstats file a disable\nstatistics loopstats",
            "filegen loopstats file a type day link disable",
        ),
        (
            "filegen loopstats disable\nfilegen loopstats type pid",
            "filegen loopstats file loopstats type pid link enable",
        ),
    ] {
        assert_eq!(show(text), [expected], "{text}");
    }
}

#[test]
fn b10_a_refclock_line_is_printed_as_what_reads_as_the_same() {
    for line in [
        "refclock nmea unit 0 path /dev/gps0 baud 115200 ppspath /dev/pps0",
        "refclock sock unit 3 path /s minpoll 4 maxpoll 4 subtype 2 time1 0.5 stratum 2 refid GPS flag1 1",
        "refclock generic unit 1 path \"driftfile\" mode 5",
        "refclock local path \"5\"",
    ] {
        let first = read(line);
        let printed = String::from_utf8(print(&first.config)).unwrap();
        let again = read(&printed);
        assert_eq!(again.config, first.config, "{printed}");
        assert!(printed.starts_with("refclock "), "{printed}");
        let errors = again.diagnostics.iter().filter(|found| found.severity == Severity::Error).count();
        assert_eq!(errors, 0, "{printed}");
    }
}

#[test]
fn b13_nothing_is_lost_silently_or_half_applied() {
    for (text, expected) in [
        ("simulate\nserver kept", "server kept"),
        ("simulate {\nserver kept", "server kept"),
        ("simulate # {\nserver kept\n}", "server kept"),
        ("simulate\n\n{\nserver lost\n}\nserver kept", "server kept"),
        ("simulate { server lost }\nserver kept", "server kept"),
    ] {
        assert_eq!(servers(&read(text).config), [expected], "{text}");
        assert!(said(text)[0].contains("simulate"), "{text}");
    }
    assert!(said("simulate\nserver kept")[0].contains("without a whole block"));
    assert!(said("server a\nend\n\n# c\nserver b")[0].contains("line 5 column 1: this stands behind end"));
    assert_eq!(said("server a\nend\n\n# c\n"), [""; 0]);
    assert!(said("end server foo")[0].contains("end takes effect"));
    assert!(said("driftfile -6")[0].contains("\"-6\""));
    let empty = print(&read("").config);
    for line in [
        "filegen loopstats file x type bogus",
        "filegen loopstats file",
        "crypto pw",
        "crypto revoke 5 pw",
        "logconfig -4all +sysall",
        "setvar = b",
        "trustedkey ( 1 ... x )",
    ] {
        assert_eq!(print(&read(line).config), empty, "{line}");
        assert!(said(line).iter().any(|found| found.contains("line is ignored")), "{line}: {:?}", said(line));
    }
}

#[test]
fn b16_words_are_read_as_ntpd_reads_them() {
    for (text, expected) in [
        ("server \"-4.example\" iburst", "server -4 iburst\n"),
        ("server \"-4\"", ""),
        ("keys \" \"", ""),
        ("bogus \" \" server foo", "server foo\n"),
        ("server a \" \" server b iburst \"\t\" server c", "server a\nserver b iburst\nserver c\n"),
        ("setvar a = \" \"", ""),
        ("setvar a=b = c", "setvar a = c\n"),
        ("setvar =b = c", ""),
        ("tinker step 1.5e", "tinker step 1.5\n"),
        ("tinker step 1.5e-", "tinker step 1.5\n"),
        ("trustedkey (1 ... 70000)", "trustedkey ( 1 ... 4464 )\n"),
        ("trustedkey ( 65530 ... 65540 ) 3", "trustedkey 3\n"),
        ("logconfig -4all +sysall", ""),
        ("logconfig +sysall -4all +syncall", "logconfig +sysall\n"),
        ("restrict default mask 255.0.0.0 nomodify", "restrict default nomodify\n"),
        ("restrict 10.0.0.0 mask ffff:: nomodify", "restrict -4 default nomodify\n"),
        ("restrict \"-6\" fe80::1 nomodify", "restrict fe80::1 nomodify\n"),
    ] {
        assert_eq!(String::from_utf8(print(&read(text).config)).unwrap(), expected, "{text}");
    }
}

#[test]
fn b12_unpeer_and_fudge_take_a_family() {
    for text in ["server a\nunpeer -4 a", "server -6 a\nunpeer a", "server 10.0.0.1\nunpeer -6 10.0.0.1"] {
        assert_eq!(servers(&read(text).config), [""; 0], "{text}");
    }
    let config = read("server 127.127.1.1\nfudge -4 127.127.1.1 stratum 7").config;
    assert_eq!(config.servers[0].fudge.stratum.unwrap().get(), 7);
}

#[test]
fn a7_a_link_local_server_with_its_interface_is_a_name_that_the_resolver_knows() {
    for (line, name) in [
        ("server fe80::1%eth0", "fe80::1%eth0"),
        ("server [fe80::1%eth0] iburst", "fe80::1%eth0"),
        ("server -4 fe80::1%2", "fe80::1%2"),
        ("pool \"fe80::abcd%br-lan.7\"", "fe80::abcd%br-lan.7"),
    ] {
        let parsed = read(line);
        assert_eq!(said(line), [""; 0], "{line}");
        let server = &parsed.config.servers[0];
        assert_eq!(server.target, Target::Name(name.to_owned()), "{line}");
        assert_eq!(server.family, Family::Any, "{line}");
        // Printed as it is read.
        let printed = String::from_utf8(print(&parsed.config)).unwrap();
        assert_eq!(read(&printed).config.servers[0].target, server.target, "{printed}");
    }
    assert!(said("server fe80::1")[0].contains("the interface behind it, as in fe80::1%eth0"));
    assert!(said("server 2001:db8::1%eth0")[0].contains("the zone of"));
}

#[test]
fn values_beyond_their_range_are_printed_as_they_are_read() {
    for (text, expected) in [
        ("driftfile /drift 1e300\ndriftfile\n", "nonvolatile 1\n"),
        ("mru maxmem 99999999999\n", "mru maxdepth 20480000\n"),
    ] {
        let printed = print(&read(text).config);
        assert_eq!(String::from_utf8_lossy(&printed), expected);
        assert_eq!(print(&read(expected).config), printed);
    }
}

#[test]
fn what_is_printed_reads_as_the_same() {
    let long =
        [b"server ".as_slice(), &[0xff; 400], b"\nrestrict \xe9", &[0xff; 500], b" nomodify\n"].concat();
    for text in [
        &b"revoke 99999999999999999999\nmru minage 9007199254740993\ncalldelay 1000000000000000\n"[..],
        b"driftfile /drift 1e305\n",
        b"tick -0.0\ntinker freq -0.0\nserver ntp.example bias -0.0\n",
        b"restrict 10.0.0.0/8 mask 255.0.0.255 nomodify ntpport\nrestrict -4 10.0.0.0 mask 255.0.0.255 kod\n",
        b"setvar \" = \" = x\n",
        b"server 127.127.1.0\nfudge 127.127.1.0 refid \"    x\"\n",
        b"broadcast iburst mode 0 10.0.0.1\nbroadcast 224.0.1.1 ttl 3 mode 4\n",
        b"qos -4e5\ninterface listen -6e5\nrestrict -4e5 nomodify\n",
        &long,
    ] {
        super::oracle::hold(text);
    }
    let printed = print(&read("revoke 99999999999999999999").config);
    assert_eq!(printed, b"revoke 9007199254740992\n");
}
