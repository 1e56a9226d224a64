//! Reading: status words, and the variables of the system, of associations and of the local clock.

use crate::engine::Engine;
use crate::engine::contract::Now;
use crate::engine::control::peer::{self, PeerRow, PeerScene};
use crate::engine::control::shell_request::{ShellRequest, Survey};
use crate::engine::control::system;
use crate::engine::control::table::{Scene, choose};
use crate::engine::control::text;
use crate::engine::control::{Answer, Asker, Reply};
use crate::engine::sources::Source;
use crate::engine::timers::Timer;
use crate::units::AssocId;
use crate::wire::control::{ControlError, DATA_MAX, Request, opcode};

impl Engine {
    /// The status word of the system (association 0) or of an association.
    pub(super) fn status_of(&self, association: u16) -> Result<u16, ControlError> {
        if association == 0 { Ok(self.reports.status(&self.system)) } else { Ok(self.peer(association)?.status()) }
    }

    fn peer(&self, id: u16) -> Result<&Source, ControlError> {
        self.sources.get(AssocId(id)).ok_or(ControlError::Association)
    }

    pub(super) fn read(
        &mut self,
        now: Now,
        request: &Request<'_>,
        asker: &Asker,
        survey: Option<&Survey>,
    ) -> Result<Answer, ControlError> {
        let id = request.association;
        if request.opcode == opcode::READ_CLOCK {
            let mut clocks = self.sources.iter().filter(|s| s.local_unit().is_some());
            let clock = clocks.find(|s| id == 0 || s.id() == AssocId(id));
            let clock = clock.ok_or(ControlError::Association)?;
            let pieces = self.peer_text(now, clock, &[&peer::CLOCK], &peer::CLOCK_SHOWN, request.data)?;
            // Reference clocks have status words of their own; this one never has an event.
            return Ok(Answer::Reply(Reply::new(0, pieces)));
        }
        let status = self.status_of(id)?;
        let answer = if id != 0 {
            // READ_STATUS shows fixed variables of one association: the requester does not choose them.
            let names = if request.opcode == opcode::READ_STATUS { &[][..] } else { request.data };
            let pieces = self.peer_text(now, self.peer(id)?, &peer::TABLES, &peer::SHOWN, names)?;
            Answer::Reply(Reply::new(status, pieces))
        } else if request.opcode == opcode::READ_STATUS {
            Answer::Reply(Reply::new(status, self.status_pairs()))
        } else {
            self.system_text(now, status, request.data, survey)?
        };
        // As with ntpd, a read request with a key acknowledges the events.
        if asker.key.is_some() && matches!(answer, Answer::Reply(_)) {
            match self.sources.get_mut(AssocId(id)) {
                Some(source) => source.events_seen(),
                None if request.opcode == opcode::READ_VARIABLES => self.reports.events_seen(),
                None => {}
            }
        }
        Ok(answer)
    }

    fn system_text(
        &self,
        now: Now,
        status: u16,
        data: &[u8],
        survey: Option<&Survey>,
    ) -> Result<Answer, ControlError> {
        let extras = system::extras(&self.setup.config.setvar);
        let chosen = choose(&system::TABLES, &system::SHOWN, extras, data)?;
        if survey.is_none() && chosen.rows.iter().any(|row| row.survey) {
            return Ok(Answer::ShellRequest(ShellRequest::Survey));
        }
        let scene = Scene { engine: self, now, survey };
        let items =
            chosen.rows.iter().filter_map(|row| Some(format!("{}={}", row.name, (row.value)(&scene)?)));
        let added = chosen.extras.iter().map(|e| format!("{}={}", e.name, e.value));
        let items: Vec<String> = items.chain(added).collect();
        Ok(Answer::Reply(Reply::new(status, text::pack(&items))))
    }

    fn peer_text(
        &self,
        now: Now,
        a: &Source,
        tables: &[&[PeerRow]],
        shown: &[&str],
        data: &[u8],
    ) -> Result<Vec<Vec<u8>>, ControlError> {
        let chosen = choose(tables, shown, Vec::new(), data)?;
        let next_poll = self.timers.get(Timer::Poll(a.id()));
        let scene = PeerScene { a, now, next_poll, precision: self.system.precision() };
        let items =
            chosen.rows.iter().filter_map(|row| Some(format!("{}={}", row.name, (row.value)(&scene)?)));
        Ok(text::pack(&items.collect::<Vec<_>>()))
    }

    /// Association identifiers with their status words, four bytes each.
    fn status_pairs(&self) -> Vec<Vec<u8>> {
        let bytes: Vec<u8> = self
            .sources
            .iter()
            .flat_map(|s| s.id().0.to_be_bytes().into_iter().chain(s.status().to_be_bytes()))
            .collect();
        bytes.chunks(DATA_MAX).map(<[u8]>::to_vec).collect()
    }
}
