//! Two simulated days with all statistics on: every field of every line against ntpd's documented
//! formats ("Monitoring Options") and against what happened, and the files that come of the lines.

use rsntpd::config::model::{Config, Filegen, FilegenType, Kind, Server, StatKind, Statistics, Target};
use rsntpd::daemon::statistics::StatFiles;
use rsntpd::engine::contract::{Setup, StatLine};
use rsntpd::engine::report::event::Event;
use rsntpd::units::Stratum;
use sim::chance::Dice;
use sim::clock::Clock;
use sim::link::{Link, Queue};
use sim::scenario::{CLIENT, EPOCH, Scenario};
use sim::world::{TrueServer, World};
use std::collections::BTreeMap;
use std::path::PathBuf;

const KINDS: [(StatKind, &str); 8] = [
    (StatKind::Clock, "clockstats"),
    (StatKind::Crypto, "cryptostats"),
    (StatKind::Loop, "loopstats"),
    (StatKind::Peer, "peerstats"),
    (StatKind::Proto, "protostats"),
    (StatKind::Raw, "rawstats"),
    (StatKind::Sys, "sysstats"),
    (StatKind::Timing, "timingstats"),
];
/// The start is in the middle of a day, so that the run has two midnights.
const START: i64 = EPOCH + 43_200;
const TWO_DAYS: f64 = 2.0 * 86_400.0;
/// The Modified Julian Day of 2026-01-10.
const FIRST_DAY: i64 = 61_050;

fn statistics(dir: PathBuf) -> Statistics {
    let filegen = |(kind, name): (StatKind, &str)| Filegen {
        kind,
        file: name.to_owned(),
        rotation: FilegenType::Day,
        link: true,
        enabled: true,
    };
    Statistics { dir: Some(dir), filegens: KINDS.map(filegen).to_vec() }
}

/// A client of two servers, one of which is silent for an hour, and of its own clock.
fn world(statistics: Statistics, stats: bool) -> World {
    let mut world = World::new(START);
    let mut config = Config { statistics, ..Config::default() };
    config.enable.stats = stats;
    for index in 0..2 {
        let address = Scenario::server(index);
        let line = Server::new(Kind::Server, Target::Address(address.parse().unwrap()));
        config.servers.push(Server { iburst: true, ..line });
        let mut server = TrueServer::new(&address);
        if index == 1 {
            server.answers = Box::new(|t| !(20_000.0..40_000.0).contains(&t));
        }
        world.servers.push(server);
        let link = Link::new(
            sim::link::Direction::new(0.010, Queue::Exponential(0.001)),
            sim::link::Direction::new(0.010, Queue::Exponential(0.001)),
            Dice::new(8, 100 + index as u64),
        );
        world.connect(CLIENT, &address, link);
    }
    let mut local = Server::new(Kind::Server, Target::LocalClock { unit: 0 });
    local.fudge.stratum = Some(Stratum::new(10));
    config.servers.push(local);
    let clock = Clock::new(START, 0.5, 20e-6, 1e-9, Dice::new(8, 1));
    let setup = Setup { config, ..Setup::default() };
    world.add_host(CLIENT, clock, setup, None, &mut Dice::new(8, 2));
    world.run(TWO_DAYS);
    world
}

fn two_days() -> World {
    world(statistics(PathBuf::from("/nonexistent")), true)
}

/// The fields behind day and second, which are checked here.
fn fields(line: &StatLine) -> Vec<&str> {
    let all: Vec<&str> = line.text.split(' ').collect();
    let day: i64 = all[0].parse().unwrap();
    assert!((FIRST_DAY..=FIRST_DAY + 2).contains(&day), "{}", line.text);
    assert_eq!(decimals(all[1]), 3, "{}", line.text);
    let second: f64 = all[1].parse().unwrap();
    assert!((0.0..86_400.0).contains(&second), "{}", line.text);
    let (unix, nanos) = line.at.to_unix(START);
    let told = (day - 40_587) as f64 * 86_400.0 + second;
    assert!((told - unix as f64 - f64::from(nanos) * 1e-9).abs() < 1e-4, "{}", line.text);
    all[2..].to_vec()
}

fn decimals(text: &str) -> usize {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    assert!(whole.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit()), "{text}");
    assert!(fraction.bytes().all(|b| b.is_ascii_digit()), "{text}");
    fraction.len()
}

fn of(world: &World, kind: StatKind) -> Vec<&StatLine> {
    world.hosts[0].stats.iter().filter(|line| line.kind == kind).collect()
}

