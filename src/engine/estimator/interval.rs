//! What a sample says: between which bounds the true offset lies. And how a Gaussian belief of the
//! offset changes by that.
//!
//! A request that queued for u and an answer that queued for d make the offset wrong by (u − d)/2 and the round
//! trip longer by u + d. So the truth is no further from the measured offset than half the excess, for
//! certain, whatever the law of the queues; and where both are exponential alike, it lies anywhere
//! between with the same likelihood.

use crate::engine::estimator::kalman::Gaussian;
use libm::{erfc, exp};

/// The true offset lies between two bounds, which are blurred themselves; no place between them is likelier.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Interval {
    /// The middle, seconds.
    pub(super) middle: f64,
    /// Half the distance between the bounds, seconds.
    pub(super) half: f64,
    /// Variance of the blur, s²; not zero.
    pub(super) blur: f64,
    /// The part of it that reading the clocks makes.
    pub(super) reading: f64,
}

/// A belief of the offset after an interval was taken in.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Narrowed {
    /// By how much the mean moved, seconds.
    pub(super) shift: f64,
    /// The variance now, s².
    pub(super) variance: f64,
    /// Logarithm of the probability that the offset lies between the bounds.
    pub(super) log_probability: f64,
}

/// No interval narrows a belief by more than this: a limit for rounding, not for samples.
const NARROWEST: f64 = 1e-20;

impl Interval {
    /// The variance of the offset if nothing but the interval is known.
    pub(super) fn variance(&self) -> f64 {
        self.half * self.half / 3.0 + self.blur
    }

    /// How many standard deviations a belief's mean lies beyond the bounds; zero between them.
    pub(super) fn surprise(&self, mean: f64, variance: f64) -> f64 {
        let beyond = ((mean - self.middle).abs() - self.half).max(0.0);
        beyond / (variance + self.blur).sqrt()
    }

    /// A Gaussian belief, after this interval: the blurred offset is the belief's, wider by the blur and then
    /// cut off at the bounds; the offset itself follows it in the ratio of the variances.
    pub(super) fn narrow(&self, mean: f64, variance: f64) -> Narrowed {
        let spread = variance + self.blur;
        let sigma = spread.sqrt();
        let d = mean - self.middle;
        let cut = cut((-self.half - d) / sigma, (self.half - d) / sigma);
        Narrowed {
            shift: variance / sigma * cut.mean,
            variance: variance * (self.blur + variance * cut.variance) / spread,
            log_probability: cut.log_mass,
        }
    }

    /// The Gaussian that changes a belief just as the interval does.
    pub(super) fn as_gaussian(&self, mean: f64, variance: f64) -> Gaussian {
        let narrowed = self.narrow(mean, variance);
        let left = narrowed.variance.max(variance * NARROWEST);
        let d = mean - self.middle;
        Gaussian {
            about: self.middle,
            precision: (1.0 / left - 1.0 / variance).max(0.0),
            pull: (d + narrowed.shift) / left - d / variance,
        }
    }
}

/// A standard Gaussian that was cut off on both sides.
#[derive(Clone, Copy, Debug)]
struct Cut {
    mean: f64,
    variance: f64,
    log_mass: f64,
}

/// The variance of what is left of a wider one is no less, whatever rounding makes of it.
const ROUNDING: f64 = 1e-8;
/// Narrower than this, a cut Gaussian is a trapezium.
const NARROW: f64 = 1e-2;
/// ln √(2π).
const LN_ROOT_TAU: f64 = 0.918_938_533_204_672_8;

fn cut(low: f64, high: f64) -> Cut {
    if low + high < 0.0 {
        let mirrored = cut_above(-high, -low);
        return Cut { mean: -mirrored.mean, ..mirrored };
    }
    cut_above(low, high)
}

