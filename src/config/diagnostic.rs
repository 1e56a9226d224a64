//! What is wrong with a line, worded so that a tired administrator knows what to do.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use std::fmt::Write as _;
use std::ops::Range;
use std::path::PathBuf;

/// How severe a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// Something is invalid and has no effect.
    Error,
    /// Valid, but changed, without effect, or not yet supported.
    Warning,
    /// Worth knowing.
    Note,
}

/// How a finding is drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    /// Text alone.
    Plain,
    /// With the colours of a terminal.
    Color,
}

/// A finding in a configuration, keys or drift file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// How severe it is.
    pub severity: Severity,
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: u32,
    /// The column in bytes, from 1.
    pub column: u32,
    /// The line as written.
    pub source: Vec<u8>,
    /// The bytes of `source` that it is about; empty at the end of the line.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub expected: Option<String>,
    /// What takes effect instead.
    pub effect: String,
    /// The token that was probably meant.
    pub suggestion: Option<String>,
    /// The includefile lines that led here, outermost first.
    pub include_stack: Vec<(PathBuf, u32)>,
}

/// A finding that no line of a file causes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// How severe it is.
    pub severity: Severity,
    /// What it says.
    pub text: String,
}

/// Of a line that is longer, this much is shown around the token.
const SHOWN: usize = 240;

impl Diagnostic {
    /// Takes the line and the bytes it is about; of a long line only what stands around them.
    pub(super) fn show(&mut self, line: &[u8], span: Range<usize>) {
        debug_assert!(span.start <= span.end, "a finding ends no earlier than it begins: {span:?}");
        let span = span.start.min(line.len())..span.end.min(line.len());
        if line.len() <= SHOWN {
            self.source = line.to_vec();
            self.span = span;
            return;
        }
        let first = span.start.saturating_sub(SHOWN / 3);
        let last = line.len().min(first + SHOWN);
        let (before, after) = (if first > 0 { "… " } else { "" }, if last < line.len() { " …" } else { "" });
        self.source = [before.as_bytes(), &line[first..last], after.as_bytes()].concat();
        let moved = |at: usize| at.clamp(first, last) - first + before.len();
        self.span = moved(span.start)..moved(span.end);
        debug_assert!(self.span.end <= self.source.len(), "what is marked is within what is shown: {self:?}");
    }

    /// What would be right, to stand behind the message.
    fn hint(&self) -> String {
        match (&self.suggestion, &self.expected) {
            (Some(token), _) => format!("did you mean {token}?"),
            // An instruction needs no "expected" before it.
            (None, Some(expected)) if expected.starts_with("add ") => expected.clone(),
            (None, Some(expected)) => format!("expected {expected}"),
            (None, None) => String::new(),
        }
    }

    /// One line for the log: where, what, what was expected, what takes effect.
    #[must_use]
    pub fn log_line(&self) -> String {
        debug_assert!(self.line >= 1 && self.column >= 1, "lines and columns are counted from 1: {self:?}");
        let mut out =
            format!("{} line {} column {}: {}", self.file.display(), self.line, self.column, self.message);
        let hint = self.hint();
        if !hint.is_empty() {
            let _ = write!(out, ", {hint}");
        }
        let _ = write!(out, "; {}", self.effect);
        safe(&out)
    }

    /// Several lines for a person: the line with the token marked, what was expected, a suggestion,
    /// what takes effect. Bytes that are not UTF-8 and control characters are shown as `\xNN`.
    #[must_use]
    pub fn render(&self, style: Style) -> String {
        let (source, span) = printable(&self.source, &self.span);
        let path = safe(&self.file.display().to_string());
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let snippet = Snippet::source(source)
            .line_start(self.line as usize)
            .path(path)
            .annotation(AnnotationKind::Primary.span(span).label(safe(&self.hint())));
        let mut group = level
            .primary_title(safe(&self.message))
            .element(snippet)
            .element(Level::NOTE.message(safe(&self.effect)));
        for (file, line) in self.include_stack.iter().rev() {
            let text = format!("included from {} line {line}", file.display());
            group = group.element(Level::NOTE.message(safe(&text)));
        }
        let renderer = match style {
            Style::Plain => Renderer::plain(),
            Style::Color => Renderer::styled(),
        };
        renderer.render(&[group]).clone()
    }
}

