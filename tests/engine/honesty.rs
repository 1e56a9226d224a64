//! Whether the estimator's errors are as large as its variances say: over many seeds, the ratio of the two is one
//! in the mean square, and no more than a few errors are past four standard deviations.

use rsntpd::engine::estimator::{Estimator, Measurement};
use rsntpd::units::{MonoTime, Ppm, Seconds};

use sim::chance::Dice;

const TRIALS: u32 = 300;
const DRIFT: f64 = 10e-6;
const WANDER: f64 = 1e-9;

/// Root mean square of error over standard deviation (offset, rate), and how many were past four.
fn judge(seed: u64, base: f64, queue: f64, spacing: u32, samples: u32) -> (f64, f64, u32) {
    let (mut offsets, mut rates, mut far) = (0.0, 0.0, 0);
    for trial in 0..TRIALS {
        let mut dice = Dice::new(seed, u64::from(trial));
        let mut estimator = Estimator::new(Ppm::ZERO, Ppm::new(50.0));
        let (mut offset, mut rate, mut at) = (0.010, DRIFT, MonoTime::ZERO);
        for sample in 0..samples {
            if sample > 0 {
                for _ in 0..spacing {
                    rate += WANDER * dice.normal();
                    offset += rate;
                }
                at = at + Seconds::new(f64::from(spacing));
            }
            let (up, down) = (queue * dice.exponential(), queue * dice.exponential());
            estimator.take(&Measurement::two_way(
                at,
                Seconds::new(offset + (up - down) / 2.0),
                Seconds::new(2.0 * base + up + down),
                Seconds::new(1e-7),
            ));
        }
        let told = estimator.estimate(at).unwrap();
        let x = (told.offset - offset) / told.offset_variance.sqrt();
        let f = (told.rate - rate) / told.rate_variance.sqrt();
        offsets += x * x;
        rates += f * f;
        far += u32::from(x.abs() > 4.0 || f.abs() > 4.0);
    }
    ((offsets / f64::from(TRIALS)).sqrt(), (rates / f64::from(TRIALS)).sqrt(), far)
}

#[test]
fn errors_are_as_large_as_the_variances_say() {
    let mut failed = Vec::new();
    for (path, base, queue) in [("lan", 100e-6, 10e-6), ("internet", 10e-3, 1e-3), ("bad", 30e-3, 10e-3)] {
        for (spacing, samples) in [(2, 2), (2, 4), (2, 8), (64, 16), (64, 40), (64, 130), (256, 40)] {
            let (offset, rate, far) = judge(7, base, queue, spacing, samples);
            let line = format!("{path} {samples} x {spacing} s: offset {offset:.2} rate {rate:.2} far {far}");
            println!("{line}");
            // Too sure is dangerous, too unsure only slow.
            if offset > 1.7 || rate > 1.5 || offset < 0.3 || far > TRIALS / 25 {
                failed.push(line);
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}
