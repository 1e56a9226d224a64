//! From the command line and the files to what the engine starts with, and again at a reload.
//!
//! Nothing here stops the daemon: what is missing or not understood becomes a line for the log.

mod anchor;
mod certified;
mod doubts;
mod fips;
mod keyed;
mod merge;
mod runtime;
mod sources;

pub use self::anchor::{anchor, enter_jail};
pub use self::runtime::{Configured, configure};
use self::sources::{ReadError, Sources};
use super::cli::Options;
use crate::config::model::{Config, Key, LeapTable};
use crate::config::{self, Diagnostic, Notice, Severity, Unreadable};
use crate::daemon::{files, leapfile};
use crate::engine::clock::{Drift, Record};
use crate::engine::contract::Setup;
use crate::engine::report::event::Level;
use crate::sys::{self, clock};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What was read.
#[derive(Debug)]
pub struct Loaded {
    /// For the engine: the files, with the command line's settings where the files say nothing.
    pub setup: Setup,
    /// What was noticed in the configuration, keys and drift files, in that order.
    pub diagnostics: Vec<Diagnostic>,
    /// Valid settings that are probably wrong or have no effect: in the configuration as a whole and the files it names.
    pub lints: Vec<Diagnostic>,
    /// What else is to be reported: missing files, mistakes on the command line.
    pub notices: Vec<Notice>,
    /// The frequency of the drift file, where there is one that makes sense. Read by [`load`] only.
    pub drift: Option<Drift>,
    /// How many of the servers the clock can be synchronized to, by what the files contain.
    pub usable: usize,
    /// A note without words about the `leapfile` line.
    pub leapfile: Option<Diagnostic>,
    /// Why the configuration file could not be read, if so; [`load`] then goes on with the defaults.
    pub unreadable: Option<String>,
    /// Files that could not be read this time, and what is used instead.
    pub unread: Vec<String>,
    /// Included files that could be read before, and why they cannot now; [`reload`] then keeps their contents.
    lost: Vec<String>,
    /// For the next [`reload`].
    pub memory: Memory,
}

impl Loaded {
    /// Everything that is to be reported, line by line.
    pub fn log_lines(&self) -> impl Iterator<Item = (Level, String)> {
        let noticed = self.notices.iter().map(|notice| (level(notice.severity), notice.text.clone()));
        // Notes are printed by --check only.
        let lints = self.lints.iter().filter(|found| found.severity != Severity::Note);
        noticed.chain(
            self.diagnostics.iter().chain(lints).map(|found| (level(found.severity), found.log_line())),
        )
    }
}

type ErrorCounts = BTreeMap<(PathBuf, Vec<u8>, String), usize>;

/// What a reload must know of the load before it.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    sources: Sources,
    keys: Vec<Key>,
    /// The last valid contents of the leap second file.
    pub(in crate::daemon) leap_table: Option<LeapTable>,
    errors: ErrorCounts,
    /// What ntpq's `:config` has added since and who did it, as comments.
    added: String,
}

impl Memory {
    /// The files that were read: the configuration, what it includes, keys.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.sources.files().cloned().collect()
    }

    /// The configuration in force as a file, as --print-config prints it; before it, as comments, what was
    /// added at run time.
    #[must_use]
    pub fn saved_text(&self, running: &Config) -> Vec<u8> {
        [self.added.as_bytes(), &config::print(running)].concat()
    }
}

/// Why the old configuration stays in force.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// Everything that is to be reported; the last line says that nothing changed.
    pub lines: Vec<(Level, String)>,
}

/// Reads everything, at the start and as root. A missing configuration file means the defaults.
#[must_use]
pub fn load(options: &Options) -> Loaded {
    let mut loaded = read(options, None);
    let complaints = options.complaints.iter().map(|text| warning(text.clone()));
    loaded.notices.splice(0..0, complaints);
    read_drift(&mut loaded);
    loaded
}

/// Reads everything but the drift file again.
///
/// Included files and keys that only root may read are used as they were at the start, with a warning.
///
/// # Errors
/// The configuration file or an included one cannot be read any more, or has errors that the configuration in force
/// did not have: then the old configuration should stay. Errors it always had stop no reload.
pub fn reload(options: &Options, memory: &Memory) -> Result<Loaded, Refused> {
    let loaded = read(options, Some(memory.clone()));
    let file = options.configfile.display();
    let added = new_errors(&memory.errors, &loaded.memory.errors);
    let why = if loaded.unreadable.is_some() {
        "it cannot be read".to_owned()
    } else if let Some(lost) = loaded.lost.first() {
        // Its restrict lines would be gone, and the machine open.
        format!("the included file {lost}")
    } else if added == 1 {
        "it has a new error".to_owned()
    } else if added > 1 {
        format!("it has {added} new errors")
    } else {
        return Ok(loaded);
    };
    let mut lines: Vec<_> = loaded.log_lines().collect();
    lines.push((Level::Error, format!("{file} is not put in force: {why}; the old configuration stays")));
    Err(Refused { lines })
}

