//! The estimate of our free-running clock from samples without a round trip: broadcasts, pulses, readings of a reference clock.
//!
//! A round trip bounds the error of a sample; here nothing does. The scatter of such samples is estimated from them: Kalman
//! filters side by side, one for each wander of the clock and each noise of the source, are weighted by how well each predicted
//! the samples. An error that all samples have in common (the path of a broadcast, the length of a cable) is not observable.

use crate::engine::estimator::kalman::{Gaussian, State};
use crate::engine::estimator::mean::{self, Mean, Member};
use crate::engine::estimator::{Estimate, Prior};
use crate::units::{MonoTime, Seconds};

/// Wanders of the clock, s/s per √s: 10^-11 to 10^-7 in quarters of a decade. Where the wander between two samples is more than the noise,
/// in half decades the next smaller one would be taken for noise.
const WANDERS: i32 = 17;
/// Standard deviations of the source's noise, seconds: 10^-9 to 1 in steps of a sixth of a decade.
const NOISES: i32 = 55;
/// Before any evidence most clocks wander by about this, 10^-9, give or take a decade.
const USUAL_WANDER: i32 = 8;
/// A source is assumed to know its spread within so many decades, as a standard deviation.
const SPREAD_KNOWN: f64 = 1.0;
/// Memory of the weights: about the last 300 samples count. A wander shows only over the time that is averaged over, which may
/// be a hundred samples.
const FORGETTING: f64 = 0.997;
/// No sample counts more against a filter than this (logarithm): one outlier among the first samples is forgotten.
const IMPOSSIBLE: f64 = -20.0;
/// So many samples are taken whatever they are: until then, an apparent outlier may be a noise or a wander that is
/// not known yet.
const LEARNING: usize = 32;
/// No filter is less likely than the best by more than this (logarithm).
const LEAST: f64 = -60.0;
/// A sample so many standard deviations from what is expected is an outlier.
const GATE: f64 = 4.5;
/// Outliers in a row, near one another: something jumped.
const JUMP: usize = 2;
/// Outliers in a row, wherever they are: the noise is not what it was, and they are taken.
const NOISIER: usize = 5;

/// A filter that assumes this wander and this noise.
#[derive(Clone, Debug)]
struct Filter {
    state: State,
    wander: f64,
    /// Variance of the noise, s².
    noise: f64,
    log_weight: f64,
}

impl Filter {
    /// Adds a sample, `dt` seconds after the last one. Returns the logarithm of the predicted probability density.
    fn take(&mut self, dt: f64, offset: f64) -> f64 {
        let expected = self.state.predict(dt, self.wander);
        let (variance, innovation) = (expected.xx + self.noise, offset - expected.x);
        self.state = expected.given(&Gaussian { about: offset, precision: self.noise.recip(), pull: 0.0 });
        -0.5 * (innovation * innovation / variance + variance.ln())
    }

    /// The offset becomes the sample's, whatever the estimate was `dt` seconds before; the rate stays.
    fn open(&mut self, dt: f64, offset: f64) {
        let before = self.state.predict(dt, self.wander);
        self.state = State { x: offset, xx: self.noise, xf: 0.0, ..before };
    }
}

/// An outlier.
#[derive(Clone, Copy, Debug)]
struct Outlier {
    at: MonoTime,
    /// Counted from the origin.
    offset: f64,
    innovation: f64,
}

/// The estimator of a source whose samples have no round trip.
#[derive(Clone, Debug)]
pub(super) struct OneWay {
    prior: Prior,
    filters: Vec<Filter>,
    /// The origin of offsets, seconds: they may be decades, and are needed to nanoseconds.
    origin: f64,
    /// When the newest sample was measured.
    at: MonoTime,
    /// The last samples, as far as they did not fit.
    outliers: Vec<Outlier>,
    taken: usize,
    /// The clock was set since the last sample.
    unset: bool,
    /// How often something jumped.
    jumps: u32,
}

impl OneWay {
    pub(super) const fn new(prior: Prior) -> Self {
        Self {
            prior,
            filters: Vec::new(),
            origin: 0.0,
            at: MonoTime::ZERO,
            outliers: Vec::new(),
            taken: 0,
            unset: false,
            jumps: 0,
        }
    }

