//! How long sending takes, measured as it goes: the departure of a datagram is predicted from it.

use crate::units::{NtpTimestamp, Seconds};

/// The part of a datagram's own time after which it is on its way: the rest is the network stack's
/// tidying up, and on this machine the receiver's part.
const PART: f64 = 0.6;
/// The weight of a new measurement, and of one of a first datagram. The latter is rare and counts more, for
/// sending takes longer when the processor has been doing other things.
const WEIGHTS: (f64, f64) = (1.0 / 16.0, 1.0 / 4.0);
/// A measurement longer than this many times the usual was interrupted and is ignored.
const INTERRUPTED: f64 = 4.0;
/// What is assumed before anything was measured: little, so that no departure is predicted too late.
const AT_FIRST: f64 = 1e-6;

/// How datagrams are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// One alone, after other things were done.
    First,
    /// One alone, right after another.
    Next,
    /// Several in one system call.
    Together,
}

/// Times that things have been taking of late, seconds.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Sending a datagram, by [`Way`].
    sending: [f64; 3],
    /// Computing a code.
    code: f64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { sending: [AT_FIRST; 3], code: 0.0 }
    }
}

impl Pace {
    /// When datagrams leave that are sent in this way from `start` on, `signed` codes having been
    /// computed first.
    pub fn leaving(self, start: NtpTimestamp, way: Way, signed: usize) -> impl Iterator<Item = NtpTimestamp> {
        let each = self.sending[way as usize];
        let first = self.code * signed as f64 + PART * each;
        (0..).map(move |i| start.offset(Seconds::new(first + each * f64::from(i))))
    }

    /// So long it took to compute so many codes.
    pub fn learn_code(&mut self, count: usize, took: Seconds) {
        approach(&mut self.code, took.get() / count.max(1) as f64, WEIGHTS.0);
    }

    /// So long it took to send `count` datagrams.
    pub fn learn(&mut self, way: Way, count: usize, took: Seconds) {
        let weight = if way == Way::First { WEIGHTS.1 } else { WEIGHTS.0 };
        approach(&mut self.sending[way as usize], took.get() / count.max(1) as f64, weight);
    }
}

fn approach(usual: &mut f64, measured: f64, weight: f64) {
    // Where even the usual was measured too short, it grows by steps.
    let bounded = measured.clamp(0.0, (*usual * INTERRUPTED).max(AT_FIRST));
    *usual += (bounded - *usual) * weight;
    debug_assert!(*usual >= 0.0, "nothing takes a negative time: {usual} s");
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
            pace.learn_code(2, Seconds::new(1e-6));
            pace.learn(Way::Together, 16, Seconds::new(sending));
            pace.learn(Way::First, 1, Seconds::new(8e-6));
            pace.learn(Way::Next, 1, Seconds::new(3e-6));
        }
        let start = NtpTimestamp::from_unix(1_700_000_000, 0);
        let after = |way, signed, place| {
            let leaves = pace.leaving(start, way, signed).nth(place).unwrap();
            (leaves - start).to_seconds().get()
        };
        let last = after(Way::Together, 2, 15);
        assert!((31e-6..45e-6).contains(&last), "{last}");
        let (first, next) = (after(Way::First, 0, 0), after(Way::Next, 0, 0));
        assert!((4.5e-6..5.1e-6).contains(&first), "{first}");
        assert!((1.6e-6..1.9e-6).contains(&next), "{next}");
    }
}
