//! Mode 6 from outside: the requests of real programs replayed, what needs a key, what must not be an
//! amplifier, and a long client list read while it changes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on fails

#[path = "engine/bench.rs"]
#[allow(dead_code, unreachable_pub)] // shared with the engine's tests, which use more of it
mod bench;

use bench::{Bench, from, ip, local_clock, request, server};
use proptest::prelude::*;
use rsntpd::config;
use rsntpd::config::model::{AccessFlags, Config, Digest, Key, Mru, Origin, Restrict, RestrictTarget};
use rsntpd::core::auth::Keys;
use rsntpd::core::contract::{Input, Output, Setup};
use rsntpd::core::control::{BURST, RATE};
use rsntpd::core::errand::{Brought, Errand, KernelClock, Survey};
use rsntpd::core::event::Event;
use rsntpd::units::{KeyId, Ppm, Seconds};
use rsntpd::wire::Mode;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

const CONTROL_KEY: KeyId = KeyId(7);

/// An answer as one: the bits and words of its first datagram, and all of the data.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Answer {
    bits: u8,
    opcode: u8,
    sequence: u16,
    status: u16,
    data: Vec<u8>,
    datagrams: usize,
}

impl Answer {
    /// Puts fragments together, and checks that they are what RFC 9327 says.
    fn join(datagrams: &[Vec<u8>]) -> Option<Self> {
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

    fn text(&self) -> String {
        String::from_utf8(self.data.clone()).unwrap()
    }

    fn error(&self) -> Option<u8> {
        (self.bits & 0x40 != 0).then_some((self.status >> 8) as u8)
    }

    /// `name=value` items.
    fn items(&self) -> Vec<(String, String)> {
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

    fn value(&self, name: &str) -> String {
        self.items().into_iter().find(|(n, _)| n == name).map(|(_, v)| v).unwrap_or_default()
    }
}

/// A request as ntpq sends it.
fn ask(opcode: u8, association: u16, data: &str) -> Vec<u8> {
    let mut packet = vec![0x16, opcode, 0, 9, 0, 0];
    packet.extend(association.to_be_bytes());
    packet.extend([0, 0]);
    packet.extend((data.len() as u16).to_be_bytes());
    packet.extend(data.as_bytes());
    packet.resize(packet.len().next_multiple_of(4), 0);
    packet
}

fn keys() -> Vec<Key> {
    vec![
        Key::new(CONTROL_KEY, Digest::Sha1, b"control".to_vec()),
        Key::new(KeyId(8), Digest::Md5, b"other".to_vec()),
        Key::new(KeyId(9), Digest::AesCmac, b"sixteen octets..".to_vec()),
    ]
}

/// Signs as ntpq does, behind a padding to eight octets.
fn sign(mut packet: Vec<u8>, key: KeyId) -> Vec<u8> {
    packet.resize(packet.len().next_multiple_of(8), 0);
    assert!(Keys::new(&keys(), &[key]).sign(key, &mut packet));
    packet
}

/// An engine with the configuration of the captures, a control key, and a shell.
struct Desk {
    bench: Bench,
}

impl Desk {
    fn new(change: impl FnOnce(&mut Config)) -> Self {
        let mut config =
            Config { servers: vec![local_clock(), server("10.199.255.99")], ..Config::default() };
        config.auth.control = Some(CONTROL_KEY);
        config.auth.trusted = vec![CONTROL_KEY, KeyId(8), KeyId(9)];
        config.setvar = vec![("site".to_owned(), "roof".to_owned(), false)];
        change(&mut config);
        let mut bench = Bench::new(Setup { config, keys: keys(), ..Setup::default() });
        bench.advance(1.0);
        bench.sent.clear();
        Self { bench }
    }

    /// Sends a request; the datagrams that come back.
    fn raw(&mut self, packet: &[u8], client: SocketAddr) -> Vec<Vec<u8>> {
        let waiting = std::mem::take(&mut self.bench.sent);
        self.bench.deliver(packet, client);
        while let Some(index) = self.bench.others.iter().position(|o| matches!(o, Output::Errand { .. })) {
            let Output::Errand { id, errand } = self.bench.others.remove(index) else { unreachable!() };
            let result = self.run(&errand);
            self.bench.input(Input::Returned { id, result });
        }
        let sent = std::mem::replace(&mut self.bench.sent, waiting);
        // What leaves from port 123 without being asked is a request of ours.
        let (answers, own): (Vec<_>, Vec<_>) = sent.into_iter().partition(|tx| tx.socket.is_some());
        self.bench.sent.extend(own);
        assert!(answers.iter().all(|tx| tx.to == client && tx.from == Some(ip("10.0.0.99"))));
        answers.into_iter().map(|tx| tx.data).collect()
    }

    fn run(&mut self, errand: &Errand) -> Brought {
        match errand {
            Errand::Survey => {
                let kernel = KernelClock {
                    frequency: Ppm::new(-12.5),
                    max_error: Seconds::new(16.0),
                    flags: vec!["unsync", "nano"],
                    ..KernelClock::default()
                };
                Brought::Survey(Box::new(Survey { kernel: Some(kernel), ..Survey::default() }))
            }
            Errand::Configure { text, .. } => {
                let parsed = config::parse_at_run_time(self.bench.engine.config().clone(), text, &[]);
                let setup = Setup { config: parsed.config, keys: keys(), ..Setup::default() };
                let reply = format!("{} found", parsed.diagnostics.len());
                Brought::Configured { reply, setup: Some(Box::new(setup)) }
            }
            Errand::Save { name, .. } => {
                let file = String::from_utf8_lossy(name).into_owned();
                Brought::Saved { reply: format!("saved {file}"), file: Some(file) }
            }
        }
    }

    fn asked(&mut self, packet: &[u8]) -> Answer {
        Answer::join(&self.raw(packet, from("127.0.0.1:40000"))).expect("an answer")
    }

    fn error(&mut self, packet: &[u8]) -> Option<u8> {
        self.asked(packet).error()
    }

    fn associations(&mut self) -> Vec<u16> {
        let pairs = self.asked(&ask(1, 0, "")).data;
        pairs.chunks(4).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
    }
}

/// What a value looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shape {
    Number,
    Decimals,
    Hex,
    Stamp,
    Quoted,
    Stages,
    Word,
    Empty,
}

fn shape(value: &str) -> Shape {
    let is_hex =
        |text: &str, digits: usize| text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit());
    let stamp = value.strip_prefix("0x").and_then(|v| v.split_once('.'));
    if value.is_empty() || value == "\"\"" {
        Shape::Empty
    } else if stamp.is_some_and(|(s, f)| is_hex(s, 8) && is_hex(f, 8)) {
        Shape::Stamp
    } else if value.strip_prefix("0x").is_some_and(|v| v.bytes().all(|b| b.is_ascii_hexdigit())) {
        Shape::Hex
    } else if value.starts_with('"') {
        Shape::Quoted
    } else if value.split(' ').filter(|v| !v.is_empty()).count() == 8 {
        Shape::Stages
    } else if value.parse::<f64>().is_ok() {
        // Three decimals or more: milliseconds and ppm.
        if value.split_once('.').is_some_and(|(_, d)| d.len() >= 3) { Shape::Decimals } else { Shape::Number }
    } else {
        Shape::Word
    }
}

