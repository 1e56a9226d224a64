//! What mode 6 reads of the other owners. It can change none of them: what a request changes is a [`super::Change`].

use crate::engine::clock::Clock;
use crate::engine::contract::{Now, Setup};
use crate::engine::report::Reports;
use crate::engine::server::Server;
use crate::engine::sources::{Source, Sources};
use crate::engine::system::System;
use crate::engine::timers::Timers;
use crate::units::{AssocId, MonoTime, PollExponent};
use crate::wire::control::ControlError;

/// The owners as they are at one moment.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The moment.
    pub now: Now,
    /// When the daemon started.
    pub started: MonoTime,
    /// The configuration in force.
    pub setup: &'a Setup,
    /// The associations.
    pub sources: &'a Sources,
    /// The clock.
    pub clock: &'a Clock,
    /// The system variables.
    pub system: &'a System,
    /// The poll exponent that is shown as the clock's.
    pub system_poll: PollExponent,
    /// What serves clients.
    pub server: &'a Server,
    /// What was reported.
    pub reports: &'a Reports,
    /// The deadlines.
    pub timers: &'a Timers,
}

impl<'a> View<'a> {
    /// The status word of the system.
    pub(super) fn system_status(&self) -> u16 {
        self.reports.status(self.system)
    }

    /// The status word of the system (association 0) or of an association.
    pub(super) fn status_of(&self, association: u16) -> Result<u16, ControlError> {
        if association == 0 { Ok(self.system_status()) } else { Ok(self.source(association)?.status()) }
    }

    /// An association.
    pub(super) fn source(&self, id: u16) -> Result<&'a Source, ControlError> {
        self.sources.get(AssocId(id)).ok_or(ControlError::Association)
    }

    /// The system peer.
    pub(super) fn system_peer(&self) -> Option<&'a Source> {
        self.system.peer().and_then(|id| self.sources.get(id))
    }
}
