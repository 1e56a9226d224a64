//! The kernel's clocks: reading them, and adjusting the wall clock with adjtimex(2).
//!
//! The kernel gets the frequency, single shots and the status. The kernel PLL gets large phases only, with the
//! frequency held: it slews them out and ends by itself. So nothing here needs a second call to end what it began.

use crate::units::{
    ClockStatus, KernelClock, Leap, MonoTime, NtpTimestamp, PollExponent, Ppm, Pps, Seconds, UnixTime,
};
use nix::errno::Errno;
use nix::libc::{self, c_int, c_long, timex};
use nix::time::{ClockId, clock_getres, clock_gettime, clock_settime};
use std::io;

/// The kernel's scaled ppm: 2^16 units for one part per million.
const SCALED_PPM: f64 = 65_536.0;
/// Microseconds in a second.
const MICROS: f64 = 1e6;
/// From this error bound on (µs) the kernel sets STA_UNSYNC by itself (NTP_PHASE_LIMIT).
const MAX_ERROR_MICROS: f64 = 16e6;
/// The largest time constant the kernel takes.
const MAX_TIME_CONSTANT: c_long = 10;
/// What the kernel adds to a time constant while STA_NANO is off.
const MICRO_TIME_CONSTANT: c_long = 4;
/// Of the status bits, those that we set.
const SETTABLE: c_int = libc::STA_INS | libc::STA_DEL | libc::STA_UNSYNC;
/// The largest phase that the kernel PLL accepts (ns; MAXPHASE).
const MAX_PHASE: i32 = 500_000_000;
/// The remaining phase that the kernel PLL reports may be off by this much (ns).
const ROUNDED: u64 = 2000;
/// A precision that is no better (4 ms, a tick of 250 Hz) is measured again, so often.
const COARSE: i8 = -8;
const PRECISION_TRIES: u32 = 3;
/// The resolution that the kernel reports is a promise only: none below this counts (1 µs).
const FINE: i8 = -20;
/// Readings of the clock from which the precision is taken.
const PRECISION_READINGS: u32 = 200;

/// CLOCK_MONOTONIC: not moved by steps of the wall clock.
#[must_use]
pub fn mono() -> MonoTime {
    // This clock exists on every Linux; a failure would leave time standing still, not panic.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(MonoTime::ZERO, |t| {
        MonoTime::from_nanos(t.tv_sec().unsigned_abs() * 1_000_000_000 + t.tv_nsec().unsigned_abs())
    })
}

/// How long the machine was suspended since its start, nanoseconds: CLOCK_BOOTTIME minus CLOCK_MONOTONIC.
///
/// # Errors
/// `EINVAL` before Linux 2.6.39.
pub fn suspended() -> io::Result<i128> {
    let mono = read_nanos(ClockId::CLOCK_MONOTONIC)?;
    Ok(read_nanos(ClockId::CLOCK_BOOTTIME)? - mono)
}

/// CLOCK_REALTIME: the clock that is disciplined.
#[must_use]
pub fn wall() -> NtpTimestamp {
    clock_gettime(ClockId::CLOCK_REALTIME)
        .map_or(NtpTimestamp::ZERO, |t| NtpTimestamp::from_unix(t.tv_sec(), t.tv_nsec() as u32))
}

/// CLOCK_REALTIME as Unix time, of any era: seconds, negative before 1970, and nanoseconds.
#[must_use]
pub fn unix() -> (i64, u32) {
    clock_gettime(ClockId::CLOCK_REALTIME).map_or((0, 0), |t| (t.tv_sec(), t.tv_nsec() as u32))
}

/// CLOCK_REALTIME as Unix time, of any era.
#[must_use]
pub fn unix_time() -> UnixTime {
    let (seconds, nanos) = unix();
    UnixTime::new(seconds, nanos).unwrap_or_else(|| UnixTime::of_seconds(seconds))
}

/// How finely the wall clock can be read, log2 seconds: the smallest step between successive
/// readings that differ, rounded down in magnitude as ntpd does (−24 stands for 60 ns).
///
/// The error of each reading is taken from it, so it must not be coarser than the clock is. A machine that was stopped meanwhile, a
/// clock that stands still while nothing happens, a reading that takes long: all make it look coarse. So a coarse result is
/// measured again, and none is coarser than the resolution that the kernel reports.
#[must_use]
pub fn precision() -> i8 {
    let reported = clock_getres(ClockId::CLOCK_REALTIME).ok();
    let reported = reported.filter(|r| r.tv_sec() == 0 && r.tv_nsec() > 0);
    precision_of(wall, reported.map(|r| Seconds::new(r.tv_nsec() as f64 * 1e-9)))
}

