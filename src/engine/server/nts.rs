//! Requests of NTS (RFC 8915 section 5): what is encrypted is opened on the stack, and the answer is written behind the place of
//! its header. Nothing of a client is kept but in its cookies.

use super::{ReplyBuffer, SECRETS_AT};
use crate::engine::auth::aead::Cipher;
use crate::engine::auth::cookie::{self, Age, BadCookie, Cookies, Opened};
use crate::engine::reject::{Counters, Reject};
use crate::units::Aead;
use crate::wire::counter::Counter;
use crate::wire::header::HEADER_LEN;
use crate::wire::nts::COOKIES;
use crate::wire::nts::fields::{Authenticator, Fields, Sealed, Writer};
use crate::wire::nts::master::MasterKeys;
use rand_chacha::rand_core::Rng;

/// Longest answer, bytes: what every Ethernet takes in one piece. Answers in several pieces are not sent.
const ANSWER_MAX: usize = 1_452;
/// Most bytes of encrypted fields in a request. None has any today.
const ENCRYPTED_MAX: usize = 1_024;
/// Where the nonce is among the secrets of an answer: behind the key.
const NONCE_AT: usize = Aead::KEY_MAX;

/// How an answer is protected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Protection {
    /// Not by NTS: the request has nothing of it, or it is not served.
    None,
    /// The fields to encrypt stand in the buffer, the key behind the packet.
    Sealed(Shape),
    /// The request is refused by a NAK of this length, whose field stands in the buffer.
    Refused { length: u16 },
}

/// Where things are in a protected answer. Small: plain answers are carried about with as much room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Shape {
    aead: Aead,
    at: u16,
    plain: u16,
    end: u16,
}

/// What serves clients of NTS.
#[derive(Debug, Default)]
pub(super) struct Nts {
    /// `None`: it is not served.
    cookies: Option<Cookies>,
    /// Until when the certificate of the key exchange is valid, seconds since 1970; `None`: no keys are exchanged.
    pub(super) certificate_end: Option<i64>,
}

impl Nts {
    /// Cookies are sealed by these keys from now on.
    pub(super) fn take_keys(&mut self, keys: &MasterKeys) {
        self.cookies = Some(Cookies::new(keys));
    }

    /// What the answer to a request of version 4 in client mode is protected by; writes all of it but what the header covers.
    ///
    /// # Errors
    /// [`Reject::Format`] where not even a NAK fits.
    pub(super) fn protect(
        &mut self,
        counters: &mut Counters,
        rng: &mut impl Rng,
        request: &[u8],
        reply: &mut ReplyBuffer,
    ) -> Result<Protection, Reject> {
        let Ok(fields) = Fields::parse(request) else { return Ok(Protection::None) };
        let (Some(unique), Some(cookie), Some(sealed)) = (fields.unique, fields.cookie, fields.sealed) else {
            return Ok(Protection::None);
        };
        let Some(cookies) = &mut self.cookies else {
            counters.count(Counter::CookieNotServer);
            return Ok(Protection::None);
        };
        if let Some(opened) = open(cookies, counters, request, cookie, &sealed) {
            let wanted = (1 + fields.placeholders).min(COOKIES);
            let shape =
                write(cookies, rng, &opened, unique, wanted, request.len(), reply).ok_or(Reject::Format)?;
            counters.count(Counter::NtsServerGood);
            counters.count(Counter::NtsServerSent);
            counters.count_more(
                Counter::CookieMade,
                u64::from(shape.plain) / (4 + cookie::length(opened.aead)) as u64,
            );
            return Ok(Protection::Sealed(shape));
        }
        counters.count(Counter::NtsServerBad);
        let mut writer = Writer::new(&mut reply[..SECRETS_AT], HEADER_LEN);
        writer.unique(unique);
        let length = writer.finish().and_then(|length| length.try_into().ok()).ok_or(Reject::Format)?;
        Ok(Protection::Refused { length })
    }
}

/// What the cookie holds, if by it the request is genuine.
fn open(
    cookies: &mut Cookies,
    counters: &mut Counters,
    request: &[u8],
    cookie: &[u8],
    sealed: &Sealed<'_>,
) -> Option<Opened> {
    let opened = cookies.open(cookie);
    counters.count(match &opened {
        Ok(opened) => match opened.age {
            Age::Current => Counter::CookieCurrent,
            Age::Old => Counter::CookieOld,
            Age::Old2 => Counter::CookieOld2,
            Age::Older => Counter::CookieOlder,
        },
        Err(BadCookie::TooOld) => Counter::CookieTooOld,
        Err(BadCookie::Broken) => Counter::CookieError,
    });
    let opened = opened.ok()?;
    let mut text = [0; ENCRYPTED_MAX];
    Cipher::new(opened.aead, opened.to_server.as_bytes())?.open(request, sealed, &mut text).ok()?;
    Some(opened)
}

/// The fields of an answer, as long as the request: the way back takes as long as the way here, and a forger gains nothing.
fn write(
    cookies: &mut Cookies,
    rng: &mut impl Rng,
    opened: &Opened,
    unique: &[u8],
    wanted: usize,
    length: usize,
    reply: &mut ReplyBuffer,
) -> Option<Shape> {
    let (packet, secrets) = reply.split_at_mut_checked(SECRETS_AT)?;
    let end = length.min(ANSWER_MAX);
    let packet = packet.get_mut(..end)?;
    let mut writer = Writer::new(packet, HEADER_LEN);
    writer.unique(unique);
    let place = Authenticator { at: writer.finish()?, aead: opened.aead };
    let each = cookie::length(opened.aead);
    let room = end.checked_sub(place.end(0))?;
    let mut writer = Writer::new(packet, place.plain_at());
    for _ in 0..wanted.min(room / (4 + each)) {
        let mut nonce = [0; cookie::NONCE];
        rng.fill_bytes(&mut nonce);
        cookies.make(opened, &nonce, writer.cookie_room(each)?)?;
    }
    let plain = writer.finish()? - place.plain_at();
    debug_assert!(place.end(plain) <= end, "an answer is no longer than its request: {plain} bytes in {end}");
    let (key, nonce) = secrets.split_at_mut_checked(NONCE_AT)?;
    key.get_mut(..opened.aead.key_length())?.copy_from_slice(opened.to_client.as_bytes());
    rng.fill_bytes(nonce);
    let [at, plain, end] = [place.at, plain, end].map(|number| u16::try_from(number).ok());
    Some(Shape { aead: opened.aead, at: at?, plain: plain?, end: end? })
}

/// Seals an answer whose header is complete; gives its length.
pub(super) fn seal(shape: Shape, reply: &mut ReplyBuffer) -> usize {
    let (packet, secrets) = reply.split_at_mut(SECRETS_AT);
    let (key, nonce) = secrets.split_at(NONCE_AT);
    let place = Authenticator { at: shape.at.into(), aead: shape.aead };
    let (plain, end) = (shape.plain.into(), shape.end.into());
    let sealed = key
        .get(..shape.aead.key_length())
        .and_then(|key| Cipher::new(shape.aead, key))
        .zip(nonce.first_chunk())
        .and_then(|(mut cipher, nonce)| cipher.seal(packet, place, nonce, plain, end));
    debug_assert!(sealed.is_some(), "what was written is sealed: {shape:?}");
    secrets.fill(0);
    // Without its fields it is a plain answer, which no client of NTS takes.
    if sealed.is_some() { end } else { HEADER_LEN }
}
