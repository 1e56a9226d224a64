//! The configuration as an administrator meets it: whole lines and files, what takes effect, and
//! what is said about the rest.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on fails
#![allow(unreachable_pub)] // the modules of a test have no other readers

mod clocks;
mod clocks_lints;
mod examples;
mod faults;
mod limits;
mod lints;
mod nothing_opens;
mod nts;
mod oracle;
mod replay;
mod sandbox;
mod snapshots;
#[allow(dead_code)] // only the corpus test asks for the entries one a line
mod strict;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample;
use rsntpd::config::language::{self, Context};
use rsntpd::config::model::{
    AccessFlags, Config, Family, InterfaceAction, InterfaceMatch, Kind, RestrictTarget, Target, Variable,
};
use rsntpd::config::{Diagnostic, Parsed, Severity, Style, parse};
use rsntpd::engine::server::access::AccessList;
use rsntpd::units::KeyId;
use std::path::Path;

fn read(text: &str) -> Parsed {
    read_bytes(text.as_bytes())
}

fn read_bytes(text: &[u8]) -> Parsed {
    parse(Path::new("/etc/ntp.conf"), text, &mut |_| Err("No such file or directory".into()))
}

fn clean(text: &str) -> Config {
    let parsed = read(text);
    let bad: Vec<String> = parsed
        .diagnostics
        .iter()
        .filter(|d| d.severity != Severity::Note)
        .map(Diagnostic::log_line)
        .collect();
    assert!(bad.is_empty(), "{text}: {bad:?}");
    parsed.config
}

/// The servers and their options, in ntp.conf's own words.
fn servers(config: &Config) -> Vec<String> {
    let flag = |set: bool, word: &str| if set { format!(" {word}") } else { String::new() };
    config
        .servers
        .iter()
        .map(|s| {
            let name = match &s.target {
                Target::Address(a) => a.to_string(),
                Target::Name(n) => n.clone(),
                Target::LocalClock { unit } => format!("LOCAL({unit})"),
                Target::RefClock { kind, unit } => format!("127.127.{kind}.{unit}"),
            };
            let mut line = format!("{:?} {name}", s.kind).to_lowercase();
            line += &flag(s.iburst, "iburst");
            line += &flag(s.burst, "burst");
            line += &flag(s.prefer, "prefer");
            line += &flag(s.noselect, "noselect");
            if s.minpoll.get() != 6 {
                line += &format!(" minpoll {}", s.minpoll.get());
            }
            if s.maxpoll.get() != 10 {
                line += &format!(" maxpoll {}", s.maxpoll.get());
            }
            line += &s.key.map_or(String::new(), |k| format!(" key {}", k.0));
            if s.version != 4 {
                line += &format!(" version {}", s.version);
            }
            line
        })
        .collect()
}

fn restricts(config: &Config) -> Vec<String> {
    config
        .restrict
        .iter()
        .map(|r| {
            let who = match &r.target {
                RestrictTarget::Default(Family::Any) => "default".to_owned(),
                RestrictTarget::Default(family) => format!("{family:?} default").to_lowercase(),
                RestrictTarget::Net { address, mask } => format!("{address} {mask}"),
                RestrictTarget::Adds { address, mask } => format!("adds for {address} {mask}"),
                RestrictTarget::Name(name, _) => name.clone(),
                RestrictTarget::Around { name, mask, .. } => format!("{name} {mask}"),
                RestrictTarget::Source => "source".to_owned(),
            };
            let words: Vec<&str> = r.flags.names().collect();
            format!("{who}: {}", words.join(" "))
        })
        .collect()
}

