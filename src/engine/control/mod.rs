//! Mode 6, the control protocol of ntpq and ntpstat (RFC 9327): reading, and with the control key
//! writing and configuring, answered as ntpd 4.2.6p5 answers and, where that knows no answer, 4.2.8.
//!
//! | question | file |
//! |---|---|
//! | what becomes of a request, what waits for the shell | `mod.rs`, `bucket.rs` |
//! | what is read of the other owners | `view.rs` |
//! | status words and variables | `read.rs`; `system.rs`, `counters.rs`, `peer.rs`, `clock.rs` in the form of `table.rs` |
//! | `mrulist` | `mru.rs`, `nonce.rs` |
//! | `ifstats`, `reslist` | `lists.rs` |
//! | `:config`, `saveconfig`, writing variables | `write.rs` |
//! | number formats, lines, fragments | `text.rs` |
//!
//! Nothing here changes another owner: a request that changes something gives a [`Change`], which the engine makes
//! (`routes/control.rs`, where access rights and MACs are, too).

mod bucket;
mod clock;
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
mod view;
mod write;

pub use bucket::{BURST, RATE};
pub use view::View;

use self::bucket::ReplyBucket;
use self::nonce::Nonces;
use crate::config::model::{AccessFlags, Variable};
use crate::engine::contract::{Machine, Output, Rx, SocketId, Tx};
use crate::engine::control::shell_request::{ShellRequest, ShellRequestId, Survey};
use crate::engine::outbox::Outbox;
use crate::engine::reject::Reject;
use crate::units::{AssocId, KeyId, MonoTime};
use crate::wire::control::{ControlError, Request, opcode};
use rand_chacha::rand_core::Rng;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

/// Most requests that wait for the shell, which brings what is asked for at once.
const PARKED_MAX: usize = 16;

/// What mode 6 remembers.
#[derive(Clone, Debug)]
pub struct Control {
    nonces: Nonces,
    bucket: ReplyBucket,
    parked: VecDeque<Waiting>,
    shell_requests: u64,
    /// Requests so far (`ss_numctlreq`).
    requests: u64,
    /// The file that `saveconfig` wrote last (`savedconfig`).
    saved: Option<String>,
    /// `uname` machine and system (`processor`, `system`).
    processor: String,
    machine_system: String,
}

/// A request that waits for what the shell brings.
#[derive(Clone, Debug)]
struct Waiting {
    id: ShellRequestId,
    parked: Parked,
}

/// A request that was put aside.
#[derive(Clone, Debug)]
pub struct Parked {
    /// Who sent it.
    pub asker: Asker,
    /// Its bytes.
    pub packet: Vec<u8>,
}

/// The sender of a request that was let in.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    from: SocketAddr,
    to: IpAddr,
    socket: SocketId,
    flags: AccessFlags,
    /// The key that the request is signed with, if it is right.
    key: Option<KeyId>,
    /// Whether the source address is not forged.
    proven: bool,
}

impl Asker {
    /// The key that the request is signed with, if it is right.
    #[must_use]
    pub const fn key(&self) -> Option<KeyId> {
        self.key
    }

    /// A datagram for it.
    #[must_use]
    pub const fn datagram(&self, data: Vec<u8>) -> Tx {
        Tx {
            data,
            to: self.from,
            socket: Some(self.socket),
            from: Some(self.to),
            token: None,
            complete: None,
            hops: None,
        }
    }
}

/// What a request changes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// The events of the system have been seen.
    SystemEventsSeen,
    /// The events of an association have been seen.
    EventsSeen(AssocId),
    /// The variables that `setvar` made are these from now on.
    Variables(Vec<Variable>),
}

/// The text of an answer, and what changes with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// The status word.
    pub status: u16,
    /// The text, cut where datagrams may be cut.
    pub pieces: Vec<Vec<u8>>,
    /// What changes.
    pub change: Option<Change>,
}

impl Reply {
    /// A reply that changes nothing.
    const fn new(status: u16, pieces: Vec<Vec<u8>>) -> Self {
        Self { status, pieces, change: None }
    }
}

/// What becomes of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It gets a reply.
    Reply(Reply),
    /// The shell must be asked first.
    ShellRequest(ShellRequest),
    /// It deserves no answer.
    Silence,
}

impl Answer {
    /// A reply of free text, with the status word of the system.
    #[must_use]
    pub fn text(status: u16, reply: &str) -> Self {
        Self::Reply(Reply::new(status, text::plain(reply)))
    }

    /// With a reply, this changes.
    fn and(self, change: Option<Change>) -> Self {
        match self {
            Self::Reply(reply) => Self::Reply(Reply { change, ..reply }),
            other => other,
        }
    }
}

