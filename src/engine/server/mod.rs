//! Answering time requests: the hot path, past the output queue. No allocation for a plain request.

pub mod access;
pub mod clients;
mod nts;
pub mod smear;

use crate::config::model::AccessFlags;
use crate::engine::auth::{Authenticity, Keys};
use crate::engine::contract::{Interface, Now, Rx, Setup};
use crate::engine::reject::{Counters, Reject};
use crate::engine::system::System;
use crate::units::{Aead, KeyId, Leap, NtpDuration, NtpShort, NtpTimestamp, RefId};
use crate::wire::counter::Counter;
use crate::wire::header::{HEADER_LEN, TRANSMIT_OFFSET};
use crate::wire::nts::master::MasterKeys;
use crate::wire::trailer::DigestLength;
use crate::wire::{Header, Mode, Version};
use access::AccessList;
use clients::{ClientId, ClientTable, Heard, Verdict};
use nts::{Nts, Protection, Shape};
use rand_chacha::rand_core::Rng;
use smear::{SMEAR_WORDS, Smear};
use std::net::IpAddr;

/// Lowest source port from which ntpd 4.2.6 takes packets.
const LOWEST_PORT: u16 = 123;

/// What became of a datagram: with the response, or its length in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Served<R = usize> {
    /// Respond with what is in the buffer, from the socket it came to.
    Reply(R),
    /// Dropped, and counted.
    Dropped,
    /// Not a client's request: give it to [`crate::engine::Engine::handle`].
    NotARequest,
}

/// An answer that lacks what is known last: its transmit timestamp and its code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reply {
    /// What is behind the header.
    tail: Tail,
    /// Whether the transmit timestamp is already there: that of a kiss, or of an earlier answer.
    stamped: bool,
    /// The client's entry and the receive timestamp, where the time of leaving is remembered.
    remember: Option<(ClientId, NtpTimestamp)>,
    /// What is added to the time of leaving, while a leap second is smeared.
    shift: NtpDuration,
    /// Whether the client makes use of that time (interleaved mode).
    pub interleaved: bool,
}

impl Reply {
    /// Whether a code has to be computed.
    #[must_use]
    pub const fn is_signed(&self) -> bool {
        matches!(self.tail, Tail::Code { .. } | Tail::Sealed(_))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Tail {
    None,
    /// By this key, longer than 20 bytes where the request's is.
    Code {
        key: KeyId,
        length: DigestLength,
    },
    CryptoNak,
    /// By NTS.
    Sealed(Shape),
    /// Fields that are there already: the packet is so long.
    Fields {
        length: u16,
    },
}

/// What serves clients: the access list, the client table, the keys, and what is counted of packets.
#[derive(Debug)]
pub struct Server {
    access: AccessList,
    clients: ClientTable,
    keys: Keys,
    counters: Counters,
    interfaces: Vec<Interface>,
    smear: Option<Smear>,
    nts: Nts,
}

/// A packet that the access list lets in, and what its MAC is worth.
#[derive(Clone, Copy, Debug)]
pub struct Admitted {
    /// Its header.
    pub header: Header,
    /// The flags of its source.
    pub flags: AccessFlags,
    /// Its MAC.
    pub authenticity: Authenticity,
}

/// The bytes of a response: room for the longest, and behind it for what it is sealed with.
pub type ReplyBuffer = [u8; REPLY_MAX];

/// Length of the buffer of a response, bytes.
pub const REPLY_MAX: usize = 1_600;
/// Where the key and the nonce of NTS stand until the response is sealed, behind all of it: what is carried from the answer to there
/// is as small as that of plain ones.
const SECRETS_AT: usize = REPLY_MAX - Aead::KEY_MAX - Aead::NONCE_MAX;

/// What a response is made of beside the request.
#[derive(Clone, Copy, Debug)]
pub struct Serving<'a> {
    /// Now.
    pub now: Now,
    /// The system variables.
    pub system: &'a System,
}

impl Server {
    /// A server with the lines and keys of `setup`; the client table is hashed with `hash_key`, which must be random.
    #[must_use]
    pub fn new(setup: &Setup, hash_key: [u8; 16]) -> Self {
        Self {
            access: AccessList::build(&setup.config.restrict),
            clients: ClientTable::new(&setup.config, hash_key),
            keys: Keys::new(&setup.keys, &setup.config.auth.trusted),
            counters: Counters::default(),
            interfaces: Vec::new(),
            smear: None,
            nts: Nts::default(),
        }
    }

