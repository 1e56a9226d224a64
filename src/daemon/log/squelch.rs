//! Keeps the log from being flooded: repeats are counted, and bursts are bounded. Knows no clock.

use crate::engine::report::event::Level;
use std::time::{Duration, Instant};

/// How long repeats of a line are counted in silence.
const REPORT_EVERY: Duration = Duration::from_secs(600);
/// Different lines that may come at once; a start with a configuration full of slips needs some hundreds.
const BURST: f64 = 1000.0;
/// Different lines a second in the long run.
const RATE: f64 = 5.0;

/// What is held back.
#[derive(Debug)]
pub(super) struct Squelch {
    last: Option<(Level, String)>,
    repeats: u32,
    last_report: Instant,
    tokens: f64,
    refilled: Instant,
    suppressed: u32,
}

impl Squelch {
    /// Nothing written yet.
    pub(super) const fn new(now: Instant) -> Self {
        Self { last: None, repeats: 0, last_report: now, tokens: BURST, refilled: now, suppressed: 0 }
    }

    /// Takes a line in and gives the lines to write now, in order.
    pub(super) fn admit(&mut self, now: Instant, level: Level, text: String) -> Vec<(Level, String)> {
        let mut out = Vec::new();
        let is_repeat = self.last.as_ref().is_some_and(|(l, t)| *l == level && *t == text);
        if is_repeat {
            self.repeats += 1;
            if now.saturating_duration_since(self.last_report) >= REPORT_EVERY {
                out.extend(self.flush());
                self.last_report = now;
            }
            return out;
        }
        if !self.take_token(now) {
            self.suppressed += 1;
            return out;
        }
        out.extend(self.flush());
        if self.suppressed > 0 {
            out.push((Level::Warning, format!("{} log lines suppressed: too many at once", self.suppressed)));
            self.suppressed = 0;
        }
        self.last = Some((level, text.clone()));
        self.last_report = now;
        out.push((level, text));
        out
    }

    /// The count of repeats, if there were any.
    pub(super) fn flush(&mut self) -> Option<(Level, String)> {
        let repeats = std::mem::take(&mut self.repeats);
        let (level, _) = self.last.as_ref()?;
        let times = if repeats == 1 { "time" } else { "times" };
        (repeats > 0).then(|| (*level, format!("last message repeated {repeats} {times}")))
    }

    fn take_token(&mut self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.refilled = now;
        self.tokens = (self.tokens + elapsed * RATE).min(BURST);
        let admitted = self.tokens >= 1.0;
        if admitted {
            self.tokens -= 1.0;
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lines: Vec<(Level, String)>) -> Vec<String> {
        lines.into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn repeats_are_counted_and_told_before_the_next_line_and_every_ten_minutes() {
        let t0 = Instant::now();
        let mut squelch = Squelch::new(t0);
        let mut at =
            |s, text: &str| texts(squelch.admit(t0 + Duration::from_secs(s), Level::Info, text.into()));
        assert_eq!(at(0, "a"), ["a"]);
        assert!(at(1, "a").is_empty());
        assert!(at(599, "a").is_empty());
        assert_eq!(at(601, "a"), ["last message repeated 3 times"]);
        assert!(at(602, "a").is_empty());
        assert_eq!(at(603, "b"), ["last message repeated 1 time", "b"]);
        assert_eq!(at(604, "a"), ["a"]);
    }

    #[test]
    fn a_flood_of_different_lines_is_bounded_and_told() {
        let t0 = Instant::now();
        let mut squelch = Squelch::new(t0);
        let written: usize = (0..5000).map(|n| squelch.admit(t0, Level::Info, n.to_string()).len()).sum();
        assert_eq!(written, 1000);
        let later = texts(squelch.admit(t0 + Duration::from_secs(1), Level::Info, "later".into()));
        assert_eq!(later, ["4000 log lines suppressed: too many at once", "later"]);
    }
}
