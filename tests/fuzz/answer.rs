//! The server's answers beside a plain model of them, written from RFC 5905, RFC 9769 and ntp.conf(5) without any of the server's code:
//! the same answer, or the same silence, whatever the access list, the rates and the packets are.

use rsntpd::config::model::{
    AccessFlags, Config, Digest, Key, Kind, Origin, Restrict, RestrictTarget, Server, Target,
};
use rsntpd::engine::auth::Keys;
use rsntpd::engine::contract::{Input, Machine, Now, Rx, Setup, SocketId};
use rsntpd::engine::{Engine, Served};
use rsntpd::units::{KeyId, MonoTime, NtpTimestamp, Seconds, Stamp, Stratum};
use sim::tape::Tape;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Requests of one run.
const REQUESTS: usize = 100;
/// Flags, and those that the list may have: all but `flake`, which is chance.
const IGNORE: u16 = 1;
const NOSERVE: u16 = 2;
const NOTRUST: u16 = 4;
const LIMITED: u16 = 8;
const KOD: u16 = 16;
const VERSION: u16 = 32;
const FLAGS: [(u16, AccessFlags); 10] = [
    (IGNORE, AccessFlags::IGNORE),
    (NOSERVE, AccessFlags::NOSERVE),
    (NOTRUST, AccessFlags::NOTRUST),
    (LIMITED, AccessFlags::LIMITED),
    (KOD, AccessFlags::KOD),
    (VERSION, AccessFlags::VERSION),
    (64, AccessFlags::NOMODIFY),
    (128, AccessFlags::NOQUERY),
    (256, AccessFlags::NOPEER),
    (512, AccessFlags::NOTRAP),
];
const KEYS: [KeyId; 2] = [KeyId(1), KeyId(7)];
const PRECISION: i8 = -20;

/// A line of the access list, as the model has it.
struct Line {
    address: u32,
    /// Leading ones of its mask.
    prefix: u32,
    ntpport: bool,
    flags: u16,
}

/// What the model remembers of a client.
#[derive(Default)]
struct Client {
    /// When its last packet came, seconds.
    heard: Option<f64>,
    /// The bucket of `discard average`, seconds.
    bucket: i64,
    /// The receive timestamp of our last answer, and when that left.
    answered: Option<(u64, u64)>,
}

struct Model {
    lines: Vec<Line>,
    /// `discard average` and `minimum`, as exponents.
    average: u8,
    minimum: u8,
    /// The stratum that is served, if the clock is synchronized.
    stratum: Option<u8>,
    clients: BTreeMap<u32, Client>,
}

/// What stands behind the 48 bytes of a header.
enum Behind {
    Nothing,
    /// A code; whether it is right, and by which key.
    Code {
        right: Option<KeyId>,
    },
}

/// What is known of a request before it is looked at.
struct Request<'a> {
    data: &'a [u8],
    from: u32,
    port: u16,
    /// Seconds since the start, and the same by the wall clock.
    at: f64,
    wall: u64,
    /// The key of a right code at its end.
    signed: Option<KeyId>,
}

impl Model {
    /// The flags of the longest match; of lines for the same packets the one with `ntpport`, and of the same lines all flags.
    fn flags(&self, from: u32, port: u16) -> u16 {
        let matches = |line: &&Line| {
            let mask = u32::MAX.checked_shl(32 - line.prefix).unwrap_or(0);
            from & mask == line.address & mask && (!line.ntpport || port == 123)
        };
        let best = self.lines.iter().filter(matches).map(|line| (line.prefix, line.ntpport)).max();
        // Of the list's own default, without flags, ntpport takes precedence like of any other.
        let same = |line: &&Line| Some((line.prefix, line.ntpport)) == best;
        self.lines.iter().filter(matches).filter(same).fold(0, |sum, line| sum | line.flags)
    }

    /// The bytes of the answer but for the root dispersion, which is as it is; `None`: silence.
    fn answer(&mut self, request: &Request<'_>) -> Option<Vec<u8>> {
        let data = request.data;
        let first = *data.first()?;
        let (version, mode) = (first >> 3 & 7, first & 7);
        let asks = mode == 3 || mode == 1 || mode == 0 && version == 1;
        let kind = class(request.from);
        if !asks
            || data.len() < 48
            || !(1..=4).contains(&version)
            || request.port < 123
            || kind == Class::NoHost
        {
            return None;
        }
        let flags = self.flags(request.from, request.port);
        if flags & (IGNORE | NOSERVE) != 0 || flags & VERSION != 0 && version != 4 {
            return None;
        }
        let behind = behind(data, request.signed)?;
        let right = match behind {
            Behind::Code { right } => right,
            Behind::Nothing => None,
        };
        let wrong = matches!(behind, Behind::Code { right: None });
        if flags & NOTRUST != 0 && right.is_none() || mode == 1 && wrong {
            return None;
        }
        let kiss = match self.rate(request, flags) {
            Rate::Passes => false,
            Rate::Kiss => true,
            Rate::Silence => return None,
        };
        let mut reply = self.reply(request, kiss);
        match (right, wrong) {
            (Some(key), _) => {
                signer().sign(key, &mut reply);
            }
            (None, true) => reply.extend([0; 4]),
            (None, false) => {}
        }
        Some(reply)
    }

