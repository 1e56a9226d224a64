//! The jump hypothesis: something jumped just before a sample that fits, but badly.
//!
//! A jump that is no larger than the queues is no outlier. Taken as an ordinary sample, it pulls the estimate half of
//! the way, looks like a wander of the clock, and the next samples fit all the better. So from such a sample on
//! there are two hypotheses: one without a jump, on which the estimate is based, and one with a jump. Both
//! take the samples, and as soon as the second one is likelier, it replaces the first.

use crate::engine::estimator::fit::Fit;
use crate::engine::estimator::interval::Interval;
use crate::engine::estimator::path::Path;
use crate::engine::estimator::two_way::Sample;

/// An estimate so many standard deviations beyond an interval raises the hypothesis.
const RAISED_AT: f64 = 1.5;
/// A jump just here is less likely than none by this (logarithm).
const SELDOM: f64 = 7.0;
/// No sample counts more than this against a hypothesis (logarithm): it may be an outlier.
const OUTLIER: f64 = -6.0;
/// After so many samples the hypothesis is dropped: a jump shows soon or never.
const PATIENCE: u32 = 8;

/// The fit with the jump.
#[derive(Clone, Debug)]
pub(super) struct JumpHypothesis {
    fit: Fit,
    /// How much likelier it is than that without a jump (logarithm).
    odds: f64,
    samples: u32,
}

/// The result of one more sample.
pub(super) enum Verdict {
    /// Not decided yet.
    Open(JumpHypothesis),
    /// There was no jump, or it does not matter any more.
    Dismissed,
    /// There was one: this is the fit with it.
    Confirmed(Fit),
}

impl JumpHypothesis {
    /// The hypothesis that a sample raises which `fit` has not taken yet, if it does.
    pub(super) fn raised(fit: &Fit, sample: &Sample, interval: Interval, path: &Path) -> Option<Self> {
        let seen = fit.seen(sample, interval);
        let (by, surprise) = fit.innovation(&seen);
        if surprise <= RAISED_AT {
            return None;
        }
        let odds = -SELDOM - fit.log_density(&seen, path).max(OUTLIER);
        let mut other = fit.clone();
        other.jump(sample, &interval, sample.at, by);
        other.take(other.seen(sample, interval), path);
        Some(Self { fit: other, odds, samples: 0 })
    }

    /// Adds one more sample, which `fit` has not taken yet either.
    pub(super) fn weigh(mut self, fit: &Fit, sample: &Sample, interval: Interval, path: &Path) -> Verdict {
        let seen = self.fit.seen(sample, interval);
        let other = self.fit.log_density(&seen, path);
        self.odds += other.max(OUTLIER) - fit.log_density(&fit.seen(sample, interval), path).max(OUTLIER);
        self.samples += 1;
        debug_assert!(self.samples <= PATIENCE, "a hypothesis is closed after so many samples");
        debug_assert!(!self.odds.is_nan(), "the odds of a hypothesis are a number");
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

    /// Recomputes all intervals, as the path is better known.
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

    /// The sample in question: it queued on the way back, which hides a part of the clock's offset.
    const FIRST: u32 = 41;

    fn queue(n: u32) -> f64 {
        QUEUES[n as usize % QUEUES.len()]
    }

    /// A fit to forty samples of a clock that is right.
    fn fitted() -> (Fit, Path) {
        let mut path = Path::default();
        let state = State { x: 0.0, f: 0.0, xx: 1e-4, xf: 0.0, ff: 1e-16 };
        let mut fit = Fit::new(Bank::new(state), MonoTime::ZERO);
        for n in 0..40 {
            let sample = sample(n, 0.0, queue(n));
            path.take(sample.delay.get());
            fit.reconsider(&path);
            fit.take(fit.seen(&sample, path.interval(&sample)), &path);
        }
        (fit, path)
    }

    /// The hypothesis that a sample raises which arrives when the clock is off by `offset`, and which queued for `queue` only.
    fn raised(fit: &Fit, path: &Path, offset: f64, queue: f64) -> Option<JumpHypothesis> {
        let sample = sample(FIRST, offset, queue);
        JumpHypothesis::raised(fit, &sample, path.interval(&sample), path)
    }

    /// The result when the clock is off by `offset` from then on, and after how many samples.
    fn outcome(
        fit: &mut Fit,
        path: &Path,
        mut hypothesis: JumpHypothesis,
        offset: f64,
    ) -> (Option<Fit>, u32) {
        for n in FIRST + 1.. {
            let sample = sample(n, offset, queue(n));
            let interval = path.interval(&sample);
            match hypothesis.weigh(fit, &sample, interval, path) {
                Verdict::Open(still) => hypothesis = still,
                Verdict::Dismissed => return (None, n - FIRST),
                Verdict::Confirmed(other) => return (Some(other), n - FIRST),
            }
            fit.take(fit.seen(&sample, interval), path);
        }
        unreachable!("it is closed after some samples");
    }

    #[test]
    fn what_fits_well_raises_none() {
        let (fit, path) = fitted();
        assert!(raised(&fit, &path, 0.0, 0.5e-3).is_none());
        assert!(raised(&fit, &path, 1e-3, 6e-3).is_none(), "its bounds are far apart");
        assert!(raised(&fit, &path, 0.6e-3, 0.5e-3).is_some());
    }

    #[test]
    fn a_jump_within_the_queues_is_found_out() {
        let (mut fit, path) = fitted();
        let hypothesis = raised(&fit, &path, 0.6e-3, 0.5e-3).unwrap();
        let first = sample(FIRST, 0.6e-3, 0.5e-3);
        assert!(fit.fits(&fit.seen(&first, path.interval(&first))), "no outlier: the gate lets it pass");
        fit.take(fit.seen(&first, path.interval(&first)), &path);
        let (other, samples) = outcome(&mut fit, &path, hypothesis, 0.6e-3);
        let at = sample(FIRST + samples, 0.0, 0.0).at;
        let off = |fit: &Fit| (fit.mean(at).x - 0.6e-3).abs();
        let other = other.unwrap();
        println!("{} and {} after {samples}", off(&other), off(&fit));
        assert!(off(&other) < 50e-6 && off(&fit) > 2.0 * off(&other));
    }

    #[test]
    fn a_single_sample_that_is_off_is_forgotten() {
        for off in [0.6e-3, 5e-3, 1.0] {
            let (mut fit, path) = fitted();
            let hypothesis = raised(&fit, &path, off, 0.5e-3).unwrap();
            let (other, samples) = outcome(&mut fit, &path, hypothesis, 0.0);
            assert!(other.is_none(), "off by {off}");
            assert_eq!(samples, PATIENCE);
        }
    }
}
