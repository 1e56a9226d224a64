//! Which packets concern which source: the source is found first, by address, port and this table, which decides by its kind and
//! the packet's mode (RFC 5905 section 9.2, figure 21).

use super::kind::Kind;
use super::symmetric::Role;
use crate::engine::reject::Reject;
use crate::wire::Mode;

/// What happens to a packet that no source takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stranger {
    /// It asks us to be its partner: it makes an association, or is answered as a client's request is.
    Partner,
    /// A broadcast: it makes an association, where broadcasts are wanted.
    Broadcast,
    /// A client's request: it is answered where it came to a group of ours; all others are on the hot path.
    Request,
    /// A response that nothing asked for: the access list and the MAC are tested and counted, then it is discarded.
    Unasked,
    /// It is of no use.
    Discard(Reject),
}

/// Whether a source of this kind takes packets of this mode: its packet tests decide then.
#[must_use]
pub const fn takes(kind: &Kind, mode: Mode) -> bool {
    match (kind, mode) {
        (Kind::Client(_), Mode::Server) | (Kind::Listener(_), Mode::Broadcast) => true,
        (Kind::Listener(listener), Mode::Server) => listener.exchanges(),
        (Kind::Symmetric(symmetric), Mode::SymmetricActive | Mode::SymmetricPassive) => {
            // Two passive sides would keep each other for ever.
            matches!((symmetric.role(), mode), (Role::Active, _) | (Role::Passive, Mode::SymmetricActive))
        }
        _ => false,
    }
}

/// What happens to a packet of this mode that no source takes.
#[must_use]
pub const fn stranger(mode: Mode) -> Stranger {
    match mode {
        Mode::SymmetricActive => Stranger::Partner,
        Mode::Server => Stranger::Unasked,
        Mode::Broadcast => Stranger::Broadcast,
        Mode::Client => Stranger::Request,
        Mode::Reserved | Mode::SymmetricPassive | Mode::Control | Mode::Private => {
            Stranger::Discard(Reject::Mode)
        }
    }
}
