//! A client association: a server or a pool member that is polled, and whose responses are measured.

use super::common::{Common, Selection};
use super::exchange::{Answer, Arrival, Departed, Requests};
use super::kind::{Begun, Behaviour, Making, Polled, Turn};
use super::poll::PollState;
use super::source::Source;
use crate::config::model::{Server, Target};
use crate::engine::estimator::Estimator;
use crate::engine::reject::Reject;
use crate::engine::timers::{Timer, Timers};
use crate::units::{Host, MonoTime, NtpTimestamp, PollExponent, Seconds};
use crate::wire::Header;
use crate::wire::event::flash;
use crate::wire::kiss::Kiss;
use crate::wire::trailer::DigestLength;

/// Polls without a response after which a server that did respond has its name looked up again.
const LOST_POLLS: u32 = 8;
/// Samples of a server whose clock is known well.
const KNOWN_WELL: usize = 16;
/// Most doublings of the polls that an address gets.
const MAX_ROUNDS: u8 = 5;

/// What only a client association has.
#[derive(Clone, Debug)]
pub struct Client {
    poll: PollState,
    requests: Requests,
    /// Polls since it was last among the survivors of selection.
    unused: u32,
    /// Addresses of its name that did not respond, before this one.
    tried: Vec<Host>,
    /// How often all of them did not.
    rounds: u8,
    /// A DENY or RSTR kiss was obeyed.
    denied: bool,
}

/// The MAC of a response, by what the line in ntp.conf asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mac {
    /// The key's digest, or none where no key is asked for.
    AsWanted,
    /// Another one, or a wrong one.
    Wrong,
}

/// What a response that was taken in amounted to, and what changed by it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Received {
    /// A measurement, or a kiss that was obeyed.
    pub answer: Answer,
    /// Whether a RATE kiss changed the poll interval.
    pub slower: bool,
}

impl Client {
    /// A server or pool member, as its line describes it.
    #[must_use]
    pub const fn new(config: &Server) -> Self {
        Self {
            poll: PollState::new(config.minpoll),
            requests: Requests::new(config.version),
            unused: 0,
            tried: Vec::new(),
            rounds: 0,
            denied: false,
        }
    }

    /// A server that responded to its pool: a client of this line, after its first poll.
    #[must_use]
    pub fn begun(config: &Server, begun: Begun) -> Self {
        let Begun { requests, sent } = begun;
        Self { poll: PollState::begun(config, sent), requests, ..Self::new(config) }
    }

    /// When the next packet of the burst is due with which it began.
    #[must_use]
    pub fn next_of_burst(&self, now: MonoTime) -> MonoTime {
        self.poll.next_of_burst(now)
    }

    /// Polls since it was last among the survivors of selection.
    #[must_use]
    pub const fn unused(&self) -> u32 {
        self.unused
    }

    /// Whether a kiss ended the association.
    #[must_use]
    pub const fn is_denied(&self) -> bool {
        self.denied
    }

    /// The last poll.
    #[must_use]
    pub const fn last_poll(&self) -> Option<MonoTime> {
        self.poll.last()
    }

    /// Whether it has been polled at all.
    #[must_use]
    pub const fn has_started(&self) -> bool {
        self.poll.has_started()
    }

    fn kiss(
        &mut self,
        common: &mut Common,
        header: &Header,
        timers: &mut Timers,
    ) -> Result<Received, Reject> {
        let Some(kiss) = Kiss::of(header) else {
            // Another kiss code means a server that is not synchronized.
            common.flash |= flash::UNSYNCHRONISED;
            common.note_header(header);
            return Err(Reject::Unsynchronised);
        };
        let mut slower = false;
        if kiss == Kiss::Rate {
            slower = self.poll.slow_down(common, header.poll, timers);
        } else {
            self.poll.stop_burst();
            common.flash |= flash::DENIED;
            self.denied = true;
            common.reach.lost();
            timers.clear(Timer::Poll(common.id));
        }
        Ok(Received { answer: Answer::Kissed(kiss), slower })
    }

    fn test(
        &mut self,
        common: &mut Common,
        arrival: &Arrival<'_>,
        timers: &mut Timers,
    ) -> Result<Received, Reject> {
        let pending = self.requests.take_response(common, arrival)?;
        if arrival.header.stratum == 0 {
            return self.kiss(common, arrival.header, timers);
        }
        common.test_header(arrival.header, arrival.clock.precision)?;
        common.take_in(arrival);
        self.tried.clear();
        self.rounds = 0;
        let (measured, exchange) = pending.measure(arrival)?;
        Ok(Received { answer: Answer::Measured(measured, exchange), slower: false })
    }
}

impl Behaviour for Client {
    fn request(&mut self, common: &Common, making: &Making) -> Option<Header> {
        Some(self.requests.make(common, making, self.poll.exponent()))
    }

