//! What holds of the engine whatever happens to it: datagrams of anyone, time that jumps, names, keys, devices, reloads.
//!
//! A run is a configuration and then steps, as the bytes have it. Nothing panics; what comes out is bounded; foreign packets change
//! nothing of what is known of the time; a response is no longer than its request, and nothing that is itself a response gets one.

mod packets;
mod setups;
mod world;

use packets::{Datagram, HOST, HOSTS};
use rsntpd::config::model::{Kind, LeapTable};
use rsntpd::engine::contract::{
    ClockFailure, DeviceReport, FailureClass, Input, Interface, KeyFailure, LookupError, Reading, Reads, Rx,
    SocketId, Trouble, Tx,
};
use rsntpd::engine::{Engine, PUBLISHED, Served};
use rsntpd::units::{AssocId, Host, Leap, Seconds, Stamp};
use rsntpd::wire::nts::master::MasterKeys;
use rsntpd::wire::{Header, Mode};
use sim::tape::Tape;
use std::net::IpAddr;
use world::{Kernel, World};

/// Steps of one run.
const STEPS: usize = 200;
/// How long nothing happens, seconds: up to a decade.
const WAITS: [f64; 10] = [0.0, 1e-6, 0.1, 0.5, 1.0, 16.0, 64.0, 1024.0, 86_400.0, 3.2e8];
/// How far the wall clock jumps, seconds: up to decades.
const JUMPS: [f64; 12] = [1e-4, -1e-4, 0.1, -0.2, 1.0, -1.0, 900.0, -2_000.0, 1e5, -1e7, 9e8, -9e8];
/// What a reference clock may be off by, seconds.
const OFF: [f64; 10] = [0.0, 1e-9, -1e-6, 0.01, -0.4, 3.0, 1e9, -1e12, 1e300, f64::MIN_POSITIVE];

/// A run, as these bytes have it.
///
/// # Panics
/// If something of it does not hold.
pub fn hold(data: &[u8]) {
    let mut tape = Tape::new(data);
    let first = tape.byte();
    let drift = tape.pick(&[None, Some(0.0), Some(500.0), Some(-123.4)]);
    let mut setup = setups::setup(usize::from(first));
    (setup.allow_panic_once, setup.quit_after_set) = (first & 0x10 != 0, first & 0x60 == 0x60);
    let mut world = World::new(setup, first & 0x80 == 0, drift);
    for _ in 0..STEPS {
        if tape.is_empty() || world.exited {
            break;
        }
        step(&mut tape, &mut world);
    }
    if !world.exited {
        the_table_is_bounded(&mut world);
    }
}

fn step(tape: &mut Tape<'_>, world: &mut World) {
    match tape.below(32) {
        0..8 => {
            let datagram = packets::any(tape, world);
            deliver(world, &datagram);
        }
        8..10 => {
            let datagram = packets::control(tape);
            deliver(world, &datagram);
        }
        10..14 => respond(tape, world),
        14..19 => (0..=tape.below(8)).for_each(|_| world.next_deadline()),
        19 => {
            world.pass(tape.pick(&WAITS));
            world.input(Input::Timer);
        }
        20 => jump(tape, world),
        21 => {
            let Some(token) = world.tokens.len().checked_sub(tape.below(8) + 1).map(|at| world.tokens[at])
            else {
                return;
            };
            let at = Stamp::kernel(world.now.wall.offset(Seconds::new(tape.pick(&JUMPS))));
            let from = tape.pick(&[None, Some(HOST), Some(HOSTS[3]), Some(HOSTS[12])]);
            world.input(Input::Sent { token, at, from });
        }
        22 => resolved(tape, world),
        23 => {
            let number = tape.below(16);
            world.input(Input::Reload(Box::new(setups::setup(number))));
        }
        24 => {
            if let Some((id, shell_request)) = world.shell.pop() {
                let result = world.perform(shell_request);
                world.input(Input::Returned { id, result });
            }
        }
        25..27 => device(tape, world),
        27 => established(tape, world),
        28 => machine(tape, world),
        29 => leap_file(tape, world),
        30 => {
            world.kernel = match tape.below(5) {
                0 => Kernel::Refuses(ClockFailure::NotPermitted),
                1 => Kernel::Refuses(ClockFailure::NoLoop),
                2 => Kernel::Refuses(ClockFailure::Os(22)),
                3 => Kernel::Silent,
                _ => Kernel::Obeys,
            };
        }
        _ if tape.byte() == 255 => drop(world.input(Input::Shutdown)),
        _ => world.next_deadline(),
    }
}

