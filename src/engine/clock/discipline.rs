//! The clock discipline: what is done to the clock when the sources have been combined.
//!
//! States and thresholds are ntpd's; frequency and phase are controlled from here, the kernel PLL slews large
//! phases only. The estimator interprets the samples, `steering.rs` adjusts the clock.

use super::drift::Drift;
use super::steering::{KernelPll, Slews, Steering};
use super::{Authority, FirstOffset};
use crate::config::model::Tinker;
use crate::engine::contract::Now;
use crate::engine::estimator::{Combined, Estimator, Evidence, KnownRate, Measurement};
use crate::units::{MonoTime, PHI, PollExponent, Ppm, Seconds};

/// The state of the clock (RFC 5905 figure 24).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Never set, no drift file.
    FrequencyNotSet,
    /// Never set, the frequency is from the drift file.
    FrequencySet,
    /// A large offset is being watched.
    Spike,
    /// In step.
    Synchronised,
}

/// What came of an update.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Verdict {
    /// The offset is small: it is being slewed away.
    Slew,
    /// The offset is large: step the clock by this now.
    Step(Seconds),
    /// The offset is large: watched for the stepout time. The flag says it began just now.
    Spike(Seconds, bool),
    /// The offset exceeds the panic threshold: stop.
    Panic(Seconds),
}

/// How much a crystal may be off when nothing is known, ppm.
const UNKNOWN_SIGMA: Ppm = Ppm::new(50.0);
/// A frequency less certain than this is not kept for the next start, ppm.
const WORTH_SAVING: f64 = 5.0;
/// A frequency more certain than this (ppm), or than this part of the difference, shows how wrong the drift file was.
const KNOWN: (f64, f64) = (0.5, 5.0);
/// The longest interval chosen for its own sake, 256 s: longer ones save four packets an hour
/// and cost accuracy. `minpoll` may demand more, `maxpoll` less.
const COMFORTABLE: u8 = 8;
/// The clock's rate is off by no more than so many standard errors.
const SURE: f64 = 3.0;
/// Held longer than this, our packet comes back after a time in which the rate of the free-running clock counts.
const LONG: Seconds = Seconds::new(1.0);
/// The largest step threshold with which ntpd leaves the phase to the kernel, which takes no more, seconds.
const KERNEL_STEP: f64 = 0.5;
/// A correction takes back what another process did to the clock if it differs by no more than this part of it, or than this, seconds.
const UNDONE: (f64, f64) = (0.01, 0.128);
/// Weight of the newest value in the running averages for display (RFC 5905: CLOCK_AVG).
const AVERAGE: f64 = 0.25;
/// The same for the time between updates: among several sources it is never twice the same.
const RHYTHM: f64 = 0.1;

/// The discipline of one clock.
#[derive(Clone, Debug)]
pub struct Discipline {
    state: State,
    /// Whether we may adjust the clock.
    steers: bool,
    allow_panic: bool,
    /// Whether the kernel PLL works as Linux's does, as far as known.
    pll_works: bool,
    /// Whether we may use it, as of the last slew.
    pll: KernelPll,
    prior: (Ppm, Ppm),
    steering: Steering,
    target: Option<Combined>,
    updated: MonoTime,
    /// Running average of the time between updates, seconds.
    rhythm: f64,
    started: Option<MonoTime>,
    /// When another process set the clock last, and by how much in all, seconds: until the sources have been heard.
    set_outside: Option<(MonoTime, f64)>,
    spike_since: MonoTime,
    last_residual: Option<f64>,
    jitter: f64,
    wander: f64,
}

impl Discipline {
    /// A clock about which nothing is known but, perhaps, the frequency of the drift file.
    #[must_use]
    pub fn new(now: Now, drift: Option<Drift>, authority: Authority, first: FirstOffset) -> Self {
        let steers = authority == Authority::Adjusts;
        // A clock that is not ours runs as it runs: its frequency is no business of the ledger.
        let known = drift.filter(|_| steers);
        let (start, sigma) = known.map_or((Ppm::ZERO, UNKNOWN_SIGMA), |d| (d.frequency, d.error()));
        Self {
            state: if drift.is_some() { State::FrequencySet } else { State::FrequencyNotSet },
            steers,
            allow_panic: first == FirstOffset::Any,
            pll_works: true,
            pll: KernelPll::Forbidden,
            prior: (start, sigma),
            steering: Steering::new(now.mono, start),
            target: None,
            updated: now.mono,
            rhythm: 0.0,
            started: None,
            set_outside: None,
            spike_since: now.mono,
            last_residual: None,
            jitter: 0.0,
            wander: 0.0,
        }
    }

