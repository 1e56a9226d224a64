//! Configuration of the running daemon by ntpq's `:config`: the same parser as the file's, on top of
//! what is in force, and the same comparison of old and new as at SIGHUP.

use super::{Memory, level, merge};
use crate::config::model::Config;
use crate::config::{self, Diagnostic, Known, Severity};
use crate::daemon::start::cli::Options;
use crate::engine::contract::Setup;
use crate::engine::report::event::Level;
use std::fmt::Write as _;
use std::net::IpAddr;

/// What ntpq prints where all went well, as ntpd says it.
const SUCCEEDED: &str = "Config Succeeded";
/// Bytes of a reply, four datagrams.
const REPLY_MAX: usize = 1800;

/// What became of a configuration text.
#[derive(Debug)]
pub struct Configured {
    /// For the sender.
    pub reply: String,
    /// The new configuration, if the text could be read at all.
    pub setup: Option<Setup>,
    /// For the log.
    pub lines: Vec<(Level, String)>,
}

/// Takes in a text on top of `running`. As with ntpd, what is right in it takes effect even where
/// something else is wrong.
#[must_use]
pub fn configure(
    options: &Options,
    memory: &mut Memory,
    running: &Config,
    known: &[Known],
    from: IpAddr,
    text: &[u8],
) -> Configured {
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default().trim_ascii_end();
    if let Some(bad) = text.iter().find(|byte| !(b' '..=b'~').contains(*byte) && !byte.is_ascii_whitespace())
    {
        let reply = "runtime configuration failed: request contains an unprintable character".to_owned();
        let line = format!("runtime config from {from} rejected: it contains the byte {bad:#04x}");
        return Configured { reply, setup: None, lines: vec![(Level::Notice, line)] };
    }
    let shown = String::from_utf8_lossy(text);
    let mut lines = vec![(Level::Notice, format!("{from} config: {}", shown.replace(['\r', '\n'], "; ")))];
    let parsed = config::parse_at_run_time(running.clone(), text, known);
    let mut config = parsed.config;
    let mut notices = Vec::new();
    merge::keep_families(options, &mut config, &mut notices);
    lines.extend(notices.into_iter().map(|notice| (level(notice.severity), notice.text)));
    lines.extend(parsed.diagnostics.iter().map(|found| (level(found.severity), found.log_line())));
    if config != *running {
        let _ =
            writeln!(memory.added, "# set at run time by {from}\n# {}", shown.replace(['\r', '\n'], "\n# "));
    }
    let setup = Setup {
        config,
        keys: memory.keys.clone(),
        leap_table: memory.leap_table.clone(),
        unpeered: parsed.unpeered,
        // These are of the start; the engine keeps its own.
        allow_panic_once: false,
        quit_after_set: false,
    };
    Configured { reply: reply(&parsed.diagnostics), setup: Some(setup), lines }
}

