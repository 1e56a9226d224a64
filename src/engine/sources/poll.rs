//! The poll process of a client association: when its server is polled (RFC 5905 section 13).

use super::common::Common;
use super::kind::{Polled, Turn};
use crate::config::model::Server;
use crate::engine::contract::Now;
use crate::engine::timers::{Timer, Timers};
use crate::units::{MonoTime, PollExponent, Seconds};

/// Packets of an `iburst` or `burst` (NTP_BURST).
const BURST: u8 = 8;
/// Packets of the start burst that a server without `iburst` gets once: the fewest that make it usable.
const START_BURST: u8 = 4;
/// Spacing of a burst, seconds.
const BURST_SPACING: Seconds = Seconds::new(2.0);
/// What is waited before the last packet of a burst, the last but one and so on, once the server responds, seconds: with
/// the three before, a burst at start fills 64 s.
const SPREAD_OUT: [f64; 4] = [30.0, 16.0, 8.0, 4.0];
/// So many packets follow the first response after a silence: with it they make a start burst.
const RESUME_BURST: u8 = START_BURST - 1;
/// A silent server is polled at twice minpoll, so that its return is noticed within minutes. After so many polls without a
/// response, more than a day, the interval grows up to maxpoll.
const LONG_UNREACH: u32 = 1000;
/// A server that has no time to give, perhaps because it is starting as we are, is polled again after this, so often.
const EARLY_POLL: Seconds = Seconds::new(16.0);
const EARLY_POLLS: u8 = 16;
/// The shortest poll interval with which bursts are spread out: 64 s.
const SPREAD_FROM: PollExponent = PollExponent::new(6);

/// Polls come up to this much later than the interval says, so that a crowd of clients that were
/// started together drifts apart. Never earlier: the interval is a promise to the server.
const SPREAD: f64 = 0.1;

/// Polls without a response after which a server is polled less often (NTP_UNREACH).
const UNREACH_BACKOFF: u32 = 10;
/// No kiss makes us poll less often than this, 1024 s, if `maxpoll` does not.
const KISS_POLL_MAX: PollExponent = PollExponent::DEFAULT_MAX;
/// How many poll intervals the next request waits after a RATE kiss.
const KISS_PAUSE: f64 = 2.25;

/// The state of the poll process.
#[derive(Clone, Copy, Debug)]
pub(super) struct PollState {
    /// Our poll exponent.
    exponent: PollExponent,
    /// The shortest exponent that the server allows, once it has sent a RATE kiss.
    rate_floor: Option<PollExponent>,
    /// Packets still to send in the burst under way.
    burst: u8,
    /// Whether the burst at start has been spent.
    started: bool,
    /// The last poll.
    last: Option<MonoTime>,
    /// Polls that came early because the server had no time to give yet.
    early: u8,
}

impl PollState {
    pub(super) const fn new(minpoll: PollExponent) -> Self {
        Self { exponent: minpoll, rate_floor: None, burst: 0, started: false, last: None, early: 0 }
    }

    /// That of a server whose first poll was made by its pool, at `last`. The burst goes on from there.
    pub(super) const fn begun(config: &Server, last: MonoTime) -> Self {
        let burst = if config.iburst { BURST - 1 } else { START_BURST - 1 };
        Self { burst, started: true, last: Some(last), ..Self::new(config.minpoll) }
    }

    pub(super) const fn exponent(&self) -> PollExponent {
        self.exponent
    }

    pub(super) const fn last(&self) -> Option<MonoTime> {
        self.last
    }

    /// Whether requests of a burst are still to be sent.
    pub(super) const fn is_bursting(&self) -> bool {
        self.burst > 0
    }

    /// Whether the first poll has been made.
    pub(super) const fn has_started(&self) -> bool {
        self.started
    }

    /// Runs the poll process, which is due.
    pub(super) fn poll(&mut self, common: &mut Common, turn: Turn, timers: &mut Timers) -> Polled {
        let Turn { now: Now { mono: now, .. }, wanted, jitter, .. } = turn;
        let mut polled = Polled { asks: true, ..Polled::default() };
        let mut wait = None;
        if self.burst > 0 {
            self.burst -= 1;
            if self.spreads_out(common) {
                // The last packet of the burst is the next poll.
                let left = usize::from(self.burst);
                wait = left.checked_sub(1).and_then(|last| SPREAD_OUT.get(last)).copied().map(Seconds::new);
                self.burst -= u8::from(self.burst == 1);
            }
            polled.spent = self.burst == 0;
        } else {
            polled.lost = self.begin(common);
            self.adapt(common, if common.estimator.alarmed() { PollExponent::MIN } else { wanted });
            let unreach = common.reach.unreach();
            if !common.reach.is_reachable() && unreach > UNREACH_BACKOFF {
                let slower = (1 + unreach.saturating_sub(LONG_UNREACH)).min(17) as u8;
                self.adapt(common, PollExponent::new(common.config.minpoll.get().saturating_add(slower)));
            }
        }
        self.last = Some(now);
        let pause = wait.unwrap_or_else(|| {
            if self.burst > 0 {
                BURST_SPACING
            } else {
                Seconds::new(self.exponent.interval().get() * (1.0 + SPREAD * jitter))
            }
        });
        debug_assert!(pause > Seconds::ZERO, "the next poll comes later");
        timers.set(Timer::Poll(common.id), now + pause);
        polled
    }

