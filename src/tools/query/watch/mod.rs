//! `rsntpq watch`: a live screen of a daemon's sources and clients, for any terminal of 80 columns and
//! 24 lines, with or without colours and Unicode.
//!
//! | question | file |
//! |---|---|
//! | options, keys, when to draw | here |
//! | what is queried, and how often | `asker.rs` |
//! | what is remembered: histories, selection | `state.rs` |
//! | how it looks | `screen.rs`, `clients.rs` |
//! | how a source is authenticated | `authentication.rs` |
//! | what restrictions mean | `explain.rs` |
//!
//! One thread queries, one reads keys, and the first draws: a silent server never makes a key wait.

mod asker;
mod authentication;
mod clients;
mod explain;
mod screen;
mod state;

use super::console::{Console, Settings};
use crate::config::model::Family;
use crate::tools::link::Trouble;
use crate::tools::options::{self, flag, valued};
use crate::units::KeyId;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use ratatui::Terminal;
use ratatui::backend::TermionBackend;
use ratatui::layout::Rect;
use ratatui::termion::event::Key;
use ratatui::termion::input::TermRead as _;
use ratatui::termion::raw::IntoRawMode as _;
use ratatui::termion::screen::IntoAlternateScreen as _;
use screen::Style;
use state::{News, State};
use std::ffi::OsString;
use std::fmt;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// No terminal, no such host, or a mistake on the command line.
const FAILED: u8 = 1;
/// How long a picture may stand: countdowns go by seconds.
const TICK: Duration = Duration::from_secs(1);

/// The command line.
#[must_use]
pub fn command() -> Command {
    options::command("rsntpq watch", "rsntpq watch displays the sources and clients of a daemon, live.")
        .override_usage("rsntpq watch [OPTION]... [HOST]")
        .after_help(
            "Keys: Tab, Left, Right: other page; Up, Down: select; ?: help; q: quit.
Colours are not used with --no-color, if NO_COLOR is set, or if TERM is dumb.

Exit status: 0, or 1 without a terminal or if the host has no address.",
        )
        .arg(flag("ipv4", '4', "Use IPv4 only").overrides_with("ipv6"))
        .arg(flag("ipv6", '6', "Use IPv6 only"))
        .arg(
            valued("authentication", 'a', "KEY", "Sign with key number KEY, to read the restrictions")
                .value_parser(value_parser!(u32).range(1..=65_535)),
        )
        .arg(
            valued("interval", 'i', "SECONDS", "Query interval, default 2")
                .value_parser(value_parser!(u64).range(1..=3600)),
        )
        .arg(
            valued("keyfile", 'k', "FILE", "Keys file, default /etc/ntp/keys")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(flag("numeric", 'n', "Show addresses instead of names"))
        .arg(Arg::new("no-color").long("no-color").action(ArgAction::SetTrue).help("Do not use colours"))
        .arg(Arg::new("host").value_name("HOST").help("Host to query, default localhost"))
}

/// Runs it.
#[must_use]
pub fn main(args: &[OsString]) -> u8 {
    let matches = match options::parse(command(), args, FAILED) {
        Ok(matches) => matches,
        Err(code) => return code,
    };
    match run(&matches) {
        Ok(()) => 0,
        Err(why) => {
            crate::tools::complain(&format!("rsntpq watch: {why}\n"));
            FAILED
        }
    }
}

/// What wakes the screen.
enum Event {
    Key(Key),
    News(Box<News>),
}

/// Why nothing is shown any more.
#[derive(Debug)]
enum Failure {
    /// Input or output is none.
    NoTerminal,
    Host(Trouble),
    Terminal(io::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTerminal => f.write_str("not a terminal; use rsntpq -p or rsntpq --json instead"),
            Self::Host(why) => write!(f, "{why}"),
            Self::Terminal(why) => write!(f, "{why}"),
        }
    }
}

fn run(matches: &ArgMatches) -> Result<(), Failure> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(Failure::NoTerminal);
    }
    let settings = Settings {
        family: match (matches.get_flag("ipv4"), matches.get_flag("ipv6")) {
            (true, _) => Family::V4,
            (_, true) => Family::V6,
            _ => Family::Any,
        },
        numeric: matches.get_flag("numeric"),
        keys_file: matches.get_one::<PathBuf>("keyfile").cloned(),
        key: matches.get_one::<u32>("authentication").map(|id| KeyId(*id)),
        ..Settings::default()
    };
    let host = matches.get_one::<String>("host").map_or("localhost", String::as_str);
    let mut console = Console::new(settings);
    console.open(host).map_err(Failure::Host)?;
    let interval = Duration::from_secs(matches.get_one::<u64>("interval").copied().unwrap_or(2));
    let style = Style::of_environment();
    let style = if matches.get_flag("no-color") { style.plain() } else { style };
    show(console, host, interval, style).map_err(Failure::Terminal)
}

/// Draws until the user leaves. The terminal is as before when this returns, however it does.
fn show(console: Console, host: &str, interval: Duration, style: Style) -> io::Result<()> {
    let (events, received) = mpsc::channel();
    let clients = asker::start(console, interval, events.clone());
    std::thread::spawn(move || {
        for key in io::stdin().keys().map_while(Result::ok) {
            if events.send(Event::Key(key)).is_err() {
                break;
            }
        }
    });
    let writer = io::stdout().into_raw_mode()?.into_alternate_screen()?;
    let mut terminal = Terminal::new(TermionBackend::new(writer))?;
    let mut state = State::new(host);
    loop {
        terminal.draw(|frame| screen::draw(frame, &state, style))?;
        match received.recv_timeout(TICK) {
            Ok(Event::Key(Key::Char('q') | Key::Ctrl('c' | 'd'))) => return Ok(()),
            // Not `clear`, which queries the cursor position: our thread would read the terminal's response.
            Ok(Event::Key(Key::Ctrl('l'))) => {
                let size = terminal.size()?;
                terminal.resize(Rect::new(0, 0, size.width, size.height))?;
            }
            Ok(Event::Key(key)) => {
                state.key(key);
                clients.follow(&state);
            }
            Ok(Event::News(news)) => state.take(*news),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}
