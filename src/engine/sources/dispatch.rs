//! Which packets concern which source: the source is found first, by address and port, then this table decides by its kind and
//! the packet's mode (RFC 5905 section 9.2, figure 21).

use super::kind::Kind;
use crate::engine::reject::Reject;
use crate::wire::Mode;

/// What happens to a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// A response: the source's packet tests decide.
    Response,
    /// A response of which no source is known: the access list and the MAC are tested and counted, then it is discarded.
    Unasked,
    /// It is of no use.
    Discard(Reject),
}

/// The table; `None` for a packet of which no source has the address.
#[must_use]
pub const fn action(kind: Option<&Kind>, mode: Mode) -> Action {
    match (kind, mode) {
        (Some(Kind::Client(_)), Mode::Server) => Action::Response,
        (_, Mode::Server) => Action::Unasked,
        (
            _,
            Mode::Reserved
            | Mode::SymmetricActive
            | Mode::SymmetricPassive
            | Mode::Client
            | Mode::Broadcast
            | Mode::Control
            | Mode::Private,
        ) => Action::Discard(Reject::Mode),
    }
}
