//! What a configuration means, after parsing: validated values in the order they apply.

mod access;
mod keys;
mod leap;

pub use access::{AccessFlags, Origin, Restrict, RestrictTarget};
pub use keys::{Digest, Key, in_prefix};
pub use leap::{LeapTable, SmearLaw, SmearSettings};

use crate::units::{KeyId, PollExponent, Ppm, RefId, Seconds, Stratum};
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
    /// `setvar NAME = VALUE [default]`.
    pub setvar: Vec<Variable>,
    /// `broadcastclient`, `multicastclient`, `broadcastdelay`.
    pub reception: Reception,
    /// Commands that are valid and change nothing, so that nothing is lost when the configuration
    /// is printed; and what [`Config::reception`] was written as.
    pub idle: Vec<Idle>,
}

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

/// What kind of association a line configures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `server`: client mode, or a reference clock at 127.127.T.U.
    Server,
    /// `pool`: finds several servers by one name.
    Pool,
    /// `peer`: symmetric active.
    Peer,
    /// `broadcast`: to a network or a group.
    Broadcast,
    /// `manycastclient`: finds servers in a group.
    ManycastClient,
}

/// Which address family a name may resolve to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Family {
    /// Either.
    #[default]
    Any,
    /// IPv4 only (`-4`).
    V4,
    /// IPv6 only (`-6`).
    V6,
}

impl Family {
    /// Whether `address` is of this family.
    #[must_use]
    pub const fn admits(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }
}

/// The other end of an association.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Target {
    /// A numeric address.
    Address(IpAddr),
    /// A host name, to be resolved.
    Name(String),
    /// 127.127.1.U: the undisciplined local clock.
    LocalClock {
        /// U, 0..=255.
        unit: u8,
    },
    /// 127.127.T.U: a reference clock of another type (not yet supported by the engine).
    RefClock {
        /// T.
        kind: u8,
        /// U.
        unit: u8,
    },
}

/// A reference clock: 127.127.`kind`.`unit`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClockAddress {
    /// The type of its driver; 1 is LOCAL.
    pub kind: u8,
    /// Which one of its kind.
    pub unit: u8,
}

impl Target {
    /// The clock, if it is one.
    #[must_use]
    pub const fn clock(&self) -> Option<ClockAddress> {
        match *self {
            Self::LocalClock { unit } => Some(ClockAddress { kind: 1, unit }),
            Self::RefClock { kind, unit } => Some(ClockAddress { kind, unit }),
            Self::Address(_) | Self::Name(_) => None,
        }
    }
}

/// One association to make.
#[derive(Clone, PartialEq, Debug)]
pub struct Server {
    /// The command.
    pub kind: Kind,
    /// The other end.
    pub target: Target,
    /// Restriction of the name's addresses.
    pub family: Family,
    /// `iburst`: up to 8 packets, 2 s apart, while unreachable.
    pub iburst: bool,
    /// `burst`: 8 packets at each poll while reachable.
    pub burst: bool,
    /// `prefer`.
    pub prefer: bool,
    /// `noselect`: shown, never used.
    pub noselect: bool,
    /// `true`: always survives selection.
    pub truechimer: bool,
    /// `preempt`.
    pub preempt: bool,
    /// `xleave`.
    pub xleave: bool,
    /// `minpoll`, never above `maxpoll`.
    pub minpoll: PollExponent,
    /// `maxpoll`.
    pub maxpoll: PollExponent,
    /// `key`.
    pub key: Option<KeyId>,
    /// `version`, 1..=4.
    pub version: u8,
    /// `ttl`: an entry of the table of hop limits, if it has so many.
    pub ttl: Option<i32>,
    /// `fudge` values, where the target is a clock.
    pub fudge: Fudge,
    /// Options that are valid and change nothing.
    pub idle: Vec<Idle>,
}

impl Server {
    /// Whether it is no server itself, but finds some: a pool, whose name has many addresses, or a manycast client.
    #[must_use]
    pub const fn solicits(&self) -> bool {
        let (kind, target) = (self.kind, &self.target);
        matches!((kind, target), (Kind::Pool, Target::Name(_)) | (Kind::ManycastClient, Target::Address(_)))
    }

