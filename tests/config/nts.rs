//! Network Time Security: what lines mean, and that they are printed as what they mean.

use super::{clean, oracle, read};
use rsntpd::config::model::{AuthSelection, Nts, NtsLine, StatKind, Target};
use rsntpd::config::{Parsed, Severity, parse_at_run_time, print};
use rsntpd::units::Aead;
use std::path::Path;

fn printed(text: &str) -> String {
    oracle::hold(text.as_bytes());
    String::from_utf8(print(&read(text).config)).unwrap()
}

fn errors(parsed: &Parsed) -> Vec<String> {
    let found = parsed.diagnostics.iter().chain(&parsed.lints);
    found.filter(|found| found.severity == Severity::Error).map(|found| found.message.clone()).collect()
}

#[test]
fn server_lines_have_a_port_and_options() {
    let line = |text: &str| {
        let config = clean(text);
        let server = config.servers.into_iter().next().unwrap();
        (server.target, server.nts)
    };
    let name = |name: &str| Target::Name(name.to_owned());
    let plain = Some(NtsLine::default());
    assert_eq!(line("server a.example nts"), (name("a.example"), plain.clone()));
    assert_eq!(line("server nts"), (name("nts"), None));
    assert_eq!(line("server nts nts"), (name("nts"), plain));
    let (target, nts) =
        line("pool a.example:4461 iburst ca /roots aead aes_siv_cmac_512,AES_128_GCM_SIV nts");
    let aeads = vec![Aead::AesSivCmac512, Aead::Aes128GcmSiv];
    assert_eq!((target, nts.as_ref().unwrap().port), (name("a.example"), Some(4461)));
    assert_eq!(nts.unwrap(), NtsLine { port: Some(4461), noval: false, ca: Some("/roots".into()), aeads });
    let (target, nts) = line("server [2001:db8::1]:4462 nts");
    assert_eq!((target, nts.unwrap().port), (Target::Address("2001:db8::1".parse().unwrap()), Some(4462)));
    let (target, nts) = line("server 192.0.2.1:4462 nts");
    assert_eq!((target, nts.unwrap().port), (Target::Address("192.0.2.1".parse().unwrap()), Some(4462)));
    // One host may be reached by several ports.
    assert!(
        read("server a:1 nts\nserver a:2 nts").lints.iter().all(|lint| !lint.message.contains("already"))
    );
}

#[test]
fn a_port_is_lost_where_nothing_asks_for_keys() {
    for text in ["server a.example:4460", "server a.example:4460 ca nts", "server 192.0.2.1:4460 key 3"] {
        let parsed = read(text);
        assert!(
            parsed.config.servers.is_empty() && errors(&parsed)[0].contains("is not an address"),
            "{text}"
        );
    }
    // No line falls back to packets without authentication.
    for text in ["peer 192.0.2.1 nts", "peer 192.0.2.1:4460 nts", "broadcast 192.0.2.255 nts"] {
        assert!(read(text).config.servers.is_empty(), "{text}");
    }
}

#[test]
fn a_line_has_either_a_key_or_nts() {
    for text in ["server a.example nts key 3", "server a.example key 3 nts version 2"] {
        let parsed = read(text);
        let server = &parsed.config.servers[0];
        assert_eq!((server.key, server.version, &server.nts), (None, 4, &Some(NtsLine::default())), "{text}");
        assert_eq!(errors(&parsed), ["key 3 and nts are on one line"]);
    }
}

#[test]
fn settings_of_several_lines_add_up_and_the_last_one_counts() {
    let text = "nts enable cert /a key /k port 1123\nnts cert /b ca /roots cookie /cookies dump /dump\n\
                nts time-check 3 connections 7 processes 0 aead AES_SIV_CMAC_384\n";
    let expected = Nts {
        serves: true,
        certificate: Some("/b".into()),
        key: Some("/k".into()),
        ca: Some("/roots".into()),
        cookie_keys: Some("/cookies".into()),
        port: Some(1123),
        aeads: vec![Aead::AesSivCmac384],
        dump: Some("/dump".into()),
        time_check: 3,
        connections: 7,
        processes: 0,
    };
    let config = clean(text);
    assert_eq!(config.nts, expected);
    assert!(!clean("nts enable cert /a key /k\nnts disable").nts.serves);
    let marked = read(text);
    let line = |name: &str| marked.mark(name).map(|mark| mark.line);
    assert_eq!((line("cert"), line("key"), line("dump")), (Some(2), Some(1), Some(2)));
}

