//! What is reported about reference clocks as a whole, and what is not: each finding with the texts that it must not be
//! about.

use super::read;
use rsntpd::config::{Diagnostic, Severity};

/// What the lints say, as one text each.
fn found(text: &str) -> Vec<(Severity, String)> {
    let line = |found: &Diagnostic| (found.severity, format!("{}; {}", found.message, found.effect));
    // How many sources there are is another matter.
    let counts = |(_, text): &(Severity, String)| {
        !text.starts_with("there are ") && !text.starts_with("there is one ")
    };
    read(text).lints.iter().map(line).filter(counts).collect()
}

/// A finding with these words and no other one, on this line.
fn one(text: &str, severity: Severity, line: u32, words: &str) {
    let all = found(text);
    assert!(matches!(&all[..], [(s, said)] if *s == severity && said.contains(words)), "{text}: {all:#?}");
    let mark = read(text).lints.into_iter().find(|d| format!("{}; {}", d.message, d.effect).contains(words));
    assert_eq!(mark.map(|d| d.line), Some(line), "{text}");
}

fn silent(text: &str) {
    assert!(found(text).is_empty(), "{text}: {:#?}", found(text));
    let parsed = read(text).diagnostics;
    assert!(parsed.is_empty(), "{text}: {parsed:#?}");
}

#[test]
fn what_is_right_is_passed_over_in_silence() {
    for text in [
        "server 127.127.28.0 minpoll 4 maxpoll 4 prefer\nfudge 127.127.28.0 time1 0.135 refid GPS\nserver 127.127.28.1 minpoll 4\nfudge 127.127.28.1 refid PPS\n",
        "server 127.127.28.0 prefer\nserver 127.127.22.0\n",
        "server 127.127.20.0 mode 17 minpoll 4 prefer\nfudge 127.127.20.0 flag1 1 time2 0.4\n",
        "server 127.127.20.0 mode 24 minpoll 4 prefer\nserver 127.127.22.0 minpoll 4\npool a\n",
        "refclock phc path /dev/ptp_hyperv minpoll 4\npool a\n",
        "leapfile /l\nrefclock phc path eth0 tai\nserver a\n",
        "refclock sock path /run/rsntpd/gps.sock refid GPS\nrefclock sock unit 1 path /run/rsntpd/pps.sock\n",
        "server 127.127.46.0 mode 2 prefer\nserver 127.127.46.128\nfudge 127.127.46.128 flag1 1\nserver a\n",
        "server 127.127.1.0\nfudge 127.127.1.0 stratum 10\nserver a\n",
        "server 127.127.1.0 prefer\nfudge 127.127.1.0 stratum 10\n",
        "refclock nmea unit 0 path /dev/ttyS0 ppspath /dev/pps0 baud 115200 flag1 1\nserver a\n",
    ] {
        silent(text);
    }
}

#[test]
fn a_pps_needs_a_source_that_says_which_second_it_is() {
    use Severity::{Note, Warning};
    let never = "the pulses are never used";
    one("server 127.127.22.0\n", Warning, 1, never);
    one("server a noselect\nserver 127.127.22.0\nserver 127.127.22.1 noselect\n", Warning, 2, never);
    one("server 127.127.22.0\nserver 127.127.8.0\n", Warning, 1, never);
    let outlook = read("server 127.127.22.0\n").outlook;
    assert!(outlook.useless.contains(&0));
    let prefer =
        "no other source has prefer beside the PPS 127.127.22.0; its pulses are used while the root distance";
    one("server a\nserver 127.127.22.0\n", Note, 2, prefer);
    one("server 127.127.22.0 prefer\nserver a\n", Note, 1, prefer);
    one("server 127.127.28.0\nserver 127.127.22.0\n", Note, 2, prefer);
    silent("server a prefer\nserver 127.127.22.0\n");
    silent("tos minsane 0\nserver 127.127.22.0\n");
    silent("server 127.127.22.0 noselect\nserver a\n");
}

