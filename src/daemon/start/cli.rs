//! The command line: ntpd 4.2.6p5's, as Red Hat has it, and what rsntpd adds.

mod arguments;

use self::arguments::{BARE, command};
use crate::config::model::Variable;
use crate::units::{Companion, KeyId, Seconds};
use clap::ArgMatches;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::ffi::OsString;
use std::io::{IsTerminal as _, Write};
use std::net::IpAddr;
use std::path::PathBuf;

/// The configuration file where no `-c` names another.
pub const DEFAULT_CONFIG: &str = "/etc/ntp.conf";

/// The name of the program where it was started by none that can be shown.
const OUR_NAME: &str = "rsntpd";

/// Longest name that is shown, bytes.
const NAME_MAX: usize = 32;

/// What the command line asks for.
#[derive(Clone, PartialEq, Debug)]
pub enum Command {
    /// Be the daemon (or, with `-q`, set the clock once).
    Run(Box<Options>),
    /// `--check`: report what is wrong with the file.
    Check(Box<CheckRequest>),
    /// `--print-config`: print what is in effect.
    PrintConfig {
        /// The file; by default that of `-c`.
        file: PathBuf,
    },
    /// `--saveconfigquit`: the same, to a file.
    SaveConfig {
        /// The configuration, as `-c` says.
        file: PathBuf,
        /// Where it is written.
        to: PathBuf,
    },
    /// `--help-config`: explain a keyword of ntp.conf.
    HelpConfig {
        /// The keyword; by default all of them, in short.
        word: Option<String>,
    },
    /// `--reload`: have the running daemon read its configuration again.
    Reload {
        /// The daemon's pid file.
        pidfile: PathBuf,
        /// The name that this program was started by.
        name: String,
    },
    /// `--explain`: explain the access rights of a client.
    Explain {
        /// The client.
        address: IpAddr,
        /// The file; by default that of `-c`.
        file: PathBuf,
    },
}

/// What to check, and how to report it.
#[derive(Clone, PartialEq, Debug)]
pub struct CheckRequest {
    /// The command line of the daemon, which the configuration is read under: `-u`, `-k`, `-4` and so on. Without
    /// `-u`, the user is taken to be ntp, if there is such a user.
    pub options: Options,
    /// One JSON object and no text.
    pub json: bool,
}

/// The options of ntpd 4.2.6p5, each with its effect there.
#[derive(Clone, PartialEq, Debug)]
pub struct Options {
    /// `-c FILE`: the configuration file.
    pub configfile: PathBuf,
    /// `-n`, and what implies it (`-d`, `-D`, `-q`): stay in the foreground.
    pub nofork: bool,
    /// `-q`: set the clock once and exit.
    pub quit: bool,
    /// `-g`: the first offset may exceed the panic limit, once.
    pub panicgate: bool,
    /// `-x`: step only above 600 s.
    pub slew: bool,
    /// `-u USER[:GROUP]`: the user and group to run as, as written. The last one wins.
    pub user: Option<String>,
    /// `-p FILE`: the pid file. The last one wins.
    pub pidfile: Option<PathBuf>,
    /// `-f FILE`: the drift file, unless the configuration names one.
    pub driftfile: Option<PathBuf>,
    /// `-k FILE`: the keys file, unless the configuration names one.
    pub keyfile: Option<PathBuf>,
    /// `-l FILE`: log there and not to syslog.
    pub logfile: Option<PathBuf>,
    /// `-s DIR`: where statistics go, unless the configuration says.
    pub statsdir: Option<PathBuf>,
    /// `-4`: IPv4 only. Excludes `ipv6_only`.
    pub ipv4_only: bool,
    /// `-6`: IPv6 only. Excludes `ipv4_only`.
    pub ipv6_only: bool,
    /// `-I NAME`: interface names or addresses to listen on; none given means all.
    pub interfaces: Vec<String>,
    /// `-L`: leave out interfaces with a colon in their name.
    pub novirtualips: bool,
    /// `-i DIR`: change the root directory to this.
    pub jaildir: Option<PathBuf>,
    /// `-U SECONDS`: how often interfaces are looked for; 0: only at the start.
    pub updateinterval: u32,
    /// `-N`: run with the highest priority.
    pub nice: bool,
    /// `-P NUMBER`: run with this real-time priority.
    pub priority: Option<i32>,
    /// `-m`: lock the memory (Red Hat).
    pub lock_memory: bool,
    /// `-t KEY`: keys that are trusted besides those of the configuration, 1..=65535.
    pub trusted_keys: Vec<KeyId>,
    /// `-d` and `-D`: the debug level, 0 by default.
    pub debug: u32,
    /// `--var NAME=VALUE` and `--dvar NAME=VALUE`.
    pub variables: Vec<Variable>,
    /// `-a` or `-A`: whether unconfigured associations must be authenticated, where one is given.
    pub require_authentication: Option<bool>,
    /// `-b`: accept broadcasts.
    pub bcastsync: bool,
    /// `-r SECONDS`: the delay of broadcasts.
    pub propagation_delay: Option<Seconds>,
    /// `--server-only`: clients' requests are answered by processes that do nothing else.
    pub server_only: bool,
    /// `--workers N`: how many, 1..=64; none given means one for each processor.
    pub workers: Option<u32>,
    /// What was wrong on the command line but stops nothing, for the log.
    pub complaints: Vec<String>,
    /// The name that the daemon was started by: of the process, and in the log.
    pub name: String,
    /// Where the daemon was started, from which relative paths are meant; empty: they stay relative.
    pub directory: PathBuf,
}

