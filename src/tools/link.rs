//! A conversation with a server: names to addresses, a socket, requests and responses, timeouts.

use crate::config::model::Family;
use crate::sys::random;
use crate::units::{KeyId, NTP_PORT};
use crate::wire::control::ControlError;
use crate::wire::reply::{Assembly, Query, Refusal, Reply};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long a name may take to be looked up.
const LOOKUP_MAX: Duration = Duration::from_secs(5);
/// Longest datagram looked at.
const DATAGRAM_MAX: usize = 65_536;

/// A host, as it was named, with its addresses in order of preference.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Host {
    /// As it was written.
    pub name: String,
    /// At least one.
    pub addresses: Vec<SocketAddr>,
}

/// Why a host has no address that can be used.
#[derive(Debug)]
pub enum NoHost {
    /// None of the family that is wanted.
    Family {
        /// The host, as named.
        name: String,
        /// What is wanted.
        family: Family,
    },
    /// The name has none at all.
    NoAddress(String),
    /// The name cannot be looked up.
    Lookup(String, io::Error),
    /// The name servers do not respond.
    Slow(String),
}

impl fmt::Display for NoHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Family { name, family } => {
                let version = if *family == Family::V4 { "IPv4" } else { "IPv6" };
                write!(f, "{name} has no {version} address")
            }
            Self::NoAddress(name) => write!(f, "{name} has no address"),
            Self::Lookup(name, why) => write!(f, "{name}: {why}"),
            Self::Slow(name) => write!(f, "{name}: the name servers did not answer within 5 s"),
        }
    }
}

impl Host {
    /// Finds the addresses of `name`: a numeric address, `localhost`, or a name for the system's
    /// resolver, which gets 5 s at most. A port may follow: `192.0.2.1:1123`, `[2001:db8::1]:1123`.
    ///
    /// # Errors
    /// [`NoHost`] where there is no address.
    pub fn find(name: &str, family: Family) -> Result<Self, NoHost> {
        let (bare, port) = split_port(name);
        let found = if let Some(numeric) = numeric(bare, port) {
            vec![numeric]
        } else if bare == "localhost" {
            // No resolver is needed to find oneself.
            let here = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
            here.map(|ip| SocketAddr::new(ip, port)).to_vec()
        } else {
            lookup(bare, port)?
        };
        let addresses: Vec<_> = found.into_iter().filter(|a| family.admits(a.ip())).collect();
        if addresses.is_empty() {
            return Err(NoHost::Family { name: name.to_owned(), family });
        }
        Ok(Self { name: name.to_owned(), addresses })
    }

    /// A host whose address is known.
    #[must_use]
    pub fn at(address: SocketAddr) -> Self {
        Self { name: address.ip().to_string(), addresses: vec![address] }
    }
}

fn split_port(name: &str) -> (&str, u16) {
    if let Some((inner, rest)) = name.strip_prefix('[').and_then(|n| n.split_once(']')) {
        return (inner, rest.strip_prefix(':').and_then(|p| p.parse().ok()).unwrap_or(NTP_PORT));
    }
    match name.split_once(':') {
        Some((bare, port)) if !port.contains(':') => match port.parse() {
            Ok(port) => (bare, port),
            Err(_) => (name, NTP_PORT),
        },
        _ => (name, NTP_PORT),
    }
}

/// A numeric address; with IPv6 a scope may follow, by name or number.
fn numeric(bare: &str, port: u16) -> Option<SocketAddr> {
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Some(SocketAddr::new(ip, port));
    }
    let (address, scope) = bare.split_once('%')?;
    let ip: Ipv6Addr = address.parse().ok()?;
    let index = std::fs::read_to_string(format!("/sys/class/net/{scope}/ifindex")).ok();
    let index = index.as_deref().unwrap_or(scope).trim().parse().ok().filter(|_| !scope.contains('/'))?;
    Some(std::net::SocketAddrV6::new(ip, port, 0, index).into())
}

fn lookup(name: &str, port: u16) -> Result<Vec<SocketAddr>, NoHost> {
    let (sender, receiver) = mpsc::channel();
    let asked = name.to_owned();
    // A resolver that hangs is left behind: it ends with the program.
    std::thread::spawn(move || {
        let answer = (asked.as_str(), port).to_socket_addrs().map(|found| found.take(16).collect::<Vec<_>>());
        let _receiver_gone = sender.send(answer);
    });
    match receiver.recv_timeout(LOOKUP_MAX) {
        Ok(Ok(found)) if !found.is_empty() => Ok(found),
        Ok(Ok(_)) => Err(NoHost::NoAddress(name.to_owned())),
        Ok(Err(why)) => Err(NoHost::Lookup(name.to_owned(), why)),
        Err(_) => Err(NoHost::Slow(name.to_owned())),
    }
}

/// Why there is no usable response.
#[derive(Debug)]
pub enum Trouble {
    /// No program uses that port.
    Refused,
    /// Another error of the socket.
    Socket(io::Error),
    /// Nothing came in time.
    Silent {
        /// The host, as named.
        host: String,
        /// Whether a part of the response came.
        partial: bool,
    },
    /// The server responded with an error code.
    Server(u8),
    /// There is no host to ask.
    NoHost(NoHost),
    /// We cannot ask, for the reason given.
    Cannot(String),
}

