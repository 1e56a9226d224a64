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
        let parsed = parse(Path::new("ntp.conf"), &bytes, &mut |_| Err("".into()));
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
        "discard monitor -1",
        "server 127.127.8.0 minpoll 99 maxpoll 1",
        "refclock generic minpoll 99",
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

/// The one urgent finding about this text, as a line of the log.
fn only(text: &str) -> String {
    let found = urgent(text);
    let [one] = &found[..] else { panic!("{text}: {found:#?}") };
    one.log_line()
}

#[test]
fn a_peer_without_a_key_is_told() {
    let lines = |text: &str| all(&read(text)).iter().map(Diagnostic::log_line).collect::<Vec<_>>();
    let found = lines("server a\npeer b iburst\n");
    assert!(found.iter().any(|line| line.contains("peer b has no key")), "{found:?}");
    assert!(!found.iter().any(|line| line.contains("burst")), "{found:?}");
    let found = lines("server a\npeer b iburst burst key 7\nkeys /k\ntrustedkey 7\n");
    assert!(!found.iter().any(|line| line.contains("peer b")), "{found:?}");
}

#[test]
fn c3_tos_that_no_set_of_servers_can_meet_is_told() {
    let three = "server a\nserver b\nserver c\n";
    for (text, words) in [
        ("tos minsane 3\nserver 192.0.2.1\n", "minsane 3 needs 3 servers that agree, and there is one"),
        ("server a\nserver b\ntos minsane 3\n", "there are 2"),
        ("server a\nserver b noselect\nserver c noselect\ntos minsane 2\n", "there is one"),
        ("server a\nbroadcast 10.255.255.255\nserver 127.127.8.0\ntos minsane 3\n", "there is one"),
        ("server a\npeer b key 7\nkeys /k\ntrustedkey 7\ntos minsane 3\n", "there are 2"),
        ("server a\nserver 127.127.1.0\ntos minsane 2\n", "there is one"),
        ("server a\nserver a,b\ntos minsane 2\n", "there is one"),
        ("pool a\ntos minsane 5 maxclock 4\n", "there are 4"),
        (&format!("{three}tos floor 16\n"), "leave no stratum"),
        (&format!("{three}tos ceiling 1\n"), "leave no stratum"),
        (&format!("{three}tos ceiling 0\n"), "leave no stratum"),
        (&format!("{three}tos floor 5 ceiling 5\n"), "leave no stratum"),
        (&format!("{three}tos floor 4\ntos ceiling 3\n"), "leave no stratum"),
        (&format!("{three}tos floor 10\n"), "rejects every server of a smaller stratum"),
        (&format!("{three}tos ceiling 2\n"), "but those of stratum 1"),
        (&format!("{three}tos maxdist 0\n"), "rejects nearly every server"),
        (&format!("{three}tos maxdist 0.001\n"), "rejects nearly every server"),
    ] {
        let found: Vec<_> = urgent(text).iter().map(Diagnostic::log_line).collect();
        assert!(found.iter().any(|line| line.contains(words)), "{text}: {found:?}");
    }
    for text in [
        &format!("{three}tos minsane 3 minclock 5 floor 1 ceiling 15 maxdist 3\n"),
        "pool a\ntos minsane 4\n",
        "server 127.127.1.0\ntos minsane 1\n",
        &format!("{three}tos floor 3\n"),
        &format!("{three}tos mindist 0.5\n"),
    ] {
        assert!(urgent(text).is_empty(), "{text}: {:?}", urgent(text));
    }
}

