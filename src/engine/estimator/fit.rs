//! The last samples, fitted together by a model bank: one hypothesis of what happened. The estimator holds one, and
//! beside it, while a jump is possible, another (`hypothesis.rs`).

use crate::engine::estimator::bank::Bank;
use crate::engine::estimator::interval::Interval;
use crate::engine::estimator::kalman::Normal;
use crate::engine::estimator::mean::Mean;
use crate::engine::estimator::path::Path;
use crate::engine::estimator::smoother::Seen;
use crate::engine::estimator::two_way::Sample;
use crate::units::MonoTime;
use std::collections::VecDeque;

/// Samples fitted together. Twice and four times as many gain nothing: the information of older ones is kept as Gaussians.
pub(super) const WINDOW: usize = 32;
/// One more sample hardly changes what the older ones of a full window stand for: they have been fitted with all between. So the
/// whole window is fitted anew with each fourth sample, and the newest four with those between.
const WHOLE_EVERY: u32 = 4;
const NEWEST: usize = 4;
/// An estimate so many standard deviations beyond an interval: an outlier, or, when it repeats, a jump.
const GATE: f64 = 3.5;
/// Before the first sample, and after a jump, the offset is assumed to be the sample's, with a variance so many times
/// the sample's own: nearly no information, but not so large that rounding matters.
pub(super) const OPEN: f64 = 100.0;
/// Samples over which the typical error is averaged.
const TYPICAL: f64 = 16.0;

/// A bank with the samples that it fits.
#[derive(Clone, Debug, Default)]
pub(super) struct Fit {
    bank: Bank,
    /// The last samples, oldest first.
    window: VecDeque<Seen>,
    /// When the newest of them was measured.
    at: MonoTime,
    /// Samples since the whole window was fitted.
    partly: u32,
}

impl Fit {
    /// No samples yet; the state of `bank` holds at `at`.
    pub(super) const fn new(bank: Bank, at: MonoTime) -> Self {
        Self { bank, window: VecDeque::new(), at, partly: 0 }
    }

    /// Whether there was no sample yet.
    pub(super) const fn is_empty(&self) -> bool {
        self.bank.is_empty()
    }

    /// The estimate for `at`, which may lie before or after the newest sample.
    pub(super) fn mean(&self, at: MonoTime) -> Mean {
        self.bank.mean(at.since(self.at).get())
    }

    /// A sample as this fit sees it. One older than the newest counts as if taken with it.
    pub(super) fn seen(&self, sample: &Sample, interval: Interval) -> Seen {
        Seen { sample: *sample, dt: sample.at.since(self.at).get().max(0.0), interval }
    }

    /// Whether a sample is within the gate: of all models together, or, while paired hypotheses compete, of one of them.
    pub(super) fn fits(&self, seen: &Seen) -> bool {
        self.bank.is_predicted(seen.dt, |mean| seen.interval.surprise(mean.x, mean.xx) <= GATE)
    }

    /// The innovation of a sample, seconds, and how many standard deviations the estimate is beyond its bounds.
    pub(super) fn innovation(&self, seen: &Seen) -> (f64, f64) {
        let expected = self.bank.mean(seen.dt);
        (seen.interval.middle - expected.x, seen.interval.surprise(expected.x, expected.xx))
    }

    /// Whether a sample would fit if something had jumped by `by`, seconds.
    pub(super) fn fits_jumped(&self, seen: &Seen, by: f64) -> bool {
        let expected = self.bank.mean(seen.dt);
        seen.interval.surprise(expected.x + by, expected.xx) <= GATE
    }

    /// Logarithm of the predicted probability density of a sample.
    pub(super) fn log_density(&self, seen: &Seen, path: &Path) -> f64 {
        self.bank.log_density(seen, path.queueing())
    }

