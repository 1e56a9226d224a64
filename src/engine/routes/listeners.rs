//! Broadcasts of servers that no association hears yet: each may make one (a broadcast client), where broadcasts are wanted and the
//! packet's code, the access list and the bounds allow it.

use super::partners::Warrant;
use crate::config::model::{Kind, Server, Target};
use crate::engine::Engine;
use crate::engine::contract::{Now, Rx};
use crate::engine::reject::Reject;
use crate::engine::sources::Listener;
use crate::units::{KeyId, Leap, PollExponent};
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
        let listener = Listener::new(header, self.setup.config.reception.given_delay());
        let line = line_of(rx, header, key);
        // The volley does not begin at the same moment on all hosts of the network.
        let begins = self.first_poll();
        let id = self.add_ephemeral(now, rx, line, listener.into(), begins);
        // The packet itself is the first of the association.
        self.of_source(now, rx, &admitted, id)
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
