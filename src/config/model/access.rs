//! What `restrict` lines mean.

use super::Family;
use std::net::IpAddr;
use std::path::PathBuf;

/// Access flags of a `restrict` line, a set.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct AccessFlags(u16);

impl AccessFlags {
    /// No restriction.
    pub const NONE: Self = Self(0);
    /// `ignore`: drop everything.
    pub const IGNORE: Self = Self(1);
    /// `noserve`: drop time packets.
    pub const NOSERVE: Self = Self(1 << 1);
    /// `notrust`: time packets must be authenticated.
    pub const NOTRUST: Self = Self(1 << 2);
    /// `noquery`: drop mode 6 and 7.
    pub const NOQUERY: Self = Self(1 << 3);
    /// `nomodify`: refuse control requests that change state.
    pub const NOMODIFY: Self = Self(1 << 4);
    /// `nopeer`: no new associations without authentication.
    pub const NOPEER: Self = Self(1 << 5);
    /// `notrap`.
    pub const NOTRAP: Self = Self(1 << 6);
    /// `lowpriotrap`.
    pub const LOWPRIOTRAP: Self = Self(1 << 7);
    /// `limited`: rate limit.
    pub const LIMITED: Self = Self(1 << 8);
    /// `kod`: send limited clients a kiss of death.
    pub const KOD: Self = Self(1 << 9);
    /// `version`: only version 4.
    pub const VERSION: Self = Self(1 << 10);
    /// `flake`: drop one packet in ten.
    pub const FLAKE: Self = Self(1 << 11);
    /// `mssntp`.
    pub const MSSNTP: Self = Self(1 << 12);
    /// `nomrulist`.
    pub const NOMRULIST: Self = Self(1 << 13);
    /// `noepeer`.
    pub const NOEPEER: Self = Self(1 << 14);

    /// The keywords of restrict lines, in the order in which ntpd's dump lists them.
    pub const NAMES: [(&'static str, Self); 15] = [
        ("flake", Self::FLAKE),
        ("ignore", Self::IGNORE),
        ("kod", Self::KOD),
        ("mssntp", Self::MSSNTP),
        ("limited", Self::LIMITED),
        ("lowpriotrap", Self::LOWPRIOTRAP),
        ("noepeer", Self::NOEPEER),
        ("nomodify", Self::NOMODIFY),
        ("nomrulist", Self::NOMRULIST),
        ("nopeer", Self::NOPEER),
        ("noquery", Self::NOQUERY),
        ("noserve", Self::NOSERVE),
        ("notrap", Self::NOTRAP),
        ("notrust", Self::NOTRUST),
        ("version", Self::VERSION),
    ];

    /// Whether every flag of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set without the flags of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The keywords of this set, in the order of [`AccessFlags::NAMES`].
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(_, flag)| self.contains(*flag)).map(|(name, _)| name)
    }
}

/// What a `restrict` line is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RestrictTarget {
    /// `default`: 0/0 of the families it applies to.
    Default(Family),
    /// An address and mask of one family; a host has the full mask. The mask need not be contiguous.
    Net {
        /// The address, not yet masked.
        address: IpAddr,
        /// The mask, of the same family.
        mask: IpAddr,
    },
    /// The clients of an address and mask, whose flags these are added to: the line opens nothing, as ntpd
    /// reads it otherwise.
    Adds {
        /// The address, not yet masked.
        address: IpAddr,
        /// The mask, of the same family.
        mask: IpAddr,
    },
    /// A host name, to be resolved.
    Name(String, Family),
    /// The network around the first address of a host name.
    Around {
        /// The name, to be resolved.
        name: String,
        /// What it may resolve to.
        family: Family,
        /// The mask.
        mask: IpAddr,
    },
    /// `source`: the template for our own servers (4.2.8).
    Source,
}

/// One `restrict` line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Restrict {
    /// What it is about.
    pub target: RestrictTarget,
    /// What they may not do.
    pub flags: AccessFlags,
    /// `ntpport`: matches only packets from port 123.
    pub ntpport: bool,
    /// Where it stands, for `--explain`.
    pub origin: Origin,
}

/// A place in a configuration file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Origin {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; 0 for what no line says.
    pub line: u32,
}
