//! Which sources are right: intersection and cluster algorithms (RFC 5905 section 11.2).
//! Pure arithmetic over a list of candidates.

use crate::units::{AssocId, Seconds};

/// What selection knows of a source.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Candidate {
    /// Which source.
    pub id: AssocId,
    /// Stratum, 0..=15.
    pub stratum: u8,
    /// Best offset, seconds.
    pub offset: f64,
    /// Root distance: the offset's error bound, seconds.
    pub distance: f64,
    /// Half of the round trip to its reference, seconds: by no more can the ways' asymmetry make the offset wrong.
    pub asymmetry: f64,
    /// Standard error of the offset beside that, seconds.
    pub error: f64,
    /// Jitter, seconds.
    pub jitter: f64,
    /// `true`: never a falseticker, always a survivor.
    pub truechimer: bool,
    /// `prefer`: kept by the cluster algorithm while it is no falseticker.
    pub prefer: bool,
    /// It is a clock of this machine that the administrator prefers: it decides where there is no majority.
    pub decides: bool,
    /// It is a pulse: it votes, and is neither clustered nor combined.
    pub pulse: bool,
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

/// The result of the selection.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Outcome {
    /// The survivors, best first.
    pub survivors: Vec<AssocId>,
    /// Pulses that agree with the majority.
    pub pulses: Vec<AssocId>,
    /// The falsetickers.
    pub falsetickers: Vec<AssocId>,
    /// Those cast out by the cluster algorithm.
    pub outliers: Vec<AssocId>,
    /// Selection jitter: spread of the survivors' offsets, seconds.
    pub jitter: f64,
}

/// Sorts the candidates into survivors, outliers and falsetickers.
#[must_use]
pub fn select(candidates: &[Candidate], limits: &Limits) -> Outcome {
    let mut outcome = Outcome::default();
    let least = limits.min_distance.get();
    let given = candidates.len();
    let (candidates, denied) = by_truechimers(candidates, least);
    outcome.falsetickers = denied;
    let Some((low, high)) = intersection(&candidates, least).or_else(|| decided(&candidates, least)) else {
        outcome.falsetickers.extend(candidates.iter().filter(|c| !c.truechimer).map(|c| c.id));
        let kept: Vec<Candidate> = candidates.iter().filter(|c| c.truechimer).copied().collect();
        let (pulses, kept): (Vec<Candidate>, Vec<Candidate>) = kept.iter().partition(|c| c.pulse);
        outcome.pulses = pulses.iter().map(|c| c.id).collect();
        cluster(kept, limits, &mut outcome);
        return outcome;
    };
    let (good, bad): (Vec<Candidate>, Vec<Candidate>) = candidates.iter().partition(|c| {
        let half = half_width(c, least);
        c.truechimer || (c.offset + half >= low && c.offset - half <= high)
    });
    outcome.falsetickers.extend(bad.iter().map(|c| c.id));
    let (pulses, good): (Vec<Candidate>, Vec<Candidate>) = good.iter().partition(|c| c.pulse);
    outcome.pulses = pulses.iter().map(|c| c.id).collect();
    cluster(good, limits, &mut outcome);
    debug_assert_eq!(
        outcome.survivors.len() + outcome.outliers.len() + outcome.falsetickers.len() + outcome.pulses.len(),
        given,
        "every candidate is a survivor, an outlier, a falseticker or a pulse"
    );
    if outcome.survivors.len() < limits.min_sane {
        outcome.survivors.clear();
    }
    outcome
}

/// A source that is configured as right (`true`) shows which others are wrong: returns the candidates that agree with each such
/// source, and the others. ntpd lets them outvote it, and then averages it with them.
fn by_truechimers(candidates: &[Candidate], least: f64) -> (Vec<Candidate>, Vec<AssocId>) {
    let agrees = |c: &Candidate, with: &Candidate| {
        (c.offset - with.offset).abs() <= half_width(c, least) + half_width(with, least)
    };
    let (kept, denied): (Vec<Candidate>, Vec<Candidate>) = candidates
        .iter()
        .partition(|c| c.truechimer || candidates.iter().filter(|t| t.truechimer).all(|t| agrees(c, t)));
    (kept, denied.iter().map(|c| c.id).collect())
}

/// So many median distances from the median: three standard deviations, were they Gaussian.
const STANDS_OUT: f64 = 4.5;

/// The same where no more than `minclock` are left, and in units of the source's own standard error.
const FEW_STAND_OUT: f64 = 20.0;
/// Of so few, none can be shown to be the wrong one.
const AGREE: usize = 2;
/// No path is known to be more even than this, seconds.
const LEAST_ASYMMETRY: f64 = 1e-6;

fn half_width(candidate: &Candidate, min_distance: f64) -> f64 {
    candidate.distance.max(min_distance)
}