impl Control {
    /// Nothing asked yet.
    #[must_use]
    pub fn new(now: MonoTime, machine: &Machine, rng: &mut impl Rng) -> Self {
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

    /// Counts a request.
    pub const fn count(&mut self) {
        self.requests += 1;
    }

    /// Who sent a request, with the flags of its address, and with the key it is signed with.
    ///
    /// # Errors
    /// An address that may be forged has had enough replies.
    pub fn admit(
        &mut self,
        now: MonoTime,
        rx: &Rx<'_>,
        request: &Request<'_>,
        flags: AccessFlags,
        key: Option<KeyId>,
    ) -> Result<Asker, Reject> {
        let proven = key.is_some() || rx.from.ip().is_loopback() || self.has_nonce(now, request, rx.from);
        if !proven && !self.bucket.is_open(now) {
            return Err(Reject::Limited);
        }
        Ok(Asker { from: rx.from, to: rx.to, socket: rx.socket, flags, key, proven })
    }

    /// What becomes of a request; `survey` is what the shell brought for it.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn perform(
        &self,
        view: &View<'_>,
        request: &Request<'_>,
        asker: &Asker,
        survey: Option<&Survey>,
    ) -> Result<Answer, ControlError> {
        match request.opcode {
            0 => view
                .status_of(request.association)
                .map(|status| Answer::Reply(Reply::new(status, Vec::new()))),
            opcode::READ_STATUS | opcode::READ_VARIABLES | opcode::READ_CLOCK => {
                self.read(view, request, asker, survey)
            }
            opcode::REQUEST_NONCE => {
                let nonce = format!("nonce={}", self.nonces.make(view.now.mono, asker.from));
                Ok(Answer::Reply(Reply::new(0, text::pack(&[nonce]))))
            }
            opcode::READ_MRU if asker.flags.contains(AccessFlags::NOMRULIST) => Err(ControlError::Prohibited),
            opcode::READ_MRU => self.mru_list(view, asker, request),
            opcode::READ_ORDERED_LIST => {
                require_control_key(view, asker)?;
                view.ordered_list(request.data, survey)
            }
            opcode::WRITE_VARIABLES | opcode::WRITE_CLOCK | opcode::CONFIGURE | opcode::SAVE_CONFIG => {
                require_control_key(view, asker)?;
                view.write(request, asker)
            }
            // Traps are not supported: they have been out of use for decades, and they are a reflector.
            _ => Err(ControlError::Opcode),
        }
    }

    /// So many datagrams are sent to this address.
    pub fn replied(&mut self, asker: &Asker, datagrams: usize) {
        if !asker.proven {
            self.bucket.take(datagrams);
        }
    }

    /// Asks the shell, and puts a request aside until it has brought what it is asked for.
    pub fn park(&mut self, shell_request: ShellRequest, parked: Parked, outbox: &mut Outbox) {
        if self.parked.len() >= PARKED_MAX {
            self.parked.pop_front();
        }
        self.shell_requests += 1;
        let id = ShellRequestId(self.shell_requests);
        self.parked.push_back(Waiting { id, parked });
        debug_assert!(self.parked.len() <= PARKED_MAX, "requests that wait for the shell are bounded");
        outbox.push(Output::ShellRequest { id, shell_request });
    }

    /// The request for which the shell was asked this.
    pub fn unpark(&mut self, id: ShellRequestId) -> Option<Parked> {
        let index = self.parked.iter().position(|waiting| waiting.id == id)?;
        self.parked.remove(index).map(|waiting| waiting.parked)
    }

    /// `saveconfig` wrote this file.
    pub fn note_saved(&mut self, file: String) {
        self.saved = Some(file);
    }
}

impl View<'_> {
    /// Whether this asker is shown what the daemon and the machine are: this machine, who may change the configuration, and with
    /// `tos showversion 1` every client. Scanners take them for findings.
    fn discloses_to(&self, asker: &Asker) -> bool {
        let local = || asker.from.ip().is_loopback();
        let may_modify =
            || !asker.flags.contains(AccessFlags::NOMODIFY) && require_control_key(self, asker).is_ok();
        self.setup.config.tos.showversion || local() || may_modify()
    }
}

/// Only the control key opens this; without `controlkey` nothing does.
fn require_control_key(view: &View<'_>, asker: &Asker) -> Result<(), ControlError> {
    let wanted = view.setup.config.auth.control;
    if wanted.is_some() && asker.key == wanted { Ok(()) } else { Err(ControlError::Permission) }
}
