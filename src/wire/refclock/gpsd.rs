//! The JSON of gpsd: what a line says, and what is sent to it.
//!
//! Times are whole numbers of seconds and nanoseconds: a floating-point number would lose the nanoseconds of a Unix time.

use crate::units::{DAY, Seconds, UnixTime, day_of};
use serde_json::{Map, Value};
use std::fmt;

/// The longest line that is read, in bytes: lists of satellites have a few thousand.
pub const LONGEST: usize = 16 * 1024;

/// A protocol of gpsd.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Protocol {
    /// `proto_major`.
    pub major: i64,
    /// `proto_minor`.
    pub minor: i64,
}

impl Protocol {
    /// From this one on the serial time has records of its own (TOFF), and pulses are sent if they are asked for.
    pub const WITH_OFFSETS: Self = Self { major: 3, minor: 10 };
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The receiver's time and the computer's at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stamps {
    /// The receiver that gpsd has it from.
    pub device: Option<String>,
    /// The receiver's time.
    pub real: UnixTime,
    /// The computer's.
    pub clock: UnixTime,
    /// How precise it is, log2 seconds, if gpsd says so.
    pub precision: Option<i8>,
}

/// What a receiver says of its fix (TPV).
#[derive(Clone, PartialEq, Debug)]
pub struct Fix {
    /// The receiver.
    pub device: Option<String>,
    /// The kind of fix: from 2 on there is one.
    pub mode: i64,
    /// The time of the fix.
    pub time: Option<UnixTime>,
    /// How far that may be off (`ept`).
    pub error: Option<Seconds>,
}

impl Fix {
    /// Whether the receiver knows the time.
    #[must_use]
    pub const fn is_one(&self) -> bool {
        self.mode >= 2
    }
}

/// What a line says.
#[derive(Clone, PartialEq, Debug)]
pub enum Record {
    /// Which gpsd this is.
    Version {
        /// What it speaks.
        protocol: Protocol,
        /// Its release, in words.
        release: String,
    },
    /// A fix, or that there is none.
    Fix(Fix),
    /// The serial time.
    Offset(Stamps),
    /// A pulse.
    Pulse(Stamps),
    /// What gpsd does not like, in its words.
    Error(String),
    /// Something else.
    Other,
}

/// Why a line cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unreadable {
    /// It is no object of JSON, or has no class.
    NotJson,
    /// This field lacks, or is no number in its range.
    Field(&'static str),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson => write!(f, "no JSON object with a class"),
            Self::Field(name) => write!(f, "\"{name}\" is missing or no number in its range"),
        }
    }
}

/// Reads a line.
///
/// # Errors
/// What is wrong with it.
pub fn parse(line: &[u8]) -> Result<Record, Unreadable> {
    if line.len() > LONGEST {
        return Err(Unreadable::NotJson);
    }
    let Ok(Value::Object(object)) = serde_json::from_slice(line) else { return Err(Unreadable::NotJson) };
    let class = object.get("class").and_then(Value::as_str).ok_or(Unreadable::NotJson)?;
    match class {
        "VERSION" => {
            let number = |name| object.get(name).and_then(Value::as_i64).ok_or(Unreadable::Field(name));
            let protocol = Protocol { major: number("proto_major")?, minor: number("proto_minor")? };
            Ok(Record::Version { protocol, release: words(&object, "release").unwrap_or_default() })
        }
        "TPV" => Ok(Record::Fix(Fix {
            device: words(&object, "device"),
            mode: object.get("mode").and_then(Value::as_i64).ok_or(Unreadable::Field("mode"))?,
            time: object.get("time").and_then(Value::as_str).and_then(|text| date_and_time(text.as_bytes())),
            error: object.get("ept").and_then(Value::as_f64).filter(|ept| *ept > 0.0).map(Seconds::new),
        })),
        "TOFF" => stamps(&object).map(Record::Offset),
        "PPS" => stamps(&object).map(Record::Pulse),
        "ERROR" => Ok(Record::Error(words(&object, "message").unwrap_or_default())),
        _ => Ok(Record::Other),
    }
}

