//! The bounds between which the true offset lies, by a sample, and how they change a Gaussian estimate of the
//! offset.
//!
//! A request that queued for u and a response that queued for d make the offset wrong by (u − d)/2 and the round
//! trip longer by u + d. So the truth is no further from the measured offset than half the excess, for
//! certain, whatever the law of the queues; and where both are exponential alike, it lies anywhere
//! between with the same likelihood.

use crate::engine::estimator::kalman::Gaussian;
use libm::exp;

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

/// A Gaussian estimate of the offset, updated by an interval.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Narrowed {
    /// By how much the mean moved, seconds.
    pub(super) shift: f64,
    /// The variance now, s².
    pub(super) variance: f64,
    cut: Cut,
}

impl Narrowed {
    /// Logarithm of the probability that the offset lies between the bounds.
    pub(super) fn log_probability(&self) -> f64 {
        self.cut.log_mass()
    }
}

/// No interval narrows an estimate by more than this: a limit for rounding, not for samples.
const NARROWEST: f64 = 1e-20;

impl Interval {
    /// The variance of the offset if nothing but the interval is known.
    pub(super) fn variance(&self) -> f64 {
        self.half * self.half / 3.0 + self.blur
    }

    /// How many standard deviations an estimate's mean lies beyond the bounds; zero between them.
    pub(super) fn surprise(&self, mean: f64, variance: f64) -> f64 {
        let beyond = ((mean - self.middle).abs() - self.half).max(0.0);
        beyond / (variance + self.blur).sqrt()
    }

    /// A Gaussian estimate, updated by this interval: the blurred offset is the estimate's, wider by the blur and
    /// then cut off at the bounds; the offset itself moves with it in the ratio of the variances.
    pub(super) fn narrow(&self, mean: f64, variance: f64) -> Narrowed {
        let spread = variance + self.blur;
        let sigma = spread.sqrt();
        let d = mean - self.middle;
        let cut = cut((-self.half - d) / sigma, (self.half - d) / sigma);
        let narrowed = Narrowed {
            shift: variance / sigma * cut.mean,
            variance: variance * (self.blur + variance * cut.variance) / spread,
            cut,
        };
        debug_assert!(
            narrowed.variance.is_nan() || narrowed.variance <= variance * (1.0 + ROUNDING),
            "an interval never makes an estimate wider: from {variance} to {narrowed:?}"
        );
        narrowed
    }

    /// The Gaussian that changes an estimate just as the interval does.
    pub(super) fn as_gaussian(&self, mean: f64, variance: f64) -> Gaussian {
        self.gaussian_of(&self.narrow(mean, variance), mean, variance)
    }