    /// An association with every option at its default.
    #[must_use]
    pub fn new(kind: Kind, target: Target) -> Self {
        Self {
            kind,
            target,
            family: Family::Any,
            iburst: false,
            burst: false,
            prefer: false,
            noselect: false,
            truechimer: false,
            preempt: false,
            xleave: false,
            minpoll: PollExponent::DEFAULT_MIN,
            maxpoll: PollExponent::DEFAULT_MAX,
            key: None,
            version: 4,
            ttl: None,
            fudge: Fudge::default(),
            idle: Vec::new(),
        }
    }
}

/// `fudge` factors of a reference clock.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Fudge {
    /// `time1`, seconds.
    pub time1: Seconds,
    /// `time2`, seconds.
    pub time2: Seconds,
    /// `stratum`; the local clock's default is 5.
    pub stratum: Option<Stratum>,
    /// `refid`; the local clock's default is `LOCL`.
    pub refid: Option<RefId>,
    /// `flag1` … `flag4`.
    pub flags: [bool; 4],
}

/// Symmetric keys.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Auth {
    /// `keys`.
    pub keys: Option<PathBuf>,
    /// `trustedkey`, the last such line.
    pub trusted: Vec<KeyId>,
    /// `requestkey`.
    pub request: Option<KeyId>,
    /// `controlkey`.
    pub control: Option<KeyId>,
}

/// `enable` / `disable` switches with ntpd's defaults.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Enable {
    /// `auth` (on).
    pub auth: bool,
    /// `bclient` (off).
    pub bclient: bool,
    /// `calibrate` (off).
    pub calibrate: bool,
    /// `kernel` (on).
    pub kernel: bool,
    /// `monitor` (on).
    pub monitor: bool,
    /// `ntp` (on): off means measure and serve, but do not touch the clock.
    pub ntp: bool,
    /// `stats` (on).
    pub stats: bool,
}

impl Default for Enable {
    fn default() -> Self {
        Self {
            auth: true,
            bclient: false,
            calibrate: false,
            kernel: true,
            monitor: true,
            ntp: true,
            stats: true,
        }
    }
}

/// `tinker` values with ntpd 4.2.6's defaults.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Tinker {
    /// Largest offset that is accepted, seconds (1000; 0: any).
    pub panic: Seconds,
    /// Offset from which the clock is stepped, seconds (0.128; 0: never).
    pub step: Seconds,
    /// How long a large offset must last before it is accepted, seconds (900).
    pub stepout: Seconds,
    /// Growth of the dispersion, ppm (15).
    pub dispersion: Ppm,
    /// Allan intercept, log2 seconds (11).
    pub allan: f64,
    /// Huff-n'-puff filter span, seconds (0: off).
    pub huffpuff: Seconds,
    /// Initial frequency, ppm; overrides nothing in 4.2.6.
    pub freq: Option<Ppm>,
}

impl Default for Tinker {
    fn default() -> Self {
        Self {
            panic: Seconds::new(1000.0),
            step: Seconds::new(0.128),
            stepout: Seconds::new(900.0),
            dispersion: Ppm::new(15.0),
            allan: 11.0,
            huffpuff: Seconds::ZERO,
            freq: None,
        }
    }
}

/// `tos` values with ntpd 4.2.6's defaults.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Tos {
    /// Fewest survivors the cluster algorithm leaves (3).
    pub minclock: u32,
    /// Most associations (10).
    pub maxclock: u32,
    /// Fewest candidates to set the clock (1).
    pub minsane: u32,
    /// Smallest selection distance, seconds (0.001).
    pub mindist: Seconds,
    /// Largest root distance of a usable source, seconds (1.5).
    pub maxdist: Seconds,
    /// Smallest usable stratum (0).
    pub floor: u8,
    /// Stratum from which a source is unusable (16).
    pub ceiling: u8,
    /// Whether sources of our own stratum may be used.
    pub cohort: bool,
    /// Orphan stratum; off from 16 on (17).
    pub orphan: u8,
    /// How long no source is there before orphan mode begins (`orphanwait` of 4.2.8), seconds (300).
    pub orphanwait: Seconds,
    /// Manycast beacon interval, seconds (7200).
    pub beacon: u32,
}

