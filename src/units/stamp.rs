//! When a packet arrived or left, and how that is known.

use super::{NtpTimestamp, Seconds};

/// What took a time stamp, the best last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Taken {
    /// This program read the clock, before it sent or after it received.
    Clock,
    /// The kernel, when the packet passed its network stack.
    Kernel,
    /// The network interface, when the packet was on the wire.
    Hardware,
}

/// A time of the wall clock that belongs to a packet.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Stamp {
    /// The time.
    pub at: NtpTimestamp,
    /// What took it.
    pub taken: Taken,
    /// How far it may be off, beyond the clock's precision and what shows as part of the round trip.
    pub error: Seconds,
}

impl Stamp {
    /// The clock was read.
    #[must_use]
    pub const fn clock(at: NtpTimestamp) -> Self {
        Self { at, taken: Taken::Clock, error: Seconds::ZERO }
    }

    /// The kernel stamped the packet.
    #[must_use]
    pub const fn kernel(at: NtpTimestamp) -> Self {
        Self { at, taken: Taken::Kernel, error: Seconds::ZERO }
    }
}
