//! The clock: what is done to it when the sources have been combined.
//!
//! | question | file |
//! |---|---|
//! | states, thresholds, frequency | `discipline.rs` |
//! | how the phase is slewed, and the ledger of all corrections | `steering.rs` |
//! | leap seconds | `leap.rs` |
//! | how finely it can be read | `resolution.rs` |
//! | the drift file, and how far it is trusted | `drift.rs` |
//! | what the kernel reports and what it gets; when to slew | here |

mod discipline;
mod drift;
pub mod leap;
mod resolution;
mod steering;

pub use discipline::{Discipline, State, Verdict};
pub use drift::{Drift, Record};
pub use steering::{KernelPll, Slews, Steering};

use crate::config::model::{LeapTable, Tinker};
use crate::engine::contract::{ClockCommand, Now, Output};
use crate::engine::estimator::{Combined, Estimator, Measurement};
use crate::engine::outbox::Outbox;
use crate::engine::timers::{Timer, Timers};
use crate::units::{ClockStatus, DAY, ERA, Leap, MonoTime, PIVOT, PollExponent, Ppm, Seconds};
use leap::{Change, LeapWatch};
use resolution::Resolution;
use steering::Wakeups;

/// How often a changed frequency is saved, seconds.
const DRIFT_INTERVAL: Seconds = Seconds::new(3600.0);
/// A frequency that changed by less than this is not worth a write, ppm.
const DRIFT_CHANGE: f64 = 0.01;
/// How often what lasts is logged: an old leap second file, a clock beyond its range.
const LOG_EVERY: Seconds = Seconds::new(DAY as f64);
/// Less is no step of the clock, seconds: two clocks cannot be read at the same instant.
const LEAST_STEP: f64 = 1e-3;
/// A leap second moves the clock by one second, give or take what it takes to notice.
const LEAP_SECOND: f64 = 0.1;
/// Seconds before its expiry from which on a leap second file is reported as old: 28 days.
const LEAP_FILE_SOON: i64 = 28 * DAY;
/// What a hardware clock may be off by after a suspension: in any case, and for each second.
const HARDWARE_CLOCK: (Seconds, f64) = (Seconds::new(1.0), 1e-4);

/// The clock of this machine, as the daemon knows it and adjusts it.
#[derive(Debug)]
pub struct Clock {
    discipline: Discipline,
    leap: LeapWatch,
    /// The leap second that is armed in the kernel.
    kernel_leap: Leap,
    wakeups: Wakeups,
    resolution: Resolution,
    drift: DriftFile,
    /// How often it was stepped.
    steps: u32,
    /// How many steps in a row went forward, or, below zero, back.
    row: i32,
    /// By how many eras the wall clock is behind.
    eras_off: i64,
    logged: Logged,
}

/// Whether the clock is ours to adjust.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Authority {
    /// It is.
    Adjusts,
    /// It is not (`disable ntp`, or no permission): it is measured.
    Measures,
}

/// What the first offset may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FirstOffset {
    /// Any, once (`-g`).
    Any,
    /// No more than the panic threshold.
    WithinPanic,
}

/// The drift file.
#[derive(Debug)]
struct DriftFile {
    saved: Option<Ppm>,
    /// What the daemon started with, until it is known how right it was.
    unjudged: Option<Drift>,
}

/// When what lasts was logged.
#[derive(Debug, Default)]
struct Logged {
    /// That the leap second file is old.
    leap_file: Option<MonoTime>,
    /// That the clock is beyond the kernel's range of frequency.
    range: Option<MonoTime>,
}

/// Whether a message that lasts is due again.
fn is_due(logged: Option<MonoTime>, now: MonoTime) -> bool {
    logged.is_none_or(|at| now.since(at) >= LOG_EVERY)
}

