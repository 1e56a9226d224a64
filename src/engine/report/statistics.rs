//! The lines of ntpd's statistics files, field by field as 4.2.6p5 writes them (its page
//! "Monitoring Options" names the fields). The shell decides which file a line goes to.
//!
//! Every line begins with the Modified Julian Day and the second of the day in UTC.

use crate::config::model::StatKind;
use crate::engine::Engine;
use crate::engine::contract::{Now, Output, StatLine};
use crate::engine::reject::Counters;
use crate::engine::report::event::Event;
use crate::engine::report::rows::Row;
use crate::engine::sources::association::Association;
use crate::engine::sources::receive::Exchange;
use crate::units::{DAY, MonoTime, NtpTimestamp, PIVOT, Seconds, UNIX_EPOCH_MJD};
use crate::wire::counter::Counter;
use std::fmt::Write as _;

/// A day in milliseconds.
const DAY_MILLIS: i64 = DAY * 1000;
/// How often a line of sysstats is written.
const HOUR: Seconds = Seconds::new(3600.0);

/// When the hourly lines are due, since when the counters count, what loopstats had last.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Records {
    due: MonoTime,
    reset: MonoTime,
    /// The newest answer that a line of loopstats was written for.
    loop_logged: Option<MonoTime>,
}

impl Records {
    /// From the start on.
    pub(in crate::engine) fn new(now: MonoTime) -> Self {
        Self { due: now + HOUR, reset: now, loop_logged: None }
    }

    /// When the next lines are due.
    pub(in crate::engine) const fn due(&self) -> MonoTime {
        self.due
    }

    /// Whole seconds that the counters have counted (`ss_reset`).
    pub(in crate::engine) fn since_reset(&self, now: MonoTime) -> i64 {
        now.since(self.reset).get() as i64
    }
}

impl Engine {
    /// Whether such lines are written.
    fn wants(&self, kind: StatKind) -> bool {
        let config = &self.setup.config;
        config.enable.stats && config.statistics.filegens.iter().any(|f| f.kind == kind && f.enabled)
    }

    fn record(&mut self, at: NtpTimestamp, kind: StatKind, fields: &str) {
        let (stamp, at) = day_and_second(at);
        let text = format!("{stamp} {fields}");
        self.outputs.push_back(Output::Stat(StatLine { kind, at, text }));
    }

    /// loopstats: offset (s), frequency (ppm), jitter (s), wander (ppm), log2 of the time constant;
    /// at every update of the clock that a new sample brought.
    pub(in crate::engine) fn record_loop(&mut self, now: Now, offset: Seconds, poll: u8) {
        // The local clock's polls bring news only while it is the system peer.
        let counts = |a: &&Association| !a.is_local_clock() || Some(a.id) == self.system.peer;
        let newest = self.associations.iter().filter(counts).filter_map(|a| a.last_answer).max();
        if newest <= self.records.loop_logged {
            return;
        }
        self.records.loop_logged = newest;
        if self.wants(StatKind::Loop) {
            let discipline = &self.discipline;
            let fields = format!(
                "{:.9} {:.3} {:.9} {:.6} {poll}",
                offset.get(),
                discipline.frequency().get(),
                discipline.jitter().get(),
                discipline.wander().get(),
            );
            self.record(now.wall, StatKind::Loop, &fields);
        }
    }

    /// peerstats: address, status word, offset, delay, dispersion, jitter (s); whenever the clock
    /// filter has a new best sample.
    pub(in crate::engine) fn record_peer(&mut self, now: Now, index: usize) {
        let association = &mut self.associations[index];
        let Some(best) = association.filter.best() else { return };
        if association.best_logged.is_some_and(|logged| best.at <= logged) {
            return;
        }
        association.best_logged = Some(best.at);
        if self.wants(StatKind::Peer) {
            let fields = peer_fields(&self.associations[index], best.offset, best.delay);
            self.record(now.wall, StatKind::Peer, &fields);
        }
    }

    /// rawstats: the server's address, ours, and the four timestamps in seconds since 1900; at every
    /// valid answer. The first is when our request left, not the random number it carried.
    pub(in crate::engine) fn record_raw(&mut self, now: Now, index: usize, exchange: &Exchange) {
        if self.wants(StatKind::Raw) {
            let association = &self.associations[index];
            let local = association.local.map_or_else(|| "-".to_owned(), |ip| ip.to_string());
            let mut fields = format!("{} {local}", association.shown_address());
            for stamp in [exchange.sent, exchange.received_there, exchange.sent_there, exchange.received] {
                let _ = write!(fields, " {}", seconds_since_1900(stamp));
            }
            self.record(now.wall, StatKind::Raw, &fields);
        }
    }