    /// Other lines and keys are in force now; what was counted and resolved for the same lines stays.
    pub fn reconfigure(&mut self, setup: &Setup) {
        let mut access = AccessList::build(&setup.config.restrict);
        access.carry_names(&self.access, &setup.config.restrict);
        access.carry_hits(&self.access);
        self.access = access;
        self.know_own_addresses();
        self.keys.replace(&setup.keys, &setup.config.auth.trusted);
        self.clients.configure(&setup.config);
        if setup.config.smear.interval == 0 {
            self.smear = None;
        }
    }

    /// Clients of NTS are served from now on, and cookies are sealed by these keys.
    pub fn take_cookie_keys(&mut self, keys: &MasterKeys) {
        self.nts.take_keys(keys);
    }

    /// Until when the certificate of our key exchange is valid, seconds since 1970.
    pub const fn take_certificate_end(&mut self, until: Option<i64>) {
        self.nts.certificate_end = until;
    }

    /// The same; `None` while no keys are exchanged.
    #[must_use]
    pub const fn nts_certificate_end(&self) -> Option<i64> {
        self.nts.certificate_end
    }

    /// Leap seconds are smeared from now on as the configuration and the leap second file have it.
    pub fn watch_smear(&mut self, now: Now, setup: &Setup) {
        self.smear = Smear::watch(self.smear, now, setup);
    }

    /// The clock was set: what is known of a leap second that comes or came is found anew.
    pub const fn forget_smear(&mut self) {
        self.smear = None;
    }

    /// How replies are smeared, for engines in other processes.
    #[must_use]
    pub fn smear_words(&self) -> [u64; SMEAR_WORDS] {
        Smear::to_words(self.smear)
    }

    /// Smears replies as another engine does.
    pub fn take_smear_words(&mut self, words: &[u64; SMEAR_WORDS]) {
        self.smear = Smear::from_words(*words);
    }

    /// How replies are smeared; `None`: not at all.
    #[must_use]
    pub const fn smear(&self) -> Option<&Smear> {
        self.smear.as_ref()
    }

    /// The machine's addresses are now these.
    pub fn set_interfaces(&mut self, interfaces: Vec<Interface>) {
        self.interfaces = interfaces;
        self.know_own_addresses();
    }

    fn know_own_addresses(&mut self) {
        let own: Vec<_> = self.interfaces.iter().map(|i| i.address).collect();
        self.access.set_own_addresses(&own);
    }

    /// The machine's addresses.
    #[must_use]
    pub fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// Whether it is an address of this machine.
    #[must_use]
    pub fn is_own(&self, address: IpAddr) -> bool {
        self.interfaces.iter().any(|i| i.address == address)
    }

    /// The access list.
    #[must_use]
    pub const fn access(&self) -> &AccessList {
        &self.access
    }

    /// The same, to count hits and to follow names and sources.
    pub const fn access_mut(&mut self) -> &mut AccessList {
        &mut self.access
    }

    /// The client table.
    #[must_use]
    pub const fn clients(&self) -> &ClientTable {
        &self.clients
    }

    /// The keys.
    #[must_use]
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The same: what they are used for is counted.
    pub const fn keys_mut(&mut self) -> &mut Keys {
        &mut self.keys
    }

    /// What was counted of packets.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The same, to count more.
    pub const fn counters_mut(&mut self) -> &mut Counters {
        &mut self.counters
    }

    /// A packet that is no client's request goes into the client table.
    pub fn observe(&mut self, now: Now, rx: &Rx<'_>, flags: AccessFlags) {
        self.clients.observe(now, &heard(rx, flags));
    }

    /// Answers a time request (modes 3, 1 and version 1's 0): the first 48 bytes, without the transmit timestamp.
    /// [`Server::seal`] completes them.
    pub fn answer(
        &mut self,
        ours: Serving<'_>,
        rng: &mut impl Rng,
        rx: &Rx<'_>,
        reply: &mut ReplyBuffer,
    ) -> Served<Reply> {
        if !is_request(rx.data) {
            return Served::NotARequest;
        }
        self.counters.count(Counter::Received);
        let admitted = self.admitted(rng, rx);
        match admitted.and_then(|admitted| self.respond(ours, rng, rx, &admitted, reply)) {
            Ok(answer) => Served::Reply(answer),
            Err(reason) => {
                self.counters.reject(reason);
                Served::Dropped
            }
        }
    }

