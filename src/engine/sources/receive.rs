//! An answer from a server: the packet tests of RFC 5905 section 9, and the sample it yields.

use crate::engine::contract::{Now, Rx};
use crate::engine::estimator::Sample;
use crate::engine::reject::Reject;
use crate::engine::report::event::Kiss;
use crate::engine::sources::association::{Association, Header as Heard, Pending};
use crate::engine::sources::filter::Stage;
use crate::units::{Leap, MAX_DISPERSION, NtpTimestamp, PHI, PollExponent, Seconds, Stratum};
use crate::wire::event::flash;
use crate::wire::{Header, Mode};

/// No kiss makes us poll less often than this, 1024 s, if `maxpoll` does not.
const KISS_POLL_MAX: PollExponent = PollExponent::DEFAULT_MAX;

/// How many poll intervals the next request waits after a RATE kiss.
const KISS_PAUSE: f64 = 2.25;

/// What an answer amounted to.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Answer {
    /// A measurement; the offset is of the clock as it is, not free-running.
    Measured(Sample, Exchange),
    /// A kiss code to obey.
    Kissed(Kiss),
}

/// The four timestamps of an exchange.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Exchange {
    /// When the request left, by our clock.
    pub sent: NtpTimestamp,
    /// When it arrived, by the server's.
    pub received_there: NtpTimestamp,
    /// When the answer left, by the server's.
    pub sent_there: NtpTimestamp,
    /// When it arrived, by ours.
    pub received: NtpTimestamp,
}

impl Exchange {
    /// How long it took, by our clock.
    #[must_use]
    pub fn elapsed(&self) -> Seconds {
        (self.received - self.sent).to_seconds()
    }
}

impl Association {
    /// Tests an answer. `authentic` tells whether it carries the code that our request asked for, or
    /// none where none was asked for.
    ///
    /// # Errors
    /// Why it is not used; the flash bits say the same.
    pub fn receive(
        &mut self,
        now: Now,
        rx: &Rx<'_>,
        header: &Header,
        authentic: bool,
        epoch: u32,
        precision: i8,
    ) -> Result<Answer, Reject> {
        if header.mode != Mode::Server {
            return Err(Reject::Mode);
        }
        self.test_origin(header)?;
        if !authentic {
            // The cookie stays open: a forger who saw it must not silence the true answer.
            self.flash |= flash::AUTH;
            return Err(Reject::Auth);
        }
        let Some(pending) = self.take_pending(header.origin) else {
            return Err(Reject::Bogus);
        };
        self.flash &= !(flash::AUTH | flash::BOGUS | flash::DUPLICATE | flash::INVALID | flash::DENIED);
        self.last_transmit = header.transmit;
        if header.stratum == 0 {
            return self.kiss(header).map(Answer::Kissed);
        }
        self.test_header(header, precision)?;
        self.local = Some(rx.to);
        self.received = rx.received;
        self.last_answer = Some(now.mono);
        self.tried.clear();
        self.rounds = 0;
        self.note_header(header);
        if pending.epoch != epoch {
            return Err(Reject::Bogus);
        }
        let exchange = Exchange {
            sent: pending.sent,
            received_there: header.receive,
            sent_there: header.transmit,
            received: rx.received,
        };
        Ok(Answer::Measured(measure(now, rx, header, pending.sent, precision), exchange))
    }

    /// TEST1 to TEST3: an answer gives back our cookie, once. Anything else changes nothing but
    /// the flash word.
    fn test_origin(&mut self, header: &Header) -> Result<(), Reject> {
        if !header.transmit.is_zero() && header.transmit == self.last_transmit {
            self.flash |= flash::DUPLICATE;
            return Err(Reject::Duplicate);
        }
        if header.origin.is_zero() || self.open_requests().all(|p| p.cookie != header.origin) {
            self.flash |= flash::BOGUS;
            return Err(Reject::Bogus);
        }
        Ok(())
    }

    /// The requests whose response may still come.
    fn open_requests(&self) -> impl Iterator<Item = &Pending> {
        self.earlier.iter().chain(&self.pending)
    }

    /// Closes the request with this cookie and those before it, whose responses would be older.
    fn take_pending(&mut self, cookie: NtpTimestamp) -> Option<Pending> {
        if self.pending.is_some_and(|p| p.cookie == cookie) {
            self.earlier.clear();
            return self.pending.take();
        }
        let at = self.earlier.iter().position(|p| p.cookie == cookie)?;
        self.earlier.drain(..=at).next_back()
    }

    /// Stratum 0: a kiss code that we know is obeyed, another one is an unsynchronised server.
    fn kiss(&mut self, header: &Header) -> Result<Kiss, Reject> {
        let kiss = match &header.reference_id.to_bytes() {
            b"DENY" => Kiss::Deny,
            b"RSTR" => Kiss::Restricted,
            b"RATE" => Kiss::Rate,
            _ => {
                self.flash |= flash::UNSYNCHRONISED;
                self.note_header(header);
                return Err(Reject::Unsynchronised);
            }
        };
        let bursting = std::mem::take(&mut self.burst) > 0;
        if kiss == Kiss::Rate {
            self.slow_down(header.poll, bursting);
        } else {
            self.flash |= flash::DENIED;
            self.denied = true;
            self.reach = 0;
        }
        Ok(kiss)
    }

