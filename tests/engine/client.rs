//! The client side: bursts, reach, thresholds, fallback, reload.

use crate::bench::{Bench, from, ip, local_clock, server, setup};
use rsntpd::config::model::{Kind, Server, Target};
use rsntpd::engine::contract::{ClockCommand, ExitReason, Input, LookupError, Output, Setup};
use rsntpd::engine::report::event::Event;
use rsntpd::units::{Leap, RefId, Stratum};
use rsntpd::wire::Mode;

fn plain(address: &str) -> Server {
    Server { iburst: false, ..server(address) }
}

#[test]
fn a_server_without_iburst_gets_four_packets_two_seconds_apart_once() {
    let mut bench = Bench::new(setup(vec![plain("192.0.2.1")]));
    let mut times = Vec::new();
    while bench.time < 400.0 {
        bench.advance(400.0);
        times.extend(bench.sent.drain(..).map(|_| bench.time));
    }
    assert!(times[3] - times[0] < 6.1, "{times:?}");
    assert!(times[4] - times[3] >= 64.0, "{times:?}");
    assert!(times.len() < 4 + 6, "no second burst: {times:?}");
}

#[test]
fn two_answers_synchronise_and_the_log_says_so() {
    let mut bench = Bench::new(setup(vec![plain("192.0.2.1")]));
    bench.run_served(10.0);
    assert_eq!(bench.variable(None, "stratum"), "2");
    assert_eq!(bench.variable(None, "leap"), "0");
    assert_eq!(bench.variable(None, "refid"), "192.0.2.1");
    assert_eq!(bench.variable(Some(0), "reach"), "0x1");
    let told = |e: &Event| e.text() == "synchronized to 192.0.2.1, stratum 1";
    assert_eq!(bench.happened(told), 1);
    bench.run_served(600.0);
    assert_eq!(bench.happened(told), 1, "said once");
    let status = bench.commands.iter().rev().find_map(|c| match c {
        ClockCommand::Status(status) => Some(*status),
        _ => None,
    });
    assert_eq!(status.map(|s| s.leap), Some(Leap::None));
}

#[test]
fn polls_grow_within_minpoll_and_maxpoll() {
    let line = Server { minpoll: rsntpd::units::PollExponent::new(4), ..server("192.0.2.1") };
    let mut bench = Bench::new(setup(vec![line, server("192.0.2.2")]));
    bench.run_served(30.0);
    assert_eq!(bench.variable(Some(0), "hpoll"), "4");
    assert_eq!(bench.variable(Some(1), "hpoll"), "6");
    bench.run_served(20_000.0);
    let poll: u8 = bench.variable(Some(1), "hpoll").parse().unwrap();
    assert!((7..=10).contains(&poll), "{poll}");
}

#[test]
fn silence_shifts_reach_out_and_is_told() {
    let mut bench = Bench::new(setup(vec![server("192.0.2.1")]));
    bench.run_served(300.0);
    bench.run(300.0 + 9.0 * 300.0, |_, _| None);
    assert_eq!(bench.variable(Some(0), "reach"), "0x0");
    assert_eq!(bench.happened(|e| matches!(e, Event::Unreachable(_))), 1);
    assert_eq!(bench.happened(|e| e.text() == "no servers reachable"), 1);
    let last = bench.time;
    bench.run_served(last + 1100.0);
    assert_ne!(bench.variable(None, "peer"), "0");
}

#[test]
fn the_local_clock_serves_only_when_nobody_else_does() {
    let mut bench = Bench::new(setup(vec![server("192.0.2.1"), local_clock()]));
    bench.run_served(200.0);
    assert_eq!(bench.variable(None, "stratum"), "2");
    assert_eq!(
        bench.happened(|e| e.text().contains("synchronized to LOCAL")),
        0,
        "the servers' burst comes first"
    );
    bench.run(3000.0, |_, _| None);
    assert_eq!(bench.variable(None, "stratum"), "11");
    assert_eq!(bench.variable(None, "refid"), "127.127.1.0");
    assert_eq!(bench.happened(|e| e.text() == "synchronized to LOCAL(0), stratum 10"), 1);
    bench.run_served(5000.0);
    assert_eq!(bench.variable(None, "stratum"), "2");
}

#[test]
fn the_local_clock_alone_serves_at_once() {
    let mut bench = Bench::new(setup(vec![local_clock()]));
    bench.advance(0.1);
    assert_eq!(bench.variable(None, "stratum"), "11");
    assert_eq!(bench.variable(None, "leap"), "0");
}

#[test]
fn a_large_first_offset_is_stepped_at_once_and_the_rest_slewed() {
    let mut bench = Bench::new(setup(vec![server("192.0.2.1")]));
    bench.behind = 17.0;
    bench.run_served(20.0);
    assert_eq!(bench.happened(|e| matches!(e, Event::TimeReset(_))), 1);
    assert!(bench.behind.abs() < 1e-3, "{}", bench.behind);
    assert_eq!(bench.variable(None, "leap"), "0");
}

