//! The clock filter: the last eight samples of a source (RFC 5905 section 10). It gives the
//! figures that ntpq shows and that selection judges by; the clock itself is steered by the
//! estimator, which uses every sample.

use crate::units::{MAX_DISPERSION, MonoTime, PHI, Seconds};

/// Stages of the shift register (NTP_SHIFT).
pub const STAGES: usize = 8;
/// Samples that make a new source usable. Were empty stages to count, it would take four.
const ENOUGH: usize = 2;

/// One stage.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Stage {
    /// Source minus clock, as measured.
    pub offset: Seconds,
    /// Round trip.
    pub delay: Seconds,
    /// Error bound at `at`.
    pub dispersion: Seconds,
    /// When it was measured.
    pub at: MonoTime,
}

/// The register, newest first, and what follows from it.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    stages: [Option<Stage>; STAGES],
    best: Option<Stage>,
    dispersion: f64,
    /// The part of it that comes from stages which never held a sample.
    unfilled: f64,
    /// A poll went unanswered.
    missed: bool,
    jitter: f64,
    /// When the sample was measured that peerstats had last.
    recorded: Option<MonoTime>,
}

impl Filter {
    /// Shifts a sample in; `floor` is the least jitter worth showing, the clock's precision.
    pub fn push(&mut self, stage: Stage, floor: Seconds) {
        self.stages.rotate_right(1);
        self.stages[0] = Some(stage);
        self.evaluate(stage.at, floor.get());
    }

    /// Shifts an empty stage in, for a poll that got no answer.
    pub fn push_missing(&mut self, now: MonoTime, floor: Seconds) {
        self.stages.rotate_right(1);
        self.stages[0] = None;
        self.missed = true;
        self.evaluate(now, floor.get());
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self { recorded: self.recorded, ..Self::default() };
    }

    /// The newest best sample, if peerstats has not had it yet.
    pub fn new_best(&mut self) -> Option<Stage> {
        let best = self.best.filter(|best| self.recorded.is_none_or(|recorded| best.at > recorded))?;
        self.recorded = Some(best.at);
        Some(best)
    }

    /// The clock was moved by `by` at once: what was measured before is measured anew.
    pub fn clock_stepped(&mut self, by: Seconds) {
        for stage in self.stages.iter_mut().chain([&mut self.best]).flatten() {
            stage.offset -= by;
        }
    }

    /// The sample with the shortest round trip.
    #[must_use]
    pub const fn best(&self) -> Option<Stage> {
        self.best
    }

    /// The register, newest first.
    #[must_use]
    pub const fn stages(&self) -> &[Option<Stage>; STAGES] {
        &self.stages
    }

    /// Filter dispersion: the stages' dispersions, each by delay rank worth half of the one before.
    #[must_use]
    pub fn dispersion(&self) -> Seconds {
        Seconds::new(if self.best.is_some() { self.dispersion } else { MAX_DISPERSION })
    }

    /// Filter dispersion as selection judges by it: without the stages of a new source that could not be filled
    /// yet, once it has two samples.
    #[must_use]
    pub fn dispersion_so_far(&self) -> Seconds {
        let filled = self.stages.iter().flatten().count();
        let unfilled = if self.missed || filled < ENOUGH { 0.0 } else { self.unfilled };
        self.dispersion() - Seconds::new(unfilled)
    }

    /// Root mean square of the offsets' differences to the best one.
    #[must_use]
    pub const fn jitter(&self) -> Seconds {
        Seconds::new(self.jitter)
    }

    fn evaluate(&mut self, now: MonoTime, floor: f64) {
        let mut sorted: Vec<Stage> = self.stages.iter().flatten().copied().collect();
        sorted.sort_by(|a, b| a.delay.get().total_cmp(&b.delay.get()));
        self.best = sorted.first().copied();
        let Some(best) = self.best else { return };
        (self.dispersion, self.unfilled) = (0.0, 0.0);
        let mut weight = 0.5;
        for rank in 0..STAGES {
            let own = sorted.get(rank).map_or(MAX_DISPERSION, |s| {
                (s.dispersion.get() + PHI * now.since(s.at).get()).min(MAX_DISPERSION)
            });
            self.dispersion += own * weight;
            if rank >= sorted.len() {
                self.unfilled += own * weight;
            }
            weight /= 2.0;
        }
        let others = sorted.len().saturating_sub(1).max(1) as f64;
        let squares: f64 = sorted.iter().map(|s| (s.offset - best.offset).get().powi(2)).sum();
        self.jitter = (squares / others).sqrt().max(floor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(at: f64, offset: f64, delay: f64) -> Stage {
        Stage {
            offset: Seconds::new(offset),
            delay: Seconds::new(delay),
            dispersion: Seconds::new(1e-6),
            at: MonoTime::ZERO + Seconds::new(at),
        }
    }

    #[test]
    fn dispersion_is_shown_as_ntpd_does_and_two_samples_make_a_source_usable() {
        let mut filter = Filter::default();
        let floor = Seconds::new(1e-6);
        let mut seen = vec![filter.dispersion().get()];
        let mut judged = vec![filter.dispersion_so_far().get()];
        for i in 0..4 {
            filter.push(stage(f64::from(i) * 2.0, 0.0, 0.01), floor);
            seen.push(filter.dispersion().get());
            judged.push(filter.dispersion_so_far().get());
        }
        // 16 s, then half of what is missing each time: as ntpd shows it.
        let expected = [16.0, 7.9375, 3.9375, 1.9375, 0.9375];
        for (got, want) in seen.iter().zip(expected) {
            assert!((got - want).abs() < 1e-3, "{seen:?}");
        }
        assert_eq!(
            (judged[0] > 1.5, judged[1] > 1.5, judged[2] < 0.001, judged[4] < 0.001),
            (true, true, true, true)
        );
        // A server that begins to lose packets has no such excuse.
        filter.push_missing(MonoTime::ZERO + Seconds::new(64.0), floor);
        assert_eq!(filter.dispersion_so_far(), filter.dispersion());
    }

    #[test]
    fn the_shortest_round_trip_is_the_best() {
        let mut filter = Filter::default();
        let floor = Seconds::new(1e-6);
        for (i, (offset, delay)) in [(0.003, 0.020), (0.001, 0.010), (0.009, 0.050)].into_iter().enumerate() {
            filter.push(stage(i as f64, offset, delay), floor);
        }
        assert_eq!(filter.best().map(|s| s.offset), Some(Seconds::new(0.001)));
        assert!((filter.jitter().get() - ((4e-6f64 + 64e-6) / 2.0).sqrt()).abs() < 1e-9);
    }
}
