//! What keywords do: the functions that apply them, kept in their rows.

use super::Row;
use crate::config::model::{Fudge, Server};
use crate::config::reader::{Found, Value};
use crate::config::servers::Options;

/// What a keyword does. Which of these it is follows from where the keyword stands.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) enum Effect {
    /// Nothing by itself: its command reads it, or keeps it for printing.
    None,
    /// An option of an association that is a flag: it is set.
    ServerFlag(fn(&mut Server) -> &mut bool),
    /// An option of an association with a value.
    ServerOption(fn(&mut Options<'_>, &Found)),
    /// The unit of a `refclock` line.
    ClockUnit,
    /// A factor of a clock.
    Fudge(fn(&mut Fudge, &Value)),
}

impl Row {
    const fn effect(mut self, effect: Effect) -> Self {
        self.effect = effect;
        self
    }

    pub(super) const fn server_flag(self, flag: fn(&mut Server) -> &mut bool) -> Self {
        self.effect(Effect::ServerFlag(flag))
    }

    pub(super) const fn server_option(self, apply: fn(&mut Options<'_>, &Found)) -> Self {
        self.effect(Effect::ServerOption(apply))
    }

    pub(super) const fn clock_unit(self) -> Self {
        self.effect(Effect::ClockUnit)
    }

    pub(super) const fn fudge(self, apply: fn(&mut Fudge, &Value)) -> Self {
        self.effect(Effect::Fudge(apply))
    }
}
