//! The lines of loopstats and peerstats, as ntpd's page "Monitoring Options" has them.

use super::numbers::Span;
use crate::units::{DAY, UNIX_EPOCH_MJD};
use std::collections::BTreeMap;

/// Sources kept: what a mistaken file could name is bounded.
const SOURCES_MAX: usize = 1000;

/// Largest number taken for a measurement, in seconds or ppm.
const NUMBER_MAX: f64 = 1e10;

/// An update of the clock.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Update {
    /// Seconds since 1970.
    pub(super) at: f64,
    /// Seconds.
    pub(super) offset: f64,
    /// ppm.
    pub(super) frequency: f64,
    /// Seconds.
    pub(super) jitter: f64,
}

/// A sample of a source.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Sample {
    /// Seconds since 1970.
    pub(super) at: f64,
    /// The selection code of its status word, 0..=7.
    pub(super) selection: u16,
    /// Seconds.
    pub(super) offset: f64,
    /// Seconds.
    pub(super) delay: f64,
    /// Seconds; older lines have none.
    pub(super) jitter: Option<f64>,
}

/// All that was read.
#[derive(Default)]
pub(super) struct Statistics {
    /// By time.
    pub(super) updates: Vec<Update>,
    /// By address, each by time.
    pub(super) sources: BTreeMap<String, Vec<Sample>>,
    /// Lines that are none.
    pub(super) skipped: usize,
    /// Files that were not read, as they are compressed.
    pub(super) compressed: usize,
}

/// Seconds since 1970, and the fields behind the day and the second.
fn fields(line: &str) -> Option<(f64, Vec<&str>)> {
    let mut words = line.split_ascii_whitespace();
    let day: f64 = words.next()?.parse().ok().filter(|day| (0.0..200_000.0).contains(day))?;
    let second: f64 = words.next()?.parse().ok().filter(|second| (0.0..86_402.0).contains(second))?;
    Some(((day - UNIX_EPOCH_MJD as f64) * DAY as f64 + second, words.collect()))
}

fn number(words: &[&str], index: usize) -> Option<f64> {
    // No clock is wrong by centuries: such a number is no measurement, and no scale could hold it.
    words.get(index)?.parse().ok().filter(|number: &f64| number.abs() <= NUMBER_MAX)
}

impl Statistics {
    /// A line of loopstats.
    pub(super) fn take_loop(&mut self, line: &str) {
        let update = |line| {
            let (at, words) = fields(line)?;
            let (offset, frequency) = (number(&words, 0)?, number(&words, 1)?);
            Some(Update { at, offset, frequency, jitter: number(&words, 2)? })
        };
        match update(line) {
            Some(update) => self.updates.push(update),
            None => self.skipped += 1,
        }
    }

    /// A line of peerstats.
    pub(super) fn take_peer(&mut self, line: &str) {
        let sample = |line| {
            let (at, words) = fields(line)?;
            let status = u16::from_str_radix(words.get(1)?, 16).ok()?;
            let (offset, delay) = (number(&words, 2)?, number(&words, 3)?);
            let jitter = number(&words, 5);
            let name = words.first()?.chars().take(64).collect::<String>();
            Some((name, Sample { at, selection: status >> 8 & 7, offset, delay, jitter }))
        };
        match sample(line) {
            Some((name, sample)) if self.sources.contains_key(&name) || self.sources.len() < SOURCES_MAX => {
                self.sources.entry(name).or_default().push(sample);
            }
            _ => self.skipped += 1,
        }
    }

    /// Sorts. The file of today has two names, so that its lines come twice.
    pub(super) fn finish(&mut self) {
        self.updates.sort_by(|a, b| a.at.total_cmp(&b.at));
        self.updates.dedup();
        for samples in self.sources.values_mut() {
            samples.sort_by(|a, b| a.at.total_cmp(&b.at));
            samples.dedup();
        }
    }

    /// Whether no line was one of either.
    pub(super) fn is_empty(&self) -> bool {
        self.updates.is_empty() && self.sources.is_empty()
    }

    /// The first and the last second.
    pub(super) fn span(&self) -> Span {
        let times = self.updates.iter().map(|update| update.at);
        let times = times.chain(self.sources.values().flatten().map(|sample| sample.at));
        times.fold(Span::NONE, |span, at| span.and(Span::new(at, at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_ntpd_and_nonsense() {
        let mut statistics = Statistics::default();
        for line in
            ["50935 75440.031 0.000006019 13.778190 0.000351733 0.013380 6", "x", "50935 99999 1 2 3", ""]
        {
            statistics.take_loop(line);
        }
        for line in [
            "48773 10847.650 127.127.4.1 9714 -0.001605376 0.000000000 0.001424877 0.000958674",
            "48773 10847.650 127.127.4.1 9714 -0.001605376 0.000000000 0.001424877 0.000958674",
            "48773 10000.000 127.127.4.1 9414 1 2 3",
            "48773 10000.000 127.127.4.1 zz 1 2 3",
            "48773 10000.000 127.127.4.1 9414 nan 2 3",
        ] {
            statistics.take_peer(line);
        }
        statistics.finish();
        assert_eq!(statistics.skipped, 5);
        let update = statistics.updates[0];
        assert_eq!((update.at, update.frequency), (10_348.0 * 86_400.0 + 75_440.031, 13.778_19));
        let samples = &statistics.sources["127.127.4.1"];
        assert_eq!((samples.len(), samples[0].jitter, samples[1].selection), (2, None, 7));
        assert_eq!(statistics.span().last, update.at);
    }
}
