//! One line while it is read: its tokens, and the means to complain about them.

use super::diagnostic::{Diagnostic, Severity, quote};
use super::encoding::lossy;
use super::findings::{Findings, Spot};
use super::language::{self, Context, Keywords, Row, Takes};
use super::lexer::{self, Lexer, TOKEN_MAX, Token, TokenKind};
use super::model::Origin;
use crate::units::{GPS_ERA_WEEKS, WEEK};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// So many unknown tokens in a row are a comment.
const COMMENT: usize = 3;

/// After so many seconds the week that GPS sends begins anew.
const GPS_ERA: f64 = (GPS_ERA_WEEKS * WEEK) as f64;
/// The same of the week as newer receivers get it: 8192 weeks.
const GPS_LONG_ERA: f64 = 8.0 * GPS_ERA;

/// Quotation marks that mean nothing here, in UTF-8.
const CURLY: [&[u8]; 7] = [
    "\u{201c}".as_bytes(),
    "\u{201d}".as_bytes(),
    "\u{201e}".as_bytes(),
    "\u{2018}".as_bytes(),
    "\u{2019}".as_bytes(),
    "\u{ab}".as_bytes(),
    "\u{bb}".as_bytes(),
];
/// The same in the code page of Western Windows.
const CURLY_BYTES: [&[u8]; 5] = [b"\x93", b"\x94", b"\x84", b"\x91", b"\x92"];

/// The command is lost; what is wrong has been reported.
#[derive(Debug)]
pub(super) struct Dropped;

/// A line being read.
pub(super) struct Line<'a> {
    lexer: Lexer<'a>,
    peeked: Option<Option<Token>>,
    bytes: &'a [u8],
    place: Place<'a>,
    findings: &'a mut Findings,
    /// What the line configures is not supported, so that nothing depends on its values.
    pub(super) without_effect: bool,
}

/// Where a line stands.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) file: &'a Path,
    /// The line, from 1.
    pub(super) number: u32,
    /// The includefile lines that led here, outermost first.
    pub(super) stack: &'a [(PathBuf, u32)],
    /// The keywords.
    pub(super) keywords: &'a Keywords,
    /// The number of the text among those read, and where the line begins in it.
    pub(super) text: usize,
    pub(super) start: usize,
}

impl Place<'_> {
    fn note(&self, line: &[u8], span: Range<usize>) -> Diagnostic {
        let mut found = Diagnostic {
            severity: Severity::Note,
            file: self.file.to_owned(),
            line: self.number,
            column: span.start as u32 + 1,
            source: Vec::new(),
            span: 0..0,
            message: String::new(),
            expected: None,
            effect: String::new(),
            suggestion: None,
            include_stack: self.stack.to_vec(),
        };
        found.show(line, span);
        found
    }
}

/// What to say besides the message.
#[derive(Default)]
pub(super) struct Advice {
    pub(super) expected: Option<String>,
    pub(super) suggestion: Option<String>,
}

impl Advice {
    pub(super) fn expected(text: &str) -> Self {
        Self { expected: Some(text.to_owned()), suggestion: None }
    }
}

impl<'a> Line<'a> {
    pub(super) fn new(bytes: &'a [u8], place: Place<'a>, findings: &'a mut Findings) -> Self {
        let lexer = Lexer::new(bytes, place.keywords);
        Self { lexer, peeked: None, bytes, place, findings, without_effect: false }
    }

    pub(super) fn origin(&self) -> Origin {
        Origin { file: self.place.file.to_owned(), line: self.place.number }
    }

    /// The place of these bytes, to come back to when the file has been read.
    pub(super) fn spot(&self, span: Range<usize>) -> Spot {
        Spot { text: self.place.text, line: self.place.number, start: self.place.start, span }
    }

    pub(super) fn peek(&mut self) -> Option<&Token> {
        if self.peeked.is_none() {
            self.peeked = Some(self.lexer.next());
        }
        self.peeked.as_ref().and_then(Option::as_ref)
    }

    /// Whether this keyword stands somewhere in the rest of the line.
    pub(super) fn has_ahead(&mut self, wanted: &str) -> bool {
        let mut next = self.peek().cloned();
        let mut ahead = self.lexer.clone();
        while let Some(token) = next {
            if matches!(token.kind, TokenKind::Keyword(name) if name == wanted) {
                return true;
            }
            next = ahead.next();
        }
        false
    }

