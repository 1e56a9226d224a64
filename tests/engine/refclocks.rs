//! Reference clocks: what receivers, pulses and hardware clocks make of a host's clock. Each limit is a number; every world is its seed.

use crate::among::{Plan, lost_sync, synchronized, watch};
use rsntpd::config::model::{Kind, Server, Target};
use rsntpd::engine::contract::{Input, Trouble};
use rsntpd::engine::report::event::Event;
use rsntpd::engine::sources::{Selection, Source};
use rsntpd::units::{Driver, Leap, PollExponent, Seconds, Stratum};
use sim::chance::Dice;
use sim::device::{Device, Says};
use sim::limits::{rms, within, within_each};
use sim::world::World;

/// How long a world goes on, seconds; it is judged from `SETTLED` on.
const LONG: f64 = 9_000.0;
const SETTLED: usize = 3_000;

fn dice(seed: u64) -> Dice {
    Dice::new(seed, 900)
}

fn worst(errors: &[f64]) -> f64 {
    errors.iter().fold(0.0, |most, e| f64::max(most, e.abs()))
}

/// A receiver that says the time `late` after each second's beginning, with Gaussian jitter.
fn serial(driver: Driver, late: f64, jitter: f64, precision: i8, seed: u64) -> Device {
    let law = move |_: f64, dice: &mut Dice| vec![(late + jitter * dice.normal(), Says::precise(precision))];
    Device::new(driver, Dice::new(seed, 901), Box::new(law))
}

fn source(world: &World, driver: Driver) -> &Source {
    let engine = &world.hosts[0].engine;
    let mut all = engine.associations().filter_map(|a| engine.source(a.id));
    all.find(|s| s.clock_driver() == Some(driver)).unwrap()
}

fn pulses(jitter: f64, seed: u64) -> Device {
    Device::pulses(Driver::Pps, jitter, dice(seed))
}

/// A receiver with pulses: the pulse at the second, the sentence `late` after it with 10 ms of jitter, while it has a fix.
fn nmea(jitter: f64, late: f64, seed: u64, has_fix: impl Fn(f64) -> bool + 'static) -> Device {
    let law = move |second: f64, dice: &mut Dice| {
        if has_fix(second) {
            vec![(jitter * dice.normal(), Says::Pulse), (late + 0.010 * dice.normal(), Says::time())]
        } else {
            vec![(late, Says::Trouble(Trouble::BadSignal))]
        }
    };
    Device::new(Driver::Nmea, dice(seed), Box::new(law))
}

/// Four servers of the Internet.
fn servers(seed: u64) -> Plan {
    Plan::new(seed)
        .server(0.010, 0.010, 0.001)
        .server(0.015, 0.015, 0.001)
        .server(0.008, 0.008, 0.001)
        .server(0.020, 0.020, 0.001)
}

fn errors(plan: Plan, until: f64) -> Vec<f64> {
    watch(&mut plan.world(), 0, until)
}

fn texts(world: &World) -> Vec<String> {
    world.hosts[0].events.iter().map(|(at, e)| format!("{at:.0} {}", e.row().text)).collect()
}

#[test]
fn a_pulse_beside_servers_disciplines_to_its_own_noise() {
    // Of pulses with 1 us of white jitter an optimal filter that knows the wander of 1e-9 makes 0.21 us.
    within_each("us rms", &[("wander 1e-9", 0.25, 1e-9), ("wander 1e-10", 0.15, 1e-10)], |wander, seed| {
        let plan = Plan::new(seed).near().near().wandering(*wander).clock(pulses(1e-6, seed), |_| {});
        let mut world = plan.world();
        let errors = watch(&mut world, 0, LONG);
        let pulse = source(&world, Driver::Pps);
        assert_eq!(pulse.selection(), Selection::PpsPeer, "{:?}", texts(&world));
        assert_eq!((pulse.header().stratum, pulse.reach().register()), (Stratum::new(0), 0xff));
        rms(&errors[SETTLED..]) * 1e6
    });
}

fn sawtooth(second: f64, _: &mut Dice) -> Vec<(f64, Says)> {
    vec![(((second * 0.37).fract() - 0.5) * 40e-9, Says::Pulse)]
}

/// A tenth of the edges is missing, and every twentieth comes twice.
fn broken(_: f64, dice: &mut Dice) -> Vec<(f64, Says)> {
    let mut all = vec![(1e-6 * dice.normal(), Says::Pulse)];
    if dice.uniform() < 0.1 {
        all.clear();
    }
    if dice.uniform() < 0.05 {
        all.push((0.001 + 0.9 * dice.uniform(), Says::Pulse));
    }
    all
}