#[test]
fn server_lines_take_effect_as_far_as_ntpd_takes_them() {
    let table: [(&str, &[&str]); 22] = [
        ("server foo bar", &["server foo"]),
        ("server foo iburst dynamic prefer", &["server foo iburst"]),
        ("pool ntp.nict.jp ibrust", &["pool ntp.nict.jp"]),
        ("server foo maxpoll4 iburst", &["server foo"]),
        ("server foo iburst minpoll abc", &[]),
        ("server foo minpoll", &[]),
        ("server\nserver ok", &["server ok"]),
        (
            "server ok1\nbogus\nserver ok2\nserver ok3\nbogus2\nserver ok4",
            &["server ok1", "server ok2", "server ok3", "server ok4"],
        ),
        ("server foo minpoll 2 maxpoll 18", &["server foo minpoll 3 maxpoll 17"]),
        ("server a minpoll 10 maxpoll 6", &["server a maxpoll 6"]),
        ("server a key 65536", &["server a"]),
        ("server a version 0", &["server a"]),
        ("server a version 3 key 7 burst noselect", &["server a burst noselect key 7 version 3"]),
        ("Server foo", &[]),
        ("\"server\" foo", &[]),
        ("server \"\" foo", &["server foo"]),
        ("server foo\r\nserver \"b\r\n", &["server foo", "server b\r"]),
        ("server 10.0.0.1\nserver 10.0.0.1 iburst", &["server 10.0.0.1"]),
        ("server 224.0.1.1", &[]),
        ("end\nserver foo", &[]),
        ("\u{feff}server foo", &["server foo"]),
        ("server [2001:db8::1] iburst # remark", &["server 2001:db8::1 iburst"]),
    ];
    for (text, expected) in table {
        assert_eq!(servers(&read(text).config), expected, "{text}");
    }
}

#[test]
fn restrict_lines_keep_the_flags_behind_an_unknown_word() {
    let kept = "default: kod nomodify noquery";
    let table: [(&str, &[&str]); 13] = [
        ("restrict default kod nomodify XXX noquery", &[kept]),
        ("restrict -6 default ignore", &["v6 default: ignore"]),
        ("restrict 10.0.0.0 mask 255.0.0.0 nomodify none", &["10.0.0.0 255.0.0.0: nomodify"]),
        ("restrict -6 2001:db8:: mask ffff:ffff:: nomodify", &["adds for 2001:db8:: ffff:ffff::: nomodify"]),
        ("restrict 127.0.0.1 172.16.0.2", &["127.0.0.1 255.255.255.255: "]),
        ("restrict 10.0.0.0 mask 10", &[]),
        ("restrict 10.0.0.0 mask", &[]),
        ("restrict 10.1 nomodify", &[]),
        ("restrict", &[]),
        ("restrict source notrap nomodify noquery", &["source: nomodify noquery notrap"]),
        ("restrict default limited noepeer nomrulist", &["default: limited noepeer nomrulist"]),
        ("restrict 192.168.0.0/16 noquery", &["adds for 192.168.0.0 255.255.0.0: noquery"]),
        ("restrict 10.0.0.1 \"nomodify\"", &["10.0.0.1 255.255.255.255: "]),
    ];
    for (text, expected) in table {
        assert_eq!(restricts(&read(text).config), expected, "{text}");
    }
}

