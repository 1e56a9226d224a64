//! Worlds that no table names: each number is one, drawn from wide ranges. Ours runs in each beside the
//! yardsticks, which send the same number of packets.

use super::chance::Dice;
use super::least_squares::LeastSquares;
use super::link::Queue;
use super::ntpd_like::NtpdLike;
use super::scenario::{Report, Scenario};
use super::yardstick::{self, Loop};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Ours may not be worse than the best yardstick by more than this factor.
pub const BOUND: f64 = 1.1;
/// What a world's queues may be, by their short names.
pub const LAWS: [&str; 6] = ["exponential", "uniform", "pareto", "bimodal", "flaps", "correlated"];
/// The yardsticks: loops like ntpd's of two gains, lines through so many samples.
pub const YARDSTICKS: [&str; 5] = ["ntpd16", "ntpd4", "line8", "line16", "line64"];

/// A world of the sweep.
#[derive(Clone, Copy)]
pub struct Place {
    pub index: u64,
    pub law: &'static str,
    /// Mean (of a Pareto law: scale) of the queues on the way up, seconds.
    pub jitter: f64,
    /// What the way down has of that.
    pub asymmetry: f64,
    pub scenario: Scenario,
}

/// A queue of this law; `jitter` in seconds.
pub fn queue(law: &str, jitter: f64) -> Queue {
    match law {
        "uniform" => Queue::Uniform(2.0 * jitter),
        "pareto" => Queue::Pareto(jitter, 1.5),
        "bimodal" => Queue::Bimodal(jitter, 10.0 * jitter, 0.2),
        "flaps" => Queue::Flaps(jitter, 10.0 * jitter, 0.05),
        "correlated" => Queue::Correlated(jitter, 0.9),
        _ => Queue::Exponential(jitter),
    }
}

impl Place {
    /// World number `index`: jitter 1 µs to 50 ms, wander 1e-11 to 1e-7, one to eight servers, a third
    /// of the worlds with a tenth of the jitter on the way down.
    pub fn new(index: u64) -> Self {
        let mut dice = Dice::new(index, 77);
        let mut between = |low: f64, high: f64| low * (high / low).powf(dice.uniform());
        let (jitter, wander, base) = (between(1e-6, 50e-3), between(1e-11, 1e-7), between(100e-6, 50e-3));
        let servers = [1, 1, 1, 2, 3, 4, 6, 8][(dice.uniform() * 8.0) as usize];
        let asymmetry = if dice.uniform() < 1.0 / 3.0 { 0.1 } else { 1.0 };
        let law = LAWS[(index % 6) as usize];
        Self::of(index, law, jitter, wander, base, servers, asymmetry)
    }

    /// A world of these parameters.
    pub fn of(
        index: u64,
        law: &'static str,
        jitter: f64,
        wander: f64,
        base: f64,
        servers: usize,
        asymmetry: f64,
    ) -> Self {
        let (up, down) = (queue(law, jitter), queue(law, jitter * asymmetry));
        let scenario = Scenario { up, down, servers, ..Scenario::new("world", base, jitter, wander) };
        Self { index, law, jitter, asymmetry, scenario }
    }

    pub fn describe(&self) -> String {
        let s = &self.scenario;
        format!(
            "{:<4} {:<11} jitter {:>8.1}us x{:<3} wander {:.1e} base {:>7.0}us servers {}",
            self.index,
            self.law,
            self.jitter * 1e6,
            self.asymmetry,
            s.wander,
            s.base * 1e6,
            s.servers
        )
    }

    /// Runs ours and the yardsticks under a seed.
    pub fn judge(&self, seed: u64, duration: f64) -> Comparison {
        let ours = self.scenario.run(seed, duration);
        let others = self.yardsticks(seed, duration, ours.packets).map(|report| report.rms);
        Comparison { ours: ours.rms, others, packets: ours.packets }
    }

    /// The same under several; the figures of all go into one.
    pub fn judge_all(&self, seeds: &[u64], duration: f64) -> Comparison {
        let runs: Vec<Comparison> = seeds.iter().map(|seed| self.judge(*seed, duration)).collect();
        Comparison::of_all(&runs)
    }

    /// The yardsticks, at the pace at which `packets` are sent in that time.
    fn yardsticks(&self, seed: u64, duration: f64, packets: u64) -> [Report; 5] {
        let servers = self.scenario.servers;
        let each = (packets as f64 / servers as f64 - f64::from(yardstick::BURST)).max(8.0);
        let interval = (duration / each).clamp(16.0, 2048.0);
        let run = |tested: &mut dyn Loop| yardstick::run(&self.scenario, seed, duration, interval, tested);
        [
            run(&mut NtpdLike::new(servers, interval, 16.0)),
            run(&mut NtpdLike::new(servers, interval, 4.0)),
            run(&mut LeastSquares::new(servers, 8)),
            run(&mut LeastSquares::new(servers, 16)),
            run(&mut LeastSquares::new(servers, 64)),
        ]
    }
}

/// What came of a world: rms errors in seconds, and packets of one run.
#[derive(Clone, Copy, Debug)]
pub struct Comparison {
    pub ours: f64,
    pub others: [f64; 5],
    pub packets: u64,
}

impl Comparison {
    /// The mean of several runs: of the squares, for root mean squares.
    pub fn of_all(runs: &[Self]) -> Self {
        let count = runs.len() as f64;
        let mean = |value: &dyn Fn(&Self) -> f64| {
            (runs.iter().map(|run| value(run).powi(2)).sum::<f64>() / count).sqrt()
        };
        Self {
            ours: mean(&|run| run.ours),
            others: std::array::from_fn(|index| mean(&|run| run.others[index])),
            packets: runs.iter().map(|run| run.packets).sum::<u64>() / runs.len() as u64,
        }
    }

    /// The best yardstick: which, and its rms.
    pub fn best(&self) -> (&'static str, f64) {
        let all = YARDSTICKS.into_iter().zip(self.others);
        all.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap()
    }

    /// Ours by the best of them: below 1 we win.
    pub fn ratio(&self) -> f64 {
        self.ours / self.best().1
    }

    pub fn describe(&self) -> String {
        let (name, best) = self.best();
        let others: Vec<String> =
            YARDSTICKS.iter().zip(self.others).map(|(n, rms)| format!("{n} {:.2}", rms * 1e6)).collect();
        format!(
            "ratio {:.2} to {name} ({:.2}): ours {:.2}us, {} us; {} packets",
            self.ratio(),
            best * 1e6,
            self.ours * 1e6,
            others.join(" "),
            self.packets
        )
    }
}

/// Does `work` for each of `items`, on all processors; the results in their order.
pub fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(item) = {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    items.get(index).map(|item| (index, item))
                } {
                    let result = work(item.1);
                    done.lock().unwrap().push((item.0, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}
