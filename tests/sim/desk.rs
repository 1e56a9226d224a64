//! An engine that is asked, with a key ring and a shell.

use super::bench::{Bench, from, ip, local_clock, server};
use rsntpd::config;
use rsntpd::config::model::{Config, Digest, Key, Variable};
use rsntpd::engine::auth::Keys;
use rsntpd::engine::contract::{Input, Output, Setup};
use rsntpd::engine::control::shell_request::{Brought, ShellRequest, Survey};
use rsntpd::units::{KernelClock, KeyId, Ppm, Seconds};
use std::net::SocketAddr;

pub const CONTROL_KEY: KeyId = KeyId(7);

/// An answer as one: the bits and words of its first datagram, and all of the data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    pub bits: u8,
    pub opcode: u8,
    pub sequence: u16,
    pub status: u16,
    pub data: Vec<u8>,
    pub datagrams: usize,
}

impl Answer {
    /// Puts fragments together, and checks that they are what RFC 9327 says.
    pub fn join(datagrams: &[Vec<u8>]) -> Option<Self> {
        let word = |d: &[u8], at: usize| u16::from_be_bytes([d[at], d[at + 1]]);
        let first = datagrams.first()?;
        let mut data = Vec::new();
        for (index, datagram) in datagrams.iter().enumerate() {
            let count = usize::from(word(datagram, 10));
            assert!(count <= 468 && datagram.len().is_multiple_of(4) && datagram.len() >= 12 + count);
            assert!(datagram.len() <= 12 + 468 + 24 + 4, "with a code behind");
            assert_eq!(usize::from(word(datagram, 8)), data.len(), "the offset follows");
            assert_eq!(datagram[1] & 0x20 != 0, index + 1 < datagrams.len(), "more");
            assert_eq!(
                (datagram[0] & 0x3f, datagram[2..8].to_vec()),
                (first[0] & 0x3f, first[2..8].to_vec())
            );
            data.extend(&datagram[12..12 + count]);
        }
        Some(Self {
            bits: first[1] & 0xc0,
            opcode: first[1] & 0x1f,
            sequence: word(first, 2),
            status: word(first, 4),
            data,
            datagrams: datagrams.len(),
        })
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.data.clone()).unwrap()
    }

    pub fn error(&self) -> Option<u8> {
        (self.bits & 0x40 != 0).then_some((self.status >> 8) as u8)
    }

    /// `name=value` items.
    pub fn items(&self) -> Vec<(String, String)> {
        let mut items = vec![String::new()];
        let mut quoted = false;
        for c in self.text().chars() {
            match c {
                '"' => quoted = !quoted,
                ',' if !quoted => {
                    items.push(String::new());
                    continue;
                }
                _ => {}
            }
            items.last_mut().unwrap().push(c);
        }
        let pair = |item: &String| {
            let (name, value) = item.trim().split_once('=').unwrap_or((item.trim(), ""));
            (name.to_owned(), value.to_owned())
        };
        items.iter().map(pair).filter(|(name, _)| !name.is_empty()).collect()
    }

    pub fn value(&self, name: &str) -> String {
        self.items().into_iter().find(|(n, _)| n == name).map(|(_, v)| v).unwrap_or_default()
    }
}

/// A request as ntpq sends it.
pub fn ask(opcode: u8, association: u16, data: &str) -> Vec<u8> {
    let mut packet = vec![0x16, opcode, 0, 9, 0, 0];
    packet.extend(association.to_be_bytes());
    packet.extend([0, 0]);
    packet.extend((data.len() as u16).to_be_bytes());
    packet.extend(data.as_bytes());
    packet.resize(packet.len().next_multiple_of(4), 0);
    packet
}

pub fn keys() -> Vec<Key> {
    vec![
        Key::new(CONTROL_KEY, Digest::Sha1, b"control".to_vec()),
        Key::new(KeyId(8), Digest::Md5, b"other".to_vec()),
        Key::new(KeyId(9), Digest::AesCmac, b"sixteen octets..".to_vec()),
    ]
}

/// Signs as ntpq does, behind a padding to eight octets.
pub fn sign(mut packet: Vec<u8>, key: KeyId) -> Vec<u8> {
    packet.resize(packet.len().next_multiple_of(8), 0);
    assert!(Keys::new(&keys(), &[key]).sign(key, &mut packet));
    packet
}

/// An engine with the configuration of the captures, a control key, and a shell.
pub struct Desk {
    pub bench: Bench,
}

impl Desk {
    pub fn new(change: impl FnOnce(&mut Config)) -> Self {
        let mut config =
            Config { servers: vec![local_clock(), server("10.199.255.99")], ..Config::default() };
        config.auth.control = Some(CONTROL_KEY);
        config.auth.trusted = vec![CONTROL_KEY, KeyId(8), KeyId(9)];
        config.setvar = vec![Variable { name: "site".to_owned(), value: "roof".to_owned(), shown: false }];
        change(&mut config);
        let mut bench = Bench::new(Setup { config, keys: keys(), ..Setup::default() });
        bench.advance(1.0);
        bench.sent.clear();
        Self { bench }
    }

    /// Sends a request; the datagrams that come back.
    pub fn raw(&mut self, packet: &[u8], client: SocketAddr) -> Vec<Vec<u8>> {
        let waiting = std::mem::take(&mut self.bench.sent);
        self.bench.deliver(packet, client);
        while let Some(index) =
            self.bench.others.iter().position(|o| matches!(o, Output::ShellRequest { .. }))
        {
            let Output::ShellRequest { id, shell_request } = self.bench.others.remove(index) else {
                unreachable!()
            };
            let result = self.run(&shell_request);
            self.bench.input(Input::Returned { id, result });
        }
        let sent = std::mem::replace(&mut self.bench.sent, waiting);
        // What leaves from port 123 without being asked is a request of ours.
        let (answers, own): (Vec<_>, Vec<_>) = sent.into_iter().partition(|tx| tx.socket.is_some());
        self.bench.sent.extend(own);
        assert!(answers.iter().all(|tx| tx.to == client && tx.from == Some(ip("10.0.0.99"))));
        answers.into_iter().map(|tx| tx.data).collect()
    }

    pub fn run(&mut self, shell_request: &ShellRequest) -> Brought {
        match shell_request {
            ShellRequest::Survey => {
                let kernel = KernelClock {
                    frequency: Ppm::new(-12.5),
                    max_error: Seconds::new(16.0),
                    // unsync and nano
                    status: 0x2040,
                    ..KernelClock::default()
                };
                Brought::Survey(Box::new(Survey { kernel: Some(kernel), ..Survey::default() }))
            }
            ShellRequest::Configure { text, .. } => {
                let parsed = config::parse_at_run_time(self.bench.engine.config().clone(), text, &[]);
                let setup = Setup { config: parsed.config, keys: keys(), ..Setup::default() };
                let reply = format!("{} found", parsed.diagnostics.len());
                Brought::Configured { reply, setup: Some(Box::new(setup)) }
            }
            ShellRequest::Save { name, .. } => {
                let file = String::from_utf8_lossy(name).into_owned();
                Brought::Saved { reply: format!("saved {file}"), file: Some(file) }
            }
        }
    }

    pub fn asked(&mut self, packet: &[u8]) -> Answer {
        Answer::join(&self.raw(packet, from("127.0.0.1:40000"))).expect("an answer")
    }

    pub fn error(&mut self, packet: &[u8]) -> Option<u8> {
        self.asked(packet).error()
    }

    pub fn associations(&mut self) -> Vec<u16> {
        let pairs = self.asked(&ask(1, 0, "")).data;
        pairs.chunks(4).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
    }
}
