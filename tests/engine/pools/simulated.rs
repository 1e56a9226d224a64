//! Pools in the simulator: the limits hold for the worst of five seeds.

use super::{few, pool};
use crate::among::watch;
use crate::bench::{ip, server, setup};
use rsntpd::config::model::Server;
use rsntpd::engine::contract::Setup;
use rsntpd::engine::report::event::Event;
use sim::chance::Dice;
use sim::clock::Clock;
use sim::limits::{rms, within};
use sim::link::{Link, Queue};
use sim::scenario::{CLIENT, EPOCH};
use sim::world::{TrueServer, World};
use std::net::IpAddr;

/// What happened to a simulated pool.
struct Outcome {
    /// After how many polls of 64 s at most, since one died, it was gone and four live ones were there.
    polls: f64,
    /// Seconds until the clock was synchronized.
    synchronized: f64,
}

/// A name with ten addresses, four at a time, of which so many die one after the other.
fn simulated(seed: u64, maxclock: u32, loss: f64, deaths: u32) -> Outcome {
    const LIFE: f64 = 4_000.0;
    let mut world = World::new(EPOCH);
    for n in 1..=10u32 {
        let address = format!("192.0.2.{n}");
        let mut server = TrueServer::new(&address);
        let end = if n <= deaths { f64::from(n) * LIFE } else { f64::INFINITY };
        server.answers = Box::new(move |now| now < end);
        world.servers.push(server);
        let delay = 1e-3 * f64::from(n);
        let mut link = Link::even(delay, Queue::Exponential(1e-4), Dice::new(seed, 100 + u64::from(n)));
        link.loss = loss;
        world.connect(CLIENT, &address, link);
    }
    let turn = move |now: f64| (now as u64 + seed) as usize % 10;
    let of_four =
        move |now: f64| (0..4).map(|i| ip(&format!("192.0.2.{}", (turn(now) + 3 * i) % 10 + 1))).collect();
    world.names.insert("p.example".to_owned(), Box::new(of_four));
    let clock = Clock::new(EPOCH, 0.01, 10e-6, 1e-9, Dice::new(seed, 1));
    let setup = Setup { config: few(maxclock), ..Setup::default() };
    world.add_host(CLIENT, clock, setup, None, &mut Dice::new(seed, 2));
    world.run(LIFE);
    let mut worst: f64 = 0.0;
    for died in 1..=deaths {
        let at = f64::from(died) * LIFE;
        let is_gone = |ip_: IpAddr| (1..=died).any(|n| ip(&format!("192.0.2.{n}")) == ip_);
        let mut complete = f64::NAN;
        while world.time < at + LIFE {
            world.run(world.time.floor() + 1.0);
            let engine = &world.hosts[0].engine;
            let count = engine.associations().count();
            assert!(count <= 2 * maxclock as usize, "seed {seed}: {count} associations");
            let servers: Vec<_> = engine.associations().filter(|a| a.address.is_some()).collect();
            let reachable = |id| engine.source(id).unwrap().reach().is_reachable();
            let live = servers.iter().filter(|a| reachable(a.id) && !is_gone(a.address.unwrap())).count();
            let has_dead = servers.iter().any(|a| is_gone(a.address.unwrap()));
            if complete.is_nan() && !has_dead && live >= 4 {
                complete = (world.time - at) / 64.0;
            }
        }
        worst = f64::max(worst, if complete.is_nan() { f64::INFINITY } else { complete });
    }
    let sync = world.hosts[0].events.iter().find(|(_, e)| matches!(e, Event::ClockSync)).map(|(at, _)| *at);
    Outcome { polls: worst, synchronized: sync.unwrap_or(f64::INFINITY) }
}

#[test]
fn modes_a_pool_of_ten_six_of_which_die() {
    let worlds = [("a pool of ten, six die", 10), ("the same, tos maxclock 4", 4)];
    within(
        "polls until the dead one is gone and four live ones are there",
        30.0,
        &worlds,
        |maxclock, seed| simulated(seed, *maxclock, 0.01, 6).polls,
    );
    let worlds = [("a pool, no loss", 0.0), ("a pool, 5 % loss", 0.05)];
    within("s to the first synchronization", 10.0, &worlds, |loss, seed| {
        simulated(seed, 10, *loss, 0).synchronized
    });
}

#[test]
fn a_pool_starts_as_fast_as_server_lines() {
    let first = |lines: Vec<Server>, loss: f64, seed: u64| {
        let mut world = World::new(EPOCH);
        for n in 1..=4u64 {
            let address = format!("192.0.2.{n}");
            world.servers.push(TrueServer::new(&address));
            let mut link = Link::even(0.01, Queue::Exponential(1e-4), Dice::new(seed, 100 + n));
            link.loss = loss;
            world.connect(CLIENT, &address, link);
        }
        let all = (1..=4).map(|n| ip(&format!("192.0.2.{n}"))).collect::<Vec<_>>();
        world.names.insert("p.example".to_owned(), Box::new(move |_| all.clone()));
        let clock = Clock::new(EPOCH, 0.05, 10e-6, 1e-9, Dice::new(seed, 1));
        world.add_host(CLIENT, clock, setup(lines), None, &mut Dice::new(seed, 2));
        let errors = watch(&mut world, 0, 2000.0);
        let sync =
            world.hosts[0].events.iter().find(|(_, e)| matches!(e, Event::ClockSync)).map(|(at, _)| *at);
        (sync.unwrap_or(f64::INFINITY), rms(&errors[300..]))
    };
    let lines =
        || (1..=4).map(|n| Server { iburst: true, ..server(&format!("192.0.2.{n}")) }).collect::<Vec<_>>();
    let worlds = [("no loss", 0.0), ("20 % loss", 0.2)];
    within("s later than four server lines", 2.5, &worlds, |loss, seed| {
        first(vec![pool()], *loss, seed).0 - first(lines(), *loss, seed).0
    });
    within("times the rms of four server lines", 1.5, &worlds, |loss, seed| {
        first(vec![pool()], *loss, seed).1 / first(lines(), *loss, seed).1
    });
}
