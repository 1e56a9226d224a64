//! A client of our server of NTS, with real cookies.

use super::bench::{Bench, request, server, setup};
use rsntpd::engine::auth::aead::Cipher;
use rsntpd::engine::auth::cookie::{self, Age, Cookies, Opened};
use rsntpd::engine::contract::Input;
use rsntpd::units::Aead;
use rsntpd::wire::nts::Secret;
use rsntpd::wire::nts::fields::{self, Authenticator, Fields, UNIQUE_LEN, Writer};
use rsntpd::wire::nts::master::{MasterKey, MasterKeys};
use rsntpd::wire::{Header, Mode};

pub fn master(id: u32) -> MasterKey {
    MasterKey::new(id, &[id as u8; 32]).unwrap()
}

pub fn keys() -> MasterKeys {
    MasterKeys {
        rotated: 0,
        current: master(9),
        old: (1..9).rev().map(master).collect(),
        next: Some(master(10)),
    }
}

/// A client that has exchanged keys.
pub struct Client {
    pub opened: Opened,
    pub cookie: Vec<u8>,
}

impl Client {
    /// With a cookie by the master key of this number.
    pub fn new(aead: Aead, by: u32) -> Self {
        let key = |fill| Secret::new(&vec![fill; aead.key_length()]).unwrap();
        let opened = Opened { aead, to_server: key(1), to_client: key(2), age: Age::Current };
        let mut cookie = vec![0; cookie::length(aead)];
        let keys = MasterKeys { current: master(by), ..keys() };
        Cookies::new(&keys).make(&opened, &[3; 16], &mut cookie).unwrap();
        Self { opened, cookie }
    }

    pub fn ask(&self, header: Header, placeholders: &[usize]) -> Vec<u8> {
        let mut packet = [0; 2_000];
        packet[..48].copy_from_slice(&header.to_bytes());
        let mut writer = Writer::new(&mut packet, 48);
        writer.unique(&[5; UNIQUE_LEN]);
        writer.cookie(&self.cookie);
        placeholders.iter().for_each(|length| writer.placeholder(*length));
        let place = Authenticator { at: writer.finish().unwrap(), aead: self.opened.aead };
        let end = place.end(0);
        let mut cipher = Cipher::new(self.opened.aead, self.opened.to_server.as_bytes()).unwrap();
        cipher.seal(&mut packet, place, &[4; 16], 0, end).unwrap();
        packet[..end].to_vec()
    }

    pub fn asks(&self, placeholders: usize) -> Vec<u8> {
        self.ask(request(4, Mode::Client), &vec![self.cookie.len(); placeholders])
    }

    /// The cookies of an answer, which must be genuine.
    pub fn cookies(&self, answer: &[u8]) -> Vec<Vec<u8>> {
        let fields = Fields::parse(answer).unwrap();
        assert_eq!(fields.unique, Some(&[5; UNIQUE_LEN][..]));
        let mut text = [0; 2_000];
        let mut cipher = Cipher::new(self.opened.aead, self.opened.to_client.as_bytes()).unwrap();
        let plain = cipher.open(answer, &fields.sealed.unwrap(), &mut text).unwrap();
        fields::cookies(plain).unwrap().map(<[u8]>::to_vec).collect()
    }
}

pub fn serving() -> Bench {
    let mut bench = Bench::new(setup(vec![server("192.0.2.1")]));
    bench.run_served(30.0);
    bench.input(Input::CookieKeys(Box::new(keys())));
    bench
}

pub fn is_nak(answer: &[u8]) -> bool {
    let header = Header::parse(answer).unwrap();
    let fields = Fields::parse(answer).unwrap();
    answer.len() == 84
        && (header.stratum, header.reference_id.text()) == (0, &b"NTSN"[..])
        && header.origin == request(4, Mode::Client).transmit
        && fields.unique == Some(&[5; UNIQUE_LEN][..])
        && fields.sealed.is_none()
}
