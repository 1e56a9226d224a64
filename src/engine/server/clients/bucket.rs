//! The leaky bucket of ntpd's `limited`, with the figures of `discard average` and `minimum`.

use crate::config::model::{AccessFlags, Discard};
use crate::wire::Mode;

/// What to do with a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Answer it.
    Pass,
    /// Drop it.
    Drop,
    /// Answer it with a kiss of RATE.
    Kiss,
}

/// The limits in force.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Seconds that a packet fills the bucket by: the average spacing allowed.
    head: i32,
    /// Smallest spacing, seconds.
    minimum: i64,
}

impl Limits {
    /// Exponents past 17 are taken as 17 (36 hours).
    pub(super) fn new(discard: &Discard) -> Self {
        Self { head: 1 << discard.average.min(17), minimum: 1 << discard.minimum.min(17) }
    }

    /// The average spacing allowed, as a poll exponent.
    pub(super) const fn average(&self) -> i8 {
        self.head.trailing_zeros() as i8
    }

    /// Judges a packet that came `interval` whole seconds after the one before; `leak` is the
    /// client's bucket. Runs for every packet, and counts where the flags say `limited`.
    pub(super) fn judge(&self, leak: &mut i32, interval: i64, flags: AccessFlags, mode: Mode) -> Verdict {
        let limit = 8 * self.head;
        *leak = i64::from(*leak).saturating_sub(interval).max(0) as i32;
        let verdict = if interval + 1 >= self.minimum && *leak + self.head < limit {
            *leak += self.head - 2;
            debug_assert!(*leak < limit, "a packet that passes leaves its bucket below the limit: {leak}");
            Verdict::Pass
        } else if *leak < limit {
            // The first that is too much; while the bucket stays over the limit there is silence.
            *leak = limit + self.head;
            Verdict::Kiss
        } else {
            Verdict::Drop
        };
        match verdict {
            _ if !flags.contains(AccessFlags::LIMITED) => Verdict::Pass,
            // Servers get no kiss-o'-death: a response to a response could go round for ever.
            Verdict::Kiss
                if !flags.contains(AccessFlags::KOD) || matches!(mode, Mode::Server | Mode::Broadcast) =>
            {
                Verdict::Drop
            }
            other => other,
        }
    }
}
