//! The lines that ask for associations: `server`, `pool`, `peer`, `broadcast` …, and `fudge`.

use super::{Idle, NtsLine};
use crate::units::{Driver, KeyId, PollExponent, RefId, Seconds, Stratum};
use std::net::IpAddr;
use std::path::PathBuf;

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
    /// 127.127.T.U: a reference clock of another type, which may be one that this daemon has no driver for.
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

impl ClockAddress {
    /// Its driver, if there is one.
    #[must_use]
    pub fn driver(self) -> Option<Driver> {
        Driver::of_number(self.kind)
    }
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
    /// `nts`, with the options that belong to it; then `key` does not count.
    pub nts: Option<NtsLine>,
    /// `version`, 1..=4.
    pub version: u8,
    /// `ttl`: an entry of the table of hop limits, if it has so many.
    pub ttl: Option<i32>,
    /// What it is attached to, where the target is a clock.
    pub device: Device,
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
            nts: None,
            version: 4,
            ttl: None,
            device: Device::default(),
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
    /// `minjitter`: the least jitter, and the least error that its samples are given.
    pub min_jitter: Option<Seconds>,
}

/// What a reference clock is attached to: options of its `server` or `refclock` line.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Device {
    /// `path`: the device instead of the one that the unit names; the interface or clock of a PHC, the socket of SOCK.
    pub path: Option<PathBuf>,
    /// `ppspath`: the device of its pulse.
    pub pulse_path: Option<PathBuf>,
    /// `baud`: the speed of its line, bits a second.
    pub baud: Option<u32>,
    /// `mode` or `subtype`: bits whose meaning depends on the driver.
    pub mode: u32,
}

impl Device {
    /// Whether its line names a file.
    #[must_use]
    pub const fn has_path(&self) -> bool {
        self.path.is_some() || self.pulse_path.is_some()
    }
}
