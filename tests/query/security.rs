//! `authdata` and `ntsinfo`, of the answers of rsntpd and of NTPsec 1.2.2 as they were recorded in `tests/system/world/`.

use super::documents::{asked, judge};
use super::replay::Replay;
use rsntpd::tools::query::console::{Console, Settings};
use serde_json::{Value, json};

/// A request for variables, and its answer in one datagram.
fn exchange(opcode: u8, association: u16, data: &str, status: u16, text: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let packet = |first: [u8; 2], status: u16, data: &[u8]| {
        let mut packet = [&first[..], &[0, 1], &status.to_be_bytes(), &association.to_be_bytes()].concat();
        packet.extend([0, 0]);
        packet.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        packet.extend(data);
        packet.resize(packet.len().next_multiple_of(4), 0);
        packet
    };
    let answer = packet([0x16, opcode | 0x80], status, text);
    assert!(text.len() <= 468, "{data}: one datagram");
    (packet([0x16, opcode], 0, data.as_bytes()), vec![answer])
}

const DETAILS: &str = "srchost,ntsaead,ntske_age,ntske_attempts,ntske_error,ntsnak,ntscookielen";
const COUNTERS: &str = "nts_client_send,nts_client_recv_good,nts_client_recv_bad,nts_server_recv_good,\
    nts_server_recv_bad,nts_server_send,nts_cookie_make,nts_cookie_decode,nts_cookie_decode_old,\
    nts_cookie_decode_old2,nts_cookie_decode_older,nts_cookie_decode_too_old,nts_cookie_decode_error,\
    nts_ke_probes_good,nts_ke_probes_bad,nts_ke_serves_good,nts_ke_serves_bad";
const MORE: &str = "nts_ke_serves_nossl,nts_ke_serves_refused,nts_ke_probes_bad_name,\
    nts_ke_probes_bad_connection,nts_ke_probes_bad_tls,nts_ke_probes_bad_protocol,nts_cert_notafter";

/// A client of two servers of NTS, of one whose certificate has expired, and of one with a symmetric key; and a server itself.
fn ours() -> Replay {
    let list = b"\x23\x7a\xf6\x3a\x23\x7c\xc0\x11\x23\x7d\xf4\x24";
    let of = |id, status, text: &str| exchange(2, id, "", status, text.as_bytes());
    let more = |id, status, text: &str| exchange(2, id, DETAILS, status, text.as_bytes());
    Replay::of(vec![
        exchange(1, 0, "", 0x0615, list),
        of(
            9082,
            0xf63a,
            "srcadr=202.112.10.36, srcport=123, leap=0, stratum=2, refid=59.124.196.83,\r\n\
             rec=0xeeb6a959.94cf83d5, reach=0x1, hmode=3, pmode=4, hpoll=3, ppoll=3, flash=0x0, keyid=0,\r\n\
             offset=-0.006, delay=0.051, dispersion=3937.515, jitter=0.006, ntscookies=8\r\n",
        ),
        more(
            9082,
            0xf63a,
            "srchost=\"two.test\", ntsaead=\"AES_SIV_CMAC_256\", ntske_age=9,\r\n\
             ntske_attempts=0, ntsnak=0, ntscookielen=104\r\n",
        ),
        of(
            9084,
            0xc011,
            "srcadr=0.0.0.0, srcport=123, leap=3, stratum=16, refid=NTS, reach=0x0, hmode=3,\r\n\
             hpoll=6, ppoll=10, flash=0x1600, keyid=0, ntscookies=0\r\n",
        ),
        more(
            9084,
            0xc011,
            "srchost=\"ke.test\",\r\n\
             ntske_error=\"certificate of ke.test has expired, it was valid until 2021-01-01 00:00:00 UTC\",\r\n\
             ntske_attempts=1, ntsnak=0\r\n",
        ),
        of(9085, 0xf424, "srcadr=192.0.2.7, refid=GPS, stratum=1, reach=0x3, hmode=3, keyid=7\r\n"),
        exchange(2, 0, "nts_client_send", 0x0615, b"nts_client_send=10\r\n"),
        exchange(
            2,
            0,
            COUNTERS,
            0x0615,
            b"nts_cookie_decode=26, nts_server_send=26, nts_server_recv_good=26,\r\n\
              nts_server_recv_bad=0, nts_cookie_make=42, nts_cookie_decode_old=0,\r\n\
              nts_cookie_decode_old2=0, nts_cookie_decode_older=0,\r\n\
              nts_cookie_decode_too_old=0, nts_cookie_decode_error=0,\r\n\
              nts_ke_serves_good=2, nts_ke_serves_bad=0, nts_client_send=10,\r\n\
              nts_client_recv_good=10, nts_client_recv_bad=0, nts_ke_probes_good=2,\r\n\
              nts_ke_probes_bad=2\r\n",
        ),
        exchange(
            2,
            0,
            MORE,
            0x0615,
            b"nts_cert_notafter=1798551553, nts_ke_serves_nossl=5,\r\n\
              nts_ke_serves_refused=3, nts_ke_probes_bad_name=0,\r\n\
              nts_ke_probes_bad_connection=1, nts_ke_probes_bad_tls=1,\r\n\
              nts_ke_probes_bad_protocol=0\r\n",
        ),
    ])
}

