//! A segment of shared memory of the SHM driver (type 28), as gpsd, ptp4l and others write it.
//!
//! Its layout is that of a C structure, which differs with the width of `time_t`; its length says which one it is.

use crate::units::{Leap, Seconds, UnixTime};
use std::fmt;

/// A receive stamp may be so old, whole seconds.
const STALE: i64 = 5;

/// Where the members of the structure are, by the width of `time_t`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// 64 bits, aligned to 8 bytes: all 64-bit machines, and ARM with the wide time.
    Wide,
    /// 32 bits.
    Narrow,
    /// 64 bits, aligned to 4 bytes: i386 with the wide time.
    Packed,
}

/// Where the count of writes is in every layout.
pub const COUNT: usize = 4;
/// Bytes of the longest layout.
pub const LONGEST: usize = 96;

/// Byte offsets.
struct Places {
    clock: usize,
    clock_micros: usize,
    receive: usize,
    receive_micros: usize,
    /// The leap bits; precision, nsamples, valid and the two nanoseconds follow.
    leap: usize,
}

impl Layout {
    /// The layout of a segment of this length; `None`: too short for any.
    #[must_use]
    pub const fn of_length(length: usize) -> Option<Self> {
        match length {
            ..80 => None,
            80..88 => Some(Self::Narrow),
            88..LONGEST => Some(Self::Packed),
            _ => Some(Self::Wide),
        }
    }

    /// The layout of programs whose `time_t` has this size and alignment.
    #[must_use]
    pub const fn of_time(size: usize, alignment: usize) -> Self {
        match (size, alignment) {
            (..=4, _) => Self::Narrow,
            (_, ..=4) => Self::Packed,
            _ => Self::Wide,
        }
    }

    /// Bytes of the structure.
    #[must_use]
    pub const fn length(self) -> usize {
        match self {
            Self::Wide => LONGEST,
            Self::Narrow => 80,
            Self::Packed => 88,
        }
    }

    const fn places(self) -> Places {
        match self {
            Self::Wide => Places { clock: 8, clock_micros: 16, receive: 24, receive_micros: 32, leap: 36 },
            Self::Narrow => Places { clock: 8, clock_micros: 12, receive: 16, receive_micros: 20, leap: 24 },
            Self::Packed => Places { clock: 8, clock_micros: 16, receive: 20, receive_micros: 28, leap: 32 },
        }
    }

    /// Where `precision` is.
    #[must_use]
    pub const fn precision(self) -> usize {
        self.places().leap + 4
    }

    /// Where `nsamples` is, which no program uses.
    #[must_use]
    pub const fn samples(self) -> usize {
        self.places().leap + 8
    }

    /// Where `valid` is.
    #[must_use]
    pub const fn valid(self) -> usize {
        self.places().leap + 12
    }
}

/// A sample.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sample {
    /// The true time.
    pub clock: UnixTime,
    /// The wall clock at that moment.
    pub receive: UnixTime,
    /// Its leap bits.
    pub leap: Leap,
    /// log2 seconds; `None`: out of range.
    pub precision: Option<i8>,
}

/// How far off a clock may be.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Limit {
    /// As far as it likes.
    None,
    /// At most so many seconds.
    Within(Seconds),
}

impl Limit {
    /// ntpd's: four hours.
    pub const DEFAULT: Self = Self::Within(Seconds::new(14_400.0));
}

/// Why a sample is of no use, in ntpd's words where it has any.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// The segment is too short.
    Short,
    /// There is no such way of writing.
    Mode(i32),
    /// A stamp has no such fraction of a second.
    Fraction,
    /// There are no such leap bits.
    Leap(i32),
    /// The receive stamp is so old, or so far in the future, whole seconds.
    Stale(i64),
    /// The two stamps are so far apart, whole seconds.
    TooFar(i64),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("SHM: segment too short"),
            Self::Mode(mode) => write!(f, "SHM: bad mode found in shared memory: {mode}"),
            Self::Fraction => f.write_str("SHM: bad microseconds in shared memory"),
            Self::Leap(leap) => write!(f, "SHM: bad leap bits found in shared memory: {leap}"),
            Self::Stale(delay) => write!(f, "SHM: stale/bad receive time, delay={delay}s"),
            Self::TooFar(delta) => write!(f, "SHM: difference limit exceeded, delta={delta}s"),
        }
    }
}