    /// A RATE kiss: the poll interval is at least what the server asks for, past `maxpoll` if need be, or a step longer
    /// than the one that was too short. It stays so, and there are no more bursts.
    fn slow_down(&mut self, asked: i8, bursting: bool) {
        let asked = PollExponent::new(asked.clamp(0, 17) as u8);
        let floor = if asked > self.poll || bursting {
            asked.max(self.poll)
        } else {
            PollExponent::new(self.poll.get() + 1)
        };
        let most = KISS_POLL_MAX.max(self.config.maxpoll);
        let floor = floor.min(most).max(self.rate_floor.unwrap_or(PollExponent::MIN));
        self.rate_news = self.rate_floor != Some(floor);
        self.rate_floor = Some(floor);
        self.adapt_poll(floor);
        if let Some(last) = self.last_poll {
            // ntpd's bucket is full to its brim and a packet more: two intervals make room for the next request.
            self.next_poll = self.next_poll.max(last + self.poll.interval() * KISS_PAUSE);
        }
    }

    /// TEST3, TEST6 and TEST7: timestamps are there, the server is synchronised, the values make sense.
    /// The reference time is not tested, as in ntpd.
    fn test_header(&mut self, header: &Header, precision: i8) -> Result<(), Reject> {
        self.flash &= !(flash::UNSYNCHRONISED | flash::HEADER);
        if header.receive.is_zero() || header.transmit.is_zero() {
            self.flash |= flash::INVALID;
            return Err(Reject::Header);
        }
        if header.leap == Leap::Unsynchronised || header.stratum >= 16 {
            self.flash |= flash::UNSYNCHRONISED;
            self.note_header(header);
            return Err(Reject::Unsynchronised);
        }
        let distance =
            header.root_delay.to_signed_seconds().get() / 2.0 + header.root_dispersion.to_seconds().get();
        let held = (header.transmit - header.receive).to_seconds().get();
        if distance >= MAX_DISPERSION || held < -stamp_error(header.precision, precision) {
            self.flash |= flash::HEADER;
            return Err(Reject::Header);
        }
        Ok(())
    }

    fn note_header(&mut self, header: &Header) {
        self.header = Heard {
            leap: header.leap,
            stratum: Stratum::from_wire(header.stratum),
            precision: header.precision.clamp(-32, 0),
            root_delay: header.root_delay.to_signed_seconds(),
            root_dispersion: header.root_dispersion.to_seconds(),
            refid: header.reference_id,
            reftime: header.reference,
            poll: header.poll,
        };
    }

    /// Puts a measurement into the filter and, as it would be if the clock ran free, into the estimator.
    pub fn take_sample(&mut self, sample: &Sample, free: &Sample, floor: Seconds) {
        self.note_sample(sample, floor);
        self.estimator.sample(free);
    }

    /// Puts a measurement into the filter, for ntpq.
    pub fn note_sample(&mut self, sample: &Sample, floor: Seconds) {
        let stage = Stage {
            offset: sample.offset,
            delay: sample.delay,
            dispersion: sample.reading_error,
            at: sample.at,
        };
        self.filter.push(stage, floor);
    }
}

/// How much earlier than its receive timestamp a server's transmit timestamp may be: servers fill the bits below
/// their precision at random, or cut them off. A precision better than 1 µs is not believed for this.
fn stamp_error(theirs: i8, ours: i8) -> f64 {
    [theirs, ours].into_iter().map(|precision| 2f64.powi(i32::from(precision.clamp(-32, 0))).max(1e-6)).sum()
}

/// Offset and delay from the four timestamps (RFC 5905 figure 15).
fn measure(now: Now, rx: &Rx<'_>, header: &Header, sent: NtpTimestamp, precision: i8) -> Sample {
    let there = (header.receive - sent).to_seconds();
    let back = (header.transmit - rx.received).to_seconds();
    let elapsed = (rx.received - sent).to_seconds().get().max(0.0);
    let held = (header.transmit - header.receive).to_seconds().get();
    let reading = 2f64.powi(i32::from(precision)) + 2f64.powi(i32::from(header.precision.clamp(-32, 0)));
    // The kernel's stamp is of the wall clock: find its moment on the monotonic one.
    let waited = (now.wall - rx.received).to_seconds().get().clamp(0.0, 1.0);
    Sample {
        at: now.mono + Seconds::new(-waited - elapsed / 2.0),
        offset: (there + back) * 0.5,
        delay: Seconds::new((elapsed - held).max(2f64.powi(i32::from(precision)))),
        reading_error: Seconds::new(reading + PHI * elapsed),
    }
}
