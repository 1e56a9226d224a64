//! TLS in memory: the exchange on the one side, rustls as a server on the other.

use super::*;
use crate::daemon::nts::roots;
use crate::daemon::nts::test_server::{self, Certificate, fixture};
use crate::daemon::nts::verify::Known;
use crate::engine::contract::CertificateCheck;
use crate::units::{BUILT, DAY};
use rustls::ServerConnection;
use std::collections::VecDeque;
use std::path::Path;

const OFFERED: [Aead; 2] = [Aead::Aes128GcmSiv, Aead::AesSivCmac256];
const COOKIE: &str = "0005 000c 000102030405060708090a0b";

/// How a server of a test is, and how the client looks at it.
struct Case {
    server: &'static str,
    certificate: Certificate,
    ca: &'static str,
    check: CertificateCheck,
    time: i64,
    alpn: &'static [&'static [u8]],
    /// Pieces of the answer, each a record of TLS.
    pieces: Vec<Vec<u8>>,
    /// Bytes that one read takes at most.
    read: usize,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            server: "ke.test",
            certificate: Certificate::Server,
            ca: "ca.pem",
            check: CertificateCheck::Whole,
            time: BUILT,
            alpn: &[ALPN],
            pieces: vec![hex(&format!("8001 0002 0000 8004 0002 000f {COOKIE} 8000 0000"))],
            read: usize::MAX,
        }
    }
}

fn hex(text: &str) -> Vec<u8> {
    test_server::hex(text)
}

/// What the client's end of a connection in memory holds.
#[derive(Default)]
struct Wire {
    to_client: VecDeque<u8>,
    to_server: Vec<u8>,
    closed: bool,
    read: usize,
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(self.read).min(self.to_client.len());
        if length == 0 && !self.closed {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.to_client.read(&mut buffer[..length])
    }
}

