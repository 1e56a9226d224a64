//! Settings that change no exchange of packets: the leap second file, `setvar`, the hourly report.

use crate::bench::{Bench, START, local_clock, server, setup};
use rsntpd::config::model::{Config, LeapTable, Variable};
use rsntpd::engine::contract::{ClockCommand, Input, Setup};
use rsntpd::engine::report::event::{Event, Level};
use rsntpd::engine::report::logconfig::LogFilter;
use rsntpd::units::{Leap, NtpShort, Ppm, Seconds};

/// 2026-07-01, a month after the start.
const JULY: i64 = START + 30 * 86_400;
const DAY: i64 = 86_400;

fn table(leap: i64, expires: i64) -> LeapTable {
    LeapTable { entries: vec![(63_072_000, 10), (1_483_228_800, 37), (leap, 38)], expires: Some(expires) }
}

fn with_table(table: LeapTable) -> Bench {
    Bench::new(Setup { leap_table: Some(table), ..setup(vec![server("192.0.2.1")]) })
}

fn last_status(bench: &Bench) -> (Leap, Option<i32>) {
    let status = bench.commands.iter().rev().find_map(|c| match c {
        ClockCommand::Status(status) => Some((status.leap, status.tai)),
        _ => None,
    });
    status.unwrap()
}

#[test]
fn a_leap_second_file_arms_sets_tai_and_is_shown() {
    let mut bench = with_table(table(JULY, JULY + 200 * DAY));
    assert_eq!(bench.happened(|e| matches!(e, Event::LeapFile { tai: Some(37), .. })), 1);
    bench.run_served(600.0);
    assert_eq!(bench.happened(|e| *e == Event::LeapArmed(Leap::Insert)), 1);
    assert_eq!(last_status(&bench), (Leap::None, Some(37)), "the kernel hears of it on the last day only");
    assert_eq!(bench.variable(None, "leap"), "1", "clients hear of it all month");
    assert_eq!(bench.variable(None, "tai"), "37");
    assert_eq!(bench.variable(None, "leapsec"), "202607010000");
    assert_eq!(bench.variable(None, "expire"), "202701170000");
    bench.run_served((29 * DAY + 3600) as f64);
    assert_eq!(last_status(&bench), (Leap::Insert, Some(37)));
    bench.run_served((30 * DAY + 3600) as f64);
    assert_eq!(last_status(&bench), (Leap::None, Some(38)));
    assert_eq!(bench.happened(|e| *e == Event::LeapOccurred(Leap::Insert)), 1);
    assert_eq!(bench.variable(None, "tai"), "38");
}

#[test]
fn a_new_file_is_taken_over_while_running() {
    let mut bench = with_table(table(JULY, JULY + 200 * DAY));
    bench.run_served(600.0);
    let withdrawn = LeapTable { entries: vec![(63_072_000, 10), (1_483_228_800, 37)], expires: None };
    bench.input(Input::LeapSeconds(withdrawn));
    bench.run_served(3000.0);
    assert_eq!(bench.happened(|e| *e == Event::LeapDisarmed), 1);
    assert_eq!(
        (bench.variable(None, "leap"), bench.variable(None, "leapsec")),
        ("0".into(), "201701010000".into())
    );
}

#[test]
fn an_old_file_is_told_once_a_day_and_only_when_the_day_is_known() {
    let old = |e: &Event| matches!(e, Event::LeapFileOld(_));
    let mut bench = with_table(table(JULY, START + 2 * DAY));
    bench.run(1000.0, |_, _| None);
    assert_eq!(bench.happened(old), 0);
    bench.run_served((3 * DAY + DAY / 2) as f64);
    let told: Vec<&Event> = bench.events.iter().filter(|e| old(e)).collect();
    assert_eq!(told.len(), 4);
    let nothing = LogFilter::new(&["=".into()]);
    assert!(told.iter().all(|e| e.row().level == Level::Warning && nothing.admits(&e.row())));
}

#[test]
fn a5_the_last_day_of_a_leap_file_and_the_first_after_it_are_named_as_they_are() {
    let old = |e: &Event| matches!(e, Event::LeapFileOld(_));
    let hour = 3600;
    for (left, words) in [
        (3 * DAY, "expires in 2 days"),
        (2 * DAY, "expires in a day"),
        (DAY + hour, "expires in a day"),
        (DAY - hour, "expires in less than a day"),
        (hour, "expires in less than a day"),
        (0, "expired less than a day ago"),
        (-hour, "expired less than a day ago"),
        (-DAY + hour, "expired less than a day ago"),
        (-DAY - hour, "expired a day ago"),
        (-3 * DAY, "expired 3 days ago"),
    ] {
        let mut bench = with_table(table(JULY, START + left));
        bench.run_served(10.0);
        let told = bench.events.iter().find(|e| old(e)).unwrap().text();
        assert!(told.starts_with(&format!("the leap second file {words}")), "{left}: {told}");
    }
}

#[test]
fn added_variables_are_shown_as_asked() {
    let mut setup = setup(vec![local_clock()]);
    setup.config.setvar = [("site", "old", true), ("site", "Basel", true), ("secret", "two words", false)]
        .map(|(name, value, shown)| Variable { name: name.to_owned(), value: value.to_owned(), shown })
        .to_vec();
    let mut bench = Bench::new(setup);
    bench.advance(1.0);
    let plain = String::from_utf8(bench.control(2, 0, "")).unwrap();
    assert!(
        plain.contains("site=Basel") && !plain.contains("site=old") && !plain.contains("secret"),
        "{plain}"
    );
    assert_eq!(bench.variable(None, "secret"), "\"two words\"");
}

