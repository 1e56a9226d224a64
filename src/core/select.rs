//! Which sources to believe: intersection, cluster and combine weights (RFC 5905 section 11.2).
//! Pure arithmetic over a list of candidates.

use crate::units::Seconds;

/// What selection knows of a source.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Candidate {
    /// Position in the caller's list.
    pub index: usize,
    /// Stratum, 0..=15.
    pub stratum: u8,
    /// Best offset, seconds.
    pub offset: f64,
    /// Root distance: the offset's error bound, seconds.
    pub distance: f64,
    /// Jitter, seconds.
    pub jitter: f64,
    /// `true`: never a falseticker, always a survivor.
    pub truechimer: bool,
    /// `prefer`: kept by the cluster algorithm while it is no falseticker.
    pub prefer: bool,
}

/// What selection made of a source, in the order of the mode-6 selection field (RFC 9327).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Selection {
    /// 0: not a candidate.
    #[default]
    Reject,
    /// 1 `x`: off the majority.
    Falsetick,
    /// 2 `.`: more than enough others.
    Excess,
    /// 3 `-`: cast out by the cluster algorithm.
    Outlier,
    /// 4 `+`: in the combine.
    Candidate,
    /// 5 `#`: a good one, but not among the first.
    Backup,
    /// 6 `*`: the system peer.
    SystemPeer,
}

/// Limits of the algorithm (`tos`).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Limits {
    /// Survivors that the cluster algorithm leaves at least.
    pub min_clock: usize,
    /// Candidates without which the clock is not touched.
    pub min_sane: usize,
    /// Smallest half-width of a correctness interval.
    pub min_distance: Seconds,
}

/// Who may be believed: survivors with the best first.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Outcome {
    /// Indices of the survivors, best first.
    pub survivors: Vec<usize>,
    /// Indices of the falsetickers.
    pub falsetickers: Vec<usize>,
    /// Indices cast out by the cluster algorithm.
    pub outliers: Vec<usize>,
    /// Selection jitter: spread of the survivors' offsets, seconds.
    pub jitter: f64,
}

/// Sorts the candidates into survivors, outliers and falsetickers.
#[must_use]
pub fn select(candidates: &[Candidate], limits: &Limits) -> Outcome {
    let mut outcome = Outcome::default();
    let Some((low, high)) = intersection(candidates, limits.min_distance.get()) else {
        outcome.falsetickers = candidates.iter().filter(|c| !c.truechimer).map(|c| c.index).collect();
        let kept: Vec<Candidate> = candidates.iter().filter(|c| c.truechimer).copied().collect();
        cluster(kept, limits, &mut outcome);
        return outcome;
    };
    let (good, bad): (Vec<Candidate>, Vec<Candidate>) = candidates.iter().partition(|c| {
        let half = half_width(c, limits.min_distance.get());
        c.truechimer || (c.offset + half >= low && c.offset - half <= high)
    });
    outcome.falsetickers = bad.iter().map(|c| c.index).collect();
    cluster(good, limits, &mut outcome);
    if outcome.survivors.len() < limits.min_sane {
        outcome.survivors.clear();
    }
    outcome
}

/// So many median distances from the median: three standard deviations, were they Gaussian.
const STANDS_OUT: f64 = 4.5;

fn half_width(candidate: &Candidate, min_distance: f64) -> f64 {
    candidate.distance.max(min_distance)
}

/// The smallest interval that holds points of the correctness intervals of a majority, with the
/// midpoints of that majority inside (RFC 5905 section 11.2.1).
fn intersection(candidates: &[Candidate], min_distance: f64) -> Option<(f64, f64)> {
    let n = candidates.len();
    // −1 opens an interval, 0 is its middle, +1 closes it.
    let mut edges: Vec<(f64, i32)> = Vec::with_capacity(3 * n);
    for c in candidates {
        let half = half_width(c, min_distance);
        edges.extend([(c.offset - half, -1), (c.offset, 0), (c.offset + half, 1)]);
    }
    edges.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    for allowed in (0..n).take_while(|allowed| 2 * allowed < n) {
        let wanted = n - allowed;
        let (low, middles_below) = scan(edges.iter().copied(), -1, wanted)?;
        let (high, middles_above) = scan(edges.iter().rev().copied(), 1, wanted)?;
        if middles_below + middles_above <= allowed && low <= high {
            return Some((low, high));
        }
    }
    None
}

/// Walks the edges until `wanted` intervals are open; gives that edge and the midpoints passed.
/// `None` cannot be reached while `wanted` is at most the number of intervals and they overlap;
/// otherwise the far end and all midpoints, which no bound accepts.
fn scan(edges: impl Iterator<Item = (f64, i32)>, opening: i32, wanted: usize) -> Option<(f64, usize)> {
    let (mut open, mut middles, mut last) = (0usize, 0, None);
    for (at, kind) in edges {
        last = Some(at);
        if kind == opening {
            open += 1;
            if open >= wanted {
                return Some((at, middles));
            }
        } else if kind == 0 {
            middles += 1;
        } else {
            open -= 1;
        }
    }
    last.map(|at| (at, usize::MAX / 2))
}

