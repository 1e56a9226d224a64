//! Long runs in the simulator: how well the clock is kept, and what becomes of it when the world
//! misbehaves. Every limit is a number; every world is its seed.

use rsntpd::config::model::{Config, Kind, Server, Target};
use rsntpd::engine::clock::{Drift, Record};
use rsntpd::engine::contract::{ExitReason, Input, Setup};
use rsntpd::engine::report::event::Event;
use rsntpd::units::{Leap, Ppm, Seconds, Stratum};
use sim::chance::Dice;
use sim::clock::Clock;
use sim::link::{Link, Queue};
use sim::scenario::{CLIENT, EPOCH, Scenario, table};
use sim::world::{TrueServer, World};

/// What today's loop keeps to: name, rms in µs over 30,000 s, packets.
const LIMITS: [(&str, f64, u64); 15] = [
    ("lan", 9.5, 150),
    ("campus", 40.0, 140),
    ("internet", 150.0, 140),
    ("bad", 900.0, 140),
    ("wander", 400.0, 150),
    ("lan-wander", 10.0, 480),
    ("quiet", 90.0, 140),
    ("cold", 150.0, 140),
    ("asym", 150.0, 140),
    ("burst", 60.0, 140),
    ("loss", 200.0, 140),
    ("thermal", 500.0, 140),
    ("four", 120.0, 560),
    ("falsetick", 120.0, 560),
    ("fixpoll6", 80.0, 480),
];

