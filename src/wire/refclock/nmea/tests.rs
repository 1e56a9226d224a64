use super::*;
use crate::units::{GPS_ERA_WEEKS, WEEK};
use proptest::prelude::*;

/// 2026-11-28 07:15:28.
const AT: i64 = 1_795_850_128;
/// 2026-11-28.
const BUILT: i64 = 1_795_824_000;
const NOW: WallTime = WallTime { wall: AT, built: BUILT };

fn receiver(mode: u32) -> Receiver {
    Receiver::new(Mode::of(mode), Position::Shown)
}

fn sealed(body: &str) -> String {
    let sum = body.bytes().fold(0, |sum, b| sum ^ b);
    format!("${body}*{sum:02X}")
}

/// The Unix time and the nanoseconds of a line, or why it has none; `None`: it is not for us.
fn heard(receiver: &mut Receiver, line: &str) -> Option<Result<(i64, u32), Unusable>> {
    match receiver.hear(line.as_bytes()) {
        Heard::Nothing => None,
        Heard::Unusable { why, .. } => Some(Err(why)),
        Heard::Time { sentence, .. } => {
            Some(unfold(&sentence, NOW, Dates::Unfolded).map(|time| (time.unix, time.nanos)))
        }
    }
}

/// Of a receiver's first line.
fn first(mode: u32, line: &str) -> Option<Result<(i64, u32), Unusable>> {
    heard(&mut receiver(mode), line)
}

#[test]
fn each_kind_of_sentence_is_read() {
    for (mode, body, nanos) in [
        (1, "GPRMC,071528.00,A,4851.5000,N,00217.6600,E,0.0,0.0,281126,,,A", 0),
        (2, "GNGGA,071528.25,4851.5000,N,00217.6600,E,1,08,1.0,35.0,M,47.0,M,,", 250_000_000),
        (4, "GLGLL,4851.5000,N,00217.6600,E,071528,A,A", 0),
        (8, "GPZDA,071528.000000001,28,11,2026,00,00", 1),
        (8, "GPZDA,071528.9999999999,28,11,26,00,00", 999_999_999),
        (8, "GPZDG,071529.00,28,11,2026,12.3,1", 0),
        (0x100, "PGRMF,1,2,281126,071528,17,4851.5000,N,00217.6600,E,A,2,0,0,1,1", 0),
    ] {
        assert_eq!(first(mode, &sealed(body)), Some(Ok((AT, nanos))), "{body}");
        assert_eq!(first(0x10f ^ mode, &sealed(body)), None, "not asked for: {body}");
        let with_all = (mode != 0x100).then_some(Ok((AT, nanos)));
        assert_eq!(first(0, &sealed(body)), with_all, "{body}");
    }
    // The parity bit and controls come from lines of 7 bits, and from cables.
    let noisy: Vec<u8> = sealed("GPZDA,071528.00,28,11,2026,00,00").bytes().map(|b| b | 0x80).collect();
    assert!(matches!(receiver(0).hear(&noisy), Heard::Time { .. }));
    let mut noisy = sealed("GPZDA,071528.00,28,11,2026,00,00").into_bytes();
    noisy.insert(9, b'\x11');
    noisy.push(b'\r');
    assert!(matches!(receiver(0).hear(&noisy), Heard::Time { .. }));
}

#[test]
fn what_is_not_the_time_is_passed_over() {
    for line in
        ["", "\r", "$GPGSV,3,1,12*77", "$GPRMB,A*00", "!AIVDM,1,1,,A,14eG*7D", "$", "$GP", "$PUBX,00*33"]
    {
        assert_eq!(first(0, line), None, "{line}");
    }
    // A leap second has no Unix time.
    assert_eq!(first(0, &sealed("GPZDA,235960.00,31,12,2026,00,00")), None);
    assert_eq!(first(0, &sealed("GPZDA,075960.00,31,12,2026,00,00")), Some(Err(Unusable::Time)));
}

