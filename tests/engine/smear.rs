//! Leap smear: what replies say in the hours before a leap second, what they do not, and that a client follows.

use crate::bench::{Bench, START, from, ip, local_clock, request, setup};
use rsntpd::config::model::{Kind, LeapTable, Server, SmearLaw, SmearSettings, Target};
use rsntpd::engine::contract::{Input, Setup};
use rsntpd::units::{Leap, NtpTimestamp, Seconds};
use rsntpd::wire::{Header, Mode};
use sim::limits::within_each;

/// The end of the leap second's day, seconds after the bench begins.
const END: f64 = 30.0 * 86_400.0;
const INTERVAL: u32 = 7200;

fn smearing(law: SmearLaw, grows: i32) -> Setup {
    let mut setup = setup(vec![local_clock()]);
    let end = START + END as i64;
    setup.leap_table = Some(LeapTable { entries: vec![(0, 37), (end, 37 + grows)], expires: None });
    setup.config.smear = SmearSettings { interval: INTERVAL, law };
    setup
}

/// A synchronized server, so long before the leap.
fn server(law: SmearLaw, grows: i32, before: f64) -> Bench {
    let mut bench = Bench::new(smearing(law, grows));
    bench.run(100.0, |_, _| None);
    // It passes the days in steps, as its timers have it.
    while bench.time < END - before {
        bench.time = (bench.time + 3600.0).min(END - before);
        bench.input(Input::Timer);
    }
    bench
}

fn asked(bench: &mut Bench, mode: Mode) -> Header {
    let answer = bench.ask(&request(4, mode).to_bytes(), from("192.0.2.50:4123"));
    Header::parse(&answer.unwrap()).unwrap()
}

fn off(bench: &Bench, shown: NtpTimestamp) -> f64 {
    (shown - bench.now().wall).to_seconds().get()
}

/// The offset in a reference identifier.
fn marked(header: &Header) -> f64 {
    let [first, a, b, c] = header.reference_id.to_bytes();
    assert_eq!(first, 254);
    f64::from(i32::from_be_bytes([a, b, c, 0]) >> 8) / f64::from(1 << 22)
}

fn formula(law: SmearLaw, grows: i32, left: f64) -> f64 {
    let part = (1.0 - left / f64::from(INTERVAL)).clamp(0.0, 1.0);
    let done = match law {
        SmearLaw::Linear => part,
        SmearLaw::Cosine => (1.0 - (std::f64::consts::PI * part).cos()) / 2.0,
    };
    -f64::from(grows) * done
}

#[test]
fn each_second_of_a_smear_is_within_a_microsecond_of_the_formula() {
    for law in [SmearLaw::Cosine, SmearLaw::Linear] {
        for grows in [1, -1] {
            // The clock makes its leap a second before the day's end where that second is deleted.
            let leaps = if grows > 0 { END } else { END - 1.0 };
            let mut bench = server(law, grows, f64::from(INTERVAL) + 100.0);
            let mut seconds = 0;
            while bench.time < leaps - 1.0 {
                bench.advance(bench.time.floor() + 1.0);
                let wanted = formula(law, grows, leaps - bench.time);
                for mode in [Mode::Client, Mode::SymmetricActive] {
                    let header = asked(&mut bench, mode);
                    assert!(
                        (off(&bench, header.receive) - wanted).abs() < 1e-6,
                        "{law:?} {grows} {}",
                        bench.time
                    );
                    assert!((off(&bench, header.transmit) - wanted).abs() < 1e-6);
                    assert_eq!(header.leap, Leap::None, "nothing is announced");
                    if wanted != 0.0 {
                        assert!((marked(&header) - wanted).abs() < 1e-6, "{} {wanted}", marked(&header));
                    } else {
                        assert_ne!(header.reference_id.to_bytes()[0], 254);
                    }
                }
                seconds += 1;
            }
            assert!(seconds > 7200, "{seconds}");
        }
    }
}

