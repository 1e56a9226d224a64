//! Monotonic time, for deadlines and intervals.

use super::Seconds;
use std::ops::{Add, Sub};
use std::time::Duration;

/// An instant of the monotonic clock in nanoseconds since an arbitrary start. Stepping the wall
/// clock does not move it; it does not count time spent suspended on kernels without
/// CLOCK_BOOTTIME.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct MonoTime(u64);

impl MonoTime {
    /// The start of the clock.
    pub const ZERO: Self = Self(0);
    /// Later than anything that will happen.
    pub const NEVER: Self = Self(u64::MAX);

    /// `nanos` nanoseconds after the start of the clock.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the start of the clock.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// `earlier` to `self` in seconds; negative if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Seconds {
        self - earlier
    }

    /// The time from `now` until this instant; zero if it has passed.
    #[must_use]
    pub const fn until(self, now: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(now.0))
    }
}

impl Sub for MonoTime {
    type Output = Seconds;
    fn sub(self, earlier: Self) -> Seconds {
        let magnitude = self.0.abs_diff(earlier.0) as f64 * 1e-9;
        Seconds::new(if self >= earlier { magnitude } else { -magnitude })
    }
}

impl Add<Seconds> for MonoTime {
    type Output = Self;
    /// Saturates at the ends of the clock; NaN adds nothing.
    fn add(self, by: Seconds) -> Self {
        let nanos = (by.get().abs() * 1e9).round() as u64;
        if by.get() < 0.0 { Self(self.0.saturating_sub(nanos)) } else { Self(self.0.saturating_add(nanos)) }
    }
}