fn number(text: &str) -> f64 {
    text.parse().unwrap()
}

#[test]
fn loopstats_tell_offset_frequency_jitter_wander_and_poll() {
    let world = two_days();
    let lines = of(&world, StatKind::Loop);
    for line in &lines {
        let f = fields(line);
        assert_eq!(f.len(), 5, "{}", line.text);
        assert_eq!([decimals(f[0]), decimals(f[1]), decimals(f[2]), decimals(f[3])], [9, 3, 9, 6]);
        assert!(number(f[0]).abs() < 0.128 && number(f[1]).abs() < 500.0, "{}", line.text);
        assert!(number(f[2]) >= 0.0 && number(f[3]) >= 0.0, "{}", line.text);
        assert!((3..=17).contains(&f[4].parse::<u8>().unwrap()), "{}", line.text);
    }
    println!("loopstats: {} lines, the last: {}", lines.len(), lines.last().unwrap().text);
    // A line an answer, but for what the start and the step took.
    let answers = of(&world, StatKind::Raw).len();
    assert!(lines.len() <= answers && lines.len() + 20 >= answers, "{} of {answers}", lines.len());
    // The oscillator is 20 ppm fast.
    let last = fields(lines.last().unwrap());
    assert!((number(last[1]) + 20.0).abs() < 1.0, "{last:?}");
    assert!(number(last[0]).abs() < 2e-3, "{last:?}");
}

#[test]
fn peerstats_tell_status_offset_delay_dispersion_and_jitter() {
    let world = two_days();
    let lines = of(&world, StatKind::Peer);
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for line in &lines {
        let f = fields(line);
        assert_eq!(f.len(), 6, "{}", line.text);
        *count.entry(f[0]).or_default() += 1;
        let status = u16::from_str_radix(f[1], 16).unwrap();
        assert_eq!(status & 0x9000, 0x9000, "configured and reachable: {}", line.text);
        assert!(f[2..].iter().all(|x| decimals(x) == 9), "{}", line.text);
        if f[0].starts_with("192.0.2.") {
            assert!((0.019..0.060).contains(&number(f[3])), "{}", line.text);
            assert!((0.0..16.0).contains(&number(f[4])) && number(f[5]) > 0.0, "{}", line.text);
        }
    }
    println!("peerstats: {} lines, the last: {}", lines.len(), lines.last().unwrap().text);
    assert_eq!(count.keys().copied().collect::<Vec<_>>(), ["127.127.1.0", "192.0.2.1", "192.0.2.2"]);
    assert!(count["192.0.2.1"] > count["192.0.2.2"], "{count:?}");
    // The local clock is polled every 64 s.
    assert!((2690..=2705).contains(&count["127.127.1.0"]), "{count:?}");
}

#[test]
fn rawstats_tell_the_four_timestamps() {
    let world = two_days();
    let lines = of(&world, StatKind::Raw);
    for line in &lines {
        let f = fields(line);
        assert_eq!(f.len(), 6, "{}", line.text);
        assert!(f[0].starts_with("192.0.2.") && f[1] == CLIENT, "{}", line.text);
        assert!(f[2..].iter().all(|x| decimals(x) == 9), "{}", line.text);
        // Whole seconds and fraction apart: an f64 does not hold both.
        let parts = |x: &str| -> (i64, f64) {
            let (whole, fraction) = x.split_once('.').unwrap();
            (whole.parse().unwrap(), number(&format!("0.{fraction}")))
        };
        let t: Vec<(i64, f64)> = f[2..].iter().map(|x| parts(x)).collect();
        let minus = |a: usize, b: usize| (t[a].0 - t[b].0) as f64 + t[a].1 - t[b].1;
        let (unix, nanos) = line.at.to_unix(START);
        let written = (t[3].0 - 2_208_988_800 - unix) as f64 + t[3].1 - f64::from(nanos) * 1e-9;
        assert!(written.abs() < 0.001, "{}", line.text);
        let delay = minus(3, 0) - minus(2, 1);
        let offset = (minus(1, 0) + minus(2, 3)) / 2.0;
        assert!((0.0199..0.060).contains(&delay) && offset.abs() < 0.6, "{}", line.text);
    }
    println!("rawstats: {} lines, the last: {}", lines.len(), lines.last().unwrap().text);
    assert!(lines.len() > 200);
    let steps = world.hosts[0].events.iter().filter(|(_, e)| matches!(e, Event::TimeReset(_))).count();
    assert_eq!(steps, 1, "half a second off at the start");
}

