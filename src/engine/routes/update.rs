//! A clock update: from the sources to the clock, and to the system variables. One sample's way through the engine ends here.

use crate::engine::Engine;
use crate::engine::clock::Verdict;
use crate::engine::clock::leap::Change;
use crate::engine::contract::{ExitReason, Now};
use crate::engine::estimator::Combined;
use crate::engine::report::event::Event;
use crate::engine::selection::{OurView, combine, elect, mark, system_peer};
use crate::engine::sources::{Selection, Source};
use crate::engine::timers::Timer;
use crate::units::{AssocId, ClockStatus, Leap, MonoTime, PIVOT, PollExponent, Ppm, Seconds};
use crate::wire::event::PeerEvent;

/// So many steps in a row that go the same way are worth a warning.
const STEPS: u32 = 3;
/// How long after the start the servers' first bursts are waited for: two responses, with several packets lost.
const START_PATIENCE: Seconds = Seconds::new(20.0);
/// How long a majority of the sources is waited for after another process set the clock, seconds.
const SET_PATIENCE: Seconds = Seconds::new(30.0);
/// As near as this to where it should be, the clock is served, seconds: it is slewed in small pieces from there.
const SETTLED: Seconds = Seconds::new(1e-3);
/// An estimate is off by no more than so many standard errors.
const SURE: f64 = 3.0;
/// So many poll intervals later than ours, a partner's reference time is news.
const NEWS: f64 = 1.5;
/// After so long it is served in any case.
const SETTLING: Seconds = Seconds::new(60.0);

impl Engine {
    /// Selects the sources anew and acts on what they say.
    pub(super) fn update_clock(&mut self, now: Now) {
        let ours = OurView {
            now: now.mono,
            correction: self.clock.discipline().correction(now.mono),
            rate: self.clock.discipline().known_rate(),
            interfaces: self.server.interfaces(),
        };
        let outcome =
            elect(&mut self.sources, &ours, &self.setup.config.tos, self.setup.config.auth_selection());
        self.system.set_jitter(Seconds::new(outcome.jitter));
        let mut pulses = outcome.pulses.iter().copied();
        let pulse = pulses.find(|pulse| self.may_follow(now, *pulse, &outcome.survivors));
        let survivors = if let (None, true) =
            (pulse, outcome.survivors.is_empty() || self.only_old_news(now, &outcome.survivors))
        {
            let Some(parent) = self.orphan_parent() else { return self.fall_back(now) };
            vec![parent]
        } else {
            outcome.survivors
        };
        let agreed: Vec<AssocId> = survivors.iter().copied().chain(pulse).collect();
        if self.majority_awaited(now, &agreed) || self.all_awaited(now, agreed.len()) {
            return;
        }
        self.correct_by(now, &survivors, pulse);
    }

    /// Corrects the clock to what these sources agree on, and follows the best of them; a pulse alone, where there is one.
    fn correct_by(&mut self, now: Now, ids: &[AssocId], pulse: Option<AssocId>) {
        let survivors: Vec<&Source> = ids.iter().filter_map(|id| self.sources.get(*id)).collect();
        let best = system_peer(&survivors, self.system.peer());
        let alone: Vec<&Source> = pulse.and_then(|id| self.sources.get(id)).into_iter().collect();
        let used = if alone.is_empty() { &survivors } else { &alone };
        let Some(peer) = alone.first().copied().or(best) else { return };
        let combined = combine(now.mono, used, peer);
        let votes: Vec<Leap> =
            if survivors.is_empty() { &alone } else { &survivors }.iter().map(|s| s.header().leap).collect();
        let (best, peer) = (best.map(Source::id), peer.id());
        for id in ids {
            mark(&mut self.sources, *id, Selection::Candidate);
        }
        if let Some(best) = best.or_else(|| self.local_number()) {
            mark(&mut self.sources, best, Selection::SystemPeer);
        }
        if let Some(pulse) = pulse {
            mark(&mut self.sources, pulse, Selection::PpsPeer);
        }
        if let Some(combined) = combined
            && let Some(now) = self.move_clock(now, combined)
        {
            self.clock_updated(now);
            self.watch_leap(now, &votes);
            self.follow(now, peer);
            let (left, poll) = (self.clock.discipline().offset(now.mono), self.system_poll(now.mono));
            self.command_clock(now);
            self.record_loop(now, left, poll);
        }
    }

    /// Whether all that survived are partners of symmetric mode with no newer time than ours: when two of them lose the server that
    /// they share, each would follow the other from then on, and both would be off by ever more. Each keeps what it knows
    /// instead, with a root dispersion that grows. A partner has news if its reference time is later than ours by more
    /// than the polls of one and the same server can make it.
    fn only_old_news(&self, now: Now, survivors: &[AssocId]) -> bool {
        let ours = self.system.reftime();
        survivors.iter().filter_map(|id| self.sources.get(*id)).all(|source| {
            let theirs = source.header();
            let poll = PollExponent::from_wire(theirs.poll).max(source.poll_exponent());
            let margin = poll.min(PollExponent::DEFAULT_MAX).interval() * NEWS;
            source.is_partner()
                && self.system.peer() != Some(source.id())
                && if self.system.stands_alone() {
                    // Ours is no server's time: theirs is news as long as it has not lost its server as well.
                    (now.wall - theirs.reftime).to_seconds() > margin * 2.0
                } else {
                    !ours.is_zero() && (theirs.reftime - ours).to_seconds() < margin
                }
        })
    }

