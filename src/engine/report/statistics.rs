//! The lines of ntpd's statistics files, field by field as 4.2.6p5 writes them (its page
//! "Monitoring Options" names the fields). The shell decides which file a line goes to.
//!
//! Every line begins with the Modified Julian Day and the second of the day in UTC.

use crate::config::model::StatKind;
use crate::engine::clock::Discipline;
use crate::engine::contract::StatLine;
use crate::engine::reject::Counters;
use crate::engine::sources::filter::Stage;
use crate::engine::sources::{Exchange, Source};
use crate::units::{DAY, MonoTime, NtpTimestamp, PIVOT, PollExponent, Seconds, UNIX_EPOCH_MJD};
use crate::wire::counter::Counter;
use std::fmt::Write as _;

/// A day in milliseconds.
const DAY_MILLIS: i64 = DAY * 1000;
/// A clock update, as loopstats has it.
#[derive(Clone, Copy, Debug)]
pub struct LoopUpdate<'a> {
    /// The clock.
    pub discipline: &'a Discipline,
    /// What was left to correct.
    pub offset: Seconds,
    /// The poll exponent.
    pub poll: PollExponent,
    /// The newest response of all sources.
    pub newest: Option<MonoTime>,
}

/// A line.
#[must_use]
pub fn line(kind: StatKind, at: NtpTimestamp, fields: &str) -> StatLine {
    let (stamp, at) = day_and_second(at);
    StatLine { kind, at, text: format!("{stamp} {fields}") }
}

/// loopstats: offset (s), frequency (ppm), jitter (s), wander (ppm), log2 of the time constant.
#[must_use]
pub fn loop_fields(update: &LoopUpdate<'_>) -> String {
    let LoopUpdate { discipline, offset, poll, .. } = update;
    format!(
        "{:.9} {:.3} {:.9} {:.6} {}",
        offset.get(),
        discipline.frequency().get(),
        discipline.jitter().get(),
        discipline.wander().get(),
        poll.get(),
    )
}

/// rawstats: the server's address, ours, and the four timestamps in seconds since 1900. The first is when our request
/// left, not the random number it carried.
#[must_use]
pub fn raw_fields(source: &Source, exchange: &Exchange) -> String {
    let local = source.local_address().map_or_else(|| "-".to_owned(), |ip| ip.to_string());
    let mut fields = format!("{} {local}", source.shown_address());
    for stamp in [exchange.sent, exchange.received_there, exchange.sent_there, exchange.received] {
        let _ = write!(fields, " {}", seconds_since_1900(stamp));
    }
    fields
}

/// peerstats: address, status word, offset, delay, dispersion, jitter (s).
#[must_use]
pub fn peer_fields(source: &Source, best: &Stage) -> String {
    format!(
        "{} {:x} {:.9} {:.9} {:.9} {:.9}",
        source.shown_address(),
        source.status(),
        best.offset.get(),
        best.delay.get(),
        source.filter().dispersion().get(),
        source.filter().jitter().get(),
    )
}

/// clockstats: address, and what the driver records.
#[must_use]
pub fn clock_fields(source: &Source, text: &str) -> String {
    format!("{} {text}", source.shown_address())
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

/// sysstats: seconds since the reset, and the counters.
#[must_use]
pub fn system_fields(since_reset: i64, counters: &Counters) -> String {
    SYSSTATS
        .iter()
        .fold(since_reset.to_string(), |fields, counter| format!("{fields} {}", counters.get(*counter)))
}

/// The fields of ntsstats after the seconds since the reset.
const NTSSTATS: [Counter; 13] = [
    Counter::NtsClientSent,
    Counter::NtsClientGood,
    Counter::NtsClientBad,
    Counter::NtsServerSent,
    Counter::NtsServerGood,
    Counter::NtsServerBad,
    Counter::CookieMade,
    Counter::CookieCurrent,
    Counter::CookieOld,
    Counter::CookieOld2,
    Counter::CookieOlder,
    Counter::CookieTooOld,
    Counter::CookieError,
];

/// ntsstats: seconds since the reset, what clients and server of NTS sent and received, and what became of cookies.
#[must_use]
pub fn security_fields(since_reset: i64, counters: &Counters) -> String {
    NTSSTATS
        .iter()
        .fold(since_reset.to_string(), |fields, counter| format!("{fields} {}", counters.get(*counter)))
}

/// The key exchanges of our server: a counter, how long they took, and how long they kept a processor busy.
const SERVED: [[Counter; 3]; 3] = [
    [Counter::KeGood, Counter::KeGoodWall, Counter::KeGoodCpu],
    [Counter::KeNoTls, Counter::KeNoTlsWall, Counter::KeNoTlsCpu],
    [Counter::KeBad, Counter::KeBadWall, Counter::KeBadCpu],
];

/// ntskestats: seconds since the reset; key exchanges that gave cookies, those without TLS and those that gave none, each with the
/// seconds that they took and kept a processor busy; our own with servers, that gave keys and failed.
#[must_use]
pub fn exchange_fields(since_reset: i64, counters: &Counters) -> String {
    let seconds = |counter| counters.get(counter) as f64 * 1e-6;
    let served = SERVED.iter().fold(since_reset.to_string(), |fields, [count, wall, cpu]| {
        format!("{fields} {} {:.3} {:.3}", counters.get(*count), seconds(*wall), seconds(*cpu))
    });
    let (good, bad) = (counters.get(Counter::KeProbesGood), counters.get(Counter::KeProbesBad));
    format!("{served} {good} {bad}")
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