fn unhex(digits: &str) -> Vec<u8> {
    (0..digits.len() / 2 * 2)
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

/// The conversations of a capture: a request and the datagrams that answered it. Some of the captured
/// answers are cut, which is noted by a count that is past their end.
fn conversations(name: &str) -> Option<Vec<(Vec<u8>, Vec<Vec<u8>>)>> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    };
    let mut found: Vec<(Vec<u8>, Vec<Vec<u8>>)> = Vec::new();
    for line in text.lines() {
        if let Some(digits) = line.strip_prefix("> ") {
            found.push((unhex(digits), Vec::new()));
        } else if let Some(digits) = line.strip_prefix("< ") {
            found.last_mut().unwrap().1.push(unhex(digits));
        }
    }
    Some(found)
}

/// The captured items as far as they were captured.
fn captured_items(datagrams: &[Vec<u8>]) -> Vec<(String, String)> {
    let mut data = Vec::new();
    let mut whole = true;
    for datagram in datagrams {
        let count = usize::from(u16::from_be_bytes([datagram[10], datagram[11]]));
        whole &= datagram.len() >= 12 + count;
        data.extend(&datagram[12..datagram.len().min(12 + count)]);
        if !whole {
            break;
        }
    }
    let mut items = Answer { bits: 0, opcode: 0, sequence: 0, status: 0, data, datagrams: 0 }.items();
    if !whole {
        items.pop();
    }
    items
}

