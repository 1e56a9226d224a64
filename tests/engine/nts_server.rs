//! Our server of NTS: real cookies, answers as long as their requests, NAKs, and packets that ended other servers.

use crate::bench::{Bench, from, local_clock, request, server, setup};
use rsntpd::config::model::{AccessFlags, Family, Origin, Restrict, RestrictTarget};
use rsntpd::engine::auth::aead::Cipher;
use rsntpd::engine::auth::cookie::{Age, Cookies};
use rsntpd::engine::contract::Input;
use rsntpd::units::{Aead, NtpTimestamp};
use rsntpd::wire::nts::fields::Fields;
use rsntpd::wire::nts::master::MasterKeys;
use rsntpd::wire::nts::records::Response;
use rsntpd::wire::{Header, Mode};
use sim::nts_client::{Client, is_nak, keys, serving};

#[test]
fn answers_are_as_long_as_their_requests_and_carry_the_cookies_asked_for() {
    let mut bench = serving();
    for (aead, length) in Aead::ALL.into_iter().zip([232, 264, 296, 196]) {
        let mut client = Client::new(aead, 9);
        for placeholders in 0..8 {
            let asked = client.asks(placeholders);
            assert_eq!(asked.len(), length + placeholders * (4 + client.cookie.len()));
            let answer = bench.ask(&asked, from("10.0.0.1:4000")).unwrap();
            // What a network takes in one piece.
            assert_eq!(answer.len(), asked.len().min(1_452), "{aead} {placeholders}");
            let header = Header::parse(&answer).unwrap();
            assert_eq!((header.mode, header.stratum), (Mode::Server, 2));
            assert_eq!((header.receive, header.transmit), (bench.now().wall, bench.now().wall));
            let cookies = client.cookies(&answer);
            assert_eq!(cookies.len(), if asked.len() > 1_452 { 7 } else { placeholders + 1 });
            let opened = Cookies::new(&keys()).open(&cookies[cookies.len() - 1]).unwrap();
            assert_eq!((opened.age, &opened.to_client), (Age::Current, &client.opened.to_client));
            assert!(cookies.windows(2).all(|two| two[0] != two[1]));
            client.cookie = cookies[0].clone();
        }
    }
    let of = |name: &str, bench: &mut Bench| bench.variable(None, name);
    assert_eq!(of("nts_server_recv_good", &mut bench), "32");
    assert_eq!(of("nts_server_send", &mut bench), "32");
    assert_eq!(of("nts_cookie_make", &mut bench), "143");
    assert_eq!(of("nts_cookie_decode_total", &mut bench), "32");
    assert_eq!(of("nts_server_recv_bad", &mut bench), "0");
}

#[test]
fn requests_of_chronyd_have_the_lengths_that_were_captured() {
    let client = Client { cookie: vec![0; 100], ..Client::new(Aead::AesSivCmac256, 9) };
    assert_eq!([0, 1, 2, 3].map(|more| client.asks(more).len()), [228, 332, 436, 540]);
}

#[test]
fn old_keys_open_and_the_answer_has_cookies_by_the_new_one() {
    let mut bench = serving();
    for by in 1..=10 {
        let client = Client::new(Aead::AesSivCmac256, by);
        let answer = bench.ask(&client.asks(0), from("10.0.0.1:4000")).unwrap();
        let cookies = client.cookies(&answer);
        assert_eq!(cookies[0][..4], 9u32.to_le_bytes());
    }
    let gone = Client::new(Aead::AesSivCmac256, 11);
    assert!(is_nak(&bench.ask(&gone.asks(0), from("10.0.0.1:4000")).unwrap()));
    for (name, count) in
        [("current", "2"), ("old", "1"), ("old2", "1"), ("older", "6"), ("too_old", "1"), ("error", "0")]
    {
        assert_eq!(bench.variable(None, &format!("nts_cookie_decode_{name}")), count, "{name}");
    }
    assert_eq!(bench.variable(None, "nts_cookie_decode"), "2");
}

#[test]
fn a_nak_goes_only_to_what_is_a_whole_request_of_nts() {
    let mut bench = serving();
    let client = Client::new(Aead::AesSivCmac256, 9);
    let whole = client.asks(0);
    for at in [20, 60, 90, 120, 190, 210, 231] {
        let mut forged = whole.clone();
        forged[at] ^= 1;
        let answer = bench.ask(&forged, from("10.0.0.1:4000")).unwrap();
        let header = Header::parse(&answer).unwrap();
        assert_eq!((header.stratum, header.reference_id.text()), (0, &b"NTSN"[..]), "{at}");
        assert_eq!(answer.len(), 84);
    }
    // The unique identifier alone, without a cookie, without an authenticator: plain requests with fields.
    for part in [84, 192] {
        assert_eq!(bench.ask(&whole[..part], from("10.0.0.1:4000")).map(|a| a.len()), Some(48));
    }
    let without_unique = [&whole[..48], &whole[84..]].concat();
    assert_eq!(bench.ask(&without_unique, from("10.0.0.1:4000")).map(|a| a.len()), Some(48));
    // Another version and other modes.
    let older = client.ask(request(3, Mode::Client), &[]);
    assert_eq!(bench.ask(&older, from("10.0.0.1:4000")).map(|a| a.len()), Some(48));
    // What is left may look like a MAC: then it is a wrong one.
    for cut in 49..whole.len() {
        let answer = bench.ask(&whole[..cut], from("10.0.0.1:4000"));
        assert!(answer.is_none_or(|answer| answer.len() == 48 || answer.len() == 52), "{cut}");
    }
    let active = client.ask(request(4, Mode::SymmetricActive), &[]);
    assert!(bench.ask(&active, from("10.0.0.1:123")).is_none_or(|answer| answer.len() == 48));
    assert_eq!(bench.variable(None, "nts_server_recv_bad"), "7");
}

