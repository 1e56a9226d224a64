//! Time as the kernel and other programs count it: seconds since 1970 and nanoseconds.

use super::date::civil_time;
use super::{NtpTimestamp, Seconds};
use std::fmt;

/// Nanoseconds of a second.
const NANOS: u32 = 1_000_000_000;

/// A Unix time of any era.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct UnixTime {
    seconds: i64,
    nanos: u32,
}

impl UnixTime {
    /// `None` where `nanos` are more than a second has.
    #[must_use]
    pub const fn new(seconds: i64, nanos: u32) -> Option<Self> {
        if nanos < NANOS { Some(Self { seconds, nanos }) } else { None }
    }

    /// The beginning of a second.
    #[must_use]
    pub const fn of_seconds(seconds: i64) -> Self {
        Self { seconds, nanos: 0 }
    }

    /// The whole seconds, negative before 1970.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.seconds
    }

    /// The rest, less than a second.
    #[must_use]
    pub const fn nanos(self) -> u32 {
        self.nanos
    }

    /// Nanoseconds since 1970.
    #[must_use]
    pub const fn total_nanos(self) -> i128 {
        self.seconds as i128 * NANOS as i128 + self.nanos as i128
    }

    /// How long after `other` this is. Nanoseconds are lost only where the two are months apart.
    #[must_use]
    pub const fn since(self, other: Self) -> Seconds {
        Seconds::new((self.total_nanos() - other.total_nanos()) as f64 * 1e-9)
    }

    /// As NTP writes it, which leaves the era out.
    #[must_use]
    pub const fn ntp(self) -> NtpTimestamp {
        NtpTimestamp::from_unix(self.seconds, self.nanos)
    }

    /// What is missing to the nearest whole second: −0.5 to 0.5 s.
    #[must_use]
    pub fn to_nearest_second(self) -> Seconds {
        let nanos = f64::from(self.nanos) * 1e-9;
        Seconds::new(if nanos > 0.5 { 1.0 - nanos } else { -nanos })
    }
}

impl fmt::Display for UnixTime {
    /// As ISO 8601 has it, in UTC: `2026-11-28T07:19:52.005399333Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = civil_time(self.seconds);
        write!(f, "{:04}-{:02}-{:02}T", t.year, t.month, t.day)?;
        write!(f, "{:02}:{:02}:{:02}.{:09}Z", t.hour, t.minute, t.second, self.nanos)
    }
}

/// Another clock, read between two readings of the wall clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bracket {
    /// The wall clock before.
    pub before: UnixTime,
    /// The other clock.
    pub other: UnixTime,
    /// The wall clock after.
    pub after: UnixTime,
}

impl Bracket {
    /// The other clock minus the wall clock, as if it had been read in the middle.
    #[must_use]
    pub const fn offset(&self) -> Seconds {
        let middle = self.before.total_nanos() + self.after.total_nanos();
        Seconds::new((2 * self.other.total_nanos() - middle) as f64 * 0.5e-9)
    }

    /// How long the reading took by the wall clock; negative where that was set back meanwhile.
    #[must_use]
    pub const fn span(&self) -> Seconds {
        self.after.since(self.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64, nanos: u32) -> UnixTime {
        UnixTime::new(seconds, nanos).unwrap()
    }

    #[test]
    fn it_is_written_as_ntpd_writes_it() {
        assert_eq!(at(1_795_850_392, 5_399_333).to_string(), "2026-11-28T07:19:52.005399333Z");
        assert_eq!(at(-1, 0).to_string(), "1969-12-31T23:59:59.000000000Z");
        // Whatever another program writes has a text.
        assert!(!at(i64::MIN, 0).to_string().is_empty() && !at(i64::MAX, 0).to_string().is_empty());
    }

    #[test]
    fn differences_are_exact() {
        assert_eq!(at(5, 3).since(at(5, 1)).get(), 2e-9);
        assert_eq!(at(5, 0).since(at(6, 500_000_000)).get(), -1.5);
        assert!(at(i64::MAX, 0).since(at(i64::MIN, 0)).get() > 1.8e19);
        assert_eq!(UnixTime::new(0, NANOS), None);
        assert_eq!(at(7, 250_000_000).to_nearest_second().get(), -0.25);
        assert_eq!(at(7, 750_000_000).to_nearest_second().get(), 0.25);
        assert_eq!(at(7, 500_000_000).to_nearest_second().get(), -0.5);
    }
}
