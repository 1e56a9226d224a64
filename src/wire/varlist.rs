//! The `name=value` lists of mode 6, as a client reads them (RFC 9327 section 3). They come from
//! whoever answers: what a terminal would obey leaves here escaped, and lists are bounded.

use std::fmt::Write as _;

/// Most items taken from one list; ntpd has about a hundred variables, an MRU answer some hundreds.
const ITEMS_MAX: usize = 4096;
/// Most characters of a name or a value.
const TEXT_MAX: usize = 1024;

/// An item of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// Its name: printable ASCII.
    pub name: String,
    /// What stands behind `=`, with its quotes where it has them; printable ASCII.
    pub value: Option<String>,
}

/// A list, in the order in which it was sent.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct VarList(Vec<Item>);

impl VarList {
    /// Reads a list. Whatever the bytes, it gives some list.
    #[must_use]
    pub fn parse(data: &[u8]) -> Self {
        let mut items = Vec::new();
        let mut rest = data;
        while items.len() < ITEMS_MAX {
            let Some(start) = rest.iter().position(|b| !b.is_ascii_whitespace() && !b",\0".contains(b))
            else {
                break;
            };
            rest = &rest[start..];
            let stop = |from: usize, at: &[u8], ends: &[u8]| {
                at[from..].iter().position(|b| ends.contains(b)).map_or(at.len(), |n| n + from)
            };
            let name_end = stop(0, rest, b"=,\r\n");
            let name = visible(rest[..name_end].trim_ascii());
            if rest.get(name_end) != Some(&b'=') {
                items.push(Item { name, value: None });
                rest = &rest[name_end..];
                continue;
            }
            rest = &rest[name_end + 1..];
            let quoted = rest.trim_ascii_start().first() == Some(&b'"');
            let end = if quoted {
                let open = rest.iter().position(|b| *b == b'"').unwrap_or(0);
                stop(stop(open + 1, rest, b"\""), rest, b",\r\n")
            } else {
                stop(0, rest, b",\r\n")
            };
            items.push(Item { name, value: Some(visible(rest[..end].trim_ascii())) });
            rest = &rest[end..];
        }
        Self(items)
    }

    /// The items.
    pub fn iter(&self) -> std::slice::Iter<'_, Item> {
        self.0.iter()
    }

    /// About how much memory it takes, bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        let text = |item: &Item| item.name.len() + item.value.as_ref().map_or(0, String::len);
        self.0.iter().map(|item| size_of::<Item>() + text(item)).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a name, without the quotes around it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.iter().find(|item| item.name == name)?.value.as_deref()?;
        Some(unquoted(value))
    }

    /// A value that is a decimal number, finite.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<f64> {
        self.get(name)?.parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// A value that is a whole number, decimal or hexadecimal with `0x`.
    #[must_use]
    pub fn integer(&self, name: &str) -> Option<i64> {
        integer(self.get(name)?)
    }

    /// A value that is a timestamp, `0xSSSSSSSS.FFFFFFFF`.
    #[must_use]
    pub fn timestamp(&self, name: &str) -> Option<crate::units::NtpTimestamp> {
        timestamp(self.get(name)?)
    }

    /// Puts the items of another list behind these.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

impl<'a> IntoIterator for &'a VarList {
    type Item = &'a Item;
    type IntoIter = std::slice::Iter<'a, Item>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

/// A value without the quotes around it.
#[must_use]
pub fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').map_or(value, |inner| inner.strip_suffix('"').unwrap_or(inner))
}

/// A whole number, decimal or hexadecimal with `0x`.
#[must_use]
pub fn integer(text: &str) -> Option<i64> {
    match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// A timestamp, `0xSSSSSSSS.FFFFFFFF`; the `0x` may be missing.
#[must_use]
pub fn timestamp(text: &str) -> Option<crate::units::NtpTimestamp> {
    let (seconds, fraction) = text.strip_prefix("0x").unwrap_or(text).split_once('.')?;
    if seconds.len() > 8 || fraction.len() != 8 {
        return None;
    }
    let seconds = u32::from_str_radix(seconds, 16).ok()?;
    let fraction = u32::from_str_radix(fraction, 16).ok()?;
    Some(crate::units::NtpTimestamp::from_bits(u64::from(seconds) << 32 | u64::from(fraction)))
}

/// The bytes as text that no terminal obeys: all but printable ASCII becomes `\xNN`; at most
/// 1024 characters, the last three of them dots where there was more.
#[must_use]
pub fn visible(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().min(TEXT_MAX));
    for byte in bytes {
        if text.len() > TEXT_MAX - 7 {
            text.push_str("...");
            break;
        }
        match byte {
            b' '..=b'~' => text.push(char::from(*byte)),
            _ => {
                let _never_fails = write!(text, "\\x{byte:02x}");
            }
        }
    }
    text
}

/// As [`visible`], for a text of several lines of any length in all.
#[must_use]
pub fn visible_lines(bytes: &[u8]) -> String {
    let lines = bytes.split(|b| *b == b'\n').map(|line| visible(line.strip_suffix(b"\r").unwrap_or(line)));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn items(data: &[u8]) -> Vec<(String, Option<String>)> {
        VarList::parse(data).iter().map(|i| (i.name.clone(), i.value.clone())).collect()
    }

    #[test]
    fn lists_of_ntpd() {
        let list = VarList::parse(
            b"version=\"ntpd 4.2.6p5, \xa9\", leap=3,\r\nreach=0x1, flag, timecode=, refid=LOCL,\r\n\
              reftime=0xeead8c50.475b3bce, filtdelay= 0.00 16000.00,\r\noffset=-1.5\r\n\0\0",
        );
        assert_eq!(list.iter().count(), 9);
        assert_eq!(list.get("version"), Some("ntpd 4.2.6p5, \\xa9"));
        assert_eq!((list.integer("leap"), list.integer("reach")), (Some(3), Some(1)));
        assert_eq!((list.get("flag"), list.get("timecode")), (None, Some("")));
        assert_eq!(list.get("filtdelay"), Some("0.00 16000.00"));
        assert_eq!(list.number("offset"), Some(-1.5));
        assert_eq!(list.timestamp("reftime").unwrap().to_bits(), 0xeead_8c50_475b_3bce);
    }

    #[test]
    fn odd_lists() {
        assert_eq!(items(b"a=\"open"), [("a".to_owned(), Some("\"open".to_owned()))]);
        assert_eq!(
            items(b"=x,,=\r\n"),
            [(String::new(), Some("x".to_owned())), (String::new(), Some(String::new()))]
        );
        assert_eq!(
            items(b"\x1b[2J=\x1b]0;\x07"),
            [("\\x1b[2J".to_owned(), Some("\\x1b]0;\\x07".to_owned()))]
        );
        assert_eq!(VarList::parse(b"a=nan, b=inf").number("a"), None);
        assert_eq!(timestamp("0x1.2"), None);
    }

    proptest! {
        #[test]
        fn what_comes_out_is_printable_and_bounded(data in prop::collection::vec(any::<u8>(), 0..3000)) {
            for item in &VarList::parse(&data) {
                for text in [Some(&item.name), item.value.as_ref()].into_iter().flatten() {
                    prop_assert!(text.len() <= TEXT_MAX && text.bytes().all(|b| (b' '..=b'~').contains(&b)));
                }
            }
            prop_assert!(visible_lines(&data).chars().all(|c| c == '\n' || (' '..='~').contains(&c)));
        }
    }
}
