//! Leap seconds: announced by the leap second file or by a majority of the survivors, armed in the
//! kernel on the last day of the month, over when the day is.
//!
//! A leap second file that has not expired decides alone, as in ntpd 4.2.8: what servers announce
//! beside it does not count, neither for nor against. Without a file, or once it has expired, the
//! servers decide. TAI − UTC is the file's even when it has expired: an expired file knows of no
//! newer leap second, and is reported as expired.

use crate::config::model::LeapTable;
use crate::units::{DAY, Leap, NtpTimestamp, end_of_month};

/// What became of the leap state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// Announced by a majority.
    Armed(Leap),
    /// No longer announced.
    Disarmed,
    /// It happened.
    Occurred(Leap),
}

/// The leap second that may be coming.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeapWatch {
    /// Announced for the end of this month, and when that is (Unix seconds).
    armed: Option<(Leap, i64)>,
    /// After a leap second its announcement is ignored until the next day.
    deaf_until: i64,
    /// Of another announcement than the present one: what it is, and how often in a row it was the majority's.
    wanted: Option<(Option<Leap>, u32)>,
}

/// So often in a row a majority must announce something else before it counts: one that flips with each poll does not.
const IN_A_ROW: u32 = 3;

impl LeapWatch {
    /// The leap bits to serve.
    #[must_use]
    pub fn announced(&self) -> Leap {
        self.armed.map_or(Leap::None, |(leap, _)| leap)
    }

    /// The leap bits for the kernel, which acts at the end of the day: only on the last day.
    #[must_use]
    pub fn for_kernel(&self, now: NtpTimestamp, pivot: i64) -> Leap {
        let (seconds, _) = now.to_unix(pivot);
        match self.armed {
            Some((leap, end)) if end - seconds <= DAY => leap,
            _ => Leap::None,
        }
    }

    /// The Unix second at which the armed leap second is over.
    #[must_use]
    pub fn armed_for(&self) -> Option<i64> {
        self.armed.map(|(_, end)| end)
    }

    /// Takes in what the file and the survivors announce; `votes` are their leap bits.
    pub fn update(
        &mut self,
        now: NtpTimestamp,
        pivot: i64,
        table: Option<&LeapTable>,
        votes: &[Leap],
    ) -> Option<Change> {
        let (seconds, _) = now.to_unix(pivot);
        if let Some((leap, end)) = self.armed
            && seconds >= end
        {
            self.armed = None;
            self.deaf_until = end + DAY;
            return Some(Change::Occurred(leap));
        }
        if let Some(table) = table.filter(|table| table.is_valid(seconds)) {
            return self.follow_table(seconds, table);
        }
        let majority =
            |leap: Leap| votes.iter().filter(|v| **v == leap).count() * 2 > votes.len() && !votes.is_empty();
        let wanted = [Leap::Insert, Leap::Delete].into_iter().find(|l| majority(*l));
        if votes.is_empty() || !self.lasts(wanted) {
            return None;
        }
        match (self.armed, wanted) {
            (None, Some(leap)) if seconds >= self.deaf_until => {
                self.armed = Some((leap, end_of_month(seconds)));
                Some(Change::Armed(leap))
            }
            (Some(_), None) => {
                self.armed = None;
                Some(Change::Disarmed)
            }
            _ => None,
        }
    }
}

impl LeapWatch {
    /// Whether what the majority announces is not what is armed, and has been so for long enough.
    fn lasts(&mut self, wanted: Option<Leap>) -> bool {
        if wanted == self.armed.map(|(leap, _)| leap) {
            self.wanted = None;
            return false;
        }
        let before = self.wanted.filter(|(last, _)| *last == wanted).map_or(0, |(_, times)| times);
        self.wanted = Some((wanted, before.saturating_add(1)));
        before + 1 >= IN_A_ROW
    }