impl Clock {
    /// A clock of which nothing is known but, perhaps, the frequency of the drift file.
    #[must_use]
    pub fn new(now: Now, drift: Option<Drift>, authority: Authority, first: FirstOffset) -> Self {
        Self {
            discipline: Discipline::new(now, drift, authority, first),
            leap: LeapWatch::default(),
            kernel_leap: Leap::None,
            wakeups: Wakeups::default(),
            resolution: Resolution::new(),
            drift: DriftFile { saved: drift.map(|drift| drift.frequency), unjudged: drift },
            steps: 0,
            row: 0,
            eras_off: 0,
            logged: Logged::default(),
        }
    }

    /// Sets the timers that run from the start.
    pub fn start(&self, now: Now, timers: &mut Timers, outbox: &mut Outbox) {
        timers.set(Timer::Drift, now.mono + DRIFT_INTERVAL);
        self.repeat_frequency(outbox);
    }

    /// What is known of it, and what is being done to it.
    #[must_use]
    pub const fn discipline(&self) -> &Discipline {
        &self.discipline
    }

    /// Leap seconds.
    #[must_use]
    pub const fn leap(&self) -> &LeapWatch {
        &self.leap
    }

    /// How often it was stepped: exchanges across a step measure nothing.
    #[must_use]
    pub const fn steps(&self) -> u32 {
        self.steps
    }

    /// An estimator for a new source, with what is known of the clock so far.
    #[must_use]
    pub fn new_estimator(&self) -> Estimator {
        self.discipline.new_estimator()
    }

    /// A measurement, as it would be if the clock had run free during the exchange, which took `elapsed`;
    /// of that the other side `held` our packet.
    #[must_use]
    pub fn free_running(&self, measured: &Measurement, elapsed: Seconds, held: Seconds) -> Measurement {
        self.discipline.free_running(measured, elapsed, held)
    }

    /// The precision of the clock, log2 seconds, that an exchange leaves of what is `claimed`. It took `elapsed` by the clock, and `free`
    /// if that had run free, seconds.
    pub fn precision_left(&mut self, elapsed: f64, free: f64, claimed: i8) -> i8 {
        self.resolution.shown_by(elapsed, free, claimed)
    }

    /// A source is heard again after a silence of all.
    pub fn resumed(&mut self, now: MonoTime) {
        self.discipline.resumed(now);
    }

    /// Takes in what the survivors agree on.
    pub fn update(&mut self, now: Now, combined: Combined, tinker: &Tinker) -> Verdict {
        self.discipline.update(now, combined, tinker)
    }

    /// Orders a step; gives the moment as the stepped clock shows it, and by how much it is moved in all.
    pub fn step(&mut self, now: Now, by: Seconds, combined: Combined, outbox: &mut Outbox) -> (Now, Seconds) {
        outbox.command(ClockCommand::Step(by));
        self.discipline.stepped(now, by, combined);
        self.steps = self.steps.wrapping_add(1);
        let direction = if by.get() < 0.0 { -1 } else { 1 };
        self.row =
            if self.row.signum() == direction { self.row.saturating_add(direction) } else { direction };
        let shown = now.wall.to_unix(PIVOT).0 - self.eras_off * ERA;
        let moved = now.wall.offset(by).to_unix(PIVOT).0 - shown;
        // The step ends in the right era: where that is further than 68 years, the difference of timestamps did not show it.
        let eras = ((moved as f64 - by.get()) / ERA as f64).round();
        self.eras_off = 0;
        (Now { wall: now.wall.offset(by), ..now }, Seconds::new(by.get() + eras * ERA as f64))
    }

    /// How many steps in a row went forward, or, below zero, back.
    #[must_use]
    pub const fn steps_in_a_row(&self) -> i32 {
        self.row
    }

    /// A step that was ordered could not be done after all.
    pub fn step_failed(&mut self, by: Seconds) {
        self.discipline.step_failed(by);
    }

    /// The wall clock shows a time in another era.
    pub const fn wrong_era(&mut self, eras: i64) {
        self.eras_off = eras;
    }

    /// Whether the clock is in another era than it can be, and may not be moved that far: gives that span.
    #[must_use]
    pub fn panics_at_era(&self, tinker: &Tinker) -> Option<Seconds> {
        let admitted = self.discipline.admits_any_offset(tinker);
        let panics = self.eras_off != 0 && self.discipline.steers() && !admitted;
        panics.then(|| Seconds::new((self.eras_off * ERA) as f64))
    }