#[test]
fn c4_interface_rules_that_open_nothing_are_told() {
    for text in [
        "interface ignore eth0",
        "interface drop all",
        "nic ignore wildcard",
        "interface ignore ipv6\ninterface ignore wildcard",
        "interface listen eth0\ninterface ignore all",
        "interface listen 10.0.0.1\ninterface drop ipv4",
        "interface listen ipv6\ninterface ignore eth1\ninterface drop ipv6",
        "interface listen all\ninterface ignore ipv4\ninterface ignore ipv6",
    ] {
        assert!(only(text).contains("no interface rule opens an address"), "{text}: {}", only(text));
    }
    for text in [
        "",
        "interface listen all\ninterface ignore eth0",
        "interface ignore all\ninterface listen 10.0.0.1",
        "interface ignore wildcard\ninterface listen eth0",
        "interface listen ipv4\ninterface ignore ipv6",
        "interface listen wildcard\ninterface ignore eth0",
        "interface listen eth0\ninterface ignore ipv6",
        "interface listen 127.0.0.1\ninterface ignore eth0",
        "interface ignore wildcard\ninterface listen ::1",
    ] {
        assert!(urgent(text).is_empty(), "{text}: {:?}", urgent(text));
    }
}

#[test]
fn c5_names_that_cannot_be_names_are_told() {
    for (text, meant) in [
        ("server a,b", Some("a")),
        ("server 10.0.0.1/24", Some("10.0.0.1")),
        ("server =1.2.3.4", Some("1.2.3.4")),
        ("server=host", Some("host")),
        ("server name;", Some("name")),
        ("pool user@pool.ntp.org", None),
        ("server 192.168.0.256", None),
        ("server 1.2.3.4.5 iburst", None),
        ("server \"two words\"", Some("two")),
        ("peer a,b", Some("a")),
        ("server a..b", None),
        ("restrict 192.168.0.0./16 nomodify", Some("192.168.0.0")),
        ("restrict host/24 nomodify", Some("host")),
        ("restrict 10.0.0.* nomodify", None),
        ("restrict 10.0.0.0-10.0.0.9 nomodify", None),
        ("interface listen 10.0.0.0/33", None),
        ("interface ignore 10.0.0", None),
    ] {
        let errors: Vec<_> =
            read(text).diagnostics.into_iter().filter(|d| d.message.contains("cannot be")).collect();
        let expected = text != "interface ignore 10.0.0";
        assert_eq!(errors.len(), usize::from(expected), "{text}: {:?}", read(text).diagnostics);
        for found in errors {
            assert_eq!(found.severity, Severity::Error, "{text}");
            assert_eq!(found.suggestion.as_deref(), meant, "{text}: {}", found.log_line());
        }
    }
    let keys = &read("keys=/path").diagnostics[0];
    assert!(keys.log_line().contains("the = is part of the name"), "{}", keys.log_line());
    assert_eq!(keys.suggestion.as_deref(), Some("keys /path"));
    for text in
        ["server ntp-1.example_x.org.", "server 3com", "restrict a.b nomodify", "interface listen eth0:1"]
    {
        assert!(urgent(text).is_empty(), "{text}: {:?}", urgent(text));
    }
    // They are looked up all the same, as ntpd does.
    assert_eq!(read("server a,b").config.servers.len(), 1);
    assert_eq!(read("restrict 192.168.0.0./16 nomodify").config.restrict.len(), 1);
}