#[test]
fn checksums_are_required_where_they_were() {
    let zda = "$GPZDA,071528.00,28,11,2026,00,00";
    let rmc = "$GPRMC,071528.00,A,4851.5000,N,00217.6600,E,0.0,0.0,281126,,,A";
    assert_eq!(first(0, zda), Some(Ok((AT, 0))));
    assert_eq!(first(0, rmc), Some(Err(Unusable::Format)));
    for wrong in ["*", "*6", "*00", "*6x", "*+6"] {
        assert_eq!(first(0, &format!("{zda}{wrong}")), Some(Err(Unusable::Format)), "{wrong}");
    }
    assert_eq!(first(0, "$GPZDA,071528.00,28,11,2026,00,00*63"), Some(Ok((AT, 0))));
    let mut with = receiver(0);
    assert_eq!(heard(&mut with, &sealed(&zda[1..])), Some(Ok((AT, 0))));
    assert_eq!(heard(&mut with, &zda.replace("28.00", "29.00")), Some(Err(Unusable::Format)));
    // Of another kind there was none yet.
    let gll = "$GPGLL,4851.5000,N,00217.6600,E,071530,A,A";
    assert_eq!(heard(&mut with, gll), Some(Ok((AT + 2, 0))));
}

#[test]
fn one_sentence_counts_in_a_second() {
    let mut several = receiver(0);
    let gga = "GPGGA,071528.00,4851.5000,N,00217.6600,E,1,08,1.0,35.0,M,47.0,M,,";
    let zda = "GPZDA,071528.00,28,11,2026,00,00";
    assert_eq!(heard(&mut several, &sealed(gga).replace("08", "09")), Some(Err(Unusable::Format)));
    assert_eq!(heard(&mut several, &sealed(gga)), Some(Ok((AT, 0))), "a damaged one does not count");
    assert_eq!(heard(&mut several, &sealed(zda)), None);
    assert_eq!(heard(&mut several, &sealed(&zda.replace("28.00", "28.50"))), None, "five times a second");
    assert_eq!(heard(&mut several, &sealed(&zda.replace("28.00", "29.00"))), Some(Ok((AT + 1, 0))));
    assert_eq!(heard(&mut several, &sealed(&gga.replace("28.00", "29.00"))), None);
    // Where another one has no fix, neither has this one.
    let rmc = "GPRMC,071530.00,V,,,,,,,281126,,,N";
    assert_eq!(heard(&mut several, &sealed(rmc)), Some(Err(Unusable::Signal)));
    assert_eq!(heard(&mut several, &sealed(&zda.replace("28.00", "30.00"))), None);
}

#[test]
fn after_zdg_no_other_kind_is_taken() {
    let mut accord = receiver(8);
    assert_eq!(heard(&mut accord, &sealed("GPZDA,071528,28,11,2026,00,00")), Some(Ok((AT, 0))));
    assert_eq!(heard(&mut accord, &sealed("GPZDG,071530,28,11,2026,12.3,0")), Some(Err(Unusable::Signal)));
    assert_eq!(heard(&mut accord, &sealed("GPZDG,071531,28,11,2026,12.3,1")), Some(Ok((AT + 2, 0))));
    assert_eq!(heard(&mut accord, &sealed("GPZDA,071532,28,11,2026,00,00")), None);
    // Before midnight it has the date of the next day.
    assert_eq!(
        heard(&mut accord, &sealed("GPZDG,000000,29,11,2026,12.3,1")),
        Some(Ok((1_795_910_399, 0))),
        "2026-11-28 23:59:59"
    );
}

#[test]
fn a_receiver_without_a_fix_says_so() {
    for body in [
        "GPRMC,071528.00,V,4851.5000,N,00217.6600,E,0.0,0.0,281126,,,A",
        "GPRMC,,V,,,,,,,,,,N",
        "GPRMC,,A,,,,,,,281126,,,A",
        "GPRMC,071528.00,A,4851.5000,N,00217.6600,E,0.0,0.0,,,,A",
        "GPGGA,,,,,,0,00,,,M,,M,,",
        "GPGGA,071528.00,,,,,,00,,,M,,M,,",
        "GPGLL,,,,,,V,N",
        "GPZDA,,,,,,",
        "GPZDA,071528.00,,,,00,00",
    ] {
        assert_eq!(first(0, &sealed(body)), Some(Err(Unusable::Signal)), "{body}");
    }
}