    /// Adds a sample. `spread` is the precision that the source claims.
    pub(super) fn sample(&mut self, at: MonoTime, offset: Seconds, spread: Seconds) {
        self.taken = self.taken.saturating_add(1);
        if self.filters.is_empty() {
            self.origin = offset.get();
            self.at = at;
            self.filters = filters(self.prior, spread.get());
            return;
        }
        if std::mem::take(&mut self.unset) {
            self.outliers.clear();
            self.origin = offset.get();
            self.open(at, 0.0);
            return;
        }
        let offset = offset.get() - self.origin;
        let (innovation, deviation) = self.innovation(at, offset);
        if innovation.abs() <= GATE * deviation || self.taken <= LEARNING {
            self.outliers.clear();
            self.take(at, offset);
            return;
        }
        self.outliers.push(Outlier { at, offset, innovation });
        debug_assert!(self.outliers.len() <= NOISIER, "outliers are taken once they are many");
        if self.jumped(deviation) {
            let first = self.outliers.remove(0);
            self.open(first.at, first.offset);
            self.take_outliers();
            self.jumps += 1;
        } else if self.outliers.len() == NOISIER {
            self.take_outliers();
        }
    }

    /// The innovation of a sample, and its standard deviation.
    fn innovation(&self, at: MonoTime, offset: f64) -> (f64, f64) {
        let mean = self.mean(at);
        (offset - mean.x, (mean.xx + self.noise()).sqrt())
    }

    /// Whether the last outliers lie near one another.
    fn jumped(&self, deviation: f64) -> bool {
        let last = self.outliers.last_chunk::<JUMP>();
        last.is_some_and(|[before, newest]| {
            self.outliers.len() == JUMP && (newest.innovation - before.innovation).abs() <= GATE * deviation
        })
    }

    fn take_outliers(&mut self) {
        for outlier in std::mem::take(&mut self.outliers) {
            self.take(outlier.at, outlier.offset);
        }
    }

    fn take(&mut self, at: MonoTime, offset: f64) {
        let dt = self.advance(at);
        let densities: Vec<f64> = self.filters.iter_mut().map(|filter| filter.take(dt, offset)).collect();
        let most = mean::best(densities.iter().copied());
        for (filter, density) in self.filters.iter_mut().zip(densities) {
            filter.log_weight = FORGETTING * filter.log_weight + (density - most).max(IMPOSSIBLE);
        }
        let best = mean::best(self.filters.iter().map(|f| f.log_weight));
        for filter in &mut self.filters {
            filter.log_weight = (filter.log_weight - best).max(LEAST);
        }
        debug_assert!(
            self.filters.iter().all(|f| (LEAST..=0.0).contains(&f.log_weight)),
            "a weight is a number, and none is larger than the best, which is 0"
        );
        if !self.filters.iter().all(|filter| filter.state.is_sound()) {
            // Samples contradict one another beyond the numbers' range: it begins anew with the next one.
            self.filters.clear();
            self.outliers.clear();
        }
    }

    fn open(&mut self, at: MonoTime, offset: f64) {
        let dt = self.advance(at);
        for filter in &mut self.filters {
            filter.open(dt, offset);
        }
    }

    /// Seconds since the newest sample. One older than that counts as if taken with it.
    fn advance(&mut self, at: MonoTime) -> f64 {
        let dt = at.since(self.at).get().max(0.0);
        self.at = self.at.max(at);
        dt
    }

    /// How often the source, the way to it, or our clock jumped.
    pub(super) const fn jumps(&self) -> u32 {
        self.jumps
    }

    /// How many samples it has taken.
    pub(super) const fn samples(&self) -> usize {
        self.taken
    }

    /// The clock was set by another process: the rate and the noise are what they were. False if nothing is known.
    pub(super) fn clock_set(&mut self) -> bool {
        self.unset = !self.filters.is_empty();
        self.unset
    }

    /// The clock was stepped by `by`: it is the same clock, free-running from there.
    pub(super) fn clock_stepped(&mut self, by: Seconds) {
        self.origin -= by.get();
    }

    /// Whether the last sample did not fit.
    pub(super) const fn alarmed(&self) -> bool {
        !self.outliers.is_empty()
    }

    fn mean(&self, at: MonoTime) -> Mean {
        let dt = at.since(self.at).get();
        let member = |f: &&Filter| Member { log_weight: f.log_weight, ln_wander: f.wander.ln() };
        mean::mean(&self.filters.iter(), member, |f| f.state.at(dt, f.wander))
    }

    /// Variance of the noise, s².
    fn noise(&self) -> f64 {
        let best = mean::best(self.filters.iter().map(|f| f.log_weight));
        let weight = |f: &Filter| (f.log_weight - best).exp();
        let (total, noise) = self
            .filters
            .iter()
            .fold((0.0, 0.0), |(total, noise), f| (total + weight(f), noise + weight(f) * f.noise));
        noise / total
    }

