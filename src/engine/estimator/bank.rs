//! The model bank (multiple-model estimator): filters side by side, each with another assumption of the clock's
//! wander and of the path, and each weighted by how well it predicted the samples.

use crate::engine::estimator::coloured::Coloured;
use crate::engine::estimator::kalman::{Normal, State};
use crate::engine::estimator::mean::{self, Mean, Member, NOTHING};
use crate::engine::estimator::smoother::{Seen, Smoother};
use std::collections::VecDeque;

/// 10^-11 to 10^-7 in half decades: that covers an ovened crystal to a hot virtual machine.
const WANDERS: usize = 9;
/// Correlation times of queueing noise, seconds: 20 and 80 minutes, for the filters that assume it correlated.
const STAY: [f64; 2] = [1200.0, 4800.0];
/// These are less likely by this before any evidence (logarithm).
const STAY_SELDOM: f64 = 1.0;
/// All filters but the alternatives that a jump or a doubtful prior adds.
const MODELS: usize = WANDERS * (1 + STAY.len());
/// Memory of the weights: about the last 50 samples count.
const FORGETTING: f64 = 0.98;
/// No sample counts more against a model than this (logarithm): then all are equally wrong.
const IMPOSSIBLE: f64 = -1e4;
/// No model is less likely than the best by more than this (logarithm): so some dozens of samples can always bring it back.
const LEAST: f64 = -200.0;
/// No clock runs faster than this against another, s/s: an apparent rate beyond it is a jump of the phase.
const FASTEST: f64 = 1e-3;
/// A jump of the rate is less likely than one of the phase by this (logarithm), and the less so the larger
/// it is: half of them are smaller than 5 ppm (a Cauchy law), as a shock of temperature makes them.
const RATE_SELDOM: f64 = 1.0;
const USUAL_RATE: f64 = 5e-6;

/// A model that is less likely than the best by this (logarithm) moves no mean by a visible digit: its window is not fitted until it
/// is likelier again.
const NEGLIGIBLE: f64 = -10.0;
/// That the prior rate is all wrong is less likely by this (logarithm).
const WRONG_SELDOM: f64 = 1.0;

#[derive(Clone, Debug)]
enum Filter {
    /// Queueing noise is independent from packet to packet.
    Intervals(Smoother),
    /// Queueing noise is correlated.
    Coloured(Coloured),
}

impl Filter {
    fn state(&self, dt: f64) -> State {
        match self {
            Self::Intervals(smoother) => smoother.state(dt),
            Self::Coloured(filter) => filter.state(dt),
        }
    }

    /// Logarithm of the probability density of a sample's offset, in units of that between its bounds.
    fn log_density(&self, new: &Seen, queueing: f64) -> f64 {
        bounded(match self {
            Self::Intervals(smoother) => smoother.log_density(new),
            Self::Coloured(filter) => {
                filter.log_density(new, queueing * queueing) + (2.0 * new.interval.half).ln()
            }
        })
    }

    /// Adds a sample, and leaves the earlier ones as they are. Gives its [`Filter::log_density`].
    fn append(&mut self, new: &Seen, queueing: f64) -> f64 {
        bounded(match self {
            Self::Intervals(smoother) => smoother.append(new),
            Self::Coloured(filter) => filter.take(new, queueing * queueing) + (2.0 * new.interval.half).ln(),
        })
    }

    fn begin_anew(&mut self, state: State) {
        match self {
            Self::Intervals(smoother) => smoother.begin_anew(state),
            Self::Coloured(filter) => filter.begin_anew(state),
        }
    }
}

/// A log density that no rounding makes infinite.
fn bounded(density: f64) -> f64 {
    if density.is_nan() { IMPOSSIBLE } else { density.clamp(IMPOSSIBLE, -IMPOSSIBLE) }
}

#[derive(Clone, Debug)]
struct Model {
    filter: Filter,
    /// Logarithm of the wander that it assumes.
    ln_wander: f64,
    log_weight: f64,
}

/// The filters; none before the first sample.
#[derive(Clone, Debug, Default)]
pub(super) struct Bank {
    models: Vec<Model>,
}

