//! TCP sockets that wait for connections.

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, listen as listen_on, setsockopt,
    socket, sockopt,
};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd as _;

/// Connections that the kernel completes before they are taken.
const QUEUE: i32 = 128;

/// Waits for connections to this address, without blocking; a socket of IPv6 takes none of IPv4.
///
/// # Errors
/// Of socket, bind and listen.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let family = if address.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    let fd = socket(family, SockType::Stream, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, None)?;
    // A restart does not wait for old connections to be forgotten.
    setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    if address.is_ipv6() {
        setsockopt(&fd, sockopt::Ipv6V6Only, &true)?;
    }
    bind(fd.as_raw_fd(), &SockaddrStorage::from(address))?;
    listen_on(&fd, Backlog::new(QUEUE)?)?;
    Ok(TcpListener::from(fd))
}
