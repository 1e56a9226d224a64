//! NTP fixed-point time (RFC 5905 section 6).

use super::{Seconds, UNIX_EPOCH};
use std::fmt;
use std::ops::{Add, Sub};

/// 2^32, the number of fraction units in a second.
const FRACTION: f64 = 4_294_967_296.0;

/// A 64-bit NTP timestamp: 32 bits of seconds since the start of the era, 32 bits of fraction
/// (units of 2^-32 s, about 233 ps). It wraps every 136 years; comparisons are by difference.
///
/// # Source
/// RFC 5905 section 6, "NTP timestamp format".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct NtpTimestamp(u64);

impl NtpTimestamp {
    /// The all-zero timestamp, which means "unknown" on the wire.
    pub const ZERO: Self = Self(0);

    /// From the 64 bits of the wire.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The 64 bits of the wire.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// From Unix time: seconds since 1970 (any era, the era is dropped) and nanoseconds
    /// 0..=999_999_999 (larger values carry into the seconds).
    #[must_use]
    pub const fn from_unix(seconds: i64, nanoseconds: u32) -> Self {
        let carry = (nanoseconds / 1_000_000_000) as u64;
        let nanos = (nanoseconds % 1_000_000_000) as u64;
        let whole = (seconds as u64).wrapping_add(UNIX_EPOCH as u64).wrapping_add(carry);
        // Rounded up, so that to_unix (which rounds down) gives the same nanosecond back.
        let fraction = (nanos << 32).div_ceil(1_000_000_000);
        Self((whole << 32).wrapping_add(fraction))
    }

    /// Unix seconds and nanoseconds of the instant with these bits that lies nearest to
    /// `pivot` (Unix seconds): this is what makes the timestamp era-aware.
    #[must_use]
    pub const fn to_unix(self, pivot: i64) -> (i64, u32) {
        let low = (self.0 >> 32) as u32;
        let pivot_low = (pivot as u64).wrapping_add(UNIX_EPOCH as u64) as u32;
        let distance = low.wrapping_sub(pivot_low) as i32 as i64;
        let nanos = ((self.0 & 0xffff_ffff) * 1_000_000_000) >> 32;
        (pivot + distance, nanos as u32)
    }

    /// Whether this is the all-zero "unknown" timestamp.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The whole seconds of the era.
    #[must_use]
    pub const fn era_seconds(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The fraction in units of 2^-32 s.
    #[must_use]
    pub const fn fraction(self) -> u32 {
        self.0 as u32
    }

    /// This instant moved by `by`.
    #[must_use]
    pub fn offset(self, by: Seconds) -> Self {
        self + NtpDuration::from_seconds(by)
    }
}

impl Sub for NtpTimestamp {
    type Output = NtpDuration;
    /// The signed difference, right for instants less than 68 years apart, whatever the era.
    fn sub(self, earlier: Self) -> NtpDuration {
        NtpDuration(self.0.wrapping_sub(earlier.0) as i64)
    }
}

impl Add<NtpDuration> for NtpTimestamp {
    type Output = Self;
    fn add(self, by: NtpDuration) -> Self {
        Self(self.0.wrapping_add(by.0 as u64))
    }
}

impl fmt::Debug for NtpTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}.{:08x}", self.era_seconds(), self.fraction())
    }
}

impl fmt::Display for NtpTimestamp {
    /// As ntpq shows it: `0x` and eight hex digits, a dot, eight hex digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:08x}.{:08x}", self.era_seconds(), self.fraction())
    }
}

/// A signed difference of two timestamps, 32.32 fixed point, ±68 years.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct NtpDuration(i64);

impl NtpDuration {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// From the 64 fixed-point bits.
    #[must_use]
    pub const fn from_bits(bits: i64) -> Self {
        Self(bits)
    }

    /// The 64 fixed-point bits.
    #[must_use]
    pub const fn to_bits(self) -> i64 {
        self.0
    }

    /// From floating seconds; saturates at ±2^31 s, NaN gives zero.
    #[must_use]
    pub fn from_seconds(seconds: Seconds) -> Self {
        Self((seconds.get() * FRACTION).round() as i64)
    }

    /// As floating seconds. Exact for differences up to about 2^20 s.
    #[must_use]
    pub fn to_seconds(self) -> Seconds {
        Seconds::new(self.0 as f64 / FRACTION)
    }
}

/// Root delay and root dispersion on the wire: 16.16 fixed point in steps of 15 µs (RFC 5905 section 6, "NTP short
/// format"). Unsigned, 0 to 65,536 s; ntpd reads the root delay as signed, as it was in RFC 1305.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct NtpShort(u32);

impl NtpShort {
    /// From the 32 bits of the wire.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The 32 bits of the wire.
    #[must_use]
    pub const fn to_bits(self) -> u32 {
        self.0
    }

    /// From floating seconds, rounded up (an error bound must not shrink); negative values and
    /// NaN give zero, values past the range give the largest.
    #[must_use]
    pub fn from_seconds(seconds: Seconds) -> Self {
        Self((seconds.get() * 65_536.0).ceil() as u32)
    }

    /// As floating seconds.
    #[must_use]
    pub fn to_seconds(self) -> Seconds {
        Seconds::new(f64::from(self.0) / 65_536.0)
    }

    /// As floating seconds, where the highest bit is a sign.
    #[must_use]
    pub fn to_signed_seconds(self) -> Seconds {
        Seconds::new(f64::from(self.0.cast_signed()) / 65_536.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unix_round_trip_keeps_every_nanosecond() {
        for nanos in [0, 1, 2, 999, 500_000_000, 999_999_998, 999_999_999] {
            let stamp = NtpTimestamp::from_unix(1_700_000_000, nanos);
            assert_eq!(stamp.to_unix(1_600_000_000), (1_700_000_000, nanos));
        }
    }

    #[test]
    fn era_is_resolved_by_the_pivot() {
        // 2036-02-07 06:28:16 UTC is the first second of era 1.
        let rollover = 2_085_978_496;
        let stamp = NtpTimestamp::from_unix(rollover + 5, 0);
        assert_eq!(stamp.era_seconds(), 5);
        assert_eq!(stamp.to_unix(rollover - 100), (rollover + 5, 0));
        let before = NtpTimestamp::from_unix(rollover - 1, 0);
        assert!(((stamp - before).to_seconds().get() - 6.0).abs() < 1e-9);
    }

    #[test]
    fn wire_values_saturate_instead_of_wrapping() {
        assert_eq!(NtpShort::from_seconds(Seconds::new(-1.0)).to_bits(), 0);
        assert_eq!(NtpShort::from_seconds(Seconds::new(f64::NAN)).to_bits(), 0);
        assert_eq!(NtpShort::from_seconds(Seconds::new(1e9)).to_bits(), u32::MAX);
        assert_eq!(NtpDuration::from_seconds(Seconds::new(1e30)).to_bits(), i64::MAX);
    }

    #[test]
    fn a_root_delay_may_be_negative() {
        let delay = NtpShort::from_bits(0xffff_8000);
        assert!((delay.to_signed_seconds().get() + 0.5).abs() < 1e-9);
        assert!((delay.to_seconds().get() - 65_535.5).abs() < 1e-9);
    }
}
