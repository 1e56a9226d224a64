//! What a reference clock did: counters and the last trouble, for the clock variables, and what it did since the last poll, for clockstats.

use crate::engine::contract::Trouble;
use crate::wire::event::ClockEvent;

/// The most events that a clock's status word counts (CTL_CLK_MAXEVENTS).
const EVENTS_MAX: u8 = 15;

/// What it did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Polls.
    pub polls: u64,
    /// Times that nothing came.
    pub no_reply: u64,
    /// What could not be read.
    pub bad_format: u64,
    /// Dates and times that make no sense.
    pub bad_data: u64,
    events: u8,
    last: Option<Trouble>,
    /// Since the last poll.
    pub(super) lately: Lately,
}

/// What it did since the last poll.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lately {
    /// Reports of its device.
    pub(super) reports: u32,
    /// Readings that were of use.
    pub(super) good: u32,
    /// Troubles, in their order.
    troubles: [u32; 6],
    /// Readings of the time, and those that were used.
    pub(super) times: u32,
    pub(super) times_used: u32,
    /// Pulses, and those that were used.
    pub(super) pulses: u32,
    pub(super) pulses_used: u32,
}

impl Lately {
    const fn of(&self, trouble: Trouble) -> u32 {
        self.troubles[trouble as usize]
    }

    /// What the SHM driver writes to clockstats: seconds, good ones, nothing ready, bad ones, clashes.
    pub(super) fn of_shm(&self) -> String {
        let known = self.good + self.of(Trouble::NoReply) + self.of(Trouble::BadSignal);
        let bad = self.reports.saturating_sub(known);
        format!(
            "{:3} {:3} {:3} {bad:3} {:3}",
            self.reports,
            self.good,
            self.of(Trouble::NoReply),
            self.of(Trouble::BadSignal)
        )
    }

    /// What the GPSD driver writes: records, bad ones, without fix, times and those used, pulses and those used.
    pub(super) fn of_gpsd(&self) -> String {
        let bad = self.of(Trouble::BadFormat) + self.of(Trouble::BadDate) + self.of(Trouble::BadTime);
        format!(
            "{} {bad} {} {} {} {} {}",
            self.reports,
            self.of(Trouble::BadSignal),
            self.times,
            self.times_used,
            self.pulses,
            self.pulses_used
        )
    }
}

/// Its event in mode 6.
const fn event_of(trouble: Trouble) -> ClockEvent {
    match trouble {
        Trouble::NoReply => ClockEvent::NoReply,
        Trouble::BadFormat => ClockEvent::BadFormat,
        Trouble::Fault => ClockEvent::Fault,
        Trouble::BadSignal => ClockEvent::BadSignal,
        Trouble::BadDate => ClockEvent::BadDate,
        Trouble::BadTime => ClockEvent::BadTime,
    }
}

const ALL: [Trouble; 6] = [
    Trouble::NoReply,
    Trouble::BadFormat,
    Trouble::Fault,
    Trouble::BadSignal,
    Trouble::BadDate,
    Trouble::BadTime,
];

impl Counts {
    /// Something was wrong.
    pub(super) const fn count(&mut self, trouble: Trouble) {
        self.lately.troubles[trouble as usize] += 1;
        match trouble {
            Trouble::NoReply => self.no_reply += 1,
            Trouble::BadFormat => self.bad_format += 1,
            Trouble::BadDate | Trouble::BadTime => self.bad_data += 1,
            Trouble::Fault | Trouble::BadSignal => {}
        }
    }

    /// The trouble that there was most since the last poll; where there was none, nothing came.
    pub(super) fn worst(&self) -> Option<Trouble> {
        let most = ALL.into_iter().rev().max_by_key(|trouble| self.lately.of(*trouble));
        most.filter(|trouble| self.lately.of(*trouble) > 0)
    }

    /// A trouble is to be reported; gives its event if it is another one than the last.
    pub(super) fn report(&mut self, trouble: Trouble) -> Option<ClockEvent> {
        self.events = (self.events + 1).min(EVENTS_MAX);
        let is_new = self.last.replace(trouble) != Some(trouble);
        is_new.then(|| event_of(trouble))
    }

    /// The clock status word (RFC 9327 section 3.3).
    #[must_use]
    pub fn status(&self) -> u16 {
        debug_assert!(self.events <= EVENTS_MAX, "the status word counts no more than 15 events");
        let last = self.last.map_or(ClockEvent::Unspecified, event_of);
        u16::from(self.events) << 4 | last as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_word_has_the_last_trouble_and_no_more_than_fifteen() {
        let mut counts = Counts::default();
        assert_eq!(counts.status(), 0);
        assert_eq!(counts.report(Trouble::NoReply), Some(ClockEvent::NoReply));
        assert_eq!((0..40).find_map(|_| counts.report(Trouble::NoReply)), None);
        assert_eq!(counts.status(), 0x00f1, "fifteen events, no reply");
        assert_eq!(counts.report(Trouble::BadTime), Some(ClockEvent::BadTime));
    }

    #[test]
    fn the_most_frequent_trouble_is_the_one_to_report() {
        let mut counts = Counts::default();
        assert_eq!(counts.worst(), None);
        for trouble in [Trouble::NoReply, Trouble::BadFormat, Trouble::BadFormat, Trouble::BadSignal] {
            counts.lately.reports += 1;
            counts.count(trouble);
        }
        assert_eq!(counts.worst(), Some(Trouble::BadFormat));
        assert_eq!(counts.lately.of_shm(), "  4   0   1   2   1");
        assert_eq!(counts.lately.of_gpsd(), "4 2 1 0 0 0 0");
        assert_eq!((counts.no_reply, counts.bad_format, counts.bad_data), (1, 2, 0));
    }
}
