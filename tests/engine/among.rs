//! The clock among others: servers that start together, near and far sources, wrong ones, long silence, a clock that another process
//! sets. Each limit is a number; every world is its seed.

use rsntpd::config::model::Server;
use rsntpd::engine::Served;
use rsntpd::engine::clock::Drift;
use rsntpd::engine::contract::{ExitReason, Rx, Setup, SocketId};
use rsntpd::engine::report::event::Event;
use rsntpd::units::{Leap, PollExponent, Ppm, Seconds, Stamp};
use rsntpd::wire::Header;
use sim::chance::Dice;
use sim::clock::Clock;
use sim::link::{Link, Queue};
use sim::scenario::{CLIENT, EPOCH};
use sim::sweep::in_parallel;
use sim::world::{TrueServer, World};

pub(crate) use crate::plan::Plan;
use crate::plan::line;
use sim::limits::{SEEDS, rms, within};

/// Runs until `until`, and gives the clock's error at each second of it; host `index`.
pub(crate) fn watch(world: &mut World, index: usize, until: f64) -> Vec<f64> {
    let mut errors = Vec::new();
    while world.time < until {
        world.run((world.time.floor() + 1.0).min(until));
        errors.push(world.hosts[index].clock.offset);
    }
    errors
}

fn worst(errors: &[f64]) -> f64 {
    errors.iter().fold(0.0, |most, e| f64::max(most, e.abs()))
}

/// After how many seconds the error stays below `limit`.
fn settled(errors: &[f64], limit: f64) -> f64 {
    errors.iter().rposition(|e| e.abs() > limit).map_or(0.0, |last| last as f64 + 1.0)
}

fn events(world: &World, wanted: impl Fn(&Event) -> bool) -> Vec<f64> {
    world.hosts[0].events.iter().filter(|(_, e)| wanted(e)).map(|(at, _)| *at).collect()
}

pub(crate) fn lost_sync(world: &World) -> Vec<f64> {
    events(world, |e| *e == Event::NoSystemPeer)
}

pub(crate) fn synchronized(world: &World) -> f64 {
    events(world, |e| *e == Event::ClockSync).first().copied().unwrap_or(f64::INFINITY)
}

/// What a client receives from us: the leap bits and the error bound.
fn served(world: &mut World, index: usize) -> (Leap, f64) {
    let host = &mut world.hosts[index];
    let mut request = [0; 48];
    request[0] = 0x23;
    request[47] = 1;
    let now = host.clock.now();
    let from = "10.0.0.77:40000".parse().unwrap();
    let (to, socket) = (host.address, SocketId(0));
    let rx = Rx { data: &request, from, to, socket, received: Stamp::clock(now.wall) };
    let mut reply = [0; rsntpd::engine::Engine::REPLY_MAX];
    let Served::Reply(len) = host.engine.serve(now, &rx, &mut || now.wall, &mut reply) else {
        panic!("no response")
    };
    let header = Header::parse(&reply[..len]).unwrap();
    let distance = header.root_delay.to_seconds().get() / 2.0 + header.root_dispersion.to_seconds().get();
    (header.leap, distance)
}

/// Machines that start together: each follows the one before, the first of them a true server.
struct Chain {
    nodes: usize,
    iburst: bool,
    /// Offset of the second node's clock; the others' clocks are right.
    offset: f64,
    drift: f64,
}

impl Chain {
    fn address(node: usize) -> String {
        format!("10.0.0.{node}")
    }

    fn world(&self, seed: u64) -> World {
        let mut world = World::new(EPOCH);
        world.servers.push(TrueServer::new("10.0.0.1"));
        for node in 2..=self.nodes {
            let (own, before) = (Self::address(node), Self::address(node - 1));
            let queue = Queue::Exponential(10e-6);
            world.connect(&own, &before, Link::even(100e-6, queue, Dice::new(seed, 100 + node as u64)));
            let mut setup = Setup::default();
            setup.config.servers = vec![Server { iburst: self.iburst, ..line(&before) }];
            let (offset, drift) = if node == 2 { (self.offset, self.drift) } else { (0.0, 0.0) };
            let clock = Clock::new(EPOCH, offset, drift, 1e-9, Dice::new(seed, node as u64));
            world.add_host(&own, clock, setup, None, &mut Dice::new(seed, 50 + node as u64));
        }
        world
    }

