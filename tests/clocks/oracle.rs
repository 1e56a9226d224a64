//! What holds of all that reference clocks send: for the replay and the fuzz targets.

use rsntpd::units::{BUILT, GPS_ERA_WEEKS, Leap, Seconds, UnixTime, WEEK};
use rsntpd::wire::refclock::gpsd::{self, Protocol, Record};
use rsntpd::wire::refclock::nmea::{Dates, Heard, Mode, Position, Receiver, WallTime, unfold};
use rsntpd::wire::refclock::shm::{self, Layout, Limit};
use rsntpd::wire::refclock::sock::{self, StandsFor};

/// 2026-11-28 07:15:28, or when this was built.
pub const AT: i64 = if BUILT > 1_795_850_128 { BUILT } else { 1_795_850_128 };

/// Lines of a receiver: each is the time, or of no use, and can be shown; a time is near the clock, as far as the line can say.
///
/// # Panics
/// If it is not so.
pub fn nmea(data: &[u8]) {
    let known = WallTime { wall: AT, built: BUILT };
    for (mode, position) in [(0x10f, Position::Hidden), (u32::from(data.len() as u8), Position::Shown)] {
        let mut receiver = Receiver::new(Mode::of(mode), position);
        for line in data.split(|b| *b == b'\n') {
            let text = match receiver.hear(line) {
                Heard::Nothing => continue,
                Heard::Unusable { text, .. } => text,
                Heard::Time { sentence, text } => {
                    assert!(sentence.time.seconds < 86_400 && sentence.time.nanos < 1_000_000_000);
                    let time = unfold(&sentence, known, Dates::Unfolded);
                    let reach = if sentence.date.is_none() { 43_200 } else { GPS_ERA_WEEKS / 2 * WEEK };
                    if let Ok(time) = time {
                        assert!((time.unix - AT).abs() <= reach, "{text}: {time:?}");
                        assert_eq!(time.weeks % GPS_ERA_WEEKS, 0, "{text}: {time:?}");
                    }
                    assert!(time.is_ok() || sentence.date.is_some(), "{text}");
                    text
                }
            };
            assert!(text.bytes().all(|b| matches!(b, b' '..=b'~')), "{text:?}");
            assert!(text.len() <= line.len(), "{text:?}");
        }
    }
}

/// Lines of gpsd: each is a record or has a reason, and what is shown of it can be printed.
///
/// # Panics
/// If it is not so.
pub fn gpsd(data: &[u8]) {
    for line in data.split(|b| *b == b'\n') {
        match gpsd::parse(line) {
            Ok(Record::Offset(stamps) | Record::Pulse(stamps)) => {
                assert!(stamps.real.since(stamps.clock).get().is_finite());
                printable(&stamps.device.unwrap_or_default());
            }
            Ok(Record::Fix(fix)) => {
                assert!(fix.error.is_none_or(|error| error.get() > 0.0));
                let device = fix.device.unwrap_or_default();
                assert_eq!(gpsd::watch(&device, Protocol::WITH_OFFSETS).matches('\n').count(), 1);
            }
            Ok(Record::Version { release, .. }) => printable(&release),
            Ok(Record::Error(message)) => printable(&message),
            Ok(Record::Other) => {}
            Err(why) => printable(&why.to_string()),
        }
    }
}

/// A segment of shared memory, of whatever layout its length says: it is a sample near the wall clock, or has a reason.
///
/// # Panics
/// If it is not so.
pub fn shm(data: &[u8]) {
    let now = UnixTime::of_seconds(AT);
    let limit = Limit::DEFAULT;
    for layout in
        [Layout::of_length(data.len()), Some(Layout::Wide), Some(Layout::Narrow), Some(Layout::Packed)]
    {
        let Some(layout) = layout else { continue };
        match shm::parse(layout, data, now, limit) {
            Ok(sample) => {
                assert!((0..=5).contains(&(AT - sample.receive.seconds())), "{sample:?}");
                let offset = sample.clock.since(sample.receive).get();
                assert!(offset.abs() < 14_402.0, "{sample:?}");
                printable(&sample.clock.to_string());
            }
            Err(why) => printable(&why.to_string()),
        }
        // Without a limit, any time has a text and an offset.
        if let Ok(sample) = shm::parse(layout, data, now, Limit::None) {
            assert!(sample.clock.since(sample.receive).get().is_finite());
            printable(&sample.clock.to_string());
        }
    }
}

/// A datagram of a SOCK clock: it is a sample of before, not of long ago, or has a reason.
///
/// # Panics
/// If it is not so.
pub fn sock(data: &[u8]) {
    let (now, oldest) = (UnixTime::of_seconds(AT), Seconds::new(128.0));
    match sock::parse(data, now, oldest) {
        Ok(sample) => {
            let age = now.since(sample.at);
            assert!(age >= Seconds::ZERO && age <= oldest, "{sample:?}");
            assert!(sample.offset.get().is_finite() && sample.leap != Leap::Unsynchronised, "{sample:?}");
            assert!(sample.stands_for == StandsFor::Time || sample.offset.get().abs() <= 0.5, "{sample:?}");
        }
        Err(why) => printable(&why.to_string()),
    }
}

fn printable(text: &str) {
    assert!(!text.chars().any(char::is_control), "{text:?}");
}