impl Trouble {
    /// Whether the server refused for a name it does not know.
    #[must_use]
    pub fn is_unknown_variable(&self) -> bool {
        matches!(self, Self::Server(code) if *code == ControlError::Variable.code())
    }
}

impl fmt::Display for Trouble {
    /// In ntpq's words, without its line end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("ntpq: read: Connection refused"),
            Self::Socket(error) => write!(f, "ntpq: {error}"),
            Self::Silent { host, partial: false } => {
                write!(f, "{host}: timed out, nothing received\n***Request timed out")
            }
            Self::Silent { host, partial: true } => {
                write!(f, "{host}: timed out with incomplete data\n***Response from server was incomplete")
            }
            Self::Server(code) => f.write_str(match code {
                1 => "***Permission denied",
                2 => "***Server reports a bad format request packet",
                3 => "***Server reports a bad opcode in request",
                4 => "***Association ID unknown to server",
                5 => "***A request variable unknown to the server",
                6 => "***Server indicates a request variable was bad",
                7 => "***Server disallowed requested operation",
                _ => "***Server returned an unspecified error",
            }),
            Self::NoHost(why) => write!(f, "***{why}"),
            Self::Cannot(why) => write!(f, "***{why}"),
        }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            _ => Self::Socket(error),
        }
    }
}

/// Appends a MAC to a request.
pub trait Sign {
    /// Signs with the key; whether it could.
    fn sign(&self, packet: &mut Vec<u8>) -> bool;
    /// The key's number.
    fn key(&self) -> KeyId;
}

/// A request.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// Operation code, see `wire::control::opcode`.
    pub opcode: u8,
    /// The association, 0 for the system.
    pub association: u16,
    /// The data.
    pub data: &'a [u8],
    /// The signer, if the request needs one. Such requests are sent once: they may change something.
    pub sign: Option<&'a dyn Sign>,
}

impl<'a> Ask<'a> {
    /// A request that reads.
    #[must_use]
    pub const fn new(opcode: u8, association: u16, data: &'a [u8]) -> Self {
        Self { opcode, association, data, sign: None }
    }
}

/// What is asked instead of a host, so that no socket is needed.
pub trait Remote: fmt::Debug + Send {
    /// The datagrams that come back in time.
    fn respond(&mut self, request: &[u8]) -> Vec<Vec<u8>>;
}

/// A conversation with one host.
#[derive(Debug)]
pub struct Link {
    host: Host,
    socket: Option<UdpSocket>,
    remote: Option<Box<dyn Remote>>,
    sequence: u16,
    /// How long to wait for the whole response, retries included.
    pub timeout: Duration,
    /// The protocol version in requests.
    pub version: u8,
}

impl Link {
    /// To `host`; nothing is sent yet.
    #[must_use]
    pub fn new(host: Host) -> Self {
        // Random, as the port is: not to be guessed by a host that does not see our packets. The generator of std
        // would panic without /dev on a kernel before 3.17.
        let [.., high, low] = random::seed();
        Self {
            host,
            socket: None,
            remote: None,
            sequence: u16::from_be_bytes([high, low]),
            timeout: Duration::from_secs(5),
            version: 2,
        }
    }

    /// To what stands for a host.
    #[must_use]
    pub fn to(remote: Box<dyn Remote>) -> Self {
        let host = Host { name: "remote".to_owned(), addresses: Vec::new() };
        Self { remote: Some(remote), ..Self::new(host) }
    }

    /// The host's name, as it was written.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.host.name
    }

    /// Sends a request and waits for the whole response.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn ask(&mut self, ask: &Ask<'_>) -> Result<Reply, Trouble> {
        loop {
            match self.ask_once(ask) {
                // The next address of the same name may be the one that is served.
                Err(Trouble::Refused) if self.host.addresses.len() > 1 => {
                    self.host.addresses.remove(0);
                    self.socket = None;
                }
                other => return other,
            }
        }
    }

    fn ask_once(&mut self, ask: &Ask<'_>) -> Result<Reply, Trouble> {
        self.sequence = self.sequence.wrapping_add(1);
        let query = Query {
            version: self.version,
            opcode: ask.opcode,
            sequence: self.sequence,
            association: ask.association,
            data: ask.data,
        };
        let mut packet = query.to_bytes(if ask.sign.is_some() { 8 } else { 4 });
        if let Some(signer) = ask.sign
            && !signer.sign(&mut packet)
        {
            return Err(Trouble::Cannot(format!("Key {} is not known", signer.key().0)));
        }
        let host = self.host.name.clone();
        let timeout = self.timeout;
        let came = if let Some(remote) = &mut self.remote {
            assembled(&query, &remote.respond(&packet))
        } else {
            let socket = self.socket()?;
            let end = Instant::now() + timeout;
            // One repetition, for the packet that got lost.
            let repeat = ask.sign.is_none().then(|| Instant::now() + timeout * 2 / 5);
            exchange(socket, &query, &packet, end, repeat)?
        };
        came.map_or_else(
            |partial| Err(Trouble::Silent { host, partial }),
            |answer| answer.map_err(|Refusal(code)| Trouble::Server(code)),
        )
    }

    fn socket(&mut self) -> Result<&UdpSocket, Trouble> {
        if self.socket.is_none() {
            let Some(address) = self.host.addresses.first() else {
                return Err(Trouble::Cannot("No host open, use `host' command".to_owned()));
            };
            let socket = UdpSocket::bind(unspecified(*address))?;
            socket.connect(address)?;
            self.socket = Some(socket);
        }
        self.socket.as_ref().ok_or(Trouble::Refused)
    }
}