    /// The worst error of all but the second node, in ms, and how long it takes until all stay within 1 ms.
    fn run(&self, seed: u64) -> (f64, f64) {
        let mut world = self.world(seed);
        let mut errors = vec![Vec::new(); self.nodes - 1];
        while world.time < 6_000.0 {
            world.run(world.time.floor() + 1.0);
            for (node, host) in errors.iter_mut().zip(&world.hosts) {
                node.push(host.clock.offset);
            }
        }
        let most = errors.iter().skip(1).map(|e| worst(e)).fold(0.0, f64::max);
        let latest = errors.iter().map(|e| settled(e, 1e-3)).fold(0.0, f64::max);
        (most * 1e3, latest)
    }
}

fn chains() -> Vec<(&'static str, Chain)> {
    let plain = |offset, drift| Chain { nodes: 3, iburst: false, offset, drift };
    vec![
        ("0.1 s", plain(0.1, 0.0)),
        ("0.1 s, iburst", Chain { iburst: true, ..plain(0.1, 0.0) }),
        ("10 ms, 100 ppm", plain(0.01, 100e-6)),
        ("120 ms, -100 ppm, iburst", Chain { iburst: true, ..plain(0.12, -100e-6) }),
        ("-120 ms, 100 ppm", plain(-0.12, 100e-6)),
        ("five, 0.1 s", Chain { nodes: 5, ..plain(0.1, 0.0) }),
        ("five, 120 ms, 100 ppm, iburst", Chain { nodes: 5, iburst: true, ..plain(0.12, 100e-6) }),
    ]
}

#[test]
fn f1_servers_that_start_together_do_not_lead_each_other_astray() {
    within("ms", 20.0, &chains(), |chain, seed| chain.run(seed).0);
    within("s", 300.0, &chains(), |chain, seed| chain.run(seed).1);
}

pub(crate) type Make = fn(Plan) -> Plan;

pub(crate) fn steady(make: impl FnOnce(Plan) -> Plan, seed: u64) -> f64 {
    let mut world = make(Plan::new(seed)).world();
    let errors = watch(&mut world, 0, 20_000.0);
    rms(&errors[4_000..]) * 1e3
}

#[test]
fn f2_a_near_server_outweighs_far_ones_with_uneven_paths() {
    let worlds: [(&str, Make); 4] = [
        ("LAN and three", |plan| {
            plan.near().server(25e-3, 15e-3, 1e-3).server(25e-3, 15e-3, 1e-3).server(25e-3, 15e-3, 1e-3)
        }),
        ("LAN and one", |plan| plan.near().server(25e-3, 15e-3, 1e-3)),
        ("two LAN and two satellite", |plan| {
            plan.near().near().server(0.3, 0.1, 1e-3).server(0.3, 0.1, 1e-3)
        }),
        ("LAN and two with 1 s on one way", |plan| {
            plan.near().server(1.0001, 1e-4, 1e-4).server(1.0001, 1e-4, 1e-4)
        }),
    ];
    within("ms", 0.05, &worlds, |make, seed| steady(*make, seed));
}

#[test]
fn f3_of_three_servers_one_may_be_wrong() {
    let worlds: [(&str, Make); 4] = [
        ("5 ms", |plan| plan.near().near().near().wrong_by(5e-3)),
        ("20 ms", |plan| plan.near().near().near().wrong_by(20e-3)),
        ("5 ms, error bounds of 10 ms", |plan| {
            let unsure = |plan: Plan| plan.near().last(|server, _, _| server.root_dispersion = 10e-3);
            unsure(unsure(unsure(plan))).wrong_by(5e-3)
        }),
        ("three in the Internet, 20 ms", |plan| {
            let far = |plan: Plan| plan.server(2e-3, 2e-3, 20e-6);
            far(far(far(plan))).wrong_by(20e-3)
        }),
    ];
    within("ms", 0.05, &worlds, |make, seed| steady(*make, seed));
}

