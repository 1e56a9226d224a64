//! Mode 6, the control protocol of ntpq and ntpstat (RFC 9327): reading, and with the control key
//! writing and configuring, answered as ntpd 4.2.6p5 answers and, where that knows no answer, 4.2.8.
//!
//! | question | file |
//! |---|---|
//! | access rights, what a request needs of the shell, sending | `mod.rs`, `bucket.rs` |
//! | status words and variables | `read.rs`; `system.rs`, `counters.rs`, `peer.rs` in the form of `table.rs` |
//! | `mrulist` | `mru.rs`, `nonce.rs` |
//! | `ifstats`, `reslist` | `lists.rs` |
//! | `:config`, `saveconfig`, writing variables | `write.rs` |
//! | number formats, lines, fragments | `text.rs` |

mod bucket;
mod counters;
mod lists;
mod mru;
mod nonce;
mod peer;
mod read;
pub mod shell_request;
mod system;
mod table;
mod text;
mod write;

pub use bucket::{BURST, RATE};

use self::bucket::ReplyBucket;
use self::nonce::Nonces;
use crate::config::model::AccessFlags;
use crate::engine::Engine;
use crate::engine::contract::{Machine, Now, Output, Rx, SocketId, Tx};
use crate::engine::control::shell_request::{Brought, ShellRequest, ShellRequestId, Survey};
use crate::engine::reject::Reject;
use crate::units::{KeyId, MonoTime};
use crate::wire::control::{self, ControlError, Request, opcode};
use crate::wire::counter::Counter;
use rand_chacha::rand_core::Rng;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

/// Most requests that wait for the shell, which brings what is asked for at once.
const PARKED_MAX: usize = 16;

/// What mode 6 remembers.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Control {
    nonces: Nonces,
    bucket: ReplyBucket,
    parked: VecDeque<Parked>,
    shell_requests: u64,
    /// Requests so far (`ss_numctlreq`).
    requests: u64,
    /// The file that `saveconfig` wrote last (`savedconfig`).
    saved: Option<String>,
    /// `uname` machine and system (`processor`, `system`).
    processor: String,
    machine_system: String,
}

impl Control {
    /// Nothing asked yet.
    pub(in crate::engine) fn new(now: MonoTime, machine: &Machine, rng: &mut impl Rng) -> Self {
        let mut secret = [0; 16];
        rng.fill_bytes(&mut secret);
        Self {
            nonces: Nonces::new(secret),
            bucket: ReplyBucket::new(now),
            parked: VecDeque::new(),
            shell_requests: 0,
            requests: 0,
            saved: None,
            processor: machine.processor.clone(),
            machine_system: machine.system.clone(),
        }
    }
}

/// A request that waits for what the shell brings.
#[derive(Clone, Debug)]
struct Parked {
    id: ShellRequestId,
    asker: Asker,
    packet: Vec<u8>,
}

/// The sender of a request.
#[derive(Clone, Copy, Debug)]
struct Asker {
    from: SocketAddr,
    to: IpAddr,
    socket: SocketId,
    flags: AccessFlags,
    /// The key that the request is signed with, if it is right.
    key: Option<KeyId>,
    /// Whether the source address is not forged.
    proven: bool,
}

/// The text of an answer.
struct Reply {
    status: u16,
    pieces: Vec<Vec<u8>>,
}

impl Reply {
    const fn new(status: u16, pieces: Vec<Vec<u8>>) -> Self {
        Self { status, pieces }
    }
}

/// What becomes of a request.
enum Answer {
    Reply(Reply),
    /// The shell must be asked first.
    ShellRequest(ShellRequest),
    /// It deserves no answer.
    Silence,
}

impl Engine {
    /// A mode-6 request; `noquery` drops it without a word.
    pub(super) fn control(&mut self, now: Now, rx: &Rx<'_>) -> Result<(), Reject> {
        let flags = self.server.access_mut().admit(rx.from);
        if flags.contains(AccessFlags::IGNORE) || flags.contains(AccessFlags::NOQUERY) {
            return Err(Reject::Restricted);
        }
        self.server.observe(now, rx, flags);
        self.control.requests += 1;
        let (request, problem) = match Request::parse(rx.data) {
            Ok(Some(request)) => (request, None),
            Ok(None) => return Err(Reject::Format),
            Err((request, error)) => (request, Some(error)),
        };
        let key = self.signer(&request, rx);
        let proven = key.is_some() || rx.from.ip().is_loopback() || self.has_nonce(now, &request, rx.from);
        if !proven && !self.control.bucket.is_open(now.mono) {
            return Err(Reject::Limited);
        }
        let asker = Asker { from: rx.from, to: rx.to, socket: rx.socket, flags, key, proven };
        let result = match problem {
            Some(error) => Err(error),
            None => self.perform(now, &request, &asker, None),
        };
        self.conclude(&request, asker, rx.data, result);
        Ok(())
    }

