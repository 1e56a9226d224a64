//! What happens to a clock that is well kept: its crystal jumps, somebody sets it, the machine or its
//! daemon stands still, servers go wrong, routes change. Each limit is a number, and is
//! measured by what was usual in the same world before.
//!
//! What the engine does not reach yet stands beside the limit: scenario and today's worst figure, with a
//! little air. These may only become smaller, and fewer.

use rsntpd::engine::contract::{ExitReason, Setup};
use rsntpd::engine::report::event::Event;
use rsntpd::units::{Leap, Seconds};
use sim::chance::Dice;
use sim::link::{Direction, Link, Queue};
use sim::scenario::{CLIENT, Scenario};
use sim::sweep::in_parallel;
use sim::world::World;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// When it happens: the loop has long settled.
const EVENT: f64 = 40_000.0;
/// Ours may be worse than usual by this factor afterwards.
const FACTOR: f64 = 3.0;
const SEEDS: RangeInclusive<u64> = 1..=5;
/// The same, where luck decides much.
const MANY: RangeInclusive<u64> = 1..=20;

/// A world, and its client's clock second by second.
struct Watched {
    world: World,
    errors: Vec<f64>,
    polls: Vec<f64>,
    /// Root mean square of the error in the second half before the event, seconds.
    usual: f64,
    /// Mean interval between polls there.
    interval: f64,
}

impl Watched {
    /// Runs a world of this scenario up to the event.
    fn new(scenario: &Scenario, seed: u64) -> Self {
        Self::up_to(scenario.world(seed), scenario.servers, EVENT)
    }

    fn up_to(world: World, servers: usize, event: f64) -> Self {
        let mut watched = Self { world, errors: vec![0.0], polls: Vec::new(), usual: 0.0, interval: 0.0 };
        watched.run(event);
        watched.usual = watched.rms(event / 2.0, event);
        let polls = watched.polls.iter().filter(|at| **at > event / 2.0).count();
        watched.interval = event / 2.0 / polls as f64 * servers as f64;
        watched
    }

    fn run(&mut self, until: f64) {
        for second in self.errors.len()..=until as usize {
            let sent = self.world.hosts[0].sent;
            self.world.run(second as f64);
            self.errors.push(self.world.hosts[0].clock.offset);
            if self.world.hosts[0].sent > sent {
                self.polls.extend((sent..self.world.hosts[0].sent).map(|_| second as f64));
            }
        }
    }

    fn window(&self, from: f64, to: f64) -> &[f64] {
        &self.errors[from as usize + 1..=to as usize]
    }

    fn rms(&self, from: f64, to: f64) -> f64 {
        let window = self.window(from, to);
        (window.iter().map(|e| e * e).sum::<f64>() / window.len() as f64).sqrt()
    }

    fn max(&self, from: f64, to: f64) -> f64 {
        self.window(from, to).iter().fold(0f64, |most, e| most.max(e.abs()))
    }

    /// When the clock was stepped.
    fn steps(&self) -> Vec<f64> {
        let events = &self.world.hosts[0].events;
        events.iter().filter(|(_, e)| matches!(e, Event::TimeReset(_))).map(|(at, _)| *at).collect()
    }

    /// How much worse than usual it is in `polls` intervals from `from` on.
    fn excess(&mut self, from: f64, polls: f64) -> f64 {
        let to = from + polls * self.interval;
        self.run(to);
        self.rms(from, to) / self.usual
    }

    /// The same, five polls after the event.
    fn excess_after_five_polls(&mut self) -> f64 {
        self.excess(EVENT + 5.0 * self.interval, 5.0)
    }
}

fn internet() -> Scenario {
    Scenario::new("internet", 0.010, 0.001, 1e-9)
}

fn lan() -> Scenario {
    Scenario::new("lan", 100e-6, 10e-6, 1e-9)
}

fn worlds() -> [Scenario; 4] {
    [
        lan(),
        Scenario::new("campus", 0.001, 100e-6, 1e-9),
        internet(),
        Scenario { name: "four", servers: 4, ..internet() },
    ]
}