#[test]
fn sawtooth_missing_and_doubled_edges_do_no_harm() {
    type Edges = fn(f64, &mut Dice) -> Vec<(f64, Says)>;
    let worlds: [(&str, f64, Edges); 2] =
        [("a sawtooth of 20 ns", 0.1, sawtooth), ("broken edges", 0.3, broken)];
    within_each("us rms", &worlds, |edges, seed| {
        let device = Device::new(Driver::Pps, dice(seed), Box::new(*edges));
        let quiet = Plan::new(seed).near().near().wandering(1e-10).clock(device, |_| {});
        rms(&errors(quiet, LONG)[SETTLED..]) * 1e6
    });
}

#[test]
fn a_receiver_with_pulses_needs_no_other_source() {
    // With `-g` the clock may be off by hours; a sentence 300 ms after its pulse still says which second that was.
    let worlds =
        [("on time", (0.02, 0.0)), ("5000 s off", (0.02, -5000.0)), ("sentences 300 ms late", (0.3, 0.4))];
    within("us rms", 0.3, &worlds, |(late, offset), seed| {
        let device = nmea(1e-6, *late, seed, |_| true);
        let plan = Plan::new(seed).off_by(*offset).clock(device, |line| line.fudge.flags[0] = true);
        let mut world = plan.world();
        let errors = watch(&mut world, 0, LONG);
        assert_eq!(source(&world, Driver::Nmea).selection(), Selection::PpsPeer, "{:?}", texts(&world));
        assert!(synchronized(&world) < 30.0, "{:?}", texts(&world));
        rms(&errors[SETTLED..]) * 1e6
    });
}

#[test]
fn a_receiver_that_loses_its_fix_for_an_hour_is_bridged_and_taken_again() {
    // A wander of 1e-9 moves a clock by 125 us in an hour, as a standard deviation.
    within("us at worst in the hour", 400.0, &[("an hour", ())], |(), seed| {
        let device = nmea(1e-6, 0.1, seed, |second| !(5_000.0..8_600.0).contains(&second));
        let mut world = Plan::new(seed).clock(device, |line| line.fudge.flags[0] = true).world();
        let before = watch(&mut world, 0, 5_000.0);
        let hour = watch(&mut world, 0, 8_600.0);
        assert_eq!(source(&world, Driver::Nmea).reach().register(), 0);
        assert_eq!(lost_sync(&world).len(), 1, "{:?}", texts(&world));
        let clock = source(&world, Driver::Nmea).as_reference().unwrap();
        assert_eq!(clock.counts().status() & 0xf, 4, "bad signal");
        let after = watch(&mut world, 0, 10_000.0);
        assert_eq!(source(&world, Driver::Nmea).selection(), Selection::PpsPeer, "{:?}", texts(&world));
        assert!(rms(&before[2000..]) < 0.4e-6 && worst(&after[400..]) < 5e-6, "{}", worst(&after[400..]));
        worst(&hour) * 1e6
    });
}

/// The longer, the less chance there is in the ratio of two runs.
const SERIAL: f64 = 20_000.0;

#[test]
fn a_serial_receiver_makes_servers_no_worse() {
    // Late by 100 ms, or jittering by 10 ms; honest about it, or claiming microseconds as gpsd 3.22 does.
    const DEVICES: [(f64, f64, i8); 4] =
        [(0.0, 0.010, -1), (0.0, 0.010, -20), (0.1, 0.020, -1), (0.1, 0.020, -20)];
    within(
        "times the rms of the servers alone, the worst of four devices",
        1.05,
        &[("serial", ())],
        |(), seed| {
            let alone = rms(&errors(servers(seed), SERIAL)[SETTLED..]);
            let with = |(late, jitter, precision): (f64, f64, i8)| {
                let device = serial(Driver::Shm, late, jitter, precision, seed);
                rms(&errors(servers(seed).clock(device, |_| {}), SERIAL)[SETTLED..]) / alone
            };
            DEVICES.map(with).into_iter().fold(0.0, f64::max)
        },
    );
}

