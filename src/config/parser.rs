//! The whole file: lines to commands, includefiles, and the order in which commands apply.

use super::Parsed;
use super::command::Command;
use super::diagnostic::{Severity, quote};
use super::draft::{Draft, Finished, Known};
use super::encoding;
use super::findings::{Findings, Text};
use super::language::{self, Context, Effect, Keywords, Row, Standing};
use super::lexer::Token;
use super::line::{Advice, Line, Place};
use super::lint;
use super::model::Config;
use super::reader;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Levels of includefiles below the main file.
const INCLUDE_DEPTH: usize = 5;
/// Bytes of all includefiles together. Without a limit, files that include each other several times
/// would be read for hours.
const INCLUDED_MAX: usize = 4 << 20;
/// And how many of them are opened, or would be if they were there.
const INCLUDES_MAX: usize = 1000;

/// Gives the bytes of an includefile, or why it cannot be read.
pub type Read<'a> = &'a mut dyn FnMut(&Path) -> Result<Vec<u8>, Unreadable>;

/// Why a file cannot be read, as the caller says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unreadable(pub String);

impl From<&str> for Unreadable {
    fn from(why: &str) -> Self {
        Self(why.to_owned())
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why an includefile is skipped.
enum Skipped {
    TooDeep,
    TooMuch,
    Unreadable(PathBuf, Unreadable),
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooDeep => write!(f, "includefiles are nested more than {INCLUDE_DEPTH} deep"),
            Self::TooMuch => f.write_str("too much has been included already; do files include each other?"),
            Self::Unreadable(path, why) => write!(f, "cannot open {}: {why}", path.display()),
        }
    }
}

/// Whether the block behind `simulate` has an end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    Whole,
    Broken,
}

/// A keyword that opens a block.
struct Opening {
    row: &'static Row,
    first: Token,
}

/// Where a line stands.
#[derive(Clone, Copy)]
struct At {
    /// From 1.
    number: u32,
    /// The number of its text.
    text: usize,
    /// Where it begins in the text.
    start: usize,
}

struct Parser<'r> {
    draft: Draft<'r>,
    findings: Findings,
    keywords: Rc<Keywords>,
    texts: Vec<Text>,
    read: Read<'r>,
    stack: Rc<Vec<(PathBuf, u32)>>,
    /// Bytes of includefiles so far.
    included: usize,
    /// Includefiles so far, also those that could not be read.
    includes: usize,
}

/// Reads a configuration. Nothing in it is ever an error to the caller: what is invalid
/// is a diagnostic. `read` opens includefiles, whose path it gets as written.
pub fn parse(file: &Path, text: &[u8], read: Read<'_>) -> Parsed {
    parse_onto(Config::default(), file, text, read)
}

/// As [`parse`], on top of what holds where the file says nothing: the command line's settings, which
/// ntpd applies before the file. `base.servers` and `base.restrict` come before those of the file.
pub fn parse_onto(base: Config, file: &Path, text: &[u8], read: Read<'_>) -> Parsed {
    let mut parser = Parser::new(base, read);
    parser.file(file, text);
    parser.finish()
}

/// Reads what ntpq's `:config` sends, on top of the configuration in force: the same language as the
/// file's, without the commands that name files. `known` are the associations that `unpeer` may name.
pub fn parse_at_run_time(running: Config, text: &[u8], known: &[Known]) -> Parsed {
    let mut no_files = |_: &Path| Err("not at run time".into());
    let mut parser = Parser::new(running, &mut no_files);
    parser.draft.running = Some(known);
    parser.file(Path::new("config"), text);
    parser.finish()
}

impl<'r> Parser<'r> {
    fn new(config: Config, read: Read<'r>) -> Self {
        Self {
            draft: Draft::new(config),
            findings: Findings::default(),
            keywords: Rc::new(Keywords::new()),
            texts: Vec::new(),
            read,
            stack: Rc::default(),
            included: 0,
            includes: 0,
        }
    }

