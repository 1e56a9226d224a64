//! UDP sockets with kernel receive timestamps and destination addresses.

use crate::units::NtpTimestamp;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, SockaddrIn,
    SockaddrIn6, SockaddrLike, SockaddrStorage, bind, connect, getsockname, recvmsg, sendmsg, sendto,
    setsockopt, socket, sockopt,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// Longest datagram that is looked at, octets.
pub const DATAGRAM_MAX: usize = 2048;
/// DSCP of what we send without `dscp`: expedited forwarding.
const DSCP: u8 = 46;
/// Receive queue asked for, octets: room for a burst of some thousand requests, used only then.
const RECEIVE_QUEUE: usize = 2 << 20;

/// Where datagrams are received into; made once, used for every one.
#[derive(Debug)]
pub struct ReceiveBuffer {
    data: Box<[u8; DATAGRAM_MAX]>,
    control: Vec<u8>,
}

impl Default for ReceiveBuffer {
    fn default() -> Self {
        Self {
            data: Box::new([0; DATAGRAM_MAX]),
            // Either stamp, and either kind of packet information.
            control: nix::cmsg_space!(libc::timespec, libc::timeval, libc::in_pktinfo, libc::in6_pktinfo),
        }
    }
}

/// A datagram that was received.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The octets; cut where `oversize`.
    pub data: &'a [u8],
    /// Whether there was more of it than [`DATAGRAM_MAX`].
    pub oversize: bool,
    /// Who sent it.
    pub from: SocketAddr,
    /// The address it was sent to; `None` where the socket is bound to one.
    pub to: Option<IpAddr>,
    /// Whether it was sent to this machine alone, not broadcast or multicast.
    pub unicast: bool,
    /// When it arrived, by the kernel's stamp; `None` where the kernel gave none.
    pub received: Option<NtpTimestamp>,
}

/// A UDP socket.
#[derive(Debug)]
pub struct UdpSocket {
    fd: OwnedFd,
    v6: bool,
}

impl UdpSocket {
    /// Binds a socket that does not block. IPv6 sockets take no IPv4. A wildcard socket tells
    /// where each datagram was sent to. With `share`, other sockets that share may be bound to
    /// the same port at a wildcard or other address.
    ///
    /// # Errors
    /// Of socket and bind: `AddrInUse` where the port is taken, `AddrNotAvailable` where the
    /// address is not (or not yet) the machine's, `Unsupported` or an errno where the machine
    /// has no such address family.
    pub fn bind(address: SocketAddr, share: bool) -> io::Result<Self> {
        let v6 = address.is_ipv6();
        let family = if v6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let fd = socket(family, SockType::Datagram, flags, None)?;
        let this = Self { fd, v6 };
        if v6 {
            setsockopt(&this.fd, sockopt::Ipv6V6Only, &true)?;
        }
        this.share(share)?;
        if address.ip().is_unspecified() {
            if v6 {
                setsockopt(&this.fd, sockopt::Ipv6RecvPacketInfo, &true)?;
            } else {
                setsockopt(&this.fd, sockopt::Ipv4PacketInfo, &true)?;
            }
        }
        this.set_optional();
        bind(this.fd.as_raw_fd(), &SockaddrStorage::from(address))?;
        Ok(this)
    }

