//! Commands from standard input: at a terminal with editing, history and completion.

use super::commands::COMMANDS;
use super::console::Console;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{Config, Context, Editor, Helper};
use std::borrow::Cow;
use std::io::{BufRead as _, IsTerminal as _};

const PROMPT: &str = "ntpq> ";
/// Longest line taken from a pipe.
const LINE_MAX: usize = 4096;

/// Completes names of commands; hides what is typed where that is a secret.
#[derive(Default)]
struct Help {
    secret: bool,
}

impl Completer for Help {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = &line[..at];
        let word = typed.strip_prefix("help ").unwrap_or(typed);
        if self.secret || word.contains(' ') {
            return Ok((at, Vec::new()));
        }
        let names = COMMANDS.iter().map(|c| c.name).chain(["exit", "quit"]);
        let fitting = names.filter(|name| name.starts_with(word)).map(|name| format!("{name} "));
        Ok((at - word.len(), fitting.collect()))
    }
}

impl Highlighter for Help {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        if self.secret { Cow::Owned(" ".repeat(line.chars().count())) } else { Cow::Borrowed(line) }
    }

    fn highlight_char(&self, _: &str, _: usize, _: CmdKind) -> bool {
        self.secret
    }
}

impl Hinter for Help {
    type Hint = String;
}
impl Validator for Help {}
impl Helper for Help {}

type Reader = Editor<Help, MemHistory>;

fn reader(help: Help) -> rustyline::Result<Reader> {
    let config = Config::builder().auto_add_history(!help.secret).build();
    let mut editor = Editor::with_history(config, MemHistory::new())?;
    editor.set_helper(Some(help));
    Ok(editor)
}

/// Prompts for a line that is neither shown nor put into the history.
pub(super) fn ask_secret(prompt: &str) -> Option<String> {
    reader(Help { secret: true }).ok()?.readline(prompt).ok()
}

/// Carries out commands until the end of the input; whether one of them failed.
pub(super) fn run(console: &mut Console) -> bool {
    if !std::io::stdin().is_terminal() {
        return run_pipe(console);
    }
    let Ok(mut editor) = reader(Help { secret: false }) else { return run_pipe(console) };
    let mut failed = false;
    loop {
        match editor.readline(PROMPT) {
            Ok(line) => {
                let outcome = console.run(&line);
                super::print(&outcome);
                failed |= outcome.failed;
                if outcome.quit {
                    return failed;
                }
            }
            // Ctrl-C drops the line, Ctrl-D ends.
            Err(ReadlineError::Interrupted) => {}
            Err(_) => return failed,
        }
    }
}

fn run_pipe(console: &mut Console) -> bool {
    let mut failed = false;
    for line in std::io::stdin().lock().split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line[..line.len().min(LINE_MAX)]).into_owned();
        let outcome = console.run(&line);
        super::print(&outcome);
        failed |= outcome.failed;
        if outcome.quit {
            break;
        }
    }
    failed
}
