//! The text of mode 6: `name=value` items with ntpd's number formats, its lines and its fragments.

use crate::units::NtpTimestamp;
use crate::wire::control::{ControlError, DATA_MAX};
use std::fmt::Write as _;
use std::net::IpAddr;

/// Columns after which a line of the answer ends.
const LINE: usize = 72;
/// Octets kept free at the end of a fragment for a comma and a line end.
const SLACK: usize = 3;

/// A variable with its text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Var {
    name: String,
    value: String,
    /// Shown only when asked for by name.
    hidden: bool,
}

impl Var {
    fn new(name: &str, value: String) -> Self {
        Self { name: name.to_owned(), value, hidden: false }
    }

    /// An integer.
    #[must_use]
    pub fn integer(name: &str, value: i64) -> Self {
        Self::new(name, value.to_string())
    }

    /// A hexadecimal number with `0x`.
    #[must_use]
    pub fn hex(name: &str, value: u64) -> Self {
        Self::new(name, format!("0x{value:x}"))
    }

    /// Seconds, shown in milliseconds with three decimals.
    #[must_use]
    pub fn seconds(name: &str, value: f64) -> Self {
        Self::number(name, value * 1e3)
    }

    /// A number with three decimals.
    #[must_use]
    pub fn number(name: &str, value: f64) -> Self {
        // A rounded zero has no sign.
        let value = if value.abs() < 0.0005 { 0.0 } else { value };
        Self::new(name, format!("{value:.3}"))
    }

    /// A timestamp, `0xSSSSSSSS.FFFFFFFF`.
    #[must_use]
    pub fn timestamp(name: &str, value: NtpTimestamp) -> Self {
        Self::new(name, value.to_string())
    }

    /// An address without a port.
    #[must_use]
    pub fn address(name: &str, value: IpAddr) -> Self {
        Self::new(name, value.to_string())
    }

    /// A word without quotes; characters that would end it are left out.
    #[must_use]
    pub fn word(name: &str, value: &[u8]) -> Self {
        let plain = value.iter().filter(|b| b.is_ascii_graphic() && !b",\"=".contains(*b));
        Self::new(name, plain.map(|b| char::from(*b)).collect())
    }

    /// What an administrator set: as it stands, as ntpd does, where that is one word, else quoted.
    #[must_use]
    pub fn given(name: &str, value: &str) -> Self {
        let plain = !value.is_empty() && value.bytes().all(|b| b.is_ascii_graphic() && !b",\"=".contains(&b));
        let safe: Vec<u8> = name.bytes().filter(|b| b.is_ascii_graphic() && !b",\"=".contains(b)).collect();
        let name = String::from_utf8_lossy(&safe);
        if plain { Self::new(&name, value.to_owned()) } else { Self::text(&name, value) }
    }

    /// A quoted string; quotes and unprintable characters in it become `_`.
    #[must_use]
    pub fn text(name: &str, value: &str) -> Self {
        let safe = |c: char| if (c.is_ascii_graphic() || c == ' ') && c != '"' { c } else { '_' };
        Self::new(name, format!("\"{}\"", value.chars().map(safe).collect::<String>()))
    }

    /// The eight stages of the clock filter, newest first, seconds shown in milliseconds.
    #[must_use]
    pub fn stages(name: &str, seconds: [f64; 8]) -> Self {
        let mut value = String::new();
        for s in seconds {
            let millis = if (s * 1e3).abs() < 0.005 { 0.0 } else { s * 1e3 };
            let _ = write!(value, " {millis:.2}");
        }
        Self::new(name, value)
    }

    /// The same variable, shown only when asked for by name.
    #[must_use]
    pub fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    fn item(&self) -> String {
        format!("{}={}", self.name, self.value)
    }
}

/// The items that a request's data asks for: all for an empty list, else those named, in the
/// order of the request.
///
/// # Errors
/// [`ControlError::Variable`] for a name that there is not.
pub(super) fn choose(vars: &[Var], wanted: &[u8]) -> Result<Vec<String>, ControlError> {
    let list = String::from_utf8_lossy(wanted);
    let names: Vec<&str> = list
        .split(',')
        .map(|item| {
            item.split('=').next().unwrap_or(item).trim_matches(|c: char| c.is_whitespace() || c == '\0')
        })
        .filter(|name| !name.is_empty())
        .collect();
    if names.is_empty() {
        return Ok(vars.iter().filter(|v| !v.hidden).map(Var::item).collect());
    }
    // As many as fit any sensible request: a longer list is not worth more work.
    names
        .into_iter()
        .take(128)
        .map(|name| vars.iter().find(|v| v.name == name).map(Var::item).ok_or(ControlError::Variable))
        .collect()
}

/// Items joined by commas into lines of 72 columns, cut into fragments between items where one
/// is full. The last fragment ends with a line end.
pub(super) fn pack(items: &[String]) -> Vec<Vec<u8>> {
    let mut fragments = vec![Vec::new()];
    let mut column = 0;
    for (index, item) in items.iter().enumerate() {
        let mut current = fragments.pop().unwrap_or_default();
        if index > 0 {
            current.push(b',');
            if item.len() + column + 2 >= LINE {
                current.extend(b"\r\n");
                column = 0;
            } else {
                current.push(b' ');
                column += 2;
            }
        }
        let full = !current.is_empty() && current.len() + item.len() + SLACK > DATA_MAX;
        let rest = if full { Vec::new() } else { std::mem::take(&mut current) };
        if full {
            fragments.push(current);
        }
        let mut next = rest;
        next.extend(item.bytes().take(DATA_MAX - SLACK));
        column += item.len();
        fragments.push(next);
    }
    if let Some(last) = fragments.last_mut()
        && !last.is_empty()
    {
        last.extend(b"\r\n");
    }
    fragments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_before_column_72_and_fragments_between_items() {
        let items: Vec<String> = (0..80).map(|i| format!("variable{i}={i}.000")).collect();
        let fragments = pack(&items);
        assert!(fragments.len() > 2);
        assert!(fragments.iter().all(|f| f.len() <= DATA_MAX));
        let all = String::from_utf8(fragments.concat()).unwrap();
        assert!(all.ends_with("79=79.000\r\n"));
        assert!(all.lines().all(|line| line.len() <= LINE), "{all}");
        assert_eq!(all.replace("\r\n", " ").trim_end(), items.join(", "));
        assert!(fragments[1].starts_with(b"variable"));
    }

    #[test]
    fn values_cannot_break_out_of_their_quotes() {
        assert_eq!(Var::text("a", "x\", b=\"y\n").item(), "a=\"x_, b=_y_\"");
        assert_eq!(Var::word("refid", b"G,P\0").item(), "refid=GP");
        assert_eq!(Var::seconds("offset", -1e-9).item(), "offset=0.000");
    }
}