/// Judges each world under each seed. All figures are to be below `limit`, or below today's where the
/// scenario is known to miss it.
fn all_within(
    limit: f64,
    today: &[(&str, f64)],
    scenarios: &[Scenario],
    judge: impl Fn(&Scenario, u64) -> f64 + Sync,
) {
    all_seeds_within(SEEDS, limit, today, scenarios, judge);
}

fn all_seeds_within(
    seeds: RangeInclusive<u64>,
    limit: f64,
    today: &[(&str, f64)],
    scenarios: &[Scenario],
    judge: impl Fn(&Scenario, u64) -> f64 + Sync,
) {
    let runs: Vec<(Scenario, u64)> =
        scenarios.iter().flat_map(|scenario| seeds.clone().map(|seed| (*scenario, seed))).collect();
    let figures = in_parallel(&runs, |(scenario, seed)| judge(scenario, *seed));
    let (mut told, mut past, mut worst) = (Vec::new(), Vec::new(), BTreeMap::new());
    for ((scenario, seed), figure) in runs.iter().zip(figures) {
        let line = format!("{} seed {seed}: {figure:.2}", scenario.name);
        let known = today.iter().find(|t| t.0 == scenario.name).map_or(limit, |t| t.1);
        // A figure that is no number is past any limit.
        if figure.is_nan() || figure >= known.max(limit) {
            past.push(line.clone());
        }
        told.push(line);
        let most: &mut f64 = worst.entry(scenario.name).or_default();
        *most = most.max(figure);
    }
    println!("limit {limit}: {}", told.join(", "));
    for (name, figure) in worst.iter().filter(|w| today.iter().any(|t| t.0 == *w.0)) {
        let verdict = if *figure < limit { "reached, take it off the list" } else { "not reached yet" };
        println!("{name}: {figure:.2}, {verdict}");
    }
    assert!(past.is_empty(), "limit {limit}, today {today:?}: {}", past.join(", "));
}

#[test]
fn a_step_of_the_frequency_is_over_after_five_polls() {
    all_seeds_within(MANY, FACTOR, &[], &worlds(), |scenario, seed| {
        let mut watched = Watched::new(scenario, seed);
        watched.world.hosts[0].clock.drift += 5e-6;
        watched.excess_after_five_polls()
    });
}

#[test]
fn a_step_of_the_phase_is_over_after_five_polls() {
    all_seeds_within(MANY, FACTOR, &[], &worlds(), |scenario, seed| {
        let mut watched = Watched::new(scenario, seed);
        watched.world.hosts[0].clock.step(1e-3);
        watched.excess_after_five_polls()
    });
}

#[test]
fn a_clock_set_by_somebody_else_is_right_again_after_five_polls() {
    all_within(FACTOR, &[], &[lan(), internet()], |scenario, seed| {
        let mut watched = Watched::new(scenario, seed);
        watched.world.hosts[0].clock.step(-0.050);
        watched.excess_after_five_polls()
    });
}

/// The clock is far off since `event`. It is to be stepped back, once: gives after how many seconds, and how
/// much worse than usual it is five polls later.
fn stepped_back(mut watched: Watched, event: f64) -> (f64, f64) {
    while watched.steps().is_empty() && (watched.errors.len() as f64) < event + 10_000.0 {
        let next = watched.errors.len() as f64 + 10.0;
        watched.run(next);
    }
    let Some(step) = watched.steps().first().copied() else { return (f64::INFINITY, f64::INFINITY) };
    let excess = watched.excess(step.floor() + 5.0 * watched.interval, 5.0);
    assert_eq!((watched.steps().len(), watched.world.hosts[0].exit), (1, None));
    (step - event, excess)
}

/// The stepout time of 900 s, and six polls.
const STEPPED_BACK: f64 = 900.0 + 6.0 * 256.0;

fn set_far_away(scenario: &Scenario, seed: u64) -> (f64, f64) {
    let mut watched = Watched::new(scenario, seed);
    watched.world.hosts[0].clock.step(5.0);
    stepped_back(watched, EVENT)
}

