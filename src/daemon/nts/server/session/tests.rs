//! Key exchanges in memory, with rustls's client.

use super::*;
use crate::engine::contract::Keys;
use crate::wire::nts::master::{MasterKey, MasterKeys};
use crate::wire::nts::records::BadResponse;
use rand_chacha::rand_core::SeedableRng as _;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/nts").join(name)
}

/// The server's end of a connection in memory.
#[derive(Default)]
struct Pipe {
    incoming: VecDeque<u8>,
    outgoing: Vec<u8>,
    /// The client will send no more.
    over: bool,
    ended: bool,
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.incoming.is_empty() && !self.over {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.incoming.read(buffer)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outgoing.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Pipe {
    fn end(&mut self) {
        self.ended = true;
    }
}

fn master() -> MasterKeys {
    MasterKeys { rotated: 0, current: MasterKey::new(7, &[7; 32]).unwrap(), old: Vec::new(), next: None }
}

fn answers() -> Answers {
    let rng = ChaCha20Rng::from_seed([1; 32]);
    Answers { aeads: Vec::new(), port: None, cookies: Some(Cookies::new(&master())), rng, made: 0 }
}

fn server() -> Session<Pipe> {
    let config =
        crate::daemon::nts::server::identity::configured(&fixture("server.pem"), &fixture("key.pem"))
            .unwrap();
    Session::new(Pipe::default(), config).unwrap()
}

fn client(alpn: &[&[u8]]) -> ClientConnection {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(fixture("ca.pem")).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(tls::provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    ClientConnection::new(Arc::new(config), "ke.test".try_into().unwrap()).unwrap()
}

/// What a client got that sent these messages, and what the server made of it.
struct Exchange {
    message: Vec<u8>,
    /// Of the algorithms of `exports`, with these numbers in the context.
    client: ClientConnection,
    outcome: Outcome,
    ended: bool,
}

fn exchange_by(answers: &mut Answers, alpn: &[&[u8]], request: &[u8]) -> Exchange {
    let (mut server, mut client) = (server(), client(alpn));
    client.writer().write_all(request).unwrap();
    let (mut message, mut outcome) = (Vec::new(), None);
    for _ in 0..20 {
        while client.wants_write() {
            client.write_tls(&mut server.stream().incoming).unwrap();
        }
        outcome = outcome.or_else(|| server.go_on(answers));
        let from_server = std::mem::take(&mut server.stream().outgoing);
        let mut rest = &from_server[..];
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            if client.process_new_packets().is_err() {
                break;
            }
        }
        let _so_far = client.reader().read_to_end(&mut message);
    }
    // A good client closes when it has its answer.
    server.stream().over = true;
    let outcome = outcome.or_else(|| server.go_on(answers)).unwrap();
    let ended = server.stream().ended;
    Exchange { message, client, outcome, ended }
}

fn exchange(answers: &mut Answers, request: &Request) -> Exchange {
    exchange_by(answers, &[ALPN], &request.to_bytes())
}

fn offering(aeads: &[Aead]) -> Request {
    Request { aeads: aeads.to_vec(), ntpv4: true, compliant_export: false }
}

/// The keys of the client's side, and what its first cookie holds.
fn keys_of(done: &Exchange, response: &Response, number: u16) -> (Keys, Opened) {
    let keys = tls::export(&done.client, response.aead, number).unwrap();
    (keys, Cookies::new(&master()).open(&response.cookies[0]).unwrap())
}

#[test]
fn a_client_gets_eight_cookies_with_the_keys_of_its_connection() {
    for aead in Aead::ALL {
        for compliant_export in [false, true] {
            let mut answers = answers();
            let done = exchange(&mut answers, &Request { compliant_export, ..offering(&[aead]) });
            assert_eq!((done.outcome, done.ended, answers.made), (Outcome::Good, true, 8));
            let response = Response::parse(&done.message, &[aead]).unwrap();
            assert_eq!((response.aead, response.cookies.len(), response.port), (aead, 8, None));
            let gcm = aead == Aead::Aes128GcmSiv;
            assert_eq!(response.compliant_export, compliant_export && gcm);
            let number = if gcm && !compliant_export { 15 } else { aead.number() };
            let (keys, opened) = keys_of(&done, &response, number);
            assert_eq!((keys.to_server, keys.to_client), (opened.to_server, opened.to_client));
        }
    }
}

#[test]
fn the_algorithm_is_the_clients_choice_unless_ours_are_listed() {
    use Aead::{Aes128GcmSiv, AesSivCmac256, AesSivCmac512};
    let mut answers = answers();
    answers.port = Some(4123);
    let offered = [AesSivCmac512, AesSivCmac256, Aes128GcmSiv];
    let done = exchange(&mut answers, &offering(&offered));
    let response = Response::parse(&done.message, &offered).unwrap();
    assert_eq!((response.aead, response.port), (AesSivCmac512, Some(4123)));
    answers.aeads = vec![Aes128GcmSiv, AesSivCmac256];
    let done = exchange(&mut answers, &offering(&offered));
    assert_eq!(Response::parse(&done.message, &offered).unwrap().aead, Aes128GcmSiv);
    let done = exchange(&mut answers, &offering(&[AesSivCmac512]));
    assert_eq!(Response::parse(&done.message, &offered), Err(BadResponse::NoAlgorithm));
}

#[test]
fn requests_that_make_no_sense_get_an_error() {
    let mut answers = answers();
    let of = |answers: &mut Answers, request: &[u8]| {
        let done = exchange_by(answers, &[ALPN], request);
        (done.outcome, Response::parse(&done.message, &Aead::ALL))
    };
    let bad = |code| (Outcome::Bad, Err(BadResponse::Error(code)));
    assert_eq!(of(&mut answers, &[0x80, 0, 0, 0]), bad(1));
    assert_eq!(of(&mut answers, &[0x80, 0x77, 0, 0, 0x80, 0, 0, 0]), bad(0));
    // One that is too long, whatever it is.
    assert_eq!(of(&mut answers, &[0, 0x77, 0x10, 0].repeat(300)), bad(1));
    // One that does not end.
    let open = exchange_by(&mut answers, &[ALPN], &[0x80, 1, 0, 2, 0, 0]);
    assert_eq!((open.outcome, open.message.len()), (Outcome::Bad, 0));
    answers.cookies = None;
    assert_eq!(of(&mut answers, &offering(&Aead::ALL).to_bytes()), bad(2));
}

#[test]
fn what_does_not_speak_ntske_gets_nothing() {
    let request = offering(&Aead::ALL).to_bytes();
    for alpn in [&[][..], &[&b"h2"[..]]] {
        let done = exchange_by(&mut answers(), alpn, &request);
        assert!(done.outcome != Outcome::Good && done.message.is_empty());
    }
    for bytes in [&b"GET / HTTP/1.0\r\n\r\n"[..], &[0x16; 5_000], &[0x16, 3, 1, 0x40, 0]] {
        let mut server = server();
        server.stream().incoming.extend(bytes);
        server.stream().over = true;
        assert_eq!(server.go_on(&mut answers()), Some(Outcome::NoTls));
    }
    let mut silent = server();
    assert_eq!((silent.go_on(&mut answers()), silent.outcome()), (None, Outcome::NoTls));
}

#[test]
fn a_client_that_sends_without_end_is_cut_off() {
    let (mut server, mut client, mut answers) = (server(), client(&[ALPN]), answers());
    let mut over = None;
    let mut sent = 0;
    while over.is_none() && sent < 1 << 20 {
        if !client.is_handshaking() {
            let _fits = client.writer().write(&[0; 4_000]);
        }
        while client.wants_write() {
            sent += client.write_tls(&mut server.stream().incoming).unwrap();
        }
        over = server.go_on(&mut answers);
        let from_server = std::mem::take(&mut server.stream().outgoing);
        let mut rest = &from_server[..];
        while !rest.is_empty() && client.read_tls(&mut rest).is_ok() {
            let _alerts_too = client.process_new_packets();
        }
    }
    assert!(over.is_some() && sent < 2 * TAKEN_MAX, "{over:?} {sent}");
}
