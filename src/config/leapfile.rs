//! The leap second file (`leapfile`): `leap-seconds.list` of NIST and IERS, which the time zone
//! database carries too.

use super::diagnostic::{Diagnostic, Severity};
use super::keys::{Place, tokens};
use super::model::LeapTable;
use crate::units::UNIX_EPOCH;
use sha1::{Digest as _, Sha1};
use std::path::Path;

/// What happens to a file with a fault.
const NOT_USED: &str = "the file is not used";

/// A file as far as it was read.
#[derive(Default)]
struct Reading {
    table: LeapTable,
    /// The digits that the hash covers: update, expiry, and both numbers of every line.
    covered: String,
    hash: Option<[u32; 5]>,
}

/// Reads a leap second file: lines of `NTP-SECOND TAI-OFFSET`, `#@` the expiry, `#$` the last update,
/// `#h` a SHA-1 check over all their digits; other comments are skipped.
///
/// A file without a check is used and this is reported, as 4.2.8 does.
///
/// # Errors
/// The finding, where a line is invalid, the offsets do not change by one, or the check is
/// wrong: a leap second file is used as a whole or not at all.
pub fn parse_leapfile(file: &Path, text: &[u8]) -> Result<(LeapTable, Vec<Diagnostic>), Box<Diagnostic>> {
    let mut reading = Reading::default();
    for (source, line) in text.split(|b| *b == b'\n').zip(1u32..) {
        reading.line(&Place { file, line, source })?;
    }
    let end = Place { file, line: text.split(|b| *b == b'\n').count() as u32, source: b"" };
    if reading.table.entries.is_empty() {
        let expected = "lines such as 3692217600 37";
        return Err(Box::new(end.finding(0..0, "no leap second in it".to_owned(), expected, NOT_USED)));
    }
    let mut findings = Vec::new();
    match reading.hash {
        Some(hash) if hash == sha1_numbers(&reading.covered) => {}
        Some(_) => {
            let message = "the hash of the leap second file (#h) does not match its content".to_owned();
            return Err(Box::new(end.finding(0..0, message, "a file that is whole and unchanged", NOT_USED)));
        }
        None => {
            let message = "the leap second file has no hash (#h)".to_owned();
            let mut finding = end.finding(0..0, message, "a line #h with the SHA-1 hash", "the file is used");
            finding.severity = Severity::Warning;
            findings.push(finding);
        }
    }
    Ok((reading.table, findings))
}

impl Reading {
    fn line(&mut self, place: &Place<'_>) -> Result<(), Box<Diagnostic>> {
        match place.source {
            [b'#', b'$', ..] => self.covered_number(place, "the time of the last update").map(drop),
            [b'#', b'@', ..] => {
                self.table.expires = Some(self.covered_number(place, "the time of the expiry")?);
                Ok(())
            }
            [b'#', b'h', rest @ ..] => {
                self.hash = hash_numbers(rest);
                if self.hash.is_some() {
                    return Ok(());
                }
                let message = "the hash of the leap second file (#h) is not valid".to_owned();
                Err(Box::new(place.finding(
                    2..place.source.len(),
                    message,
                    "five hexadecimal numbers",
                    NOT_USED,
                )))
            }
            _ => self.entry(place),
        }
    }

    /// The number behind `#$` or `#@`, as Unix time.
    fn covered_number(&mut self, place: &Place<'_>, what: &str) -> Result<i64, Box<Diagnostic>> {
        let span = tokens(&place.source[2..]).next().map_or(2..2, |w| w.start + 2..w.end + 2);
        let Some((digits, seconds)) = number(&place.source[span.clone()]) else {
            let message = format!("{what} is not a number");
            return Err(Box::new(place.finding(span, message, "seconds since 1900", NOT_USED)));
        };
        self.covered.push_str(digits);
        Ok(seconds - UNIX_EPOCH)
    }

    fn entry(&mut self, place: &Place<'_>) -> Result<(), Box<Diagnostic>> {
        let end = place.source.iter().position(|b| *b == b'#').unwrap_or(place.source.len());
        let code = &place.source[..end];
        let mut spans = tokens(code);
        let Some(first) = spans.next() else { return Ok(()) };
        let bad = |span, message: &str| {
            let expected = "seconds since 1900 and TAI-UTC, each line later than the one before and its offset \
                            one more or less";
            Err(Box::new(place.finding(span, message.to_owned(), expected, NOT_USED)))
        };
        let second = spans.next().unwrap_or(code.len()..code.len());
        let (Some(since), Some(offset)) = (number(&code[first.clone()]), number(&code[second.clone()]))
        else {
            return bad(first, "not a leap second");
        };
        let entry = (since.1 - UNIX_EPOCH, i32::try_from(offset.1).unwrap_or(i32::MAX));
        if let Some(last) = self.table.entries.last()
            && (entry.0 <= last.0 || (i64::from(entry.1) - i64::from(last.1)).abs() != 1)
        {
            return bad(second, "this leap second does not follow from the one before");
        }
        self.covered.push_str(since.0);
        self.covered.push_str(offset.0);
        self.table.entries.push(entry);
        debug_assert!(
            self.table.entries.is_sorted_by(|one, next| one.0 < next.0),
            "the leap seconds of a table follow one another"
        );
        Ok(())
    }
}

