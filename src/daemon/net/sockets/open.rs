//! An open socket: what arrives there, and whether epoll reports it.

use super::counts::Counts;
use super::source_towards;
use crate::engine::contract::{SocketId, Tx};
use crate::sys::socket::UdpSocket;
use crate::wire::Mode;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use std::cell::Cell;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// First mio token of a socket; those below are the loop's own.
pub const FIRST_TOKEN: usize = 16;

/// An open socket.
#[derive(Debug)]
pub struct Open {
    /// Its name towards the engine.
    pub id: SocketId,
    /// Its address; unspecified for the wildcard.
    pub ip: IpAddr,
    /// Its address with the scope that it is bound with.
    pub(super) bound: SocketAddr,
    /// The interface's name.
    pub(super) name: String,
    /// What arrives there.
    pub(super) role: Role,
    /// The socket.
    pub socket: UdpSocket,
    /// Its datagrams.
    pub counts: Counts,
    /// Whether epoll reports what arrives.
    pub(super) watched: Cell<bool>,
}

impl Open {
    /// What arrives there.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Whether epoll reports what arrives.
    #[must_use]
    pub const fn is_watched(&self) -> bool {
        self.watched.get()
    }

    /// Begins watching, unless it is watched.
    ///
    /// # Errors
    /// Of epoll.
    pub fn watch(&self, registry: &Registry) -> io::Result<()> {
        if self.watched.replace(true) {
            return Ok(());
        }
        registry.register(&mut SourceFd(&self.socket.raw_fd()), self.token(), Interest::READABLE)
    }

    /// Ends watching: the caller must look for datagrams itself. It is worth it where they arrive without end: for
    /// each one that arrives or leaves, the kernel looks for a process to wake.
    ///
    /// # Errors
    /// Of epoll.
    pub fn unwatch(&self, registry: &Registry) -> io::Result<()> {
        if !self.watched.replace(false) {
            return Ok(());
        }
        registry.deregister(&mut SourceFd(&self.socket.raw_fd()))
    }

    /// Whether it is bound to an address of this machine.
    pub(super) fn is_own(&self) -> bool {
        self.role == Role::Unicast && !self.ip.is_unspecified()
    }

    /// The address of ours that a datagram is to leave from. Of our own requests it is found now, and named when they are sent, so that
    /// a response to another address is known as untrue; `None`: the kernel chooses.
    #[must_use]
    pub fn leaves_from(&self, tx: &Tx) -> Option<IpAddr> {
        if tx.from.is_some() {
            tx.from
        } else if !self.ip.is_unspecified() {
            Some(self.ip)
        } else if tx.token.is_some() && !tx.to.ip().is_multicast() {
            source_towards(tx.to).ok()
        } else {
            None
        }
    }

    const fn token(&self) -> Token {
        Token(FIRST_TOKEN + self.id.0 as usize)
    }
}

/// What arrives at a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// What is sent to this machine alone, or to a wildcard socket.
    Unicast,
    /// Broadcasts of the network in which this machine has this address.
    Broadcast(IpAddr),
    /// What is sent to a group.
    Group,
    /// Requests at the port of `nts port`, to which clients of NTS are sent.
    SecondPort,
}

impl Role {
    /// Whether a packet of this mode is looked at. Broadcasts and beacons are meant for many hosts, but one control request must not
    /// have all of them answer. A second port is there for the time, and for nothing else.
    #[must_use]
    pub const fn takes(self, mode: Mode) -> bool {
        match self {
            Self::Unicast => true,
            Self::Broadcast(_) | Self::Group => matches!(mode, Mode::Broadcast | Mode::Client),
            Self::SecondPort => matches!(mode, Mode::Client),
        }
    }

    /// Whether requests are answered from this socket.
    #[must_use]
    pub const fn answers(self) -> bool {
        matches!(self, Self::Unicast | Self::SecondPort)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_only_broadcasts_and_beacons_are_for_many_hosts_and_only_requests_for_the_second_port() {
        let taken =
            |role: Role| (0..8).filter(|mode| role.takes(Mode::from_bits(*mode))).collect::<Vec<u8>>();
        assert_eq!(taken(Role::Unicast), [0, 1, 2, 3, 4, 5, 6, 7]);
        let own = Role::Broadcast([192, 0, 2, 1].into());
        assert_eq!((taken(own), taken(Role::Group)), (vec![3, 5], vec![3, 5]));
        assert_eq!(taken(Role::SecondPort), [3]);
    }
}
