//! Many datagrams in one system call, and one by one on kernels that know no such calls (2.6.32).
//!
//! An [`Inbox`] and an [`Outbox`] are made once and used for every datagram: nothing is allocated.

use super::ancillary::{self, Ancillary, Control, RECEIVE_SPACE, SEND_SPACE, STAMP_SPACE};
use super::socket::{Departure, UdpSocket, socket_addr};
use crate::units::NtpTimestamp;
use nix::errno::Errno;
use nix::libc::{self, c_int, c_uint};
use nix::sys::socket::{AddressFamily, SockaddrLike as _, SockaddrStorage};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::os::fd::RawFd;
use std::{mem, ptr};

/// Most datagrams taken in one go, and answered.
pub const BATCH: usize = 32;
/// Most datagrams sent in one system call.
pub const TOGETHER: usize = 8;
/// Longest datagram that is looked at, bytes.
pub const DATAGRAM_MAX: usize = 2048;
/// Room for a datagram in an [`Outbox`], bytes.
pub const SEND_MAX: usize = 1_600;

/// Which system calls this kernel has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Calls {
    /// recvmmsg (Linux 2.6.33) and sendmmsg (3.0).
    Many,
    /// recvmsg and sendmsg only.
    One,
}

impl Calls {
    /// Asks the kernel, with calls that cannot do anything.
    #[must_use]
    pub fn probe() -> Self {
        // SAFETY: no descriptor has this number, and no header is read for a count of zero.
        let receives =
            unsafe { receive_many(-1, ptr::null_mut(), 0, 0) } >= 0 || Errno::last() != Errno::ENOSYS;
        // SAFETY: as above.
        let sends = unsafe { send_many(-1, ptr::null_mut(), 0) } >= 0 || Errno::last() != Errno::ENOSYS;
        if receives && sends { Self::Many } else { Self::One }
    }
}

/// A datagram that was received.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The bytes; cut where `oversize`.
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

/// What the kernel reports about a datagram beside its bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Envelope {
    length: usize,
    oversize: bool,
    from: Option<SocketAddr>,
    beside: Ancillary,
}

/// Where datagrams are received into.
#[derive(Debug)]
pub struct Inbox {
    calls: Calls,
    data: Box<[[u8; DATAGRAM_MAX]]>,
    envelopes: [Envelope; BATCH],
}

impl Inbox {
    /// An inbox that uses these calls.
    #[must_use]
    pub fn new(calls: Calls) -> Self {
        let data = vec![[0; DATAGRAM_MAX]; BATCH].into_boxed_slice();
        Self { calls, data, envelopes: [Envelope::default(); BATCH] }
    }

    /// Takes what waits at a socket, at most [`BATCH`] datagrams; gives how many.
    ///
    /// # Errors
    /// Of recvmmsg and recvmsg; such an error is over once it was reported.
    pub fn fill(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        self.receive(socket.raw_fd(), BATCH, 0)
    }

    /// Takes one datagram that we sent from the socket's error queue, with the stamp of its leaving;
    /// false if there is none. The bytes end with the datagram's own, behind the headers.
    ///
    /// # Errors
    /// Of recvmsg.
    pub fn take_sent(&mut self, socket: &UdpSocket) -> io::Result<bool> {
        Ok(self.receive(socket.raw_fd(), 1, libc::MSG_ERRQUEUE)? == 1)
    }

    /// The datagram at this position of the last [`Inbox::fill`]; `None` where it has no address
    /// that we know.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Received<'_>> {
        let envelope = self.envelopes.get(index)?;
        Some(Received {
            data: &self.data[index][..envelope.length],
            oversize: envelope.oversize,
            from: envelope.from?,
            to: envelope.beside.to,
            unicast: !envelope.beside.many,
            received: envelope.beside.stamp,
        })
    }

    /// Bytes and stamp of the datagram that [`Inbox::take_sent`] took.
    #[must_use]
    pub fn sent(&self) -> (&[u8], Option<NtpTimestamp>) {
        (&self.data[0][..self.envelopes[0].length], self.envelopes[0].beside.stamp)
    }

    fn receive(&mut self, fd: RawFd, most: usize, flags: c_int) -> io::Result<usize> {
        // SAFETY: a plain C structure, for which zeros are a valid value.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
        let mut names = [const { mem::MaybeUninit::<libc::sockaddr_storage>::uninit() }; BATCH];
        let mut parts = [libc::iovec { iov_base: ptr::null_mut(), iov_len: DATAGRAM_MAX }; BATCH];
        let mut controls = [const { mem::MaybeUninit::<Control<RECEIVE_SPACE>>::uninit() }; BATCH];
        for i in 0..most {
            parts[i].iov_base = self.data[i].as_mut_ptr().cast();
            let header = &mut headers[i].msg_hdr;
            header.msg_name = names[i].as_mut_ptr().cast();
            header.msg_namelen = size_of::<libc::sockaddr_storage>() as u32;
            header.msg_iov = &raw mut parts[i];
            header.msg_iovlen = 1;
            header.msg_control = controls[i].as_mut_ptr().cast();
            header.msg_controllen = RECEIVE_SPACE as _;
        }
        let flags = flags | libc::MSG_DONTWAIT;
        let mut count = 0;
        if self.calls == Calls::Many && most > 1 {
            // SAFETY: each header points at a name, a part and a control buffer of the lengths it
            // says, which outlive the call and which nothing else uses meanwhile.
            count = taken(unsafe { receive_many(fd, headers.as_mut_ptr(), most as c_uint, flags) } as isize)?;
        }
        // We are called where something waits. What recvmmsg does not find then, because whatever is
        // between us and the kernel handles recvmsg only, recvmsg finds.
        if count == 0 {
            count = receive_singly(fd, &mut headers[..most], flags)?;
        }
        debug_assert!(count <= most, "the kernel gives no more datagrams than were asked for: {count}");
        for i in 0..count {
            let header = &headers[i].msg_hdr;
            // SAFETY: the kernel has written so many bytes of an address into the name.
            let name =
                unsafe { SockaddrStorage::from_raw(names[i].as_ptr().cast(), Some(header.msg_namelen)) };
            self.envelopes[i] = Envelope {
                length: (headers[i].msg_len as usize).min(DATAGRAM_MAX),
                oversize: header.msg_flags & libc::MSG_TRUNC != 0,
                from: name.as_ref().and_then(socket_addr),
                beside: Ancillary::read(header),
            };
        }
        Ok(count)
    }
}

