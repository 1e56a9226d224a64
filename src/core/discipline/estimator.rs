//! What one source's samples tell of our free-running clock. THE SEAM: the rest of the engine
//! knows only [`Sample`] in and [`Estimate`] out; another estimator replaces this file.
//!
//! "Free-running" means the clock as it would be without our corrections: the caller adds back
//! all that it has steered. So the estimator needs no telling of slews, steps or frequency
//! settings, and its model is nothing but a rate that wanders.
//!
//! How it works: queues only ever lengthen a path. A sample whose round trip exceeds the shortest
//! one by `e` lies within ±e/2 of the true offset, a uniform error of variance e²/12; the minimum
//! itself is known only so well, which adds to `e`. A bank of Kalman filters, each with its own
//! idea of how much this clock wanders, is weighted by how well each foretold the samples.

use super::kalman::State;
use crate::units::{MonoTime, Ppm, Seconds};
use std::collections::VecDeque;

/// One measurement of a source.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sample {
    /// When: the middle of the exchange.
    pub at: MonoTime,
    /// Source minus free-running clock.
    pub offset: Seconds,
    /// Round trip, never negative.
    pub delay: Seconds,
    /// Error of reading both clocks.
    pub reading_error: Seconds,
}

/// What is known of a source at a moment.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Estimate {
    /// Source minus free-running clock, seconds.
    pub offset: f64,
    /// How fast that grows, seconds per second.
    pub rate: f64,
    /// Variance of the offset, s².
    pub offset_variance: f64,
    /// Variance of the rate.
    pub rate_variance: f64,
    /// Typical error of a single sample, seconds.
    pub sample_error: f64,
    /// Wander of the rate, s/s per √s.
    pub wander: f64,
}

/// Round trips over which the shortest is sought. Long enough to hold a lucky packet, short
/// enough that a new, longer route is believed after some hours.
const DELAY_WINDOW: usize = 128;
/// The bank: 10^-11 to 10^-7 in half decades covers an ovened crystal to a hot virtual machine.
const MODELS: usize = 9;
/// Memory of the weights: about the last 50 samples count.
const FORGETTING: f64 = 0.98;
/// An innovation past this many standard deviations is an outlier, or, when it repeats, a jump.
const GATE: f64 = 5.0;
/// Outliers in a row that make a jump.
const JUMP: u32 = 3;
/// As long as there are no more samples than this, all are weighed anew with each: the first packets
/// of all are often late (address resolution, cold caches), and only the later ones tell.
const ANEW: usize = 16;

/// Samples that do not fit, in a row.
#[derive(Clone, Copy, Debug)]
struct Misfit {
    count: u32,
    since: MonoTime,
    /// By how much the first of them was off.
    first: f64,
}

#[derive(Clone, Copy, Debug)]
struct Model {
    wander: f64,
    state: State,
    log_weight: f64,
}

/// The estimator of one source.
#[derive(Clone, Debug)]
pub struct Estimator {
    prior_rate: f64,
    prior_rate_sigma: f64,
    bank: Option<[Model; MODELS]>,
    at: MonoTime,
    delays: VecDeque<f64>,
    misfit: Option<Misfit>,
    /// All samples, while they are few.
    early: Vec<Sample>,
    information: f64,
}

impl Estimator {
    /// Knows nothing but that the clock's needed frequency correction is about `rate` ± `sigma`.
    #[must_use]
    pub fn new(rate: Ppm, sigma: Ppm) -> Self {
        Self {
            prior_rate: rate.rate(),
            prior_rate_sigma: sigma.rate(),
            bank: None,
            at: MonoTime::ZERO,
            delays: VecDeque::with_capacity(DELAY_WINDOW),
            misfit: None,
            early: Vec::new(),
            information: 0.0,
        }
    }

    /// Takes a sample in. One older than the last is used as if taken with it.
    pub fn sample(&mut self, sample: &Sample) {
        if self.delays.len() == DELAY_WINDOW {
            self.delays.pop_front();
        }
        self.delays.push_back(sample.delay.get().max(0.0));
        if self.delays.len() > ANEW {
            self.early = Vec::new();
            self.take(sample);
            return;
        }
        self.early.push(*sample);
        (self.bank, self.misfit, self.information) = (None, None, 0.0);
        for index in 0..self.early.len() {
            let sample = self.early[index];
            self.take(&sample);
        }
    }