    /// An estimator for a new source, with what is known of the clock so far.
    #[must_use]
    pub fn new_estimator(&self) -> Estimator {
        match self.target {
            Some(t) if self.state == State::Synchronised => {
                Estimator::new(Ppm::from_rate(t.rate), Ppm::from_rate(t.rate_error.max(0.1e-6)))
            }
            // The file may be of another machine's crystal.
            _ if self.prior.1 < UNKNOWN_SIGMA => {
                Estimator::new(self.prior.0, self.prior.1).doubting(UNKNOWN_SIGMA)
            }
            _ => Estimator::new(self.prior.0, self.prior.1),
        }
    }

    /// How far the clock stood ahead of its free-running self: to be added to measured offsets.
    #[must_use]
    pub fn correction(&self, at: MonoTime) -> Seconds {
        Seconds::new(self.steering.correction(at))
    }

    /// A measurement, as it would be if the clock had run free during the exchange, which took `elapsed` around it. Both ends
    /// of it were read from a clock that was being slewed, perhaps: that makes a round trip look shorter or
    /// longer, by 150 µs in 60 ms.
    ///
    /// A partner of symmetric mode may have `held` our packet for minutes. Its clock runs true then and the free-running one does
    /// not, so the round trip is computed by what is known of its rate.
    #[must_use]
    pub fn free_running(&self, measured: &Measurement, elapsed: Seconds, held: Seconds) -> Measurement {
        // Negative in interleaved mode, where our packet left after the other one had arrived.
        let half = elapsed * 0.5;
        let before = self.steering.correction(measured.at + half * -1.0);
        let after = self.steering.correction(measured.at + half);
        // Of the 15 ppm that a clock may be off by, we know better by now.
        let surplus = (PHI - self.rate_error()) * elapsed.get().abs();
        let evidence = match measured.evidence {
            Evidence::TwoWay { delay, error } if held.abs() > LONG => {
                let KnownRate { rate, error: doubt } = self.estimated_rate();
                let true_delay = delay.get() - (after - before) + rate * held.get();
                Evidence::TwoWay {
                    delay: Seconds::new(true_delay.max(0.0)),
                    error: Seconds::new((error.get() - surplus).max(doubt * held.get().abs())),
                }
            }
            Evidence::TwoWay { delay, error } => Evidence::TwoWay {
                delay: delay - Seconds::new(after - before),
                error: Seconds::new((error.get() - surplus).max(0.0)),
            },
            one_way @ Evidence::OneWay { .. } => one_way,
        };
        let offset = measured.offset + Seconds::new(f64::midpoint(before, after));
        Measurement { offset, evidence, ..*measured }
    }

    /// The frequency correction that the free-running clock needs, s/s, and its standard error.
    fn estimated_rate(&self) -> KnownRate {
        let known = self.target.filter(|_| self.state == State::Synchronised);
        let prior = KnownRate { rate: self.prior.0.rate(), error: self.prior.1.rate() };
        known.map_or(prior, |t| KnownRate { rate: t.rate, error: t.rate_error })
    }

    /// How far the clock's own rate may be off, s/s.
    fn rate_error(&self) -> f64 {
        let known = self.target.filter(|_| self.state == State::Synchronised);
        known.map_or(PHI, |t| (SURE * t.rate_error).min(PHI))
    }

    /// The state.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Whether we may adjust the clock.
    #[must_use]
    pub const fn steers(&self) -> bool {
        self.steers
    }

    /// The frequency in force.
    #[must_use]
    pub const fn frequency(&self) -> Ppm {
        self.steering.frequency()
    }

    /// The remaining offset of the clock, sources minus clock, as estimated now.
    #[must_use]
    pub fn offset(&self, at: MonoTime) -> Seconds {
        Seconds::new(self.target.map_or(0.0, |t| self.goal(&t, at) - self.steering.correction(at)))
    }

    /// Standard error of that offset; zero before any update.
    #[must_use]
    pub fn offset_error(&self) -> Seconds {
        Seconds::new(self.target.map_or(0.0, |t| t.offset_error))
    }

    /// Running average of the offset's changes (`clk_jitter`), seconds.
    #[must_use]
    pub const fn jitter(&self) -> Seconds {
        Seconds::new(self.jitter)
    }

    /// Running average of the frequency's changes (`clk_wander`).
    #[must_use]
    pub const fn wander(&self) -> Ppm {
        Ppm::from_rate(self.wander)
    }