/// Digits and their value.
fn number(number: &[u8]) -> Option<(&str, i64)> {
    // No more than any time of this file has: sums of such numbers cannot overflow.
    let digits = std::str::from_utf8(number)
        .ok()
        .filter(|w| w.len() <= 15 && w.bytes().all(|b| b.is_ascii_digit()))?;
    Some((digits, digits.parse().ok()?))
}

/// The five numbers of `#h`, each possibly without leading zeros.
fn hash_numbers(written: &[u8]) -> Option<[u32; 5]> {
    let text = std::str::from_utf8(written).ok()?;
    let numbers: Option<Vec<u32>> =
        text.split_whitespace().map(|w| u32::from_str_radix(w, 16).ok()).collect();
    numbers?.try_into().ok()
}

fn sha1_numbers(covered: &str) -> [u32; 5] {
    let hash: [u8; 20] = Sha1::digest(covered).into();
    std::array::from_fn(|i| {
        u32::from_be_bytes([hash[4 * i], hash[4 * i + 1], hash[4 * i + 2], hash[4 * i + 3]])
    })
}

/// The line `#h` that belongs to these digits.
#[cfg(test)]
pub(crate) fn leapfile_check(covered: &str) -> String {
    let tokens = sha1_numbers(covered).map(|number| format!("{number:08x}"));
    format!("#h\t{}", tokens.join("\t"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "#\tleap seconds\n#$\t 3676924800\n#@\t3991680000\n\
                        2272060800\t10\t# 1 Jan 1972\n2287785600\t11\t# 1 Jul 1972\n3692217600 12 # tail\n\n";
    const COVERED: &str = "36769248003991680000227206080010228778560011369221760012";

    fn read(text: &str) -> Result<(LeapTable, Vec<Diagnostic>), Box<Diagnostic>> {
        parse_leapfile(Path::new("/etc/leap-seconds"), text.as_bytes())
    }

    fn checked() -> String {
        format!("{BODY}{}\n", leapfile_check(COVERED))
    }

    #[test]
    fn a_whole_file_is_read() {
        let (table, findings) = read(&checked()).unwrap();
        assert!(findings.is_empty());
        assert_eq!(table.expires, Some(3_991_680_000 - UNIX_EPOCH));
        let expected = [(63_072_000, 10), (78_796_800, 11), (1_483_228_800, 12)];
        assert_eq!(table.entries, expected);
    }

    #[test]
    fn a_changed_digit_or_a_cut_file_is_not_used() {
        for (from, to) in
            [("2287785600", "2287785601"), ("3991680000", "3991680001"), ("3692217600 12 # tail\n", "")]
        {
            let found = read(&checked().replace(from, to)).unwrap_err();
            assert!(found.message.contains("does not match"), "{}", found.message);
            assert_eq!(found.effect, "the file is not used");
        }
    }

    #[test]
    fn faults_are_told_by_line() {
        let line = |text: &str| read(text).map_or_else(|f| f.line, |_| 0);
        assert_eq!(line("#$ x\n"), 1);
        assert_eq!(line("#\n#@\n"), 2);
        assert_eq!(line("2272060800 10\n2272060800 11\n"), 2);
        assert_eq!(line("2272060800 10\n2287785600 12\n"), 2);
        assert_eq!(line("2272060800\n"), 1);
        assert_eq!(line("<html>\n"), 1);
        assert_eq!(line("2272060800 10\n#h 1 2 3\n"), 2);
        assert_eq!(line("# nothing\n"), 2);
        let (_, findings) = read("2272060800 10\n").unwrap();
        assert!(
            findings.len() == 1 && findings[0].severity == Severity::Warning,
            "no check: used and reported"
        );
    }

    #[test]
    fn the_file_of_the_time_zone_database_is_read() {
        // Where this machine has it; its check is the proof that ours is computed rightly.
        let path = Path::new("/usr/share/zoneinfo/leap-seconds.list");
        let Ok(text) = std::fs::read(path) else {
            return skip::because("there is no leap-seconds.list (tzdata)");
        };
        let (table, findings) = parse_leapfile(path, &text).unwrap();
        assert!(findings.is_empty());
        assert!(table.entries.contains(&(1_483_228_800, 37)), "2017-01-01");
    }
}
