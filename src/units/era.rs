//! Which of the eras an NTP timestamp is of: the same one comes round every 136 years.

use super::NtpTimestamp;

/// Seconds of an era.
pub const ERA: i64 = 1 << 32;
/// When this version was written, Unix time: 2026-11-28.
const WRITTEN: i64 = 1_795_824_000;
/// When the program was built, as far as the build says so (<https://reproducible-builds.org/specs/source-date-epoch/>).
pub const BUILT: i64 = later(WRITTEN, option_env!("SOURCE_DATE_EPOCH"));
/// Half an era less fifty years.
const AHEAD: i64 = ERA / 2 - 50 * 31_556_952;

/// The Unix time within 68 years of which all times are taken to lie: from fifty years before the build, for rigs that
/// play the past, to 86 years after it. A clock that shows another time is wrong.
pub const PIVOT: i64 = BUILT + AHEAD;

const fn later(written: i64, built: Option<&str>) -> i64 {
    let Some(built) = built else { return written };
    let (digits, mut seconds, mut i) = (built.as_bytes(), 0i64, 0);
    while i < digits.len() {
        if i >= 11 || !digits[i].is_ascii_digit() {
            return written;
        }
        seconds = 10 * seconds + (digits[i] - b'0') as i64;
        i += 1;
    }
    if seconds > written { seconds } else { written }
}

/// By how many eras a clock that shows this Unix time must be moved to show one within 68 years of [`PIVOT`].
#[must_use]
pub const fn eras_off(unix: i64) -> i64 {
    (NtpTimestamp::from_unix(unix, 0).to_unix(PIVOT).0 - unix) / ERA
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f7_clocks_outside_the_window_are_whole_eras_off() {
        for (unix, eras) in [
            (BUILT, 0),
            (BUILT - 49 * 31_556_952, 0),
            (BUILT + 85 * 31_556_952, 0),
            (0, 1),
            (-1, 1),
            (BUILT - ERA, 1),
            (BUILT - ERA - 1, 1),
            (BUILT + ERA, -1),
            (BUILT + 2 * ERA + 5, -2),
        ] {
            assert_eq!(eras_off(unix), eras, "{unix}");
            assert_eq!(eras_off(unix + eras * ERA), 0, "{unix}");
        }
    }

    #[test]
    fn f7_a_date_of_the_build_counts_where_it_is_one() {
        assert_eq!(later(5, None), 5);
        assert_eq!(later(5, Some("7")), 7);
        assert_eq!(later(5, Some("4")), 5);
        for odd in ["", "-7", "7x", "99999999999999999999999999"] {
            assert_eq!(later(5, Some(odd)), 5, "{odd}");
        }
    }
}