#[test]
fn c7_restrict_lines_that_are_about_others_than_they_seem_are_told() {
    for (text, words) in [
        ("restrict default nomodify ntpport", "nomodify does not apply to other clients"),
        ("restrict default ignore ntpport\nrestrict default nomodify", "ignore does not apply"),
        ("restrict 10.0.0.0 mask 255.0.0.0 noquery ntpport", "noquery does not apply"),
        ("restrict -6 default ignore ntpport", "ignore does not apply"),
        ("restrict 192.168.1.0 mask 0.0.0.255 nomodify", "write mask 255.255.255.0"),
        ("restrict 10.0.0.0 mask 0.255.255.255 nomodify", "write mask 255.0.0.0"),
        ("restrict 172.16.0.0 mask 0.15.255.255 nomodify", "write mask 255.240.0.0"),
        ("restrict 10.0.0.0 mask 255.0.255.0 nomodify", "zero bits before one bits"),
        ("restrict 2001:db8:: mask ::ffff nomodify", "write mask ffff:ffff:ffff:ffff:ffff:ffff:ffff:0"),
        ("restrict 10.0.0.0 mask 0.0.0.0 nomodify", "stands for every address"),
        ("restrict 0.0.0.0 nomodify", "no client has the address 0.0.0.0"),
        ("restrict :: nomodify", "no client has the address ::"),
        ("restrict 192.168.1.0 nomodify", "add mask, such as 255.255.255.0"),
        ("restrict 10.0.0.0 nomodify", "add mask, such as 255.0.0.0"),
        ("restrict 2001:db8:1:2:: nomodify", "add mask, such as ffff:ffff:ffff:ffff::"),
        ("restrict 10.0.0.0 mask 255.0.0.0 notrust", "there is no trusted key"),
        ("restrict default notrust nomodify", "there is no trusted key"),
        ("keys /k\nrestrict 10.1.2.3 notrust", "there is no trusted key"),
    ] {
        assert!(only(text).contains(words), "{text}: {}", only(text));
    }
    let host_bits = read("restrict 192.168.1.5 mask 255.255.255.0 nomodify").lints;
    assert!(host_bits[0].effect.contains("192.168.1.0 mask 255.255.255.0"), "{host_bits:?}");
    for text in [
        "restrict default nomodify\nrestrict default nomodify ntpport",
        "restrict 192.0.2.1 nomodify ntpport",
        "restrict default ntpport",
        "restrict 10.0.0.0 mask 255.0.0.0 nomodify",
        "restrict 0.0.0.0 mask 0.0.0.0 nomodify",
        "restrict :: mask :: nomodify",
        "restrict 10.0.0.1",
        "restrict 10.0.0.1 mask 255.255.255.255 nomodify",
        "keys /k\ntrustedkey 1\nrestrict 10.0.0.0 mask 255.0.0.0 notrust",
        "restrict 2001:db8:: mask ffff:ffff:: nomodify",
        "restrict ::1",
        "restrict default ignore notrust",
    ] {
        assert!(urgent(text).is_empty(), "{text}: {:?}", urgent(text));
    }
}

#[test]
fn c8_what_drops_several_servers_is_one_finding_with_advice_for_the_files_version() {
    let names = "server a.example\nserver b.example\nserver c.example\nserver d.example\n";
    for (text, words) in [
        (
            format!("restrict default ignore\n{names}"),
            "the responses of 4 servers are dropped by restrict of line 1",
        ),
        ("restrict default ignore\npool a.example\npool b.example\n".to_owned(), "2 servers"),
        ("restrict default noserve\npool 0.centos.pool.ntp.org\n".to_owned(), "this server"),
        (
            "server 192.0.2.1\nserver 192.0.2.2\nrestrict 192.0.2.0 mask 255.255.255.0 ignore\n".to_owned(),
            "2 servers",
        ),
        ("restrict default notrust nomodify noserve\nserver a\n".to_owned(), "this server"),
        ("restrict default version\nserver 192.0.2.1 version 3\n".to_owned(), "not of version 4"),
        ("restrict source ignore\nserver a\n".to_owned(), "by restrict of line 1"),
    ] {
        assert!(only(&text).contains(words), "{text}: {}", only(&text));
    }
    // A hole for the LAN does not let a public server through.
    let lan = "restrict default ignore\nrestrict 127.0.0.1\nrestrict 10.0.0.0 mask 255.0.0.0 nomodify\n";
    assert!(only(&format!("{lan}server 0.pool.ntp.org\nserver 1.pool.ntp.org\n")).contains("2 servers"));
    // But the servers of this house may be there, which is only said.
    assert!(urgent(&format!("{lan}server ntp.example iburst\n")).is_empty());

    let pools = "restrict default ignore\npool a\npool b\n";
    let old = only(pools);
    assert!(!old.contains("restrict source") && old.contains("nomodify notrap nopeer noquery"), "{old}");
    let late = only(&format!("mru maxdepth 100\n{pools}"));
    assert!(late.contains("add restrict source nomodify notrap noquery"), "{late}");
    let one = only("restrict default ignore\nserver a.example\n");
    assert!(one.contains("add restrict a.example nomodify notrap noquery"), "{one}");
    let own = only("restrict 192.0.2.1 ignore\nserver 192.0.2.1\n");
    assert!(own.contains("remove ignore and noserve from that line"), "flags add up: {own}");
    assert!(all(&read("pool a\nrestrict default nopeer\n")).is_empty(), "4.2.6 has no restrict source");
    assert!(!all(&read("pool a\nrestrict default nopeer nomrulist\n")).is_empty());
}

