use super::*;
use crate::daemon::files::scratch;
use crate::daemon::refclocks::harness::{Harness, device};
use crate::units::{Driver, Leap, UNIX_EPOCH};
use nix::pty::openpty;
use nix::unistd::{ttyname, write};
use std::io::Write as _;
use std::net::TcpListener;
use std::os::fd::OwnedFd;

fn sealed(body: &str) -> String {
    let sum = body.bytes().fold(0, |sum, b| sum ^ b);
    format!("${body}*{sum:02X}\r\n")
}

/// `hhmmss` of a moment so far from now.
fn clock_time(seconds: i64) -> String {
    let now = (clock::unix().0 + seconds).rem_euclid(86_400);
    format!("{:02}{:02}{:02}", now / 3600, now / 60 % 60, now % 60)
}

fn gga(time: &str) -> String {
    sealed(&format!("GNGGA,{time}.00,4851.5000,N,00217.6600,E,1,08,1.0,35.0,M,47.0,M,,"))
}

/// A receiver on a serial line, and the receiver's end.
fn plugged(configure: impl FnOnce(&mut ClockDevice)) -> (Nmea, Harness, OwnedFd) {
    let pair = openpty(None, None).unwrap();
    let mut line = device(Driver::Nmea, 3, &ttyname(&pair.slave).unwrap());
    configure(&mut line);
    let mut nmea = Nmea::open(&line).unwrap();
    let mut harness = Harness::new();
    harness.call(|turn| nmea.begin(turn));
    (nmea, harness, pair.master)
}

fn send(receiver: &OwnedFd, text: &str) {
    assert_eq!(write(receiver, text.as_bytes()), Ok(text.len()));
}

#[test]
fn a_sentence_is_a_reading_with_the_time_of_its_end() {
    let (mut nmea, mut harness, receiver) = plugged(|_| {});
    assert!(harness.log()[0].starts_with("GPS_NMEA(3) serial /dev/pts/"), "{:?}", harness.log());
    assert!(harness.log()[0].ends_with(" open at 4800 bps"), "{:?}", harness.log());
    assert!(harness.reports.is_empty() && !nmea.wants_ticks());
    let sentence = gga(&clock_time(-7));
    send(&receiver, &sentence[..20]);
    harness.ready(&mut nmea);
    assert!(harness.reports.is_empty(), "half a sentence");
    let before = clock::unix();
    send(&receiver, &sentence[20..]);
    let reports = harness.reports(&mut nmea, 1);
    let [DeviceReport::Reading(reading)] = reports.as_slice() else { panic!("{reports:?}") };
    assert_eq!(
        (reading.reads, reading.leap, &reading.text[..]),
        (Reads::Time, Leap::None, sentence.trim_end())
    );
    let at = reading.at.to_unix(before.0);
    assert!(at >= before && at <= clock::unix(), "{at:?}");
    // It was 7 s ago, less what has passed of this second.
    assert!(reading.offset.get() <= -6.0 && reading.offset.get() >= -9.0, "{reading:?}");
    let shown = reading.at.offset(reading.offset).to_unix(before.0);
    assert!(shown.1 < 1000 || shown.1 > 999_999_000, "a whole second: {shown:?}");
    assert!(at.0 + UNIX_EPOCH > 0);
}

#[test]
fn seconds_that_have_waited_are_no_readings() {
    let (mut nmea, mut harness, receiver) = plugged(|_| {});
    let waited: String = (-9..-4).map(|second| gga(&clock_time(second))).collect();
    send(&receiver, &waited);
    harness.ready(&mut nmea);
    assert!(harness.reports.is_empty(), "{:?}", harness.reports);
    // Neither is one that comes too soon after them.
    send(&receiver, &gga(&clock_time(-2)));
    harness.ready(&mut nmea);
    assert!(harness.reports.is_empty(), "{:?}", harness.reports);
    // Nor what came while nothing read it.
    send(&receiver, "$GPRMC\n");
    harness.call(|turn| nmea.begin(turn));
    harness.ready(&mut nmea);
    assert!(harness.reports.is_empty() && harness.notices.len() == 1, "{harness:?}");
}

#[test]
fn what_is_of_no_use_has_a_reason() {
    let (mut nmea, mut harness, receiver) = plugged(|line| line.fudge.flags[3] = true);
    send(&receiver, &sealed("GPRMC,071528.00,V,4851.5000,N,00217.6600,E,0.0,0.0,281126,,,A"));
    send(&receiver, "$GPRMC,071529.00,A,4851.5000,N,00217.6600,E,0.0,0.0,281126,,,A\r\n");
    send(&receiver, &sealed("GPZDA,071530.00,31,11,2026,00,00"));
    send(&receiver, &sealed("GPZDA,076130.00,30,11,2026,00,00"));
    send(&receiver, &"$GPZDA,".repeat(200));
    send(&receiver, "\r\n");
    let reports = harness.reports(&mut nmea, 4);
    let seen: Vec<(Trouble, &str)> = reports
        .iter()
        .map(|report| match report {
            DeviceReport::Trouble { trouble, text } => (*trouble, text.as_str()),
            other => panic!("{other:?}"),
        })
        .collect();
    let troubles = [Trouble::BadSignal, Trouble::BadFormat, Trouble::BadDate, Trouble::BadTime];
    assert_eq!(seen.iter().map(|(trouble, _)| *trouble).collect::<Vec<_>>(), troubles);
    assert!(seen.iter().all(|(_, text)| text.starts_with("$GP") && !text.contains("4851")), "{seen:?}");
    harness.ready(&mut nmea);
    assert!(harness.reports.is_empty(), "what is too long is dropped: {:?}", harness.reports);
}

