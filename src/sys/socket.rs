//! UDP sockets with kernel receive timestamps and destination addresses.

use super::ancillary::{self, Control, REPORT_STAMPS, SEND_SPACE};
use nix::errno::Errno;
use nix::libc::{self, c_int};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrLike, SockaddrStorage, bind, sendto, setsockopt,
    socket, sockopt,
};
use std::cell::Cell;
use std::io;
use std::mem;
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// DSCP of what we send without `dscp`: expedited forwarding.
const DSCP: u8 = 46;
/// Receive queue asked for, bytes: room for a burst of some thousand requests, used only then.
const RECEIVE_QUEUE: usize = 2 << 20;

/// A UDP socket.
#[derive(Debug)]
pub struct UdpSocket {
    fd: OwnedFd,
    v6: bool,
    /// Whether the kernel can be asked when a datagram left: unknown until the first wish, since
    /// every datagram that is received costs more from then on.
    stamps: Cell<Option<bool>>,
}

/// Whether the kernel is to report when a datagram left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Departure {
    /// It is, where it can.
    Stamped,
    /// It need not.
    Unstamped,
}

/// Whether other sockets that share may be bound to the same port, at a wildcard or other address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sharing {
    /// They may.
    Shared,
    /// The port is this socket's.
    Alone,
}

impl UdpSocket {
    /// Binds a socket that does not block. IPv6 sockets take no IPv4. A wildcard socket reports
    /// where each datagram was sent to.
    ///
    /// # Errors
    /// Of socket and bind: `AddrInUse` where the port is taken, `AddrNotAvailable` where the
    /// address is not (or not yet) the machine's, `Unsupported` or an errno where the machine
    /// has no such address family.
    pub fn bind(address: SocketAddr, sharing: Sharing) -> io::Result<Self> {
        let this = Self::make(address)?;
        this.share(sharing)?;
        this.bind_to(address)?;
        Ok(this)
    }

    /// The same for a socket that shares its address with others of its group (SO_REUSEPORT, Linux
    /// 3.9): each datagram comes to one of them (see [`super::group`]).
    ///
    /// # Errors
    /// As of [`UdpSocket::bind`]; `ENOPROTOOPT` where the kernel has no such groups.
    pub(super) fn bind_in_group(address: SocketAddr) -> io::Result<Self> {
        let this = Self::make(address)?;
        setsockopt(&this.fd, sockopt::ReusePort, &true)?;
        this.bind_to(address)?;
        Ok(this)
    }

    fn make(address: SocketAddr) -> io::Result<Self> {
        let v6 = address.is_ipv6();
        let family = if v6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let fd = socket(family, SockType::Datagram, flags, None)?;
        let this = Self { fd, v6, stamps: Cell::new(None) };
        if v6 {
            setsockopt(&this.fd, sockopt::Ipv6V6Only, &true)?;
        }
        if address.ip().is_unspecified() {
            if v6 {
                setsockopt(&this.fd, sockopt::Ipv6RecvPacketInfo, &true)?;
            } else {
                setsockopt(&this.fd, sockopt::Ipv4PacketInfo, &true)?;
            }
        }
        this.set_optional();
        Ok(this)
    }

    fn bind_to(&self, address: SocketAddr) -> io::Result<()> {
        Ok(bind(self.fd.as_raw_fd(), &SockaddrStorage::from(address))?)
    }

    /// Options that make the service better, but without which it is still one.
    fn set_optional(&self) {
        if setsockopt(&self.fd, sockopt::ReceiveTimestampns, &true).is_err() {
            let _without = setsockopt(&self.fd, sockopt::ReceiveTimestamp, &true);
        }
        let _plain = self.set_dscp(DSCP);
        // A broadcast server sends to broadcast addresses and groups; what it sends is no news for this machine.
        let _unicast = setsockopt(&self.fd, sockopt::Broadcast, &true);
        let _loop = if self.v6 {
            self.set_number(libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_LOOP, 0)
        } else {
            self.set_number(libc::IPPROTO_IP, libc::IP_MULTICAST_LOOP, 0)
        };
        // Datagrams are never cut on their way, and no ICMP message makes them shorter: pieces could be
        // exchanged for forged ones. It also spares the kernel a number for each.
        let (level, option, value) = if self.v6 {
            (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE)
        } else {
            (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE)
        };
        let _whole = self.set_number(level, option, value);
        if setsockopt(&self.fd, sockopt::RcvBufForce, &RECEIVE_QUEUE).is_err() {
            let _default = setsockopt(&self.fd, sockopt::RcvBuf, &RECEIVE_QUEUE);
        }
    }

