use super::*;
use crate::daemon::refclocks::harness::{Harness, device};
use crate::units::Driver;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

/// A character device that is there.
const DEVICE: &str = "/dev/null";
const NEW: &str = r#"{"class":"VERSION","release":"3.22","proto_major":3,"proto_minor":14}"#;
const OLD: &str = r#"{"class":"VERSION","release":"3.4","proto_major":3,"proto_minor":6}"#;
const FIX: &str =
    r#"{"class":"TPV","device":"/dev/null","mode":3,"time":"2026-11-28T07:25:03.000Z","ept":0.005}"#;

/// A record whose receiver is ahead by so much.
fn stamps(class: &str, device: &str, ahead_nanos: i64, age: i64) -> String {
    let (seconds, nanos) = clock::unix();
    let clock = (seconds - age) * 1_000_000_000 + i64::from(nanos);
    let real = clock + ahead_nanos;
    let (real, clock) =
        ([real / 1_000_000_000, real % 1_000_000_000], [clock / 1_000_000_000, clock % 1_000_000_000]);
    format!(
        r#"{{"class":"{class}","device":"{device}","real_sec":{},"real_nsec":{},"clock_sec":{},"clock_nsec":{},"precision":-20}}"#,
        real[0], real[1], clock[0], clock[1]
    )
}

/// A daemon and its gpsd.
struct World {
    gpsd: Gpsd,
    harness: Harness,
    server: TcpListener,
}

impl World {
    fn new(unit: u8, configure: impl FnOnce(&mut ClockDevice)) -> Self {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut line = device(Driver::GpsdJson, unit, Path::new(DEVICE));
        configure(&mut line);
        let gpsd = Gpsd::of(&line, vec![server.local_addr().unwrap()]).unwrap();
        let mut this = Self { gpsd, harness: Harness::new(), server };
        this.harness.call(|turn| this.gpsd.begin(turn));
        this
    }

    /// The connection, after the greeting.
    fn greet(&mut self, version: &str) -> Connection {
        let (connection, _) = self.server.accept().unwrap();
        connection.set_nonblocking(true).unwrap();
        let mut connection = Connection(BufReader::new(connection));
        connection.send(version);
        let mut request = String::new();
        self.harness.until(&mut self.gpsd, || {
            let _nothing_yet = connection.0.read_line(&mut request);
            request.ends_with('\n')
        });
        let pps = if version == NEW { ",\"pps\":true" } else { "" };
        assert_eq!(
            request,
            format!("?WATCH={{\"device\":\"{DEVICE}\",\"enable\":true,\"json\":true{pps}}};\r\n")
        );
        connection
    }

    fn reports(&mut self, wanted: usize) -> Vec<DeviceReport> {
        self.harness.reports(&mut self.gpsd, wanted)
    }

    fn tick(&mut self, seconds: u32) {
        (0..seconds).for_each(|_| self.harness.call(|turn| self.gpsd.tick(turn)));
    }
}

struct Connection(BufReader<TcpStream>);

impl Connection {
    fn send(&mut self, line: &str) {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
    }
}

fn readings(reports: &[DeviceReport]) -> Vec<(Reads, i64, Option<i8>)> {
    let readings = reports.iter().map(|report| match report {
        DeviceReport::Reading(reading) => {
            (reading.reads, (reading.offset.get() * 1e9).round() as i64, reading.precision)
        }
        other => panic!("{other:?}"),
    });
    readings.collect()
}

fn troubles(reports: &[DeviceReport]) -> Vec<(Trouble, &str)> {
    let troubles = reports.iter().map(|report| match report {
        DeviceReport::Trouble { trouble, text } => (*trouble, text.as_str()),
        other => panic!("{other:?}"),
    });
    troubles.collect()
}