#[test]
fn a_clock_may_be_polled_each_second() {
    let device = serial(Driver::Shm, 0.1, 0.010, -1, 8);
    let plan = Plan::new(8).clock(device, |line| {
        (line.minpoll, line.maxpoll) = (PollExponent::of_clock(0), PollExponent::of_clock(0));
        line.fudge.time1 = Seconds::new(0.1);
    });
    let mut world = plan.world();
    watch(&mut world, 0, 60.0);
    let mut polls_missed = 0;
    for second in 60..2000 {
        watch(&mut world, 0, f64::from(second));
        polls_missed += source(&world, Driver::Shm).reach().register().count_zeros();
    }
    // A reading that comes a little later than usual is in the next poll.
    assert!(polls_missed < 200, "{polls_missed}");
    assert!(lost_sync(&world).is_empty(), "{:?}", texts(&world));
}

#[test]
fn a_serial_receiver_alone_keeps_time_to_its_bias() {
    within("ms rms", 1.0, &[("100 ms late, time1 0.1", ())], |(), seed| {
        let device = serial(Driver::Shm, 0.1, 0.010, -1, seed);
        let plan = Plan::new(seed).clock(device, |line| line.fudge.time1 = Seconds::new(0.1));
        rms(&errors(plan, LONG)[SETTLED..]) * 1e3
    });
}

#[test]
fn a_hardware_clock_is_as_good_as_its_readings() {
    let span = |span: f64| {
        move |_: f64, dice: &mut Dice| {
            let error = (dice.uniform() - 0.5) * span;
            vec![(
                0.1,
                Says::Time { error: 0.1 + error, precision: None, bound: Some(span / 2.0), leap: Leap::None },
            )]
        }
    };
    within_each("us rms", &[("1 us", 0.25, 1e-6), ("100 us", 8.0, 100e-6)], |wide, seed| {
        let device = Device::new(Driver::Phc, dice(seed), Box::new(span(*wide)));
        let plan = Plan::new(seed).near().clock(device, |line| line.prefer = true);
        rms(&errors(plan, LONG)[SETTLED..]) * 1e6
    });
}

#[test]
fn a_clock_that_lies_or_freezes_is_a_falseticker() {
    let lies: fn(f64) -> f64 = |_| 0.3;
    let freezes: fn(f64) -> f64 = |second| if second > 3000.0 { 3000.0 - second } else { 0.0 };
    within("ms at worst", 5.0, &[("lies", lies), ("freezes", freezes)], |error, seed| {
        let error = *error;
        let law = move |second: f64, _: &mut Dice| {
            let says =
                Says::Time { error: error(second), precision: Some(-20), bound: None, leap: Leap::None };
            vec![(0.0, says)]
        };
        let device = Device::new(Driver::Shm, dice(seed), Box::new(law));
        let mut world = servers(seed).clock(device, |_| {}).world();
        let errors = watch(&mut world, 0, 8000.0);
        assert_eq!(source(&world, Driver::Shm).selection(), Selection::Falsetick, "{:?}", texts(&world));
        worst(&errors[600..]) * 1e3
    });
}

#[test]
fn a_pulse_that_nothing_numbers_is_not_followed_but_stays_once_it_is() {
    let alone = Plan::new(1).off_by(0.7).clock(pulses(1e-6, 1), |_| {});
    let mut world = alone.world();
    watch(&mut world, 0, 600.0);
    assert_eq!(source(&world, Driver::Pps).reach().register(), 0, "{:?}", texts(&world));
    assert_eq!(synchronized(&world), f64::INFINITY);
    // The servers are gone for ever after an hour.
    let plan = Plan::new(2).near().last(|server, _, _| server.answers = Box::new(|at| at < 3600.0));
    let mut world = plan.clock(pulses(1e-6, 2), |_| {}).world();
    watch(&mut world, 0, 3600.0);
    let errors = watch(&mut world, 0, LONG);
    assert_eq!(source(&world, Driver::Pps).selection(), Selection::PpsPeer, "{:?}", texts(&world));
    assert!(lost_sync(&world).is_empty() && rms(&errors) < 0.4e-6, "{}", rms(&errors));
}

#[test]
fn the_local_clock_with_prefer_numbers_a_pulse() {
    let local = Server { prefer: true, ..Server::new(Kind::Server, Target::LocalClock { unit: 0 }) };
    let plan = Plan::new(3).off_by(0.1).setting(|config| config.servers.push(local));
    let mut world = plan.clock(pulses(1e-6, 3), |_| {}).world();
    let errors = watch(&mut world, 0, 4000.0);
    assert_eq!(source(&world, Driver::Pps).selection(), Selection::PpsPeer, "{:?}", texts(&world));
    assert_eq!(source(&world, Driver::Local).selection(), Selection::SystemPeer, "{:?}", texts(&world));
    assert!(worst(&errors[1000..]) < 5e-6, "{}", worst(&errors[1000..]));
}