/// The server responds except in this window: how long after its end until the clock stays within 1 ms.
fn after_silence(from: f64, to: f64, iburst: bool, seed: u64) -> f64 {
    let plan = Plan { drift: 50e-6, ..Plan::new(seed) }.near().last(|server, _, line| {
        server.answers = Box::new(move |t| !(from..to).contains(&t));
        line.iburst = iburst;
    });
    let mut world = plan.world();
    world.run(to);
    settled(&watch(&mut world, 0, to + 6_000.0), 1e-3)
}

#[test]
fn f4_the_first_response_after_a_silence_sets_the_clock_right() {
    let worlds = [
        ("an hour from the start", (0.0, 3_600.0, true)),
        ("an hour from the start, no iburst", (0.0, 3_600.0, false)),
        ("a day in mid-run", (20_000.0, 106_400.0, true)),
        ("a day in mid-run, no iburst", (20_000.0, 106_400.0, false)),
    ];
    within("s", 150.0, &worlds, |(from, to, iburst), seed| after_silence(*from, *to, *iburst, seed));
}

#[test]
fn f5_clients_learn_at_once_that_the_clock_may_be_wrong() {
    let reported = [("reported by the kernel", true), ("seen by the samples", false)];
    within("s", 300.0, &reported, |reported, seed| {
        let mut world = Plan::new(seed).near().world();
        world.run(20_000.0);
        if *reported {
            world.set_clock(0, 10.0);
            let (leap, distance) = served(&mut world, 0);
            assert!(leap == Leap::Unsynchronised && distance > 10.0, "{leap:?} {distance}");
        } else {
            world.hosts[0].clock.step(10.0);
        }
        // How long clients are given an error bound that does not hold.
        let mut silent = 0.0;
        for _ in 0..2_000 {
            world.run(world.time.floor() + 1.0);
            let (leap, distance) = served(&mut world, 0);
            if leap != Leap::Unsynchronised && distance < world.hosts[0].clock.offset.abs() {
                silent += 1.0;
            }
        }
        silent
    });
}

#[test]
fn e6_a_clock_set_by_another_process_is_right_again_within_two_minutes() {
    let steps = [-1e8, -1e5, -100.0, -0.3, 0.3, 10.0, 100.0, 1e5, 1e8];
    let worlds: Vec<(String, f64)> = steps.iter().map(|by| (format!("{by} s"), *by)).collect();
    let named: Vec<(&str, f64)> = worlds.iter().map(|(name, by)| (name.as_str(), *by)).collect();
    within("s", 120.0, &named, |by, seed| {
        let mut world = Plan::new(seed).near().world();
        world.run(20_000.0);
        world.set_clock(0, *by);
        let errors = watch(&mut world, 0, 23_000.0);
        assert_eq!(events(&world, |e| matches!(e, Event::ClockSetOutside { .. })), [20_000.0]);
        assert_eq!(world.hosts[0].exit, None);
        settled(&errors, 1e-3)
    });
}

#[test]
fn e6_a_clock_set_again_and_again_is_set_right_each_time() {
    let worlds = [("100 s", 100.0), ("-1e8 s", -1e8), ("1e8 s", 1e8)];
    within("s", 120.0, &worlds, |by, seed| {
        let mut plan = Plan::new(seed).near();
        plan.setup.config.tinker.panic = Seconds::ZERO;
        let mut world = plan.world();
        let mut longest = 0.0;
        for n in 1..20 {
            let at = f64::from(n) * 500.0;
            world.run(at);
            world.set_clock(0, *by);
            longest = f64::max(longest, settled(&watch(&mut world, 0, at + 499.0), 1e-3));
        }
        longest
    });
}