#[test]
fn every_scenario_of_the_accuracy_table_keeps_its_limit() {
    println!("{:<11} {:>8} {:>8} {:>8} {:>8}", "scenario", "rms us", "limit", "packets", "settle s");
    let mut failed = Vec::new();
    for scenario in table() {
        let (_, limit, packets) = LIMITS.iter().find(|l| l.0 == scenario.name).unwrap();
        for seed in [11, 12] {
            let report = scenario.run(seed, 30_000.0);
            let settle = report.settle.unwrap_or(f64::INFINITY);
            let rms = report.rms * 1e6;
            println!("{:<11} {rms:>8.1} {limit:>8.1} {:>8} {settle:>8.0}", scenario.name, report.packets);
            if rms > *limit || report.packets > *packets || settle > 40.0 {
                failed.push(format!("{} seed {seed}: {report:?}", scenario.name));
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn the_same_seed_gives_the_same_world() {
    let run = || Scenario::new("again", 0.01, 0.001, 1e-9).run(42, 5000.0);
    let (a, b) = (run(), run());
    assert_eq!((a.rms.to_bits(), a.max.to_bits(), a.packets), (b.rms.to_bits(), b.max.to_bits(), b.packets));
}

fn internet() -> Scenario {
    Scenario::new("internet", 0.010, 0.001, 1e-9)
}

fn happened(world: &World, host: usize, wanted: impl Fn(&Event) -> bool) -> usize {
    world.hosts[host].events.iter().filter(|(_, e)| wanted(e)).count()
}

fn largest_error(world: &mut World, until: f64) -> f64 {
    let mut largest = 0f64;
    while world.time < until {
        world.run((world.time + 1.0).min(until));
        largest = largest.max(world.hosts[0].clock.offset.abs());
    }
    largest
}

#[test]
fn a_server_that_jumps_for_a_while_does_not_take_the_clock_along() {
    let mut world = internet().world(3);
    world.servers[0].error = Box::new(|t| if (10_000.0..10_600.0).contains(&t) { 1.0 } else { 0.0 });
    world.run(9_000.0);
    assert!(largest_error(&mut world, 20_000.0) < 5e-3);
    assert_eq!(happened(&world, 0, |e| matches!(e, Event::TimeReset(_))), 0);
}

#[test]
fn a_server_that_jumps_for_good_is_followed_after_the_stepout_time() {
    let mut world = internet().world(3);
    world.servers[0].error = Box::new(|t| if t > 10_000.0 { 1.0 } else { 0.0 });
    world.run(20_000.0);
    let steps: Vec<f64> = world.hosts[0]
        .events
        .iter()
        .filter_map(|(at, e)| matches!(e, Event::TimeReset(_)).then_some(*at))
        .collect();
    assert_eq!(steps.len(), 1);
    assert!((10_900.0..12_500.0).contains(&steps[0]), "{steps:?}");
    assert!((world.hosts[0].clock.offset - 1.0).abs() < 0.01);
}

/// A start with a drift file, where 20 ppm would be right: the largest error from the first minute to an hour later in ms,
/// and what is remembered of it for the next start.
fn start_with(drift: Drift, seed: u64) -> (f64, Option<Record>) {
    let scenario = internet();
    let mut world = scenario.world(seed);
    let host = world.hosts.pop().unwrap();
    let setup = Setup { config: host.engine.config().clone(), ..Setup::default() };
    let clock = Clock::new(EPOCH, 0.0, -20e-6, 1e-9, Dice::new(seed, 1));
    world.add_host(CLIENT, clock, setup, Some(drift), &mut Dice::new(seed, 2));
    world.run(60.0);
    let worst = largest_error(&mut world, 3700.0);
    world.run(7300.0);
    (worst * 1e3, world.hosts[0].record)
}

#[test]
fn a_drift_file_is_believed_as_far_as_its_age_and_past_allow() {
    let right = Drift::new(Ppm::new(20.0));
    let record = Record { rms: Ppm::new(12.0), starts: 8 };
    let sum = |drift: Drift| (5..9).map(|seed| start_with(drift, seed).0).sum::<f64>();
    let believed = sum(right);
    let doubted = sum(Drift { record, ..right });
    let old = sum(Drift { age: Some(Seconds::new(3.0 * 365.0 * 86_400.0)), ..right });
    println!("{believed} {doubted} {old}");
    assert!(believed < 0.8 * doubted && believed < 0.9 * old, "{believed} {doubted} {old}");
    let learnt = start_with(Drift::new(Ppm::new(10.0)), 5).1.unwrap();
    assert!((learnt.rms.get() - 10.0).abs() < 2.5 && learnt.starts == 1, "{learnt:?}");
    let learnt = start_with(right, 5).1.unwrap();
    assert!(learnt.rms.get() < 1.0, "{learnt:?}");
}

#[test]
fn a_drift_file_that_is_all_wrong_costs_little() {
    // Of another machine, for instance: believed for an hour, it would cost 3 to 14 ms.
    for wrong in [10.0, 0.0, 50.0, -80.0] {
        let figures: Vec<f64> = (5..9).map(|seed| start_with(Drift::new(Ppm::new(wrong)), seed).0).collect();
        assert!(figures.iter().all(|worst| *worst < 2.0), "{wrong} ppm: {figures:?} ms");
    }
}

#[test]
fn a_pause_of_the_machine_is_survived() {
    let mut world = internet().world(5);
    world.run(10_000.0);
    world.hosts[0].clock.pause(600.0);
    world.time += 600.0;
    world.run(14_000.0);
    assert!(world.hosts[0].clock.offset.abs() < 2e-3, "{}", world.hosts[0].clock.offset);
    assert_eq!(world.hosts[0].exit, None);
}

#[test]
fn a_clock_set_by_somebody_else_is_set_right_again() {
    let mut world = internet().world(6);
    world.run(10_000.0);
    world.hosts[0].clock.step(0.050);
    world.run(14_000.0);
    assert!(world.hosts[0].clock.offset.abs() < 2e-3, "{}", world.hosts[0].clock.offset);
}

#[test]
fn a_daemon_that_is_killed_leaves_a_clock_that_runs_true() {
    let mut world = Scenario { offset: 0.100, drift: 40e-6, ..internet() }.world(7);
    // In the middle of a correction: the kernel's loop and a slew are at work.
    world.run(12.0);
    let host = &mut world.hosts[0];
    assert!(host.clock.offset.abs() > 0.01, "{}", host.clock.offset);
    host.exit = Some(ExitReason::Shutdown);
    let estimate = host.engine.frequency();
    world.run(15.0);
    assert!(world.hosts[0].clock.offset.abs() > 0.01, "the daemon is dead, the rest is not worked off");
    world.run(180.0);
    let (before, at) = (world.hosts[0].clock.offset, world.time);
    world.run(240.0);
    let clock = &world.hosts[0].clock;
    let rate = (clock.offset - before) / (world.time - at);
    let expected = clock.drift + estimate.rate();
    assert!((rate - expected).abs() < 0.1e-6, "nothing of the correction is left: {rate} {expected}");
    assert!((clock.correction - estimate.rate()).abs() < 1e-9);
}

#[test]
fn the_local_clock_takes_over_and_gives_way_again() {
    let mut world = World::new(EPOCH);
    let mut line = Server::new(Kind::Server, Target::Address("192.0.2.1".parse().unwrap()));
    line.iburst = true;
    let mut local = Server::new(Kind::Server, Target::LocalClock { unit: 0 });
    local.fudge.stratum = Some(Stratum::new(10));
    let mut server = TrueServer::new("192.0.2.1");
    server.answers = Box::new(|t| !(5_000.0..12_000.0).contains(&t));
    world.servers.push(server);
    world.connect(CLIENT, "192.0.2.1", Link::even(0.01, Queue::Exponential(0.001), Dice::new(9, 9)));
    world.connect("10.0.0.2", CLIENT, Link::even(0.001, Queue::Exponential(0.0001), Dice::new(9, 8)));
    let clock = |n| Clock::new(EPOCH, 0.01, 10e-6, 1e-9, Dice::new(9, n));
    let setup = |servers| Setup { config: Config { servers, ..Config::default() }, ..Setup::default() };
    world.add_host(CLIENT, clock(1), setup(vec![line, local]), None, &mut Dice::new(9, 2));
    let ours = Server::new(Kind::Server, Target::Address(CLIENT.parse().unwrap()));
    world.add_host("10.0.0.2", clock(3), setup(vec![ours]), None, &mut Dice::new(9, 4));
    world.run(20_000.0);
    let to = |host: usize, text: &str| -> Vec<f64> {
        world.hosts[host].events.iter().filter(|(_, e)| e.text() == text).map(|(t, _)| *t).collect()
    };
    let servers = to(0, "synchronized to 192.0.2.1, stratum 1");
    let local = to(0, "synchronized to LOCAL(0), stratum 10");
    assert_eq!((servers.len(), local.len()), (2, 1), "{servers:?} {local:?}");
    assert!(servers[0] < 20.0 && (5_500.0..8_000.0).contains(&local[0]) && servers[1] < 13_500.0);
    assert_eq!(
        to(1, "synchronized to 10.0.0.1, stratum 2").len(),
        1,
        "the client stays with us all the time"
    );
    let apart = world.hosts[0].clock.offset - world.hosts[1].clock.offset;
    assert!(apart.abs() < 1e-3, "{apart}");
}

#[test]
fn a_bad_network_costs_nothing_but_noise() {
    let mut world = internet().world(13);
    let mut link = Link::even(0.010, Queue::Pareto(0.001, 1.5), Dice::new(13, 50));
    (link.loss, link.duplicate) = (0.2, 0.3);
    world.connect(CLIENT, "192.0.2.1", link);
    world.run(4_000.0);
    assert!(largest_error(&mut world, 30_000.0) < 5e-3);
}

#[test]
fn half_of_the_servers_may_drift_away() {
    let mut world = Scenario { servers: 5, ..internet() }.world(17);
    for server in &mut world.servers[3..] {
        server.error = Box::new(|t| (t - 5_000.0).max(0.0) * 20e-6);
    }
    world.run(4_000.0);
    assert!(largest_error(&mut world, 30_000.0) < 5e-3);
}

#[test]
fn the_era_may_end_meanwhile() {
    // 2036-02-07 06:28:16 UTC, less an hour.
    let epoch = 2_085_978_496 - 3_600;
    let mut world = World::new(epoch);
    let line =
        Server { iburst: true, ..Server::new(Kind::Server, Target::Address("192.0.2.1".parse().unwrap())) };
    world.servers.push(TrueServer::new("192.0.2.1"));
    world.connect(CLIENT, "192.0.2.1", Link::even(0.01, Queue::Exponential(0.001), Dice::new(1, 9)));
    let clock = Clock::new(epoch, 0.01, 10e-6, 1e-9, Dice::new(1, 1));
    let setup = Setup { config: Config { servers: vec![line], ..Config::default() }, ..Setup::default() };
    world.add_host(CLIENT, clock, setup, None, &mut Dice::new(1, 2));
    world.run(2_000.0);
    assert!(largest_error(&mut world, 10_000.0) < 5e-3);
    assert_eq!(happened(&world, 0, |e| matches!(e, Event::TimeReset(_))), 0);
}

#[test]
fn with_x_four_tenths_of_a_second_are_slewed_without_a_step() {
    let mut scenario = internet();
    scenario.offset = 0.4;
    let mut world = scenario.world(19);
    let mut setup = Setup::default();
    setup.config.tinker.step = Seconds::new(600.0);
    setup.config.servers.push(Server {
        iburst: true,
        ..Server::new(Kind::Server, Target::Address("192.0.2.1".parse().unwrap()))
    });
    let clock = Clock::new(EPOCH, 0.4, 10e-6, 1e-9, Dice::new(19, 1));
    world.hosts.clear();
    world.add_host(CLIENT, clock, setup, None, &mut Dice::new(19, 2));
    world.run(400.0);
    let offset = world.hosts[0].clock.offset;
    assert!((0.15..0.35).contains(&offset), "half way: {offset}");
    world.run(3_000.0);
    assert!(world.hosts[0].clock.offset.abs() < 1e-3);
    assert_eq!(happened(&world, 0, |e| matches!(e, Event::TimeReset(_))), 0);
}

#[test]
fn a_leap_second_passes_without_a_step() {
    // 2026-06-30 12:00 UTC; the kernel inserts the second, the servers' time as well.
    let epoch = 1_782_820_800;
    let midnight = 43_200.0;
    let mut world = World::new(epoch);
    let line =
        Server { iburst: true, ..Server::new(Kind::Server, Target::Address("192.0.2.1".parse().unwrap())) };
    let mut server = TrueServer::new("192.0.2.1");
    server.leap = Leap::Insert;
    server.error = Box::new(move |t| if t >= midnight { -1.0 } else { 0.0 });
    world.servers.push(server);
    world.connect(CLIENT, "192.0.2.1", Link::even(0.01, Queue::Exponential(0.001), Dice::new(1, 9)));
    let clock = Clock::new(epoch, 0.01, 10e-6, 1e-9, Dice::new(1, 1));
    let setup = Setup { config: Config { servers: vec![line], ..Config::default() }, ..Setup::default() };
    world.add_host(CLIENT, clock, setup, None, &mut Dice::new(1, 2));
    world.run(midnight);
    assert_eq!(happened(&world, 0, |e| *e == Event::LeapArmed(Leap::Insert)), 1);
    world.hosts[0].clock.step(-1.0);
    world.servers[0].leap = Leap::None;
    world.run(midnight + 10_000.0);
    assert!((world.hosts[0].clock.offset + 1.0).abs() < 5e-3, "{}", world.hosts[0].clock.offset);
    assert_eq!(happened(&world, 0, |e| matches!(e, Event::TimeReset(_))), 0);
    assert_eq!(happened(&world, 0, |e| matches!(e, Event::LeapOccurred(_))), 1);
}

#[test]
fn a_timer_that_comes_early_or_twice_is_harmless() {
    let mut world = internet().world(23);
    for second in 1..500 {
        world.run(f64::from(second) * 1.3);
        world.input(0, Input::Timer);
        world.input(0, Input::Timer);
    }
    let pace = world.hosts[0].sent;
    assert!(pace < 25, "{pace} requests in 650 s");
}

/// A host with `-g` or without, whose clock shows `shown` (Unix time) at a true time of `truth`.
fn start_in_the_wrong_year(truth: i64, shown: i64, lenient: bool, panic: f64) -> World {
    let mut world = World::new(truth);
    let line =
        Server { iburst: true, ..Server::new(Kind::Server, Target::Address("192.0.2.1".parse().unwrap())) };
    world.servers.push(TrueServer::new("192.0.2.1"));
    world.connect(CLIENT, "192.0.2.1", Link::even(0.01, Queue::Exponential(0.001), Dice::new(4, 9)));
    let clock = Clock::new(truth, (shown - truth) as f64 + 0.01, 10e-6, 1e-9, Dice::new(4, 1));
    let mut config = Config { servers: vec![line], ..Config::default() };
    config.tinker.panic = Seconds::new(panic);
    let setup = Setup { config, allow_panic_once: lenient, ..Setup::default() };
    world.add_host(CLIENT, clock, setup, None, &mut Dice::new(4, 2));
    world
}

#[test]
fn f7_e11_a_clock_that_is_decades_or_eras_off_is_right_within_five_seconds() {
    let year = |year: i64| (year - 1970) * 31_556_952;
    let era = 1i64 << 32;
    // True time and what the clock shows: a dead battery (1970, 2000) before and after 2036, clocks before 1970, clocks
    // more than 68 years ahead, and clocks that are whole eras off, which no timestamp shows.
    for (truth, shown) in [
        (year(2026), 0),
        (year(2026), year(1901)),
        (year(2026), year(2095)),
        (year(2026), year(2111)),
        (year(2040), 0),
        (year(2040), -86_400),
        (year(2040), year(2000)),
        (year(2040), year(1925)),
        (year(2100), 0),
        (year(2100), year(2026)),
        (year(1990), year(2070)),
        (year(2026), year(2026) - era),
        (year(2026), year(2026) + era),
        (year(2040), year(2040) - era),
        (year(2040), year(2040) - era + 3),
        (year(2040), year(2040) + 2 * era - 500_000),
    ] {
        for (lenient, panic) in [(true, 1000.0), (false, 0.0)] {
            let mut world = start_in_the_wrong_year(truth, shown, lenient, panic);
            world.run(5.0);
            let offset = world.hosts[0].clock.offset;
            assert!(offset.abs() < 0.1, "{truth} {shown}: {offset}");
            world.run(600.0);
            assert!(
                world.hosts[0].clock.offset.abs() < 2e-3,
                "{truth} {shown}: {}",
                world.hosts[0].clock.offset
            );
            assert_eq!(world.hosts[0].exit, None);
            let told = world.hosts[0].events.iter().find_map(|(_, e)| match e {
                Event::TimeReset(by) => Some(by.get()),
                _ => None,
            });
            let told = told.unwrap();
            assert!((told - (truth - shown) as f64).abs() < 1.0, "{truth} {shown}: time reset {told}");
        }
    }
}

#[test]
fn f7_without_g_a_clock_that_is_decades_or_eras_off_stops_the_daemon() {
    for shown in [0, 2_208_988_800 - (1 << 32), 2_208_988_800 + (1 << 32)] {
        let mut world = start_in_the_wrong_year(2_208_988_800, shown, false, 1000.0);
        world.run(20.0);
        assert_eq!(world.hosts[0].exit, Some(ExitReason::Panic), "{shown}");
        assert!((world.hosts[0].clock.unix() - shown).abs() < 60, "the clock is left alone");
    }
}