    /// Slews or steps the clock to where the survivors have it. Gives the moment as the clock shows it then; `None` if the offset is
    /// not to be corrected now, or the daemon ends.
    fn move_clock(&mut self, now: Now, combined: Combined) -> Option<Now> {
        let tinker = self.setup.config.tinker;
        if let Some(offset) = self.clock.panics_at_era(&tinker) {
            self.event(Event::PanicStop(offset));
            self.exit(ExitReason::Panic);
            return None;
        }
        let quits = self.setup.quit_after_set;
        match self.clock.update(now, combined, &tinker) {
            Verdict::Slew => {
                if let Some(by) = self.clock.leave_wrong_era(&mut self.outbox) {
                    self.event(Event::TimeReset(by));
                }
                if quits {
                    self.set_and_quit(now);
                }
                (!quits).then_some(now)
            }
            Verdict::Step(by) => {
                let (now, by_in_all) = self.clock.step(now, by, combined, &mut self.outbox);
                self.sources.iter_mut().for_each(|source| source.clock_stepped(by));
                self.server.forget_smear();
                self.event(Event::TimeReset(by_in_all));
                self.warn_of_steps();
                if quits {
                    self.exit(ExitReason::ClockSet);
                }
                (!quits).then_some(now)
            }
            Verdict::Spike(offset, first) => {
                if first {
                    self.event(Event::SpikeDetected(offset));
                }
                self.system.cover(now.mono, offset);
                self.report_status(now);
                None
            }
            Verdict::Panic(offset) => {
                self.event(Event::PanicStop(offset));
                self.exit(ExitReason::Panic);
                None
            }
        }
    }

    /// Steps that all go one way show that a source or this clock is broken: with one source it cannot be known which. The line comes at the
    /// third of them, and whenever their number has doubled.
    fn warn_of_steps(&mut self) {
        let row = self.clock.steps_in_a_row();
        let count = row.unsigned_abs();
        if count.is_multiple_of(STEPS) && (count / STEPS).is_power_of_two() {
            self.event(Event::StepsInARow { count, forward: row > 0 });
        }
    }

    /// `-q` with a small offset: one slew for all of it.
    fn set_and_quit(&mut self, now: Now) {
        if !self.clock.discipline().steers() {
            self.exit(ExitReason::NotSet);
            return;
        }
        let offset = self.clock.slew_all(now, &mut self.outbox);
        self.event(Event::TimeSlew(offset));
        self.exit(ExitReason::ClockSet);
    }

    /// Whether, before the clock was ever set, servers are still in the burst they start with, and may be against those that
    /// agree by now, with others that are already, as many: the first to respond may be the ones that are wrong.
    fn majority_awaited(&self, now: Now, agreed: &[AssocId]) -> bool {
        let unheard =
            |s: &&Source| s.selection() == Selection::Reject && s.is_starting() && !agreed.contains(&s.id());
        let awaited = self.sources.iter().filter(unheard).count() + self.awaited();
        let against = self.sources.iter().filter(|s| s.selection() == Selection::Falsetick).count();
        !self.system.is_synchronized()
            && now.mono.since(self.started) < START_PATIENCE
            && awaited > 0
            && awaited + against >= agreed.len()
    }

    /// Whether another process set the clock, and no majority of the reachable servers agrees since then.
    fn all_awaited(&self, now: Now, agreed: usize) -> bool {
        let Some(set) = self.clock.discipline().set_outside() else { return false };
        let reachable = self.sources.reachable().count();
        now.mono.since(set) < SET_PATIENCE && 2 * agreed <= reachable
    }

    /// Whether servers are still in the burst with which they start: the local clock waits for them.
    fn servers_starting(&self, now: MonoTime) -> bool {
        now.since(self.started) < START_PATIENCE
            && (self.sources.iter().any(Source::is_starting)
                || self.sources.reachable().next().is_some()
                || self.awaited() > 0)
    }

    /// From how many addresses of pools a first response may come soon.
    fn awaited(&self) -> usize {
        self.sources.iter().map(Source::awaited).sum()
    }

    /// No source survived: the local clock takes over if there is one.
    fn fall_back(&mut self, now: Now) {
        let fallback = self.sources.iter().find(|s| s.is_fallback()).map(Source::id);
        let present = self.system.peer().and_then(|id| self.sources.get(id));
        match fallback {
            Some(id) if !self.servers_starting(now.mono) => {
                mark(&mut self.sources, id, Selection::SystemPeer);
                self.watch_leap(now, &[]);
                self.follow(now, id);
                self.report_status(now);
                let poll = self.system_poll(now.mono);
                self.record_loop(now, Seconds::ZERO, poll);
            }
            _ if present.is_some_and(|source| !source.measures()) => {}
            // A server is reachable, but its samples are too old, too uncertain or in contradiction to others': until that changes
            // the clock runs on, and the root dispersion grows.
            _ if self.may_have_sources() => {}
            _ => self.lose_system_peer(now),
        }
    }

