//! Control messages: what the kernel reports with a datagram, and what we request with one.

use super::socket::Departure;
use crate::units::NtpTimestamp;
use nix::libc;
use std::net::{IpAddr, Ipv6Addr};
use std::ptr;

/// SOF_TIMESTAMPING_TX_SOFTWARE: stamp a datagram when the driver takes it (linux/net_tstamp.h).
const STAMP_ON_LEAVING: u32 = 1 << 1;
/// SOF_TIMESTAMPING_SOFTWARE: report the stamps that the kernel takes.
pub(super) const REPORT_STAMPS: i32 = 1 << 4;
/// Room for what a received datagram may carry: three kinds of stamp, packet information of either
/// family, and the extended error of a transmit stamp.
pub(super) const RECEIVE_SPACE: usize = 256;
/// Room for what a sent datagram may carry: packet information and the request for a stamp.
pub(super) const SEND_SPACE: usize = 72;

/// What the request for a stamp takes of it: a header and four bytes, aligned.
pub(super) const STAMP_SPACE: usize = 24;

/// Control messages, aligned as the kernel lays them out.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub(super) struct Control<const N: usize>(pub(super) [u8; N]);

/// What the kernel reported with a datagram.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ancillary {
    /// The address it was sent to.
    pub(super) to: Option<IpAddr>,
    /// Whether it was sent to more than this machine.
    pub(super) many: bool,
    /// When it arrived, or, on the error queue, when it left.
    pub(super) stamp: Option<NtpTimestamp>,
}

impl Ancillary {
    /// Reads what a receiving call has put into `header`.
    pub(super) fn read(header: &libc::msghdr) -> Self {
        let mut this = Self::default();
        // SAFETY: the header is one that the kernel filled in: its control pointer and length
        // describe a buffer that is alive as long as the header, which is borrowed here.
        let mut part = unsafe { libc::CMSG_FIRSTHDR(header) };
        // SAFETY: what the macros give is null or lies with its whole head inside that buffer.
        while let Some(head) = unsafe { part.as_ref() } {
            // SAFETY: as above; the data begin behind the head.
            this.take(head, unsafe { libc::CMSG_DATA(part) });
            // SAFETY: `part` is one that these macros gave for this header.
            part = unsafe { libc::CMSG_NXTHDR(header, part) };
        }
        this
    }

    fn take(&mut self, head: &libc::cmsghdr, data: *const u8) {
        match (head.cmsg_level, head.cmsg_type) {
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS | libc::SCM_TIMESTAMPING) => {
                // Of the three stamps of SCM_TIMESTAMPING the first is the kernel's own.
                if let Some(t) = value::<libc::timespec>(head, data)
                    && t.tv_sec != 0
                {
                    self.stamp = Some(NtpTimestamp::from_unix(t.tv_sec, t.tv_nsec as u32));
                }
            }
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMP) => {
                if let Some(t) = value::<libc::timeval>(head, data) {
                    self.stamp = Some(NtpTimestamp::from_unix(t.tv_sec, t.tv_usec as u32 * 1000));
                }
            }
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                if let Some(info) = value::<libc::in_pktinfo>(head, data) {
                    self.to = Some(IpAddr::V4(u32::from_be(info.ipi_addr.s_addr).into()));
                    // The kernel's local address for the packet is the destination itself only
                    // where it was meant for one machine.
                    self.many = info.ipi_addr.s_addr != info.ipi_spec_dst.s_addr;
                }
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                if let Some(info) = value::<libc::in6_pktinfo>(head, data) {
                    let to = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                    self.to = Some(IpAddr::V6(to));
                    self.many = to.is_multicast();
                }
            }
            _ => {}
        }
    }
}

/// Types for which any bytes are a valid value.
trait Plain: Copy {}
impl Plain for libc::timespec {}
impl Plain for libc::timeval {}
impl Plain for libc::in_pktinfo {}
impl Plain for libc::in6_pktinfo {}

fn value<T: Plain>(head: &libc::cmsghdr, data: *const u8) -> Option<T> {
    // SAFETY: pure arithmetic.
    let needed = unsafe { libc::CMSG_LEN(size_of::<T>() as u32) };
    if (head.cmsg_len as u64) < u64::from(needed) {
        return None;
    }
    // SAFETY: the length says that so many bytes follow the head, and any bytes are a T.
    Some(unsafe { ptr::read_unaligned(data.cast::<T>()) })
}

/// Writes the control messages of a datagram to send; returns the bytes used.
pub(super) fn write(
    control: &mut Control<SEND_SPACE>,
    source: Option<IpAddr>,
    departure: Departure,
) -> usize {
    let mut used = 0;
    match source {
        Some(IpAddr::V4(source)) => {
            let info = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr { s_addr: u32::from(source).to_be() },
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            used += put(&mut control.0[used..], libc::IPPROTO_IP, libc::IP_PKTINFO, info);
        }
        Some(IpAddr::V6(source)) => {
            let info =
                libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: source.octets() }, ipi6_ifindex: 0 };
            used += put(&mut control.0[used..], libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
        }
        None => {}
    }
    if departure == Departure::Stamped {
        used += put(&mut control.0[used..], libc::SOL_SOCKET, libc::SO_TIMESTAMPING, STAMP_ON_LEAVING);
    }
    used
}

/// Writes one control message at the front of `to`, which must have room and be aligned to 8
/// bytes; returns the bytes used.
fn put<T: Copy>(to: &mut [u8], level: i32, kind: i32, value: T) -> usize {
    // SAFETY: pure arithmetic.
    let (space, length) = unsafe {
        (libc::CMSG_SPACE(size_of::<T>() as u32) as usize, libc::CMSG_LEN(size_of::<T>() as u32) as usize)
    };
    assert!(to.len() >= space, "SEND_SPACE holds every message that there is");
    to[..space].fill(0);
    let head = to.as_mut_ptr().cast::<libc::cmsghdr>();
    // SAFETY: `space` bytes are ours from `head` on, checked above; unaligned writes ask no more.
    unsafe {
        ptr::addr_of_mut!((*head).cmsg_len).write_unaligned(length as _);
        ptr::addr_of_mut!((*head).cmsg_level).write_unaligned(level);
        ptr::addr_of_mut!((*head).cmsg_type).write_unaligned(kind);
        libc::CMSG_DATA(head).cast::<T>().write_unaligned(value);
    }
    space
}