#[test]
fn a_clock_set_by_somebody_else_far_away_is_stepped_back() {
    let worlds = [lan(), internet()];
    all_within(STEPPED_BACK, &[], &worlds, |scenario, seed| set_far_away(scenario, seed).0);
    all_within(FACTOR, &[], &worlds, |scenario, seed| set_far_away(scenario, seed).1);
}

fn pause(watched: &mut Watched, span: f64) {
    watched.world.hosts[0].clock.pause(span);
    watched.world.time += span;
    watched.errors.resize(watched.errors.len() + span as usize, 0.0);
}

fn stand_still(scenario: &Scenario, seed: u64) -> (f64, f64) {
    let mut watched = Watched::new(scenario, seed);
    pause(&mut watched, 600.0);
    stepped_back(watched, EVENT + 600.0)
}

#[test]
fn a_machine_that_stands_still_for_ten_minutes_is_stepped_back() {
    let worlds = [lan(), internet()];
    all_within(STEPPED_BACK, &[], &worlds, |scenario, seed| stand_still(scenario, seed).0);
    all_within(FACTOR, &[], &worlds, |scenario, seed| stand_still(scenario, seed).1);
}

#[test]
fn a_pause_after_which_the_host_sets_the_clock_is_not_noticed() {
    all_within(FACTOR, &[], &[lan(), internet()], |scenario, seed| {
        let mut watched = Watched::new(scenario, seed);
        pause(&mut watched, 600.0);
        watched.world.hosts[0].clock.step(600.0);
        let excess = watched.excess(EVENT + 600.0, 10.0);
        assert_eq!((watched.steps().len(), watched.world.hosts[0].exit), (0, None));
        excess
    });
}

#[test]
fn a_server_that_is_wrong_for_three_polls_moves_nothing() {
    all_within(FACTOR, &[], &[lan(), internet()], |scenario, seed| {
        let mut watched = Watched::new(scenario, seed);
        let end = EVENT + 3.0 * watched.interval;
        watched.world.servers[0].error = Box::new(move |t| if (EVENT..end).contains(&t) { 1.0 } else { 0.0 });
        let excess = watched.excess(EVENT, 20.0);
        assert!(watched.steps().is_empty());
        excess
    });
}

/// The largest error, in ms, within five hours after half of the servers began to drift away.
fn half_drifts_away(servers: usize, seed: u64) -> f64 {
    let mut watched = Watched::new(&Scenario { servers, ..internet() }, seed);
    for server in &mut watched.world.servers[servers.div_ceil(2)..] {
        server.error = Box::new(|t| (t - EVENT).max(0.0) * 20e-6);
    }
    watched.run(EVENT + 18_000.0);
    watched.max(EVENT, EVENT + 18_000.0) * 1e3
}

#[test]
fn half_of_the_servers_drift_away_alone() {
    // 20 ppm make 360 ms in this time. Where halves stand against each other nobody is right, and
    // the clock must coast on what it knew before.
    let named = [("two of four", 4), ("three of six", 6), ("four of eight", 8)];
    let scenarios = named.map(|(name, servers)| Scenario { name, servers, ..internet() });
    all_within(5.0, &[], &scenarios, |scenario, seed| half_drifts_away(scenario.servers, seed));
}

#[test]
fn nearly_half_of_the_servers_drift_away_alone() {
    let named = [("one of three", 3), ("two of five", 5), ("three of seven", 7)];
    let scenarios = named.map(|(name, servers)| Scenario { name, servers, ..internet() });
    all_within(2.0, &[], &scenarios, |scenario, seed| half_drifts_away(scenario.servers, seed));
}

/// The daemon is stopped, and hears nothing, from time to time.
fn stop_and_go(watched: &mut Watched, until: f64) {
    while (watched.errors.len() as f64) < until {
        let now = watched.errors.len() as f64 - 1.0;
        watched.world.hosts[0].exit = Some(ExitReason::Shutdown);
        watched.run(now + 300.0);
        watched.world.hosts[0].exit = None;
        watched.run(now + 1000.0);
    }
}

