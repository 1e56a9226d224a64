//! How long sending takes, measured as it goes: what foretells when a datagram leaves.

use crate::units::{NtpTimestamp, Seconds};

/// The part of a datagram's own time after which it is on its way: the rest is the network stack's
/// tidying up, and on this machine the receiver's part.
const PART: f64 = 0.6;
/// The weight of a new measurement: of many together, and of one alone, which comes seldom and must
/// be learnt soon, for it takes longer when the processor has been doing other things.
const WEIGHTS: (f64, f64) = (1.0 / 16.0, 1.0 / 4.0);
/// A measurement longer than this many times the usual was interrupted and tells nothing.
const INTERRUPTED: f64 = 4.0;
/// What is assumed before anything was measured: little, so that nothing is foretold late.
const AT_FIRST: f64 = 1e-6;

/// Times that things have been taking of late, seconds.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Sending one datagram alone.
    alone: f64,
    /// Sending one of several together.
    each: f64,
    /// Computing a code.
    code: f64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { alone: AT_FIRST, each: AT_FIRST, code: 0.0 }
    }
}

impl Pace {
    /// When each of `count` datagrams leaves that are sent together from `start` on, `signed` codes
    /// having been computed first.
    pub fn leaving(
        self,
        start: NtpTimestamp,
        count: usize,
        signed: usize,
    ) -> impl Iterator<Item = NtpTimestamp> {
        let each = if count == 1 { self.alone } else { self.each };
        let first = self.code * signed as f64 + PART * each;
        (0..count).map(move |i| start.offset(Seconds::new(first + each * i as f64)))
    }

    /// So long it took to complete `count` datagrams with `signed` codes, and to send them.
    pub fn learn(&mut self, count: usize, signed: usize, sealing: Seconds, sending: Seconds) {
        if signed > 0 {
            approach(&mut self.code, sealing.get() / signed as f64, WEIGHTS.0);
        }
        let (usual, weight) =
            if count == 1 { (&mut self.alone, WEIGHTS.1) } else { (&mut self.each, WEIGHTS.0) };
        approach(usual, sending.get() / count.max(1) as f64, weight);
    }
}

fn approach(usual: &mut f64, measured: f64, weight: f64) {
    // Where even the usual was measured too short, it grows by steps.
    let believed = measured.clamp(0.0, (*usual * INTERRUPTED).max(AT_FIRST));
    *usual += (believed - *usual) * weight;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_foretold_is_what_was_measured() {
        let mut pace = Pace::default();
        for i in 0..500 {
            // Every tenth time something came in between.
            let sending = if i % 10 == 0 { 5e-3 } else { 32e-6 };
            pace.learn(16, 2, Seconds::new(1e-6), Seconds::new(sending));
            pace.learn(1, 0, Seconds::ZERO, Seconds::new(8e-6));
        }
        let start = NtpTimestamp::from_unix(1_700_000_000, 0);
        let last = pace.leaving(start, 16, 2).last().unwrap();
        let after = (last - start).to_seconds().get();
        assert!((31e-6..45e-6).contains(&after), "{after}");
        let alone = (pace.leaving(start, 1, 0).next().unwrap() - start).to_seconds().get();
        assert!((4.5e-6..5.1e-6).contains(&alone), "{alone}");
    }
}