fn check_shape(ours: &Answer, captured: &[Vec<u8>], request: &[u8]) {
    let head = &captured[0];
    assert_eq!((ours.opcode, ours.sequence.to_be_bytes()), (head[1] & 0x1f, [request[2], request[3]]));
    if head[1] & 0x40 != 0 {
        // 4.2.6p5 knows fewer variables and operations than 4.2.8; we know all of both.
        return;
    }
    assert_eq!(ours.bits, 0x80, "an error: {ours:?} to {request:02x?}");
    if ours.opcode == 1 && request[6..8] == [0, 0] {
        assert_eq!(ours.data.len(), 8, "two associations");
        return;
    }
    let shown = ours.items();
    let mut at = 0;
    for (name, value) in captured_items(captured) {
        // Without a time constant of its own a refclock has no multicast hops to show.
        if name == "ttl" || name == "xleave" {
            continue;
        }
        let place = shown[at..].iter().position(|(n, _)| *n == name);
        let place = at + place.unwrap_or_else(|| panic!("{name} is not where ntpd has it: {shown:?}"));
        at = place + 1;
        let (expected, found) = (shape(&value), shape(&shown[place].1));
        let kernel = name.starts_with('k') && name != "keyid";
        let like =
            expected == found || kernel && matches!(found, Shape::Number | Shape::Decimals | Shape::Quoted);
        // Quoted strings may be empty, as may a time code.
        assert!(like || expected == Shape::Empty, "{name}: {value:?} and {:?}", shown[place].1);
    }
}

fn replay(name: &str) -> usize {
    let Some(conversations) = conversations(name) else { return 0 };
    let mut desk = Desk::new(|_| {});
    let ids = desk.associations();
    let mut theirs: Vec<u16> = Vec::new();
    for (index, (request, captured)) in conversations.iter().enumerate() {
        let association = u16::from_be_bytes([request[6], request[7]]);
        // As it is: every request gets an answer, except one with a nonce that is not ours.
        let with_nonce = request[1] & 0x1f == 10;
        let answer = Answer::join(&desk.raw(request, from("127.0.0.1:40000")));
        assert_eq!(answer.is_none(), with_nonce, "request {index} of {name}");
        let mut request = request.clone();
        if association != 0 {
            assert_eq!(answer.unwrap().error(), Some(4), "nobody guesses our associations");
            if !theirs.contains(&association) {
                theirs.push(association);
            }
            let position = theirs.iter().position(|id| *id == association).unwrap() % 2;
            request[6..8].copy_from_slice(&ids[position].to_be_bytes());
        }
        if with_nonce {
            let nonce = desk.asked(&ask(12, 0, "")).value("nonce");
            assert_eq!(nonce.len(), 24);
            request[12 + 6..12 + 6 + 24].copy_from_slice(nonce.as_bytes());
        }
        let ours = desk.asked(&request);
        if !captured.is_empty() {
            check_shape(&ours, captured, &request);
        }
    }
    conversations.len()
}

#[test]
fn every_request_of_the_captures_gets_an_answer_of_the_right_shape() {
    let (older, newer) = (replay("mode6-ntpd-4.2.6p5.txt"), replay("mode6-ntpd-4.3.91.txt"));
    println!("{older} and {newer} requests replayed");
}

#[test]
fn what_ntpstat_reads_is_in_the_first_datagram() {
    let mut desk = Desk::new(|_| {});
    let mut packet = vec![0x16, 2, 0, 1];
    packet.resize(576, 0);
    let datagrams = desk.raw(&packet, from("127.0.0.1:40000"));
    let first = String::from_utf8(datagrams[0][12..].to_vec()).unwrap();
    let at = |name: &str| first.find(name).unwrap_or_else(|| panic!("{name} in {first}"));
    for name in ["stratum=", "rootdelay=", "rootdisp=", "refid="] {
        at(name);
    }
    assert!(at("tc=") < at("mintc="));
    assert_eq!((datagrams[0][0] & 0x3f, datagrams[0][1]), (0x16, 0x82));
}

