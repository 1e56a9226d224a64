//! Small protocol numbers with a meaning of their own.

use super::Seconds;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// The identifier by which ntpq names an association: 1..=65535, unique within a run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AssocId(pub u16);

/// The identifier of a symmetric key: 1..=65535 for keys of the keys file, 0 for none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KeyId(pub u32);

/// The two leap bits of the header (RFC 5905 figure 9).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Leap {
    /// No warning.
    None,
    /// The last minute of the day has 61 seconds.
    Insert,
    /// The last minute of the day has 59 seconds.
    Delete,
    /// The clock is not synchronised ("alarm").
    #[default]
    Unsynchronised,
}

impl Leap {
    /// From the two bits of the wire; higher bits are ignored.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::None,
            1 => Self::Insert,
            2 => Self::Delete,
            _ => Self::Unsynchronised,
        }
    }

    /// The two bits of the wire.
    #[must_use]
    pub const fn to_bits(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Insert => 1,
            Self::Delete => 2,
            Self::Unsynchronised => 3,
        }
    }
}

/// The distance from a reference clock: 0 unspecified (on the wire), 1 primary, 2..=15
/// secondary, 16 unsynchronised.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Stratum(u8);

impl Stratum {
    /// Not synchronised (MAXSTRAT).
    pub const UNSYNCHRONISED: Self = Self(16);

    /// `value`, with everything past 16 taken as 16.
    #[must_use]
    pub const fn new(value: u8) -> Self {
        Self(if value > 16 { 16 } else { value })
    }

    /// From the wire, where 0 stands for unspecified: given back as 16.
    #[must_use]
    pub const fn from_wire(value: u8) -> Self {
        if value == 0 { Self::UNSYNCHRONISED } else { Self::new(value) }
    }

    /// For the wire, where 16 is written 0.
    #[must_use]
    pub const fn to_wire(self) -> u8 {
        if self.0 >= 16 { 0 } else { self.0 }
    }

    /// 0..=16.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// One further from the reference clock, at most 16.
    #[must_use]
    pub const fn next(self) -> Self {
        Self::new(self.0 + 1)
    }
}

impl fmt::Display for Stratum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A poll interval as the exponent of two, in seconds: 3 (8 s) to 17 (36 h); of a reference clock from 0 (1 s) on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PollExponent(u8);

impl PollExponent {
    /// The shortest interval, 8 s.
    pub const MIN: Self = Self(3);
    /// The longest interval, 36.4 h.
    pub const MAX: Self = Self(17);
    /// ntpd's default minpoll, 64 s.
    pub const DEFAULT_MIN: Self = Self(6);
    /// ntpd's default maxpoll, 1,024 s.
    pub const DEFAULT_MAX: Self = Self(10);

    /// `exponent`, held within 3..=17.
    #[must_use]
    pub const fn new(exponent: u8) -> Self {
        Self(if exponent < 3 {
            3
        } else if exponent > 17 {
            17
        } else {
            exponent
        })
    }

    /// The same for a reference clock, which no network stands before: held within 0..=17.
    #[must_use]
    pub const fn of_clock(exponent: u8) -> Self {
        Self(if exponent > 17 { 17 } else { exponent })
    }

    /// The exponent that a packet states, held within 3..=17: no number is refused there.
    #[must_use]
    pub const fn from_wire(exponent: i8) -> Self {
        Self::new(if exponent < 0 { 0 } else { exponent as u8 })
    }

    /// The exponent.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The interval.
    #[must_use]
    pub fn interval(self) -> Seconds {
        Seconds::new(f64::from(1u32 << self.0))
    }
}

/// The reference identifier: four characters (kiss code or clock kind) or the IPv4 address, or
/// the first four bytes of the MD5 hash of the IPv6 address, of the source.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct RefId([u8; 4]);

impl RefId {
    /// No source was heard yet.
    pub const INIT: Self = Self(*b"INIT");
    /// Keys are being exchanged (NTS).
    pub const NTS: Self = Self(*b"NTS\0");
    /// The clock was stepped and nothing has been heard since.
    pub const STEP: Self = Self(*b"STEP");
    /// The undisciplined local clock.
    pub const LOCL: Self = Self(*b"LOCL");
    /// A host in orphan mode: itself, 127.0.0.1.
    pub const LOOPBACK: Self = Self([127, 0, 0, 1]);
    /// The same at stratum 1.
    pub const LOOP: Self = Self(*b"LOOP");

    /// From its four bytes on the wire.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(bytes)
    }

    /// Its four bytes on the wire.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 4] {
        self.0
    }

    /// From up to four characters; longer text is cut, shorter text padded with NUL.
    #[must_use]
    pub fn from_text(text: &[u8]) -> Self {
        let mut bytes = [0; 4];
        for (to, from) in bytes.iter_mut().zip(text) {
            *to = *from;
        }
        Self(bytes)
    }

    /// From an IPv4 address.
    #[must_use]
    pub const fn from_ipv4(address: Ipv4Addr) -> Self {
        Self(address.octets())
    }

    /// Read as an IPv4 address.
    #[must_use]
    pub const fn to_ipv4(self) -> Ipv4Addr {
        Ipv4Addr::new(self.0[0], self.0[1], self.0[2], self.0[3])
    }

    /// Read as text, up to the first NUL.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        let end = self.0.iter().position(|&b| b == 0).unwrap_or(4);
        &self.0[..end]
    }

    /// Whether this names exactly that IPv4 address (IPv6 needs the hash: see `engine`).
    #[must_use]
    pub fn is_ipv4(self, address: IpAddr) -> bool {
        address == IpAddr::V4(self.to_ipv4())
    }
}
