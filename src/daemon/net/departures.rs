//! Datagrams that were sent with a request for a transmit stamp. The kernel returns such a datagram with its stamp;
//! it is recognized by its bytes.

use crate::engine::Reply;
use crate::engine::contract::SendToken;
use crate::units::{MonoTime, Seconds};

/// Most datagrams waited for; the one sent longest ago is given up first.
const WAITING: usize = 32;
/// Bytes of a datagram by which it is recognized: a header with its random or unique timestamps, and
/// the beginning of a MAC.
const KNOWN_BY: usize = 64;

/// A stamp that has not come by then will not come.
const PATIENCE: Seconds = Seconds::new(1.0);

/// What left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Left {
    /// A request of ours.
    Request(SendToken),
    /// An answer in interleaved mode.
    Answer(Reply),
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    left: Left,
    since: MonoTime,
    bytes: [u8; KNOWN_BY],
    kept: usize,
    length: usize,
}

/// The datagrams waited for.
#[derive(Debug, Default)]
pub struct Departures {
    waiting: [Option<Waiting>; WAITING],
    next: usize,
}

impl Departures {
    /// Whether another datagram can be waited for without giving one up. What comes back takes room in
    /// the socket's receive queue, so answers are stamped only while there are few.
    #[must_use]
    pub fn has_room(&self, now: MonoTime) -> bool {
        self.waiting[self.next].as_ref().is_none_or(|w| now.since(w.since) > PATIENCE)
    }

    /// Whether any datagram is waited for.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.waiting.iter().any(Option::is_some)
    }

    /// This datagram is about to be sent.
    pub fn expect(&mut self, now: MonoTime, left: Left, datagram: &[u8]) {
        let kept = datagram.len().min(KNOWN_BY);
        let mut bytes = [0; KNOWN_BY];
        bytes[..kept].copy_from_slice(&datagram[..kept]);
        self.waiting[self.next] = Some(Waiting { left, since: now, bytes, kept, length: datagram.len() });
        self.next = (self.next + 1) % WAITING;
        debug_assert!(kept > 0, "a datagram is known by its bytes, so it has some");
    }

    /// What it was that left, by the bytes that came back: headers and the datagram. It is then no
    /// longer waited for.
    pub fn find(&mut self, bytes: &[u8]) -> Option<Left> {
        let found = self.waiting.iter_mut().find(|slot| {
            slot.as_ref().is_some_and(|w| {
                let start = bytes.len().checked_sub(w.length);
                start.is_some_and(|start| bytes[start..].starts_with(&w.bytes[..w.kept]))
            })
        })?;
        found.take().map(|w| w.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_is_known_again_behind_its_headers_once() {
        let mut departures = Departures::default();
        let (one, other) = ([1u8; 48], [2u8; 68]);
        let now = MonoTime::ZERO;
        departures.expect(now, Left::Request(SendToken(1)), &one);
        departures.expect(now, Left::Request(SendToken(2)), &other);
        let framed = [&[9; 42][..], &other].concat();
        assert_eq!(departures.find(&framed), Some(Left::Request(SendToken(2))));
        assert_eq!(departures.find(&framed), None);
        assert_eq!(departures.find(&[]), None);
        for i in 0..31 {
            assert_eq!(departures.has_room(now), i < 30, "{i}: the first one waits still");
            departures.expect(now, Left::Request(SendToken(i)), &[9; 48]);
        }
        assert!(departures.has_room(now + Seconds::new(2.0)));
        assert_eq!(departures.find(&one), None, "given up");
    }
}