#[test]
fn every_variable_of_ntpd_is_known_by_name() {
    let system = "leap stratum precision rootdelay rootdisp refid reftime tc peer offset frequency sys_jitter \
        clk_jitter clock processor system version clk_wander sys_var_list tai leapsec expire mintc mru_enabled \
        mru_depth mru_deepest mru_mindepth mru_maxage mru_maxdepth mru_mem mru_maxmem ss_uptime ss_reset \
        ss_received ss_thisver ss_oldver ss_badformat ss_badauth ss_declined ss_restricted ss_limited \
        ss_kodsent ss_processed ss_lamport ss_tsrounding peeradr peermode bcastdelay authdelay authkeys \
        authfreek authklookups authknotfound authkuncached authkexpired authencrypts authdecrypts authreset \
        koffset kfreq kmaxerr kesterr kstflags ktimeconst kprecis kfreqtol kppsfreq kppsstab kppsjitter \
        kppscalibdur kppscalibs kppscaliberrs kppsjitexc kppsstbexc iostats_reset total_rbuf free_rbuf \
        used_rbuf rbuf_lowater io_dropped io_ignored io_received io_sent io_sendfailed io_wakeups \
        io_goodwakeups timerstats_reset timer_overruns timer_xmts fuzz clk_wander_threshold rootdist \
        leapsmearinterval leapsmearoffset site";
    let peer = "config authenable authentic srcadr srcport dstadr dstport leap hmode stratum ppoll hpoll \
        precision rootdelay rootdisp refid reftime org rec xleave reach unreach timer delay offset jitter \
        dispersion keyid filtdelay filtoffset pmode received sent filtdisp flash ttl peer_var_list in out \
        headway bias srchost timerec timereach badauth bogusorg oldpkt seldisp selbroken candidate";
    let clock = "type timecode poll noreply badformat baddata fudgetime1 fudgetime2 stratum refid flags device \
        clock_var_list";
    let mut desk = Desk::new(|_| {});
    let ids = desk.associations();
    let silent = BTreeSet::from([
        "tai",
        "leapsec",
        "expire",
        "leapsmearinterval",
        "leapsmearoffset",
        "ttl",
        "in",
        "out",
        "bias",
        "srchost",
        "fudgetime2",
        "xleave",
    ]);
    for (opcode, id, names) in [(2, 0, system), (2, ids[1], peer), (4, ids[0], clock)] {
        for name in names.split_whitespace() {
            let answer = desk.asked(&ask(opcode, id, name));
            assert_eq!(answer.error(), None, "{name}");
            assert!(silent.contains(name) || answer.items()[0].0 == name, "{name}: {answer:?}");
        }
    }
    let answer = desk.asked(&ask(2, 0, "kfreq,kmaxerr,kstflags,kppsfreq"));
    assert_eq!(answer.text(), "kfreq=-12.5, kmaxerr=16000, kstflags=\"unsync nano\", kppsfreq=0\r\n");
}

#[test]
fn names_come_in_ntpds_order_and_once() {
    let mut desk = Desk::new(|_| {});
    let text = desk.asked(&ask(2, 0, "peer,stratum=5, tc ,stratum,,site")).text();
    let names: Vec<&str> = text.split(',').map(|item| item.trim().split('=').next().unwrap()).collect();
    assert_eq!(names, ["stratum", "tc", "peer", "site"]);
}

