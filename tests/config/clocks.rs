//! Reference clocks as lines configure them: `server 127.127.T.U` with `fudge`, and `refclock`.

use super::{clean, read};
use rsntpd::config::model::{ClockAddress, Config, Device, Fudge, Server};
use rsntpd::config::{Diagnostic, Severity, parse_at_run_time, print};
use rsntpd::units::{Driver, RefId, Seconds};
use std::path::PathBuf;

/// The only server of a text without errors and warnings.
fn clock(text: &str) -> Server {
    let servers = clean(text).servers;
    let [one] = &servers[..] else { panic!("{text}: {servers:?}") };
    one.clone()
}

fn said(text: &str) -> Vec<String> {
    read(text).diagnostics.iter().map(Diagnostic::log_line).collect()
}

/// What is reported in single lines, which is one finding of this severity.
fn only(text: &str, severity: Severity) -> String {
    let found = read(text).diagnostics;
    let [one] = &found[..] else { panic!("{text}: {found:#?}") };
    assert_eq!(one.severity, severity, "{text}: {}", one.log_line());
    one.log_line()
}

#[test]
fn a_clock_with_a_driver_is_taken_without_a_word() {
    for driver in Driver::ALL.into_iter().filter(|driver| *driver != Driver::Sock) {
        let kind = driver.number();
        let text =
            format!("server 127.127.{kind}.3 prefer minpoll 4\nfudge 127.127.{kind}.3 stratum 2 refid ABC\n");
        let server = clock(&text);
        assert_eq!(server.target.clock(), Some(ClockAddress { kind, unit: 3 }));
        assert_eq!(server.target.clock().unwrap().driver(), Some(driver));
        assert_eq!(said(&text), [""; 0], "{driver:?}");
        assert!(server.prefer);
        assert_eq!(server.fudge.refid, Some(RefId::from_text(b"ABC")));
    }
}

#[test]
fn mode_reaches_the_driver_under_each_of_its_names() {
    for (text, mode) in [
        ("server 127.127.20.0 mode 17", 17),
        ("server 127.127.20.0 mode 0", 0),
        ("server 127.127.20.0 mode 4294967295", u32::MAX),
        ("server 127.127.20.0 mode -1", u32::MAX),
        ("server 127.127.20.0 ttl 17", 17),
        ("server 127.127.20.0 mode 17 mode 24", 24),
        ("refclock nmea mode 17", 17),
        ("refclock nmea subtype 17", 17),
        ("server 127.127.46.0 mode 2", 2),
        ("server 127.127.28.2 mode 1", 1),
    ] {
        assert_eq!(clock(text).device.mode, mode, "{text}");
        assert_eq!(said(text), [""; 0], "{text}");
    }
    let of_server = only("server 192.0.2.1 mode 17", Severity::Note);
    assert!(of_server.contains("mode has no effect; it is for reference clocks"), "{of_server}");
    assert_eq!(said("server 192.0.2.1 mode 0"), [""; 0]);
}

#[test]
fn a_clock_is_polled_from_once_a_second_on_at_one_interval() {
    for (options, expected) in [
        ("", (6, 6)),
        ("minpoll 0", (0, 0)),
        ("minpoll 4", (4, 4)),
        ("minpoll 0 maxpoll 0", (0, 0)),
        ("minpoll 4 maxpoll 0", (4, 4)),
        ("maxpoll 0", (6, 6)),
        ("minpoll 1 maxpoll 4", (1, 4)),
        ("maxpoll 4", (4, 4)),
        ("minpoll 17", (17, 17)),
    ] {
        for line in [format!("server 127.127.28.0 {options}"), format!("refclock shm {options}")] {
            let server = read(&line).config.servers.remove(0);
            assert_eq!((server.minpoll.get(), server.maxpoll.get()), expected, "{line}");
        }
    }
    assert!(only("server 127.127.28.0 minpoll 18", Severity::Warning).contains("minpoll 17 is used"));
    // A server of the network is not.
    assert!(only("server 192.0.2.1 minpoll 0", Severity::Warning).contains("minpoll 3 is used"));
}