#[test]
fn a_daemon_that_misses_its_ticks_keeps_the_clock() {
    all_within(FACTOR, &[], &worlds(), |scenario, seed| {
        let mut watched = Watched::new(scenario, seed);
        stop_and_go(&mut watched, EVENT + 20_000.0);
        watched.rms(EVENT, EVENT + 20_000.0) / watched.usual
    });
}

#[test]
fn ticks_missed_in_the_midst_of_a_correction_do_no_harm() {
    // In ms: past the true time by how much.
    all_within(1.0, &[("internet", 2.30)], &[lan(), internet()], |scenario, seed| {
        let world = Scenario { offset: 0.1, ..*scenario }.world(seed);
        let mut watched = Watched { world, errors: vec![0.0], polls: Vec::new(), usual: 0.0, interval: 0.0 };
        watched.run(60.0);
        stop_and_go(&mut watched, 6_000.0);
        watched.window(60.0, 6_000.0).iter().fold(0f64, |most, e| most.max(-e)) * 1e3
    });
}

/// By how much a clock that began `offset` away went past the true time in its first two hours, seconds.
fn overshoot(scenario: &Scenario, offset: f64, seed: u64) -> f64 {
    let world = Scenario { offset, ..*scenario }.world(seed);
    let mut watched = Watched { world, errors: vec![0.0], polls: Vec::new(), usual: 0.0, interval: 0.0 };
    watched.run(7200.0);
    watched.window(0.0, 7200.0).iter().fold(0f64, |most, e| most.max(-e * offset.signum()))
}

#[test]
fn a_start_a_tenth_of_a_second_away_does_not_overshoot() {
    // Past the true time by no more than half a percent, and what the jitter makes of any clock.
    let cold = Scenario { name: "cold", drift: 100e-6, ..internet() };
    all_within(1.0, &[], &[lan(), internet(), cold], |scenario, seed| {
        let Queue::Exponential(jitter) = scenario.up else { return f64::NAN };
        let worst = overshoot(scenario, 0.1, seed).max(overshoot(scenario, -0.1, seed));
        worst / (0.005 * 0.1 + 2.0 * jitter)
    });
}

#[test]
fn a_kernel_that_notices_its_seconds_late_is_seen_to() {
    // As the start above, and the machine does nothing beside us.
    all_within(1.0, &[], &[lan(), internet()], |scenario, seed| {
        let scenario = Scenario { offset: 0.06, minpoll: 3, maxpoll: 4, ..*scenario };
        let mut world = scenario.world(seed);
        world.hosts[0].clock.idle_tick = Some(0.01);
        let mut watched = Watched { world, errors: vec![0.0], polls: Vec::new(), usual: 0.0, interval: 0.0 };
        watched.run(600.0);
        let Queue::Exponential(jitter) = scenario.up else { return f64::NAN };
        watched.max(20.0, 600.0) / (200e-6 + 2.0 * jitter)
    });
}

#[test]
fn a_leap_second_is_no_phase_hit() {
    // 2026-06-30 12:00 UTC; the kernel inserts the second, the servers' time as well.
    let midnight = 43_200.0;
    all_within(FACTOR, &[], &[lan(), internet()], |scenario, seed| {
        let mut world = scenario.world_at(1_782_820_800, seed);
        world.servers[0].leap = Leap::Insert;
        world.servers[0].error = Box::new(move |t| if t >= midnight { -1.0 } else { 0.0 });
        let mut watched = Watched::up_to(world, 1, midnight);
        watched.world.hosts[0].clock.insert_leap_second();
        watched.world.servers[0].leap = Leap::None;
        let end = midnight + 20.0 * watched.interval;
        watched.run(end);
        watched.errors.iter_mut().skip(midnight as usize + 1).for_each(|e| *e += 1.0);
        assert!(watched.steps().is_empty());
        watched.rms(midnight, end) / watched.usual
    });
}

