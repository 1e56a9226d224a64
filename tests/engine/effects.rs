//! Settings that change no exchange of packets: the leap second file, `setvar`, the hourly report.

use crate::bench::{Bench, START, local_clock, server, setup};
use rsntpd::config::model::LeapTable;
use rsntpd::core::contract::{ClockCommand, Input, Setup};
use rsntpd::core::event::{Event, Level};
use rsntpd::core::interest::Interest;
use rsntpd::units::Leap;

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
    assert_eq!(told, [1, 0, -1, -2].map(Event::LeapFileOld).iter().collect::<Vec<_>>());
    assert!(told.iter().all(|e| e.level() == Level::Warning && Interest::new(&["=".into()]).admits(e)));
    assert!(told[2].text().starts_with("the leap second file expired a day ago"));
}

#[test]
fn added_variables_are_shown_as_asked() {
    let mut setup = setup(vec![local_clock()]);
    setup.config.setvar = [("site", "old", true), ("site", "Basel", true), ("secret", "two words", false)]
        .map(|(name, value, shown)| (name.to_owned(), value.to_owned(), shown))
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
    assert!(!Interest::default().admits(hourly[0]));
    assert!(Interest::new(&["+sysstatistics".to_owned()]).admits(hourly[0]));
}
