//! The client's side of mode 6: a request to bytes, and the fragments of its answer put together
//! (RFC 9327 section 2). Who answers is not trusted: nothing here panics or grows past a bound.

use super::control::HEADER_LEN;
use crate::units::Leap;
use std::collections::BTreeMap;

/// Most bytes of an answer: offsets have 16 bits.
const ANSWER_MAX: usize = 1 << 16;
/// Most fragments kept of one answer. ntpd's hold up to 468 bytes each, so that 141 fill it.
const FRAGMENTS_MAX: usize = 512;

/// A request, as a client makes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Query<'a> {
    /// Protocol version, 1..=7.
    pub version: u8,
    /// Operation, 0..=31.
    pub opcode: u8,
    /// Sequence number: the answer echoes it.
    pub sequence: u16,
    /// The association, 0 for the system.
    pub association: u16,
    /// The data; what is past [`super::control::DATA_MAX`] bytes is cut.
    pub data: &'a [u8],
}

impl Query<'_> {
    /// The bytes, padded with zeros to a multiple of `align` (4; 8 where a code follows, because
    /// ntpd looks for it there).
    #[must_use]
    pub fn to_bytes(&self, align: usize) -> Vec<u8> {
        let data = self.data.get(..super::control::DATA_MAX).unwrap_or(self.data);
        let mut out = Vec::with_capacity(HEADER_LEN + data.len() + align);
        out.push((self.version & 7) << 3 | 6);
        out.push(self.opcode & 0x1f);
        out.extend(self.sequence.to_be_bytes());
        out.extend([0, 0]);
        out.extend(self.association.to_be_bytes());
        out.extend([0, 0]);
        out.extend((data.len() as u16).to_be_bytes());
        out.extend(data);
        out.resize(out.len().next_multiple_of(align.max(1)), 0);
        out
    }
}

/// A whole answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// Leap bits of the header.
    pub leap: Leap,
    /// The status word of the system, the association or the clock.
    pub status: u16,
    /// The association it is about.
    pub association: u16,
    /// The data of all fragments.
    pub data: Vec<u8>,
}

/// The server refused: its error code, see [`super::control::ControlError`] for those that we know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refusal(pub u8);

/// The fragments that came so far.
#[derive(Clone, Debug)]
pub struct Assembly {
    opcode: u8,
    sequence: u16,
    pieces: BTreeMap<usize, Vec<u8>>,
    /// Where the last fragment ends, once that came.
    end: Option<usize>,
}

impl Assembly {
    /// Awaits the answer to a request.
    #[must_use]
    pub fn new(query: &Query<'_>) -> Self {
        Self { opcode: query.opcode, sequence: query.sequence, pieces: BTreeMap::new(), end: None }
    }

    /// Whether something came, but not all of it.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        !self.pieces.is_empty()
    }

    /// Takes in a datagram. `None`: it was no part of the answer, or others are still missing.
    ///
    /// # Errors
    /// [`Refusal`] where the server answers with an error.
    pub fn accept(&mut self, packet: &[u8]) -> Result<Option<Reply>, Refusal> {
        let Some(header) = packet.first_chunk::<HEADER_LEN>() else { return Ok(None) };
        let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let ours = header[0] & 7 == 6
            && header[1] & 0x80 != 0
            && header[1] & 0x1f == self.opcode
            && word(2) == self.sequence;
        if !ours {
            return Ok(None);
        }
        if header[1] & 0x40 != 0 {
            return Err(Refusal(header[4]));
        }
        let (offset, count) = (usize::from(word(8)), usize::from(word(10)));
        let Some(data) = packet.get(HEADER_LEN..HEADER_LEN + count) else { return Ok(None) };
        let more = header[1] & 0x20 != 0;
        if offset + count > ANSWER_MAX || self.pieces.len() >= FRAGMENTS_MAX || (more && count == 0) {
            return Ok(None);
        }
        self.pieces.entry(offset).or_insert_with(|| data.to_vec());
        debug_assert!(self.pieces.len() <= FRAGMENTS_MAX, "fragments that are kept are bounded");
        if !more {
            self.end = Some(offset + count);
        }
        Ok(self.whole().map(|data| Reply {
            leap: Leap::from_bits(header[0] >> 6),
            status: word(4),
            association: word(6),
            data,
        }))
    }

    /// The data, where the fragments follow one another without gap or overlap.
    fn whole(&self) -> Option<Vec<u8>> {
        let end = self.end?;
        let mut data = Vec::with_capacity(end);
        for (offset, piece) in &self.pieces {
            if *offset != data.len() {
                return None;
            }
            data.extend(piece);
        }
        (data.len() == end).then_some(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::control::{Request, opcode};
    use proptest::prelude::*;

    const QUERY: Query<'_> =
        Query { version: 2, opcode: opcode::READ_VARIABLES, sequence: 9, association: 7, data: b"offset" };

    #[test]
    fn what_we_ask_is_what_the_server_reads() {
        let bytes = QUERY.to_bytes(4);
        assert_eq!(bytes.len(), 20);
        let request = Request::parse(&bytes).unwrap().unwrap();
        assert_eq!((request.version, request.opcode, request.sequence), (2, 2, 9));
        assert_eq!((request.association, request.data), (7, &b"offset"[..]));
        assert_eq!(QUERY.to_bytes(8).len(), 24);
    }

    #[test]
    fn fragments_come_in_any_order_and_twice() {
        let bytes = QUERY.to_bytes(4);
        let request = Request::parse(&bytes).unwrap().unwrap();
        let pieces = [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()];
        let sent = request.respond(Leap::Insert, 0x1234, &pieces);
        let mut assembly = Assembly::new(&QUERY);
        for index in [2, 0, 0] {
            assert_eq!(assembly.accept(&sent[index]), Ok(None));
            assert!(assembly.is_partial());
        }
        let reply = assembly.accept(&sent[1]).unwrap().unwrap();
        assert_eq!((reply.status, reply.leap, reply.association), (0x1234, Leap::Insert, 7));
        assert_eq!(reply.data, b"onetwothree");
    }

    #[test]
    fn errors_and_strangers() {
        let bytes = QUERY.to_bytes(4);
        let request = Request::parse(&bytes).unwrap().unwrap();
        let refused = request.refuse(Leap::None, crate::wire::control::ControlError::Variable);
        assert_eq!(Assembly::new(&QUERY).accept(&refused), Err(Refusal(5)));
        let other = Query { sequence: 10, ..QUERY };
        assert_eq!(Assembly::new(&other).accept(&refused), Ok(None));
        assert_eq!(Assembly::new(&QUERY).accept(&bytes), Ok(None), "a request is no answer");
    }

    proptest! {
        #[test]
        fn any_datagrams_stay_within_the_bounds(
            packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..40),
        ) {
            let mut assembly = Assembly::new(&QUERY);
            for mut packet in packets {
                if packet.len() > 4 {
                    packet[0] = 0x16;
                    packet[1] = 0x80 | packet[1] & 0x20 | 2;
                    packet[2..4].copy_from_slice(&[0, 9]);
                }
                if let Ok(Some(reply)) = assembly.accept(&packet) {
                    prop_assert!(reply.data.len() <= ANSWER_MAX);
                }
            }
        }
    }
}