    fn follow_table(&mut self, seconds: i64, table: &LeapTable) -> Option<Change> {
        let this_month = table.next(seconds).filter(|(end, _)| *end == end_of_month(seconds));
        let wanted =
            this_month.map(|(end, grows)| (if grows > 0 { Leap::Insert } else { Leap::Delete }, end));
        let before = std::mem::replace(&mut self.armed, wanted);
        match (before, wanted) {
            (before, Some((leap, _))) if before != wanted => Some(Change::Armed(leap)),
            (Some(_), None) => Some(Change::Disarmed),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JUNE_30_2015: i64 = 1_435_622_400;

    fn stamp(seconds: i64) -> NtpTimestamp {
        NtpTimestamp::from_unix(seconds, 0)
    }

    #[test]
    fn armed_by_a_majority_and_told_to_the_kernel_on_the_last_day() {
        let mut watch = LeapWatch::default();
        let days_before = JUNE_30_2015 - 5 * DAY;
        let two_of_three = [Leap::Insert, Leap::Insert, Leap::None];
        assert_eq!(watch.update(stamp(days_before), days_before, None, &[Leap::Insert, Leap::None]), None);
        let armed = [(); 3].map(|()| watch.update(stamp(days_before), days_before, None, &two_of_three));
        assert_eq!(armed, [None, None, Some(Change::Armed(Leap::Insert))]);
        assert_eq!(watch.announced(), Leap::Insert);
        assert_eq!(watch.for_kernel(stamp(days_before), days_before), Leap::None);
        assert_eq!(watch.for_kernel(stamp(JUNE_30_2015), days_before), Leap::Insert);
        let after = JUNE_30_2015 + DAY;
        let occurred = watch.update(stamp(after), after, None, &two_of_three);
        assert_eq!(occurred, Some(Change::Occurred(Leap::Insert)));
        assert_eq!(
            watch.update(stamp(after + 60), after, None, &two_of_three),
            None,
            "late announcements are old news"
        );
        assert_eq!(watch.announced(), Leap::None);
    }

    #[test]
    fn a_withdrawn_announcement_disarms() {
        let mut watch = LeapWatch::default();
        let now = JUNE_30_2015 - DAY;
        let mut at = |votes: &[Leap]| watch.update(stamp(now), now, None, votes);
        assert_eq!([(); 3].map(|()| at(&[Leap::Insert]))[2], Some(Change::Armed(Leap::Insert)));
        assert_eq!([(); 3].map(|()| at(&[])), [None; 3], "silence is no withdrawal");
        assert_eq!([(); 3].map(|()| at(&[Leap::None])), [None, None, Some(Change::Disarmed)]);
    }

    #[test]
    fn e23_an_announcement_that_flips_with_each_poll_does_not_count() {
        let mut watch = LeapWatch::default();
        let now = JUNE_30_2015 - DAY;
        for armed in [false, true] {
            for n in 0..152 {
                let vote = if n % 2 == 0 { Leap::Insert } else { Leap::None };
                assert_eq!(watch.update(stamp(now), now, None, &[vote]), None, "{armed} {n}");
            }
            for _ in 0..3 {
                watch.update(stamp(now), now, None, &[Leap::Insert]);
            }
            assert_eq!(watch.announced(), Leap::Insert);
        }
    }

    fn table(expires: i64) -> LeapTable {
        LeapTable { entries: vec![(0, 35), (JUNE_30_2015 + DAY, 36)], expires: Some(expires) }
    }

    #[test]
    fn a_file_arms_in_its_month_and_beats_the_votes() {
        let mut watch = LeapWatch::default();
        let table = table(JUNE_30_2015 + 100 * DAY);
        let mut at =
            |seconds: i64, votes: &[Leap]| watch.update(stamp(seconds), seconds, Some(&table), votes);
        assert_eq!(at(JUNE_30_2015 - 31 * DAY, &[Leap::Insert]), None, "in May, whatever servers say");
        assert_eq!(at(JUNE_30_2015 - 5 * DAY, &[Leap::None]), Some(Change::Armed(Leap::Insert)));
        assert_eq!(at(JUNE_30_2015, &[Leap::None]), None);
        assert_eq!(at(JUNE_30_2015 + DAY, &[Leap::Insert]), Some(Change::Occurred(Leap::Insert)));
        assert_eq!(at(JUNE_30_2015 + DAY + 60, &[Leap::Insert]), None);
        assert_eq!(watch.announced(), Leap::None);
    }

    #[test]
    fn a_new_file_disarms_and_an_expired_one_leaves_it_to_the_servers() {
        let mut watch = LeapWatch::default();
        let now = JUNE_30_2015 - DAY;
        let mut at = |table: &LeapTable, votes: &[Leap]| watch.update(stamp(now), now, Some(table), votes);
        let expired = [(); 3].map(|()| at(&table(now), &[Leap::Insert]));
        assert_eq!(expired[2], Some(Change::Armed(Leap::Insert)), "expired");
        let silent = LeapTable { entries: vec![(0, 35)], expires: None };
        assert_eq!(at(&silent, &[Leap::Insert]), Some(Change::Disarmed));
        let backwards = LeapTable { entries: vec![(0, 35), (JUNE_30_2015 + DAY, 34)], expires: None };
        assert_eq!(at(&backwards, &[]), Some(Change::Armed(Leap::Delete)));
    }
}