    /// The clock's rate and its standard error, s/s, while it is synchronized.
    #[must_use]
    pub fn known_rate(&self) -> Option<KnownRate> {
        let target = self.target.filter(|_| self.state == State::Synchronised)?;
        Some(KnownRate { rate: target.rate, error: target.rate_error })
    }

    /// The frequency to keep for the next start, once it is known well enough.
    #[must_use]
    pub fn frequency_to_save(&self) -> Option<Ppm> {
        let known = self.target?.rate_error * 1e6 < WORTH_SAVING;
        (self.steers && known && self.state == State::Synchronised).then(|| self.frequency())
    }

    /// What the drift file at the start had been off by, once the frequency is known well enough to say so: to half a
    /// ppm, or to a fifth of it.
    #[must_use]
    pub fn error_of(&self, drift: &Drift) -> Option<Ppm> {
        let target = self.target.filter(|_| self.steers)?;
        let error = target.rate * 1e6 - drift.frequency.get();
        (target.rate_error * 1e6 < KNOWN.0.max(error.abs() / KNOWN.1)).then_some(Ppm::new(error))
    }

    /// We may not adjust the clock: from now on it is only measured. Estimators begin anew.
    pub fn stop_adjusting(&mut self, now: Now) {
        self.steers = false;
        self.prior = (Ppm::ZERO, UNKNOWN_SIGMA);
        self.steering = Steering::new(now.mono, Ppm::ZERO);
        self.target = None;
    }

    /// Whether no offset is too large: `-g` and not yet used, or no panic limit.
    #[must_use]
    pub fn admits_any_offset(&self, tinker: &Tinker) -> bool {
        self.allow_panic || tinker.panic.get() <= 0.0
    }

    /// Takes in what the survivors agree on now.
    pub fn update(&mut self, now: Now, combined: Combined, tinker: &Tinker) -> Verdict {
        let residual = combined.offset - self.steering.correction(now.mono);
        let size = residual.abs();
        let panic = tinker.panic.get();
        if self.steers && panic > 0.0 && size > panic && !self.allow_panic && !self.is_undone_by(residual) {
            return Verdict::Panic(Seconds::new(residual));
        }
        let step = tinker.step.get();
        if self.steers && step > 0.0 && size > step {
            match self.state {
                // The kernel reported it: there is nothing to wait for.
                _ if self.set_outside.is_some() => return Verdict::Step(Seconds::new(residual)),
                State::Synchronised => {
                    self.state = State::Spike;
                    self.spike_since = now.mono;
                    return Verdict::Spike(Seconds::new(residual), true);
                }
                State::Spike if now.mono.since(self.spike_since) < tinker.stepout => {
                    return Verdict::Spike(Seconds::new(residual), false);
                }
                _ => return Verdict::Step(Seconds::new(residual)),
            }
        }
        debug_assert!(
            !self.steers || step <= 0.0 || size <= step || !size.is_finite(),
            "what is slewed is within the step threshold: {residual} s"
        );
        self.settle_on(now, combined, residual);
        Verdict::Slew
    }

    /// The clock was stepped by `by`, as [`Verdict::Step`] asked. A step is no correction: it makes another free-running
    /// clock, also for the estimators.
    pub fn stepped(&mut self, now: Now, by: Seconds, combined: Combined) {
        self.steering.stepped(now.mono);
        self.last_residual = None;
        let combined = Combined { offset: combined.offset - by.get(), ..combined };
        let residual = combined.offset - self.steering.correction(now.mono);
        debug_assert!(
            residual.abs() <= 1e-3 + by.get().abs() * 1e-9 || !residual.is_finite(),
            "a step leaves nothing to correct: {residual} s after one of {by}"
        );
        self.settle_on(now, combined, residual);
    }

    /// A step that was ordered could not be done after all.
    pub fn step_failed(&mut self, by: Seconds) {
        if let Some(target) = &mut self.target {
            target.offset += by.get();
        }
    }

    /// Whether a correction takes back what another process did to the clock, and nothing else. Then it is not subject to the panic
    /// limit: the sources agree with what they reported before.
    fn is_undone_by(&self, residual: f64) -> bool {
        self.set_outside
            .is_some_and(|(_, by)| (residual + by).abs() < f64::max(UNDONE.0 * by.abs(), UNDONE.1))
    }

    /// Another process set the clock: what slews had left is gone. The frequency stays.
    pub fn clock_set(&mut self, now: Now, by: Seconds) {
        self.steering.stepped(now.mono);
        self.last_residual = None;
        let before = self.set_outside.map_or(0.0, |(_, by)| by);
        self.set_outside = Some((now.mono, before + by.get()));
        if let Some(target) = &mut self.target {
            target.offset -= by.get();
            target.offset_error = by.get().abs();
        }
    }