#[test]
fn nonsense_has_a_reason() {
    for (body, why) in [
        ("GPZDA,245528.00,28,11,2026,00,00", Unusable::Time),
        ("GPZDA,076028.00,28,11,2026,00,00", Unusable::Time),
        ("GPZDA,071561.00,28,11,2026,00,00", Unusable::Time),
        ("GPZDA,71528.00,28,11,2026,00,00", Unusable::Time),
        ("GPZDA,071528.x,28,11,2026,00,00", Unusable::Time),
        ("GPZDA,-71528.00,28,11,2026,00,00", Unusable::Time),
        ("GPZDA,071528.00,31,11,2026,00,00", Unusable::Date),
        ("GPZDA,071528.00,,11,2026,00,00", Unusable::Date),
        ("GPZDA,071528.00,28,11,20261128,00,00", Unusable::Date),
        ("GPZDA,071528.00,28,11,1850,00,00", Unusable::Date),
        ("GPZDA,071528.00,28,11,2040,00,00", Unusable::Date),
        ("GPRMC,071528.00,A,4851.5000,N,00217.6600,E,0.0,0.0,290225,,,A", Unusable::Date),
        ("GPRMC,071528.00,A,4851.5000,N,00217.6600,E,0.0,0.0,28112,,,A", Unusable::Date),
        ("GPRMC,071528.00,A", Unusable::Format),
        ("GPRMC", Unusable::Format),
        ("GPZDA,071528.00,28,11", Unusable::Format),
    ] {
        assert_eq!(first(0, &sealed(body)), Some(Err(why)), "{body}");
    }
    assert_eq!(first(0, &format!("$GPZDA,{}", "0".repeat(300))), None, "too long");
}

#[test]
fn the_wrong_speed_is_noticed() {
    let mut receiver = receiver(0);
    let rubbish = b"\xf8\x9f\x80\x00\x40\xe0";
    for _ in 1..STRANGE {
        assert_eq!(receiver.hear(rubbish), Heard::Nothing, "the rest of a sentence, when the line is opened");
    }
    let strange = Heard::Unusable { why: Unusable::Format, text: String::new() };
    assert_eq!(receiver.hear(rubbish), strange);
    assert_eq!(receiver.hear(&[b'x'; LONGEST + 1]), strange);
    assert_eq!(receiver.hear(b"$GPGSV,3,1,12*77"), Heard::Nothing);
    assert_eq!(receiver.hear(rubbish), Heard::Nothing);
}

#[test]
fn the_day_is_the_one_next_to_the_wall_clock() {
    let of = |time: &str, wall: i64| {
        let line = sealed(&format!("GPGGA,{time},4851.5,N,00217.6,E,1,08,1.0,35.0,M,47.0,M,,"));
        let Heard::Time { sentence, .. } = receiver(0).hear(line.as_bytes()) else { panic!("{line}") };
        unfold(&sentence, WallTime { wall, built: BUILT }, Dates::Unfolded).unwrap().unix - wall
    };
    let midnight = 1_795_910_400;
    assert_eq!(of("235958", midnight), -2);
    assert_eq!(of("000003", midnight - 4), 7);
    assert_eq!(of("115959", midnight), 43_199);
    assert_eq!(of("120001", midnight), -43_199);
    assert_eq!(of("000000", -5), 5, "before 1970");
    for wall in [i64::MIN / 4, i64::MAX / 4] {
        assert!(of("071528", wall).abs() <= DAY / 2);
    }
}

const DAY: i64 = 86_400;

