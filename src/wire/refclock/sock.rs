//! A sample of the SOCK driver: what gpsd and ptp4l send to a socket, in the layout that chronyd introduced.
//!
//! 40 bytes where `time_t` has 64 bits, 32 where it has 32: the time of the sample by the wall clock (seconds and microseconds), the
//! offset of the clock (an IEEE double), whether it is a pulse, the leap bits, padding and a magic number.

use crate::units::{Leap, Seconds, UnixTime};
use std::fmt;

/// `SOCK`.
const MAGIC: i32 = 0x534f_434b;
/// The longest datagram there is.
pub const LONGEST: usize = 40;
/// The offset of a sample: no time is further off than NTP can say.
const OFFSET_MAX: f64 = 2_147_483_648.0;

/// A sample.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sample {
    /// When it was taken, by the wall clock.
    pub at: UnixTime,
    /// Clock minus wall clock; of a pulse, what is missing to a whole second.
    pub offset: Seconds,
    /// What it stands for.
    pub stands_for: StandsFor,
    /// Its leap bits.
    pub leap: Leap,
}

/// What a sample stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StandsFor {
    /// The time.
    Time,
    /// The beginning of a second.
    Pulse,
}

/// Why a sample is of no use.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Refused {
    /// No layout has so many bytes.
    Length(usize),
    /// The magic number is another one.
    Magic(i32),
    /// Its time has no such fraction of a second.
    Fraction,
    /// The offset is no number, or larger than NTP can say.
    Offset(f64),
    /// There are no such leap bits, or the clock has no source.
    Leap(i32),
    /// It was taken so long ago, or in the future.
    Stale(Seconds),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(length) => write!(f, "SOCK: {length} bytes are no sample"),
            Self::Magic(magic) => write!(f, "SOCK: bad magic number {magic:#x}"),
            Self::Fraction => f.write_str("SOCK: bad microseconds"),
            Self::Offset(offset) => write!(f, "SOCK: bad offset {offset}"),
            Self::Leap(leap) => write!(f, "SOCK: bad leap bits {leap}"),
            Self::Stale(age) => write!(f, "SOCK: stale/bad time, delay={:.3}s", age.get()),
        }
    }
}

/// Reads a datagram; a sample that is older than `oldest` is of no use.
///
/// # Errors
/// Why it is of no use.
pub fn parse(data: &[u8], now: UnixTime, oldest: Seconds) -> Result<Sample, Refused> {
    let wrong = Refused::Length(data.len());
    let int = |at: usize| read(data, at).map(i32::from_ne_bytes).ok_or(wrong);
    let long = |at: usize| read(data, at).map(i64::from_ne_bytes).ok_or(wrong);
    let (seconds, micros, rest) = match data.len() {
        LONGEST => (long(0)?, long(8)?, 16),
        32 => (i64::from(int(0)?), i64::from(int(4)?), 8),
        _ => return Err(wrong),
    };
    let magic = int(rest + 20)?;
    if magic != MAGIC {
        return Err(Refused::Magic(magic));
    }
    let nanos = u32::try_from(micros).ok().and_then(|micros| micros.checked_mul(1000));
    let at = nanos.and_then(|nanos| UnixTime::new(seconds, nanos)).ok_or(Refused::Fraction)?;
    let offset = f64::from_ne_bytes(read(data, rest).ok_or(wrong)?);
    if !offset.is_finite() || offset.abs() >= OFFSET_MAX {
        return Err(Refused::Offset(offset));
    }
    let leap = int(rest + 12)?;
    let leap = u8::try_from(leap).ok().filter(|bits| *bits <= 2).ok_or(Refused::Leap(leap))?;
    let age = now.since(at);
    if age < Seconds::ZERO || age > oldest {
        return Err(Refused::Stale(age));
    }
    let offset = Seconds::new(offset);
    let (stands_for, offset) = match int(rest + 8)? {
        0 => (StandsFor::Time, offset),
        _ => (StandsFor::Pulse, offset.fraction()),
    };
    Ok(Sample { at, offset, stands_for, leap: Leap::from_bits(leap) })
}

