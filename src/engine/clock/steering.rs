//! How the clock is adjusted, and a ledger of all corrections.
//!
//! The kernel gets a frequency, and for the phase single shots of at most 500 µs, one a second,
//! each of which the kernel ends by itself. A large phase goes to the kernel PLL as well, which slews a quarter
//! of the remainder each second ("PLL slew"). If the daemon dies, either ends by itself at the phase
//! that it was meant to reach, and the clock is at its true frequency.

use crate::engine::contract::Now;
use crate::engine::timers::{Timer, Timers};
use crate::units::{MonoTime, Ppm, Seconds};
use std::collections::VecDeque;

/// Whether the kernel PLL may be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KernelPll {
    /// It may.
    Allowed,
    /// It may not (`disable kernel`, or it works otherwise than Linux's): single shots must do.
    Forbidden,
}

impl KernelPll {
    /// Allowed where it was and `also` holds.
    pub(super) fn only_if(self, also: impl FnOnce() -> bool) -> Self {
        if self == Self::Allowed && also() { Self::Allowed } else { Self::Forbidden }
    }
}

/// The kernel slews by no more than this in a second, seconds.
const SLEW_MAX: f64 = 500e-6;
/// A correction decays with about this time constant, seconds: long enough to be smooth, short
/// enough to be over before the next sample.
const SLEW_TIME: f64 = 8.0;
/// A correction that is significant (by so many standard errors) is made as soon as the kernel can.
const CERTAIN: f64 = 10.0;
/// The kernel's resolution of a slew, seconds.
const MICRO: f64 = 1e-6;
/// Less is no slew, seconds: 1 µs would leave about as much on the other side, and be taken back.
const NEAR: f64 = 0.6e-6;
/// The resolution of the PLL's phase, seconds.
const NANO: f64 = 1e-9;
/// For less than this, seconds, or less than this part of the offset's error, the PLL is not used.
const LEAST: (f64, f64) = (20e-9, 0.1);
/// Without the PLL, a frequency offset corrects it, of no more than this, s/s, unless the frequency's error is larger: less than
/// 1 ms a day.
const FINE_MOST: f64 = 1e-8;
/// And in no less than this, seconds.
const FINE_TIME: f64 = 16.0;
/// The kernel's resolution of the frequency: ppm in 16.16 fixed point.
const PPM_SCALE: f64 = 65_536.0;
/// The part of its phase that the kernel PLL slews each second, at its shortest time constant (SHIFT_PLL).
const PLL_PART: f64 = 0.25;
/// From here on slews of 500 µs a second are slow, seconds.
const PLL_FROM: f64 = 1e-3;
/// The PLL gets no more than this, seconds: so the clock is never more than 5.5 ms a second off its pace. ntpd's
/// PLL did 6 ms a second after a start that was 100 ms off.
const PLL_MAX: f64 = 0.020;

/// The longest tick of a kernel (100 Hz), and a little, seconds.
const TICK: f64 = 0.011;

/// A slew on its way: the kernel applies it evenly over one second.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    start: MonoTime,
    amount: f64,
}

/// A phase that the kernel PLL has, from a whole second of the wall clock on.
#[derive(Clone, Copy, Debug)]
struct PllSlew {
    start: MonoTime,
    amount: f64,
}

impl PllSlew {
    /// What each second from the start on adds, and what is left of the phase after it. A second in which the clock
    /// is slewed by s lasts only 1/(1 + s) by the crystal, so the slew gains s/(1 + s): that is 14 µs less in
    /// 10 ms. The first second has a single shot beside it, too.
    fn seconds(&self) -> impl Iterator<Item = (f64, f64)> {
        let mut left = self.amount;
        let mut beside = self.amount.signum() * SLEW_MAX;
        std::iter::from_fn(move || {
            let slew = left * PLL_PART;
            left -= slew;
            let gain = slew / (1.0 + slew + beside);
            beside = 0.0;
            (slew.abs() > MICRO / 1e4).then_some((gain, left))
        })
    }

    /// How much of it is done at `at`.
    fn done(&self, at: MonoTime) -> f64 {
        let elapsed = at.since(self.start).get();
        let seconds = self.seconds().enumerate();
        seconds.map(|(n, (gain, _))| gain * (elapsed - n as f64).clamp(0.0, 1.0)).sum()
    }
}

/// What the kernel gets for the next second.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Slews {
    /// A single shot to add, in microseconds.
    pub single: Option<i32>,
    /// A phase for the kernel PLL, and what it should have left of the last one, in nanoseconds.
    pub pll: Option<(i32, i32)>,
}

