//! Which pulse the clock follows. A pulse votes on what is right as any source does, but it is neither clustered nor combined: where it
//! may be followed, it is followed alone.

use crate::engine::sources::Source;
use crate::units::{MonoTime, Seconds};

/// The clock, and the sources that say which second it is, are right within this: further away a pulse may be another second's.
const NUMBERED: Seconds = Seconds::new(0.4);

/// What the clock is like without the pulse.
#[derive(Clone, Copy, Debug)]
pub struct Numbered {
    /// Now.
    pub now: MonoTime,
    /// How far the other survivors say it is off; zero where there are none.
    pub offset: Seconds,
    /// Its error bound.
    pub root_distance: Seconds,
    /// Without survivors a pulse may be followed all the same: `tos minsane 0`, or a LOCAL clock with `prefer`.
    pub trusted: Trusted,
}

/// Whether the clock is known to show the right second where no source says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trusted {
    /// The administrator says so.
    ByConfiguration,
    /// It followed this pulse all the time.
    ByPulse,
    /// It is not.
    No,
}

impl Numbered {
    /// Whether a pulse that survived the selection may be followed, beside these survivors. ntpd wants a survivor with `prefer` for
    /// the PPS driver; as with chrony, one that is near enough to number the seconds will do.
    #[must_use]
    pub fn admits(&self, pulse: &Source, survivors: &[&Source]) -> bool {
        if self.offset.abs() >= NUMBERED {
            return false;
        }
        let numbers_itself = pulse.as_reference().is_some_and(|clock| clock.numbers_itself(pulse.config()));
        let numbers = |s: &&Source| s.config().prefer || s.error_bound(self.now) < NUMBERED;
        numbers_itself
            || survivors.iter().any(numbers)
            || match self.trusted {
                Trusted::ByConfiguration => true,
                Trusted::ByPulse => survivors.is_empty() && self.root_distance < NUMBERED,
                Trusted::No => false,
            }
    }
}
