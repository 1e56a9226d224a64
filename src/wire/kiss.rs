//! Kisses of death: what a server that does not want to serve us says instead of the time (RFC 5905 section 7.4).

use super::event::PeerEvent;
use super::header::Header;
use crate::units::RefId;

/// NTSN: the server cannot open the cookie (RFC 8915). It says nothing that has to be obeyed.
pub const NTS_NAK: RefId = RefId::from_bytes(*b"NTSN");

/// A kiss of death that a client obeys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kiss {
    /// DENY: access denied.
    Deny,
    /// RSTR: access restricted.
    Restricted,
    /// RATE: poll less often. The samples taken before are as good as any.
    Rate,
}

impl Kiss {
    const ALL: [Self; 3] = [Self::Deny, Self::Restricted, Self::Rate];

    /// The four letters in the packet.
    #[must_use]
    pub const fn letters(self) -> &'static str {
        match self {
            Self::Deny => "DENY",
            Self::Restricted => "RSTR",
            Self::Rate => "RATE",
        }
    }

    /// The peer event that it raises.
    #[must_use]
    pub const fn code(self) -> PeerEvent {
        match self {
            Self::Rate => PeerEvent::RateExceeded,
            Self::Deny | Self::Restricted => PeerEvent::AccessDenied,
        }
    }

    /// The kiss in a response, if it is one of these; others are servers that are not synchronized.
    #[must_use]
    pub fn of(header: &Header) -> Option<Self> {
        let letters = header.reference_id.to_bytes();
        Self::ALL.into_iter().find(|kiss| header.stratum == 0 && letters == kiss.letters().as_bytes())
    }
}
