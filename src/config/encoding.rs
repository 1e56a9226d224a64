//! Files that are no text as ntpd reads it: one finding instead of one for each line.

use super::lexer::TOKEN_MAX;

/// Bytes at the beginning that are looked at.
const LOOKED_AT: usize = 512;

/// What a file is instead, and how it becomes text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Foreign {
    pub(super) what: &'static str,
    pub(super) remedy: &'static str,
    /// Whether its lines can be separated, so that they are read all the same.
    pub(super) has_lines: bool,
}

const UTF16: Foreign = Foreign {
    what: "the file is UTF-16, not plain text",
    remedy: "ASCII or UTF-8: iconv -f UTF-16 -t UTF-8 converts it",
    has_lines: false,
};
const UTF32: Foreign = Foreign {
    what: "the file is UTF-32, not plain text",
    remedy: "ASCII or UTF-8: iconv -f UTF-32 -t UTF-8 converts it",
    has_lines: false,
};
const COMPRESSED: Foreign =
    Foreign { what: "the file is compressed, not plain text", remedy: "the unpacked file", has_lines: false };
const ONE_LINE: Foreign = Foreign {
    what: "the lines end with CR alone, so the whole file is one line to ntpd",
    remedy: "lines that end with LF: tr '\\r' '\\n' converts it",
    has_lines: true,
};

/// What `text` is, if it is no plain text.
pub(super) fn foreign(text: &[u8]) -> Option<Foreign> {
    match text {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => return Some(UTF32),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => return Some(UTF16),
        [0x1f, 0x8b, ..] | [b'B', b'Z', b'h', ..] | [0xfd, b'7', b'z', b'X', b'Z', ..] => {
            return Some(COMPRESSED);
        }
        _ => {}
    }
    let head = &text[..text.len().min(LOOKED_AT)];
    // Half of the bytes of UTF-16 text without a mark are NUL, all at even or all at odd places.
    let nuls = |parity: usize| head.iter().skip(parity).step_by(2).filter(|b| **b == 0).count();
    let many = head.len() / 4;
    if many > 0 && (nuls(0) > many) != (nuls(1) > many) {
        return Some(UTF16);
    }
    let breaks = text.trim_ascii().iter().filter(|b| **b == b'\r').count();
    (breaks > 0 && !text.contains(&b'\n')).then_some(ONE_LINE)
}

/// A name as text, with U+FFFD for bytes that are not UTF-8, cut to what a token can hold when it is read again.
pub(super) fn lossy(bytes: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    text.truncate(text.floor_char_boundary(TOKEN_MAX));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, order: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(order).collect()
    }

    #[test]
    fn what_is_no_plain_text_is_recognized_and_plain_text_is_not() {
        let text = "\u{feff}# ntp.conf\r\nserver 192.0.2.1\r\n";
        assert_eq!(foreign(&utf16(text, u16::to_le_bytes)), Some(UTF16));
        assert_eq!(foreign(&utf16(text, u16::to_be_bytes)), Some(UTF16));
        assert_eq!(foreign(&utf16(&text[3..], u16::to_le_bytes)), Some(UTF16), "no byte order mark");
        assert_eq!(foreign(&utf16(&text[3..], u16::to_be_bytes)), Some(UTF16));
        let wide: Vec<u8> = text.chars().flat_map(|c| (c as u32).to_le_bytes()).collect();
        assert_eq!(foreign(&wide), Some(UTF32));
        assert_eq!(foreign(b"# a\rserver b\r"), Some(ONE_LINE));
        assert_eq!(foreign(b"\x1f\x8b\x08\0\0"), Some(COMPRESSED));
        for plain in [
            &b""[..],
            b"\r",
            b"server a\r\n",
            b"server a\r",
            b"a\0b\n",
            b"\xef\xbb\xbfserver a\n",
            b"\0",
            b"\0\0",
        ] {
            assert_eq!(foreign(plain), None, "{plain:?}");
        }
    }
}
