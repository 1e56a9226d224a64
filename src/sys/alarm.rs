//! A timer that is set when its time changes, and not for each sleep (timerfd, Linux 2.6.25).
//!
//! It gains something only where there are many sleeps until the same time, and is not used else.

use crate::units::MonoTime;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};

/// Sleeps until the same time from which it gains something.
const MANY: u32 = 16;

/// Becomes readable at a time of the monotonic clock.
#[derive(Debug)]
pub struct Alarm {
    timer: TimerFd,
    set: Option<MonoTime>,
    /// The time asked for last, and how often it was.
    asked: (Option<MonoTime>, u32),
}

impl Alarm {
    /// An alarm that is not set.
    ///
    /// # Errors
    /// Of timerfd_create, where there is none.
    pub fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        Ok(Self { timer: TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?, set: None, asked: (None, 0) })
    }

    /// The descriptor to be watched, by edges: it is never read.
    #[must_use]
    pub fn raw_fd(&self) -> RawFd {
        self.timer.as_fd().as_raw_fd()
    }

    /// Sees to it that the alarm goes off at this time, at once if it is past, or never; false where that
    /// is not worth it. Costs nothing where that is its time already.
    ///
    /// # Errors
    /// Of timerfd_settime.
    pub fn takes(&mut self, at: Option<MonoTime>) -> io::Result<bool> {
        self.asked = (at, if self.asked.0 == at { self.asked.1.saturating_add(1) } else { 0 });
        if self.set != at && self.asked.1 >= MANY {
            self.set(at)?;
        }
        Ok(self.set == at)
    }

    fn set(&mut self, at: Option<MonoTime>) -> io::Result<()> {
        match at {
            // Zero would mean none.
            Some(at) if at < MonoTime::NEVER => {
                let nanos = at.as_nanos().max(1);
                let spec = TimeSpec::new((nanos / 1_000_000_000) as _, (nanos % 1_000_000_000) as _);
                self.timer.set(Expiration::OneShot(spec), TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
            }
            _ => self.timer.unset()?,
        }
        self.set = at;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock;
    use crate::units::Seconds;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    #[test]
    fn it_goes_off_at_its_time_again_and_again_unread() {
        let mut alarm = Alarm::new().unwrap();
        let ready = |alarm: &Alarm, millis: u16| {
            let mut fds = [PollFd::new(alarm.timer.as_fd(), PollFlags::POLLIN)];
            poll(&mut fds, PollTimeout::from(millis)).unwrap() == 1
        };
        assert!(!ready(&alarm, 0));
        let soon = Some(clock::mono() + Seconds::new(0.02));
        assert!((0..MANY).all(|_| !alarm.takes(soon).unwrap()), "few sleeps");
        assert!(alarm.takes(soon).unwrap() && alarm.takes(soon).unwrap() && ready(&alarm, 5_000));
        for _ in 0..2 {
            let at = clock::mono() + Seconds::new(0.02);
            alarm.set(Some(at)).unwrap();
            assert!(!ready(&alarm, 0), "it is new with every time");
            assert!(ready(&alarm, 5_000) && clock::mono() >= at);
        }
        alarm.set(Some(MonoTime::from_nanos(0))).unwrap();
        assert!(ready(&alarm, 0));
        alarm.set(None).unwrap();
        assert!(!ready(&alarm, 30));
    }
}
