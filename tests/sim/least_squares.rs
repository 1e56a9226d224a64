//! Yardstick: a straight line through the last samples, by least squares, all with equal weight.
//!
//! The line is laid through the clock as it would run without our corrections, so that moving it does
//! not bend the line. The samples of all servers lie on one line. The clock gets the line's
//! slope as its frequency, and what is left of the offset is worked off with a time constant.

use super::yardstick::{Loop, Taken};
use std::collections::VecDeque;

/// Time constant of phase corrections, seconds: short beside all intervals.
const SETTLING: f64 = 8.0;

/// The loop.
pub struct LeastSquares {
    /// Samples on the line: so many of each server.
    most: usize,
    /// Time and server minus clock, both of the free-running clock.
    samples: VecDeque<(f64, f64)>,
    line: Option<Line>,
}

struct Line {
    at: f64,
    offset: f64,
    slope: f64,
}

impl LeastSquares {
    /// A line through the last `length` samples of each server.
    pub const fn new(servers: usize, length: usize) -> Self {
        Self { most: servers * length, samples: VecDeque::new(), line: None }
    }

    fn fit(&self) -> Option<Line> {
        let n = self.samples.len() as f64;
        let mean = |value: fn(&(f64, f64)) -> f64| self.samples.iter().map(value).sum::<f64>() / n;
        let (at, offset) = (mean(|s| s.0), mean(|s| s.1));
        let spread: f64 = self.samples.iter().map(|s| (s.0 - at).powi(2)).sum();
        let slope = self.samples.iter().map(|s| (s.0 - at) * (s.1 - offset)).sum::<f64>() / spread;
        // A line through few neighbours may point anywhere.
        (self.samples.len() > 2 && slope.abs() < 1e-3).then_some(Line { at, offset, slope })
    }
}

impl Loop for LeastSquares {
    fn sample(&mut self, taken: &Taken) {
        if self.samples.len() == self.most {
            self.samples.pop_front();
        }
        self.samples.push_back((taken.at - taken.moved, taken.offset + taken.moved));
        self.line = self.fit();
    }

    fn rate(&mut self, at: f64, moved: f64) -> f64 {
        let Some(line) = &self.line else { return 0.0 };
        let left = line.offset + line.slope * (at - moved - line.at) - moved;
        line.slope + (left / SETTLING).clamp(-500e-6, 500e-6)
    }
}