    /// ntpd's `discard`: a bucket for the average and a least distance, in whole seconds. The first packet always passes.
    fn rate(&mut self, request: &Request<'_>, flags: u16) -> Rate {
        let client = self.clients.entry(request.from).or_default();
        let before = client.heard.replace(request.at);
        let Some(before) = before else { return Rate::Passes };
        let passed = (request.at - before).floor() as i64;
        let head = 1i64 << self.average;
        client.bucket = (client.bucket - passed).max(0);
        let fits = passed + 1 >= 1 << self.minimum && client.bucket + head < 8 * head;
        if fits {
            client.bucket += head - 2;
        }
        let full = client.bucket >= 8 * head;
        if !fits && !full {
            client.bucket = 9 * head;
        }
        match (fits || flags & LIMITED == 0, full || flags & KOD == 0) {
            (true, _) => Rate::Passes,
            (false, true) => Rate::Silence,
            (false, false) => Rate::Kiss,
        }
    }

    fn reply(&mut self, request: &Request<'_>, kiss: bool) -> Vec<u8> {
        let data = request.data;
        let (version, mode) = (data[0] & 0x38, data[0] & 7);
        let mode = if mode == 1 { 2 } else { 4 };
        let poll = data[2].cast_signed().max(self.average.cast_signed()).cast_unsigned();
        let stamp = |at: usize| u64::from_be_bytes(*data[at..].first_chunk::<8>().unwrap());
        let (theirs, received, transmitted) = (stamp(24), stamp(32), stamp(40));
        let mut reply = Vec::with_capacity(48);
        if kiss {
            // A kiss has nothing of our clock in it: the times are the client's own.
            reply.extend([0xc0 | version | mode, 0, poll, data[3]]);
            reply.extend([0; 8]);
            reply.extend(b"RATE");
            reply.extend([0; 8]);
            [transmitted; 3].iter().for_each(|stamp| reply.extend(stamp.to_be_bytes()));
            return reply;
        }
        let client = self.clients.entry(request.from).or_default();
        // Interleaved mode: it shows our last answer's receive timestamp, and gets the time at which that left.
        let interleaves = data[0] & 7 == 3 && received != 0 && received != transmitted && theirs != 0;
        let earlier = client.answered.filter(|(at, _)| interleaves && *at == theirs).map(|(_, left)| left);
        let (origin, transmit) = earlier.map_or((transmitted, request.wall), |left| (received, left));
        client.answered = Some((request.wall, request.wall));
        let (leap, stratum, reference) = match self.stratum {
            Some(stratum) => (0, stratum, [127, 127, 1, 0]),
            None => (0xc0, 0, *b"INIT"),
        };
        reply.extend([leap | version | mode, stratum, poll, PRECISION.cast_unsigned()]);
        reply.extend([0; 8]);
        reply.extend(reference);
        reply.extend([0; 8]);
        [origin, request.wall, transmit].iter().for_each(|stamp| reply.extend(stamp.to_be_bytes()));
        reply
    }
}

enum Rate {
    Passes,
    Kiss,
    Silence,
}

#[derive(PartialEq, Eq)]
enum Class {
    Host,
    NoHost,
}

/// Groups and the unspecified address send nothing.
fn class(address: u32) -> Class {
    let address = Ipv4Addr::from_bits(address);
    if address.is_multicast() || address.is_unspecified() { Class::NoHost } else { Class::Host }
}

