//! A key exchange with a client, as far as it goes without waiting.

use crate::daemon::nts::tls;
use crate::engine::auth::cookie::{self, Age, Cookies, Opened};
use crate::units::Aead;
use crate::wire::nts::records::{self, ErrorCode, REQUEST_MAX, Request, Response};
use crate::wire::nts::{ALPN, COOKIES};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng as _;
use rustls::{ServerConfig, ServerConnection};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

/// Most bytes that are taken of a client. What TLS holds at a time is less.
const TAKEN_MAX: usize = 64 << 10;

/// The connection below TLS.
pub trait Stream: Read + Write {
    /// Nothing more will be written.
    fn end(&mut self);
}

impl Stream for mio::net::TcpStream {
    fn end(&mut self) {
        let _closed_already = self.shutdown(Shutdown::Write);
    }
}

/// What became of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The client has its cookies.
    Good,
    /// It never spoke TLS to the end of the handshake.
    NoTls,
    /// It made no request that makes sense, or did not take its answer.
    Bad,
}

/// What requests are answered from.
#[derive(Debug)]
pub struct Answers {
    /// The algorithms, the most wanted first; empty: all, as the client wants.
    pub aeads: Vec<Aead>,
    /// The UDP port of our server of time, if that is not the usual one.
    pub port: Option<u16>,
    /// The keys of the cookies.
    pub cookies: Option<Cookies>,
    /// For their nonces.
    pub rng: ChaCha20Rng,
    /// Cookies that were made.
    pub made: u64,
}

impl Answers {
    /// The algorithm for this client.
    fn choose(&self, request: &Request) -> Option<Aead> {
        let offered = request.aeads.iter().copied();
        if self.aeads.is_empty() {
            return offered.into_iter().next();
        }
        self.aeads.iter().copied().find(|aead| request.aeads.contains(aead))
    }

    fn answer(&mut self, tls: &ServerConnection, message: &[u8]) -> Result<Vec<u8>, ErrorCode> {
        let request = Request::parse(message)?;
        let Some(aead) = self.choose(&request).filter(|_| request.ntpv4) else {
            return Ok(records::nothing_in_common(&request));
        };
        let compliant_export = aead == Aead::Aes128GcmSiv && request.compliant_export;
        // chronyd before 4.6.1 knows no other number.
        let number = match aead {
            Aead::Aes128GcmSiv if !compliant_export => Aead::AesSivCmac256.number(),
            _ => aead.number(),
        };
        let keys = tls::export(tls, aead, number).map_err(|_| ErrorCode::Internal)?;
        let of = Opened { aead, to_server: keys.to_server, to_client: keys.to_client, age: Age::Current };
        let cookies = self.cookies.as_mut().ok_or(ErrorCode::Internal)?;
        let made = (0..COOKIES).map(|_| {
            let (mut nonce, mut cookie) = ([0; cookie::NONCE], vec![0; cookie::length(aead)]);
            self.rng.fill_bytes(&mut nonce);
            cookies.make(&of, &nonce, &mut cookie).map(|()| cookie)
        });
        let cookies: Vec<_> = made.collect::<Option<_>>().ok_or(ErrorCode::Internal)?;
        self.made += cookies.len() as u64;
        Ok(Response { aead, compliant_export, cookies, server: None, port: self.port }.to_bytes())
    }
}

/// A connection.
#[derive(Debug)]
pub struct Session<S> {
    stream: S,
    tls: ServerConnection,
    /// As much of the request as has come.
    request: Vec<u8>,
    /// Bytes taken of the client.
    taken: usize,
    /// What the answer was, once there is one.
    answered: Option<Outcome>,
    /// Whether there is nothing to read, nor to write once what waits has left.
    failed: bool,
    ended: bool,
}

impl<S: Stream> Session<S> {
    /// A client that has just connected.
    ///
    /// # Errors
    /// Of TLS, where it makes no sense of its configuration.
    pub fn new(stream: S, config: Arc<ServerConfig>) -> Result<Self, rustls::Error> {
        let tls = ServerConnection::new(config)?;
        Ok(Self { stream, tls, request: Vec::new(), taken: 0, answered: None, failed: false, ended: false })
    }

    /// The connection below.
    pub const fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// What it has come to, if it ends now.
    pub fn outcome(&self) -> Outcome {
        match self.answered {
            Some(outcome) if !self.tls.wants_write() => outcome,
            None if self.tls.is_handshaking() => Outcome::NoTls,
            _ => Outcome::Bad,
        }
    }

    /// Goes on as far as there is something to read and room to write; the outcome, once it is over.
    pub fn go_on(&mut self, answers: &mut Answers) -> Option<Outcome> {
        let open = self.read(answers);
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut self.stream) {
                Ok(0) => return Some(self.outcome()),
                Ok(_) => {}
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) if why.kind() == io::ErrorKind::WouldBlock && open => return None,
                Err(_) => return Some(self.outcome()),
            }
        }
        if self.answered.is_some() && !self.ended {
            // The client closes first: what it has still sent would take our answer with it.
            self.ended = true;
            self.stream.end();
        }
        (!open || self.failed).then(|| self.outcome())
    }

    /// Takes what has come; false where no more will.
    fn read(&mut self, answers: &mut Answers) -> bool {
        while !self.failed {
            match self.tls.read_tls(&mut self.stream) {
                Ok(0) => return false,
                Ok(count) => self.taken += count,
                Err(why) if why.kind() == io::ErrorKind::Interrupted => continue,
                Err(why) => return why.kind() == io::ErrorKind::WouldBlock,
            }
            // An alert that says why is sent where that is possible.
            self.failed = self.tls.process_new_packets().is_err() || self.taken > TAKEN_MAX;
            if !self.failed {
                self.take(answers);
            }
        }
        true
    }

    /// Takes what was decrypted.
    fn take(&mut self, answers: &mut Answers) {
        if self.tls.is_handshaking() {
            return;
        }
        if self.tls.alpn_protocol() != Some(ALPN) {
            self.failed = true;
            return;
        }
        if self.answered.is_some() {
            let _discarded = io::copy(&mut self.tls.reader(), &mut io::sink());
            return;
        }
        let room = (REQUEST_MAX + 1).saturating_sub(self.request.len()) as u64;
        // It ends where nothing more has come yet, or nothing more will.
        let _so_far = self.tls.reader().take(room).read_to_end(&mut self.request);
        let message = if self.request.len() > REQUEST_MAX {
            Err(ErrorCode::BadRequest)
        } else if records::end(&self.request).is_some() {
            answers.answer(&self.tls, &self.request)
        } else {
            return;
        };
        let outcome = if message.is_ok() { Outcome::Good } else { Outcome::Bad };
        let message = message.unwrap_or_else(records::error);
        self.answered = Some(outcome);
        self.failed = self.tls.writer().write_all(&message).is_err();
        self.tls.send_close_notify();
        self.request = Vec::new();
    }
}

#[cfg(test)]
mod tests;