#[test]
fn a_receiver_has_a_speed_and_its_sentences_take_time() {
    use Severity::{Note, Warning};
    let late = "sentences at 4800 bit/s come late, and time2 is 0";
    one("server 127.127.20.0\n", Note, 1, late);
    one("server 127.127.20.0 mode 2\n", Note, 1, late);
    one("refclock nmea baud 4800\n", Note, 1, late);
    silent("server 127.127.20.0\nfudge 127.127.20.0 time2 0.150\n");
    silent("server 127.127.20.0\nfudge 127.127.20.0 flag1 1\n");
    silent("server 127.127.20.0 mode 16\n");
    let text = "refclock nmea flag1 1\n";
    one(
        text,
        Note,
        1,
        "refclock nmea without baud; the line is read at 4800 bit/s, where NTPsec reads it at 9600",
    );
    silent("refclock nmea mode 17\n");
    one("refclock nmea baud 9600 mode 48\n", Note, 1, "baud 9600 and the speed of mode 48 differ");
    silent("refclock nmea baud 9600 mode 17\n");
    for (speed, mode) in [(9600, 16), (19_200, 32), (38_400, 48), (57_600, 64), (115_200, 80)] {
        let text = format!("server 127.127.20.0 mode {speed}\nfudge 127.127.20.0 time2 0.1\n");
        one(&text, Warning, 1, &format!("for {speed} bit/s write mode {mode}"));
    }
    let text = "server 127.127.20.0 mode 97\nfudge 127.127.20.0 time2 0.1\n";
    one(text, Warning, 1, "mode 97 has a speed that there is not (bits 4 to 6: 6)");
    let odd = format!("server 127.127.20.0 mode {}\n", 17 + 128 + 65_536);
    one(&odd, Note, 1, "it is as mode 17: bits 0 to 3 and 8 are sentences");
    silent(&format!("server 127.127.20.0 mode {}\n", 17 + 256 + 0x0200_0000));
    one("server 127.127.46.0 mode 4\n", Note, 1, "it is as mode 0: 0, 1 and 2 are its modes");
    let text = "server 127.127.20.0 mode 17\nfudge 127.127.20.0 time1 0.5\n";
    one(text, Note, 1, "use time2 for its sentences, or flag1 1");
}

#[test]
fn serial_time_does_not_go_before_servers() {
    let words = "serial time is off by 50 to 100 ms";
    one("server 127.127.20.0 mode 17 prefer\npool a\n", Severity::Warning, 1, words);
    one("server a\nserver 127.127.46.0 prefer\n", Severity::Warning, 2, words);
    for text in [
        "server 127.127.20.0 mode 17 prefer\n",
        "server 127.127.20.0 mode 17\nserver a\n",
        "server 127.127.20.0 mode 17 prefer\nserver 127.127.22.0\nserver a\n",
        "server 127.127.20.0 mode 17 prefer\nfudge 127.127.20.0 flag1 1\nserver a\n",
        "server 127.127.46.0 prefer mode 1\nserver a\n",
        "server 127.127.28.0 prefer\nserver a\n",
    ] {
        silent(text);
    }
}

#[test]
fn words_of_shared_memory_that_mean_something_else() {
    use Severity::Note;
    one(
        "server 127.127.28.0 mode 18\n",
        Note,
        1,
        "mode 18 of 127.127.28.0 has bits without a meaning; it is as mode 0",
    );
    one(
        "server 127.127.28.2 mode 7\n",
        Note,
        1,
        "it is as mode 1: 1 is for a segment that only its owner can use",
    );
    let text = |limit: &str| format!("server 127.127.28.0\nfudge 127.127.28.0 time2 {limit}\n");
    one(&text("-0.25"), Note, 1, "a correction is time1");
    one(&text("100000"), Note, 1, "time2 100000 of a SHM clock is no limit");
    silent(&text("1"));
    silent(&text("86400"));
    one("refclock shm flag1 1\n", Note, 1, "flag1 of a SHM clock means the opposite in NTPsec");
    silent("server 127.127.28.0\nfudge 127.127.28.0 flag1 1\n");
    let again = read("server 127.127.28.0\nrefclock shm\n").diagnostics;
    assert!(again[0].message.contains("has a line already"), "{again:?}");
}