    /// The key of a right code.
    fn signer(&mut self, request: &Request<'_>, rx: &Rx<'_>) -> Option<KeyId> {
        request
            .codes(rx.data)
            .find(|code| {
                self.server.keys_mut().verify(code.covered, KeyId(code.key), code.digest, rx.from.ip())
            })
            .map(|code| KeyId(code.key))
    }

    /// What the shell brought for a parked request.
    pub(super) fn shell_request_done(&mut self, now: Now, id: ShellRequestId, brought: Brought) {
        let Some(index) = self.control.parked.iter().position(|p| p.id == id) else { return };
        let Some(Parked { asker, packet, .. }) = self.control.parked.remove(index) else { return };
        let Ok(Some(request)) = Request::parse(&packet) else { return };
        let result = match brought {
            Brought::Survey(survey) => self.perform(now, &request, &asker, Some(&survey)),
            Brought::Configured { reply, setup } => {
                if let Some(setup) = setup {
                    self.reload(now, *setup);
                }
                Ok(self.text_reply(&reply))
            }
            Brought::Saved { reply, file } => {
                self.control.saved = file.or(self.control.saved.take());
                Ok(self.text_reply(&reply))
            }
        };
        self.conclude(&request, asker, &packet, result);
    }

    fn text_reply(&self, reply: &str) -> Answer {
        Answer::Reply(Reply::new(self.reports.status(&self.system), text::plain(reply)))
    }

    fn perform(
        &mut self,
        now: Now,
        request: &Request<'_>,
        asker: &Asker,
        survey: Option<&Survey>,
    ) -> Result<Answer, ControlError> {
        match request.opcode {
            0 => self
                .status_of(request.association)
                .map(|status| Answer::Reply(Reply::new(status, Vec::new()))),
            opcode::READ_STATUS | opcode::READ_VARIABLES | opcode::READ_CLOCK => {
                self.read(now, request, asker, survey)
            }
            opcode::REQUEST_NONCE => {
                let nonce = format!("nonce={}", self.control.nonces.make(now.mono, asker.from));
                Ok(Answer::Reply(Reply::new(0, text::pack(&[nonce]))))
            }
            opcode::READ_MRU if asker.flags.contains(AccessFlags::NOMRULIST) => {
                self.server.counters_mut().count(Counter::Restricted);
                Err(ControlError::Prohibited)
            }
            opcode::READ_MRU => self.mru_list(now, asker, request),
            opcode::READ_ORDERED_LIST => {
                self.require_control_key(asker)?;
                self.ordered_list(request.data, survey)
            }
            opcode::WRITE_VARIABLES | opcode::WRITE_CLOCK | opcode::CONFIGURE | opcode::SAVE_CONFIG => {
                self.require_control_key(asker)?;
                self.write(request, asker)
            }
            // Traps are not supported: they have been out of use for decades, and they are a reflector.
            _ => Err(ControlError::Opcode),
        }
    }

    /// Only the control key opens this; without `controlkey` nothing does.
    fn require_control_key(&self, asker: &Asker) -> Result<(), ControlError> {
        let wanted = self.setup.config.auth.control;
        if wanted.is_some() && asker.key == wanted { Ok(()) } else { Err(ControlError::Permission) }
    }

    /// Sends the answer, or parks the request.
    fn conclude(
        &mut self,
        request: &Request<'_>,
        asker: Asker,
        packet: &[u8],
        result: Result<Answer, ControlError>,
    ) {
        let leap = self.system.leap();
        let datagrams = match result {
            Ok(Answer::Reply(reply)) => request.respond(leap, reply.status, &reply.pieces),
            Err(error) => vec![request.refuse(leap, error)],
            Ok(Answer::ShellRequest(shell_request)) => return self.park(shell_request, asker, packet),
            Ok(Answer::Silence) => return,
        };
        if !asker.proven {
            self.control.bucket.take(datagrams.len());
        }
        for mut data in datagrams {
            if let Some(key) = asker.key.filter(|key| self.server.keys().contains(*key)) {
                control::pad_for_code(&mut data);
                self.server.keys_mut().sign(key, &mut data);
            }
            let tx = Tx {
                data,
                to: asker.from,
                socket: Some(asker.socket),
                from: Some(asker.to),
                token: None,
                complete: None,
            };
            self.outbox.push(Output::Send(tx));
        }
    }

    fn park(&mut self, shell_request: ShellRequest, asker: Asker, packet: &[u8]) {
        if self.control.parked.len() >= PARKED_MAX {
            self.control.parked.pop_front();
        }
        self.control.shell_requests += 1;
        let id = ShellRequestId(self.control.shell_requests);
        self.control.parked.push_back(Parked { id, asker, packet: packet.to_vec() });
        debug_assert!(
            self.control.parked.len() <= PARKED_MAX,
            "requests that wait for the shell are bounded"
        );
        self.outbox.push(Output::ShellRequest { id, shell_request });
    }
}