impl Default for Options {
    /// What an empty command line means.
    fn default() -> Self {
        Self {
            configfile: PathBuf::from(DEFAULT_CONFIG),
            nofork: false,
            quit: false,
            panicgate: false,
            slew: false,
            user: None,
            pidfile: None,
            driftfile: None,
            keyfile: None,
            logfile: None,
            statsdir: None,
            ipv4_only: false,
            ipv6_only: false,
            interfaces: Vec::new(),
            novirtualips: false,
            jaildir: None,
            updateinterval: 300,
            nice: false,
            priority: None,
            lock_memory: false,
            trusted_keys: Vec::new(),
            debug: 0,
            variables: Vec::new(),
            require_authentication: None,
            bcastsync: false,
            propagation_delay: None,
            server_only: false,
            workers: None,
            complaints: Vec::new(),
            name: OUR_NAME.to_owned(),
            directory: PathBuf::new(),
        }
    }
}

/// Why the command line does not lead to a [`Command`]: a mistake, or a wish for help.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CliError {
    /// What to print, with its line end.
    pub message: String,
    /// What to exit with: 0 after `--help` and `--version`, 1 (rarely 2) after a mistake.
    pub exit_code: u8,
    /// Whether to print to standard error.
    pub to_stderr: bool,
}

impl CliError {
    /// Prints the message where it belongs and returns what to exit with.
    #[must_use]
    pub fn print(&self) -> u8 {
        // With nowhere to print to, the exit status has to do.
        let _ = if self.to_stderr {
            // An init script may throw away what is printed, and points to the system log.
            if !std::io::stderr().is_terminal() {
                crate::daemon::log::to_syslog(OUR_NAME, self.first_line());
            }
            std::io::stderr().write_all(self.message.as_bytes())
        } else {
            std::io::stdout().write_all(self.message.as_bytes())
        };
        self.exit_code
    }

    /// What is wrong, without the program's name and the usage.
    fn first_line(&self) -> &str {
        let line = self.message.lines().next().unwrap_or_default();
        line.strip_prefix("rsntpd: ").unwrap_or(line)
    }

    fn usage(what: &str) -> Self {
        let usage = command(OUR_NAME).render_usage();
        let message = format!("rsntpd: {what}\n{usage}\nTry 'rsntpd --help' for all options.\n");
        Self { message, exit_code: 1, to_stderr: true }
    }

    /// A link with a companion's name must not start a daemon.
    fn companion(name: &str) -> Self {
        let message =
            format!("rsntpd: this is the daemon; {name} is in the program rsntpq: link {name} to that\n");
        Self { message, exit_code: 1, to_stderr: true }
    }
}

