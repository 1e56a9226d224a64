//! Requests of mode 6: from the access list and the MAC to the reply, perhaps by way of the shell. What they read and what they are
//! answered stands in `control/`, which changes no other owner; the changes are made here.

use crate::config::model::AccessFlags;
use crate::engine::Engine;
use crate::engine::contract::{Now, Output, Rx};
use crate::engine::control::shell_request::{Brought, ShellRequestId};
use crate::engine::control::{Answer, Asker, Change, Parked, View};
use crate::engine::reject::Reject;
use crate::units::KeyId;
use crate::wire::control::{self, ControlError, Request};
use crate::wire::counter::Counter;

impl Engine {
    /// A mode-6 request; `noquery` drops it without a word.
    pub(super) fn control(&mut self, now: Now, rx: &Rx<'_>) -> Result<(), Reject> {
        let flags = self.server.access_mut().admit(rx.from);
        if flags.contains(AccessFlags::IGNORE) || flags.contains(AccessFlags::NOQUERY) {
            return Err(Reject::Restricted);
        }
        self.server.observe(now, rx, flags);
        self.control.count();
        let (request, problem) = match Request::parse(rx.data) {
            Ok(Some(request)) => (request, None),
            Ok(None) => return Err(Reject::Format),
            Err((request, error)) => (request, Some(error)),
        };
        let key = self.signer(&request, rx);
        let asker = self.control.admit(now.mono, rx, &request, flags, key)?;
        let result = match problem {
            Some(error) => Err(error),
            None => self.control.perform(&self.view(now), &request, &asker, None),
        };
        self.conclude(&request, asker, rx.data, result);
        Ok(())
    }

    /// The key of a valid MAC.
    fn signer(&mut self, request: &Request<'_>, rx: &Rx<'_>) -> Option<KeyId> {
        request
            .codes(rx.data)
            .find(|code| {
                self.server.keys_mut().verify(code.covered, KeyId(code.key), code.digest, rx.from.ip())
            })
            .map(|code| KeyId(code.key))
    }

    /// The owners, to be read.
    fn view(&self, now: Now) -> View<'_> {
        View {
            now,
            started: self.started,
            setup: &self.setup,
            sources: &self.sources,
            clock: &self.clock,
            system: &self.system,
            system_poll: self.system_poll(now.mono),
            server: &self.server,
            reports: &self.reports,
            timers: &self.timers,
        }
    }

    /// What the shell brought for a parked request.
    pub(in crate::engine) fn shell_request_done(&mut self, now: Now, id: ShellRequestId, brought: Brought) {
        let Some(Parked { asker, packet }) = self.control.unpark(id) else { return };
        let Ok(Some(request)) = Request::parse(&packet) else { return };
        let result = match brought {
            Brought::Survey(survey) => self.control.perform(&self.view(now), &request, &asker, Some(&survey)),
            Brought::Configured { reply, setup } => {
                if let Some(setup) = setup {
                    self.reload(now, *setup);
                }
                Ok(Answer::text(self.reports.status(&self.system), &reply))
            }
            Brought::Saved { reply, file } => {
                if let Some(file) = file {
                    self.control.note_saved(file);
                }
                Ok(Answer::text(self.reports.status(&self.system), &reply))
            }
        };
        self.conclude(&request, asker, &packet, result);
    }

    /// Makes the change that a request asked for and sends the answer, or parks the request.
    fn conclude(
        &mut self,
        request: &Request<'_>,
        asker: Asker,
        packet: &[u8],
        result: Result<Answer, ControlError>,
    ) {
        let leap = self.system.leap();
        let datagrams = match result {
            Ok(Answer::Reply(reply)) => {
                let datagrams = request.respond(leap, reply.status, &reply.pieces);
                reply.change.into_iter().for_each(|change| self.make(change));
                datagrams
            }
            Err(error) => {
                if error == ControlError::Prohibited {
                    self.server.counters_mut().count(Counter::Restricted);
                }
                vec![request.refuse(leap, error)]
            }
            Ok(Answer::ShellRequest(shell_request)) => {
                let parked = Parked { asker, packet: packet.to_vec() };
                return self.control.park(shell_request, parked, &mut self.outbox);
            }
            Ok(Answer::Silence) => return,
        };
        self.control.replied(&asker, datagrams.len());
        for mut data in datagrams {
            if let Some(key) = asker.key().filter(|key| self.server.keys().contains(*key)) {
                control::pad_for_code(&mut data);
                self.server.keys_mut().sign(key, &mut data);
            }
            self.outbox.push(Output::Send(asker.datagram(data)));
        }
    }

    fn make(&mut self, change: Change) {
        match change {
            Change::SystemEventsSeen => self.reports.events_seen(),
            Change::EventsSeen(id) => {
                if let Some(source) = self.sources.get_mut(id) {
                    source.events_seen();
                }
            }
            Change::Variables(variables) => self.setup.config.setvar = variables,
        }
    }
}