/// Which time the files are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pass {
    Start,
    Reload,
}

impl Pass {
    /// Only the start may wait for a pipe.
    fn reader(self) -> fn(&Path) -> io::Result<Vec<u8>> {
        match self {
            Self::Start => files::read_or_pipe,
            Self::Reload => files::read,
        }
    }
}

/// Reads everything: for the first time, or where there is a `memory`, again.
fn read(options: &Options, memory: Option<Memory>) -> Loaded {
    let pass = if memory.is_none() { Pass::Start } else { Pass::Reload };
    let Memory { mut sources, keys: old_keys, leap_table: old_leap_table, .. } = memory.unwrap_or_default();
    let mut notices = Vec::new();
    let base = merge::base(options);
    let (parsed, unreadable) = parse(options, base, pass, &mut sources, &mut notices);
    let lost = sources.take_lost();
    let mut lints = parsed.lints.clone();
    lints.extend(doubts::look(&parsed, options.user.as_deref(), &mut notices));
    let mut diagnostics = parsed.diagnostics.clone();
    let before_keys = notices.len();
    let keys = read_keys(&parsed.config, &mut sources, old_keys, &mut diagnostics, &mut notices);
    let mut unread = texts(&notices[before_keys..]);
    let mut useless = parsed.outlook.useless.clone();
    lints.extend(keyed::look(&parsed, &keys, &diagnostics, &mut useless));
    let keys = match &parsed.config.auth.keys {
        Some(path) if sys::fips::is_on() && !parsed.config.enable.fips_legacy => {
            fips::fit(keys, path, &mut notices)
        }
        _ => keys,
    };
    lints.extend(certified::look(&parsed, pass, clock::unix().0, &mut useless));
    let usable = usable(options, &parsed.config, &mut useless);
    if usable == 0 && unreadable.is_none() {
        notices.push(warning(no_source(parsed.config.source_lines())));
    }
    let leapfile_mark = parsed.mark("leapfile").cloned();
    let mut config = parsed.config;
    merge::finish(options, &mut config, &mut notices);
    let leap_table = read_leapfile(&config, old_leap_table, &mut notices, &mut unread);
    let before_stale = notices.len();
    let stale = sources.take_stale().into_iter();
    notices
        .extend(stale.map(|path| {
            warning(format!("{}: may no longer be read; used as it was before", path.display()))
        }));
    unread.extend(texts(&notices[before_stale..]));
    // A keys file that is gone leaves the keys, which was logged.
    let _keys = sources.take_lost();
    let errors = count_errors(&diagnostics);
    Loaded {
        memory: Memory {
            sources,
            keys: keys.clone(),
            leap_table: leap_table.clone(),
            errors,
            added: String::new(),
        },
        setup: Setup {
            config,
            keys,
            leap_table,
            unpeered: Vec::new(),
            allow_panic_once: options.panicgate,
            quit_after_set: options.quit,
        },
        diagnostics,
        lints,
        notices,
        drift: None,
        usable,
        leapfile: leapfile_mark,
        unreadable,
        unread,
        lost,
    }
}

/// How many servers are left without the useless ones and those that `-4` or `-6` leaves out.
fn usable(options: &Options, config: &Config, useless: &mut BTreeSet<usize>) -> usize {
    let servers = config.servers.iter().enumerate();
    useless.extend(servers.filter(|(_, server)| merge::leaves_out(options, server)).map(|(index, _)| index));
    config::usable(config, useless)
}

/// Nothing can be wrong with single lines where this is.
fn no_source(servers: usize) -> String {
    let why = match servers {
        0 => "there is no server line".to_owned(),
        1 => "the only server line cannot be used".to_owned(),
        _ => format!("none of {servers} server lines can be used"),
    };
    format!("no usable time source: {why}; the clock is never adjusted, and clients get no time")
}

fn texts(notices: &[Notice]) -> Vec<String> {
    notices.iter().map(|notice| notice.text.clone()).collect()
}

/// Where the leap second file has become invalid, the contents of the valid one stay.
fn read_leapfile(
    config: &Config,
    old: Option<LeapTable>,
    notices: &mut Vec<Notice>,
    unread: &mut Vec<String>,
) -> Option<LeapTable> {
    let path = config.leapfile.as_deref()?;
    let before = notices.len();
    let table = leapfile::read(path, notices);
    if table.is_none() {
        unread.extend(texts(&notices[before..]));
    }
    table.or(old)
}