/// The latest requests get honest responses.
fn respond(tape: &mut Tape<'_>, world: &mut World) {
    let (count, stratum) = (1 + tape.below(8), tape.pick(&[1, 2, 3, 14]));
    let off = f64::from(tape.byte().cast_signed()) * tape.pick(&[0.0, 1e-5, 1e-3, 0.1]);
    for back in (0..count).rev() {
        let Some(tx) = world.sent(back).cloned() else { continue };
        let Ok(request) = Header::parse(&tx.data) else { continue };
        if !matches!(request.mode, Mode::Client | Mode::SymmetricActive) {
            continue;
        }
        let reply = packets::honest(world, &request, stratum, off);
        let sealed = world.nts.answer(&tx.data, &reply);
        let data = sealed.unwrap_or_else(|| reply.to_bytes().to_vec());
        deliver(world, &Datagram { data, from: tx.to, to: HOST, signed: false });
    }
}

/// What is known of the time, and of whom.
#[derive(PartialEq, Debug)]
struct View {
    system: [u64; PUBLISHED],
    reach: Vec<(AssocId, u8)>,
}

fn view(engine: &Engine) -> View {
    let reach = |id| engine.source(id).map_or(0, |source| source.reach().register());
    let reach = engine.associations().map(|one| (one.id, reach(one.id))).collect();
    View { system: engine.published(), reach }
}

/// A datagram arrives, as in the daemon: first at the hot path.
fn deliver(world: &mut World, datagram: &Datagram) {
    // All that is due is done before, so that what happens now is because of the datagram.
    world.input(Input::Timer);
    if world.exited {
        return;
    }
    let Datagram { data, from, to, .. } = datagram;
    let received = Stamp::kernel(world.now.wall);
    let rx = Rx { data, from: *from, to: *to, socket: SocketId(1), received };
    let before = view(&world.engine);
    let mut buffer = [0; Engine::REPLY_MAX];
    let leaves = world.now.wall;
    match world.engine.serve(world.now, &rx, &mut || leaves, &mut buffer) {
        Served::Reply(length) => assert!(length <= data.len(), "{length} bytes for {}", data.len()),
        Served::Dropped => {}
        Served::NotARequest => {
            let asked = addressed(world, from.ip());
            let plain = plain_server(world, from.ip());
            let left = world.input(Input::Datagram(rx));
            answers_are_fit(datagram, asked, &left);
            nothing_is_believed(world, datagram, &before, (asked, plain));
            return;
        }
    }
    assert_eq!(before, view(&world.engine), "a request changes what is known");
}

/// Whether there is an association with this host.
fn addressed(world: &World, ip: IpAddr) -> bool {
    world.engine.associations().any(|one| one.address == Some(ip))
}

/// Whether it is one whose responses show a random number of ours.
fn plain_server(world: &World, ip: IpAddr) -> bool {
    let mut with = world.engine.associations().filter(|one| one.address == Some(ip));
    with.all(|one| {
        world.engine.source(one.id).is_some_and(|source| {
            let line = source.config();
            matches!(line.kind, Kind::Server | Kind::Pool) && !line.xleave && !source.is_listener()
        })
    })
}

