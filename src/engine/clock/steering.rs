//! How the clock is moved, and a ledger of all it has been moved by.
//!
//! The kernel gets a frequency, and for the phase single slews of at most 500 µs, one a second,
//! each of which the kernel ends by itself. A large phase is given to the kernel's own loop as well, which works
//! off a quarter of what is left each second ("glide"). If the daemon dies, either ends by itself at the
//! phase that it was meant to reach, and the clock is at its true frequency.

use crate::engine::contract::Now;
use crate::engine::timers::{Timer, Timers};
use crate::units::{MonoTime, Ppm, Seconds};
use std::collections::VecDeque;

/// The kernel slews by no more than this in a second, seconds.
const SLEW_MAX: f64 = 500e-6;
/// A correction decays with about this time constant, seconds: long enough to be smooth, short
/// enough to be over before the next sample.
const SLEW_TIME: f64 = 8.0;
/// A correction that is certain (by so many standard errors) is made as soon as the kernel can.
const CERTAIN: f64 = 10.0;
/// The kernel's resolution of a slew, seconds.
const MICRO: f64 = 1e-6;
/// Less is no slew, seconds: 1 µs would leave about as much on the other side, and be taken back.
const NEAR: f64 = 0.6e-6;
/// The resolution of the loop's phase, seconds.
const NANO: f64 = 1e-9;
/// For less than this, seconds, nor less than this part of the offset's error, the loop is not asked.
const LEAST: (f64, f64) = (20e-9, 0.1);
/// Without the loop, the frequency works it off, by no more than this, s/s, unless its own error is larger: less than 1 ms a day.
const FINE_MOST: f64 = 1e-8;
/// And in no less than this, seconds.
const FINE_TIME: f64 = 16.0;
/// The kernel's resolution of the frequency: ppm in 16.16 fixed point.
const PPM_SCALE: f64 = 65_536.0;
/// The part of its phase that the kernel's loop works off each second, at its shortest time constant (SHIFT_PLL).
const GLIDE_PART: f64 = 0.25;
/// From here on slews of 500 µs a second are slow, seconds.
const GLIDE_FROM: f64 = 1e-3;
/// The loop gets no more than this, seconds: so the clock is never more than 5.5 ms a second off its pace. ntpd's
/// loop did 6 ms a second after a start that was 100 ms off.
const GLIDE_MAX: f64 = 0.020;

/// The longest tick of a kernel (100 Hz), and a little, seconds.
const TICK: f64 = 0.011;

/// A slew on its way: the kernel applies it evenly over one second.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    start: MonoTime,
    amount: f64,
}

/// A phase that the kernel's loop has, from a whole second of the wall clock on.
#[derive(Clone, Copy, Debug)]
struct Glide {
    start: MonoTime,
    amount: f64,
}

impl Glide {
    /// What each second from the start on adds, and what is left of the phase after it. A second in which the clock
    /// is pushed by s lasts only 1/(1 + s) by the crystal, so the push gains s/(1 + s): that is 14 µs in
    /// 10 ms. The first second has a slew beside it, too.
    fn seconds(&self) -> impl Iterator<Item = (f64, f64)> {
        let mut left = self.amount;
        let mut beside = self.amount.signum() * SLEW_MAX;
        std::iter::from_fn(move || {
            let push = left * GLIDE_PART;
            left -= push;
            let gain = push / (1.0 + push + beside);
            beside = 0.0;
            (push.abs() > MICRO / 1e4).then_some((gain, left))
        })
    }

    /// How much of it is done at `at`.
    fn done(&self, at: MonoTime) -> f64 {
        let elapsed = at.since(self.start).get();
        let seconds = self.seconds().enumerate();
        seconds.map(|(n, (gain, _))| gain * (elapsed - n as f64).clamp(0.0, 1.0)).sum()
    }
}

/// What the kernel is to be told for the next second.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Push {
    /// A slew to add, in microseconds.
    pub slew: Option<i32>,
    /// A phase for the kernel's loop, and what it should have left of the last one, in nanoseconds.
    pub glide: Option<(i32, i32)>,
}