/// A text that may be shown and logged.
fn words(object: &Map<String, Value>, name: &str) -> Option<String> {
    let text = object.get(name)?.as_str()?;
    Some(text.chars().filter(|c| !c.is_control()).take(200).collect())
}

fn stamps(object: &Map<String, Value>) -> Result<Stamps, Unreadable> {
    let precision = object.get("precision").and_then(Value::as_i64);
    Ok(Stamps {
        device: words(object, "device"),
        real: time(object, ["real_sec", "real_nsec", "real_musec"])?,
        clock: time(object, ["clock_sec", "clock_nsec", "clock_musec"])?,
        precision: precision.and_then(|precision| i8::try_from(precision).ok()),
    })
}

/// Seconds, and nanoseconds or, before protocol 3.9, microseconds.
fn time(
    object: &Map<String, Value>,
    [seconds, nanos, micros]: [&'static str; 3],
) -> Result<UnixTime, Unreadable> {
    let whole = object.get(seconds).and_then(Value::as_i64).ok_or(Unreadable::Field(seconds))?;
    let fraction = match (object.get(nanos), object.get(micros)) {
        (None, Some(micros)) => micros.as_i64().and_then(|micros| micros.checked_mul(1000)),
        (fraction, _) => fraction.and_then(Value::as_i64),
    };
    let fraction = fraction.and_then(|fraction| u32::try_from(fraction).ok());
    fraction.and_then(|fraction| UnixTime::new(whole, fraction)).ok_or(Unreadable::Field(nanos))
}

/// `YYYY-MM-DDThh:mm:ss.sssZ`; none in a leap second, which has no Unix time.
fn date_and_time(text: &[u8]) -> Option<UnixTime> {
    let text = text.strip_suffix(b"Z")?;
    let (whole, fraction) = text.split_at_checked(19)?;
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = &whole[from..to];
        let all = digits.iter().all(u8::is_ascii_digit);
        all.then(|| digits.iter().fold(0, |number, digit| 10 * number + i64::from(digit - b'0')))
    };
    let separated = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if !separated.iter().all(|(at, separator)| whole[*at] == *separator) {
        return None;
    }
    let (hours, minutes, seconds) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let digits = match fraction.split_first() {
        None => &[],
        Some((b'.', digits)) if digits.iter().all(u8::is_ascii_digit) => digits,
        Some(_) => return None,
    };
    let padded = digits.iter().copied().chain(std::iter::repeat(b'0')).take(9);
    let nanos = padded.fold(0, |nanos, digit| 10 * nanos + u32::from(digit - b'0'));
    let day = day_of(number(0, 4)?, number(5, 7)?, number(8, 10)?)?;
    UnixTime::new(day * DAY + hours * 3600 + minutes * 60 + seconds, nanos)
}

/// What is sent to gpsd so that it reports a receiver; the name is the one that gpsd was given.
#[must_use]
pub fn watch(device: &str, protocol: Protocol) -> String {
    let mut wanted = Map::new();
    wanted.insert("device".to_owned(), device.into());
    wanted.insert("enable".to_owned(), true.into());
    wanted.insert("json".to_owned(), true.into());
    if protocol >= Protocol::WITH_OFFSETS {
        wanted.insert("pps".to_owned(), true.into());
    }
    format!("?WATCH={};\r\n", Value::Object(wanted))
}

