//! Whether another process sets the wall clock.
//!
//! Since Linux 3.0 the kernel reports it: a timer of the wall clock with TFD_TIMER_CANCEL_ON_SET becomes readable when the clock is set
//! discontinuously. The size of the step is the change of the difference to the monotonic clock, which is slewed like the
//! wall clock and never set. On older kernels that difference is compared from time to time.
//!
//! While the machine is suspended, the monotonic clock stands still, and CLOCK_BOOTTIME (Linux 2.6.39) goes on with the wall clock: the
//! difference between the two says how long that was. A virtual machine that its host stops, or restores from a copy, does not
//! show that by any clock of its own: there the wall clock is wrong afterwards, and only servers know.
//!
//! The frequency that the kernel applies is the one written last. Another value was written by another program.

use super::clock;
use crate::units::{Ppm, Seconds};
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
/// The machine was suspended for longer than this, or it was not, nanoseconds.
const LEAST_SLEEP: i128 = 1_000_000_000;
/// The kernel keeps a frequency in units of 2^-16 ppm: more than rounding, ppm.
const ANOTHER: f64 = 1e-3;
/// Readings of both clocks, of which the quickest counts: a process may be interrupted between two system calls.
const READINGS: u32 = 5;

/// Watches the wall clock.
#[derive(Debug)]
pub struct ClockWatch {
    timer: Option<TimerFd>,
    /// Wall clock minus monotonic clock, nanoseconds.
    base: Option<i128>,
    /// Time since the machine's start minus monotonic clock, nanoseconds: how long it was suspended in all.
    asleep: Option<i128>,
    /// The frequency as the kernel had it after the last command of ours.
    frequency: Option<Ppm>,
    /// Another program's frequency was reported.
    reported: bool,
}

/// What happened to the clock, and was not our doing.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Happened {
    /// The machine was suspended for so long, and the wall clock went on.
    pub suspended: Option<Seconds>,
    /// The wall clock was set by so much; what it went on by while the machine was suspended does not count.
    pub set: Option<Seconds>,
}

/// A frequency that another program has written.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Overwritten {
    /// The last one of ours.
    pub ours: Ppm,
    /// The other program's.
    pub theirs: Ppm,
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
        let (base, asleep) = (difference(), clock::suspended().ok());
        Self { timer: timer(), base, asleep, frequency: None, reported: false }
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

    /// What happened since the last look.
    pub fn look(&mut self) -> Happened {
        if let Some(timer) = &self.timer {
            // ECANCELED if the clock was set; reading arms the timer again. The size of the step comes from the difference.
            let _nothing_new = timer.wait();
        }
        self.compare(difference(), clock::suspended().ok())
    }

    fn compare(&mut self, difference: Option<i128>, asleep: Option<i128>) -> Happened {
        let seconds = |nanos: i128| Seconds::new(nanos as f64 / 1e9);
        let slept = self.asleep.zip(asleep).map_or(0, |(before, now)| now - before);
        let slept = if slept > LEAST_SLEEP { slept } else { 0 };
        if slept > 0 {
            self.asleep = asleep;
            // What is seen from here on is another program's.
            self.base = self.base.map(|base| base + slept);
        }
        let by = self.base.zip(difference).map_or(0, |(before, now)| now - before);
        let by = if by.abs() < LEAST { 0 } else { by };
        if by != 0 {
            self.base = difference;
        }
        Happened { suspended: (slept > 0).then(|| seconds(slept)), set: (by != 0).then(|| seconds(by)) }
    }

    /// A command of ours was performed: the frequency that the kernel applies now is ours.
    pub fn adjusted(&mut self) {
        self.frequency = clock::frequency().ok();
    }

    /// Another program's frequency in the place of ours, once: two programs that adjust one clock go on doing so.
    pub fn overwritten(&mut self) -> Option<Overwritten> {
        if self.reported || self.frequency.is_none() {
            return None;
        }
        self.differs(clock::frequency().ok()?)
    }

    fn differs(&mut self, theirs: Ppm) -> Option<Overwritten> {
        let ours = self.frequency.filter(|ours| (ours.get() - theirs.get()).abs() > ANOTHER)?;
        self.reported = true;
        Some(Overwritten { ours, theirs })
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
        assert!((0..100).all(|_| watch.look() == Happened::default()));
    }

    #[test]
    fn what_the_difference_grew_by_is_told_once() {
        let mut watch = ClockWatch::new();
        watch.base = watch.base.map(|base| base - 10_000_000_000);
        let by = watch.look().set.unwrap();
        assert!((by.get() - 10.0).abs() < 1e-3, "{by:?}");
        assert_eq!(watch.look(), Happened::default());
        watch.base = watch.base.map(|base| base + 1_000_000_000);
        watch.stepped();
        assert_eq!(watch.look(), Happened::default(), "that was us");
    }

    /// A watch whose clocks are these numbers.
    fn watch() -> ClockWatch {
        ClockWatch { timer: None, base: Some(1_000), asleep: Some(500), frequency: None, reported: false }
    }

    #[test]
    fn a_suspended_machine_is_no_clock_that_was_set() {
        let hour = 3_600_000_000_000;
        let mut watch = watch();
        let slept = watch.compare(Some(1_000 + hour), Some(500 + hour));
        assert_eq!(slept, Happened { suspended: Some(Seconds::new(3600.0)), set: None });
        assert_eq!(watch.compare(Some(1_000 + hour), Some(500 + hour)), Happened::default());
        let both = watch.compare(Some(1_000 + 2 * hour - 5_000_000_000), Some(500 + 2 * hour));
        let set = Some(Seconds::new(-5.0));
        assert_eq!(both, Happened { suspended: Some(Seconds::new(3600.0)), set });
        // A second is no suspension: it is seen as what moved the wall clock.
        let mut watch = super::tests::watch();
        let short = watch.compare(Some(900_001_000), Some(900_000_500));
        assert_eq!(short, Happened { suspended: None, set: Some(Seconds::new(0.9)) });
    }

    #[test]
    fn a_kernel_without_boottime_sees_a_step() {
        let mut watch = ClockWatch { asleep: None, ..watch() };
        let seen = watch.compare(Some(1_000 + 60_000_000_000), None);
        assert_eq!(seen, Happened { suspended: None, set: Some(Seconds::new(60.0)) });
    }

    #[test]
    fn a_frequency_of_another_programs_is_reported_once() {
        let mut watch = ClockWatch { frequency: Some(Ppm::new(12.0)), ..watch() };
        assert_eq!(watch.differs(Ppm::new(12.00002)), None, "rounding");
        let found = watch.differs(Ppm::new(13.5));
        assert_eq!(found, Some(Overwritten { ours: Ppm::new(12.0), theirs: Ppm::new(13.5) }));
        assert_eq!(watch.overwritten(), None);
    }
}