/// The smallest interval that holds points of the correctness intervals of a majority, with the
/// midpoints of that majority inside (RFC 5905 section 11.2.1); where there is none, the same without regard to the
/// midpoints: a wide interval need not have its middle within a narrow one to agree with it.
fn intersection(candidates: &[Candidate], min_distance: f64) -> Option<(f64, f64)> {
    overlap(candidates, min_distance, Midpoints::Inside)
        .or_else(|| overlap(candidates, min_distance, Midpoints::Anywhere))
}

/// Without a majority: the interval of the clock that decides, if there is one. A receiver whose serial time is late by more than it claims
/// contradicts its own pulse otherwise, and the two together would be worth nothing.
fn decided(candidates: &[Candidate], min_distance: f64) -> Option<(f64, f64)> {
    let clock = candidates.iter().find(|c| c.decides)?;
    let half = half_width(clock, min_distance);
    Some((clock.offset - half, clock.offset + half))
}

/// Where the midpoints of a majority's intervals must lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Midpoints {
    /// Inside of the intersection.
    Inside,
    Anywhere,
}

fn overlap(candidates: &[Candidate], min_distance: f64, midpoints: Midpoints) -> Option<(f64, f64)> {
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
        let found = middles_below.max(middles_above) <= n;
        if found
            && low <= high
            && (midpoints == Midpoints::Anywhere || middles_below + middles_above <= allowed)
        {
            return Some((low, high));
        }
    }
    None
}

/// Walks the edges until `wanted` intervals are open; returns that edge and the midpoints passed.
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
        let count = if list.len() <= floor { Count::Few } else { Count::Many };
        let within = (count == Count::Many && most <= least_jitter) || !stands_out(&list, worst, count);
        if list.len() <= AGREE || within || candidate.prefer || candidate.truechimer {
            break;
        }
        outcome.outliers.push(candidate.id);
        list.remove(worst);
    }
    if let Some(preferred) = list.iter().position(|c| c.prefer) {
        let preferred = list.remove(preferred);
        list.insert(0, preferred);
    }
    outcome.survivors = list.iter().map(|c| c.id).collect();
    debug_assert!(
        list.iter().skip(1).all(|c| !c.prefer) || list.first().is_some_and(|c| c.prefer),
        "a preferred survivor is the first"
    );
    debug_assert!(
        outcome.survivors.iter().all(|id| !outcome.outliers.contains(id)),
        "no survivor was cast out: {outcome:?}"
    );
}

/// How many sources are left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Count {
    /// No more than `minclock` wants.
    Few,
    Many,
}

/// Whether a source is further from the middle of all than the distances of the others explain, each in units of its own asymmetry:
/// so near sources are not discarded because far ones agree on another time, as their paths may make them. ntpd
/// discards sources down to `minclock` survivors unless the spread is below the least jitter: their information is lost, and
/// different ones are discarded from poll to poll. Where there are few, one must stand out further, and beyond its own error.
fn stands_out(list: &[Candidate], index: usize, count: Count) -> bool {
    let scale = |c: &Candidate| c.asymmetry.max(LEAST_ASYMMETRY);
    let middle = median(list.iter().map(|c| (c.offset, scale(c).powi(-2))).collect());
    let far = |c: &Candidate| (c.offset - middle).abs() / scale(c);
    let usual = median(list.iter().map(|c| (far(c), 1.0)).collect());
    let candidate = &list[index];
    let blatant = far(candidate) > FEW_STAND_OUT * usual
        && (candidate.offset - middle).abs() > FEW_STAND_OUT * candidate.error;
    far(candidate) > STANDS_OUT * usual && (count == Count::Many || blatant)
}

