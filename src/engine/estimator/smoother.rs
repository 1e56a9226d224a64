//! The last samples of a source, fitted together under one assumption of how much the clock's rate
//! wanders.
//!
//! An interval is no Gaussian, and the product of many has no formula. So each is replaced by the Gaussian that
//! changes the belief of the offset at its time, formed from all the other samples before and after
//! it, just as the interval does (expectation propagation, T. Minka 2001). An edge that turns out to be the
//! decisive one only later is used then.

use crate::engine::estimator::interval::Interval;
use crate::engine::estimator::kalman::{Gaussian, Later, State};
use crate::engine::estimator::two_way::Sample;
use std::collections::VecDeque;

/// A sample of the window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// It.
    pub(super) sample: Sample,
    /// Seconds since the one before.
    pub(super) dt: f64,
    /// What it says, by what is known of the path now.
    pub(super) interval: Interval,
}

/// The window under one wander.
#[derive(Clone, Debug)]
pub(super) struct Smoother {
    wander: f64,
    /// What is believed at the time of the oldest sample, without it.
    oldest: State,
    /// What is believed at the time of the newest sample, with all.
    newest: State,
    /// In place of the intervals, oldest first.
    said: VecDeque<Gaussian>,
}

/// What is believed at each sample by those before it, and by it, too: room for a pass, which smoothers share.
pub(super) type Passed = Vec<(State, State)>;

impl Smoother {
    /// Nothing was seen; `belief` holds at the time of the first sample. `wander` in s/s per √s.
    pub(super) const fn new(wander: f64, belief: State) -> Self {
        Self { wander, oldest: belief, newest: belief, said: VecDeque::new() }
    }

    /// What is believed `dt` seconds after the newest sample; before it, where it was then.
    pub(super) fn belief(&self, dt: f64) -> State {
        self.newest.at(dt, self.wander)
    }

    /// Forgets the samples; `belief` holds at the time of the newest one.
    pub(super) fn begin_anew(&mut self, belief: State) {
        self.said.clear();
        (self.oldest, self.newest) = (belief, belief);
    }

    /// The oldest sample leaves the window, what it said stays. The next one came `dt` seconds later.
    pub(super) fn let_go(&mut self, dt: f64) {
        if let Some(said) = self.said.pop_front() {
            self.oldest = self.oldest.knowing(&said).predict(dt, self.wander);
        }
    }

    /// Logarithm of the probability that the samples so far give a new one.
    pub(super) fn foretold(&self, new: &Seen) -> f64 {
        let belief = self.belief(new.dt);
        new.interval.narrow(belief.x, belief.xx).log_probability()
    }

    /// Takes a new sample as the earlier ones make it look, and leaves these as they are.
    pub(super) fn append(&mut self, new: &Seen) {
        let foretold = self.belief(new.dt);
        if self.said.is_empty() {
            self.oldest = foretold;
        }
        let said = new.interval.as_gaussian(foretold.x, foretold.xx);
        self.newest = foretold.knowing(&said);
        self.said.push_back(said);
    }

    /// The last of `window` is new: fits all of them together.
    pub(super) fn take(&mut self, window: &VecDeque<Seen>, passed: &mut Passed) {
        let Some(new) = window.back() else { return };
        self.append(new);
        debug_assert_eq!(self.said.len(), window.len(), "each sample of the window has its Gaussian");
        self.go_forward(window, passed);
        self.go_back(window, passed);
        self.go_forward(window, passed);
    }

    fn go_forward(&mut self, window: &VecDeque<Seen>, passed: &mut Passed) {
        passed.clear();
        let mut before = self.oldest;
        for (index, (seen, said)) in window.iter().zip(&self.said).enumerate() {
            if index > 0 {
                before = self.newest.predict(seen.dt, self.wander);
            }
            self.newest = before.knowing(said);
            passed.push((before, self.newest));
        }
    }

