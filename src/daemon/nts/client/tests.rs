//! Key exchanges over the loopback interface, with servers in threads.

use super::*;
use crate::config::model::Family;
use crate::daemon::files::{Scratch, scratch};
use crate::daemon::nts::test_server::{self, Certificate, fixture};
use crate::engine::contract::{CertificateCheck, CookieOrigin};
use crate::units::{Aead, Host, Seconds};
use crate::wire::nts::ALPN;
use crate::wire::nts::records;
use mio::{Events, Poll, Waker};
use rustls::{ServerConnection, StreamOwned};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const RESOLVER: Token = Token(1);
const ANSWER: &str = "8001 0002 0000 8004 0002 000f 0005 000c 000102030405060708090a0b";

/// The client with a loop of its own.
struct Rig {
    poll: Poll,
    resolver: Resolver,
    client: KeyClient,
    folder: Scratch,
}

impl Rig {
    fn new(name: &str) -> Self {
        let poll = Poll::new().unwrap();
        let waker = Waker::new(poll.registry(), RESOLVER).unwrap();
        let resolver = Resolver::start(Box::new(move || waker.wake().unwrap()));
        let folder = scratch(name);
        let mut config = Config::default();
        config.nts.dump = Some(folder.path().to_owned());
        let mut client = KeyClient::new(&config);
        client.watch(std::rc::Rc::new(poll.registry().try_clone().unwrap()));
        Self { poll, resolver, client, folder }
    }

    fn establish(&mut self, id: u16, request: &KeyRequest) {
        self.client.establish(AssocId(id), request.clone(), &mut self.resolver);
    }

    /// The next result, however long it takes.
    fn result(&mut self) -> (u16, Outcome) {
        let until = Instant::now() + Duration::from_secs(20);
        let mut events = Events::with_capacity(16);
        loop {
            if let Some((id, outcome)) = self.client.next_result() {
                return (id.0, outcome);
            }
            assert!(Instant::now() < until, "no result");
            self.poll.poll(&mut events, Some(Duration::from_secs(1))).unwrap();
            for event in &events {
                if event.token() == RESOLVER {
                    while let Some((id, answer)) = self.resolver.poll() {
                        assert_eq!(self.client.resolved(id, answer, &mut self.resolver), None);
                    }
                } else {
                    assert!(self.client.ready(event.token(), &mut self.resolver));
                }
            }
            self.client.work(clock::mono(), &mut self.resolver);
        }
    }

    fn failure(&mut self, request: &KeyRequest) -> (FailureClass, String) {
        self.establish(1, request);
        let why = self.result().1.unwrap_err();
        (why.class, why.text)
    }
}

fn request(at: SocketAddr) -> KeyRequest {
    KeyRequest {
        server: at.ip().to_string(),
        port: at.port(),
        family: Family::Any,
        ca: Some(fixture("ca.pem")),
        check: CertificateCheck::Whole,
        aeads: vec![Aead::AesSivCmac256],
        avoid: Vec::new(),
        from: CookieSource::Server,
    }
}

/// A server that answers each connection with these records.
fn serve(answer: &str, connections: usize) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let config = Arc::new(test_server::config(Certificate::Server, &[ALPN]));
    let answer = test_server::hex(answer);
    let thread = std::thread::spawn(move || {
        for stream in listener.incoming().take(connections) {
            let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(tls, stream.unwrap());
            let (mut request, mut piece) = (Vec::new(), [0; 1024]);
            while records::end(&request).is_none() {
                let Ok(length @ 1..) = stream.read(&mut piece) else { break };
                request.extend(&piece[..length]);
            }
            let _it_may_have_left = stream.write_all(&answer).and_then(|()| stream.flush());
        }
    });
    (at, thread)
}

#[test]
fn a_key_exchange_gives_keys_and_the_ntp_server() {
    let mut rig = Rig::new("nts-client");
    let cases = [
        ("8000 0000", "127.0.0.1", 123),
        ("0007 0002 1000 8006 0007 3a3a6666666666 8000 0000", "", 0),
        ("0007 0002 1000 8006 0009 3132372e302e302e31 8000 0000", "127.0.0.1", 4096),
        ("8006 0009 3139322e302e322e39 8000 0000", "192.0.2.9", 123),
        ("8006 0009 6c6f63616c686f7374 8000 0000", "127.0.0.1", 123),
    ];
    for (rest, ip, port) in cases {
        let (at, thread) = serve(&format!("{ANSWER} {rest}"), 1);
        rig.establish(7, &request(at));
        let (id, outcome) = rig.result();
        assert_eq!(id, 7);
        match outcome {
            Ok(got) => {
                assert_eq!((got.host.ip.to_string().as_str(), got.port), (ip, port));
                assert_eq!((got.aead, got.origin), (Aead::AesSivCmac256, CookieOrigin::Server));
                assert!(got.valid.unwrap().from == 1_577_836_800 && got.made > 1_700_000_000);
                assert_eq!(got.cookies.len(), 1);
            }
            // A name that does not resolve. Whether localhost with a dot does is the machine's choice.
            Err(why) => {
                assert!(ip.is_empty() || rest.contains("6c6f63616c"), "{why:?}");
                assert_eq!(why.class, FailureClass::Name);
                assert!(why.text.starts_with("cannot resolve "), "{}", why.text);
            }
        }
        thread.join().unwrap();
    }
    assert_eq!(rig.client.next_deadline(), None);
}