/// NTPsec as a client of one server: it has nothing of [`DETAILS`] and [`MORE`].
fn ntpsec() -> Replay {
    Replay::of(vec![
        exchange(1, 0, "", 0x0615, b"\x45\x67\xf0\x14"),
        exchange(
            2,
            17_767,
            "",
            0xf014,
            b"srcadr=10.199.255.1, srcport=123, dstadr=198.51.100.7, dstport=123,\r\n\
              leap=0, hmode=3, stratum=4, ppoll=99, hpoll=3, precision=-24,\r\n\
              rootdelay=0.000, rootdisp=10.086, refid=127.127.1.0,\r\n\
              reach=0x1, unreach=0, delay=0.087073, offset=0.036778, jitter=0.005717,\r\n\
              dispersion=1937.515165, keyid=0, pmode=4,\r\n\
              flash=0x400, headway=14, srchost=\"ke.test\", ntscookies=8\r\n",
        ),
        exchange(2, 0, "nts_client_send", 0x0615, b"nts_client_send=3\r\n"),
        exchange(
            2,
            0,
            COUNTERS,
            0x0615,
            b"nts_client_send=3, nts_client_recv_good=3, nts_client_recv_bad=0,\r\n\
              nts_server_send=0, nts_server_recv_good=0, nts_server_recv_bad=0,\r\n\
              nts_cookie_make=0, nts_cookie_decode=0, nts_cookie_decode_old=0,\r\n\
              nts_cookie_decode_old2=0, nts_cookie_decode_older=0,\r\n\
              nts_cookie_decode_too_old=0, nts_cookie_decode_error=0,\r\n\
              nts_ke_serves_good=0, nts_ke_serves_bad=0, nts_ke_probes_good=1,\r\n\
              nts_ke_probes_bad=0\r\n",
        ),
    ])
}

fn screen(server: &Replay, settings: Settings, command: &str) -> String {
    let mut console = Console::new(settings);
    console.timeout = std::time::Duration::from_millis(500);
    console.open(&server.address()).unwrap();
    let outcome = console.run(command);
    outcome.out + &outcome.err
}

fn numeric() -> Settings {
    Settings { numeric: true, ..Settings::default() }
}

fn document(server: &Replay, command: &str) -> Value {
    let line = asked(&server.address(), command);
    assert_eq!(judge(&line), [""; 0], "{line}");
    serde_json::from_str(&line).unwrap()
}