    /// The machine was suspended, and its clock may be off by so much now. The frequency stays; `next` says which offset is corrected.
    pub fn suspended(&mut self, now: Now, error: Seconds, next: FirstOffset) {
        self.clock_set(now, Seconds::ZERO);
        if let Some(target) = &mut self.target {
            target.offset_error = error.get();
        }
        self.allow_panic |= next == FirstOffset::Any;
    }

    /// When another process set the clock, if the sources have not been heard since.
    #[must_use]
    pub fn set_outside(&self) -> Option<MonoTime> {
        self.set_outside.map(|(at, _)| at)
    }

    /// A source is heard again after a silence of all: polls are close together for a while, as at the start.
    pub fn resumed(&mut self, now: MonoTime) {
        if self.started.is_some() {
            self.started = Some(now);
        }
    }

    fn settle_on(&mut self, now: Now, combined: Combined, residual: f64) {
        self.set_outside = None;
        // The offset is believable now: the next one past the panic limit is not.
        self.allow_panic = false;
        self.state = State::Synchronised;
        self.started.get_or_insert(now.mono);
        if let Some(last) = self.last_residual {
            let change = residual - last;
            self.jitter = (self.jitter.powi(2) * (1.0 - AVERAGE) + change * change * AVERAGE).sqrt();
        }
        let change = combined.rate - self.steering.frequency().rate();
        if self.target.is_some() && self.steers {
            self.wander = (self.wander.powi(2) * (1.0 - AVERAGE) + change * change * AVERAGE).sqrt();
        }
        self.last_residual = Some(residual);
        debug_assert!(now.mono >= self.updated, "an update is not before the one before it");
        self.rhythm += RHYTHM * (now.mono.since(self.updated).get() - self.rhythm);
        self.updated = now.mono;
        self.target = Some(combined);
    }

    /// The frequency correction that the clock needs, where it is significantly more than the kernel allows.
    #[must_use]
    pub fn beyond_range(&self) -> Option<Ppm> {
        let target = self.target.filter(|_| self.steers)?;
        let excess = target.rate.abs() - Ppm::MAX.rate();
        (excess > SURE * target.rate_error).then(|| Ppm::from_rate(target.rate))
    }

    /// The frequency to set in the kernel after an update; `None` if it stays.
    pub fn new_frequency(&mut self, now: Now) -> Option<Ppm> {
        let target = self.target.filter(|_| self.steers)?;
        // What is too little for a single shot is left to the frequency where the PLL does not correct it.
        let fine = if self.pll == KernelPll::Allowed && Steering::is_exact(target.offset_error) {
            0.0
        } else {
            let error = SURE * target.rate_error;
            self.steering.fine(now.mono, self.goal(&target, now.mono), error, self.rhythm)
        };
        self.steering.set_frequency(now.mono, Ppm::from_rate(target.rate + fine))
    }

    /// What the kernel gets for the next second; `None` while there is nothing to correct.
    /// With `disable kernel`, and with a step threshold of 0 or above 0.5 s, ntpd does not use the kernel PLL, and neither
    /// do we.
    pub fn next_slews(&mut self, now: Now, pll: KernelPll, tinker: &Tinker) -> Option<Slews> {
        let step = tinker.step.get();
        self.pll = pll.only_if(|| step > 0.0 && step <= KERNEL_STEP && self.pll_works);
        let ready = self.steers && self.state == State::Synchronised && self.set_outside.is_none();
        let target = self.target.filter(|_| ready)?;
        let goal = self.goal(&target, now.mono);
        self.steering.next_slews(now, goal, target.offset_error, self.pll)
    }

    /// The kernel PLL does not behave as Linux's: single shots must do.
    pub fn pll_failed(&mut self) {
        self.pll_works = false;
        self.steering.pll_failed();
    }

    /// The whole remaining offset as one slew, for `-q`, in microseconds.
    pub fn slew_all(&mut self, now: Now) -> i32 {
        let micros = (self.offset(now.mono).get() * 1e6).round() as i32;
        self.steering.record(now, f64::from(micros) * 1e-6);
        micros
    }

    /// Where the correction should be at `at`.
    fn goal(&self, target: &Combined, at: MonoTime) -> f64 {
        target.offset + target.rate * at.since(self.updated).get()
    }