    /// From the newest to the oldest: what does each interval do to what all the others say?
    fn go_back(&mut self, window: &VecDeque<Seen>, passed: &Passed) {
        debug_assert_eq!(passed.len(), self.said.len(), "the way back passes what the way forward did");
        let mut later = Later::default();
        for (index, ((before, after), said)) in passed.iter().zip(&mut self.said).enumerate().rev() {
            let Some(seen) = window.get(index) else { continue };
            later = later.counted_from(before, after);
            let (x, xx) = before.offset_knowing(&later);
            *said = seen.interval.as_gaussian(x, xx);
            later = later.and(said, before).earlier(seen.dt, self.wander);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{MonoTime, Seconds};

    const PRIOR: State = State { x: 1e-3, f: 2e-6, xx: 1e-6, xf: 0.0, ff: 1e-10 };
    const WANDER: f64 = 3e-8;
    /// Standard deviation of a measurement.
    const NOISE: f64 = 1e-4;
    /// When, after the first, and what was measured.
    const MEASURED: [(f64, f64); 7] = [
        (0.0, 1.31e-3),
        (64.0, 1.22e-3),
        (80.0, 1.64e-3),
        (336.0, 0.75e-3),
        (1360.0, 2.10e-3),
        (1361.0, 2.35e-3),
        (1900.0, 4.00e-3),
    ];

    /// A Gaussian measurement: bounds that are as good as one, all of it blur.
    fn seen(index: usize) -> Seen {
        let (at, offset) = MEASURED[index];
        let before = index.checked_sub(1).map_or(0.0, |n| MEASURED[n].0);
        let sample = Sample {
            at: MonoTime::ZERO + Seconds::new(at),
            offset: Seconds::new(offset),
            delay: Seconds::ZERO,
            reading_error: Seconds::ZERO,
        };
        let interval = Interval { middle: offset, half: 1e-9, blur: NOISE * NOISE, reading: NOISE * NOISE };
        Seen { sample, dt: at - before, interval }
    }

    /// Solves `matrix`·x = `right` by elimination; a covariance needs no pivots.
    fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
        let n = right.len();
        for i in 0..n {
            for below in i + 1..n {
                let factor = matrix[below][i] / matrix[i][i];
                let row = matrix[i].clone();
                matrix[below].iter_mut().zip(row).skip(i).for_each(|(value, above)| *value -= factor * above);
                right[below] -= factor * right[i];
            }
        }
        for i in (0..n).rev() {
            let known: f64 = (i + 1..n).map(|column| matrix[i][column] * right[column]).sum();
            right[i] = (right[i] - known) / matrix[i][i];
        }
        right
    }

    /// The covariance of the offsets at two times, before anything is measured: the rate is a random walk and the offset its
    /// integral, q·a²(3b − a)/6 for a ≤ b.
    fn offsets(one: f64, other: f64) -> f64 {
        let (a, b) = (one.min(other), one.max(other));
        PRIOR.xx + PRIOR.ff * a * b + WANDER * WANDER * a * a * (3.0 * b - a) / 6.0
    }

    /// And that of the rate at one time and the offset at another one, not later.
    fn rate_and_offset(other: f64) -> f64 {
        PRIOR.ff * other + WANDER * WANDER * other * other / 2.0
    }

    /// The exact belief at `at`, not before the last of the first `count` measurements: all of them at once, no recursion.
    fn exact(count: usize, at: f64) -> State {
        let times: Vec<f64> = MEASURED.iter().take(count).map(|m| m.0).collect();
        let noise = |i: usize, j: usize| if i == j { NOISE * NOISE } else { 0.0 };
        let row =
            |i: usize| (0..count).map(|j| offsets(times[i], times[j]) + noise(i, j)).collect::<Vec<f64>>();
        let joint: Vec<Vec<f64>> = (0..count).map(row).collect();
        let misses = times.iter().zip(MEASURED).map(|(t, m)| m.1 - PRIOR.x - PRIOR.f * t).collect();
        let x: Vec<f64> = times.iter().map(|t| offsets(*t, at)).collect();
        let f: Vec<f64> = times.iter().map(|t| rate_and_offset(*t)).collect();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let weighed = solve(joint.clone(), misses);
        let (with_x, with_f) = (solve(joint.clone(), x.clone()), solve(joint, f.clone()));
        State {
            x: PRIOR.x + PRIOR.f * at + dot(&x, &weighed),
            f: PRIOR.f + dot(&f, &weighed),
            xx: offsets(at, at) - dot(&x, &with_x),
            xf: rate_and_offset(at) - dot(&x, &with_f),
            ff: PRIOR.ff + WANDER * WANDER * at - dot(&f, &with_f),
        }
    }

    #[track_caller]
    fn same(got: &State, wanted: &State) {
        let (x, f) = (wanted.xx.sqrt(), wanted.ff.sqrt());
        let off = [
            (got.x - wanted.x) / x,
            (got.f - wanted.f) / f,
            got.xx / wanted.xx - 1.0,
            got.ff / wanted.ff - 1.0,
        ];
        assert!(off.iter().all(|o| o.abs() < 1e-6), "{got:?}, not {wanted:?}");
        assert!((got.xf - wanted.xf).abs() < 1e-6 * x * f, "{got:?}, not {wanted:?}");
    }

    #[test]
    fn gaussian_measurements_give_the_exact_posterior() {
        let (mut smoother, mut passed) = (Smoother::new(WANDER, PRIOR), Passed::new());
        let mut window = VecDeque::new();
        for (index, (at, ..)) in MEASURED.iter().enumerate() {
            window.push_back(seen(index));
            smoother.take(&window, &mut passed);
            same(&smoother.belief(0.0), &exact(index + 1, *at));
            same(&smoother.belief(100.0), &exact(index + 1, at + 100.0));
        }
    }

    #[test]
    fn what_left_the_window_still_counts_in_full() {
        let (mut smoother, mut passed) = (Smoother::new(WANDER, PRIOR), Passed::new());
        let mut window = VecDeque::new();
        for (index, (at, ..)) in MEASURED.iter().enumerate() {
            if window.len() == 3 {
                window.pop_front();
                smoother.let_go(window.front().map_or(0.0, |next: &Seen| next.dt));
            }
            window.push_back(seen(index));
            smoother.take(&window, &mut passed);
            same(&smoother.belief(0.0), &exact(index + 1, *at));
        }
    }

    #[test]
    fn the_density_of_a_new_one_is_that_of_the_exact_prediction() {
        let (mut smoother, mut passed) = (Smoother::new(WANDER, PRIOR), Passed::new());
        let mut window = VecDeque::new();
        for (index, (at, ..)) in MEASURED.iter().enumerate() {
            let new = seen(index);
            let predicted = exact(index, *at);
            let (miss, spread) = (new.interval.middle - predicted.x, predicted.xx + NOISE * NOISE);
            let density = (-0.5 * miss * miss / spread).exp() / (std::f64::consts::TAU * spread).sqrt();
            let wanted = (density * 2.0 * new.interval.half).ln();
            assert!((smoother.foretold(&new) - wanted).abs() < 1e-6, "{} {wanted}", smoother.foretold(&new));
            window.push_back(new);
            smoother.take(&window, &mut passed);
        }
    }
}