/// The line as it can be shown, and where the span went.
fn printable(source: &[u8], span: &Range<usize>) -> (String, Range<usize>) {
    let mut out = String::new();
    let mut moved = None..None;
    let mut at = 0;
    for chunk in source.utf8_chunks() {
        for c in chunk.valid().chars() {
            mark(&mut moved, span, at, out.len());
            if c == '\t' {
                out.push(' ');
            } else {
                show(&mut out, c);
            }
            at += c.len_utf8();
        }
        for b in chunk.invalid() {
            mark(&mut moved, span, at, out.len());
            let _ = write!(out, "\\x{b:02x}");
            at += 1;
        }
    }
    let end = out.len();
    let start = moved.start.unwrap_or(end);
    (out, start..moved.end.unwrap_or(end).max(start))
}

/// What a terminal would obey, or what turns the order of letters round so that a line reads as what it is
/// not, is shown by its number.
fn show(out: &mut String, c: char) {
    let turning = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if c.is_control() {
        let _ = write!(out, "\\x{:02x}", c as u32);
    } else if turning {
        let _ = write!(out, "\\u{{{:x}}}", c as u32);
    } else {
        out.push(c);
    }
}

/// Text that may hold names from the file.
fn safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|c| show(&mut out, c));
    out
}

/// Notes in the shown line where the span begins and ends in the source.
fn mark(moved: &mut Range<Option<usize>>, span: &Range<usize>, at: usize, shown: usize) {
    if at >= span.start && moved.start.is_none() {
        moved.start = Some(shown);
    }
    if at >= span.end && moved.end.is_none() {
        moved.end = Some(shown);
    }
}

/// A token for a message: in quotes, without control characters or bytes that are not UTF-8.
pub(super) fn quote(text: &[u8]) -> String {
    let (shown, _) = printable(text, &(0..0));
    let mut cut: String = shown.chars().take(60).collect();
    if cut.len() < shown.len() {
        cut.push('…');
    }
    format!("\"{cut}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnostic(source: &[u8], span: Range<usize>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            file: "/etc/ntp.conf".into(),
            line: 24,
            column: span.start as u32 + 1,
            source: source.to_vec(),
            span,
            message: "unknown keyword \"perfer\"".to_owned(),
            expected: Some("an option of server".to_owned()),
            effect: "the server is used without it".to_owned(),
            suggestion: Some("prefer".to_owned()),
            include_stack: Vec::new(),
        }
    }

    #[test]
    fn log_line_names_place_word_and_effect() {
        assert_eq!(
            diagnostic(b"server 192.0.2.1 perfer", 17..23).log_line(),
            "/etc/ntp.conf line 24 column 18: unknown keyword \"perfer\", did you mean prefer?; \
             the server is used without it"
        );
    }

    #[test]
    fn the_caret_stands_under_the_word_behind_wide_and_invalid_octets() {
        let rendered = diagnostic(b"server 192.0.2.1 perfer", 17..23).render(Style::Plain);
        assert!(rendered.contains("/etc/ntp.conf:24:18"), "{rendered}");
        let lines: Vec<&str> = rendered.lines().collect();
        let at = lines.iter().position(|l| l.contains("server 192")).unwrap();
        assert_eq!(lines[at].find("perfer"), lines[at + 1].find('^'), "{rendered}");
        let odd = diagnostic("# \u{8bbe}\x01 x".as_bytes(), 0..1);
        assert!(odd.render(Style::Plain).contains("\\x01"), "{}", odd.render(Style::Plain));
        let turned = diagnostic("a \u{202e}b perfer".as_bytes(), 0..1);
        assert!(turned.render(Style::Plain).contains("a \\u{202e}b"), "{}", turned.render(Style::Plain));
        let mut named = diagnostic(b"x", 0..1);
        named.effect = "server \x1b[31m is used".to_owned();
        assert!(
            !named.render(Style::Plain).contains('\x1b')
                && named.log_line().ends_with("server \\x1b[31m is used")
        );
        let invalid = diagnostic(b"a\xe9b perfer", 4..10).render(Style::Plain);
        assert!(invalid.contains("a\\xe9b perfer"), "{invalid}");
    }
}
