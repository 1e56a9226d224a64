//! What the parts cost, alone. Of an answer: the client table, the access list, the answer as a whole. Of
//! keeping the clock: a sample (wanted: at most 500 µs), a selection of 50 sources (at most 200 µs), and
//! all that follows when one of 50 sources has answered.

#![allow(clippy::unwrap_used)] // what cannot be measured ends

use divan::{Bencher, black_box};
use rsntpd::config::model::{
    AccessFlags, Config, Digest, Discard, Family, Key, Kind, Origin, Restrict, RestrictTarget, Server, Target,
};
use rsntpd::engine::Engine;
use rsntpd::engine::auth::Keys;
use rsntpd::engine::auth::aead::Cipher;
use rsntpd::engine::auth::cookie::{self, Age, Cookies, Opened};
use rsntpd::engine::contract::{Input, Machine, Now, Rx, Setup, SocketId};
use rsntpd::engine::estimator::{Estimator, Measurement};
use rsntpd::engine::selection::{Candidate, Limits, select};
use rsntpd::engine::server::access::AccessList;
use rsntpd::engine::server::clients::{ClientTable, Heard};
use rsntpd::units::{Aead, AssocId, KeyId, MonoTime, NtpTimestamp, Ppm, Seconds, Stamp};
use rsntpd::wire::nts::Secret;
use rsntpd::wire::nts::fields::{Authenticator, Writer};
use rsntpd::wire::nts::master::{MasterKey, MasterKeys};
use sim::chance::Dice;
use sim::scenario::Scenario;
use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

fn main() {
    divan::main();
}

fn now(step: u64) -> Now {
    let wall = NtpTimestamp::from_unix(1_780_272_000, step as u32);
    Now { mono: MonoTime::from_nanos(step), wall }
}

fn source(step: u64, sources: u64) -> SocketAddr {
    // A stride that meets no neighbour.
    let host = (step.wrapping_mul(0x9e37_79b9) % sources) as u32;
    (Ipv4Addr::from_bits(0x0a00_0000 + host), 40_000).into()
}

fn restrict(target: RestrictTarget, flags: AccessFlags) -> Restrict {
    Restrict { target, flags, ntpport: false, origin: Origin::default() }
}

fn lines(count: u32) -> Vec<Restrict> {
    let limited = AccessFlags::LIMITED.union(AccessFlags::KOD);
    let mut lines = vec![restrict(RestrictTarget::Default(Family::Any), limited)];
    lines.extend((0..count).map(|i| {
        let address = IpAddr::V4(Ipv4Addr::from_bits(0x0b00_0000 + i * 256));
        let mask = IpAddr::V4(Ipv4Addr::new(255, 255, 255, 0));
        restrict(RestrictTarget::Net { address, mask }, AccessFlags::NOMODIFY)
    }));
    lines
}

fn config() -> Config {
    let discard = Discard { average: 0, minimum: 0, ..Discard::default() };
    let local = Server::new(Kind::Server, Target::LocalClock { unit: 0 });
    Config { servers: vec![local], discard, restrict: lines(10), ..Config::default() }
}

#[divan::bench(args = [1_000, 40_000, 1_000_000])]
fn client_table(bencher: Bencher<'_, '_>, sources: u64) {
    let mut table = ClientTable::new(&config(), [7; 16]);
    let mut step = 0;
    bencher.bench_local(|| {
        step += 1000;
        let now = now(step);
        let heard = Heard {
            to: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
            from: source(step, sources),
            received: now.wall,
            first_byte: 0x23,
            flags: AccessFlags::LIMITED,
        };
        black_box(table.judge(now, &heard))
    });
}

#[divan::bench(args = [10, 10_000, 100_000])]
fn access_list(bencher: Bencher<'_, '_>, entries: u32) {
    let list = AccessList::build(&lines(entries));
    let mut step = 0;
    bencher.bench_local(|| {
        step += 1;
        black_box(list.lookup(source(step, 1_000_000)))
    });
}

/// The keys of a server of NTS, and a request to it.
fn nts_request(aead: Aead) -> (MasterKeys, Vec<u8>) {
    let current = MasterKey::new(7, &[7; 32]).unwrap();
    let keys = MasterKeys { rotated: 0, current, old: Vec::new(), next: None };
    let key = Secret::new(&vec![1; aead.key_length()]).unwrap();
    let opened = Opened { aead, to_server: key.clone(), to_client: key.clone(), age: Age::Current };
    let mut cookie = vec![0; cookie::length(aead)];
    Cookies::new(&keys).make(&opened, &[3; 16], &mut cookie).unwrap();
    let mut packet = [0; 400];
    (packet[0], packet[47]) = (0x23, 1);
    let mut writer = Writer::new(&mut packet, 48);
    writer.unique(&[5; 32]);
    writer.cookie(&cookie);
    let place = Authenticator { at: writer.finish().unwrap(), aead };
    let mut cipher = Cipher::new(aead, key.as_bytes()).unwrap();
    cipher.seal(&mut packet, place, &[4; 16], 0, place.end(0)).unwrap();
    (keys, packet[..place.end(0)].to_vec())
}