/// When we have to be awake for the kernel's sake. It changes its pace at whole seconds, but on an idle machine without a
/// regular tick it notices them only when anything happens: the old pace goes on until then, which may
/// be for seconds. So we see to it that something happens, a tick after each second in which a push begins or ends.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wakeups {
    /// After the next one there is one more.
    more: bool,
}

impl Wakeups {
    /// A push begins with the next second and ends with the one after.
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
    glide: Option<Glide>,
}

impl Steering {
    /// A clock that runs with `frequency` from now on and has not been moved.
    #[must_use]
    pub fn new(now: MonoTime, frequency: Ppm) -> Self {
        Self {
            frequency: quantised(frequency),
            since: now,
            settled: 0.0,
            chunks: VecDeque::new(),
            glide: None,
        }
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
        let glided = self.glide.map_or(0.0, |g| g.done(at));
        self.settled + self.frequency.rate() * at.since(self.since).get() + slewed + glided
    }

    /// What will still be added after `at` without another command.
    fn pending(&self, at: MonoTime) -> f64 {
        let slews: f64 =
            self.chunks.iter().map(|c| c.amount * (1.0 - at.since(c.start).get().clamp(0.0, 1.0))).sum();
        slews + self.glide.map_or(0.0, |g| g.seconds().map(|s| s.0).sum::<f64>() - g.done(at))
    }

    /// Takes `frequency` (held to ±500 ppm and the kernel's grid) from now on; gives back what to
    /// tell the kernel, `None` if nothing changes.
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
        self.settled += done + self.glide.take().map_or(0.0, |g| g.done(now));
    }

    /// What brings the clock nearer to a total correction of `target`, which is known within `error` seconds;
    /// `None` when it is as near as slews can bring it. Without `may_glide`, by slews alone.
    pub fn push(&mut self, now: Now, target: f64, error: f64, may_glide: bool) -> Option<Push> {
        let mut push = Push::default();
        let gliding = self.glide.is_some();
        let left = self.end_glide(now.mono);
        let mut remaining = self.remaining(now.mono, target);
        let glides = may_glide && remaining.abs() > GLIDE_FROM;
        if glides {
            let slewed = remaining.signum() * SLEW_MAX;
            push.glide = Some((self.glide(now, (remaining - slewed).clamp(-GLIDE_MAX, GLIDE_MAX)), left));
            remaining = slewed;
        } else if may_glide && remaining.abs() < NEAR && remaining.abs() > LEAST.0.max(LEAST.1 * error) {
            // In one second the loop works off a quarter; then it is told to stop.
            push.glide = Some((self.glide(now, remaining / GLIDE_PART), left));
        } else if gliding {
            push.glide = Some((0, left));
        }
        if remaining.abs() >= NEAR {
            let time = if glides || remaining.abs() > CERTAIN * error { 1.0 } else { SLEW_TIME };
            let amount = (remaining / time).clamp(-SLEW_MAX, SLEW_MAX);
            let micros = (amount / MICRO).round() as i32;
            let micros = if micros == 0 { remaining.signum() as i32 } else { micros };
            let beside = push.glide.map_or(0.0, |g| f64::from(g.0) * NANO * GLIDE_PART);
            let amount = f64::from(micros) * MICRO;
            self.record(now, amount / (1.0 + amount + beside));
            push.slew = Some(micros);
        }
        debug_assert!(
            push.slew.is_none_or(|micros| micros != 0 && f64::from(micros.abs()) * MICRO <= SLEW_MAX + MICRO / 2.0),
            "a slew is over within a second: {push:?}"
        );
        (push != Push::default()).then_some(push)
    }

    /// The kernel's loop gets this phase, seconds, from the next second on. Gives it in nanoseconds.
    fn glide(&mut self, now: Now, phase: f64) -> i32 {
        debug_assert!(phase.abs() <= GLIDE_MAX, "the kernel PLL gets no larger phase than it may: {phase} s");
        let nanos = (phase / NANO).round();
        self.glide = Some(Glide { start: next_second(now), amount: nanos * NANO });
        nanos as i32
    }

    /// The kernel's loop is told something else now: what it has begun to work off in this second it
    /// still does. Gives what it has left, in nanoseconds.
    fn end_glide(&mut self, now: MonoTime) -> i32 {
        let Some(glide) = self.glide.take() else { return 0 };
        let mut left = glide.amount;
        for (n, (gain, after)) in glide.seconds().enumerate() {
            let start = glide.start + Seconds::new(n as f64);
            if start > now {
                break;
            }
            self.chunks.push_back(Chunk { start, amount: gain });
            left = after;
        }
        (left / NANO).round() as i32
    }

    /// The kernel's loop did not do what was asked of it last, and was told to stop.
    pub fn glide_failed(&mut self) {
        self.glide = None;
    }

    /// Notes a slew that the kernel begins at its next whole second.
    pub fn record(&mut self, now: Now, amount: f64) {
        self.settle(now.mono);
        self.chunks.push_back(Chunk { start: next_second(now), amount });
    }

    /// What remains to be slewed to reach `target`.
    #[must_use]
    pub fn remaining(&self, at: MonoTime, target: f64) -> f64 {
        target - self.correction(at) - self.pending(at)
    }

    /// Whether an offset that is known within `error`, seconds, is worth the loop's while even where it is too little for a slew.
    pub const fn is_exact(error: f64) -> bool {
        LEAST.1 * error < NEAR
    }

    /// What the frequency is to differ from the true one by, s/s, to work off what is too little for a slew in about `time`
    /// seconds, until the next update. It is no more than the `error` with which the true one is known, or than a crystal's rate
    /// changes by within minutes: so it need not end.
    #[must_use]
    pub fn fine(&self, at: MonoTime, target: f64, error: f64, time: f64) -> f64 {
        let left = self.remaining(at, target);
        let most = error.max(FINE_MOST);
        if left.abs() < NEAR { (left / time.max(FINE_TIME)).clamp(-most, most) } else { 0.0 }
    }

    /// When the first slew may be asked for: at once, but not so late in a second of the wall clock that the
    /// kernel may or may not have begun the next one.
    #[must_use]
    pub fn first_tick(now: Now) -> MonoTime {
        if into_second(now) < 0.9 { now.mono } else { Self::next_tick(now) }
    }

    /// When the next slew should be asked for: the middle of the next second of the wall clock, so
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

