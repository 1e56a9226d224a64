//! The poll process of a client association: when its server is polled (RFC 5905 section 13).

use super::burst::{Burst, SPACING, START_BURST};
use super::common::Common;
use super::kind::{Polled, Turn};
use crate::config::model::Server;
use crate::engine::contract::Now;
use crate::engine::timers::{Timer, Timers};
use crate::units::{MonoTime, PollExponent, Seconds};

/// So many packets follow the first response after a silence: with it they make a start burst.
const RESUME_BURST: u8 = START_BURST - 1;
/// A silent server is polled at twice minpoll, so that its return is noticed within minutes. After so many polls without a
/// response, more than a day, the interval grows up to maxpoll.
const LONG_UNREACH: u32 = 1000;
/// A server that has no time to give, perhaps because it is starting as we are, is polled again after this, so often.
const EARLY_POLL: Seconds = Seconds::new(16.0);
const EARLY_POLLS: u8 = 16;

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
    /// The burst under way, if any.
    burst: Burst,
    /// Whether the burst at start has been spent.
    started: bool,
    /// The last poll.
    last: Option<MonoTime>,
    /// Polls that came early because the server had no time to give yet.
    early: u8,
}

impl PollState {
    pub(super) const fn new(minpoll: PollExponent) -> Self {
        Self { exponent: minpoll, rate_floor: None, burst: Burst::NONE, started: false, last: None, early: 0 }
    }

    /// That of a server whose first poll was made by its pool, at `last`. The burst goes on from there.
    pub(super) const fn begun(config: &Server, last: MonoTime) -> Self {
        Self { burst: Burst::first(config), started: true, last: Some(last), ..Self::new(config.minpoll) }
    }

    pub(super) const fn exponent(&self) -> PollExponent {
        self.exponent
    }

    pub(super) const fn last(&self) -> Option<MonoTime> {
        self.last
    }

    /// Whether requests of a burst are still to be sent.
    pub(super) const fn is_bursting(&self) -> bool {
        self.burst.is_under_way()
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
        if self.is_bursting() {
            wait = self.burst.sends(common, self.exponent);
            polled.spent = !self.is_bursting();
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
            if self.is_bursting() {
                SPACING
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
        let (wanted, responds) = (Burst::wanted(common), common.reach.is_reachable());
        let lost = common.reach.polled();
        if self.rate_floor.is_none() {
            let first = (!responds && !self.started).then_some(Burst::of(START_BURST - 1));
            self.burst = wanted.or(first).unwrap_or(self.burst);
        }
        // One that has asked us to be slower gets no more bursts.
        self.started = true;
        lost
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
        let Some(last) = self.last.filter(|_| !self.is_bursting() && common.reach.is_reachable()) else {
            return;
        };
        self.adapt(common, PollExponent::MIN);
        Self::no_later(common, last + self.exponent.interval(), timers);
    }

    /// Begins a start burst, at once. A source that has limited our rate (RATE) is polled when it is due.
    pub(super) fn restart(&mut self, common: &Common, now: MonoTime, timers: &mut Timers) {
        if self.rate_floor.is_none() {
            self.adapt(common, PollExponent::MIN);
            self.burst = Burst::of(START_BURST);
            timers.set(Timer::Poll(common.id), now);
        }
    }

    /// A response came after a few polls without one. The rest of the burst that was to find out is not needed: the clock is known.
    pub(super) fn found_again(&mut self, common: &Common, timers: &mut Timers) {
        if let Some(last) = self.last.filter(|_| self.is_bursting() && !common.config.burst) {
            self.burst = Burst::NONE;
            timers.set(Timer::Poll(common.id), last + self.exponent.interval());
        }
    }

    /// A response came after so many polls without one. Polls again soon if that was a silence: on a path that loses every second
    /// packet, eight polls in a row go without a response now and then.
    pub(super) fn resume(&mut self, common: &Common, silent_polls: u32, now: MonoTime, timers: &mut Timers) {
        if silent_polls > UNREACH_BACKOFF && !self.is_bursting() && self.rate_floor.is_none() {
            self.burst = Burst::of(RESUME_BURST);
            Self::no_later(common, now + SPACING, timers);
        }
    }

    /// A sample came: the next time that the server has none, it is polled early again.
    pub(super) const fn measured(&mut self) {
        self.early = 0;
    }

    /// The server responded that it is not synchronized. If it never was, it may be starting, as we are: polls it again soon.
    pub(super) fn server_unsynchronized(&mut self, common: &Common, now: MonoTime, timers: &mut Timers) {
        if !self.is_bursting() && common.filter.best().is_none() && self.early < EARLY_POLLS {
            self.early += 1;
            Self::no_later(common, now + EARLY_POLL, timers);
        }
    }

    /// When the next packet of a burst is due that began at the last poll.
    pub(super) fn next_of_burst(&self, now: MonoTime) -> MonoTime {
        let soonest = now + SPACING * 0.5;
        self.last.map_or(soonest, |last| soonest.max(last + SPACING))
    }

    /// A kiss came: the burst ends.
    pub(super) const fn stop_burst(&mut self) {
        self.burst = Burst::NONE;
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
