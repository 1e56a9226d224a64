//! Datagrams as a fuzzer wants them: of anyone, of any mode, and what responds to a request of ours, or nearly.

use super::setups::KEYS;
use super::world::World;
use rsntpd::engine::auth::Keys;
use rsntpd::units::{Leap, NtpShort, NtpTimestamp, RefId, Seconds};
use rsntpd::wire::header::HEADER_LEN;
use rsntpd::wire::{Header, Mode, Version};
use sim::tape::Tape;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

/// The address of the engine's machine.
pub const HOST: IpAddr = v4(10, 0, 0, 99);
/// Who sends: those that lines of the configurations name come first.
pub const HOSTS: [IpAddr; 18] = [
    v4(192, 0, 2, 1),
    v4(192, 0, 2, 2),
    v4(192, 0, 2, 3),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
    v4(198, 51, 100, 1),
    v4(198, 51, 100, 2),
    v4(127, 127, 1, 0),
    v4(10, 0, 0, 1),
    v4(10, 1, 0, 1),
    v4(10, 2, 0, 1),
    v4(10, 3, 0, 1),
    v4(203, 0, 113, 5),
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    HOST,
    v4(0, 0, 0, 0),
    v4(224, 0, 1, 1),
    IpAddr::V6(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0201)),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];
/// Where it arrives.
const TO: [IpAddr; 6] = [
    HOST,
    v4(192, 0, 2, 255),
    v4(224, 0, 1, 1),
    v4(239, 255, 0, 1),
    v4(10, 9, 9, 9),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];
const PORTS: [u16; 6] = [123, 123, 123, 40_000, 122, 0];
const KISSES: [&[u8; 4]; 8] = [b"GPS\0", b"RATE", b"DENY", b"RSTR", b"NTSN", b"STEP", b"INIT", b"LOOP"];
const POLLS: [u8; 8] = [6, 3, 4, 10, 17, 0, 0x80, 0xff];
/// What a time may be off by, seconds.
const OFF: [f64; 12] = [0.0, 0.001, -0.001, 0.02, -0.1, 0.2, -0.6, 5.0, -1_000.0, 1e5, 6e8, -2e9];

/// A datagram that is about to arrive.
pub struct Datagram {
    pub data: Vec<u8>,
    pub from: SocketAddr,
    pub to: IpAddr,
    /// Whether it bears the code of a key of ours.
    pub signed: bool,
}

/// Any datagram.
pub fn any(tape: &mut Tape<'_>, world: &World) -> Datagram {
    let ip = tape.pick(&HOSTS);
    let from = SocketAddr::new(ip, tape.pick(&PORTS));
    let to = tape.pick(&TO);
    match tape.below(8) {
        0 => Datagram { data: tape.bytes(700).to_vec(), from, to, signed: false },
        1 => echo(tape, world, from, to),
        _ => {
            let mut data = header(tape, world, ip).to_bytes().to_vec();
            let signed = tail(tape, &mut data);
            Datagram { data, from, to, signed }
        }
    }
}

/// A packet of ours comes back, or goes elsewhere.
fn echo(tape: &mut Tape<'_>, world: &World, from: SocketAddr, to: IpAddr) -> Datagram {
    let sent = world.sent(tape.below(16)).map(|tx| tx.data.clone());
    let mut data = sent.unwrap_or_else(|| tape.bytes(48).to_vec());
    let at = usize::from(tape.short());
    let flip = tape.byte();
    if let Some(byte) = data.get_mut(at) {
        *byte ^= flip;
    }
    if let Some(first) = data.first_mut()
        && tape.flag()
    {
        *first = *first & !7 | tape.byte() & 7;
    }
    // It may still have the code that it left with.
    Datagram { data, from, to, signed: true }
}