/// The errors, a line each. Warnings are for the log: ntpq takes anything but ntpd's two words for a failure.
fn reply(diagnostics: &[Diagnostic]) -> String {
    let mut reply = String::new();
    for error in diagnostics.iter().filter(|found| found.severity == Severity::Error) {
        let line = error.log_line();
        if reply.len() + line.len() > REPLY_MAX {
            reply.push_str("...\n");
            break;
        }
        let _ = writeln!(reply, "{line}");
    }
    if reply.is_empty() { SUCCEEDED.to_owned() } else { reply }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::{Target, Tinker};
    use crate::daemon::start::cli;
    use crate::units::{AssocId, Seconds};

    const FROM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn options() -> Options {
        match cli::parse(["rsntpd"].map(std::ffi::OsString::from)) {
            Ok(cli::Command::Run(options)) => *options,
            other => panic!("{other:?}"),
        }
    }

    fn running(text: &str) -> Config {
        config::parse(std::path::Path::new("ntp.conf"), text.as_bytes(), &mut |_| Err("".into())).config
    }

    fn set(before: &Config, text: &str) -> (String, Config) {
        let known = [Known {
            id: AssocId(77),
            address: Some("192.0.2.9".parse().unwrap()),
            target: Target::Name("ntp.example".to_owned()),
        }];
        let mut memory = Memory::default();
        let done = configure(&options(), &mut memory, before, &known, FROM, text.as_bytes());
        assert!(done.lines[0].1.starts_with("127.0.0.1 config: "), "{:?}", done.lines);
        (done.reply, done.setup.unwrap().config)
    }

    #[test]
    fn what_is_right_takes_effect_on_top_of_what_was() {
        let before = running("server 192.0.2.1\nrestrict default nomodify\n");
        let (reply, after) = set(&before, "server 192.0.2.2 iburst\0\0");
        assert_eq!((reply.as_str(), after.servers.len()), ("Config Succeeded", 2));
        assert_eq!(after.restrict, before.restrict);
        let (reply, after) = set(&before, "tinker step 0.5\nservr 192.0.2.3\nrestrict 192.0.2.7 noquery");
        assert!(reply.contains("line 2 column 1") && reply.contains("server"), "{reply}");
        assert_eq!((after.tinker.step, after.restrict.len()), (Seconds::new(0.5), 2));
        assert_ne!(after.tinker, Tinker::default());
    }

    #[test]
    fn broadcasts_are_heard_and_no_longer_at_once() {
        let hears = |before: &Config, text: &str| {
            let after = set(before, text).1;
            (after.hears_broadcasts(), after)
        };
        let (on, with) = hears(&running("server 192.0.2.1\n"), "multicastclient 224.0.1.1");
        assert!(on && with.reception.groups.len() == 1);
        let (on, without) = hears(&with, "disable bclient");
        assert!(!on && without.idle.is_empty(), "{without:?}");
        assert!(hears(&without, "broadcastclient").0);
        assert!(running("broadcastclient\ndisable bclient").hears_broadcasts(), "in a file it counts");
    }

    #[test]
    fn associations_are_ended_by_address_name_or_number() {
        let before = running("server 192.0.2.1\nserver ntp.example\nserver 192.0.2.1 version 3\n");
        let left = |text: &str| -> Vec<Target> {
            set(&before, text).1.servers.into_iter().map(|server| server.target).collect()
        };
        let (first, second) =
            (Target::Address("192.0.2.1".parse().unwrap()), Target::Name("ntp.example".to_owned()));
        assert_eq!(left("unpeer 192.0.2.1"), [second]);
        for named in ["unpeer ntp.example", "unpeer 77", "unpeer 192.0.2.9", "unconfig 77"] {
            assert_eq!(left(named), std::slice::from_ref(&first), "{named}");
        }
        assert!(set(&before, "unpeer 192.0.2.77").0.contains("no such association"));
        // A pool's server, or a passive partner, has no line: the engine ends it.
        let unpeered = |text: &str| {
            let known = [Known {
                id: AssocId(78),
                address: Some("192.0.2.8".parse().unwrap()),
                target: Target::Address("192.0.2.8".parse().unwrap()),
            }];
            let done = configure(&options(), &mut Memory::default(), &before, &known, FROM, text.as_bytes());
            (done.reply, done.setup.unwrap().unpeered)
        };
        for named in ["unpeer 78", "unpeer 192.0.2.8"] {
            assert_eq!(unpeered(named), ("Config Succeeded".to_owned(), vec![AssocId(78)]));
        }
        assert_eq!(unpeered("unpeer 192.0.2.1").1, []);
    }

    #[test]
    fn run_time_configuration_overwrites_files_2015_7703() {
        let before = running("driftfile /var/lib/ntp/drift\nkeys /etc/ntp/keys\n");
        let words = [
            "pidfile",
            "driftfile",
            "logfile",
            "statsdir",
            "keys",
            "includefile",
            "crypto pw",
            "saveconfigdir",
            "leapfile",
            "filegen loopstats file",
            "keysdir",
        ];
        for word in words {
            let (reply, after) = set(&before, &format!("{word} /tmp/x"));
            assert!(reply.contains("cannot be set at run time"), "{word}: {reply}");
            assert_eq!(after, before, "{word}");
        }
    }

    #[test]
    fn what_no_configuration_holds_is_refused() {
        let mut memory = Memory::default();
        let refused = configure(&options(), &mut memory, &running(""), &[], FROM, b"server \x1b[2J");
        assert!(refused.setup.is_none() && refused.reply.contains("unprintable"));
        assert!(memory.added.is_empty());
    }

    #[test]
    fn what_was_added_is_saved_with_its_author() {
        let mut memory = Memory::default();
        let set = b"server 192.0.2.5\nrestrict default nomodify";
        let done = configure(&options(), &mut memory, &running(""), &[], FROM, set);
        let after = done.setup.unwrap().config;
        let _ = configure(&options(), &mut memory, &after, &[], FROM, b"nonsense");
        let text = String::from_utf8(memory.saved_text(&after)).unwrap();
        assert_eq!(
            text,
            "# set at run time by 127.0.0.1\n# server 192.0.2.5\n# restrict default nomodify\n\
             restrict default nomodify\nserver 192.0.2.5\n"
        );
        assert_eq!(running(&text).servers, after.servers);
    }
}