#[test]
fn errors_have_the_numbers_of_the_rfc() {
    let mut desk = Desk::new(|config| {
        let target = RestrictTarget::Net { address: ip("10.0.0.1"), mask: ip("255.255.255.255") };
        let flags = AccessFlags::NOMODIFY.union(AccessFlags::NOMRULIST);
        config.restrict = vec![Restrict { target, flags, ntpport: false, origin: Origin::default() }];
    });
    let id = desk.associations()[1];
    assert_eq!(desk.error(&ask(2, 0, "nonsense")), Some(5));
    assert_eq!(desk.error(&ask(2, 0, "stratum,nonsense")), Some(5));
    assert_eq!(desk.error(&ask(2, 1, "")), Some(4));
    assert_eq!(desk.error(&ask(4, id, "")), Some(4), "no clock");
    for opcode in [6, 7, 13, 30, 31] {
        assert_eq!(desk.error(&ask(opcode, 0, "")), Some(3), "traps, and what there is not: {opcode}");
    }
    let mut cut = ask(2, 0, "stratum");
    cut.truncate(16);
    assert_eq!(desk.error(&cut), Some(2));
    for opcode in [3, 5, 8, 9, 11] {
        assert_eq!(desk.error(&ask(opcode, 0, "x")), Some(1), "{opcode} without a key");
        assert_eq!(desk.error(&sign(ask(opcode, 0, "x"), KeyId(8))), Some(1), "{opcode} with another key");
    }
    assert_eq!(
        desk.error(&sign(ask(8, id, "x"), CONTROL_KEY)),
        Some(6),
        "configuration is not an association's"
    );
    let restricted = desk.raw(&sign(ask(8, 0, "server 192.0.2.5"), CONTROL_KEY), from("10.0.0.1:5"));
    assert_eq!(Answer::join(&restricted).unwrap().error(), Some(7));
    let restricted = desk.raw(&ask(10, 0, "nonce=x, frags=1"), from("10.0.0.1:5"));
    assert_eq!(Answer::join(&restricted).unwrap().error(), Some(7));
    assert!(desk.raw(&[0x2e, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], from("10.0.0.1:5")).is_empty(), "version 5");
}

#[test]
fn configuration_needs_the_control_key_and_changes_only_what_differs() {
    let mut desk = Desk::new(|_| {});
    let before = desk.associations();
    let mut forged = sign(ask(8, 0, "server 192.0.2.5 iburst"), CONTROL_KEY);
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(desk.error(&forged), Some(1));
    assert_eq!(desk.associations(), before);
    let datagrams = desk.raw(&sign(ask(8, 0, "server 192.0.2.5 iburst"), CONTROL_KEY), from("10.0.0.1:5"));
    let answer = Answer::join(&datagrams).unwrap();
    assert_eq!(answer.text(), "0 found");
    // The answer is signed with the same key, behind a padding to eight octets.
    let at = (12 + answer.data.len()).next_multiple_of(8);
    let signed = sign(datagrams[0][..at].to_vec(), CONTROL_KEY);
    assert_eq!(datagrams[0], signed);
    let after = desk.associations();
    assert_eq!((after.len(), &after[..2]), (3, &before[..]));
    assert_eq!(desk.bench.happened(|e| matches!(e, Event::Mobilized(p) if p.address == ip("192.0.2.5"))), 1);
    desk.asked(&sign(ask(8, 0, "unpeer 192.0.2.5"), CONTROL_KEY));
    assert_eq!(desk.associations(), before);
    desk.asked(&sign(ask(8, 0, "restrict 10.0.0.7 noquery"), CONTROL_KEY));
    assert!(desk.raw(&ask(2, 0, ""), from("10.0.0.7:1000")).is_empty());
}

#[test]
fn every_kind_of_key_can_be_the_control_key() {
    for key in [KeyId(7), KeyId(8), KeyId(9)] {
        let mut desk = Desk::new(|config| config.auth.control = Some(key));
        assert_eq!(desk.error(&sign(ask(3, 0, "site=cellar"), key)), None);
        assert_eq!(desk.asked(&ask(2, 0, "site")).text(), "site=cellar\r\n");
        // RFC 9327 pads to four octets.
        let mut packet = ask(3, 0, "site=up");
        assert_eq!(packet.len() % 8, 4);
        packet.truncate(packet.len().next_multiple_of(4));
        assert!(Keys::new(&keys(), &[key]).sign(key, &mut packet));
        assert_eq!(desk.error(&packet), None);
    }
    let mut desk = Desk::new(|config| config.auth.control = None);
    assert_eq!(desk.error(&sign(ask(3, 0, "site=x"), CONTROL_KEY)), Some(1), "no controlkey, no writing");
}

