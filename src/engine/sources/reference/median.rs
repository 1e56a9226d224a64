//! What the readings between two polls amount to, as ntpd shows it: a trimmed mean around the median.

use crate::units::Seconds;
use std::collections::VecDeque;

/// The readings that are kept between two polls (ntpd's MAXSTAGE less one); the oldest go first.
const KEPT: usize = 59;

/// The offsets since the last poll.
#[derive(Clone, Debug, Default)]
pub(super) struct Ring(VecDeque<f64>);

/// What they amount to.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Summary {
    /// Mean of the middle six tenths.
    pub(super) offset: Seconds,
    /// Root mean square of the gaps between these, in order of size: what ntpd calls their jitter.
    pub(super) jitter: Seconds,
    /// Standard deviation of these.
    pub(super) deviation: Seconds,
}

impl Ring {
    /// One more, seconds.
    pub(super) fn push(&mut self, offset: f64) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(offset);
        debug_assert!(self.0.len() <= KEPT, "the readings between two polls are bounded");
    }

    /// What they amount to, if there are any; then it begins anew.
    pub(super) fn take(&mut self) -> Option<Summary> {
        let mut sorted: Vec<f64> = self.0.drain(..).collect();
        sorted.sort_by(f64::total_cmp);
        let middle = trimmed(&sorted);
        if middle.is_empty() {
            return None;
        }
        let count = middle.len() as f64;
        let mean = middle.iter().sum::<f64>() / count;
        let gaps: f64 = middle.windows(2).map(|pair| (pair[1] - pair[0]).powi(2)).sum();
        let squares: f64 = middle.iter().map(|offset| (offset - mean).powi(2)).sum();
        Some(Summary {
            offset: Seconds::new(mean),
            jitter: Seconds::new((gaps / count).sqrt()),
            deviation: Seconds::new((squares / count).sqrt()),
        })
    }

    /// The clock was moved by `by` at once.
    pub(super) fn clock_stepped(&mut self, by: Seconds) {
        self.0.iter_mut().for_each(|offset| *offset -= by.get());
    }

    /// Forgets them.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Six tenths of them: while there are more, the end goes that is further from the middle element, the upper one if both are as far.
fn trimmed(sorted: &[f64]) -> &[f64] {
    let keep = sorted.len() - 4 * sorted.len() / 10;
    let mut kept = sorted;
    while kept.len() > keep {
        let middle = kept[(kept.len() - 1) / 2];
        let last = kept.len() - 1;
        kept = if kept[last] - middle < middle - kept[0] { &kept[1..] } else { &kept[..last] };
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(offsets: &[f64]) -> Option<Summary> {
        let mut ring = Ring::default();
        offsets.iter().for_each(|offset| ring.push(*offset));
        ring.take()
    }

    #[test]
    fn the_middle_six_tenths_count() {
        assert_eq!(summary(&[]), None);
        let one = summary(&[0.25]).unwrap();
        assert_eq!((one.offset, one.jitter), (Seconds::new(0.25), Seconds::ZERO));
        // Ten, of which four go: the outliers on one side first.
        let ten = summary(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 100.0, 200.0, 300.0]).unwrap();
        assert_eq!(ten.offset, Seconds::new(3.5), "1 to 6");
        assert!((ten.jitter.get() - (5.0f64 / 6.0).sqrt()).abs() < 1e-12, "five gaps of 1, divided by six");
        assert!((ten.deviation.get() - (35.0f64 / 12.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn it_is_bounded_moves_with_the_clock_and_begins_anew() {
        let mut ring = Ring::default();
        (0..100).for_each(|n| ring.push(f64::from(n)));
        ring.clock_stepped(Seconds::new(1000.0));
        let all = ring.take().unwrap();
        assert_eq!(
            all.offset,
            Seconds::new(-941.5),
            "of 41 to 99 the lower 36, as ntpd trims what is evenly spaced"
        );
        assert_eq!(ring.take(), None);
    }
}