#[test]
fn times_and_pulses_are_readings() {
    let mut world = World::new(0, |line| line.device.mode = 2);
    let mut gpsd = world.greet(NEW);
    assert_eq!(world.harness.log(), ["GPSD_JSON(0): GPSD release=3.22 protocol=3.14"]);
    gpsd.send(&stamps("TOFF", DEVICE, -5, 0));
    gpsd.send(FIX);
    gpsd.send(&stamps("TOFF", "/dev/gps7", -5, 0));
    gpsd.send(&stamps("TOFF", DEVICE, -150_000_003, 0).replace(",\"precision\":-20", ""));
    gpsd.send(&stamps("PPS", DEVICE, 2_000_012_345, 0));
    let reports = world.reports(2);
    let wanted = [(Reads::Time, -150_000_003, Some(-8)), (Reads::Pulse, 12_345, Some(-20))];
    assert_eq!(readings(&reports), wanted, "none before the fix, none of another receiver");
}

#[test]
fn modes_and_flags_choose() {
    let kinds = |unit: u8, configure: fn(&mut ClockDevice)| {
        let mut world = World::new(unit, configure);
        let mut gpsd = world.greet(NEW);
        gpsd.send(FIX);
        gpsd.send(&stamps("TOFF", DEVICE, 0, 0));
        gpsd.send(&stamps("PPS", DEVICE, 0, 0));
        gpsd.send("{}");
        let reports = std::iter::repeat_with(|| world.reports(1)).flatten();
        let reports: Vec<DeviceReport> =
            reports.take_while(|report| matches!(report, DeviceReport::Reading(_))).collect();
        readings(&reports).into_iter().map(|(reads, ..)| reads).collect::<Vec<_>>()
    };
    assert_eq!(kinds(0, |_| {}), [Reads::Time]);
    assert_eq!(kinds(0, |line| line.device.mode = 1), [Reads::Time, Reads::Pulse]);
    assert_eq!(kinds(3, |line| line.device.mode = 2), [Reads::Time, Reads::Pulse]);
    assert_eq!(kinds(128, |_| {}), [Reads::Pulse]);
    let ignored = |line: &mut ClockDevice| {
        line.device.mode = 2;
        line.fudge.flags[1] = true;
    };
    assert_eq!(kinds(0, ignored), [Reads::Time]);
    assert_eq!(kinds(128, ignored), []);
}

#[test]
fn before_protocol_3_10_the_fix_is_the_time() {
    let mut world = World::new(0, |_| {});
    let mut gpsd = world.greet(OLD);
    gpsd.send(&stamps("TOFF", DEVICE, 0, 0));
    let now = chrono::DateTime::from_timestamp(clock::unix().0 - 3, 0).unwrap();
    gpsd.send(&FIX.replace("2026-11-28T07:25:03", &now.format("%Y-%m-%dT%H:%M:%S").to_string()));
    let reports = world.reports(1);
    let [(Reads::Time, offset, Some(-8))] = readings(&reports)[..] else { panic!("{reports:?}") };
    assert!((-6_000_000_000..-2_000_000_000).contains(&offset), "{offset}");
}

