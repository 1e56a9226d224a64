//! Answering time requests: the hot path, past the output queue. No allocation for a plain request.

use super::auth::Authenticity;
use super::clients::{Heard, Verdict};
use super::contract::{Now, Rx};
use super::engine::{Engine, Served};
use super::reject::Reject;
use crate::config::model::AccessFlags;
use crate::units::{KeyId, Leap, NtpShort, NtpTimestamp, RefId};
use crate::wire::header::{HEADER_LEN, TRANSMIT_OFFSET};
use crate::wire::{Header, Mode, Version};
use rand_chacha::rand_core::Rng;

/// Lowest source port from which ntpd 4.2.6 takes packets.
const LOWEST_PORT: u16 = 123;

impl Engine {
    /// Answers a time request (modes 3, 1 and version 1's 0) past the output queue. `clock` reads
    /// the wall clock and is called last, for the transmit timestamp.
    pub fn serve(
        &mut self,
        now: Now,
        rx: &Rx<'_>,
        clock: &mut dyn FnMut() -> NtpTimestamp,
        reply: &mut [u8; Self::REPLY_MAX],
    ) -> Served {
        if !is_request(rx.data) {
            return Served::NotARequest;
        }
        self.counters.received += 1;
        match self.answer(now, rx, clock, reply) {
            Ok(len) => {
                self.counters.processed += 1;
                Served::Reply(len)
            }
            Err(reason) => {
                self.counters.reject(reason);
                Served::Dropped
            }
        }
    }

    fn answer(
        &mut self,
        now: Now,
        rx: &Rx<'_>,
        clock: &mut dyn FnMut() -> NtpTimestamp,
        reply: &mut [u8; Self::REPLY_MAX],
    ) -> Result<usize, Reject> {
        let header = Header::parse(rx.data).map_err(|_| Reject::Format)?;
        let flags = self.admit(rx, header.version)?;
        let authenticity = self.keys.check(rx.data, rx.from.ip()).map_err(|_| Reject::Format)?;
        if flags.contains(AccessFlags::NOTRUST) && !matches!(authenticity, Authenticity::Verified(_)) {
            return Err(Reject::Auth);
        }
        let (verdict, _client) = self.clients.judge(now, &heard(rx, flags));
        let answer = match verdict {
            Verdict::Pass => self.reply_to(now, rx, &header),
            Verdict::Drop => return Err(Reject::Limited),
            Verdict::Kiss => {
                self.counters.kod_sent += 1;
                self.counters.limited += 1;
                kiss(&header, RefId::from_bytes(*b"RATE"))
            }
        };
        reply[..HEADER_LEN].copy_from_slice(&answer.to_bytes());
        if verdict == Verdict::Pass {
            reply[TRANSMIT_OFFSET..HEADER_LEN].copy_from_slice(&clock().to_bits().to_be_bytes());
        }
        Ok(match authenticity {
            Authenticity::None => HEADER_LEN,
            Authenticity::Verified(key) => self.keys.sign_reply(key, rx.data, HEADER_LEN, reply),
            // A crypto-NAK: key 0 and no digest.
            Authenticity::Failed => {
                reply[HEADER_LEN..HEADER_LEN + 4].copy_from_slice(&KeyId(0).0.to_be_bytes());
                HEADER_LEN + 4
            }
        })
    }

    /// The source and the access list, in the order of ntpd's receive path.
    pub(super) fn admit(&mut self, rx: &Rx<'_>, version: Version) -> Result<AccessFlags, Reject> {
        if version == Version::V4 {
            self.counters.this_version += 1;
        } else {
            self.counters.old_version += 1;
            if version.get() == 1 {
                self.counters.note_version_1(rx.data);
            }
        }
        if rx.from.port() < LOWEST_PORT {
            return Err(Reject::Source);
        }
        let flags = self.access.admit(rx.from);
        if flags.contains(AccessFlags::IGNORE) || flags.contains(AccessFlags::NOSERVE) {
            return Err(Reject::Restricted);
        }
        if flags.contains(AccessFlags::FLAKE) && self.rng.next_u32() < u32::MAX / 10 {
            return Err(Reject::Restricted);
        }
        if flags.contains(AccessFlags::VERSION) && version != Version::V4 {
            return Err(Reject::Restricted);
        }
        Ok(flags)
    }

    fn reply_to(&self, now: Now, rx: &Rx<'_>, request: &Header) -> Header {
        let system = &self.system;
        let dispersion = system.root_dispersion_at(now.mono);
        Header {
            leap: system.leap,
            version: request.version,
            mode: if request.mode == Mode::SymmetricActive { Mode::SymmetricPassive } else { Mode::Server },
            stratum: system.stratum.to_wire(),
            poll: request.poll,
            precision: system.precision,
            root_delay: NtpShort::from_seconds(system.root_delay),
            root_dispersion: NtpShort::from_seconds(dispersion),
            reference_id: system.refid,
            reference: system.reftime,
            origin: request.transmit,
            receive: rx.received,
            transmit: NtpTimestamp::ZERO,
        }
    }
}

/// What the client table is to know of a packet.
pub(super) fn heard(rx: &Rx<'_>, flags: AccessFlags) -> Heard {
    let first_octet = rx.data.first().copied().unwrap_or_default();
    Heard { from: rx.from, to: rx.to, received: rx.received, first_octet, flags }
}

/// A kiss tells nothing of our clock: its timestamps are the request's own.
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

/// Whether these octets ask for the time. Version 1 has no mode: its requests carry 0.
fn is_request(data: &[u8]) -> bool {
    let Some(&first) = data.first() else { return false };
    match Mode::from_bits(first) {
        Mode::Client | Mode::SymmetricActive => true,
        Mode::Reserved => (first >> 3) & 7 == 1,
        _ => false,
    }
}
