//! Commands while they run: each reads its line and changes the draft of the configuration.

use super::diagnostic::Severity;
use super::draft::Draft;
use super::language::{Context, Effect, Row};
use super::lexer::Token;
use super::line::{Advice, Dropped, Line, to_path};
use super::model::{ASSOCIATIONS_MAX, HOP_LIMITS, Kind};
use super::settings::{self, Switched, Turn, one};
use super::{clocks, idle, nts, reader, restrict, servers, statistics};
use crate::units::Seconds;
use std::net::IpAddr;
use std::ops::Range;

/// A command and what it works on.
pub(super) struct Command<'c, 'r, 'l> {
    pub(super) draft: &'c mut Draft<'r>,
    /// Behind the keyword.
    pub(super) line: &'c mut Line<'l>,
    pub(super) row: &'static Row,
    /// The keyword.
    pub(super) first: &'c Token,
}

impl Command<'_, '_, '_> {
    /// Does what the row says.
    pub(super) fn run(&mut self) -> Result<(), Dropped> {
        let row = self.row;
        let mark = row.marked.then(|| self.line.mark(self.line.whole(self.first)));
        match row.effect {
            Effect::Run(run) => run(self)?,
            Effect::Set(apply) => {
                if let Some(found) = one(self.line, row, self.first)? {
                    apply(&mut self.draft.config, found.value.number());
                }
            }
            Effect::SetValue(apply) => {
                if let Some(found) = one(self.line, row, self.first)? {
                    apply(&mut self.draft.config, &found.value);
                }
            }
            Effect::Path(field) => {
                if let Some(found) = one(self.line, row, self.first)? {
                    *field(&mut self.draft.config) = Some(to_path(found.value.text().to_vec()));
                }
            }
            Effect::Keep(keep) => {
                keep(self.line, row, &mut self.draft.config.idle)?;
                reader::report(self.line, row, &reader::Value::Nothing, self.first);
            }
            // Behind another includefile.
            Effect::Include => drop(one(self.line, row, self.first)?),
            _ => idle::keep_command(self.line, row, self.first, &mut self.draft.config.idle)?,
        }
        if let Some(mark) = mark {
            self.draft.mark(row.name, mark);
        }
        Ok(())
    }

    pub(super) fn server(&mut self, kind: Kind) -> Result<(), Dropped> {
        let span = self.line.whole(self.first);
        self.refuse_many(span.clone())?;
        let found = servers::association(self.line, self.row.name, kind)?;
        let ca = found.as_ref().and_then(|placed| placed.server.nts.as_ref()?.ca.as_ref());
        self.refuse_path(ca.is_some().then_some("the path of a ca"), span)?;
        self.draft.add_server(self.line, found);
        Ok(())
    }

    /// Each association costs time at each poll, and there are 65,535 numbers for them.
    fn refuse_many(&mut self, span: Range<usize>) -> Result<(), Dropped> {
        if self.draft.config.servers.len() < ASSOCIATIONS_MAX {
            return Ok(());
        }
        let message = format!("there are {ASSOCIATIONS_MAX} associations already");
        self.line.say(Severity::Error, span, message, Advice::default(), "the whole line is ignored");
        Err(Dropped)
    }

    pub(super) fn nts(&mut self) -> Result<(), Dropped> {
        nts::settings(self.line, self.row.name, self.draft)
    }

    /// Whoever holds the control key does not thereby hold the files of the machine.
    fn refuse_path(&mut self, path: Option<&str>, span: Range<usize>) -> Result<(), Dropped> {
        let Some(what) = path.filter(|_| self.draft.running.is_some()) else { return Ok(()) };
        let message = format!("{what} cannot be set at run time");
        self.line.say(Severity::Error, span, message, Advice::default(), "the line is ignored");
        Err(Dropped)
    }

    pub(super) fn refclock(&mut self) -> Result<(), Dropped> {
        let span = self.line.whole(self.first);
        let found = clocks::refclock(self.line)?;
        let has_path = found.as_ref().is_some_and(|placed| placed.server.device.has_path());
        self.refuse_path(has_path.then_some("the path of a clock"), span)?;
        self.draft.add_server(self.line, found);
        Ok(())
    }

    pub(super) fn fudge(&mut self) -> Result<(), Dropped> {
        let spot = self.line.spot(self.line.whole(self.first));
        self.draft.fudges.push(clocks::fudge(self.line, spot)?);
        Ok(())
    }

    pub(super) fn unpeer(&mut self) -> Result<(), Dropped> {
        match self.draft.running {
            Some(known) => self.draft.unpeer_now(self.line, self.row.name, known)?,
            None => self.draft.unpeers.extend(servers::unpeer(self.line, self.row.name)?),
        }
        Ok(())
    }

    pub(super) fn broadcastclient(&mut self) -> Result<(), Dropped> {
        self.draft.places.reception = Some(self.line.spot(self.line.whole(self.first)));
        self.draft.config.reception.broadcastclient = true;
        idle::alone(self.line, self.row, &mut self.draft.config.idle)
    }

    pub(super) fn multicastclient(&mut self) -> Result<(), Dropped> {
        self.draft.places.reception = Some(self.line.spot(self.line.whole(self.first)));
        let found = idle::groups(self.line, self.row, &mut self.draft.config.idle)?;
        add_new(&mut self.draft.config.reception.groups, found);
        Ok(())
    }

    pub(super) fn manycastserver(&mut self) -> Result<(), Dropped> {
        let found = idle::groups(self.line, self.row, &mut self.draft.config.idle)?;
        add_new(&mut self.draft.config.manycast, found);
        Ok(())
    }

    /// Each such line makes the table longer.
    pub(super) fn ttl(&mut self) -> Result<(), Dropped> {
        let limits = idle::hops(self.line, self.row, &mut self.draft.config.idle)?;
        self.draft.config.ttl.extend(limits);
        self.draft.config.ttl.truncate(HOP_LIMITS.len());
        Ok(())
    }

    pub(super) fn broadcastdelay(&mut self) -> Result<(), Dropped> {
        self.draft.places.broadcastdelay = Some(self.line.spot(self.line.whole(self.first)));
        if let Some(found) = one(self.line, self.row, self.first)? {
            self.draft.config.reception.delay = Some(Seconds::new(found.value.number()));
        }
        Ok(())
    }

    pub(super) fn restrict(&mut self) -> Result<(), Dropped> {
        self.draft.config.restrict.push(restrict::restrict(self.line)?);
        Ok(())
    }

    pub(super) fn settings(&mut self, context: Context) -> Result<(), Dropped> {
        settings::settings(self.line, context, self.row.name, &mut self.draft.config)
    }

    pub(super) fn tos(&mut self) -> Result<(), Dropped> {
        let (spot, before) = (self.line.spot(self.line.whole(self.first)), self.draft.config.tos);
        self.settings(Context::Tos)?;
        self.draft.places.tos(&before, &self.draft.config.tos, &spot);
        Ok(())
    }

    pub(super) fn switches(&mut self, turn: Turn) -> Result<(), Dropped> {
        let spot = self.line.spot(self.first.span.clone());
        let found = settings::switches(self.line, self.row.name, turn)?;
        self.draft.places.switches(&found, turn, &spot);
        // In a file, broadcastclient counts whatever a line like this says; ntpq's comes later than all of them.
        let closes = turn == Turn::Off && found.iter().any(|row| row.name == "bclient");
        if closes && self.draft.running.is_some() {
            self.draft.config.hear_no_broadcasts();
        }
        self.draft.switches.extend(found.into_iter().map(|row| Switched { row, turn }));
        Ok(())
    }

    pub(super) fn statistics(&mut self) -> Result<(), Dropped> {
        statistics::statistics(self.line, &mut self.draft.config.statistics)
    }

    pub(super) fn filegen(&mut self) -> Result<(), Dropped> {
        self.draft.filegens.push(statistics::filegen(self.line)?);
        Ok(())
    }

    pub(super) fn interface(&mut self) -> Result<(), Dropped> {
        self.draft.places.interface = Some(self.line.spot(self.line.whole(self.first)));
        statistics::interface(self.line, &mut self.draft.config, self.row.name)
    }

    pub(super) fn logconfig(&mut self) -> Result<(), Dropped> {
        statistics::logconfig(self.line, &mut self.draft.config)
    }

    pub(super) fn setvar(&mut self) -> Result<(), Dropped> {
        settings::setvar(self.line, &mut self.draft.config)
    }

    /// The last such line counts.
    pub(super) fn trusted_keys(&mut self) -> Result<(), Dropped> {
        self.draft.trusted = Some(settings::trusted_keys(self.line)?);
        Ok(())
    }

    pub(super) fn driftfile(&mut self) -> Result<(), Dropped> {
        settings::driftfile(self.line, &mut self.draft.config);
        Ok(())
    }

    pub(super) fn smear_interval(&mut self) -> Result<(), Dropped> {
        let spot = self.line.spot(self.line.whole(self.first));
        if let Some(found) = one(self.line, self.row, self.first)? {
            self.draft.config.smear.interval = found.value.number() as u32;
            self.draft.places.smear = Some(spot);
        }
        Ok(())
    }

    pub(super) fn smear_mode(&mut self) -> Result<(), Dropped> {
        self.draft.config.smear.law = settings::smear_law(self.line, self.row.name)?;
        self.line.done(self.row.name);
        Ok(())
    }

    pub(super) fn end(&mut self) -> Result<(), Dropped> {
        self.draft.ended = true;
        self.line.done(self.row.name);
        Ok(())
    }
}

/// Adds the groups that are not there yet.
fn add_new(groups: &mut Vec<IpAddr>, more: Vec<IpAddr>) {
    for group in more {
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
}