#[test]
fn e6_only_what_a_majority_agrees_on_takes_a_step_back() {
    within("s", 120.0, &[("four, one wrong by 0.5 s", ())], |(), seed| {
        let mut world = Plan::new(seed).near().wrong_by(0.5).near().near().near().world();
        world.run(20_000.0);
        world.set_clock(0, -100.0);
        let errors = watch(&mut world, 0, 22_000.0);
        assert_eq!(events(&world, |e| matches!(e, Event::TimeReset(_))).len(), 1);
        settled(&errors, 1e-3)
    });
    // A correction that does not take back what was done panics as ever.
    let lies = |server: &mut TrueServer, _: &mut Link, _: &mut Server| {
        server.error = Box::new(|t| if t > 20_000.0 { 5_000.0 } else { 0.0 });
    };
    let mut world = Plan::new(1).near().last(lies).world();
    world.run(20_000.5);
    world.set_clock(0, 100.0);
    world.run(20_200.0);
    assert_eq!(world.hosts[0].exit, Some(ExitReason::Panic));
}

#[test]
fn e6_a_leap_second_of_the_kernel_is_not_another_process() {
    // 2026-06-30 12:00 UTC.
    let midnight = 43_200.0;
    let mut world = World::new(1_782_820_800);
    let mut server = TrueServer::new("192.0.2.1");
    server.leap = Leap::Insert;
    server.error = Box::new(move |t| if t >= midnight { -1.0 } else { 0.0 });
    world.servers.push(server);
    world.connect(CLIENT, "192.0.2.1", Link::even(1e-3, Queue::Exponential(1e-4), Dice::new(1, 9)));
    let mut setup = Setup::default();
    setup.config.servers = vec![line("192.0.2.1")];
    let clock = Clock::new(1_782_820_800, 0.0, 10e-6, 1e-9, Dice::new(1, 1));
    world.add_host(CLIENT, clock, setup, None, &mut Dice::new(1, 2));
    world.run(midnight);
    world.set_clock(0, -1.0);
    assert_eq!(events(&world, |e| matches!(e, Event::ClockSetOutside { .. })).len(), 0);
    world.set_clock(0, -1.0);
    assert_eq!(events(&world, |e| matches!(e, Event::ClockSetOutside { .. })).len(), 1, "once is enough");
}

#[test]
fn f8_no_start_logs_that_no_servers_are_reachable() {
    let seeds: Vec<u64> = (1..=40).collect();
    let lost = in_parallel(&seeds, |seed| {
        let queue = 1e-4;
        let plan = Plan { drift: 100e-6, ..Plan::new(*seed) };
        let four =
            (0..4).fold(plan, |plan, _| plan.server(1e-3, 1e-3, queue)).all(|line| line.iburst = false);
        let mut world = four.world();
        world.run(4_000.0);
        lost_sync(&world).len()
    });
    assert_eq!(lost.iter().sum::<usize>(), 0, "{lost:?}");
}

#[test]
fn e1_no_servers_reachable_is_logged_only_when_none_is() {
    let worlds: [(&str, Make); 5] = [
        ("minsane 3, one wrong now and then", |plan| {
            plan.near()
                .near()
                .near()
                .last(|server, _, _| {
                    server.error = Box::new(|t| if (t / 3_000.0) as u64 % 3 == 1 { 0.05 } else { 0.0 });
                })
                .tos(|tos| tos.minsane = 3)
        }),
        ("three, without iburst", |plan| plan.near().near().near().all(|line| line.iburst = false)),
        ("a near one falls silent beside a far one", |plan| {
            plan.near()
                .last(|server, _, _| server.answers = Box::new(|t| t < 20_000.0))
                .server(25e-3, 15e-3, 1e-3)
        }),
        ("minpoll = maxpoll = 14", |plan| {
            plan.near().all(|l| (l.minpoll, l.maxpoll) = (PollExponent::new(14), PollExponent::new(14)))
        }),
        ("minpoll = maxpoll = 17", |plan| {
            plan.near().all(|l| (l.minpoll, l.maxpoll) = (PollExponent::new(17), PollExponent::new(17)))
        }),
    ];
    within("times", 0.0, &worlds, |make, seed| {
        let mut world = make(Plan::new(seed)).world();
        world.run(if world.servers.len() == 1 { 600_000.0 } else { 60_000.0 });
        lost_sync(&world).len() as f64
    });
}

