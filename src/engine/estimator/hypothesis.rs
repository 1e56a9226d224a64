//! A suspicion: something jumped just before a sample that fits, but badly.
//!
//! A jump that is no larger than the queues is no outlier. Taken for one sample more, it pulls the belief half of the way, passes for a
//! wander of the clock, and the next samples fit all the better. So from such a sample on there are two accounts:
//! beside the one that has no jump, which is the one that is believed, another one that has it. Both take
//! the samples, and as soon as they are likelier by the second one, that is believed.

use crate::engine::estimator::fit::Fit;
use crate::engine::estimator::interval::Interval;
use crate::engine::estimator::path::Path;
use crate::engine::estimator::two_way::Sample;

/// A belief so many standard deviations beyond an interval raises a suspicion.
const SUSPICIOUS: f64 = 1.5;
/// A jump just here is less likely than none by this (logarithm).
const SELDOM: f64 = 7.0;
/// No sample speaks more than this against an account (logarithm): it may be an outlier.
const OUTLIER: f64 = -6.0;
/// After so many samples the matter is closed: a jump shows soon or never.
const PATIENCE: u32 = 8;

/// The other account.
#[derive(Clone, Debug)]
pub(super) struct Suspicion {
    fit: Fit,
    /// How much likelier it is than that without a jump (logarithm).
    odds: f64,
    samples: u32,
}

/// What a sample more makes of a suspicion.
pub(super) enum Verdict {
    /// Nobody can tell yet.
    Open(Suspicion),
    /// There was no jump, or it does not matter any more.
    Dismissed,
    /// There was one: this is how it went.
    Confirmed(Fit),
}

impl Suspicion {
    /// What to make of a sample that `fit` has not taken yet.
    pub(super) fn raised(fit: &Fit, sample: &Sample, interval: Interval, path: &Path) -> Option<Self> {
        let seen = fit.seen(sample, interval);
        let (by, surprise) = fit.miss(&seen);
        if surprise <= SUSPICIOUS {
            return None;
        }
        let odds = -SELDOM - fit.foretold(&seen, path).max(OUTLIER);
        let mut other = fit.clone();
        other.jump(sample, &interval, sample.at, by);
        other.take(other.seen(sample, interval), path);
        Some(Self { fit: other, odds, samples: 0 })
    }

    /// Takes one more sample, which has not been taken by `fit` yet either.
    pub(super) fn weigh(mut self, fit: &Fit, sample: &Sample, interval: Interval, path: &Path) -> Verdict {
        let seen = self.fit.seen(sample, interval);
        let other = self.fit.foretold(&seen, path);
        self.odds += other.max(OUTLIER) - fit.foretold(&fit.seen(sample, interval), path).max(OUTLIER);
        self.samples += 1;
        debug_assert!(self.samples <= PATIENCE, "a suspicion is closed after so many samples");
        debug_assert!(!self.odds.is_nan(), "the odds of a suspicion are a number");
        if self.fit.fits(&seen) && !self.fit.take(seen, path) {
            return Verdict::Dismissed;
        }
        if self.odds > 0.0 {
            Verdict::Confirmed(self.fit)
        } else if self.samples < PATIENCE {
            Verdict::Open(self)
        } else {
            Verdict::Dismissed
        }
    }

