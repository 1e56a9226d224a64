//! When a server is asked, and with what.

use crate::config::model::Target;
use crate::engine::contract::{Now, SendToken, Tx};
use crate::engine::estimator::Estimator;
use crate::engine::sources::association::{Association, Pending, UNREACH_BACKOFF};
use crate::units::{Host, Leap, MonoTime, NtpShort, NtpTimestamp, PollExponent, RefId, Seconds};
use crate::wire::{Header, Mode, Version};

/// Packets of an `iburst` or `burst` (NTP_BURST).
const BURST: u8 = 8;
/// Packets of the start burst that a server without `iburst` gets once: the fewest that make it usable.
const START_BURST: u8 = 4;
/// Spacing of a burst, seconds.
const BURST_SPACING: Seconds = Seconds::new(2.0);
/// What is waited before the last packet of a burst, the last but one and so on, once the server answers, seconds: with
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
/// Requests that may be open beside the last one.
const EARLIER: usize = BURST as usize - 1;
/// The shortest poll interval with which bursts are spread out: 64 s.
const SPREAD_FROM: PollExponent = PollExponent::new(6);

/// Polls come up to this much later than the interval says, so that a crowd of clients that were
/// started together drifts apart. Never earlier: the interval is a promise to the server.
const SPREAD: f64 = 0.1;

/// Polls without an answer after which a server that did answer has its name looked up again.
const LOST_POLLS: u32 = 8;
/// Most doublings of the polls that an address gets.
const MAX_ROUNDS: u8 = 5;

/// What the poll process did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Polled {
    /// It had been reachable and no longer is.
    pub lost: bool,
    /// The last packet of a burst leaves: who waited for the burst need not wait on.
    pub spent: bool,
    /// A request is to be sent.
    pub send: bool,
}

impl Association {
    /// Runs the poll process if it is due; `jitter` (0..1) keeps polls of many clients apart.
    pub fn poll_if_due(&mut self, now: MonoTime, wanted: PollExponent, jitter: f64) -> Polled {
        if now < self.next_poll || self.denied || self.endpoint().is_none() {
            return Polled::default();
        }
        let mut polled = Polled { send: true, ..Polled::default() };
        let mut wait = None;
        if self.burst > 0 {
            self.burst -= 1;
            if self.spreads_out() {
                // The last packet of the burst is the next poll.
                let left = usize::from(self.burst);
                wait = left.checked_sub(1).and_then(|last| SPREAD_OUT.get(last)).copied().map(Seconds::new);
                self.burst -= u8::from(self.burst == 1);
            }
            polled.spent = self.burst == 0;
        } else {
            polled.lost = self.begin_poll();
            self.adapt_poll(if self.estimator.alarmed() { PollExponent::MIN } else { wanted });
            if self.reach == 0 && self.unreach > UNREACH_BACKOFF {
                let slower = (1 + self.unreach.saturating_sub(LONG_UNREACH)).min(17) as u8;
                self.adapt_poll(PollExponent::new(self.config.minpoll.get().saturating_add(slower)));
            }
        }
        self.last_poll = Some(now);
        self.next_poll = if let Some(wait) = wait {
            now + wait
        } else if self.burst > 0 {
            now + BURST_SPACING
        } else {
            let interval = self.poll.interval().get();
            now + Seconds::new(interval * (1.0 + SPREAD * jitter))
        };
        polled
    }

    /// Whether a name's next address is to be tried: this one never answered a first poll with its burst, or none of the
    /// last polls; each time that all of them have been tried in vain, it takes twice as many.
    #[must_use]
    pub fn gives_up(&self, now: MonoTime) -> bool {
        let polls = if self.last_answer.is_some() { LOST_POLLS } else { 1 << self.rounds.min(MAX_ROUNDS) };
        self.reach == 0
            && self.unreach >= polls
            && self.burst == 0
            && !self.denied
            && now >= self.next_poll
            && matches!(self.config.target, Target::Name(_))
    }

    /// Which of `free` to ask instead of the present address, if there is another one.
    pub fn choose_next(&mut self, free: &[Host]) -> Option<Host> {
        let present = self.address?;
        self.tried.push(present);
        let others = || free.iter().copied().filter(|host| *host != present);
        let next = others().find(|host| !self.tried.contains(host));
        if next.is_none() {
            self.tried.clear();
            self.rounds = self.rounds.saturating_add(1);
        }
        next.or_else(|| others().next())
    }