    /// Adds a sample. Returns whether the estimate is one that a clock could have: if not, samples contradict one another
    /// beyond the numbers' range.
    pub(super) fn take(&mut self, seen: Seen, path: &Path) -> bool {
        self.at = self.at.max(seen.sample.at);
        if self.window.len() == WINDOW {
            self.window.pop_front();
            let next = self.window.front().map_or(seen.dt, |seen| seen.dt);
            self.bank.let_go(next);
        }
        self.window.push_back(seen);
        debug_assert!(self.window.len() <= WINDOW, "a fit keeps no more samples than its window");
        debug_assert!(seen.dt >= 0.0, "a sample is never before the one before it: {seen:?}");
        let depth = self.depth();
        self.bank.take(&self.window, depth, path.queueing());
        self.window.len() == 1 || self.bank.is_sound()
    }

    /// How many of the newest samples are fitted anew.
    fn depth(&mut self) -> usize {
        self.partly += 1;
        if self.window.len() == WINDOW && self.partly < WHOLE_EVERY {
            return NEWEST;
        }
        self.partly = 0;
        WINDOW
    }

    /// Something jumped between the newest sample and `first`: the window is closed, the offset is opened. `last`, the newest
    /// sample that shows it, is off by `by` seconds.
    pub(super) fn jump(&mut self, first: &Sample, interval: &Interval, last: MonoTime, by: f64) {
        // Negative where later samples had no information about it: they have advanced the state.
        let since = first.at.since(self.at).get();
        let rate = by / last.since(self.at).get().max(1.0);
        self.window.clear();
        self.bank.jump(since, opened(interval), rate);
        self.at = first.at;
    }

    /// The phase is known to have jumped just before this sample, and nothing else.
    pub(super) fn jump_of_phase(&mut self, first: &Sample, interval: &Interval) {
        let since = first.at.since(self.at).get();
        self.window.clear();
        self.bank.jump(since, opened(interval), f64::INFINITY);
        self.at = first.at;
    }

    /// A jump is over, or a start.
    pub(super) fn decide(&mut self) {
        self.bank.decide();
    }

    /// Recomputes all intervals, as the path is better known.
    pub(super) fn reconsider(&mut self, path: &Path) {
        for seen in &mut self.window {
            seen.interval = path.interval(&seen.sample);
        }
    }

    /// Forgets the samples; the estimate stays.
    pub(super) fn forget_samples(&mut self) {
        self.bank.begin_anew();
        self.window.clear();
    }

    /// The error of a single sample that carries as much as the last ones do on average.
    pub(super) fn typical_error(&self) -> f64 {
        let mut information = 0.0;
        for (n, seen) in self.window.iter().enumerate() {
            information += (1.0 / seen.interval.variance() - information) / (n as f64 + 1.0).min(TYPICAL);
        }
        f64::max(information, f64::MIN_POSITIVE).sqrt().recip()
    }
}

