//! The machine's addresses, and a socket that reports their changes.

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, SockaddrIn, SockaddrStorage,
    bind, recv, setsockopt, socket, sockopt,
};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// RTMGRP_LINK, RTMGRP_IPV4_IFADDR and RTMGRP_IPV6_IFADDR of linux/rtnetlink.h.
const GROUPS: u32 = 0x1 | 0x10 | 0x100;
/// Most messages read at once: more than any burst that is not a fault.
const MESSAGES: usize = 1 << 16;
/// Queue asked for, bytes: room for some thousand changes.
const QUEUE: usize = 1 << 20;

/// What reading the messages showed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Drained {
    /// Something changed.
    pub changed: bool,
    /// There are more messages; edge-triggered polling does not report them again.
    pub more: bool,
}

/// A local address of an interface that is up.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LocalAddress {
    /// The interface's name, or the label of an alias (`eth0:1`).
    pub name: String,
    /// The address; port 0; link-local IPv6 addresses carry their interface as scope.
    pub address: SocketAddr,
    /// Whether the interface is a loopback.
    pub loopback: bool,
    /// The broadcast address of its network, where there is one.
    pub broadcast: Option<Ipv4Addr>,
    /// Whether the interface takes multicasts.
    pub multicast: bool,
}

impl LocalAddress {
    /// The interface's index, while it is there.
    #[must_use]
    pub fn index(&self) -> Option<u32> {
        index(&self.name)
    }
}

/// The index of an interface by its name, or by the label of an alias, while it is there.
#[must_use]
pub fn index(name: &str) -> Option<u32> {
    if_nametoindex(name.split(':').next().unwrap_or_default()).ok()
}

/// The addresses of all interfaces that are up, sorted, each once.
///
/// # Errors
/// When the kernel does not list them.
pub fn list() -> io::Result<Vec<LocalAddress>> {
    let mut found: Vec<LocalAddress> = getifaddrs()?
        .filter(|entry| entry.flags.contains(InterfaceFlags::IFF_UP))
        .filter_map(|entry| {
            let storage = entry.address?;
            let address = match (storage.as_sockaddr_in(), storage.as_sockaddr_in6()) {
                (Some(v4), _) => SocketAddr::V4(SocketAddrV4::new(v4.ip(), 0)),
                (_, Some(v6)) => SocketAddr::V6(SocketAddrV6::new(v6.ip(), 0, 0, v6.scope_id())),
                _ => return None,
            };
            let loopback = entry.flags.contains(InterfaceFlags::IFF_LOOPBACK);
            let v4 = |storage: SockaddrStorage| storage.as_sockaddr_in().map(SockaddrIn::ip);
            let broadcast = entry
                .flags
                .contains(InterfaceFlags::IFF_BROADCAST)
                .then(|| broadcast(v4(storage)?, entry.netmask.and_then(v4)?, entry.broadcast.and_then(v4)));
            let broadcast = broadcast.flatten();
            let multicast = entry.flags.contains(InterfaceFlags::IFF_MULTICAST);
            Some(LocalAddress { name: entry.interface_name, address, loopback, broadcast, multicast })
        })
        .collect();
    found.sort();
    found.dedup_by(|a, b| a.address == b.address);
    Ok(found)
}

/// The broadcast address of an address's network. Where none was set, the kernel gives the address itself, and takes the last one of the
/// network for it all the same. A network of one or two addresses has none.
fn broadcast(address: Ipv4Addr, mask: Ipv4Addr, set: Option<Ipv4Addr>) -> Option<Ipv4Addr> {
    let set = set.filter(|set| *set != address && !set.is_unspecified());
    let last = Ipv4Addr::from_bits(address.to_bits() | !mask.to_bits());
    set.or_else(|| ((!mask.to_bits()).count_ones() >= 2).then_some(last))
}

/// A netlink socket that becomes readable when links or addresses change.
#[derive(Debug)]
pub struct ChangeWatch {
    fd: OwnedFd,
}

impl ChangeWatch {
    /// Opens the socket.
    ///
    /// # Errors
    /// When the kernel refuses, as in some sandboxes: then only regular looks at
    /// [`list`] show changes.
    pub fn open() -> io::Result<Self> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
        // The usual queue does as well: what does not fit is noticed.
        let _usual = setsockopt(&fd, sockopt::RcvBuf, &QUEUE);
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, GROUPS))?;
        Ok(Self { fd })
    }

    /// The descriptor that becomes readable.
    #[must_use]
    pub fn raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Reads what there is. The messages themselves do not matter: the whole list is read anew.
    pub fn drain(&mut self) -> Drained {
        let mut message = [0; 8192];
        let mut changed = false;
        for _ in 0..MESSAGES {
            match recv(self.fd.as_raw_fd(), &mut message, MsgFlags::empty()) {
                // ENOBUFS: messages were lost, so something did change.
                Ok(1..) | Err(Errno::ENOBUFS) => changed = true,
                Err(Errno::EINTR) => {}
                _ => return Drained { changed, more: false },
            }
        }
        Drained { changed, more: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_sorted_and_unique() {
        let list = list().unwrap();
        for pair in list.windows(2) {
            assert!(pair[0] < pair[1]);
            assert_ne!(pair[0].address, pair[1].address);
        }
    }

    #[test]
    fn a_network_has_the_broadcast_address_that_was_set_or_its_last_one() {
        let of = |address: &str, mask: &str, set: Option<&str>| {
            let ip = |text: &str| text.parse::<Ipv4Addr>().unwrap();
            broadcast(ip(address), ip(mask), set.map(ip)).map(|found| found.to_string())
        };
        let last = Some("192.0.2.255".to_owned());
        assert_eq!(of("192.0.2.1", "255.255.255.0", Some("192.0.2.255")), last);
        assert_eq!(of("192.0.2.1", "255.255.255.0", Some("192.0.2.1")), last);
        assert_eq!(of("192.0.2.1", "255.255.255.0", None), last);
        assert_eq!(of("192.0.2.1", "255.255.255.0", Some("192.0.2.0")), Some("192.0.2.0".to_owned()));
        assert_eq!(of("192.0.2.1", "255.255.255.254", None), None);
        assert_eq!(of("192.0.2.1", "255.255.255.255", Some("0.0.0.0")), None);
    }

    #[test]
    fn a_quiet_watch_reports_nothing() {
        let Ok(mut watch) = ChangeWatch::open() else { return skip::because("no netlink socket") };
        assert!(watch.raw_fd() >= 0);
        watch.drain();
        assert_eq!(watch.drain(), Drained { changed: false, more: false });
    }
}
