//! A key exchange as the client makes it, over whatever carries its bytes: TLS, a request, an answer, keys.

use super::tls;
use super::verify::{Verifier, no_alpn};
use crate::daemon::files;
use crate::engine::contract::{FailureClass, KeyFailure, Keys, Validity};
use crate::units::Aead;
use crate::wire::nts::ALPN;
use crate::wire::nts::records::{self, RESPONSE_MAX, Request, Response};
use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use std::io::{self, Read, Write};
use std::sync::Arc;

/// Most that is taken of a server, bytes: an answer, certificates before it, and the wrapping of TLS around each of its bytes.
const TAKEN_MAX: usize = 512 << 10;

/// A key exchange under way.
#[derive(Debug)]
pub struct Exchange {
    tls: ClientConnection,
    verifier: Arc<Verifier>,
    server: String,
    offered: Vec<Aead>,
    asked: bool,
    answer: Vec<u8>,
    taken: usize,
}

/// What a server has given.
#[derive(Debug)]
pub struct Granted {
    /// Its answer.
    pub response: Response,
    /// The keys.
    pub keys: Keys,
    /// Those of the other exporter context, where it is not known which one the server takes.
    pub other_keys: Option<Keys>,
}

impl Exchange {
    /// Begins with `server`, a name or an address, and offers these algorithms.
    ///
    /// # Errors
    /// A name that no certificate can have, or what TLS says.
    pub fn new(server: &str, offered: &[Aead], verifier: Arc<Verifier>) -> Result<Self, KeyFailure> {
        // An address of one link has its link behind it.
        let bare = server.split('%').next().unwrap_or(server);
        let name = ServerName::try_from(bare.to_owned()).map_err(|_| {
            failure(FailureClass::Name, format!("{server} is no name that a certificate can have"))
        })?;
        let tls = verifier
            .config()
            .and_then(|config| ClientConnection::new(Arc::new(config), name))
            .map_err(|why| verifier.failure(server, &why))?;
        let (server, offered) = (server.to_owned(), offered.to_vec());
        Ok(Self { tls, verifier, server, offered, asked: false, answer: Vec::new(), taken: 0 })
    }

    /// Goes on until the stream has nothing more for now, or the server has given what it has to.
    ///
    /// # Errors
    /// Why there will be no keys.
    pub fn go_on<S: Read + Write>(&mut self, stream: &mut S) -> Result<Option<Granted>, KeyFailure> {
        loop {
            self.send(stream)?;
            match self.tls.read_tls(stream) {
                Ok(0) => return Err(self.ended_early()),
                Ok(length) => self.taken += length,
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(why) if why.kind() == io::ErrorKind::Interrupted => continue,
                Err(why) => return Err(self.broken(&why)),
            }
            if self.taken > TAKEN_MAX {
                return Err(failure(FailureClass::Protocol, format!("{} sends without end", self.server)));
            }
            if let Err(why) = self.tls.process_new_packets() {
                // The server may be given the reason; ours is the certificate's.
                let _alert = self.send(stream);
                return Err(self.verifier.failure(&self.server, &why));
            }
            if !self.asked && !self.tls.is_handshaking() {
                self.ask()?;
            }
            if self.read_answer()? {
                let granted = self.judge()?;
                self.tls.send_close_notify();
                let _it_has_answered = self.send(stream);
                return Ok(Some(granted));
            }
        }
    }

    /// From when to when the server's certificates are valid, as far as they were looked at.
    #[must_use]
    pub fn valid(&self) -> Option<Validity> {
        self.verifier.valid()
    }

    fn ask(&mut self) -> Result<(), KeyFailure> {
        if self.tls.alpn_protocol() != Some(ALPN) {
            return Err(failure(FailureClass::Tls, no_alpn(&self.server)));
        }
        let aeads = self.offered.clone();
        let compliant_export = aeads.contains(&Aead::Aes128GcmSiv);
        let request = Request { aeads, ntpv4: true, compliant_export };
        self.asked = true;
        self.tls.writer().write_all(&request.to_bytes()).map_err(|why| self.broken(&why))
    }

    /// Takes what has come of the answer; whether it is whole.
    fn read_answer(&mut self) -> Result<bool, KeyFailure> {
        // What comes before it has been asked for is none.
        let mut piece = [0; 2_048];
        while let Ok(length @ 1..) = self.tls.reader().read(&mut piece) {
            self.answer.extend(&piece[..length]);
            if self.answer.len() > RESPONSE_MAX {
                let text = format!("its answer is longer than {RESPONSE_MAX} bytes");
                return Err(failure(FailureClass::Protocol, text));
            }
        }
        Ok(self.asked && records::end(&self.answer).is_some())
    }

    fn judge(&self) -> Result<Granted, KeyFailure> {
        let response = Response::parse(&self.answer, &self.offered)
            .map_err(|why| failure(FailureClass::Protocol, why.to_string()))?;
        let export = |number| {
            tls::export(&self.tls, response.aead, number)
                .map_err(|why| self.verifier.failure(&self.server, &why))
        };
        let right = response.aead.number();
        let (keys, other_keys) = if response.aead == Aead::Aes128GcmSiv && !response.compliant_export {
            // chronyd before 4.6.1 counts with the number of the algorithm that all have; others may not.
            (export(Aead::AesSivCmac256.number())?, Some(export(right)?))
        } else {
            (export(right)?, None)
        };
        Ok(Granted { response, keys, other_keys })
    }

    fn send<S: Write>(&mut self, stream: &mut S) -> Result<(), KeyFailure> {
        while self.tls.wants_write() {
            match self.tls.write_tls(stream) {
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => break,
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) => return Err(self.broken(&why)),
                Ok(_) => {}
            }
        }
        Ok(())
    }

    fn broken(&self, why: &io::Error) -> KeyFailure {
        failure(FailureClass::Connection, format!("connection to {}: {}", self.server, files::words(why)))
    }

    fn ended_early(&self) -> KeyFailure {
        let what = match (self.asked, self.answer.is_empty()) {
            (false, _) => "during the TLS handshake",
            (true, true) => "without an answer",
            (true, false) => "before its answer was whole",
        };
        failure(FailureClass::Connection, format!("{} closed the connection {what}", self.server))
    }
}

/// A failure of this class, in these words.
pub(super) fn failure(class: FailureClass, text: String) -> KeyFailure {
    KeyFailure { class, text }
}

#[cfg(test)]
mod tests;
