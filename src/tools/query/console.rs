//! The state that commands share, and carrying out one command line.

use super::commands::{self, Command};
use super::fetch::Listed;
use super::names::Names;
use crate::config::model::Family;
use crate::config::model::{Digest, Key};
use crate::config::parse_keys;
use crate::engine::auth::Keys;
use crate::tools::link::{Host, Link, Sign, Trouble};
use crate::units::{KeyId, NtpTimestamp};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the keys are by default.
const KEYS_FILE: &str = "/etc/ntp/keys";

/// Response timeout unless `timeout` sets another: so that a missing response is reported within 5 s,
/// the start of the program and a busy machine included.
const PATIENCE: Duration = Duration::from_millis(4500);

/// The settings of the command line.
#[derive(Clone, Default, Debug)]
pub struct Settings {
    /// `-4`, `-6`.
    pub family: Family,
    /// `-n`: no names for addresses.
    pub numeric: bool,
    /// `-w`: long names stand on a line of their own.
    pub wide: bool,
    /// `-W`: columns of the display.
    pub width: Option<u16>,
    /// `--json`.
    pub json: bool,
    /// `--old-rv`: the status stands in front of named variables, too.
    pub old_rv: bool,
    /// `-k`.
    pub keys_file: Option<PathBuf>,
    /// `-a`.
    pub key: Option<KeyId>,
    /// The time from which ages are counted; `None`: the clock's. A capture has a time of its own.
    pub now: Option<NtpTimestamp>,
}

/// What a command has to say.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// A screen.
    Text(String),
    /// The same for programs.
    Data(Value),
}

/// The result of a command line.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Outcome {
    /// For standard output.
    pub out: String,
    /// For standard error.
    pub err: String,
    /// Whether it failed.
    pub failed: bool,
    /// Whether the user wants to leave.
    pub quit: bool,
}

/// Everything a command may use.
#[derive(Debug)]
pub struct Console {
    /// The current host.
    pub link: Option<Link>,
    /// From the command line, and changed by commands.
    pub settings: Settings,
    /// Names of addresses.
    pub names: Names,
    /// Width of the column with the host, if several are queried; else 0.
    pub host_column: usize,
    /// `raw` and `cooked`.
    pub raw: bool,
    /// Variables that `addvars` collected: name and, for writing, value.
    pub variables: Vec<(String, Option<String>)>,
    /// The associations last listed, for `&1`, `&2`, …
    pub listed: Vec<Listed>,
    /// The key to sign with.
    pub key: Option<KeyId>,
    /// The digest that `passwd` is for.
    pub digest: Digest,
    /// `passwd`.
    pub secret: Option<Vec<u8>>,
    /// Prompts for a line that is not shown, if there is a terminal.
    pub ask_secret: Option<fn(&str) -> Option<String>>,
    /// `timeout`.
    pub timeout: Duration,
    /// `ntpversion`.
    pub version: u8,
    /// Milliseconds, see command `delay`.
    pub delay: f64,
    /// Notes that go to standard error before a command's result.
    pub notes: String,
}

