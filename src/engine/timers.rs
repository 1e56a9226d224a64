//! One table of all deadlines. They are monotonic: a step of the wall clock moves none.

use crate::engine::contract::LookupId;
use crate::units::{AssocId, MonoTime};
use std::collections::BTreeMap;

/// What may be waited for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Timer {
    /// A source is polled.
    Poll(AssocId),
    /// The device of a reference clock is opened again.
    Device(AssocId),
    /// Keys of NTS are exchanged.
    Keys(AssocId),
    /// The resolver is asked for a name.
    Lookup(LookupId),
    /// The next part of an offset is slewed.
    Slew,
    /// The kernel may have ended the slew under way: the clock is looked at, to see whether it may be served.
    SlewEnds,
    /// A changed frequency goes to the drift file.
    Drift,
    /// No source is there: orphan mode begins, or what it says of the clock is renewed.
    Orphan,
    /// Hourly statistics.
    Hourly,
    /// With `-q`: no server may respond any more.
    Quit,
}

/// The deadlines.
#[derive(Clone, Debug, Default)]
pub struct Timers(BTreeMap<Timer, MonoTime>);

impl Timers {
    /// Sets a deadline, in place of an earlier one of the same timer.
    pub fn set(&mut self, timer: Timer, at: MonoTime) {
        self.0.insert(timer, at);
    }

    /// Sets a deadline, or none.
    pub fn put(&mut self, timer: Timer, at: Option<MonoTime>) {
        match at {
            Some(at) => self.set(timer, at),
            None => self.clear(timer),
        }
    }

    /// There is nothing to wait for.
    pub fn clear(&mut self, timer: Timer) {
        self.0.remove(&timer);
    }

    /// The deadline, if one is set.
    #[must_use]
    pub fn get(&self, timer: Timer) -> Option<MonoTime> {
        self.0.get(&timer).copied()
    }

    /// Whether the deadline is over.
    #[must_use]
    pub fn is_due(&self, timer: Timer, now: MonoTime) -> bool {
        self.get(timer).is_some_and(|at| at <= now)
    }

    /// The earliest deadline of all.
    #[must_use]
    pub fn next(&self) -> Option<MonoTime> {
        self.0.values().min().copied()
    }

    /// All timers that are due, in the order of [`Timer`].
    #[must_use]
    pub fn due(&self, now: MonoTime) -> Vec<Timer> {
        self.0.iter().filter(|(_, at)| **at <= now).map(|(timer, _)| *timer).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Seconds;

    fn at(seconds: f64) -> MonoTime {
        MonoTime::ZERO + Seconds::new(seconds)
    }

    #[test]
    fn the_earliest_deadline_is_the_next_and_each_timer_has_one() {
        let mut timers = Timers::default();
        assert_eq!(timers.next(), None);
        timers.set(Timer::Drift, at(3600.0));
        timers.set(Timer::Poll(AssocId(7)), at(64.0));
        timers.set(Timer::Poll(AssocId(8)), at(32.0));
        assert_eq!(timers.next(), Some(at(32.0)));
        timers.set(Timer::Poll(AssocId(8)), at(128.0));
        assert_eq!(timers.next(), Some(at(64.0)));
        assert_eq!(timers.due(at(63.9)), []);
        assert_eq!(timers.due(at(200.0)), [Timer::Poll(AssocId(7)), Timer::Poll(AssocId(8))]);
        assert!(timers.is_due(Timer::Poll(AssocId(7)), at(64.0)) && !timers.is_due(Timer::Drift, at(64.0)));
        timers.put(Timer::Poll(AssocId(7)), None);
        timers.clear(Timer::Poll(AssocId(8)));
        assert_eq!(timers.next(), Some(at(3600.0)));
        assert_eq!(timers.get(Timer::Slew), None);
    }
}
