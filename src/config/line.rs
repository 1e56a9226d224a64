//! One line while it is read: its words, and the means to complain about them.

use super::diagnostic::{Diagnostic, Severity, quote};
use super::lexer::{Lexer, Token, TokenKind, WORD_MAX};
use super::model::Origin;
use super::words;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The command is lost; what is wrong has been said.
#[derive(Debug)]
pub(super) struct Dropped;

/// A line being read.
pub(super) struct Line<'a> {
    lexer: Lexer<'a>,
    peeked: Option<Option<Token>>,
    bytes: &'a [u8],
    pub(super) file: &'a Path,
    pub(super) number: u32,
    stack: &'a [(PathBuf, u32)],
    pub(super) diagnostics: &'a mut Vec<Diagnostic>,
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
    pub(super) fn new(
        bytes: &'a [u8],
        file: &'a Path,
        number: u32,
        stack: &'a [(PathBuf, u32)],
        diagnostics: &'a mut Vec<Diagnostic>,
    ) -> Self {
        Self { lexer: Lexer::new(bytes), peeked: None, bytes, file, number, stack, diagnostics }
    }

    pub(super) fn origin(&self) -> Origin {
        Origin { file: self.file.to_owned(), line: self.number }
    }

    pub(super) fn peek(&mut self) -> Option<&Token> {
        if self.peeked.is_none() {
            self.peeked = Some(self.lexer.next());
        }
        self.peeked.as_ref().and_then(Option::as_ref)
    }

    pub(super) fn next(&mut self) -> Option<Token> {
        match self.peeked.take() {
            Some(token) => token,
            None => self.lexer.next(),
        }
    }

    /// The next word if it is this keyword.
    pub(super) fn take_keyword(&mut self, wanted: &str) -> bool {
        let found =
            matches!(self.peek(), Some(Token { kind: TokenKind::Keyword(name), .. }) if *name == wanted);
        if found {
            self.next();
        }
        found
    }

    /// The next word if it is `-4` or `-6`.
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
        self.diagnostics.push(Diagnostic {
            severity,
            file: self.file.to_owned(),
            line: self.number,
            column: span.start as u32 + 1,
            source: self.bytes.to_vec(),
            span,
            message,
            expected: advice.expected,
            effect: effect.into(),
            suggestion: advice.suggestion,
            include_stack: self.stack.to_vec(),
        });
    }

    /// Where the next word stands.
    pub(super) fn next_span(&mut self) -> Range<usize> {
        match self.peek() {
            Some(token) => token.span.clone(),
            None => self.end(),
        }
    }

    /// A place at the end of what has been written on the line.
    pub(super) fn end(&self) -> Range<usize> {
        let end = self.bytes.trim_ascii_end().len();
        end..end
    }

    /// Says that a word does not belong where it stands.
    pub(super) fn unexpected(&mut self, token: &Token, expected: &str, candidates: &[&str], effect: String) {
        let suggestion = words::suggest(&token.text, candidates.iter().copied()).map(str::to_owned);
        let remark = suggestion.is_none() && token.text.iter().any(|b| *b >= 0x80);
        let (message, advice) = if token.kind == TokenKind::TooLong {
            (format!("a word of more than {WORD_MAX} characters"), Advice::expected(expected))
        } else if remark {
            let message = format!("{} is not understood: it reads like a remark", quote(&token.text));
            (message, Advice::expected("# before a remark"))
        } else {
            let what = if matches!(token.kind, TokenKind::Keyword(_)) { "misplaced" } else { "unknown" };
            let advice = Advice { expected: Some(expected.to_owned()), suggestion };
            (format!("{what} word {}", quote(&token.text)), advice)
        };
        self.say(Severity::Error, token.span.clone(), message, advice, effect);
    }

    /// The argument of a word is missing or of the wrong kind: the whole command is lost.
    pub(super) fn bad_argument(&mut self, of: &str, found: Option<&Token>, expected: &str) -> Dropped {
        let (span, message) = match found {
            Some(token) => (token.span.clone(), format!("{of} does not take {}", quote(&token.text))),
            None => (self.end(), format!("{of} needs a value")),
        };
        let advice = Advice::expected(expected);
        self.say(Severity::Error, span, message, advice, "the whole line is ignored");
        Dropped
    }

    pub(super) fn text(&mut self, of: &str, expected: &str) -> Result<Vec<u8>, Dropped> {
        match self.next() {
            Some(Token { kind: TokenKind::Text, text, .. }) => Ok(text),
            other => Err(self.bad_argument(of, other.as_ref(), expected)),
        }
    }

    pub(super) fn integer(&mut self, of: &str) -> Result<i64, Dropped> {
        match self.next() {
            Some(Token { kind: TokenKind::Integer(value), .. }) => Ok(value),
            other => Err(self.bad_argument(of, other.as_ref(), "a whole number")),
        }
    }

    pub(super) fn number(&mut self, of: &str) -> Result<f64, Dropped> {
        match self.next() {
            Some(Token { kind: TokenKind::Integer(value), .. }) => Ok(value as f64),
            Some(Token { kind: TokenKind::Double(value), .. }) => Ok(value),
            other => Err(self.bad_argument(of, other.as_ref(), "a number")),
        }
    }

    /// A path or name behind `of`, which must be there.
    pub(super) fn path(&mut self, of: &str) -> Result<PathBuf, Dropped> {
        self.text(of, "a file name").map(to_path)
    }

    /// Nothing may follow: what does is told and has no effect.
    pub(super) fn done(&mut self, what: &str) {
        if let Some(token) = self.next() {
            let effect = format!("{what} takes effect; this word and what follows it do not");
            self.unexpected(&token, "the end of the line", &[], effect);
        }
    }

    /// Skips the rest of the line without a word.
    pub(super) fn skip(&mut self) {
        while self.next().is_some() {}
    }
}

/// The octets as a path.
pub(super) fn to_path(text: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    std::ffi::OsString::from_vec(text).into()
}
