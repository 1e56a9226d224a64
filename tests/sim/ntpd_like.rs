//! Yardstick: a loop such as RFC 5905 describes. Of the last eight samples of a server the one with
//! the shortest round trip counts, once; what the servers say is averaged by their distances; a
//! phase-locked loop of second order follows it.
//!
//! Its equations, for an offset x measured `dt` after the last one, at interval I: the phase decays by
//! x/(g I) each second, the frequency is raised by x·dt/(4 g I)² (RFC 5905 section 11.3). The gain g is 16
//! for ntpd (CLOCK_PLL); with 4 the loop follows a wandering clock better and noise worse. A loop of large
//! gain begins with 4 and slows down with its age, as ntpd does by beginning with short intervals.
//! The frequency-locked part is for intervals past the Allan intercept, 2^11 s, which `maxpoll 10` never
//! reaches. As ntpd without a drift file does, it measures the frequency directly in its first 900 s; unlike
//! ntpd it then works off at once what had gathered meanwhile, so that the start does not decide the figures.

use super::yardstick::{Loop, Taken};
use std::collections::VecDeque;

/// Stages of the clock filter (NTP_SHIFT).
const STAGES: usize = 8;
/// The gain at the start.
const STARTING: f64 = 4.0;
/// How long the frequency is measured before the loop is closed (CLOCK_STEPOUT in ntpd), seconds.
const TRAINING: f64 = 900.0;
/// How much a second of age adds to a sample's distance (CLOCK_PHI), s/s.
const PHI: f64 = 15e-6;

/// One server's clock filter.
#[derive(Default)]
struct Filter {
    stages: VecDeque<Taken>,
    /// The last sample that was used.
    best: Option<Taken>,
}

impl Filter {
    /// Takes a sample; true if there is a newer one to be used.
    fn push(&mut self, taken: &Taken) -> bool {
        if self.stages.len() == STAGES {
            self.stages.pop_front();
        }
        self.stages.push_back(*taken);
        let age = |t: &Taken| t.delay + 2.0 * PHI * (taken.at - t.at);
        let best = self.stages.iter().min_by(|a, b| age(a).total_cmp(&age(b))).copied();
        let newer = |b: &Taken| self.best.is_none_or(|used| b.at > used.at);
        let Some(best) = best.filter(newer) else { return false };
        self.best = Some(best);
        true
    }
}

/// The loop.
pub struct NtpdLike {
    gain: f64,
    interval: f64,
    filters: Vec<Filter>,
    /// The first offset, and when: the frequency is the growth since.
    first: Option<(f64, f64)>,
    trained: bool,
    /// When the loop was closed, and the time constant of the phase now, g I.
    began: f64,
    constant: f64,
    updated: f64,
    phase: f64,
    /// What gathered in training and is still to be worked off.
    gathered: f64,
    frequency: f64,
}

impl NtpdLike {
    /// A loop of this gain for servers asked every `interval` seconds.
    pub fn new(servers: usize, interval: f64, gain: f64) -> Self {
        Self {
            gain,
            interval,
            filters: (0..servers).map(|_| Filter::default()).collect(),
            first: None,
            trained: false,
            began: 0.0,
            constant: STARTING * interval,
            updated: 0.0,
            phase: 0.0,
            gathered: 0.0,
            frequency: 0.0,
        }
    }

    /// What the servers say, each weighed by its distance.
    fn combined(&self) -> f64 {
        let best = self.filters.iter().filter_map(|f| f.best);
        let (sum, weights) = best.fold((0.0, 0.0), |(sum, weights), t| {
            let weight = 1.0 / (t.delay / 2.0).max(1e-6);
            (sum + weight * t.offset, weights + weight)
        });
        sum / weights
    }

    fn train(&mut self, at: f64, offset: f64) {
        let Some((since, before)) = self.first else {
            self.first = Some((at, offset));
            return;
        };
        if at - since >= TRAINING {
            self.frequency = (offset - before) / (at - since);
            (self.gathered, self.trained, self.updated, self.began) = (offset, true, at, at);
            // What was measured of the clock before says nothing of it after.
            self.filters.iter_mut().for_each(|f| *f = Filter::default());
        }
    }
}

impl Loop for NtpdLike {
    fn sample(&mut self, taken: &Taken) {
        if self.gathered.abs() > 1e-9 {
            return;
        }
        // The first server is the system peer: its samples drive the loop.
        if !self.filters[taken.server].push(taken) || taken.server != 0 {
            return;
        }
        if !self.trained {
            // The others were measured at other times, and the clock runs away meanwhile.
            self.train(taken.at, taken.offset);
            return;
        }
        let offset = self.combined();

        let since = (taken.at - self.updated).clamp(0.0, STAGES as f64 * self.interval);
        self.updated = taken.at;
        // A wrong frequency fades in 16 time constants: none may be longer than what fades by then.
        let grown = ((taken.at - self.began) / 16.0).max(STARTING * self.interval);
        self.constant = grown.min(self.gain * self.interval);
        self.phase = offset;
        self.frequency += offset * since / (4.0 * self.constant).powi(2);
    }

    fn rate(&mut self, _: f64, _: f64) -> f64 {
        if !self.trained {
            return 0.0;
        }
        let by = self.phase / self.constant;
        self.phase -= by;
        let at_once = self.gathered.clamp(-500e-6, 500e-6);
        self.gathered -= at_once;
        self.frequency + by + at_once
    }
}