/// What a datagram gets back.
fn answers_are_fit(datagram: &Datagram, asked: bool, left: &[Tx]) {
    let first = datagram.data.first().copied().unwrap_or_default();
    let mode = Mode::from_bits(first);
    let back: Vec<&Tx> = left.iter().filter(|tx| tx.to == datagram.from).collect();
    match mode {
        Mode::Control => {
            let response = datagram.data.get(1).is_some_and(|byte| byte & 0x80 != 0);
            assert!(!response || left.is_empty(), "a response of mode 6 gets a response");
            assert!(back.len() <= 128, "{} fragments", back.len());
            assert!(back.iter().all(|tx| tx.data.len() <= 12 + 468 + 4 + 24));
        }
        Mode::Private => assert!(left.is_empty(), "mode 7 gets a response"),
        Mode::Server | Mode::Broadcast | Mode::SymmetricPassive => {
            assert!(asked || back.is_empty(), "{mode:?} of a foreign host gets a response");
            let is_reply = |tx: &&Tx| matches!(tx.data[0] & 7, 4 | 6);
            assert!(!left.iter().any(|tx| is_reply(&tx)), "a response gets a response");
        }
        Mode::Reserved | Mode::Client | Mode::SymmetricActive => {
            let longer = |tx: &&&Tx| tx.data.len() > datagram.data.len() && !asked;
            assert!(!back.iter().any(|tx| longer(&tx)), "a response is longer than its request");
        }
    }
}

/// Foreign packets, and those of a server that do not show the random number of a request, change nothing.
fn nothing_is_believed(world: &World, datagram: &Datagram, before: &View, (asked, plain): (bool, bool)) {
    let first = datagram.data.first().copied().unwrap_or_default();
    if Mode::from_bits(first) == Mode::Control && datagram.signed {
        return;
    }
    let shows = packets::is_whole(&datagram.data) && world.is_ours(Header::origin_of(&datagram.data));
    let after = view(&world.engine);
    let same = after.reach.iter().map(|one| one.0).eq(before.reach.iter().map(|one| one.0));
    // Else it made an association, as the configuration lets it.
    if same && (!asked || plain && !shows) {
        assert_eq!(*before, after, "{:?} of {} is believed", Mode::from_bits(first), datagram.from);
    }
}

/// The wall clock jumps, and the shell notices or not.
fn jump(tape: &mut Tape<'_>, world: &mut World) {
    let by = Seconds::new(tape.pick(&JUMPS));
    world.now.wall = world.now.wall.offset(by);
    match tape.below(4) {
        0 => drop(world.input(Input::Timer)),
        1 => drop(world.input(Input::WrongEra(i64::from(tape.byte().cast_signed())))),
        2 => drop(world.input(Input::Suspended(by.abs()))),
        _ => drop(world.input(Input::ClockSet { by, running: Vec::new() })),
    }
}

fn resolved(tape: &mut Tape<'_>, world: &mut World) {
    let Some(id) = world.lookups.pop() else { return };
    let count = tape.below(51);
    let address = |n: usize| match n % 5 {
        0..3 => IpAddr::from([198, 51, 100, n as u8 + 1]),
        3 => HOSTS[n % HOSTS.len()],
        _ => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, n as u16]),
    };
    let result = if tape.below(5) == 4 {
        Err(LookupError { text: "Temporary failure in name resolution".to_owned() })
    } else {
        Ok((0..count).map(|n| Host::from(address(n))).collect())
    };
    world.input(Input::Resolved { id, result });
}

