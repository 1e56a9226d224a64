//! Whether another process sets the wall clock.
//!
//! Since Linux 3.0 the kernel reports it: a timer of the wall clock with TFD_TIMER_CANCEL_ON_SET becomes readable when the clock is set
//! discontinuously. The size of the step is the change of the difference to the monotonic clock, which is slewed like the
//! wall clock and never set. On older kernels that difference is compared from time to time.

use super::clock;
use crate::units::Seconds;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::os::fd::{AsFd, AsRawFd, RawFd};

/// How often to look where the kernel does not report steps.
pub const UNWATCHED_LOOK: Seconds = Seconds::new(60.0);
/// A time of the wall clock that never comes (the year 2242), and that any kernel's clock can hold.
const NEVER: i64 = 1 << 33;
/// The same where C's `time_t` has 32 bits (January 2038).
const NEVER_32: i64 = (1 << 31) - 1;
/// Less is no step, nanoseconds: half of what the engine takes for one.
const LEAST: i128 = 500_000;
/// Readings of both clocks, of which the quickest counts: a process may be interrupted between two system calls.
const READINGS: u32 = 5;

/// Watches the wall clock.
#[derive(Debug)]
pub struct ClockWatch {
    timer: Option<TimerFd>,
    /// Wall clock minus monotonic clock, nanoseconds.
    base: Option<i128>,
}

impl Default for ClockWatch {
    fn default() -> Self {
        Self::new()
    }
}

impl ClockWatch {
    /// Begins to watch.
    #[must_use]
    pub fn new() -> Self {
        Self { timer: timer(), base: difference() }
    }

    /// The descriptor to be watched by edges; [`ClockWatch::look`] when it is ready. `None` where the kernel does not report
    /// steps: then look every [`UNWATCHED_LOOK`].
    #[must_use]
    pub fn raw_fd(&self) -> Option<RawFd> {
        self.timer.as_ref().map(|timer| timer.as_fd().as_raw_fd())
    }

    /// The clock was stepped by ourselves.
    pub fn stepped(&mut self) {
        self.base = difference();
    }

    /// By how much the wall clock was set since the last look.
    pub fn look(&mut self) -> Option<Seconds> {
        if let Some(timer) = &self.timer {
            // ECANCELED if the clock was set; reading arms the timer again. The size of the step comes from the difference.
            let _nothing_new = timer.wait();
        }
        let (before, now) = (self.base?, difference()?);
        let by = now - before;
        if by.abs() < LEAST {
            return None;
        }
        self.base = Some(now);
        Some(Seconds::new(by as f64 / 1e9))
    }
}

fn timer() -> Option<TimerFd> {
    let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
    let timer = TimerFd::new(ClockId::CLOCK_REALTIME, flags).ok()?;
    let narrow = size_of::<nix::libc::time_t>() == 4;
    let never = TimeSpec::new(if narrow { NEVER_32 } else { NEVER } as _, 0);
    let flags = TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET;
    timer.set(Expiration::OneShot(never), flags).ok()?;
    Some(timer)
}

fn difference() -> Option<i128> {
    let readings = (0..READINGS).filter_map(|_| clock::wall_since_mono().ok());
    readings.min_by_key(|(_, took)| *took).map(|(difference, _)| difference)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_only_runs_was_not_set() {
        let mut watch = ClockWatch::new();
        assert!((0..100).all(|_| watch.look().is_none()));
    }

    #[test]
    fn what_the_difference_grew_by_is_told_once() {
        let mut watch = ClockWatch::new();
        watch.base = watch.base.map(|base| base - 10_000_000_000);
        let by = watch.look().unwrap();
        assert!((by.get() - 10.0).abs() < 1e-3, "{by:?}");
        assert_eq!(watch.look(), None);
        watch.base = watch.base.map(|base| base + 1_000_000_000);
        watch.stepped();
        assert_eq!(watch.look(), None, "that was us");
    }
}
