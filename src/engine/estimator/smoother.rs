//! The last samples of a source, fitted together under one assumption of how much the clock's rate
//! wanders.
//!
//! An interval is no Gaussian, and the product of many has no formula. So each is replaced by the Gaussian that
//! changes the estimate of the offset at its time, formed from all the other samples before and after
//! it, just as the interval does (expectation propagation, T. Minka 2001). An edge that becomes decisive
//! only later is used then.

use crate::engine::estimator::interval::Interval;
use crate::engine::estimator::kalman::{Gaussian, Later, State};
use crate::engine::estimator::two_way::Sample;
use std::collections::VecDeque;

/// A sample of the window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) sample: Sample,
    /// Seconds since the one before.
    pub(super) dt: f64,
    /// The interval of the true offset, by the path as known now.
    pub(super) interval: Interval,
}

/// The window under one wander.
#[derive(Clone, Debug)]
pub(super) struct Smoother {
    wander: f64,
    /// The state at the time of the oldest sample, without it.
    oldest: State,
    /// The state at the time of the newest sample, with all.
    newest: State,
    /// What stands for the samples, oldest first.
    passed: VecDeque<Passed>,
}

/// A sample that was passed on the way forward.
#[derive(Clone, Copy, Debug)]
struct Passed {
    /// The Gaussian in place of its interval.
    observation: Gaussian,
    /// The state at its time, given it and those before it.
    after: State,
}

impl Smoother {
    /// No samples yet; `state` holds at the time of the first sample. `wander` in s/s per √s.
    pub(super) const fn new(wander: f64, state: State) -> Self {
        Self { wander, oldest: state, newest: state, passed: VecDeque::new() }
    }

    /// The state `dt` seconds after the newest sample; before it, extrapolated back along the line.
    pub(super) fn state(&self, dt: f64) -> State {
        self.newest.at(dt, self.wander)
    }

    /// Forgets the samples; `state` holds at the time of the newest one.
    pub(super) fn begin_anew(&mut self, state: State) {
        self.passed.clear();
        (self.oldest, self.newest) = (state, state);
    }

    /// The oldest sample leaves the window, its information stays. The next one arrived `dt` seconds later.
    pub(super) fn let_go(&mut self, dt: f64) {
        if let Some(gone) = self.passed.pop_front() {
            self.oldest = gone.after.predict(dt, self.wander);
        }
    }

    /// Logarithm of the probability of a new sample, given those so far.
    pub(super) fn log_density(&self, new: &Seen) -> f64 {
        let state = self.state(new.dt);
        new.interval.narrow(state.x, state.xx).log_probability()
    }

    /// Adds a new sample by the estimate from the earlier ones, and leaves these as they are. Gives its [`Smoother::log_density`].
    pub(super) fn append(&mut self, new: &Seen) -> f64 {
        let predicted = self.state(new.dt);
        if self.passed.is_empty() {
            self.oldest = predicted;
        }
        let narrowed = new.interval.narrow(predicted.x, predicted.xx);
        let observation = new.interval.gaussian_of(&narrowed, predicted.x, predicted.xx);
        self.newest = predicted.given(&observation);
        self.passed.push_back(Passed { observation, after: self.newest });
        narrowed.log_probability()
    }

    /// The samples of `window` were appended: fits the newest `depth` of them together, given those before.
    pub(super) fn fit(&mut self, window: &VecDeque<Seen>, depth: usize) {
        debug_assert_eq!(self.passed.len(), window.len(), "each sample of the window has its Gaussian");
        let first = self.passed.len().saturating_sub(depth);
        self.go_back(window, first);
        self.go_forward(window, first);
    }

    /// The state at the time of a sample, given those before it.
    fn before(&self, index: usize, dt: f64) -> State {
        let earlier = index.checked_sub(1).and_then(|earlier| self.passed.get(earlier));
        earlier.map_or(self.oldest, |earlier| earlier.after.predict(dt, self.wander))
    }

    /// From the newest to the `first`: how does each interval change the estimate from all the others?
    fn go_back(&mut self, window: &VecDeque<Seen>, first: usize) {
        let mut later = Later::default();
        for (index, seen) in window.iter().enumerate().skip(first).rev() {
            let before = self.before(index, seen.dt);
            let Some(Passed { observation, after }) = self.passed.get_mut(index) else { continue };
            later = later.counted_from(&before, after);
            let offset = before.offset_given(&later);
            *observation = seen.interval.as_gaussian(offset.mean, offset.variance);
            later = later.and(observation, &before).earlier(seen.dt, self.wander);
        }
    }