    /// The poll interval that the information asks for: where the wander during an interval
    /// equals the error of a sample; at first no longer than a quarter of the time that the clock
    /// has been followed, so that the frequency is found soon.
    #[must_use]
    pub fn poll(&self, now: MonoTime) -> PollExponent {
        let (Some(target), Some(started)) = (self.target, self.started) else {
            return PollExponent::MIN;
        };
        if self.state != State::Synchronised {
            return PollExponent::MIN;
        }
        let balance = (3f64.sqrt() * target.sample_error / target.wander).powf(2.0 / 3.0).log2();
        let age = (now.since(started).get() / 4.0).max(1.0).log2();
        PollExponent::new(balance.round().min(age).clamp(0.0, f64::from(COMFORTABLE)) as u8)
    }
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

    fn combined(offset: f64) -> Combined {
        Combined { offset, rate: 0.0, offset_error: 1e-4, rate_error: 1e-6, sample_error: 1e-4, wander: 1e-9 }
    }

    #[test]
    fn the_first_large_offset_is_stepped_at_once_and_later_ones_after_the_stepout() {
        let tinker = Tinker::default();
        let mut d = Discipline::new(at(0.0), None, Authority::Adjusts, FirstOffset::WithinPanic);
        assert_eq!(d.update(at(1.0), combined(2.0), &tinker), Verdict::Step(Seconds::new(2.0)));
        d.stepped(at(1.0), Seconds::new(2.0), combined(2.0));
        assert_eq!(d.update(at(64.0), combined(0.01), &tinker), Verdict::Slew);
        let spike = |first| Verdict::Spike(Seconds::new(0.5), first);
        let jump = |d: &mut Discipline, t: f64| d.update(at(t), combined(0.5), &tinker);
        let first = jump(&mut d, 128.0);
        assert!(matches!(first, Verdict::Spike(_, true)), "{first:?}, not {:?}", spike(true));
        assert!(matches!(jump(&mut d, 1027.0), Verdict::Spike(_, false)));
        assert!(matches!(jump(&mut d, 1028.5), Verdict::Step(_)));
    }

    #[test]
    fn panic_limit_is_waived_once() {
        let tinker = Tinker::default();
        let mut strict = Discipline::new(at(0.0), None, Authority::Adjusts, FirstOffset::WithinPanic);
        assert!(matches!(strict.update(at(1.0), combined(1e6), &tinker), Verdict::Panic(_)));
        let mut lenient = Discipline::new(at(0.0), None, Authority::Adjusts, FirstOffset::Any);
        assert!(matches!(lenient.update(at(1.0), combined(1e6), &tinker), Verdict::Step(_)));
        lenient.stepped(at(1.0), Seconds::new(1e6), combined(1e6));
        assert!(matches!(lenient.update(at(2.0), combined(1e6), &tinker), Verdict::Panic(_)));
    }

    #[test]
    fn with_x_four_tenths_are_slewed() {
        let tinker = Tinker { step: Seconds::new(600.0), ..Tinker::default() };
        let mut d = Discipline::new(
            at(0.0),
            Some(Drift::new(Ppm::ZERO)),
            Authority::Adjusts,
            FirstOffset::WithinPanic,
        );
        assert_eq!(d.update(at(1.0), combined(0.4), &tinker), Verdict::Slew);
        assert_eq!(
            d.next_slews(at(1.0), KernelPll::Allowed, &tinker),
            Some(Slews { single: Some(500), pll: None })
        );
    }

    #[test]
    fn b15_the_kernel_takes_the_phase_up_to_a_step_threshold_of_half_a_second() {
        for (step, by_pll) in [(0.128, true), (0.3, true), (0.5, true), (0.501, false), (0.0, false)] {
            let tinker = Tinker { step: Seconds::new(step), ..Tinker::default() };
            let mut d = Discipline::new(
                at(0.0),
                Some(Drift::new(Ppm::ZERO)),
                Authority::Adjusts,
                FirstOffset::WithinPanic,
            );
            assert_eq!(d.update(at(1.0), combined(0.1), &tinker), Verdict::Slew);
            let slews = d.next_slews(at(1.0), KernelPll::Allowed, &tinker).unwrap();
            assert_eq!(slews.pll.is_some(), by_pll, "{step}");
        }
    }

    #[test]
    fn a_clock_that_is_not_ours_is_not_moved() {
        let mut d = Discipline::new(
            at(0.0),
            Some(Drift::new(Ppm::new(40.0))),
            Authority::Measures,
            FirstOffset::WithinPanic,
        );
        assert_eq!(d.update(at(1.0), combined(5e3), &Tinker::default()), Verdict::Slew);
        assert_eq!(
            (d.next_slews(at(2.0), KernelPll::Allowed, &Tinker::default()), d.new_frequency(at(2.0))),
            (None, None)
        );
        assert_eq!(d.offset(at(2.0).mono), Seconds::new(5e3));
    }
}