/// Where to bind for talking to an address.
#[must_use]
pub fn unspecified(to: SocketAddr) -> SocketAddr {
    let any =
        if to.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    SocketAddr::new(any, 0)
}

/// What an exchange gave: `Err(partial)` where the time was over.
type Came = Result<Result<Reply, Refusal>, bool>;

/// Puts together what came.
fn assembled(query: &Query<'_>, datagrams: &[Vec<u8>]) -> Came {
    let mut assembly = Assembly::new(query);
    let found = datagrams.iter().find_map(|datagram| assembly.accept(datagram).transpose());
    found.ok_or_else(|| assembly.is_partial())
}

/// Sends and takes in fragments until the answer is whole.
fn exchange(
    socket: &UdpSocket,
    query: &Query<'_>,
    packet: &[u8],
    end: Instant,
    mut repeat: Option<Instant>,
) -> io::Result<Came> {
    let mut assembly = Assembly::new(query);
    let mut buffer = vec![0; DATAGRAM_MAX];
    socket.send(packet)?;
    loop {
        let now = Instant::now();
        if now >= end {
            return Ok(Err(assembly.is_partial()));
        }
        if repeat.is_some_and(|at| now >= at) {
            repeat = None;
            socket.send(packet)?;
        }
        let until = repeat.map_or(end, |at| at.min(end));
        // Zero would mean for ever.
        socket.set_read_timeout(Some((until - now).max(Duration::from_millis(1))))?;
        match socket.recv(&mut buffer) {
            Ok(length) => match assembly.accept(&buffer[..length]) {
                Ok(Some(reply)) => return Ok(Ok(Ok(reply))),
                Ok(None) => {}
                Err(refusal) => return Ok(Ok(Err(refusal))),
            },
            Err(error) if is_wait(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether a receive error only means a timeout.
#[must_use]
pub fn is_wait(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_by_number_need_no_resolver() {
        let found = |name: &str| Host::find(name, Family::Any).unwrap().addresses[0].to_string();
        assert_eq!(found("192.0.2.1"), "192.0.2.1:123");
        assert_eq!(found("192.0.2.1:1123"), "192.0.2.1:1123");
        assert_eq!(found("2001:db8::1"), "[2001:db8::1]:123");
        assert_eq!(found("[2001:db8::1]:99"), "[2001:db8::1]:99");
        assert_eq!(found("fe80::1%7"), "[fe80::1%7]:123");
        assert_eq!(found("localhost"), "127.0.0.1:123");
        let v6 = Host::find("localhost", Family::V6).unwrap();
        assert_eq!(v6.addresses, [SocketAddr::from((Ipv6Addr::LOCALHOST, 123))]);
        assert!(Host::find("192.0.2.1", Family::V6).unwrap_err().to_string().contains("no IPv6"));
    }

    #[test]
    fn silence_ends_in_time_and_a_closed_port_at_once() {
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut link = Link::new(Host::at(silent.local_addr().unwrap()));
        link.timeout = Duration::from_millis(200);
        let start = Instant::now();
        let ask = Ask::new(2, 0, b"");
        assert!(matches!(link.ask(&ask), Err(Trouble::Silent { partial: false, .. })));
        assert!((150..1000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
        let closed = silent.local_addr().unwrap();
        drop(silent);
        let mut link = Link::new(Host::at(closed));
        assert!(matches!(link.ask(&ask), Err(Trouble::Refused)));
    }

    #[test]
    fn a_lost_request_is_sent_again() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut link = Link::new(Host::at(server.local_addr().unwrap()));
        let answering = std::thread::spawn(move || {
            let mut buffer = [0; 600];
            server.recv_from(&mut buffer).unwrap();
            let (length, from) = server.recv_from(&mut buffer).unwrap();
            let request = crate::wire::control::Request::parse(&buffer[..length]).unwrap().unwrap();
            for piece in
                request.respond(crate::units::Leap::None, 0x615, &[b"a=1, ".to_vec(), b"b=2".to_vec()])
            {
                server.send_to(&piece, from).unwrap();
            }
        });
        link.timeout = Duration::from_secs(1);
        let reply = link.ask(&Ask::new(2, 0, b"")).unwrap();
        assert_eq!((reply.status, reply.data.as_slice()), (0x615, &b"a=1, b=2"[..]));
        answering.join().unwrap();
    }
}
