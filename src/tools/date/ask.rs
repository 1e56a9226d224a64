//! Asking servers for the time: a few samples of each, all servers at once, within a time limit.

use crate::core::auth::{Authenticity, Keys};
use crate::sys::{clock, random};
use crate::tools::link::is_wait;
use crate::units::{KeyId, Leap, NtpShort, NtpTimestamp, RefId, Seconds};
use crate::wire::header::{Header, Mode, Version};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// Between an answer and the next request to the same server.
const PAUSE: Duration = Duration::from_millis(200);
/// Longest datagram looked at.
const DATAGRAM_MAX: usize = 2048;

/// A measurement.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sample {
    /// How far our clock is behind, seconds.
    pub offset: f64,
    /// The round trip, seconds, never negative.
    pub delay: f64,
}

/// A server with what it said.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its address.
    pub address: SocketAddr,
    /// Requests sent.
    pub sent: u32,
    /// The samples, in the order of their arrival.
    pub samples: Vec<Sample>,
    /// Its last good answer.
    pub header: Option<Header>,
    /// A kiss code that it sent instead of the time.
    pub kiss: Option<RefId>,
    /// Whether its answers were signed as asked for.
    pub trusted: bool,
    pending: Option<Pending>,
    next: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    cookie: NtpTimestamp,
    sent: NtpTimestamp,
    until: Instant,
}

impl Server {
    /// A server that was not asked yet.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            sent: 0,
            samples: Vec::new(),
            header: None,
            kiss: None,
            trusted: true,
            pending: None,
            next: Instant::now(),
        }
    }

    /// The sample with the shortest round trip.
    #[must_use]
    pub fn best(&self) -> Option<Sample> {
        self.samples.iter().copied().min_by(|a, b| a.delay.total_cmp(&b.delay))
    }

    fn finished(&self, samples: u32) -> bool {
        self.kiss.is_some() || (self.pending.is_none() && self.sent >= samples)
    }
}

/// How to ask.
#[derive(Debug)]
pub struct Asking {
    /// Requests to each server.
    pub samples: u32,
    /// How long to wait for each answer.
    pub timeout: Duration,
    /// Protocol version.
    pub version: Version,
    /// The key to sign with and to want signed answers of.
    pub key: Option<(Keys, KeyId)>,
    /// Told of every packet, for `-d`.
    pub trace: fn(&str, SocketAddr),
}

/// Asks all servers until each has answered or used up its requests.
///
/// # Errors
/// Of the sockets; a server that cannot be reached is not one.
pub fn ask_all(servers: &mut [Server], sockets: &[UdpSocket], how: &mut Asking) -> io::Result<()> {
    for socket in sockets {
        socket.set_nonblocking(false)?;
    }
    while let Some(wake) = step(servers, sockets, how)? {
        receive(servers, sockets, how, wake)?;
    }
    Ok(())
}

/// Sends what is due; when to look again, `None` when all are finished.
fn step(servers: &mut [Server], sockets: &[UdpSocket], how: &mut Asking) -> io::Result<Option<Instant>> {
    let mut wake: Option<Instant> = None;
    for server in servers.iter_mut() {
        let now = Instant::now();
        if server.pending.is_some_and(|pending| now >= pending.until) {
            server.pending = None;
            server.next = now;
        }
        if server.finished(how.samples) {
            continue;
        }
        if server.pending.is_none() && now >= server.next {
            let socket = sockets.iter().find(|s| same_family(s, server.address));
            send(server, socket, how)?;
        }
        let due = server.pending.map_or(server.next, |pending| pending.until);
        wake = Some(wake.map_or(due, |earlier| earlier.min(due)));
    }
    Ok(wake)
}

fn same_family(socket: &UdpSocket, address: SocketAddr) -> bool {
    socket.local_addr().is_ok_and(|local| local.is_ipv4() == address.is_ipv4())
}

fn send(server: &mut Server, socket: Option<&UdpSocket>, how: &mut Asking) -> io::Result<()> {
    // What the server sends back proves that it saw this very request, and tells nobody our time.
    let cookie = NtpTimestamp::from_bits(u64::from_be_bytes(random::octets()?) | 1);
    let header = Header {
        leap: Leap::None,
        version: how.version,
        mode: Mode::Client,
        stratum: 0,
        poll: 4,
        precision: -6,
        root_delay: NtpShort::from_seconds(Seconds::new(1.0)),
        root_dispersion: NtpShort::from_seconds(Seconds::new(1.0)),
        reference_id: RefId::default(),
        reference: NtpTimestamp::ZERO,
        origin: NtpTimestamp::ZERO,
        receive: NtpTimestamp::ZERO,
        transmit: cookie,
    };
    let mut packet = header.to_bytes().to_vec();
    if let Some((keys, id)) = &mut how.key {
        keys.sign(*id, &mut packet);
    }
    (how.trace)("transmit", server.address);
    let sent = clock::wall();
    server.sent += 1;
    let until = Instant::now() + how.timeout;
    // An address that has no route is as good as one that does not answer.
    let gone = socket.is_some_and(|socket| socket.send_to(&packet, server.address).is_ok());
    server.pending = Some(Pending { cookie, sent, until: if gone { until } else { Instant::now() } });
    Ok(())
}

/// Waits for an answer until `wake`. Two sockets are looked at in turn.
fn receive(servers: &mut [Server], sockets: &[UdpSocket], how: &mut Asking, wake: Instant) -> io::Result<()> {
    let mut buffer = [0; DATAGRAM_MAX];
    let share = if sockets.len() > 1 { Duration::from_millis(2) } else { Duration::from_secs(60) };
    for socket in sockets {
        let left = wake.saturating_duration_since(Instant::now()).min(share);
        socket.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => {
                let arrived = clock::wall();
                if let Some(server) = servers.iter_mut().find(|s| s.address == from) {
                    (how.trace)("receive", from);
                    take(server, &buffer[..length], arrived, how);
                }
            }
            Err(error) if is_wait(&error) || error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Takes in an answer, if it is one to the request under way.
fn take(server: &mut Server, packet: &[u8], arrived: NtpTimestamp, how: &mut Asking) {
    let (Ok(header), Some(pending)) = (Header::parse(packet), server.pending) else { return };
    if header.mode != Mode::Server || header.origin != pending.cookie {
        return;
    }
    if let Some((keys, id)) = &mut how.key
        && keys.check(packet, server.address.ip()) != Ok(Authenticity::Verified(*id))
    {
        server.trusted = false;
        return;
    }
    server.pending = None;
    server.next = Instant::now() + PAUSE;
    if header.stratum == 0 && [&b"DENY"[..], b"RSTR", b"RATE"].contains(&header.reference_id.text()) {
        server.kiss = Some(header.reference_id);
        return;
    }
    if header.transmit.is_zero() || header.receive.is_zero() {
        return;
    }
    let there = (header.receive - pending.sent).to_seconds().get();
    let back = (header.transmit - arrived).to_seconds().get();
    let held = (header.transmit - header.receive).to_seconds().get();
    let round = (arrived - pending.sent).to_seconds().get();
    server.trusted = true;
    server.samples.push(Sample { offset: f64::midpoint(there, back), delay: (round - held).max(0.0) });
    server.header = Some(header);
}
