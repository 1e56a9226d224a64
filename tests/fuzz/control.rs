//! Mode 6: a conversation of control packets, each with two octets of length before it, with an engine
//! that has associations, clients and a control key. Signed requests are made here: nobody guesses a digest.
use rsntpd::config::model::{Config, Digest, Key, Kind, Server, Target, Variable};
use rsntpd::config::parse_at_run_time;
use rsntpd::engine::Engine;
use rsntpd::engine::auth::Keys;
use rsntpd::engine::contract::{Input, Machine, Now, Output, Rx, Setup, SocketId};
use rsntpd::engine::control::shell_request::{Brought, ShellRequest};
use rsntpd::units::{KeyId, MonoTime, NtpTimestamp, Seconds, Stamp};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

const CONTROL: KeyId = KeyId(7);

fn keys() -> Vec<Key> {
    vec![Key::new(CONTROL, Digest::Md5, b"control".to_vec())]
}

fn now(step: u32) -> Now {
    let by = Seconds::new(f64::from(step) * 0.5);
    Now { mono: MonoTime::ZERO + by, wall: NtpTimestamp::from_unix(1_780_272_000, 0).offset(by) }
}

fn engine() -> Engine {
    let mut config = Config {
        servers: vec![
            Server::new(Kind::Server, Target::LocalClock { unit: 0 }),
            Server::new(Kind::Server, Target::Address(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)))),
        ],
        setvar: vec![Variable { name: "site".to_owned(), value: "roof".to_owned(), shown: true }],
        ..Config::default()
    };
    config.auth.control = Some(CONTROL);
    config.auth.trusted = vec![CONTROL];
    let machine = Machine {
        can_steer: false,
        precision: -20,
        drift: None,
        system: "Linux".to_owned(),
        processor: "x86_64".to_owned(),
        seed: [7; 32],
    };
    Engine::new(now(0), &machine, Setup { config, keys: keys(), ..Setup::default() })
}

fn run(engine: &Engine, shell_request: ShellRequest) -> Brought {
    match shell_request {
        ShellRequest::Survey => Brought::Survey(Box::default()),
        ShellRequest::Save { .. } => {
            Brought::Saved { reply: "saved".to_owned(), file: Some("saved".to_owned()) }
        }
        ShellRequest::Configure { text, .. } => {
            let parsed = parse_at_run_time(engine.config().clone(), &text, &[]);
            let setup = Setup { config: parsed.config, keys: keys(), ..Setup::default() };
            Brought::Configured { reply: "done".to_owned(), setup: Some(Box::new(setup)) }
        }
    }
}

/// A conversation, as these bytes have it.
///
/// # Panics
/// If a response is longer than a datagram of mode 6 may be, or there is no end of them.
pub fn hold(data: &[u8]) {
    let mut engine = engine();
    let mut signer = Keys::new(&keys(), &[CONTROL]);
    let mut rest = data;
    let mut step = 0;
    while let Some((head, tail)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*head) & 0x03ff).min(tail.len());
        let (packet, after) = tail.split_at(length);
        rest = after;
        step += 1;
        let mut packet = packet.to_vec();
        if head[0] & 0x80 != 0 {
            packet.resize(packet.len().next_multiple_of(8), 0);
            signer.sign(CONTROL, &mut packet);
        }
        let from = SocketAddr::from(([127, 0, 0, 1], u16::from(head[0] & 0x40) + 1000));
        let to = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let received = Stamp::kernel(now(step).wall);
        engine.handle(
            now(step),
            Input::Datagram(Rx { data: &packet, from, to, socket: SocketId(1), received }),
        );
        let mut datagrams = 0;
        while let Some(output) = engine.next_output() {
            match output {
                Output::ShellRequest { id, shell_request } => {
                    let result = run(&engine, shell_request);
                    engine.handle(now(step), Input::Returned { id, result });
                }
                Output::Send(tx) if tx.to == from => {
                    datagrams += 1;
                    assert!(tx.data.len() <= 12 + 468 + 4 + 24 && tx.data.len().is_multiple_of(4));
                }
                _ => {}
            }
        }
        assert!(datagrams <= 128);
    }
}
