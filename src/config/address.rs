//! Addresses as ntp.conf has them.

use super::diagnostic::{Severity, quote};
use super::line::{Advice, Line};
use super::model::Family;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;

/// A numeric address, with or without the brackets and the zone of IPv6.
pub(super) fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    match bare.split_once('%') {
        Some((address, zone)) if !zone.is_empty() => address.parse().ok().filter(IpAddr::is_ipv6),
        Some(_) => None,
        None => bare.parse().ok(),
    }
}

/// As [`address`], and what the C library takes for a number as well: `1`, `10.1`, `010.0.0.1` (octal),
/// `0x7f.1`. Where that is not what it looks like, it is told.
pub(super) fn told_address(line: &mut Line<'_>, text: &[u8], at: Range<usize>) -> Option<IpAddr> {
    if let Some(found) = address(text) {
        if text.contains(&b'%') {
            let message = format!("the zone of {} is not used", quote(text));
            let effect = "an address of one link may not be reached";
            line.say(Severity::Warning, at, message, Advice::default(), effect);
        }
        return Some(found);
    }
    let found = old_style(text)?;
    let message = format!("{} is a number to the system's resolver, and to ntpd", quote(text));
    let advice = Advice::expected("four numbers from 0 to 255 without leading zeros");
    line.say(Severity::Warning, at, message, advice, format!("it is taken as {found}"));
    Some(IpAddr::V4(found))
}

/// One to four numbers, decimal, octal (0…) or hexadecimal (0x…); the last one fills what is left.
fn old_style(text: &[u8]) -> Option<Ipv4Addr> {
    let text = std::str::from_utf8(text).ok()?;
    let number = |part: &str| {
        let (digits, radix) = match part.as_bytes() {
            [b'0', b'x' | b'X', ..] => (&part[2..], 16),
            [b'0', _, ..] => (&part[1..], 8),
            _ => (part, 10),
        };
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
        plain.then(|| u32::from_str_radix(digits, radix).ok()).flatten()
    };
    let parts: Option<Vec<u32>> = text.split('.').map(number).collect();
    let parts = parts.filter(|p| p.len() <= 4)?;
    let (last, high) = parts.split_last()?;
    if high.iter().any(|part| *part > 255) {
        return None;
    }
    let left = 32 - 8 * u32::try_from(high.len()).ok()?;
    let bits = high.iter().fold(0u32, |bits, part| bits << 8 | part);
    let fits = left == 32 || *last < 1 << left;
    fits.then(|| Ipv4Addr::from_bits(bits.checked_shl(left).unwrap_or(0) | last))
}

/// What can never be a host name, and is no address either.
pub(super) fn is_hopeless(text: &[u8]) -> bool {
    text.contains(&b':') || text.first() == Some(&b'[')
}

/// The family that `-4` or `-6` asks for.
pub(super) fn take_family(line: &mut Line<'_>) -> Family {
    match line.take_family() {
        Some(4) => Family::V4,
        Some(6) => Family::V6,
        _ => Family::Any,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_the_c_library_reads_them() {
        for (text, expected) in [
            ("1", Some("0.0.0.1")),
            ("10.1", Some("10.0.0.1")),
            ("10.0.0", Some("10.0.0.0")),
            ("010.0.0.1", Some("8.0.0.1")),
            ("0x7f.1", Some("127.0.0.1")),
            ("4294967295", Some("255.255.255.255")),
            ("4294967296", None),
            ("256.1", None),
            ("1.2.3.4.5", None),
            ("1.2.3.256", None),
            ("1.2.3.", None),
            ("", None),
            ("08", None),
            ("+1", None),
            ("a", None),
        ] {
            assert_eq!(old_style(text.as_bytes()).map(|a| a.to_string()).as_deref(), expected, "{text}");
        }
        assert_eq!(address(b"[fe80::1%lo]"), "fe80::1".parse().ok());
        assert_eq!(address(b"fe80::1%"), None);
        assert_eq!(address(b"10.0.0.1%lo"), None);
    }
}
