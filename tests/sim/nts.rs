//! A server of NTS: it exchanges keys, and answers sealed requests. It knows its cookies by heart.

use super::chance::Dice;
use rsntpd::engine::auth::aead::Cipher;
use rsntpd::engine::contract::{
    CertificateCheck, CookieOrigin, Established, FailureClass, KeyFailure, KeyRequest, Keys, Validity,
};
use rsntpd::units::{Aead, RefId};
use rsntpd::wire::Header;
use rsntpd::wire::nts::fields::{Authenticator, Fields, UNIQUE_LEN, Writer};
use rsntpd::wire::nts::{COOKIES, Secret};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Length of its cookies, bytes.
const COOKIE: usize = 100;

pub struct NtsServer {
    /// The NTP servers that it names, one after the other.
    pub addresses: Vec<IpAddr>,
    pub aead: Aead,
    /// From when to when its certificate is valid, Unix time.
    pub valid: Validity,
    /// Whether the key exchange answers, by true time.
    pub exchanges: Box<dyn Fn(f64) -> bool>,
    /// Whether it sends NAKs; else it drops what it cannot open, as NTPsec does.
    pub sends_naks: bool,
    /// Whether it takes the other keys of an exchange, as chronyd before 4.6.1 does.
    pub takes_other_keys: bool,
    /// When keys were asked for, by true time, in vain or not.
    pub asked: Vec<f64>,
    /// Sealed requests that were answered, and NAKs.
    pub answered: u64,
    pub naks: u64,
    /// Lengths of requests and their answers.
    pub lengths: Vec<(usize, usize)>,
    /// What arrived and could not be opened.
    pub unopened: u64,
    cookies: BTreeMap<Vec<u8>, Keys>,
    dice: Dice,
}

impl NtsServer {
    pub fn new(address: &str, dice: Dice) -> Self {
        Self {
            addresses: vec![address.parse().unwrap()],
            aead: Aead::AesSivCmac256,
            valid: Validity { from: 0, until: i64::MAX },
            exchanges: Box::new(|_| true),
            sends_naks: true,
            takes_other_keys: false,
            asked: Vec::new(),
            answered: 0,
            naks: 0,
            lengths: Vec::new(),
            unopened: 0,
            cookies: BTreeMap::new(),
            dice,
        }
    }

    /// It starts anew without its keys.
    pub fn forget(&mut self) {
        self.cookies.clear();
    }

    fn random(&mut self, length: usize) -> Vec<u8> {
        (0..length.div_ceil(32)).flat_map(|_| self.dice.seed()).take(length).collect()
    }

    fn keys(&mut self) -> Keys {
        let mut key = || Secret::new(&self.random(self.aead.key_length())).unwrap();
        Keys { to_server: key(), to_client: key() }
    }

    fn cookie(&mut self, keys: &Keys) -> Vec<u8> {
        let cookie = self.random(COOKIE);
        self.cookies.insert(cookie.clone(), keys.clone());
        cookie
    }

    /// An exchange at true time `time`, by a client whose clock shows `clock`, Unix time.
    pub fn exchange(
        &mut self,
        request: &KeyRequest,
        time: f64,
        clock: i64,
    ) -> Result<Box<Established>, KeyFailure> {
        self.asked.push(time);
        let fail = |class, text: &str| Err(KeyFailure { class, text: text.to_owned() });
        if !(self.exchanges)(time) {
            return fail(FailureClass::Connection, "connection refused");
        }
        if request.check == CertificateCheck::Whole && !(self.valid.from..=self.valid.until).contains(&clock)
        {
            return fail(FailureClass::Tls, "the certificate is not valid at this time");
        }
        if !request.aeads.contains(&self.aead) {
            return fail(FailureClass::Protocol, "no algorithm in common");
        }
        let (keys, others) = (self.keys(), self.keys());
        let used = if self.takes_other_keys { others.clone() } else { keys.clone() };
        let cookies = (0..COOKIES).map(|_| self.cookie(&used)).collect();
        Ok(Box::new(Established {
            aead: self.aead,
            keys,
            other_keys: (self.aead == Aead::Aes128GcmSiv).then_some(others),
            cookies,
            host: self.addresses[(self.asked.len() - 1) % self.addresses.len()].into(),
            port: 123,
            valid: Some(self.valid),
            made: clock,
            origin: CookieOrigin::Server,
        }))
    }

    /// The answer to a request whose plain answer would be `reply`; `None` if it gets none.
    pub fn answer(&mut self, request: &[u8], reply: &Header) -> Option<Vec<u8>> {
        let fields = Fields::parse(request).ok().filter(Fields::is_request)?;
        let (unique, cookie, sealed) = (fields.unique?, fields.cookie?, fields.sealed?);
        // Used once.
        let keys = self.cookies.remove(cookie).filter(|keys| {
            let mut text = [0; 64];
            let mut cipher = Cipher::new(self.aead, keys.to_server.as_bytes()).unwrap();
            cipher.open(request, &sealed, &mut text).is_ok()
        });
        let mut packet = reply.to_bytes().to_vec();
        let at = packet.len();
        let Some(keys) = keys else {
            self.unopened += 1;
            if !self.sends_naks {
                return None;
            }
            self.naks += 1;
            packet = nak(reply, unique);
            return Some(packet);
        };
        let count = (1 + fields.placeholders).min(COOKIES);
        packet.resize(request.len(), 0);
        let mut writer = Writer::new(&mut packet, at);
        writer.unique(unique);
        let place = Authenticator { at: writer.finish()?, aead: self.aead };
        let new: Vec<Vec<u8>> = (0..count).map(|_| self.cookie(&keys)).collect();
        let mut plain = vec![0; count * (COOKIE + 4)];
        let mut writer = Writer::new(&mut plain, 0);
        new.iter().for_each(|cookie| writer.cookie(cookie));
        writer.finish()?;
        packet[place.plain_at()..][..plain.len()].copy_from_slice(&plain);
        let nonce: [u8; 16] = self.random(16).try_into().unwrap();
        let end = place.end(plain.len());
        Cipher::new(self.aead, keys.to_client.as_bytes())?.seal(
            &mut packet,
            place,
            &nonce,
            plain.len(),
            end,
        )?;
        packet.truncate(end);
        self.answered += 1;
        self.lengths.push((request.len(), packet.len()));
        Some(packet)
    }
}

/// A NAK to a request with this unique identifier, where the plain answer would be `reply`.
pub fn nak(reply: &Header, unique: &[u8]) -> Vec<u8> {
    let header = Header { stratum: 0, reference_id: RefId::from_bytes(*b"NTSN"), ..*reply };
    let mut packet = header.to_bytes().to_vec();
    let at = packet.len();
    packet.resize(at + 4 + UNIQUE_LEN, 0);
    let mut writer = Writer::new(&mut packet, at);
    writer.unique(unique);
    assert!(writer.finish().is_some());
    packet
}
