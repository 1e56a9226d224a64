//! Readings of a PTP hardware clock between two of the wall clock: which one counts.

use crate::units::{Bracket, Seconds, UnixTime};

/// What a number of readings say.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Measured {
    /// When, by the wall clock.
    pub at: UnixTime,
    /// The clock minus the wall clock.
    pub offset: Seconds,
    /// The most that the offset may be wrong by.
    pub error: Seconds,
}

/// The reading that took the least time: the device was read somewhere between, and the others waited for something. `None` where
/// there is none that makes sense: the wall clock was set back meanwhile.
#[must_use]
pub fn best(readings: &[Bracket]) -> Option<Measured> {
    let sound = readings.iter().filter(|reading| reading.span() >= Seconds::ZERO);
    let best = sound.min_by(|a, b| a.span().get().total_cmp(&b.span().get()))?;
    Some(Measured { at: best.before, offset: best.offset(), error: Seconds::new(best.span().get() / 2.0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(before: u32, other: u32, after: u32) -> Bracket {
        let at = |nanos| UnixTime::new(1_795_850_392, nanos).unwrap();
        Bracket { before: at(before), other: at(other), after: at(after) }
    }

    #[test]
    fn the_shortest_reading_counts() {
        let readings =
            [reading(0, 1_000, 8_020), reading(10_000, 11_600, 10_200), reading(20_000, 25_000, 21_000)];
        let measured = best(&readings).unwrap();
        assert!((measured.offset.get() - 1_500e-9).abs() < 1e-15);
        assert!((measured.error.get() - 100e-9).abs() < 1e-15);
        assert_eq!(measured.at, readings[1].before);
        // Both clocks were read at once.
        assert_eq!(best(&[reading(5, 7, 5)]).map(|measured| measured.error), Some(Seconds::ZERO));
    }

    #[test]
    fn readings_around_a_step_do_not_count() {
        assert_eq!(best(&[]), None);
        assert_eq!(best(&[reading(9_000, 9_100, 8_000)]), None);
        assert!(best(&[reading(9_000, 9_100, 8_000), reading(9_000, 9_100, 99_000)]).is_some());
    }
}
