//! The messages of the key exchange: records of a type, a length and a body (RFC 8915 section 4).

use super::{COOKIE_MAX, COOKIES};
use crate::units::Aead;
use std::fmt;

/// Longest message that is read of a server, bytes.
pub const RESPONSE_MAX: usize = 16_384;
/// Longest message that is read of a client, bytes.
pub const REQUEST_MAX: usize = 1_024;
/// Longest name of an NTP server, bytes.
const NAME_MAX: usize = 255;

const CRITICAL: u16 = 0x8000;
const END: u16 = 0;
const NEXT_PROTOCOL: u16 = 1;
const ERROR: u16 = 2;
const WARNING: u16 = 3;
const AEAD: u16 = 4;
const COOKIE: u16 = 5;
const SERVER: u16 = 6;
const PORT: u16 = 7;
/// chronyd's: keys of algorithm 30 are exported with its own number.
const COMPLIANT_EXPORT: u16 = 1_024;
/// The only protocol there is: NTP version 4.
const NTPV4: u16 = 0;

/// What an Error record says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorCode {
    /// 0: a critical record that is not known.
    UnrecognisedCritical,
    /// 1: the request makes no sense.
    BadRequest,
    /// 2: the server could not.
    Internal,
}

impl ErrorCode {
    /// Its number.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::UnrecognisedCritical => 0,
            Self::BadRequest => 1,
            Self::Internal => 2,
        }
    }
}

/// What a client asks for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Request {
    /// Algorithms, the most wanted first: those that are known here.
    pub aeads: Vec<Aead>,
    /// Whether NTPv4 is among the protocols.
    pub ntpv4: bool,
    /// Whether keys of algorithm 30 are to be exported with its own number.
    pub compliant_export: bool,
}

/// What a server has given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    /// The algorithm.
    pub aead: Aead,
    /// Whether keys of algorithm 30 are exported with its own number.
    pub compliant_export: bool,
    /// The cookies, at most [`COOKIES`].
    pub cookies: Vec<Vec<u8>>,
    /// The NTP server's name or address; `None`: the one that was asked.
    pub server: Option<String>,
    /// The NTP server's port; `None`: 123.
    pub port: Option<u16>,
}

/// Why a response is of no use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadResponse {
    /// It ends too early, or has bytes behind its end.
    Format,
    /// An Error record, with its code.
    Error(u16),
    /// A Warning record, with its code: there are none yet.
    Warning(u16),
    /// A critical record of this type, which is not known.
    Critical(u16),
    /// A record of this type that came twice, or whose body makes no sense.
    Record(u16),
    /// It does not speak NTPv4.
    NoProtocol,
    /// It has none of the algorithms that were offered.
    NoAlgorithm,
    /// It chose an algorithm of this number, which was not offered.
    NotOffered(u16),
    /// It has no cookie.
    NoCookie,
}

impl fmt::Display for BadResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Format => f.write_str("its answer is cut off or not made of records"),
            Self::Error(0) => f.write_str("it does not know a critical record of the request (error 0)"),
            Self::Error(1) => f.write_str("it calls the request bad (error 1)"),
            Self::Error(2) => f.write_str("it has an internal error (error 2)"),
            Self::Error(code) => write!(f, "it answers with error {code}"),
            Self::Warning(code) => write!(f, "it answers with warning {code}, which is not defined"),
            Self::Critical(kind) => write!(f, "its answer has a critical record of the unknown type {kind}"),
            Self::Record(kind) => write!(f, "its record of type {kind} makes no sense"),
            Self::NoProtocol => f.write_str("it does not offer NTPv4"),
            Self::NoAlgorithm => f.write_str("it has none of the offered algorithms"),
            Self::NotOffered(number) => write!(f, "it chose algorithm {number}, which was not offered"),
            Self::NoCookie => f.write_str("it gave no cookie"),
        }
    }
}

struct Record<'a> {
    critical: bool,
    kind: u16,
    body: &'a [u8],
}

impl<'a> Record<'a> {
    /// The record at the beginning, and what is behind it; `None` if it is cut off.
    fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (head, rest) = bytes.split_first_chunk::<4>()?;
        let kind = u16::from_be_bytes([head[0], head[1]]);
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let (body, rest) = rest.split_at_checked(length)?;
        Some((Self { critical: kind & CRITICAL != 0, kind: kind & !CRITICAL, body }, rest))
    }

    /// The body as numbers of 16 bits.
    fn numbers(&self) -> Option<Vec<u16>> {
        let pairs = self.body.chunks_exact(2);
        pairs
            .remainder()
            .is_empty()
            .then(|| pairs.map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect())
    }

    /// The body as one number.
    fn number(&self) -> Option<u16> {
        self.body.try_into().ok().map(u16::from_be_bytes)
    }
}