/// Reads a command line, whose first element is the program's name, and the presets of the
/// environment (`NTPD_CONFIGFILE=x` is `--configfile=x`).
///
/// # Errors
/// A usage error, or the text of `--help` or `--version`.
pub fn parse<I: IntoIterator<Item = OsString>>(args: I) -> Result<Command, CliError> {
    let args: Vec<OsString> = args.into_iter().collect();
    let name = name_of(args.first());
    if Companion::named(&name).is_some() {
        return Err(CliError::companion(&name));
    }
    let matches = command(&name).try_get_matches_from(args).map_err(|why| in_our_form(&why))?;
    // `--check --json FILE`: what stands last is the file, if none stands behind --check.
    let checked = matches.contains_id("check") && path(&matches, "check").is_none();
    let mut bare = matches.get_many::<OsString>(BARE).into_iter().flatten();
    let last = bare.next().map(PathBuf::from);
    if bare.next().is_some() || (last.is_some() && !checked) {
        return Err(CliError::usage("Command line arguments not allowed"));
    }
    let configfile = path(&matches, "configfile").unwrap_or_else(|| PathBuf::from(DEFAULT_CONFIG));
    if matches.contains_id("check") {
        let file = path(&matches, "check").or(last).unwrap_or(configfile);
        let options = options(&matches, &name, file)?;
        return Ok(Command::Check(Box::new(CheckRequest { options, json: matches.get_flag("json") })));
    }
    if matches.contains_id("print-config") {
        let file = path(&matches, "print-config").unwrap_or(configfile);
        return Ok(Command::PrintConfig { file });
    }
    if matches.contains_id("help-config") {
        return Ok(Command::HelpConfig { word: matches.get_one::<String>("help-config").cloned() });
    }
    if let Some(mut values) = matches.get_many::<OsString>("explain") {
        let address = explained(&values.next().map(|a| a.to_string_lossy()).unwrap_or_default())?;
        return Ok(Command::Explain { address, file: values.next().map_or(configfile, PathBuf::from) });
    }
    if matches.contains_id("saveconfigquit") {
        let to = path(&matches, "saveconfigquit").unwrap_or_default();
        return Ok(Command::SaveConfig { file: configfile, to });
    }
    if matches.get_flag("reload") {
        let usual = || PathBuf::from(format!("/var/run/{name}.pid"));
        return Ok(Command::Reload { pidfile: path(&matches, "pidfile").unwrap_or_else(usual), name });
    }
    options(&matches, &name, configfile).map(|options| Command::Run(Box::new(options)))
}

fn options(matches: &ArgMatches, name: &str, configfile: PathBuf) -> Result<Options, CliError> {
    let mut complaints = Vec::new();
    let flag = |option| matches.get_flag(option);
    let debug = level(matches);
    let (server_only, workers) = (flag("server-only"), matches.get_one::<u32>("workers").copied());
    if workers.is_some() && !server_only {
        return Err(CliError::usage("--workers needs --server-only"));
    }
    if server_only && flag("quit") {
        return Err(CliError::usage("--server-only and --quit exclude each other"));
    }
    Ok(Options {
        configfile,
        nofork: flag("nofork") || flag("quit") || debug > 0,
        quit: flag("quit"),
        panicgate: flag("panicgate"),
        slew: flag("slew"),
        user: matches.get_one::<String>("user").cloned(),
        pidfile: path(matches, "pidfile"),
        driftfile: path(matches, "driftfile"),
        keyfile: path(matches, "keyfile"),
        logfile: path(matches, "logfile"),
        statsdir: path(matches, "statsdir"),
        ipv4_only: flag("ipv4"),
        ipv6_only: flag("ipv6"),
        interfaces: many(matches, "interface"),
        novirtualips: flag("novirtualips"),
        jaildir: path(matches, "jaildir"),
        updateinterval: updateinterval(matches)?,
        nice: flag("nice"),
        priority: matches.get_one::<i32>("priority").copied(),
        lock_memory: flag("mlock"),
        trusted_keys: trusted_keys(matches, &mut complaints),
        debug,
        variables: variables(matches, &mut complaints),
        require_authentication: match (flag("authreq"), flag("authnoreq")) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        },
        bcastsync: flag("bcastsync"),
        propagation_delay: propagation_delay(matches, &mut complaints),
        server_only,
        workers,
        complaints,
        name: name.to_owned(),
        directory: PathBuf::new(),
    })
}

/// The last part of the path that the program was started by, if it may stand in a log.
fn name_of(program: Option<&OsString>) -> String {
    let file = program.map(PathBuf::from);
    let name = file.as_deref().and_then(|file| file.file_name()?.to_str()).unwrap_or_default();
    // A login shell's program begins with a dash.
    let name = name.trim_start_matches('-');
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let shown = !name.is_empty() && name.len() <= NAME_MAX && name.chars().all(plain);
    if shown { name } else { OUR_NAME }.to_owned()
}

fn path(matches: &ArgMatches, name: &str) -> Option<PathBuf> {
    matches.get_one::<PathBuf>(name).cloned()
}