/// The nearest frequency that the kernel can be told.
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
            let Some(push) = steering.push(now, target, 1e-3, false) else { break };
            assert_eq!(push.glide, None);
            let micros = push.slew.unwrap();
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
        while let Some(push) = steering.push(now, target, 1e-6, true) {
            if ticks == 1 {
                // A quarter of the first 9.5 ms was worked off, and a slew of 0.5 ms.
                assert_eq!(push.glide.map(|g| g.1), Some(-7_125_000));
            }
            assert!(steering.correction(now.mono) >= target - 1e-9);
            ticks += 1;
            now = at(Steering::next_tick(now).since(MonoTime::ZERO).get());
        }
        assert!(ticks <= 9, "{ticks}");
        assert!((steering.correction(at(100.0).mono) - target).abs() < 1.1e-6);
        assert_eq!(steering.glide.map(|g| g.amount), None);
    }

    #[test]
    fn a_glide_that_nobody_looks_after_ends_where_it_was_meant_to() {
        let mut steering = Steering::new(at(0.0).mono, Ppm::ZERO);
        let push = steering.push(at(0.25), 0.010, 1e-6, true).unwrap();
        assert_eq!(push, Push { slew: Some(500), glide: Some((9_500_000, 0)) });
        assert!((steering.correction(at(1.5).mono) - (250e-6 + 9.5e-3 / 8.0)).abs() < 5e-6);
        // Stopped for a while: the next command follows much later.
        let push = steering.push(at(8.5), 0.010, 1e-6, true).unwrap();
        assert_eq!(push.glide, Some((0, (9_500_000.0 * 0.75f64.powi(8)).round() as i32)));
        assert!((steering.correction(at(60.0).mono) - steering.correction(at(50.0).mono)).abs() < 1e-12);
    }
}
