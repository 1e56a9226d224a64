//! The way to a source and back: how long it takes at least, and how long packets queue on it.

use super::Sample;
use super::interval::Interval;
use std::collections::VecDeque;

/// Round trips over which the shortest is sought. Long enough to hold a lucky packet, short
/// enough that a new, longer route is believed after some hours.
const DELAY_WINDOW: usize = 128;
/// Median of the sum of two exponential queues, in units of the mean of one.
const MEDIAN: f64 = 1.678;
/// The shortest of n such sums is distributed as a Rayleigh law with the parameter (mean of one)/√n. Its
/// mean in this unit, √(π/2), and its standard deviation, √(2 − π/2).
const SHORTEST: (f64, f64) = (1.253, 0.655);

/// What is known of a path.
#[derive(Clone, Debug, Default)]
pub(super) struct Path {
    delays: VecDeque<f64>,
    /// The shortest round trip, seconds.
    shortest: f64,
    /// Mean of one of the two queues, seconds.
    queue: f64,
}

impl Path {
    /// A packet had this round trip.
    pub(super) fn take(&mut self, delay: f64) {
        if self.delays.len() == DELAY_WINDOW {
            self.delays.pop_front();
        }
        self.delays.push_back(delay);
        self.shortest = self.delays.iter().copied().fold(f64::INFINITY, f64::min);
        let mut excess: Vec<f64> = self.delays.iter().map(|d| d - self.shortest).collect();
        let middle = excess.len() / 2;
        let (_, &mut median, _) = excess.select_nth_unstable_by(middle, f64::total_cmp);
        let n = excess.len() as f64;
        // The mean of all knows more, but a minority of very late packets must not blur the rest. With few
        // packets the spread is not known yet: take it for a twentieth of the trip.
        let mean = excess.iter().sum::<f64>() / n / 2.0;
        self.queue = mean.min(median / MEDIAN) + delay / 40.0 / n;
    }

    /// Between which offsets the true one lies by a sample.
    pub(super) fn interval(&self, sample: &Sample) -> Interval {
        let scale = self.queue / (self.delays.len().max(1) as f64).sqrt();
        let excess = (sample.delay.get() - self.shortest).max(0.0) + SHORTEST.0 * scale;
        let (unsure, reading) = (SHORTEST.1 * scale / 2.0, sample.reading_error.get());
        // A clock is never read better than to 10 ns: that also keeps the blur from being nothing.
        let blur = unsure * unsure + reading * reading + 1e-16;
        Interval { middle: sample.offset.get(), half: excess / 2.0, blur }
    }
}