#[test]
fn settings_are_read_held_and_kept_in_their_order_of_application() {
    let config = clean("enable ntp\ndisable monitor ntp\nenable monitor ntp calibrate");
    assert!(!config.enable.ntp && !config.enable.monitor && config.enable.calibrate, "disable wins");
    assert_eq!(clean("trustedkey 1 2\ntrustedkey 3 ( 7 ... 9 )").auth.trusted, [3, 7, 8, 9].map(KeyId));
    assert_eq!(clean("tinker panic 0 step 0.5 stepout 300").tinker.step.get(), 0.5);
    let resumes = |text: &str| read(text).config.tinker.resume.get();
    let lines =
        ["tinker resume 60", "tinker resume -1", "tinker resume", "tinker resumes 60", "tinker step 1"];
    assert_eq!(lines.map(resumes), [60.0, 0.0, 0.0, 0.0, 0.0]);
    assert!(read("tinker resume -1").diagnostics[0].message.contains("out of range"));
    let config = read("tos minclock 4 bogus").config;
    assert_eq!(config.tos.minclock, 4);
    assert_eq!(read("tos minclock 4 maxclock x").config, Config::default());
    assert_eq!(read("tos orphan 5.0").config, Config::default());
    let config = clean("fudge 127.127.1.0 stratum 10 refid ABCDE\nserver 127.127.1.0");
    assert_eq!(config.servers[0].fudge.stratum.unwrap().get(), 10);
    assert_eq!(config.servers[0].fudge.refid.unwrap().text(), b"ABCD");
    assert_eq!(
        clean("setvar foo = \"a b\" default").setvar,
        [Variable { name: "foo".to_owned(), value: "a b".to_owned(), shown: true }]
    );
    assert_eq!(read("setvar foo=bar").config, Config::default());
    let config = clean("driftfile /a\nkeys /b\nkeys /c\nlogfile /d\npidfile /e\nleapfile /f");
    assert_eq!(config.driftfile.unwrap(), Path::new("/a"));
    assert_eq!(config.auth.keys.unwrap(), Path::new("/c"), "the last one counts");
    assert_eq!(clean("driftfile /a\ndriftfile").driftfile, None);
    assert_eq!(read("keys a b").config.auth.keys.unwrap(), Path::new("a"));
    assert_eq!(clean("requestkey 8\ncontrolkey 9").auth.control, Some(KeyId(9)));
    let config = clean("interface ignore wildcard\nnic listen 10.0.0.0/8\ninterface drop eth0");
    assert_eq!(config.interfaces[1].matches, InterfaceMatch::Address("10.0.0.0".parse().unwrap(), 8));
    assert_eq!(config.interfaces[2].action, InterfaceAction::Drop);
    assert_eq!(clean("logconfig =syncall +sysevents").logconfig, ["=syncall", "+sysevents"]);
    let config = read("statistics loopstats\nfilegen peerstats file p type week nolink").config;
    assert_eq!(config.statistics.filegens.len(), 2);
}

#[test]
fn what_waits_for_its_time_is_told_in_one_line() {
    for (text, words) in [
        ("crypto pw secret", "Autokey is not supported"),
        ("server 127.127.8.0", "no driver for clocks of type 8 (PARSE)"),
        ("restrict default mssntp", "responses are not signed for Windows domains"),
        ("phone atdt1234", "telephone modems are not supported"),
        ("enable mode7", "mode 7 (ntpdc) is not served"),
    ] {
        let parsed = read(text);
        assert_eq!(parsed.diagnostics.len(), 1, "{text}: {:?}", parsed.diagnostics);
        assert!(parsed.diagnostics[0].log_line().contains(words), "{}", parsed.diagnostics[0].log_line());
        assert_eq!(parsed.diagnostics[0].severity, Severity::Warning);
    }
    assert!(read("simulate {\n}").diagnostics[0].log_line().contains("the block is skipped"));
    assert_eq!(servers(&read("simulate {\n server 0\n}\nserver foo").config), ["server foo"]);
}

#[test]
fn includefiles_are_read_in_place_five_deep() {
    let mut opened = Vec::new();
    let parsed = parse(Path::new("main"), b"includefile loop server first\nserver last", &mut |path| {
        opened.push(path.to_owned());
        Ok(format!("server depth{}\nincludefile loop\nbogus", opened.len()).into_bytes())
    });
    let names = servers(&parsed.config);
    assert_eq!(names.first().unwrap(), "server first");
    assert_eq!(names.last().unwrap(), "server last");
    assert_eq!(names.len(), 7, "{names:?}");
    let deep = parsed.diagnostics.iter().find(|d| d.message.contains("nested")).unwrap();
    assert_eq!((deep.include_stack.len(), deep.line), (5, 2));
    assert!(deep.render(Style::Plain).contains("included from main line 1"));

    let missing = read("includefile /etc/ntp/crypto/pw\nserver foo");
    assert_eq!(servers(&missing.config), ["server foo"]);
    assert_eq!(
        missing.diagnostics[0].log_line(),
        "/etc/ntp.conf line 1 column 13: cannot open /etc/ntp/crypto/pw: No such file or directory; it is skipped"
    );
}

