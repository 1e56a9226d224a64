//! Addresses as ntp.conf has them.

use super::diagnostic::{Severity, quote};
use super::line::{Advice, Line};
use super::model::Family;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

/// Longest text that ntpd takes for an IPv6 address, bytes.
const LONGEST: usize = 127;

/// A numeric address as ntpd finds one: four numbers; or IPv6, perhaps in brackets. What follows the closing
/// bracket is dropped, and so is a zone, even an empty one.
pub(super) fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    if let Ok(v4) = text.parse::<Ipv4Addr>() {
        return Some(IpAddr::V4(v4));
    }
    let inner = text.strip_prefix('[').map_or(text, |inner| inner.split(']').next().unwrap_or_default());
    let bare = inner.split('%').next().unwrap_or_default();
    bare.parse::<Ipv6Addr>().ok().filter(|_| text.len() <= LONGEST).map(IpAddr::V6)
}

/// A link-local IPv6 address with its interface (`fe80::1%eth0`), without brackets. Only the machine that uses it knows the
/// interface, and when it is there: such an address is looked up as a name is.
pub(super) fn on_link(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    let bare = text.strip_prefix('[').map_or(text, |inner| inner.split(']').next().unwrap_or_default());
    let (address, zone) = bare.split_once('%')?;
    let address: Ipv6Addr = address.parse().ok()?;
    (address.is_unicast_link_local() && !zone.is_empty()).then(|| bare.to_owned())
}

/// As [`address`], and what the C library takes for a number as well: `1`, `10.1`, `010.0.0.1` (octal),
/// `0x7f.1`, unless `-6` stands before it. Where that is not what it looks like, it is reported. `-4` and `-6`
/// count for names only.
pub(super) fn checked_address(
    line: &mut Line<'_>,
    text: &[u8],
    at: Range<usize>,
    family: Family,
) -> Option<IpAddr> {
    if let Some(found) = address(text) {
        report_parts(line, text, &at);
        if !family.admits(found) {
            let option = if family == Family::V4 { "-4" } else { "-6" };
            let message = format!("{option} has no effect before the address {found}");
            let advice = Advice::expected("-4 and -6 before host names only");
            line.say(Severity::Warning, at, message, advice, format!("{found} is used, as ntpd does"));
        }
        return Some(found);
    }
    let found = old_style(text).filter(|_| family != Family::V6)?;
    let message = format!("{} is read as a number by ntpd and the system resolver", quote(text));
    let advice = Advice::expected("four numbers from 0 to 255 without leading zeros");
    line.say(Severity::Warning, at, message, advice, format!("it is taken as {found}"));
    Some(IpAddr::V4(found))
}

/// Reports the parts of an IPv6 address that are not used.
fn report_parts(line: &mut Line<'_>, text: &[u8], at: &Range<usize>) {
    let (inner, behind) = match text.iter().position(|b| *b == b']') {
        Some(end) => (&text[..end], &text[end + 1..]),
        None => (text, &b""[..]),
    };
    if inner.contains(&b'%') {
        let message = format!("the zone of {} is not used", quote(text));
        let effect = "an address of one link may not be reached";
        line.say(Severity::Warning, at.clone(), message, Advice::default(), effect);
    }
    if !behind.is_empty() {
        let message = format!("{} behind the bracket is not part of an address", quote(behind));
        let advice = Advice::expected("the address alone: the port is always 123");
        line.say(Severity::Warning, at.clone(), message, advice, "it is dropped, as ntpd does");
    }
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

/// The family that `-4` or `-6` selects.
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
        for text in ["[fe80::1%lo]", "fe80::1%", "[fe80::1]:123", "[fe80::1", "[fe80::1%]x", "fe80::1%a]b"] {
            assert_eq!(address(text.as_bytes()), "fe80::1".parse().ok(), "{text}");
        }
        for text in ["[10.0.0.1]", "10.0.0.1:123", "[fe80::g]", "[", "]", "%"] {
            assert_eq!(address(text.as_bytes()), None, "{text}");
        }
        assert_eq!(address(format!("::1%{}", "x".repeat(LONGEST)).as_bytes()), None);
        assert_eq!(address(b"10.0.0.1%lo"), None);
        for text in ["fe80::1%lo", "[fe80::1%lo]", "[fe80::1%lo]:123"] {
            assert_eq!(on_link(text.as_bytes()).as_deref(), Some("fe80::1%lo"), "{text}");
        }
        for text in ["fe80::1", "fe80::1%", "[fe80::1%]", "2001:db8::1%lo", "10.0.0.1%lo", "host%lo"] {
            assert_eq!(on_link(text.as_bytes()), None, "{text}");
        }
    }
}
