//! The words of the language. A word that is not here is a string, whatever it looks like.

/// How the words behind a keyword are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Follow {
    /// As what they are.
    Normal,
    /// The next one is a string.
    OneString,
    /// All to the end of the line are strings.
    AllStrings,
}

/// A keyword.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word {
    pub(super) name: &'static str,
    pub(super) follow: Follow,
}

/// Behind these, the next word is a string.
const ONE_STRING: [&str; 31] = [
    "abbrev",
    "broadcast",
    "digest",
    "driftfile",
    "file",
    "fudge",
    "host",
    "ident",
    "includefile",
    "keys",
    "keysdir",
    "leapfile",
    "logfile",
    "manycastclient",
    "ntpsigndsocket",
    "peer",
    "pidfile",
    "pool",
    "pw",
    "randfile",
    "refid",
    "saveconfigdir",
    "server",
    "setvar",
    "sign",
    "statsdir",
    "trap",
    "unconfig",
    "unpeer",
    "refclock",
    "serverresponse",
];

/// Behind these, all words are strings.
const ALL_STRINGS: [&str; 4] = ["logconfig", "manycastserver", "multicastclient", "phone"];

/// The other keywords of 4.2.6, 4.2.8 and, where files in the wild have them, NTPsec.
const OTHERS: [&str; 133] = [
    "...",
    "age",
    "all",
    "allan",
    "allpeers",
    "auth",
    "autokey",
    "automax",
    "average",
    "bclient",
    "beacon",
    "bias",
    "broadcastclient",
    "broadcastdelay",
    "burst",
    "calibrate",
    "calldelay",
    "ceiling",
    "clockstats",
    "cohort",
    "controlkey",
    "crypto",
    "cryptostats",
    "ctl",
    "day",
    "default",
    "disable",
    "discard",
    "dispersion",
    "drop",
    "dscp",
    "enable",
    "end",
    "filegen",
    "filenum",
    "flag1",
    "flag2",
    "flag3",
    "flag4",
    "flake",
    "floor",
    "freq",
    "huffpuff",
    "iburst",
    "ignore",
    "incalloc",
    "incmem",
    "initalloc",
    "initmem",
    "interface",
    "io",
    "ipv4",
    "ipv6",
    "kernel",
    "key",
    "kod",
    "leapsmearinterval",
    "limited",
    "link",
    "listen",
    "loopstats",
    "lowpriotrap",
    "mask",
    "maxage",
    "maxclock",
    "maxdepth",
    "maxdist",
    "maxmem",
    "maxpoll",
    "mdnstries",
    "mem",
    "memlock",
    "minclock",
    "mindepth",
    "mindist",
    "minimum",
    "minpoll",
    "minsane",
    "mode",
    "mode7",
    "monitor",
    "month",
    "mru",
    "mssntp",
    "nic",
    "nolink",
    "nomodify",
    "nomrulist",
    "none",
    "nonvolatile",
    "nopeer",
    "noquery",
    "noselect",
    "noserve",
    "notrap",
    "notrust",
    "ntp",
    "ntpport",
    "orphan",
    "orphanwait",
    "panic",
    "peerstats",
    "pid",
    "port",
    "preempt",
    "prefer",
    "protostats",
    "qos",
    "rawstats",
    "requestkey",
    "reset",
    "restrict",
    "revoke",
    "rlimit",
    "simulate",
    "source",
    "stacksize",
    "statistics",
    "stats",
    "step",
    "stepback",
    "stepfwd",
    "stepout",
    "stratum",
    "sys",
    "sysstats",
    "tick",
    "time1",
    "time2",
    "timer",
    "timingstats",
    "tinker",
    "tos",
];

/// More of them: words of one letter's end, and those that 4.2.8 added late.
const MORE: [&str; 17] = [
    "trustedkey",
    "ttl",
    "true",
    "type",
    "unpeer_crypto_early",
    "unpeer_crypto_nak_early",
    "unpeer_digest_early",
    "version",
    "week",
    "wildcard",
    "xleave",
    "year",
    "noepeer",
    "epeer",
    "ippeerlimit",
    "pps",
    "basedate",
];

/// The keyword that is spelt exactly so.
pub(super) fn find(text: &[u8]) -> Option<Word> {
    let text = std::str::from_utf8(text).ok()?;
    let among = |list: &'static [&'static str], follow| {
        list.iter().find(|name| **name == text).map(|name| Word { name, follow })
    };
    among(&ONE_STRING, Follow::OneString)
        .or_else(|| among(&ALL_STRINGS, Follow::AllStrings))
        .or_else(|| among(&OTHERS, Follow::Normal))
        .or_else(|| among(&MORE, Follow::Normal))
}

/// The word of `candidates` that was probably meant, if one is near: at most a third of its
/// letters wrong, swapped or missing.
pub(super) fn suggest<'a>(text: &[u8], candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let text = std::str::from_utf8(text).ok()?.to_ascii_lowercase();
    candidates
        .map(|c| (strsim::osa_distance(&text, c), c))
        .filter(|(distance, c)| *distance * 3 <= c.len() && *distance <= 2)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, c)| c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_recognised() {
        let options = ["iburst", "burst", "prefer", "minpoll", "maxpoll", "key"];
        let suggest = |text: &str| suggest(text.as_bytes(), options.into_iter());
        assert_eq!(suggest("perfer"), Some("prefer"));
        assert_eq!(suggest("ibrust"), Some("iburst"));
        assert_eq!(suggest("IBURST"), Some("iburst"));
        assert_eq!(suggest("允许"), None);
        assert_eq!(suggest("x"), None);
    }
}
