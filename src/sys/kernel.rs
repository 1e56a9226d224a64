//! The state of the kernel's clock, as adjtimex(2) tells it to anybody.

use super::clock::{adjtimex, blank};
use nix::libc;
use std::io;

/// What the kernel tells.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct KernelClock {
    /// 0 TIME_OK, 1 TIME_INS, 2 TIME_DEL, 3 TIME_OOP, 4 TIME_WAIT, 5 TIME_ERROR.
    pub state: i32,
    /// Unix seconds.
    pub seconds: i64,
    /// The fraction in nanoseconds, or in microseconds without `nano`.
    pub fraction: i64,
    /// Whether the kernel counts in nanoseconds (STA_NANO).
    pub nano: bool,
    /// What is left to correct, nanoseconds.
    pub offset: f64,
    /// The frequency correction, ppm.
    pub frequency: f64,
    /// Largest error, µs.
    pub max_error: i64,
    /// Estimated error, µs.
    pub est_error: i64,
    /// Status bits (STA_*).
    pub status: i32,
    /// Time constant of the kernel's loop.
    pub constant: i64,
    /// Precision of the clock, µs.
    pub precision: i64,
    /// Largest frequency correction, ppm.
    pub tolerance: f64,
    /// TAI − UTC in seconds.
    pub tai: i32,
    /// PPS: frequency in ppm, stability in ppm, jitter in ns; log2 of the calibration interval; and
    /// counts of intervals, and of exceeded jitter, stability and other errors.
    pub pps: Pps,
}

/// The PPS line's part.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Pps {
    /// ppm.
    pub frequency: f64,
    /// ppm.
    pub stability: f64,
    /// Nanoseconds.
    pub jitter: f64,
    /// log2 seconds.
    pub shift: i32,
    /// Intervals so far.
    pub intervals: i64,
    /// How often the jitter was too large.
    pub jitter_exceeded: i64,
    /// How often the frequency wandered too far.
    pub stability_exceeded: i64,
    /// Other errors.
    pub errors: i64,
}

impl KernelClock {
    /// Reads it.
    ///
    /// # Errors
    /// What adjtimex says.
    pub fn read() -> io::Result<Self> {
        const SCALED_PPM: f64 = 65_536.0;
        let mut t = blank();
        let state = adjtimex(&mut t)?;
        let nano = t.status & libc::STA_NANO != 0;
        let unit = if nano { 1.0 } else { 1000.0 };
        Ok(Self {
            state,
            seconds: t.time.tv_sec,
            fraction: t.time.tv_usec,
            nano,
            offset: t.offset as f64 * unit,
            frequency: t.freq as f64 / SCALED_PPM,
            max_error: t.maxerror,
            est_error: t.esterror,
            status: t.status,
            constant: t.constant,
            precision: t.precision,
            tolerance: t.tolerance as f64 / SCALED_PPM,
            tai: t.tai,
            pps: Pps {
                frequency: t.ppsfreq as f64 / SCALED_PPM,
                stability: t.stabil as f64 / SCALED_PPM,
                jitter: t.jitter as f64 * unit,
                shift: t.shift,
                intervals: t.calcnt,
                jitter_exceeded: t.jitcnt,
                stability_exceeded: t.stbcnt,
                errors: t.errcnt,
            },
        })
    }
}