#[test]
fn the_local_clock_takes_over_from_a_receiver_and_gives_back() {
    let local = Server::new(Kind::Server, Target::LocalClock { unit: 0 });
    let device = nmea(1e-6, 0.1, 4, |second| !(3000.0..6000.0).contains(&second));
    let plan = Plan::new(4).setting(|config| config.servers.push(local));
    let mut world = plan.clock(device, |line| line.fudge.flags[0] = true).world();
    watch(&mut world, 0, 5000.0);
    assert_eq!(source(&world, Driver::Local).selection(), Selection::SystemPeer, "{:?}", texts(&world));
    watch(&mut world, 0, 7000.0);
    assert_eq!(source(&world, Driver::Nmea).selection(), Selection::PpsPeer, "{:?}", texts(&world));
}

#[test]
fn a_missing_device_is_asked_for_each_minute_and_may_go_and_come() {
    let mut device = nmea(1e-6, 0.1, 5, |_| true);
    device.present = Box::new(|at| at > 150.0 && !(1000.0..1100.0).contains(&at));
    let law = std::mem::replace(&mut device.law, Box::new(|_, _| Vec::new()));
    let mut law = law;
    device.law = Box::new(
        move |second, dice| {
            if second == 1000.0 { vec![(0.5, Says::Gone)] } else { law(second, dice) }
        },
    );
    let mut world = Plan::new(5).clock(device, |line| line.fudge.flags[0] = true).world();
    watch(&mut world, 0, 140.0);
    let clock = source(&world, Driver::Nmea).as_reference().unwrap();
    assert_eq!((clock.timecode(), clock.counts().status() & 0xf), ("No such file or directory", 3));
    watch(&mut world, 0, 2000.0);
    let wanted = |e: &Event| matches!(e, Event::DeviceFailed { .. } | Event::DeviceOpened(_));
    let seen: Vec<String> = world.hosts[0]
        .events
        .iter()
        .filter(|e| wanted(&e.1))
        .map(|e| format!("{} {}", e.0 as u32, e.1.text()))
        .collect();
    assert_eq!(
        seen,
        [
            "0 GPS_NMEA(0): No such file or directory; trying again every 60 s",
            "179 GPS_NMEA(0): device opened",
            "1000 GPS_NMEA(0): Input/output error; trying again every 60 s",
            "1060 GPS_NMEA(0): No such file or directory; trying again every 60 s",
            "1120 GPS_NMEA(0): device opened",
        ]
    );
    assert_eq!(source(&world, Driver::Nmea).selection(), Selection::PpsPeer, "{:?}", texts(&world));
}

#[test]
fn calibration_brings_a_receiver_to_agree_with_the_pulse() {
    let device = serial(Driver::Shm, 0.08, 0.001, -1, 6);
    let plan = Plan::new(6).setting(|config| config.enable.calibrate = true).near();
    let mut world = plan.clock(pulses(1e-6, 6), |_| {}).clock(device, |_| {}).world();
    watch(&mut world, 0, 4000.0);
    let shm = source(&world, Driver::Shm);
    let time1 = shm.as_reference().unwrap().time1(shm.config()).get();
    let pulse = source(&world, Driver::Pps).selection();
    assert!((time1 - 0.08).abs() < 0.001, "{time1} {pulse:?} {:?} {:?}", shm.filter().best(), texts(&world));
    world.input(0, Input::Shutdown);
    let last = texts(&world).into_iter().find(|text| text.contains("calibrated")).unwrap();
    assert!(last.contains("SHM(0): calibrated by the pulse, fudge 127.127.28.0 time1 0.080"), "{last}");
}

#[test]
fn a_clock_set_by_another_process_is_right_again_soon() {
    let device = nmea(1e-6, 0.1, 7, |_| true);
    let mut world = Plan::new(7).clock(device, |line| line.fudge.flags[0] = true).world();
    watch(&mut world, 0, 3000.3);
    world.set_clock(0, 3.21);
    let errors = watch(&mut world, 0, 4000.0);
    assert!(worst(&errors[120..]) < 1e-3 && worst(&errors[600..]) < 5e-6, "{:?}", &errors[..60]);
}
