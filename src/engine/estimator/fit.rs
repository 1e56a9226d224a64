//! The last samples, fitted together by a bank: one account of what happened. The estimator holds one, and
//! beside it, while there is a suspicion, another (`suspicion.rs`).

use crate::engine::estimator::Sample;
use crate::engine::estimator::bank::{Bank, Mean};
use crate::engine::estimator::interval::Interval;
use crate::engine::estimator::path::Path;
use crate::engine::estimator::smoother::Seen;
use crate::units::MonoTime;
use std::collections::VecDeque;

/// Samples fitted together. Twice and four times as many gain nothing: what older ones say is kept as Gaussians.
pub(super) const WINDOW: usize = 32;
/// A belief so many standard deviations beyond an interval: an outlier, or, when it repeats, a jump.
const GATE: f64 = 3.5;
/// Before the first sample, and after a jump, the offset is believed to be the sample's, with a variance so many times
/// the sample's own: nearly nothing, and not so much more that rounding is felt.
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
}

impl Fit {
    /// Nothing was seen; what `bank` believes holds at `at`.
    pub(super) const fn new(bank: Bank, at: MonoTime) -> Self {
        Self { bank, window: VecDeque::new(), at }
    }

    /// Whether nothing was ever seen.
    pub(super) const fn is_empty(&self) -> bool {
        self.bank.is_empty()
    }

    /// What is believed of `at`, which may lie before or after the newest sample.
    pub(super) fn mean(&self, at: MonoTime) -> Mean {
        self.bank.mean(at.since(self.at).get())
    }

    /// A sample as this fit sees it. One older than the newest counts as if taken with it.
    pub(super) fn seen(&self, sample: &Sample, interval: Interval) -> Seen {
        Seen { sample: *sample, dt: sample.at.since(self.at).get().max(0.0), interval }
    }

    /// Whether a sample is what was to be expected: by all, or, while twins compete, by one kind of past.
    pub(super) fn fits(&self, seen: &Seen) -> bool {
        self.bank.is_foretold(seen.dt, |belief| seen.interval.surprise(belief.x, belief.xx) <= GATE)
    }

    /// How far a sample is from what is expected, seconds; and how many standard deviations beyond its bounds that is.
    pub(super) fn miss(&self, seen: &Seen) -> (f64, f64) {
        let expected = self.bank.mean(seen.dt);
        (seen.interval.middle - expected.x, seen.interval.surprise(expected.x, expected.xx))
    }

    /// Whether a sample would fit if something had jumped by `by`, seconds.
    pub(super) fn fits_jumped(&self, seen: &Seen, by: f64) -> bool {
        let expected = self.bank.mean(seen.dt);
        seen.interval.surprise(expected.x + by, expected.xx) <= GATE
    }

    /// Logarithm of the probability density that was foretold for a sample.
    pub(super) fn foretold(&self, seen: &Seen, path: &Path) -> f64 {
        self.bank.foretold(seen, path.queueing())
    }

    /// Takes a sample in. Gives whether what is believed then is something that a clock could be: if not, samples contradict
    /// one another beyond the numbers' range.
    pub(super) fn take(&mut self, seen: Seen, path: &Path) -> bool {
        self.at = self.at.max(seen.sample.at);
        if self.window.len() == WINDOW {
            self.window.pop_front();
            let next = self.window.front().map_or(seen.dt, |seen| seen.dt);
            self.bank.let_go(next);
        }
        self.window.push_back(seen);
        self.bank.take(&self.window, path.queueing());
        self.window.len() == 1 || self.bank.is_sound()
    }

    /// Something jumped between the newest sample and `first`: the window is closed, the offset is opened. `last`, the newest
    /// sample that tells of it, is off by `by` seconds.
    pub(super) fn jump(&mut self, first: &Sample, interval: &Interval, last: MonoTime, by: f64) {
        // Before now, where samples in between said nothing about it: they have moved the belief on.
        let since = first.at.since(self.at).get();
        let rate = by / last.since(self.at).get().max(1.0);
        self.window.clear();
        self.bank.jump(since, (interval.middle, OPEN * interval.variance()), rate);
        self.at = first.at;
    }

    /// The phase jumped just before this sample, and nothing else did: that is known.
    pub(super) fn jump_of_phase(&mut self, first: &Sample, interval: &Interval) {
        let since = first.at.since(self.at).get();
        self.window.clear();
        self.bank.jump(since, (interval.middle, OPEN * interval.variance()), f64::INFINITY);
        self.at = first.at;
    }

    /// A jump is over, or a start.
    pub(super) fn decide(&mut self) {
        self.bank.decide();
    }

    /// Forms all intervals anew, as the path is better known.
    pub(super) fn reconsider(&mut self, path: &Path) {
        for seen in &mut self.window {
            seen.interval = path.interval(&seen.sample);
        }
    }

    /// Forgets the samples; what they made believe stays.
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
