//! What adjtimex(2) sets and reports of the kernel's clock, for the engine, the shell and the companions.

use super::{Leap, PollExponent, Ppm, Seconds};

/// STA_NANO (linux/timex.h).
const NANO: i32 = 1 << 13;
/// ntpd's names of the status bits, from the lowest.
const FLAGS: [&str; 16] = [
    "pll",
    "ppsfreq",
    "ppstime",
    "fll",
    "ins",
    "del",
    "unsync",
    "freqhold",
    "ppssignal",
    "ppsjitter",
    "ppswander",
    "ppserror",
    "clockerr",
    "nano",
    "mode=fll",
    "src=B",
];

/// How good the clock is, as the kernel shows it to other programs.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ClockStatus {
    /// The leap second to arm; `Unsynchronised` sets STA_UNSYNC.
    pub leap: Leap,
    /// Largest error; from 16 s on the kernel takes the clock for unsynchronized.
    pub max_error: Seconds,
    /// Estimated error.
    pub est_error: Seconds,
    /// The poll exponent, shown as the time constant (the kernel takes 10 at most).
    pub time_constant: PollExponent,
    /// TAI − UTC in seconds, where known.
    pub tai: Option<i32>,
}

/// The kernel's clock.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct KernelClock {
    /// 0 TIME_OK, 1 TIME_INS, 2 TIME_DEL, 3 TIME_OOP, 4 TIME_WAIT, 5 TIME_ERROR.
    pub state: i32,
    /// The time it shows, Unix seconds.
    pub seconds: i64,
    /// The fraction, in nanoseconds where it [counts in these](KernelClock::is_nano), else in
    /// microseconds.
    pub fraction: i64,
    /// What the kernel's own loop has left to correct.
    pub offset: Seconds,
    /// Frequency correction.
    pub frequency: Ppm,
    /// Largest error.
    pub max_error: Seconds,
    /// Estimated error.
    pub est_error: Seconds,
    /// Status bits (STA_*).
    pub status: i32,
    /// Time constant of the kernel's loop.
    pub time_constant: i64,
    /// Precision.
    pub precision: Seconds,
    /// Largest frequency correction.
    pub tolerance: Ppm,
    /// TAI − UTC in seconds.
    pub tai: i32,
    /// What a pulse-per-second line shows, where one is in use.
    pub pps: Option<Pps>,
}

impl KernelClock {
    /// Whether it counts in nanoseconds.
    #[must_use]
    pub const fn is_nano(&self) -> bool {
        self.status & NANO != 0
    }

    /// The status bits that are set, by ntpd's names: `unsync`, `ins`, `nano` …
    pub fn flags(&self) -> impl Iterator<Item = &'static str> {
        let status = self.status;
        FLAGS.into_iter().enumerate().filter(move |(bit, _)| status >> bit & 1 == 1).map(|(_, name)| name)
    }
}

/// The kernel's pulse-per-second loop.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Pps {
    /// Frequency.
    pub frequency: Ppm,
    /// Stability.
    pub stability: Ppm,
    /// Jitter.
    pub jitter: Seconds,
    /// Calibration interval, seconds.
    pub interval: i64,
    /// Calibration intervals.
    pub calibrations: i64,
    /// Calibration errors.
    pub errors: i64,
    /// Times that the jitter was exceeded.
    pub jitter_exceeded: i64,
    /// Times that the stability was exceeded.
    pub stability_exceeded: i64,
}