#[test]
fn eras_of_gps_weeks_are_unfolded() {
    let of = |body: &str, wall: i64, dates: Dates| {
        let Heard::Time { sentence, .. } = receiver(0).hear(sealed(body).as_bytes()) else {
            panic!("{body}")
        };
        unfold(&sentence, WallTime { wall, built: BUILT }, dates).map(|time| (time.unix, time.weeks))
    };
    // 1024 and 2048 weeks behind, as a wall clock that stands at 1970 or is right sees it.
    for wall in [0, AT, AT + 3600] {
        for (body, weeks) in [
            ("GPRMC,071528.00,A,4851.5,N,00217.6,E,0.0,0.0,281126,,,A", 0),
            ("GPRMC,071528.00,A,4851.5,N,00217.6,E,0.0,0.0,140407,,,A", 1024),
            ("GPRMC,071528.00,A,4851.5,N,00217.6,E,0.0,0.0,290887,,,A", 2048),
            ("GPZDA,071528.00,14,04,2007,00,00", 1024),
            ("GPZDA,071528.00,29,08,1987,00,00", 2048),
        ] {
            assert_eq!(of(body, wall, Dates::Unfolded), Ok((AT, weeks)), "{body}");
            let trusted = of(body, wall, Dates::Trusted);
            assert_eq!(trusted, Ok((AT - weeks * 604_800, 0)), "{body}");
        }
    }
    // As long as the daemon runs, in 2040 as well.
    let later = AT + 14 * 365 * 86_400;
    let body = "GPRMC,071528.00,A,4851.5,N,00217.6,E,0.0,0.0,250440,,,A";
    assert_eq!(of(body, later, Dates::Unfolded).map(|(_, weeks)| weeks), Ok(0));
    let body = "GPRMC,071528.00,A,4851.5,N,00217.6,E,0.0,0.0,090920,,,A";
    assert_eq!(of(body, later, Dates::Unfolded).map(|(_, weeks)| weeks), Ok(1024));
}

#[test]
fn the_position_can_be_hidden() {
    let shown = |line: &str| {
        let mut receiver = Receiver::new(Mode::of(0x10f), Position::Hidden);
        match receiver.hear(line.as_bytes()) {
            Heard::Nothing => String::new(),
            Heard::Time { text, .. } | Heard::Unusable { text, .. } => text,
        }
    };
    // As ntpd shows it.
    assert_eq!(
        shown(&sealed("GNGGA,071528.00,4851.5000,N,00217.6600,E,1,08,1.0,35.0,M,47.0,M,,")),
        "$GNGGA,071528.00,____.____,N,_____.____,E,1,08,1.0,35.0,M,47.0,M,,*__"
    );
    assert_eq!(
        shown(&sealed("GPRMC,071528.00,V,4851.5000,N,00217.6600,E,0.0,0.0,281126,,,A")),
        "$GPRMC,071528.00,V,____.____,N,_____.____,E,0.0,0.0,281126,,,A*__"
    );
    assert_eq!(
        shown(&sealed("GPGLL,4851.5000,N,00217.6600,E,071528,A,A")),
        "$GPGLL,____.____,N,_____.____,E,071528,A,A*__"
    );
    let zda = sealed("GPZDA,071528.00,28,11,2026,00,00");
    assert_eq!(shown(&zda), zda);
    // A comma may be what was damaged.
    let damaged = shown("$GPGGA071528.00,4851.5000,N,00217.6600,E,1,08*00");
    assert_eq!(damaged, "", "no kind that is known");
    let damaged = shown("$GPGGA,071528.00,4851.5000N00217.6600E,1,08*00");
    assert!(!damaged.contains("4851") && !damaged.contains("217"), "{damaged}");
}

