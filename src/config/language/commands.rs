//! The commands: words at the beginning of a line.

use super::{Row, Since, Takes, row};

const AUTOKEY: &str = "Autokey is not supported: it is broken by design and was never safe";
const BROADCAST: &str = "broadcast is not yet supported by rsntpd";
const MULTICAST: &str = "multicast is not yet supported by rsntpd";
const MANYCAST: &str = "manycast is not yet supported by rsntpd";
const MODEM: &str = "telephone modems are not supported";

/// In the order of rsntp.conf(5).
pub(super) const COMMANDS: &[Row] = &[
    row("server", Takes::TextAndWords("[-4 | -6] ADDRESS [OPTION ...]"), "poll this server"),
    row("pool", Takes::TextAndWords("[-4 | -6] NAME [OPTION ...]"), "poll several servers of this name"),
    row("peer", Takes::TextAndWords("[-4 | -6] ADDRESS [OPTION ...]"), "symmetric association with an equal")
        .missing("symmetric peers are not yet supported by rsntpd"),
    row("broadcast", Takes::TextAndWords("ADDRESS [OPTION ...]"), "broadcast the time to a network")
        .missing(BROADCAST),
    row("manycastclient", Takes::TextAndWords("ADDRESS [OPTION ...]"), "find servers by manycast")
        .missing(MANYCAST),
    row("refclock", Takes::Text("DRIVER [OPTION ...]"), "use a clock that is attached to this machine")
        .since(Since::NtpSec),
    row("fudge", Takes::TextAndWords("127.127.TYPE.UNIT FACTOR ..."), "set up the clock of a server line"),
    row("unpeer", Takes::Text("[-4 | -6] ADDRESS"), "remove the association with this address"),
    row("unconfig", Takes::Text("[-4 | -6] ADDRESS"), "the same as unpeer"),
    row("broadcastclient", Takes::Nothing, "receive broadcasts").missing(BROADCAST),
    row("multicastclient", Takes::Texts("[-4 | -6] ADDRESS ..."), "receive multicasts").missing(MULTICAST),
    row("manycastserver", Takes::Texts("[-4 | -6] ADDRESS ..."), "respond to manycast clients")
        .missing(MANYCAST),
    row("broadcastdelay", Takes::Number, "how long broadcasts travel")
        .default("0: measured")
        .unit("seconds")
        .idle(BROADCAST),
    row("ttl", Takes::Words("INTEGER ..."), "hop limits of the search for manycast servers")
        .unit("hops")
        .idle(MANYCAST),
    row("mdnstries", Takes::Integer, "how often to try to announce the service by mDNS")
        .since(Since::V428)
        .idle("rsntpd does not announce itself by mDNS"),
    row(
        "restrict",
        Takes::Words("[-4 | -6] WHOM [mask MASK] [FLAG ...]"),
        "access restrictions of clients and servers",
    ),
    row("discard", Takes::Words("SETTING ..."), "rate limits of clients under limited"),
    row("mru", Takes::Words("SETTING ..."), "size of the list of clients").since(Since::V428),
    row("keys", Takes::Text("FILE"), "the file with the symmetric keys"),
    row("trustedkey", Takes::Words("KEY | ( FIRST ... LAST ) ..."), "trusted keys; the last line is used")
        .default("none"),
    row("controlkey", Takes::Integer, "the key for changes by ntpq; it must be trusted as well")
        .only(1.0, 65_535.0)
        .default("none: ntpq can change nothing"),
    row("requestkey", Takes::Integer, "the key for changes by ntpdc")
        .only(1.0, 65_535.0)
        .idle("ntpdc's requests (mode 7) are not served: they were an amplifier"),
    row("crypto", Takes::Words("[OPTION ...]"), "authenticate by Autokey").missing(AUTOKEY),
    row("keysdir", Takes::Text("DIR"), "where Autokey's keys are").idle(AUTOKEY),
    row("revoke", Takes::Integer, "how often Autokey's private value changes").unit("log2 s").idle(AUTOKEY),
    row("automax", Takes::Integer, "how often Autokey's session keys change").unit("log2 s").idle(AUTOKEY),
    row("ident", Takes::Text("GROUP"), "the Autokey group").since(Since::V428).idle(AUTOKEY),
    row("ntpsigndsocket", Takes::Text("DIR"), "where Samba signs responses for Windows domains")
        .missing("responses are not signed for Windows domains"),
    row("tos", Takes::Words("SETTING ..."), "how sources are selected"),
    row("tinker", Takes::Words("SETTING ..."), "how the clock is disciplined"),
    row("enable", Takes::Words("SWITCH ..."), "switch on; all disable lines come after all enable lines"),
    row("disable", Takes::Words("SWITCH ..."), "switch off; all disable lines come after all enable lines"),
    row("driftfile", Takes::TextAndWords("[FILE [THRESHOLD]]"), "the file in which the frequency is saved")
        .default("none"),
    row(
        "nonvolatile",
        Takes::Number,
        "wander below which the drift file is not rewritten, as with driftfile",
    )
    .held(0.0, 1.0)
    .default("1e-7")
    .unit("seconds per second")
    .since(Since::V428),
    row("leapfile", Takes::Text("FILE"), "the leap second file, leap-seconds.list"),
    row("logfile", Takes::Text("FILE"), "log to FILE instead of syslog"),
    row("logconfig", Takes::Texts("[= | + | -]CLASS ..."), "which messages are logged")
        .default("=syncall +sysevents +sysstatus"),
    row("pidfile", Takes::Text("FILE"), "where the process id is written"),
    row("statsdir", Takes::Text("DIR"), "the beginning of the names of statistics files")
        .default("/var/log/ntpstats/"),
    row("statistics", Takes::Words("KIND ..."), "which statistics are written"),
    row("filegen", Takes::Words("KIND [OPTION ...]"), "into which file a kind of statistics is written"),
    row(
        "interface",
        Takes::Words("ACTION WHICH"),
        "addresses to listen on; the last rule that matches counts",
    ),
    row("nic", Takes::Words("ACTION WHICH"), "the same as interface"),
    row("setvar", Takes::TextAndWords("NAME = VALUE [default]"), "a variable that ntpq can read"),
    row("saveconfigdir", Takes::Text("DIR"), "where ntpq may save the configuration")
        .default("none: ntpq can save nothing"),
    row("dscp", Takes::Integer, "the service class in the packets sent")
        .held(0.0, 63.0)
        .default("46")
        .since(Since::V428),
    row("includefile", Takes::Text("FILE [COMMAND]"), "read FILE here, at most 5 deep"),
    row("end", Takes::Nothing, "stop reading the configuration here"),
    row("trap", Takes::TextAndWords("ADDRESS [OPTION ...]"), "send traps of events to this address")
        .missing("traps are not supported"),
    row("phone", Takes::Texts("NUMBER ..."), "numbers to dial for the time").missing(MODEM),
    row("calldelay", Takes::Integer, "wait between calls").unit("seconds").idle(MODEM),
    row("tick", Takes::Number, "the length of a tick of the clock")
        .unit("seconds")
        .idle("the kernel knows its own tick"),
    row("qos", Takes::Word("CLASS"), "the service class in the packets sent")
        .idle("it never worked in ntpd 4.2.6; use dscp"),
    row("rlimit", Takes::Words("SETTING ..."), "limits of memory and files")
        .since(Since::V428)
        .idle("rsntpd needs little memory and few files"),
    row("leapsmearinterval", Takes::Integer, "spread a leap second over this time")
        .unit("seconds")
        .since(Since::V428P(3))
        .missing("leap seconds are not smeared: they are announced as they are"),
    row("reset", Takes::Words("COUNTERS ..."), "set counters to zero")
        .since(Since::V428)
        .idle("at the start all counters are zero"),
    row("simulate", Takes::Words("{ ... }"), "a simulation").idle("it is for ntpdsim; the block is skipped"),
    row("nts", Takes::Words("..."), "Network Time Security")
        .since(Since::NtpSec)
        .missing("Network Time Security is not supported: servers are used without it"),
];
