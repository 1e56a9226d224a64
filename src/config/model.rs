//! What a configuration means, after parsing: validated values in the order they apply.

mod access;
mod interfaces;
mod keys;
mod leap;
mod nts;
mod sandbox;
mod servers;
mod settings;
mod statistics;

pub use access::{AccessFlags, Origin, Restrict, RestrictTarget};
pub use interfaces::{InterfaceAction, InterfaceMatch, InterfaceRule};
pub use keys::{Digest, Key, in_prefix};
pub use leap::{LeapTable, SmearLaw, SmearSettings};
pub use nts::{AuthSelection, Nts, NtsLine, OFFERED};
pub use sandbox::{Landlock, Seccomp};
pub use servers::{ClockAddress, Device, Family, Fudge, Kind, Server, Target};
pub use settings::{Discard, Enable, Mru, Tinker, Tos};
pub use statistics::{Filegen, FilegenType, StatKind, Statistics};

use crate::units::{KeyId, Ppm, Seconds};
use std::net::IpAddr;
use std::path::PathBuf;

/// The whole effective configuration. [`Config::default`] is what ntpd does with an empty file.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Config {
    /// `server`, `pool`, `peer` … in file order, without repeats of the same address.
    pub servers: Vec<Server>,
    /// `restrict` lines in file order; equal entries are OR-ed when they are applied.
    pub restrict: Vec<Restrict>,
    /// `keys`, `trustedkey`, `requestkey`, `controlkey`.
    pub auth: Auth,
    /// `enable` and `disable`, all enables before all disables.
    pub enable: Enable,
    /// `tinker`.
    pub tinker: Tinker,
    /// `tos`.
    pub tos: Tos,
    /// `nts`.
    pub nts: Nts,
    /// `discard`.
    pub discard: Discard,
    /// `mru`.
    pub mru: Mru,
    /// `driftfile`; absent or without an argument there is none.
    pub driftfile: Option<PathBuf>,
    /// The second argument of `driftfile`: wander below which the file is not rewritten, ppm.
    pub drift_threshold: Option<Ppm>,
    /// `logfile`.
    pub logfile: Option<PathBuf>,
    /// `pidfile`.
    pub pidfile: Option<PathBuf>,
    /// `leapfile`.
    pub leapfile: Option<PathBuf>,
    /// `leapsmearinterval`, `leapsmearmode`.
    pub smear: SmearSettings,
    /// `saveconfigdir`.
    pub saveconfigdir: Option<PathBuf>,
    /// `logconfig` classes, in order, as written (`=syncall`, `+sysevents`).
    pub logconfig: Vec<String>,
    /// `statistics`, `statsdir`, `filegen`.
    pub statistics: Statistics,
    /// `interface` / `nic` rules in order; the last that matches wins.
    pub interfaces: Vec<InterfaceRule>,
    /// `manycastserver`: groups in which beacons are answered.
    pub manycast: Vec<IpAddr>,
    /// `ttl`: the table of hop limits; empty: [`HOP_LIMITS`].
    pub ttl: Vec<u8>,
    /// `dscp` (4.2.8): differentiated services code point of what we send, 0..=63; the default is 46.
    pub dscp: Option<u8>,
    /// `seccomp`.
    pub seccomp: Seccomp,
    /// `landlock` (on).
    pub landlock: Landlock,
    /// `setvar NAME = VALUE [default]`.
    pub setvar: Vec<Variable>,
    /// `broadcastclient`, `multicastclient`, `broadcastdelay`.
    pub reception: Reception,
    /// Commands that are valid and change nothing, so that nothing is lost when the configuration
    /// is printed; and what `reception`, `manycast` and `ttl` were written as.
    pub idle: Vec<Idle>,
}

/// Most associations that lines of ntp.conf make, and that there are in all where names have many addresses.
pub const ASSOCIATIONS_MAX: usize = 1_000;
/// The table of hop limits without a `ttl` line: ntpd's, whose 0 stands for a socket's own, 1.
pub const HOP_LIMITS: [u8; 8] = [1, 32, 64, 96, 128, 160, 192, 224];

impl Config {
    /// The table of hop limits.
    #[must_use]
    pub fn hop_limits(&self) -> &[u8] {
        if self.ttl.is_empty() { &HOP_LIMITS } else { &self.ttl }
    }

    /// The hop limit of a line's packets to a group, where it chooses one.
    #[must_use]
    pub fn hop_limit(&self, line: &Server) -> Option<u8> {
        self.hop_limits().get(usize::try_from(line.ttl?).ok()?).copied()
    }

    /// What sources without authentication are good for: beside sources of NTS they may not decide, unless `tos auth` allows it.
    #[must_use]
    pub fn auth_selection(&self) -> AuthSelection {
        let default = || {
            let nts = self.servers.iter().any(|server| server.nts.is_some());
            if nts { AuthSelection::Mixed } else { AuthSelection::Ignore }
        };
        self.tos.auth.unwrap_or_else(default)
    }

    /// How many lines ask for a time source, usable or not: a broadcast server is none, and broadcasts that are heard are one.
    #[must_use]
    pub fn source_lines(&self) -> usize {
        let servers = self.servers.iter().filter(|server| server.kind != Kind::Broadcast);
        servers.count() + usize::from(self.hears_broadcasts())
    }

    /// Whether broadcasts are heard, and some could be used.
    #[must_use]
    pub const fn uses_broadcasts(&self) -> bool {
        let signed = self.auth.keys.is_some() && !self.auth.trusted.is_empty();
        self.hears_broadcasts() && (signed || !self.enable.auth)
    }

    /// Whether a broadcast may make an association (ntpd's `bclient`, which `broadcastclient` and `multicastclient` set, too).
    #[must_use]
    pub const fn hears_broadcasts(&self) -> bool {
        self.enable.bclient || self.reception.broadcastclient || !self.reception.groups.is_empty()
    }
}

impl Config {
    /// No broadcast makes an association any more.
    pub(super) fn hear_no_broadcasts(&mut self) {
        self.reception = Reception { delay: self.reception.delay, ..Reception::default() };
        self.idle.retain(|idle| !matches!(idle.command, "broadcastclient" | "multicastclient"));
    }
}

/// What broadcasts are heard, and how.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Reception {
    /// `broadcastclient`.
    pub broadcastclient: bool,
    /// The groups of `multicastclient`.
    pub groups: Vec<IpAddr>,
    /// `broadcastdelay`: how long broadcasts travel both ways together, seconds; without it, and if it is not positive, that is measured.
    pub delay: Option<Seconds>,
}

impl Reception {
    /// The round trip, where it is not to be measured.
    #[must_use]
    pub fn given_delay(&self) -> Option<Seconds> {
        self.delay.filter(|delay| *delay > Seconds::ZERO)
    }
}

/// A system variable that the configuration or the command line adds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value, as ntpq shows it.
    pub value: String,
    /// Whether ntpq's plain `rv` lists it.
    pub shown: bool,
}

/// A command, or an option of one, that is valid and changes nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Idle {
    /// The command.
    pub command: &'static str,
    /// The option; empty where the command has none.
    pub option: &'static str,
    /// What it says, as it is written in a configuration; empty for a flag.
    pub value: Vec<u8>,
}

/// Symmetric keys.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Auth {
    /// `keys`.
    pub keys: Option<PathBuf>,
    /// `trustedkey`, the last such line, and those that were added at run time.
    pub trusted: Vec<KeyId>,
    /// `requestkey`.
    pub request: Option<KeyId>,
    /// `controlkey`.
    pub control: Option<KeyId>,
}