/// Reads a copy of a segment.
///
/// # Errors
/// Why it is of no use.
pub fn parse(layout: Layout, image: &[u8], now: UnixTime, limit: Limit) -> Result<Sample, Refused> {
    let at = layout.places();
    let int = |at: usize| read(image, at).map(i32::from_ne_bytes).ok_or(Refused::Short);
    let mode = int(0)?;
    if !(0..=1).contains(&mode) {
        return Err(Refused::Mode(mode));
    }
    let seconds = |at: usize| match layout {
        Layout::Wide | Layout::Packed => read(image, at).map(i64::from_ne_bytes).ok_or(Refused::Short),
        Layout::Narrow => int(at).map(|low| unfold(low, now)),
    };
    let (clock_micros, receive_micros) = (int(at.clock_micros)?, int(at.receive_micros)?);
    let (clock_nanos, receive_nanos) = (int(at.leap + 16)? as u32, int(at.leap + 20)? as u32);
    let micros = [clock_micros, receive_micros].map(|micros| u32::try_from(micros).unwrap_or(u32::MAX));
    let fine = refines(clock_nanos, micros[0]) && refines(receive_nanos, micros[1]);
    let nanos = if fine { [clock_nanos, receive_nanos] } else { micros.map(|us| us.saturating_mul(1000)) };
    let clock = UnixTime::new(seconds(at.clock)?, nanos[0]).ok_or(Refused::Fraction)?;
    let receive = UnixTime::new(seconds(at.receive)?, nanos[1]).ok_or(Refused::Fraction)?;
    let delay = now.seconds().saturating_sub(receive.seconds());
    if !(0..=STALE).contains(&delay) {
        return Err(Refused::Stale(delay));
    }
    let delta = clock.seconds().saturating_sub(receive.seconds()).saturating_abs();
    if matches!(limit, Limit::Within(most) if delta as f64 > most.get()) {
        return Err(Refused::TooFar(delta));
    }
    let leap = int(at.leap)?;
    let leap = u8::try_from(leap).ok().filter(|bits| *bits <= 3).ok_or(Refused::Leap(leap))?;
    let precision = i8::try_from(int(layout.precision())?).ok();
    Ok(Sample { clock, receive, leap: Leap::from_bits(leap), precision })
}

/// Whether nanoseconds belong to these microseconds. Writers that do not have them leave zeros or what was there.
fn refines(nanos: u32, micros: u32) -> bool {
    nanos.checked_sub(micros.wrapping_mul(1000)).is_some_and(|rest| micros < 1_000_000 && rest < 1000)
}

/// Seconds of which only 32 bits are written: those nearest to the wall clock's.
const fn unfold(low: i32, now: UnixTime) -> i64 {
    let behind = low.wrapping_sub(now.seconds() as i32);
    now.seconds().saturating_add(behind as i64)
}

