//! How an association gives way: a server of a pool, and one whose line has `preempt`.

use super::common::{Origin, Selection};
use super::source::Source;
use crate::units::AssocId;
use crate::wire::event::flash;

/// Polls without use after which an association may give way (NTP_UNREACH).
const UNUSED: u32 = 10;
/// Polls without a response after which a server of a pool is given up, whatever the number of associations. ntpd keeps such a
/// one for ever, unless there are more than `tos maxclock`.
const DEAD: u32 = 24;

impl Source {
    /// The pool that it belongs to.
    #[must_use]
    pub const fn made_by(&self) -> Option<AssocId> {
        match self.common.origin {
            Origin::Preemptible { by } => Some(by),
            Origin::Configured | Origin::Ephemeral => None,
        }
    }

    /// Whether it may give way to others.
    #[must_use]
    pub fn is_preemptible(&self) -> bool {
        self.as_client().is_some() && (self.made_by().is_some() || self.common.config.preempt)
    }

    /// Whether it has not survived selection for so long that it gives way if there are too many associations.
    #[must_use]
    pub fn is_unused(&self) -> bool {
        self.as_client().is_some_and(|client| client.unused() >= UNUSED)
    }

    /// Whether it is a server of a pool that has not responded for so long that another one is found.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.made_by().is_some() && self.common.reach.unreach() >= DEAD
    }

    /// How much it is good for: of two associations the one with less gives way. A point for each test of a peer that it passes, and
    /// for each step of selection that it took.
    #[must_use]
    pub fn score(&self) -> u32 {
        let tests = [flash::PEER_STRATUM, flash::PEER_DISTANCE, flash::PEER_LOOP, flash::PEER_UNREACHABLE];
        let passed = tests.iter().filter(|test| self.common.flash & **test == 0).count() as u32;
        let steps = [Selection::Excess, Selection::Outlier];
        passed + steps.iter().filter(|step| self.common.selection >= **step).count() as u32
    }
}