/// When we have to be awake for the kernel's sake. It changes its pace at whole seconds, but on an idle machine without a
/// regular tick it notices them only at the next interrupt: the old pace goes on until then, which may
/// be for seconds. So we wake up a tick after each second in which a slew begins or ends.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wakeups {
    /// After the next one there is one more.
    more: bool,
}

impl Wakeups {
    /// A slew begins with the next second and ends with the one after.
    pub(super) fn begin(&mut self, now: Now, timers: &mut Timers) {
        timers.set(Timer::SlewEnds, next_second(now) + Seconds::new(TICK));
        self.more = true;
    }

    /// Forgets the one that is over.
    pub(super) fn pass(&mut self, now: Now, timers: &mut Timers) {
        if timers.is_due(Timer::SlewEnds, now.mono) {
            let after = next_second(now) + Seconds::new(TICK);
            timers.put(Timer::SlewEnds, self.more.then_some(after));
            self.more = false;
        }
    }
}

/// The ledger.
#[derive(Clone, Debug)]
pub struct Steering {
    frequency: Ppm,
    since: MonoTime,
    settled: f64,
    chunks: VecDeque<Chunk>,
    pll: Option<PllSlew>,
}

impl Steering {
    /// A clock that runs with `frequency` from now on, without any correction.
    #[must_use]
    pub fn new(now: MonoTime, frequency: Ppm) -> Self {
        Self { frequency: quantised(frequency), since: now, settled: 0.0, chunks: VecDeque::new(), pll: None }
    }

    /// The frequency in force.
    #[must_use]
    pub const fn frequency(&self) -> Ppm {
        self.frequency
    }

    /// By how much the clock stood ahead of its free-running self at `at`, for moments not long past.
    #[must_use]
    pub fn correction(&self, at: MonoTime) -> f64 {
        let slewed: f64 =
            self.chunks.iter().map(|c| c.amount * at.since(c.start).get().clamp(0.0, 1.0)).sum();
        let by_pll = self.pll.map_or(0.0, |slew| slew.done(at));
        self.settled + self.frequency.rate() * at.since(self.since).get() + slewed + by_pll
    }

    /// What will still be added after `at` without another command.
    fn pending(&self, at: MonoTime) -> f64 {
        let slews: f64 =
            self.chunks.iter().map(|c| c.amount * (1.0 - at.since(c.start).get().clamp(0.0, 1.0))).sum();
        slews + self.pll.map_or(0.0, |slew| slew.seconds().map(|s| s.0).sum::<f64>() - slew.done(at))
    }

    /// Uses `frequency` (limited to ±500 ppm and rounded to the kernel's resolution) from now on; returns what to set in
    /// the kernel, `None` if nothing changes.
    pub fn set_frequency(&mut self, now: MonoTime, frequency: Ppm) -> Option<Ppm> {
        let frequency = quantised(frequency);
        if frequency == self.frequency {
            return None;
        }
        debug_assert!(
            frequency.get().abs() <= Ppm::MAX.get(),
            "the kernel gets no frequency beyond its range: {frequency:?}"
        );
        self.settle(now);
        self.frequency = frequency;
        Some(frequency)
    }

    /// The clock was stepped: what was pending is gone. The step itself is not in the ledger.
    pub fn stepped(&mut self, now: MonoTime) {
        self.settle(now);
        let done: f64 = self.chunks.iter().map(|c| c.amount * now.since(c.start).get().clamp(0.0, 1.0)).sum();
        self.chunks.clear();
        self.settled += done + self.pll.take().map_or(0.0, |slew| slew.done(now));
    }

