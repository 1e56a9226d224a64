//! Bytes of a line to tokens, as ntpd's scanner cuts them. Files need not be UTF-8.
//!
//! A token's meaning depends on the one before it ("string mode": after `server` the next token is a
//! string, even if it reads `123` or `prefer`), so tokens are cut one at a time, by the grammar.

use super::language::{Follow, Keywords};
use nom::bytes::complete::{take_till, take_while};
use nom::character::complete::char as byte;
use nom::combinator::opt;
use nom::sequence::{preceded, terminated};
use nom::{IResult, Parser};
use std::ops::Range;

/// Longest token, bytes.
pub(super) const TOKEN_MAX: usize = 1024;

/// A token and where it stands.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    /// The token's bytes without quotes.
    pub(super) text: Vec<u8>,
    /// Where it stands in the line.
    pub(super) span: Range<usize>,
}

/// What a token is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum TokenKind {
    /// A keyword.
    Keyword(&'static str),
    /// `-4` or `-6` where an address is expected.
    Family(u8),
    /// A whole number; held to ±2^53.
    Integer(i64),
    /// A number with a fraction or an exponent.
    Double(f64),
    /// Anything else, and everything in quotes.
    Text,
    /// One of `{ } ( ) , ; | =`.
    Special(u8),
    /// More bytes than ntpd takes.
    TooLong,
}

/// Cuts a line into tokens.
#[derive(Clone, Debug)]
pub(super) struct Lexer<'a> {
    line: &'a [u8],
    keywords: &'a Keywords,
    at: usize,
    mode: Follow,
    /// A quoted token of spaces was met, which ends the command.
    ended: bool,
}

/// The characters of a token, and whether they stood in quotes, if only in part.
#[derive(Default)]
struct Cut {
    text: Vec<u8>,
    quoted: bool,
}

const SPECIALS: &[u8] = b"{}(),;|=";

const fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\r' | 0x0b | 0x0c)
}

/// The unquoted beginning of a token.
fn plain(input: &[u8], mode: Follow) -> IResult<&[u8], &[u8]> {
    let special = |b: u8| mode == Follow::Normal && SPECIALS.contains(&b);
    take_till(|b: u8| is_space(b) || b == b'#' || b == b'"' || special(b))(input)
}

/// A quoted rest of a token, up to the next quote or the end of the line.
fn quoted(input: &[u8]) -> IResult<&[u8], &[u8]> {
    preceded(byte('"'), terminated(take_till(|b: u8| b == b'"'), opt(byte('"')))).parse(input)
}

impl<'a> Lexer<'a> {
    pub(super) const fn new(line: &'a [u8], keywords: &'a Keywords) -> Self {
        Self { line, keywords, at: 0, mode: Follow::Normal, ended: false }
    }

    /// The next token is no longer a string because of the keyword before it.
    pub(super) const fn expect_any(&mut self) {
        self.mode = Follow::Normal;
    }

    /// Goes on to the next command of the line, behind a quoted token of spaces; false if there is none.
    pub(super) fn next_command(&mut self) -> bool {
        self.mode = Follow::Normal;
        std::mem::take(&mut self.ended)
    }

    /// The next token; `None` at the end of the command or before a comment.
    pub(super) fn next(&mut self) -> Option<Token> {
        let mut after_empty_quotes = false;
        while !self.ended {
            let (rest, _) = spaces(&self.line[self.at..]);
            self.at = self.line.len() - rest.len();
            let first = *rest.first()?;
            if first == b'#' {
                return None;
            }
            if SPECIALS.contains(&first) && self.mode == Follow::Normal {
                return Some(self.special(first));
            }
            let start = self.at;
            let mut cut = self.cut(rest);
            if cut.text.is_empty() {
                // An empty token is as if not there; the next one counts as quoted.
                after_empty_quotes = true;
                continue;
            }
            cut.quoted |= after_empty_quotes;
            if cut.quoted && cut.text.iter().all(|b| is_space(*b)) {
                self.ended = true;
                return None;
            }
            debug_assert!(start < self.at && self.at <= self.line.len(), "a token stands within its line");
            let kind = self.classify(&cut);
            return Some(Token { kind, text: cut.text, span: start..self.at });
        }
        None
    }