/// How long the message is, its End record included; `None` while that has not come.
#[must_use]
pub fn end(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    loop {
        let (record, behind) = Record::split(rest)?;
        rest = behind;
        if record.kind == END {
            return Some(bytes.len() - rest.len());
        }
    }
}

fn push(message: &mut Vec<u8>, kind: u16, body: &[u8]) {
    debug_assert!(u16::try_from(body.len()).is_ok(), "{} bytes fit into no record", body.len());
    message.extend(kind.to_be_bytes());
    message.extend(u16::try_from(body.len()).unwrap_or_default().to_be_bytes());
    message.extend(body);
}

fn bytes_of(numbers: impl IntoIterator<Item = u16>) -> Vec<u8> {
    numbers.into_iter().flat_map(u16::to_be_bytes).collect()
}

impl Request {
    /// The message.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut message = Vec::new();
        push(&mut message, CRITICAL | NEXT_PROTOCOL, &bytes_of(self.ntpv4.then_some(NTPV4)));
        push(&mut message, CRITICAL | AEAD, &bytes_of(self.aeads.iter().map(|aead| aead.number())));
        if self.compliant_export {
            push(&mut message, COMPLIANT_EXPORT, &[]);
        }
        push(&mut message, CRITICAL | END, &[]);
        message
    }

    /// The request in a whole message.
    ///
    /// # Errors
    /// What to answer where it makes no sense.
    pub fn parse(message: &[u8]) -> Result<Self, ErrorCode> {
        let (mut protocols, mut aeads) = (None, None);
        let mut compliant_export = false;
        let mut rest = message;
        loop {
            let (record, behind) = Record::split(rest).ok_or(ErrorCode::BadRequest)?;
            rest = behind;
            match record.kind {
                END if record.body.is_empty() && rest.is_empty() => break,
                NEXT_PROTOCOL if protocols.is_none() => protocols = record.numbers(),
                AEAD if aeads.is_none() => aeads = record.numbers(),
                COMPLIANT_EXPORT if !record.critical => compliant_export = true,
                // A wish for a server or a port: there is only one.
                SERVER | PORT => {}
                END | NEXT_PROTOCOL | AEAD | ERROR | WARNING | COOKIE => return Err(ErrorCode::BadRequest),
                _ if record.critical => return Err(ErrorCode::UnrecognisedCritical),
                _ => {}
            }
        }
        let protocols = protocols.filter(|list| !list.is_empty()).ok_or(ErrorCode::BadRequest)?;
        let ntpv4 = protocols.contains(&NTPV4);
        // Only NTPv4 needs an algorithm.
        let aeads = aeads.filter(|list| !list.is_empty()).or((!ntpv4).then(Vec::new));
        let numbers = aeads.ok_or(ErrorCode::BadRequest)?;
        let aeads = numbers.into_iter().filter_map(Aead::of_number).collect();
        Ok(Self { aeads, ntpv4, compliant_export })
    }
}

impl Response {
    /// The message.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut message = Vec::new();
        push(&mut message, CRITICAL | NEXT_PROTOCOL, &bytes_of([NTPV4]));
        push(&mut message, CRITICAL | AEAD, &bytes_of([self.aead.number()]));
        if self.compliant_export {
            push(&mut message, COMPLIANT_EXPORT, &[]);
        }
        for cookie in &self.cookies {
            push(&mut message, COOKIE, cookie);
        }
        if let Some(server) = &self.server {
            push(&mut message, CRITICAL | SERVER, server.as_bytes());
        }
        if let Some(port) = self.port {
            push(&mut message, CRITICAL | PORT, &bytes_of([port]));
        }
        push(&mut message, CRITICAL | END, &[]);
        message
    }

    /// The response in a whole message to a request that offered these algorithms.
    ///
    /// # Errors
    /// Why it is of no use.
    pub fn parse(message: &[u8], offered: &[Aead]) -> Result<Self, BadResponse> {
        let mut read = Parts::default();
        let mut rest = message;
        loop {
            let (record, behind) = Record::split(rest).ok_or(BadResponse::Format)?;
            rest = behind;
            if record.kind == END {
                break;
            }
            read.take(&record)?;
        }
        if !rest.is_empty() {
            return Err(BadResponse::Format);
        }
        read.judge(offered)
    }
}