fn precision_of(mut read: impl FnMut() -> NtpTimestamp, reported: Option<Seconds>) -> i8 {
    let mut measured = (0..PRECISION_TRIES).map(|_| measured_precision(&mut read));
    let measured = measured.find(|p| *p < COARSE).unwrap_or(COARSE);
    let reported = reported.map_or(COARSE, |r| r.get().log2().ceil() as i8);
    measured.min(reported.max(FINE))
}

fn measured_precision(read: &mut impl FnMut() -> NtpTimestamp) -> i8 {
    let mut smallest = Seconds::new(0.01);
    let mut before = read();
    for _ in 0..PRECISION_READINGS {
        let now = read();
        let step = (now - before).to_seconds();
        if step > Seconds::ZERO {
            smallest = smallest.min(step);
        }
        before = now;
    }
    (smallest.get().log2().round() as i8).clamp(-30, -6)
}

/// Whether the kernel lets us adjust the clock: tries to set the frequency it already has.
#[must_use]
pub fn can_steer() -> bool {
    let mut t = blank();
    if adjtimex(&mut t).is_err() {
        return false;
    }
    t.modes = libc::ADJ_FREQUENCY;
    adjtimex(&mut t).is_ok()
}

/// Takes over the clock: drops the phase that an earlier program left to the kernel PLL and to a single shot,
/// and switches the PLL off. The frequency stays. The clock counts as unsynchronised until [`set_status`].
///
/// # Errors
/// What adjtimex says: `PermissionDenied` without CAP_SYS_TIME.
pub fn take_over() -> io::Result<()> {
    drop_single_shot()?;
    // The kernel accepts a phase offset only while the PLL is on, and goes on slewing an old one
    // when the PLL is switched off: so it is set to zero first.
    let mut t = blank();
    t.modes = libc::ADJ_STATUS | libc::ADJ_OFFSET;
    t.status = libc::STA_PLL | libc::STA_UNSYNC;
    adjtimex(&mut t)?;
    let mut t = blank();
    t.modes = libc::ADJ_STATUS;
    t.status = libc::STA_UNSYNC;
    adjtimex(&mut t).map(drop)
}

/// The frequency correction the kernel applies now.
///
/// # Errors
/// What adjtimex says.
pub fn frequency() -> io::Result<Ppm> {
    let mut t = blank();
    adjtimex(&mut t)?;
    Ok(Ppm::new(t.freq as f64 / SCALED_PPM))
}

/// C's `long`, which has 32 bits on some machines.
fn wide(value: impl Into<i64>) -> i64 {
    value.into()
}

/// Reads the state of the kernel's clock; it needs no privilege.
///
/// # Errors
/// What adjtimex says.
pub fn state() -> io::Result<KernelClock> {
    let mut t = blank();
    let state = adjtimex(&mut t)?;
    let ppm = |scaled: c_long| Ppm::new(scaled as f64 / SCALED_PPM);
    let micros = |value: c_long| Seconds::new(value as f64 / MICROS);
    // These are in nanoseconds while STA_NANO is on.
    let fine = if t.status & libc::STA_NANO != 0 { MICROS * 1e3 } else { MICROS };
    let pps = (t.shift != 0).then(|| Pps {
        frequency: ppm(t.ppsfreq),
        stability: ppm(t.stabil),
        jitter: Seconds::new(t.jitter as f64 / fine),
        interval: 1i64.checked_shl(t.shift.unsigned_abs()).unwrap_or(0),
        calibrations: wide(t.calcnt),
        errors: wide(t.errcnt),
        jitter_exceeded: wide(t.jitcnt),
        stability_exceeded: wide(t.stbcnt),
    });
    Ok(KernelClock {
        state,
        seconds: wide(t.time.tv_sec),
        fraction: wide(t.time.tv_usec),
        offset: Seconds::new(t.offset as f64 / fine),
        frequency: ppm(t.freq),
        max_error: micros(t.maxerror),
        est_error: micros(t.esterror),
        status: t.status,
        time_constant: wide(t.constant),
        // In microseconds always.
        precision: micros(t.precision),
        tolerance: ppm(t.tolerance),
        tai: t.tai,
        pps,
    })
}

/// Sets the frequency correction, limited to ±500 ppm.
///
/// # Errors
/// What adjtimex says: `PermissionDenied` without CAP_SYS_TIME.
pub fn set_frequency(frequency: Ppm) -> io::Result<()> {
    let mut t = blank();
    t.modes = libc::ADJ_FREQUENCY;
    t.freq = (frequency.clamped().get() * SCALED_PPM).round() as c_long;
    adjtimex(&mut t).map(drop)
}