    fn special(&mut self, first: u8) -> Token {
        self.at += 1;
        if first == b'=' {
            self.mode = Follow::OneString;
        }
        Token { kind: TokenKind::Special(first), text: vec![first], span: self.at - 1..self.at }
    }

    fn cut(&mut self, input: &[u8]) -> Cut {
        let Ok((rest, head)) = plain(input, self.mode) else { return Cut::default() };
        let (rest, tail) = match quoted(rest) {
            Ok((rest, tail)) => (rest, Some(tail)),
            Err(_) => (rest, None),
        };
        self.at = self.line.len() - rest.len();
        let mut text = [head, tail.unwrap_or_default()].concat();
        if let Some(nul) = text.iter().position(|b| *b == 0) {
            text.truncate(nul);
        }
        Cut { text, quoted: tail.is_some() }
    }

    fn classify(&mut self, cut: &Cut) -> TokenKind {
        let (text, strings) = (cut.text.as_slice(), self.mode != Follow::Normal);
        if text.len() > TOKEN_MAX {
            self.mode = Follow::Normal;
            return TokenKind::TooLong;
        }
        // A string that begins like the option is the option, in quotes, too.
        if let Some(family) = family(text).filter(|_| strings || cut.quoted) {
            return TokenKind::Family(family);
        }
        if strings {
            if self.mode == Follow::OneString {
                self.mode = Follow::Normal;
            }
            return TokenKind::Text;
        }
        if cut.quoted {
            return TokenKind::Text;
        }
        if let b"-4" | b"-6" = text {
            return TokenKind::Family(text[1] - b'0');
        }
        if let Some((name, follow)) = self.keywords.find(text) {
            self.mode = follow;
            return TokenKind::Keyword(name);
        }
        number(text).unwrap_or(TokenKind::Text)
    }
}

/// The line without its comment and the space before that; `#` within quotes begins none.
pub(super) fn code(line: &[u8]) -> &[u8] {
    let mut in_quotes = false;
    let comment = line.iter().position(|b| {
        in_quotes ^= *b == b'"';
        *b == b'#' && !in_quotes
    });
    line[..comment.unwrap_or(line.len())].trim_ascii_end()
}

/// The number that it would be read as.
pub(super) fn value(text: &[u8]) -> Option<f64> {
    match number(text)? {
        TokenKind::Integer(value) => Some(value as f64),
        TokenKind::Double(value) => Some(value),
        _ => None,
    }
}

/// Whether it would be read as a number.
pub(super) fn is_number(text: &[u8]) -> bool {
    number(text).is_some()
}

/// A string that begins with `-4` or `-6` is the address family.
fn family(text: &[u8]) -> Option<u8> {
    match text {
        [b'-', digit @ (b'4' | b'6'), ..] => Some(digit - b'0'),
        _ => None,
    }
}

fn spaces(input: &[u8]) -> (&[u8], &[u8]) {
    let result: IResult<&[u8], &[u8]> = take_while(is_space)(input);
    result.unwrap_or((input, &[]))
}