impl Console {
    /// Without a host yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            link: None,
            names: if settings.numeric { Names::numeric() } else { Names::resolved() },
            key: settings.key,
            settings,
            host_column: 0,
            raw: false,
            variables: Vec::new(),
            listed: Vec::new(),
            digest: Digest::Md5,
            secret: None,
            ask_secret: None,
            timeout: PATIENCE,
            version: 2,
            delay: 8.0,
            notes: String::new(),
        }
    }

    /// Turns to another host.
    ///
    /// # Errors
    /// Why it has no address.
    pub fn open(&mut self, host: &str) -> Result<(), Trouble> {
        let host = Host::find(host, self.settings.family).map_err(Trouble::NoHost)?;
        self.listed.clear();
        self.link = Some(Link::new(host));
        Ok(())
    }

    /// The conversation, with the limits now in force.
    ///
    /// # Errors
    /// Without a host.
    pub fn link(&mut self) -> Result<&mut Link, Trouble> {
        let (timeout, version) = (self.timeout, self.version);
        let link = self
            .link
            .as_mut()
            .ok_or_else(|| Trouble::Cannot("No host open, use `host' command".to_owned()))?;
        link.timeout = timeout;
        link.version = version;
        Ok(link)
    }

    /// The time from which ages are counted.
    #[must_use]
    pub fn now(&self) -> NtpTimestamp {
        self.settings.now.unwrap_or_else(crate::sys::clock::wall)
    }

    /// The current host.
    #[must_use]
    pub fn host(&self) -> &str {
        self.link.as_ref().map_or("", Link::name)
    }

    /// The signer of requests: with the key and password given, else with a key of the keys file.
    ///
    /// # Errors
    /// Where there is no such key.
    pub fn signer(&mut self) -> Result<Signer, Trouble> {
        let id = match (self.key, self.ask_secret) {
            (Some(id), _) => id,
            (None, Some(ask)) => {
                let word = ask("Keyid: ").unwrap_or_default();
                let number = word.trim().parse().ok().filter(|id| (1..=65_535).contains(id));
                KeyId(number.ok_or_else(|| Trouble::Cannot("Invalid key identifier".to_owned()))?)
            }
            (None, None) => {
                return Err(Trouble::Cannot(
                    "This needs a key: use -a and -k, or `keyid' and `passwd'".to_owned(),
                ));
            }
        };
        self.key = Some(id);
        let key = match &self.secret {
            Some(secret) => Key::new(id, self.digest, secret.clone()),
            None => self.key_from_file(id)?,
        };
        Ok(Signer { keys: Keys::new(std::slice::from_ref(&key), &[id]), id })
    }

    fn key_from_file(&mut self, id: KeyId) -> Result<Key, Trouble> {
        let named = self.settings.keys_file.clone();
        let file = named.clone().unwrap_or_else(|| PathBuf::from(KEYS_FILE));
        match key_of(&file, id) {
            Ok(Some(key)) => return Ok(key),
            Ok(None) | Err(_) if named.is_none() && self.ask_secret.is_some() => {}
            Ok(None) => return Err(Trouble::Cannot(format!("{}: no key {}", file.display(), id.0))),
            Err(why) => return Err(Trouble::Cannot(format!("{}: {why}", file.display()))),
        }
        let prompt = format!("{:?} Password: ", self.digest);
        let secret = self.ask_secret.and_then(|ask| ask(&prompt)).filter(|secret| !secret.is_empty());
        let secret = secret.ok_or_else(|| Trouble::Cannot("Invalid password".to_owned()))?;
        self.secret = Some(secret.clone().into_bytes());
        Ok(Key::new(id, self.digest, secret.into_bytes()))
    }

    /// Carries out a command line of the user; text from another host is never passed here.
    pub fn run(&mut self, line: &str) -> Outcome {
        let line = line.trim();
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some((first, arguments)) = words.split_first() else { return Outcome::default() };
        if ["quit", "exit"].contains(first) {
            return Outcome { quit: true, ..Outcome::default() };
        }
        let command = match commands::find(first) {
            Ok(command) => command,
            Err(why) => {
                return Outcome {
                    err: format!("***Command `{first}' {why}\n"),
                    failed: true,
                    ..Outcome::default()
                };
            }
        };
        let rest = line[first.len()..].trim();
        self.notes.clear();
        let result = (command.run)(self, arguments, rest);
        let mut outcome = Outcome { err: std::mem::take(&mut self.notes), ..Outcome::default() };
        match result {
            Ok(Output::Text(text)) if self.settings.json && command.reads => {
                // A command that reads but has no data form: its text.
                outcome.out = self.enveloped(command, json!({ "text": text }));
            }
            Ok(Output::Text(text)) => outcome.out = text,
            Ok(Output::Data(data)) => outcome.out = self.enveloped(command, data),
            Err(trouble) => {
                outcome.failed = true;
                outcome.err.push_str(&format!("{trouble}\n"));
                if self.settings.json {
                    outcome.out = self.enveloped(command, json!({ "error": trouble.to_string() }));
                }
            }
        }
        outcome
    }

    /// One line of JSON: the command, the host, and the data.
    fn enveloped(&self, command: &Command, mut data: Value) -> String {
        if let Some(object) = data.as_object_mut() {
            object.insert("command".to_owned(), json!(command.name));
            object.insert("host".to_owned(), json!(self.host()));
        }
        format!("{data}\n")
    }
}

/// A key of a keys file; `None` where the file has no such key.
///
/// # Errors
/// Of reading the file.
fn key_of(file: &Path, id: KeyId) -> std::io::Result<Option<Key>> {
    let (keys, _reported_by_the_daemon) = parse_keys(file, &std::fs::read(file)?);
    Ok(keys.into_iter().find(|key| key.id == id))
}

/// Signs with one key.
#[derive(Debug)]
pub struct Signer {
    keys: Keys,
    id: KeyId,
}

impl Sign for Signer {
    fn sign(&self, packet: &mut Vec<u8>) -> bool {
        // The counters that it keeps are the daemon's affair.
        self.keys.clone().sign(self.id, packet)
    }

    fn key(&self) -> KeyId {
        self.id
    }
}