#[test]
fn a_misspelt_word_is_shown_with_what_was_meant() {
    let parsed = read("\n\nserver 192.0.2.1 perfer   # remark");
    let [d] = &parsed.diagnostics[..] else { panic!("{:?}", parsed.diagnostics) };
    assert_eq!((d.line, d.column, d.suggestion.as_deref()), (3, 18, Some("prefer")));
    assert!(!parsed.config.servers[0].prefer);
    assert_eq!(
        d.log_line(),
        "/etc/ntp.conf line 3 column 18: unknown keyword \"perfer\", did you mean prefer?; \
         server 192.0.2.1 is used without it"
    );
    let remark = read("restrict default ignore \u{8bbe}\u{7f6e}");
    assert!(remark.diagnostics[0].log_line().contains("looks like a comment"));
    assert_eq!(restricts(&remark.config), ["default: ignore"]);
    assert!(AccessFlags::IGNORE.names().eq(["ignore"]));
    assert_eq!(Kind::Server, parsed.config.servers[0].kind);
}

/// Words for a line that begins with `command`: those of the language that belong there, and values.
fn words_of(command: &'static str) -> impl Strategy<Value = &'static str> {
    const VALUES: [&str; 56] = [
        "10.0.0.1",
        "2001:db8::1",
        "[::1]",
        "127.127.1.0",
        "127.127.28.0",
        "224.0.1.1",
        "ntp.example",
        "mask",
        "255.255.0.0",
        "ffff::",
        "0",
        "1",
        "7",
        "16",
        "64",
        "100",
        "65536",
        "-3",
        "99999999999",
        "0.5",
        "1e-3",
        "1e300",
        "=",
        "(",
        ")",
        "...",
        "{",
        "\"a b\"",
        "\"",
        "#",
        "-4",
        "-6",
        "=syncall",
        "+sysevents",
        "default",
        "/var/x",
        "shm",
        "NMEA",
        "phc",
        "sock",
        "127.127.129.7",
        "0.1g",
        "-1Gg",
        "/run/s",
        "9600",
        "\u{8bbe}",
        "true",
        "0x7f.1",
        "-0.0",
        "1e305",
        "9007199254740993",
        "-4e5",
        "=x=",
        "\"    x\"",
        "10.0.0.0/8",
        "255.0.0.255",
    ];
    let own: Vec<&'static str> =
        language::options_of(command).iter().flat_map(|c| language::rows(*c)).map(|row| row.name).collect();
    let own = if own.is_empty() { VALUES.to_vec() } else { own };
    let all: Vec<&'static str> = language::keywords().map(|row| row.name).collect();
    prop_oneof![6 => sample::select(own), 6 => sample::select(VALUES.to_vec()), 1 => sample::select(all)]
}

fn lines_of_the_language() -> impl Strategy<Value = String> {
    let commands: Vec<&'static str> = language::rows(Context::Command).iter().map(|row| row.name).collect();
    let line = sample::select(commands).prop_flat_map(|command| {
        vec(words_of(command), 0..9).prop_map(move |words| format!("{command} {}\n", words.join(" ")))
    });
    vec(line, 0..12).prop_map(|lines| lines.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_octets_hold(text in vec(any::<u8>(), 0..2000)) {
        oracle::hold(&text);
    }

    #[test]
    fn any_lines_of_the_language_hold(text in lines_of_the_language()) {
        oracle::hold(text.as_bytes());
    }
}

/// A restrict line about addresses near those of [`near`].
fn restrict_line() -> impl Strategy<Value = String> {
    let whom = sample::select(vec![
        "default",
        "-6 default",
        "source",
        "10.0.0.1",
        "10.0.0.0 mask 255.255.255.0",
        "10.0.0.0 mask 255.0.0.255",
        "0.0.0.1 mask 0.0.0.255",
        "10.0.0.0 mask 255.0.0.0",
        "2001:db8::1",
        "2001:db8:: mask ffff:ffff::",
    ]);
    let flags = vec(sample::select(vec!["ignore", "noserve", "notrust", "nomodify", "ntpport"]), 0..3);
    (whom, flags).prop_map(|(whom, flags)| format!("restrict {whom} {}\n", flags.join(" ")))
}

fn near() -> impl Strategy<Value = &'static str> {
    sample::select(vec!["10.0.0.1", "10.0.0.2", "10.9.0.1", "192.0.2.1", "2001:db8::1", "2001:db8::2"])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 10_000, ..ProptestConfig::default() })]

    /// The lint has its own way to the entry that counts, as it may not know the engine's: they agree.
    #[test]
    fn what_is_said_of_a_servers_answers_is_what_the_access_list_does(
        lines in vec(restrict_line(), 0..6),
        server in near(),
    ) {
        let text = format!("{}server {server}\n", lines.concat());
        let parsed = read(&text);
        let address: std::net::IpAddr = server.parse().unwrap();
        let mut list = AccessList::build(&parsed.config.restrict);
        list.set_sources(&[address]);
        let flags = list.lookup((address, 123).into());
        let said = |words: &str| parsed.lints.iter().any(|found| found.message.contains(words));
        let deaf = flags.contains(AccessFlags::IGNORE) || flags.contains(AccessFlags::NOSERVE);
        prop_assert_eq!(said("the responses of this server are dropped"), deaf, "{}{:?}", text, flags);
        let untrusted = !deaf && flags.contains(AccessFlags::NOTRUST);
        prop_assert_eq!(said("drops the responses of this server, which are not authenticated"), untrusted, "{}{:?}", text, flags);
    }
}