    fn file(&mut self, file: &Path, text: &[u8]) {
        let number = self.texts.len();
        let stack = Rc::clone(&self.stack);
        self.texts.push(Text { file: file.to_owned(), bytes: text.to_vec(), stack: stack.to_vec() });
        if !self.is_text(file, text, number) {
            return;
        }
        let code = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let first = text.len() - code.len();
        let mut lines = code.split(|b| *b == b'\n').zip(1u32..).scan(first, |start, (line, number)| {
            let at = *start;
            *start += line.len() + 1;
            Some((line, number, at))
        });
        let mut endless = false;
        while let Some((bytes, line, start)) = lines.next() {
            let at = At { number: line, text: number, start };
            if self.draft.ended {
                // An empty line or a comment is no loss.
                if bytes.trim_ascii().first().is_some_and(|b| *b != b'#') {
                    return self.report_ended(file, bytes, at);
                }
                continue;
            }
            if let Some(simulate) = self.line(file, bytes, at) {
                // Of blocks without an end one search is enough.
                let skipped = if endless { None } else { behind_block(lines.clone(), bytes) };
                endless |= skipped.is_none();
                let block = if skipped.is_some() { Block::Whole } else { Block::Broken };
                self.report_simulate(file, bytes, at, &simulate, block);
                lines = skipped.unwrap_or(lines);
            }
        }
    }

    /// Whether a file has lines to be read. Each of them would be unknown tokens only, so it is reported once.
    fn is_text(&mut self, file: &Path, text: &[u8], number: usize) -> bool {
        let Some(foreign) = encoding::foreign(text) else { return true };
        let (stack, keywords) = (Rc::clone(&self.stack), Rc::clone(&self.keywords));
        let place = Place { file, number: 1, stack: &stack, keywords: &keywords, text: number, start: 0 };
        let effect = if foreign.has_lines {
            "it is read as one line, as ntpd does"
        } else {
            "nothing in it takes effect"
        };
        let advice = Advice::expected(foreign.remedy);
        Line::new(b"", place, &mut self.findings).say(
            Severity::Error,
            0..0,
            foreign.what.to_owned(),
            advice,
            effect,
        );
        foreign.has_lines
    }

    /// Reports once for each file what is not read behind `end`.
    fn report_ended(&mut self, file: &Path, bytes: &[u8], At { number, text, start }: At) {
        let (keywords, stack) = (Rc::clone(&self.keywords), Rc::clone(&self.stack));
        let place = Place { file, number, stack: &stack, keywords: &keywords, text, start };
        let mut line = Line::new(bytes, place, &mut self.findings);
        let span = line.next_span();
        let message = "this stands behind end".to_owned();
        let advice = Advice::expected("end as the last line of all files");
        line.say(Severity::Warning, span, message, advice, "it and all that follows is not read");
    }

    fn report_simulate(
        &mut self,
        file: &Path,
        bytes: &[u8],
        At { number, text, start }: At,
        Opening { row, first }: &Opening,
        block: Block,
    ) {
        let (keywords, stack) = (Rc::clone(&self.keywords), Rc::clone(&self.stack));
        let place = Place { file, number, stack: &stack, keywords: &keywords, text, start };
        let mut line = Line::new(bytes, place, &mut self.findings);
        if block == Block::Whole {
            reader::report(&mut line, row, &reader::Value::Nothing, first);
        } else {
            let message = "simulate without a whole block { … }".to_owned();
            let effect = "this line is ignored, and those behind it are read as what they are";
            line.say(Severity::Error, first.span.clone(), message, Advice::default(), effect);
        }
    }

    /// Reads a line; gives the keyword if it opens a block to be skipped (`simulate`).
    fn line(&mut self, file: &Path, bytes: &[u8], At { number, text, start }: At) -> Option<Opening> {
        let mut findings = std::mem::take(&mut self.findings);
        let keywords = Rc::clone(&self.keywords);
        let stack = Rc::clone(&self.stack);
        let place = Place { file, number, stack: &stack, keywords: &keywords, text, start };
        let mut line = Line::new(bytes, place, &mut findings);
        let mut includes = Vec::new();
        let mut block = None;
        loop {
            let Some(first) = line.next() else {
                if line.next_command() {
                    continue;
                }
                break;
            };
            match command_of(&first).map(|row| (row, row.effect)) {
                Some((row, _)) if self.draft.running.is_some() && row.at_start_only => {
                    let message = format!("{} cannot be set at run time", quote(row.name.as_bytes()));
                    line.say(Severity::Error, first.span, message, Advice::default(), "the line is ignored");
                }
                Some((_, Effect::Include)) => includes.extend(self.include(&mut line)),
                Some((row, Effect::Block)) => {
                    block = Some(Opening { row, first });
                    break;
                }
                _ => self.command(&mut line, &first),
            }
            if self.draft.ended || !line.next_command() {
                break;
            }
        }
        self.findings = findings;
        for (path, span) in includes {
            let problem = self.include_file(file, number, &path);
            if let Err(why) = problem {
                let mut line = Line::new(bytes, place, &mut self.findings);
                line.say(Severity::Warning, span, why.to_string(), Advice::default(), "it is skipped");
            }
        }
        block
    }