#[test]
fn names_of_drivers_have_no_case() {
    for (name, kind) in [
        ("shm", 28),
        ("SHM", 28),
        ("Nmea", 20),
        ("PPS", 22),
        ("gpsd", 46),
        ("LOCAL", 1),
        ("phc", 128),
        ("zyfer", 42),
        ("Generic", 8),
    ] {
        let server = read(&format!("refclock {name} unit 1")).config.servers.remove(0);
        assert_eq!(server.target.clock(), Some(ClockAddress { kind, unit: 1 }), "{name}");
    }
    let near = read("refclock shn").diagnostics;
    assert_eq!(near[0].suggestion.as_deref(), Some("shm"));
    assert!(said("refclock bogus")[0].contains("expected one of local, nmea, pps, shm"));
}

#[test]
fn corrections_take_eras_of_gps() {
    let weeks = |weeks: f64| weeks * 604_800.0;
    for (value, expected) in [
        ("0.1", 0.1),
        ("1g", 1.0 + weeks(1024.0)),
        ("0.1g", 0.1 + weeks(1024.0)),
        ("-0.25G", -0.25 + weeks(8192.0)),
        ("0gg", weeks(2048.0)),
        ("0Gg", weeks(9216.0)),
        ("0", 0.0),
    ] {
        for text in [
            format!("refclock nmea time1 {value} time2 {value}"),
            format!("fudge 127.127.20.0 time1 {value} time2 {value}\nserver 127.127.20.0"),
        ] {
            let fudge = clock(&text).fudge;
            assert_eq!(
                (fudge.time1, fudge.time2),
                (Seconds::new(expected), Seconds::new(expected)),
                "{text}"
            );
        }
    }
    for wrong in ["g", "1gx", "x1g", "1e"] {
        let text = format!("server 127.127.20.0\nfudge 127.127.20.0 flag1 1 time1 {wrong}");
        let found = said(&text);
        assert!(wrong == "1e" || found[0].contains("time1 does not take"), "{text}: {found:?}");
    }
}

#[test]
fn a_refclock_line_names_its_device() {
    let server =
        clock("refclock nmea unit 1 path /dev/ttyS0 ppspath /dev/pps3 baud 115200 flag1 1 minjitter 0.001");
    let device = Device {
        path: Some(PathBuf::from("/dev/ttyS0")),
        pulse_path: Some(PathBuf::from("/dev/pps3")),
        baud: Some(115_200),
        mode: 0,
    };
    assert_eq!(server.device, device);
    let fudge = Fudge {
        flags: [true, false, false, false],
        min_jitter: Some(Seconds::new(0.001)),
        ..Fudge::default()
    };
    assert_eq!(server.fudge, fudge);
    for path in ["/dev/ptp_hyperv", "eth0", "\"KVM virtual PTP\""] {
        let server = clock(&format!("refclock phc path {path} tai"));
        assert_eq!(server.device.path, Some(PathBuf::from(path.trim_matches('"'))));
        assert_eq!(server.fudge.flags, [true, false, false, false]);
    }
    let sock = clock("refclock sock unit 2 path /run/rsntpd/gps.sock refid GPS time1 0.14");
    assert_eq!(sock.target.clock(), Some(ClockAddress { kind: 129, unit: 2 }));
    assert_eq!(
        clock("server 127.127.28.0\nfudge 127.127.28.0 minjitter 0.5").fudge.min_jitter,
        Some(Seconds::new(0.5))
    );
}