#[test]
fn what_is_read_is_printed() {
    let text = "nts enable\nnts cert /etc/a.pem\nnts key \"/etc/a key.pem\"\nnts ca \"nts\"\nnts cookie /cookies\nnts dump /dump\nnts port 1123\n\
                nts aead AES_128_GCM_SIV:AES_SIV_CMAC_256\nnts time-check 2\nnts connections 9\nnts processes 0\n\
                tos auth prefer\n";
    let servers = "server [2001:db8::1]:4461 iburst nts noval ca /roots\nserver [fe80::1%eth0]:4460 nts\n\
                   pool a.example:4460 nts aead AES_SIV_CMAC_512\nserver 192.0.2.1:5 nts\n";
    let idle = "nts mintls TLS1.2 tlscipherserverpreference 1\n";
    let all = [text, idle, servers].concat();
    assert_eq!(printed(&all), all);
    // Nothing is left of these lists.
    assert_eq!(
        printed("server a aead best\nserver a.example nts aead best,more\nnts aead best"),
        "server a\nserver a.example nts\n"
    );
    assert_eq!(clean("tos auth require minsane 2\nserver a nts").tos.auth, Some(AuthSelection::Require));
}

#[test]
fn statistics_of_nts_have_files() {
    let config = clean("statistics ntsstats ntskestats\nfilegen ntskelog file ke type none");
    let kinds = config.statistics.filegens.iter().map(|filegen| (filegen.kind, filegen.file.as_str()));
    assert_eq!(kinds.collect::<Vec<_>>(), [(StatKind::Nts, "ntsstats"), (StatKind::NtsKe, "ke")]);
    assert_eq!(printed("statistics ntskelog"), "filegen ntskestats file ntskelog type day link enable\n");
}

#[test]
fn files_cannot_be_named_at_run_time() {
    let said = |text: &str| {
        let parsed = parse_at_run_time(clean("nts ca /roots"), text.as_bytes(), &[]);
        assert_eq!(parsed.config.nts.ca.as_deref(), Some(Path::new("/roots")));
        (parsed.config.servers.len(), errors(&parsed))
    };
    for text in ["nts ca /etc/shadow", "nts key /etc/shadow", "nts enable", "nts dump /etc"] {
        assert_eq!(said(text), (0, vec!["\"nts\" cannot be set at run time".to_owned()]), "{text}");
    }
    assert_eq!(said("server a.example nts ca /etc/shadow").1, ["the path of a ca cannot be set at run time"]);
    assert_eq!(said("server a.example:4461 nts"), (1, Vec::new()));
}

#[test]
fn what_requires_authentication_wants_a_source_that_has_it() {
    let warned =
        |text: &str| read(text).lints.iter().any(|lint| lint.message.starts_with("tos auth require"));
    assert!(warned("tos auth require\nserver a\nbroadcast 192.0.2.255 key 3"));
    for source in ["server a nts", "server a key 3", "server 127.127.28.0", "broadcastclient"] {
        assert!(!warned(&format!("tos auth require\nserver a.example\n{source}")), "{source}");
    }
}

#[test]
fn notrust_lets_authenticated_servers_pass() {
    let said = |text: &str| {
        read(text).lints.iter().filter(|lint| lint.message.contains("drops the responses")).count()
    };
    assert_eq!(said("restrict default notrust\nserver 192.0.2.1"), 1);
    assert_eq!(said("restrict default notrust\nserver 192.0.2.1 nts"), 0);
}