#[test]
fn what_is_of_no_use_has_a_reason() {
    let mut world = World::new(0, |_| {});
    let mut gpsd = world.greet(NEW);
    gpsd.send(FIX);
    gpsd.send(&stamps("TOFF", DEVICE, 0, 60));
    gpsd.send(&stamps("TOFF", DEVICE, 0, -60));
    gpsd.send(r#"{"class":"TPV","device":"/dev/null","mode":1}"#);
    gpsd.send(&stamps("TOFF", DEVICE, 0, 0));
    gpsd.send(r#"{"class":"TOFF","device":"/dev/null"}"#);
    gpsd.send(r#"{"class":"ERROR","message":"No such device"}"#);
    gpsd.send(&"x".repeat(2 * gpsd::LONGEST));
    let reports = world.reports(6);
    let seen = troubles(&reports);
    let kinds: Vec<Trouble> = seen.iter().map(|(trouble, _)| *trouble).collect();
    let (time, signal, format, fault) =
        (Trouble::BadTime, Trouble::BadSignal, Trouble::BadFormat, Trouble::Fault);
    assert_eq!(kinds, [time, time, signal, format, fault, format]);
    assert_eq!((seen[2].1, seen[4].1), ("no fix, mode 1", "gpsd reports: No such device"));
}

#[test]
fn a_lost_gpsd_is_found_again() {
    let mut world = World::new(0, |_| {});
    drop(world.greet(NEW));
    let reports = world.reports(1);
    let lost = "gpsd, port 2947 of localhost: it has closed the connection";
    assert_eq!(troubles(&reports), [(Trouble::Fault, lost)]);
    assert_eq!(world.harness.log()[1], format!("GPSD_JSON(0): {lost}"));
    world.tick(RETRY - 1);
    world.harness.ready(&mut world.gpsd);
    assert!(matches!(world.gpsd.link, Link::Down(1)), "{:?}", world.gpsd.link);
    world.tick(1);
    let meanwhile = std::mem::take(&mut world.harness.reports);
    assert_eq!(troubles(&meanwhile), [(Trouble::Fault, lost)].repeat(RETRY as usize), "each second");
    let mut gpsd = world.greet(NEW);
    gpsd.send(FIX);
    gpsd.send(&stamps("TOFF", DEVICE, 0, 0));
    assert_eq!(readings(&world.reports(1)).len(), 1);
    // It hangs: it is asked, and then given up.
    world.tick(ASK);
    let mut asked = String::new();
    world.harness.until(&mut world.gpsd, || {
        let _nothing_yet = gpsd.0.read_line(&mut asked);
        asked.ends_with("};\r\n")
    });
    assert!(asked.starts_with("?VERSION;\r\n?WATCH={\"device\":\"/dev/null\""), "{asked}");
    gpsd.send(NEW);
    world.harness.until(&mut world.gpsd, || true);
    world.tick(SILENCE + 1);
    let reports = world.reports(1);
    assert_eq!(troubles(&reports)[0], (Trouble::Fault, "gpsd, port 2947 of localhost: no sign of life"));
    assert_eq!(world.harness.log().len(), 3, "the trouble of the same hour is not logged again");
}

#[test]
fn attempts_become_fewer() {
    let mut world = World::new(0, |line| line.fudge.flags[2] = true);
    let nothing_listens = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    world.gpsd.servers = vec![nothing_listens, nothing_listens];
    drop(world.server.accept().unwrap());
    let mut waits = Vec::new();
    for _ in 0..26 {
        while world.harness.reports.is_empty() {
            world.harness.until(&mut world.gpsd, || true);
            std::thread::yield_now();
            world.harness.ready(&mut world.gpsd);
        }
        assert_eq!(world.harness.reports.len(), 1);
        world.harness.reports.clear();
        let Link::Down(left) = world.gpsd.link else { panic!("{:?}", world.gpsd.link) };
        waits.push(left);
        world.tick(left);
        // Of each second; where the next attempt fails at once, that is the last one.
        let end = world.harness.reports.len() - left as usize;
        world.harness.reports.drain(..left as usize);
        assert!(end <= 1);
    }
    assert_eq!((waits[0], waits[1], waits[2], waits[25]), (10, 15, 20, 120));
    assert_eq!(world.harness.log().len(), 26, "flag3: each is logged");
}

#[test]
fn the_receiver_must_be_a_character_device() {
    let why =
        |path: &str| Gpsd::open(&device(Driver::GpsdJson, 128, Path::new(path))).unwrap_err().to_string();
    assert_eq!(why("/etc/passwd"), "refclock_open /etc/passwd: not a character device");
    assert_eq!(why("/dev/nowhere"), "refclock_open /dev/nowhere: No such file or directory");
    let mut line = device(Driver::GpsdJson, 255, Path::new(DEVICE));
    line.device.path = None;
    let why = Gpsd::open(&line).unwrap_err().to_string();
    assert_eq!(why, "refclock_open /dev/gps127: No such file or directory");
}

#[test]
fn times_are_written_as_ntpd_writes_them() {
    let time = UnixTime::of_seconds(1_795_851_730);
    assert_eq!(in_words(time), "eeb50452.00000000  Sat, Nov 28 2026  7:42:10.000");
    assert_eq!(in_words(UnixTime::of_seconds(i64::MAX)).split(' ').count(), 3);
}
