//! The estimate of filters side by side, each weighted by how well it predicted the samples.

use crate::engine::estimator::kalman::State;

/// A filter that is less likely than the best by this (logarithm) moves no mean at all: f64 has 16 digits.
pub(super) const NOTHING: f64 = -40.0;

/// Means and spreads, between the filters, too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mean {
    /// Offset, seconds.
    pub(super) x: f64,
    /// Rate, s/s.
    pub(super) f: f64,
    /// Variance of the offset, s².
    pub(super) xx: f64,
    /// Variance of the rate.
    pub(super) ff: f64,
    /// Logarithmic mean of the wander, s/s per √s.
    pub(super) wander: f64,
}

/// A filter among others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    /// Logarithm of its weight; only differences count.
    pub(super) log_weight: f64,
    /// Logarithm of the wander that it assumes.
    pub(super) ln_wander: f64,
}

/// The logarithm of the greatest weight.
pub(super) fn best(log_weights: impl Iterator<Item = f64>) -> f64 {
    log_weights.fold(f64::NEG_INFINITY, f64::max)
}

/// The mean by the weights, with the spread between the filters added to their own.
pub(super) fn mean<F>(
    filters: &(impl Iterator<Item = F> + Clone),
    member: impl Fn(&F) -> Member,
    state: impl Fn(&F) -> State,
) -> Mean {
    let best = best(filters.clone().map(|f| member(&f).log_weight));
    let counted = || filters.clone().filter(|f| member(f).log_weight - best > NOTHING);
    let (mut total, mut x, mut f, mut wander) = (0.0, 0.0, 0.0, 0.0);
    for filter in counted() {
        let (state, Member { log_weight, ln_wander }) = (state(&filter), member(&filter));
        let weight = (log_weight - best).exp();
        total += weight;
        x += weight * state.x;
        f += weight * state.f;
        wander += weight * ln_wander;
    }
    debug_assert!(total >= 1.0, "the likeliest filter counts whole: {total}");
    let (x, f) = (x / total, f / total);
    let (mut xx, mut ff) = (0.0, 0.0);
    for filter in counted() {
        let (state, weight) = (state(&filter), (member(&filter).log_weight - best).exp());
        xx += weight * (state.xx + (state.x - x).powi(2));
        ff += weight * (state.ff + (state.f - f).powi(2));
    }
    Mean { x, f, xx: xx / total, ff: ff / total, wander: (wander / total).exp() }
}