    pub(super) fn next(&mut self) -> Option<Token> {
        match self.peeked.take() {
            Some(token) => token,
            None => self.lexer.next(),
        }
    }

    /// Goes on to the next command, behind a quoted token of spaces; false if the line has no more.
    pub(super) fn next_command(&mut self) -> bool {
        while self.next().is_some() {}
        self.peeked = None;
        self.lexer.next_command()
    }

    /// The next token is read as what it is, whatever the keyword before it takes: it was none here.
    pub(super) fn expect_any(&mut self) {
        if self.peeked.is_none() {
            self.lexer.expect_any();
        }
    }

    /// The next token if it is this keyword.
    pub(super) fn take_keyword(&mut self, wanted: &str) -> bool {
        let found =
            matches!(self.peek(), Some(Token { kind: TokenKind::Keyword(name), .. }) if *name == wanted);
        if found {
            self.next();
        }
        found
    }

    /// The next token if it is `-4` or `-6`.
    pub(super) fn take_family(&mut self) -> Option<u8> {
        if let Some(Token { kind: TokenKind::Family(family), .. }) = self.peek() {
            let family = *family;
            self.next();
            return Some(family);
        }
        None
    }

    pub(super) fn say(
        &mut self,
        severity: Severity,
        span: Range<usize>,
        message: String,
        advice: Advice,
        effect: impl Into<String>,
    ) {
        let (bytes, place) = (self.bytes, self.place);
        self.findings.push(severity, || {
            let mut found = place.note(bytes, span);
            (found.severity, found.message, found.effect) = (severity, message, effect.into());
            (found.expected, found.suggestion) = (advice.expected, advice.suggestion);
            found
        });
    }

    /// From this token to the end of what is no comment.
    pub(super) fn whole(&self, first: &Token) -> Range<usize> {
        first.span.start..lexer::code(self.bytes).len().max(first.span.end)
    }

    /// A note without text about this place of the line.
    pub(super) fn mark(&self, span: Range<usize>) -> Diagnostic {
        self.place.note(self.bytes, span)
    }

    /// Where the next token stands.
    pub(super) fn next_span(&mut self) -> Range<usize> {
        match self.peek() {
            Some(token) => token.span.clone(),
            None => self.end(),
        }
    }

    /// A place at the end of the line, before its comment.
    pub(super) fn end(&self) -> Range<usize> {
        let end = lexer::code(self.bytes).len();
        end..end
    }

    /// Reports that a token does not belong where it stands. A comment is reported as one, to its end.
    pub(super) fn unexpected(&mut self, token: &Token, expected: &str, candidates: &[&str], effect: String) {
        if self.findings.only_counts() {
            self.say(Severity::Error, token.span.clone(), String::new(), Advice::default(), effect);
            return;
        }
        let suggestion = joined(&token.text, candidates)
            .or_else(|| language::suggest(&token.text, candidates.iter().copied()).map(str::to_owned));
        let shown = quote(&token.text);
        let mut span = token.span.clone();
        let (message, advice) = if token.kind == TokenKind::TooLong {
            (format!("a token of more than {TOKEN_MAX} characters"), Advice::expected(expected))
        } else if suggestion.is_some() {
            let advice = Advice { expected: Some(expected.to_owned()), suggestion };
            (format!("unknown keyword {shown}"), advice)
        } else if let Some(end) = self.comment(token, candidates) {
            span.end = end;
            ("unexpected text, looks like a comment".to_owned(), Advice::expected("add # before a comment"))
        } else if let Some((context, row)) = elsewhere(token) {
            let name = row.name;
            let expected = if expected.is_empty() { String::new() } else { format!("{expected}; ") };
            let advice = format!("{expected}{name} is {}", context.place());
            (format!("{name} does not belong here"), Advice::expected(&advice))
        } else if token.kind == TokenKind::Special(b',') {
            ("a comma does not belong here".to_owned(), Advice::expected("spaces between tokens"))
        } else {
            let what = match token.kind {
                TokenKind::Special(_) => "misplaced",
                _ if token.text.first().is_some_and(u8::is_ascii_alphabetic) => "unknown keyword",
                _ => "unexpected token",
            };
            (format!("{what} {shown}"), Advice::expected(expected))
        };
        self.say(Severity::Error, span, message, advice, effect);
    }