#[test]
fn mode_names_sentences_and_the_speed() {
    for (mode, speed) in [
        (0, 4800),
        (17, 9600),
        (24, 9600),
        (0x20, 19_200),
        (0x30, 38_400),
        (0x40, 57_600),
        (0x50, 115_200),
        (0x60, 4800),
        (0x7f, 4800),
        (u32::MAX, 4800),
    ] {
        assert_eq!(Mode::of(mode).speed, speed, "{mode}");
    }
    assert!(Kind::ALL.into_iter().all(|kind| Mode::of(0x10f).wants(kind)));
    assert!(!Mode::of(0).wants(Kind::Pgrmf) && Mode::of(0).wants(Kind::Zdg));
    assert!(Mode::of(24).wants(Kind::Zda) && Mode::of(24).wants(Kind::Zdg) && !Mode::of(24).wants(Kind::Rmc));
    assert_eq!(Mode::of(0x200_0000).dates, Dates::Trusted);
}

proptest! {
    #[test]
    fn no_line_does_harm(lines in proptest::collection::vec(".{0,90}", 0..8), mode: u32, wall in any::<i32>()) {
        let mut receiver = Receiver::new(Mode::of(mode), Position::Hidden);
        for line in lines {
            if let Heard::Time { sentence, .. } = receiver.hear(line.as_bytes()) {
                let known = WallTime { wall: i64::from(wall), built: BUILT };
                let _time = unfold(&sentence, known, Dates::Unfolded);
            }
        }
    }

    #[test]
    fn what_a_receiver_sends_is_understood(unix in 315_964_800i64..4_000_000_000, talker in "[A-Z]{2}", behind in 0i64..3) {
        // As a receiver makes it that has lost some eras.
        let sent = unix - behind * GPS_ERA_WEEKS * WEEK;
        prop_assume!(sent >= 315_964_800);
        let (day, second) = (sent.div_euclid(DAY), sent.rem_euclid(DAY));
        let date = (1980..2100)
            .flat_map(|year| (1..=12).map(move |month| (year, month)))
            .flat_map(|(year, month)| (1..=31).map(move |day| Date { year, month, day }))
            .find(|date| date.day_number() == Some(day));
        let Date { year, month, day } = date.unwrap();
        let clock = format!("{:02}{:02}{:02}", second / 3600, second / 60 % 60, second % 60);
        let zda = format!("{talker}ZDA,{clock}.00,{day:02},{month:02},{year:04},00,00");
        let Heard::Time { sentence, .. } = receiver(0).hear(sealed(&zda).as_bytes()) else { panic!("{zda}") };
        let known = WallTime { wall: unix + 77, built: 0 };
        let time = unfold(&sentence, known, Dates::Unfolded).unwrap();
        prop_assert_eq!((time.unix, time.weeks), (unix, behind * GPS_ERA_WEEKS));
        // Two digits of the year do as well, until there are too many of them.
        if (1980..2080).contains(&year) {
            let rmc = format!("{talker}RMC,{clock},A,4851.5,N,00217.6,E,0,0,{day:02}{month:02}{:02},,,A", year % 100);
            let Heard::Time { sentence, .. } = receiver(0).hear(sealed(&rmc).as_bytes()) else { panic!("{rmc}") };
            prop_assert_eq!(unfold(&sentence, known, Dates::Unfolded).unwrap().unix, unix);
        }
    }
}

#[test]
fn every_sentence_of_the_captures_is_read() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/refclocks");
    let Ok(files) = std::fs::read_dir(&folder) else {
        skip::because("no ../shared/data/refclocks");
        return;
    };
    let (mut read, mut without_fix, mut hidden) = (0, 0, 0);
    for file in files {
        let text = String::from_utf8_lossy(&std::fs::read(file.unwrap().path()).unwrap()).into_owned();
        for line in text.split(['"', ' ', '\n']).filter(|word| word.starts_with("$G")) {
            if line.contains("__") {
                hidden += 1;
                assert_eq!(first(0, line), Some(Err(Unusable::Format)), "{line}");
                continue;
            }
            match first(0, line) {
                Some(Ok((unix, 0))) => {
                    read += 1;
                    assert_eq!(unix / DAY, AT / DAY, "{line}");
                }
                Some(Err(Unusable::Signal)) => without_fix += 1,
                other => panic!("{line}: {other:?}"),
            }
        }
    }
    assert!(read > 30 && without_fix > 5 && hidden > 10, "{read} {without_fix} {hidden}");
}
