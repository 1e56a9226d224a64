//! Values as people read them, in ntpq's forms: dates, bits, intervals, and lines of variables.

use super::names::Names;
use crate::units::NtpTimestamp;
use crate::wire::event::flash;
use crate::wire::varlist::{self, Item, VarList};
use chrono::{DateTime, Datelike, Local, Timelike};
use std::fmt::Write as _;

/// Most characters of a line of variables.
const LINE: usize = 72;
/// Columns that the names of lists of numbers take.
const ARRAY_NAME: usize = 11;
/// The widest number of such a list.
const ARRAY_NUMBER: usize = 7;
/// Times are printed in the era that is nearest to this one: 1935 to 2071.
const PIVOT_2003: i64 = 1_041_379_200;

/// A timestamp: hexadecimal, and the local date and time to the millisecond. `zero` is printed for 0.
#[must_use]
pub fn date(stamp: NtpTimestamp, zero: &str) -> String {
    let hex = format!("{:08x}.{:08x}", stamp.era_seconds(), stamp.fraction());
    if stamp.is_zero() {
        return format!("{hex}  {zero}");
    }
    let (seconds, nanos) = stamp.to_unix(PIVOT_2003);
    let Some(utc) = DateTime::from_timestamp(seconds, nanos) else { return hex };
    let t = utc.with_timezone(&Local);
    let milliseconds = (u64::from(stamp.fraction()) * 1000) >> 32;
    format!(
        "{hex}  {}, {} {:2} {} {:2}:{:02}:{:02}.{milliseconds:03}",
        t.weekday(),
        t.format("%b"),
        t.day(),
        t.year(),
        t.hour(),
        t.minute(),
        t.second(),
    )
}

/// What ntpq 4.2.6 prints for the timestamp 0 among variables.
pub const ZERO_VARIABLE: &str = "Mon, Jan  1 1900  0:00:00.000";
/// What ntpq 4.2.8 prints for it in its summaries: the same bits, an era later.
pub const ZERO_SUMMARY: &str = "Thu, Feb  7 2036  6:28:16.000";

