//! An exchange with a server: open requests, the packet tests of a response (RFC 5905 section 9), and the sample that it yields.

use super::Mac;
use super::common::{Common, Header as Heard, flash_of};
use super::kind::Making;
use crate::engine::contract::{Now, Rx};
use crate::engine::estimator::Measurement;
use crate::engine::reject::Reject;
use crate::units::{
    Leap, MAX_DISPERSION, MonoTime, NtpTimestamp, PHI, PollExponent, Seconds, Stamp, Stratum,
};
use crate::wire::event::flash;
pub use crate::wire::exchange::Exchange;
use crate::wire::exchange::stamp_error;
use crate::wire::kiss::Kiss;
use crate::wire::trailer::DigestLength;
use crate::wire::{Header, Mode, Version};
use std::net::IpAddr;

/// Requests that may be open beside the last one: a burst less one.
const EARLIER: usize = 7;

/// No way of interleaved mode is longer, seconds: such packets do not belong together.
const DELAY_MAX: f64 = 1.0;
/// A timestamp that a program took may be so much too early or too late, seconds.
const LATE: f64 = 1e-3;

/// What our clock is, when a packet leaves or arrives.
#[derive(Clone, Copy, Debug)]
pub struct OwnClock {
    /// What it shows.
    pub now: Now,
    /// Its precision, log2 seconds.
    pub precision: i8,
    /// How often it has been stepped: an exchange across a step measures nothing.
    pub steps: u32,
}

/// A packet of a source that arrived, and what is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// Our clock at that moment.
    pub clock: OwnClock,
    /// The datagram.
    pub rx: &'a Rx<'a>,
    /// Its header.
    pub header: &'a Header,
    /// Its MAC, by what is asked of this source.
    pub mac: Mac,
}

impl Arrival<'_> {
    /// When it arrived. The kernel's stamp is of the wall clock: this is its moment on the monotonic one.
    pub(super) fn moment(&self) -> MonoTime {
        let Now { mono, wall } = self.clock.now;
        let waited = (wall - self.rx.received.at).to_seconds().get().clamp(0.0, 1.0);
        mono + Seconds::new(-waited)
    }

    /// The error of reading both clocks.
    pub(super) fn reading_error(&self) -> Seconds {
        let theirs = self.header.precision.clamp(-32, 0);
        Seconds::new(2f64.powi(i32::from(self.clock.precision)) + 2f64.powi(i32::from(theirs)))
    }
}

/// What a response amounted to.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Answer {
    /// A measurement; the offset is of the clock as it is, not free-running.
    Measured(Measurement, Exchange),
    /// The same by a packet that answers nothing; of its timestamps two are zero.
    Heard(Measurement, Exchange),
    /// A kiss code that was obeyed.
    Kissed(Kiss),
}

/// A request left.
#[derive(Clone, Copy, Debug)]
pub struct Departed {
    /// Its name.
    pub token: u64,
    /// When.
    pub at: Stamp,
    /// From which address of ours, where that is known.
    pub from: Option<IpAddr>,
}

/// A request that has no response yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    /// The random transmit timestamp that the response must give back.
    cookie: NtpTimestamp,
    /// When it left; corrected when the shell reports it.
    sent: Stamp,
    /// Its name for [`crate::engine::contract::Input::Sent`].
    token: u64,
    /// How often the clock had been stepped when it left.
    steps: u32,
    /// The address of ours that it left from, where that is known.
    from: Option<IpAddr>,
}

impl Pending {
    /// Whether what came to this address of ours may be the response.
    fn may_come_to(&self, to: IpAddr) -> bool {
        self.from.is_none_or(|from| from == to)
    }

    /// What the response to this request measures: nothing, where the clock was stepped in between.
    pub(super) fn measure(&self, arrival: &Arrival<'_>) -> Result<(Measurement, Exchange), Reject> {
        if self.steps == arrival.clock.steps { Ok(measure(arrival, self.sent)) } else { Err(Reject::Bogus) }
    }
}

/// The requests of an association, and how they are made.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    /// The last one, while it is open.
    last: Option<Pending>,
    /// Earlier ones whose response may still come, oldest first: a round trip may take longer than a burst's spacing.
    earlier: Vec<Pending>,
    /// Transmit timestamp of the last response, to know duplicates.
    last_transmit: NtpTimestamp,
    /// How much of its digest a request's MAC has.
    digest: DigestLength,
    /// The version of requests.
    version: u8,
}