impl Tos {
    /// The stratum of orphan mode, where that is on.
    #[must_use]
    pub const fn orphan_stratum(&self) -> Option<u8> {
        if self.orphan < 16 { Some(self.orphan) } else { None }
    }
}

impl Default for Tos {
    fn default() -> Self {
        Self {
            minclock: 3,
            maxclock: 10,
            minsane: 1,
            mindist: Seconds::new(0.001),
            maxdist: Seconds::new(1.5),
            floor: 0,
            ceiling: 16,
            cohort: false,
            orphan: 17,
            orphanwait: Seconds::new(300.0),
            beacon: 7200,
        }
    }
}

/// `discard` values with ntpd 4.2.6's defaults and units.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Discard {
    /// Average spacing, log2 seconds (3).
    pub average: u8,
    /// Smallest spacing, log2 seconds as in 4.2.6 (1).
    pub minimum: u8,
    /// Age at which entries are reused, seconds (3000).
    pub monitor: u32,
}

impl Default for Discard {
    fn default() -> Self {
        Self { average: 3, minimum: 1, monitor: 3000 }
    }
}

/// `mru` (4.2.8): how many clients are remembered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mru {
    /// `maxdepth`: most clients; the later of it and `maxmem` counts. The default (40,000) fits into 4 MiB.
    pub maxdepth: u32,
    /// `mindepth`: so many are remembered whatever their age (600).
    pub mindepth: u32,
    /// `maxage`: beyond `mindepth`, a client not heard for so long gives its place to a new one,
    /// seconds. 3600, not the 64 of ntpd: clients poll every 1024 s.
    pub maxage: u32,
}

impl Mru {
    /// What a remembered client costs, bytes, at most.
    pub const ENTRY: u32 = 100;

    /// The depth that fits into `maxmem` KiB.
    #[must_use]
    pub const fn depth_of(kib: u32) -> u32 {
        (kib as u64 * 1024 / Self::ENTRY as u64) as u32
    }
}

impl Default for Mru {
    fn default() -> Self {
        Self { maxdepth: 40_000, mindepth: 600, maxage: 3600 }
    }
}

/// What statistics are written and where.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Statistics {
    /// `statsdir`, a prefix.
    pub dir: Option<PathBuf>,
    /// One per kind that `statistics` or `filegen` names.
    pub filegens: Vec<Filegen>,
}

/// A kind of statistics.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StatKind {
    /// `clockstats`.
    Clock,
    /// `cryptostats`.
    Crypto,
    /// `loopstats`.
    Loop,
    /// `peerstats`.
    Peer,
    /// `protostats`.
    Proto,
    /// `rawstats`.
    Raw,
    /// `sysstats`.
    Sys,
    /// `timingstats`.
    Timing,
}

/// How often a statistics file starts anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FilegenType {
    /// One file.
    None,
    /// One file a process.
    Pid,
    /// One file a day (the default).
    #[default]
    Day,
    /// One file a week.
    Week,
    /// One file a month.
    Month,
    /// One file a year.
    Year,
    /// One file a day of running.
    Age,
}

/// One statistics file set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Filegen {
    /// What it holds.
    pub kind: StatKind,
    /// `file`.
    pub file: String,
    /// `type`.
    pub rotation: FilegenType,
    /// `link`.
    pub link: bool,
    /// Whether it is written.
    pub enabled: bool,
}

/// What an interface rule does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InterfaceAction {
    /// Open it.
    Listen,
    /// Do not open it.
    Ignore,
    /// Open it and drop what arrives.
    Drop,
}

/// What an interface rule matches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum InterfaceMatch {
    /// `all`.
    All,
    /// `ipv4`.
    V4,
    /// `ipv6`.
    V6,
    /// `wildcard`.
    Wildcard,
    /// An interface name.
    Name(String),
    /// An address with prefix length.
    Address(IpAddr, u8),
}

/// One `interface` / `nic` line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InterfaceRule {
    /// What to do.
    pub action: InterfaceAction,
    /// With which.
    pub matches: InterfaceMatch,
}