/// A timestamp in UTC by ISO 8601, to the millisecond; `None` for 0.
#[must_use]
pub fn iso(stamp: NtpTimestamp) -> Option<String> {
    let (seconds, nanos) = stamp.to_unix(PIVOT_2003);
    let utc = DateTime::from_timestamp(seconds, nanos).filter(|_| !stamp.is_zero())?;
    Some(utc.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

/// Seconds as the columns `when` and `poll` have them: up to 2048 as they are, then minutes, hours, days.
#[must_use]
pub fn interval(seconds: i64) -> String {
    if seconds <= 0 {
        return "-".to_owned();
    }
    if seconds <= 2048 {
        return seconds.to_string();
    }
    let minutes = (seconds + 29) / 60;
    if minutes <= 300 {
        return format!("{minutes}m");
    }
    let hours = (minutes + 29) / 60;
    if hours <= 96 {
        return format!("{hours}h");
    }
    format!("{}d", (hours + 11) / 24)
}

/// The first `width` characters.
#[must_use]
pub fn cut(text: &str, width: usize) -> &str {
    text.char_indices().nth(width).map_or(text, |(at, _)| &text[..at])
}

/// Milliseconds with three decimals, of which seven characters are shown.
#[must_use]
pub fn millis(value: f64) -> String {
    let value = if value.abs() < 0.0005 { 0.0 } else { value };
    cut(&format!("{value:.3}"), 7).to_owned()
}

/// The two leap bits.
#[must_use]
pub fn leap(value: &str) -> String {
    varlist::integer(value).map_or_else(|| value.to_owned(), |bits| format!("{:02b}", bits & 3))
}

/// The bits of `flash`: hexadecimal with their names.
fn flash(value: &str) -> String {
    let Some(bits) = varlist::integer(value).and_then(|bits| u64::try_from(bits).ok()) else {
        return value.to_owned();
    };
    let names = flash::names(bits).join(", ");
    format!("{bits:02x} {}", if bits == 0 { "ok" } else { &names })
}

/// Numbers in columns, so that the three lists of the clock filter stand below one another.
fn columns(name: &str, value: &str) -> String {
    let mut text = " ".repeat(ARRAY_NAME.saturating_sub(name.len()));
    for (index, number) in value.split_whitespace().enumerate() {
        let gap = if index > 0 { " " } else { "" };
        let _ = write!(text, "{gap}{:>ARRAY_NUMBER$}", cut(number, ARRAY_NUMBER));
    }
    text
}

/// A value in its readable form.
fn cook(name: &str, value: &str, names: &mut Names) -> String {
    match name {
        "leap" => leap(value),
        "reach" => {
            varlist::integer(value).map_or_else(|| value.to_owned(), |bits| format!("{:03o}", bits & 0xff))
        }
        "reftime" | "clock" | "org" | "rec" | "xmt" => {
            varlist::timestamp(value).map_or_else(|| value.to_owned(), |stamp| date(stamp, ZERO_VARIABLE))
        }
        "flash" => flash(value),
        // An identifier of three dots may be text that happens to be printed like an address.
        "refid" | "srcadr" | "dstadr" => names.of_text(value),
        "filtdelay" | "filtoffset" | "filtdisp" | "filterror" => columns(name, value),
        // ntpd 4.2.8 sends six decimals of some; ntpq rounds those that it knew in 4.2.6.
        "offset" | "delay" | "dispersion" | "jitter" | "rootdelay" | "rootdisp" => match value.parse::<f64>()
        {
            Ok(number) if number.is_finite() => {
                format!("{:.3}", if number.abs() < 0.0005 { 0.0 } else { number })
            }
            _ => value.to_owned(),
        },
        _ => value.to_owned(),
    }
}

/// The lines of a list of variables, each line at most 72 characters unless one item is longer.
#[must_use]
pub fn lines(list: &VarList, names: &mut Names) -> String {
    let mut text = String::new();
    let mut column = 0;
    for Item { name, value } in list {
        // ntpd sends an empty text as a bare name.
        let item = format!("{name}={}", cook(name, value.as_deref().unwrap_or_default(), names));
        if !text.is_empty() {
            if column + item.len() + 2 > LINE {
                text.push_str(",\n");
                column = 0;
            } else {
                text.push_str(", ");
                column += 2;
            }
        }
        column += item.len();
        text.push_str(&item);
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals() {
        for (seconds, shown) in [
            (-3, "-"),
            (0, "-"),
            (1, "1"),
            (2048, "2048"),
            (2049, "34m"),
            (18_000, "300m"),
            (18_060, "5h"),
            (345_600, "96h"),
            (400_000, "5d"),
        ] {
            assert_eq!(interval(seconds), shown, "{seconds}");
        }
    }

    #[test]
    fn numbers_are_cut_like_ntpqs() {
        assert_eq!(millis(-1e-9), "0.000");
        assert_eq!(millis(-1234.5678), "-1234.5");
        assert_eq!(millis(12_345_678.9), "1234567");
        assert_eq!(columns("filtdisp", "0.00 16000.00"), "      0.00 16000.0");
        assert_eq!(cut("äöü", 2), "äö");
    }

    #[test]
    fn values_of_an_association() {
        let list = VarList::parse(b"leap=3, reach=0xff, flash=0x1600, keyid=0, filtoffset= 1.00 -0.50, odd");
        let text = lines(&list, &mut Names::numeric());
        assert_eq!(
            text,
            "leap=11, reach=377, flash=1600 peer_stratum, peer_dist, peer_unreach,\n\
             keyid=0, filtoffset=    1.00   -0.50, odd=\n"
        );
        assert_eq!(lines(&VarList::parse(b"flash=0x0"), &mut Names::numeric()), "flash=00 ok\n");
    }

    #[test]
    fn dates_of_this_and_the_next_era() {
        assert!(date(NtpTimestamp::ZERO, ZERO_VARIABLE).ends_with("1900  0:00:00.000"));
        let stamp = NtpTimestamp::from_unix(1_795_707_856, 278_000_000);
        assert_eq!(iso(stamp).unwrap(), "2026-11-26T15:44:16.278Z");
        assert_eq!(iso(NtpTimestamp::from_unix(2_200_000_000, 0)).unwrap(), "2039-09-18T23:06:40.000Z");
        assert_eq!(iso(NtpTimestamp::ZERO), None);
    }
}