    fn sent(&mut self, departed: Departed) -> Option<Seconds> {
        self.requests.sent(departed)
    }

    fn receive(
        &mut self,
        common: &mut Common,
        arrival: &Arrival<'_>,
        timers: &mut Timers,
    ) -> Result<Received, Reject> {
        let result = self.test(common, arrival, timers);
        if result == Err(Reject::Unsynchronised) {
            self.poll.server_unsynchronized(common, arrival.clock.now.mono, timers);
        }
        result
    }

    fn poll(&mut self, common: &mut Common, turn: Turn, timers: &mut Timers) -> Polled {
        if !self.poll.is_bursting() {
            let survives = common.selection >= Selection::Candidate;
            self.unused = if survives { 0 } else { self.unused.saturating_add(1) };
        }
        self.poll.poll(common, turn, timers)
    }

    fn awaits(&self, origin: NtpTimestamp) -> bool {
        self.requests.awaits(origin)
    }

    fn packets_from(&self, common: &Common) -> Option<Host> {
        common.address
    }

    fn poll_exponent(&self, _common: &Common) -> PollExponent {
        self.poll.exponent()
    }

    fn last_transmit(&self) -> NtpTimestamp {
        self.requests.last_transmit()
    }

    fn is_polled(&self, common: &Common) -> bool {
        !self.denied && common.address.is_some()
    }

    fn may_count(&self) -> bool {
        !self.denied
    }

    fn is_starting(&self) -> bool {
        !self.poll.has_started() || self.poll.is_bursting()
    }

    fn is_bursting(&self) -> bool {
        self.poll.is_bursting()
    }

    fn reconfigure(&mut self, common: &mut Common) {
        self.requests.set_version(common.config.version);
        self.poll.limits_changed(common);
    }

    fn measured(&mut self, common: &Common, silent_polls: u32, now: MonoTime, timers: &mut Timers) {
        self.poll.measured();
        if silent_polls >= LOST_POLLS && common.estimator.samples() > KNOWN_WELL {
            self.poll.found_again(common, timers);
        }
        self.poll.resume(common, silent_polls, now, timers);
    }

    fn hasten(&mut self, common: &Common, timers: &mut Timers) {
        self.poll.hasten(common, timers);
    }

    fn poll_anew(&mut self, common: &Common, now: MonoTime, timers: &mut Timers) {
        if self.is_polled(common) {
            self.poll.restart(common, now, timers);
        }
    }
}

impl Source {
    /// How much of its digest a request's MAC has.
    #[must_use]
    pub fn digest(&self) -> DigestLength {
        self.as_client().map_or(DigestLength::Cut, |client| client.requests.digest())
    }

    /// Whether the last packets had no valid MAC.
    #[must_use]
    pub const fn fails_authentication(&self) -> bool {
        self.common.flash & flash::AUTH != 0
    }

    /// Whether a name's next address is to be tried: this one never responded to a first poll with its burst, or to none of the
    /// last polls; each time that all of them have been tried in vain, it takes twice as many.
    #[must_use]
    pub fn gives_up(&self) -> bool {
        let Some(client) = self.as_client() else { return false };
        let responded = self.common.reach.last_response().is_some();
        let polls = if responded { LOST_POLLS } else { 1 << client.rounds.min(MAX_ROUNDS) };
        !self.common.reach.is_reachable()
            && self.common.reach.unreach() >= polls
            && !client.poll.is_bursting()
            && !client.denied
            && matches!(self.common.config.target, Target::Name(_))
    }

    /// Moves to another one of the `free` addresses of its name, if there is one: one that was not tried in this round, if
    /// possible. Begins anew there, with a first poll at `first_poll`.
    pub fn move_on(
        &mut self,
        free: &[Host],
        estimator: Estimator,
        first_poll: MonoTime,
        timers: &mut Timers,
    ) -> Option<Host> {
        let (client, common) = self.as_client_mut()?;
        let address = client.choose_next(common.address?, free)?;
        common.move_to(address, estimator);
        let (tried, rounds) = (std::mem::take(&mut client.tried), client.rounds);
        *client = Client { tried, rounds, ..Client::new(&common.config) };
        timers.set(Timer::Poll(common.id), first_poll);
        Some(address)
    }

    /// Its name has resolved.
    pub fn resolved(&mut self, address: Host, first_poll: MonoTime, timers: &mut Timers) {
        self.common.address = Some(address);
        timers.set(Timer::Poll(self.common.id), first_poll);
    }
}

impl Client {
    fn choose_next(&mut self, present: Host, free: &[Host]) -> Option<Host> {
        self.tried.push(present);
        let others = || free.iter().copied().filter(|host| *host != present);
        let next = others().find(|host| !self.tried.contains(host));
        if next.is_none() {
            self.tried.clear();
            self.rounds = self.rounds.saturating_add(1);
        }
        next.or_else(|| others().next())
    }
}