/// What is sent to see whether gpsd is alive: it answers with [`Record::Version`].
pub const ALIVE: &str = "?VERSION;\r\n";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NANOS: i64 = 1_000_000_000;

    fn at(seconds: i64, nanos: u32) -> UnixTime {
        UnixTime::new(seconds, nanos).unwrap()
    }

    #[test]
    fn records_are_read() {
        let version =
            br#"{"class":"VERSION","release":"3.22","rev":"3.22","proto_major":3,"proto_minor":14}"#;
        let Ok(Record::Version { protocol, release }) = parse(version) else { panic!() };
        assert_eq!((protocol.to_string().as_str(), release.as_str()), ("3.14", "3.22"));
        assert!(
            protocol >= Protocol::WITH_OFFSETS && Protocol { major: 3, minor: 9 } < Protocol::WITH_OFFSETS
        );
        assert!(Protocol { major: 4, minor: 0 } > Protocol::WITH_OFFSETS);

        let toff = br#"{"class":"TOFF","device":"/dev/gps0","real_sec":1795850703, "real_nsec":0,"clock_sec":1795850703,"clock_nsec":150503411}"#;
        let Ok(Record::Offset(stamps)) = parse(toff) else { panic!() };
        assert_eq!(stamps.device.as_deref(), Some("/dev/gps0"));
        assert_eq!((stamps.real, stamps.clock), (at(1_795_850_703, 0), at(1_795_850_703, 150_503_411)));
        assert!((stamps.real.since(stamps.clock).get() + 0.150_503_411).abs() < 1e-12);

        let pps = br#"{"class":"PPS","device":"/dev/gps0","real_sec":1795850703,"real_nsec":0,"clock_sec":1795850702,"clock_nsec":999999999,"precision":-20}"#;
        let Ok(Record::Pulse(stamps)) = parse(pps) else { panic!() };
        assert_eq!(stamps.precision, Some(-20));
        assert!((stamps.real.since(stamps.clock).get() - 1e-9).abs() < 1e-15);
        let old = br#"{"class":"PPS","device":"/dev/gps0","real_sec":1795850703,"real_musec":5,"clock_sec":1795850703,"clock_musec":999999}"#;
        let Ok(Record::Pulse(stamps)) = parse(old) else { panic!() };
        assert_eq!((stamps.real.nanos(), stamps.clock.nanos(), stamps.precision), (5000, 999_999_000, None));

        let tpv = br#"{"class":"TPV","device":"/dev/gps0","mode":3,"time":"2026-11-28T07:25:03.250Z","ept":0.005,"lat":48.8}"#;
        let Ok(Record::Fix(fix)) = parse(tpv) else { panic!() };
        assert!(fix.is_one());
        assert_eq!(fix.time, Some(at(1_795_850_703, 250_000_000)));
        assert_eq!(fix.error.map(Seconds::get), Some(0.005));
        let Ok(Record::Fix(fix)) = parse(br#"{"class":"TPV","device":"/dev/gps0","mode":1}"#) else {
            panic!()
        };
        assert!(!fix.is_one() && fix.time.is_none());

        let error = br#"{"class":"ERROR","message":"Unrecognized \u0007request"}"#;
        assert_eq!(parse(error), Ok(Record::Error("Unrecognized request".to_owned())));
        for other in ["SKY", "DEVICES", "WATCH", "", "tpv"] {
            assert_eq!(parse(format!(r#"{{"class":"{other}","mode":7}}"#).as_bytes()), Ok(Record::Other));
        }
    }

    #[test]
    fn what_cannot_be_read_has_a_reason() {
        for line in
            ["", "{", "[]", "7", "null", r#"{"klass":"TPV"}"#, r#"{"class":7}"#, "{\"class\":\"TPV\"}\0"]
        {
            assert_eq!(parse(line.as_bytes()), Err(Unreadable::NotJson), "{line}");
        }
        assert_eq!(parse(&[b'['; LONGEST]), Err(Unreadable::NotJson));
        assert_eq!(parse(&[b' '; LONGEST + 1]), Err(Unreadable::NotJson));
        let odd = |field: &str, value: &str| {
            let mut fields =
                vec![("real_sec", "1"), ("real_nsec", "0"), ("clock_sec", "1"), ("clock_nsec", "999999999")];
            fields.retain(|(name, _)| *name != field);
            if !value.is_empty() {
                fields.push((field, value));
            }
            let fields: Vec<String> =
                fields.iter().map(|(name, value)| format!(r#""{name}":{value}"#)).collect();
            parse(format!(r#"{{"class":"TOFF",{}}}"#, fields.join(",")).as_bytes())
        };
        assert!(odd("other", "{}").is_ok());
        for (field, named) in [
            ("real_sec", "real_sec"),
            ("real_nsec", "real_nsec"),
            ("clock_sec", "clock_sec"),
            ("clock_nsec", "clock_nsec"),
        ] {
            for value in ["", "-", "\"1\"", "1.5", "null", "1e3", "99999999999999999999"] {
                let wanted = if value == "-" { Unreadable::NotJson } else { Unreadable::Field(named) };
                assert_eq!(odd(field, value), Err(wanted), "{field} {value}");
            }
        }
        assert_eq!(odd("clock_nsec", "-1"), Err(Unreadable::Field("clock_nsec")));
        assert_eq!(odd("clock_nsec", "1000000000"), Err(Unreadable::Field("clock_nsec")));
        assert!(parse(br#"{"class":"TPV"}"#).is_err());
        assert!(parse(br#"{"class":"VERSION","proto_major":3}"#).is_err());
        for time in [
            "2026-11-28T07:25:03",
            "2026-11-31T07:25:03Z",
            "2026-11-28T07:25:60Z",
            "2026-11-28 07:25:03Z",
            "1795850703",
            "2026-11-28T07:25:03.+Z",
            "2026-11-2807:25:03..Z",
            "é026-11-28T07:25:03.Z",
        ] {
            let Ok(Record::Fix(fix)) =
                parse(format!(r#"{{"class":"TPV","mode":3,"time":"{time}"}}"#).as_bytes())
            else {
                panic!("{time}")
            };
            assert_eq!(fix.time, None, "{time}");
        }
    }

    #[test]
    fn a_receiver_is_asked_for_by_its_name() {
        let before = Protocol { major: 3, minor: 9 };
        assert_eq!(
            watch("/dev/gps0", before),
            "?WATCH={\"device\":\"/dev/gps0\",\"enable\":true,\"json\":true};\r\n"
        );
        let with = watch("/dev/\"gps\r\n", Protocol::WITH_OFFSETS);
        assert!(with.contains(r#""pps":true"#) && with.contains(r#"\"gps\r\n"#), "{with}");
        assert_eq!(with.matches('\n').count(), 1);
    }

    proptest! {
        #[test]
        fn no_line_does_harm(line in ".{0,200}", fields in prop::collection::vec(("[a-z_]{1,12}", any::<i64>()), 0..6)) {
            let _read = parse(line.as_bytes());
            let fields: Vec<String> = fields.iter().map(|(name, value)| format!(r#""{name}":{value}"#)).collect();
            for class in ["TOFF", "PPS", "TPV", "VERSION"] {
                let _read = parse(format!(r#"{{"class":"{class}",{}}}"#, fields.join(",")).as_bytes());
            }
        }

        #[test]
        fn stamps_keep_every_nanosecond(seconds in any::<i32>(), nanos in 0u32..1_000_000_000, apart in -2_000_000_000i64..2_000_000_000) {
            let clock = i64::from(seconds) * NANOS + i64::from(nanos);
            let real = clock + apart;
            let line = format!(
                r#"{{"class":"PPS","real_sec":{},"real_nsec":{},"clock_sec":{seconds},"clock_nsec":{nanos}}}"#,
                real.div_euclid(NANOS), real.rem_euclid(NANOS)
            );
            let Ok(Record::Pulse(stamps)) = parse(line.as_bytes()) else { panic!("{line}") };
            prop_assert!((stamps.real.since(stamps.clock).get() - apart as f64 * 1e-9).abs() < 1e-12);
        }
    }
}