#[test]
fn the_state_of_the_loop_is_told_every_hour_where_wanted() {
    let mut bench = Bench::new(setup(vec![server("192.0.2.1")]));
    bench.run_served(2.5 * 3600.0);
    let hourly: Vec<&Event> = bench.events.iter().filter(|e| matches!(e, Event::LoopState { .. })).collect();
    assert_eq!(hourly.len(), 2);
    assert!(
        hourly[0].text().starts_with("offset 0.000000 sec freq 0.000 ppm error 0.00"),
        "{}",
        hourly[0].text()
    );
    assert!(!LogFilter::default().admits(&hourly[0].row()));
    assert!(LogFilter::new(&["+sysstatistics".to_owned()]).admits(&hourly[0].row()));
}

/// Runs ten minutes with servers at these addresses, all of stratum 2 and half a second from their reference; `change` sets the configuration.
fn ten_minutes(servers: &[&str], behind: f64, change: impl Fn(&mut Config)) -> Bench {
    let mut setup = setup(servers.iter().map(|s| server(s)).collect());
    change(&mut setup.config);
    let mut bench = Bench::new(setup);
    bench.behind = behind;
    while bench.time < 600.0 {
        for tx in std::mem::take(&mut bench.sent) {
            let Ok(request) = rsntpd::wire::Header::parse(&tx.data) else { continue };
            let root_dispersion = NtpShort::from_seconds(Seconds::new(0.5));
            let reply = rsntpd::wire::Header { root_dispersion, ..bench.reply(&request, 2) };
            bench.deliver(&reply.to_bytes(), tx.to);
        }
        bench.advance(600.0);
    }
    bench
}

fn stratum(bench: &mut Bench) -> String {
    bench.variable(None, "stratum")
}

#[test]
fn tos_says_which_servers_are_good_enough() {
    let one = ["192.0.2.1"];
    let two = ["192.0.2.1", "192.0.2.2"];
    let stratum_with =
        |servers: &[&str], change: fn(&mut Config)| stratum(&mut ten_minutes(servers, 0.0, change));
    assert_eq!(stratum_with(&one, |_| {}), "3");
    assert_eq!(stratum_with(&one, |c| c.tos.floor = 3), "16", "its stratum is below the floor");
    assert_eq!(stratum_with(&one, |c| c.tos.ceiling = 2), "16", "its stratum is at the ceiling");
    assert_eq!(stratum_with(&one, |c| c.tos.minsane = 2), "16", "one is not enough");
    assert_eq!(stratum_with(&two, |c| c.tos.minsane = 2), "3");
    assert_eq!(stratum_with(&one, |c| c.tos.maxdist = Seconds::new(0.3)), "16", "too far away");
}

#[test]
fn tinker_says_what_is_stepped_and_what_is_not_believed() {
    let one = ["192.0.2.1"];
    let stepped = |bench: &Bench| bench.happened(|e| matches!(e, Event::TimeReset(_)));
    let run = |behind: f64, change: fn(&mut Config)| ten_minutes(&one, behind, change);
    assert_eq!(stepped(&run(0.2, |_| {})), 1);
    assert_eq!(stepped(&run(0.2, |c| c.tinker.step = Seconds::ZERO)), 0, "step 0 is never");
    assert_eq!(stepped(&run(0.2, |c| c.tinker.step = Seconds::new(0.6))), 0);
    let panicked = |bench: &Bench| bench.happened(|e| matches!(e, Event::PanicStop(_)));
    assert_eq!(panicked(&run(2000.0, |_| {})), 1);
    let lenient = run(2000.0, |c| c.tinker.panic = Seconds::ZERO);
    assert_eq!((panicked(&lenient), stepped(&lenient)), (0, 1), "panic 0 believes anything");
}

#[test]
fn the_drift_file_is_left_alone_while_the_frequency_changed_by_less_than_asked() {
    use rsntpd::engine::contract::Output;
    let saves = |threshold: Option<f64>| {
        let mut setup = setup(vec![server("192.0.2.1")]);
        setup.config.drift_threshold = threshold.map(Ppm::new);
        let mut bench = Bench::new(setup);
        // The servers' clock runs ever faster, by 10 ppm in a day; ours does what it is told.
        let (mut frequency, mut moved) = (0.0, 0.0);
        while bench.time < 86_400.0 {
            bench.behind = 5e-6 * bench.time * bench.time / 86_400.0 - moved;
            bench.run_served(bench.time + 16.0);
            for command in std::mem::take(&mut bench.commands) {
                match command {
                    ClockCommand::Frequency(ppm) => frequency = ppm.rate(),
                    ClockCommand::Slew { micros } => moved += f64::from(micros) * 1e-6,
                    _ => {}
                }
            }
            moved += 16.0 * frequency;
        }
        bench.others.iter().filter(|o| matches!(o, Output::SaveDrift(_))).count()
    };
    let (often, seldom) = (saves(None), saves(Some(1000.0)));
    assert!(often > 2 && seldom <= 1, "{often} {seldom}");
}

#[test]
fn clients_of_a_local_clock_can_use_it_from_its_first_poll_on() {
    let mut bench = Bench::new(setup(vec![local_clock()]));
    bench.advance(1.0);
    assert_eq!(bench.variable(None, "stratum"), "11");
    let dispersion: f64 = bench.variable(None, "rootdisp").parse().unwrap();
    assert!(dispersion < 50.0, "{dispersion} ms: clients with a maxdist of 1.5 s would wait for minutes");
}
