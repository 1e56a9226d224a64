//! How finely our clock can be read, as the exchanges show it.
//!
//! The precision is measured once, at the start. If that found a clock coarser than it is (a stopped machine, a faked one), each
//! sample would count as no more precise. A clock with steps of 4 ms makes each round trip a whole number of these: so round trips
//! that differ by less show that the steps are shorter.

use std::collections::VecDeque;

/// Round trips that are compared.
const TRIPS: usize = 16;
/// Two round trips by a clock in steps differ by no step or by a whole one, except for this part of it: while it is slewed, the
/// steps are up to 5.5 ms a second longer or shorter.
const SLEWED: f64 = 1.0 / 64.0;
/// A precision as good as this, log2 seconds (1 µs), is not examined.
const FINE: i8 = -20;

/// What the exchanges have shown.
#[derive(Debug)]
pub(super) struct Resolution {
    /// The last round trips, as the free-running clock would have shown them, seconds.
    trips: VecDeque<f64>,
    /// What an exchange has shown, log2 seconds, and how many were taken since. One may be an accident: it counts when another one
    /// shows the same.
    shown: Option<(i8, usize)>,
}

impl Resolution {
    /// Nothing was shown.
    pub(super) const fn new() -> Self {
        Self { trips: VecDeque::new(), shown: None }
    }

    /// An exchange took `elapsed` by our clock, `free` if that had run free, seconds. Returns the precision that remains of what
    /// was `claimed`, log2 seconds.
    pub(super) fn shown_by(&mut self, elapsed: f64, free: f64, claimed: i8) -> i8 {
        if claimed <= FINE {
            return claimed;
        }
        let step = 2f64.powi(i32::from(claimed));
        let precision = |span: f64| ((span * (1.0 + SLEWED)).log2().ceil() as i8).clamp(FINE, claimed);
        self.shown = self.shown.map(|(shown, age)| (shown, age + 1)).filter(|(_, age)| *age < TRIPS);
        // No trip takes less than a step, but one that takes none.
        let alone = if elapsed > 0.0 { precision(elapsed) } else { claimed };
        let apart =
            |trip: &f64| Some((free - trip).abs()).filter(|d| *d > SLEWED * step).map_or(claimed, precision);
        let finest = self.trips.iter().map(apart).enumerate().min_by_key(|(_, shown)| *shown);
        let (partner, together) = finest.unwrap_or((0, claimed));
        let finest = alone.min(together);
        debug_assert!((FINE..=claimed).contains(&finest), "no exchange makes the precision worse: {finest}");
        if finest == claimed {
            if self.trips.len() == TRIPS {
                self.trips.pop_front();
            }
            self.trips.push_back(free);
            debug_assert!(self.trips.len() <= TRIPS, "no more round trips are compared than are kept");
            return claimed;
        }
        // These trips have had their say.
        if together <= alone {
            self.trips.remove(partner);
        }
        match self.shown.take() {
            Some((before, _)) => finest.max(before).min(claimed),
            None => {
                self.shown = Some((finest, 0));
                claimed
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of a claim when `trips` (seconds) are read by a clock in steps of `step` seconds.
    fn left(claimed: i8, step: f64, trips: impl Iterator<Item = f64>) -> i8 {
        let mut resolution = Resolution::new();
        trips.fold(claimed, |precision, trip| {
            let shown = (trip / step).floor() * step;
            // It is being slewed, sometimes.
            resolution.shown_by(shown, shown * 1.001, precision)
        })
    }

    /// Round trips of `base` and a queue.
    fn trips(base: f64, queue: f64) -> impl Iterator<Item = f64> {
        (0..40u32).map(move |n| base + queue * f64::from(n * 37 % 101) / 101.0)
    }

    #[test]
    fn f10_round_trips_show_that_a_clock_is_finer_than_claimed() {
        for (base, queue) in [(100e-6, 10e-6), (200e-6, 100e-6), (20e-3, 2e-3), (60e-3, 20e-3)] {
            let shown = left(-7, 1e-9, trips(base, queue));
            let fine = shown == FINE || 2f64.powi(i32::from(shown)) <= queue / 16.0;
            assert!(fine, "{base} {queue}: {shown}");
        }
    }

    #[test]
    fn f10_a_coarse_clock_stays_coarse() {
        for (claimed, step) in [(-7, 10e-3), (-8, 4e-3), (-10, 1e-3), (-14, 61e-6)] {
            for (base, queue) in [(100e-6, 10e-6), (5e-3, 1e-3), (20e-3, 2e-3), (60e-3, 20e-3)] {
                assert_eq!(left(claimed, step, trips(base, queue)), claimed, "{step} {base} {queue}");
            }
        }
    }

    #[test]
    fn f10_one_odd_round_trip_shows_nothing() {
        let odd = (0..40u32).map(|n| if n == 7 { 1.3e-3 } else { 4e-3 * f64::from(n % 3) });
        assert_eq!(left(-8, 1e-9, odd), -8);
    }
}
