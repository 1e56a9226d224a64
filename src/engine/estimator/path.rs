//! The way to a source and back: how long it takes at least, and how long packets queue on it.

use crate::engine::estimator::Sample;
use crate::engine::estimator::interval::Interval;
use std::collections::VecDeque;

/// Round trips over which the shortest is sought. Long enough to hold a lucky packet, short
/// enough that a new, longer route is believed after some hours.
const DELAY_WINDOW: usize = 128;
/// Median of the sum of two exponential queues, in units of the mean of one.
const MEDIAN: f64 = 1.678;
/// The shortest of n such sums exceeds their minimum by a Rayleigh law with the parameter (mean of one)/√n: its mean
/// would be 1.25 in this unit, its standard deviation 0.66. But it is one unknown for all samples, and a too
/// short interval does more harm than a too long one: a sweep over the scenarios chose these.
const SHORTEST: (f64, f64) = (1.5, 1.0);
/// With few samples their mean queue is not known itself: so many by n more. Chosen so that the errors of
/// estimates from 2 to 8 samples are what their variances say (`tests/engine/honesty.rs`).
const FEW: f64 = 3.0;

/// With fewer packets than this their spread is hardly known: then a part of the round trip is assumed, too, for the
/// first packet the twentieth.
const ASSUMED: (f64, f64) = (8.0, 20.0);
/// Standard deviation of a Gaussian, in units of the median of its absolute value.
const NORMAL: f64 = 1.4826;
/// So many packets in a row that all took so many mean queues longer than the shortest: by chance less than once in 10⁸ packets
/// (more than a burst of six, which must not pass for it). So the packets have another way now.
const NEW_ROUTE: (usize, f64) = (8, 4.0);

/// What is known of a path.
#[derive(Clone, Debug, Default)]
pub(super) struct Path {
    delays: VecDeque<f64>,
    /// The shortest round trip, seconds.
    shortest: f64,
    /// Mean of one of the two queues, seconds.
    queue: f64,
    /// Standard deviation of what queues make an offset wrong by, seconds.
    queueing: f64,
}

impl Path {
    /// A packet had this round trip. Gives whether it shows that the packets have another, longer way now: then what is
    /// known of the old one is forgotten.
    pub(super) fn take(&mut self, delay: f64) -> bool {
        if self.delays.len() == DELAY_WINDOW {
            self.delays.pop_front();
        }
        self.delays.push_back(delay);
        let (count, excess) = NEW_ROUTE;
        let longer = self.shortest + excess * self.queue;
        let rerouted =
            self.delays.len() > 2 * count && self.delays.iter().rev().take(count).all(|d| *d > longer);
        if rerouted {
            // The first of them may have left by the old way and come back by the new one.
            self.delays.drain(..self.delays.len() - (count - 1));
        }
        self.weigh();
        rerouted
    }

    fn weigh(&mut self) {
        self.shortest = self.delays.iter().copied().fold(f64::INFINITY, f64::min);
        let mut excess: Vec<f64> = self.delays.iter().map(|d| d - self.shortest).collect();
        let middle = excess.len() / 2;
        let (_, &mut median, _) = excess.select_nth_unstable_by(middle, f64::total_cmp);
        let n = excess.len() as f64;
        // The mean of all knows more, but a minority of very late packets must not blur the rest.
        let mean = excess.iter().sum::<f64>() / n / 2.0;
        let assumed = if n < ASSUMED.0 { self.shortest / ASSUMED.1 / n } else { 0.0 };
        self.queue = mean.min(median / MEDIAN) + assumed;
        for e in &mut excess {
            *e = (*e - median).abs();
        }
        let (_, &mut spread, _) = excess.select_nth_unstable_by(middle, f64::total_cmp);
        // The sum of two queues varies twice as much as half of their difference does.
        self.queueing = (spread * NORMAL / 2.0 + assumed) * (1.0 + FEW / n);
    }

    /// From how many round trips the way is known.
    pub(super) fn trips(&self) -> usize {
        self.delays.len()
    }

    /// Standard deviation of what queues make an offset wrong by, whatever their law, seconds.
    pub(super) const fn queueing(&self) -> f64 {
        self.queueing
    }

    /// Between which offsets the true one lies by a sample.
    pub(super) fn interval(&self, sample: &Sample) -> Interval {
        let n = self.delays.len().max(1) as f64;
        let scale = self.queue / n.sqrt() * (1.0 + FEW / n);
        let excess = (sample.delay.get() - self.shortest).max(0.0) + SHORTEST.0 * scale;
        let (unsure, reading) = (SHORTEST.1 * scale / 2.0, sample.reading_error.get());
        // A clock is never read better than to 10 ns: that also keeps the blur from being nothing.
        let reading = reading * reading + 1e-16;
        Interval { middle: sample.offset.get(), half: excess / 2.0, blur: unsure * unsure + reading, reading }
    }
}