/// A device of a reference clock says something, also one that is closed.
fn device(tape: &mut Tape<'_>, world: &mut World) {
    let open = world.devices.get(tape.below(4)).copied();
    let any = world.engine.associations().next().map(|one| one.id);
    let Some(id) = open.or(any) else { return };
    let text = || "$GPRMC,nonsense".to_owned();
    let report = match tape.below(6) {
        0 => DeviceReport::Opened,
        1 => DeviceReport::Failed("no such device".to_owned()),
        2 => {
            let trouble = tape.pick(&[
                Trouble::NoReply,
                Trouble::BadFormat,
                Trouble::Fault,
                Trouble::BadSignal,
                Trouble::BadDate,
                Trouble::BadTime,
            ]);
            DeviceReport::Trouble { trouble, text: text() }
        }
        _ => {
            let reads = tape.pick(&[Reads::Time, Reads::Pulse]);
            let at = world.now.wall.offset(Seconds::new(tape.pick(&[0.0, -0.01, -1.0, -1e6, 1e6])));
            let sign = tape.pick(&[1.0, -1.0]);
            let wide = tape.pick(&OFF) * sign;
            let offset = Seconds::new(if reads == Reads::Pulse { wide.clamp(-0.5, 0.5) } else { wide });
            DeviceReport::Reading(Reading {
                leap: Leap::from_bits(tape.pick(&[0, 0, 1, 2, 3])),
                precision: tape.pick(&[None, Some(-20), Some(127), Some(-128)]),
                error: tape.pick(&[None, Some(1e-6), Some(1e9)]).map(Seconds::new),
                ..Reading::new(reads, at, offset, text())
            })
        }
    };
    world.input(Input::Clock { id, report });
}

fn established(tape: &mut Tape<'_>, world: &mut World) {
    let Some((id, request)) = world.exchanges.pop() else { return };
    let fails = tape.below(5);
    let result = if fails == 4 {
        let class = tape.pick(&[
            FailureClass::Name,
            FailureClass::Connection,
            FailureClass::Tls,
            FailureClass::Protocol,
        ]);
        Err(KeyFailure { class, text: "it failed".to_owned() })
    } else {
        let mut made = world.nts.exchange(&request, 0.0, 1_780_272_000);
        if let Ok(made) = &mut made {
            made.cookies.truncate(tape.pick(&[8, 8, 1, 0]));
        }
        made
    };
    world.input(Input::Established { id, result });
}

/// The machine's addresses, and what it serves clients of NTS with.
fn machine(tape: &mut Tape<'_>, world: &mut World) {
    match tape.below(4) {
        0 => {
            let own = |address| Interface { name: "eth0".to_owned(), address };
            let count = tape.below(4);
            let own = HOSTS[11..].iter().take(count).copied().map(own).collect();
            world.input(Input::Interfaces(own));
        }
        1 => drop(world.input(Input::KeyExchange(Some(1_780_272_000).filter(|_| tape.flag())))),
        _ => {
            let text = format!("T: 1780272000\nL: 32\nI: {}\nK: {}\n", tape.byte(), "5a".repeat(32));
            if let Ok(keys) = MasterKeys::parse(&text) {
                world.input(Input::CookieKeys(Box::new(keys)));
            }
        }
    }
}

/// A leap second comes soon, or came, or the file has expired.
fn leap_file(tape: &mut Tape<'_>, world: &mut World) {
    let now = world.now.wall.to_unix(rsntpd::units::PIVOT).0;
    let at = now + tape.pick(&[1, 60, 7_000, 86_400, -1, -86_400, 40_000_000]);
    let step = tape.pick(&[1, -1]);
    let expires = tape.pick(&[None, Some(now + 1_000_000), Some(now - 5), Some(at)]);
    let table = LeapTable { entries: vec![(at - 100_000_000, 37), (at, 37 + step)], expires };
    world.input(Input::LeapSeconds(table));
}

/// The client table says how many there are: never more than `mru maxdepth`.
fn the_table_is_bounded(world: &mut World) {
    let packet = [&[0x16, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9][..], b"mru_depth\0\0\0"].concat();
    let from = std::net::SocketAddr::from(([127, 0, 0, 1], 40_000));
    let received = Stamp::kernel(world.now.wall);
    let rx = Rx { data: &packet, from, to: HOST, socket: SocketId(1), received };
    let left = world.input(Input::Datagram(rx));
    let text = left.first().map(|tx| String::from_utf8_lossy(&tx.data[12..]).into_owned());
    let number = text.as_deref().and_then(|text| {
        text.split_once("mru_depth=")?.1.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().ok()
    });
    // `noquery` or `ignore` may have come by a control request.
    assert!(number.is_none_or(|depth| depth <= setups::DEPTH.max(600)), "{text:?}");
}
