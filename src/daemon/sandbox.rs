//! What the kernel keeps a process of ours from, once it has all that takes privileges: docs/security.md.

mod places;

use self::places::Places;
use super::log::Log;
use super::start::cli::Options;
use crate::config::model::{Config, Landlock, Seccomp};
use crate::engine::report::event::Level;
use crate::sys::landlock::{Alone, Rules};
use crate::sys::seccomp::{self, Action, Process};
use std::io;
use std::path::PathBuf;

/// What is in force.
#[derive(Debug)]
pub struct Sandbox {
    seccomp: Seccomp,
    landlock: Landlock,
    /// Where the process may still read and write; `None`: wherever its user may.
    places: Option<Places>,
    options: Options,
}

impl Sandbox {
    /// From now on this process reads and writes what the configuration names and nothing else, and makes the system calls
    /// of its kind. A kernel that has neither is no reason to stop. `read`: the files that were read at the start.
    #[must_use]
    pub fn enter(
        process: Process,
        alone: Alone,
        options: &Options,
        config: &Config,
        read: &[PathBuf],
        log: &mut Log,
    ) -> Self {
        let mut places = None;
        if config.landlock == Landlock::On {
            let wanted = Places::of(process, options, config, read);
            match enforce(&wanted, alone) {
                Ok(()) => places = Some(wanted),
                Err(why) => log.write(Level::Debug, &format!("no file-system rules (Landlock): {why}")),
            }
        }
        filter(process, config.seccomp, log);
        Self { seccomp: config.seccomp, landlock: config.landlock, places, options: options.clone() }
    }

    /// Logs what of a new configuration takes a restart.
    pub fn take_over(&self, config: &Config, log: &mut Log) {
        let changed = [
            (self.seccomp != config.seccomp).then(|| format!("seccomp {}", config.seccomp.name())),
            (self.landlock != config.landlock).then(|| format!("landlock {}", config.landlock.name())),
        ];
        for command in changed.into_iter().flatten() {
            let text = format!("`{command}' takes effect when the daemon is restarted");
            log.write(Level::Warning, &text);
        }
        let Some(places) = &self.places else { return };
        for place in places.lacking(&Places::of(Process::Main, &self.options, config, &[])) {
            log.write(Level::Warning, &format!("{place} needs a restart (file-system rules)"));
        }
    }
}

fn enforce(places: &Places, alone: Alone) -> io::Result<()> {
    let rules = Rules::new(alone, places.net)?;
    for (path, access) in &places.paths {
        // What is not there cannot be allowed; the files that the daemon writes have been looked at.
        let _absent = rules.allow(path, *access);
    }
    for port in &places.ports {
        rules.allow_port(*port)?;
    }
    rules.enforce()
}

fn filter(process: Process, wanted: Seccomp, log: &mut Log) {
    let action = match wanted {
        Seccomp::Trap => Action::Trap,
        Seccomp::Log => Action::Log,
        Seccomp::Off => return,
    };
    if let Err(why) = seccomp::install(process, action) {
        // Who wants calls logged is to know that they are not; else it is only a kernel of old.
        let level = if action == Action::Log { Level::Warning } else { Level::Debug };
        log.write(level, &format!("system calls are not filtered (seccomp): {why}"));
    }
}
