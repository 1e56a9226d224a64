//! Hosts that ask us to be their partner: a packet of mode 1 that no association takes.
//!
//! It makes a passive association where the access list, its MAC and the bounds allow that; otherwise it is answered as a client's
//! request is, at once and without any memory of it. A forged packet must neither fill this machine's memory nor the selection.

use crate::config::model::{AccessFlags, Kind, Server, Target};
use crate::engine::Engine;
use crate::engine::auth::Authenticity;
use crate::engine::contract::{Now, Output, Rx, Tx};
use crate::engine::reject::Reject;
use crate::engine::report::event::Event;
use crate::engine::server::Admitted;
use crate::engine::sources::Symmetric;
use crate::units::{AssocId, Host, KeyId, Leap, NTP_PORT, NtpTimestamp, PollExponent, Seconds, Stratum};
use crate::wire::counter::Counter;
use crate::wire::event::PeerEvent;
use crate::wire::header::HEADER_LEN;
use crate::wire::{Header, Mode};

/// Passive associations that may share a key.
const SHARING_A_KEY: usize = 3;
/// One new association is made in this time, at most.
const NEW_ONES: Seconds = Seconds::new(1.0);
/// The bounds within which the other side chooses the shortest poll interval: 16 to 1,024 s.
const MINPOLL: (PollExponent, PollExponent) = (PollExponent::new(4), PollExponent::DEFAULT_MAX);

/// By what a packet may make an association.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Warrant {
    /// By this key, which is the association's from then on.
    Key(KeyId),
    /// No key is asked for, and none is there.
    Unsigned,
    /// It may not.
    None,
}

impl Engine {
    /// Whether a packet of mode 1 is an association's, or may make one. All others are answered on the hot path.
    pub(in crate::engine) fn is_for_association(&self, rx: &Rx<'_>) -> bool {
        let mode = rx.data.first().map(|first| Mode::from_bits(*first));
        mode == Some(Mode::SymmetricActive)
            && (rx.data.len() > HEADER_LEN
                || !self.setup.config.enable.auth
                || self.sources.taking(rx.from, Mode::SymmetricActive, NtpTimestamp::ZERO).is_some())
    }

    /// A packet of a host that asks us to be its partner.
    pub(super) fn partner(&mut self, now: Now, rx: &Rx<'_>) -> Result<(), Reject> {
        let admitted = self.server.admitted(&mut self.rng, rx)?;
        if !self.has_room(now, rx, &admitted.header) {
            return self.answer_partner(now, rx, &admitted);
        }
        match self.warrant(&admitted) {
            Warrant::Key(key) => self.mobilize_partner(now, rx, &admitted, Some(key)),
            Warrant::Unsigned => self.mobilize_partner(now, rx, &admitted, None),
            Warrant::None => return self.answer_partner(now, rx, &admitted),
        }
        Ok(())
    }

    /// By what a packet may make an association.
    pub(super) fn warrant(&self, admitted: &Admitted) -> Warrant {
        let needs_key = self.setup.config.enable.auth || admitted.flags.contains(AccessFlags::NOPEER);
        match admitted.authenticity {
            Authenticity::Verified(key) if self.sharing(key) < SHARING_A_KEY => Warrant::Key(key),
            Authenticity::None if !needs_key => Warrant::Unsigned,
            _ => Warrant::None,
        }
    }

    /// Whether an association with this host may be made as far as bounds go.
    pub(super) fn has_room(&self, now: Now, rx: &Rx<'_>, header: &Header) -> bool {
        let tos = &self.setup.config.tos;
        let host = Host::from(rx.from);
        let own = self.server.is_own(host.ip);
        let useful = header.leap == Leap::Unsynchronised || tos.admits(Stratum::from_wire(header.stratum));
        let recent = self.sources.last_ephemeral().is_some_and(|at| now.mono.since(at) < NEW_ONES);
        rx.from.port() == NTP_PORT
            && !(own || host.is_no_server())
            && !header.transmit.is_zero()
            && useful
            && !recent
            && self.sources.ephemeral().count() < tos.maxclock as usize
            && !self.sources.ephemeral().any(|s| s.address() == Some(host))
    }

    fn sharing(&self, key: KeyId) -> usize {
        self.sources.ephemeral().filter(|s| s.config().key == Some(key)).count()
    }

    fn mobilize_partner(&mut self, now: Now, rx: &Rx<'_>, admitted: &Admitted, key: Option<KeyId>) {
        let Admitted { header, flags, .. } = admitted;
        self.server.observe(now, rx, *flags);
        self.server.counters_mut().count(Counter::Processed);
        let minpoll = PollExponent::from_wire(header.poll).max(MINPOLL.0).min(MINPOLL.1);
        let line = Server {
            version: header.version.get(),
            minpoll,
            maxpoll: MINPOLL.1,
            key,
            ..Server::new(Kind::Peer, Target::Address(rx.from.ip()))
        };
        let kind = Symmetric::passive(header, rx.received, minpoll).into();
        // The other side hears from us one poll interval later, as by its own timer.
        self.add_ephemeral(now, rx, line, kind, minpoll.interval());
    }

    /// Answers a host with which no association is made.
    fn answer_partner(&mut self, now: Now, rx: &Rx<'_>, admitted: &Admitted) -> Result<(), Reject> {
        let data = self.response(now, rx, admitted)?;
        let (socket, from) = (Some(rx.socket), Some(rx.to));
        self.outbox.push(Output::Send(Tx { data, socket, from, ..Tx::new(rx.from) }));
        Ok(())
    }

    /// A partner that made the association has not been heard for long: it ends.
    pub(super) fn time_out(&mut self, id: AssocId) {
        let Some(source) = self.sources.get_mut(id) else { return };
        let peer = source.note_event(PeerEvent::Restart);
        self.event(Event::TimedOut(peer));
        self.demobilize(id);
    }
}