#[test]
fn limited_clients_get_an_authentic_kiss_and_then_nothing() {
    let mut setup = setup(vec![local_clock()]);
    let flags = AccessFlags::LIMITED.union(AccessFlags::KOD);
    let target = RestrictTarget::Default(Family::Any);
    setup.config.restrict = vec![Restrict { target, flags, ntpport: false, origin: Origin::default() }];
    let mut bench = Bench::new(setup);
    bench.input(Input::CookieKeys(Box::new(keys())));
    let client = Client::new(Aead::Aes128GcmSiv, 9);
    let answers: Vec<_> = (0..5).map(|_| bench.ask(&client.asks(0), from("10.0.0.1:4000"))).collect();
    let kiss =
        answers.iter().flatten().find(|a| Header::parse(a).unwrap().reference_id.text() == b"RATE").unwrap();
    assert_eq!((client.cookies(kiss).len(), kiss.len()), (1, 196));
    assert_eq!(answers[4], None);
    // The limit holds for what cannot be opened, too.
    let gone = Client::new(Aead::Aes128GcmSiv, 77);
    let naks = (0..50).filter(|_| bench.ask(&gone.asks(0), from("10.0.0.2:4000")).is_some());
    assert!(naks.count() < 3);
}

#[test]
fn interleaved_mode_goes_with_it() {
    let mut bench = serving();
    let client = Client::new(Aead::AesSivCmac256, 9);
    let first = bench.ask(&client.asks(0), from("10.0.0.1:4000")).unwrap();
    let first = Header::parse(&first).unwrap();
    let header = Header {
        origin: first.receive,
        receive: NtpTimestamp::from_bits(77),
        transmit: NtpTimestamp::from_bits(78),
        ..request(4, Mode::Client)
    };
    bench.advance(40.0);
    let answer = bench.ask(&client.ask(header, &[]), from("10.0.0.1:4000")).unwrap();
    assert_eq!(client.cookies(&answer).len(), 1);
    let answer = Header::parse(&answer).unwrap();
    assert_eq!((answer.origin, answer.transmit), (header.receive, first.transmit));
}

// NTPsec 1.2.2 ended when a request of NTS came to a server without a certificate.

// ntpd-rs before 0.3.3 ended where a cookie was shorter than it expected.

// ntpd-rs before 1.7.1 made as many cookies as a packet had placeholders, however short.

/// The bytes of the indented hexadecimal lines behind the line that begins with `title`.
fn captured(text: &str, title: &str) -> Vec<u8> {
    let lines = text.lines().skip_while(|line| !line.starts_with(title)).skip(1);
    let digits: String =
        lines.map_while(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' '))).collect();
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn cookies_of_ntpsec_are_opened_and_made_anew() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/data/nts/nts-chrony43-client-ntpsec-server.txt");
    let Ok(text) = std::fs::read_to_string(path) else {
        return skip::because("no ../shared/data/nts");
    };
    let file = text.lines().find_map(|line| line.strip_prefix("#   T: ")).unwrap();
    let file = format!("T: {}", file.replace(" / ", "\n"));
    let keys = MasterKeys::parse(&file).unwrap();
    let mut cookies = Cookies::new(&keys);
    let response = Response::parse(&captured(&text, "KE response"), &[Aead::AesSivCmac256]).unwrap();
    let key = |context| captured(&text, &format!("exporter, context {context}, 32"));
    assert_eq!(response.cookies.len(), 8);
    for cookie in response.cookies {
        let opened = cookies.open(&cookie).unwrap();
        assert_eq!((opened.aead, opened.age), (Aead::AesSivCmac256, Age::Current));
        assert_eq!(opened.to_server.as_bytes(), key("0000000f00"));
        assert_eq!(opened.to_client.as_bytes(), key("0000000f01"));
        let mut made = vec![0; cookie.len()];
        cookies.make(&opened, cookie[4..20].try_into().unwrap(), &mut made).unwrap();
        assert_eq!(made, cookie);
    }
    // What chronyd asked of NTPsec, ours answers.
    let mut bench = Bench::new(setup(vec![server("192.0.2.1")]));
    bench.run_served(30.0);
    bench.input(Input::CookieKeys(Box::new(keys)));
    let asked = captured(&text, "NTP request");
    let answer = bench.ask(&asked, from("198.51.100.2:60551")).unwrap();
    let fields = Fields::parse(&answer).unwrap();
    let mut text_room = [0; 400];
    let mut cipher = Cipher::new(Aead::AesSivCmac256, &key("0000000f01")).unwrap();
    let plain = cipher.open(&answer, &fields.sealed.unwrap(), &mut text_room).unwrap();
    assert_eq!((answer.len(), plain.len()), (232, 108));
}