/// From now on all packets take a route that is longer by `up` and `down`.
fn change_route(watched: &mut Watched, scenario: &Scenario, seed: u64, up: f64, down: f64) {
    let way = |extra: f64, queue| Direction::new(scenario.base + extra, queue);
    let link = Link::new(way(up, scenario.up), way(down, scenario.down), Dice::new(seed, 500));
    watched.world.connect(CLIENT, &Scenario::server(0), link);
}

#[test]
fn a_route_that_grows_both_ways_is_not_noticed() {
    all_within(FACTOR, &[], &[lan(), internet()], |scenario, seed| {
        let mut watched = Watched::new(scenario, seed);
        change_route(&mut watched, scenario, seed, 5e-3, 5e-3);
        watched.excess(EVENT, 100.0)
    });
}

#[test]
fn a_route_that_grows_one_way_takes_the_clock_along_by_half_of_it_at_most() {
    // Nobody can tell 5 ms more one way from a clock that is off by half of that. The largest error of
    // a long time is past three times the usual one without any cause, too.
    all_within(5.0, &[], &[lan(), internet()], |scenario, seed| {
        let mut watched = Watched::new(scenario, seed);
        change_route(&mut watched, scenario, seed, 5e-3, 0.0);
        watched.run(EVENT + 40_000.0);
        (watched.max(EVENT, EVENT + 40_000.0) - 2.75e-3).max(0.0) / watched.usual
    });
}

#[test]
fn a_route_that_grew_one_way_leaves_the_frequency_alone() {
    // Wherever the phase settles, ten polls later it stays there.
    all_within(FACTOR, &[], &[lan(), internet()], |scenario, seed| {
        let mut watched = Watched::new(scenario, seed);
        change_route(&mut watched, scenario, seed, 5e-3, 0.0);
        let (from, to) = (EVENT + 10.0 * watched.interval, EVENT + 40.0 * watched.interval);
        watched.run(to);
        let window = watched.window(from, to);
        let mean = window.iter().sum::<f64>() / window.len() as f64;
        let spread = window.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / window.len() as f64;
        spread.sqrt() / watched.usual
    });
}

/// Three servers in the LAN, the third of which steps by 200 µs: how far the clock goes along before the third
/// counts as well again, in µs.
fn goes_along(mindist: f64) -> f64 {
    let mut world = Scenario { servers: 3, ..lan() }.world(1);
    let host = world.hosts.pop().unwrap();
    let mut setup = Setup { config: host.engine.config().clone(), ..Setup::default() };
    setup.config.tos.mindist = Seconds::new(mindist);
    world.add_host(CLIENT, host.clock, setup, None, &mut Dice::new(1, 2));
    let mut watched = Watched::up_to(world, 3, EVENT);
    watched.world.servers[2].error = Box::new(|t| if t >= EVENT { 200e-6 } else { 0.0 });
    let end = EVENT + 600.0 + watched.interval;
    watched.run(end);
    watched.max(EVENT, end) * 1e6
}

#[test]
fn a_source_that_is_alarmed_but_near_the_others_still_counts() {
    let (near, far) = (goes_along(1e-3), goes_along(1e-6));
    println!("{near} {far}");
    assert!(
        near > 40.0 && far < 30.0,
        "within tos mindist it is heard ({near} us), beyond it is not ({far} us)"
    );
}

#[test]
fn while_the_kernel_is_to_insert_a_leap_second_nothing_glides() {
    // 2026-06-30 12:00 UTC. Switching its loop off and on would have the kernel forget the leap second.
    let fastest = |leap| {
        let mut world = lan().world_at(1_782_820_800, 1);
        world.servers[0].leap = leap;
        let mut watched = Watched::up_to(world, 1, 30_000.0);
        watched.world.hosts[0].clock.step(5e-3);
        watched.run(32_000.0);
        assert!(watched.errors[32_000].abs() < 0.1e-3, "it is right again");
        watched.errors[30_001..].windows(2).map(|e| (e[1] - e[0]).abs()).fold(0f64, f64::max) * 1e3
    };
    let (armed, usual) = (fastest(Leap::Insert), fastest(Leap::None));
    assert!(armed < 0.55 && usual > 0.9, "ms in a second: {armed} and {usual}");
}