    /// The slews that bring the clock nearer to a total correction of `target`, which is known within `error` seconds;
    /// `None` when slews can bring it no nearer. Without the kernel PLL, by single shots alone.
    pub fn next_slews(&mut self, now: Now, target: f64, error: f64, pll: KernelPll) -> Option<Slews> {
        let may_use_pll = pll == KernelPll::Allowed;
        let mut slews = Slews::default();
        let was_active = self.pll.is_some();
        let left = self.end_pll_slew(now.mono);
        let mut remaining = self.remaining(now.mono, target);
        let is_large = may_use_pll && remaining.abs() > PLL_FROM;
        if is_large {
            let slewed = remaining.signum() * SLEW_MAX;
            let phase = (remaining - slewed).clamp(-PLL_MAX, PLL_MAX);
            slews.pll = Some((self.begin_pll_slew(now, phase), left));
            remaining = slewed;
        } else if may_use_pll && remaining.abs() < NEAR && remaining.abs() > LEAST.0.max(LEAST.1 * error) {
            // In one second the PLL slews a quarter; then the next command ends it.
            slews.pll = Some((self.begin_pll_slew(now, remaining / PLL_PART), left));
        } else if was_active {
            slews.pll = Some((0, left));
        }
        if remaining.abs() >= NEAR {
            let time = if is_large || remaining.abs() > CERTAIN * error { 1.0 } else { SLEW_TIME };
            let amount = (remaining / time).clamp(-SLEW_MAX, SLEW_MAX);
            let micros = (amount / MICRO).round() as i32;
            let micros = if micros == 0 { remaining.signum() as i32 } else { micros };
            let beside = slews.pll.map_or(0.0, |pll| f64::from(pll.0) * NANO * PLL_PART);
            let amount = f64::from(micros) * MICRO;
            self.record(now, amount / (1.0 + amount + beside));
            slews.single = Some(micros);
        }
        debug_assert!(
            slews.single.is_none_or(|micros| micros != 0 && f64::from(micros.abs()) * MICRO <= SLEW_MAX + MICRO / 2.0),
            "a slew is over within a second: {slews:?}"
        );
        (slews != Slews::default()).then_some(slews)
    }

    /// The kernel PLL gets this phase, seconds, from the next second on. Returns it in nanoseconds.
    fn begin_pll_slew(&mut self, now: Now, phase: f64) -> i32 {
        debug_assert!(phase.abs() <= PLL_MAX, "the kernel PLL gets no larger phase than it may: {phase} s");
        let nanos = (phase / NANO).round();
        self.pll = Some(PllSlew { start: next_second(now), amount: nanos * NANO });
        nanos as i32
    }

    /// The kernel PLL gets another command now: it still completes the slew of this second. Returns its remaining
    /// phase, in nanoseconds.
    fn end_pll_slew(&mut self, now: MonoTime) -> i32 {
        let Some(slew) = self.pll.take() else { return 0 };
        let mut left = slew.amount;
        for (n, (gain, after)) in slew.seconds().enumerate() {
            let start = slew.start + Seconds::new(n as f64);
            if start > now {
                break;
            }
            self.chunks.push_back(Chunk { start, amount: gain });
            left = after;
        }
        (left / NANO).round() as i32
    }

    /// The kernel PLL did not behave as expected, and was stopped.
    pub fn pll_failed(&mut self) {
        self.pll = None;
    }

    /// Records a slew that the kernel begins at its next whole second.
    pub fn record(&mut self, now: Now, amount: f64) {
        self.settle(now.mono);
        self.chunks.push_back(Chunk { start: next_second(now), amount });
    }

    /// What remains to be slewed to reach `target`.
    #[must_use]
    pub fn remaining(&self, at: MonoTime, target: f64) -> f64 {
        target - self.correction(at) - self.pending(at)
    }

    /// Whether an offset that is known within `error`, seconds, is worth the use of the PLL even where it is too little for a single shot.
    pub const fn is_exact(error: f64) -> bool {
        LEAST.1 * error < NEAR
    }

    /// The frequency offset, s/s, that corrects what is too little for a single shot in about `time`
    /// seconds, until the next update. It is no more than the `error` with which the true one is known, or than a crystal's rate
    /// changes by within minutes: so it need not end.
    #[must_use]
    pub fn fine(&self, at: MonoTime, target: f64, error: f64, time: f64) -> f64 {
        let left = self.remaining(at, target);
        let most = error.max(FINE_MOST);
        if left.abs() < NEAR { (left / time.max(FINE_TIME)).clamp(-most, most) } else { 0.0 }
    }

    /// When the first slew may be requested: at once, but not so late in a second of the wall clock that the
    /// kernel may or may not have begun the next one.
    #[must_use]
    pub fn first_tick(now: Now) -> MonoTime {
        if into_second(now) < 0.9 { now.mono } else { Self::next_tick(now) }
    }

    /// When the next slew should be requested: the middle of the next second of the wall clock, so
    /// that no two fall into the same one.
    #[must_use]
    pub fn next_tick(now: Now) -> MonoTime {
        next_second(now) + Seconds::new(0.5)
    }

    /// Moves the ledger's base to `now`; slews long over are folded into it.
    fn settle(&mut self, now: MonoTime) {
        debug_assert!(now >= self.since, "the ledger goes forward in time: from {:?} to {now:?}", self.since);
        self.settled += self.frequency.rate() * now.since(self.since).get();
        self.since = now;
        while let Some(chunk) = self.chunks.front() {
            if now.since(chunk.start).get() < 64.0 {
                break;
            }
            self.settled += chunk.amount;
            self.chunks.pop_front();
        }
    }
}