#[test]
fn a_receiver_that_has_lost_an_era_is_set_right_and_logged_once() {
    let (mut nmea, mut harness, receiver) = plugged(|line| line.device.mode = 24);
    assert!(harness.log()[0].ends_with(" open at 9600 bps"), "{:?}", harness.log());
    let then = clock::unix().0 - 1024 * 604_800;
    let date = chrono::DateTime::from_timestamp(then, 0).unwrap();
    send(&receiver, &gga(&clock_time(0)));
    send(&receiver, &sealed(&date.format("GPZDA,%H%M%S,%d,%m,%Y,00,00").to_string()));
    let reports = harness.reports(&mut nmea, 1);
    let [DeviceReport::Reading(reading)] = reports.as_slice() else { panic!("{reports:?}") };
    assert!(reading.offset.abs().get() < 5.0, "{reading:?}");
    let log = harness.log();
    assert!(log.len() == 2 && log[1].contains("1024 weeks behind"), "{log:?}");
}

#[test]
fn without_pulses_the_sentences_have_to_do() {
    let (mut nmea, mut harness, receiver) = plugged(|line| {
        line.fudge.flags[0] = true;
        line.device.pulse_path = Some("/dev/null".into());
    });
    assert!(harness.log()[1].starts_with("GPS_NMEA(3): flag1 has no effect: "), "{:?}", harness.log());
    send(&receiver, &gga(&clock_time(0)));
    assert!(matches!(harness.reports(&mut nmea, 1)[..], [DeviceReport::Reading(_)]));
    let (_, harness, _receiver) = plugged(|line| line.fudge.flags[0] = true);
    assert!(harness.log()[1].starts_with("GPS_NMEA(3): flag1 has no effect: "), "{:?}", harness.log());
    assert_eq!(harness.log().len(), 2);
}

#[test]
fn a_receiver_that_is_unplugged_is_lost() {
    let (mut nmea, mut harness, receiver) = plugged(|_| {});
    drop(receiver);
    let reports = harness.reports(&mut nmea, 1);
    let [DeviceReport::Failed(why)] = reports.as_slice() else { panic!("{reports:?}") };
    assert!(why.starts_with("/dev/pts/"), "{why}");
}

#[test]
fn what_is_no_receiver_is_not_opened() {
    let dir = scratch("nmea");
    let path = dir.path().join("gps");
    let why = |path: &Path| Nmea::open(&device(Driver::Nmea, 0, path)).unwrap_err().to_string();
    assert_eq!(why(&path), format!("refclock_open {}: No such file or directory", path.display()));
    assert_eq!(why(Path::new("/dev/null")), "refclock_open /dev/null: not a serial line");
    for target in ["gps.example.org:4000", "localhost:http", "nowhere", "127.0.0.1", "/a:1"] {
        std::os::unix::fs::symlink(target, &path).unwrap();
        let wanted = if target.starts_with("gps") {
            format!("{} leads to \"gps.example.org\": a numeric address is needed", path.display())
        } else {
            format!("refclock_open {}: No such file or directory", path.display())
        };
        assert_eq!(why(&path), wanted);
        std::fs::remove_file(&path).unwrap();
    }
    let mut line = device(Driver::Nmea, 0, Path::new("/dev/null"));
    line.device.baud = Some(9601);
    let why = Nmea::open(&line).unwrap_err().to_string();
    assert_eq!(why, "refclock_open /dev/null: serial lines have no speed of 9601 bps");
}

#[test]
fn sentences_come_from_a_server_too() {
    let dir = scratch("nmead");
    let path = dir.path().join("gps");
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    std::os::unix::fs::symlink(server.local_addr().unwrap().to_string(), &path).unwrap();
    let mut nmea = Nmea::open(&device(Driver::Nmea, 0, &path)).unwrap();
    let mut harness = Harness::new();
    harness.call(|turn| nmea.begin(turn));
    let (mut receiver, _) = server.accept().unwrap();
    receiver.write_all(gga(&clock_time(-1)).as_bytes()).unwrap();
    assert!(matches!(harness.reports(&mut nmea, 1)[..], [DeviceReport::Reading(_)]));
    assert!(nmea.wants_ticks());
    (0..SILENCE).for_each(|_| harness.call(|turn| nmea.tick(turn)));
    assert!(harness.reports.is_empty());
    harness.call(|turn| nmea.tick(turn));
    assert_eq!(
        harness.reports.pop(),
        Some(DeviceReport::Failed(format!("{}: nothing came for 120 s", path.display())))
    );
    drop(receiver);
    let reports = harness.reports(&mut nmea, 1);
    assert_eq!(reports, [DeviceReport::Failed(format!("{}: hung up", path.display()))]);
    // Nothing listens there any more.
    let address = server.local_addr().unwrap();
    drop(server);
    let mut nmea = match Nmea::open(&device(Driver::Nmea, 0, &path)) {
        Err(why) => return assert_eq!(why.to_string(), format!("connect to {address}: Connection refused")),
        Ok(nmea) => nmea,
    };
    harness.call(|turn| nmea.begin(turn));
    let reports = harness.reports(&mut nmea, 1);
    assert_eq!(reports, [DeviceReport::Failed(format!("{}: Connection refused", path.display()))]);
}
