//! The estimate of our free-running clock from round trips.
//!
//! The minimum of the round trips turns each sample into an interval that holds the true offset (`path.rs`, `interval.rs`). A
//! model bank (`bank.rs`) of smoothers (`smoother.rs`), each with another assumption of the clock's wander, fits the
//! last intervals together; others (`coloured.rs`) assume correlated queueing noise. Each is weighted by how well it
//! predicted the samples. `docs/discipline.md` derives it.

use crate::engine::estimator::bank::Bank;
use crate::engine::estimator::fit::{Fit, OPEN, WINDOW};
use crate::engine::estimator::hypothesis::{JumpHypothesis, Verdict};
use crate::engine::estimator::interval::Interval;
use crate::engine::estimator::kalman::State;
use crate::engine::estimator::path::Path;
use crate::engine::estimator::smoother::Seen;
use crate::engine::estimator::{Estimate, Prior};
use crate::units::{MonoTime, Seconds};

/// The offset that an exchange of two packets measured.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Sample {
    /// When: the middle of the exchange.
    pub(super) at: MonoTime,
    /// Source minus free-running clock.
    pub(super) offset: Seconds,
    /// Round trip, never negative.
    pub(super) delay: Seconds,
    /// Error of reading both clocks.
    pub(super) reading_error: Seconds,
}

/// Outliers that make a jump, if no sample between them contradicts it.
const JUMP: usize = 2;
/// So many samples that fit are enough to forget an outlier, even if none of them contradicts a jump.
const NEUTRAL: u32 = 8;
/// Samples after a jump until it counts as over.
const RECOVERY: u32 = 24;
/// As long as there are no more samples than this, all are re-weighted with each: the first packets
/// of all are often late (address resolution, cold caches), and only the later ones show it.
const ANEW: usize = 16;

/// The estimator of a source whose samples are round trips.
#[derive(Clone, Debug)]
pub(super) struct TwoWay {
    prior: Prior,
    /// The origin of offsets, seconds: they may be decades, and are needed to nanoseconds.
    origin: f64,
    path: Path,
    /// The fit on which the estimate is based.
    fit: Fit,
    /// The alternative with a jump.
    hypothesis: Option<JumpHypothesis>,
    /// Samples that did not fit, and that no sample has contradicted since.
    outliers: Vec<Sample>,
    /// The innovation of the newest of them, and the samples since then that fit with and without the jump.
    innovation: f64,
    neutral: u32,
    /// Samples until a jump counts as over.
    recovering: u32,
    taken: usize,
    /// The clock was set since the last sample.
    unset: bool,
    /// All samples, while they are few.
    early: Vec<Sample>,
}

impl TwoWay {
    /// Knows nothing but the prior.
    pub(super) fn new(prior: Prior) -> Self {
        Self {
            prior,
            origin: 0.0,
            path: Path::default(),
            fit: Fit::default(),
            hypothesis: None,
            outliers: Vec::new(),
            innovation: 0.0,
            neutral: 0,
            recovering: 0,
            taken: 0,
            unset: false,
            early: Vec::new(),
        }
    }

    /// Adds a sample. One older than the last is used as if taken with it.
    pub(super) fn sample(&mut self, sample: &Sample) {
        if self.path.take(sample.delay.get().max(0.0)) {
            // The new route's shortest trip would give the old samples wrong intervals.
            self.fit.forget_samples();
            self.hypothesis = None;
        }
        self.taken = self.taken.saturating_add(1);
        if self.taken > ANEW {
            self.early = Vec::new();
            self.fit.reconsider(&self.path);
            if let Some(hypothesis) = &mut self.hypothesis {
                hypothesis.reconsider(&self.path);
            }
            self.take(sample);
            return;
        }
        self.early.push(*sample);
        debug_assert_eq!(self.early.len(), self.taken, "all samples are kept while they are few");
        self.origin = self.early.first().map_or(0.0, |first| first.offset.get());
        self.fit = Fit::default();
        self.outliers.clear();
        for sample in std::mem::take(&mut self.early) {
            self.take(&sample);
            self.early.push(sample);
        }
    }

