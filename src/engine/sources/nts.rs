//! A client's side of NTS (RFC 8915): the keys and cookies of an association, its sealed requests and their responses, and when keys are
//! exchanged anew.

use crate::engine::auth::aead::Cipher;
use crate::engine::contract::{
    CertificateCheck, CookieOrigin, Established, FailureClass, KeyFailure, Validity,
};
use crate::units::{Aead, MonoTime, Seconds};
use crate::wire::nts::fields::{self, Authenticator, Fields, UNIQUE_LEN, Writer};
use crate::wire::nts::{COOKIE_MAX, COOKIES};

/// Random bytes that a request needs: the unique identifier and the nonce.
pub const RANDOM_LEN: usize = UNIQUE_LEN + Aead::NONCE_MAX;
/// Keys are exchanged anew after four weeks.
const REFRESH: Seconds = Seconds::new(2_419_200.0);
/// Requests without a response after which the cookies are taken for dead: a server may drop what it cannot open.
const SILENT: u32 = 8;
/// The same with cookies from the disk, of which no response has shown yet that they are good.
const SILENT_FROM_DISK: u32 = 3;
/// After so many requests with placeholders that got no response one goes without: long packets may be dropped on the way.
const LONG_IN_VAIN: u32 = 3;
/// Most bytes of cookies and placeholders in a request.
const COOKIE_FIELDS_MAX: usize = 864;
/// Longest request, bytes.
const REQUEST_MAX: usize = 1_280;
/// Most bytes that a response encrypts.
const PLAIN_MAX: usize = 2_048;
/// The first pause after trouble that may pass, as a power of two: 16 s.
const SOON: u32 = 4;
/// The same after trouble that has to be mended: 256 s.
const LATE: u32 = 8;
/// No pause is longer: six days.
const PAUSE_MAX: u32 = 19;

/// What a packet of an NTS server is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opened {
    /// A response, sealed with our keys, with new cookies.
    Genuine,
    /// A NAK to an open request: the server cannot open the cookie.
    Nak,
    /// Neither.
    Forged,
}

/// Why keys are exchanged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// What there is goes on being used meanwhile.
    Renewal,
    /// There is nothing to send a request with.
    Nothing,
}

/// The state of NTS of an association.
#[derive(Clone, Debug, Default)]
pub struct NtsState {
    session: Option<Session>,
    /// Exchanges since the last genuine response.
    attempts: u32,
    /// When the last one began.
    begun: Option<MonoTime>,
    /// Whether it has not ended yet.
    running: bool,
    /// Why the last one failed.
    failure: Option<KeyFailure>,
    /// Whether cookies on the disk have been asked for: they are used once.
    disk_was_read: bool,
}

/// What one exchange gave.
#[derive(Clone, Debug)]
struct Session {
    given: Established,
    check: CertificateCheck,
    since: MonoTime,
    /// Unique identifiers of requests without a response, the oldest first.
    open: Vec<[u8; UNIQUE_LEN]>,
    /// Requests since the last genuine response.
    unanswered: u32,
    /// Of these the last ones, as far as they had placeholders.
    long_ones: u32,
    /// A NAK came, and no genuine response since.
    refused: bool,
    /// A genuine response has come.
    proven: bool,
}

impl Session {
    const fn new(given: Established, check: CertificateCheck, now: MonoTime) -> Self {
        Self {
            given,
            check,
            since: now,
            open: Vec::new(),
            unanswered: 0,
            long_ones: 0,
            refused: false,
            proven: false,
        }
    }

    /// How many placeholders a request with a cookie of this length has.
    fn placeholders(&self, cookie: usize, length: usize) -> usize {
        if self.long_ones >= LONG_IN_VAIN {
            return 0;
        }
        let missing = COOKIES.saturating_sub(self.given.cookies.len() + 1);
        let field = cookie + 4;
        let end = Authenticator { at: length + 4 + UNIQUE_LEN, aead: self.given.aead }.end(0);
        let room = COOKIE_FIELDS_MAX.min(REQUEST_MAX.saturating_sub(end)) / field;
        missing.min(room.saturating_sub(1))
    }