    /// The estimate at `at`, which may lie before or after the last sample; `None` before any.
    pub(super) fn estimate(&self, at: MonoTime) -> Option<Estimate> {
        if self.filters.is_empty() || self.unset {
            return None;
        }
        let mean = self.mean(at);
        Some(Estimate {
            offset: mean.x + self.origin,
            rate: mean.f,
            offset_variance: mean.xx,
            rate_variance: mean.ff,
            sample_error: self.noise().sqrt(),
            wander: mean.wander,
        })
    }
}

/// All filters after the first sample, whose offset is the origin.
fn filters(prior: Prior, spread: f64) -> Vec<Filter> {
    let sigma = prior.doubt.map_or(prior.sigma, |doubt| doubt.max(prior.sigma));
    let expected = spread.clamp(1e-9, 1.0).log10();
    let each = |index: i32| {
        let (quarter, sixth) = (index % WANDERS, index / WANDERS);
        let (decades, noise) = (f64::from(sixth) / 6.0 - 9.0, 10f64.powf(f64::from(sixth) / 3.0 - 18.0));
        let unlikely = [f64::from(quarter - USUAL_WANDER) / 4.0, (decades - expected) / SPREAD_KNOWN];
        Filter {
            state: State { x: 0.0, f: prior.rate, xx: noise, xf: 0.0, ff: sigma * sigma },
            wander: 10f64.powf(f64::from(quarter) / 4.0 - 11.0),
            noise,
            log_weight: unlikely.iter().map(|decades| -0.5 * decades * decades).sum(),
        }
    };
    (0..WANDERS * NOISES).map(each).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    const PRIOR: Prior = Prior { rate: 0.0, sigma: 50e-6, doubt: None };

    /// Normal with mean 0 and variance 1.
    fn normal(rng: &mut ChaCha8Rng) -> f64 {
        let mut uniform = || (f64::from(rng.next_u32()) + 0.5) / 4_294_967_296.0;
        (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos()
    }

    fn at(seconds: f64) -> MonoTime {
        MonoTime::ZERO + Seconds::new(seconds)
    }

    /// A clock that wanders, and its samples, `dt` seconds apart.
    struct World {
        rng: ChaCha8Rng,
        dt: f64,
        wander: f64,
        noise: f64,
        x: f64,
        f: f64,
    }

    impl World {
        fn new(seed: u64, dt: f64, wander: f64, noise: f64) -> Self {
            Self { rng: ChaCha8Rng::seed_from_u64(seed), dt, wander, noise, x: 0.5, f: 10e-6 }
        }

        /// Moves on to the next sample and gives it.
        fn sample(&mut self) -> f64 {
            let (a, b) = (normal(&mut self.rng), normal(&mut self.rng));
            let (q, dt) = (self.wander, self.dt);
            self.x += self.f * dt + q * dt.powf(1.5) * (a / 2.0 + b / 12f64.sqrt());
            self.f += q * dt.sqrt() * a;
            self.x + self.noise * normal(&mut self.rng)
        }
    }

    /// Sums of the squared errors over the last 600 of 800 samples: ours, and those of the filter that knows wander and noise.
    fn compare(seed: u64, dt: f64, wander: f64, noise: f64, spread: f64) -> (f64, f64) {
        let mut world = World::new(seed, dt, wander, noise);
        let mut ours = OneWay::new(PRIOR);
        let mut best: Option<Filter> = None;
        let (mut own, mut optimum) = (0.0, 0.0);
        for n in 0..800 {
            let (offset, time) = (world.sample(), at(f64::from(n) * dt));
            ours.sample(time, Seconds::new(offset), Seconds::new(spread));
            let state =
                State { x: offset, f: 0.0, xx: noise * noise, xf: 0.0, ff: PRIOR.sigma * PRIOR.sigma };
            match &mut best {
                Some(filter) => _ = filter.take(dt, offset),
                None => best = Some(Filter { state, wander, noise: noise * noise, log_weight: 0.0 }),
            }
            if n >= 200 {
                own += (ours.estimate(time).unwrap().offset - world.x).powi(2);
                optimum += (best.as_ref().unwrap().state.x - world.x).powi(2);
            }
        }
        (own, optimum)
    }

    /// The noise is unknown, and the source's claim may be wrong by two decades.
    #[test]
    fn a_source_of_unknown_noise_is_used_nearly_as_well_as_can_be() {
        let config = ProptestConfig { cases: 12, rng_seed: RngSeed::Fixed(11), ..ProptestConfig::default() };
        let case = (any::<u32>(), 0.0..1.0, -10.5..-7.5, -7.5..-1.5, -2.0..2.0);
        proptest!(config, |((seed, dt, wander, noise, wrong) in case)| {
            let (dt, wander, noise) = (16f64 * 10f64.powf(dt), 10f64.powf(wander), 10f64.powf(noise));
            let (mut own, mut optimum) = (0.0, 0.0);
            for n in 0..16 {
                let sums = compare(u64::from(seed) + n, dt, wander, noise, noise * 10f64.powf(wrong));
                own += sums.0;
                optimum += sums.1;
            }
            let ratio = (own / optimum).sqrt();
            prop_assert!(ratio <= 1.2, "{ratio}");
        });
    }

    #[test]
    fn its_variance_is_that_of_its_errors() {
        let (mut sum, mut count) = (0.0, 0);
        for seed in 0..40 {
            let mut world = World::new(seed, 16.0, 1e-9, 1e-4);
            let mut ours = OneWay::new(PRIOR);
            for n in 0..300 {
                let (offset, time) = (world.sample(), at(f64::from(n) * 16.0));
                ours.sample(time, Seconds::new(offset), Seconds::new(1e-3));
                if n >= 100 && n % 50 == 0 {
                    let estimate = ours.estimate(time).unwrap();
                    sum += (estimate.offset - world.x).powi(2) / estimate.offset_variance;
                    count += 1;
                }
            }
        }
        let ratio = sum / f64::from(count);
        assert!((0.6..1.6).contains(&ratio), "{ratio}");
    }

    #[test]
    fn a_single_outlier_moves_nothing_and_a_jump_is_followed() {
        let mut world = World::new(5, 64.0, 1e-9, 1e-5);
        let mut ours = OneWay::new(PRIOR);
        for n in 0..200 {
            let spike = if n == 100 { 0.05 } else { 0.0 };
            let jump = if n >= 150 { 3e-3 } else { 0.0 };
            let (offset, time) = (world.sample() + spike + jump, at(f64::from(n) * 64.0));
            ours.sample(time, Seconds::new(offset), Seconds::new(1e-5));
            let off = ours.estimate(time).unwrap().offset - world.x - jump;
            if (90..150).contains(&n) || n > 151 {
                assert!(off.abs() < 30e-6, "{n}: {off}");
            }
        }
    }

    #[test]
    fn a_source_that_becomes_a_hundred_times_noisier_is_followed() {
        let mut ours = OneWay::new(PRIOR);
        let mut world = World::new(6, 16.0, 1e-10, 1e-6);
        for n in 0..600 {
            if n == 300 {
                world.noise = 1e-4;
            }
            let time = at(f64::from(n) * 16.0);
            ours.sample(time, Seconds::new(world.sample()), Seconds::new(1e-6));
        }
        let estimate = ours.estimate(at(599.0 * 16.0)).unwrap();
        assert!((0.5e-4..2e-4).contains(&estimate.sample_error), "{estimate:?}");
        assert!((estimate.offset - world.x).abs() < 50e-6, "{estimate:?}");
    }

    #[test]
    fn one_that_is_always_the_same_is_no_more_sure_than_a_nanosecond() {
        let mut ours = OneWay::new(PRIOR);
        for n in 0..300 {
            ours.sample(at(f64::from(n) * 64.0), Seconds::new(0.25), Seconds::new(1e-6));
        }
        let estimate = ours.estimate(at(300.0 * 64.0)).unwrap();
        assert!(
            (estimate.offset - 0.25).abs() < 1e-9 && estimate.offset_variance.sqrt() > 1e-10,
            "{estimate:?}"
        );
    }

    #[test]
    fn wild_samples_leave_no_lasting_harm() {
        let config = ProptestConfig { cases: 100, rng_seed: RngSeed::Fixed(7), ..ProptestConfig::default() };
        let wild = (0.0..4096.0, -1e9..1e9, 0.0..20.0, prop::bool::weighted(0.5));
        proptest!(config, |(samples in prop::collection::vec(wild, 1..60))| {
            let mut ours = OneWay::new(PRIOR);
            let mut time = 0.0;
            for (dt, offset, spread, tame) in samples {
                time += dt;
                let offset = Seconds::new(if tame { offset * 1e-12 } else { offset });
                ours.sample(at(time), offset, Seconds::new(spread));
                if let Some(estimate) = ours.estimate(at(time + 1.0)) {
                    let all = [estimate.offset, estimate.rate, estimate.wander, estimate.sample_error];
                    prop_assert!(all.iter().all(|v| v.is_finite()), "{estimate:?}");
                    prop_assert!(estimate.offset_variance > 0.0 && estimate.rate_variance > 0.0, "{estimate:?}");
                }
            }
            for i in 0..200 {
                time += 64.0;
                ours.sample(at(time), Seconds::new(0.5 + f64::from(i % 5) * 1e-5), Seconds::new(1e-5));
            }
            let estimate = ours.estimate(at(time)).unwrap();
            prop_assert!((estimate.offset - 0.5).abs() < 1e-3, "{estimate:?}");
        });
    }
}