/// RFC 7822: extension fields, then a code of 4, 20 or 24 bytes, or one with a whole digest of SHA-2. `None`: neither.
fn behind(data: &[u8], signed: Option<KeyId>) -> Option<Behind> {
    if !data.len().is_multiple_of(4) {
        return None;
    }
    let mut rest = &data[48..];
    loop {
        let whole = matches!(rest.len(), 36 | 52 | 68) && rest.starts_with(&[0, 0]);
        match rest.len() {
            0 => return Some(Behind::Nothing),
            4 => return (rest == [0; 4]).then_some(Behind::Code { right: None }),
            20 | 24 => break,
            _ if whole => break,
            1..=24 => return None,
            _ => {}
        }
        let length = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        if length < 16 || length % 4 != 0 {
            return None;
        }
        rest = rest.get(length..)?;
    }
    let number = u32::from_be_bytes(*rest.first_chunk::<4>()?);
    // A right one was made with all that is before it: then it is the last bytes, and of that key.
    let length = |key: KeyId| if key == KEYS[0] { 20 } else { 24 };
    Some(Behind::Code { right: signed.filter(|key| key.0 == number && rest.len() == length(*key)) })
}

fn keys() -> Vec<Key> {
    let secret = || b"0123456789abcdef".to_vec();
    vec![Key::new(KEYS[0], Digest::Md5, secret()), Key::new(KEYS[1], Digest::Sha1, secret())]
}

fn signer() -> Keys {
    Keys::new(&keys(), &KEYS)
}

/// Few addresses, so that lines and clients meet, and some at the ends of prefixes.
fn address(tape: &mut Tape<'_>) -> u32 {
    const BASES: [u32; 8] =
        [0x0a00_0000, 0x0a00_0001, 0x0a00_00ff, 0x0a01_0000, 0xc000_0201, 0xe000_0001, 0, 0xffff_ffff];
    tape.pick(&BASES) ^ u32::from(tape.byte() & 3)
}

/// The access list and the limits, for the model and for the server.
fn configuration(tape: &mut Tape<'_>) -> (Model, Config) {
    let mut config = Config::default();
    // The list's own default.
    let mut lines = vec![Line { address: 0, prefix: 0, ntpport: false, flags: 0 }];
    for _ in 0..tape.below(10) {
        let prefix = tape.pick(&[0, 8, 16, 24, 30, 31, 32, 1]);
        let line = Line {
            address: address(tape),
            prefix,
            ntpport: tape.flag(),
            flags: tape.short() & tape.short() & 1023,
        };
        let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
        let flags = FLAGS.iter().filter(|(bit, _)| line.flags & bit != 0);
        config.restrict.push(Restrict {
            target: RestrictTarget::Net {
                address: IpAddr::V4(Ipv4Addr::from_bits(line.address)),
                mask: IpAddr::V4(Ipv4Addr::from_bits(mask)),
            },
            flags: flags.fold(AccessFlags::NONE, |sum, (_, flag)| sum.union(*flag)),
            ntpport: line.ntpport,
            origin: Origin::default(),
        });
        lines.push(line);
    }
    let (average, minimum) = (tape.pick(&[3, 0, 1, 5, 17]), tape.pick(&[1, 0, 2, 6]));
    (config.discard.average, config.discard.minimum) = (average, minimum);
    config.auth.trusted = KEYS.to_vec();
    // No room for partners: those that ask to be one are answered as clients are.
    config.tos.maxclock = 0;
    let stratum = tape.pick(&[Some(3), None, Some(15)]);
    if let Some(stratum) = stratum {
        let mut clock = Server::new(Kind::Server, Target::LocalClock { unit: 0 });
        clock.fudge.stratum = Some(Stratum::new(stratum - 1));
        config.servers.push(clock);
    }
    (Model { lines, average, minimum, stratum, clients: BTreeMap::new() }, config)
}

fn now(at: f64) -> Now {
    let by = Seconds::new(at);
    Now { mono: MonoTime::ZERO + by, wall: NtpTimestamp::from_unix(1_780_272_000, 0).offset(by) }
}

/// A packet, and by which key its code is right.
fn packet(tape: &mut Tape<'_>, last: u64) -> (Vec<u8>, Option<KeyId>) {
    if tape.below(8) == 7 {
        return (tape.bytes(120).to_vec(), None);
    }
    let mut data = vec![0; 48];
    data[0] = tape.pick(&[0x23, 0x1b, 0x13, 0x0b, 0x21, 0x19, 0x08, 0xe3, 0x24, 0x33, 0x03]);
    (data[1], data[2], data[3]) = (tape.byte(), tape.pick(&[6, 0, 17, 0x80, 0x7f]), tape.byte());
    let (origin, receive) = (tape.pick(&[0, last, last ^ 1]), tape.pick(&[0, 5, 7]));
    data[24..32].copy_from_slice(&origin.to_be_bytes());
    data[32..40].copy_from_slice(&u64::to_be_bytes(receive));
    data[40..48].copy_from_slice(&u64::to_be_bytes(tape.pick(&[5, 0, u64::MAX])));
    match tape.below(8) {
        0 => data.extend([0; 4]),
        1 => data.extend(tape.bytes(72)),
        2 => {
            data.extend([0x7f, 0, 0, 28]);
            data.resize(76, 1);
        }
        3..5 => {}
        _ => return (data, None),
    }
    if !tape.flag() || !data.len().is_multiple_of(4) {
        return (data, None);
    }
    let (key, flip) = (tape.pick(&KEYS), tape.byte() & 0x81);
    signer().sign(key, &mut data);
    if let Some(byte) = data.last_mut() {
        *byte ^= flip;
    }
    (data, Some(key).filter(|_| flip == 0))
}