/// Datagrams that are to be sent together from one socket.
#[derive(Debug)]
pub struct Outbox {
    calls: Calls,
    data: Box<[[u8; SEND_MAX]]>,
    lengths: [usize; BATCH],
    names: [SockaddrStorage; BATCH],
    controls: [Control<SEND_SPACE>; BATCH],
    control_lengths: [usize; BATCH],
    /// Which of them request a stamp on leaving: their control messages end with one of [`STAMP_SPACE`] bytes.
    stamped: [bool; BATCH],
    count: usize,
}

impl Outbox {
    /// An empty outbox that uses these calls.
    #[must_use]
    pub fn new(calls: Calls) -> Self {
        let nowhere = SockaddrStorage::from(SocketAddr::from(([0, 0, 0, 0], 0)));
        Self {
            calls,
            data: vec![[0; SEND_MAX]; BATCH].into_boxed_slice(),
            lengths: [0; BATCH],
            names: [nowhere; BATCH],
            controls: [Control([0; SEND_SPACE]); BATCH],
            control_lengths: [0; BATCH],
            stamped: [false; BATCH],
            count: 0,
        }
    }

    /// Where to write the bytes of the next datagram; none where the outbox is full.
    pub fn draft(&mut self) -> Option<&mut [u8; SEND_MAX]> {
        self.data.get_mut(self.count)
    }

    /// Adds the datagram in the draft, to be sent to `to`, and from `source` where the socket is a wildcard. [`Outbox::seal`]
    /// sets its length.
    pub fn add(&mut self, to: SocketAddr, source: Option<IpAddr>, departure: Departure) {
        let i = self.count;
        if i < BATCH {
            self.names[i] = SockaddrStorage::from(to);
            self.control_lengths[i] = ancillary::write(&mut self.controls[i], source, departure);
            self.stamped[i] = departure == Departure::Stamped;
            debug_assert!(self.control_lengths[i] <= SEND_SPACE, "control messages fit their buffer");
            self.count += 1;
        }
        debug_assert!(i < BATCH, "a response is added where there was room for its draft");
    }

    /// Lets `finish` write the last of a datagram and give its length.
    pub fn seal(&mut self, index: usize, finish: impl FnOnce(&mut [u8; SEND_MAX]) -> usize) {
        debug_assert!(index < self.count, "only what was added is sealed: {index} of {}", self.count);
        self.lengths[index] = finish(&mut self.data[index]).min(SEND_MAX);
    }

    /// The bytes of a sealed datagram.
    #[must_use]
    pub fn bytes(&self, index: usize) -> &[u8] {
        &self.data[index][..self.lengths[index]]
    }

    /// How many datagrams wait to be sent.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether none waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Empties the outbox.
    pub const fn clear(&mut self) {
        self.count = 0;
    }

    /// Sends all and empties the outbox; gives how many the kernel did not take.
    pub fn send(&mut self, socket: &UdpSocket) -> usize {
        let parts = (0..self.count).step_by(TOGETHER);
        let unsent = parts.map(|from| self.send_some(socket, from..from + TOGETHER)).sum();
        self.clear();
        unsent
    }