    fn command(&mut self, line: &mut Line<'_>, first: &Token) {
        match command_of(first) {
            // The reason for a dropped command is reported already.
            Some(row) => drop(Command { draft: &mut self.draft, line, row, first }.run()),
            None => unknown_command(line, first),
        }
    }

    /// `includefile PATH [COMMAND]`: the rest of the line is a command that runs first.
    fn include(&mut self, line: &mut Line<'_>) -> Option<(PathBuf, Range<usize>)> {
        let span = line.next_span();
        let path = line.path("includefile").ok()?;
        if let Some(first) = line.next() {
            self.command(line, &first);
        }
        Some((path, span))
    }

    fn include_file(&mut self, file: &Path, line: u32, path: &Path) -> Result<(), Skipped> {
        if self.stack.len() >= INCLUDE_DEPTH {
            return Err(Skipped::TooDeep);
        }
        if self.included >= INCLUDED_MAX || self.includes >= INCLUDES_MAX {
            return Err(Skipped::TooMuch);
        }
        self.includes += 1;
        let text = (self.read)(path).map_err(|why| Skipped::Unreadable(path.to_owned(), why))?;
        self.included += text.len();
        let outer = Rc::clone(&self.stack);
        let mut stack = outer.to_vec();
        stack.push((file.to_owned(), line));
        self.stack = Rc::new(stack);
        self.file(path, &text);
        self.stack = outer;
        Ok(())
    }

    fn finish(self) -> Parsed {
        let Finished { config, places, marks, unpeered } = self.draft.finish();
        let (lints, outlook) = lint::lint(&config, &places, &self.texts, &self.findings);
        Parsed { config, diagnostics: self.findings.into_list(), lints, outlook, marks, unpeered }
    }
}

/// The row of a keyword that is a command.
fn command_of(token: &Token) -> Option<&'static Row> {
    reader::row_of(token, &[Context::Command])
}

fn unknown_command(line: &mut Line<'_>, first: &Token) {
    let name = String::from_utf8_lossy(&first.text).into_owned();
    let foreign = language::rows(Context::Foreign).iter().find(|row| name == row.name);
    if let Some(Row {
        since: language::Since::Foreign(program), standing: Standing::Refused(instead), ..
    }) = foreign
    {
        let message = format!("{} is a directive of {program}", quote(&first.text));
        let effect = format!("the line is ignored: {instead}");
        line.say(Severity::Error, first.span.clone(), message, Advice::default(), effect);
        return;
    }
    let names = language::names(Context::Command);
    line.unexpected(first, "a command such as server or restrict", &names, "the line is ignored".to_owned());
}

/// The lines behind the `{ … }` block of the command on line `first`; nothing if it has none, or no end.
fn behind_block<'a, I>(mut lines: I, first: &'a [u8]) -> Option<I>
where
    I: Iterator<Item = (&'a [u8], u32, usize)>,
{
    let (mut depth, mut opened, mut is_first) = (0usize, false, true);
    let mut bytes = first;
    loop {
        let code = bytes.split(|b| *b == b'#').next().unwrap_or_default();
        let count = |c: u8| code.iter().filter(|b| **b == c).count();
        // The block begins with the next token, whatever line that is on.
        if !opened && !is_first && !matches!(code.trim_ascii().first(), None | Some(b'{')) {
            return None;
        }
        opened |= count(b'{') > 0;
        depth = (depth + count(b'{')).saturating_sub(count(b'}'));
        if opened && depth == 0 {
            return Some(lines);
        }
        is_first = false;
        (bytes, ..) = lines.next()?;
    }
}