#[test]
fn only_variables_of_the_configuration_can_be_written() {
    let mut desk = Desk::new(|_| {});
    let id = desk.associations()[0];
    let mut write = |data: &str, id| desk.error(&sign(ask(3, id, data), CONTROL_KEY));
    assert_eq!(write("site=cellar", 0), None);
    assert_eq!(write("site=x, leap=1", 0), Some(1));
    assert_eq!(write("nonsense=1", 0), Some(5));
    assert_eq!(write("site", 0), Some(2));
    assert_eq!(write("site=1", id), Some(1));
    assert_eq!(
        desk.error(&sign(ask(5, id, "stratum=3"), CONTROL_KEY)),
        Some(1),
        "clocks are fudged by configuration"
    );
    assert_eq!(desk.asked(&ask(2, 0, "site")).text(), "site=cellar\r\n", "all or nothing");
}

#[test]
fn saveconfig_and_ordered_lists() {
    let mut desk = Desk::new(|_| {});
    let saved = desk.asked(&sign(ask(9, 0, "now.conf"), CONTROL_KEY));
    assert_eq!(saved.text(), "saved now.conf");
    assert_eq!(desk.asked(&ask(2, 0, "savedconfig")).text(), "savedconfig=now.conf\r\n");
    let list = desk.asked(&sign(ask(11, 0, "addr_restrictions"), CONTROL_KEY));
    let items = list.items();
    let flags: Vec<_> =
        items.iter().filter(|(n, _)| n.starts_with("flags.")).map(|(_, v)| v.as_str()).collect();
    assert_eq!(flags, ["interface ntpport ignore", "", ""], "our address, then the defaults");
    assert!(list.value("hits.1").parse::<u64>().unwrap() > 0);
    assert_eq!(desk.error(&sign(ask(11, 0, "ifstats"), CONTROL_KEY)), None);
    assert_eq!(desk.error(&sign(ask(11, 0, "nonsense"), CONTROL_KEY)), Some(5));
}

#[test]
fn events_are_counted_until_somebody_with_a_key_has_looked() {
    let mut desk = Desk::new(|_| {});
    let id = desk.associations()[1];
    let status = desk.asked(&ask(2, id, "")).status;
    assert_eq!(status & 0xff, 0x11, "mobilized once");
    desk.asked(&sign(ask(2, id, ""), KeyId(8)));
    assert_eq!(desk.asked(&ask(2, id, "")).status & 0xff, 0x01);
    let system = desk.asked(&ask(2, 0, "")).status;
    assert!(system & 0xf0 != 0);
    desk.asked(&sign(ask(2, 0, ""), KeyId(8)));
    assert_eq!(desk.asked(&ask(2, 0, "")).status & 0xf0, 0);
}

#[test]
fn control_mode_amplification_2016_9310() {
    let mut desk = Desk::new(|config| {
        let target = RestrictTarget::Net { address: ip("192.0.2.0"), mask: ip("255.255.255.0") };
        let (flags, origin) = (AccessFlags::NOQUERY, Origin::default());
        config.restrict = vec![Restrict { target, flags, ntpport: false, origin }];
    });
    // Ten seconds of forged requests, a thousand a second, each from another address.
    let begin = desk.bench.time;
    let (mut datagrams, mut octets) = (0, 0);
    for i in 0..10_000u32 {
        desk.bench.time = begin + f64::from(i) * 1e-3;
        let client = SocketAddr::from((Ipv4Addr::from_bits(0xc633_6400 + i), 123));
        let sent = desk.raw(&ask(2, 0, ""), client);
        datagrams += sent.len();
        octets += sent.iter().map(Vec::len).sum::<usize>();
    }
    let most = BURST + RATE * 10.0 + 4.0;
    assert!(datagrams as f64 <= most && datagrams as f64 > most * 0.9, "{datagrams}");
    println!("10,000 forged requests of 12 octets: {datagrams} datagrams, {octets} octets");
    // Neither the machine itself nor who has a key waits for the forger to stop.
    assert_eq!(desk.raw(&ask(2, 0, ""), from("198.51.100.1:123")).len(), 0);
    assert!(!desk.raw(&ask(2, 0, ""), from("127.0.0.1:5000")).is_empty());
    assert!(!desk.raw(&sign(ask(2, 0, ""), KeyId(8)), from("198.51.100.1:123")).is_empty());
    desk.bench.time += 5.0;
    assert!(!desk.raw(&ask(2, 0, ""), from("198.51.100.1:123")).is_empty());
    assert!(desk.raw(&sign(ask(2, 0, ""), CONTROL_KEY), from("192.0.2.9:123")).is_empty(), "noquery");
}

