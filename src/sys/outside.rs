//! What cannot come from outside is dropped by the kernel: datagrams that arrive by an interface with a source address of this machine's.
//!
//! Most kernels drop them before, but IPv6 has no such test, and IPv4's is switched off by `accept_local` and `route_localnet`. Where a datagram
//! arrived is known to a socket's filter (classic BPF) only: packet information names another interface for what this machine sends to itself.

use super::group::{IP_HEADER, SOURCE_V4, SOURCE_V6, attach, jump, step};
use super::socket::UdpSocket;
use nix::libc::{self, sock_filter};
use std::io;
use std::net::IpAddr;

/// Most addresses that a filter compares with: each costs time at each datagram from outside.
pub const MOST: usize = 64;
/// Loads the number of the interface (SKF_AD_OFF + SKF_AD_IFINDEX).
const INTERFACE: u32 = 0xffff_f000 + 8;
/// The loopback interface is the first one of every network namespace.
const LOOPBACK: u32 = 1;
/// A filter's results: all of the datagram, or nothing of it.
const ACCEPT: u32 = u32::MAX;
const DROP: u32 = 0;

/// Lets nothing through that comes from outside and claims to come from loopback, from one of `own`, of which the first [`MOST`] count,
/// or from no address at all.
///
/// # Errors
/// Of setsockopt.
pub fn refuse_own(socket: &UdpSocket, family: IpAddr, own: &[IpAddr]) -> io::Result<()> {
    attach(socket, libc::SO_ATTACH_FILTER, &program(family, own))
}

fn program(family: IpAddr, own: &[IpAddr]) -> Vec<sock_filter> {
    use libc::{BPF_ABS, BPF_JEQ, BPF_JGE, BPF_K, BPF_LD, BPF_RET, BPF_W};
    let load = |at| step(BPF_LD | BPF_W | BPF_ABS, at);
    let end = |result| step(BPF_RET | BPF_K, result);
    let mut all = vec![load(INTERFACE), jump(BPF_JEQ, LOOPBACK, 0, 1), end(ACCEPT)];
    if family.is_ipv4() {
        all.extend([
            load(IP_HEADER + SOURCE_V4),
            jump(BPF_JEQ, 0, 2, 0),
            jump(BPF_JGE, 0x8000_0000, 2, 0),
            jump(BPF_JGE, 0x7f00_0000, 0, 1),
            end(DROP),
        ]);
    }
    for address in own.iter().take(MOST) {
        match address {
            IpAddr::V4(v4) if family.is_ipv4() => {
                all.extend([jump(BPF_JEQ, v4.to_bits(), 0, 1), end(DROP)]);
            }
            IpAddr::V6(v6) if family.is_ipv6() => {
                for (word, at) in v6.octets().chunks_exact(4).zip((0..16).step_by(4)) {
                    let word = word.iter().fold(0, |word, byte| word << 8 | u32::from(*byte));
                    // Past the other words and the result.
                    let rest = (2 * (12 - at) / 4 + 1) as u8;
                    all.extend([load(IP_HEADER + SOURCE_V6 + at), jump(BPF_JEQ, word, 0, rest)]);
                }
                all.push(end(DROP));
            }
            _ => {}
        }
    }
    all.push(end(ACCEPT));
    all
}
