//! Arithmetic on series of points.

/// A point: seconds, and a value.
pub(super) type Point = (f64, f64);

/// A stretch of a quantity: times in seconds since 1970, or places on an axis.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Span {
    pub(super) first: f64,
    pub(super) last: f64,
}

impl Span {
    /// That of nothing.
    pub(super) const NONE: Self = Self { first: f64::MAX, last: f64::MIN };

    pub(super) const fn new(first: f64, last: f64) -> Self {
        Self { first, last }
    }

    pub(super) fn length(self) -> f64 {
        self.last - self.first
    }

    /// One that holds both.
    pub(super) const fn and(self, other: Self) -> Self {
        Self { first: self.first.min(other.first), last: self.last.max(other.last) }
    }
}

/// The value below which a share of the values lies (nearest rank), 0..=1; `None` without values.
pub(super) fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let rank = (share * sorted.len() as f64).ceil().max(1.0) as usize;
    sorted.get(rank.min(sorted.len()).checked_sub(1)?).copied()
}

/// Sorted values.
pub(super) fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut all: Vec<f64> = values.collect();
    all.sort_by(f64::total_cmp);
    all
}

/// Mean and standard deviation.
pub(super) fn mean(values: &[f64]) -> (f64, f64) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let square = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
    (mean, square.sqrt())
}

/// At most so many stretches of time with the least and the greatest value of each, so that no peak
/// is lost and no chart is longer than it needs to be.
pub(super) fn thinned(points: &[Point], stretches: usize) -> Vec<Point> {
    if points.len() <= stretches * 2 {
        return points.to_vec();
    }
    let size = points.len().div_ceil(stretches.max(1));
    let mut kept = Vec::with_capacity(stretches * 2);
    for stretch in points.chunks(size) {
        let by = |a: &&Point, b: &&Point| a.1.total_cmp(&b.1);
        if let (Some(least), Some(most)) = (stretch.iter().min_by(by), stretch.iter().max_by(by)) {
            let (first, second) = if least.0 <= most.0 { (least, most) } else { (most, least) };
            kept.push(*first);
            if first != second {
                kept.push(*second);
            }
        }
    }
    kept
}

/// Runs of points without a gap of more than eight usual intervals; and the usual interval.
fn runs(points: &[Point]) -> (f64, Vec<&[Point]>) {
    let intervals = sorted(points.windows(2).map(|pair| pair[1].0 - pair[0].0).filter(|gap| *gap > 0.0));
    let usual = percentile(&intervals, 0.5).unwrap_or(1.0);
    let runs = points.chunk_by(|a, b| b.0 - a.0 <= usual * 8.0).filter(|run| run.len() >= 3);
    (usual, runs.collect())
}

/// The points at equal distances, by straight lines between those that are there.
fn even(run: &[Point], step: f64) -> Vec<f64> {
    let (Some(first), Some(last)) = (run.first(), run.last()) else { return Vec::new() };
    let count = ((last.0 - first.0) / step) as usize + 1;
    let mut after = 1;
    (0..count)
        .map(|index| {
            let at = first.0 + index as f64 * step;
            while after + 1 < run.len() && run[after].0 < at {
                after += 1;
            }
            let (a, b) = (run[after - 1], run[after.min(run.len() - 1)]);
            let width = b.0 - a.0;
            if width > 0.0 { a.1 + (b.1 - a.1) * ((at - a.0) / width).clamp(0.0, 1.0) } else { b.1 }
        })
        .collect()
}

/// Most points that are computed with: more only sharpen the shortest times.
const ALLAN_POINTS: f64 = 400_000.0;

/// The overlapping Allan deviation of time offsets (seconds), by averaging times in octaves (seconds);
/// gaps are left out. RFC 5905 and NIST SP 1065 define it.
pub(super) fn allan(points: &[Point]) -> Vec<Point> {
    let (usual, runs) = runs(points);
    let length: f64 = runs.iter().map(|run| run[run.len() - 1].0 - run[0].0).sum();
    let step = usual.max(length / ALLAN_POINTS);
    let evened: Vec<Vec<f64>> = runs.into_iter().map(|run| even(run, step)).collect();
    let longest = evened.iter().map(Vec::len).max().unwrap_or(0);
    let mut found = Vec::new();
    let mut gap = 1;
    // Fewer than four independent differences are too few for an estimate.
    while gap * 4 < longest {
        let tau = gap as f64 * step;
        let (mut sum, mut count) = (0.0, 0_usize);
        for run in evened.iter().filter(|run| run.len() > gap * 2) {
            for index in 0..run.len() - 2 * gap {
                sum += (run[index + 2 * gap] - 2.0 * run[index + gap] + run[index]).powi(2);
            }
            count += run.len() - 2 * gap;
        }
        if count > 0 {
            found.push((tau, (sum / (2.0 * tau * tau * count as f64)).sqrt()));
        }
        gap *= 2;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_are_there() {
        let values = sorted([3.0, 1.0, 2.0, 4.0].into_iter());
        let at = |share| percentile(&values, share).unwrap();
        assert_eq!((at(0.0), at(0.5), at(0.51), at(1.0)), (1.0, 2.0, 3.0, 4.0));
        assert_eq!(percentile(&[], 0.5), None);
        assert_eq!(mean(&[1.0, 3.0]), (2.0, 1.0));
    }

    #[test]
    fn thinning_keeps_the_peaks() {
        let mut points: Vec<Point> = (0..10_000).map(|n| (f64::from(n), 0.0)).collect();
        points[5005].1 = 7.0;
        points[7003].1 = -7.0;
        let kept = thinned(&points, 100);
        assert!(kept.len() <= 200 && kept.contains(&(5005.0, 7.0)) && kept.contains(&(7003.0, -7.0)));
        assert!(kept.windows(2).all(|pair| pair[0].0 <= pair[1].0));
    }

    #[test]
    fn the_allan_deviation_of_known_series() {
        // A constant frequency has none; white phase noise of ±1 by turns has sqrt(8/2)/tau at tau 1.
        let straight: Vec<Point> = (0..200).map(|n| (f64::from(n), f64::from(n) * 1e-6)).collect();
        assert!(allan(&straight).iter().all(|(_, deviation)| *deviation < 1e-12));
        let turns: Vec<Point> =
            (0..200).map(|n| (f64::from(n), if n % 2 == 0 { 1.0 } else { -1.0 })).collect();
        let found = allan(&turns);
        assert!((found[0].1 - 8_f64.sqrt()).abs() < 1e-9, "{found:?}");
        assert_eq!(found[1], (2.0, 0.0));
        // A drift of d per second has d·tau/sqrt(2).
        let drift: Vec<Point> = (0..200).map(|n| (f64::from(n), 0.5 * f64::from(n).powi(2))).collect();
        for (tau, deviation) in allan(&drift) {
            assert!((deviation - tau / 2_f64.sqrt()).abs() < 1e-6 * tau, "{tau} {deviation}");
        }
        assert!(allan(&[]).is_empty() && allan(&[(1.0, 1.0)]).is_empty());
    }
}
