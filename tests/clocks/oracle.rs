//! What holds of all that reference clocks send: for the replay and the fuzz targets.

use rsntpd::units::BUILT;
use rsntpd::wire::refclock::gpsd::{self, Protocol, Record};
use rsntpd::wire::refclock::nmea::{
    Dates, Heard, Mode, Position, Receiver, WEEKS_OF_AN_ERA, WallTime, unfold,
};

/// 2026-11-28 07:15:28, or when this was built.
const AT: i64 = if BUILT > 1_795_850_128 { BUILT } else { 1_795_850_128 };
const WEEK: i64 = 604_800;

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
                    let reach = if sentence.date.is_none() { 43_200 } else { WEEKS_OF_AN_ERA / 2 * WEEK };
                    if let Ok(time) = time {
                        assert!((time.unix - AT).abs() <= reach, "{text}: {time:?}");
                        assert_eq!(time.weeks % WEEKS_OF_AN_ERA, 0, "{text}: {time:?}");
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

fn printable(text: &str) {
    assert!(!text.chars().any(char::is_control), "{text:?}");
}
