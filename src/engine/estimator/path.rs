//! The path to a source and back: its shortest round trip, and how long packets queue on it.

use crate::engine::estimator::interval::Interval;
use crate::engine::estimator::two_way::Sample;
use std::collections::VecDeque;

/// Round trips over which the shortest is sought. Long enough to hold a lucky packet, short
/// enough that a new, longer route is accepted after some hours.
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
/// The part of packets that are so late, if queues are exponential. Where more are, a run of them must be longer, so that it is no
/// likelier by chance.
const LATE: f64 = 0.0916;
/// Where most packets are late, only the shortest trips show how long the others queue: the sixth part, but not fewer than so
/// many. Their law near zero gives a mean queue; where the mean of all is so many times that (for exponential queues, by chance once in
/// 40,000), so many times it is taken.
const LOW: (usize, usize, f64, f64) = (6, 5, 10.0, 1.5);

/// What is known of a path.
#[derive(Clone, Debug, Default)]
pub(super) struct Path {
    delays: VecDeque<f64>,
    /// The shortest round trip, seconds.
    shortest: f64,
    /// Mean of one of the two queues, seconds.
    queue: f64,
    /// Standard deviation of the queueing noise of an offset, seconds.
    queueing: f64,
}

/// The mean queue by the shortest trips of these: by the law of two exponential queues, s²/2q² of the trips exceed the least by no
/// more than s, if that is not much.
fn low_mean(excess: &mut [f64]) -> f64 {
    let few = (excess.len() / LOW.0).max(LOW.1);
    if few >= excess.len() / 2 {
        return f64::INFINITY;
    }
    let (_, &mut longest, _) = excess.select_nth_unstable_by(few, f64::total_cmp);
    longest / (2.0 * (few + 1) as f64 / excess.len() as f64).sqrt()
}

impl Path {
    /// A packet had this round trip. Returns whether it shows that the packets have another, longer way now: then the old
    /// way is forgotten.
    pub(super) fn take(&mut self, delay: f64) -> bool {
        if self.delays.len() == DELAY_WINDOW {
            self.delays.pop_front();
        }
        self.delays.push_back(delay);
        debug_assert!(delay >= 0.0, "a round trip is not negative: {delay} s");
        debug_assert!(self.delays.len() <= DELAY_WINDOW, "a path keeps no more round trips than its window");
        let (count, excess) = NEW_ROUTE;
        let longer = self.shortest + excess * self.queue;
        let run = self.delays.iter().rev().take_while(|d| **d > longer).count();
        let before = self.delays.len() - run;
        let late =
            self.delays.iter().take(before).filter(|d| **d > longer).count() as f64 / before.max(1) as f64;
        let needed = count as f64 * LATE.ln() / late.clamp(LATE, 0.99).ln();
        let rerouted = self.delays.len() > 2 * count && run as f64 >= needed;
        if rerouted {
            // The first of them may have left by the old way and come back by the new one.
            self.delays.drain(..=before);
        }
        self.weigh();
        rerouted
    }

    fn weigh(&mut self) {
        debug_assert!(!self.delays.is_empty(), "a path is weighed by the round trips that it has");
        self.shortest = self.delays.iter().copied().fold(f64::INFINITY, f64::min);
        let mut excess: Vec<f64> = self.delays.iter().map(|d| d - self.shortest).collect();
        let middle = excess.len() / 2;
        let (_, &mut median, _) = excess.select_nth_unstable_by(middle, f64::total_cmp);
        let n = excess.len() as f64;
        // The mean of all knows more, but a minority of very late packets must not blur the rest.
        let mean = excess.iter().sum::<f64>() / n / 2.0;
        let assumed = if n < ASSUMED.0 { self.shortest / ASSUMED.1 / n } else { 0.0 };
        let usual = mean.min(median / MEDIAN);
        let low = low_mean(&mut excess);
        // Trips that are equal to the last digit do not show it.
        self.queue = if low > 0.0 && usual > LOW.2 * low { LOW.3 * low } else { usual } + assumed;
        for e in &mut excess {
            *e = (*e - median).abs();
        }
        let (_, &mut spread, _) = excess.select_nth_unstable_by(middle, f64::total_cmp);
        // The sum of two queues varies twice as much as half of their difference does.
        self.queueing = (spread * NORMAL / 2.0 + assumed) * (1.0 + FEW / n);
        debug_assert!(self.queue >= 0.0 && self.queueing >= 0.0, "a queue takes no negative time: {self:?}");
    }

    /// From how many round trips the way is known.
    pub(super) fn trips(&self) -> usize {
        self.delays.len()
    }

    /// Standard deviation of the queueing noise of an offset, whatever its law, seconds.
    pub(super) const fn queueing(&self) -> f64 {
        self.queueing
    }