#[test]
fn the_words_of_leap_smear() {
    use rsntpd::config::model::{SmearLaw, SmearSettings};
    for (text, interval, law, said) in [
        ("leapsmearinterval 86400\n", 86_400, SmearLaw::Cosine, ""),
        ("leapsmearinterval 86400\nleapsmearmode linear\n", 86_400, SmearLaw::Linear, ""),
        ("leapsmearmode cosine\nleapsmearinterval 7200\n", 7_200, SmearLaw::Cosine, ""),
        ("leapsmearinterval 0\n", 0, SmearLaw::Cosine, ""),
        ("leapsmearinterval 1000000\n", 172_800, SmearLaw::Cosine, "out of range"),
        ("leapsmearinterval\n", 0, SmearLaw::Cosine, "needs a value"),
        ("leapsmearmode quadratic\n", 0, SmearLaw::Cosine, "does not take \"quadratic\""),
        ("leapsmearmode\n", 0, SmearLaw::Cosine, "needs a value"),
        ("leapsmearintervall 9\n", 0, SmearLaw::Cosine, "did you mean leapsmearinterval?"),
    ] {
        let parsed = parse(Path::new("ntp.conf"), text.as_bytes(), &mut |_| Err("".into()));
        assert_eq!(parsed.config.smear, SmearSettings { interval, law }, "{text}");
        let lines: Vec<String> = parsed.diagnostics.iter().map(Diagnostic::log_line).collect();
        assert!(
            lines.is_empty() == said.is_empty() && lines.iter().all(|line| line.contains(said)),
            "{text}: {lines:?}"
        );
        let again =
            parse(Path::new("ntp.conf"), &rsntpd::config::print(&parsed.config), &mut |_| Err("".into()));
        assert_eq!(again.config.smear, parsed.config.smear);
    }
}