impl Write for Wire {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        // As a socket whose buffer is small.
        let length = buffer.len().min(100);
        self.to_server.write(&buffer[..length])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a run has shown: its end, the request, and the server's side of TLS for its keys.
struct Run {
    result: Result<Granted, KeyFailure>,
    valid: Option<Validity>,
    request: Vec<u8>,
    server: ServerConnection,
}

fn run(case: &Case) -> Run {
    let config = test_server::config(case.certificate, case.alpn);
    let mut server = ServerConnection::new(Arc::new(config)).unwrap();
    let roots = roots::load(Some(&fixture(case.ca))).unwrap();
    let known = Known { time: case.time, by: "this clock says" };
    let roots = (case.check != CertificateCheck::Nothing).then_some(roots);
    let verifier = Verifier::new(roots, case.check, known);
    let mut exchange = Exchange::new(case.server, &OFFERED, verifier).unwrap();
    let mut wire = Wire { read: case.read, ..Wire::default() };
    let (mut request, mut answered) = (Vec::new(), false);
    let result = loop {
        match exchange.go_on(&mut wire) {
            Ok(None) => {}
            Ok(Some(granted)) => break Ok(granted),
            Err(why) => break Err(why),
        }
        let mut bytes = &wire.to_server[..];
        while !bytes.is_empty() {
            server.read_tls(&mut bytes).unwrap();
            // Its alert goes out in any case.
            let _refused = server.process_new_packets();
        }
        wire.to_server.clear();
        let mut piece = [0; 4096];
        while let Ok(length @ 1..) = server.reader().read(&mut piece) {
            request.extend(&piece[..length]);
        }
        if records::end(&request).is_some() && !answered {
            answered = true;
            for piece in &case.pieces {
                server.writer().write_all(piece).unwrap();
                server.write_tls(&mut wire.to_client).unwrap();
            }
            server.send_close_notify();
            wire.closed = true;
        }
        while server.wants_write() {
            server.write_tls(&mut wire.to_client).unwrap();
        }
        if wire.to_client.is_empty() && !server.is_handshaking() && !server.wants_read() {
            wire.closed = true;
        }
    };
    Run { result, valid: exchange.valid(), request, server }
}

fn refused(case: &Case) -> (FailureClass, String) {
    let why = run(case).result.unwrap_err();
    (why.class, why.text)
}

fn answer(text: &str) -> Case {
    Case { pieces: vec![hex(text)], ..Case::default() }
}

#[test]
fn keys_and_cookies_are_what_the_server_has() {
    for certificate in [Certificate::Server, Certificate::Rsa] {
        let done = run(&Case { certificate, ..Case::default() });
        let granted = done.result.unwrap();
        assert_eq!(done.request, hex("8001 0002 0000 8004 0004 001e 000f 0400 0000 8000 0000"));
        assert_eq!(granted.response.cookies, [(0..12).collect::<Vec<u8>>()]);
        assert_eq!(granted.keys, tls::export(&done.server, Aead::AesSivCmac256, 15).unwrap());
        assert_eq!(granted.other_keys, None);
        // 2020 to 2099; the chain of the other ends with its certificate, in 2080.
        let until = if certificate == Certificate::Rsa { 3_471_292_800 } else { 4_102_358_400 };
        assert_eq!(done.valid, Some(Validity { from: 1_577_836_800, until }));
    }
}

#[test]
fn keys_of_algorithm_30_have_one_context_or_two() {
    let start = "8001 0002 0000 8004 0002 001e";
    let done = run(&answer(&format!("{start} 0400 0000 {COOKIE} 8000 0000")));
    let right = tls::export(&done.server, Aead::Aes128GcmSiv, 30).unwrap();
    let granted = done.result.unwrap();
    assert_eq!((granted.keys, granted.other_keys), (right, None));
    let done = run(&answer(&format!("{start} {COOKIE} 8000 0000")));
    let right = tls::export(&done.server, Aead::Aes128GcmSiv, 30).unwrap();
    let chronys = tls::export(&done.server, Aead::Aes128GcmSiv, 15).unwrap();
    let granted = done.result.unwrap();
    assert_eq!((granted.keys, granted.other_keys), (chronys, Some(right)));
}

#[test]
fn an_answer_may_come_in_pieces() {
    let whole = hex(&format!("8001 0002 0000 8004 0002 000f {COOKIE} 8000 0000"));
    for read in [1, 7, usize::MAX] {
        let pieces = whole.chunks(3).map(<[u8]>::to_vec).collect();
        let granted = run(&Case { pieces, read, ..Case::default() }).result.unwrap();
        assert_eq!(granted.response.aead, Aead::AesSivCmac256);
    }
    // As long as it may be: 16,384 bytes.
    let filler = [&hex("4000 3fcc"), &vec![0; 0x3fcc][..]].concat();
    let rest = &whole[..];
    let pad = RESPONSE_MAX - filler.len() - rest.len();
    let second = [&hex("4000")[..], &(pad as u16 - 4).to_be_bytes(), &vec![0; pad - 4]].concat();
    let pieces = vec![filler.clone(), second, whole.clone()];
    assert_eq!(pieces.iter().map(Vec::len).sum::<usize>(), RESPONSE_MAX);
    run(&Case { pieces, ..Case::default() }).result.unwrap();
    let text = "its answer is longer than 16384 bytes";
    let pieces = vec![filler.clone(), filler, whole];
    assert_eq!(refused(&Case { pieces, ..Case::default() }), (FailureClass::Protocol, text.to_owned()));
}

#[test]
fn an_answer_that_is_cut_off_is_no_answer() {
    let whole = hex(&format!("8001 0002 0000 8004 0002 000f {COOKIE} 8000 0000"));
    for length in 0..whole.len() {
        let what = if length == 0 { "without an answer" } else { "before its answer was whole" };
        let pieces = vec![whole[..length].to_vec()];
        let text = format!("ke.test closed the connection {what}");
        assert_eq!(
            refused(&Case { pieces, ..Case::default() }),
            (FailureClass::Connection, text),
            "{length}"
        );
    }
}

#[test]
fn answers_of_no_use_are_the_protocols_failure() {
    let refusal = |text: &str| refused(&answer(text));
    let protocol = |text: &str| (FailureClass::Protocol, text.to_owned());
    assert_eq!(refusal("8002 0002 0001 8000 0000"), protocol("it calls the request bad (error 1)"));
    assert_eq!(
        refusal("8001 0002 0000 8004 0000 8000 0000"),
        protocol("it has none of the offered algorithms")
    );
    assert_eq!(
        refusal(&format!("8001 0002 0000 8004 0002 000f c123 0000 {COOKIE} 8000 0000")),
        protocol("its answer has a critical record of the unknown type 16675")
    );
    assert_eq!(
        refusal(&format!("8001 0002 0000 8004 0002 0011 {COOKIE} 8000 0000")),
        protocol("it chose algorithm 17, which was not offered")
    );
    assert_eq!(
        refusal(&format!("8001 0002 0000 8004 0002 000f {COOKIE} 8000 0000 00")),
        protocol("its answer is cut off or not made of records")
    );
}

#[test]
fn dates_are_compared_with_the_time_that_is_known() {
    let of = |certificate, time| refused(&Case { certificate, time, ..Case::default() });
    assert_eq!(
        of(Certificate::Expired, 1_795_824_000),
        (
            FailureClass::Tls,
            "certificate of ke.test has expired, it was valid until 2021-01-01 00:00:00 UTC; \
             this clock says 2026-11-28 00:00:00 UTC"
                .to_owned()
        )
    );
    assert_eq!(
        of(Certificate::Early, 1_795_824_000),
        (
            FailureClass::Tls,
            "certificate of ke.test is not valid before 2090-01-01 00:00:00 UTC; \
             this clock says 2026-11-28 00:00:00 UTC; see `nts time-check`"
                .to_owned()
        )
    );
    // A clock that starts in 1970 or before.
    for time in [0, -1, i64::MIN] {
        assert!(of(Certificate::Server, time).1.contains("is not valid before 2020-01-01"));
    }
    let known = Known::latest(0, Some(BUILT + DAY), Some(BUILT + 2 * DAY));
    assert_eq!(known, Known { time: BUILT + 2 * DAY, by: "cookies that were kept were made" });
    assert_eq!(Known::latest(0, None, None).time, BUILT);
    assert_eq!(Known::latest(BUILT + DAY, Some(BUILT), Some(1)).by, "this clock says");
}

#[test]
fn dates_can_be_left_out_and_names_cannot() {
    let check = CertificateCheck::NotDates;
    for (certificate, from) in [
        (Certificate::Expired, 1_577_836_800),
        (Certificate::Early, 3_786_912_000),
        (Certificate::Server, 1_577_836_800),
        (Certificate::Rsa, 1_577_836_800),
    ] {
        let done = run(&Case { certificate, check, time: 0, ..Case::default() });
        assert!(done.result.is_ok(), "{certificate:?}");
        assert_eq!(done.valid.unwrap().from, from, "{certificate:?}");
    }
    let (class, text) = refused(&Case { certificate: Certificate::Other, check, ..Case::default() });
    let expected = "certificate of ke.test is for another name: it is for other.test www.other.test";
    assert_eq!((class, text.as_str()), (FailureClass::Tls, expected));
    let (class, text) = refused(&Case { check, ca: "other-ca.pem", ..Case::default() });
    assert_eq!(class, FailureClass::Tls);
    assert!(text.starts_with("certificate of ke.test leads to none of the roots of "), "{text}");
    assert!(text.ends_with("other-ca.pem; `ca` names others"), "{text}");
}

#[test]
fn any_certificate_does_where_nothing_is_verified() {
    let check = CertificateCheck::Nothing;
    for certificate in [Certificate::Other, Certificate::Expired, Certificate::Early] {
        let done = run(&Case { certificate, check, time: 0, ..Case::default() });
        assert!(done.result.is_ok(), "{certificate:?}");
        assert_eq!(done.valid, None);
    }
    // But it is the holder of its key that answers.
    let (class, text) = refused(&Case { certificate: Certificate::Stolen, check, ..Case::default() });
    assert_eq!(class, FailureClass::Tls);
    assert!(text.ends_with("BadSignature"), "{text}");
}

#[test]
fn addresses_stand_in_certificates_like_names() {
    for server in ["127.0.0.1", "::1", "localhost", "KE.test", "ke.test."] {
        assert!(run(&Case { server, ..Case::default() }).result.is_ok(), "{server}");
    }
    for server in ["127.0.0.2", "fe80::1%2", "a.ke.test"] {
        let text = refused(&Case { server, ..Case::default() }).1;
        let expected = format!("certificate of {server} is for another name: it is for ke.test localhost ");
        assert!(text.starts_with(&expected), "{text}");
    }
    let roots = roots::load(Some(&fixture("ca.pem"))).unwrap();
    let known = Known { time: 0, by: "" };
    let verifier = Verifier::new(Some(roots), CertificateCheck::Whole, known);
    let why = Exchange::new("a b", &OFFERED, verifier).unwrap_err();
    assert_eq!(
        (why.class, why.text.as_str()),
        (FailureClass::Name, "a b is no name that a certificate can have")
    );
}

#[test]
fn a_server_must_speak_nts() {
    let text = "ke.test does not speak NTS at this port (no ALPN ntske/1)".to_owned();
    const H2: &[&[u8]] = &[b"h2"];
    for alpn in [&[], H2] {
        assert_eq!(refused(&Case { alpn, ..Case::default() }), (FailureClass::Tls, text.clone()));
    }
}

#[test]
fn what_is_no_tls_is_named() {
    let verifier = Verifier::new(None, CertificateCheck::Nothing, Known { time: 0, by: "" });
    let mut exchange = Exchange::new("ke.test", &OFFERED, Arc::clone(&verifier)).unwrap();
    let mut wire = Wire { read: usize::MAX, ..Wire::default() };
    wire.to_client.extend(b"SSH-2.0-OpenSSH_9.2p1\r\n");
    let why = exchange.go_on(&mut wire).unwrap_err();
    assert_eq!(why.class, FailureClass::Tls);
    assert!(why.text.starts_with("ke.test does not speak TLS: "), "{}", why.text);
    let mut exchange = Exchange::new("ke.test", &OFFERED, verifier).unwrap();
    let mut wire = Wire { read: usize::MAX, closed: true, ..Wire::default() };
    let why = exchange.go_on(&mut wire).unwrap_err();
    let text = "ke.test closed the connection during the TLS handshake";
    assert_eq!((why.class, why.text.as_str()), (FailureClass::Connection, text));
}

/// Requests to chronyd, NTPsec and ntpd-rs that they answered with keys, recorded.
#[test]
fn recorded_requests_are_ours() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/nts/nts-ke-behaviour.txt");
    let Ok(text) = std::fs::read_to_string(path) else {
        return skip::because("the recorded key exchanges are not there");
    };
    let request = |aeads: &[Aead]| Request {
        aeads: aeads.to_vec(),
        ntpv4: true,
        compliant_export: aeads.contains(&Aead::Aes128GcmSiv),
    };
    for (name, aeads) in [("AEAD 15", &OFFERED[1..]), ("AEAD 30, record 1024", &OFFERED[..1])] {
        let start = format!("{name} request ");
        let lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix(&start)).collect();
        assert!(lines.len() >= 3, "{name}");
        for line in lines {
            let (recorded, _) = line.split_once(' ').unwrap();
            assert_eq!(request(aeads).to_bytes(), hex(recorded), "{name}");
        }
    }
}