impl Requests {
    pub(super) const fn new(version: u8) -> Self {
        let (last_transmit, digest) = (NtpTimestamp::ZERO, DigestLength::Cut);
        Self { last: None, earlier: Vec::new(), last_transmit, digest, version }
    }

    pub(super) const fn last_transmit(&self) -> NtpTimestamp {
        self.last_transmit
    }

    pub(super) const fn digest(&self) -> DigestLength {
        self.digest
    }

    pub(super) const fn set_version(&mut self, version: u8) {
        self.version = version;
    }

    /// In packets of versions before 4, chronyd wants digests of more than 20 bytes whole and ntpd wants them cut to 20;
    /// neither responds to the other. While there is no response, one is tried after the other.
    fn choose_mac(&mut self, common: &Common) {
        let keyed = common.config.key.is_some();
        if self.version < 4 && keyed && !common.reach.is_reachable() && self.last.is_some() {
            self.digest = self.digest.other();
        }
    }

    /// The next request, in mode 3, with this poll exponent.
    pub(super) fn make(&mut self, common: &Common, making: &Making, poll: PollExponent) -> Header {
        let Making { clock, random, token, .. } = *making;
        self.choose_mac(common);
        let cookie = self.open(clock.now.wall, random, token, clock.steps);
        let version = Version::new(self.version).unwrap_or(Version::V4);
        Header { poll: poll.get() as i8, ..Header::request(Mode::Client, version, cookie) }
    }

    /// A request is made; gives its transmit timestamp. That is a random number: no attacker can forge a response without having
    /// seen it, and it says nothing of our clock.
    fn open(&mut self, sent: NtpTimestamp, random: u64, token: u64, steps: u32) -> NtpTimestamp {
        let cookie = NtpTimestamp::from_bits(random.max(1));
        if let Some(earlier) =
            self.last.replace(Pending { cookie, sent: Stamp::clock(sent), token, steps, from: None })
        {
            self.earlier.push(earlier);
            self.earlier.drain(..self.earlier.len().saturating_sub(EARLIER));
        }
        debug_assert!(self.earlier.len() <= EARLIER, "open requests are bounded");
        cookie
    }

    /// The last request, if that is its name, left at `at`: gives how long it took to the wire.
    /// A worse stamp does not take the place of a better one.
    pub(super) fn sent(&mut self, departed: Departed) -> Option<Seconds> {
        let Departed { token, at, from } = departed;
        let pending = self.last.as_mut().filter(|p| p.token == token && at.taken >= p.sent.taken)?;
        let delay = (at.at - pending.sent.at).to_seconds();
        pending.sent = at;
        pending.from = from.or(pending.from);
        Some(delay)
    }

    /// TEST1 to TEST3: a response gives back our cookie, once, to the address that the request left from.
    fn test_origin(&self, header: &Header, to: IpAddr) -> Result<(), Reject> {
        if !header.transmit.is_zero() && header.transmit == self.last_transmit {
            return Err(Reject::Duplicate);
        }
        let asked = self.with_cookie(header.origin);
        if asked.is_some_and(|pending| pending.may_come_to(to)) { Ok(()) } else { Err(Reject::Bogus) }
    }

    /// Whether a request with this transmit timestamp is open.
    pub(super) fn awaits(&self, origin: NtpTimestamp) -> bool {
        self.with_cookie(origin).is_some()
    }

    /// The open request with this transmit timestamp.
    fn with_cookie(&self, origin: NtpTimestamp) -> Option<&Pending> {
        self.earlier.iter().chain(&self.last).find(|p| !origin.is_zero() && p.cookie == origin)
    }

    /// Takes a response to one of the requests, which is closed by it: duplicate, origin and MAC are right.
    pub(super) fn take_response(
        &mut self,
        common: &mut Common,
        arrival: &Arrival<'_>,
    ) -> Result<Pending, Reject> {
        let Arrival { rx, header, mac, .. } = *arrival;
        self.test_origin(header, rx.to).inspect_err(|reason| {
            common.flash |= if *reason == Reject::Duplicate { flash::DUPLICATE } else { flash::BOGUS };
        })?;
        if mac == Mac::Wrong {
            // The request stays open: a forger who saw it must not silence the true response.
            common.flash |= flash::AUTH;
            return Err(Reject::Auth);
        }
        let pending = self.close(header).ok_or(Reject::Bogus)?;
        common.flash &= !flash_of::PACKET;
        Ok(pending)
    }

