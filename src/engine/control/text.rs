//! The text of mode 6: values with ntpd's number formats, `name=value` items, lines and fragments.

use crate::units::{NtpTimestamp, Ppm, Seconds};
use crate::wire::control::{ControlError, DATA_MAX};
use crate::wire::varlist::VarList;
use std::fmt::Write as _;

/// Columns after which a line of the answer ends.
const LINE: usize = 72;
/// Bytes kept free at the end of a fragment for a comma and a line end.
const SLACK: usize = 3;
/// Most names in a request; a longer list is not worth the work.
const NAMES_MAX: usize = 256;

/// Seconds, shown in milliseconds with three decimals.
pub(super) fn millis(value: Seconds) -> String {
    decimal(value.get() * 1e3)
}

/// A number with three decimals.
pub(super) fn decimal(value: f64) -> String {
    // A rounded zero has no sign.
    let value = if value.abs() < 0.0005 { 0.0 } else { value };
    format!("{value:.3}")
}

/// Parts per million with three decimals.
pub(super) fn ppm(value: Ppm) -> String {
    decimal(value.get())
}

/// A number with six significant digits, as printf's `%g` has it.
pub(super) fn general(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return "0".to_owned();
    }
    // Rounded first: the exponent is that of what is shown.
    let scientific = format!("{value:.5e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trimmed = |text: &str| -> String {
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text.to_owned()
        }
    };
    if (-4..6).contains(&exponent) {
        trimmed(&format!("{value:.*}", (5 - exponent).unsigned_abs() as usize))
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{}e{sign}{:02}", trimmed(digits), exponent.abs())
    }
}

/// A hexadecimal number with `0x`.
pub(super) fn hex(value: u64) -> String {
    format!("0x{value:x}")
}

/// A timestamp, `0xSSSSSSSS.FFFFFFFF`.
pub(super) fn stamp(value: NtpTimestamp) -> String {
    value.to_string()
}

/// A word without quotes; characters that would end it are left out.
pub(super) fn word(value: &[u8]) -> String {
    value.iter().filter(|b| b.is_ascii_graphic() && !b",\"=".contains(*b)).map(|b| char::from(*b)).collect()
}

/// A quoted string; quotes and unprintable characters in it become `_`.
pub(super) fn quoted(value: &str) -> String {
    let safe = |c: char| if (c.is_ascii_graphic() || c == ' ') && c != '"' { c } else { '_' };
    format!("\"{}\"", value.chars().map(safe).collect::<String>())
}

/// The value of a variable that another program chose: unquoted where that is no risk.
pub(super) fn given(value: &str) -> String {
    let plain = !value.is_empty() && value.bytes().all(|b| b.is_ascii_graphic() && !b",\"=".contains(&b));
    if plain { value.to_owned() } else { quoted(value) }
}

/// The eight stages of the clock filter, newest first, seconds shown in milliseconds.
pub(super) fn stages(seconds: [f64; 8]) -> String {
    let mut value = String::new();
    for s in seconds {
        let millis = if (s * 1e3).abs() < 0.005 { 0.0 } else { s * 1e3 };
        let _ = write!(value, " {millis:.2}");
    }
    value
}

/// The `name` or `name=value` items of a request, in its order.
///
/// # Errors
/// [`ControlError::Format`] for more items than any sensible request has.
pub(super) fn items(data: &[u8]) -> Result<Vec<(String, Option<String>)>, ControlError> {
    // Requests are filled up with zeros.
    let padding = data.iter().rev().take_while(|byte| **byte == 0).count();
    let list = VarList::parse(&data[..data.len() - padding]);
    let items: Vec<_> = list.iter().map(|item| (item.name.clone(), item.value.clone())).collect();
    if items.len() > NAMES_MAX { Err(ControlError::Format) } else { Ok(items) }
}

/// Items joined by commas into lines of 72 columns, cut into fragments between items where one is full.
#[derive(Clone, Debug, Default)]
pub(super) struct Packer {
    full: Vec<Vec<u8>>,
    current: Vec<u8>,
    column: usize,
    any: bool,
}

impl Packer {
    /// Adds an item.
    pub(super) fn push(&mut self, item: &str) {
        if self.any {
            self.current.push(b',');
            if item.len() + self.column + 2 >= LINE {
                self.current.extend(b"\r\n");
                self.column = 0;
            } else {
                self.current.push(b' ');
                self.column += 2;
            }
        }
        self.any = true;
        if !self.current.is_empty() && self.current.len() + item.len() + SLACK > DATA_MAX {
            debug_assert!(self.current.len() <= DATA_MAX, "a fragment is cut before it is too long");
            self.full.push(std::mem::take(&mut self.current));
        }
        self.current.extend(item.bytes().take(DATA_MAX - SLACK));
        self.column += item.len();
    }

    /// Adds all the items, or none if they and `ending` more bytes do not fit into `fragments`.
    pub(super) fn push_within(&mut self, items: &[String], fragments: usize, ending: usize) -> bool {
        let before = (self.full.len(), self.current.clone(), self.column, self.any);
        items.iter().for_each(|item| self.push(item));
        // Full fragments count as what they could hold.
        let bytes = self.full.len() * DATA_MAX + self.current.len();
        let fits = bytes + ending <= fragments * DATA_MAX;
        if !fits {
            self.full.truncate(before.0);
            (self.current, self.column, self.any) = (before.1, before.2, before.3);
        }
        fits
    }

    /// The fragments; the last ends with a line end.
    pub(super) fn finish(mut self) -> Vec<Vec<u8>> {
        if !self.current.is_empty() {
            self.current.extend(b"\r\n");
        }
        if !self.current.is_empty() || self.full.is_empty() {
            self.full.push(self.current);
        }
        self.full
    }
}

/// All items at once.
pub(super) fn pack(items: &[String]) -> Vec<Vec<u8>> {
    let mut packer = Packer::default();
    items.iter().for_each(|item| packer.push(item));
    packer.finish()
}

/// Free text, cut into fragments.
pub(super) fn plain(text: &str) -> Vec<Vec<u8>> {
    text.as_bytes().chunks(DATA_MAX).map(<[u8]>::to_vec).collect()
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
        assert_eq!(quoted("x\", b=\"y\n"), "\"x_, b=_y_\"");
        assert_eq!(word(b"G,P\0"), "GP");
        assert_eq!(millis(Seconds::new(-1e-9)), "0.000");
        assert_eq!((given("a.b"), given("a b")), ("a.b".to_owned(), "\"a b\"".to_owned()));
    }

    #[test]
    fn general_numbers_are_those_of_printf() {
        let shown =
            [0.0, 1e-6, 500.0, 16.0, 0.001, -12.3456789, 1234567.0, 999999.96, 0.00001234].map(general);
        let printf = ["0", "1e-06", "500", "16", "0.001", "-12.3457", "1.23457e+06", "1e+06", "1.234e-05"];
        assert_eq!(shown, printf);
    }

    #[test]
    fn requests_are_lists_of_names_or_settings() {
        let item = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
        let expected = vec![item("a", None), item("b", Some("1 2")), item("c", Some(""))];
        assert_eq!(items(b" a,, b = 1 2 ,c=\0").unwrap(), expected);
        assert_eq!(items(&b"a,".repeat(257)), Err(ControlError::Format));
    }
}