/// Slews by `micros` microseconds in addition to what an earlier slew has left. The kernel slews
/// at 500 µs a second and ends by itself.
///
/// # Errors
/// What adjtimex says: `PermissionDenied` without CAP_SYS_TIME.
pub fn slew(micros: i32) -> io::Result<()> {
    let mut t = blank();
    t.modes = libc::ADJ_OFFSET_SS_READ;
    // Kernels before 2.6.28 do not report it: then an unfinished slew is replaced.
    let left = if adjtimex(&mut t).is_ok() { t.offset } else { 0 };
    let mut t = blank();
    t.modes = libc::ADJ_OFFSET_SINGLESHOT;
    t.offset = left.saturating_add(c_long::from(micros));
    adjtimex(&mut t).map(drop)
}

/// Has the kernel PLL slew `phase` nanoseconds: in each second of the wall clock a quarter of the remainder,
/// evenly over that second. It replaces what the PLL has left, which must be `left`; zero ends it.
///
/// It is Linux's PLL if its replies are Linux's: nanoseconds can be chosen, the remainder is right, the
/// frequency is not touched.
///
/// # Errors
/// What adjtimex says: `PermissionDenied` without CAP_SYS_TIME. `Unsupported` if the PLL behaves otherwise: then
/// it has no phase left.
pub fn pll_slew(phase: i32, left: i32) -> io::Result<()> {
    let mut before = blank();
    before.modes = libc::ADJ_NANO;
    adjtimex(&mut before).map_err(|e| match e.raw_os_error() {
        Some(libc::EPERM) => e,
        _ => io::ErrorKind::Unsupported.into(),
    })?;
    let wanted = phase.clamp(-MAX_PHASE, MAX_PHASE);
    if before.status & libc::STA_NANO != 0
        && same_nanos(before.offset, left)
        && let Ok(after) = set_pll(c_long::from(wanted), before.status)
        && same_nanos(after.offset, wanted)
        && after.freq == before.freq
    {
        return Ok(());
    }
    // Not Linux's PLL: it may refuse even this.
    let _ = set_pll(0, before.status);
    let mut t = blank();
    t.modes = libc::ADJ_FREQUENCY;
    t.freq = before.freq;
    adjtimex(&mut t)?;
    Err(io::ErrorKind::Unsupported.into())
}

/// Gives the kernel PLL this phase (nanoseconds) and the shortest time constant, and returns its state after that.
/// It accepts a phase only while it is on, and goes on slewing when it no longer is: so it is on for a moment.
/// Of `status`, the leap and unsynchronised bits stay.
fn set_pll(offset: c_long, status: c_int) -> io::Result<timex> {
    let status = status & SETTABLE;
    let mut given = blank();
    given.modes = libc::ADJ_STATUS | libc::ADJ_NANO | libc::ADJ_TIMECONST | libc::ADJ_OFFSET;
    given.status = status | libc::STA_PLL | libc::STA_FREQHOLD;
    given.offset = offset;
    let result = adjtimex(&mut given);
    // Linux clears STA_NANO as the PLL is switched off, but no documentation promises it.
    let mut t = blank();
    t.modes = libc::ADJ_STATUS | libc::ADJ_MICRO;
    t.status = status;
    adjtimex(&mut t)?;
    result.map(|_| given)
}

/// Whether both remainders are the same: the kernel rounds, and so do we.
fn same_nanos(kernels: c_long, ours: i32) -> bool {
    wide(kernels).abs_diff(i64::from(ours)) <= ROUNDED
}

/// Ends a slew that is under way.
///
/// # Errors
/// What adjtimex says: `PermissionDenied` without CAP_SYS_TIME.
pub fn drop_single_shot() -> io::Result<()> {
    let mut t = blank();
    t.modes = libc::ADJ_OFFSET_SINGLESHOT;
    adjtimex(&mut t).map(drop)
}

/// Moves the wall clock by `by` at once and drops what a slew has left.
///
/// # Errors
/// What adjtimex or clock_settime says; `InvalidInput` for a time the kernel's clock cannot hold.
pub fn step(by: Seconds) -> io::Result<()> {
    drop_single_shot()?;
    let mut now = blank();
    adjtimex(&mut now)?;
    if now.offset != 0 {
        set_pll(0, now.status)?;
    }
    let before = wall_minus_mono()?;
    let mut t = blank();
    t.modes = libc::ADJ_SETOFFSET;
    (t.time.tv_sec, t.time.tv_usec) = split_micros(by);
    let result = adjtimex(&mut t);
    // Linux before 2.6.39 ignores the mode and reports success: look whether the clock moved.
    let moved = wall_minus_mono()? - before;
    match result {
        Err(e) if e.raw_os_error() == Some(libc::EPERM) => Err(e),
        Ok(_) if (moved - nanos(by)).abs() < nanos(by).abs() / 2 => Ok(()),
        _ => step_by_setting(by),
    }
}