    fn seal(&mut self, packet: &mut Vec<u8>, random: &[u8; RANDOM_LEN]) -> Option<()> {
        if self.given.cookies.is_empty() {
            return None;
        }
        let cookie = self.given.cookies.remove(0);
        let (unique, nonce) = random.split_first_chunk::<UNIQUE_LEN>()?;
        let header = packet.len();
        let placeholders = self.placeholders(cookie.len(), header);
        packet.resize(REQUEST_MAX, 0);
        let mut writer = Writer::new(packet, header);
        writer.unique(unique);
        writer.cookie(&cookie);
        for _ in 0..placeholders {
            writer.placeholder(cookie.len());
        }
        let place = Authenticator { at: writer.finish()?, aead: self.given.aead };
        let end = place.end(0);
        let mut cipher = Cipher::new(self.given.aead, self.given.keys.to_server.as_bytes())?;
        cipher.seal(packet, place, nonce.try_into().ok()?, 0, end)?;
        packet.truncate(end);
        self.open.push(*unique);
        self.open.drain(..self.open.len().saturating_sub(COOKIES));
        self.unanswered += 1;
        self.long_ones = if placeholders > 0 { self.long_ones + 1 } else { 0 };
        Some(())
    }

    /// Takes the cookies of a genuine response.
    fn open(&mut self, packet: &[u8], fields: &Fields<'_>) -> Opened {
        let at = self.open.iter().position(|unique| fields.unique == Some(unique));
        let (Some(at), Some(sealed)) = (at, fields.sealed) else { return Opened::Forged };
        let Some(mut cipher) = Cipher::new(self.given.aead, self.given.keys.to_client.as_bytes()) else {
            return Opened::Forged;
        };
        let mut text = [0; PLAIN_MAX];
        let cookies =
            cipher.open(packet, &sealed, &mut text).ok().and_then(|plain| fields::cookies(plain).ok());
        let Some(cookies) = cookies else { return Opened::Forged };
        let fits = |cookie: &&[u8]| cookie.len() <= COOKIE_MAX && cookie.len() >= Aead::TAG;
        let mut cookies = cookies.filter(fits).peekable();
        if cookies.peek().is_none() {
            return Opened::Forged;
        }
        let room = COOKIES.saturating_sub(self.given.cookies.len());
        self.given.cookies.extend(cookies.take(room).map(<[u8]>::to_vec));
        // The responses to earlier requests would be older.
        self.open.drain(..=at);
        (self.unanswered, self.long_ones) = (0, 0);
        (self.refused, self.proven) = (false, true);
        self.given.other_keys = None;
        Opened::Genuine
    }

    /// The server cannot open the cookie: perhaps since it takes the key of the other context.
    fn nak(&mut self) {
        if let Some(other) = self.given.other_keys.take().filter(|_| !self.proven) {
            self.given.keys = other;
        } else {
            self.refused = true;
        }
    }

    fn need(&self, now: MonoTime) -> Option<Need> {
        let silent =
            if self.proven || self.given.origin == CookieOrigin::Server { SILENT } else { SILENT_FROM_DISK };
        if self.refused || self.given.cookies.is_empty() {
            Some(Need::Nothing)
        } else {
            let due = self.unanswered >= silent || now.since(self.since).get() >= REFRESH.get();
            due.then_some(Need::Renewal)
        }
    }
}

impl NtsState {
    /// The state of an association whose server's keys another one has exchanged: its pool.
    #[must_use]
    pub fn begun_with(given: Established, check: CertificateCheck, now: MonoTime) -> Self {
        Self { session: Some(Session::new(given, check, now)), disk_was_read: true, ..Self::default() }
    }

    /// Makes a request of a header: adds the fields, and seals it. `None` if there is no cookie.
    pub fn seal(&mut self, packet: &mut Vec<u8>, random: &[u8; RANDOM_LEN]) -> Option<()> {
        self.session.as_mut()?.seal(packet, random)
    }

    /// What a packet of the server is: `refuses` if its header is a NAK to an open request.
    pub fn open(&mut self, packet: &[u8], header: ResponseHeader) -> Opened {
        let Some((session, fields)) = self.session.as_mut().zip(Fields::parse(packet).ok()) else {
            return Opened::Forged;
        };
        match header {
            ResponseHeader::Nak if fields.sealed.is_none() => {
                let ours = session.open.iter().any(|unique| fields.unique == Some(unique));
                if !ours {
                    return Opened::Forged;
                }
                session.nak();
                Opened::Nak
            }
            ResponseHeader::Nak => Opened::Forged,
            ResponseHeader::Time(at) => {
                let outside = |valid: &Validity| !(valid.from..=valid.until).contains(&at);
                if session.check == CertificateCheck::NotDates
                    && session.given.valid.as_ref().is_some_and(outside)
                {
                    return Opened::Forged;
                }
                let opened = session.open(packet, &fields);
                if opened == Opened::Genuine {
                    (self.attempts, self.failure) = (0, None);
                }
                opened
            }
        }
    }

    /// Whether keys are to be exchanged, and how badly.
    #[must_use]
    pub fn need(&self, now: MonoTime) -> Option<Need> {
        self.session.as_ref().map_or(Some(Need::Nothing), |session| session.need(now))
    }