    /// Closes the request of a response, and those before it, whose responses would be older.
    fn close(&mut self, response: &Header) -> Option<Pending> {
        let cookie = response.origin;
        let pending = if self.last.is_some_and(|p| p.cookie == cookie) {
            self.earlier.clear();
            self.last.take()
        } else {
            let at = self.earlier.iter().position(|p| p.cookie == cookie)?;
            self.earlier.drain(..=at).next_back()
        };
        self.last_transmit = response.transmit;
        pending
    }
}

impl Common {
    /// TEST3, TEST6 and TEST7: timestamps are there, the server is synchronized, the values make sense.
    /// The reference time is not tested, as in ntpd. `precision` is our own.
    pub(super) fn test_header(&mut self, header: &Header, precision: i8) -> Result<(), Reject> {
        self.flash &= !(flash::UNSYNCHRONISED | flash::HEADER);
        if header.receive.is_zero() || header.transmit.is_zero() {
            self.flash |= flash::INVALID;
            return Err(Reject::Header);
        }
        self.test_synchronized(header)?;
        let held = (header.transmit - header.receive).to_seconds().get();
        if held < -stamp_error(header.precision, precision) {
            self.flash |= flash::HEADER;
            return Err(Reject::Header);
        }
        Ok(())
    }

    /// TEST6 and TEST7 without the timestamps.
    pub(super) fn test_synchronized(&mut self, header: &Header) -> Result<(), Reject> {
        self.flash &= !(flash::UNSYNCHRONISED | flash::HEADER);
        if header.leap == Leap::Unsynchronised || header.stratum >= 16 {
            self.flash |= flash::UNSYNCHRONISED;
            self.note_header(header);
            return Err(Reject::Unsynchronised);
        }
        let distance =
            header.root_delay.to_signed_seconds().get() / 2.0 + header.root_dispersion.to_seconds().get();
        if distance >= MAX_DISPERSION {
            self.flash |= flash::HEADER;
            return Err(Reject::Header);
        }
        Ok(())
    }

    /// Takes in a packet of which all tests are passed: its source is there, and says this of itself.
    pub(super) fn take_in(&mut self, arrival: &Arrival<'_>) {
        self.local = Some(arrival.rx.to);
        self.reach.responded(arrival.clock.now.mono, arrival.rx.received.at);
        self.note_header(arrival.header);
    }

    pub(super) fn note_header(&mut self, header: &Header) {
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
}

/// Offset and delay from the four timestamps (RFC 5905 figure 15); the request left at `sent`.
pub(super) fn measure(arrival: &Arrival<'_>, sent: Stamp) -> (Measurement, Exchange) {
    let Arrival { clock, rx, header, .. } = *arrival;
    let exchange = Exchange::new(sent.at, header, rx.received.at);
    let elapsed = exchange.elapsed().get().max(0.0);
    let measured = Measurement::two_way(
        arrival.moment() + Seconds::new(-elapsed / 2.0),
        exchange.offset(),
        Seconds::new((elapsed - exchange.held().get()).max(2f64.powi(i32::from(clock.precision)))),
        arrival.reading_error() + Seconds::new(PHI * elapsed) + sent.error + rx.received.error,
    );
    (measured, exchange)
}

/// The same in interleaved mode: the partner's packet before this one left and arrived at `before`, and then ours, at `sent`, of which this
/// one says when it arrived there. `None` if packets in between were lost, so that they do not belong together.
pub(super) fn measure_interleaved(
    arrival: &Arrival<'_>,
    sent: Stamp,
    before: Stamp,
) -> Option<(Measurement, Exchange)> {
    let Arrival { clock, header, .. } = *arrival;
    let exchange = Exchange::new(sent.at, header, before.at);
    let delay = (exchange.elapsed() - exchange.held()).get();
    let least = 2f64.powi(i32::from(clock.precision));
    // Timestamps that the kernel did not take may make a short way look shorter than nothing.
    if !(-LATE..DELAY_MAX).contains(&delay) {
        return None;
    }
    let since = (clock.now.wall - sent.at).to_seconds() - exchange.elapsed() * 0.5;
    let measured = Measurement::two_way(
        clock.now.mono + since * -1.0,
        exchange.offset(),
        Seconds::new(delay.max(least)),
        arrival.reading_error() + exchange.elapsed().abs() * PHI + sent.error + before.error,
    );
    Some((measured, exchange))
}
