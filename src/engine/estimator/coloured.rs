//! A filter for correlated queueing noise: the error of one sample is that of the next ones, too.
//!
//! Beside the offset and its rate the state has the path's error, which decays with a time constant of its own as new
//! queueing replaces it. All is Gaussian, so one pass does (R. E. Kalman 1960).

use crate::engine::estimator::kalman::State;
use crate::engine::estimator::smoother::Seen;

/// An error whose expected square is so many times the path's present variance belongs to an earlier state of the path.
const FOREIGN: f64 = 25.0;
/// Variances are not known better than to this part of them.
const ROUNDING: f64 = 1e-12;
/// ln 2π.
const LN_TAU: f64 = 1.837_877_066_409_345_3;

/// A filter under one assumption of the wander and of the correlation time.
#[derive(Clone, Debug)]
pub(super) struct Coloured {
    wander: f64,
    /// Correlation time of queueing noise, seconds.
    stay: f64,
    /// Offset and rate.
    known: State,
    /// The path's error; `None` before the first sample.
    path: Option<PathError>,
}

/// The queueing noise of an offset.
#[derive(Clone, Copy, Debug)]
struct PathError {
    /// Its mean, seconds.
    e: f64,
    /// Its variance, and its covariances with offset and rate.
    ee: f64,
    xe: f64,
    fe: f64,
}

impl Coloured {
    /// No samples yet; `state` holds at the time of the first sample. `wander` in s/s per √s.
    pub(super) const fn new(wander: f64, stay: f64, state: State) -> Self {
        Self { wander, stay, known: state, path: None }
    }

    /// The state `dt` seconds after the newest sample; before it, extrapolated back along the line.
    pub(super) fn state(&self, dt: f64) -> State {
        self.known.at(dt, self.wander)
    }

    /// Forgets the path's error; `state` holds at the time of the newest sample.
    pub(super) fn begin_anew(&mut self, state: State) {
        *self = Self::new(self.wander, self.stay, state);
    }

    /// Logarithm of the probability density of a sample's offset, predicted from the samples before it and from its round
    /// trip. `variance` is that of the path's error.
    pub(super) fn log_density(&self, new: &Seen, variance: f64) -> f64 {
        self.expect(new, variance).log_density()
    }

    /// Adds a sample. Gives its [`Coloured::log_density`].
    pub(super) fn take(&mut self, new: &Seen, variance: f64) -> f64 {
        let expected = self.expect(new, variance);
        let Expected { mut both, gains, spread, innovation } = expected;
        both.learn(gains, spread, innovation);
        (self.known, self.path) = (both.s, Some(both.p));
        expected.log_density()
    }

    fn expect(&self, new: &Seen, variance: f64) -> Expected {
        let fresh = PathError { e: 0.0, ee: variance, xe: 0.0, fe: 0.0 };
        let old = self.path.map(|p| p.predict(new.dt, (-new.dt / self.stay).exp(), variance));
        let p = old.filter(|p| p.e * p.e + p.ee < FOREIGN * variance).unwrap_or(fresh);
        let mut both = Both { s: self.known.predict(new.dt, self.wander), p };
        // A round trip that is hardly longer than the least has hardly an error, whatever was before.
        let bounds = 1.0 / new.interval.variance() - 1.0 / variance;
        if bounds > 0.0 {
            let p = both.p;
            both.learn([p.xe, p.fe, p.ee], p.ee + 1.0 / bounds, -p.e);
        }
        let Both { s, p } = both;
        let gains = [s.xx + p.xe, s.xf + p.fe, p.xe + p.ee];
        // Offset and error are hardly known, their sum is: no rounding may make that a certainty.
        let spread = (gains[0] + gains[2] + new.interval.reading).max(ROUNDING * (s.xx + p.ee));
        debug_assert!(
            spread > 0.0 || !self.known.is_sound(),
            "a measured offset always has a variance: {spread} from {both:?}"
        );
        Expected { both, gains, spread, innovation: new.interval.middle - s.x - p.e }
    }
}

/// The prediction for a sample before its offset is used, and the innovation.
#[derive(Clone, Copy)]
struct Expected {
    both: Both,
    /// Covariances of the measured offset with offset, rate and the path's error.
    gains: [f64; 3],
    /// Variance of the measured offset.
    spread: f64,
    innovation: f64,
}

impl Expected {
    fn log_density(&self) -> f64 {
        -0.5 * (self.innovation * self.innovation / self.spread + self.spread.ln() + LN_TAU)
    }
}

/// Clock and path.
#[derive(Clone, Copy, Debug)]
struct Both {
    s: State,
    p: PathError,
}

