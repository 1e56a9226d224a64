//! The whole file: lines to commands, includefiles, and the order in which commands apply.

use super::Parsed;
use super::diagnostic::{Diagnostic, Severity, quote};
use super::lexer::{Token, TokenKind};
use super::line::{Advice, Dropped, Line};
use super::model::{Config, Server, Target};
use super::servers::{FudgeFactor, Unpeer};
use super::{restrict, servers, settings};
use crate::units::AssocId;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

/// Levels of includefiles below the main file.
const INCLUDE_DEPTH: usize = 5;

/// Commands that begin a line.
const COMMANDS: [&str; 56] = [
    "automax",
    "broadcast",
    "broadcastclient",
    "broadcastdelay",
    "calldelay",
    "controlkey",
    "crypto",
    "disable",
    "discard",
    "driftfile",
    "dscp",
    "enable",
    "end",
    "filegen",
    "fudge",
    "ident",
    "includefile",
    "interface",
    "keys",
    "keysdir",
    "leapfile",
    "leapsmearinterval",
    "logconfig",
    "logfile",
    "manycastclient",
    "manycastserver",
    "mdnstries",
    "mru",
    "multicastclient",
    "nic",
    "nonvolatile",
    "ntpsigndsocket",
    "peer",
    "phone",
    "pidfile",
    "pool",
    "qos",
    "refclock",
    "requestkey",
    "reset",
    "restrict",
    "revoke",
    "rlimit",
    "saveconfigdir",
    "server",
    "setvar",
    "simulate",
    "statistics",
    "statsdir",
    "tick",
    "tinker",
    "tos",
    "trap",
    "trustedkey",
    "ttl",
    "unpeer",
];

/// Commands that are read and have no effect: why.
const WITHOUT_EFFECT: [(&str, &str); 24] = [
    ("automax", "Autokey is not supported"),
    ("broadcastclient", "broadcast is not yet supported by rsntpd"),
    ("broadcastdelay", "broadcast is not yet supported by rsntpd"),
    ("calldelay", "dial-up modems are not supported"),
    ("crypto", "Autokey is not supported: it is broken by design and was never safe"),
    ("dscp", "rsntpd marks its packets as ntpd does by default"),
    ("ident", "Autokey is not supported"),
    ("keysdir", "Autokey is not supported"),
    ("leapsmearinterval", "leap smearing is not supported"),
    ("manycastserver", "manycast is not yet supported by rsntpd"),
    ("mdnstries", "rsntpd does not announce itself by mDNS"),
    ("mru", "the client table of rsntpd has a fixed bound"),
    ("multicastclient", "multicast is not yet supported by rsntpd"),
    ("nonvolatile", "rsntpd writes the drift file hourly when it changed"),
    ("ntpsigndsocket", "MS-SNTP signing is not supported"),
    ("phone", "dial-up modems are not supported"),
    ("qos", "ntpd reads it and never uses it"),
    ("refclock", "reference clocks other than LOCAL are not yet supported by rsntpd"),
    ("reset", "it clears counters of a running daemon"),
    ("revoke", "Autokey is not supported"),
    ("rlimit", "rsntpd needs no such limits"),
    ("tick", "rsntpd measures the clock's tick itself"),
    ("trap", "traps are not supported"),
    ("ttl", "multicast is not yet supported by rsntpd"),
];

/// Commands that a running daemon does not take: what they name would be read or overwritten by
/// whoever holds the control key, not by who holds the machine.
const AT_START_ONLY: [&str; 13] = [
    "crypto",
    "driftfile",
    "filegen",
    "includefile",
    "keys",
    "keysdir",
    "leapfile",
    "logfile",
    "ntpsigndsocket",
    "pidfile",
    "saveconfigdir",
    "simulate",
    "statsdir",
];

/// An association that there is, for `unpeer`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Known {
    /// Its identifier.
    pub id: AssocId,
    /// Its address, once known.
    pub address: Option<IpAddr>,
    /// What its line says.
    pub target: Target,
}

type Read<'r> = &'r mut dyn FnMut(&Path) -> Result<Vec<u8>, String>;

/// What has been read so far.
struct Parser<'r> {
    config: Config,
    diagnostics: Vec<Diagnostic>,
    switches: Vec<(settings::Set, bool)>,
    fudges: Vec<(Ipv4Addr, Vec<FudgeFactor>)>,
    read: Read<'r>,
    stack: Vec<(PathBuf, u32)>,
    ended: bool,
    /// The associations of a running daemon.
    running: Option<&'r [Known]>,
}

/// Reads a configuration. Nothing in it is ever an error to the caller: what was not understood
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
    let mut no_files = |_: &Path| Err("not at run time".to_owned());
    let mut parser = Parser::new(running, &mut no_files);
    parser.running = Some(known);
    parser.file(Path::new("config"), text);
    parser.finish()
}

