//! How a source is authenticated: a mark in its row, and lines about NTS below the list.

use super::screen::long;
use crate::tools::query::fetch::Source;
use crate::tools::query::nts::SourceNts;
use ratatui::style::Color;

/// How far it is authenticated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Authentication {
    /// It is not to be.
    None,
    /// By a symmetric key.
    Key,
    /// Its responses are authentic.
    Nts,
    /// None has come yet.
    NtsWaits,
    /// The last key exchange failed, or the server refuses our cookies.
    NtsTrouble,
}

impl Authentication {
    pub(super) fn of(source: &Source) -> Self {
        match SourceNts::new(&source.list) {
            Some(nts) if nts.trouble().is_some() => Self::NtsTrouble,
            Some(_) if source.reach == 0 => Self::NtsWaits,
            Some(_) => Self::Nts,
            None if source.list.integer("keyid").is_some_and(|id| id > 0) => Self::Key,
            None => Self::None,
        }
    }

    /// In the column `auth`.
    pub(super) const fn mark(self) -> &'static str {
        match self {
            Self::None => "-",
            Self::Key => "key",
            Self::Nts => "NTS",
            Self::NtsWaits => "NTS?",
            Self::NtsTrouble => "NTS!",
        }
    }

    pub(super) const fn colour(self) -> Option<Color> {
        match self {
            Self::NtsTrouble => Some(Color::Red),
            Self::Nts | Self::Key => Some(Color::Green),
            Self::None | Self::NtsWaits => None,
        }
    }
}

/// What there is to know of a source's NTS, in lines of at most `width` characters; nothing without NTS.
pub(super) fn described(source: &Source, width: usize) -> Vec<String> {
    let Some(nts) = SourceNts::new(&source.list) else { return Vec::new() };
    if let Some(why) = nts.trouble() {
        return wrapped(&format!("NTS: {why}"), width);
    }
    let keys = match (nts.aead, nts.age) {
        (Some(aead), Some(age)) => format!(", {}, keys exchanged {} ago", aead.name(), long(age as f64)),
        _ => String::new(),
    };
    let text = match (nts.cookies, nts.aead, nts.attempts) {
        (0, None, Some(1..)) => "exchanging keys".to_owned(),
        (1, ..) => format!("1 cookie{keys}"),
        (cookies, ..) => format!("{cookies} cookies{keys}"),
    };
    wrapped(&format!("NTS: {text}"), width)
}

/// Lines that begin with a space, broken between words; all but the first are indented.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    const INDENT: &str = "      ";
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last().map_or(0, |line| line.chars().count());
        if last > INDENT.len() && last + 1 + word.chars().count() > width {
            lines.push(INDENT[1..].to_owned());
        }
        if let Some(line) = lines.last_mut() {
            line.push(' ');
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::state::tests::row;
    use super::*;

    fn source(list: &str) -> Source {
        row(7, 0xf63a, list).source
    }

    const GOOD: &str =
        "reach=0x1, ntscookies=8, ntsaead=\"AES_SIV_CMAC_256\", ntske_age=3725, ntske_attempts=0, ntsnak=0";
    const BAD: &str = "reach=0, ntscookies=0, ntske_attempts=2, ntsnak=0, ntske_error=\"certificate of ke.test has \
                       expired, it was valid until 2021-01-01 00:00:00 UTC; this clock says 2026-11-29 09:15:05 UTC\"";

    #[test]
    fn marks() {
        for (list, mark) in [
            ("reach=1", "-"),
            ("reach=1, keyid=7", "key"),
            (GOOD, "NTS"),
            ("reach=0, ntscookies=8, ntske_attempts=1, ntsnak=0", "NTS?"),
            ("reach=1, ntscookies=3, ntsnak=1", "NTS!"),
            (BAD, "NTS!"),
        ] {
            assert_eq!(Authentication::of(&source(list)).mark(), mark, "{list}");
        }
    }

    #[test]
    fn lines_fit() {
        let of = |list| described(&source(list), 80);
        assert_eq!(of("reach=1, keyid=7"), [""; 0]);
        assert_eq!(of(GOOD), [" NTS: 8 cookies, AES_SIV_CMAC_256, keys exchanged 01:02:05 ago"]);
        assert_eq!(of("ntscookies=0, ntske_attempts=1, ntsnak=0"), [" NTS: exchanging keys"]);
        // NTPsec's daemon reports no more.
        assert_eq!(of("ntscookies=1"), [" NTS: 1 cookie"]);
        assert_eq!(
            of(BAD),
            [
                " NTS: key exchange failed: certificate of ke.test has expired, it was valid",
                "      until 2021-01-01 00:00:00 UTC; this clock says 2026-11-29 09:15:05 UTC",
            ]
        );
        for width in 0..200 {
            let lines = described(&source(BAD), width);
            assert_eq!(lines.concat().split_whitespace().count(), 22, "{width}: {lines:?}");
            assert!(width < 20 || lines.iter().all(|line| line.len() <= width), "{width}: {lines:?}");
        }
    }
}