impl Bank {
    /// All filters; `state` holds at the time of the first sample.
    pub(super) fn new(state: State) -> Self {
        let model = |index: usize| {
            let half_decades = (index % WANDERS) as f64;
            // Before any evidence most clocks wander by about 1e-9, give or take a decade.
            let unlikely = (half_decades - 4.0) / 2.0;
            let wander = 10f64.powf(-11.0 + half_decades / 2.0);
            let stay = (index / WANDERS).checked_sub(1).and_then(|n| STAY.get(n));
            let filter = stay.map_or_else(
                || Filter::Intervals(Smoother::new(wander, state)),
                |stay| Filter::Coloured(Coloured::new(wander, *stay, state)),
            );
            let seldom = if stay.is_some() { STAY_SELDOM } else { 0.0 };
            Model { filter, ln_wander: wander.ln(), log_weight: -0.5 * unlikely * unlikely - seldom }
        };
        Self { models: (0..MODELS).map(model).collect() }
    }

    /// Each filter gets an alternative with a rate of zero ± `sigma`, s/s: as without the prior.
    pub(super) fn add_rate_alternative(&mut self, sigma: f64) {
        self.add_alternatives(WRONG_SELDOM, |state| State { f: 0.0, ff: sigma * sigma, ..state });
    }

    /// Each filter gets an alternative that begins with another state and is less likely by `seldom` (logarithm).
    fn add_alternatives(&mut self, seldom: f64, other_state: impl Fn(State) -> State) {
        debug_assert_eq!(self.models.len(), MODELS, "only a bank without alternatives gets them");
        let mut others = self.models.clone();
        for other in &mut others {
            other.filter.begin_anew(other_state(other.filter.state(0.0)));
            other.log_weight -= seldom;
        }
        self.models.append(&mut others);
    }

    /// Whether there was no sample yet.
    pub(super) const fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    /// Whether all states are ones that a clock could have.
    pub(super) fn is_sound(&self) -> bool {
        self.models.iter().all(|m| m.filter.state(0.0).is_sound())
    }

    /// Forgets the samples; the estimate stays.
    pub(super) fn begin_anew(&mut self) {
        for model in &mut self.models {
            model.filter.begin_anew(model.filter.state(0.0));
        }
    }

    /// The oldest sample leaves the window, its information stays. The next one arrived `dt` seconds later.
    pub(super) fn let_go(&mut self, dt: f64) {
        for model in &mut self.models {
            if let Filter::Intervals(smoother) = &mut model.filter {
                smoother.let_go(dt);
            }
        }
    }

    /// The last of `window` is new: the newest `depth` are fitted together anew. `queueing` is the standard deviation of the queueing
    /// noise of an offset.
    pub(super) fn take(&mut self, window: &VecDeque<Seen>, depth: usize, queueing: f64) {
        let Some(new) = window.back() else { return };
        for model in &mut self.models {
            let before = model.log_weight;
            model.log_weight = FORGETTING * model.log_weight + model.filter.append(new, queueing);
            if let Filter::Intervals(smoother) = &mut model.filter
                && before >= NEGLIGIBLE
            {
                smoother.fit(window, depth);
            }
        }
        let best = self.best();
        for model in &mut self.models {
            model.log_weight = (model.log_weight - best).max(LEAST);
        }
        debug_assert!(
            self.models.iter().all(|m| (LEAST..=0.0).contains(&m.log_weight)),
            "a weight is a number, and none is larger than the best, which is 0"
        );
        debug_assert!(self.is_empty() || self.best() == 0.0, "the best of a bank has the weight 0");
    }

    /// Logarithm of the probability density that all models together predict for the offset of a sample, in units of
    /// that between its bounds.
    pub(super) fn log_density(&self, new: &Seen, queueing: f64) -> f64 {
        let best = self.best();
        let (mut all, mut density) = (0.0, 0.0);
        for model in self.models.iter().filter(|m| m.log_weight - best > NOTHING) {
            let weight = (model.log_weight - best).exp();
            all += weight;
            density += weight * model.filter.log_density(new, queueing).exp();
        }
        f64::max(density / all, f64::MIN_POSITIVE).ln()
    }

    /// Whether the estimate `dt` seconds after the newest sample `fits`: that of all models, or, while paired hypotheses
    /// compete, that of one of the two sets.
    pub(super) fn is_predicted(&self, dt: f64, fits: impl Fn(&Mean) -> bool) -> bool {
        let mut kinds = self.models.chunks(MODELS);
        fits(&self.mean(dt)) || (self.models.len() > MODELS && kinds.any(|kind| fits(&mean(kind, dt))))
    }