#[test]
fn ntp_servers_that_are_none_are_not_taken() {
    let mut rig = Rig::new("nts-client-none");
    let (at, thread) = serve(&format!("{ANSWER} 8006 0009 3232342e302e312e31 8000 0000"), 1);
    let text = "the NTP server that it names, 224.0.1.1, cannot be used";
    assert_eq!(rig.failure(&request(at)), (FailureClass::Protocol, text.to_owned()));
    thread.join().unwrap();
    let (at, thread) = serve(&format!("{ANSWER} 8006 0003 3a3a31 8000 0000"), 1);
    let text = "the NTP server that it names, ::1, cannot be used";
    let v4 = KeyRequest { family: Family::V4, ..request(at) };
    assert_eq!(rig.failure(&v4), (FailureClass::Protocol, text.to_owned()));
    thread.join().unwrap();
}

#[test]
fn the_addresses_of_other_sources_are_tried_last() {
    let mut rig = Rig::new("nts-client-avoid");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let ip = |last| std::net::IpAddr::from([127, 0, 0, last]);
    for (avoid, first) in [(vec![ip(1), ip(3)], ip(2)), (vec![ip(3), ip(2), ip(1)], ip(1))] {
        let request = KeyRequest { server: "a.invalid".to_owned(), avoid, ..request(at) };
        rig.client.running.insert(AssocId(1), Session::new(request, clock::mono()));
        rig.client.step(AssocId(1), &mut rig.resolver, Session::begin);
        let answer = Ok([1, 2, 3].map(|last| Host::from(ip(last))).to_vec());
        rig.client.step(AssocId(1), &mut rig.resolver, |session, around| session.resolved(answer, around));
        let session = rig.client.running.get(&AssocId(1)).unwrap();
        let attempt = format!("host: {:?}", Host::from(first));
        assert!(format!("{session:?}").contains(&attempt), "{session:?}");
    }
}

#[test]
fn failures_have_their_class_and_say_what_to_do() {
    let mut rig = Rig::new("nts-client-failures");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    drop(listener);
    let text =
        format!("cannot connect to TCP port {} of 127.0.0.1: Connection refused (127.0.0.1)", at.port());
    assert_eq!(rig.failure(&request(at)), (FailureClass::Connection, text));

    let nowhere = KeyRequest { server: "a.invalid".to_owned(), ..request(at) };
    let (class, text) = rig.failure(&nowhere);
    assert_eq!(class, FailureClass::Name);
    assert!(text.starts_with("cannot resolve a.invalid: "), "{text}");
    let v6 = KeyRequest { family: Family::V6, ..request(at) };
    let text = "127.0.0.1 is no address of the family that is wanted".to_owned();
    assert_eq!(rig.failure(&v6), (FailureClass::Name, text));

    let (at, thread) = serve("8000 0000", 1);
    let no_ca = KeyRequest { ca: Some("/nowhere/ca.pem".into()), ..request(at) };
    let text = "cannot read the CA store /nowhere/ca.pem: No such file or directory".to_owned();
    assert_eq!(rig.failure(&no_ca), (FailureClass::Tls, text));
    thread.join().unwrap();

    // One that closes at once.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || drop(listener.accept().unwrap()));
    let (class, text) = rig.failure(&request(at));
    assert_eq!(class, FailureClass::Connection);
    assert!(
        text.contains("closed the connection during the TLS handshake") || text.contains("reset"),
        "{text}"
    );
    thread.join().unwrap();
}