    pub(super) fn watch_leap(&mut self, now: Now, votes: &[Leap]) {
        let table = self.setup.leap_table.as_ref();
        // Not before the clock is set: until then it is not known what day it is.
        if let Some(left) = self.clock.old_leap_file(now, table) {
            self.event(Event::LeapFileOld(left));
        }
        match self.clock.watch_leap(now, self.setup.leap_table.as_ref(), votes) {
            Some(Change::Armed(leap)) => self.event(Event::LeapArmed(leap)),
            Some(Change::Disarmed) => self.event(Event::LeapDisarmed),
            Some(Change::Occurred(leap)) => self.event(Event::LeapOccurred(leap)),
            None => {}
        }
    }

    /// Logs a leap second file that came into use.
    pub(in crate::engine) fn leap_file_read(&mut self, now: Now) {
        self.clock.leap_file_read();
        let Some(table) = &self.setup.leap_table else { return };
        let Some((last, _)) = table.entries.last().copied() else { return };
        let event = Event::LeapFile { tai: self.setup.tai(now.wall), last, expires: table.expires };
        self.event(event);
    }

    /// Takes over the system variables from the system peer and logs what changed.
    fn follow(&mut self, now: Now, id: AssocId) {
        let before = self.system.peer();
        let Some(peer) = self.sources.get(id) else { return };
        self.system.follow(now, peer, self.clock.discipline());
        self.timers.clear(Timer::Orphan);
        let measures = peer.measures();
        let unready = measures && self.settles(now);
        let leap = if unready { Leap::Unsynchronised } else { self.clock.leap().announced() };
        let became_synchronized = self.system.announce(leap);
        if before != self.system.peer()
            && let Some(peer) = self.sources.get_mut(id)
        {
            let became = peer.note_event(PeerEvent::SystemPeer);
            let synchronized =
                Event::SynchronizedTo { address: peer.shown_address(), stratum: peer.header().stratum };
            self.event(Event::BecameSystemPeer(became));
            self.event(synchronized);
        }
        if became_synchronized {
            self.event(Event::ClockSync);
        }
    }

    /// Whether the clock is not served yet, since it is still on its way to where the sources say it should be: clients
    /// would take the pace for that of their own crystals, and time from a clock that is known to be wrong. It is
    /// served as soon as what is left could as well be an error of the estimate, and after a minute in any case: where only slews
    /// are allowed, the way may take long, and the root dispersion holds what is left.
    fn settles(&mut self, now: Now) -> bool {
        let discipline = self.clock.discipline();
        if self.system.is_synchronized() || !discipline.steers() {
            return false;
        }
        let since = self.system.settling_since(now.mono);
        let left = discipline.offset(now.mono).abs();
        let near = (discipline.offset_error() * SURE).max(SETTLED);
        left > near && now.mono.since(since) < SETTLING
    }

    /// Looks, while the clock is on its way, whether it has arrived.
    pub(super) fn watch_settling(&mut self, now: Now) {
        let waiting = !self.system.is_synchronized()
            && self.system.is_settling()
            && self.clock.discipline().set_outside().is_none();
        let peer = self.system.peer().filter(|id| waiting && self.sources.get(*id).is_some());
        if let Some(id) = peer
            && !self.settles(now)
        {
            self.follow(now, id);
            self.report_status(now);
        }
    }

    /// Frequency, status and, where something is left to correct, the first slew.
    fn command_clock(&mut self, now: Now) {
        if !self.clock.discipline().steers() {
            return;
        }
        let excess = self.clock.correct(now, &mut self.timers, &mut self.outbox);
        self.report_status(now);
        if let Some(frequency) = excess {
            self.event(Event::FrequencyExceeds(frequency));
        }
    }

    /// Reports to the kernel how good the clock is.
    pub(super) fn report_status(&mut self, now: Now) {
        let discipline = self.clock.discipline();
        let status = ClockStatus {
            leap: match self.system.leap() {
                Leap::Unsynchronised => Leap::Unsynchronised,
                _ => self.clock.leap().for_kernel(now.wall, PIVOT),
            },
            max_error: self.system.root_distance_at(now.mono),
            est_error: discipline.offset_error().max(discipline.jitter()),
            time_constant: discipline.poll(now.mono),
            tai: self.setup.tai(now.wall),
        };
        self.clock.report_status(status, &mut self.outbox);
    }

    /// The poll exponent that is shown as the clock's: the system peer's.
    pub(in crate::engine) fn system_poll(&self, now: MonoTime) -> PollExponent {
        let peer = self.system.peer().and_then(|id| self.sources.get(id));
        peer.map_or_else(|| self.clock.poll(now), Source::poll_exponent)
    }

    /// The frequency as the drift file and ntpq show it.
    #[must_use]
    pub fn frequency(&self) -> Ppm {
        self.clock.discipline().frequency()
    }
}