#[test]
fn a_later_large_offset_must_last_for_the_stepout_time() {
    let mut bench = Bench::new(setup(vec![server("192.0.2.1")]));
    bench.run_served(2000.0);
    bench.behind += 0.5;
    bench.run_served(2000.0 + 850.0);
    assert_eq!(bench.happened(|e| matches!(e, Event::SpikeDetected(_))), 1);
    assert_eq!(bench.happened(|e| matches!(e, Event::TimeReset(_))), 0);
    bench.run_served(2000.0 + 1700.0);
    assert_eq!(bench.happened(|e| matches!(e, Event::TimeReset(_))), 1);
}

#[test]
fn q_sets_the_clock_once_and_leaves() {
    for (behind, step) in [(0.05, false), (5.0, true)] {
        let quit = Setup { quit_after_set: true, ..setup(vec![plain("192.0.2.1"), local_clock()]) };
        let mut bench = Bench::new(quit);
        bench.behind = behind;
        bench.run_served(30.0);
        assert!(bench.others.contains(&Output::Exit(ExitReason::ClockSet)), "{:?}", bench.others);
        assert_eq!(bench.commands.iter().any(|c| matches!(c, ClockCommand::Step(_))), step);
        let slewed = bench.commands.iter().find_map(|c| match c {
            ClockCommand::Slew { micros } => Some(*micros),
            _ => None,
        });
        assert_eq!(slewed.is_some(), !step);
        assert!(slewed.is_none_or(|micros| (micros - 50_000).abs() < 100), "{slewed:?}");
    }
    let mut silent = Bench::new(Setup { quit_after_set: true, ..setup(vec![server("192.0.2.1")]) });
    silent.run(100.0, |_, _| None);
    assert!(silent.others.contains(&Output::Exit(ExitReason::NoServer)));
    assert!(silent.time <= 100.0);
    let forbidden = Setup { quit_after_set: true, ..setup(vec![server("192.0.2.1")]) };
    let mut forbidden = Bench::on(forbidden, false);
    forbidden.behind = 0.05;
    forbidden.run_served(30.0);
    assert!(forbidden.others.contains(&Output::Exit(ExitReason::NotSet)), "{:?}", forbidden.others);
    assert!(forbidden.commands.is_empty() && !forbidden.others.contains(&Output::Exit(ExitReason::ClockSet)));
}

#[test]
fn without_permission_the_clock_is_left_alone_and_said_so_once() {
    let mut bench = Bench::on(setup(vec![server("192.0.2.1")]), false);
    bench.behind = 0.3;
    bench.run_served(500.0);
    assert_eq!(bench.happened(|e| *e == Event::CannotSteer), 1);
    assert!(bench.commands.is_empty());
    assert_eq!(bench.variable(None, "stratum"), "2");
    let dispersion: f64 = bench.variable(None, "rootdisp").parse().unwrap();
    assert!(dispersion > 300.0, "what we serve is off by the offset, and we say so: {dispersion}");

    let mut late = Bench::new(setup(vec![server("192.0.2.1")]));
    late.permits = false;
    late.run_served(500.0);
    assert_eq!(late.happened(|e| *e == Event::CannotSteer), 1);
    assert_eq!(late.variable(None, "stratum"), "2");
}

#[test]
fn a_server_that_follows_us_is_no_source() {
    let mut bench = Bench::new(setup(vec![server("192.0.2.1")]));
    for _ in 0..10 {
        bench.advance(bench.time + 10.0);
        for tx in std::mem::take(&mut bench.sent) {
            let request = rsntpd::wire::Header::parse(&tx.data).unwrap();
            let mut reply = bench.reply(&request, 3);
            reply.reference_id = rsntpd::units::RefId::from_bytes([10, 0, 0, 99]);
            bench.deliver(&reply.to_bytes(), tx.to);
        }
    }
    assert_eq!(bench.variable(None, "leap"), "3");
    assert_eq!(bench.variable(Some(0), "flash"), "0x800");
}

#[test]
fn names_are_asked_for_again_and_hold_nobody_up() {
    let name = Server::new(Kind::Server, Target::Name("ntp.example".to_owned()));
    let mut bench = Bench::new(setup(vec![name, server("192.0.2.1")]));
    let id = |bench: &Bench| {
        bench.others.iter().rev().find_map(|o| match o {
            Output::Resolve { id, .. } => Some(*id),
            _ => None,
        })
    };
    let first = id(&bench).unwrap();
    bench.input(Input::Resolved { id: first, result: Err(LookupError { text: "no such host".to_owned() }) });
    bench.run_served(30.0);
    assert_eq!(bench.variable(None, "stratum"), "2");
    let again = id(&bench).unwrap();
    bench.input(Input::Resolved {
        id: again,
        result: Ok(vec![ip("192.0.2.1").into(), ip("192.0.2.9").into()]),
    });
    bench.run_served(60.0);
    assert_eq!(
        bench.variable(Some(0), "srcadr"),
        "192.0.2.9",
        "an address that another line has is left to it"
    );
    assert_ne!(bench.variable(Some(0), "reach"), "0x0");
}

