//! A client's exchange with a server: its request, and what the four timestamps of a response say.

use super::header::{Header, Mode, Version};
use crate::units::{Leap, NtpShort, NtpTimestamp, RefId, Seconds};

impl Header {
    /// A request that says nothing of its sender (RFC 9109 and the data minimisation draft): it has no poll exponent,
    /// and `transmit` is a random number, which the response gives back as its origin.
    #[must_use]
    pub fn request(mode: Mode, version: Version, transmit: NtpTimestamp) -> Self {
        Self {
            leap: Leap::None,
            version,
            mode,
            stratum: 0,
            poll: 0,
            precision: 0x20,
            root_delay: NtpShort::default(),
            root_dispersion: NtpShort::default(),
            reference_id: RefId::default(),
            reference: NtpTimestamp::ZERO,
            origin: NtpTimestamp::ZERO,
            receive: NtpTimestamp::ZERO,
            transmit,
        }
    }
}

/// How much earlier than its receive timestamp a server's transmit timestamp may be: servers fill the bits below
/// their precision at random, or cut them off. A precision better than 1 µs counts as 1 µs here.
#[must_use]
pub fn stamp_error(theirs: i8, ours: i8) -> f64 {
    [theirs, ours].into_iter().map(|precision| 2f64.powi(i32::from(precision.clamp(-32, 0))).max(1e-6)).sum()
}

/// The four timestamps of an exchange (RFC 5905 figure 15).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Exchange {
    /// When the request left, by our clock (T1).
    pub sent: NtpTimestamp,
    /// When it arrived, by the server's (T2).
    pub received_there: NtpTimestamp,
    /// When the response left, by the server's (T3).
    pub sent_there: NtpTimestamp,
    /// When it arrived, by ours (T4).
    pub received: NtpTimestamp,
}

impl Exchange {
    /// Of a request that left at `sent`, and its response, which arrived at `received`.
    #[must_use]
    pub const fn new(sent: NtpTimestamp, response: &Header, received: NtpTimestamp) -> Self {
        Self { sent, received_there: response.receive, sent_there: response.transmit, received }
    }

    /// How far our clock is behind the server's.
    #[must_use]
    pub fn offset(&self) -> Seconds {
        let there = (self.received_there - self.sent).to_seconds();
        let back = (self.sent_there - self.received).to_seconds();
        (there + back) * 0.5
    }

    /// How long the exchange took, by our clock.
    #[must_use]
    pub fn elapsed(&self) -> Seconds {
        (self.received - self.sent).to_seconds()
    }

    /// How long the server had the request, by its clock.
    #[must_use]
    pub fn held(&self) -> Seconds {
        (self.sent_there - self.received_there).to_seconds()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::UNIX_EPOCH;

    #[test]
    fn offsets_and_delays_across_the_end_of_an_era() {
        // Our clock is 3.5 s behind; 1.5 s there, held for 0.5 s, 1.5 s back.
        let at = |seconds: i64, nanoseconds| {
            NtpTimestamp::from_unix((1 << 32) - UNIX_EPOCH + seconds, nanoseconds)
        };
        let request = Header::request(Mode::Client, Version::V4, NtpTimestamp::from_bits(7));
        let response = Header { receive: at(1, 0), transmit: at(1, 500_000_000), ..request };
        let exchange = Exchange::new(at(-4, 0), &response, at(-1, 500_000_000));
        assert_eq!(exchange.elapsed().get(), 3.5);
        assert_eq!(exchange.held().get(), 0.5);
        assert_eq!(exchange.offset().get(), 3.5);
    }

    #[test]
    fn a_request_says_nothing_but_its_mode_version_and_cookie() {
        let request =
            Header::request(Mode::Client, Version::V4, NtpTimestamp::from_bits(0x0102_0304_0506_0708));
        let bytes = request.to_bytes();
        assert_eq!(bytes[..4], [0x23, 0, 0, 0x20]);
        assert!(bytes[4..40].iter().all(|byte| *byte == 0));
        assert_eq!(bytes[40..], [1, 2, 3, 4, 5, 6, 7, 8]);
    }
}
