//! Keywords that begin lines in files of other programs, and what to write here instead.

use super::{Row, Since, Takes, row};

const CHRONY: Since = Since::Foreign("chrony");
const OPENNTPD: Since = Since::Foreign("OpenNTPD");
const XNTP: Since = Since::Foreign("xntp3");
const TIMESYNCD: Since = Since::Foreign("systemd-timesyncd");

const fn keyword(name: &'static str, since: Since, help: &'static str, instead: &'static str) -> Row {
    row(name, Takes::Keywords("..."), help).since(since).refused(instead)
}

pub(super) const FOREIGN: &[Row] = &[
    keyword(
        "makestep",
        CHRONY,
        "when to step the clock",
        "the clock is stepped above tinker step; -g allows any first offset",
    ),
    keyword(
        "rtcsync",
        CHRONY,
        "keep the hardware clock right",
        "the kernel does this while the clock is synchronized; drop the line",
    ),
    keyword(
        "allow",
        CHRONY,
        "which clients are served",
        "every client is, unless a restrict line says otherwise",
    ),
    keyword("deny", CHRONY, "which clients are not served", "write restrict ADDRESS mask MASK ignore"),
    keyword(
        "local",
        CHRONY,
        "serve without a source",
        "write server 127.127.1.0 and fudge 127.127.1.0 stratum 10",
    ),
    keyword("keyfile", CHRONY, "the file with the keys", "write keys FILE"),
    keyword("logdir", CHRONY, "where statistics go", "write statsdir DIR"),
    keyword("log", CHRONY, "which statistics are written", "write statistics loopstats peerstats"),
    keyword("maxupdateskew", CHRONY, "when a frequency is accepted", "this is found out here; drop the line"),
    keyword("leapsectz", CHRONY, "where leap seconds come from", "write leapfile FILE"),
    keyword("leapseclist", CHRONY, "where leap seconds come from", "write leapfile FILE"),
    keyword(
        "bindaddress",
        CHRONY,
        "where to listen",
        "write interface ignore wildcard and interface listen ADDRESS",
    ),
    keyword("ratelimit", CHRONY, "limit clients", "write restrict default limited kod, and discard"),
    keyword("servers", OPENNTPD, "servers of one name", "write pool NAME"),
    keyword("listen", OPENNTPD, "where to listen", "write interface listen ADDRESS"),
    keyword("sensor", OPENNTPD, "a clock of this machine", "write server 127.127.TYPE.UNIT"),
    keyword("constraint", OPENNTPD, "check the time by HTTPS", "this is not supported; drop the line"),
    keyword("NTP=", TIMESYNCD, "the servers", "write a line server NAME for each"),
    keyword("authenticate", XNTP, "authentication", "write enable auth or disable auth"),
    keyword("authdelay", XNTP, "the time a digest takes", "it is measured; drop the line"),
    keyword("precision", XNTP, "the precision of the clock", "it is measured; drop the line"),
    keyword("monitor", XNTP, "remember clients", "write enable monitor or disable monitor"),
    keyword("clientlimit", XNTP, "clients of a network", "write restrict default limited, and discard"),
    keyword("clientperiod", XNTP, "clients of a network", "write restrict default limited, and discard"),
    keyword(
        "resolver",
        XNTP,
        "the program that looks up names",
        "rsntpd looks up names itself; drop the line",
    ),
    keyword("maxskew", XNTP, "the largest dispersion", "write tos maxdist SECONDS"),
    keyword("select", XNTP, "the selection algorithm", "there is one; drop the line"),
    keyword("wander", XNTP, "the clock's wander", "write driftfile FILE THRESHOLD"),
];