/// The records of a response, as far as they have been read.
#[derive(Default)]
struct Parts {
    protocols: Option<Vec<u16>>,
    aeads: Option<Vec<u16>>,
    compliant_export: bool,
    cookies: Vec<Vec<u8>>,
    server: Option<String>,
    port: Option<u16>,
}

impl Parts {
    fn take(&mut self, record: &Record<'_>) -> Result<(), BadResponse> {
        let bad = BadResponse::Record(record.kind);
        match record.kind {
            ERROR => return Err(record.number().map_or(bad, BadResponse::Error)),
            WARNING => return Err(record.number().map_or(bad, BadResponse::Warning)),
            NEXT_PROTOCOL if self.protocols.is_none() => self.protocols = Some(record.numbers().ok_or(bad)?),
            AEAD if self.aeads.is_none() => self.aeads = Some(record.numbers().ok_or(bad)?),
            // More than are kept, and those that fit into no field, are left.
            COOKIE => {
                let fits =
                    record.body.len().is_multiple_of(4) && (12..=COOKIE_MAX).contains(&record.body.len());
                if fits && self.cookies.len() < COOKIES {
                    self.cookies.push(record.body.to_vec());
                }
            }
            SERVER if self.server.is_none() => self.server = Some(name(record.body).ok_or(bad)?),
            PORT if self.port.is_none() => {
                self.port = Some(record.number().filter(|port| *port != 0).ok_or(bad)?);
            }
            COMPLIANT_EXPORT if !record.critical => self.compliant_export = true,
            NEXT_PROTOCOL | AEAD | SERVER | PORT => return Err(bad),
            kind if record.critical => return Err(BadResponse::Critical(kind)),
            _ => {}
        }
        Ok(())
    }

    fn judge(self, offered: &[Aead]) -> Result<Response, BadResponse> {
        match self.protocols.as_deref() {
            Some([NTPV4]) => {}
            Some([]) => return Err(BadResponse::NoProtocol),
            _ => return Err(BadResponse::Record(NEXT_PROTOCOL)),
        }
        let number = match self.aeads.as_deref() {
            Some([number]) => *number,
            Some([]) => return Err(BadResponse::NoAlgorithm),
            _ => return Err(BadResponse::Record(AEAD)),
        };
        let chosen = offered.iter().copied().find(|aead| aead.number() == number);
        let aead = chosen.ok_or(BadResponse::NotOffered(number))?;
        if self.cookies.is_empty() {
            return Err(BadResponse::NoCookie);
        }
        let Self { compliant_export, cookies, server, port, .. } = self;
        Ok(Response { aead, compliant_export, cookies, server, port })
    }
}

/// A host's name or address: what the resolver is asked must be nothing else.
fn name(body: &[u8]) -> Option<String> {
    let of_host = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b':');
    let valid = !body.is_empty() && body.len() <= NAME_MAX && body.iter().all(of_host);
    valid.then(|| body.iter().copied().map(char::from).collect())
}

/// The answer to a request that makes no sense.
#[must_use]
pub fn error(code: ErrorCode) -> Vec<u8> {
    let mut message = Vec::new();
    push(&mut message, CRITICAL | ERROR, &bytes_of([code.number()]));
    push(&mut message, CRITICAL | END, &[]);
    message
}