#[test]
fn when_the_clock_has_leapt_replies_go_on_without_a_jump() {
    for (grows, leaps) in [(1, END), (-1, END - 1.0)] {
        let mut bench = server(SmearLaw::Cosine, grows, 10.0);
        while bench.advance(leaps - 0.5) {}
        let before = asked(&mut bench, Mode::Client);
        assert!((off(&bench, before.receive) + f64::from(grows)).abs() < 1e-6);
        let at_before = bench.time;
        while bench.advance(leaps) {}
        // The kernel inserts the second, or leaves it out.
        bench.behind += f64::from(grows);
        bench.input(Input::ClockSet { by: Seconds::new(-f64::from(grows)), running: Vec::new() });
        let mut unsure = 0;
        for _ in 0..40 {
            bench.advance(bench.time + 0.1);
            let header = asked(&mut bench, Mode::Client);
            let passed = (header.receive - before.receive).to_seconds().get();
            assert!((passed - (bench.time - at_before)).abs() < 1e-5, "{passed} {}", bench.time - at_before);
            unsure += usize::from(header.leap == Leap::Unsynchronised);
        }
        assert!(unsure <= 11, "for the second only: {unsure}");
        let after = asked(&mut bench, Mode::Client);
        assert_eq!((after.leap, after.reference_id.to_bytes()[0] == 254), (Leap::None, false));
    }
}

#[test]
fn packets_of_associations_are_not_smeared() {
    let mut setup = smearing(SmearLaw::Cosine, 1);
    let line = |kind, address: &str| Server::new(kind, Target::Address(ip(address)));
    setup.config.servers.extend([line(Kind::Broadcast, "10.0.0.255"), line(Kind::Peer, "192.0.2.9")]);
    let mut bench = Bench::new(setup);
    bench.run(100.0, |_, _| None);
    while bench.time < END - 3000.0 {
        bench.time = (bench.time + 3600.0).min(END - 3000.0);
        bench.input(Input::Timer);
    }
    bench.sent.clear();
    let (mut broadcasts, mut partners) = (0, 0);
    for _ in 0..2000 {
        bench.advance(bench.time + 1.0);
        for tx in std::mem::take(&mut bench.sent) {
            let header = Header::parse(&tx.data).unwrap();
            assert_ne!(header.reference_id.to_bytes()[0], 254);
            assert!(off(&bench, header.transmit).abs() < 1e-6, "{:?}", header.mode);
            broadcasts += usize::from(header.mode == Mode::Broadcast);
            partners += usize::from(header.mode == Mode::SymmetricActive);
        }
    }
    assert!(broadcasts > 10 && partners > 0, "{broadcasts} {partners}");
    assert_eq!(bench.variable(None, "leapsmearinterval"), INTERVAL.to_string());
    let shown: f64 = bench.variable(None, "leapsmearoffset").parse().unwrap();
    let wanted = formula(SmearLaw::Cosine, 1, END - bench.time) * 1e3;
    assert!((shown - wanted).abs() < 0.01, "{shown} {wanted}");
}

#[test]
fn interleaved_replies_are_smeared_as_their_time_was() {
    let mut bench = server(SmearLaw::Linear, 1, 3600.0);
    let ask = |bench: &mut Bench, origin: NtpTimestamp, receive: u64| {
        let asks = Header { origin, receive: NtpTimestamp::from_bits(receive), ..request(4, Mode::Client) };
        Header::parse(&bench.ask(&asks.to_bytes(), from("192.0.2.50:4123")).unwrap()).unwrap()
    };
    let first = ask(&mut bench, NtpTimestamp::ZERO, 0);
    let wanted = formula(SmearLaw::Linear, 1, END - bench.time);
    assert!((off(&bench, first.receive) - wanted).abs() < 1e-6);
    let before = bench.now().wall;
    while bench.advance(END - 3600.0 + 16.0) {}
    let second = ask(&mut bench, first.receive, 77);
    assert_eq!(second.origin.to_bits(), 77, "interleaved");
    assert!(((second.transmit - before).to_seconds().get() - wanted).abs() < 1e-6);
    let later = formula(SmearLaw::Linear, 1, END - bench.time);
    assert!((off(&bench, second.receive) - later).abs() < 1e-6 && (later - wanted).abs() > 1e-3);
}