/// Sets the kernel's error bounds and status. The kernel PLL and PPS stay off: only the unsynchronised and leap
/// bits are ever set.
///
/// # Errors
/// What adjtimex says: `PermissionDenied` without CAP_SYS_TIME.
pub fn set_status(status: &ClockStatus) -> io::Result<()> {
    let mut now = blank();
    adjtimex(&mut now)?;
    let mut t = blank();
    t.modes = libc::ADJ_STATUS | libc::ADJ_MAXERROR | libc::ADJ_ESTERROR;
    // While the PLL slews, the time constant is its pace.
    if now.offset == 0 {
        t.modes |= libc::ADJ_TIMECONST;
    }
    t.status = status_bits(status.leap);
    t.maxerror = error_micros(status.max_error);
    t.esterror = error_micros(status.est_error);
    t.constant = time_constant(status.time_constant, now.status);
    adjtimex(&mut t)?;
    match status.tai {
        // ADJ_TAI reads the same field as ADJ_TIMECONST, so it needs a call of its own.
        Some(tai) if tai != now.tai => {
            let mut t = blank();
            t.modes = libc::ADJ_TAI;
            t.constant = c_long::from(tai);
            adjtimex(&mut t).map(drop)
        }
        _ => Ok(()),
    }
}

fn status_bits(leap: Leap) -> c_int {
    match leap {
        Leap::None => 0,
        Leap::Insert => libc::STA_INS,
        Leap::Delete => libc::STA_DEL,
        Leap::Unsynchronised => libc::STA_UNSYNC,
    }
}

/// Rounded up: an error bound must not shrink. In microseconds whatever STA_NANO says.
fn error_micros(error: Seconds) -> c_long {
    (error.get() * MICROS).ceil().clamp(0.0, MAX_ERROR_MICROS) as c_long
}

/// By the status bits of the kernel: in microsecond mode the time constant counts from another exponent.
fn time_constant(poll: PollExponent, status: c_int) -> c_long {
    let exponent = c_long::from(poll.get()).min(MAX_TIME_CONSTANT);
    if status & libc::STA_NANO == 0 { (exponent - MICRO_TIME_CONSTANT).max(0) } else { exponent }
}

/// Whole seconds and 0..1,000,000 microseconds, rounded to the nearest.
fn split_micros(by: Seconds) -> (i64, i64) {
    let micros = (by.get() * MICROS).round() as i64;
    (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000))
}

fn nanos(by: Seconds) -> i128 {
    (by.get() * 1e9).round() as i128
}

fn read_nanos(clock: ClockId) -> io::Result<i128> {
    let t = clock_gettime(clock)?;
    Ok(i128::from(t.tv_sec()) * 1_000_000_000 + i128::from(t.tv_nsec()))
}

/// The wall clock minus the monotonic one, in nanoseconds, and how long reading both took. It changes only when the wall clock is
/// set, when a leap second is inserted, and when the machine was suspended: both are slewed alike.
pub(super) fn wall_since_mono() -> io::Result<(i128, i128)> {
    let before = read_nanos(ClockId::CLOCK_MONOTONIC)?;
    let wall = read_nanos(ClockId::CLOCK_REALTIME)?;
    let after = read_nanos(ClockId::CLOCK_MONOTONIC)?;
    Ok((wall - before.midpoint(after), after - before))
}

fn wall_minus_mono() -> io::Result<i128> {
    Ok(read_nanos(ClockId::CLOCK_REALTIME)? - read_nanos(ClockId::CLOCK_MONOTONIC)?)
}

fn step_by_setting(by: Seconds) -> io::Result<()> {
    let target = read_nanos(ClockId::CLOCK_REALTIME)? + nanos(by);
    let seconds = i64::try_from(target.div_euclid(1_000_000_000))
        .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let fraction = target.rem_euclid(1_000_000_000) as i64;
    Ok(clock_settime(ClockId::CLOCK_REALTIME, nix::sys::time::TimeSpec::new(seconds, fraction))?)
}

pub(super) fn blank() -> timex {
    // SAFETY: `timex` is a C structure of integers; all of them zero is a valid value, and means
    // "change nothing" (`modes` 0).
    #[allow(unsafe_code)]
    unsafe {
        std::mem::zeroed()
    }
}