#[test]
fn two_clocks_do_not_share_a_device() {
    use Severity::{Note, Warning};
    for (text, words) in [
        (
            "server 127.127.20.0 mode 16\nserver 127.127.46.0\nserver a\n",
            "127.127.20.0 and 127.127.46.0 both use /dev/gps0; each gets a part",
        ),
        (
            "refclock nmea baud 9600 flag1 1 ppspath /dev/pps0\nrefclock pps\nserver a prefer\n",
            "both use /dev/pps0; one clock counts twice",
        ),
        ("refclock phc\nrefclock phc unit 1 path /dev/ptp0\n", "both use /dev/ptp0; one clock counts twice"),
        ("refclock sock path /s\nrefclock sock unit 1 path /s\n", "give each a path of its own"),
    ] {
        one(text, Warning, 2, words);
    }
    silent("server 127.127.46.0 mode 1\nserver 127.127.46.128\nserver a\n");
    one("server 127.127.46.0 mode 1\nserver 127.127.28.0\n", Note, 1, "both by JSON and by SHM");
    silent("server 127.127.46.0 noselect\nserver 127.127.28.0\nserver a\n");
}

#[test]
fn tai_needs_the_leap_second_file() {
    one("refclock phc tai\n", Severity::Warning, 1, "127.127.128.0 has TAI, and there is no leapfile");
    one("server 127.127.128.2\nfudge 127.127.128.2 flag1 1\n", Severity::Warning, 1, "add leapfile");
    silent("leapfile /l\nrefclock phc tai\n");
    silent("refclock phc\n");
}

#[test]
fn true_clocks_do_not_go_with_smeared_servers() {
    let words = "smears leap seconds, and 127.127.128.0 does not";
    one("server 169.254.169.123\nrefclock phc\n", Severity::Warning, 1, words);
    one("refclock nmea mode 17\nserver time.google.com\n", Severity::Warning, 2, "and 127.127.20.0 does not");
    silent("server time.google.com\nrefclock phc\n");
    silent("server time.google.com\nserver 127.127.28.0\n");
    silent("server 169.254.169.123\nrefclock phc noselect\n");
}

#[test]
fn a_local_clock_beside_others() {
    let local = "fudge 127.127.1.0 stratum 10\n";
    let text = format!("server 127.127.1.0 prefer\n{local}server a\n");
    one(&text, Severity::Warning, 1, "the LOCAL clock has prefer");
    let text = format!("server 127.127.28.0\nserver 127.127.1.0\n{local}");
    one(&text, Severity::Note, 2, "a LOCAL clock beside a reference clock");
    silent(&format!("server 127.127.1.0\n{local}pool a\n"));
    silent(
        &format!("server 127.127.1.0 prefer\n{local}server 127.127.22.0\n")
            .replace("prefer\nfudge", "prefer noselect\nfudge")
            .replace("server 127.127.22.0\n", "server a\n"),
    );
}

#[test]
fn two_serial_clocks_alone_seldom_agree() {
    let two = "server 127.127.20.0 mode 16\nserver 127.127.20.1 mode 16\n";
    one(two, Severity::Note, 2, "two serial clocks seldom agree within tos mindist 0.001 s");
    silent(&format!("{two}tos mindist 0.1\n"));
    silent(&format!("{two}server a\n"));
    silent("server 127.127.28.0\nserver 127.127.28.1\n");
    // One that is preferred decides; that it has no pulses is another finding.
    let decided = two.replacen("mode 16", "mode 16 prefer", 1);
    one(&decided, Severity::Warning, 1, "127.127.20.0 has prefer and no pulses");
}

#[test]
fn gpsds_pulses_number_no_others() {
    let pulses = "server 127.127.46.128 mode 2\nserver 127.127.22.0\n";
    let found = read(pulses).lints;
    assert!(
        found.iter().any(|d| d.message.contains("no source says which second a pulse of 127.127.22.0")),
        "{found:?}"
    );
}

#[test]
fn few_sources_are_counted_as_what_they_are() {
    let note =
        |text: &str| read(text).lints.iter().map(|d| d.message.clone()).next_back().unwrap_or_default();
    assert_eq!(note("server 127.127.28.0\n"), "there is one clock and no server");
    assert_eq!(note("server a\n"), "there is one server");
    assert_eq!(note("server a\nserver 127.127.28.0\n"), "there are two sources");
    let minsane = read("server 127.127.28.0 prefer\nserver 127.127.22.0\ntos minsane 2\n").lints;
    assert!(
        minsane.iter().any(|d| d.message.contains("needs 2 servers that agree, and there is one")),
        "{minsane:?}"
    );
}