    /// Shifts the reach register and decides on a burst; true if the server became unreachable.
    fn begin(&mut self, common: &mut Common) -> bool {
        let was_reachable = common.reach.is_reachable();
        let lost = common.reach.polled();
        if self.rate_floor.is_some() {
            // It has asked us to be slower: no more bursts.
            self.started = true;
        } else if !was_reachable {
            if common.config.iburst && common.reach.unreach() <= UNREACH_BACKOFF {
                self.burst = BURST - 1;
            } else if !self.started {
                self.burst = START_BURST - 1;
            }
            self.started = true;
        } else if common.config.burst {
            self.burst = BURST - 1;
        }
        lost
    }

    /// The first packets of a burst follow soon, until the server responds: the clock can be set by two responses. The rest
    /// of them are worth more when they come later: over 14 s the frequency cannot be seen, over a minute it can. Where
    /// polls are less than that apart anyway, there is nothing to gain.
    fn spreads_out(&self, common: &Common) -> bool {
        common.reach.is_reachable() && !common.config.burst && self.exponent >= SPREAD_FROM
    }

    /// The poll exponent in force when the discipline wants `wanted`.
    pub(super) fn adapt(&mut self, common: &Common, wanted: PollExponent) {
        let low = self.rate_floor.map_or(common.config.minpoll, |floor| floor.max(common.config.minpoll));
        self.exponent = wanted.max(low).min(common.config.maxpoll.max(low));
    }

    /// The line in ntp.conf has other limits now.
    pub(super) fn limits_changed(&mut self, common: &Common) {
        self.adapt(common, self.exponent);
    }

    /// Polls no later than at `at`.
    fn no_later(common: &Common, at: MonoTime, timers: &mut Timers) {
        let timer = Timer::Poll(common.id);
        timers.set(timer, timers.get(timer).map_or(at, |due| due.min(at)));
    }

    /// The next poll comes as soon as minpoll allows.
    pub(super) fn hasten(&mut self, common: &Common, timers: &mut Timers) {
        let Some(last) = self.last.filter(|_| self.burst == 0 && common.reach.is_reachable()) else { return };
        self.adapt(common, PollExponent::MIN);
        Self::no_later(common, last + self.exponent.interval(), timers);
    }

    /// Begins a start burst, at once. A source that has limited our rate (RATE) is polled when it is due.
    pub(super) fn restart(&mut self, common: &Common, now: MonoTime, timers: &mut Timers) {
        if self.rate_floor.is_none() {
            self.adapt(common, PollExponent::MIN);
            self.burst = START_BURST;
            timers.set(Timer::Poll(common.id), now);
        }
    }

    /// A response came after a few polls without one. The rest of the burst that was to find out is not needed: the clock is known.
    pub(super) fn found_again(&mut self, common: &Common, timers: &mut Timers) {
        if let Some(last) = self.last.filter(|_| self.burst > 0 && !common.config.burst) {
            self.burst = 0;
            timers.set(Timer::Poll(common.id), last + self.exponent.interval());
        }
    }

    /// A response came after so many polls without one. Polls again soon if that was a silence: on a path that loses every second
    /// packet, eight polls in a row go without a response now and then.
    pub(super) fn resume(&mut self, common: &Common, silent_polls: u32, now: MonoTime, timers: &mut Timers) {
        if silent_polls > UNREACH_BACKOFF && self.burst == 0 && self.rate_floor.is_none() {
            self.burst = RESUME_BURST;
            Self::no_later(common, now + BURST_SPACING, timers);
        }
    }

    /// A sample came: the next time that the server has none, it is polled early again.
    pub(super) const fn measured(&mut self) {
        self.early = 0;
    }

    /// The server responded that it is not synchronized. If it never was, it may be starting, as we are: polls it again soon.
    pub(super) fn server_unsynchronized(&mut self, common: &Common, now: MonoTime, timers: &mut Timers) {
        if self.burst == 0 && common.filter.best().is_none() && self.early < EARLY_POLLS {
            self.early += 1;
            Self::no_later(common, now + EARLY_POLL, timers);
        }
    }

    /// When the next packet of a burst is due that began at the last poll.
    pub(super) fn next_of_burst(&self, now: MonoTime) -> MonoTime {
        let soonest = now + BURST_SPACING * 0.5;
        self.last.map_or(soonest, |last| soonest.max(last + BURST_SPACING))
    }

    /// A kiss came: the burst ends.
    pub(super) const fn stop_burst(&mut self) {
        self.burst = 0;
    }

    /// A RATE kiss: the poll interval is at least what the server asks for, past `maxpoll` if need be, or a step longer
    /// than the one that was too short. It stays so, and there are no more bursts. True if that changes anything.
    pub(super) fn slow_down(&mut self, common: &Common, asked: i8, timers: &mut Timers) -> bool {
        let was_bursting = self.is_bursting();
        self.stop_burst();
        let asked = PollExponent::from_wire(asked);
        let floor = if asked > self.exponent || was_bursting {
            asked.max(self.exponent)
        } else {
            PollExponent::new(self.exponent.get() + 1)
        };
        let most = KISS_POLL_MAX.max(common.config.maxpoll);
        let floor = floor.min(most).max(self.rate_floor.unwrap_or(PollExponent::MIN));
        let changed = self.rate_floor != Some(floor);
        self.rate_floor = Some(floor);
        self.adapt(common, floor);
        if let Some(last) = self.last {
            // ntpd's bucket is full to its brim and a packet more: two intervals make room for the next request.
            let earliest = last + self.exponent.interval() * KISS_PAUSE;
            let timer = Timer::Poll(common.id);
            timers.set(timer, timers.get(timer).map_or(earliest, |due| due.max(earliest)));
        }
        changed
    }
}