/// The offset where the first sample after a jump is.
fn opened(interval: &Interval) -> Normal {
    Normal { mean: interval.middle, variance: OPEN * interval.variance() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::estimator::kalman::State;
    use crate::units::Seconds;

    /// Known to 1e-4 s; with the blur of [`interval`], 2e-4 s.
    const KNOWN: State = State { x: 0.0, f: 0.0, xx: 1e-8, xf: 0.0, ff: 1e-18 };
    const BLUR: f64 = 3e-8;

    fn sample(at: f64, offset: f64) -> Sample {
        Sample {
            at: MonoTime::ZERO + Seconds::new(at),
            offset: Seconds::new(offset),
            delay: Seconds::new(0.02),
            reading_error: Seconds::ZERO,
        }
    }

    fn interval(offset: f64, half: f64) -> Interval {
        Interval { middle: offset, half, blur: BLUR, reading: 1e-16 }
    }

    fn fit() -> Fit {
        Fit::new(Bank::new(KNOWN), MonoTime::ZERO)
    }

    fn take(fit: &mut Fit, at: f64, offset: f64) {
        assert!(fit.take(fit.seen(&sample(at, offset), interval(offset, 1e-4)), &Path::default()));
    }

    #[test]
    fn the_gate_stands_at_three_and_a_half_deviations_beyond_the_bounds() {
        // The bounds are 1e-4 to both sides, a standard deviation is √(1e-8 + 3e-8) = 2e-4: 1e-4 + 3.5·2e-4 = 8e-4.
        let fit = fit();
        let seen = |offset: f64| fit.seen(&sample(0.0, offset), interval(offset, 1e-4));
        for (offset, fits) in
            [(0.0, true), (7.99e-4, true), (8.01e-4, false), (-7.99e-4, true), (-8.01e-4, false)]
        {
            assert_eq!(fit.fits(&seen(offset)), fits, "{offset}");
            assert_eq!(fit.fits_jumped(&seen(offset + 5e-3), 5e-3), fits, "{offset} after a jump of 5 ms");
        }
        let (off, surprise) = fit.innovation(&seen(5e-4));
        assert!((off - 5e-4).abs() < 1e-12 && (surprise - 2.0).abs() < 1e-9, "{off} {surprise}");
        assert_eq!(fit.innovation(&seen(0.9e-4)).1, 0.0, "between the bounds");
    }

    #[test]
    fn the_last_32_are_fitted_together() {
        let mut fit = fit();
        for n in 0..40 {
            take(&mut fit, f64::from(n) * 64.0, 0.0);
            assert_eq!(fit.window.len(), WINDOW.min(n as usize + 1));
        }
        let at = |seen: Option<&Seen>| seen.map(|seen| seen.sample.at.since(MonoTime::ZERO).get());
        assert_eq!((at(fit.window.front()), at(fit.window.back())), (Some(8.0 * 64.0), Some(39.0 * 64.0)));
        // An older one than the newest counts as if taken with it.
        let late = fit.seen(&sample(38.0 * 64.0, 0.0), interval(0.0, 1e-4));
        assert_eq!(late.dt, 0.0);
        fit.take(late, &Path::default());
        assert_eq!(fit.at.since(MonoTime::ZERO).get(), 39.0 * 64.0);
    }

    #[test]
    fn the_typical_error_is_that_of_equal_samples() {
        let mut fit = fit();
        for n in 0..5 {
            take(&mut fit, f64::from(n), 0.0);
        }
        let one = (1e-4f64 * 1e-4 / 3.0 + BLUR).sqrt();
        assert!((fit.typical_error() - one).abs() < 1e-12, "{} {one}", fit.typical_error());
        // The information, one by the variance, is what is averaged: the sixth carries a quarter of it.
        let half = (3.0 * (4.0 * one * one - BLUR)).sqrt();
        fit.take(fit.seen(&sample(5.0, 0.0), interval(0.0, half)), &Path::default());
        let wanted = one / (1.0f64 - 0.75 / 6.0).sqrt();
        assert!((fit.typical_error() - wanted).abs() < 1e-12, "{} {wanted}", fit.typical_error());
    }

    #[test]
    fn a_jump_closes_the_window_and_opens_the_offset() {
        let mut fit = fit();
        for n in 0..10 {
            take(&mut fit, f64::from(n) * 64.0, 0.0);
        }
        let before = fit.mean(fit.at);
        let (first, bounds) = (sample(640.0, 0.5), interval(0.5, 1e-4));
        fit.jump_of_phase(&first, &bounds);
        let after = fit.mean(first.at);
        assert!(fit.window.is_empty() && fit.at == first.at);
        assert!((after.x - 0.5).abs() < 1e-12, "{after:?}");
        assert!((after.xx / (OPEN * bounds.variance()) - 1.0).abs() < 1e-6, "{after:?}");
        assert!((after.f - before.f).abs() < 1e-15 && after.ff >= before.ff, "{before:?} {after:?}");
    }

    #[test]
    fn forgotten_samples_leave_what_they_made_believe() {
        let mut fit = fit();
        for n in 0..10 {
            take(&mut fit, f64::from(n) * 64.0, 1e-4);
        }
        let (before, at) = (fit.mean(fit.at), fit.at);
        fit.forget_samples();
        let after = fit.mean(at);
        assert!(fit.window.is_empty() && !fit.is_empty());
        assert_eq!((after.x, after.f, after.xx, after.ff), (before.x, before.f, before.xx, before.ff));
    }
}