/// The median of values with weights; between two if they part the weights in halves.
fn median(mut values: Vec<(f64, f64)>) -> f64 {
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = values.iter().map(|v| v.1).sum::<f64>() / 2.0;
    let reaches = |target: f64| {
        let mut sum = 0.0;
        values.iter().find(|v| {
            sum += v.1;
            sum >= target
        })
    };
    let low = reaches(half * (1.0 - 1e-9)).map_or(0.0, |v| v.0);
    let high = reaches(half * (1.0 + 1e-9)).map_or(low, |v| v.0);
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { min_clock: 3, min_sane: 1, min_distance: Seconds::new(0.001) };

    fn ids(list: &[u16]) -> Vec<AssocId> {
        list.iter().copied().map(AssocId).collect()
    }

    fn candidate(id: u16, offset: f64, distance: f64) -> Candidate {
        Candidate {
            id: AssocId(id),
            stratum: 2,
            offset,
            distance,
            asymmetry: distance,
            error: 1e-5,
            jitter: 1e-3,
            truechimer: false,
            prefer: false,
            decides: false,
            pulse: false,
        }
    }

    #[test]
    fn without_a_majority_the_preferred_clock_of_this_machine_decides() {
        let two = |decides| {
            let late = candidate(1, -0.1, 1e-5);
            [late, Candidate { prefer: true, decides, ..candidate(2, 0.0, 1e-6) }]
        };
        let none = select(&two(false), &LIMITS);
        assert_eq!((none.survivors, none.falsetickers), (ids(&[]), ids(&[1, 2])), "prefer alone does not");
        let one = select(&two(true), &LIMITS);
        assert_eq!((one.survivors, one.falsetickers), (ids(&[2]), ids(&[1])));
        let outvoted = [two(true)[0], candidate(3, -0.1, 1e-5), two(true)[1]];
        assert_eq!(select(&outvoted, &LIMITS).falsetickers, ids(&[2]), "a majority is right");
    }

    #[test]
    fn one_liar_among_four_is_found() {
        let list: Vec<_> = [0.0, 0.001, -0.001, 0.2]
            .iter()
            .enumerate()
            .map(|(i, &o)| candidate(i as u16, o, 0.02))
            .collect();
        let outcome = select(&list, &LIMITS);
        assert_eq!(outcome.falsetickers, ids(&[3]));
        assert_eq!(outcome.survivors.len(), 3);
    }

    #[test]
    fn two_that_disagree_are_both_disbelieved() {
        let outcome = select(&[candidate(0, 0.0, 0.01), candidate(1, 1.0, 0.01)], &LIMITS);
        assert_eq!((outcome.survivors.len(), outcome.falsetickers.len()), (0, 2));
    }

    #[test]
    fn a_preferred_source_comes_first_unless_it_lies() {
        let mut list: Vec<_> = (0..5).map(|i| candidate(i, f64::from(i) * 1e-3, 0.02)).collect();
        list[4].prefer = true;
        assert_eq!(select(&list, &LIMITS).survivors[0], AssocId(4));
        list[4].offset = 3.0;
        let outcome = select(&list, &LIMITS);
        assert_eq!(outcome.falsetickers, ids(&[4]));
        assert_ne!(outcome.survivors[0], AssocId(4));
    }

    #[test]
    fn a_single_source_is_believed_and_none_is_nobody() {
        assert_eq!(select(&[candidate(7, 9.0, 0.5)], &LIMITS).survivors, ids(&[7]));
        assert_eq!(select(&[], &LIMITS), Outcome::default());
        let sane = Limits { min_sane: 2, ..LIMITS };
        assert!(select(&[candidate(7, 9.0, 0.5)], &sane).survivors.is_empty());
    }

    #[test]
    fn a_near_source_is_not_cast_out_by_far_ones_and_true_shows_who_is_wrong() {
        let far = |index| Candidate { jitter: 1e-5, ..candidate(index, 5e-3, 0.02) };
        let near = Candidate { jitter: 1e-5, ..candidate(0, 0.0, 1e-4) };
        let list = [near, far(1), far(2), far(3)];
        assert_eq!(select(&list, &LIMITS).survivors, ids(&[0, 1, 2, 3]));
        let wrong = |index| candidate(index, 0.3, 1e-3);
        let list = [Candidate { truechimer: true, ..near }, wrong(1), wrong(2)];
        let outcome = select(&list, &LIMITS);
        assert_eq!((outcome.survivors, outcome.falsetickers), (ids(&[0]), ids(&[1, 2])));
        assert_eq!(select(&[near, wrong(1), wrong(2)], &LIMITS).falsetickers, ids(&[0]));
    }

    #[test]
    fn of_three_a_blatant_outlier_is_cast_out_and_a_wide_interval_agrees_with_a_narrow_one() {
        let of = |index, offset| Candidate { asymmetry: 1e-4, ..candidate(index, offset, 0.01) };
        let outcome = select(&[of(0, 0.0), of(1, 1e-5), of(2, 5e-3)], &LIMITS);
        assert_eq!((outcome.survivors, outcome.outliers), (ids(&[0, 1]), ids(&[2])));
        assert_eq!(select(&[of(0, 0.0), of(1, 1e-5), of(2, 3e-5)], &LIMITS).survivors.len(), 3);
        let wide = candidate(1, 0.5, 0.5001);
        assert_eq!(select(&[candidate(0, 0.0, 1e-4), wide], &LIMITS).survivors, ids(&[0, 1]));
    }

    #[test]
    fn outliers_go_until_three_are_left() {
        let list: Vec<_> = [0.0, 1e-4, -1e-4, 0.015, 0.018]
            .iter()
            .enumerate()
            .map(|(i, &o)| Candidate { jitter: 1e-5, ..candidate(i as u16, o, 0.05) })
            .collect();
        let outcome = select(&list, &LIMITS);
        assert_eq!(outcome.survivors.len(), 3);
        assert_eq!(outcome.outliers.len(), 2);
        assert!(outcome.outliers.contains(&AssocId(4)) && outcome.outliers.contains(&AssocId(3)));
    }
}
