//! The commands: keywords at the beginning of a line.

#![allow(clippy::redundant_closure_for_method_calls)] // the method's name alone is no function for all lifetimes

use super::nts::AUTOKEY;
use super::{Context, Row, Since, Takes, row};
use crate::config::idle;
use crate::config::model::{Kind, Landlock, Seccomp};
use crate::config::settings::Turn;
use crate::units::{KeyId, Ppm};

const MODEM: &str = "telephone modems are not supported";

/// In the order of rsntp.conf(5).
pub(super) const COMMANDS: &[Row] = &[
    row("server", Takes::TextAndKeywords("[-4 | -6] ADDRESS [OPTION ...]"), "poll this server")
        .with(&[Context::Association, Context::Clock])
        .runs(|command| command.server(Kind::Server)),
    row(
        "pool",
        Takes::TextAndKeywords("[-4 | -6] NAME [OPTION ...]"),
        "find servers by this name, and others when some die",
    )
    .with(&[Context::Association])
    .runs(|command| command.server(Kind::Pool)),
    row(
        "peer",
        Takes::TextAndKeywords("[-4 | -6] ADDRESS [OPTION ...]"),
        "symmetric association: both hosts poll each other",
    )
    .with(&[Context::Association])
    .runs(|command| command.server(Kind::Peer)),
    row("broadcast", Takes::TextAndKeywords("ADDRESS [OPTION ...]"), "broadcast the time to a network")
        .with(&[Context::Association])
        .runs(|command| command.server(Kind::Broadcast)),
    row("manycastclient", Takes::TextAndKeywords("ADDRESS [OPTION ...]"), "find servers in this group")
        .with(&[Context::Association])
        .runs(|command| command.server(Kind::ManycastClient)),
    row("refclock", Takes::Text("DRIVER [OPTION ...]"), "use a clock that is attached to this machine")
        .since(Since::NtpSec)
        .with(&[Context::Refclock, Context::Fudge, Context::Clock, Context::Association])
        .runs(|command| command.refclock()),
    row("fudge", Takes::TextAndKeywords("127.127.TYPE.UNIT FACTOR ..."), "set up the clock of a server line")
        .with(&[Context::Fudge])
        .runs(|command| command.fudge()),
    row("unpeer", Takes::Text("[-4 | -6] ADDRESS"), "remove the association with this address")
        .runs(|command| command.unpeer()),
    row("unconfig", Takes::Text("[-4 | -6] ADDRESS"), "the same as unpeer").runs(|command| command.unpeer()),
    row("broadcastclient", Takes::Nothing, "receive the time from broadcast servers")
        .runs(|command| command.broadcastclient()),
    row(
        "multicastclient",
        Takes::Texts("[-4 | -6] ADDRESS ..."),
        "receive the time that is sent to these groups",
    )
    .runs(|command| command.multicastclient()),
    row("manycastserver", Takes::Texts("[-4 | -6] ADDRESS ..."), "answer beacons in these groups")
        .runs(|command| command.manycastserver()),
    row("broadcastdelay", Takes::Number, "how long broadcasts travel, there and back together")
        .default("0: measured")
        .unit("seconds")
        .runs(|command| command.broadcastdelay()),
    row("ttl", Takes::Keywords("INTEGER ..."), "the table of hop limits of packets to groups, up to 8")
        .default("1 32 64 96 128 160 192 224")
        .unit("hops")
        .runs(|command| command.ttl()),
    row("mdnstries", Takes::Integer, "how often to try to announce the service by mDNS")
        .since(Since::V428)
        .idle("rsntpd does not announce itself by mDNS"),
    row(
        "restrict",
        Takes::Keywords("[-4 | -6] ADDRESS [mask MASK] [FLAG ...]"),
        "access restrictions of clients and servers",
    )
    .with(&[Context::RestrictTarget, Context::Restrict])
    .runs(|command| command.restrict()),
    row("discard", Takes::Keywords("SETTING ..."), "rate limits of clients under limited")
        .with(&[Context::Discard])
        .runs(|command| command.settings(Context::Discard)),
    row("mru", Takes::Keywords("SETTING ..."), "size of the list of clients")
        .since(Since::V428)
        .with(&[Context::Mru])
        .runs(|command| command.settings(Context::Mru)),
    row("keys", Takes::Text("FILE"), "the file with the symmetric keys")
        .marked()
        .at_start_only()
        .path(|config| &mut config.auth.keys),
    row("trustedkey", Takes::Keywords("KEY | ( FIRST ... LAST ) ..."), "trusted keys; the last line is used")
        .default("none")
        .with(&[Context::KeyRange])
        .runs(|command| command.trusted_keys()),
    row("controlkey", Takes::Integer, "the key for changes by ntpq; it must be trusted as well")
        .only(1.0, 65_535.0)
        .default("none: ntpq can change nothing")
        .marked()
        .sets(|config, key| config.auth.control = Some(KeyId(key as u32))),
    row("requestkey", Takes::Integer, "the key for changes by ntpdc")
        .only(1.0, 65_535.0)
        .idle("ntpdc's requests (mode 7) are not served: they were an amplifier")
        .sets(|config, key| config.auth.request = Some(KeyId(key as u32))),
    row("crypto", Takes::Keywords("[OPTION ...]"), "authenticate by Autokey")
        .missing(AUTOKEY)
        .with(&[Context::Crypto])
        .at_start_only()
        .keeps(idle::crypto),
    row("keysdir", Takes::Text("DIR"), "where Autokey's keys are").idle(AUTOKEY).at_start_only(),
    row("revoke", Takes::Integer, "how often Autokey's private value changes").unit("log2 s").idle(AUTOKEY),
    row("automax", Takes::Integer, "how often Autokey's session keys change").unit("log2 s").idle(AUTOKEY),
    row("ident", Takes::Text("GROUP"), "the Autokey group").since(Since::V428).idle(AUTOKEY),
    row("ntpsigndsocket", Takes::Text("DIR"), "where Samba signs responses for Windows domains")
        .missing("responses are not signed for Windows domains")
        .at_start_only(),
    row("tos", Takes::Keywords("SETTING ..."), "how sources are selected")
        .with(&[Context::Tos])
        .runs(|command| command.tos()),
    row("tinker", Takes::Keywords("SETTING ..."), "how the clock is disciplined")
        .with(&[Context::Tinker])
        .runs(|command| command.settings(Context::Tinker)),
    row("enable", Takes::Keywords("SWITCH ..."), "switch on; all disable lines come after all enable lines")
        .with(&[Context::Switch])
        .runs(|command| command.switches(Turn::On)),
    row(
        "disable",
        Takes::Keywords("SWITCH ..."),
        "switch off; all disable lines come after all enable lines",
    )
    .with(&[Context::Switch])
    .runs(|command| command.switches(Turn::Off)),
    row(
        "driftfile",
        Takes::TextAndKeywords("[FILE [THRESHOLD]]"),
        "the file in which the frequency is saved",
    )
    .default("none")
    .marked()
    .at_start_only()
    .runs(|command| command.driftfile()),
    row(
        "nonvolatile",
        Takes::Number,
        "wander below which the drift file is not rewritten, as with driftfile",
    )
    .held(0.0, 1.0)
    .default("1e-7")
    .unit("seconds per second")
    .since(Since::V428)
    .sets(|config, rate| config.drift_threshold = Some(Ppm::from_rate(rate))),
    row("leapfile", Takes::Text("FILE"), "the leap second file, leap-seconds.list")
        .marked()
        .at_start_only()
        .path(|config| &mut config.leapfile),
    row("logfile", Takes::Text("FILE"), "log to FILE instead of syslog")
        .marked()
        .at_start_only()
        .path(|config| &mut config.logfile),
    row("logconfig", Takes::Texts("[= | + | -]CLASS ..."), "which messages are logged")
        .default("=syncall +sysevents +sysstatus")
        .runs(|command| command.logconfig()),
    row("pidfile", Takes::Text("FILE"), "where the process id is written")
        .at_start_only()
        .path(|config| &mut config.pidfile),
    row("statsdir", Takes::Text("DIR"), "the beginning of the names of statistics files")
        .default("/var/log/ntpstats/")
        .marked()
        .at_start_only()
        .path(|config| &mut config.statistics.dir),
    row("statistics", Takes::Keywords("KIND ..."), "which statistics are written")
        .with(&[Context::Statistics])
        .runs(|command| command.statistics()),
    row("filegen", Takes::Keywords("KIND [OPTION ...]"), "into which file a kind of statistics is written")
        .with(&[Context::Statistics, Context::Filegen, Context::FilegenType])
        .marked()
        .at_start_only()
        .runs(|command| command.filegen()),
    row(
        "interface",
        Takes::Keywords("ACTION WHICH"),
        "addresses to listen on; the last rule that matches counts",
    )
    .with(&[Context::InterfaceAction, Context::InterfaceMatch])
    .runs(|command| command.interface()),
    row("nic", Takes::Keywords("ACTION WHICH"), "the same as interface")
        .with(&[Context::InterfaceAction, Context::InterfaceMatch])
        .runs(|command| command.interface()),
    row("setvar", Takes::TextAndKeywords("NAME = VALUE [default]"), "a variable that ntpq can read")
        .with(&[Context::Setvar])
        .runs(|command| command.setvar()),
    row("saveconfigdir", Takes::Text("DIR"), "where ntpq may save the configuration")
        .default("none: ntpq can save nothing")
        .at_start_only()
        .path(|config| &mut config.saveconfigdir),
    row("dscp", Takes::Integer, "the service class in the packets sent")
        .held(0.0, 63.0)
        .default("46")
        .since(Since::V428)
        .sets(|config, code| config.dscp = Some(code as u8)),
    row(
        "seccomp",
        Takes::Choice("trap | log | off"),
        "what happens at a system call that the daemon never makes",
    )
    .default("trap: the daemon writes its number and aborts")
    .since(Since::Ours)
    .at_start_only()
    .sets_value(|config, value| config.seccomp = Seccomp::of_name(value.text()).unwrap_or_default()),
    row(
        "landlock",
        Takes::Choice("on | off"),
        "file-system rules from the files that the configuration names",
    )
    .default("on, where the kernel has them")
    .since(Since::Ours)
    .at_start_only()
    .sets_value(|config, value| {
        config.landlock = if value.text() == b"off" { Landlock::Off } else { Landlock::On };
    }),
    row("includefile", Takes::Text("FILE [COMMAND]"), "read FILE here, at most 5 deep")
        .at_start_only()
        .includes(),
    row("end", Takes::Nothing, "stop reading the configuration here").runs(|command| command.end()),
    row("trap", Takes::TextAndKeywords("ADDRESS [OPTION ...]"), "send traps of events to this address")
        .missing("traps are not supported")
        .with(&[Context::Trap])
        .keeps(idle::trap),
    row("phone", Takes::Texts("NUMBER ..."), "numbers to dial for the time").missing(MODEM),
    row("calldelay", Takes::Integer, "wait between calls").unit("seconds").idle(MODEM),
    row("tick", Takes::Number, "the length of a tick of the clock")
        .unit("seconds")
        .idle("the kernel knows its own tick"),
    row("qos", Takes::Token("CLASS"), "the service class in the packets sent")
        .idle("it never worked in ntpd 4.2.6; use dscp"),
    row("rlimit", Takes::Keywords("SETTING ..."), "limits of memory and files")
        .since(Since::V428)
        .idle("rsntpd needs little memory and few files")
        .with(&[Context::Rlimit])
        .keeps(|line, row, idle| idle::options(line, Context::Rlimit, row, idle)),
    row(
        "leapsmearinterval",
        Takes::Integer,
        "replies spread a leap second over this time before it; needs leapfile",
    )
    .held(0.0, 172_800.0)
    .default("0: leap seconds are announced")
    .unit("seconds")
    .since(Since::V428P(3))
    .runs(|command| command.smear_interval()),
    row("leapsmearmode", Takes::Token("linear | cosine"), "by which law a leap second is spread")
        .default("cosine")
        .since(Since::Ours)
        .runs(|command| command.smear_mode()),
    row("reset", Takes::Keywords("COUNTERS ..."), "set counters to zero")
        .since(Since::V428)
        .idle("at the start all counters are zero")
        .with(&[Context::Reset])
        .keeps(|line, row, idle| idle::options(line, Context::Reset, row, idle)),
    row("simulate", Takes::Keywords("{ ... }"), "a simulation")
        .idle("it is for ntpdsim; the block is skipped")
        .at_start_only()
        .block(),
    row(
        "nts",
        Takes::Keywords("SETTING ..."),
        "Network Time Security: its server, and what all its clients share",
    )
    .since(Since::NtpSec)
    .with(&[Context::Nts])
    .at_start_only()
    .runs(|command| command.nts()),
];