    /// Completes an answer that leaves at `leaves`; gives its length in bytes.
    pub fn seal(&mut self, answer: &Reply, leaves: NtpTimestamp, reply: &mut ReplyBuffer) -> usize {
        if !answer.stamped {
            let shown = leaves + answer.shift;
            reply[TRANSMIT_OFFSET..HEADER_LEN].copy_from_slice(&shown.to_bits().to_be_bytes());
        }
        if let Some((client, received)) = answer.remember {
            self.clients.answering(client, received, leaves);
        }
        let length = match answer.tail {
            Tail::None => HEADER_LEN,
            Tail::Code { key, length } => self.keys.sign_into(key, length, HEADER_LEN, reply),
            Tail::CryptoNak => {
                // Key 0 and no digest.
                reply[HEADER_LEN..HEADER_LEN + 4].copy_from_slice(&KeyId(0).0.to_be_bytes());
                HEADER_LEN + 4
            }
            Tail::Sealed(shape) => nts::seal(shape, reply),
            Tail::Fields { length } => length.into(),
        };
        debug_assert!(length.is_multiple_of(4), "a response is a whole number of words: {length} bytes");
        length
    }

    /// The kernel reports when a sealed answer left: better known than predicted.
    pub fn left(&mut self, answer: &Reply, at: NtpTimestamp) {
        if let Some((client, received)) = answer.remember {
            self.clients.answer_left(client, received, at);
        }
    }

    /// The tests that come before all others: source, access list and MAC.
    ///
    /// # Errors
    /// Why the packet goes no further.
    pub fn admitted(&mut self, rng: &mut impl Rng, rx: &Rx<'_>) -> Result<Admitted, Reject> {
        let admitted = self.admitted_unsigned(rng, rx)?;
        let signed = matches!(admitted.authenticity, Authenticity::Verified(_));
        if admitted.flags.contains(AccessFlags::NOTRUST) && !signed {
            Err(Reject::Auth)
        } else {
            Ok(admitted)
        }
    }

    /// The same of a packet that NTS authenticates, which `notrust` asks for: its association opens it.
    ///
    /// # Errors
    /// Why the packet goes no further.
    pub fn admitted_unsigned(&mut self, rng: &mut impl Rng, rx: &Rx<'_>) -> Result<Admitted, Reject> {
        let header = Header::parse(rx.data).map_err(|_| Reject::Format)?;
        let flags = self.admit(rng, rx, header.version)?;
        let authenticity = self.keys.check(rx.data, rx.from.ip()).map_err(|_| Reject::Format)?;
        Ok(Admitted { header, flags, authenticity })
    }

    /// Answers a request that was admitted, as [`Server::answer`] does.
    ///
    /// # Errors
    /// Why it gets no answer.
    pub fn respond(
        &mut self,
        ours: Serving<'_>,
        rng: &mut impl Rng,
        rx: &Rx<'_>,
        admitted: &Admitted,
        reply: &mut ReplyBuffer,
    ) -> Result<Reply, Reject> {
        let Admitted { header, flags, authenticity } = *admitted;
        if header.mode == Mode::SymmetricActive && authenticity == Authenticity::Failed {
            // A crypto-NAK in symmetric mode would end associations of old programs: a forger's tool.
            return Err(Reject::Auth);
        }
        let (verdict, client) = self.clients.judge(ours.now, &heard(rx, flags));
        if verdict == Verdict::Drop {
            return Err(Reject::Limited);
        }
        let tail = self.tail(rng, rx.data, admitted, reply)?;
        let (mut earlier, mut shift) = (None, NtpDuration::ZERO);
        let refusal = match tail {
            Tail::Fields { .. } => Some(*b"NTSN"),
            _ if verdict == Verdict::Kiss => Some(*b"RATE"),
            _ => None,
        };
        let mut answer = if let Some(code) = refusal {
            self.counters.count(Counter::KissSent);
            if verdict == Verdict::Kiss {
                self.counters.count(Counter::Limited);
            }
            Header { poll: self.least_poll(&header), ..kiss(&header, RefId::from_bytes(code)) }
        } else {
            earlier = client
                .filter(|_| may_interleave(&header))
                .and_then(|client| self.clients.interleaved(client, header.origin));
            let origin = if earlier.is_some() { header.receive } else { header.transmit };
            self.reply_to(ours, rx, &header, origin, earlier.unwrap_or(NtpTimestamp::ZERO))
        };
        if let Some(smear) = &self.smear
            && refusal.is_none()
        {
            shift = smear.apply(ours.now.mono, &mut answer);
        }
        reply[..HEADER_LEN].copy_from_slice(&answer.to_bytes());
        self.counters.count(Counter::Processed);
        Ok(Reply {
            tail,
            stamped: refusal.is_some() || earlier.is_some(),
            remember: client.filter(|_| refusal.is_none()).map(|client| (client, answer.receive)),
            interleaved: earlier.is_some(),
            shift,
        })
    }