#[test]
fn e1_no_servers_reachable_is_logged_once() {
    let mut world = Plan::new(1).near().last(|s, _, _| s.answers = Box::new(|t| t < 10_000.0)).world();
    world.run(30_000.0);
    assert_eq!(lost_sync(&world).len(), 1);
}

#[test]
fn e4_where_every_twentieth_request_passes_it_synchronizes() {
    within("s", 22_000.0, &[("iburst", true), ("no iburst", false)], |iburst, seed| {
        let plan = Plan::new(seed).near().last(|_, link, line| {
            link.one_of = Some(20);
            line.iburst = *iburst;
        });
        let mut world = plan.world();
        let errors = watch(&mut world, 0, 60_000.0);
        synchronized(&world).max(settled(&errors, 5e-3))
    });
}

#[test]
fn e5_the_tightest_intervals_decide() {
    let worlds: [(&str, Make); 4] = [
        ("two of three with 1 s on one way", |plan| {
            plan.near().server(1.0001, 1e-4, 1e-5).server(1.0001, 1e-4, 1e-5)
        }),
        ("one of two with 1 s on one way", |plan| plan.near().server(1.0001, 1e-4, 1e-5)),
        ("prefer the tight one", |plan| {
            plan.near()
                .last(|_, _, line| line.prefer = true)
                .server(1.0001, 1e-4, 1e-5)
                .server(1e-4, 1.0001, 1e-5)
        }),
        ("true with two chained false ones", |plan| {
            plan.near()
                .last(|_, _, line| line.truechimer = true)
                .server(1e-3, 1e-3, 1e-5)
                .wrong_by(0.3)
                .server(1e-3, 1e-3, 1e-5)
                .wrong_by(0.3005)
        }),
    ];
    within("ms", 0.05, &worlds, |make, seed| steady(*make, seed));
}

#[test]
fn e7_five_seconds_each_way_are_waited_for() {
    within("s", 260.0, &[("iburst", true), ("no iburst", false)], |iburst, seed| {
        let plan = Plan::new(seed).server(5.0, 5.0, 1e-3).all(|line| line.iburst = *iburst);
        let mut world = plan.tos(|tos| tos.maxdist = Seconds::new(16.0)).world();
        let errors = watch(&mut world, 0, 8_000.0);
        synchronized(&world).max(settled(&errors, 5e-3))
    });
}

#[test]
fn e9_a_clock_beyond_the_kernels_range_is_logged_once_a_day() {
    for (drift, times) in [(-5_000e-6, 1), (5_000e-6, 1), (520e-6, 1), (450e-6, 0), (100e-6, 0)] {
        let mut world = Plan { drift, ..Plan::new(1) }.near().world();
        world.run(20_000.0);
        let logged = events(&world, |e| matches!(e, Event::FrequencyExceeds(_)));
        println!("{drift}: {logged:?} {}", world.hosts[0].clock.offset);
        assert_eq!(logged.len(), times, "{drift}: {logged:?}");
    }
}

/// When the frequency is known within 1e-7 for good, seconds.
fn frequency_found(file: Option<f64>, seed: u64) -> f64 {
    let file = file.map(|ppm| Drift::new(Ppm::new(ppm)));
    let mut world = Plan { file, drift: -10e-6, ..Plan::new(seed) }.near().world();
    let mut last = 0.0;
    while world.time < 2_000.0 {
        world.run(world.time.floor() + 1.0);
        if world.hosts[0].clock.rate_error().abs() > 1e-7 {
            last = world.time;
        }
    }
    last
}

#[test]
fn e10_a_drift_file_that_is_all_wrong_is_no_worse_than_none() {
    let none = SEEDS.map(|seed| frequency_found(None, seed));
    println!("without a file: {none:?}");
    let files = [("500 ppm", 500.0), ("-490 ppm", -490.0), ("100 ppm", 100.0)];
    within("s", 1.25, &files, |file, seed| {
        frequency_found(Some(*file), seed) / none[seed as usize - 1].max(60.0)
    });
}
