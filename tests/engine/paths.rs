//! Paths that are unlike the usual ones: requests of which most are late, packets that hardly queue, very long poll intervals; and
//! clocks that seem to be read coarsely. Each limit is a number; every world is its seed.

use crate::among::{Make, Plan, lost_sync, steady, synchronized, watch};
use rsntpd::units::PollExponent;
use sim::chance::Dice;
use sim::limits::{rms, within, within_each};
use sim::link::{Direction, Queue};

/// A path of `base` each way with queues of `queue`, on which a request is `extra` late with a probability of 70 %, seconds.
fn late(plan: Plan, base: f64, queue: f64, extra: f64) -> Plan {
    plan.server(base, base, queue)
        .last(|_, link, _| link.up = Direction::new(base, Queue::Bimodal(queue, extra, 0.7)))
}

#[test]
fn f9_most_requests_may_be_late() {
    let worlds: [(&str, Make); 5] = [
        ("Internet, 20 ms", |plan| late(plan, 10e-3, 0.1e-3, 20e-3)),
        ("Internet, 20 ms, burst", |plan| {
            late(plan, 10e-3, 0.1e-3, 20e-3).last(|_, _, line| line.burst = true)
        }),
        ("LAN, 5 ms", |plan| late(plan, 0.1e-3, 10e-6, 5e-3)),
        ("LAN, 1 ms", |plan| late(plan, 0.1e-3, 10e-6, 1e-3)),
        ("Internet, 20 ms, 21 of 30 in a row, maxpoll 6", |plan| {
            plan.server(10e-3, 10e-3, 0.1e-3).last(|_, link, line| {
                link.up = Direction::new(10e-3, Queue::Late(0.1e-3, 20e-3, 21));
                line.maxpoll = PollExponent::new(6);
            })
        }),
    ];
    within("ms", 0.15, &worlds, |make, seed| steady(*make, seed));
}

#[test]
fn f9_hardly_any_noise_is_made_use_of() {
    // At 64 s, the wander of 1e-9 alone makes 0.22 us (0.42 w T^1.5), however exact the samples are.
    let worlds = [
        ("none", 0.2, (0.0, 1e-10)),
        ("10 ns", 0.2, (10e-9, 1e-10)),
        ("100 ns", 0.2, (100e-9, 1e-10)),
        ("10 ns, wander 1e-9", 0.27, (10e-9, 1e-9)),
    ];
    within_each("us", &worlds, |(queue, wander), seed| {
        let mut world = Plan::new(seed).wandering(*wander).server(100e-6, 100e-6, *queue).world();
        rms(&watch(&mut world, 0, 50_000.0)[10_000..]) * 1e6
    });
}

/// The least rms that any clock can have whose rate wanders by `wander`, while it is polled after each of `intervals` with an error of
/// `noise`: that of a Kalman filter which knows both, and whose estimate is in force at once, averaged over the time between polls.
fn least(wander: f64, noise: f64, intervals: impl Iterator<Item = f64>) -> f64 {
    let (q, r) = (wander * wander, noise * noise);
    // Offset, both, rate: the covariance after a poll.
    let (mut xx, mut xf, mut ff) = (1e-12, 0.0, 1e-12);
    let (mut sum, mut time) = (0.0, 0.0);
    for (n, t) in intervals.enumerate() {
        if n >= 100 {
            sum += t * (xx + t * xf + t * t * ff / 3.0 + q * t.powi(3) / 12.0);
            time += t;
        }
        let before = xx + 2.0 * t * xf + t * t * ff + q * t.powi(3) / 3.0;
        let (both, rate) = (xf + t * ff + q * t * t / 2.0, ff + q * t);
        (xx, xf, ff) =
            (before * r / (before + r), both * r / (before + r), rate - both * both / (before + r));
    }
    (sum / time).sqrt()
}

#[test]
fn f9_a_wander_between_polls_leaves_no_more_than_it_must() {
    let every = |t: f64| std::iter::repeat_n(t, 2000);
    // Even of samples without any error.
    assert!((least(1e-9, 0.0, every(64.0)) - 0.217e-6).abs() < 1e-9);
    within("times the least rms", 1.15, &[("wander 1e-9, 10 ns", (1e-9, 10e-9))], |(wander, queue), seed| {
        let mut world = Plan::new(seed).wandering(*wander).server(100e-6, 100e-6, *queue).world();
        let rms = rms(&watch(&mut world, 0, 50_000.0)[10_000..]);
        // Polls come up to a tenth later than the interval says; the difference of two queues, halved.
        let mut dice = Dice::new(seed, 9);
        let intervals = (0..2000).map(|_| 64.0 * (1.0 + 0.1 * dice.uniform()));
        let least = least(*wander, queue / 2.0f64.sqrt(), intervals);
        println!("{:.4} us rms, at least {:.4}", rms * 1e6, least * 1e6);
        rms / least
    });
}

#[test]
fn f9_with_minpoll_14_it_is_synchronized_and_stays_so() {
    let worlds = [("iburst", true), ("no iburst", false)];
    within("s", 70_000.0, &worlds, |iburst, seed| {
        let mut world = Plan::new(seed)
            .near()
            .all(|line| {
                (line.minpoll, line.maxpoll) = (PollExponent::new(14), PollExponent::new(14));
                line.iburst = *iburst;
            })
            .world();
        let errors = watch(&mut world, 0, 600_000.0);
        assert_eq!(lost_sync(&world), [0.0; 0]);
        println!("seed {seed}: rms after a day {:.3} ms", rms(&errors[86_400..]) * 1e3);
        synchronized(&world)
    });
}

#[test]
fn f10_a_precision_that_was_measured_too_coarse_costs_no_accuracy() {
    let worlds: [(&str, Make); 3] = [
        ("LAN", Plan::near),
        ("LAN, 0.1 ms", |plan| plan.server(1e-3, 1e-3, 100e-6)),
        ("Internet", |plan| plan.server(10e-3, 10e-3, 100e-6)),
    ];
    within("ms", 0.06, &worlds, |make, seed| steady(|plan| make(plan.reading(-7)), seed));
}