#[test]
fn c9_what_is_no_server_is_not_said_to_be_unheard() {
    let found = all(&read("restrict default ignore\nserver 127.127.8.0\n"));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].message.contains("no driver for clocks"), "{}", found[0].log_line());
    for text in [
        "restrict default ignore\nrestrict a nomodify\nserver a\n",
        "restrict default ignore\nrestrict source nomodify\npool a\n",
        "restrict -6 default ignore\nserver a\nserver 192.0.2.1\n",
        "restrict default kod limited nomodify notrap nopeer noquery\npool a\n",
        "restrict default notrust\nkeys /k\ntrustedkey 7\nserver a key 7\n",
        "restrict default version\nserver a\n",
    ] {
        assert!(urgent(text).is_empty(), "{text}: {:?}", urgent(text));
    }
}

#[test]
fn a8_addresses_that_ntpd_refuses_for_servers_are_reported() {
    for address in ["127.0.0.2", "127.0.1.1", "127.1.0.1", "127.1.1.1"] {
        let said = only(&format!("server {address}\n"));
        assert!(said.contains("ntpd refuses such an address") && said.contains("127.127.1.0"), "{said}");
    }
}

#[test]
fn c11_a_server_line_for_this_machine_is_told() {
    for name in ["127.0.0.1", "::1", "localhost", "LOCALHOST", "localhost.localdomain", "0.0.0.0"] {
        let said = only(&format!("server {name}\n"));
        assert!(said.contains("polls itself") && said.contains("127.127.1.0"), "{name}: {said}");
    }
    for name in ["127.0.0.1", "127.1.1.0", "localhost", "::1"] {
        let found = &read(&format!("fudge {name} stratum 10\n")).diagnostics[0];
        assert!(
            found.log_line().contains("did you mean 127.127.1.0, the LOCAL clock?"),
            "{}",
            found.log_line()
        );
    }
    let other = &read("fudge 192.0.2.1 stratum 10\n").diagnostics[0];
    assert_eq!(other.suggestion, None);
    let unit = &read("server 127.127.1.0\nfudge 127.127.1.1 stratum 10\n").lints[0];
    assert!(unit.effect.contains("the server line has 127.127.1.0"), "{unit:?}");
    assert!(urgent("server 127.127.1.0\nfudge 127.127.1.0 stratum 10\n").is_empty());
}