    /// Marks what is sent with a differentiated services code point, 0..=63.
    ///
    /// # Errors
    /// Of setsockopt.
    pub fn set_dscp(&self, code: u8) -> io::Result<()> {
        // The two lowest bits are for congestion notification.
        let value = i32::from(code.min(63)) << 2;
        let result = if self.v6 {
            setsockopt(&self.fd, sockopt::Ipv6TClass, &value)
        } else {
            setsockopt(&self.fd, sockopt::Ipv4Tos, &value)
        };
        Ok(result?)
    }

    /// What is sent to groups from now on passes at most so many routers, less one.
    ///
    /// # Errors
    /// Of setsockopt.
    pub fn set_multicast_hops(&self, group: IpAddr, hops: u8) -> io::Result<()> {
        match group {
            IpAddr::V4(_) => setsockopt(&self.fd, sockopt::IpMulticastTtl, &hops)?,
            IpAddr::V6(_) => setsockopt(&self.fd, sockopt::Ipv6MulticastHops, &i32::from(hops))?,
        }
        Ok(())
    }

    /// What is sent to IPv6 groups from now on leaves by the interface of this index. By the source address the kernel chooses one for
    /// IPv4 only.
    ///
    /// # Errors
    /// Of setsockopt.
    pub fn set_multicast_interface(&self, interface: u32) -> io::Result<()> {
        self.set_number(libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_IF, interface.cast_signed())
    }

