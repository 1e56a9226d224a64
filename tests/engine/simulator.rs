//! The simulator itself: its clock and its links do what they promise.

use rsntpd::engine::contract::ClockCommand;
use sim::chance::Dice;
use sim::clock::Clock;
use sim::least_squares::LeastSquares;
use sim::link::{Link, Queue};
use sim::ntpd_like::NtpdLike;
use sim::scenario::Scenario;
use sim::sweep;
use sim::yardstick::{self, Loop};

#[test]
fn a_slew_begins_at_the_next_second_and_ends_by_itself() {
    let mut clock = Clock::new(0, 0.0, 0.0, 0.0, Dice::new(1, 1));
    clock.advance(0.5);
    clock.perform(ClockCommand::Slew { micros: 700 }).unwrap();
    clock.advance(1.0);
    assert!(clock.offset.abs() < 1e-9);
    clock.advance(1.5);
    assert!((clock.offset - 250e-6).abs() < 1e-8);
    clock.advance(50.0);
    assert!((clock.offset - 700e-6).abs() < 1e-6, "{}", clock.offset);
}

#[test]
fn steps_move_the_wall_clock_and_pauses_stop_both() {
    let mut clock = Clock::new(0, 0.0, 1e-4, 0.0, Dice::new(1, 1));
    clock.advance(1000.0);
    assert!((clock.offset - 0.1).abs() < 1e-6);
    let mono = clock.now().mono;
    clock.step(-5.1);
    assert_eq!(clock.now().mono, mono);
    assert!((clock.offset + 5.0).abs() < 1e-6);
    clock.pause(600.0);
    assert_eq!(clock.now().mono, mono);
    assert!((clock.offset + 605.0).abs() < 1e-6);
}

#[test]
fn laws_have_their_means() {
    let mean = |queue: Queue| {
        let mut link = Link::even(0.01, queue, Dice::new(5, 0));
        (0..20_000).map(|_| link.up()[0]).sum::<f64>() / 20_000.0
    };
    assert!((mean(Queue::Exponential(0.001)) - 0.011).abs() < 5e-5);
    assert!((mean(Queue::Uniform(0.002)) - 0.011).abs() < 5e-5);
    assert!((mean(Queue::Bimodal(0.001, 0.01, 0.1)) - 0.012).abs() < 2e-4);
    assert!((mean(Queue::Burst(0.001, 0.02)) - 0.015).abs() < 2e-4);
    assert!((mean(Queue::Correlated(0.001, 0.9)) - 0.011).abs() < 2e-4);
    assert!((mean(Queue::Pareto(0.001, 3.0)) - 0.0105).abs() < 1e-4);
}

#[test]
fn half_is_lost_if_half_is_to_be_lost() {
    let mut link = Link::even(0.01, Queue::Uniform(0.0), Dice::new(5, 0));
    link.loss = 0.5;
    let arrived = (0..10_000).filter(|_| !link.up().is_empty()).count();
    assert!((4_800..5_200).contains(&arrived), "{arrived}");
}

#[test]
fn yardsticks_find_a_clock_that_is_merely_off() {
    // Nothing queues and nothing wanders: what is left is the loop's own error.
    let still = Scenario::new("still", 0.010, 1e-9, 1e-14);
    let mut loops: [(&str, Box<dyn Loop>); 3] = [
        ("ntpd", Box::new(NtpdLike::new(1, 256.0, 4.0))),
        ("line", Box::new(LeastSquares::new(1, 8))),
        ("long line", Box::new(LeastSquares::new(1, 64))),
    ];
    for (name, tested) in &mut loops {
        let report = yardstick::run(&still, 1, 50_000.0, 256.0, tested.as_mut());
        assert!(report.rms < 0.5e-6, "{name}: {report:?}");
        assert!((190..=204).contains(&report.packets), "{name}: {report:?}");
    }
}

#[test]
fn yardsticks_hear_several_servers_and_average_noise() {
    let rms = |servers: usize| {
        let noisy = Scenario { servers, ..Scenario::new("noisy", 0.010, 1e-3, 1e-12) };
        yardstick::run(&noisy, 1, 50_000.0, 128.0, &mut LeastSquares::new(servers, 64)).rms
    };
    assert!(rms(4) < 0.7 * rms(1));
}

#[test]
fn what_is_done_in_parallel_keeps_its_order() {
    let numbers: Vec<u32> = (0..100).collect();
    assert_eq!(sweep::in_parallel(&numbers, |n| n * 2), (0..100).map(|n| n * 2).collect::<Vec<_>>());
}
