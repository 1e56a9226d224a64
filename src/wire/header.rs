//! The 48-byte NTP header, versions 1 to 4 (RFC 5905 section 7.3; RFC 1059 for version 1).

use crate::units::{Leap, NtpShort, NtpTimestamp, RefId};

/// Bytes of the header without extension fields and MAC.
pub const HEADER_LEN: usize = 48;

/// Byte offset of the transmit timestamp, which is filled in last.
pub const TRANSMIT_OFFSET: usize = 40;
/// Where the origin timestamp stands.
const ORIGIN_OFFSET: usize = 24;

/// The association mode of a packet (RFC 5905 figure 10).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mode {
    /// 0: reserved; version 1 clients use it.
    Reserved,
    /// 1: symmetric active.
    SymmetricActive,
    /// 2: symmetric passive.
    SymmetricPassive,
    /// 3: client request.
    Client,
    /// 4: server reply.
    Server,
    /// 5: broadcast.
    Broadcast,
    /// 6: control (RFC 9327).
    Control,
    /// 7: private (ntpdc); never served.
    Private,
}

impl Mode {
    /// From the low three bits of the first byte.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 7 {
            0 => Self::Reserved,
            1 => Self::SymmetricActive,
            2 => Self::SymmetricPassive,
            3 => Self::Client,
            4 => Self::Server,
            5 => Self::Broadcast,
            6 => Self::Control,
            _ => Self::Private,
        }
    }

    /// The three bits of the wire, 0..=7.
    #[must_use]
    pub const fn to_bits(self) -> u8 {
        match self {
            Self::Reserved => 0,
            Self::SymmetricActive => 1,
            Self::SymmetricPassive => 2,
            Self::Client => 3,
            Self::Server => 4,
            Self::Broadcast => 5,
            Self::Control => 6,
            Self::Private => 7,
        }
    }
}

/// A protocol version, 1..=4.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Version(u8);

impl Version {
    /// The current version.
    pub const V4: Self = Self(4);

    /// `number` if it is 1..=4.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number >= 1 && number <= 4 { Some(Self(number)) } else { None }
    }

    /// 1..=4.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// Why bytes are not an NTP header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeaderError {
    /// Fewer than 48 bytes.
    Short,
    /// A version outside 1..=4.
    Version,
}

/// The fields of an NTP header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Leap warning.
    pub leap: Leap,
    /// Protocol version.
    pub version: Version,
    /// Association mode.
    pub mode: Mode,
    /// Stratum as on the wire, 0..=255.
    pub stratum: u8,
    /// Poll exponent in log2 seconds, any value: check before use.
    pub poll: i8,
    /// Clock precision in log2 seconds, any value: check before use.
    pub precision: i8,
    /// Round trip to the reference clock.
    pub root_delay: NtpShort,
    /// Error bound to the reference clock.
    pub root_dispersion: NtpShort,
    /// Reference identifier, or the kiss code where the stratum is 0.
    pub reference_id: RefId,
    /// When the clock was last set or corrected.
    pub reference: NtpTimestamp,
    /// The other side's transmit timestamp, sent back.
    pub origin: NtpTimestamp,
    /// When the request arrived.
    pub receive: NtpTimestamp,
    /// When this packet left.
    pub transmit: NtpTimestamp,
}

impl Header {
    /// Reads the first 48 bytes; what follows them is left to the caller.
    ///
    /// # Errors
    /// [`HeaderError`] where there are too few bytes or the version is unknown.
    pub fn parse(bytes: &[u8]) -> Result<Self, HeaderError> {
        let Some(b) = bytes.first_chunk::<HEADER_LEN>() else {
            return Err(HeaderError::Short);
        };
        let version = Version::new((b[0] >> 3) & 7).ok_or(HeaderError::Version)?;
        Ok(Self {
            leap: Leap::from_bits(b[0] >> 6),
            version,
            mode: Mode::from_bits(b[0]),
            stratum: b[1],
            poll: b[2] as i8,
            precision: b[3] as i8,
            root_delay: NtpShort::from_bits(word(b, 4)),
            root_dispersion: NtpShort::from_bits(word(b, 8)),
            reference_id: RefId::from_bytes(word(b, 12).to_be_bytes()),
            reference: stamp(b, 16),
            origin: stamp(b, ORIGIN_OFFSET),
            receive: stamp(b, 32),
            transmit: stamp(b, TRANSMIT_OFFSET),
        })
    }

    /// The origin timestamp of a packet, zero where there is none.
    #[must_use]
    pub fn origin_of(bytes: &[u8]) -> NtpTimestamp {
        bytes.first_chunk::<HEADER_LEN>().map_or(NtpTimestamp::ZERO, |b| stamp(b, ORIGIN_OFFSET))
    }

    /// The 48 bytes of the wire.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut b = [0; HEADER_LEN];
        b[0] = self.leap.to_bits() << 6 | self.version.get() << 3 | self.mode.to_bits();
        b[1] = self.stratum;
        b[2] = self.poll as u8;
        b[3] = self.precision as u8;
        b[4..8].copy_from_slice(&self.root_delay.to_bits().to_be_bytes());
        b[8..12].copy_from_slice(&self.root_dispersion.to_bits().to_be_bytes());
        b[12..16].copy_from_slice(&self.reference_id.to_bytes());
        b[16..24].copy_from_slice(&self.reference.to_bits().to_be_bytes());
        b[24..32].copy_from_slice(&self.origin.to_bits().to_be_bytes());
        b[32..40].copy_from_slice(&self.receive.to_bits().to_be_bytes());
        b[40..48].copy_from_slice(&self.transmit.to_bits().to_be_bytes());
        b
    }
}

fn word(b: &[u8; HEADER_LEN], at: usize) -> u32 {
    u32::from_be_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
}

fn stamp(b: &[u8; HEADER_LEN], at: usize) -> NtpTimestamp {
    NtpTimestamp::from_bits(u64::from(word(b, at)) << 32 | u64::from(word(b, at + 4)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        let mut bytes = [0u8; HEADER_LEN];
        for (i, b) in bytes.iter_mut().enumerate() {
            *b = (i * 37 + 5) as u8;
        }
        bytes[0] = 0b01_100_011;
        let header = Header::parse(&bytes).unwrap();
        assert_eq!(header.mode, Mode::Client);
        assert_eq!(header.leap, Leap::Insert);
        assert_eq!(header.to_bytes(), bytes);
    }

    #[test]
    fn short_and_unknown_versions_are_refused() {
        assert_eq!(Header::parse(&[0x23; 47]), Err(HeaderError::Short));
        for first in [0x03, 0x2b, 0x33, 0x3b] {
            assert_eq!(Header::parse(&[first; 48]), Err(HeaderError::Version));
        }
    }
}