/// The parsed configuration file with absolute paths, or the command line's settings alone and why the file cannot be read.
fn parse(
    options: &Options,
    base: Config,
    pass: Pass,
    sources: &mut Sources,
    notices: &mut Vec<Notice>,
) -> (config::Parsed, Option<String>) {
    let main = sources.read_by(pass.reader(), &options.configfile);
    let unreadable = main.as_ref().err().map(|why| format!("{}: {why}", options.configfile.display()));
    let mut parsed = match main {
        Ok(text) => {
            let mut include = |path: &Path| {
                sources.read(&options.directory.join(path)).map_err(|why| Unreadable(why.to_string()))
            };
            config::parse_onto(base, &options.configfile, &text, &mut include)
        }
        Err(why) => {
            notices.push(could_not_open(&options.configfile, &why, pass));
            config::Parsed {
                config: base,
                diagnostics: Vec::new(),
                lints: Vec::new(),
                outlook: config::Outlook::default(),
                marks: Vec::new(),
                unpeered: Vec::new(),
            }
        }
    };
    anchor::anchor_config(&mut parsed.config, &options.directory);
    (parsed, unreadable)
}

fn read_keys(
    config: &Config,
    sources: &mut Sources,
    old: Vec<Key>,
    diagnostics: &mut Vec<Diagnostic>,
    notices: &mut Vec<Notice>,
) -> Vec<Key> {
    let Some(path) = &config.auth.keys else { return Vec::new() };
    match sources.read(path).map(Zeroizing::new) {
        Ok(text) => {
            let (keys, found) = config::parse_keys(path, &text);
            diagnostics.extend(found);
            keys
        }
        Err(why) => {
            let kept = if old.is_empty() { "there are no keys" } else { "the keys read before stay" };
            notices.push(warning(format!("authreadkeys: file {}: {why}; {kept}", path.display())));
            old
        }
    }
}

fn read_drift(loaded: &mut Loaded) {
    let Some(path) = loaded.setup.config.driftfile.clone() else { return };
    match files::read(&path) {
        Ok(text) => match config::parse_drift(&path, &text) {
            Ok(frequency) => {
                let record = read_drift_record(loaded, &path);
                loaded.drift = Some(Drift { frequency, age: files::age(&path), record });
            }
            Err(found) => loaded.diagnostics.push(*found),
        },
        // As on every first start.
        Err(why) if why.kind() == io::ErrorKind::NotFound => {}
        Err(why) => {
            let text = format!("driftfile {}: {}; starting without it", path.display(), files::words(&why));
            loaded.notices.push(warning(text));
        }
    }
}

/// How right the drift file was before, where that is known.
fn read_drift_record(loaded: &mut Loaded, path: &Path) -> Record {
    let file = files::drift_record(path);
    let text = match files::read(&file) {
        Ok(text) => text,
        Err(why) => {
            if why.kind() != io::ErrorKind::NotFound {
                let text = format!("{}: {}; starting without it", file.display(), files::words(&why));
                loaded.notices.push(warning(text));
            }
            return Record::default();
        }
    };
    match config::parse_drift_record(&file, &text) {
        Ok(config::DriftRecord { rms, starts }) => Record { rms, starts },
        Err(found) => {
            loaded.diagnostics.push(*found);
            Record::default()
        }
    }
}

fn could_not_open(path: &Path, why: &ReadError, pass: Pass) -> Notice {
    // What a reload does instead stands in a line of its own.
    let instead = match pass {
        Pass::Start => "; running with the defaults",
        Pass::Reload => "",
    };
    let text = format!("getconfig: Couldn't open <{}>: {why}{instead}", path.display());
    Notice { severity: Severity::Error, text }
}

const fn warning(text: String) -> Notice {
    Notice { severity: Severity::Warning, text }
}

pub(in crate::daemon) const fn level(severity: Severity) -> Level {
    match severity {
        Severity::Error => Level::Error,
        Severity::Warning => Level::Warning,
        Severity::Note => Level::Info,
    }
}

/// The errors by file, line as written and message, but not by number: an error that other lines were
/// inserted above is still the same.
fn count_errors(diagnostics: &[Diagnostic]) -> ErrorCounts {
    let mut errors = ErrorCounts::new();
    for found in diagnostics.iter().filter(|found| found.severity == Severity::Error) {
        let key = (found.file.clone(), found.source.clone(), found.message.clone());
        *errors.entry(key).or_insert(0) += 1;
    }
    errors
}

fn new_errors(old: &ErrorCounts, new: &ErrorCounts) -> usize {
    new.iter().map(|(key, count)| count.saturating_sub(old.get(key).copied().unwrap_or(0))).sum()
}

#[cfg(test)]
mod tests;