    /// Sends some, at most [`TOGETHER`]; returns how many of them the kernel refused. Those are lost, as datagrams may be.
    pub fn send_some(&mut self, socket: &UdpSocket, some: Range<usize>) -> usize {
        let from = some.start;
        let count = some.end.min(self.count).saturating_sub(from).min(TOGETHER);
        // SAFETY: plain C structures, for which zeros are a valid value.
        let mut headers: [libc::mmsghdr; TOGETHER] = unsafe { mem::zeroed() };
        let mut parts = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; TOGETHER];
        for i in 0..count {
            let at = from + i;
            parts[i] = libc::iovec { iov_base: self.data[at].as_mut_ptr().cast(), iov_len: self.lengths[at] };
            let header = &mut headers[i].msg_hdr;
            header.msg_name = self.names[at].as_ptr().cast_mut().cast();
            // Not all of the storage, which the kernel would copy.
            header.msg_namelen = name_length(&self.names[at]);
            header.msg_iov = &raw mut parts[i];
            header.msg_iovlen = 1;
            header.msg_control = self.controls[at].0.as_mut_ptr().cast();
            header.msg_controllen = self.control_lengths[at] as _;
        }
        let (mut done, mut lost) = (0, 0);
        while done < count {
            // One alone goes the plain way, which every kernel has.
            let many = self.calls == Calls::Many && count - done > 1;
            let fd = socket.raw_fd();
            // SAFETY: each header points at a name, a part and control messages of the lengths it
            // says, all of which outlive the call; the kernel only reads them.
            let sent = unsafe {
                if many {
                    send_many(fd, headers[done..].as_mut_ptr(), (count - done) as c_uint)
                } else if libc::sendmsg(fd, &raw const headers[done].msg_hdr, libc::MSG_DONTWAIT) < 0 {
                    -1
                } else {
                    1
                }
            };
            match sent {
                1.. => {
                    done += sent as usize;
                    debug_assert!(
                        done <= count,
                        "the kernel sends no more than it was given: {done} of {count}"
                    );
                }
                _ if Errno::last() == Errno::EINTR => {}
                // Kernels before 4.6 do not know the wish for a stamp: the datagram goes without.
                _ if Errno::last() == Errno::EINVAL && mem::take(&mut self.stamped[from + done]) => {
                    socket.cannot_stamp();
                    headers[done].msg_hdr.msg_controllen =
                        (self.control_lengths[from + done] - STAMP_SPACE) as _;
                }
                // Full: for the others there is no room either.
                _ if matches!(Errno::last(), Errno::EAGAIN | Errno::ENOBUFS) => return lost + count - done,
                _ => (done, lost) = (done + 1, lost + 1),
            }
        }
        lost
    }
}

fn name_length(name: &SockaddrStorage) -> libc::socklen_t {
    let length = match name.family() {
        Some(AddressFamily::Inet6) => size_of::<libc::sockaddr_in6>(),
        _ => size_of::<libc::sockaddr_in>(),
    };
    length as libc::socklen_t
}

/// How many datagrams a receiving call took; none where none waited.
fn taken(result: isize) -> io::Result<usize> {
    match (result, Errno::last()) {
        (0.., _) => Ok(result as usize),
        (_, Errno::EAGAIN | Errno::EINTR) => Ok(0),
        (_, error) => Err(error.into()),
    }
}

fn receive_singly(fd: RawFd, headers: &mut [libc::mmsghdr], flags: c_int) -> io::Result<usize> {
    for (count, header) in headers.iter_mut().enumerate() {
        // SAFETY: the header points at a name, a part and a control buffer of the lengths it says,
        // which the caller keeps alive.
        let length = unsafe { libc::recvmsg(fd, &raw mut header.msg_hdr, flags) };
        match taken(length) {
            Ok(_) if length < 0 => return Ok(count),
            Ok(length) => header.msg_len = length as c_uint,
            // What came before the error is not lost; the error itself is over.
            Err(_) if count > 0 => return Ok(count),
            Err(error) => return Err(error),
        }
    }
    Ok(headers.len())
}

/// recvmmsg(2).
///
/// # Safety
/// `headers` must point at `count` headers whose pointers and lengths are right.
unsafe fn receive_many(fd: RawFd, headers: *mut libc::mmsghdr, count: c_uint, flags: c_int) -> c_int {
    // SAFETY: the caller's promise; no timeout is given.
    unsafe { libc::recvmmsg(fd, headers, count, flags as _, ptr::null_mut()) }
}

/// sendmmsg(2). musl's function of this name calls sendmsg in a loop.
///
/// # Safety
/// `headers` must point at `count` headers whose pointers and lengths are right.
unsafe fn send_many(fd: RawFd, headers: *mut libc::mmsghdr, count: c_uint) -> c_int {
    #[cfg(target_env = "musl")]
    // SAFETY: the caller's promise; the structure is the kernel's, its padding zero.
    return unsafe { libc::syscall(libc::SYS_sendmmsg, fd, headers, count, libc::MSG_DONTWAIT) } as c_int;
    #[cfg(not(target_env = "musl"))]
    // SAFETY: the caller's promise.
    return unsafe { libc::sendmmsg(fd, headers, count, libc::MSG_DONTWAIT as _) };
}