#[test]
fn smeared_leap_seconds_do_not_go_with_true_ones() {
    let urgent_of = |text: &str| urgent(text).iter().map(|found| found.message.clone()).collect::<Vec<_>>();
    for name in
        ["time.google.com", "TIME2.google.com.", "time.facebook.com", "169.254.169.123", "fd00:ec2::123"]
    {
        let alone = format!("server {name}\n");
        assert!(urgent_of(&alone).is_empty(), "{name}: {:?}", urgent_of(&alone));
        let found = urgent_of(&format!("leapfile /l\nserver {name}\n"));
        assert!(
            found.iter().any(|text| text.contains("smears leap seconds, and there is leapfile")),
            "{found:?}"
        );
        let mixed = urgent_of(&format!("server {name}\nserver ntp.example\n"));
        assert!(mixed.iter().any(|text| text.ends_with("and ntp.example does not")), "{mixed:?}");
    }
    assert!(urgent_of("server time.google.com\nserver time1.google.com\nserver 216.239.35.4\n").is_empty());
    assert!(urgent_of("leapfile /l\nserver time.google.example\n").is_empty());
    let closed = "restrict default ignore\nrestrict 10.0.0.0 mask 255.0.0.0\nleapfile /l\n";
    let smear = |more: &str| all(&read(&format!("{closed}{more}")));
    assert!(smear("leapsmearinterval 86400\n").is_empty(), "{:?}", smear("leapsmearinterval 86400\n"));
    let short = smear("leapsmearinterval 3000\n");
    assert!(short[0].effect.contains("use 3142 or more"), "{short:?}");
    assert!(smear("leapsmearinterval 3000\nleapsmearmode linear\n").is_empty());
    let without = all(&read("restrict default ignore\nleapsmearinterval 86400\n"));
    assert!(without[0].message.contains("without leapfile"), "{without:?}");
    let public = all(&read("leapfile /l\nleapsmearinterval 86400\n"));
    assert!(public[0].effect.contains("public pool must not smear"), "{public:?}");
}

#[test]
fn broadcasts_that_cannot_be_used_are_reported() {
    let messages = |text: &str| -> Vec<String> {
        read(text)
            .lints
            .iter()
            .map(|l| l.message.clone())
            .filter(|m| m.contains("broadcast") || m.contains("auth"))
            .collect()
    };
    let in_vain = "broadcasts are heard, but none can be used";
    assert_eq!(messages("server 192.0.2.1\nbroadcastclient"), [in_vain]);
    assert_eq!(messages("enable bclient"), [in_vain]);
    assert_eq!(messages("multicastclient 224.0.1.1\ntrustedkey 7"), [in_vain]);
    assert!(messages("broadcastclient\nkeys /etc/ntp/keys\ntrustedkey 7").is_empty());
    let open = "disable auth lets hosts without a key be time sources";
    assert_eq!(messages("broadcastclient\ndisable auth"), [open]);
    assert_eq!(messages("disable auth"), [open]);
    let idle = "broadcastdelay without broadcastclient or multicastclient";
    assert_eq!(messages("broadcastdelay 0.008"), [idle]);
    assert!(messages("broadcastdelay 0.008\nbroadcastclient\nkeys k\ntrustedkey 1").is_empty());
    let found = read("multicastclient 224.0.1.1 ff05::101 192.0.2.1");
    assert_eq!(found.config.reception.groups.len(), 2);
    assert!(
        found.diagnostics.iter().any(|d| d.message.contains("takes group addresses")),
        "{:?}",
        found.diagnostics
    );
}

#[test]
fn a_manycast_client_needs_a_key_and_ttl_is_an_entry_of_a_table() {
    let keys = "keys /k\ntrustedkey 7\n";
    let found = only("manycastclient 239.1.1.1\n");
    assert!(found.contains("has no key") && found.contains("no server that answers is used"), "{found}");
    assert!(
        urgent("disable auth\nmanycastclient 239.1.1.1\n")
            .iter()
            .all(|found| !found.message.contains("no key"))
    );
    assert!(urgent(&format!("{keys}manycastclient 239.1.1.1 key 7\n")).is_empty());
    let blocked = only(&format!("{keys}restrict default ignore\nmanycastclient 239.1.1.1 key 7\n"));
    assert!(blocked.contains("replace ignore and noserve of that line"), "{blocked}");
    let effect = |text: &str| all(&read(text)).last().unwrap().effect.clone();
    assert!(effect("broadcast 224.0.1.1 ttl 4\n").contains("TTL 128"));
    assert!(effect("ttl 1 2 4\nbroadcast 224.0.1.1 ttl 1\n").contains("TTL 2"));
    let beyond = urgent("broadcast 224.0.1.1 ttl 127\n");
    assert!(beyond[0].effect.contains("leave with TTL 1; use 0 to 7"), "{beyond:?}");
}