    /// Begins anew with another address of its name.
    pub fn move_to(&mut self, address: Host, estimator: Estimator, first_poll: MonoTime) {
        let fresh = Self::new(self.id, self.config.clone(), Some(address), estimator, first_poll);
        *self = Self {
            tried: std::mem::take(&mut self.tried),
            rounds: self.rounds,
            event_count: self.event_count,
            last_event: self.last_event,
            tally: self.tally,
            ..fresh
        };
    }

    /// A sample raised a doubt, its own or another source's: the next poll comes as soon as minpoll allows.
    pub fn hasten(&mut self) {
        let Some(last) = self.last_poll.filter(|_| self.burst == 0 && self.reach != 0) else { return };
        self.adapt_poll(PollExponent::MIN);
        self.next_poll = self.next_poll.min(last + self.poll.interval());
    }

    /// The clock was set by another process: measures it anew, at once. A source that has limited our rate (RATE) is polled when
    /// it is due.
    pub fn poll_anew(&mut self, now: MonoTime) {
        if self.denied || self.endpoint().is_none() {
            return;
        }
        if self.rate_floor.is_none() {
            self.adapt_poll(PollExponent::MIN);
            self.burst = START_BURST;
            self.next_poll = now;
        }
    }

    /// The first response after a silence came: polls again soon.
    pub fn resume(&mut self, now: MonoTime) {
        if self.burst == 0 && self.rate_floor.is_none() {
            self.burst = RESUME_BURST;
            self.next_poll = self.next_poll.min(now + BURST_SPACING);
        }
    }

    /// The server responded that it is not synchronized. If it never was, it may be starting, as we are: polls it again soon.
    pub fn is_not_synchronized(&mut self, now: MonoTime) {
        if self.burst == 0 && self.filter.best().is_none() && self.early_polls < EARLY_POLLS {
            self.early_polls += 1;
            self.next_poll = self.next_poll.min(now + EARLY_POLL);
        }
    }

    /// The first packets of a burst follow soon, until the server answers: the clock can be set by two answers. The rest
    /// of them are worth more when they come later: over 14 s the frequency cannot be seen, over a minute it can. Where
    /// polls are less than that apart anyway, there is nothing to gain.
    fn spreads_out(&self) -> bool {
        self.reach != 0 && !self.config.burst && self.poll >= SPREAD_FROM
    }

    /// Shifts the reach register and decides on a burst; true if the peer became unreachable.
    fn begin_poll(&mut self) -> bool {
        let was = self.reach;
        self.reach <<= 1;
        self.unreach = self.unreach.saturating_add(1);
        if self.rate_floor.is_some() {
            // It has asked us to be slower: no more bursts.
            self.started = true;
        } else if was == 0 {
            if self.config.iburst && self.unreach <= UNREACH_BACKOFF {
                self.burst = BURST - 1;
            } else if !self.started {
                self.burst = START_BURST - 1;
            }
            self.started = true;
        } else if self.config.burst {
            self.burst = BURST - 1;
        }
        was != 0 && self.reach == 0
    }

    /// In packets of versions before 4, chronyd wants digests of more than 20 octets whole and ntpd wants them cut to 20;
    /// neither responds to the other. While there is no response, one is tried after the other.
    pub fn choose_mac(&mut self) {
        if self.version < 4 && self.config.key.is_some() && self.reach == 0 && self.pending.is_some() {
            self.whole_mac = !self.whole_mac;
        }
    }

    /// The request to send now. The transmit timestamp is a random cookie: nobody can forge an
    /// answer without having seen it, and it tells nothing of our clock.
    pub fn request(&mut self, now: Now, cookie: u64, token: u64, epoch: u32) -> Option<Tx> {
        let to = self.endpoint()?;
        let cookie = NtpTimestamp::from_bits(cookie.max(1));
        if let Some(earlier) = self.pending.replace(Pending { cookie, sent: now.wall, token, epoch }) {
            self.earlier.push(earlier);
            self.earlier.drain(..self.earlier.len().saturating_sub(EARLIER));
        }
        let header = Header {
            leap: Leap::None,
            version: Version::new(self.version).unwrap_or(Version::V4),
            mode: Mode::Client,
            stratum: 0,
            poll: self.poll.get() as i8,
            // RFC 9109 and the data minimisation draft: a request tells nothing about its sender.
            precision: 0x20,
            root_delay: NtpShort::default(),
            root_dispersion: NtpShort::default(),
            reference_id: RefId::default(),
            reference: NtpTimestamp::ZERO,
            origin: NtpTimestamp::ZERO,
            receive: NtpTimestamp::ZERO,
            transmit: cookie,
        };
        let data = header.to_bytes().to_vec();
        Some(Tx { data, to, socket: None, from: None, token: Some(SendToken(token)) })
    }
}
