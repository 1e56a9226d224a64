//! Polling servers: a few samples of each, all servers at once, within a time limit.

use crate::engine::auth::{Authenticity, Keys};
use crate::sys::{clock, random};
use crate::tools::link::is_wait;
use crate::units::{KeyId, NtpShort, NtpTimestamp, Seconds};
use crate::wire::exchange::{Exchange, stamp_error};
use crate::wire::header::{Header, Mode, Version};
use crate::wire::kiss::Kiss;
use crate::wire::trailer::DigestLength;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// Least time between two requests to one server, as in ntpdate: servers with `limited` drop or refuse
/// what comes sooner.
pub const GAP: Duration = Duration::from_secs(2);
/// Longest datagram accepted.
const DATAGRAM_MAX: usize = 2048;

/// A measurement.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sample {
    /// How far our clock is behind, seconds.
    pub offset: f64,
    /// The round trip, seconds, never negative.
    pub delay: f64,
}

/// A server and its responses.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its address.
    pub address: SocketAddr,
    /// Requests sent.
    pub sent: u32,
    /// In the order of their arrival.
    pub samples: Vec<Sample>,
    /// The last response that carried a time.
    pub header: Option<Header>,
    /// The kiss that ended polling.
    pub kiss: Option<Kiss>,
    /// Whether its responses carried a valid MAC, where one was asked for.
    pub trusted: bool,
    /// How much of its digest a request's MAC has.
    digest: DigestLength,
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
    /// A server that was not polled yet.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            sent: 0,
            samples: Vec::new(),
            header: None,
            kiss: None,
            trusted: true,
            digest: DigestLength::Cut,
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

/// How to poll.
#[derive(Debug)]
pub struct Asking {
    /// Requests to each server.
    pub samples: u32,
    /// Between two requests to one server, see [`GAP`].
    pub gap: Duration,
    /// How long to wait for each response.
    pub timeout: Duration,
    /// Protocol version.
    pub version: Version,
    /// The key that signs requests and that responses must be signed with.
    pub key: Option<(Keys, KeyId)>,
    /// Called with every packet, for `-d`.
    pub trace: fn(&str, SocketAddr),
}

/// Polls all servers until each has sent a kiss or used up its requests.
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
    // A random origin: the response proves that the server saw this request, and our time stays private.
    let cookie = NtpTimestamp::from_bits(u64::from_be_bytes(random::bytes()?) | 1);
    // What ntpdate says of itself.
    let header = Header {
        poll: 4,
        precision: -6,
        root_delay: NtpShort::from_seconds(Seconds::new(1.0)),
        root_dispersion: NtpShort::from_seconds(Seconds::new(1.0)),
        ..Header::request(Mode::Client, how.version, cookie)
    };
    let mut packet = header.to_bytes().to_vec();
    if let Some((keys, id)) = &mut how.key {
        // As the daemon does: before version 4 some servers want a long digest whole, and others cut.
        if how.version.get() < 4 && server.sent > 0 && server.samples.is_empty() {
            server.digest = server.digest.other();
        }
        keys.sign_as(*id, server.digest, &mut packet);
    }
    (how.trace)("transmit", server.address);
    let (sent, now) = (clock::wall(), Instant::now());
    server.sent += 1;
    server.next = now + how.gap;
    // An address without a route is treated as one that does not respond: the route may still come up.
    let gone = socket.is_some_and(|socket| socket.send_to(&packet, server.address).is_ok());
    server.pending = Some(Pending { cookie, sent, until: if gone { now + how.timeout } else { now } });
    Ok(())
}

/// Waits for a response until `wake`. Two sockets are read in turn.
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

/// Uses a packet if it is the response to the pending request.
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
    server.kiss = Kiss::of(&header);
    if server.kiss.is_some() {
        return;
    }
    if header.transmit.is_zero() || header.receive.is_zero() {
        return;
    }
    let exchange = Exchange::new(pending.sent, &header, arrived);
    if exchange.held().get() < -stamp_error(header.precision, header.precision) {
        return;
    }
    let delay = (exchange.elapsed() - exchange.held()).get().max(0.0);
    server.trusted = true;
    server.samples.push(Sample { offset: exchange.offset().get(), delay });
    server.header = Some(header);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Leap, RefId};
    use std::thread::{JoinHandle, spawn};

    /// Responds with the time or with a kiss, as the script says, then not at all; returns
    /// the number of requests that came.
    fn fake(script: &'static [&'static str]) -> (SocketAddr, JoinHandle<usize>) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(400))).unwrap();
        let serve = move || {
            let mut packet = [0; 128];
            let mut count = 0;
            while let Ok((length, from)) = socket.recv_from(&mut packet) {
                let request = Header::parse(&packet[..length]).unwrap();
                if let Some(code) = script.get(count).filter(|code| **code != "lost") {
                    let time = *code == "time";
                    let now = clock::wall();
                    let response = Header {
                        mode: Mode::Server,
                        leap: if time { Leap::None } else { Leap::Unsynchronised },
                        stratum: u8::from(time) * 2,
                        reference_id: RefId::from_text(code.as_bytes()),
                        origin: request.transmit,
                        reference: now,
                        receive: now,
                        transmit: now,
                        ..request
                    };
                    socket.send_to(&response.to_bytes(), from).unwrap();
                }
                count += 1;
            }
            count
        };
        (address, spawn(serve))
    }

    /// Polls one server of that script; the server, and the requests that it got.
    fn polled(script: &'static [&'static str]) -> (Server, usize) {
        let (address, serving) = fake(script);
        let mut servers = [Server::new(address)];
        let mut how = Asking {
            samples: 4,
            gap: Duration::from_millis(20),
            timeout: Duration::from_millis(150),
            version: Version::V4,
            key: None,
            trace: |_, _| {},
        };
        let sockets = [UdpSocket::bind("127.0.0.1:0").unwrap()];
        ask_all(&mut servers, &sockets, &mut how).unwrap();
        let [server] = servers;
        (server, serving.join().unwrap())
    }

    #[test]
    fn d1_a_kiss_ends_sampling_and_rate_keeps_the_samples() {
        for (script, requests, samples, kiss) in [
            (&["time", "time", "time", "time"][..], 4, 4, None),
            (&["RATE"], 1, 0, Some(Kiss::Rate)),
            (&["time", "RATE"], 2, 1, Some(Kiss::Rate)),
            (&["time", "time", "RATE", "time"], 3, 2, Some(Kiss::Rate)),
            (&["lost", "time", "RATE"], 3, 1, Some(Kiss::Rate)),
            (&["DENY"], 1, 0, Some(Kiss::Deny)),
            (&["time", "RSTR"], 2, 1, Some(Kiss::Restricted)),
            // Not kisses of death: a server that is starting.
            (&["INIT", "time", "time", "time"], 4, 4, None),
        ] {
            let (server, got) = polled(script);
            assert_eq!((got, server.samples.len(), server.kiss), (requests, samples, kiss), "{script:?}");
            let usable = super::super::choose::usable(&server).is_ok();
            assert_eq!(usable, samples > 0 && matches!(kiss, None | Some(Kiss::Rate)), "{script:?}");
        }
    }
}
