//! Bursts: packets that follow each other soon, so that a source is found and measured at once.

use super::common::Common;
use crate::config::model::Server;
use crate::units::{PollExponent, Seconds};

/// Packets of an `iburst` or `burst` (NTP_BURST).
const BURST: u8 = 8;
/// Packets of the start burst that a server without `iburst` gets once: the fewest that make it usable.
pub(super) const START_BURST: u8 = 4;
/// Spacing of a burst, seconds.
pub(super) const SPACING: Seconds = Seconds::new(2.0);
/// What is waited before the last packet of a burst, the last but one and so on, once the source responds, seconds: with
/// the three before, a burst at start fills 64 s.
const SPREAD_OUT: [f64; 4] = [30.0, 16.0, 8.0, 4.0];
/// The shortest poll interval with which bursts are spread out: 64 s.
const SPREAD_FROM: PollExponent = PollExponent::new(6);
/// Polls without a response after which a source gets no more bursts (NTP_UNREACH).
const UNREACH: u32 = 10;

/// The burst of an association, if one is under way: packets that are still to be sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Burst {
    left: u8,
}

impl Burst {
    /// None is under way.
    pub(super) const NONE: Self = Self { left: 0 };

    /// One of so many more packets.
    pub(super) const fn of(left: u8) -> Self {
        Self { left }
    }

    /// The rest of the one that begins with a source's first packet.
    pub(super) const fn first(line: &Server) -> Self {
        Self { left: if line.iburst { BURST - 1 } else { START_BURST - 1 } }
    }

    /// Whether packets are still to be sent.
    pub(super) const fn is_under_way(self) -> bool {
        self.left > 0
    }

    /// The burst that a line's `iburst` or `burst` has for a poll that is about to begin: the one while the source does not respond, the
    /// other while it does.
    pub(super) fn wanted(common: &Common) -> Option<Self> {
        let line = &common.config;
        let wanted = if common.reach.is_reachable() {
            line.burst
        } else {
            line.iburst && common.reach.unreach() < UNREACH
        };
        wanted.then_some(Self { left: BURST - 1 })
    }

    /// A packet of it leaves; gives what is waited before the next one, if the burst is spread out.
    pub(super) fn sends(&mut self, common: &Common, exponent: PollExponent) -> Option<Seconds> {
        debug_assert!(self.left > 0, "only a burst that is under way has packets");
        self.left -= 1;
        if !spreads_out(common, exponent) {
            return None;
        }
        // The last packet of the burst is the next poll.
        let wait = usize::from(self.left).checked_sub(1).and_then(|last| SPREAD_OUT.get(last));
        self.left -= u8::from(self.left == 1);
        wait.copied().map(Seconds::new)
    }
}

/// The first packets of a burst follow soon, until the source responds: the clock can be set by two responses. The rest
/// of them are worth more when they come later: over 14 s the frequency cannot be seen, over a minute it can. Where
/// polls are less than that apart anyway, there is nothing to gain.
fn spreads_out(common: &Common, exponent: PollExponent) -> bool {
    common.reach.is_reachable() && !common.config.burst && exponent >= SPREAD_FROM
}
