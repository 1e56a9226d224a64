//! The plain loops that ours is measured against, and the world they run in: the same clock, links
//! and seeds as the engine's ([`Scenario::world`]), but nothing of the engine.
//!
//! A yardstick starts with eight packets to each server, two seconds apart, as `iburst` does, and
//! is set at once to what they say. Then it asks each server every `interval` seconds. Who compares
//! gives it the mean interval of the engine's own run, so that both sent the same number of
//! packets. Its frequency may be moved each second by any amount, which is more than a kernel grants.

use super::chance::Dice;
use super::clock::Clock;
use super::scenario::{EPOCH, Judge, Report, Scenario};

/// Packets of the start burst.
pub const BURST: u32 = 8;

/// One exchange. Times are the clock's own, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// Which server.
    pub server: usize,
    /// The middle of the exchange.
    pub at: f64,
    /// Server minus clock.
    pub offset: f64,
    /// Round trip.
    pub delay: f64,
    /// How far the loop's own corrections had moved the clock by then.
    pub moved: f64,
}

/// A loop: samples in, a rate out.
pub trait Loop {
    /// Takes a sample in, after the clock was set.
    fn sample(&mut self, taken: &Taken);
    /// The rate to add to the clock's own for the next second, s/s. `at` is the clock's time, `moved`
    /// how far it was moved so far.
    fn rate(&mut self, at: f64, moved: f64) -> f64;
}

struct Flight {
    arrives: f64,
    server: usize,
    sent: f64,
    moved: f64,
    stamp: f64,
}

struct Yard<'a> {
    scenario: &'a Scenario,
    clock: Clock,
    moved: f64,
    due: Vec<(f64, u32)>,
    flights: Vec<Flight>,
    burst: Vec<Taken>,
    set: bool,
}

impl Yard<'_> {
    fn local(&self) -> f64 {
        self.clock.time + self.clock.offset
    }

    fn advance(&mut self, to: f64) {
        self.moved += self.clock.correction * (to - self.clock.time).max(0.0);
        self.clock.advance(to);
    }

    /// The first of what comes before `end`: an answer, or a server to be asked.
    fn next(&self, end: f64) -> Option<(f64, Result<usize, usize>)> {
        let answers = self.flights.iter().enumerate().map(|(i, f)| (f.arrives, Ok(i)));
        let polls = self.due.iter().enumerate().map(|(i, d)| (d.0, Err(i)));
        answers.chain(polls).filter(|e| e.0 <= end).min_by(|a, b| a.0.total_cmp(&b.0))
    }

    fn answer(&mut self, flight: &Flight) -> Taken {
        let (received, moved) = (self.local(), self.moved);
        let at = (flight.sent + received) / 2.0;
        Taken {
            server: flight.server,
            at,
            offset: flight.stamp - at,
            delay: received - flight.sent,
            moved: (flight.moved + moved) / 2.0,
        }
    }

    /// Sets the clock by the burst's fastest sample; it is all forgotten then.
    fn set(&mut self) {
        let honest = self.burst.iter().filter(|t| t.delay.is_finite());
        if let Some(best) = honest.min_by(|a, b| a.delay.total_cmp(&b.delay)) {
            self.clock.step(best.offset);
            self.flights.clear();
            self.set = true;
        }
    }
}

/// Runs a loop in a scenario's world and judges it as [`Scenario::run`] does.
pub fn run(scenario: &Scenario, seed: u64, duration: f64, interval: f64, tested: &mut dyn Loop) -> Report {
    let mut clock = Clock::new(EPOCH, scenario.offset, scenario.drift, scenario.wander, Dice::new(seed, 1));
    clock.swing = scenario.swing;
    let mut links: Vec<_> = (0..scenario.servers).map(|i| scenario.link(seed, i)).collect();
    let due = (0..scenario.servers).map(|i| (1.5 + 0.01 * i as f64, 0)).collect();
    let (flights, burst) = (Vec::new(), Vec::new());
    let mut yard = Yard { scenario, clock, moved: 0.0, due, flights, burst, set: false };
    let mut judge = Judge::new(scenario.settled, duration);
    let mut packets = 0;
    for second in 1..=duration as u32 {
        let second = f64::from(second);
        while let Some((at, event)) = yard.next(second) {
            yard.advance(at);
            match event {
                Ok(index) => {
                    let flight = yard.flights.swap_remove(index);
                    let taken = yard.answer(&flight);
                    if yard.set { tested.sample(&taken) } else { yard.burst.push(taken) }
                }
                Err(index) => {
                    let (sent, moved) = (yard.local(), yard.moved);
                    let lie = if index + 1 == yard.scenario.servers { yard.scenario.lie } else { 0.0 };
                    for up in links[index].up() {
                        let (stamp, down) = (at + up + lie, links[index].down()[0]);
                        yard.flights.push(Flight {
                            arrives: at + up + down,
                            server: index,
                            sent,
                            moved,
                            stamp,
                        });
                    }
                    packets += 1;
                    let asked = yard.due[index].1 + 1;
                    yard.due[index] = (at + if asked < BURST { 2.0 } else { interval }, asked);
                }
            }
        }
        yard.advance(second);
        if !yard.set && second >= 2.0 * f64::from(BURST) + 2.0 {
            yard.set();
        }
        if yard.set {
            yard.clock.correction = tested.rate(yard.local(), yard.moved).clamp(-1e-3, 1e-3);
        }
        judge.second(second, yard.clock.offset);
    }
    judge.report(packets)
}