fn many(matches: &ArgMatches, name: &str) -> Vec<String> {
    matches.get_many::<String>(name).into_iter().flatten().cloned().collect()
}

/// `-D` sets the level, each `-d` adds one.
fn level(matches: &ArgMatches) -> u32 {
    let set = matches.get_many::<u32>("set-debug-level").and_then(|mut levels| levels.next_back().copied());
    set.unwrap_or(0).saturating_add(u32::from(matches.get_count("debug-level")))
}

fn updateinterval(matches: &ArgMatches) -> Result<u32, CliError> {
    let Some(&seconds) = matches.get_one::<i64>("updateinterval") else {
        return Ok(Options::default().updateinterval);
    };
    u32::try_from(seconds).map_err(|_| CliError {
        exit_code: 2,
        ..CliError::usage(&format!("update interval {seconds} is out of range: 0 or more seconds"))
    })
}

/// ntpd logs a key it cannot trust and goes on.
fn trusted_keys(matches: &ArgMatches, complaints: &mut Vec<String>) -> Vec<KeyId> {
    let mut keys = Vec::new();
    for word in many(matches, "trustedkey") {
        match word.parse() {
            Ok(id @ 1..=65_535) => keys.push(KeyId(id)),
            _ => complaints.push(format!(
                "command line trusted key {word} is invalid: expected a number from 1 to 65535; it is ignored"
            )),
        }
    }
    keys
}

fn variables(matches: &ArgMatches, complaints: &mut Vec<String>) -> Vec<Variable> {
    let mut all = Vec::new();
    for (option, shown) in [("var", false), ("dvar", true)] {
        for word in many(matches, option) {
            match word.split_once('=') {
                Some((name, value)) if !name.is_empty() => {
                    all.push(Variable { name: name.to_owned(), value: value.to_owned(), shown });
                }
                _ => complaints.push(format!("--{option} {word}: expected NAME=VALUE; it is ignored")),
            }
        }
    }
    all
}

fn propagation_delay(matches: &ArgMatches, complaints: &mut Vec<String>) -> Option<Seconds> {
    let word = matches.get_one::<String>("propagationdelay")?;
    match word.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() => Some(Seconds::new(seconds)),
        _ => {
            complaints.push(format!(
                "command line broadcast delay value {word} could not be decoded: expected seconds; it is ignored"
            ));
            None
        }
    }
}

/// The address after `--explain`, with or without brackets and scope.
fn explained(word: &str) -> Result<IpAddr, CliError> {
    let inner = word.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(word);
    let (address, _scope) = inner.split_once('%').unwrap_or((inner, ""));
    address.parse().map_err(|_| {
        CliError::usage(&format!(
            "--explain {word}: expected the numeric address of a client, such as 192.0.2.7 or 2001:db8::7"
        ))
    })
}

/// clap's error in the form of the other messages.
fn in_our_form(error: &clap::Error) -> CliError {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            return CliError { message: error.to_string(), exit_code: 0, to_stderr: false };
        }
        _ => {}
    }
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        Some(ContextValue::Strings(texts)) => texts.first().map(String::as_str),
        _ => None,
    };
    let option = context(ContextKind::InvalidArg).unwrap_or("an argument");
    // clap names an option with its value's name, `--pidfile <FILE>`.
    let name = option.split(' ').next().unwrap_or(option);
    let what = match error.kind() {
        ErrorKind::UnknownArgument => match context(ContextKind::SuggestedArg) {
            Some(similar) => format!("illegal option {name}; did you mean {similar}?"),
            None => format!("illegal option {name}"),
        },
        ErrorKind::ArgumentConflict => match context(ContextKind::PriorArg) {
            Some(prior) if prior != option => format!("{name} and {prior} exclude each other"),
            _ => format!("only one {} option allowed", name.trim_start_matches('-')),
        },
        ErrorKind::InvalidValue | ErrorKind::ValueValidation | ErrorKind::WrongNumberOfValues => {
            match context(ContextKind::InvalidValue).filter(|value| !value.is_empty()) {
                Some(value) => format!("{name}: {value} is not what it takes ({option})"),
                None => format!("{name} needs a value ({option})"),
            }
        }
        ErrorKind::InvalidUtf8 => {
            "an argument has bytes that are not UTF-8 where text is expected".to_owned()
        }
        _ => error.to_string().lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned(),
    };
    CliError::usage(&what)
}

#[cfg(test)]
mod tests;
