//! Letting requests gather. At tens of thousands of requests a second a wake-up for each costs more
//! than its reply; a late reply harms no client as long as its timestamps are right, and they
//! are: the kernel stamps what arrives, and the departure is predicted. So at such rates the loop
//! sleeps a little before it looks, and answers together what has arrived.
//!
//! It does not where that gains nothing: at low rates, when there is no idle time left, and when
//! clients wait for answers before they ask again (then pausing lowers the rate: that is tried).

use crate::units::{MonoTime, Seconds};
use std::time::Duration;

/// The pause: half of it is what an answer is later by, in the median.
const PAUSE: f64 = 130e-6;
/// Requests that a pause is to gather at most, so that they fit into a batch.
const TOGETHER: f64 = 24.0;
/// Requests a second from which pausing gains something, and below which it ends.
const RATES: (f64, f64) = (12_000.0, 9_000.0);
/// Part of the time that must be idle, to begin and to go on.
const IDLE: (f64, f64) = (0.3, 0.1);
/// How long is looked at before deciding.
const WINDOW: Seconds = Seconds::new(0.01);
/// Windows with pauses before one without, to see what the rate would be: at first, and later.
const TRIALS: (u32, u32) = (2, 100);
/// If the rate without pauses is so much larger, pauses hold clients up.
const HELD_UP: f64 = 1.25;
/// Windows without pauses after such a trial.
const AFTER_TRIAL: u32 = 200;

/// Whether to pause, from what has been going on.
#[derive(Debug)]
pub struct Gather {
    since: MonoTime,
    taken: usize,
    idle: f64,
    pause: Option<Duration>,
    /// In a window without pauses for trial: the rate of the one before, with pauses.
    trial: Option<f64>,
    /// Windows with pauses until the next trial.
    until_trial: u32,
    /// Windows for which there must be none.
    barred: u32,
}

impl Gather {
    /// Nothing is known yet.
    #[must_use]
    pub const fn new(now: MonoTime) -> Self {
        Self { since: now, taken: 0, idle: 0.0, pause: None, trial: None, until_trial: TRIALS.0, barred: 0 }
    }

    /// How long to sleep before looking for datagrams; none at low and at full load.
    #[must_use]
    pub const fn pause(&self) -> Option<Duration> {
        self.pause
    }

    /// One turn of the loop is over: it slept from `before` to `after`, then took so many datagrams.
    pub fn turned(&mut self, before: MonoTime, after: MonoTime, taken: usize) {
        self.idle += (after - before).get();
        self.taken += taken;
        let length = (after - self.since).get();
        if length >= WINDOW.get() {
            self.decide(self.taken as f64 / length, self.idle / length);
            (self.since, self.taken, self.idle) = (after, 0, 0.0);
        }
    }

    fn decide(&mut self, rate: f64, idle: f64) {
        let was = self.pause.is_some();
        let enough = if was { (RATES.1, IDLE.1) } else { (RATES.0, IDLE.0) };
        self.barred = self.barred.saturating_sub(1);
        if let Some(paused_rate) = self.trial.take() {
            let held_up = rate > paused_rate * HELD_UP;
            self.barred = if held_up { AFTER_TRIAL } else { 0 };
            self.until_trial = TRIALS.1;
        }
        let worth = rate >= enough.0 && idle >= enough.1 && self.barred == 0;
        if !worth {
            self.until_trial = TRIALS.0;
        } else if was {
            self.until_trial = self.until_trial.saturating_sub(1);
            self.trial = (self.until_trial == 0).then_some(rate);
        }
        let pause = worth && self.trial.is_none();
        debug_assert!(
            !pause || rate > 0.0,
            "there is a pause only where there are requests: {rate} a second"
        );
        self.pause = pause.then(|| Duration::from_secs_f64(PAUSE.min(TOGETHER / rate)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs two seconds of turns; `taken` gives what a turn takes by whether there was a pause, and
    /// how long it took; the part of the turns with a pause in the second second.
    fn run(turn: impl Fn(bool) -> (f64, f64, usize)) -> f64 {
        let mut now = MonoTime::ZERO;
        let mut gather = Gather::new(now);
        let (mut paused, mut all) = (0.0, 0.0);
        while now.as_nanos() < 2_000_000_000 {
            let pause = gather.pause().is_some();
            let (idle, busy, taken) = turn(pause);
            let woken = now + Seconds::new(idle);
            gather.turned(now, woken, taken);
            if now.as_nanos() > 1_000_000_000 {
                all += idle + busy;
                paused += if pause { idle + busy } else { 0.0 };
            }
            now = woken + Seconds::new(busy);
        }
        paused / all
    }

    #[test]
    fn it_gathers_at_medium_rates_only() {
        // One each, as they come; several after a pause.
        let open = |rate: f64| {
            move |pause: bool| {
                let idle = if pause { PAUSE } else { 1.0 / rate - 5e-6 };
                (idle, 5e-6, if pause { (rate * PAUSE) as usize } else { 1 })
            }
        };
        assert!(run(open(50_000.0)) > 0.9);
        assert!(run(open(1_000.0)) == 0.0);
        assert!(run(|_| (1e-6, 130e-6, 32)) == 0.0, "no time is left");
    }

    #[test]
    fn it_does_not_hold_up_clients_that_wait() {
        // Eight clients that ask again as soon as they are answered.
        let part = run(|pause| if pause { (PAUSE, 20e-6, 8) } else { (30e-6, 20e-6, 8) });
        assert!(part < 0.1, "{part}");
    }
}