impl<'r> Parser<'r> {
    fn new(config: Config, read: Read<'r>) -> Self {
        Self {
            config,
            diagnostics: Vec::new(),
            switches: Vec::new(),
            fudges: Vec::new(),
            read,
            stack: Vec::new(),
            ended: false,
            running: None,
        }
    }

    fn file(&mut self, file: &Path, text: &[u8]) {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let mut lines = text.split(|b| *b == b'\n').zip(1u32..);
        while let Some((bytes, number)) = lines.next() {
            if self.ended {
                return;
            }
            let opens = self.line(file, bytes, number);
            if opens {
                skip_block(&mut lines, bytes);
            }
        }
    }

    /// Reads a line; true if it opens a block to be skipped (`simulate`).
    fn line(&mut self, file: &Path, bytes: &[u8], number: u32) -> bool {
        let mut diagnostics = std::mem::take(&mut self.diagnostics);
        let stack = self.stack.clone();
        let mut line = Line::new(bytes, file, number, &stack, &mut diagnostics);
        let mut include = None;
        let mut block = false;
        if let Some(first) = line.next() {
            match first.kind {
                TokenKind::Keyword(word) if self.running.is_some() && AT_START_ONLY.contains(&word) => {
                    let message = format!("{} cannot be set at run time", quote(word.as_bytes()));
                    line.say(Severity::Error, first.span, message, Advice::default(), "the line is ignored");
                }
                TokenKind::Keyword("includefile") => include = self.include(&mut line),
                TokenKind::Keyword("simulate") => {
                    block = true;
                    let message = "simulate is for ntpdsim".to_owned();
                    line.say(
                        Severity::Warning,
                        first.span,
                        message,
                        Advice::default(),
                        "the block is skipped",
                    );
                }
                _ => self.command(&mut line, &first),
            }
        }
        self.diagnostics = diagnostics;
        if let Some((path, span)) = include {
            self.include_file(file, bytes, number, &path, span);
        }
        block
    }

    fn command(&mut self, line: &mut Line<'_>, first: &Token) {
        let word = match first.kind {
            TokenKind::Keyword(word) if COMMANDS.contains(&word) || word == "unconfig" => word,
            _ => {
                line.unexpected(
                    first,
                    "a command such as server or restrict",
                    &COMMANDS,
                    "the line is ignored".to_owned(),
                );
                return;
            }
        };
        // A command that is dropped has said why.
        let _ = self.run(line, word, first);
    }

    fn run(&mut self, line: &mut Line<'_>, word: &'static str, first: &Token) -> Result<(), Dropped> {
        let config = &mut self.config;
        match word {
            "server" | "pool" | "peer" | "broadcast" | "manycastclient" => {
                if let Some(server) = servers::association(line, word)? {
                    self.add_server(line, server);
                }
            }
            "restrict" => config.restrict.push(restrict::restrict(line)?),
            "fudge" => {
                let fudge = servers::fudge(line)?;
                self.fudges.push(fudge);
            }
            "tinker" => settings::tinker(line, config)?,
            "tos" => settings::tos(line, config)?,
            "discard" => settings::discard(line, config)?,
            "enable" | "disable" => {
                let on = word == "enable";
                let found = settings::switches(line, word)?;
                self.switches.extend(found.into_iter().map(|set| (set, on)));
            }
            "statistics" => settings::statistics(line, config)?,
            "filegen" => settings::filegen(line, config)?,
            "interface" | "nic" => settings::interface(line, config, word)?,
            "logconfig" => settings::logconfig(line, config)?,
            "setvar" => settings::setvar(line, config)?,
            "trustedkey" => config.auth.trusted = settings::trusted_keys(line)?,
            "requestkey" => config.auth.request = settings::one_key(line, word)?,
            "controlkey" => config.auth.control = settings::one_key(line, word)?,
            "driftfile" => settings::driftfile(line, config),
            "keys" | "logfile" | "pidfile" | "leapfile" | "saveconfigdir" | "statsdir" => {
                let path = line.path(word)?;
                self.set_path(word, path);
                line.done(word);
            }
            "end" => self.ended = true,
            "unpeer" | "unconfig" if self.running.is_some() => self.unpeer(line)?,
            _ => without_effect(line, word, first),
        }
        Ok(())
    }

    fn set_path(&mut self, word: &str, path: PathBuf) {
        let config = &mut self.config;
        *match word {
            "keys" => &mut config.auth.keys,
            "logfile" => &mut config.logfile,
            "pidfile" => &mut config.pidfile,
            "leapfile" => &mut config.leapfile,
            "saveconfigdir" => &mut config.saveconfigdir,
            _ => &mut config.statistics.dir,
        } = Some(path);
    }