fn read<const N: usize>(data: &[u8], at: usize) -> Option<[u8; N]> {
    data.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLDEST: Seconds = Seconds::new(128.0);

    fn now() -> UnixTime {
        UnixTime::new(1_795_850_400, 0).unwrap()
    }

    fn datagram(offset: f64, ints: [i32; 4]) -> Vec<u8> {
        let mut data = Vec::new();
        data.extend(1_795_850_399i64.to_ne_bytes());
        data.extend(985_486i64.to_ne_bytes());
        data.extend(offset.to_ne_bytes());
        ints.iter().for_each(|int| data.extend(int.to_ne_bytes()));
        data
    }

    fn parsed(data: &[u8]) -> Result<Sample, Refused> {
        parse(data, now(), OLDEST)
    }

    #[test]
    fn both_widths_of_time_are_read() {
        let wide = datagram(1.25e-3, [0, 1, 0, MAGIC]);
        let mut narrow = Vec::new();
        narrow.extend(1_795_850_399i32.to_ne_bytes());
        narrow.extend(985_486i32.to_ne_bytes());
        narrow.extend(&wide[16..]);
        for data in [&wide, &narrow] {
            let sample = parsed(data).unwrap();
            assert_eq!(sample.at, UnixTime::new(1_795_850_399, 985_486_000).unwrap());
            assert_eq!(sample.offset.get(), 1.25e-3);
            assert_eq!((sample.stands_for, sample.leap), (StandsFor::Time, Leap::Insert));
        }
        for length in (0..60).filter(|length| ![32, 40].contains(length)) {
            let mut data = wide.clone();
            data.resize(length, 0);
            assert_eq!(parsed(&data), Err(Refused::Length(length)));
        }
    }

    #[test]
    fn a_pulse_is_within_half_a_second() {
        for (sent, read) in [(0.25, 0.25), (37.0, 0.0), (-36.75, 0.25), (1e9 + 0.75, -0.25)] {
            let sample = parsed(&datagram(sent, [1, 0, 0, MAGIC])).unwrap();
            assert_eq!((sample.offset.get(), sample.stands_for), (read, StandsFor::Pulse));
        }
    }

    #[test]
    fn what_is_of_no_use_is_refused() {
        assert_eq!(parsed(&datagram(0.0, [0, 0, 0, 1])), Err(Refused::Magic(1)));
        assert_eq!(parsed(&datagram(0.0, [0, 3, 0, MAGIC])), Err(Refused::Leap(3)));
        assert_eq!(parsed(&datagram(0.0, [0, -1, 0, MAGIC])), Err(Refused::Leap(-1)));
        assert!(parsed(&datagram(f64::NAN, [0, 0, 0, MAGIC])).is_err());
        assert!(parsed(&datagram(f64::INFINITY, [1, 0, 0, MAGIC])).is_err());
        assert_eq!(parsed(&datagram(1e10, [0, 0, 0, MAGIC])), Err(Refused::Offset(1e10)));
        let mut late = datagram(0.0, [0, 0, 0, MAGIC]);
        late[8..16].copy_from_slice(&1_000_000i64.to_ne_bytes());
        assert_eq!(parsed(&late), Err(Refused::Fraction));
        late[8..16].copy_from_slice(&i64::MIN.to_ne_bytes());
        assert_eq!(parsed(&late), Err(Refused::Fraction));
        let data = datagram(0.0, [0, 0, 0, MAGIC]);
        let at = |seconds: i64| UnixTime::new(seconds, 0).unwrap();
        assert!(parse(&data, at(1_795_850_527), OLDEST).is_ok());
        let stale = parse(&data, at(1_795_850_528), OLDEST).unwrap_err();
        assert_eq!(stale.to_string(), "SOCK: stale/bad time, delay=128.015s");
        assert!(parse(&data, at(1_795_850_399), OLDEST).is_err(), "of the future");
    }
}
