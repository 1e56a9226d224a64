//! Pulses: the beginning of a second, which does not say of which. Pulses that are none are dropped, and the clock's own sentences or
//! the system clock say which second it was.

use crate::units::{MonoTime, Seconds};

/// Pulses so far from where one is expected are none, seconds.
const GATE: f64 = 500e-6;
/// After so many in a row that are not where they are expected, it is the expectation that is wrong.
const STRIKES: u32 = 8;
/// A sentence says which second it is of pulses that follow it within this span, seconds.
const NUMBERS: f64 = 3.5;
/// And of the pulse that it came after, where it was read before that was asked for: a fast line needs less than a tick.
const AFTER: f64 = 1.0;
/// A pulse further than this from the beginning of a sentence's second does not belong to it, seconds.
const BELONGS: f64 = 0.45;

/// What a pulse is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// One of the clock's.
    Pulse,
    /// The first: there is nothing to hold it against.
    First,
    /// Not where one is expected.
    Stray,
}

/// What is known of a clock's pulses.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pulses {
    last: Option<f64>,
    strikes: u32,
    /// The clock's last reading of the time.
    sentence: Option<Sentence>,
    /// Readings of the time since the last good pulse.
    missed: u32,
    /// Good pulses since the last one that was missed.
    good: u32,
}

/// A reading of the time.
#[derive(Clone, Copy, Debug)]
struct Sentence {
    at: MonoTime,
    offset: f64,
}

fn fraction(offset: f64) -> f64 {
    Seconds::new(offset).fraction().get()
}

impl Pulses {
    /// What a pulse with this offset is; it is `expected` there by the samples so far, if there are enough.
    pub(super) fn judge(&mut self, offset: f64, expected: Option<f64>) -> Verdict {
        let near = |there: f64| fraction(offset - there).abs() <= GATE;
        let before = self.last.replace(offset);
        let Some(there) = expected.or(before) else { return Verdict::First };
        let moved = || self.strikes + 1 >= STRIKES && before.is_some_and(near);
        if near(there) || moved() {
            self.strikes = 0;
            return Verdict::Pulse;
        }
        self.strikes += 1;
        Verdict::Stray
    }

    /// A reading of the time.
    pub(super) const fn sentence(&mut self, at: MonoTime, offset: f64) {
        self.sentence = Some(Sentence { at, offset });
        self.missed = self.missed.saturating_add(1);
        if self.missed > 2 {
            self.good = 0;
        }
    }

    /// The whole offset of a pulse by the last sentence, if it belongs to one.
    pub(super) fn numbered(&mut self, at: MonoTime, offset: f64) -> Option<f64> {
        let sentence = self.sentence.filter(|s| (-AFTER..NUMBERS).contains(&at.since(s.at).get()))?;
        let difference = sentence.offset - offset;
        if fraction(difference).abs() > BELONGS {
            return None;
        }
        self.missed = 0;
        self.good = self.good.saturating_add(1);
        Some(offset + difference.round())
    }

    /// Readings of the time since the last good pulse.
    pub(super) const fn missed(&self) -> u32 {
        self.missed
    }

    /// Good pulses in a row.
    pub(super) const fn good(&self) -> u32 {
        self.good
    }

    /// The clock was moved by `by` at once.
    pub(super) fn clock_stepped(&mut self, by: Seconds) {
        self.last = self.last.map(|offset| fraction(offset - by.get()));
        if let Some(sentence) = &mut self.sentence {
            sentence.offset -= by.get();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> MonoTime {
        MonoTime::ZERO + Seconds::new(seconds)
    }

    #[test]
    fn a_pulse_is_where_the_last_ones_were_also_around_half_a_second() {
        let mut pulses = Pulses::default();
        assert_eq!(pulses.judge(0.4999, None), Verdict::First);
        assert_eq!(pulses.judge(-0.4999, None), Verdict::Pulse, "0.2 ms further");
        let then = [pulses.judge(0.1, None), pulses.judge(0.1001, None)];
        assert_eq!(then, [Verdict::Stray, Verdict::Pulse], "then there");
        let expected = [pulses.judge(1e-6, Some(0.0)), pulses.judge(0.02, Some(0.0))];
        assert_eq!(expected, [Verdict::Pulse, Verdict::Stray]);
    }

    #[test]
    fn where_all_pulses_are_elsewhere_the_expectation_was_wrong() {
        let mut pulses = Pulses::default();
        let judged = (0..12).map(|_| pulses.judge(0.02, Some(0.0))).collect::<Vec<_>>();
        assert_eq!(judged.iter().position(|verdict| *verdict == Verdict::Pulse), Some(7));
        let mut scattered = (0..40).map(|n| f64::from(n % 7) * 0.06);
        let mut noise = Pulses::default();
        assert!(
            scattered.all(|offset| noise.judge(offset, Some(0.45)) != Verdict::Pulse),
            "these are no pulses"
        );
    }

    #[test]
    fn the_sentence_before_it_says_which_second_it_was() {
        let mut pulses = Pulses::default();
        assert_eq!(pulses.numbered(at(1.0), 0.001), None);
        pulses.sentence(at(1.3), 2.7);
        assert_eq!(pulses.numbered(at(2.1), 0.001), Some(3.001));
        pulses.sentence(at(2.3), 2.5);
        assert_eq!(
            pulses.numbered(at(3.1), 0.001),
            None,
            "half a second away: it may be this one or the next"
        );
        assert_eq!((pulses.missed(), pulses.good()), (1, 1));
        pulses.sentence(at(3.05), 2.9);
        assert_eq!(
            pulses.numbered(at(3.0), 0.001),
            Some(3.001),
            "the sentence came first, of the same second"
        );
        pulses.clock_stepped(Seconds::new(2.5));
        pulses.sentence(at(3.3), 0.2);
        assert_eq!(pulses.numbered(at(20.0), 0.001), None, "too long ago");
    }
}