    /// A second line for the same address and kind is dropped, as ntpd does.
    fn add_server(&mut self, line: &mut Line<'_>, server: Server) {
        let same = |s: &Server| (s.kind, &s.target, s.family) == (server.kind, &server.target, server.family);
        let numeric = !matches!(server.target, Target::Name(_));
        if numeric && self.config.servers.iter().any(same) {
            let message = "this server has a line already".to_owned();
            line.say(Severity::Note, line.end(), message, Advice::default(), "the first line counts");
            return;
        }
        self.config.servers.push(server);
    }

    /// `unpeer ADDRESS`, `unpeer NAME` or `unpeer ID`, at run time: its line is taken out.
    fn unpeer(&mut self, line: &mut Line<'_>) -> Result<(), Dropped> {
        let span = line.next_span();
        let target = servers::unpeer(line)?;
        let known = self.running.unwrap_or_default();
        let by_id = |id: &u16| known.iter().find(|k| k.id.0 == *id).map(|k| k.target.clone());
        let by_address = |address: &IpAddr| {
            let resolved = known.iter().find(|k| k.address == Some(*address));
            resolved.map_or(Target::Address(*address), |k| k.target.clone())
        };
        let target = match &target {
            Unpeer::Id(id) => by_id(id),
            Unpeer::Target(Target::Address(address)) => Some(by_address(address)),
            Unpeer::Target(target) => Some(target.clone()),
        };
        let before = self.config.servers.len();
        self.config.servers.retain(|server| Some(&server.target) != target.as_ref());
        if self.config.servers.len() == before {
            let message = "there is no such association".to_owned();
            line.say(Severity::Error, span, message, Advice::default(), "the line is ignored");
        }
        line.done("unpeer");
        Ok(())
    }

    /// `includefile PATH [COMMAND]`: the rest of the line is a command that runs first.
    fn include(&mut self, line: &mut Line<'_>) -> Option<(PathBuf, std::ops::Range<usize>)> {
        let span = line.next_span();
        let path = line.path("includefile").ok()?;
        if let Some(first) = line.next() {
            self.command(line, &first);
        }
        Some((path, span))
    }

    fn include_file(
        &mut self,
        file: &Path,
        bytes: &[u8],
        number: u32,
        path: &Path,
        span: std::ops::Range<usize>,
    ) {
        let problem = if self.stack.len() >= INCLUDE_DEPTH {
            Err(format!("includefiles are nested more than {INCLUDE_DEPTH} deep"))
        } else {
            (self.read)(path).map_err(|why| format!("cannot open {}: {why}", path.display()))
        };
        match problem {
            Ok(text) => {
                self.stack.push((file.to_owned(), number));
                self.file(path, &text);
                self.stack.pop();
            }
            Err(message) => {
                let stack = self.stack.clone();
                let mut line = Line::new(bytes, file, number, &stack, &mut self.diagnostics);
                line.say(Severity::Warning, span, message, Advice::default(), "it is skipped");
            }
        }
    }

    /// What applies at the end, whatever the order of lines: all enables before all disables,
    /// fudge factors to their clocks.
    fn finish(mut self) -> Parsed {
        for wanted in [true, false] {
            for (set, on) in self.switches.iter().filter(|(_, on)| *on == wanted) {
                set(&mut self.config.enable, *on);
            }
        }
        for (clock, factors) in &self.fudges {
            let [_, _, t, u] = clock.octets();
            for server in &mut self.config.servers {
                let matches = match server.target {
                    Target::LocalClock { unit } => t == 1 && u == unit,
                    Target::RefClock { kind, unit } => (kind, unit) == (t, u),
                    Target::Address(_) | Target::Name(_) => false,
                };
                if matches {
                    factors.iter().for_each(|f| f.apply(&mut server.fudge));
                }
            }
        }
        Parsed { config: self.config, diagnostics: self.diagnostics }
    }
}

fn without_effect(line: &mut Line<'_>, word: &str, first: &Token) {
    line.skip();
    let why = WITHOUT_EFFECT
        .iter()
        .find(|(name, _)| *name == word)
        .map_or("it is for a running daemon", |(_, why)| *why);
    let message = format!("{} has no effect", quote(word.as_bytes()));
    line.say(Severity::Warning, first.span.clone(), message, Advice::default(), why);
}

/// Skips the lines of a `{ … }` block whose first line this is.
fn skip_block<'a>(lines: &mut impl Iterator<Item = (&'a [u8], u32)>, first: &'a [u8]) {
    let count = |bytes: &[u8], c: u8| bytes.iter().filter(|b| **b == c).count();
    let mut depth = count(first, b'{').saturating_sub(count(first, b'}'));
    let mut opened = count(first, b'{') > 0;
    while !opened || depth > 0 {
        let Some((bytes, _)) = lines.next() else { return };
        opened |= count(bytes, b'{') > 0;
        depth = (depth + count(bytes, b'{')).saturating_sub(count(bytes, b'}'));
        if !opened && !bytes.trim_ascii().is_empty() {
            return;
        }
    }
}