/// The answer to a request for other protocols, or for algorithms that are not there.
#[must_use]
pub fn nothing_in_common(request: &Request) -> Vec<u8> {
    let mut message = Vec::new();
    push(&mut message, CRITICAL | NEXT_PROTOCOL, &bytes_of(request.ntpv4.then_some(NTPV4)));
    if request.ntpv4 {
        push(&mut message, CRITICAL | AEAD, &[]);
    }
    push(&mut message, CRITICAL | END, &[]);
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use Aead::{Aes128GcmSiv, AesSivCmac256};

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> =
            text.bytes().filter_map(|c| char::from(c).to_digit(16)).map(|d| d as u8).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    fn parse(text: &str) -> Result<Response, BadResponse> {
        Response::parse(&hex(text), &[Aes128GcmSiv, AesSivCmac256])
    }

    const COOKIE_12: &str = "0005 000c 000102030405060708090a0b";

    #[test]
    fn requests_are_what_chronyd_sends_and_read_back() {
        let request =
            Request { aeads: vec![Aes128GcmSiv, AesSivCmac256], ntpv4: true, compliant_export: true };
        let bytes = hex("8001 0002 0000  8004 0004 001e 000f  0400 0000  8000 0000");
        assert_eq!(request.to_bytes(), bytes);
        assert_eq!(Request::parse(&bytes), Ok(request));
        assert_eq!(end(&bytes), Some(bytes.len()));
        assert_eq!(end(&bytes[..bytes.len() - 1]), None);
    }

    #[test]
    fn requests_that_make_no_sense_get_their_error() {
        let of = |text: &str| Request::parse(&hex(text));
        assert_eq!(of("8001 0002 0000 8000 0000"), Err(ErrorCode::BadRequest), "no algorithm");
        assert_eq!(of("8004 0002 000f 8000 0000"), Err(ErrorCode::BadRequest), "no protocol");
        assert_eq!(
            of("8001 0002 0000 8004 0002 000f c001 0000 8000 0000"),
            Err(ErrorCode::UnrecognisedCritical)
        );
        assert!(of("8001 0002 0000 8004 0002 000f 4001 0000 8000 0000").is_ok());
        assert_eq!(of("8001 0002 0000 8004 0002 000f 8000 0000 00"), Err(ErrorCode::BadRequest), "behind");
        assert_eq!(of("8001 0002 0000 8004 0003 000f00 8000 0000"), Err(ErrorCode::BadRequest), "odd");
        assert_eq!(
            of("8001 0002 0000 8005 0000 8004 0002 000f 8000 0000"),
            Err(ErrorCode::BadRequest),
            "cookie"
        );
        let other = of("8001 0002 0005 8000 0000").unwrap();
        assert_eq!(nothing_in_common(&other), hex("8001 0000 8000 0000"));
        let none = of("8001 0002 0000 8004 0002 0063 8000 0000").unwrap();
        assert_eq!(nothing_in_common(&none), hex("8001 0002 0000 8004 0000 8000 0000"));
        assert_eq!(error(ErrorCode::BadRequest), hex("8002 0002 0001 8000 0000"));
    }

    #[test]
    fn responses_are_read_in_any_order() {
        let text = format!(
            "{COOKIE_12} 0004 0002 000f 0007 0002 1000 8006 0006 612e622d632e 8001 0002 0000 8000 0000"
        );
        let response = parse(&text).unwrap();
        assert_eq!(response.aead, AesSivCmac256);
        assert_eq!((response.server.as_deref(), response.port), (Some("a.b-c."), Some(4096)));
        assert_eq!(response.cookies, [(0..12).collect::<Vec<u8>>()]);
        let message = response.to_bytes();
        assert_eq!(Response::parse(&message, &[AesSivCmac256]), Ok(response));
    }

    #[test]
    fn responses_of_no_use_are_named() {
        let start = "8001 0002 0000 8004 0002 001e";
        let end = "8000 0000";
        assert_eq!(parse(&format!("{start} {end}")), Err(BadResponse::NoCookie));
        assert_eq!(parse(&format!("{start} {COOKIE_12}")), Err(BadResponse::Format));
        assert_eq!(parse(&format!("{start} {COOKIE_12} {end} 00")), Err(BadResponse::Format));
        assert_eq!(parse(&format!("8002 0002 0001 {start} {end}")), Err(BadResponse::Error(1)));
        assert_eq!(parse(&format!("{start} 8003 0002 0009 {end}")), Err(BadResponse::Warning(9)));
        assert_eq!(parse(&format!("{start} c123 0000 {end}")), Err(BadResponse::Critical(0x4123)));
        assert_eq!(parse(&format!("{start} {start} {end}")), Err(BadResponse::Record(1)));
        assert_eq!(parse(&format!("8001 0000 {end}")), Err(BadResponse::NoProtocol));
        assert_eq!(parse(&format!("8001 0002 0000 8004 0000 {end}")), Err(BadResponse::NoAlgorithm));
        assert_eq!(parse(&format!("8001 0002 0000 8004 0002 0011 {end}")), Err(BadResponse::NotOffered(17)));
        assert_eq!(parse(&format!("8001 0002 0000 8004 0004 001e000f {end}")), Err(BadResponse::Record(4)));
        assert_eq!(parse(&format!("{start} 8007 0002 0000 {end}")), Err(BadResponse::Record(7)), "port 0");
        for bad in ["00", "2f", "20"] {
            assert_eq!(parse(&format!("{start} 8006 0001 {bad} {end}")), Err(BadResponse::Record(6)));
        }
    }

    #[test]
    fn a_server_that_gives_too_many_cookies_is_cut_short() {
        let cookies = [COOKIE_12; 9].concat();
        let odd = "0005 000d 000102030405060708090a0b0c";
        let response = parse(&format!("8001 0002 0000 8004 0002 001e {odd} {cookies} 8000 0000")).unwrap();
        assert_eq!(response.cookies.len(), COOKIES);
    }
}