/// Casts out, one at a time, the source that spreads the others most, while that lessens the
/// spread (RFC 5905 section 11.2.2).
fn cluster(mut list: Vec<Candidate>, limits: &Limits, outcome: &mut Outcome) {
    let score = |c: &Candidate| f64::from(c.stratum) * 1.5 + c.distance;
    list.sort_by(|a, b| score(a).total_cmp(&score(b)));
    let floor = limits.min_clock.max(1);
    loop {
        let spread = |c: &Candidate| {
            let squares: f64 = list.iter().map(|o| (o.offset - c.offset).powi(2)).sum();
            (squares / (list.len() - 1).max(1) as f64).sqrt()
        };
        let least_jitter = list.iter().map(|c| c.jitter).fold(f64::INFINITY, f64::min);
        let worst = (0..list.len())
            .map(|i| (i, spread(&list[i])))
            .max_by(|a, b| (a.1 * (1.0 + list[a.0].distance)).total_cmp(&(b.1 * (1.0 + list[b.0].distance))));
        let Some((worst, most)) = worst else { break };
        outcome.jitter = most;
        let candidate = list[worst];
        let within = most <= least_jitter || !stands_out(&list, worst);
        if list.len() <= floor || within || candidate.prefer || candidate.truechimer {
            break;
        }
        outcome.outliers.push(candidate.index);
        list.remove(worst);
    }
    if let Some(preferred) = list.iter().position(|c| c.prefer) {
        let preferred = list.remove(preferred);
        list.insert(0, preferred);
    }
    outcome.survivors = list.iter().map(|c| c.index).collect();
}

/// Whether a source is further from the median than the distances of the others explain. ntpd casts out down to
/// `minclock` survivors unless the spread is below the least jitter: what the others know is lost, and who is cast
/// out changes from poll to poll.
fn stands_out(list: &[Candidate], index: usize) -> bool {
    let median = |mut values: Vec<f64>| -> f64 {
        values.sort_by(f64::total_cmp);
        let half = values.len() / 2;
        let other = if values.len() % 2 == 1 { half } else { half.saturating_sub(1) };
        f64::midpoint(values.get(half).copied().unwrap_or(0.0), values.get(other).copied().unwrap_or(0.0))
    };
    let middle = median(list.iter().map(|c| c.offset).collect());
    let distance = median(list.iter().map(|c| (c.offset - middle).abs()).collect());
    (list[index].offset - middle).abs() > STANDS_OUT * distance
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { min_clock: 3, min_sane: 1, min_distance: Seconds::new(0.001) };

    fn candidate(index: usize, offset: f64, distance: f64) -> Candidate {
        Candidate { index, stratum: 2, offset, distance, jitter: 1e-3, truechimer: false, prefer: false }
    }

    #[test]
    fn one_liar_among_four_is_found() {
        let list: Vec<_> =
            [0.0, 0.001, -0.001, 0.2].iter().enumerate().map(|(i, &o)| candidate(i, o, 0.02)).collect();
        let outcome = select(&list, &LIMITS);
        assert_eq!(outcome.falsetickers, vec![3]);
        assert_eq!(outcome.survivors.len(), 3);
    }

    #[test]
    fn two_that_disagree_are_both_disbelieved() {
        let outcome = select(&[candidate(0, 0.0, 0.01), candidate(1, 1.0, 0.01)], &LIMITS);
        assert_eq!((outcome.survivors.len(), outcome.falsetickers.len()), (0, 2));
    }

    #[test]
    fn a_preferred_source_comes_first_unless_it_lies() {
        let mut list: Vec<_> = (0..5).map(|i| candidate(i, i as f64 * 1e-3, 0.02)).collect();
        list[4].prefer = true;
        assert_eq!(select(&list, &LIMITS).survivors[0], 4);
        list[4].offset = 3.0;
        let outcome = select(&list, &LIMITS);
        assert_eq!(outcome.falsetickers, vec![4]);
        assert_ne!(outcome.survivors[0], 4);
    }

    #[test]
    fn a_single_source_is_believed_and_none_is_nobody() {
        assert_eq!(select(&[candidate(7, 9.0, 0.5)], &LIMITS).survivors, vec![7]);
        assert_eq!(select(&[], &LIMITS), Outcome::default());
        let sane = Limits { min_sane: 2, ..LIMITS };
        assert!(select(&[candidate(7, 9.0, 0.5)], &sane).survivors.is_empty());
    }

    #[test]
    fn outliers_go_until_three_are_left() {
        let list: Vec<_> = [0.0, 1e-4, -1e-4, 0.015, 0.018]
            .iter()
            .enumerate()
            .map(|(i, &o)| Candidate { jitter: 1e-5, ..candidate(i, o, 0.05) })
            .collect();
        let outcome = select(&list, &LIMITS);
        assert_eq!(outcome.survivors.len(), 3);
        assert_eq!(outcome.outliers.len(), 2);
        assert!(outcome.outliers.contains(&4) && outcome.outliers.contains(&3));
    }
}