/// Lets `count` clients ask for the time.
fn arrive(bench: &mut Bench, first: u32, count: u32) {
    let asked = request(4, Mode::Client).to_bytes();
    for i in first..first + count {
        bench.time += 1e-5;
        let client = SocketAddr::from((Ipv4Addr::from_bits(0x0b00_0000 + i), 4000));
        bench.ask(&asked, client);
    }
}

/// A reader of the client list as ntpq is one: batches with nonces, going on behind what it has.
struct Reader {
    entries: Vec<(String, String)>,
    seen: BTreeSet<String>,
    requests: usize,
    finished: bool,
    /// The last batch brought one.
    nonce: Option<String>,
}

impl Reader {
    fn new() -> Self {
        Self { entries: Vec::new(), seen: BTreeSet::new(), requests: 0, finished: false, nonce: None }
    }

    fn batch(&mut self, desk: &mut Desk, client: SocketAddr, options: &str) -> Answer {
        let nonce = self
            .nonce
            .take()
            .unwrap_or_else(|| Answer::join(&desk.raw(&ask(12, 0, ""), client)).unwrap().value("nonce"));
        let mut data = format!("nonce={nonce}, {options}");
        for (index, (address, last)) in self.entries.iter().rev().take(16).enumerate() {
            let more = format!(", addr.{index}={address}, last.{index}={last}");
            if data.len() + more.len() > 468 {
                break;
            }
            data += &more;
        }
        self.requests += 1;
        let datagrams = desk.raw(&ask(10, 0, &data), client);
        let answer = Answer::join(&datagrams).unwrap();
        assert!(answer.datagrams <= 32, "{} datagrams", answer.datagrams);
        if answer.error() == Some(5) {
            // All that we named was heard again: go back.
            self.entries.truncate(self.entries.len().saturating_sub(16));
            return answer;
        }
        assert_eq!(answer.error(), None);
        let items = answer.items();
        assert!(items[0].0 == "nonce" || items[0].0 == "last.older", "{:?}", items[0]);
        for (name, address) in items.iter().filter(|(n, _)| n.starts_with("addr.") && n != "addr.older") {
            let index = name.trim_start_matches("addr.");
            let last = items.iter().find(|(n, _)| *n == format!("last.{index}")).unwrap();
            self.entries.push((address.clone(), last.1.clone()));
            self.seen.insert(address.clone());
        }
        self.nonce = Some(answer.value("nonce"));
        self.finished = items.iter().any(|(n, _)| n == "now");
        answer
    }
}

#[test]
fn a_list_of_50_000_clients_is_read_to_its_end_while_clients_arrive() {
    let mut desk = Desk::new(|config| config.mru = Mru { maxdepth: 80_000, ..Mru::default() });
    arrive(&mut desk.bench, 0, 50_000);
    let client = from("198.51.100.77:5555");
    let mut reader = Reader::new();
    let mut newcomers = 50_000;
    while !reader.finished {
        reader.batch(&mut desk, client, "frags=32");
        // Ten new clients, and ten of the old ones again, between two batches.
        arrive(&mut desk.bench, newcomers, 10);
        arrive(&mut desk.bench, reader.requests as u32 * 37 % 50_000, 10);
        newcomers += 10;
        assert!(reader.requests < 2_000, "{} entries", reader.seen.len());
    }
    println!("{} entries in {} requests", reader.seen.len(), reader.requests);
    assert!(reader.seen.len() >= 50_000);
    let newest = format!("{}:4000", Ipv4Addr::from_bits(0x0b00_0000 + newcomers - 11));
    assert!(reader.seen.contains(&newest), "to the end");
}