    /// Options that make the service better, but without which it is still one.
    fn set_optional(&self) {
        if setsockopt(&self.fd, sockopt::ReceiveTimestampns, &true).is_err() {
            let _without = setsockopt(&self.fd, sockopt::ReceiveTimestamp, &true);
        }
        let _plain = self.set_dscp(DSCP);
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

    /// Whether sockets bound from now on may share the port with this one (SO_REUSEADDR).
    ///
    /// # Errors
    /// Of setsockopt.
    pub fn share(&self, share: bool) -> io::Result<()> {
        Ok(setsockopt(&self.fd, sockopt::ReuseAddr, &share)?)
    }

    /// The descriptor.
    #[must_use]
    pub fn raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Takes the next datagram; `None` when there is none. Allocates nothing.
    ///
    /// # Errors
    /// Of recvmsg; such an error is over once it was reported.
    pub fn receive<'a>(&self, buffer: &'a mut ReceiveBuffer) -> io::Result<Option<Received<'a>>> {
        let ReceiveBuffer { data, control } = buffer;
        let (length, flags, from, stamps) = {
            let mut parts = [IoSliceMut::new(data.as_mut_slice())];
            let fd = self.fd.as_raw_fd();
            let message = match recvmsg::<SockaddrStorage>(fd, &mut parts, Some(control), MsgFlags::empty()) {
                Ok(message) => message,
                Err(Errno::EAGAIN) => return Ok(None),
                Err(e) => return Err(e.into()),
            };
            let mut ancillary = Ancillary::default();
            for part in message.cmsgs()? {
                ancillary.take(&part);
            }
            (message.bytes, message.flags, message.address, ancillary)
        };
        let Some(from) = from.as_ref().and_then(socket_addr) else {
            return Err(Errno::EAFNOSUPPORT.into());
        };
        Ok(Some(Received {
            data: &data[..length.min(DATAGRAM_MAX)],
            oversize: flags.contains(MsgFlags::MSG_TRUNC),
            from,
            to: stamps.to,
            unicast: !stamps.many,
            received: stamps.received,
        }))
    }

    /// Sends a datagram, from `source` where the socket is a wildcard and the source matters.
    /// Without a source it allocates nothing.
    ///
    /// # Errors
    /// Of sendto and sendmsg.
    pub fn send(&self, data: &[u8], to: SocketAddr, source: Option<IpAddr>) -> io::Result<()> {
        let fd = self.fd.as_raw_fd();
        match (source, to) {
            (Some(IpAddr::V4(source)), SocketAddr::V4(to)) => {
                let info = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: libc::in_addr { s_addr: u32::from(source).to_be() },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                let control = [ControlMessage::Ipv4PacketInfo(&info)];
                sendmsg(fd, &[IoSlice::new(data)], &control, MsgFlags::empty(), Some(&SockaddrIn::from(to)))?;
            }
            (Some(IpAddr::V6(source)), SocketAddr::V6(to)) => {
                let info = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr { s6_addr: source.octets() },
                    ipi6_ifindex: 0,
                };
                let control = [ControlMessage::Ipv6PacketInfo(&info)];
                sendmsg(
                    fd,
                    &[IoSlice::new(data)],
                    &control,
                    MsgFlags::empty(),
                    Some(&SockaddrIn6::from(to)),
                )?;
            }
            (_, SocketAddr::V4(to)) => {
                sendto(fd, data, &SockaddrIn::from(to), MsgFlags::empty())?;
            }
            (_, SocketAddr::V6(to)) => {
                sendto(fd, data, &SockaddrIn6::from(to), MsgFlags::empty())?;
            }
        }
        Ok(())
    }
}

/// The local address the kernel would send from to reach `to`. Sends nothing.
///
/// # Errors
/// Where there is no way to it.
pub fn source_for(to: SocketAddr) -> io::Result<IpAddr> {
    let family = if to.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    let fd = socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    connect(fd.as_raw_fd(), &SockaddrStorage::from(to))?;
    let own: SockaddrStorage = getsockname(fd.as_raw_fd())?;
    socket_addr(&own).map(|a| a.ip()).ok_or_else(|| Errno::EAFNOSUPPORT.into())
}

/// What the kernel says beside a datagram.
#[derive(Default)]
struct Ancillary {
    to: Option<IpAddr>,
    many: bool,
    received: Option<NtpTimestamp>,
}