/// As [`cut`], with more of what is left above zero than below. Masses and densities are counted in units of
/// the largest density that is left, so that nothing vanishes far out.
fn cut_above(low: f64, high: f64) -> Cut {
    let width = high - low;
    if width < NARROW {
        let middle = f64::midpoint(low, high);
        return Cut {
            mean: middle - middle * width * width / 12.0,
            variance: width * width / 12.0,
            log_mass: -0.5 * middle * middle + width.max(f64::MIN_POSITIVE).ln() - LN_ROOT_TAU,
        };
    }
    let nearest = low.max(0.0);
    let density = |x: f64| exp(0.5 * (nearest - x) * (nearest + x) - LN_ROOT_TAU);
    let beyond = |x: f64| {
        let x = x * std::f64::consts::FRAC_1_SQRT_2;
        if x < 0.0 { 0.5 * erfc(x) } else { 0.5 * exp(0.5 * nearest * nearest - x * x) * scaled_erfc(x) }
    };
    let mass = beyond(low) - beyond(high);
    let (at_low, at_high) = (density(low), density(high));
    let mean = (at_low - at_high) / mass;
    let edge = |x: f64, density: f64| if density > 0.0 { x * density } else { 0.0 };
    let variance = 1.0 + (edge(low, at_low) - edge(high, at_high)) / mass - mean * mean;
    Cut { mean, variance: variance.clamp(ROUNDING, 1.0), log_mass: mass.ln() - 0.5 * nearest * nearest }
}

/// exp(x²)·erfc(x), for x not negative: it does not vanish.
fn scaled_erfc(x: f64) -> f64 {
    if x < 6.0 {
        return exp(x * x) * erfc(x);
    }
    // The asymptotic series (Abramowitz and Stegun 7.1.23): wrong by less than 1e-6 from here on.
    let y = 0.5 / (x * x);
    (1.0 - y * (1.0 - 3.0 * y * (1.0 - 5.0 * y * (1.0 - 7.0 * y)))) / (x * std::f64::consts::PI.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean and variance of the product, by adding it up.
    fn added_up(interval: &Interval, mean: f64) -> (f64, f64) {
        let blur = (2.0 * interval.blur).sqrt();
        let (mut w, mut wx, mut wxx) = (0.0, 0.0, 0.0);
        for i in -40_000..=40_000 {
            let x = f64::from(i) / 5_000.0;
            let d = mean + x - interval.middle;
            let inside = erfc((-interval.half - d) / blur) - erfc((interval.half - d) / blur);
            let p = exp(-0.5 * x * x) * inside;
            w += p;
            wx += p * x;
            wxx += p * x * x;
        }
        (wx / w, wxx / w - (wx / w).powi(2))
    }

    #[test]
    fn a_belief_narrows_as_the_sum_over_all_offsets_says() {
        let cases = [(1.0, 0.1, 0.3), (0.2, 0.05, 2.0), (5.0, 0.3, -4.5), (1e-3, 0.1, -1.0), (3.0, 0.1, 6.5)];
        for (half, blur, mean) in cases {
            let interval = Interval { middle: 0.0, half, blur: blur * blur, reading: 0.0 };
            let got = interval.narrow(mean, 1.0);
            let (shift, variance) = added_up(&interval, mean);
            assert!((got.shift - shift).abs() < 1e-4, "{interval:?} {mean}: {got:?}, not {shift}");
            assert!((got.variance - variance).abs() < 1e-4, "{interval:?} {mean}: {got:?}, not {variance}");
        }
    }

    #[test]
    fn far_beyond_the_bounds_all_stays_finite() {
        for half in [0.0, 1e-9, 1e-4, 1.0] {
            for mean in [0.0, 1e-3, 1.0 + 1e-9, -1e3] {
                let interval = Interval { middle: 0.0, half, blur: 1e-16, reading: 0.0 };
                let got = interval.narrow(mean, 1e-8);
                assert!(got.shift.is_finite() && got.variance > 0.0 && got.variance <= 1e-8, "{got:?}");
                assert!(!got.log_probability.is_nan(), "{got:?}");
                let said = interval.as_gaussian(mean, 1e-8);
                assert!(said.precision >= 0.0 && said.pull.is_finite(), "{said:?}");
            }
        }
    }
}
