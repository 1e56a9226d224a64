//! Words that begin lines in files of other programs, and what to write here instead.

use super::{Row, Since, Takes, row};

const CHRONY: Since = Since::Foreign("chrony");
const OPENNTPD: Since = Since::Foreign("OpenNTPD");
const XNTP: Since = Since::Foreign("xntp3");
const TIMESYNCD: Since = Since::Foreign("systemd-timesyncd");

const fn word(name: &'static str, since: Since, help: &'static str, instead: &'static str) -> Row {
    row(name, Takes::Words("..."), help).since(since).refused(instead)
}

pub(super) const FOREIGN: &[Row] = &[
    word(
        "makestep",
        CHRONY,
        "when to step the clock",
        "the clock is stepped above tinker step; -g allows any first offset",
    ),
    word(
        "rtcsync",
        CHRONY,
        "keep the hardware clock right",
        "the kernel does this while the clock is synchronized; drop the line",
    ),
    word("allow", CHRONY, "who may ask", "everybody may, unless a restrict line says otherwise"),
    word("deny", CHRONY, "who may not ask", "write restrict ADDRESS mask MASK ignore"),
    word(
        "local",
        CHRONY,
        "serve without a source",
        "write server 127.127.1.0 and fudge 127.127.1.0 stratum 10",
    ),
    word("keyfile", CHRONY, "the file with the keys", "write keys FILE"),
    word("logdir", CHRONY, "where statistics go", "write statsdir DIR"),
    word("log", CHRONY, "which statistics are written", "write statistics loopstats peerstats"),
    word("maxupdateskew", CHRONY, "when a frequency is believed", "this is found out here; drop the line"),
    word("leapsectz", CHRONY, "where leap seconds come from", "write leapfile FILE"),
    word("leapseclist", CHRONY, "where leap seconds come from", "write leapfile FILE"),
    word(
        "bindaddress",
        CHRONY,
        "where to listen",
        "write interface ignore wildcard and interface listen ADDRESS",
    ),
    word("ratelimit", CHRONY, "limit clients", "write restrict default limited kod, and discard"),
    word("servers", OPENNTPD, "servers of one name", "write pool NAME"),
    word("listen", OPENNTPD, "where to listen", "write interface listen ADDRESS"),
    word("sensor", OPENNTPD, "a clock of this machine", "write server 127.127.TYPE.UNIT"),
    word("constraint", OPENNTPD, "check the time by HTTPS", "this is not supported; drop the line"),
    word("NTP=", TIMESYNCD, "the servers", "write a line server NAME for each"),
    word("authenticate", XNTP, "authentication", "write enable auth or disable auth"),
    word("authdelay", XNTP, "the time a digest takes", "it is measured; drop the line"),
    word("precision", XNTP, "the precision of the clock", "it is measured; drop the line"),
    word("monitor", XNTP, "remember clients", "write enable monitor or disable monitor"),
    word("clientlimit", XNTP, "clients of a network", "write restrict default limited, and discard"),
    word("clientperiod", XNTP, "clients of a network", "write restrict default limited, and discard"),
    word("resolver", XNTP, "the program that looks up names", "rsntpd looks up names itself; drop the line"),
    word("maxskew", XNTP, "the largest dispersion", "write tos maxdist SECONDS"),
    word("select", XNTP, "the selection algorithm", "there is one; drop the line"),
    word("wander", XNTP, "the clock's wander", "write driftfile FILE THRESHOLD"),
];