    /// How many samples it has taken.
    pub(super) const fn samples(&self) -> usize {
        self.taken
    }

    /// The clock was set by another process: the rate and the path are what they were, the offset is unknown until the
    /// next sample. False if too little is known to keep any of it.
    pub(super) fn clock_set(&mut self) -> bool {
        if self.taken <= ANEW {
            return false;
        }
        self.hypothesis = None;
        self.outliers.clear();
        self.recovering = 0;
        self.unset = true;
        true
    }

    /// The clock was stepped by `by`: it is the same clock, free-running from there.
    pub(super) fn clock_stepped(&mut self, by: Seconds) {
        self.origin -= by.get();
        for sample in &mut self.early {
            sample.offset -= by;
        }
    }

    /// Whether the last samples did not fit, or have not for long: the source, the way to it, or our clock changed.
    pub(super) fn alarmed(&self) -> bool {
        !self.outliers.is_empty() || self.recovering > 0
    }

    fn take(&mut self, sample: &Sample) {
        if std::mem::take(&mut self.unset) {
            self.open(sample);
            return;
        }
        let sample = &Sample { offset: sample.offset - Seconds::new(self.origin), ..*sample };
        let interval = self.path.interval(sample);
        if self.fit.is_empty() {
            self.fit = Fit::new(self.first_bank(&interval), sample.at);
        }
        if self.test_jump(sample, interval) {
            return;
        }
        let seen = self.fit.seen(sample, interval);
        if self.fit.fits(&seen) {
            // A sample that fits with a jump as well does not decide.
            self.neutral = self.neutral.saturating_add(1);
            if !self.fit.fits_jumped(&seen, self.innovation) || self.neutral > NEUTRAL {
                self.outliers.clear();
            }
            self.recovering = self.recovering.saturating_sub(1);
            self.fit(seen);
            if self.recovering == 0 && self.taken > ANEW {
                self.fit.decide();
            }
            return;
        }
        self.outliers.push(*sample);
        debug_assert!(self.outliers.len() <= JUMP, "outliers that make a jump were taken for one");
        (self.innovation, self.neutral) = (self.fit.innovation(&seen).0, 0);
        if self.outliers.len() == JUMP {
            self.jump(self.innovation);
        }
    }

    /// Tests the jump hypothesis, or raises it. Returns whether it is confirmed: then the sample is taken.
    fn test_jump(&mut self, sample: &Sample, interval: Interval) -> bool {
        match self.hypothesis.take().map(|s| s.weigh(&self.fit, sample, interval, &self.path)) {
            Some(Verdict::Confirmed(fit)) => {
                self.fit = fit;
                self.outliers.clear();
                self.recovering = RECOVERY;
                return true;
            }
            Some(Verdict::Open(hypothesis)) => self.hypothesis = Some(hypothesis),
            // Before that, an apparent jump may be a wander that is not known yet.
            None | Some(Verdict::Dismissed) if self.path.trips() > WINDOW && self.recovering == 0 => {
                self.hypothesis = JumpHypothesis::raised(&self.fit, sample, interval, &self.path);
            }
            _ => {}
        }
        false
    }

    /// The last samples did not fit, so they are not at fault: the clock, the source or the path
    /// jumped, some time after the last that fitted. `by` is the innovation of the newest.
    fn jump(&mut self, by: f64) {
        self.hypothesis = None;
        let mut outliers = std::mem::take(&mut self.outliers);
        let Some(origin) = outliers.first().map(|first| first.offset) else { return };
        self.origin += origin.get();
        for sample in &mut outliers {
            sample.offset -= origin;
        }
        let (Some(first), Some(last)) = (outliers.first(), outliers.last()) else { return };
        self.fit.jump(first, &self.path.interval(first), last.at, by);
        self.recovering = RECOVERY;
        for sample in &outliers {
            self.fit(self.fit.seen(sample, self.path.interval(sample)));
        }
    }