#[test]
fn what_no_device_can_be_is_an_error_with_its_place() {
    let long = format!("refclock sock path /{}", "x".repeat(107));
    for (line, column, words, lost) in [
        ("refclock sock", 10, "a SOCK clock has no path, expected refclock sock path FILE", true),
        ("server 127.127.129.0 prefer", 8, "a SOCK clock has no path", true),
        (
            "refclock sock path gps.sock",
            20,
            "\"gps.sock\" does not begin with /, expected a file name from / on, such as /run",
            true,
        ),
        (&long, 20, "is too long for a socket, expected at most 107 bytes", true),
        (
            "refclock nmea path gps0",
            20,
            "does not begin with /, expected a file name from / on, such as /dev/gps0",
            true,
        ),
        ("refclock nmea ppspath pps0", 23, "does not begin with /", true),
        ("refclock pps ppspath pps0", 22, "such as /dev/pps0", true),
        ("refclock pps path ../pps0", 19, "such as /dev/pps0", true),
        ("refclock gpsd path ttyS0", 20, "does not begin with /", true),
        ("refclock phc path dev/ptp0", 19, "an interface such as eth0", true),
        (
            "refclock nmea baud 9601",
            20,
            "baud 9601 is no speed of a serial line, expected a speed such as 4800, 9600",
            false,
        ),
        ("refclock nmea baud -1", 20, "no speed of a serial line", false),
        (
            "refclock shm unit 256",
            19,
            "unit 256 is out of range, expected a whole number from 0 to 255",
            true,
        ),
        ("refclock shm unit -1", 19, "unit -1 is out of range", true),
        ("refclock shm unit x", 19, "unit does not take \"x\"", true),
        ("refclock parse", 10, "unknown clock driver \"parse\"", true),
    ] {
        let parsed = read(line);
        let [found] = &parsed.diagnostics[..] else { panic!("{line}: {:#?}", parsed.diagnostics) };
        assert_eq!(
            (found.severity, found.line, found.column),
            (Severity::Error, 1, column),
            "{line}: {found:?}"
        );
        assert!(found.log_line().contains(words), "{line}: {}", found.log_line());
        assert_eq!(parsed.config.servers.is_empty(), lost, "{line}");
        assert!(parsed.config.servers.iter().all(|server| server.device.baud.is_none()));
    }
    assert_eq!(said(&long[..long.len() - 1]), [""; 0]);
}

#[test]
fn options_that_a_driver_does_not_use_are_noted() {
    for (text, words) in [
        ("refclock shm baud 9600", "baud has no effect; this driver does not use it"),
        ("refclock shm path /dev/shm", "path has no effect; a segment of shared memory has no file"),
        ("refclock pps path /dev/pps1 ppspath /dev/pps2", "path has no effect beside ppspath"),
        ("refclock shm ppspath /dev/pps1", "ppspath has no effect"),
        ("refclock pps baud 9600", "baud has no effect"),
        ("refclock pps mode 1", "mode has no effect"),
        ("refclock gpsd baud 9600", "gpsd sets the speed of the line"),
        ("refclock phc time2 1", "time2 has no effect"),
        ("refclock phc flag3 1", "flag3 has no effect"),
        ("refclock sock path /s flag4 1", "flag4 has no effect"),
        ("refclock nmea flag3 1", "no PPS discipline of the kernel"),
        ("fudge 127.127.22.0 flag3 1\nserver 127.127.22.0", "no PPS discipline of the kernel"),
        ("server 127.127.22.0\nfudge 127.127.22.0 flag1 1", "flag1 has no effect"),
        ("server 127.127.22.0\nfudge 127.127.22.0 time2 0.5", "time2 has no effect"),
        ("server 127.127.1.0\nfudge 127.127.1.0 time1 0.5", "the LOCAL clock does not use it"),
        ("refclock shm tai", "tai has no effect"),
        ("server 127.127.28.0 iburst", "a reference clock has no bursts"),
        ("server 127.127.28.0 version 3", "no packets are sent to a reference clock"),
        ("server 127.127.20.0 key 7", "no packets are sent to a reference clock"),
    ] {
        assert!(only(text, Severity::Note).contains(words), "{text}: {}", only(text, Severity::Note));
    }
    assert_eq!(
        read("refclock shm tai").config.servers[0].fudge.flags,
        [false; 4],
        "it is no flag of this driver"
    );
    for silent in [
        "server 127.127.22.0\nfudge 127.127.22.0 flag3 0 time2 0.0 flag1 0\n",
        "server 127.127.28.0 version 4 noselect true\nfudge 127.127.28.0 time1 0.1 time2 5 flag1 1 flag4 1\n",
        "refclock pps flag2 1 flag4 1 time1 0.001 path /dev/pps1\n",
        "refclock gpsd flag1 1 flag2 1 flag3 1 flag4 1 time1 0.1 time2 0.1 mode 1\n",
        "refclock phc flag1 1 flag2 1 flag4 1 time1 0.1\n",
    ] {
        assert_eq!(said(silent), [""; 0], "{silent}");
    }
}