#[test]
fn a_reload_changes_only_what_differs() {
    let mut bench = Bench::new(setup(vec![server("192.0.2.1"), server("192.0.2.2")]));
    bench.run_served(300.0);
    let before = bench.variable(Some(0), "reach");
    let new = setup(vec![server("192.0.2.1"), server("192.0.2.3")]);
    bench.input(Input::Reload(Box::new(new)));
    assert_eq!(bench.variable(Some(0), "reach"), before);
    assert_eq!(bench.variable(None, "leap"), "0");
    assert_eq!(bench.variable(Some(1), "srcadr"), "192.0.2.3");
    assert_eq!(bench.happened(|e| matches!(e, Event::Reloaded { added: 1, removed: 1 })), 1);
    bench.run_served(400.0);
    assert_ne!(bench.variable(Some(1), "reach"), "0x0");
}

#[test]
fn a_reload_takes_over_what_the_local_clock_says_of_itself() {
    let fudged = |stratum, refid: Option<&[u8; 4]>| {
        let mut local = local_clock();
        local.fudge.stratum = stratum;
        local.fudge.refid = refid.map(|octets| RefId::from_bytes(*octets));
        setup(vec![local])
    };
    let mut bench = Bench::new(fudged(Some(Stratum::new(10)), None));
    bench.run_served(10.0);
    bench.input(Input::Reload(Box::new(fudged(Some(Stratum::new(12)), Some(b"ROOF")))));
    let said = |bench: &mut Bench| ["stratum", "refid"].map(|name| bench.variable(Some(0), name));
    assert_eq!(said(&mut bench), ["12", "ROOF"]);
    bench.input(Input::Reload(Box::new(fudged(None, None))));
    assert_eq!(said(&mut bench), ["5", "LOCL"], "without a fudge line it is as if there never was one");
}

#[test]
fn the_drift_is_saved_at_the_end_once_it_is_known() {
    let mut early = Bench::new(setup(vec![server("192.0.2.1")]));
    early.run_served(1.5);
    early.input(Input::Shutdown);
    assert!(early.others.iter().all(|o| !matches!(o, Output::SaveDrift(_))), "one answer teaches nothing");
    assert!(early.others.contains(&Output::Exit(ExitReason::Shutdown)));

    let mut bench = Bench::new(setup(vec![server("192.0.2.1")]));
    bench.run_served(2000.0);
    bench.input(Input::Shutdown);
    assert!(bench.others.iter().any(|o| matches!(o, Output::SaveDrift(p) if p.get().abs() < 1.0)));
}

#[test]
fn a_leap_second_of_the_majority_is_armed_in_the_kernel_on_the_last_day() {
    let mut bench = Bench::new(setup(vec![server("192.0.2.1"), server("192.0.2.2"), server("192.0.2.3")]));
    let announce = |bench: &mut Bench, until: f64| loop {
        for tx in std::mem::take(&mut bench.sent) {
            let request = rsntpd::wire::Header::parse(&tx.data).unwrap();
            let mut reply = bench.reply(&request, 1);
            if tx.to != from("192.0.2.3:123") {
                reply.leap = Leap::Insert;
            }
            bench.deliver(&reply.to_bytes(), tx.to);
        }
        if !bench.advance(until) {
            break;
        }
    };
    announce(&mut bench, 1000.0);
    assert_eq!(bench.variable(None, "leap"), "1");
    let kernel = |bench: &Bench| {
        bench.commands.iter().rev().find_map(|c| match c {
            ClockCommand::Status(status) => Some(status.leap),
            _ => None,
        })
    };
    assert_eq!(kernel(&bench), Some(Leap::None), "it is the first of the month");
    // The thirtieth day; the clock has been right all the time.
    bench.time = 29.5 * 86_400.0;
    announce(&mut bench, 29.5 * 86_400.0 + 2000.0);
    assert_eq!(kernel(&bench), Some(Leap::Insert));
    let answer =
        bench.ask(&crate::bench::request(4, Mode::Client).to_bytes(), from("10.0.0.1:1234")).unwrap();
    assert_eq!(answer[0] >> 6, 1, "clients are told");
}

#[test]
fn the_first_to_answer_is_not_believed_before_the_others_could_speak() {
    let mut bench = Bench::new(setup(vec![server("192.0.2.1"), server("192.0.2.2"), server("192.0.2.3")]));
    let mut answered = 0;
    while bench.time < 70.0 {
        bench.advance(bench.time + 0.25);
        for tx in std::mem::take(&mut bench.sent) {
            // Only the first server answers; the other two are dead.
            if tx.to.ip() == ip("192.0.2.1") {
                let request = rsntpd::wire::Header::parse(&tx.data).unwrap();
                bench.deliver(&bench.reply(&request, 1).to_bytes(), tx.to);
                answered += 1;
            }
        }
        let synchronised = bench.variable(None, "stratum") == "2";
        assert!(!synchronised || bench.time > 6.0);
        if bench.time > 16.0 {
            assert!(synchronised, "their bursts are over at {} s", bench.time);
        }
    }
    assert_eq!(answered, 8, "an iburst");
}
