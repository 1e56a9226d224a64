//! What the parts of an answer cost, alone: the client table, the access list, the answer as a whole.

use divan::{Bencher, black_box};
use rsntpd::config::model::{
    AccessFlags, Config, Digest, Discard, Family, Key, Kind, Origin, Restrict, RestrictTarget, Server, Target,
};
use rsntpd::core::Engine;
use rsntpd::core::access::AccessList;
use rsntpd::core::auth::Keys;
use rsntpd::core::clients::{ClientTable, Heard};
use rsntpd::core::contract::{Machine, Now, Rx, Setup, SocketId};
use rsntpd::units::{KeyId, MonoTime, NtpTimestamp};
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
            first_octet: 0x23,
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

#[divan::bench(args = ["plain", "md5", "sha1"])]
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
            received: now.wall,
        };
        black_box(engine.serve(now, &rx, &mut || now.wall, &mut reply))
    });
}