    /// What goes behind the header of the answer.
    fn tail(
        &mut self,
        rng: &mut impl Rng,
        request: &[u8],
        admitted: &Admitted,
        reply: &mut ReplyBuffer,
    ) -> Result<Tail, Reject> {
        Ok(match admitted.authenticity {
            Authenticity::Verified(key) => Tail::Code { key, length: DigestLength::of(request) },
            Authenticity::Failed => Tail::CryptoNak,
            // The header alone is a plain request.
            Authenticity::None if request.len() == HEADER_LEN => Tail::None,
            Authenticity::None
                if admitted.header.mode == Mode::Client && admitted.header.version == Version::V4 =>
            {
                match self.nts.protect(&mut self.counters, rng, request, reply)? {
                    Protection::None => Tail::None,
                    Protection::Sealed(shape) => Tail::Sealed(shape),
                    Protection::Refused { length } => Tail::Fields { length },
                }
            }
            Authenticity::None => Tail::None,
        })
    }

    /// The source and the access list, in the order of ntpd's receive path.
    fn admit(&mut self, rng: &mut impl Rng, rx: &Rx<'_>, version: Version) -> Result<AccessFlags, Reject> {
        if version == Version::V4 {
            self.counters.count(Counter::ThisVersion);
        } else {
            self.counters.count(Counter::OldVersion);
            if version.get() == 1 {
                self.counters.count_version_1(rx.data);
            }
        }
        if rx.from.port() < LOWEST_PORT {
            return Err(Reject::Source);
        }
        let flags = self.access.admit(rx.from);
        if flags.contains(AccessFlags::IGNORE) || flags.contains(AccessFlags::NOSERVE) {
            return Err(Reject::Restricted);
        }
        if flags.contains(AccessFlags::FLAKE) && rng.next_u32() < u32::MAX / 10 {
            return Err(Reject::Restricted);
        }
        if flags.contains(AccessFlags::VERSION) && version != Version::V4 {
            return Err(Reject::Restricted);
        }
        Ok(flags)
    }

    /// The poll exponent of a response: the request's, but not less than we allow (`discard average`), as in ntpd.
    fn least_poll(&self, request: &Header) -> i8 {
        request.poll.max(self.clients.average_poll())
    }

    fn reply_to(
        &self,
        ours: Serving<'_>,
        rx: &Rx<'_>,
        request: &Header,
        origin: NtpTimestamp,
        transmit: NtpTimestamp,
    ) -> Header {
        Header {
            version: request.version,
            mode: if request.mode == Mode::SymmetricActive { Mode::SymmetricPassive } else { Mode::Server },
            poll: self.least_poll(request),
            origin,
            receive: rx.received.at,
            transmit,
            ..ours.system.header(ours.now.mono)
        }
    }
}

/// What the client table is to know of a packet.
fn heard(rx: &Rx<'_>, flags: AccessFlags) -> Heard {
    let first_byte = rx.data.first().copied().unwrap_or_default();
    Heard { from: rx.from, to: rx.to, received: rx.received.at, first_byte, flags }
}

/// A kiss-o'-death reveals nothing of our clock: its timestamps are the request's own.
fn kiss(request: &Header, code: RefId) -> Header {
    Header {
        leap: Leap::Unsynchronised,
        mode: if request.mode == Mode::SymmetricActive { Mode::SymmetricPassive } else { Mode::Server },
        stratum: 0,
        root_delay: NtpShort::default(),
        root_dispersion: NtpShort::default(),
        reference_id: code,
        reference: NtpTimestamp::ZERO,
        origin: request.transmit,
        receive: request.transmit,
        ..*request
    }
}

/// Whether a request could be one of interleaved mode (RFC 9769): a client whose receive and transmit
/// timestamps differ, so that it recognizes which of the two is returned as the origin.
fn may_interleave(request: &Header) -> bool {
    request.mode == Mode::Client && !request.receive.is_zero() && request.receive != request.transmit
}

/// Whether these bytes ask for the time. Version 1 has no mode: its requests carry 0.
fn is_request(data: &[u8]) -> bool {
    let Some(&first) = data.first() else { return false };
    match Mode::from_bits(first) {
        Mode::Client | Mode::SymmetricActive => true,
        Mode::Reserved => (first >> 3) & 7 == 1,
        _ => false,
    }
}