#[test]
fn workers_smear_as_the_main_process_does() {
    let mut main = server(SmearLaw::Cosine, -1, 1000.0);
    let mut worker = Bench::new(Setup::default());
    worker.time = main.time;
    worker.engine.adopt(&main.engine.published());
    worker.input(Input::Timer);
    let (ours, theirs) = (asked(&mut main, Mode::Client), asked(&mut worker, Mode::Client));
    assert!((off(&main, ours.receive) - formula(SmearLaw::Cosine, -1, 999.0)).abs() < 1e-6);
    assert_eq!((theirs.receive, theirs.transmit), (ours.receive, ours.transmit));
    assert_eq!((theirs.reference_id, theirs.leap), (ours.reference_id, Leap::None));
}

#[test]
fn without_a_leap_second_file_or_without_the_word_nothing_is_smeared() {
    let mut none = smearing(SmearLaw::Cosine, 1);
    none.config.smear.interval = 0;
    let mut no_file = smearing(SmearLaw::Cosine, 1);
    no_file.leap_table = None;
    for (setup, leap) in [(none, Leap::Insert), (no_file, Leap::None)] {
        let mut bench = Bench::new(setup.clone());
        bench.run(100.0, |_, _| None);
        while bench.time < END - 100.0 {
            bench.time = (bench.time + 3600.0).min(END - 100.0);
            bench.input(Input::Timer);
        }
        let header = asked(&mut bench, Mode::Client);
        assert_eq!((off(&bench, header.receive), header.leap), (0.0, leap));
        // A reload switches it on, and off again.
        bench.input(Input::Reload(Box::new(smearing(SmearLaw::Linear, 1))));
        let on = asked(&mut bench, Mode::Client);
        assert!((off(&bench, on.receive) - formula(SmearLaw::Linear, 1, 100.0)).abs() < 1e-6);
        bench.input(Input::Reload(Box::new(setup)));
        let back = asked(&mut bench, Mode::Client);
        assert_eq!(off(&bench, back.receive), 0.0);
    }
}

#[test]
fn a_client_of_a_smearing_server_follows_it() {
    use sim::chance::Dice;
    use sim::clock::Clock;
    use sim::link::{Link, Queue};
    use sim::scenario::{CLIENT, EPOCH};
    use sim::world::World;
    const LEAP: f64 = 90_000.0;
    const DAY: f64 = 86_400.0;
    // The linear law begins with a jump of the rate by 12 ppm, which a client sees a poll later.
    let laws = [("cosine", 500.0, SmearLaw::Cosine), ("linear", 5000.0, SmearLaw::Linear)];
    within_each("us off the smeared time at most", &laws, |law, seed| {
        let mut world = World::new(EPOCH);
        let mut serving = setup(vec![local_clock()]);
        let end = EPOCH + LEAP as i64;
        serving.leap_table = Some(LeapTable { entries: vec![(0, 37), (end, 38)], expires: None });
        serving.config.smear = SmearSettings { interval: DAY as u32, law: *law };
        world.connect(CLIENT, "10.0.0.9", Link::even(1e-3, Queue::Exponential(1e-5), Dice::new(seed, 100)));
        let right = Clock::new(EPOCH, 0.0, 0.0, 0.0, Dice::new(seed, 3));
        world.add_host("10.0.0.9", right, serving, None, &mut Dice::new(seed, 4));
        let clock = Clock::new(EPOCH, 0.01, 10e-6, 1e-9, Dice::new(seed, 1));
        let line = Server { iburst: true, ..Server::new(Kind::Server, Target::Address(ip("10.0.0.9"))) };
        world.add_host(CLIENT, clock, setup(vec![line]), None, &mut Dice::new(seed, 2));
        world.run(2000.0);
        let mut worst: f64 = 0.0;
        while world.time < LEAP - 10.0 {
            world.run(world.time.floor() + 10.0);
            let part = (1.0 - (LEAP - world.time) / DAY).max(0.0);
            let done = match law {
                SmearLaw::Linear => part,
                SmearLaw::Cosine => (1.0 - (std::f64::consts::PI * part).cos()) / 2.0,
            };
            worst = worst.max((world.hosts[1].clock.offset + done).abs());
        }
        worst * 1e6
    });
}