impl Ancillary {
    fn take(&mut self, part: &ControlMessageOwned) {
        match part {
            ControlMessageOwned::ScmTimestampns(t) => {
                self.received = Some(NtpTimestamp::from_unix(t.tv_sec(), t.tv_nsec() as u32));
            }
            ControlMessageOwned::ScmTimestamp(t) => {
                self.received = Some(NtpTimestamp::from_unix(t.tv_sec(), t.tv_usec() as u32 * 1000));
            }
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                let to = u32::from_be(info.ipi_addr.s_addr);
                self.to = Some(IpAddr::V4(to.into()));
                // The kernel's local address for the packet is the destination itself only
                // where it was meant for one machine.
                self.many = info.ipi_addr.s_addr != info.ipi_spec_dst.s_addr;
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                let to = std::net::Ipv6Addr::from(info.ipi6_addr.s6_addr);
                self.to = Some(IpAddr::V6(to));
                self.many = to.is_multicast();
            }
            _ => {}
        }
    }
}

fn socket_addr(storage: &SockaddrStorage) -> Option<SocketAddr> {
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
    use std::time::{Duration, Instant};

    fn receive_soon(socket: &UdpSocket, buffer: &mut ReceiveBuffer) -> (Vec<u8>, Option<IpAddr>, bool, bool) {
        let end = Instant::now() + Duration::from_secs(5);
        loop {
            if let Some(got) = socket.receive(buffer).unwrap() {
                assert!(got.received.is_some());
                return (got.data.to_vec(), got.to, got.oversize, got.unicast);
            }
            assert!(Instant::now() < end, "nothing arrived");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn port_of(socket: &UdpSocket) -> u16 {
        let own: SockaddrStorage = getsockname(socket.raw_fd()).unwrap();
        socket_addr(&own).unwrap().port()
    }

    #[test]
    fn the_code_point_is_set_in_both_families() {
        for any in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(socket) = UdpSocket::bind(any.parse().unwrap(), false) else { continue };
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
            let Ok(server) = UdpSocket::bind(any.parse().unwrap(), false) else { continue };
            let local: IpAddr = local.parse().unwrap();
            let Ok(client) = std::net::UdpSocket::bind((local, 0)) else { continue };
            client.send_to(b"hello", (local, port_of(&server))).unwrap();
            let mut buffer = ReceiveBuffer::default();
            let (data, to, oversize, unicast) = receive_soon(&server, &mut buffer);
            assert_eq!(
                (data.as_slice(), to, oversize, unicast),
                (b"hello".as_slice(), Some(local), false, true)
            );
            server.send(b"back", client.local_addr().unwrap(), Some(local)).unwrap();
            let mut back = [0; 16];
            let (length, from) = client.recv_from(&mut back).unwrap();
            assert_eq!((&back[..length], from.ip()), (b"back".as_slice(), local));
        }
    }

    #[test]
    fn a_long_datagram_is_marked() {
        let server = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), true).unwrap();
        let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut buffer = ReceiveBuffer::default();
        for (length, long) in [(DATAGRAM_MAX, false), (DATAGRAM_MAX + 1, true), (0, false)] {
            client.send_to(&vec![7; length], ("127.0.0.1", port_of(&server))).unwrap();
            let (data, to, oversize, _) = receive_soon(&server, &mut buffer);
            assert_eq!((data.len(), to, oversize), (length.min(DATAGRAM_MAX), None, long));
        }
        assert!(server.receive(&mut buffer).unwrap().is_none());
    }

    #[test]
    fn a_port_is_shared_only_when_both_share() {
        let any = UdpSocket::bind("0.0.0.0:0".parse().unwrap(), false).unwrap();
        let own: SocketAddr = ([127, 0, 0, 1], port_of(&any)).into();
        assert_eq!(UdpSocket::bind(own, true).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        any.share(true).unwrap();
        let specific = UdpSocket::bind(own, true).unwrap();
        any.share(false).unwrap();
        assert!(UdpSocket::bind(SocketAddr::from(([0, 0, 0, 0], own.port())), true).is_err());
        drop(specific);
    }

    #[test]
    fn the_source_towards_loopback_is_loopback() {
        let source = source_for("127.0.0.1:123".parse().unwrap()).unwrap();
        assert!(source.is_loopback());
    }
}