    /// protostats: an event as ntpd's event log words it.
    pub(in crate::engine) fn record_event(&mut self, now: Now, row: &Row<'_>) {
        if self.wants(StatKind::Proto)
            && let Some(fields) = row.protostats(self.system.status())
        {
            self.record(now.wall, StatKind::Proto, &fields);
        }
    }

    /// What is due once an hour: the event with the state of the loop, and sysstats: the seconds
    /// since the counters were reset and the counters, which begin anew.
    pub(in crate::engine) fn record_hourly(&mut self, now: Now) {
        if now.mono < self.records.due {
            return;
        }
        self.records.due = now.mono + HOUR;
        let hourly = Event::LoopState {
            offset: self.discipline.offset(now.mono),
            frequency: self.discipline.frequency(),
            jitter: self.discipline.jitter(),
            poll: self.system_poll(now.mono),
        };
        self.event(hourly);
        if self.wants(StatKind::Sys) {
            let fields = system_fields(self.records.since_reset(now.mono), &self.counters);
            self.record(now.wall, StatKind::Sys, &fields);
            self.counters = Counters::default();
            self.records.reset = now.mono;
        }
    }
}

fn peer_fields(a: &Association, offset: Seconds, delay: Seconds) -> String {
    format!(
        "{} {:x} {:.9} {:.9} {:.9} {:.9}",
        a.shown_address(),
        a.status(),
        offset.get(),
        delay.get(),
        a.filter.dispersion().get(),
        a.filter.jitter().get(),
    )
}

/// The fields of sysstats after the seconds since the reset.
const SYSSTATS: [Counter; 10] = [
    Counter::Received,
    Counter::Processed,
    Counter::ThisVersion,
    Counter::OldVersion,
    Counter::Restricted,
    Counter::BadFormat,
    Counter::BadAuth,
    Counter::Declined,
    Counter::Limited,
    Counter::KissSent,
];

fn system_fields(since_reset: i64, counters: &Counters) -> String {
    SYSSTATS
        .iter()
        .fold(since_reset.to_string(), |fields, counter| format!("{fields} {}", counters.get(*counter)))
}

/// `MJD SECOND.mmm`, and that moment: rounded to the millisecond first, so that a line of the last
/// half millisecond of a day has the next one's number and goes to the next one's file.
fn day_and_second(at: NtpTimestamp) -> (String, NtpTimestamp) {
    let (seconds, nanos) = at.to_unix(PIVOT);
    let millis = seconds * 1000 + (i64::from(nanos) + 500_000) / 1_000_000;
    let (day, rest) = (millis.div_euclid(DAY_MILLIS), millis.rem_euclid(DAY_MILLIS));
    let rounded =
        NtpTimestamp::from_unix(millis.div_euclid(1000), millis.rem_euclid(1000) as u32 * 1_000_000);
    (format!("{} {}.{:03}", day + UNIX_EPOCH_MJD, rest / 1000, rest % 1000), rounded)
}

/// A timestamp as a number with nine decimals, as ntpd prints it: within its era.
fn seconds_since_1900(stamp: NtpTimestamp) -> String {
    let nanos = (u64::from(stamp.fraction()) * 1_000_000_000 + (1 << 31)) >> 32;
    let seconds = u64::from(stamp.era_seconds()) + nanos / 1_000_000_000;
    format!("{seconds}.{:09}", nanos % 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_as_the_documentation_counts_them() {
        // The examples of "Monitoring Options": 49213 is 1993-08-14, 50928 is 1998-04-25.
        let day = |unix| day_and_second(NtpTimestamp::from_unix(unix, 0)).0;
        assert_eq!(day(893_462_400 + 2132), "50928 2132.000");
        let last = |nanos| day_and_second(NtpTimestamp::from_unix(1_798_761_599, nanos));
        assert_eq!(last(999_400_000).0, "61405 86399.999");
        let (text, at) = last(999_600_000);
        assert_eq!((text.as_str(), at.to_unix(PIVOT)), ("61406 0.000", (1_798_761_600, 0)));
    }

    #[test]
    fn raw_timestamps_have_nine_decimals() {
        let stamp = |unix, nanos| seconds_since_1900(NtpTimestamp::from_unix(unix, nanos));
        assert_eq!(stamp(893_462_400, 102_030_405), "3102451200.102030405");
        assert_eq!(seconds_since_1900(NtpTimestamp::from_bits(0x1_ffff_ffff)), "2.000000000");
    }
}