#[test]
fn sysstats_tell_what_was_counted_in_the_hour() {
    let world = two_days();
    let lines = of(&world, StatKind::Sys);
    // The first hour ends at 13:00, the last at 12:00 two days later.
    assert!((47..=48).contains(&lines.len()), "{}", lines.len());
    let mut received = 0;
    for line in &lines {
        let f: Vec<u64> = fields(line).iter().map(|x| x.parse().unwrap()).collect();
        assert_eq!(f.len(), 11, "{}", line.text);
        assert!((3599..=3601).contains(&f[0]), "{}", line.text);
        assert!(f[2] <= f[1] && f[3] == f[1] && f[4..].iter().all(|x| *x == 0), "{}", line.text);
        received += f[1];
    }
    println!("sysstats: {} lines, the last: {}", lines.len(), lines.last().unwrap().text);
    // Whatever was received in this world was a valid answer.
    let end = lines.last().unwrap().at;
    let counted = |line: &&&StatLine| (end - line.at).to_seconds().get() >= 0.0;
    let answers = of(&world, StatKind::Raw).iter().filter(counted).count() as u64;
    println!("sysstats: {received} received, {answers} valid answers");
    assert_eq!(received, answers);
}

#[test]
fn protostats_tell_the_events_with_status_and_code() {
    let world = two_days();
    let lines = of(&world, StatKind::Proto);
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for line in &lines {
        let f = fields(line);
        let is_clock = f[0].starts_with("LOCAL(");
        assert!(is_clock || f[0].parse::<std::net::IpAddr>().is_ok(), "{}", line.text);
        let status = u16::from_str_radix(f[1], 16).unwrap();
        let code = u8::from_str_radix(f[2], 16).unwrap();
        assert_eq!((f[1].len(), f[2].len()), (4, 2), "{}", line.text);
        assert_eq!(code & 0x80 != 0, f[0] != "0.0.0.0", "{}", line.text);
        assert_eq!(status & 0xf, u16::from(code & 0xf), "the status names the event: {}", line.text);
        *seen.entry(f[3].to_owned()).or_default() += 1;
    }
    println!("protostats: {} lines: {seen:?}", lines.len());
    let first: Vec<&str> = lines.iter().take(3).map(|l| l.text.splitn(3, ' ').nth(2).unwrap()).collect();
    assert_eq!(first[0], "0.0.0.0 c016 06 restart");
    assert_eq!(first[1], "0.0.0.0 c011 01 freq_not_set");
    assert!(first[2].starts_with("192.0.2.1 8011 81 mobilize assoc "), "{first:?}");
    assert_eq!((seen["mobilize"], seen["clock_step"], seen["unreachable"], seen["reachable"]), (3, 1, 1, 4));
}

#[test]
fn what_is_not_to_be_written_is_not() {
    let world = world(statistics(PathBuf::from("/nonexistent")), false);
    assert!(world.hosts[0].stats.is_empty(), "disable stats");
    // LOCAL has no time code, Autokey and timing have nothing to tell.
    let world = two_days();
    for kind in [StatKind::Clock, StatKind::Crypto, StatKind::Timing] {
        assert!(of(&world, kind).is_empty());
    }
}

#[test]
fn the_files_of_two_days_are_three_a_kind_with_a_link_to_the_last() {
    let dir = std::env::temp_dir().join(format!("rsntpd-statistics-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    let config = statistics(dir.clone());
    let world = world(config.clone(), true);
    let mut files = StatFiles::new(&config);
    for line in &world.hosts[0].stats {
        assert_eq!(files.write(line, 0), None);
    }
    let read = |name: String| std::fs::read_to_string(dir.join(name)).unwrap();
    for name in ["loopstats", "peerstats", "rawstats", "sysstats"] {
        let mut count = 0;
        for (day, date) in ["20260110", "20260111", "20260112"].iter().enumerate() {
            let text = read(format!("{name}.{date}"));
            let mjd = format!("{} ", FIRST_DAY + day as i64);
            assert!(!text.is_empty() && text.lines().all(|l| l.starts_with(&mjd)), "{name}.{date}");
            count += text.lines().count();
        }
        let kind = KINDS.iter().find(|k| k.1 == name).unwrap().0;
        assert_eq!(count, of(&world, kind).len());
        assert_eq!(read(name.to_owned()), read(format!("{name}.20260112")));
    }
    std::fs::remove_dir_all(&dir).unwrap();
}