#[test]
fn the_client_list_can_be_asked_for_in_part() {
    let mut desk = Desk::new(|_| {});
    arrive(&mut desk.bench, 0, 40);
    arrive(&mut desk.bench, 5, 3);
    let client = from("198.51.100.77:5555");
    let mut count = |options: &str| {
        let mut reader = Reader::new();
        reader.batch(&mut desk, client, options);
        reader.entries.iter().filter(|(address, _)| address.starts_with("11.")).count()
    };
    assert_eq!(count("frags=32"), 40);
    assert_eq!(count("frags=32, mincount=2"), 3);
    assert_eq!(count("limit=7"), 7);
    assert!((4..10).contains(&count("frags=2")));
    assert_eq!(count("frags=32, laddr=10.0.0.99"), 40);
    assert_eq!(count("frags=32, laddr=10.0.0.98"), 0);
    assert_eq!(count("frags=32, resany=0x20"), 0);
    assert_eq!(count("frags=32, recent=5"), 4, "the asker itself is the newest");
    assert_eq!(count("frags=32, minlstint=5"), 0);
    assert_eq!(count("frags=32, maxlstint=5"), 40);
    // One entry by its address, in spite of its time.
    let mut reader = Reader::new();
    reader.batch(&mut desk, client, "limit=3");
    let three = reader.entries.clone();
    reader.entries.truncate(2);
    let answer = reader.batch(&mut desk, client, "limit=1");
    assert_eq!(answer.value("addr.0"), three[1].0, "limit=1 asks for the entry itself");
    assert_eq!(answer.value("addr.older"), three[1].0);
    let nonce = |desk: &mut Desk| Answer::join(&desk.raw(&ask(12, 0, ""), client)).unwrap().value("nonce");
    for wrong in ["frags=0", "frags=200", "limit=x, frags=1", "resall=5, frags=1"] {
        let packet = ask(10, 0, &format!("nonce={}, {wrong}", nonce(&mut desk)));
        assert_eq!(Answer::join(&desk.raw(&packet, client)).unwrap().error(), Some(6), "{wrong}");
    }
    // Without a nonce of its own nobody gets anything.
    let other = ask(10, 0, &format!("nonce={}, frags=32", nonce(&mut desk)));
    assert!(desk.raw(&other, from("198.51.100.78:5555")).is_empty());
    assert!(desk.raw(&ask(10, 0, "frags=32"), client).is_empty());
}

fn packets() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "stratum",
        "kfreq",
        "nonce=",
        "frags=32",
        "limit=1",
        "addr.0=1.2.3.4:5",
        "last.0=0x1.2",
        "ifstats",
        "site=x",
        "server 192.0.2.5",
        "unpeer 1",
        "restrict default ignore",
        "%Y",
        "",
        "\u{ff}",
        ",,=,",
        "resall=0x1",
    ]);
    let data = prop_oneof![
        prop::collection::vec(words, 0..6).prop_map(|words| words.join(", ").into_bytes()),
        prop::collection::vec(any::<u8>(), 0..480),
    ];
    let signed = prop::sample::select(vec![None, Some(KeyId(7)), Some(KeyId(8)), Some(KeyId(9))]);
    (0u8..32, any::<u16>(), data, signed, prop::option::of((any::<prop::sample::Index>(), any::<u8>())))
        .prop_map(|(opcode, association, data, signed, change)| {
            let association = if association % 2 == 0 { 0 } else { association };
            let mut packet = ask(opcode, association, "");
            packet[10..12].copy_from_slice(&(data.len() as u16).to_be_bytes());
            packet.extend(data);
            packet.resize(packet.len().next_multiple_of(4), 0);
            if let Some(key) = signed {
                packet = sign(packet, key);
            }
            if let Some((at, octet)) = change {
                let at = at.index(packet.len());
                packet[at] = octet;
            }
            packet
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]
    #[test]
    fn any_packets_get_bounded_answers(packets in prop::collection::vec(packets(), 1..12)) {
        let mut desk = Desk::new(|_| {});
        arrive(&mut desk.bench, 0, 20);
        for packet in packets {
            let datagrams = desk.raw(&packet, from("127.0.0.1:4001"));
            prop_assert!(datagrams.len() <= 128);
            if let Some(answer) = Answer::join(&datagrams) {
                prop_assert!(answer.bits == 0x80 || answer.bits == 0xc0);
            }
        }
    }
}
