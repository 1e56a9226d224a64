//! How the clock is moved, and a ledger of all it has been moved by.
//!
//! The kernel gets a frequency, and for the phase single slews of at most 500 µs, one a second,
//! each of which the kernel ends by itself. If the daemon dies, the clock is back at its true
//! frequency within two seconds.

use crate::core::contract::Now;
use crate::units::{MonoTime, Ppm, Seconds};
use std::collections::VecDeque;

/// The kernel slews by no more than this in a second, seconds.
const SLEW_MAX: f64 = 500e-6;
/// A correction decays with about this time constant, seconds: long enough to be smooth, short
/// enough to be over before the next sample.
const SLEW_TIME: f64 = 8.0;
/// The kernel's resolution of a slew, seconds.
const MICRO: f64 = 1e-6;
/// The kernel's resolution of the frequency: ppm in 16.16 fixed point.
const PPM_SCALE: f64 = 65_536.0;

/// A slew on its way: the kernel applies it evenly over one second.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    start: MonoTime,
    amount: f64,
}

/// The ledger.
#[derive(Clone, Debug)]
pub struct Steering {
    frequency: Ppm,
    since: MonoTime,
    settled: f64,
    chunks: VecDeque<Chunk>,
}

impl Steering {
    /// A clock that runs with `frequency` from now on and has not been moved.
    #[must_use]
    pub fn new(now: MonoTime, frequency: Ppm) -> Self {
        Self { frequency: quantised(frequency), since: now, settled: 0.0, chunks: VecDeque::new() }
    }

    /// The frequency in force.
    #[must_use]
    pub const fn frequency(&self) -> Ppm {
        self.frequency
    }

    /// By how much the clock stood ahead of its free-running self at `at`, for moments not long past.
    #[must_use]
    pub fn correction(&self, at: MonoTime) -> f64 {
        let slewed: f64 =
            self.chunks.iter().map(|c| c.amount * at.since(c.start).get().clamp(0.0, 1.0)).sum();
        self.settled + self.frequency.rate() * at.since(self.since).get() + slewed
    }

    /// What slews will still add after `at`.
    fn pending(&self, at: MonoTime) -> f64 {
        self.chunks.iter().map(|c| c.amount * (1.0 - at.since(c.start).get().clamp(0.0, 1.0))).sum()
    }

    /// Takes `frequency` (held to ±500 ppm and the kernel's grid) from now on; gives back what to
    /// tell the kernel, `None` if nothing changes.
    pub fn set_frequency(&mut self, now: MonoTime, frequency: Ppm) -> Option<Ppm> {
        let frequency = quantised(frequency);
        if frequency == self.frequency {
            return None;
        }
        self.settle(now);
        self.frequency = frequency;
        Some(frequency)
    }

    /// The clock was stepped: what was pending is gone.
    pub fn stepped(&mut self, now: MonoTime, by: f64) {
        self.settle(now);
        let done: f64 = self.chunks.iter().map(|c| c.amount * now.since(c.start).get().clamp(0.0, 1.0)).sum();
        self.chunks.clear();
        self.settled += done + by;
    }

    /// The next slew towards a total correction of `target`, in microseconds; `None` when it is as
    /// near as slews can bring it.
    pub fn slew(&mut self, now: Now, target: f64) -> Option<i32> {
        let remaining = self.remaining(now.mono, target);
        if remaining.abs() < MICRO {
            return None;
        }
        let amount = (remaining / SLEW_TIME).clamp(-SLEW_MAX, SLEW_MAX);
        let micros = (amount / MICRO).round() as i32;
        let micros = if micros == 0 { remaining.signum() as i32 } else { micros };
        self.record(now, f64::from(micros) * MICRO);
        Some(micros)
    }

    /// Notes a slew that the kernel begins at its next whole second.
    pub fn record(&mut self, now: Now, amount: f64) {
        self.settle(now.mono);
        let into_second = f64::from(now.wall.fraction()) / 4_294_967_296.0;
        self.chunks.push_back(Chunk { start: now.mono + Seconds::new(1.0 - into_second), amount });
    }

    /// What remains to be slewed to reach `target`.
    #[must_use]
    pub fn remaining(&self, at: MonoTime, target: f64) -> f64 {
        target - self.correction(at) - self.pending(at)
    }

    /// When the next slew should be asked for: the middle of the next second of the wall clock, so
    /// that no two fall into the same one.
    #[must_use]
    pub fn next_tick(now: Now) -> MonoTime {
        let into_second = f64::from(now.wall.fraction()) / 4_294_967_296.0;
        now.mono + Seconds::new(1.5 - into_second)
    }

    /// Moves the ledger's base to `now`; slews long over are folded into it.
    fn settle(&mut self, now: MonoTime) {
        self.settled += self.frequency.rate() * now.since(self.since).get();
        self.since = now;
        while let Some(chunk) = self.chunks.front() {
            if now.since(chunk.start).get() < 64.0 {
                break;
            }
            self.settled += chunk.amount;
            self.chunks.pop_front();
        }
    }
}

/// The nearest frequency that the kernel can be told.
fn quantised(frequency: Ppm) -> Ppm {
    Ppm::new((frequency.clamped().get() * PPM_SCALE).round() / PPM_SCALE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::NtpTimestamp;

    fn at(seconds: f64) -> Now {
        Now {
            mono: MonoTime::ZERO + Seconds::new(seconds),
            wall: NtpTimestamp::from_unix(1_700_000_000, 0).offset(Seconds::new(seconds)),
        }
    }

    #[test]
    fn slews_reach_the_target_without_passing_it() {
        let mut steering = Steering::new(at(0.0).mono, Ppm::ZERO);
        let target = 0.001_234;
        let mut now = at(0.25);
        let mut sum = 0;
        for _ in 0..200 {
            let Some(micros) = steering.slew(now, target) else { break };
            assert!(micros.abs() <= 500);
            sum += micros;
            assert!(steering.correction(now.mono) <= target);
            now = at(Steering::next_tick(now).since(MonoTime::ZERO).get());
        }
        assert_eq!(sum, 1234);
        assert!((steering.correction(at(500.0).mono) - target).abs() < 1.1e-6);
    }

    #[test]
    fn the_ledger_adds_frequency_slews_and_steps() {
        let mut steering = Steering::new(at(0.0).mono, Ppm::new(10.0));
        steering.record(at(99.9), 100e-6);
        assert!((steering.correction(at(100.0).mono) - 1000e-6).abs() < 1e-9);
        assert!((steering.correction(at(100.5).mono) - (1005e-6 + 50e-6)).abs() < 1e-9);
        steering.stepped(at(100.5).mono, 2.0);
        assert!((steering.correction(at(200.5).mono) - (2.0 + 2005e-6 + 50e-6)).abs() < 1e-9);
        assert_eq!(steering.set_frequency(at(200.5).mono, Ppm::new(9999.0)), Some(Ppm::MAX));
        assert_eq!(steering.set_frequency(at(201.5).mono, Ppm::new(500.0)), None);
    }
}