    /// Something jumped, `since` seconds after the newest sample or before: `offset` is where the
    /// first sample after it is. Each filter assumes a jump of the phase, and its alternative a jump of the rate by
    /// `rate`, if a clock can have that. The samples decide.
    pub(super) fn jump(&mut self, since: f64, offset: Normal, rate: f64) {
        self.decide();
        for model in &mut self.models {
            let state = model.filter.state(since);
            model.filter.begin_anew(State { x: offset.mean, xx: offset.variance, xf: 0.0, ..state });
        }
        if rate.abs() < FASTEST {
            let ratio = rate / USUAL_RATE;
            self.add_alternatives(RATE_SELDOM + ratio.mul_add(ratio, 1.0).ln(), |state| State {
                f: state.f + rate,
                ff: state.ff + rate * rate,
                ..state
            });
        }
    }

    /// A jump is over, or a start: of the paired hypotheses the likelier stays, for each wander and path.
    pub(super) fn decide(&mut self) {
        let others = self.models.split_off(self.models.len().min(MODELS));
        debug_assert!(
            others.is_empty() || others.len() == self.models.len(),
            "each model has one alternative"
        );
        for (model, other) in self.models.iter_mut().zip(others) {
            if other.log_weight > model.log_weight {
                *model = other;
            }
        }
    }

    fn best(&self) -> f64 {
        best(&self.models)
    }

    /// The mean by the weights, `dt` seconds after the newest sample, with the spread between the members added to their
    /// own.
    pub(super) fn mean(&self, dt: f64) -> Mean {
        mean(&self.models, dt)
    }
}

fn best(models: &[Model]) -> f64 {
    mean::best(models.iter().map(|m| m.log_weight))
}

