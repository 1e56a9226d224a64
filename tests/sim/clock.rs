//! A machine's clock and its kernel: an oscillator that is off and wanders, steered as Linux
//! steers it. Single slews are worked off at up to 500 µs in each second of the wall clock,
//! beginning at the next one; the monotonic clock follows frequency and slews, but no steps.

use super::chance::Dice;
use rsntpd::engine::contract::{ClockCommand, ClockFailure, Now};
use rsntpd::units::{ERA, MonoTime, NtpTimestamp, Seconds, eras_off};

/// Most that is slewed in a second.
const SLEW_MAX: f64 = 500e-6;

/// A swing of the frequency with temperature.
#[derive(Clone, Copy, Default)]
pub struct Swing {
    /// Amplitude, s/s.
    pub amplitude: f64,
    /// Period, seconds.
    pub period: f64,
}

pub struct Clock {
    /// True time, seconds since the start of the world.
    pub time: f64,
    /// Wall clock minus true time.
    pub offset: f64,
    /// Error of the free-running oscillator, s/s.
    pub drift: f64,
    pub wander: f64,
    pub swing: Swing,
    /// Unix time of the world's start.
    pub epoch: i64,
    /// The frequency correction in force, s/s.
    pub correction: f64,
    mono: f64,
    slew_left: f64,
    slewing: f64,
    /// What the kernel's loop has left, and works off in this second.
    glide_left: f64,
    gliding: f64,
    /// Whether its loop works as Linux's does.
    pub has_loop: bool,
    second_ends: f64,
    /// The tick that the kernel does without while nothing happens; None: it never does.
    pub idle_tick: Option<f64>,
    /// Seconds that are over and were not noticed.
    unnoticed: u32,
    dice: Dice,
}

impl Clock {
    pub fn new(epoch: i64, offset: f64, drift: f64, wander: f64, dice: Dice) -> Self {
        let second_ends = offset.floor() + 1.0;
        Self {
            time: 0.0,
            offset,
            drift,
            wander,
            swing: Swing::default(),
            epoch,
            correction: 0.0,
            mono: 1000.0,
            slew_left: 0.0,
            slewing: 0.0,
            glide_left: 0.0,
            gliding: 0.0,
            has_loop: true,
            second_ends,
            idle_tick: None,
            unnoticed: 0,
            dice,
        }
    }

    pub fn now(&self) -> Now {
        Now { mono: MonoTime::ZERO + Seconds::new(self.mono), wall: self.wall() }
    }

    pub fn wall(&self) -> NtpTimestamp {
        let shown = self.time + self.offset;
        NtpTimestamp::from_unix(self.unix(), 0).offset(Seconds::new(shown - shown.floor()))
    }

    /// The whole seconds that the wall clock shows, Unix time.
    pub fn unix(&self) -> i64 {
        self.epoch + (self.time + self.offset).floor() as i64
    }

    /// Goes on to true time `to`.
    pub fn advance(&mut self, to: f64) {
        while self.time < to - 1e-12 {
            let left = (self.second_ends - self.time - self.offset).max(1e-9);
            self.run(left.min(to - self.time));
            if self.time + self.offset >= self.second_ends - 1e-9 {
                self.second_ends += 1.0;
                self.drift += self.wander * self.dice.normal();
                self.unnoticed += 1;
                if self.idle_tick.is_none() {
                    self.notice_seconds();
                }
            }
        }
    }

    /// Something happens: the kernel counts the ticks that are over.
    pub fn wake(&mut self) {
        if self.idle_tick.is_some_and(|tick| self.time + self.offset >= self.second_ends - 1.0 + tick) {
            self.notice_seconds();
        }
    }

    fn notice_seconds(&mut self) {
        for _ in 0..std::mem::take(&mut self.unnoticed) {
            self.slewing = self.slew_left.clamp(-SLEW_MAX, SLEW_MAX);
            self.slew_left -= self.slewing;
            self.gliding = self.glide_left / 4.0;
            self.glide_left -= self.gliding;
        }
    }

    fn run(&mut self, dt: f64) {
        let phase = 2.0 * std::f64::consts::PI * self.time / self.swing.period.max(1.0);
        let rate =
            self.drift + self.swing.amplitude * phase.sin() + self.correction + self.slewing + self.gliding;
        self.offset += dt * rate;
        self.time += dt;
        self.mono += dt * (1.0 + rate);
    }

    /// Frequency error that is left, s/s.
    pub fn rate_error(&self) -> f64 {
        self.drift + self.correction
    }

    pub fn perform(&mut self, command: ClockCommand) -> Result<(), ClockFailure> {
        match command {
            ClockCommand::Frequency(ppm) => self.correction = ppm.rate(),
            ClockCommand::Slew { micros } => self.slew_left += f64::from(micros) * 1e-6,
            ClockCommand::PllSlew { nanos, left } => {
                let wrong = (self.glide_left * 1e9 - f64::from(left)).abs() > 2000.0;
                self.glide_left = if wrong || !self.has_loop { 0.0 } else { f64::from(nanos) * 1e-9 };
                if wrong || !self.has_loop {
                    return Err(ClockFailure::NoLoop);
                }
            }
            ClockCommand::Step(by) => {
                self.step(by.get());
                self.step((eras_off(self.unix()) * ERA) as f64);
            }
            ClockCommand::Status(_) => {}
        }
        Ok(())
    }

    /// The wall clock is set, by the daemon or by somebody else.
    pub fn step(&mut self, by: f64) {
        self.offset += by;
        (self.slew_left, self.slewing) = (0.0, 0.0);
        (self.glide_left, self.gliding) = (0.0, 0.0);
        self.unnoticed = 0;
        self.second_ends = (self.time + self.offset).floor() + 1.0;
    }

    /// The kernel inserts a leap second: the wall clock alone goes back, a slew under way goes on.
    pub fn insert_leap_second(&mut self) {
        self.offset -= 1.0;
        self.second_ends -= 1.0;
    }

    /// The machine stands still, its clocks with it, for `span` seconds of true time.
    pub fn pause(&mut self, span: f64) {
        self.time += span;
        self.offset -= span;
    }

    /// True time at which the monotonic clock will show `deadline`, at the present rate.
    pub fn when(&self, deadline: MonoTime) -> f64 {
        self.time + (deadline.since(MonoTime::ZERO).get() - self.mono).max(0.0) * (1.0 + 1e-9) + 1e-7
    }
}