/// A list, and requests, as these bytes have them.
///
/// # Panics
/// If the server and the model differ.
pub fn hold(data: &[u8]) {
    let mut tape = Tape::new(data);
    let (mut model, config) = configuration(&mut tape);
    let machine = Machine {
        can_steer: false,
        precision: PRECISION,
        drift: None,
        system: "Linux".to_owned(),
        processor: "x86_64".to_owned(),
        seed: [7; 32],
    };
    let mut engine = Engine::new(now(0.0), &machine, Setup { config, keys: keys(), ..Setup::default() });
    let mut at = 2.0;
    engine.handle(now(at), Input::Timer);
    while engine.next_output().is_some() {}
    let mut last = 0;
    for _ in 0..REQUESTS {
        if tape.is_empty() {
            break;
        }
        at += tape.pick(&[0.0, 0.25, 1.0, 2.0, 8.0, 60.0, 4_000.0, 1e6]);
        let (from, port) = (address(&mut tape), tape.pick(&[123, 40_000, 122, 0]));
        let (data, signed) = packet(&mut tape, last);
        let time = now(at);
        let request = Request { data: &data, from, port, at, wall: time.wall.to_bits(), signed };
        let expected = model.answer(&request);
        let found = ask(&mut engine, time, &data, SocketAddr::from((Ipv4Addr::from_bits(from), port)));
        compare(&data, expected.as_deref(), found.as_deref());
        last = if expected.is_some() { time.wall.to_bits() } else { last };
    }
}

fn ask(engine: &mut Engine, time: Now, data: &[u8], from: SocketAddr) -> Option<Vec<u8>> {
    let to = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 99));
    let rx = Rx { data, from, to, socket: SocketId(1), received: Stamp::kernel(time.wall) };
    let mut buffer = [0; Engine::REPLY_MAX];
    match engine.serve(time, &rx, &mut || time.wall, &mut buffer) {
        Served::Reply(length) => Some(buffer[..length].to_vec()),
        Served::Dropped => None,
        Served::NotARequest if data.first().is_none_or(|first| first & 7 != 1) => None,
        Served::NotARequest => {
            // Mode 1 with something behind the header: it may be a partner, and is answered as a client is.
            engine.handle(time, Input::Datagram(rx));
            let mut sent = None;
            while let Some(output) = engine.next_output() {
                if let rsntpd::engine::contract::Output::Send(tx) = output {
                    sent = Some(tx.data).filter(|_| tx.to == from).or(sent);
                }
            }
            sent
        }
    }
}

/// Root dispersion and reference time are the clock's own: they only have to make sense. All else is the same.
fn compare(request: &[u8], expected: Option<&[u8]>, found: Option<&[u8]>) {
    let (Some(expected), Some(found)) = (expected, found) else {
        assert_eq!(expected, found, "an answer to {}", request.escape_ascii());
        return;
    };
    let synchronized = found[0] >> 6 != 3;
    let dispersion = u32::from_be_bytes(*found[8..].first_chunk::<4>().unwrap());
    assert!(dispersion < 1 << 24 || !synchronized, "a root dispersion of {dispersion}/65536 s");
    let reference = u64::from_be_bytes(*found[16..].first_chunk::<8>().unwrap());
    let received = u64::from_be_bytes(*found[32..].first_chunk::<8>().unwrap());
    assert!(!synchronized || reference <= received && reference != 0, "a clock set in the future");
    let masked = |packet: &[u8]| {
        let mut packet = packet.to_vec();
        packet[8..12].fill(0);
        packet[16..24].fill(0);
        // A code covers both.
        packet.get_mut(52..).into_iter().for_each(|digest| digest.fill(0));
        packet
    };
    assert_eq!(masked(expected), masked(found), "the answer to {}", request.escape_ascii());
    if found.len() > 52 {
        let (covered, code) = found.split_at(48);
        let key = KeyId(u32::from_be_bytes(*code.first_chunk::<4>().unwrap()));
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert!(signer().verify(covered, key, &code[4..], ip), "the code of an answer is wrong");
    }
}