    /// The same for an estimate that is narrowed already.
    pub(super) fn gaussian_of(&self, narrowed: &Narrowed, mean: f64, variance: f64) -> Gaussian {
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
#[derive(Clone, Copy, PartialEq, Debug)]
struct Cut {
    mean: f64,
    variance: f64,
    /// What is left, in units of exp(−`scale`).
    mass: f64,
    scale: f64,
}

impl Cut {
    fn log_mass(&self) -> f64 {
        self.mass.ln() - self.scale
    }
}

/// The variance of what is left of a wider one is no less, whatever rounding makes of it.
const ROUNDING: f64 = 1e-8;
/// Narrower than this, a cut Gaussian is a trapezium.
const NARROW: f64 = 1e-2;
/// Beyond an edge where the density is less than this there is nothing that a digit would show.
const NOTHING: f64 = 1e-19;
/// Its logarithm.
const LN_NOTHING: f64 = -43.749_116_766_886_87;
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
    debug_assert!(width >= 0.0 || width.is_nan(), "the lower bound is not above the upper one: {low} {high}");
    if width < NARROW {
        let middle = f64::midpoint(low, high);
        return Cut {
            mean: middle - middle * width * width / 12.0,
            variance: width * width / 12.0,
            mass: width.max(f64::MIN_POSITIVE),
            scale: 0.5 * middle * middle + LN_ROOT_TAU,
        };
    }
    let nearest = low.max(0.0);
    let density = |x: f64| {
        let ln = 0.5 * (nearest - x) * (nearest + x) - LN_ROOT_TAU;
        if ln < LN_NOTHING { 0.0 } else { exp(ln) }
    };
    let (at_low, at_high) = (density(low), density(high));
    // Below zero it is nearly all; then densities are counted as they are.
    let beyond = |x: f64, density: f64| match (x < 0.0, density < NOTHING) {
        (true, true) => 1.0,
        (false, true) => 0.0,
        (true, false) => 1.0 - density * mills(-x),
        (false, false) => density * mills(x),
    };
    let mass = beyond(low, at_low) - beyond(high, at_high);
    debug_assert!(mass > 0.0 || mass.is_nan(), "something is left of a Gaussian between {low} and {high}");
    let mean = (at_low - at_high) / mass;
    let edge = |x: f64, density: f64| if density > 0.0 { x * density } else { 0.0 };
    let variance = 1.0 + (edge(low, at_low) - edge(high, at_high)) / mass - mean * mean;
    Cut { mean, variance: variance.clamp(ROUNDING, 1.0), mass, scale: 0.5 * nearest * nearest }
}

/// Coefficients of the powers for [`mills`]: Chebyshev polynomials, by their integral at 64 nodes with 40 digits, multiplied
/// out. Their sizes add up to 2.6, so that no digits are lost by that.
const MILLS: [f64; 20] = [
    1.349_656_733_007_196_5,
    -0.589_082_302_486_418_7,
    0.368_722_964_547_813_4,
    -0.177_673_634_403_461_37,
    0.053_777_978_255_798_206,
    0.002_815_100_706_621_822_3,
    -0.015_488_567_331_296_426,
    0.010_385_354_279_507_274,
    -0.003_650_966_191_201_907,
    0.000_356_104_324_841_030_7,
    0.000_305_604_956_603_646_8,
    -0.000_131_936_344_978_307_78,
    -8.221_467_937_524_042e-06,
    1.946_605_080_292_247_6e-05,
    -1.764_863_288_534_392_3e-06,
    -2.585_870_088_810_63e-06,
    4.196_740_333_451_624e-07,
    3.240_069_525_481_975_6e-07,
    -4.327_223_329_004_316e-08,
    -2.757_928_272_043_641_4e-08,
];
/// Where the variable of these powers is zero, and what makes their sum tend to one.
const MILLS_SCALE: (f64, f64) = (5.0, 2.0);

/// What of a Gaussian lies beyond x by its density there, for x not negative (Mills' ratio): it vanishes nowhere, and is nearly
/// 1/x in the end.
fn mills(x: f64) -> f64 {
    if x.is_infinite() {
        return 0.0;
    }
    let y = (x - MILLS_SCALE.0) / (x + MILLS_SCALE.0);
    let (y2, y4) = (y * y, (y * y) * (y * y));
    // Four at a time (G. Estrin 1960): no term waits for the one before.
    let mut sums = [0.0; 5];
    for (sum, c) in sums.iter_mut().zip(MILLS.as_chunks::<4>().0) {
        *sum = (c[0] + c[1] * y) + (c[2] + c[3] * y) * y2;
    }
    let [a, b, c, d, e] = sums;
    let y8 = y4 * y4;
    ((a + b * y4) + (c + d * y4) * y8 + e * (y8 * y8)) / (x + MILLS_SCALE.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use libm::erfc;

    #[test]
    fn what_lies_beyond_is_right_to_13_digits() {
        for n in 0..350 {
            let x = f64::from(n) / 10.0;
            let z = x * std::f64::consts::FRAC_1_SQRT_2;
            let expected = (std::f64::consts::PI / 2.0).sqrt() * exp(z * z) * erfc(z);
            // exp(z²) has lost a few digits itself, far out.
            let error = (mills(x) / expected - 1.0).abs();
            assert!(error < 1e-13 * (1.0 + z * z / 10.0), "{x}: {error}");
        }
        assert!((mills(1e9) * 1e9 - 1.0).abs() < 1e-12 && mills(f64::INFINITY) == 0.0);
    }

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
                assert!(!got.log_probability().is_nan(), "{got:?}");
                let observation = interval.as_gaussian(mean, 1e-8);
                assert!(observation.precision >= 0.0 && observation.pull.is_finite(), "{observation:?}");
            }
        }
    }
}