    fn take(&mut self, sample: &Sample) {
        let r = self.measurement_variance(sample);
        let z = sample.offset.get();
        self.information += (1.0 / r - self.information) / (self.delays.len() as f64).min(16.0);
        let Some(mut bank) = self.bank else {
            self.bank = Some(std::array::from_fn(|i| self.first_model(i, z, r)));
            self.at = sample.at;
            return;
        };
        let dt = sample.at.since(self.at).get().max(0.0);
        self.at = self.at.max(sample.at);
        for model in &mut bank {
            model.state = model.state.predict(dt, model.wander);
        }
        let expected = mixture(&bank);
        let innovation = z - expected.offset;
        let surprise = innovation * innovation / (expected.offset_variance + r);
        if surprise > GATE * GATE {
            let before = self.misfit.unwrap_or(Misfit { count: 0, since: sample.at, first: innovation });
            let misfit = Misfit { count: before.count + 1, ..before };
            self.misfit = Some(misfit);
            if misfit.count < JUMP {
                self.bank = Some(bank);
                return;
            }
            // It lasts, so the clock or the path jumped: forget as much as the jump is large. One that
            // grows from sample to sample is a wrong rate.
            let growth = (innovation - misfit.first) / sample.at.since(misfit.since).get().max(1.0);
            for model in &mut bank {
                model.state.xx += innovation * innovation;
                model.state.ff += 1e-12 + growth * growth;
            }
        }
        self.misfit = None;
        for model in &mut bank {
            let (state, log_likelihood) = model.state.measure(z, r);
            model.state = state;
            model.log_weight = FORGETTING * model.log_weight + log_likelihood;
        }
        let best = bank.iter().map(|m| m.log_weight).fold(f64::NEG_INFINITY, f64::max);
        for model in &mut bank {
            model.log_weight -= best;
        }
        self.bank = Some(bank);
    }

    /// What is known at `at`, which may lie before or after the last sample; `None` before any.
    #[must_use]
    pub fn estimate(&self, at: MonoTime) -> Option<Estimate> {
        let mut bank = self.bank?;
        let dt = at.since(self.at).get();
        for model in &mut bank {
            if dt > 0.0 {
                model.state = model.state.predict(dt, model.wander);
            } else {
                model.state.x += model.state.f * dt;
            }
        }
        let mut estimate = mixture(&bank);
        estimate.sample_error = self.information.max(f64::MIN_POSITIVE).sqrt().recip();
        Some(estimate)
    }

    fn first_model(&self, index: usize, z: f64, r: f64) -> Model {
        let half_decades = index as f64;
        // Before any evidence most clocks wander by about 1e-9, give or take a decade.
        let unlikely = (half_decades - 4.0) / 2.0;
        let ff = self.prior_rate_sigma * self.prior_rate_sigma;
        Model {
            wander: 10f64.powf(-11.0 + half_decades / 2.0),
            state: State { x: z, f: self.prior_rate, xx: r, xf: 0.0, ff },
            log_weight: -0.5 * unlikely * unlikely,
        }
    }

    /// The variance of a sample's offset, from its delay above the shortest.
    fn measurement_variance(&self, sample: &Sample) -> f64 {
        let delay = sample.delay.get().max(0.0);
        let n = self.delays.len() as f64;
        let shortest = self.delays.iter().copied().fold(f64::INFINITY, f64::min);
        // With few samples the spread is not known yet: take it for a twentieth of the trip.
        let mean_excess = (self.delays.iter().map(|d| d - shortest).sum::<f64>() + delay / 20.0) / n;
        let uncertain = mean_excess / 2.0 * (1.57 / n).sqrt();
        let excess = delay - shortest + uncertain;
        let reading = sample.reading_error.get();
        excess * excess / 12.0 + reading * reading + 1e-16
    }
}