    /// Where a comment that begins with `first` ends; its tokens are then read over. A comment has letters
    /// that no keyword has, or several unknown tokens.
    fn comment(&mut self, first: &Token, candidates: &[&str]) -> Option<usize> {
        // A keyword that does not belong here does not end a comment, but begins none.
        let strange = |token: &Token| match token.kind {
            TokenKind::Text => language::suggest(&token.text, candidates.iter().copied()).is_none(),
            TokenKind::Keyword(name) => !candidates.contains(&name),
            _ => false,
        };
        if first.kind != TokenKind::Text || !strange(first) {
            return None;
        }
        let mut peeked = self.peek().cloned();
        let mut ahead = self.lexer.clone();
        let (mut tokens, mut end) = (1, first.span.end);
        let mut foreign = first.text.iter().any(|b| *b >= 0x80);
        while let Some(token) = peeked.filter(strange) {
            tokens += 1;
            end = token.span.end;
            foreign |= token.text.iter().any(|b| *b >= 0x80);
            peeked = ahead.next();
        }
        if !foreign && tokens < COMMENT {
            return None;
        }
        for _ in 1..tokens {
            self.next();
        }
        Some(end)
    }

    /// The argument of a token is missing or of the wrong kind: the whole command is lost.
    pub(super) fn bad_argument(&mut self, of: &str, found: Option<&Token>, expected: &str) -> Dropped {
        let (span, message) = match found {
            Some(token) => (token.span.clone(), format!("{of} does not take {}", quote(&token.text))),
            None => (self.end(), format!("{of} needs a value")),
        };
        let mut advice = Advice::expected(expected);
        if found.is_some_and(|token| token.kind == TokenKind::Special(b'='))
            && language::everywhere(of).next().is_some()
            && let Some(value) = self.peek()
        {
            advice.suggestion = Some(format!("{of} {}", String::from_utf8_lossy(&value.text)));
        }
        self.say(Severity::Error, span, message, advice, "the whole line is ignored");
        Dropped
    }

    pub(super) fn text(&mut self, of: &str, expected: &str) -> Result<Vec<u8>, Dropped> {
        match self.next() {
            Some(Token { kind: TokenKind::Text, text, span }) => {
                self.warn_curly(&text, span.clone());
                self.warn_equals(of, &text, span);
                Ok(text)
            }
            // To ntpd 4.2.6 it is a name like any other.
            Some(Token { kind: TokenKind::Keyword(name), text, .. }) if language::is_late(name) => {
                self.expect_any();
                Ok(text)
            }
            // And only what has a point is a number.
            Some(Token { kind: TokenKind::Double(_), text, .. }) if !text.contains(&b'.') => Ok(text),
            other => Err(self.bad_argument(of, other.as_ref(), expected)),
        }
    }

    /// Warns that a name begins or ends with the quotation marks of a word processor, in UTF-8 or one byte.
    fn warn_curly(&mut self, text: &[u8], span: Range<usize>) {
        let marked = |mark: &&[u8]| text.starts_with(mark) || text.ends_with(mark);
        if CURLY.iter().any(marked) && std::str::from_utf8(text).is_ok()
            || CURLY_BYTES.iter().any(marked) && std::str::from_utf8(text).is_err()
        {
            let message = "the quotation marks of a word processor are part of the name".to_owned();
            let effect = "the name is taken as written, as ntpd does";
            self.say(Severity::Warning, span, message, Advice::expected("no quotation marks, or \""), effect);
        }
    }

    /// Warns of `keys=/etc/ntp/keys`, where the name begins with `=`. A host name cannot, which is reported elsewhere.
    fn warn_equals(&mut self, of: &str, text: &[u8], span: Range<usize>) {
        let Some(name) = text.strip_prefix(b"=").filter(|name| !name.is_empty()) else { return };
        if language::options_of(of).first() == Some(&Context::Association) || of == "restrict" {
            return;
        }
        let message = format!("the = is part of the name {}", quote(text));
        let suggestion = Some(format!("{of} {}", String::from_utf8_lossy(name)));
        let advice = Advice { expected: None, suggestion };
        self.say(Severity::Warning, span, message, advice, "the name is taken as written, as ntpd does");
    }

