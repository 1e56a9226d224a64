//! The keys file and the drift file.

use super::diagnostic::{Diagnostic, Severity, quote};
use super::model::{Digest, Key};
use crate::units::{KeyId, Ppm};
use std::ops::Range;
use std::path::Path;

/// Longest secret that is taken as it stands; a longer one is hexadecimal.
const ASCII_MAX: usize = 20;
/// Most octets of a hexadecimal secret (4.2.8).
const HEX_MAX: usize = 32;
/// Largest believable frequency, ppm.
const DRIFT_MAX: f64 = 500.0;

struct Place<'a> {
    file: &'a Path,
    line: u32,
    source: &'a [u8],
}

impl Place<'_> {
    fn finding(&self, span: Range<usize>, message: String, expected: &str, effect: &str) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            file: self.file.to_owned(),
            line: self.line,
            column: span.start as u32 + 1,
            source: self.source.to_vec(),
            span,
            message,
            expected: Some(expected.to_owned()),
            effect: effect.to_owned(),
            suggestion: None,
            include_stack: Vec::new(),
        }
    }
}

/// Reads a keys file: `ID TYPE KEY` a line, `#` begins a comment. A bad line is told and skipped,
/// the others count. A key given twice counts as given last. The secret is shown in no message.
#[must_use]
pub fn parse_keys(file: &Path, text: &[u8]) -> (Vec<Key>, Vec<Diagnostic>) {
    let (mut keys, mut findings): (Vec<Key>, Vec<Diagnostic>) = (Vec::new(), Vec::new());
    for (source, line) in text.split(|b| *b == b'\n').zip(1u32..) {
        let place = Place { file, line, source };
        match key_line(&place) {
            Ok(Some(key)) => {
                keys.retain(|k| k.id != key.id);
                keys.push(key);
            }
            Ok(None) => {}
            Err(mut finding) => {
                // Neither log nor screen may show a secret.
                finding.source = vec![b'.'; finding.source.len()];
                findings.push(*finding);
            }
        }
    }
    (keys, findings)
}

fn key_line(place: &Place<'_>) -> Result<Option<Key>, Box<Diagnostic>> {
    let comment = place.source.iter().position(|b| *b == b'#').unwrap_or(place.source.len());
    let code = place.source[..comment].strip_suffix(b"\r").unwrap_or(&place.source[..comment]);
    let mut words = words(code);
    let Some(id_span) = words.next() else { return Ok(None) };
    let skipped = "this line is skipped";
    let bad = |span: Range<usize>, message: String, expected: &str| {
        Err(Box::new(place.finding(span, message, expected, skipped)))
    };
    let id = std::str::from_utf8(&code[id_span.clone()]).ok().and_then(|t| t.parse::<u32>().ok());
    let Some(id) = id.filter(|id| (1..=65_535).contains(id)) else {
        return bad(id_span, "not a key number".to_owned(), "1 to 65535");
    };
    let Some(type_span) = words.next() else {
        return bad(code.len()..code.len(), format!("key {id} has no type"), "M (MD5) or SHA1");
    };
    let digest = match code[type_span.clone()].to_ascii_uppercase().as_slice() {
        b"SHA" | b"SHA1" => Digest::Sha1,
        [b'M', ..] => Digest::Md5,
        other => {
            let message = format!("key {id} has the type {}, which is not supported", quote(other));
            return bad(type_span, message, "M (MD5) or SHA1");
        }
    };
    let Some(key_span) = words.next() else {
        return bad(
            code.len()..code.len(),
            format!("key {id} has no secret"),
            "up to 20 characters, or hexadecimal digits",
        );
    };
    let written = &code[key_span.clone()];
    let secret = if written.len() <= ASCII_MAX { Some(written.to_vec()) } else { hex(written) };
    match secret {
        Some(secret) => Ok(Some(Key { id: KeyId(id), digest, secret })),
        None => bad(
            key_span,
            format!("the secret of key {id} is longer than 20 characters and not hexadecimal"),
            "only the digits 0-9 and a-f",
        ),
    }
}

/// Where the words of a line stand.
fn words(code: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + code[at..].iter().position(|b| !b.is_ascii_whitespace())?;
        let length = code[start..].iter().position(u8::is_ascii_whitespace).unwrap_or(code.len() - start);
        at = start + length;
        Some(start..at)
    })
}

/// Pairs of digits; an odd last one is dropped, what is too long is cut.
fn hex(written: &[u8]) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        written.iter().map(|b| char::from(*b).to_digit(16).map(|d| d as u8)).collect();
    Some(digits?.chunks_exact(2).take(HEX_MAX).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// Reads a drift file: one number in ppm, what follows it is ignored.
///
/// # Errors
/// The finding, where there is no number or none within ±500.
pub fn parse_drift(file: &Path, text: &[u8]) -> Result<Ppm, Box<Diagnostic>> {
    let source = text.split(|b| *b == b'\n').next().unwrap_or_default();
    let place = Place { file, line: 1, source };
    let span = words(source).next().unwrap_or(0..0);
    let number = std::str::from_utf8(&source[span.clone()]).ok().and_then(|t| t.parse::<f64>().ok());
    let expected = "one number in ppm from -500 to 500";
    let effect = "the frequency is learnt anew";
    match number {
        Some(ppm) if ppm.abs() <= DRIFT_MAX => Ok(Ppm::new(ppm)),
        Some(ppm) if ppm.is_finite() => Err(Box::new(place.finding(
            span,
            format!("a frequency of {ppm} ppm is out of range"),
            expected,
            effect,
        ))),
        _ => Err(Box::new(place.finding(
            span,
            "the drift file does not hold a number".to_owned(),
            expected,
            effect,
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_lines_count_and_bad_ones_are_told_without_the_secret() {
        let text = b"# keys\n1 M secret#word\n2 SHA1 0123456789abcdef0123456789abcdef01234567\r\n\n\
                     x M a\n70000 M a\n3 DES a\n4 M\n5 M 0123456789abcdefghij0\n1 MD5 newer";
        let (keys, findings) = parse_keys(Path::new("/etc/ntp/keys"), text);
        let seen: Vec<_> = keys.iter().map(|k| (k.id.0, k.digest, k.secret.len())).collect();
        assert_eq!(seen, vec![(2, Digest::Sha1, 20), (1, Digest::Md5, 5)]);
        let lines: Vec<u32> = findings.iter().map(|f| f.line).collect();
        assert_eq!(lines, vec![5, 6, 7, 8, 9]);
        assert!(findings.iter().all(|f| !f.render(false).contains("ghij")));
    }

    #[test]
    fn drift_is_a_number_within_500_ppm() {
        let read = |text: &[u8]| parse_drift(Path::new("/var/lib/ntp/drift"), text).ok().map(Ppm::get);
        assert_eq!(read(b"-12.345\n"), Some(-12.345));
        assert_eq!(read(b" 7 some remark"), Some(7.0));
        for bad in [&b""[..], b"garbage", b"500.1", b"nan", b"inf", b"\xff\xfe"] {
            assert_eq!(read(bad), None);
        }
    }
}
