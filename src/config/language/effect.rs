//! What keywords do: the functions that apply them, kept in their rows.

use super::{Context, Row};
use crate::config::command::Command;
use crate::config::line::{Dropped, Line};
use crate::config::model::{
    AccessFlags, Config, Enable, FilegenType, Fudge, Idle, InterfaceAction, InterfaceMatch, NtsLine, Server,
    StatKind,
};
use crate::config::reader::{Found, Value};
use crate::config::servers::Options;
use crate::config::statistics::FilegenLine;
use std::path::PathBuf;

/// What a keyword does. Which of these it is follows from where the keyword stands.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) enum Effect {
    /// Nothing by itself: its command reads it, or keeps it for printing.
    None,
    /// A command.
    Run(fn(&mut Command<'_, '_, '_>) -> Result<(), Dropped>),
    /// A command with a path.
    Path(fn(&mut Config) -> &mut Option<PathBuf>),
    /// A command that changes nothing and is kept as this reads it.
    Keep(fn(&mut Line<'_>, &'static Row, &mut Vec<Idle>) -> Result<(), Dropped>),
    /// An option that is kept as the command of this name.
    KeepAs(&'static str),
    /// `includefile`: another file is read.
    Include,
    /// `simulate`: the block behind it is skipped.
    Block,
    /// An option of an association that is a flag: it is set.
    ServerFlag(fn(&mut Server) -> &mut bool),
    /// An option of an association with a value.
    ServerOption(fn(&mut Options<'_>, &Found)),
    /// An option of an association that counts where `nts` is one.
    NtsOption(fn(&mut NtsLine, &Found)),
    /// The unit of a `refclock` line.
    ClockUnit,
    /// A factor of a clock.
    Fudge(fn(&mut Fudge, &Value)),
    /// A flag of `restrict`.
    Flag(AccessFlags),
    /// `ntpport` of `restrict`.
    NtpPort,
    /// A setting or a command with a number.
    Set(fn(&mut Config, f64)),
    /// A setting with another value than a number.
    SetValue(fn(&mut Config, &Value)),
    /// A setting with a number that may need a note.
    SetNoting(fn(&mut Config, f64), fn(f64) -> Option<Note>),
    /// A switch of `enable` and `disable`.
    Switch(fn(&mut Enable) -> &mut bool),
    /// A kind of statistics.
    Statistics(StatKind),
    /// An option of `filegen`, which reads its own argument.
    Filegen(fn(&mut FilegenLine, &mut Line<'_>) -> Result<(), Dropped>),
    /// A type of `filegen`.
    FilegenType(FilegenType),
    /// An action of `interface`.
    InterfaceAction(InterfaceAction),
    /// What `interface` matches.
    InterfaceMatch(fn() -> InterfaceMatch),
}

/// What is worth knowing about a value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::config) struct Note {
    pub(in crate::config) message: &'static str,
    pub(in crate::config) effect: String,
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

    pub(super) const fn nts_option(self, apply: fn(&mut NtsLine, &Found)) -> Self {
        self.effect(Effect::NtsOption(apply))
    }

    pub(super) const fn clock_unit(self) -> Self {
        self.effect(Effect::ClockUnit)
    }

    pub(super) const fn fudge(self, apply: fn(&mut Fudge, &Value)) -> Self {
        self.effect(Effect::Fudge(apply))
    }

    pub(super) const fn sets(self, apply: fn(&mut Config, f64)) -> Self {
        self.effect(Effect::Set(apply))
    }

    pub(super) const fn sets_value(self, apply: fn(&mut Config, &Value)) -> Self {
        self.effect(Effect::SetValue(apply))
    }

    /// Of a row that [`Self::sets`].
    pub(super) const fn noting(self, note: fn(f64) -> Option<Note>) -> Self {
        match self.effect {
            Effect::Set(apply) => self.effect(Effect::SetNoting(apply, note)),
            _ => self,
        }
    }

    pub(super) const fn switch(self, switch: fn(&mut Enable) -> &mut bool) -> Self {
        self.effect(Effect::Switch(switch))
    }

    pub(super) const fn statistics(self, kind: StatKind) -> Self {
        self.effect(Effect::Statistics(kind))
    }

    pub(super) const fn filegen(
        self,
        read: fn(&mut FilegenLine, &mut Line<'_>) -> Result<(), Dropped>,
    ) -> Self {
        self.effect(Effect::Filegen(read))
    }

    pub(super) const fn filegen_type(self, rotation: FilegenType) -> Self {
        self.effect(Effect::FilegenType(rotation))
    }

    pub(super) const fn interface_action(self, action: InterfaceAction) -> Self {
        self.effect(Effect::InterfaceAction(action))
    }

    pub(super) const fn interface_match(self, matches: fn() -> InterfaceMatch) -> Self {
        self.effect(Effect::InterfaceMatch(matches))
    }

    pub(super) const fn flag(self, flag: AccessFlags) -> Self {
        self.effect(Effect::Flag(flag))
    }

    pub(super) const fn ntp_port(self) -> Self {
        self.effect(Effect::NtpPort)
    }

    pub(super) const fn runs(self, run: fn(&mut Command<'_, '_, '_>) -> Result<(), Dropped>) -> Self {
        self.effect(Effect::Run(run))
    }

    pub(super) const fn path(self, field: fn(&mut Config) -> &mut Option<PathBuf>) -> Self {
        self.effect(Effect::Path(field))
    }

    pub(super) const fn keeps(
        self,
        read: fn(&mut Line<'_>, &'static Row, &mut Vec<Idle>) -> Result<(), Dropped>,
    ) -> Self {
        self.effect(Effect::Keep(read))
    }

    pub(super) const fn kept_as(self, command: &'static str) -> Self {
        self.effect(Effect::KeepAs(command))
    }

    pub(super) const fn includes(self) -> Self {
        self.effect(Effect::Include)
    }

    pub(super) const fn block(self) -> Self {
        self.effect(Effect::Block)
    }

    /// What may stand behind the first argument of a command.
    pub(super) const fn with(mut self, options: &'static [Context]) -> Self {
        self.options = options;
        self
    }

    pub(super) const fn marked(mut self) -> Self {
        self.marked = true;
        self
    }

    pub(super) const fn at_start_only(mut self) -> Self {
        self.at_start_only = true;
        self
    }
}