/// The part of the wall clock's second that is over.
fn into_second(now: Now) -> f64 {
    f64::from(now.wall.fraction()) / 4_294_967_296.0
}

/// When the wall clock's next second begins.
fn next_second(now: Now) -> MonoTime {
    now.mono + Seconds::new(1.0 - into_second(now))
}

/// The nearest frequency that the kernel can represent.
fn quantised(frequency: Ppm) -> Ppm {
    Ppm::new((frequency.clamped().get() * PPM_SCALE).round() / PPM_SCALE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::NtpTimestamp;

    fn at(seconds: f64) -> Now {
        Now {
            mono: MonoTime::ZERO + Seconds::new(seconds),
            wall: NtpTimestamp::from_unix(1_700_000_000, 0).offset(Seconds::new(seconds)),
        }
    }

    #[test]
    fn slews_reach_the_target_without_passing_it() {
        let mut steering = Steering::new(at(0.0).mono, Ppm::ZERO);
        let target = 0.001_234;
        let mut now = at(0.25);
        let mut sum = 0;
        for _ in 0..200 {
            let Some(slews) = steering.next_slews(now, target, 1e-3, KernelPll::Forbidden) else { break };
            assert_eq!(slews.pll, None);
            let micros = slews.single.unwrap();
            assert!(micros.abs() <= 500);
            sum += micros;
            assert!(steering.correction(now.mono) <= target);
            now = at(Steering::next_tick(now).since(MonoTime::ZERO).get());
        }
        assert_eq!(sum, 1234);
        assert!((steering.correction(at(500.0).mono) - target).abs() < 1.1e-6);
    }

    #[test]
    fn the_ledger_adds_frequency_and_slews_and_a_step_ends_them() {
        let mut steering = Steering::new(at(0.0).mono, Ppm::new(10.0));
        steering.record(at(99.9), 100e-6);
        assert!((steering.correction(at(100.0).mono) - 1000e-6).abs() < 1e-9);
        assert!((steering.correction(at(100.5).mono) - (1005e-6 + 50e-6)).abs() < 1e-9);
        steering.stepped(at(100.5).mono);
        assert!((steering.correction(at(200.5).mono) - (2005e-6 + 50e-6)).abs() < 1e-9);
        assert_eq!(steering.set_frequency(at(200.5).mono, Ppm::new(9999.0)), Some(Ppm::MAX));
        assert_eq!(steering.set_frequency(at(201.5).mono, Ppm::new(500.0)), None);
    }

    #[test]
    fn a_large_phase_is_gone_in_seconds_and_the_ledger_knows_it() {
        let mut steering = Steering::new(at(0.0).mono, Ppm::ZERO);
        let target = -0.010;
        let mut now = at(0.25);
        let mut ticks = 0;
        while let Some(slews) = steering.next_slews(now, target, 1e-6, KernelPll::Allowed) {
            if ticks == 1 {
                // A quarter of the first 9.5 ms was slewed out, and a single shot of 0.5 ms.
                assert_eq!(slews.pll.map(|pll| pll.1), Some(-7_125_000));
            }
            assert!(steering.correction(now.mono) >= target - 1e-9);
            ticks += 1;
            now = at(Steering::next_tick(now).since(MonoTime::ZERO).get());
        }
        assert!(ticks <= 9, "{ticks}");
        assert!((steering.correction(at(100.0).mono) - target).abs() < 1.1e-6);
        assert_eq!(steering.pll.map(|slew| slew.amount), None);
    }

    #[test]
    fn a_glide_that_nobody_looks_after_ends_where_it_was_meant_to() {
        let mut steering = Steering::new(at(0.0).mono, Ppm::ZERO);
        let slews = steering.next_slews(at(0.25), 0.010, 1e-6, KernelPll::Allowed).unwrap();
        assert_eq!(slews, Slews { single: Some(500), pll: Some((9_500_000, 0)) });
        assert!((steering.correction(at(1.5).mono) - (250e-6 + 9.5e-3 / 8.0)).abs() < 5e-6);
        // Stopped for a while: the next command follows much later.
        let slews = steering.next_slews(at(8.5), 0.010, 1e-6, KernelPll::Allowed).unwrap();
        assert_eq!(slews.pll, Some((0, (9_500_000.0 * 0.75f64.powi(8)).round() as i32)));
        assert!((steering.correction(at(60.0).mono) - steering.correction(at(50.0).mono)).abs() < 1e-12);
    }
}