    /// Between which offsets the true one lies by a sample.
    pub(super) fn interval(&self, sample: &Sample) -> Interval {
        let n = self.delays.len().max(1) as f64;
        let scale = self.queue / n.sqrt() * (1.0 + FEW / n);
        let excess = (sample.delay.get() - self.shortest).max(0.0) + SHORTEST.0 * scale;
        let (unsure, reading) = (SHORTEST.1 * scale / 2.0, sample.reading_error.get());
        // Stamps that are cut off make the offset wrong by no more than half of it. A clock is never read better than to 10 ns: that
        // also keeps the blur from being nothing.
        let reading = reading * reading / 12.0 + 1e-16;
        let interval = Interval {
            middle: sample.offset.get(),
            half: excess / 2.0,
            blur: unsure * unsure + reading,
            reading,
        };
        debug_assert!(
            interval.half >= 0.0 && interval.blur >= interval.reading && interval.reading > 0.0,
            "an interval has a width that is not negative, and blurred bounds: {interval:?}"
        );
        interval
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{MonoTime, Seconds};

    fn of(delays: impl IntoIterator<Item = f64>) -> Path {
        let mut path = Path::default();
        for delay in delays {
            path.take(delay);
        }
        path
    }

    /// The interval of a sample with this round trip that measured 5 ms.
    fn interval(path: &Path, delay: f64) -> Interval {
        path.interval(&Sample {
            at: MonoTime::ZERO,
            offset: Seconds::new(5e-3),
            delay: Seconds::new(delay),
            reading_error: Seconds::new(3e-6),
        })
    }

    #[track_caller]
    fn near(got: f64, wanted: f64, relative: f64) {
        assert!((got - wanted).abs() <= relative * wanted.abs(), "{got}, not {wanted}");
    }

    #[test]
    fn nine_round_trips_give_the_interval_that_is_computed_by_hand() {
        // 10 ms to 18 ms: the excesses have the mean 4 ms and the median 4 ms. Half the mean is less than the median over
        // 1.678, so a queue is 2 ms; the shortest is 2 ms/√9·(1 + 3/9) = 8/9 ms from the least, times 1.5, give or take that.
        let path = of((10..19).map(|ms| f64::from(ms) * 1e-3));
        let got = interval(&path, 12e-3);
        assert!((got.middle - 5e-3).abs() < 1e-15);
        near(got.half, (2e-3 + 1.5 * 8e-3 / 9.0) / 2.0, 1e-12);
        near(got.reading, 9e-12 / 12.0 + 1e-16, 1e-12);
        near(got.blur, (8e-3f64 / 9.0 / 2.0).powi(2) + got.reading, 1e-12);
        // Half of it is nothing but the uncertainty of the least, for one that took no longer than the shortest.
        near(interval(&path, 10e-3).half, 1.5 * 8e-3 / 9.0 / 2.0, 1e-12);
        // The median of the distances from the median, 2 ms, for a Gaussian; half of that is the offset's.
        near(path.queueing(), 2e-3 * 1.4826 / 2.0 * (1.0 + 3.0 / 9.0), 1e-12);
    }

    #[test]
    fn exponential_queues_are_measured_by_their_mean() {
        // 127 quantiles of the sum of two exponential queues of 1 ms: 1 − (1 + x)·exp(−x).
        let quantile = |p: f64| {
            let (mut low, mut high) = (0.0, 50.0);
            for _ in 0..100 {
                let x = f64::midpoint(low, high);
                if 1.0 - (1.0 + x) * (-x).exp() < p { low = x } else { high = x }
            }
            low * 1e-3
        };
        // In an order in which the longest do not follow one another.
        let delay = |i: u32| 20e-3 + quantile((f64::from(i * 50 % 127) + 0.5) / 127.0);
        let path = of((0..127).map(delay));
        // The shortest of them is 0.09 ms more than the least.
        near(path.shortest, 20e-3 + quantile(0.5 / 127.0), 1e-12);
        near(path.queue, 1e-3 - quantile(0.5 / 127.0) / 2.0, 0.02);
        // A tenth of the packets a hundred times later: the median holds.
        let late = of((0..127).map(|i| delay(i) + if i % 10 == 9 { 0.1 } else { 0.0 }));
        near(late.queue, 1e-3, 0.15);
    }

    #[test]
    fn the_least_is_that_of_the_last_128() {
        let mut path = of(std::iter::once(10e-3).chain((1..128).map(|_| 12e-3)));
        assert_eq!((path.trips(), path.shortest), (128, 10e-3));
        assert!(!path.take(12e-3));
        assert_eq!((path.trips(), path.shortest), (128, 12e-3));
    }

    #[test]
    fn eight_late_packets_in_a_row_are_another_way() {
        let old = |i: u32| 10e-3 + f64::from(i % 4) * 1e-4;
        let late = |path: &mut Path, n: u32| (0..n).map(|_| path.take(30e-3)).collect::<Vec<bool>>();
        let mut path = of((0..40).map(old));
        assert_eq!(late(&mut path, 7), [false; 7]);
        assert!(!path.take(old(0)), "it is still there");
        assert_eq!(path.shortest, 10e-3);
        // Seven of 48 were late before: ten in a row are as unlikely as eight where 9 % are late.
        let mut run = [false; 10];
        run[9] = true;
        assert_eq!(late(&mut path, 10), run);
        assert_eq!((path.trips(), path.shortest), (9, 30e-3));
        let mut path = of((0..40).map(old));
        assert_eq!(late(&mut path, 8), [false, false, false, false, false, false, false, true]);
        assert_eq!((path.trips(), path.shortest), (7, 30e-3));
        // With hardly more than the late ones themselves it is unknown which of the two ways is the usual one.
        assert_eq!(late(&mut of((0..8).map(old)), 8), [false; 8]);
    }
}