    /// The clock is right but for whole eras: corrects that, and gives by how much.
    pub fn leave_wrong_era(&mut self, outbox: &mut Outbox) -> Option<Seconds> {
        let eras = std::mem::take(&mut self.eras_off);
        if eras == 0 || !self.discipline.steers() {
            return None;
        }
        outbox.command(ClockCommand::Step(Seconds::ZERO));
        Some(Seconds::new((eras * ERA) as f64))
    }

    /// `-q` with a small offset: one slew for all of it, which the kernel ends without us. Returns the offset.
    pub fn slew_all(&mut self, now: Now, outbox: &mut Outbox) -> Seconds {
        let offset = self.discipline.offset(now.mono);
        let micros = self.discipline.slew_all(now);
        outbox.command(ClockCommand::Slew { micros });
        offset
    }

    /// Frequency and, where something is left to correct, the first slew. Returns a frequency that the kernel does not allow, once
    /// a day.
    pub fn correct(&mut self, now: Now, timers: &mut Timers, outbox: &mut Outbox) -> Option<Ppm> {
        if let Some(frequency) = self.discipline.new_frequency(now) {
            outbox.command(ClockCommand::Frequency(frequency));
        }
        if timers.get(Timer::Slew).is_none() {
            timers.set(Timer::Slew, Steering::first_tick(now));
        }
        let excess = self.discipline.beyond_range().filter(|_| is_due(self.logged.range, now.mono))?;
        self.logged.range = Some(now.mono);
        Some(excess)
    }

    /// The next slew, if it is time.
    pub fn slew_if_due(
        &mut self,
        now: Now,
        pll: KernelPll,
        tinker: &Tinker,
        timers: &mut Timers,
        outbox: &mut Outbox,
    ) {
        if !timers.is_due(Timer::Slew, now.mono) {
            return;
        }
        // Linux forgets that it is about to insert a leap second when its PLL is switched off.
        let pll = pll.only_if(|| self.leap.for_kernel(now.wall, PIVOT) == Leap::None);
        let Some(slews) = self.discipline.next_slews(now, pll, tinker) else {
            timers.clear(Timer::Slew);
            return;
        };
        if let Some((nanos, left)) = slews.pll {
            outbox.command(ClockCommand::PllSlew { nanos, left });
        }
        if let Some(micros) = slews.single {
            outbox.command(ClockCommand::Slew { micros });
        }
        self.wakeups.begin(now, timers);
        timers.set(Timer::Slew, Steering::next_tick(now));
    }

    /// The kernel was woken for the slews under way, if that was due.
    pub fn woke(&mut self, now: Now, timers: &mut Timers) {
        self.wakeups.pass(now, timers);
    }

    /// The kernel PLL does not behave as Linux's: single shots must do.
    pub fn pll_failed(&mut self) {
        self.discipline.pll_failed();
    }

    /// The clock turned out not to be ours to adjust: from now on it is only measured.
    pub fn stop_adjusting(&mut self, now: Now, timers: &mut Timers) {
        self.discipline.stop_adjusting(now);
        timers.clear(Timer::Slew);
    }

    /// Reports to the kernel how good the clock is, where it is ours to adjust.
    pub fn report_status(&mut self, status: ClockStatus, outbox: &mut Outbox) {
        if self.discipline.steers() {
            self.kernel_leap = status.leap;
            outbox.command(ClockCommand::Status(status));
        }
    }

    /// The poll exponent that the information asks for.
    #[must_use]
    pub fn poll(&self, now: MonoTime) -> PollExponent {
        self.discipline.poll(now)
    }

    /// Another process set the clock by `by`: what slews had left is gone. False if it was nothing, or the leap second that is
    /// armed in the kernel.
    pub fn set_outside(&mut self, now: Now, by: Seconds) -> bool {
        if by.get().abs() < LEAST_STEP || self.is_leap_second(by) {
            return false;
        }
        // Requests under way carry timestamps of the clock before.
        self.steps = self.steps.wrapping_add(1);
        self.discipline.clock_set(now, by);
        true
    }