/// The mean of the bank by its weights, with the spread between its members added to their own.
fn mixture(bank: &[Model; MODELS]) -> Estimate {
    let best = bank.iter().map(|m| m.log_weight).fold(f64::NEG_INFINITY, f64::max);
    let weights = bank.map(|m| (m.log_weight - best).exp());
    let total: f64 = weights.iter().sum();
    let mean = |value: fn(&Model) -> f64| -> f64 {
        bank.iter().zip(weights).map(|(m, w)| w * value(m)).sum::<f64>() / total
    };
    let (x, f) = (mean(|m| m.state.x), mean(|m| m.state.f));
    let spread = |value: fn(&Model) -> f64, centre: f64| -> f64 {
        bank.iter().zip(weights).map(|(m, w)| w * (value(m) - centre).powi(2)).sum::<f64>() / total
    };
    Estimate {
        offset: x,
        rate: f,
        offset_variance: mean(|m| m.state.xx) + spread(|m| m.state.x, x),
        rate_variance: mean(|m| m.state.ff) + spread(|m| m.state.f, f),
        sample_error: 0.0,
        wander: mean(|m| m.wander.ln()).exp(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: f64, offset: f64, delay: f64) -> Sample {
        Sample {
            at: MonoTime::ZERO + Seconds::new(at),
            offset: Seconds::new(offset),
            delay: Seconds::new(delay),
            reading_error: Seconds::new(1e-7),
        }
    }

    #[test]
    fn a_long_round_trip_hardly_counts() {
        let mut estimator = Estimator::new(Ppm::ZERO, Ppm::new(50.0));
        for i in 0..40 {
            let (offset, delay) =
                if i % 4 == 3 { (0.010, 0.040) } else { (0.0, 0.0200 + f64::from(i % 3) * 1e-6) };
            estimator.sample(&sample(f64::from(i) * 64.0, offset, delay));
        }
        let estimate = estimator.estimate(MonoTime::ZERO + Seconds::new(40.0 * 64.0)).unwrap();
        assert!(estimate.offset.abs() < 20e-6, "{estimate:?}");
        assert!(estimate.rate.abs() < 0.2e-6, "{estimate:?}");
    }

    #[test]
    fn late_first_packets_do_not_pass_for_a_frequency() {
        // As seen on a virtual machine: the way there of the first packets takes up to 1.5 ms longer.
        let mut estimator = Estimator::new(Ppm::ZERO, Ppm::new(50.0));
        let late = [1.53e-3, 0.03e-3, 0.49e-3, 0.02e-3];
        for i in 0..30u32 {
            let at = if i < 4 { f64::from(i) * 2.0 } else { 6.0 + f64::from(i - 3) * 8.0 };
            let extra = late.get(i as usize).copied().unwrap_or(f64::from(i % 3) * 5e-6);
            let offset = 5e-6 * at + extra / 2.0;
            estimator.sample(&sample(at, offset, 0.28e-3 + extra));
        }
        let end = 6.0 + 27.0 * 8.0;
        let estimate = estimator.estimate(MonoTime::ZERO + Seconds::new(end)).unwrap();
        assert!((estimate.rate - 5e-6).abs() < 1e-6, "{estimate:?}");
        assert!((estimate.offset - 5e-6 * end).abs() < 20e-6, "{estimate:?}");
    }

    #[test]
    fn a_lasting_jump_is_followed_and_a_single_one_is_not() {
        let mut estimator = Estimator::new(Ppm::ZERO, Ppm::new(1.0));
        for i in 0..60 {
            let noise = f64::from(i % 5) * 1e-6;
            let offset = if i == 30 || i >= 50 { 1e-3 } else { 0.0 };
            estimator.sample(&sample(f64::from(i) * 64.0, offset + noise, 0.001 + 2.0 * noise));
            let estimate = estimator.estimate(MonoTime::ZERO + Seconds::new(f64::from(i) * 64.0)).unwrap();
            if i == 30 {
                assert!(estimate.offset.abs() < 50e-6, "{estimate:?}");
            }
            if i > 56 {
                assert!((estimate.offset - 1e-3).abs() < 50e-6, "{i} {estimate:?}");
            }
        }
    }
}
