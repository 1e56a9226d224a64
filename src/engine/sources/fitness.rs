//! Whether a source may be selected, and how far its time may be off.

use super::common::flash_of;
use super::kind::Behaviour;
use super::source::Source;
use crate::config::model::Tos;
use crate::units::{MonoTime, PHI, Seconds};
use crate::wire::event::flash;

impl Source {
    /// Whether its time has a distance that selection limits: it comes over a network.
    #[must_use]
    pub fn has_distance(&self) -> bool {
        self.kind.has_distance()
    }

    /// What is left to show of the flash word: TEST11 means nothing for a clock without a distance.
    #[must_use]
    pub fn shown_flash(&self) -> u16 {
        if self.has_distance() { self.common.flash } else { self.common.flash & !flash::PEER_DISTANCE }
    }

    /// Half of the round trip to the source and on to its reference: by no more can the asymmetry of the path make its time wrong.
    /// Of a reference clock, what its readings may all be off.
    #[must_use]
    pub fn asymmetry(&self) -> Seconds {
        self.common.asymmetry().max(self.kind.error_floor(&self.common))
    }

    /// How far the estimate of its time may be from true time.
    #[must_use]
    pub fn error_bound(&self, now: MonoTime) -> Seconds {
        self.common.error_bound(now).max(self.kind.error_floor(&self.common))
    }

    /// The peer tests (TEST10 to TEST13): sets the flash bits, of which the test for loops gave `loops`; true if it may be selected.
    pub fn test_fitness(&mut self, now: MonoTime, tos: &Tos, loops: u16) -> bool {
        let limit = tos.maxdist.get() + PHI * self.poll_exponent().interval().get();
        let limit = self.has_distance().then_some(Seconds::new(limit));
        self.common.flash &= !flash_of::FITNESS;
        self.common.flash |= loops | self.common.unfitness(now, tos, limit);
        self.is_fit()
    }

    /// Whether it passed the peer tests, and may be selected.
    #[must_use]
    pub fn is_fit(&self) -> bool {
        self.common.flash & flash_of::FITNESS == 0
            && !self.common.config.noselect
            && self.common.filter.best().is_some()
    }

    /// Dispersion of its samples, as far as there are some. The local clock has none: it is right by definition, from its first
    /// poll on.
    #[must_use]
    pub fn dispersion_so_far(&self) -> Seconds {
        self.kind.dispersion_so_far(&self.common)
    }
}