#[test]
fn every_other_type_is_told_what_to_use_instead() {
    for (kind, words) in [
        (4, "its NTP server, or its NMEA output"),
        (8, "refclock sock; the maker"),
        (18, "NTP servers of the institute"),
        (29, "let gpsd read it, and use refclock shm"),
        (6, "radio signals are not decoded"),
        (13, "use refclock phc if Linux has a PTP driver"),
        (38, "refclock shm or refclock sock"),
        (47, "1 to 46, and 128 (PHC) and 129 (SOCK)"),
        (0, "1 to 46"),
        (255, "1 to 46"),
    ] {
        let text = format!("server 127.127.{kind}.0 minpoll 99 mode 5\nfudge 127.127.{kind}.0 flag1 7\n");
        let line = only(&text, Severity::Warning);
        assert!(
            line.contains(&format!("no driver for clocks of type {kind}")) && line.contains(words),
            "{line}"
        );
    }
    assert!(
        only("refclock trimble unit 1 path x baud 1", Severity::Warning)
            .contains("refclock trimble is not used")
    );
}

#[test]
fn clocks_are_printed_as_what_reads_as_the_same() {
    for (text, printed) in [
        ("server 127.127.28.0 mode 1 minpoll 0", "server 127.127.28.0 minpoll 0 mode 1\n"),
        ("server 127.127.20.0 mode -1", "server 127.127.20.0 mode 4294967295\n"),
        (
            "refclock shm unit 2 minpoll 4 maxpoll 6 flag4 1",
            "server 127.127.28.2 minpoll 4 maxpoll 6\nfudge 127.127.28.2 flag4 1\n",
        ),
        ("refclock PHC path eth0 tai", "refclock phc unit 0 path eth0 flag1 1\n"),
        ("server 127.127.128.1", "refclock phc unit 1\n"),
        (
            "refclock sock path /s time1 0.14 minjitter 0.001",
            "refclock sock unit 0 path /s time1 0.14 minjitter 0.001\n",
        ),
        (
            "refclock nmea subtype 1 baud 9600 ppspath /p path /d",
            "refclock nmea unit 0 path /d ppspath /p baud 9600 mode 1\n",
        ),
        ("refclock pps ppspath /dev/pps1", "refclock pps unit 0 path /dev/pps1\n"),
        ("refclock pps path /a ppspath /b", "refclock pps unit 0 path /b\n"),
        ("refclock nmea time1 1g", "server 127.127.20.0\nfudge 127.127.20.0 time1 619315201\n"),
        ("refclock phc path \"server\"", "refclock phc unit 0 path \"server\"\n"),
    ] {
        assert_eq!(String::from_utf8(print(&read(text).config)).unwrap(), printed, "{text}");
        super::oracle::hold(text.as_bytes());
    }
}

#[test]
fn fudge_lines_may_come_first_and_calibrate_is_honoured() {
    let config = clean(
        "fudge 127.127.28.0 time1 0.5 flag2 0\nfudge 127.127.28.0 refid GPS\nserver 127.127.28.0\nenable calibrate",
    );
    assert_eq!(config.servers[0].fudge.time1, Seconds::new(0.5));
    assert_eq!(config.servers[0].fudge.refid, Some(RefId::from_text(b"GPS")));
    assert!(config.enable.calibrate);
    assert_eq!(said("enable calibrate"), [""; 0]);
}

#[test]
fn no_path_of_a_clock_comes_from_who_holds_the_control_key() {
    for (line, allowed) in [
        ("refclock shm unit 2", true),
        ("server 127.127.20.0", true),
        ("refclock sock path /var/lib/ntp/x", false),
        ("refclock nmea path /dev/sda", false),
        ("refclock nmea ppspath /dev/sda", false),
        ("refclock phc path /dev/sda", false),
    ] {
        let parsed = parse_at_run_time(Config::default(), line.as_bytes(), &[]);
        assert_eq!(parsed.config.servers.len(), usize::from(allowed), "{line}");
        let refused = parsed.diagnostics.iter().any(|d| d.message.contains("cannot be set at run time"));
        assert_eq!(refused, !allowed, "{line}: {:?}", parsed.diagnostics);
    }
}