fn read<const N: usize>(image: &[u8], at: usize) -> Option<[u8; N]> {
    image.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_850_392;

    fn now() -> UnixTime {
        UnixTime::new(NOW, 582_000_000).unwrap()
    }

    /// A segment as gpsd writes it on such a machine.
    fn image(layout: Layout) -> Vec<u8> {
        let at = layout.places();
        let mut image = vec![0; layout.length()];
        let mut put = |at: usize, value: i64| match layout {
            Layout::Narrow => image[at..at + 4].copy_from_slice(&(value as i32).to_ne_bytes()),
            _ => image[at..at + 8].copy_from_slice(&value.to_ne_bytes()),
        };
        put(at.clock, NOW);
        put(at.receive, NOW - 1);
        let ints = [(0, 1), (4, 8), (at.clock_micros, 5_399), (at.receive_micros, 999_992)];
        let more = [
            (at.leap, 1),
            (at.leap + 4, -20),
            (at.leap + 8, 3),
            (at.leap + 12, 1),
            (at.leap + 16, 5_399_333),
            (at.leap + 20, 999_992_001),
        ];
        for (at, value) in ints.into_iter().chain(more) {
            set(&mut image, at, value);
        }
        image
    }

    fn set(image: &mut [u8], at: usize, value: i32) {
        image[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }

    fn parsed(layout: Layout, image: &[u8]) -> Result<Sample, Refused> {
        parse(layout, image, now(), Limit::DEFAULT)
    }

    #[test]
    fn every_layout_is_read() {
        for layout in [Layout::Wide, Layout::Narrow, Layout::Packed] {
            assert_eq!(Layout::of_length(layout.length()), Some(layout));
            let sample = parsed(layout, &image(layout)).unwrap();
            assert_eq!(sample.clock.to_string(), "2026-11-28T07:19:52.005399333Z", "{layout:?}");
            assert_eq!(sample.receive, UnixTime::new(NOW - 1, 999_992_001).unwrap());
            assert_eq!((sample.leap, sample.precision), (Leap::Insert, Some(-20)));
            assert_eq!((layout.valid(), layout.samples()), (layout.precision() + 8, layout.precision() + 4));
            for short in 0..layout.valid() {
                assert_eq!(
                    parsed(layout, &image(layout)[..short]),
                    Err(Refused::Short),
                    "{layout:?} {short}"
                );
            }
        }
        assert_eq!([79, 4096].map(Layout::of_length), [None, Some(Layout::Wide)]);
        assert_eq!(Layout::of_time(8, 8), Layout::Wide);
        assert_eq!(Layout::of_time(8, 4), Layout::Packed);
        assert_eq!(Layout::of_time(4, 4), Layout::Narrow);
    }

    #[test]
    fn nanoseconds_count_where_both_belong_to_their_microseconds() {
        let layout = Layout::Wide;
        for (place, value) in [(52, 0), (52, 5_398_999), (52, 5_400_000), (56, 0), (56, -1)] {
            let mut image = image(layout);
            set(&mut image, place, value);
            let sample = parsed(layout, &image).unwrap();
            assert_eq!((sample.clock.nanos(), sample.receive.nanos()), (5_399_000, 999_992_000));
        }
        for (place, value) in [(16, -1), (16, 1_000_000), (32, i32::MIN), (32, i32::MAX)] {
            let mut image = image(layout);
            set(&mut image, place, value);
            assert_eq!(parsed(layout, &image), Err(Refused::Fraction), "{place} {value}");
        }
    }

    #[test]
    fn what_is_of_no_use_is_refused_in_ntpds_words() {
        let layout = Layout::Wide;
        let refused = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut image = image(layout);
            change(&mut image);
            parsed(layout, &image).map_err(|why| why.to_string())
        };
        let long = |at: usize, value: i64| {
            move |image: &mut Vec<u8>| image[at..at + 8].copy_from_slice(&value.to_ne_bytes())
        };
        let words = |text: &str| Err(text.to_owned());
        assert_eq!(refused(&|i| set(i, 0, 7)), words("SHM: bad mode found in shared memory: 7"));
        assert_eq!(refused(&|i| set(i, 36, 4)), words("SHM: bad leap bits found in shared memory: 4"));
        assert_eq!(refused(&long(24, NOW - 10)), words("SHM: stale/bad receive time, delay=10s"));
        assert_eq!(refused(&long(24, NOW + 1)), words("SHM: stale/bad receive time, delay=-1s"));
        assert!(refused(&long(24, i64::MIN)).is_err() && refused(&long(24, i64::MAX)).is_err());
        assert_eq!(refused(&long(8, NOW + 20_000)), words("SHM: difference limit exceeded, delta=20001s"));
        assert!(refused(&long(8, i64::MIN)).is_err());
        let mut far = image(layout);
        long(8, NOW + 20_000)(&mut far);
        assert!(parse(layout, &far, now(), Limit::None).is_ok());
        assert!(parse(layout, &far, now(), Limit::Within(Seconds::new(20_001.0))).is_ok());
        // A source that was lost is a sample, too: its leap bits show that.
        assert_eq!(refused(&|i| set(i, 36, 3)).map(|sample| sample.leap), Ok(Leap::Unsynchronised));
        assert_eq!(refused(&|i| set(i, 40, 1000)).map(|sample| sample.precision), Ok(None));
    }

    #[test]
    fn narrow_seconds_are_those_nearest_to_the_wall_clock() {
        let late = UnixTime::new((1 << 32) + 5, 0).unwrap();
        assert_eq!([4, 6, -1].map(|low| unfold(low, late)), [(1 << 32) + 4, (1 << 32) + 6, (1 << 32) - 1]);
        assert_eq!(unfold(i32::MIN, UnixTime::new(i64::MIN, 0).unwrap()), i64::MIN);
    }
}