    /// Forms all intervals anew, as the path is better known.
    pub(super) fn reconsider(&mut self, path: &Path) {
        self.fit.reconsider(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::estimator::bank::Bank;
    use crate::engine::estimator::kalman::State;
    use crate::units::{MonoTime, Seconds};

    /// Excesses of round trips, as exponential queues of 1 ms make them.
    const QUEUES: [f64; 8] = [1.3e-3, 0.2e-3, 2.9e-3, 0.7e-3, 4.1e-3, 1.9e-3, 0.5e-3, 1.1e-3];

    /// A sample of a path of 20 ms; four fifths of the queue are on the way there and on the way back in turn.
    fn sample(n: u32, offset: f64, queue: f64) -> Sample {
        let wrong = if n.is_multiple_of(2) { 0.3 * queue } else { -0.3 * queue };
        Sample {
            at: MonoTime::ZERO + Seconds::new(f64::from(n) * 256.0),
            offset: Seconds::new(offset + wrong),
            delay: Seconds::new(0.02 + queue),
            reading_error: Seconds::new(1e-7),
        }
    }

    /// The sample in doubt: it queued on the way back, which hides a part of what the clock is off by.
    const FIRST: u32 = 41;

    fn queue(n: u32) -> f64 {
        QUEUES[n as usize % QUEUES.len()]
    }

    /// A clock that is right has been followed for forty samples.
    fn followed() -> (Fit, Path) {
        let mut path = Path::default();
        let belief = State { x: 0.0, f: 0.0, xx: 1e-4, xf: 0.0, ff: 1e-16 };
        let mut fit = Fit::new(Bank::new(belief), MonoTime::ZERO);
        for n in 0..40 {
            let sample = sample(n, 0.0, queue(n));
            path.take(sample.delay.get());
            fit.reconsider(&path);
            fit.take(fit.seen(&sample, path.interval(&sample)), &path);
        }
        (fit, path)
    }

    /// The suspicion that a sample raises which comes when the clock is off by `offset`, and which queued for `queue` only.
    fn raised(fit: &Fit, path: &Path, offset: f64, queue: f64) -> Option<Suspicion> {
        let sample = sample(FIRST, offset, queue);
        Suspicion::raised(fit, &sample, path.interval(&sample), path)
    }

    /// What becomes of it when the clock is off by `offset` from then on, and after how many samples.
    fn outcome(fit: &mut Fit, path: &Path, mut suspicion: Suspicion, offset: f64) -> (Option<Fit>, u32) {
        for n in FIRST + 1.. {
            let sample = sample(n, offset, queue(n));
            let interval = path.interval(&sample);
            match suspicion.weigh(fit, &sample, interval, path) {
                Verdict::Open(still) => suspicion = still,
                Verdict::Dismissed => return (None, n - FIRST),
                Verdict::Confirmed(other) => return (Some(other), n - FIRST),
            }
            fit.take(fit.seen(&sample, interval), path);
        }
        unreachable!("it is closed after some samples");
    }

    #[test]
    fn what_fits_well_raises_none() {
        let (fit, path) = followed();
        assert!(raised(&fit, &path, 0.0, 0.5e-3).is_none());
        assert!(raised(&fit, &path, 1e-3, 6e-3).is_none(), "its bounds are far apart");
        assert!(raised(&fit, &path, 0.6e-3, 0.5e-3).is_some());
    }

    #[test]
    fn a_jump_within_the_queues_is_found_out() {
        let (mut fit, path) = followed();
        let suspicion = raised(&fit, &path, 0.6e-3, 0.5e-3).unwrap();
        let first = sample(FIRST, 0.6e-3, 0.5e-3);
        assert!(fit.fits(&fit.seen(&first, path.interval(&first))), "no outlier: the gate lets it pass");
        fit.take(fit.seen(&first, path.interval(&first)), &path);
        let (other, samples) = outcome(&mut fit, &path, suspicion, 0.6e-3);
        let at = sample(FIRST + samples, 0.0, 0.0).at;
        let off = |fit: &Fit| (fit.mean(at).x - 0.6e-3).abs();
        let other = other.unwrap();
        println!("{} and {} after {samples}", off(&other), off(&fit));
        assert!(off(&other) < 50e-6 && off(&fit) > 2.0 * off(&other));
    }

    #[test]
    fn a_single_sample_that_is_off_is_forgotten() {
        for off in [0.6e-3, 5e-3, 1.0] {
            let (mut fit, path) = followed();
            let suspicion = raised(&fit, &path, off, 0.5e-3).unwrap();
            let (other, samples) = outcome(&mut fit, &path, suspicion, 0.0);
            assert!(other.is_none(), "off by {off}");
            assert_eq!(samples, PATIENCE);
        }
    }
}
