//! Floating-point seconds and frequency offsets.

use std::fmt;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};

/// How fast the error bound of a time grows, s/s (CLOCK_PHI): no clock is taken to drift more.
pub const PHI: f64 = 15e-6;
/// The error bound of a time that is not known, seconds (MAXDISPERSE).
pub const MAX_DISPERSION: f64 = 16.0;

/// A span of time in seconds, signed, floating point.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug, Default)]
pub struct Seconds(f64);

impl Seconds {
    /// No time at all.
    pub const ZERO: Self = Self(0.0);

    /// `value` seconds.
    #[must_use]
    pub const fn new(value: f64) -> Self {
        Self(value)
    }

    /// `value` milliseconds.
    #[must_use]
    pub const fn from_millis(value: f64) -> Self {
        Self(value * 1e-3)
    }

    /// The number of seconds.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }

    /// The number of milliseconds.
    #[must_use]
    pub const fn millis(self) -> f64 {
        self.0 * 1e3
    }

    /// The magnitude.
    #[must_use]
    pub const fn abs(self) -> Self {
        Self(self.0.abs())
    }

    /// What it is more or less than the nearest whole second: within half a second of zero.
    #[must_use]
    pub fn fraction(self) -> Self {
        Self(self.0 - self.0.round())
    }

    /// The larger of the two (the other one, where one is NaN).
    #[must_use]
    pub const fn max(self, other: Self) -> Self {
        Self(self.0.max(other.0))
    }

    /// The smaller of the two (the other one, where one is NaN).
    #[must_use]
    pub const fn min(self, other: Self) -> Self {
        Self(self.0.min(other.0))
    }
}

impl fmt::Display for Seconds {
    /// Signed, six decimals, with the unit, as ntpd logs offsets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:+.6} s", self.0)
    }
}

impl Add for Seconds {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl AddAssign for Seconds {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Sub for Seconds {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl SubAssign for Seconds {
    fn sub_assign(&mut self, other: Self) {
        self.0 -= other.0;
    }
}

impl Neg for Seconds {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl Mul<f64> for Seconds {
    type Output = Self;
    fn mul(self, factor: f64) -> Self {
        Self(self.0 * factor)
    }
}

impl Div<f64> for Seconds {
    type Output = Self;
    fn div(self, divisor: f64) -> Self {
        Self(self.0 / divisor)
    }
}

/// A frequency offset in parts per million: positive makes the clock run faster.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug, Default)]
pub struct Ppm(f64);

impl Ppm {
    /// The nominal frequency.
    pub const ZERO: Self = Self(0.0);
    /// The largest correction ntpd and the kernel allow, ±500 ppm.
    pub const MAX: Self = Self(500.0);

    /// `value` parts per million.
    #[must_use]
    pub const fn new(value: f64) -> Self {
        Self(value)
    }

    /// From a dimensionless rate (seconds per second).
    #[must_use]
    pub const fn from_rate(rate: f64) -> Self {
        Self(rate * 1e6)
    }

    /// Parts per million.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }

    /// As a dimensionless rate (seconds per second).
    #[must_use]
    pub const fn rate(self) -> f64 {
        self.0 * 1e-6
    }

    /// Limited to ±[`Ppm::MAX`].
    #[must_use]
    pub const fn clamped(self) -> Self {
        Self(self.0.clamp(-500.0, 500.0))
    }
}

impl fmt::Display for Ppm {
    /// Three decimals and the unit, as ntpd logs frequencies.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} PPM", self.0)
    }
}