/// A number as 4.2.6 or 4.2.8 reads it: digits with an optional minus; or digits with a point or an exponent,
/// which may be without digits.
fn number(text: &[u8]) -> Option<TokenKind> {
    let digits = |input| -> IResult<&[u8], &[u8]> { take_while(|b: u8| b.is_ascii_digit())(input) };
    let sign = |input| -> IResult<&[u8], Option<char>> { opt(byte('-').or(byte('+'))).parse(input) };
    let mark = byte('e').or(byte('E'));
    let parsed: IResult<&[u8], _> =
        (sign, digits, opt((byte('.'), digits)), opt((mark, sign, digits))).parse(text);
    let (rest, (sign, whole, fraction, exponent)) = parsed.ok()?;
    let any_digit = !whole.is_empty() || fraction.is_some_and(|(_, f)| !f.is_empty());
    if !rest.is_empty() || !(any_digit || text == b"-") {
        return None;
    }
    let mut text = std::str::from_utf8(text).ok()?;
    if fraction.is_none() && exponent.is_none() && sign != Some('+') {
        let limit = (1i64 << 53) as f64;
        let value = if text == "-" { 0.0 } else { text.parse::<f64>().ok()? };
        return Some(TokenKind::Integer(value.clamp(-limit, limit) as i64));
    }
    if exponent.is_some_and(|(_, _, digits)| digits.is_empty()) {
        text = text.trim_end_matches(['e', 'E', '+', '-']);
    }
    text.parse().ok().filter(|v: &f64| v.is_finite()).map(TokenKind::Double)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(line: &[u8]) -> Vec<String> {
        let keywords = Keywords::new();
        let mut lexer = Lexer::new(line, &keywords);
        let mut out = Vec::new();
        while let Some(token) = lexer.next() {
            let text = String::from_utf8_lossy(&token.text).into_owned();
            out.push(match token.kind {
                TokenKind::Keyword(_) => text,
                TokenKind::Integer(i) => format!("int:{i}"),
                TokenKind::Double(d) => format!("double:{d}"),
                TokenKind::Text => format!("'{text}'"),
                TokenKind::Family(f) => format!("-{f}"),
                TokenKind::Special(c) => format!("<{}>", char::from(c)),
                TokenKind::TooLong => "too long".to_owned(),
            });
        }
        out
    }

    #[test]
    fn words_are_cut_as_ntpd_cuts_them() {
        let table: [(&[u8], &[&str]); 30] = [
            (b"server a.b#c", &["server", "'a.b'"]),
            (b"server foo\"bar baz\" prefer", &["server", "'foobar baz'", "prefer"]),
            (b"server \"a b\"c", &["server", "'a b'", "'c'"]),
            (b"server \"\" foo", &["server", "'foo'"]),
            (b"keys \"\"", &["keys"]),
            (b"keys \"foo", &["keys", "'foo'"]),
            (b"Server foo", &["'Server'", "'foo'"]),
            (b"restrict 10.1", &["restrict", "double:10.1"]),
            (b"restrict 10", &["restrict", "int:10"]),
            (b"restrict 10.0.0.1", &["restrict", "'10.0.0.1'"]),
            (b"restrict \"ntp\"", &["restrict", "'ntp'"]),
            (b"server foo|bar;", &["server", "'foo|bar;'"]),
            (b"server 1", &["server", "'1'"]),
            (b"server ntp", &["server", "'ntp'"]),
            (b"server -4foo bar", &["server", "-4", "'bar'"]),
            (b"restrict -6 default", &["restrict", "-6", "default"]),
            (b"server foo minpoll -", &["server", "'foo'", "minpoll", "int:0"]),
            (b"tinker step .5", &["tinker", "step", "double:0.5"]),
            (b"tinker step 1e-3", &["tinker", "step", "double:0.001"]),
            (b"tinker step +5", &["tinker", "step", "double:5"]),
            (b"tinker step e5", &["tinker", "step", "'e5'"]),
            (
                b"tinker step 1.5e -1.5E- 1.5e+1",
                &["tinker", "step", "double:1.5", "double:-1.5", "double:15"],
            ),
            (b"server \"-4.example\" foo", &["server", "-4", "'foo'"]),
            (b"restrict \"-6x\" default", &["restrict", "-6", "default"]),
            (b"keys \" \" server", &["keys"]),
            (b"\x0cserver\x0bfoo\r", &["server", "'foo'"]),
            (b"server foo\xe9", &["server", "'foo\u{fffd}'"]),
            (b"setvar foo = \"bar baz\"", &["setvar", "'foo'", "<=>", "'bar baz'"]),
            (b"trustedkey ( 4 ... 6 )", &["trustedkey", "<(>", "int:4", "...", "int:6", "<)>"]),
            (b"logconfig =syncall +clockall", &["logconfig", "'=syncall'", "'+clockall'"]),
        ];
        for (line, expected) in table {
            assert_eq!(tokens(line), expected, "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn huge_numbers_and_words_are_held() {
        assert_eq!(tokens(b"server a key 99999999999999999999")[3], format!("int:{}", 1i64 << 53));
        let long = [b"server ".as_slice(), &[b'x'; 1025]].concat();
        assert_eq!(tokens(&long), ["server", "too long"]);
    }
}
