//! Sockets of several processes on one port (SO_REUSEPORT), and which of them gets a datagram.
//!
//! The kernel asks a small program (classic BPF, Linux 4.6) for each datagram. Ours gives every client
//! to the same process, by its address: so rate limits and interleaved mode, which depend on earlier requests,
//! are as exact as with one process. Everything but a client's request goes to the first socket.

use super::socket::{Sharing, UdpSocket};
use nix::errno::Errno;
use nix::libc::{self, c_int, c_uint, sock_filter, sock_fprog};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Loads at offsets from here on are from the IP header, not from the datagram's own bytes.
pub(super) const IP_HEADER: u32 = 0xfff0_0000; // SKF_NET_OFF
/// Where the source address is in it.
pub(super) const SOURCE_V4: u32 = 12;
pub(super) const SOURCE_V6: u32 = 8;
/// Spreads addresses: the golden ratio of 2³², made odd. What is chosen by is the high half.
const SPREAD: u32 = 0x9e37_79b1;

/// The sockets of a group at one address: the first for everything but clients' requests, and one
/// for each of `workers` processes.
///
/// # Errors
/// `AddrInUse` where another process has the port; of setsockopt where the kernel has no groups or no
/// programs for them.
pub fn bind(address: SocketAddr, workers: u32) -> io::Result<Vec<UdpSocket>> {
    // A group admits other sockets of the same user: this bind finds a process that holds the port.
    drop(UdpSocket::bind(address, Sharing::Alone)?);
    let sockets: Vec<UdpSocket> =
        (0..=workers).map(|_| UdpSocket::bind_in_group(address)).collect::<io::Result<_>>()?;
    if let Some(first) = sockets.first() {
        attach(first, libc::SO_ATTACH_REUSEPORT_CBPF, &program(address.ip(), workers))?;
    }
    Ok(sockets)
}

/// Whether this kernel has groups with programs.
#[must_use]
pub fn is_supported() -> bool {
    let try_out = || {
        let socket = UdpSocket::bind_in_group((Ipv4Addr::LOCALHOST, 0).into())?;
        attach(&socket, libc::SO_ATTACH_REUSEPORT_CBPF, &program(Ipv4Addr::LOCALHOST.into(), 1))
    };
    try_out().is_ok()
}

pub(super) const fn step(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

pub(super) const fn jump(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: (libc::BPF_JMP | code | libc::BPF_K) as u16, jt, jf, k }
}

/// Gives the position of the socket: 1 to `workers` for what asks for the time, else 0. A load past
/// the end of a datagram ends the program with 0.
fn program(ip: IpAddr, workers: u32) -> Vec<sock_filter> {
    use libc::{
        BPF_ADD, BPF_ALU, BPF_AND, BPF_JEQ, BPF_K, BPF_MISC, BPF_MOD, BPF_MUL, BPF_RSH, BPF_TAX, BPF_X,
        BPF_XOR,
    };
    let byte = step(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, 0);
    let word = |at| step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, IP_HEADER + at);
    let mut all = vec![
        // Mode 3, or version 1's mode 0.
        byte,
        step(BPF_ALU | BPF_AND | BPF_K, 7),
        jump(BPF_JEQ, 3, 4, 0),
        byte,
        step(BPF_ALU | BPF_AND | BPF_K, 0x3f),
        jump(BPF_JEQ, 1 << 3, 1, 0),
        step(libc::BPF_RET | BPF_K, 0),
    ];
    if ip.is_ipv6() {
        for at in (0..16).step_by(4) {
            all.push(word(SOURCE_V6 + at));
            if at > 0 {
                all.push(step(BPF_ALU | BPF_XOR | BPF_X, 0));
            }
            all.push(step(BPF_ALU | BPF_MUL | BPF_K, SPREAD));
            all.push(step(BPF_MISC | BPF_TAX, 0));
        }
    } else {
        all.push(word(SOURCE_V4));
        all.push(step(BPF_ALU | BPF_MUL | BPF_K, SPREAD));
    }
    all.extend([
        step(BPF_ALU | BPF_RSH | BPF_K, 16),
        step(BPF_ALU | BPF_MOD | BPF_K, workers.max(1)),
        step(BPF_ALU | BPF_ADD | BPF_K, 1),
        step(libc::BPF_RET | libc::BPF_A, 0),
    ]);
    all
}

/// Hands a program to the kernel by this option of a socket.
pub(super) fn attach(socket: &UdpSocket, option: c_int, program: &[sock_filter]) -> io::Result<()> {
    let value = sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
    // SAFETY: the kernel copies the program, of which pointer and length are right, during the call.
    let result = unsafe {
        libc::setsockopt(
            socket.raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const value).cast(),
            size_of::<sock_fprog>() as c_uint,
        )
    };
    Ok(Errno::result(result).map(drop)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::batch::{Calls, Inbox};
    use std::net::{IpAddr, Ipv6Addr};

    /// Which socket each datagram of `first` bytes from `source` comes to.
    fn arrives(
        sockets: &[UdpSocket],
        inbox: &mut Inbox,
        to: SocketAddr,
        source: IpAddr,
        data: &[u8],
    ) -> usize {
        let client = std::net::UdpSocket::bind((source, 0)).unwrap();
        client.send_to(data, to).unwrap();
        for _ in 0..2000 {
            if let Some(at) = sockets.iter().position(|socket| inbox.fill(socket).unwrap() > 0) {
                return at;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        panic!("nothing arrived");
    }

    fn free_port(ip: IpAddr) -> Option<SocketAddr> {
        std::net::UdpSocket::bind((ip, 0)).ok()?.local_addr().ok()
    }

    #[test]
    fn a_client_always_comes_to_the_same_worker_and_all_else_to_the_first() {
        if !is_supported() {
            return skip::because("the kernel shares no port out by a program");
        }
        let mut inbox = Inbox::new(Calls::probe());
        let to = free_port(Ipv4Addr::LOCALHOST.into()).unwrap();
        let sockets = bind(to, 3).unwrap();
        assert_eq!(bind(to, 3).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let mut seen = [0; 4];
        for host in 1..=60 {
            let source = Ipv4Addr::new(127, 1, 2, host).into();
            let worker = arrives(&sockets, &mut inbox, to, source, &[0x23; 48]);
            seen[worker] += 1;
            // From another port, of another version, of version 1 without a mode.
            for first in [0x1b, 0x08] {
                assert_eq!(arrives(&sockets, &mut inbox, to, source, &[first; 48]), worker);
            }
            for other in [&[0x24; 48][..], &[0x16; 12], &[0x00; 48], &[0x21; 48], &[]] {
                assert_eq!(arrives(&sockets, &mut inbox, to, source, other), 0, "{other:?}");
            }
        }
        assert!(seen[0] == 0 && seen[1..].iter().all(|n| *n > 5), "{seen:?}");
    }

    #[test]
    fn ipv6_is_shared_out_too() {
        let Some(to) = free_port(Ipv6Addr::LOCALHOST.into()).filter(|_| is_supported()) else {
            return skip::because("no IPv6, or the kernel shares no port out by a program");
        };
        let sockets = bind(to, 2).unwrap();
        let mut inbox = Inbox::new(Calls::probe());
        let source = Ipv6Addr::LOCALHOST.into();
        let worker = arrives(&sockets, &mut inbox, to, source, &[0x23; 48]);
        assert!(worker > 0);
        assert_eq!(arrives(&sockets, &mut inbox, to, source, &[0x1b; 48]), worker);
        assert_eq!(arrives(&sockets, &mut inbox, to, source, &[0x24; 48]), 0);
    }
}
