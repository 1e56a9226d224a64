//! What holds of small files, whoever wrote them: keys, drift and its record, leap seconds, the keys of NTS cookies, statistics.

use rsntpd::config::{Diagnostic, Style, parse_drift, parse_drift_record, parse_keys, parse_leapfile};
use rsntpd::daemon::nts::dump;
use rsntpd::tools::query::report;
use rsntpd::units::NtpTimestamp;
use rsntpd::wire::nts::master::MasterKeys;
use std::path::Path;

/// Longest secret that a keys file gives, bytes.
const SECRET_MAX: usize = 64;

/// The first byte says which file the others are.
///
/// # Panics
/// If something of it does not hold.
pub fn hold(data: &[u8]) {
    let Some((kind, text)) = data.split_first() else { return };
    match kind % 6 {
        0 => keys(text),
        1 => drift(text),
        2 => leap_seconds(text),
        3 => master_keys(text),
        4 => cookies(text),
        _ => statistics(text),
    }
}

fn finding(found: &Diagnostic, text: &[u8]) {
    assert!(found.line > 0 && found.column > 0 && !found.effect.is_empty(), "{found:?}");
    assert!(found.line as usize <= text.iter().filter(|b| **b == b'\n').count() + 1, "{found:?}");
    assert!(found.span.start <= found.span.end && found.span.end <= found.source.len(), "{found:?}");
    let (log, shown) = (found.log_line(), found.render(Style::Plain));
    assert!(!log.chars().any(char::is_control), "{log:?}");
    assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
}

/// Keys are in order and can be used; no secret is shown.
fn keys(text: &[u8]) {
    let (keys, found) = parse_keys(Path::new("/etc/ntp/keys"), text);
    assert!(keys.is_sorted_by(|one, next| one.id < next.id));
    for key in &keys {
        assert!(
            (1..=65_535).contains(&key.id.0) && (1..=SECRET_MAX).contains(&key.secret.len()),
            "{}",
            key.id.0
        );
    }
    for found in &found {
        finding(found, text);
        let shown = found.render(Style::Plain) + &found.log_line();
        for secret in secrets(text) {
            // What stands nowhere else, so that it is no key number or type of another line.
            let once = text.windows(secret.len()).filter(|part| *part == secret.as_bytes()).count() == 1;
            assert!(!once || !shown.contains(secret), "a secret is shown: {shown}");
        }
    }
}

/// The third tokens of lines that look like those of keys, as far as they are long.
fn secrets(text: &[u8]) -> Vec<&str> {
    let lines = text.split(|b| *b == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
    let words = |line: &'_ str| -> Option<(usize, usize)> {
        let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
        let number: u32 = words.next()?.parse().ok()?;
        let kind = words.next()?;
        let secret = words.next()?;
        let start = secret.as_ptr() as usize - line.as_ptr() as usize;
        let known = ["M", "MD5", "SHA1", "SHA", "AES128CMAC"].contains(&kind);
        (number > 0 && known && secret.len() >= 8 && secret.bytes().all(|b| b.is_ascii_alphanumeric()))
            .then_some((start, secret.len()))
    };
    lines.filter_map(|line| words(line).map(|(start, length)| &line[start..start + length])).collect()
}

fn drift(text: &[u8]) {
    let file = Path::new("/var/lib/ntp/drift");
    match parse_drift(file, text) {
        Ok(ppm) => assert!(ppm.get().abs() <= 500.0),
        Err(found) => finding(&found, text),
    }
    match parse_drift_record(file, text) {
        Ok(record) => assert!((0.0..=1_000.0).contains(&record.rms.get())),
        Err(found) => finding(&found, text),
    }
}

/// A table is of use at any time, and TAI − UTC changes by one second at a time.
fn leap_seconds(text: &[u8]) {
    let (table, found) = match parse_leapfile(Path::new("/etc/ntp/leap-seconds.list"), text) {
        Ok(read) => read,
        Err(found) => return finding(&found, text),
    };
    found.iter().for_each(|found| finding(found, text));
    assert!(!table.entries.is_empty());
    for pair in table.entries.windows(2) {
        assert!(pair[0].0 < pair[1].0 && (pair[1].1 - pair[0].1).abs() == 1, "{pair:?}");
        assert_eq!(table.next(pair[1].0 - 1), Some((pair[1].0, pair[1].1 - pair[0].1)));
    }
    for at in table.entries.iter().flat_map(|(at, _)| [at.saturating_sub(1), *at, at.saturating_add(1)]) {
        assert!(table.tai(at).is_some() || at < table.entries[0].0);
        assert!(table.next(at).is_none_or(|(next, _)| next > at));
        let _either = table.is_valid(at);
    }
}

/// What is read reads the same when it is written.
fn master_keys(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(keys) = MasterKeys::parse(text) else { return };
    assert_eq!(MasterKeys::parse(&keys.to_text()).ok().as_ref(), Some(&keys));
    let shared = MasterKeys::from_words(&keys.to_words());
    assert_eq!(shared, Some(MasterKeys { rotated: 0, ..keys }));
}

/// Cookies that an earlier process kept: a file of them is whole, or of no use.
fn cookies(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Some(found) = dump::read(text) else { return };
    assert!(found.cookies.len() <= 8 && !found.cookies.is_empty() && found.port != 0);
    assert!(found.cookies.iter().all(|cookie| !cookie.is_empty() && cookie.len().is_multiple_of(4)));
    let length = found.aead.key_length();
    for keys in [Some(&found.keys), found.other_keys.as_ref()].into_iter().flatten() {
        assert!([&keys.to_server, &keys.to_client].iter().all(|key| key.as_bytes().len() == length));
    }
}

/// A page of charts is made of any files of statistics.
fn statistics(text: &[u8]) {
    let (loops, peers) = text.split_at(text.iter().position(|b| *b == 0).unwrap_or(text.len()));
    let now = NtpTimestamp::from_unix(1_780_272_000, 0);
    if let Ok(page) = report::page_of("host", loops, peers, now) {
        assert!(page.starts_with("<!DOCTYPE html>") && page.trim_end().ends_with("</html>"));
        let mut words = page.split(|c: char| !c.is_ascii_alphanumeric());
        assert!(!words.any(|word| matches!(word, "NaN" | "inf")), "a chart of what is no number");
    }
}
