//! How far the frequency of a drift file is trusted: by its age, and by its error at earlier starts.

use crate::units::{DAY, Ppm, Seconds};

/// How wrong the drift file was at the starts before, as found once the frequency was known.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Record {
    /// Root mean square of the errors.
    pub rms: Ppm,
    /// Starts that count; zero: nothing is known.
    pub starts: u32,
}

/// What is remembered of earlier runs.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Drift {
    /// The frequency that was in force.
    pub frequency: Ppm,
    /// How long ago that was; `None` if the clock does not show it.
    pub age: Option<Seconds>,
    /// How right such frequencies were.
    pub record: Record,
}

/// So far a frequency may be off at the next start when nothing else is known: temperature. Counts as one start.
const USUAL: Ppm = Ppm::new(2.0);
/// What a crystal ages by in a year at most, as makers state it.
const AGEING: Ppm = Ppm::new(5.0);
const YEAR: f64 = 365.25 * DAY as f64;
/// Starts that the record remembers: older ones fade.
const STARTS: u32 = 8;
/// A smaller error is never credible, and with a larger one a file would be worth less than none.
const LIMITS: (f64, f64) = (0.2, 50.0);

impl Record {
    /// The record after one more start, at which the drift file was wrong by `error`.
    #[must_use]
    pub fn and(self, error: Ppm) -> Self {
        let before = f64::from(self.starts.min(STARTS - 1));
        debug_assert!(error.get().is_finite(), "a start is counted once its error is known: {error:?}");
        let squares = before.mul_add(self.rms.get().powi(2), error.get().powi(2));
        Self {
            rms: Ppm::new((squares / (before + 1.0)).sqrt()),
            starts: self.starts.saturating_add(1).min(STARTS),
        }
    }
}

impl Drift {
    /// A frequency of which nothing else is known; it is taken for a new one.
    #[must_use]
    pub const fn new(frequency: Ppm) -> Self {
        Self { frequency, age: Some(Seconds::ZERO), record: Record { rms: Ppm::ZERO, starts: 0 } }
    }

    /// Its standard error now.
    #[must_use]
    pub fn error(&self) -> Ppm {
        let starts = f64::from(self.record.starts);
        let usual = starts.mul_add(self.record.rms.get().powi(2), USUAL.get().powi(2)) / (starts + 1.0);
        // A clock that stands before the file's time is no witness: then it may be a year.
        let years = self.age.map_or(1.0, |age| age.get() / YEAR);
        Ppm::new((usual + (AGEING.get() * years).powi(2)).sqrt().clamp(LIMITS.0, LIMITS.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(age: Option<f64>, rms: f64, starts: u32) -> f64 {
        let record = Record { rms: Ppm::new(rms), starts };
        Drift { frequency: Ppm::ZERO, age: age.map(|days| Seconds::new(days * DAY as f64)), record }
            .error()
            .get()
    }

    #[test]
    fn a_file_is_believed_by_its_age_and_by_its_past() {
        assert!((error(Some(0.0), 0.0, 0) - 2.0).abs() < 1e-9);
        assert!((error(Some(2.0 * 365.25), 0.0, 0) - 104f64.sqrt()).abs() < 1e-9);
        assert!((error(None, 0.0, 0) - 29f64.sqrt()).abs() < 1e-9);
        assert!(error(Some(1.0), 0.1, 8) < 0.7 && error(Some(1.0), 20.0, 8) > 18.0);
        assert_eq!((error(Some(1e6), 0.0, 0), error(Some(0.0), 400.0, 3)), (50.0, 50.0));
    }

    #[test]
    fn the_record_is_the_mean_square_of_the_last_starts() {
        let once = Record::default().and(Ppm::new(-3.0));
        assert_eq!(once, Record { rms: Ppm::new(3.0), starts: 1 });
        assert!((once.and(Ppm::new(4.0)).rms.get() - 12.5f64.sqrt()).abs() < 1e-12);
        let mut long = once;
        for _ in 0..100 {
            long = long.and(Ppm::new(1.0));
        }
        assert!((long.rms.get() - 1.0).abs() < 1e-3 && long.starts == STARTS);
    }
}
