//! Network Time Security as mode 6 shows it: the state of a source, key exchanges by what failed in them, our certificate.

use rsntpd::config::model::{Kind, NtsLine, Server, Target};
use rsntpd::engine::contract::{
    CookieOrigin, Established, FailureClass, Input, KeyFailure, Keys, Output, Validity,
};
use rsntpd::units::{Aead, AssocId};
use rsntpd::wire::nts::Secret;
use sim::desk::{Desk, ask};

const FAILURES: [(FailureClass, &str); 4] = [
    (FailureClass::Name, "name"),
    (FailureClass::Connection, "connection"),
    (FailureClass::Tls, "tls"),
    (FailureClass::Protocol, "protocol"),
];

fn desk() -> Desk {
    Desk::new(|config| {
        let target = Target::Name("ke.test".to_owned());
        config.servers = vec![Server { nts: Some(NtsLine::default()), ..Server::new(Kind::Server, target) }];
    })
}

/// Waits until keys are to be exchanged; for which association.
fn exchange(desk: &mut Desk) -> AssocId {
    loop {
        let found = desk.bench.others.iter().position(|o| matches!(o, Output::Establish { .. }));
        if let Some(Output::Establish { id, .. }) = found.map(|index| desk.bench.others.remove(index)) {
            return id;
        }
        assert!(desk.bench.time < 1e5, "no exchange of keys");
        desk.bench.advance(desk.bench.time + 1.0);
    }
}

fn fail(desk: &mut Desk, class: FailureClass, text: &str) -> AssocId {
    let id = exchange(desk);
    let result = Err(KeyFailure { class, text: text.to_owned() });
    desk.bench.input(Input::Established { id, result });
    id
}

fn count(desk: &mut Desk, name: &str) -> String {
    desk.asked(&ask(2, 0, name)).value(name)
}

#[test]
fn failed_key_exchanges_are_counted_by_class() {
    let mut desk = desk();
    for (index, (class, name)) in FAILURES.into_iter().enumerate() {
        let name = format!("nts_ke_probes_bad_{name}");
        assert_eq!(count(&mut desk, &name), "0");
        fail(&mut desk, class, "no luck");
        assert_eq!(count(&mut desk, &name), "1");
        assert_eq!(count(&mut desk, "nts_ke_probes_bad"), (index + 1).to_string());
    }
    assert_eq!(count(&mut desk, "nts_ke_probes_good"), "0");
}

fn established(host: &str) -> Box<Established> {
    let key = || Secret::new(&[1; 32]).unwrap();
    Box::new(Established {
        aead: Aead::AesSivCmac256,
        keys: Keys { to_server: key(), to_client: key() },
        other_keys: None,
        cookies: vec![vec![7; 104]; 8],
        host: host.parse::<std::net::IpAddr>().unwrap().into(),
        port: 123,
        valid: Some(Validity { from: 0, until: i64::MAX }),
        made: 0,
        origin: CookieOrigin::Server,
    })
}

#[test]
fn an_exchange_that_names_no_server_is_a_failed_one() {
    let mut desk = desk();
    let id = exchange(&mut desk);
    desk.bench.input(Input::Established { id, result: Ok(established("224.0.1.1")) });
    let names = "nts_ke_probes_good,nts_ke_probes_bad,nts_ke_probes_bad_protocol";
    assert_eq!(
        desk.asked(&ask(2, 0, names)).text(),
        "nts_ke_probes_good=0, nts_ke_probes_bad=1, nts_ke_probes_bad_protocol=1\r\n"
    );
    let why = "\"it names 224.0.1.1 as its NTP server, which is no server's address\"";
    assert_eq!(desk.asked(&ask(2, id.0, "ntske_error")).value("ntske_error"), why);
}

fn state(desk: &mut Desk, id: AssocId) -> Vec<(String, String)> {
    let names = "ntscookies,ntsaead,ntske_age,ntske_error,ntske_attempts,ntsnak,ntscookielen";
    desk.asked(&ask(2, id.0, names)).items()
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn the_state_of_a_source_is_shown() {
    let mut desk = desk();
    let id = fail(&mut desk, FailureClass::Connection, "cannot connect to \"it\", refused");
    let expected = [
        ("ntscookies", "0"),
        ("ntske_error", "\"cannot connect to _it_, refused\""),
        ("ntske_attempts", "1"),
        ("ntsnak", "0"),
    ];
    assert_eq!(state(&mut desk, id), expected.map(owned));
    assert_eq!(exchange(&mut desk), id);
    desk.bench.input(Input::Established { id, result: Ok(established("192.0.2.1")) });
    let expected = [
        ("ntscookies", "8"),
        ("ntsaead", "\"AES_SIV_CMAC_256\""),
        ("ntske_age", "0"),
        ("ntske_attempts", "2"),
        ("ntsnak", "0"),
        ("ntscookielen", "104"),
    ];
    assert_eq!(state(&mut desk, id), expected.map(owned));
    // Without being asked for, only what NTPsec's ntpq wants.
    let shown = desk.asked(&ask(2, id.0, ""));
    assert_eq!((shown.value("ntscookies").as_str(), shown.value("ntsaead").as_str()), ("8", ""));
}

#[test]
fn the_end_of_our_certificate_is_shown_while_keys_are_exchanged() {
    let mut desk = desk();
    let name = "nts_cert_notafter";
    assert_eq!(desk.asked(&ask(2, 0, name)).items(), []);
    desk.bench.input(Input::KeyExchange(Some(1_795_943_705)));
    assert_eq!(count(&mut desk, name), "1795943705");
    desk.bench.input(Input::KeyExchange(None));
    assert_eq!(desk.asked(&ask(2, 0, name)).items(), []);
    assert_eq!(desk.asked(&ask(2, 0, name)).error(), None);
}
