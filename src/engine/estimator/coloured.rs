//! A filter for queues that stay: what is wrong with one sample is wrong with the next ones, too.
//!
//! Beside the offset and its rate it follows the error that the path makes, which decays with a time of its own as new
//! queueing takes its place. All is Gaussian, so one pass does (R. E. Kalman 1960).

use crate::engine::estimator::kalman::State;
use crate::engine::estimator::smoother::Seen;

/// An error whose square is expected to be so many times what the path makes now is from another time of it.
const FOREIGN: f64 = 25.0;
/// Variances are not known better than to this part of them.
const ROUNDING: f64 = 1e-12;
/// ln 2π.
const LN_TAU: f64 = 1.837_877_066_409_345_3;

/// A filter under one assumption of the wander and of how long queues stay.
#[derive(Clone, Debug)]
pub(super) struct Coloured {
    wander: f64,
    /// How long queues stay, seconds.
    stay: f64,
    /// Offset and rate.
    known: State,
    /// The path's error; `None` before the first sample.
    path: Option<PathError>,
}

/// What queues make the offset wrong by.
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
    /// Nothing was seen; `belief` holds at the time of the first sample. `wander` in s/s per √s.
    pub(super) const fn new(wander: f64, stay: f64, belief: State) -> Self {
        Self { wander, stay, known: belief, path: None }
    }

    /// What is believed `dt` seconds after the newest sample; before it, where it was then.
    pub(super) fn belief(&self, dt: f64) -> State {
        self.known.at(dt, self.wander)
    }

    /// Forgets the path's error; `belief` holds at the time of the newest sample.
    pub(super) fn begin_anew(&mut self, belief: State) {
        *self = Self::new(self.wander, self.stay, belief);
    }

    /// Logarithm of the probability density that is foretold for the offset of a sample whose path has an error of this
    /// variance, by the samples before it and by its round trip.
    pub(super) fn foretold(&self, new: &Seen, variance: f64) -> f64 {
        let Expected { spread, miss, .. } = self.expect(new, variance);
        -0.5 * (miss * miss / spread + spread.ln() + LN_TAU)
    }

    /// Takes it.
    pub(super) fn take(&mut self, new: &Seen, variance: f64) {
        let Expected { mut both, gains, spread, miss } = self.expect(new, variance);
        both.learn(gains, spread, miss);
        (self.known, self.path) = (both.s, Some(both.p));
    }

    fn expect(&self, new: &Seen, variance: f64) -> Expected {
        let fresh = PathError { e: 0.0, ee: variance, xe: 0.0, fe: 0.0 };
        let old = self.path.map(|p| p.predict(new.dt, (-new.dt / self.stay).exp(), variance));
        let p = old.filter(|p| p.e * p.e + p.ee < FOREIGN * variance).unwrap_or(fresh);
        let mut both = Both { s: self.known.predict(new.dt, self.wander), p };
        // A round trip that is hardly longer than the least says that there is hardly an error, whatever was before.
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
        Expected { both, gains, spread, miss: new.interval.middle - s.x - p.e }
    }
}

/// What is believed when a sample comes, before its offset is looked at; and by how much that is off.
struct Expected {
    both: Both,
    /// Covariances of the measured offset with offset, rate and the path's error.
    gains: [f64; 3],
    /// Variance of the measured offset.
    spread: f64,
    miss: f64,
}

/// Clock and path.
#[derive(Clone, Copy, Debug)]
struct Both {
    s: State,
    p: PathError,
}

impl Both {
    /// Learns of something that was expected to vary by `spread` (variance) that it is off by `miss`. `gains` are its
    /// covariances with offset, rate and the path's error.
    fn learn(&mut self, gains: [f64; 3], spread: f64, miss: f64) {
        let (Self { s, p }, [x, f, e]) = (*self, gains);
        let step = miss / spread;
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

    /// A sample whose round trip says that the offset is wrong by no more than `half`.
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
        let belief = filter.belief(0.0);
        assert!(belief.x.abs() < 2e-5 && (belief.xx.sqrt() - 1e-4).abs() < 1e-6, "{belief:?}");
    }

    #[test]
    fn samples_at_once_say_no_more_than_one() {
        let mut filter = Coloured::new(0.0, 1200.0, UNKNOWN);
        for _ in 0..100 {
            filter.take(&seen(0.0, 1e-3), 1e-6);
        }
        let belief = filter.belief(0.0);
        assert!((belief.x - 1e-3).abs() < 1e-6 && (belief.xx.sqrt() - 1e-3).abs() < 1e-5, "{belief:?}");
    }

    #[test]
    fn a_short_round_trip_tells_the_error_of_those_before() {
        let mut filter = Coloured::new(0.0, 1200.0, UNKNOWN);
        for _ in 0..10 {
            filter.take(&seen(0.0, 1e-3), 1e-6);
        }
        filter.take(&bounded(16.0, 0.2e-3, 1e-6), 1e-6);
        let belief = filter.belief(0.0);
        assert!((belief.x - 0.2e-3).abs() < 1e-6 && belief.xx.sqrt() < 2e-6, "{belief:?}");
        // Half an hour later, and with a long round trip, an error like that is likely again.
        filter.take(&seen(1800.0, 1.2e-3), 1e-6);
        assert!((filter.belief(0.0).x - 0.2e-3).abs() < 1e-6, "{:?}", filter.belief(0.0));
    }

    #[test]
    fn what_is_foretold_is_a_density() {
        // Over all offsets it sums up to one.
        let mut filter = Coloured::new(1e-9, 1200.0, UNKNOWN);
        filter.take(&seen(0.0, 0.0), 1e-6);
        let step = 1e-5;
        let density = |i: i32| filter.foretold(&seen(600.0, f64::from(i) * step), 1e-6).exp();
        let sum: f64 = (-1000..1000).map(density).sum();
        assert!((sum * step - 1.0).abs() < 1e-3, "{sum}");
    }
}