#[divan::bench(args = ["plain", "md5", "sha1", "nts15", "nts30"])]
fn answer(bencher: Bencher<'_, '_>, code: &str) {
    let keys = [(1, Digest::Md5), (2, Digest::Sha1)]
        .map(|(id, digest)| Key::new(KeyId(id), digest, b"benchmark".to_vec()));
    let trusted = [KeyId(1), KeyId(2)];
    let mut config = config();
    config.auth.trusted = trusted.to_vec();
    let machine = Machine {
        can_steer: false,
        precision: -23,
        drift: None,
        system: String::new(),
        processor: String::new(),
        seed: [7; 32],
    };
    let setup = Setup { config, keys: keys.to_vec(), ..Setup::default() };
    let mut engine = Engine::new(now(0), &machine, setup);
    let mut request = vec![0; 48];
    request[0] = 0x23;
    request[47] = 1;
    let key = match code {
        "md5" => KeyId(1),
        "sha1" => KeyId(2),
        _ => KeyId(0),
    };
    Keys::new(&keys, &trusted).sign(key, &mut request);
    if let Some(number) = code.strip_prefix("nts") {
        let (keys, asked) = nts_request(Aead::of_number(number.parse().unwrap()).unwrap());
        engine.handle(now(0), Input::CookieKeys(Box::new(keys)));
        request = asked;
    }
    let mut reply = [0; Engine::REPLY_MAX];
    let mut step = 0;
    bencher.bench_local(|| {
        step += 1000;
        let now = now(step);
        let rx = Rx {
            data: &request,
            from: source(step, 10_000),
            to: IpAddr::V4(Ipv4Addr::LOCALHOST),
            socket: SocketId(0),
            received: Stamp::clock(now.wall),
        };
        black_box(engine.serve(now, &rx, &mut || now.wall, &mut reply))
    });
}

/// Samples as from the internet, 64 s apart: queues of 1 ms each way, a rate that wanders.
struct Samples {
    dice: Dice,
    at: f64,
    offset: f64,
    rate: f64,
}

impl Samples {
    fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed, 0), at: 0.0, offset: 0.0, rate: 10e-6 }
    }

    fn take(&mut self) -> Measurement {
        self.at += 64.0;
        self.rate += 8e-9 * self.dice.normal();
        self.offset += 64.0 * self.rate;
        let (up, down) = (1e-3 * self.dice.exponential(), 1e-3 * self.dice.exponential());
        Measurement::two_way(
            MonoTime::ZERO + Seconds::new(self.at),
            Seconds::new(self.offset + (up - down) / 2.0),
            Seconds::new(0.020 + up + down),
            Seconds::new(1e-6),
        )
    }
}

/// An estimator that knows all it will ever know.
fn warm(samples: &mut Samples) -> Estimator {
    let mut estimator = Estimator::new(Ppm::ZERO, Ppm::new(50.0));
    for _ in 0..2000 {
        estimator.take(&samples.take());
    }
    estimator
}

#[divan::bench]
fn sample(bencher: Bencher<'_, '_>) {
    let mut samples = Samples::new(1);
    let mut estimator = warm(&mut samples);
    bencher.with_inputs(|| samples.take()).bench_local_refs(|sample| estimator.take(black_box(sample)));
}

/// The dearest one: the first sixteen are all weighed anew with each, by the twins of a drift file that is doubted, too.
#[divan::bench]
fn sixteenth_sample(bencher: Bencher<'_, '_>) {
    let mut samples = Samples::new(1);
    let mut estimator = Estimator::new(Ppm::ZERO, Ppm::new(2.0)).doubting(Ppm::new(50.0));
    for _ in 0..15 {
        estimator.take(&samples.take());
    }
    let last = samples.take();
    bencher.with_inputs(|| estimator.clone()).bench_local_refs(|estimator| estimator.take(black_box(&last)));
}

#[divan::bench]
fn estimate(bencher: Bencher<'_, '_>) {
    let mut samples = Samples::new(1);
    let estimator = warm(&mut samples);
    let at = samples.take().at;
    bencher.bench_local(|| estimator.estimate(black_box(at)));
}

/// Sources with an offset of their own each; the last tenth of them lies.
fn candidates(count: usize) -> Vec<Candidate> {
    let mut dice = Dice::new(1, 0);
    let lies = |index: usize| if index * 10 >= count * 9 { 0.5 } else { 0.0 };
    (0..count)
        .map(|index| Candidate {
            id: AssocId(index as u16),
            stratum: 2 + (index % 3) as u8,
            offset: lies(index) + 1e-3 * dice.normal(),
            distance: 0.01 + 0.02 * dice.uniform(),
            asymmetry: 0.01,
            error: 1e-4,
            jitter: 1e-4 * dice.exponential(),
            truechimer: false,
            prefer: false,
            decides: false,
            pulse: false,
        })
        .collect()
}

#[divan::bench(args = [4, 50])]
fn selection(bencher: Bencher<'_, '_>, sources: usize) {
    let list = candidates(sources);
    let limits = Limits { min_clock: 3, min_sane: 1, min_distance: Seconds::new(0.001) };
    bencher.bench_local(|| select(black_box(&list), black_box(&limits)));
}

/// An answer, from the datagram to the orders for the clock, where so many sources are selected from.
#[divan::bench(args = [1, 50])]
fn answer_taken_in(bencher: Bencher<'_, '_>, sources: usize) {
    let scenario = Scenario { servers: sources, maxpoll: 6, ..Scenario::new("many", 0.010, 0.001, 1e-9) };
    let mut world = scenario.world(1);
    world.run(40_000.0);
    let world = RefCell::new(world);
    bencher
        .with_inputs(|| world.borrow_mut().next_answer())
        .bench_local_refs(|answer| world.borrow_mut().arrive(answer));
}