    /// Whether a request can be sent.
    #[must_use]
    pub fn can_ask(&self) -> bool {
        self.session.as_ref().is_some_and(|s| !s.refused && !s.given.cookies.is_empty())
    }

    /// Whether an exchange is under way.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        self.running
    }

    /// When the next exchange may begin; `jitter` is in 0..1. Soon again after a connection failed, later after TLS or the server's
    /// answer were no good, which has to be mended; each time twice as late, until a genuine response has come.
    #[must_use]
    pub fn next_exchange(&self, now: MonoTime, jitter: f64) -> MonoTime {
        let Some(begun) = self.begun.filter(|_| self.attempts > 0) else { return now };
        let first = match self.failure.as_ref().map(|failure| failure.class) {
            None | Some(FailureClass::Name | FailureClass::Connection) => SOON,
            Some(FailureClass::Tls | FailureClass::Protocol) => LATE,
        };
        let pause = f64::from(1u32 << (first + self.attempts - 1).min(PAUSE_MAX));
        let at = begun + Seconds::new(pause * (1.0 + 0.1 * jitter));
        if at > now { at } else { now }
    }

    /// Something changed that may let an exchange succeed: the next one need not wait.
    pub fn forgive(&mut self) {
        self.attempts = self.attempts.min(1);
        self.failure = None;
    }

    /// An exchange begins. Gives whether cookies on the disk will do.
    pub fn begin(&mut self, now: MonoTime) -> bool {
        (self.running, self.begun) = (true, Some(now));
        self.attempts = self.attempts.saturating_add(1).min(PAUSE_MAX);
        !std::mem::replace(&mut self.disk_was_read, true)
    }

    /// An exchange succeeded.
    pub fn established(&mut self, given: Established, check: CertificateCheck, now: MonoTime) {
        (self.running, self.failure) = (false, None);
        if given.origin == CookieOrigin::Disk {
            // Nothing was asked of the server.
            self.attempts = 0;
        }
        self.session = Some(Session::new(given, check, now));
    }

    /// An exchange of a pool succeeded; of no use if the server is one that there is already.
    pub const fn member_found(&mut self) {
        self.running = false;
        self.attempts = 0;
    }

    /// An exchange succeeded, and gave nothing new.
    pub fn in_vain(&mut self) {
        (self.running, self.failure) = (false, None);
    }

    /// An exchange failed. Keys of which dates have not been checked yet are no good any more, if it was the certificate.
    pub fn failed(&mut self, failure: KeyFailure) {
        self.running = false;
        if failure.class == FailureClass::Tls
            && self.session.as_ref().is_some_and(|s| s.check == CertificateCheck::NotDates)
        {
            self.session = None;
        }
        self.failure = Some(failure);
    }

    /// Whether the keys come from a server whose certificate's dates were not looked at.
    #[must_use]
    pub fn is_undated(&self) -> bool {
        self.session.as_ref().is_some_and(|s| s.check == CertificateCheck::NotDates)
    }

    /// Cookies that are left.
    #[must_use]
    pub fn cookies(&self) -> usize {
        self.session.as_ref().map_or(0, |s| s.given.cookies.len())
    }

    /// Length of the next cookie, bytes.
    #[must_use]
    pub fn cookie_length(&self) -> Option<usize> {
        self.session.as_ref()?.given.cookies.first().map(Vec::len)
    }

    /// Exchanges since the last genuine response.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Whether the server has refused our cookie, and sent no genuine response since.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.session.as_ref().is_some_and(|s| s.refused)
    }

    /// The algorithm in use.
    #[must_use]
    pub fn aead(&self) -> Option<Aead> {
        self.session.as_ref().map(|s| s.given.aead)
    }

    /// The server's port.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.session.as_ref().map(|s| s.given.port)
    }

    /// How long ago the keys were exchanged.
    #[must_use]
    pub fn age(&self, now: MonoTime) -> Option<Seconds> {
        self.session.as_ref().map(|s| now.since(s.since))
    }

    /// Why the last exchange failed.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_ref().map(|failure| failure.text.as_str())
    }

    /// What to keep for the next process: keys that a response has shown to be good.
    #[must_use]
    pub fn to_keep(&self) -> Option<&Established> {
        self.session.as_ref().filter(|s| s.proven && !s.refused).map(|s| &s.given)
    }
}

/// What the header of a packet says, as far as NTS needs it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResponseHeader {
    /// The kiss code NTSN, with the origin of an open request.
    Nak,
    /// Another packet, which left at this time, seconds since 1970.
    Time(i64),
}