/// A header: mostly what makes sense, of any mode.
fn header(tape: &mut Tape<'_>, world: &World, from: IpAddr) -> Header {
    let first = tape.byte();
    let mode = Mode::from_bits(first);
    let version = Version::new(4 - (first >> 3 & 3)).unwrap_or(Version::V4);
    let time = |tape: &mut Tape<'_>| match tape.below(4) {
        0 => NtpTimestamp::from_bits(tape.long()),
        1 => NtpTimestamp::ZERO,
        _ => world.now.wall.offset(Seconds::new(tape.pick(&OFF))),
    };
    let short = |tape: &mut Tape<'_>| match tape.below(3) {
        0 => NtpShort::from_bits(0),
        1 => NtpShort::from_bits(1 << (tape.byte() & 31)),
        _ => NtpShort::from_bits(tape.word()),
    };
    let origin = match tape.below(6) {
        0 => time(tape),
        1 => flipped(world.origin(tape.below(16)), tape.byte()),
        2 => world.origin(tape.below(16)),
        _ => world.origin_of(from),
    };
    Header {
        leap: Leap::from_bits(if tape.flag() { 0 } else { tape.byte() & 3 }),
        version,
        mode,
        stratum: tape.pick(&[1, 2, 3, 0, 5, 15, 16, 255]),
        poll: tape.pick(&POLLS) as i8,
        precision: tape.pick(&[0xec, 0xe8, 0, 0x7f, 0x80]) as i8,
        root_delay: short(tape),
        root_dispersion: short(tape),
        reference_id: RefId::from_bytes(*tape.pick(&KISSES)),
        reference: time(tape),
        origin,
        receive: time(tape),
        transmit: time(tape),
    }
}

fn flipped(stamp: NtpTimestamp, bit: u8) -> NtpTimestamp {
    NtpTimestamp::from_bits(stamp.to_bits() ^ 1 << (bit & 63))
}

/// What stands behind the header; gives whether that is a right code.
fn tail(tape: &mut Tape<'_>, data: &mut Vec<u8>) -> bool {
    let kind = tape.below(10);
    match kind {
        0 => data.extend([0; 4]),
        1 => data.extend(tape.bytes(120)),
        2 => {
            let length = 16 + 4 * (tape.byte() & 31);
            let kind = tape.pick(&[0x0104u16, 0x0204, 0x0304, 0x0404, 0, 2]);
            data.extend(kind.to_be_bytes());
            data.extend([0, length]);
            data.resize(data.len() + usize::from(length) - 4, tape.byte());
        }
        _ => {}
    }
    if !(2..5).contains(&kind) {
        return false;
    }
    let (key, flip) = (tape.pick(&KEYS), tape.byte());
    Keys::new(&super::setups::keys(), &KEYS).sign(key, data);
    // A wrong one among four.
    let right = flip & 3 != 0;
    if let Some(last) = data.last_mut()
        && !right
    {
        *last ^= flip | 1;
    }
    right
}

/// An honest response to a request of ours, `off` seconds wrong.
pub fn honest(world: &World, request: &Header, stratum: u8, off: f64) -> Header {
    let truth = world.now.wall.offset(Seconds::new(off));
    Header {
        leap: Leap::None,
        mode: if request.mode == Mode::SymmetricActive { Mode::SymmetricPassive } else { Mode::Server },
        stratum,
        precision: -20,
        root_delay: NtpShort::from_bits(64),
        root_dispersion: NtpShort::from_bits(64),
        reference_id: RefId::from_text(b"GPS"),
        reference: truth.offset(Seconds::new(-8.0)),
        origin: request.transmit,
        receive: truth,
        transmit: truth,
        ..*request
    }
}

/// A control request, or what is like one.
pub fn control(tape: &mut Tape<'_>) -> Datagram {
    const ASKS: [&str; 14] = [
        "",
        "mru_depth",
        "peers,offset,sys_var_list",
        "nonce=, frags=32",
        "nonce=0, mincount=1, resall=0x20",
        "addr_restrictions",
        "ifstats",
        "site=\"x\"",
        "server 192.0.2.2 iburst",
        "unpeer 192.0.2.1",
        "restrict 10.0.0.0 mask 255.0.0.0 ignore",
        "pool pool.example\ndisable monitor",
        "nonsense \"",
        "a=1,b=\x01,,",
    ];
    let from = SocketAddr::new(tape.pick(&HOSTS), tape.pick(&PORTS));
    let text = if tape.flag() { tape.bytes(480) } else { tape.pick(&ASKS).as_bytes() };
    let first = tape.pick(&[0x16, 0x26, 0x1e, 0x0e]);
    let mut data = vec![first, tape.byte()];
    data.extend(tape.short().to_be_bytes());
    data.extend(tape.word().to_be_bytes());
    data.extend([0, 0]);
    let count = if tape.below(8) == 7 { tape.short() } else { text.len() as u16 };
    data.extend(count.to_be_bytes());
    data.extend(text);
    let signed = tape.flag();
    if signed {
        data.resize(data.len().next_multiple_of(8), 0);
        Keys::new(&super::setups::keys(), &KEYS).sign(KEYS[2], &mut data);
    }
    Datagram { data, from, to: HOST, signed }
}

/// The bytes of a header, at least.
pub fn is_whole(data: &[u8]) -> bool {
    data.len() >= HEADER_LEN
}
