//! What a set of access flags means, sentence by sentence (ntp_acc(5), and the order of ntpd's receive path).

use crate::config::model::{AccessFlags, Config};

/// What a client with some flags may and may not do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Verdict {
    /// What it may do, with the conditions.
    pub(super) may: Vec<String>,
    /// What it may not do, and because of which flag.
    pub(super) may_not: Vec<(&'static str, &'static str)>,
    /// Flags that change nothing, and why.
    pub(super) without_effect: Vec<&'static str>,
}

impl Verdict {
    /// By these flags, under this configuration.
    pub(super) fn of(flags: AccessFlags, config: &Config) -> Self {
        let mut verdict = Self::default();
        verdict.time(flags, config);
        verdict.control(flags);
        verdict.association(flags);
        verdict.idle_flags(flags);
        verdict
    }

    fn time(&mut self, flags: AccessFlags, config: &Config) {
        const WHAT: &str = "get the time";
        if let Some(because) = first(flags, &[AccessFlags::IGNORE, AccessFlags::NOSERVE]) {
            self.may_not.push((WHAT, because));
            return;
        }
        let mut text = WHAT.to_owned();
        if flags.contains(AccessFlags::VERSION) {
            text.push_str(", with NTP version 4 only (version)");
        }
        if flags.contains(AccessFlags::NOTRUST) {
            text.push_str(", with a MAC of a trusted key only (notrust)");
        }
        if flags.contains(AccessFlags::FLAKE) {
            text.push_str(", with one packet in ten dropped at random (flake)");
        }
        self.may.push(text);
        self.may.push(rate(flags, config));
    }

    fn control(&mut self, flags: AccessFlags) {
        const QUERY: &str = "query the state with ntpq";
        const MODIFY: &str = "change settings with ntpq";
        let silent = first(flags, &[AccessFlags::IGNORE, AccessFlags::NOQUERY]);
        match silent {
            Some(because) => self.may_not.push((QUERY, because)),
            None if flags.contains(AccessFlags::NOMRULIST) => {
                self.may.push(format!("{QUERY}, but not for the list of clients (nomrulist)"));
            }
            None => self.may.push(format!("{QUERY} (peers, variables)")),
        }
        let fixed = silent.or_else(|| first(flags, &[AccessFlags::NOMODIFY]));
        self.may_not.push((MODIFY, fixed.unwrap_or("rsntpd takes no changes by ntpq; no flag forbids it")));
        let no_traps = first(flags, &[AccessFlags::IGNORE, AccessFlags::NOQUERY, AccessFlags::NOTRAP]);
        self.may_not.push(("set traps", no_traps.unwrap_or("rsntpd has none; no flag forbids it")));
    }

    fn association(&mut self, flags: AccessFlags) {
        const WHAT: &str = "become a time source without being configured";
        let refused = first(flags, &[AccessFlags::IGNORE, AccessFlags::NOSERVE, AccessFlags::NOPEER]);
        let because = refused.unwrap_or("sources are configured only; no flag forbids it");
        self.may_not.push((WHAT, because));
    }

    fn idle_flags(&mut self, flags: AccessFlags) {
        let has = |flag| flags.contains(flag);
        if has(AccessFlags::IGNORE) {
            return; // nothing else matters
        }
        if has(AccessFlags::KOD) && !has(AccessFlags::LIMITED) {
            self.without_effect.push("kod: it only matters together with limited");
        }
        if has(AccessFlags::LIMITED) && has(AccessFlags::NOSERVE) {
            self.without_effect.push("limited: noserve drops the packets before");
        }
        if has(AccessFlags::LOWPRIOTRAP) {
            self.without_effect.push("lowpriotrap: rsntpd has no traps");
        }
        if has(AccessFlags::MSSNTP) {
            self.without_effect.push("mssntp: rsntpd does not sign for Windows domains");
        }
    }
}

/// How often it may poll.
fn rate(flags: AccessFlags, config: &Config) -> String {
    if !flags.contains(AccessFlags::LIMITED) {
        return "poll as often as it likes: there is no rate limit (limited is not set)".to_owned();
    }
    let seconds = |exponent: u8| 1u64 << exponent.min(32);
    let average = seconds(config.discard.average);
    let minimum = seconds(config.discard.minimum);
    let excess = if flags.contains(AccessFlags::KOD) {
        "excess requests are dropped, some with a RATE kiss (limited, kod)"
    } else {
        "excess requests are dropped silently (limited without kod)"
    };
    format!("poll every {average} s on average and not twice within {minimum} s; {excess}")
}

/// The keyword of the first of `these` that is set.
fn first(flags: AccessFlags, these: &[AccessFlags]) -> Option<&'static str> {
    these.iter().find(|flag| flags.contains(**flag)).and_then(|flag| flag.names().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(flags: &[AccessFlags]) -> Verdict {
        let flags = flags.iter().fold(AccessFlags::NONE, |all, flag| all.union(*flag));
        Verdict::of(flags, &Config::default())
    }

    #[test]
    fn ignore_allows_nothing() {
        let verdict = by(&[AccessFlags::IGNORE, AccessFlags::KOD]);
        assert!(verdict.may.is_empty() && verdict.without_effect.is_empty());
        assert!(verdict.may_not.iter().all(|(_, because)| *because == "ignore"));
        assert_eq!(verdict.may_not.len(), 5);
    }

    #[test]
    fn the_usual_default_serves_time_only() {
        let verdict = by(&[
            AccessFlags::KOD,
            AccessFlags::NOMODIFY,
            AccessFlags::NOTRAP,
            AccessFlags::NOPEER,
            AccessFlags::NOQUERY,
        ]);
        assert_eq!(verdict.may[0], "get the time");
        assert_eq!(verdict.may.len(), 2);
        assert_eq!(
            verdict.may_not,
            [
                ("query the state with ntpq", "noquery"),
                ("change settings with ntpq", "noquery"),
                ("set traps", "noquery"),
                ("become a time source without being configured", "nopeer"),
            ]
        );
        assert_eq!(verdict.without_effect, ["kod: it only matters together with limited"]);
    }

    #[test]
    fn no_flag_allows_everything_that_exists() {
        let verdict = by(&[]);
        assert_eq!(verdict.may.len(), 3, "{verdict:?}");
        assert!(verdict.may_not.iter().all(|(_, because)| because.ends_with("no flag forbids it")));
    }

    #[test]
    fn limits_are_told_in_seconds() {
        let with_kiss =
            by(&[AccessFlags::LIMITED, AccessFlags::KOD, AccessFlags::VERSION, AccessFlags::NOTRUST]);
        assert!(with_kiss.may[0].contains("version 4") && with_kiss.may[0].contains("trusted key"));
        assert!(with_kiss.may[1].starts_with("poll every 8 s on average and not twice within 2 s"));
        assert!(with_kiss.may[1].contains("RATE kiss"));
        assert!(by(&[AccessFlags::LIMITED]).may[1].contains("silently"));
    }
}
