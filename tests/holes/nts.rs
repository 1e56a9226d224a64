//! NTS, as client and server.

use crate::table::{Row, tried};
use crate::world::{World, answer, until};
use rsntpd::units::Aead;
use rsntpd::wire::Mode;
use rsntpd::wire::nts::fields::{Authenticator, Writer};
use sim::bench::{Bench, from, request, server, setup};
use sim::nts_client::{Client, is_nak, serving};
use std::io::Read as _;
use std::net::TcpStream;
use std::time::Duration;

pub const ROWS: &[Row] = &[
    Row {
        holes: "2024-38528",
        rule: "key exchanges are bounded in number and time: connections that say nothing hinder neither the time nor new ones",
        tried: tried![in a namespace: cve_2024_38528_idle_connections_hinder_no_client],
    },
    Row {
        holes: "2023-33192, 2023-4012",
        rule: "a cookie that cannot be opened gets a NAK, and a server without NTS answers as ever",
        tried: tried![
            cve_2023_33192_short_cookies_get_a_nak,
            cve_2023_4012_a_server_without_nts_answers_as_ever,
        ],
    },
    Row {
        holes: "2026-26076",
        rule: "no request has more than eight cookies made, and no answer is longer than its request",
        tried: tried![cve_2026_26076_no_request_has_more_than_eight_cookies_made],
    },
];

fn cve_2024_38528_idle_connections_hinder_no_client() {
    let world = World::new();
    let fixture = |name: &str| format!("{}/tests/fixtures/nts/{name}", env!("CARGO_MANIFEST_DIR"));
    let lines = format!(
        "server 127.127.1.0\nnts enable\nnts cert {}\nnts key {}\nnts cookie {}\n",
        fixture("server.pem"),
        fixture("key.pem"),
        world.named("cookies"),
    );
    let mut daemon = world.launch(&lines, "ulimit -n 150;", &[]);
    assert!(daemon.serves(), "{}", world.read("log"));
    let connect = || TcpStream::connect("127.0.0.1:4460");
    assert!(until(|| connect().is_ok()), "{}", world.read("log"));
    // More than it may have open files.
    let idle: Vec<TcpStream> = (0..300).filter_map(|_| connect().ok()).collect();
    assert!(idle.len() > 150, "{} connections", idle.len());
    assert!(answer("127.0.0.1").is_some(), "the time is served");
    // The oldest are closed, and the others after two seconds, in favour of new ones: which are spoken to.
    let closed = |mut stream: &TcpStream| {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        matches!(stream.read(&mut [0; 16]), Ok(0) | Err(_))
    };
    assert!(closed(&idle[0]) && idle.iter().rev().take(50).all(closed));
    assert!(connect().is_ok() && daemon.serves(), "{}", world.read("log"));
    assert!(daemon.status("VmRSS") < 64 << 10);
    assert!(daemon.end().success());
}

fn cve_2023_4012_a_server_without_nts_answers_as_ever() {
    let mut bench = Bench::new(setup(vec![server("192.0.2.1")]));
    bench.run_served(30.0);
    let plain = bench.ask(&request(4, Mode::Client).to_bytes(), from("10.0.0.1:4000"));
    for aead in Aead::ALL {
        let asked = Client::new(aead, 9).asks(2);
        assert_eq!(bench.ask(&asked, from("10.0.0.1:4000")), plain);
    }
    assert_eq!(bench.variable(None, "nts_cookie_not_server"), "4");
    assert_eq!(bench.variable(None, "nts_server_recv_bad"), "0");
}

fn cve_2023_33192_short_cookies_get_a_nak() {
    let mut bench = serving();
    for length in (12..=300).step_by(4) {
        let client = Client { cookie: vec![9; length], ..Client::new(Aead::AesSivCmac256, 9) };
        assert!(is_nak(&bench.ask(&client.asks(0), from("10.0.0.1:4000")).unwrap()), "{length}");
    }
    assert_eq!(bench.variable(None, "nts_cookie_decode_error"), "69");
}

fn cve_2026_26076_no_request_has_more_than_eight_cookies_made() {
    let mut bench = serving();
    let client = Client::new(Aead::Aes128GcmSiv, 9);
    for placeholders in [vec![12; 100], vec![72; 20], vec![200; 6]] {
        let asked = client.ask(request(4, Mode::Client), &placeholders);
        let answer = bench.ask(&asked, from("10.0.0.1:4000")).unwrap();
        assert!(answer.len() <= asked.len() && client.cookies(&answer).len() <= 8);
    }
    // As long as a buffer can be: the identifier must be echoed.
    let mut long = [0; 2_040];
    long[..48].copy_from_slice(&request(4, Mode::Client).to_bytes());
    let mut writer = Writer::new(&mut long, 48);
    writer.unique(&[5; 1_700]);
    writer.cookie(&client.cookie);
    let place = Authenticator { at: writer.finish().unwrap(), aead: Aead::Aes128GcmSiv };
    let end = place.end(0);
    place.write_head(&mut long, 0, end).unwrap();
    assert_eq!(bench.ask(&long[..end], from("10.0.0.1:4000")), None);
}
