//! The keys file and the drift file.

use super::diagnostic::{Diagnostic, Severity, quote};
use super::encoding;
use super::findings::Findings;
use super::model::{Digest, Key};
use crate::units::{KeyId, Ppm};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;
use std::path::Path;
use zeroize::Zeroizing;

/// Longest secret that is taken as it stands; a longer one is hexadecimal.
const ASCII_MAX: usize = 20;
/// Most bytes of a hexadecimal secret (4.2.8).
const HEX_MAX: usize = 32;
/// So many findings are listed of a file, the others counted: what is no keys file has one a line.
const FINDINGS: usize = 20;
/// Of a long line this much is shown, bytes.
const SHOWN: usize = 240;
/// Largest believable frequency, ppm.
const DRIFT_MAX: f64 = 500.0;

/// A line of a small file.
pub(super) struct Place<'a> {
    pub(super) file: &'a Path,
    pub(super) line: u32,
    pub(super) source: &'a [u8],
}

impl Place<'_> {
    pub(super) fn finding(
        &self,
        span: Range<usize>,
        message: String,
        expected: &str,
        effect: &str,
    ) -> Diagnostic {
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

/// Reads a keys file: `ID TYPE KEY [ADDRESS[/LENGTH],...]` a line, `#` begins a comment. A bad line
/// is reported and skipped, the others count, as in 4.2.6 (4.2.8 drops the whole file). More tokens are reported and
/// ignored, unless the fourth is meant to be addresses. A key given twice counts as given last. The keys are in the order of their numbers. The secret is
/// shown in no message.
#[must_use]
pub fn parse_keys(file: &Path, text: &[u8]) -> (Vec<Key>, Vec<Diagnostic>) {
    let (mut keys, mut findings) = (BTreeMap::new(), Findings::keeping(FINDINGS));
    if let Some(foreign) = encoding::foreign(text) {
        let place = Place { file, line: 1, source: b"" };
        let finding = place.finding(0..0, foreign.what.to_owned(), foreign.remedy, "there are no keys");
        return (Vec::new(), vec![finding]);
    }
    for (source, line) in text.split(|b| *b == b'\n').zip(1u32..) {
        let place = Place { file, line, source };
        let mut more = None;
        let found = match key_line(&place, &mut more) {
            Ok(Some(key)) => {
                keys.insert(key.id, key);
                more
            }
            Ok(None) => None,
            Err(finding) => Some(finding),
        };
        if let Some(mut found) = found {
            // Neither log nor screen may show a secret.
            let length = found.source.len().min(found.span.end.max(SHOWN));
            found.source = vec![b'.'; length];
            findings.push(found.severity, || *found);
        }
    }
    (keys.into_values().collect(), findings.into_list())
}

/// The token of a type and what it stands for, in the spellings of ntpd, NTPsec, OpenSSL and chrony.
const TYPES: [(&str, Digest); 19] = [
    ("M", Digest::Md5),
    ("MD5", Digest::Md5),
    ("SHA", Digest::Sha1),
    ("SHA1", Digest::Sha1),
    ("SHA-1", Digest::Sha1),
    ("RIPEMD160", Digest::Ripemd160),
    ("RMD160", Digest::Ripemd160),
    ("RIPEMD", Digest::Ripemd160),
    ("SHA256", Digest::Sha256),
    ("SHA-256", Digest::Sha256),
    ("SHA384", Digest::Sha384),
    ("SHA-384", Digest::Sha384),
    ("SHA512", Digest::Sha512),
    ("SHA-512", Digest::Sha512),
    ("AES128CMAC", Digest::AesCmac),
    ("AES-128-CMAC", Digest::AesCmac),
    ("AES128", Digest::AesCmac),
    ("AES-128", Digest::AesCmac),
    ("CMAC", Digest::AesCmac),
];
/// What to write as a type.
const TYPES_EXPECTED: &str = "M (MD5), SHA1, SHA256, SHA384, SHA512, RIPEMD160 or AES128CMAC";
/// Bytes of an AES-128 key.
const AES_KEY: usize = 16;

fn digest_of(written: &[u8]) -> Option<Digest> {
    let token = written.to_ascii_uppercase();
    let known = TYPES.iter().find(|(name, _)| name.as_bytes() == token).map(|(_, digest)| *digest);
    // Any other token with an M is MD5 to ntpd, but not what OpenSSL knows as another digest.
    known.or_else(|| {
        (token.first() == Some(&b'M') && token != b"MD4" && token != b"MDC2").then_some(Digest::Md5)
    })
}

/// The key of a line, and in `more` what there is to say about it all the same.
fn key_line(place: &Place<'_>, more: &mut Option<Box<Diagnostic>>) -> Result<Option<Key>, Box<Diagnostic>> {
    let comment = place.source.iter().position(|b| *b == b'#').unwrap_or(place.source.len());
    let code = place.source[..comment].strip_suffix(b"\r").unwrap_or(&place.source[..comment]);
    let mut tokens = tokens(code);
    let Some(id_span) = tokens.next() else { return Ok(None) };
    let bad = |span: Range<usize>, message: String, expected: &str| {
        Err(Box::new(place.finding(span, message, expected, "this line is skipped")))
    };
    let end = code.len()..code.len();
    let id = std::str::from_utf8(&code[id_span.clone()]).ok().and_then(|t| t.parse::<u32>().ok());
    let Some(id) = id.filter(|id| (1..=65_535).contains(id)) else {
        return bad(id_span, "not a key number".to_owned(), "1 to 65535");
    };
    let Some(type_span) = tokens.next() else {
        return bad(end, format!("key {id} has no type"), TYPES_EXPECTED);
    };
    let Some(digest) = digest_of(&code[type_span.clone()]) else {
        let written = quote(&code[type_span.clone()]);
        return bad(
            type_span,
            format!("key {id} has the type {written}, which is not supported"),
            TYPES_EXPECTED,
        );
    };
    let Some(key_span) = tokens.next() else {
        return bad(end, format!("key {id} has no secret"), "up to 20 characters, or hexadecimal digits");
    };
    let written = &code[key_span.clone()];
    let secret = if written.len() <= ASCII_MAX { Some(written.to_vec()) } else { hex(written) };
    let secret = secret.map(Zeroizing::new);
    let Some(secret) = secret else {
        let message = format!("the secret of key {id} is longer than 20 characters and not hexadecimal");
        return bad(key_span, message, "only the digits 0-9 and a-f");
    };
    if digest == Digest::AesCmac && secret.len() != AES_KEY {
        // ntpd would fill it up with zeros or cut it; other programs do neither.
        let message = format!("the secret of key {id} has {} bytes, AES-128 takes {AES_KEY}", secret.len());
        return bad(key_span, message, "32 hexadecimal digits, or 16 characters");
    }
    let hosts = match tokens.next() {
        None => Vec::new(),
        Some(span) => match hosts(&code[span.clone()]) {
            Some(hosts) => hosts,
            None if !is_meant_as_hosts(&code[span.clone()]) => {
                *more = Some(Box::new(too_many_tokens(place, span, id)));
                Vec::new()
            }
            None => {
                // Whoever limits a key must not get one without limits.
                let message = format!("the addresses that may use key {id} are not valid");
                return bad(span, message, "ADDRESS or ADDRESS/LENGTH, separated by commas without spaces");
            }
        },
    };
    if let Some(span) = tokens.next().filter(|_| more.is_none()) {
        *more = Some(Box::new(too_many_tokens(place, span, id)));
    }
    Ok(Some(Key { id: KeyId(id), digest, secret, hosts }))
}

fn too_many_tokens(place: &Place<'_>, span: Range<usize>, id: u32) -> Diagnostic {
    let message = format!("too many tokens for key {id}");
    let effect = "the key is used, and the tokens from here on are ignored, as in ntpd 4.2.6";
    let found = place.finding(span, message, "NUMBER TYPE SECRET [ADDRESS,...], # before a comment", effect);
    Diagnostic { severity: Severity::Warning, ..found }
}

/// Whether a token that is no list of addresses is meant to be one (4.2.8): whoever limits a key must not get one
/// without limits.
fn is_meant_as_hosts(token: &[u8]) -> bool {
    let numeric = |item: &[u8]| {
        let host = item.split(|b| *b == b'/').next().unwrap_or_default();
        let digits = host.iter().all(|b| b.is_ascii_hexdigit() || b".:%[]".contains(b));
        digits && host.iter().any(u8::is_ascii_digit) && host.iter().any(|b| b".:".contains(b))
    };
    let prefix = |item: &[u8]| {
        let length = item.iter().rposition(|b| *b == b'/').map(|at| &item[at + 1..]);
        length.is_some_and(|length| !length.is_empty() && length.iter().all(u8::is_ascii_digit))
    };
    token.contains(&b',') || numeric(token) || prefix(token)
}

/// Addresses with their prefix lengths; an address alone stands for itself.
fn hosts(written: &[u8]) -> Option<Vec<(IpAddr, u8)>> {
    let one = |item: &str| {
        let (address, length) = item.split_once('/').map_or((item, None), |(a, l)| (a, Some(l)));
        let address: IpAddr = address.parse().ok()?;
        let whole = if address.is_ipv4() { 32 } else { 128 };
        let length = length.map_or(Some(whole), |l| l.parse().ok())?;
        (length <= whole).then_some((address, length))
    };
    std::str::from_utf8(written).ok()?.split(',').map(one).collect()
}

/// Where the tokens of a line stand.
pub(super) fn tokens(code: &[u8]) -> impl Iterator<Item = Range<usize>> {
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
    let span = tokens(source).next().unwrap_or(0..0);
    let number = std::str::from_utf8(&source[span.clone()]).ok().and_then(|t| t.parse::<f64>().ok());
    let expected = "one number in ppm from -500 to 500";
    let effect = "the frequency is measured again";
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

/// How far the drift file was off at earlier starts.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct DriftRecord {
    /// Root mean square of the errors, ppm.
    pub rms: Ppm,
    /// How many starts those were.
    pub starts: u32,
}

/// Reads the file beside the drift file: how far it was off at earlier starts (root mean square, ppm), and how many
/// those were.
///
/// # Errors
/// The finding, where there are no such numbers.
pub fn parse_drift_record(file: &Path, text: &[u8]) -> Result<DriftRecord, Box<Diagnostic>> {
    let source = text.split(|b| *b == b'\n').next().unwrap_or_default();
    let place = Place { file, line: 1, source };
    let mut spans = tokens(source);
    let first = spans.next().unwrap_or(0..0);
    let second = spans.next().unwrap_or_else(|| first.clone());
    let token = |span: &Range<usize>| std::str::from_utf8(&source[span.clone()]).ok();
    let rms =
        token(&first).and_then(|t| t.parse::<f64>().ok()).filter(|ppm| (0.0..=2.0 * DRIFT_MAX).contains(ppm));
    let starts = token(&second).and_then(|t| t.parse::<u32>().ok());
    let (Some(rms), Some(starts)) = (rms, starts) else {
        return Err(Box::new(place.finding(
            if rms.is_none() { first } else { second },
            "there is no record of the drift file's errors in it".to_owned(),
            "an error in ppm from 0 to 1000, and a number of starts",
            "the drift file is taken to be right to 2 ppm, and to age as a crystal does",
        )));
    };
    Ok(DriftRecord { rms: Ppm::new(rms), starts })
}

#[cfg(test)]
mod tests {
    use super::super::Style;
    use super::*;

    #[test]
    fn good_lines_count_and_bad_ones_are_told_without_the_secret() {
        let text = b"# keys\n1 M secret#word\n2 SHA1 0123456789abcdef0123456789abcdef01234567\r\n\n\
                     x M a\n70000 M a\n3 DES a\n4 M\n5 M 0123456789abcdefghij0\n1 MD5 newer";
        let (keys, findings) = parse_keys(Path::new("/etc/ntp/keys"), text);
        let seen: Vec<_> = keys.iter().map(|k| (k.id.0, k.digest, k.secret.len())).collect();
        assert_eq!(seen, vec![(1, Digest::Md5, 5), (2, Digest::Sha1, 20)]);
        let lines: Vec<u32> = findings.iter().map(|f| f.line).collect();
        assert_eq!(lines, vec![5, 6, 7, 8, 9]);
        assert!(findings.iter().all(|f| !f.render(Style::Plain).contains("ghij")));
    }

    #[test]
    fn every_type_of_ntpd_and_its_heirs_and_limits_by_address() {
        let secret = "0123456789abcdef0123456789abcdef";
        let text = format!(
            "1 AES128CMAC {secret} 10.0.0.0/8,2001:db8::1\n2 sha512 {secret}\n3 RMD160 x 192.0.2.1\n\
             4 AES128 short\n5 SHA3 x\n6 MD4 x\n7 SHA256 x 10.0.0.0/33\n8 MD5 x 10.0.0.1 y\n9 mine x\n"
        );
        let (keys, findings) = parse_keys(Path::new("/etc/ntp/keys"), text.as_bytes());
        let seen: Vec<_> = keys.iter().map(|k| (k.id.0, k.digest)).collect();
        let expected = [
            (1, Digest::AesCmac),
            (2, Digest::Sha512),
            (3, Digest::Ripemd160),
            (8, Digest::Md5),
            (9, Digest::Md5),
        ];
        assert_eq!(seen, expected);
        let may = |key: usize, from: &str| keys[key].admits(from.parse().unwrap());
        assert!(may(0, "10.200.0.1") && may(0, "2001:db8::1") && !may(0, "11.0.0.1"));
        assert!(may(1, "11.0.0.1") && may(2, "192.0.2.1") && !may(2, "192.0.2.2"));
        let lines: Vec<u32> = findings.iter().map(|f| f.line).collect();
        assert_eq!(lines, [4, 5, 6, 7, 8]);
    }

    #[test]
    fn b14_three_words_count_and_what_is_meant_as_addresses_is_not_lost() {
        let read = |line: &str| parse_keys(Path::new("/etc/ntp/keys"), line.as_bytes());
        for line in
            ["3 M secret extra words", "3 M secret extra", "3 M secret 10", "3 M secret (old) 10.0.0.1"]
        {
            let (keys, findings) = read(line);
            assert_eq!((keys.len(), keys[0].secret.as_slice()), (1, &b"secret"[..]), "{line}");
            assert!(keys[0].hosts.is_empty() && findings.len() == 1, "{line}");
            assert_eq!(findings[0].severity, Severity::Warning);
            assert!(findings[0].log_line().contains("the key is used"), "{}", findings[0].log_line());
            assert!(!findings[0].render(Style::Plain).contains("secret") && findings[0].column >= 12);
        }
        for line in [
            "3 M secret 10.0.0.1,",
            "3 M secret host.example,10.0.0.1",
            "3 M secret 10.0.0.0/33",
            "3 M secret 10.0.0",
            "3 M secret 2001:db8::g1,",
            "3 M secret host.example/24",
            "3 M secret 10.0.0.256",
        ] {
            let (keys, findings) = read(line);
            assert!(keys.is_empty() && findings.len() == 1, "{line}");
        }
        let (keys, findings) = read("3 M secret 10.0.0.1 words");
        assert_eq!((keys[0].hosts.len(), findings.len()), (1, 1));
    }

    #[test]
    fn the_record_of_a_drift_file_is_two_numbers() {
        let read = |text: &[u8]| parse_drift_record(Path::new("/var/lib/ntp/drift.error"), text);
        assert_eq!(read(b"0.250 7\n").ok(), Some(DriftRecord { rms: Ppm::new(0.25), starts: 7 }));
        for bad in [
            &b""[..],
            b"\n",
            b"1.0",
            b"nan 3",
            b"-1 3",
            b"1001 3",
            b"1 -3",
            b"x y",
            b"1 99999999999",
            b"\xff 1",
        ] {
            let found = read(bad).unwrap_err();
            assert!(found.line == 1 && found.file.ends_with("drift.error") && found.expected.is_some());
        }
    }

    #[test]
    fn drift_is_a_number_within_500_ppm() {
        let read = |text: &[u8]| parse_drift(Path::new("/var/lib/ntp/drift"), text).ok().map(Ppm::get);
        assert_eq!(read(b"-12.345\n"), Some(-12.345));
        assert_eq!(read(b" 7 some comment"), Some(7.0));
        for bad in [&b""[..], b"garbage", b"500.1", b"nan", b"inf", b"\xff\xfe"] {
            assert_eq!(read(bad), None);
        }
    }
}
