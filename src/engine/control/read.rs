//! Reading: status words, and the variables of the system, of associations and of the local clock.

use crate::engine::control::clock;
use crate::engine::control::peer::{self, PeerRow, PeerScene};
use crate::engine::control::shell_request::{ShellRequest, Survey};
use crate::engine::control::system;
use crate::engine::control::table::{Scene, choose};
use crate::engine::control::text;
use crate::engine::control::{Answer, Asker, Change, Control, Reply, View};
use crate::engine::sources::Source;
use crate::engine::timers::Timer;
use crate::units::AssocId;
use crate::wire::control::{ControlError, DATA_MAX, Request, opcode};

impl Control {
    pub(super) fn read(
        &self,
        view: &View<'_>,
        request: &Request<'_>,
        asker: &Asker,
        survey: Option<&Survey>,
    ) -> Result<Answer, ControlError> {
        let id = request.association;
        if request.opcode == opcode::READ_CLOCK {
            let clock = asked_clock(view, id).ok_or(ControlError::Association)?;
            let pieces = peer_text(view, clock, &[&clock::TABLE], &clock::SHOWN, request.data)?;
            // Reference clocks have status words of their own; the local clock never has an event.
            let status = clock.as_reference().map_or(0, |clock| clock.counts().status());
            return Ok(Answer::Reply(Reply::new(status, pieces)));
        }
        let status = view.status_of(id)?;
        let answer = if id != 0 {
            // READ_STATUS shows fixed variables of one association: the requester does not choose them.
            let names = if request.opcode == opcode::READ_STATUS { &[][..] } else { request.data };
            let source = view.source(id)?;
            let pieces = peer_text(view, source, &peer::TABLES, &peer::shown(source), names)?;
            Answer::Reply(Reply::new(status, pieces))
        } else if request.opcode == opcode::READ_STATUS {
            Answer::Reply(Reply::new(status, status_pairs(view)))
        } else {
            self.system_text(view, status, request, asker, survey)?
        };
        // As with ntpd, a read request with a key acknowledges the events.
        let change = match id {
            _ if asker.key.is_none() => None,
            0 if request.opcode == opcode::READ_VARIABLES => Some(Change::SystemEventsSeen),
            0 => None,
            id => Some(Change::EventsSeen(AssocId(id))),
        };
        Ok(answer.and(change))
    }

    fn system_text(
        &self,
        view: &View<'_>,
        status: u16,
        request: &Request<'_>,
        asker: &Asker,
        survey: Option<&Survey>,
    ) -> Result<Answer, ControlError> {
        let extras = system::extras(&view.setup.config.setvar);
        let chosen = choose(&system::TABLES, &system::SHOWN, extras, request.data)?;
        if survey.is_none() && chosen.rows.iter().any(|row| row.survey) {
            return Ok(Answer::ShellRequest(ShellRequest::Survey));
        }
        let discloses = view.discloses_to(asker);
        let scene = Scene { view, control: self, survey, discloses };
        let items =
            chosen.rows.iter().filter_map(|row| Some(format!("{}={}", row.name, (row.value)(&scene)?)));
        let added = chosen.extras.iter().map(|e| format!("{}={}", e.name, e.value));
        let items: Vec<String> = items.chain(added).collect();
        Ok(Answer::Reply(Reply::new(status, text::pack(&items))))
    }
}

/// The clock with this identifier; of 0 the system peer if that is one, otherwise the first.
fn asked_clock<'a>(view: &View<'a>, id: u16) -> Option<&'a Source> {
    let asked = |s: &&Source| id == 0 || s.id() == AssocId(id);
    let mut clocks = view.sources.iter().filter(|s| s.clock_driver().is_some()).filter(asked);
    let first = clocks.next()?;
    if view.system.peer() == Some(first.id()) {
        return Some(first);
    }
    clocks.find(|s| view.system.peer() == Some(s.id())).or(Some(first))
}

fn peer_text(
    view: &View<'_>,
    a: &Source,
    tables: &[&[PeerRow]],
    shown: &[&str],
    data: &[u8],
) -> Result<Vec<Vec<u8>>, ControlError> {
    let chosen = choose(tables, shown, Vec::new(), data)?;
    let next_poll = view.timers.get(Timer::Poll(a.id()));
    let scene = PeerScene { a, now: view.now, next_poll, precision: view.system.precision() };
    let items = chosen.rows.iter().filter_map(|row| Some(format!("{}={}", row.name, (row.value)(&scene)?)));
    Ok(text::pack(&items.collect::<Vec<_>>()))
}

/// Association identifiers with their status words, four bytes each.
fn status_pairs(view: &View<'_>) -> Vec<Vec<u8>> {
    let bytes: Vec<u8> = view
        .sources
        .iter()
        .flat_map(|s| s.id().0.to_be_bytes().into_iter().chain(s.status().to_be_bytes()))
        .collect();
    bytes.chunks(DATA_MAX).map(<[u8]>::to_vec).collect()
}
