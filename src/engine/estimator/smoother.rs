//! The last samples of a source, fitted together under one assumption of how much the clock's rate
//! wanders.
//!
//! An interval is no Gaussian, and the product of many has no formula. So each is replaced by the Gaussian that
//! changes the belief of the offset at its time, formed from all the other samples before and after
//! it, just as the interval does (expectation propagation, T. Minka 2001). An edge that turns out to be the
//! decisive one only later is used then.

use crate::engine::estimator::Sample;
use crate::engine::estimator::interval::Interval;
use crate::engine::estimator::kalman::{Gaussian, Later, State};
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

    /// The assumed wander, s/s per √s.
    pub(super) const fn wander(&self) -> f64 {
        self.wander
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
        new.interval.narrow(belief.x, belief.xx).log_probability
    }

    /// The last of `window` is new: fits all of them together.
    pub(super) fn take(&mut self, window: &VecDeque<Seen>, passed: &mut Passed) {
        let Some(new) = window.back() else { return };
        let foretold = self.belief(new.dt);
        if self.said.is_empty() {
            self.oldest = foretold;
        }
        self.said.push_back(new.interval.as_gaussian(foretold.x, foretold.xx));
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
