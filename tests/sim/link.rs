//! The way between two hosts: a base delay each way, queueing by some law, loss and doubles.

use super::chance::Dice;

/// How long packets queue, beyond the base delay.
#[derive(Clone, Copy, Debug)]
pub enum Queue {
    /// Exponential with this mean.
    Exponential(f64),
    /// Uniform from 0 to this.
    Uniform(f64),
    /// Pareto with this scale and exponent, beginning at 0, cut at 100 scales.
    Pareto(f64, f64),
    /// Exponential of the first mean, and with this probability the fixed extra of another route.
    Bimodal(f64, f64, f64),
    /// Exponential of the first mean; the route changes with the probability given last, and the other one
    /// is longer by this.
    Flaps(f64, f64, f64),
    /// Exponential, with this extra for 6 packets of every 30.
    Burst(f64, f64),
    /// Exponential of the first mean, with the extra given next for so many packets of every 30.
    Late(f64, f64, u32),
    /// Exponential mean, correlated from packet to packet with this factor.
    Correlated(f64, f64),
}

/// One direction of a link.
pub struct Direction {
    base: f64,
    queue: Queue,
    last: f64,
    detour: bool,
    count: u32,
}

impl Direction {
    pub const fn new(base: f64, queue: Queue) -> Self {
        Self { base, queue, last: 0.0, detour: false, count: 0 }
    }

    fn delay(&mut self, dice: &mut Dice) -> f64 {
        self.count += 1;
        self.base
            + match self.queue {
                Queue::Exponential(mean) => mean * dice.exponential(),
                Queue::Uniform(most) => most * dice.uniform(),
                Queue::Pareto(scale, alpha) => scale * (dice.uniform().powf(-1.0 / alpha) - 1.0).min(100.0),
                Queue::Bimodal(mean, extra, probability) => {
                    let flap = if dice.uniform() < probability { extra } else { 0.0 };
                    mean * dice.exponential() + flap
                }
                Queue::Flaps(mean, extra, probability) => {
                    self.detour ^= dice.uniform() < probability;
                    mean * dice.exponential() + if self.detour { extra } else { 0.0 }
                }
                Queue::Burst(mean, extra) => {
                    let burst = if self.count % 30 < 6 { extra } else { 0.0 };
                    mean * dice.exponential() + burst
                }
                Queue::Late(mean, extra, packets) => {
                    let late = if self.count % 30 < packets { extra } else { 0.0 };
                    mean * dice.exponential() + late
                }
                Queue::Correlated(mean, factor) => {
                    self.last = factor * self.last + (1.0 - factor) * mean * dice.exponential();
                    self.last
                }
            }
    }
}

/// Both directions between a client and a server.
pub struct Link {
    pub up: Direction,
    pub down: Direction,
    pub loss: f64,
    pub duplicate: f64,
    /// Of so many requests one passes.
    pub one_of: Option<u32>,
    requests: u32,
    dice: Dice,
}

impl Link {
    pub const fn new(up: Direction, down: Direction, dice: Dice) -> Self {
        Self { up, down, loss: 0.0, duplicate: 0.0, one_of: None, requests: 0, dice }
    }

    /// The same law both ways.
    pub const fn even(base: f64, queue: Queue, dice: Dice) -> Self {
        Self::new(Direction::new(base, queue), Direction::new(base, queue), dice)
    }

    /// The delays of a request's copies: none if it is lost.
    pub fn up(&mut self) -> Vec<f64> {
        self.requests += 1;
        if self.one_of.is_some_and(|n| !self.requests.is_multiple_of(n)) {
            return Vec::new();
        }
        self.copies(true)
    }

    pub fn down(&mut self) -> Vec<f64> {
        self.copies(false)
    }

    fn copies(&mut self, up: bool) -> Vec<f64> {
        let lost = up && self.dice.uniform() < self.loss;
        let count = if lost { 0 } else { 1 + usize::from(self.dice.uniform() < self.duplicate) };
        let direction = if up { &mut self.up } else { &mut self.down };
        (0..count).map(|_| direction.delay(&mut self.dice)).collect()
    }
}
