//! The configuration as an administrator meets it: whole lines and files, what takes effect, and
//! what is said about the rest.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on fails

use proptest::prelude::*;
use rsntpd::config::model::{
    AccessFlags, Config, Family, InterfaceAction, InterfaceMatch, Kind, RestrictTarget, Target,
};
use rsntpd::config::{Diagnostic, Parsed, Severity, parse};
use rsntpd::units::KeyId;
use std::path::Path;

fn read(text: &str) -> Parsed {
    read_bytes(text.as_bytes())
}

fn read_bytes(text: &[u8]) -> Parsed {
    parse(Path::new("/etc/ntp.conf"), text, &mut |_| Err("No such file or directory".to_owned()))
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
                RestrictTarget::Name(name, _) => name.clone(),
                RestrictTarget::Source => "source".to_owned(),
            };
            let words: Vec<&str> = r.flags.words().collect();
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
        ("restrict -6 2001:db8:: mask ffff:ffff:: nomodify", &["2001:db8:: ffff:ffff::: nomodify"]),
        ("restrict 127.0.0.1 172.16.0.2", &["127.0.0.1 255.255.255.255: "]),
        ("restrict 10.0.0.0 mask 10", &[]),
        ("restrict 10.0.0.0 mask", &[]),
        ("restrict 10.1 nomodify", &[]),
        ("restrict", &[]),
        ("restrict source notrap nomodify noquery", &["source: nomodify noquery notrap"]),
        ("restrict default limited noepeer nomrulist", &["default: limited noepeer nomrulist"]),
        ("restrict 192.168.0.0/16 noquery", &["192.168.0.0 255.255.0.0: noquery"]),
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
    let config = read("tos minclock 4 bogus").config;
    assert_eq!(config.tos.minclock, 4);
    assert_eq!(read("tos minclock 4 maxclock x").config, Config::default());
    assert_eq!(read("tos orphan 5.0").config, Config::default());
    let config = clean("fudge 127.127.1.0 stratum 10 refid ABCDE\nserver 127.127.1.0");
    assert_eq!(config.servers[0].fudge.stratum.unwrap().get(), 10);
    assert_eq!(config.servers[0].fudge.refid.unwrap().text(), b"ABCD");
    assert_eq!(clean("setvar foo = \"a b\" default").setvar, [("foo".to_owned(), "a b".to_owned(), true)]);
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
        ("broadcastclient", "broadcast is not yet supported"),
        ("crypto pw secret", "Autokey is not supported"),
        ("peer 10.0.0.1", "symmetric peers are not yet supported"),
        ("server 127.127.20.0", "reference clocks other than LOCAL"),
        ("enable mode7", "mode 7 (ntpdc) is not served"),
        ("simulate {\n server 0\n}\nserver foo", "the block is skipped"),
    ] {
        let parsed = read(text);
        assert_eq!(parsed.diagnostics.len(), 1, "{text}: {:?}", parsed.diagnostics);
        assert!(parsed.diagnostics[0].log_line().contains(words), "{}", parsed.diagnostics[0].log_line());
        assert_eq!(parsed.diagnostics[0].severity, Severity::Warning);
    }
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
    assert!(deep.render(false).contains("included from main line 1"));

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
        "/etc/ntp.conf line 3 column 18: unknown word \"perfer\", did you mean prefer?; \
         server 192.0.2.1 is used without it"
    );
    let remark = read("restrict default ignore \u{8bbe}\u{7f6e}");
    assert!(remark.diagnostics[0].log_line().contains("reads like a remark"));
    assert_eq!(restricts(&remark.config), ["default: ignore"]);
    assert!(AccessFlags::IGNORE.words().eq(["ignore"]));
    assert_eq!(Kind::Server, parsed.config.servers[0].kind);
}

proptest! {
    #[test]
    fn any_octets_are_read(text in prop::collection::vec(any::<u8>(), 0..2000)) {
        let parsed = read_bytes(&text);
        for d in &parsed.diagnostics {
            prop_assert!(d.span.end <= d.source.len() && d.span.start <= d.span.end);
            prop_assert!(!d.render(false).is_empty() && !d.log_line().contains('\n'));
        }
    }

    #[test]
    fn any_words_of_the_language_are_read(
        words in prop::collection::vec(prop::sample::select(vec![
            "server", "restrict", "fudge", "127.127.1.0", "default", "mask", "-6", "key", "5", "\n", "tos",
            "minclock", "0.5", "\"", "#", "{", "=", "simulate", "trustedkey", "(", "...", ")", "includefile",
            "filegen", "loopstats", "type", "day", "setvar", "a", "interface", "listen", "end", "\u{8bbe}", "crypto",
        ]), 0..60)
    ) {
        let parsed = read(&words.join(" "));
        for d in &parsed.diagnostics {
            prop_assert!(!d.render(true).is_empty());
        }
    }
}
