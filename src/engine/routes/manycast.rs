//! A manycast server: beacons that come to a group of ours are answered by a server's response, to the asker alone.

use crate::engine::Engine;
use crate::engine::auth::Authenticity;
use crate::engine::contract::{Now, Output, Rx, Tx};
use crate::engine::reject::Reject;
use crate::engine::selection::is_our_refid;
use crate::engine::server::Admitted;
use crate::units::Leap;

/// The stratum of an asker that has no time.
const NONE: u8 = 16;

impl Engine {
    /// A client's request that came to a group.
    pub(super) fn beacon(&mut self, now: Now, rx: &Rx<'_>) -> Result<(), Reject> {
        if !self.setup.config.manycast.contains(&rx.to) {
            return Err(Reject::Mode);
        }
        let admitted = self.server.admitted(&mut self.rng, rx)?;
        if admitted.authenticity == Authenticity::Failed {
            // No crypto-NAK: each server of the group would send one.
            return Err(Reject::Auth);
        }
        if !self.is_of_use(&admitted) {
            return Err(Reject::Unasked);
        }
        let data = self.response(now, rx, &admitted)?;
        // From no group: by the route to the asker the kernel finds an address of ours.
        self.outbox.push(Output::Send(Tx { data, ..Tx::new(rx.from) }));
        Ok(())
    }

    /// Whether our time is better than the asker's, and not from there.
    fn is_of_use(&self, admitted: &Admitted) -> bool {
        let asker = &admitted.header;
        let theirs = match asker.stratum {
            0 => NONE,
            stratum => stratum.min(NONE),
        };
        let theirs = if asker.leap == Leap::Unsynchronised { NONE } else { theirs };
        let ours = self.system.stratum().get();
        let near = ours < theirs || (ours == theirs && self.setup.config.tos.cohort);
        let follows_us = theirs > 1 && is_our_refid(asker.reference_id, self.server.interfaces());
        self.system.leap() != Leap::Unsynchronised && near && !follows_us
    }
}