    /// The machine was suspended: what slews had left is gone, and the offset is whatever the hardware clock made of it.
    pub fn suspended(&mut self, now: Now, span: Seconds, next: FirstOffset) {
        // Requests under way carry timestamps from before.
        self.steps = self.steps.wrapping_add(1);
        self.discipline.suspended(now, Self::error_after(span), next);
    }

    /// By how much the clock may be off after the machine was suspended for `span`: a hardware clock shows whole seconds, and
    /// nothing corrects its frequency.
    #[must_use]
    pub fn error_after(span: Seconds) -> Seconds {
        HARDWARE_CLOCK.0 + span * HARDWARE_CLOCK.1
    }

    /// Sets the frequency in force once more: the process that set the clock may have set its frequency, too.
    pub fn repeat_frequency(&self, outbox: &mut Outbox) {
        if self.discipline.steers() {
            outbox.command(ClockCommand::Frequency(self.discipline.frequency()));
        }
    }

    /// Whether that was the leap second that is armed in the kernel.
    fn is_leap_second(&mut self, by: Seconds) -> bool {
        let expected = match self.kernel_leap {
            Leap::Insert => -1.0,
            Leap::Delete => 1.0,
            Leap::None | Leap::Unsynchronised => return false,
        };
        let leapt = (by.get() - expected).abs() < LEAP_SECOND;
        if leapt {
            self.kernel_leap = Leap::None;
        }
        leapt
    }

    /// Takes in what the leap second file and the survivors announce.
    pub fn watch_leap(&mut self, now: Now, table: Option<&LeapTable>, votes: &[Leap]) -> Option<Change> {
        let change = self.leap.update(now.wall, PIVOT, table, votes);
        debug_assert!(
            self.leap.armed_for().is_none_or(|end| end > now.wall.to_unix(PIVOT).0),
            "a leap second that is armed is still to come: {:?}",
            self.leap
        );
        debug_assert_ne!(
            self.leap.announced(),
            Leap::Unsynchronised,
            "only a leap second is ever armed, to be inserted or deleted"
        );
        change
    }

    /// A leap second file came into use: how old it is may be logged again.
    pub const fn leap_file_read(&mut self) {
        self.logged.leap_file = None;
    }

    /// How many seconds a leap second file has left, once a day if it is old or will be soon.
    pub fn old_leap_file(&mut self, now: Now, table: Option<&LeapTable>) -> Option<i64> {
        let expires = table?.expires.filter(|_| is_due(self.logged.leap_file, now.mono))?;
        let left = expires - now.wall.to_unix(PIVOT).0;
        if left >= LEAP_FILE_SOON {
            return None;
        }
        self.logged.leap_file = Some(now.mono);
        Some(left)
    }

    /// Saves the frequency, if that is due; `threshold` is that of the `driftfile` line, ppm.
    pub fn save_drift_if_due(
        &mut self,
        now: Now,
        threshold: Option<Ppm>,
        timers: &mut Timers,
        outbox: &mut Outbox,
    ) {
        if timers.is_due(Timer::Drift, now.mono) {
            timers.set(Timer::Drift, now.mono + DRIFT_INTERVAL);
            self.save_drift(threshold.map_or(DRIFT_CHANGE, Ppm::get), outbox);
        }
    }

    /// Saves the frequency if it changed by at least so many ppm.
    pub fn save_drift(&mut self, at_least: f64, outbox: &mut Outbox) {
        let Some(frequency) = self.discipline.frequency_to_save() else { return };
        let saved = self.drift.saved;
        if saved.is_none_or(|saved| (saved.get() - frequency.get()).abs() >= at_least) {
            self.drift.saved = Some(frequency);
            outbox.push(Output::SaveDrift(frequency));
        }
        if let Some((drift, error)) =
            self.drift.unjudged.and_then(|d| Some((d, self.discipline.error_of(&d)?)))
        {
            self.drift.unjudged = None;
            outbox.push(Output::SaveDriftRecord(drift.record.and(error)));
        }
    }
}
