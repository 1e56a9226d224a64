//! What asks a server of NTS: key exchanges, as many as it can make, some that never end, and the requests they are for.

use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrIn};
use rsntpd::daemon::nts::exchange::{Exchange, Granted};
use rsntpd::daemon::nts::verify::{Known, Verifier};
use rsntpd::engine::auth::aead::Cipher;
use rsntpd::engine::contract::CertificateCheck;
use rsntpd::sys::clock;
use rsntpd::units::Aead;
use rsntpd::wire::nts::fields::{Authenticator, Writer};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Where key exchanges are made.
const PORT: u16 = 4460;
/// What a server may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A request that a server accepts.
#[derive(Clone, Debug)]
pub struct Sealed(pub Vec<u8>);

impl Sealed {
    /// Exchanges keys with a server, and seals a request with them.
    pub fn of(server: Ipv4Addr, aead: Aead) -> Result<Self, String> {
        let granted = exchange(server, Ipv4Addr::new(127, 3, 0, 1), aead)?;
        let cookie = granted.response.cookies.first().ok_or("no cookie")?;
        if granted.response.aead != aead {
            return Err(format!("the server does not take {aead:?}"));
        }
        let mut packet = [0; 400];
        (packet[0], packet[47]) = (0x23, 1);
        let mut writer = Writer::new(&mut packet, 48);
        writer.unique(&[5; 32]);
        writer.cookie(cookie);
        let place = Authenticator { at: writer.finish().ok_or("a cookie that is too long")?, aead };
        let mut cipher = Cipher::new(aead, granted.keys.to_server.as_bytes()).ok_or("no cipher")?;
        cipher.seal(&mut packet, place, &[4; 16], 0, place.end(0)).ok_or("no room for the authenticator")?;
        Ok(Self(packet[..place.end(0)].to_vec()))
    }

    /// Whether this is a sealed answer with a new cookie: a NAK has nothing behind the unique identifier.
    pub fn is_answered(&self, reply: &[u8]) -> bool {
        reply.len() >= self.0.len() && reply[24..32] == self.0[40..48]
    }
}

/// Connects from this address: servers count by address.
fn connect(server: Ipv4Addr, from: Ipv4Addr) -> std::io::Result<TcpStream> {
    let descriptor = socket::socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    socket::bind(descriptor.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(from, 0)))?;
    socket::connect(descriptor.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(server, PORT)))?;
    let stream = TcpStream::from(descriptor);
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// One key exchange from this address.
fn exchange(server: Ipv4Addr, from: Ipv4Addr, aead: Aead) -> Result<Granted, String> {
    let mut stream = connect(server, from).map_err(|e| e.to_string())?;
    let known = Known { time: clock::wall().to_unix(1_780_272_000).0, by: "" };
    let verifier = Verifier::new(None, CertificateCheck::Nothing, known);
    let mut exchange = Exchange::new("server.test", &[aead], verifier).map_err(|e| e.text)?;
    exchange.go_on(&mut stream).map_err(|e| e.text)?.ok_or_else(|| "no response in time".to_owned())
}

/// Exchanges keys for so long, with several connections at a time, each from an address of its own; how many succeeded, and in how
/// many seconds.
pub fn exchange_all(server: Ipv4Addr, seconds: f64) -> Result<(u32, f64), String> {
    const TOGETHER: usize = 8;
    let (start, next) = (Instant::now(), AtomicU32::new(0));
    let until = start + Duration::from_secs_f64(seconds);
    let worker = || {
        let mut made = 0;
        while Instant::now() < until {
            let from = Ipv4Addr::from_bits(0x7f04_0001 + next.fetch_add(1, Ordering::Relaxed));
            exchange(server, from, Aead::AesSivCmac256)?;
            made += 1;
        }
        Ok(made)
    };
    let made: Vec<Result<u32, String>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..TOGETHER).map(|_| scope.spawn(worker)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|_| Err("a thread died".into())))
            .collect()
    });
    let made: Result<Vec<u32>, String> = made.into_iter().collect();
    Ok((made?.iter().sum(), start.elapsed().as_secs_f64()))
}

/// Connections that begin a record of TLS and never end it, each from an address of its own.
pub fn stall(server: Ipv4Addr, count: u32) -> Result<Vec<TcpStream>, String> {
    let one = |index: u32| -> std::io::Result<TcpStream> {
        let mut stream = connect(server, Ipv4Addr::from_bits(0x7f05_0001 + index))?;
        stream.write_all(&[22, 3, 1, 2, 0, 1])?;
        Ok(stream)
    };
    (0..count).map(one).collect::<Result<_, _>>().map_err(|e| format!("a connection that stalls: {e}"))
}