#[test]
fn nothing_takes_longer_than_16_seconds() {
    let mut rig = Rig::new("nts-client-late");
    // It accepts, and that is all.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = request(listener.local_addr().unwrap());
    for id in 1..=6 {
        rig.establish(id, &silent);
    }
    assert_eq!((rig.client.running.len(), rig.client.waiting.len()), (AT_A_TIME, 2));
    // A second one of the same association takes the place of the first.
    rig.establish(6, &silent);
    assert_eq!((rig.client.running.len(), rig.client.waiting.len()), (AT_A_TIME, 2));
    let due = rig.client.next_deadline().unwrap();
    assert!(due <= clock::mono() + Seconds::new(16.0));
    let mut events = Events::with_capacity(16);
    rig.poll.poll(&mut events, Some(Duration::from_secs(5))).unwrap();
    for event in &events {
        rig.client.ready(event.token(), &mut rig.resolver);
    }
    let late = clock::mono() + Seconds::new(16.0);
    rig.client.work(late, &mut rig.resolver);
    for id in 1..=4 {
        let (of, outcome) = rig.client.next_result().unwrap();
        let why = outcome.unwrap_err();
        assert_eq!((of.0, why.class), (id, FailureClass::Connection));
        assert_eq!(why.text, "127.0.0.1 (127.0.0.1) gave no answer within 16 s");
    }
    assert_eq!((rig.client.running.len(), rig.client.waiting.len()), (2, 0));
    assert_eq!(rig.client.next_result(), None);
}

#[test]
fn many_take_their_turns() {
    let mut rig = Rig::new("nts-client-many");
    let (at, thread) = serve(&format!("{ANSWER} 8000 0000"), 12);
    for id in 1..=12 {
        rig.establish(id, &request(at));
    }
    let mut ids: Vec<u16> = (1..=12)
        .map(|_| {
            let (id, outcome) = rig.result();
            assert!(rig.client.running.len() <= AT_A_TIME && outcome.is_ok(), "{outcome:?}");
            id
        })
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=12).collect::<Vec<_>>());
    thread.join().unwrap();
}

#[test]
fn cookies_on_disk_come_first_where_they_are_wanted() {
    let mut rig = Rig::new("nts-client-disk");
    let (at, thread) = serve(&format!("{ANSWER} 8000 0000"), 2);
    let disk = KeyRequest { from: CookieSource::DiskFirst, ..request(at) };
    rig.establish(1, &disk);
    let established = *rig.result().1.unwrap();
    assert_eq!(established.origin, CookieOrigin::Server, "nothing was kept");
    let kept = Kept { server: disk.server.clone(), port: disk.port, established: established.clone() };
    rig.client.keep(&kept);
    assert_eq!(rig.client.take_notices(), []);

    rig.establish(1, &disk);
    let from_disk = *rig.client.next_result().unwrap().1.unwrap();
    assert_eq!(from_disk, Established { origin: CookieOrigin::Disk, ..established });
    assert_eq!(rig.client.cookies_made, Some(from_disk.made));
    assert_eq!(std::fs::read_dir(rig.folder.path()).unwrap().count(), 0, "they are used once");

    // Those of an algorithm that is not wanted any more are not used.
    rig.client.keep(&kept);
    let other = KeyRequest { aeads: vec![Aead::Aes128GcmSiv], ..disk };
    rig.establish(1, &other);
    let why = rig.result().1.unwrap_err();
    assert_eq!(why.text, "it chose algorithm 15, which was not offered");
    thread.join().unwrap();

    let file = rig.folder.path().join(format!("nts-127.0.0.1.{}", at.port()));
    std::fs::write(&file, "something else").unwrap();
    rig.establish(1, &KeyRequest { from: CookieSource::DiskFirst, ..request(at) });
    let (level, text) = rig.client.take_notices().remove(0);
    assert_eq!(level, Level::Warning);
    assert!(text.ends_with("removed: it does not hold NTS cookies of this version"), "{text}");
    assert_eq!(rig.result().1.unwrap_err().class, FailureClass::Connection);
    rig.client.folder = Some("/nowhere".into());
    rig.client.keep(&kept);
    assert_eq!(rig.client.take_notices().len(), 1);
}

#[test]
fn tokens_and_lookups_of_others_are_left_alone() {
    let mut rig = Rig::new("nts-client-tokens");
    for token in [0, 5, 1 << 32, usize::MAX, 1 << (usize::BITS - 1)] {
        assert!(!rig.client.ready(Token(token), &mut rig.resolver), "{token:x}");
    }
    assert!(rig.client.ready(Token(FIRST_TOKEN + 40), &mut rig.resolver), "one that has ended");
    let answer = Ok(Vec::new());
    let back = rig.client.resolved(LookupId(9), answer.clone(), &mut rig.resolver);
    assert_eq!(back, Some(answer.clone()));
    assert_eq!(rig.client.resolved(LookupId(1 << 63), answer, &mut rig.resolver), None);
}
