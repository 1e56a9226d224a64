//! What the survivors agree on: the mean of their estimates, weighted by their certainty.

use crate::engine::estimator::{Combined, Estimate};
use crate::engine::sources::Source;
use crate::units::MonoTime;

/// A path is never known to be more even than this, seconds.
const LEAST_SCALE: f64 = 1e-6;

/// What the survivors agree on; a preferred system peer counts alone. `None` if none of them has an estimate.
#[must_use]
pub fn combine(now: MonoTime, survivors: &[&Source], system_peer: &Source) -> Option<Combined> {
    debug_assert!(
        survivors.iter().any(|s| s.id() == system_peer.id()),
        "the system peer is one of the survivors: {:?}",
        system_peer.id()
    );
    let alone = [system_peer];
    let used = if system_peer.config().prefer { &alone[..] } else { survivors };
    let (mut estimates, mut bounds): (Vec<Estimate>, Vec<Bound>) = (Vec::new(), Vec::new());
    for source in used {
        if let Some(estimate) = source.estimator().estimate(now) {
            estimates.push(estimate);
            bounds.push(Bound { asymmetry: source.asymmetry().get(), error: source.error_bound(now).get() });
        }
    }
    if estimates.is_empty() {
        return None;
    }
    let by_offset = weights(estimates.iter().zip(&bounds).map(|(e, b)| Scaled {
        value: e.offset,
        variance: e.offset_variance,
        scale: b.asymmetry,
    }));
    let by_rate =
        weights(estimates.iter().map(|e| Scaled { value: e.rate, variance: e.rate_variance, scale: 1.0 }));
    let mean = |weights: &[f64], value: fn(&Estimate) -> f64| -> f64 {
        estimates.iter().zip(weights).map(|(e, w)| w * value(e)).sum::<f64>() / weights.iter().sum::<f64>()
    };
    let within = estimates.iter().zip(&bounds).map(|(e, b)| (e.offset - b.error, e.offset + b.error));
    Some(Combined {
        offset: held_within(mean(&by_offset, |e| e.offset), within),
        rate: mean(&by_rate, |e| e.rate),
        offset_error: by_offset.iter().sum::<f64>().sqrt().recip(),
        rate_error: by_rate.iter().sum::<f64>().sqrt().recip(),
        sample_error: mean(&by_offset, |e| e.sample_error),
        wander: mean(&by_offset, |e| e.wander.ln()).exp(),
    })
}

/// How far a source's offset may be off, seconds.
struct Bound {
    asymmetry: f64,
    error: f64,
}

/// The weights of several estimates of one value, each with its variance and the scale of the error that its variance does not contain:
/// the reciprocals of the variances, to which as much is added as the estimates differ by more than the variances
/// explain (the between-study variance of `DerSimonian` and Laird, 1986), in the proportion of the squared scales. Paths are longer one
/// way than the other by amounts that no sample shows: without this the source with the least variance would have all
/// the weight. But by no more than half of the round trip: that is the scale of an offset, so a near server counts more than a far one.
fn weights(estimates: impl Iterator<Item = Scaled> + Clone) -> Vec<f64> {
    let least = estimates.clone().map(|e| e.scale).fold(f64::INFINITY, f64::min).max(LEAST_SCALE);
    let own: Vec<Weighted> = estimates
        .map(|Scaled { value, variance, scale }| Weighted {
            value,
            weight: variance.max(1e-24).recip(),
            share: (scale / least).max(1.0).powi(2),
        })
        .collect();
    let sum: f64 = own.iter().map(|e| e.weight).sum();
    let mean = own.iter().map(|e| e.value * e.weight).sum::<f64>() / sum;
    let excess =
        own.iter().map(|e| e.weight * (e.value - mean).powi(2)).sum::<f64>() - (own.len() as f64 - 1.0);
    let room = own.iter().map(|e| e.weight * e.share).sum::<f64>()
        - own.iter().map(|e| e.weight * e.weight * e.share).sum::<f64>() / sum;
    let between = if own.len() > 1 && room > 0.0 { (excess / room).max(0.0) } else { 0.0 };
    own.iter().map(|e| (e.weight.recip() + between * e.share).recip()).collect()
}

/// An estimate of a value.
struct Scaled {
    value: f64,
    variance: f64,
    /// The scale of the error that the variance does not contain.
    scale: f64,
}

/// The same with the reciprocal of its variance, and the square of its scale in units of the least.
struct Weighted {
    value: f64,
    weight: f64,
    share: f64,
}

/// The nearest value that all sources hold for possible, where there is one.
fn held_within(value: f64, bounds: impl Iterator<Item = (f64, f64)>) -> f64 {
    let (low, high) =
        bounds.fold((f64::NEG_INFINITY, f64::INFINITY), |(low, high), b| (b.0.max(low), b.1.min(high)));
    if low <= high { value.clamp(low, high) } else { value }
}
