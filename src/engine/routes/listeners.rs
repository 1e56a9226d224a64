//! Broadcasts of servers that no association hears yet: each may make one (a broadcast client), where broadcasts are wanted and the
//! packet's code, the access list and the bounds allow it.

use super::partners::Warrant;
use crate::config::model::{Kind, Server, Target};
use crate::engine::Engine;
use crate::engine::contract::{Now, Rx};
use crate::engine::reject::Reject;
use crate::engine::server::Admitted;
use crate::engine::sources::{Draft, Listener, Origin};
use crate::engine::timers::Timer;
use crate::units::{AssocId, Host, KeyId, Leap, PollExponent};
use crate::wire::Header;

impl Engine {
    /// A broadcast that no association takes.
    pub(super) fn broadcast(&mut self, now: Now, rx: &Rx<'_>) -> Result<(), Reject> {
        let config = &self.setup.config;
        if !config.hears_broadcasts() || (rx.to.is_multicast() && !config.reception.groups.contains(&rx.to)) {
            return Err(Reject::Mode);
        }
        let admitted = self.server.admitted(&mut self.rng, rx)?;
        let header = &admitted.header;
        let usable = header.leap != Leap::Unsynchronised && Listener::is_interval(header.poll);
        if !usable || !self.has_room(now, rx, header) {
            return Err(Reject::Restricted);
        }
        let key = match self.warrant(&admitted) {
            Warrant::Key(key) => Some(key),
            Warrant::Unsigned => None,
            Warrant::None => return Err(Reject::Restricted),
        };
        let id = self.mobilize_listener(now, rx, &admitted, key);
        // The packet itself is the first of the association.
        self.of_source(now, rx, &admitted, id)
    }

    fn mobilize_listener(
        &mut self,
        now: Now,
        rx: &Rx<'_>,
        admitted: &Admitted,
        key: Option<KeyId>,
    ) -> AssocId {
        let Admitted { header, .. } = admitted;
        let delay = self.setup.config.reception.given_delay();
        let listener = Listener::new(header, delay);
        let id = self.sources.free_id();
        // The volley does not begin at the same moment on all hosts of the network.
        let first_poll = now.mono + self.first_poll();
        self.timers.set(Timer::Poll(id), first_poll);
        self.sources.note_ephemeral(now.mono);
        let (line, address, origin) =
            (line_of(rx, header, key), Some(Host::from(rx.from)), Origin::Ephemeral);
        self.add(Draft { id, line, kind: listener.into(), address, made: now.mono, origin });
        self.sources_changed();
        id
    }
}

/// The line in ntp.conf that such an association would have.
fn line_of(rx: &Rx<'_>, header: &Header, key: Option<KeyId>) -> Server {
    let interval = PollExponent::from_wire(header.poll);
    Server {
        version: header.version.get(),
        minpoll: interval,
        maxpoll: interval,
        key,
        ..Server::new(Kind::Server, Target::Address(rx.from.ip()))
    }
}