    /// The first sample after the clock was set: the offset begins with it.
    fn open(&mut self, sample: &Sample) {
        self.origin = sample.offset.get();
        let sample = Sample { offset: Seconds::ZERO, ..*sample };
        let interval = self.path.interval(&sample);
        self.fit.jump_of_phase(&sample, &interval);
        self.fit(self.fit.seen(&sample, interval));
    }

    fn fit(&mut self, seen: Seen) {
        if !self.fit.take(seen, &self.path) {
            // The samples so far were of no use: it begins anew.
            self.fit = Fit::new(self.first_bank(&seen.interval), seen.sample.at);
            self.hypothesis = None;
            self.fit.take(Seen { dt: 0.0, ..seen }, &self.path);
        }
    }

    /// The estimate at `at`, which may lie before or after the last sample; `None` before any.
    pub(super) fn estimate(&self, at: MonoTime) -> Option<Estimate> {
        let mean = (!self.fit.is_empty() && !self.unset).then(|| self.fit.mean(at))?;
        Some(Estimate {
            offset: mean.x + self.origin,
            rate: mean.f,
            offset_variance: mean.xx,
            rate_variance: mean.ff,
            sample_error: self.fit.typical_error(),
            wander: mean.wander,
        })
    }

    /// The state at the first sample.
    fn first_bank(&self, interval: &Interval) -> Bank {
        let Prior { rate, sigma, doubt } = self.prior;
        let xx = OPEN * interval.variance();
        let mut bank = Bank::new(State { x: interval.middle, f: rate, xx, xf: 0.0, ff: sigma * sigma });
        if let Some(sigma) = doubt {
            bank.add_rate_alternative(sigma);
        }
        bank
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that knows the rate within `sigma`, ppm, of none.
    fn estimator(sigma: f64) -> TwoWay {
        TwoWay::new(Prior { rate: 0.0, sigma: sigma * 1e-6, doubt: None })
    }

    fn sample(at: f64, offset: f64, delay: f64) -> Sample {
        Sample {
            at: MonoTime::ZERO + Seconds::new(at),
            offset: Seconds::new(offset),
            delay: Seconds::new(delay),
            reading_error: Seconds::new(1e-7),
        }
    }

    #[test]
    fn a_long_round_trip_hardly_counts() {
        let mut estimator = self::estimator(50.0);
        for i in 0..40 {
            let (offset, delay) =
                if i % 4 == 3 { (0.010, 0.040) } else { (0.0, 0.0200 + f64::from(i % 3) * 1e-6) };
            estimator.sample(&sample(f64::from(i) * 64.0, offset, delay));
        }
        let estimate = estimator.estimate(MonoTime::ZERO + Seconds::new(40.0 * 64.0)).unwrap();
        assert!(estimate.offset.abs() < 20e-6, "{estimate:?}");
        assert!(estimate.rate.abs() < 0.2e-6, "{estimate:?}");
    }

    #[test]
    fn late_first_packets_do_not_pass_for_a_frequency() {
        // As seen on a virtual machine: the way there of the first packets takes up to 1.5 ms longer.
        let mut estimator = self::estimator(50.0);
        let late = [1.53e-3, 0.03e-3, 0.49e-3, 0.02e-3];
        for i in 0..30u32 {
            let at = if i < 4 { f64::from(i) * 2.0 } else { 6.0 + f64::from(i - 3) * 8.0 };
            let extra = late.get(i as usize).copied().unwrap_or(f64::from(i % 3) * 5e-6);
            let offset = 5e-6 * at + extra / 2.0;
            estimator.sample(&sample(at, offset, 0.28e-3 + extra));
        }
        let end = 6.0 + 27.0 * 8.0;
        let estimate = estimator.estimate(MonoTime::ZERO + Seconds::new(end)).unwrap();
        assert!((estimate.rate - 5e-6).abs() < 1e-6, "{estimate:?}");
        assert!((estimate.offset - 5e-6 * end).abs() < 20e-6, "{estimate:?}");
    }

    #[test]
    fn a_lasting_jump_is_followed_and_a_single_one_is_not() {
        let mut estimator = self::estimator(1.0);
        for i in 0..60 {
            let noise = f64::from(i % 5) * 1e-6;
            let offset = if i == 30 || i >= 50 { 1e-3 } else { 0.0 };
            estimator.sample(&sample(f64::from(i) * 64.0, offset + noise, 0.001 + 2.0 * noise));
            let estimate = estimator.estimate(MonoTime::ZERO + Seconds::new(f64::from(i) * 64.0)).unwrap();
            if i == 30 {
                assert!(estimate.offset.abs() < 50e-6, "{estimate:?}");
            }
            if i > 56 {
                assert!((estimate.offset - 1e-3).abs() < 50e-6, "{i} {estimate:?}");
            }
        }
    }

    #[test]
    fn a_sample_that_says_nothing_within_a_jump_makes_no_frequency() {
        let mut estimator = self::estimator(50.0);
        let rate = -10e-6;
        for i in 0..45 {
            let (at, noise) = (f64::from(i) * 64.0, f64::from(i % 5) * 1e-6);
            // The clock jumps before the 41st sample; the 42nd takes so long that it fits all.
            let jump = if i < 41 { 0.0 } else { 100e-6 };
            let queue = if i == 42 { 2e-3 } else { 0.0 };
            estimator.sample(&sample(at, rate * at + jump + noise, 0.01 + 2.0 * noise + queue));
        }
        let end = 44.0 * 64.0;
        let estimate = estimator.estimate(MonoTime::ZERO + Seconds::new(end)).unwrap();
        assert!(
            (estimate.rate - rate).abs() < 0.3e-6 && estimate.rate_variance.sqrt() < 2e-6,
            "{estimate:?}"
        );
        assert!((estimate.offset - rate * end - 100e-6).abs() < 10e-6, "{estimate:?}");
    }

    /// Whatever a server sends, the estimates stay numbers, and a run of good samples makes them right again.
    #[test]
    fn wild_samples_leave_no_lasting_harm() {
        use proptest::prelude::*;
        use proptest::test_runner::RngSeed;
        let wild = (0.0..4096.0, -1e9..1e9, 0.0..20.0, prop::bool::weighted(0.5));
        let config = ProptestConfig { cases: 200, rng_seed: RngSeed::Fixed(7), ..ProptestConfig::default() };
        proptest!(config, |(samples in prop::collection::vec(wild, 1..60))| {
            let mut estimator = self::estimator(50.0);
            let mut at = 0.0;
            for (dt, offset, delay, tame) in samples {
                at += dt;
                estimator.sample(&sample(at, if tame { offset * 1e-12 } else { offset }, delay));
                let estimate = estimator.estimate(MonoTime::ZERO + Seconds::new(at + 1.0)).unwrap();
                let all = [estimate.offset, estimate.rate, estimate.wander, estimate.sample_error];
                prop_assert!(all.iter().all(|v| v.is_finite()), "{estimate:?}");
                prop_assert!(estimate.offset_variance > 0.0 && estimate.rate_variance > 0.0, "{estimate:?}");
            }
            for i in 0..140 {
                at += 64.0;
                let noise = f64::from(i % 5) * 1e-5;
                estimator.sample(&sample(at, 0.5 + noise, 0.02 + 2.0 * noise));
            }
            let estimate = estimator.estimate(MonoTime::ZERO + Seconds::new(at)).unwrap();
            prop_assert!((estimate.offset - 0.5).abs() < 1e-3, "{estimate:?}");
        });
    }
}