    /// As [`Line::text`], for what the program shows or looks up as text: bytes that are not UTF-8 become
    /// U+FFFD, and this is reported.
    pub(super) fn name(&mut self, of: &str, expected: &str) -> Result<String, Dropped> {
        let span = self.next_span();
        let text = self.text(of, expected)?;
        Ok(match String::from_utf8(text) {
            Ok(text) => text,
            Err(error) => {
                let shown = lossy(error.as_bytes());
                let message = format!("{of} has bytes that are not UTF-8");
                let effect = "each of them counts as the character U+FFFD";
                self.say(Severity::Warning, span, message, Advice::default(), effect);
                shown
            }
        })
    }

    pub(super) fn integer(&mut self, row: &Row) -> Result<i64, Dropped> {
        match self.next() {
            Some(Token { kind: TokenKind::Integer(value), .. }) => Ok(value),
            other => Err(self.bad_argument(row.name, other.as_ref(), &row.expects())),
        }
    }

    pub(super) fn number(&mut self, row: &Row) -> Result<f64, Dropped> {
        match self.next() {
            Some(Token { kind: TokenKind::Integer(value), .. }) => Ok(value as f64),
            Some(Token { kind: TokenKind::Double(value), .. }) => Ok(value),
            other => Err(self.bad_argument(row.name, other.as_ref(), &row.expects())),
        }
    }

    /// As [`Line::number`]; each `g` or `G` behind it adds an era of GPS.
    pub(super) fn correction(&mut self, row: &Row) -> Result<f64, Dropped> {
        let with_eras = match self.peek() {
            Some(Token { kind: TokenKind::Text, text, .. }) => {
                let marks = text.iter().rev().take_while(|b| b.eq_ignore_ascii_case(&b'g')).count();
                let (number, marks) = text.split_at(text.len() - marks);
                let eras: f64 =
                    marks.iter().map(|mark| if *mark == b'g' { GPS_ERA } else { GPS_LONG_ERA }).sum();
                lexer::value(number).map(|number| number + eras)
            }
            _ => None,
        };
        match with_eras {
            Some(value) => {
                self.next();
                Ok(value)
            }
            None => self.number(row),
        }
    }

    /// A path or name behind `of`, which must be there.
    pub(super) fn path(&mut self, of: &str) -> Result<PathBuf, Dropped> {
        self.text(of, "a file name").map(to_path)
    }

    /// Nothing may follow: what does is reported and has no effect.
    pub(super) fn done(&mut self, what: &str) {
        if let Some(token) = self.next() {
            let effect = format!("{what} takes effect; this token and the rest of the line do not");
            self.unexpected(&token, "the end of the line", &[], effect);
        }
    }

    /// Skips the rest of the line silently.
    pub(super) fn skip(&mut self) {
        while self.next().is_some() {}
    }
}

/// A keyword and its value that nothing separates, such as `maxpoll4` or `driftfile/var/lib/ntp/drift`, set apart.
fn joined(text: &[u8], candidates: &[&str]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    let takes_value = |name: &str| {
        language::everywhere(name).any(|(_, row)| row.takes != Takes::Nothing && !row.argument().is_empty())
    };
    let names = candidates.iter().filter(|name| takes_value(name));
    let split =
        names.filter_map(|name| Some((*name, text.strip_prefix(name)?.trim_start_matches(['=', ':']))));
    let begins_value = |value: &str| value.starts_with(|c: char| c.is_ascii_digit() || c == '/');
    let longest = split.filter(|(_, value)| begins_value(value)).max_by_key(|(name, _)| name.len());
    longest.map(|(name, value)| format!("{name} {value}"))
}

/// Where else the token may stand.
fn elsewhere(token: &Token) -> Option<(Context, &'static Row)> {
    let TokenKind::Keyword(name) = token.kind else { return None };
    language::everywhere(name).next()
}

/// The bytes as a path.
pub(super) fn to_path(text: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    std::ffi::OsString::from_vec(text).into()
}