    /// The states from the `first` on, by the Gaussians as they are now.
    fn go_forward(&mut self, window: &VecDeque<Seen>, first: usize) {
        let Some(dt) = window.get(first).map(|seen| seen.dt) else { return };
        let mut before = self.before(first, dt);
        for (index, (seen, passed)) in window.iter().zip(&mut self.passed).enumerate().skip(first) {
            if index > first {
                before = self.newest.predict(seen.dt, self.wander);
            }
            self.newest = before.given(&passed.observation);
            passed.after = self.newest;
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

    /// The exact posterior at `at`, not before the last of the first `count` measurements: all of them at once, no recursion.
    fn exact(count: usize, at: f64) -> State {
        let times: Vec<f64> = MEASURED.iter().take(count).map(|m| m.0).collect();
        let noise = |i: usize, j: usize| if i == j { NOISE * NOISE } else { 0.0 };
        let row =
            |i: usize| (0..count).map(|j| offsets(times[i], times[j]) + noise(i, j)).collect::<Vec<f64>>();
        let joint: Vec<Vec<f64>> = (0..count).map(row).collect();
        let innovations = times.iter().zip(MEASURED).map(|(t, m)| m.1 - PRIOR.x - PRIOR.f * t).collect();
        let x: Vec<f64> = times.iter().map(|t| offsets(*t, at)).collect();
        let f: Vec<f64> = times.iter().map(|t| rate_and_offset(*t)).collect();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let weighed = solve(joint.clone(), innovations);
        let (with_x, with_f) = (solve(joint.clone(), x.clone()), solve(joint, f.clone()));
        State {
            x: PRIOR.x + PRIOR.f * at + dot(&x, &weighed),
            f: PRIOR.f + dot(&f, &weighed),
            xx: offsets(at, at) - dot(&x, &with_x),
            xf: rate_and_offset(at) - dot(&x, &with_f),
            ff: PRIOR.ff + WANDER * WANDER * at - dot(&f, &with_f),
        }
    }

    /// The last of `window` is new.
    fn take(smoother: &mut Smoother, window: &VecDeque<Seen>) {
        smoother.append(window.back().unwrap());
        smoother.fit(window, window.len());
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
        let mut smoother = Smoother::new(WANDER, PRIOR);
        let mut window = VecDeque::new();
        for (index, (at, ..)) in MEASURED.iter().enumerate() {
            window.push_back(seen(index));
            take(&mut smoother, &window);
            same(&smoother.state(0.0), &exact(index + 1, *at));
            same(&smoother.state(100.0), &exact(index + 1, at + 100.0));
        }
    }

    #[test]
    fn what_left_the_window_still_counts_in_full() {
        let mut smoother = Smoother::new(WANDER, PRIOR);
        let mut window = VecDeque::new();
        for (index, (at, ..)) in MEASURED.iter().enumerate() {
            if window.len() == 3 {
                window.pop_front();
                smoother.let_go(window.front().map_or(0.0, |next: &Seen| next.dt));
            }
            window.push_back(seen(index));
            take(&mut smoother, &window);
            same(&smoother.state(0.0), &exact(index + 1, *at));
        }
    }

    #[test]
    fn the_density_of_a_new_one_is_that_of_the_exact_prediction() {
        let mut smoother = Smoother::new(WANDER, PRIOR);
        let mut window = VecDeque::new();
        for (index, (at, ..)) in MEASURED.iter().enumerate() {
            let new = seen(index);
            let predicted = exact(index, *at);
            let (innovation, spread) = (new.interval.middle - predicted.x, predicted.xx + NOISE * NOISE);
            let density =
                (-0.5 * innovation * innovation / spread).exp() / (std::f64::consts::TAU * spread).sqrt();
            let wanted = (density * 2.0 * new.interval.half).ln();
            assert!(
                (smoother.log_density(&new) - wanted).abs() < 1e-6,
                "{} {wanted}",
                smoother.log_density(&new)
            );
            window.push_back(new);
            take(&mut smoother, &window);
        }
    }
}