#[test]
fn authdata_has_the_columns_of_chronyc() {
    let head = "\
Name/IP address             Mode KeyID Type KLen Last Atmp  NAK Cook CLen
=========================================================================
";
    let rows = "\
202.112.10.36                NTS     -   15  256    9    0    0    8  104
ke.test                      NTS     -    -    -    -    1    0    0    -
    key exchange failed: certificate of ke.test has expired, it was valid until 2021-01-01 00:00:00 UTC
192.0.2.7                     SK     7    -    -    -    -    -    -    -
";
    assert_eq!(screen(&ours(), numeric(), "authdata"), format!("{head}{rows}"));
    let row = "10.199.255.1                 NTS     -    -    -    -    -    -    8    -\n";
    assert_eq!(screen(&ntpsec(), numeric(), "authdata"), format!("{head}{row}"));
    assert!(screen(&ntpsec(), Settings::default(), "authd").contains("\nke.test                      NTS "));
}

#[test]
fn authdata_is_a_document_too() {
    let found = document(&ours(), "authdata");
    let rows = found["sources"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    let good = json!({
        "associd": 9082, "remote": "202.112.10.36", "address": "202.112.10.36", "mode": "nts", "authentication": "ok",
        "keyid": null, "aead": "AES_SIV_CMAC_256", "ke_age_s": 9, "ke_attempts": 0, "ke_error": null, "nak": false,
        "cookies": 8, "cookie_bytes": 104,
    });
    assert_eq!(rows[0], good);
    assert!(rows[1]["ke_error"].as_str().unwrap().starts_with("certificate of ke.test has expired"));
    assert_eq!((&rows[1]["remote"], &rows[1]["cookies"]), (&json!("ke.test"), &json!(0)));
    assert_eq!((&rows[2]["mode"], &rows[2]["keyid"]), (&json!("key"), &json!(7)));
    let row = &document(&ntpsec(), "authdata")["sources"][0];
    assert_eq!((&row["mode"], &row["cookies"], &row["ke_age_s"]), (&json!("nts"), &json!(8), &Value::Null));
}

/// What NTPsec's ntpq 1.2.2 prints of the answers of [`ours`].
const NTSINFO: &str = "\
NTS client sends:                      10
NTS client recvs good:                 10
NTS client recvs w error:               0
NTS server recvs good:                 26
NTS server recvs w error:               0
NTS server sends:                      26
NTS make cookies:                      42
NTS decode cookies:                    26
NTS decode cookies old:                 0
NTS decode cookies old2:                0
NTS decode cookies older:               0
NTS decode cookies too old:             0
NTS decode cookies error:               0
NTS KE client probes good:              2
NTS KE client probes bad:               2
NTS KE serves good:                     2
NTS KE serves bad:                      0
";

#[test]
fn ntsinfo_is_ntpsecs_and_has_more_of_our_daemon() {
    let more = "\
NTS KE serves no TLS:                   5
NTS KE serves refused:                  3
NTS KE client bad name:                 0
NTS KE client bad connect:              1
NTS KE client bad TLS:                  1
NTS KE client bad answer:               0
NTS certificate valid to:   2026-12-29 13:39:13 UTC
";
    assert_eq!(screen(&ours(), numeric(), "ntsinfo"), format!("{NTSINFO}{more}"));
    let lines = screen(&ntpsec(), numeric(), "ntsinfo");
    let labels = |text: &str| text.lines().map(|line| line[..28].to_owned()).collect::<Vec<_>>();
    assert_eq!(labels(&lines), labels(NTSINFO));
    let variables = &document(&ours(), "ntsinfo")["variables"];
    assert_eq!(variables["nts_cert_notafter_utc"], json!("2026-12-29T13:39:13Z"));
    assert_eq!(variables["nts_server_recv_good"], json!(26));
    assert_eq!(document(&ntpsec(), "ntsinfo")["variables"].as_object().unwrap().len(), 17);
}

#[test]
fn a_daemon_without_nts_has_no_counters_of_it() {
    let server = Replay::of(vec![exchange(1, 0, "", 0x0615, b"")]);
    assert!(screen(&server, numeric(), "ntsinfo").starts_with("***A request variable unknown to the server"));
    assert_eq!(screen(&server, numeric(), "authdata"), "No association ID's returned\n");
}