fn mean(models: &[Model], dt: f64) -> Mean {
    mean::mean(
        &models.iter(),
        |m| Member { log_weight: m.log_weight, ln_wander: m.ln_wander },
        |m| m.filter.state(dt),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::estimator::fit::WINDOW;
    use crate::engine::estimator::interval::Interval;
    use crate::engine::estimator::two_way::Sample;
    use crate::units::{MonoTime, Seconds};
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    const KNOWN: State = State { x: 1e-3, f: 2e-6, xx: 1e-8, xf: 0.0, ff: 1e-14 };

    /// Normal with mean 0 and variance 1.
    fn normal(rng: &mut ChaCha8Rng) -> f64 {
        let mut uniform = || (f64::from(rng.next_u32()) + 0.5) / 4_294_967_296.0;
        (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos()
    }

    /// A sample `dt` seconds after the one before, whose offset lies within `half`, blurred by `blur` (standard deviation).
    fn seen(dt: f64, offset: f64, half: f64, blur: f64) -> Seen {
        let sample = Sample {
            at: MonoTime::ZERO,
            offset: Seconds::new(offset),
            delay: Seconds::ZERO,
            reading_error: Seconds::ZERO,
        };
        Seen { sample, dt, interval: Interval { middle: offset, half, blur: blur * blur, reading: 1e-18 } }
    }

    /// A bank after all these samples.
    fn fitted(samples: impl IntoIterator<Item = Seen>, queueing: f64) -> Bank {
        let mut bank = Bank::new(State { x: 0.0, f: 0.0, xx: 1.0, xf: 0.0, ff: 1e-10 });
        let mut window: VecDeque<Seen> = VecDeque::new();
        for sample in samples {
            if window.len() == WINDOW {
                window.pop_front();
                bank.let_go(window.front().map_or(0.0, |next| next.dt));
            }
            window.push_back(sample);
            bank.take(&window, window.len(), queueing);
        }
        bank
    }

    /// The member with the most weight: its wander and, where it assumes correlated queueing, the correlation time.
    fn winner(bank: &Bank) -> (f64, Option<f64>) {
        let index = (0..MODELS)
            .max_by(|a, b| f64::total_cmp(&bank.models[*a].log_weight, &bank.models[*b].log_weight));
        let index = index.unwrap();
        (bank.models[index].ln_wander.exp(), (index / WANDERS).checked_sub(1).map(|n| STAY[n]))
    }

    #[test]
    fn a_clock_that_wanders_so_much_makes_that_member_win() {
        const DT: f64 = 64.0;
        const NOISE: f64 = 1e-8;
        for (wander, seed) in [(1e-10, 1), (1e-9, 2), (1e-8, 3), (1e-7, 4)] {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let (mut x, mut f) = (0.0, 0.0);
            let samples = (0..200).map(|_| {
                // A random walk of the rate and its integral, exactly: their covariance is q·T²/2.
                let (a, b) = (normal(&mut rng), normal(&mut rng));
                x += f * DT + wander * DT.powf(1.5) * (a / 2.0 + b / 12f64.sqrt());
                f += wander * DT.sqrt() * a;
                seen(DT, x + NOISE * normal(&mut rng), 1e-11, NOISE)
            });
            let bank = fitted(samples, NOISE);
            let (won, stays) = winner(&bank);
            assert!((won / wander).log10().abs() < 0.3, "{wander}: {won} won");
            assert_eq!(stays, None, "{wander}: each packet's error was its own");
            let mean = bank.mean(0.0).wander;
            assert!((mean / wander).log10().abs() < 0.5, "{wander}: {mean} on average");
        }
    }

    #[test]
    fn queues_that_stay_make_that_member_win() {
        const DT: f64 = 64.0;
        const QUEUE: f64 = 1e-3;
        for (stay, seed) in [(STAY[0], 1), (STAY[1], 2)] {
            let (mut rng, kept) = (ChaCha8Rng::seed_from_u64(seed), (-DT / stay).exp());
            let mut error = QUEUE * normal(&mut rng);
            let samples = (0..400).map(|_| {
                error = kept * error + (1.0 - kept * kept).sqrt() * QUEUE * normal(&mut rng);
                seen(DT, error, 4.0 * QUEUE, 1e-6)
            });
            assert_eq!(winner(&fitted(samples, QUEUE)).1, Some(stay));
        }
    }

    #[test]
    fn before_any_evidence_the_mean_is_what_was_given() {
        let bank = Bank::new(KNOWN);
        let mean = bank.mean(0.0);
        let near = |got: f64, wanted: f64| assert!((got / wanted - 1.0).abs() < 1e-12, "{mean:?}");
        near(mean.x, KNOWN.x);
        near(mean.f, KNOWN.f);
        near(mean.xx, KNOWN.xx);
        near(mean.ff, KNOWN.ff);
        // The members stand evenly on both sides of it.
        near(mean.wander, 1e-9);
        near(bank.mean(100.0).x, KNOWN.x + 100.0 * KNOWN.f);
    }

    #[test]
    fn twins_add_their_share_to_the_mean() {
        let sigma = 100e-6;
        let mut bank = Bank::new(State { f: 0.0, ..KNOWN });
        bank.add_rate_alternative(sigma);
        let share = (-WRONG_SELDOM).exp();
        let wanted = (KNOWN.ff + share * sigma * sigma) / (1.0 + share);
        let mean = bank.mean(0.0);
        assert!((mean.ff / wanted - 1.0).abs() < 1e-12, "{mean:?}, not {wanted}");
        // No evidence for the alternatives: the others stay.
        bank.decide();
        assert!((bank.mean(0.0).ff / KNOWN.ff - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_jump_of_the_rate_is_the_less_likely_the_larger_it_is() {
        for rate in [1e-6, 5e-6, -50e-6] {
            let mut bank = Bank::new(KNOWN);
            bank.jump(0.0, Normal { mean: 0.25, variance: 1e-6 }, rate);
            let share = (-RATE_SELDOM).exp() / (1.0 + (rate / USUAL_RATE).powi(2));
            let (mean, wanted) = (bank.mean(0.0), KNOWN.f + rate * share / (1.0 + share));
            assert!((mean.f / wanted - 1.0).abs() < 1e-9, "{rate}: {mean:?}, not {wanted}");
            assert!((mean.x - 0.25).abs() < 1e-12 && (mean.xx / 1e-6 - 1.0).abs() < 1e-9, "{mean:?}");
        }
        // No clock has that rate: there is no alternative.
        let mut bank = Bank::new(KNOWN);
        bank.jump(0.0, Normal { mean: 0.25, variance: 1e-6 }, FASTEST);
        assert_eq!(bank.models.len(), MODELS);
        assert!((bank.mean(0.0).f / KNOWN.f - 1.0).abs() < 1e-12);
    }

    #[test]
    fn every_member_can_come_back() {
        // A steady clock for long, then one that wanders a thousand times as much.
        let steady = (0..200).map(|_| seen(64.0, 0.0, 1e-11, 1e-8));
        let wild = (0..60).map(|n| seen(64.0, if n % 2 == 0 { 1e-4 } else { -1e-4 }, 1e-11, 1e-8));
        let bank = fitted(steady.clone(), 1e-8);
        assert!(winner(&bank).0 < 1e-10);
        assert!(bank.models.iter().all(|m| m.log_weight >= LEAST));
        let bank = fitted(steady.chain(wild), 1e-8);
        assert!(winner(&bank).0 > 0.5e-7, "{:?}", winner(&bank));
    }
}