    /// Takes what is sent to a group on the interface of this address, whose index is `interface`.
    ///
    /// # Errors
    /// Of setsockopt; `AddrInUse` where it does already.
    pub fn join(&self, group: IpAddr, address: IpAddr, interface: u32) -> io::Result<()> {
        // The membership is that of the socket, whichever descriptor it was asked for by.
        let socket = std::net::UdpSocket::from(self.fd.try_clone()?);
        match (group, address) {
            (IpAddr::V4(group), IpAddr::V4(address)) => socket.join_multicast_v4(&group, &address),
            (IpAddr::V6(group), _) => socket.join_multicast_v6(&group, interface),
            (IpAddr::V4(_), IpAddr::V6(_)) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Whether sockets bound from now on may share the port with this one (SO_REUSEADDR).
    ///
    /// # Errors
    /// Of setsockopt.
    pub fn share(&self, sharing: Sharing) -> io::Result<()> {
        Ok(setsockopt(&self.fd, sockopt::ReuseAddr, &(sharing == Sharing::Shared))?)
    }

    /// The descriptor.
    #[must_use]
    pub fn raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Sets an option that nix does not know, or not to these values.
    #[allow(unsafe_code)]
    fn set_number(&self, level: c_int, option: c_int, value: c_int) -> io::Result<()> {
        // SAFETY: the option's value is these four bytes, which outlive the call.
        let result = unsafe {
            libc::setsockopt(
                self.raw_fd(),
                level,
                option,
                (&raw const value).cast(),
                size_of_val(&value) as u32,
            )
        };
        Ok(Errno::result(result).map(drop)?)
    }

    /// Lets stamps of datagrams that leave come back on the error queue, for those that ask for one.
    fn report_stamps(&self) -> io::Result<()> {
        self.set_number(libc::SOL_SOCKET, libc::SO_TIMESTAMPING, REPORT_STAMPS)
    }

    /// Whether a datagram that leaves can be stamped by the kernel, as far as is known. The first
    /// question switches reporting on.
    #[must_use]
    pub fn can_stamp(&self) -> bool {
        self.stamps.get().unwrap_or_else(|| {
            let can = self.report_stamps().is_ok();
            self.stamps.set(Some(can));
            can
        })
    }

    /// The kernel has refused a wish for a stamp: it will refuse every one.
    pub(super) fn cannot_stamp(&self) {
        self.stamps.set(Some(false));
    }

    /// Sends a datagram, from `source` where the socket is a wildcard and the source matters. When
    /// it left may come on the error queue. Allocates nothing.
    ///
    /// # Errors
    /// Of sendto and sendmsg.
    pub fn send(
        &self,
        data: &[u8],
        to: SocketAddr,
        source: Option<IpAddr>,
        departure: Departure,
    ) -> io::Result<()> {
        let name = SockaddrStorage::from(to);
        let stamp = departure == Departure::Stamped && self.can_stamp();
        if source.is_none() && !stamp {
            sendto(self.fd.as_raw_fd(), data, &name, MsgFlags::empty())?;
            return Ok(());
        }
        let departure = if stamp { Departure::Stamped } else { Departure::Unstamped };
        match self.send_beside(data, &name, source, departure) {
            // Kernels before 4.6 do not know the wish for a stamp.
            Err(Errno::EINVAL) if stamp => {
                self.cannot_stamp();
                Ok(self.send_beside(data, &name, source, Departure::Unstamped)?)
            }
            other => Ok(other?),
        }
    }

    #[allow(unsafe_code)] // nix does not know the wish for a stamp
    fn send_beside(
        &self,
        data: &[u8],
        name: &SockaddrStorage,
        source: Option<IpAddr>,
        departure: Departure,
    ) -> nix::Result<()> {
        let mut control = Control([0; SEND_SPACE]);
        let used = ancillary::write(&mut control, source, departure);
        let mut part = libc::iovec { iov_base: data.as_ptr().cast_mut().cast(), iov_len: data.len() };
        // SAFETY: a plain C structure, for which zeros are a valid value.
        let mut header: libc::msghdr = unsafe { mem::zeroed() };
        header.msg_name = name.as_ptr().cast_mut().cast();
        header.msg_namelen = name.len();
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        if used > 0 {
            header.msg_control = control.0.as_mut_ptr().cast();
            header.msg_controllen = used as _;
        }
        // SAFETY: name, part and control messages have the lengths that the header says and outlive
        // the call; the kernel only reads them.
        Errno::result(unsafe { libc::sendmsg(self.raw_fd(), &raw const header, 0) }).map(drop)
    }
}

pub(super) fn socket_addr(storage: &SockaddrStorage) -> Option<SocketAddr> {
    if storage.family() == Some(AddressFamily::Inet6) {
        storage
            .as_sockaddr_in6()
            .map(|a| SocketAddr::V6(SocketAddrV6::new(a.ip(), a.port(), a.flowinfo(), a.scope_id())))
    } else {
        storage.as_sockaddr_in().map(|a| SocketAddr::V4(SocketAddrV4::new(a.ip(), a.port())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::batch::{BATCH, Calls, DATAGRAM_MAX, Inbox, Outbox};
    use nix::sys::socket::getsockname;
    use std::time::{Duration, Instant};

    /// Receives until so many datagrams have come; length, destination, oversize, unicast of each.
    fn receive_soon(
        socket: &UdpSocket,
        inbox: &mut Inbox,
        wanted: usize,
    ) -> Vec<(Vec<u8>, Option<IpAddr>, bool, bool)> {
        let end = Instant::now() + Duration::from_secs(5);
        let mut all = Vec::new();
        while all.len() < wanted {
            for i in 0..inbox.fill(socket).unwrap() {
                let got = inbox.get(i).unwrap();
                assert!(got.received.is_some());
                all.push((got.data.to_vec(), got.to, got.oversize, got.unicast));
            }
            assert!(Instant::now() < end, "nothing arrived");
            std::thread::sleep(Duration::from_millis(1));
        }
        all
    }

    fn port_of(socket: &UdpSocket) -> u16 {
        let own: SockaddrStorage = getsockname(socket.raw_fd()).unwrap();
        socket_addr(&own).unwrap().port()
    }

    #[test]
    fn the_code_point_is_set_in_both_families() {
        for any in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(socket) = UdpSocket::bind(any.parse().unwrap(), Sharing::Alone) else {
                skip::because(&format!("no socket at {any}"));
                continue;
            };
            let value = || {
                use nix::sys::socket::getsockopt;
                let v6 = || getsockopt(&socket.fd, sockopt::Ipv6TClass);
                if socket.v6 { v6() } else { getsockopt(&socket.fd, sockopt::Ipv4Tos) }
            };
            assert_eq!(value(), Ok(46 << 2));
            socket.set_dscp(10).unwrap();
            assert_eq!(value(), Ok(10 << 2));
        }
    }

    #[test]
    fn the_wildcard_tells_the_destination_and_answers_from_it() {
        for (any, local) in [("0.0.0.0:0", "127.0.0.9"), ("[::]:0", "::1")] {
            let local: IpAddr = local.parse().unwrap();
            let server = UdpSocket::bind(any.parse().unwrap(), Sharing::Alone);
            let (Ok(server), Ok(client)) = (server, std::net::UdpSocket::bind((local, 0))) else {
                skip::because(&format!("no sockets at {any} and {local}"));
                continue;
            };
            client.send_to(b"hello", (local, port_of(&server))).unwrap();
            let mut inbox = Inbox::new(Calls::probe());
            let got = receive_soon(&server, &mut inbox, 1);
            assert_eq!(got, [(b"hello".to_vec(), Some(local), false, true)]);
            server.send(b"back", client.local_addr().unwrap(), Some(local), Departure::Unstamped).unwrap();
            let mut back = [0; 16];
            let (length, from) = client.recv_from(&mut back).unwrap();
            assert_eq!((&back[..length], from.ip()), (b"back".as_slice(), local));
        }
    }

    #[test]
    fn long_and_empty_datagrams_are_taken_as_they_are_in_both_ways() {
        for calls in [Calls::Many, Calls::One] {
            let server = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), Sharing::Shared).unwrap();
            let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            let mut inbox = Inbox::new(calls);
            let lengths = [DATAGRAM_MAX, DATAGRAM_MAX + 1, 0, 65_000];
            for length in lengths {
                client.send_to(&vec![7; length], ("127.0.0.1", port_of(&server))).unwrap();
            }
            let got = receive_soon(&server, &mut inbox, 4);
            for (length, (data, to, oversize, _)) in lengths.into_iter().zip(got) {
                assert_eq!(
                    (data.len(), to, oversize),
                    (length.min(DATAGRAM_MAX), None, length > DATAGRAM_MAX)
                );
            }
            assert_eq!(inbox.fill(&server).unwrap(), 0);
        }
    }

    #[test]
    fn what_is_sent_together_arrives_in_order_in_both_ways() {
        for calls in [Calls::Many, Calls::One] {
            let server = UdpSocket::bind("0.0.0.0:0".parse().unwrap(), Sharing::Alone).unwrap();
            let client = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), Sharing::Alone).unwrap();
            let (mut inbox, mut outbox) = (Inbox::new(calls), Outbox::new(calls));
            let to = SocketAddr::from(([127, 0, 0, 1], port_of(&client)));
            for round in 0..3u8 {
                for i in 0..BATCH as u8 {
                    outbox.draft().unwrap()[..2].copy_from_slice(&[round, i]);
                    // The one in the middle cannot be sent, and holds nothing up.
                    let port = if i == 7 { 0 } else { to.port() };
                    outbox.add(
                        SocketAddr::new(to.ip(), port),
                        Some([127, 0, 0, 9].into()),
                        Departure::Unstamped,
                    );
                    outbox.seal(usize::from(i), |_| 2);
                }
                assert!(outbox.draft().is_none());
                assert_eq!(outbox.send(&server), 1);
                let got: Vec<Vec<u8>> =
                    receive_soon(&client, &mut inbox, BATCH - 1).into_iter().map(|g| g.0).collect();
                let wanted: Vec<Vec<u8>> =
                    (0..BATCH as u8).filter(|i| *i != 7).map(|i| vec![round, i]).collect();
                assert_eq!(got, wanted);
                assert_eq!(inbox.get(0).unwrap().from.ip(), IpAddr::from([127, 0, 0, 9]));
            }
        }
    }