/// The system call. Its result is the state of leap seconds, TIME_OK and so on.
pub(super) fn adjtimex(t: &mut timex) -> io::Result<c_int> {
    // SAFETY: `t` is a valid, exclusively borrowed structure; the kernel reads and writes it
    // during the call only.
    #[allow(unsafe_code)]
    let state = unsafe { libc::adjtimex(t) };
    Ok(Errno::result(state)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_run() {
        let (m, w) = (mono(), wall());
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert!(mono() > m);
        assert!(((wall() - w).to_seconds().get() - 0.002).abs() < 1.0);
        assert!((-30..=-6).contains(&precision()));
    }

    /// A clock whose steps are `steps(n)` seconds at its nth reading.
    fn stepping(steps: impl Fn(u32) -> f64) -> impl FnMut() -> NtpTimestamp {
        let (mut n, mut shown) = (0, 0.0);
        move || {
            n += 1;
            shown += steps(n);
            NtpTimestamp::from_unix(1_700_000_000, 0).offset(Seconds::new(shown))
        }
    }

    #[test]
    fn f10_a_clock_that_looks_coarse_at_first_is_measured_again() {
        let fine = Some(Seconds::new(1e-9));
        let late = |n| if n <= 2 * (PRECISION_READINGS + 1) { 8e-3 } else { 60e-9 };
        assert_eq!(precision_of(stepping(late), None), -24);
        assert_eq!(precision_of(stepping(late), fine), -24);
        // It stands still, or each reading takes a millisecond: the kernel knows better.
        assert_eq!(precision_of(stepping(|_| 0.0), fine), FINE);
        assert_eq!(precision_of(stepping(|_| 1e-3), fine), FINE);
        // Nothing shows that it is fine.
        let ticks = |n: u32| if n.is_multiple_of(9) { 4e-3 } else { 0.0 };
        assert_eq!(precision_of(stepping(ticks), Some(Seconds::new(4e-3))), COARSE);
        assert_eq!(precision_of(stepping(|_| 0.0), None), COARSE);
        assert_eq!(precision_of(stepping(|_| 1e-3), Some(Seconds::new(4e-3))), -10);
    }

    #[test]
    fn the_state_is_the_kernels() {
        let state = state().unwrap();
        assert_eq!(state.tolerance, Ppm::new(500.0));
        assert!(state.frequency.get().abs() <= 500.0 && state.max_error >= Seconds::ZERO);
        assert!(state.precision > Seconds::ZERO && state.precision < Seconds::new(0.1));
    }

    #[test]
    fn negative_steps_have_a_positive_fraction() {
        assert_eq!(split_micros(Seconds::new(-0.25)), (-1, 750_000));
        assert_eq!(split_micros(Seconds::new(1.5)), (1, 500_000));
        assert_eq!(split_micros(Seconds::new(-2.0)), (-2, 0));
    }

    #[test]
    fn error_bounds_are_whole_microseconds_within_the_kernels_range() {
        assert_eq!(error_micros(Seconds::new(0.000_001_2)), 2);
        assert_eq!(error_micros(Seconds::new(-1.0)), 0);
        assert_eq!(error_micros(Seconds::new(f64::NAN)), 0);
        assert_eq!(error_micros(Seconds::new(1e9)), 16_000_000);
    }

    #[test]
    fn only_leap_and_unsynchronised_bits_are_set() {
        assert_eq!(status_bits(Leap::None), 0);
        assert_eq!(status_bits(Leap::Insert), libc::STA_INS);
        assert_eq!(status_bits(Leap::Delete), libc::STA_DEL);
        assert_eq!(status_bits(Leap::Unsynchronised), libc::STA_UNSYNC);
    }

    #[test]
    fn what_the_loop_has_left_may_be_rounded() {
        assert!(same_nanos(-7_125_000, -7_125_000) && same_nanos(7_126_999, 7_125_000) && same_nanos(0, 0));
        assert!(
            !same_nanos(7125, 7_125_000) && !same_nanos(7_122_000, 7_125_000) && !same_nanos(0, 7_125_000)
        );
        assert!(!same_nanos(c_long::MIN, i32::MAX));
    }

    #[test]
    fn the_time_constant_reads_back_as_the_poll() {
        assert_eq!(time_constant(PollExponent::new(6), libc::STA_NANO), 6);
        assert_eq!(time_constant(PollExponent::new(6), 0), 2);
        assert_eq!(time_constant(PollExponent::new(3), 0), 0);
        assert_eq!(time_constant(PollExponent::new(17), libc::STA_NANO), 10);
    }
}