impl Both {
    /// Updates the state by an innovation of this value and variance (`spread`). `gains` are its covariances with offset,
    /// rate and the path's error.
    fn learn(&mut self, gains: [f64; 3], spread: f64, innovation: f64) {
        let (Self { s, p }, [x, f, e]) = (*self, gains);
        let step = innovation / spread;
        self.s = State {
            x: s.x + x * step,
            f: s.f + f * step,
            // These are less than before; no rounding makes them none.
            xx: (s.xx - x * x / spread).max(s.xx * ROUNDING),
            xf: s.xf - x * f / spread,
            ff: (s.ff - f * f / spread).max(0.0),
        };
        self.p = PathError {
            e: p.e + e * step,
            ee: (p.ee - e * e / spread).max(0.0),
            xe: p.xe - x * e / spread,
            fe: p.fe - f * e / spread,
        };
    }
}

impl PathError {
    /// `dt` seconds later, when `kept` of it is left and the rest is new, with this variance.
    fn predict(self, dt: f64, kept: f64, variance: f64) -> Self {
        debug_assert!((0.0..=1.0).contains(&kept), "an error decays: {kept} of it is kept");
        Self {
            e: kept * self.e,
            ee: kept * kept * self.ee + (1.0 - kept * kept) * variance,
            xe: kept * (self.xe + dt * self.fe),
            fe: kept * self.fe,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::estimator::interval::Interval;
    use crate::engine::estimator::two_way::Sample;
    use crate::units::{MonoTime, Seconds};

    /// A sample whose round trip bounds the error of the offset by `half`.
    fn bounded(dt: f64, offset: f64, half: f64) -> Seen {
        let sample = Sample {
            at: MonoTime::ZERO,
            offset: Seconds::new(offset),
            delay: Seconds::new(0.0),
            reading_error: Seconds::new(0.0),
        };
        Seen { sample, dt, interval: Interval { middle: offset, half, blur: 1e-16, reading: 1e-16 } }
    }

    fn seen(dt: f64, offset: f64) -> Seen {
        bounded(dt, offset, 1.0)
    }

    const UNKNOWN: State = State { x: 0.0, f: 0.0, xx: 1e-2, xf: 0.0, ff: 0.0 };

    #[test]
    fn samples_long_after_one_another_are_averaged() {
        let mut filter = Coloured::new(0.0, 1.0, UNKNOWN);
        for i in 0..100 {
            filter.take(&seen(1000.0, if i % 2 == 0 { 1e-3 } else { -1e-3 }), 1e-6);
        }
        let state = filter.state(0.0);
        assert!(state.x.abs() < 2e-5 && (state.xx.sqrt() - 1e-4).abs() < 1e-6, "{state:?}");
    }

    #[test]
    fn samples_at_once_say_no_more_than_one() {
        let mut filter = Coloured::new(0.0, 1200.0, UNKNOWN);
        for _ in 0..100 {
            filter.take(&seen(0.0, 1e-3), 1e-6);
        }
        let state = filter.state(0.0);
        assert!((state.x - 1e-3).abs() < 1e-6 && (state.xx.sqrt() - 1e-3).abs() < 1e-5, "{state:?}");
    }

    #[test]
    fn a_short_round_trip_tells_the_error_of_those_before() {
        let mut filter = Coloured::new(0.0, 1200.0, UNKNOWN);
        for _ in 0..10 {
            filter.take(&seen(0.0, 1e-3), 1e-6);
        }
        filter.take(&bounded(16.0, 0.2e-3, 1e-6), 1e-6);
        let state = filter.state(0.0);
        assert!((state.x - 0.2e-3).abs() < 1e-6 && state.xx.sqrt() < 2e-6, "{state:?}");
        // Half an hour later, and with a long round trip, an error like that is likely again.
        filter.take(&seen(1800.0, 1.2e-3), 1e-6);
        assert!((filter.state(0.0).x - 0.2e-3).abs() < 1e-6, "{:?}", filter.state(0.0));
    }

    #[test]
    fn what_is_foretold_is_a_density() {
        // Over all offsets it sums up to one.
        let mut filter = Coloured::new(1e-9, 1200.0, UNKNOWN);
        filter.take(&seen(0.0, 0.0), 1e-6);
        let step = 1e-5;
        let density = |i: i32| filter.log_density(&seen(600.0, f64::from(i) * step), 1e-6).exp();
        let sum: f64 = (-1000..1000).map(density).sum();
        assert!((sum * step - 1.0).abs() < 1e-3, "{sum}");
    }
}
