//! What round trips tell of our free-running clock.
//!
//! The minimum of the round trips turns each sample into an interval that holds the true offset (`path.rs`, `interval.rs`). A bank
//! (`bank.rs`) of smoothers (`smoother.rs`), each with its own idea of how much this clock wanders, fits the last intervals
//! together; others (`coloured.rs`) count on queues that stay. Each is weighted by how well it foretold the samples.
//! `docs/discipline.md` derives it.

use crate::engine::estimator::bank::Bank;
use crate::engine::estimator::fit::{Fit, OPEN, WINDOW};
use crate::engine::estimator::hypothesis::{Suspicion, Verdict};
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

/// Outliers that make a jump, no sample between them having spoken against it.
const JUMP: usize = 2;
/// So many samples that fit, though they say nothing for sure, are enough to forget an outlier.
const NEUTRAL: u32 = 8;
/// Samples after a jump until all is well again.
const RECOVERY: u32 = 24;
/// As long as there are no more samples than this, all are weighed anew with each: the first packets
/// of all are often late (address resolution, cold caches), and only the later ones tell.
const ANEW: usize = 16;

/// The estimator of a source whose samples are round trips.
#[derive(Clone, Debug)]
pub(super) struct TwoWay {
    prior: Prior,
    /// From where offsets are counted, seconds: they may be decades, and are wanted to nanoseconds.
    origin: f64,
    path: Path,
    /// What is believed.
    fit: Fit,
    /// And what may be true instead.
    suspicion: Option<Suspicion>,
    /// Samples that did not fit, and against which none has spoken since.
    misfits: Vec<Sample>,
    /// By how much the newest of them was off, and the samples since then that said nothing about it.
    misfit: f64,
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
            suspicion: None,
            misfits: Vec::new(),
            misfit: 0.0,
            neutral: 0,
            recovering: 0,
            taken: 0,
            unset: false,
            early: Vec::new(),
        }
    }

    /// Takes a sample in. One older than the last is used as if taken with it.
    pub(super) fn sample(&mut self, sample: &Sample) {
        if self.path.take(sample.delay.get().max(0.0)) {
            // By the new route's shortest trip the old samples would say what they do not.
            self.fit.forget_samples();
            self.suspicion = None;
        }
        self.taken = self.taken.saturating_add(1);
        if self.taken > ANEW {
            self.early = Vec::new();
            self.fit.reconsider(&self.path);
            if let Some(suspicion) = &mut self.suspicion {
                suspicion.reconsider(&self.path);
            }
            self.take(sample);
            return;
        }
        self.early.push(*sample);
        debug_assert_eq!(self.early.len(), self.taken, "all samples are kept while they are few");
        self.origin = self.early.first().map_or(0.0, |first| first.offset.get());
        self.fit = Fit::default();
        self.misfits.clear();
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
        self.suspicion = None;
        self.misfits.clear();
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
        !self.misfits.is_empty() || self.recovering > 0
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
        if self.suspects(sample, interval) {
            return;
        }
        let seen = self.fit.seen(sample, interval);
        if self.fit.fits(&seen) {
            // What fits a jump as well says nothing about it.
            self.neutral = self.neutral.saturating_add(1);
            if !self.fit.fits_jumped(&seen, self.misfit) || self.neutral > NEUTRAL {
                self.misfits.clear();
            }
            self.recovering = self.recovering.saturating_sub(1);
            self.fit(seen);
            if self.recovering == 0 && self.taken > ANEW {
                self.fit.decide();
            }
            return;
        }
        self.misfits.push(*sample);
        debug_assert!(self.misfits.len() <= JUMP, "outliers that make a jump were taken for one");
        (self.misfit, self.neutral) = (self.fit.miss(&seen).0, 0);
        if self.misfits.len() == JUMP {
            self.jump(self.misfit);
        }
    }

    /// Weighs a suspicion, or raises one. Gives whether it turned out to be right: then the sample is taken.
    fn suspects(&mut self, sample: &Sample, interval: Interval) -> bool {
        match self.suspicion.take().map(|s| s.weigh(&self.fit, sample, interval, &self.path)) {
            Some(Verdict::Confirmed(fit)) => {
                self.fit = fit;
                self.misfits.clear();
                self.recovering = RECOVERY;
                return true;
            }
            Some(Verdict::Open(suspicion)) => self.suspicion = Some(suspicion),
            // Before that, what looks like a jump may be a wander that is not known yet.
            None | Some(Verdict::Dismissed) if self.path.trips() > WINDOW && self.recovering == 0 => {
                self.suspicion = Suspicion::raised(&self.fit, sample, interval, &self.path);
            }
            _ => {}
        }
        false
    }

    /// The last samples did not fit, so it is not they that are wrong: the clock, the source or the path
    /// jumped, some time after the last that fitted. `by` is how far off the newest is.
    fn jump(&mut self, by: f64) {
        self.suspicion = None;
        let mut misfits = std::mem::take(&mut self.misfits);
        let Some(origin) = misfits.first().map(|first| first.offset) else { return };
        self.origin += origin.get();
        for sample in &mut misfits {
            sample.offset -= origin;
        }
        let (Some(first), Some(last)) = (misfits.first(), misfits.last()) else { return };
        self.fit.jump(first, &self.path.interval(first), last.at, by);
        self.recovering = RECOVERY;
        for sample in &misfits {
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
            // Nothing was learnt from all that: it begins anew.
            self.fit = Fit::new(self.first_bank(&seen.interval), seen.sample.at);
            self.suspicion = None;
            self.fit.take(Seen { dt: 0.0, ..seen }, &self.path);
        }
    }

    /// What is known at `at`, which may lie before or after the last sample; `None` before any.
    pub(super) fn estimate(&self, at: MonoTime) -> Option<Estimate> {
        let told = (!self.fit.is_empty() && !self.unset).then(|| self.fit.mean(at))?;
        Some(Estimate {
            offset: told.x + self.origin,
            rate: told.f,
            offset_variance: told.xx,
            rate_variance: told.ff,
            sample_error: self.fit.typical_error(),
            wander: told.wander,
        })
    }

    /// What is believed at the first sample.
    fn first_bank(&self, interval: &Interval) -> Bank {
        let Prior { rate, sigma, doubt } = self.prior;
        let xx = OPEN * interval.variance();
        let mut bank = Bank::new(State { x: interval.middle, f: rate, xx, xf: 0.0, ff: sigma * sigma });
        if let Some(sigma) = doubt {
            bank.doubt(sigma);
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
        let told = estimator.estimate(MonoTime::ZERO + Seconds::new(end)).unwrap();
        assert!((told.rate - rate).abs() < 0.3e-6 && told.rate_variance.sqrt() < 2e-6, "{told:?}");
        assert!((told.offset - rate * end - 100e-6).abs() < 10e-6, "{told:?}");
    }

    /// Whatever a server says, the estimates stay numbers, and a run of good samples makes them right again.
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
                let told = estimator.estimate(MonoTime::ZERO + Seconds::new(at + 1.0)).unwrap();
                let all = [told.offset, told.rate, told.wander, told.sample_error];
                prop_assert!(all.iter().all(|v| v.is_finite()), "{told:?}");
                prop_assert!(told.offset_variance > 0.0 && told.rate_variance > 0.0, "{told:?}");
            }
            for i in 0..140 {
                at += 64.0;
                let noise = f64::from(i % 5) * 1e-5;
                estimator.sample(&sample(at, 0.5 + noise, 0.02 + 2.0 * noise));
            }
            let told = estimator.estimate(MonoTime::ZERO + Seconds::new(at)).unwrap();
            prop_assert!((told.offset - 0.5).abs() < 1e-3, "{told:?}");
        });
    }
}