    #[test]
    fn the_kernel_tells_when_a_datagram_left_or_nothing() {
        let socket = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), Sharing::Alone).unwrap();
        let other = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), Sharing::Alone).unwrap();
        let mut inbox = Inbox::new(Calls::probe());
        let before = crate::sys::clock::wall();
        socket
            .send(b"a request", ([127, 0, 0, 1], port_of(&other)).into(), None, Departure::Stamped)
            .unwrap();
        if socket.can_stamp() && inbox.take_sent(&socket).unwrap() {
            let (bytes, at) = inbox.sent();
            assert!(bytes.ends_with(b"a request"));
            let late = (at.unwrap() - before).to_seconds().get();
            assert!((0.0..1.0).contains(&late), "{late}");
        } else {
            skip::because("the kernel gives no transmit time stamps");
        }
        assert!(!inbox.take_sent(&other).unwrap());
    }

    #[test]
    fn a_port_is_shared_only_when_both_share() {
        let any = UdpSocket::bind("0.0.0.0:0".parse().unwrap(), Sharing::Alone).unwrap();
        let own: SocketAddr = ([127, 0, 0, 1], port_of(&any)).into();
        assert_eq!(UdpSocket::bind(own, Sharing::Shared).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        any.share(Sharing::Shared).unwrap();
        let specific = UdpSocket::bind(own, Sharing::Shared).unwrap();
        any.share(Sharing::Alone).unwrap();
        assert!(UdpSocket::bind(SocketAddr::from(([0, 0, 0, 0], own.port())), Sharing::Shared).is_err());
        drop(specific);
    }
}
