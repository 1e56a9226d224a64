//! A clock update: who is believed, what they agree on, what is done to the clock, what we then
//! say of ourselves. One sample's way through the engine ends here.

use crate::config::model::Target;
use crate::engine::Engine;
use crate::engine::clock::leap::Change;
use crate::engine::clock::outside::PATIENCE;
use crate::engine::clock::{Combined, Verdict};
use crate::engine::contract::{ClockCommand, ExitReason, Now, Output};
use crate::engine::estimator::Estimate;
use crate::engine::report::event::Event;
use crate::engine::selection::select::{Candidate, Limits, Selection, select};
use crate::engine::sources::association::Association;
use crate::engine::sources::peers::START_PATIENCE;
use crate::engine::system::refid_of;
use crate::units::{ClockStatus, DAY, ERA, Leap, MonoTime, NtpTimestamp, PIVOT, PollExponent, Ppm, Seconds};
use crate::wire::event::PeerEvent;

/// How often what persists is logged: an old leap second file, a clock beyond its range.
const LOG_EVERY: Seconds = Seconds::new(DAY as f64);
/// As near as this to where it should be, the clock is served, seconds: it is slewed in small pieces from there.
const SETTLED: Seconds = Seconds::new(1e-3);
/// An estimate is off by no more than so many standard errors.
const SURE: f64 = 3.0;
/// After so long it is served in any case.
const SETTLING: Seconds = Seconds::new(60.0);
/// A path is never known to be more even than this, seconds.
const LEAST_SCALE: f64 = 1e-6;
/// Seconds before its expiry from which on a leap second file is reported as old: 28 days.
const LEAP_FILE_SOON: i64 = 28 * DAY;

impl Engine {
    /// Selects the sources anew and acts on what they say.
    pub(in crate::engine) fn update_clock(&mut self, now: Now) {
        let survivors = self.elect(now);
        let Some(&first) = survivors.first() else {
            self.fall_back(now);
            return;
        };
        if self.majority_awaited(now, &survivors) || self.all_awaited(now, survivors.len()) {
            return;
        }
        let chosen = self.system_peer_among(&survivors, first);
        self.mark(&survivors, chosen);
        let Some(combined) = self.combine(now, &survivors, chosen) else { return };
        if self.panics_at_era() {
            return;
        }
        let tinker = self.setup.config.tinker;
        let mut now = now;
        match self.discipline.update(now, combined, &tinker) {
            Verdict::Slew => {
                self.leave_wrong_era();
                if self.setup.quit_after_set {
                    self.set_and_quit(now);
                    return;
                }
            }
            Verdict::Step(by) => {
                now = self.step(now, by, combined);
                if self.setup.quit_after_set {
                    self.exit(ExitReason::ClockSet);
                    return;
                }
            }
            Verdict::Spike(offset, first) => {
                if first {
                    self.event(Event::SpikeDetected(offset));
                }
                self.system.cover(now.mono, offset);
                self.tell_kernel(now);
                return;
            }
            Verdict::Panic(offset) => {
                self.event(Event::PanicStop(offset));
                self.exit(ExitReason::Panic);
                return;
            }
        }
        self.watch_leap(now, &survivors);
        self.follow(now, chosen);
        let (left, poll) = (self.discipline.offset(now.mono), self.system_poll(now.mono).get());
        self.command_clock(now);
        self.record_loop(now, left, poll);
    }

    /// Runs selection over all sources; gives the survivors, best first.
    fn elect(&mut self, now: Now) -> Vec<usize> {
        let tos = self.setup.config.tos;
        let mut candidates = Vec::new();
        for index in 0..self.associations.len() {
            let loops = self.follows_us(&self.associations[index]);
            let association = &mut self.associations[index];
            association.selection = Selection::Reject;
            let fit = association.test_fitness(now.mono, &tos, loops);
            if !fit || association.is_local_clock() {
                continue;
            }
            let Some(best) = association.filter.best() else { continue };
            // Later corrections of the clock have made the measured offset stale: judge by the estimate.
            let estimate = association.estimator.estimate(now.mono);
            let correction = self.discipline.correction(now.mono).get();
            let offset = estimate.map_or(best.offset.get(), |e| e.offset - correction);
            candidates.push(Candidate {
                index,
                stratum: association.header.stratum.get(),
                offset,
                distance: association.error_bound(now.mono).get(),
                asymmetry: association.asymmetry().get(),
                error: estimate.map_or(0.0, |e| e.offset_variance.sqrt()),
                jitter: association.filter.jitter().get(),
                truechimer: association.config.truechimer,
                prefer: association.config.prefer,
            });
        }
        let doubted = self.doubted(now.mono, &candidates);
        candidates.retain(|c| !doubted.contains(&c.index));
        for &index in &doubted {
            self.associations[index].selection = Selection::Falsetick;
        }
        let limits = Limits {
            min_clock: tos.minclock as usize,
            min_sane: tos.minsane as usize,
            min_distance: tos.mindist,
        };
        let outcome = select(&candidates, &limits);
        for index in outcome.falsetickers {
            self.associations[index].selection = Selection::Falsetick;
        }
        for index in outcome.outliers {
            self.associations[index].selection = Selection::Outlier;
        }
        self.system.jitter = Seconds::new(outcome.jitter);
        outcome.survivors
    }

    /// Candidates that have jumped away, or run away from our clock's known rate, while the others do not: it is they who
    /// changed. When most of them seem to, it was our clock. Who is still within `tos mindist` of the others has
    /// not jumped away, whatever alarmed it: on a busy machine packets do.
    fn doubted(&self, now: MonoTime, candidates: &[Candidate]) -> Vec<usize> {
        let runs_away = |e: Estimate| self.discipline.is_foreign_rate(e.rate, e.rate_variance);
        let alarmed = |c: &Candidate| self.associations[c.index].estimator.alarmed();
        let calm: Vec<f64> = candidates.iter().filter(|c| !alarmed(c)).map(|c| c.offset).collect();
        let near = self.setup.config.tos.mindist.get();
        let jumped =
            |c: &Candidate| alarmed(c) && !calm.iter().any(|offset| (offset - c.offset).abs() < near);
        let doubted: Vec<usize> = candidates
            .iter()
            .filter(|c| !c.truechimer)
            .filter(|c| {
                let estimate = self.associations[c.index].estimator.estimate(now);
                jumped(c) || estimate.is_some_and(runs_away)
            })
            .map(|c| c.index)
            .collect();
        if 2 * doubted.len() <= candidates.len() { doubted } else { Vec::new() }
    }

    /// Whether, before the clock was ever set, as many servers are still in the burst they start with
    /// as agree by now: the first to answer may be the one that is wrong.
    fn majority_awaited(&self, now: Now, agreed: &[usize]) -> bool {
        let unheard = |(index, a): &(usize, &Association)| {
            a.selection == Selection::Reject && a.is_starting() && !agreed.contains(index)
        };
        self.system.leap == Leap::Unsynchronised
            && now.mono.since(self.started) < START_PATIENCE
            && self.associations.iter().enumerate().filter(unheard).count() >= agreed.len()
    }

    /// Whether another process set the clock, and no majority of the reachable servers agrees since then.
    fn all_awaited(&self, now: Now, agreed: usize) -> bool {
        let Some(set) = self.discipline.set_outside() else { return false };
        let reachable = self.associations.iter().filter(|a| a.may_count() && a.reach != 0).count();
        now.mono.since(set) < PATIENCE && 2 * agreed <= reachable
    }

    /// TEST12: a server that has its time from us is no source.
    fn follows_us(&self, association: &Association) -> bool {
        association.header.stratum.get() > 1
            && !association.is_local_clock()
            && self
                .interfaces
                .iter()
                .any(|i| !i.address.is_loopback() && refid_of(i.address) == association.header.refid)
    }

    /// The system peer: the first survivor, unless the present one survives at the same stratum
    /// (no hopping between equals) and none is preferred.
    fn system_peer_among(&self, survivors: &[usize], first: usize) -> usize {
        let best = &self.associations[first];
        survivors
            .iter()
            .copied()
            .find(|&i| {
                let a = &self.associations[i];
                Some(a.id) == self.system.peer
                    && a.header.stratum <= best.header.stratum
                    && !best.config.prefer
            })
            .unwrap_or(first)
    }

    fn mark(&mut self, survivors: &[usize], chosen: usize) {
        for &index in survivors {
            self.associations[index].selection = Selection::Candidate;
        }
        self.associations[chosen].selection = Selection::SystemPeer;
    }

    /// What the survivors agree on: their estimates weighted by their certainty; a preferred
    /// source alone, where it survived.
    fn combine(&self, now: Now, survivors: &[usize], chosen: usize) -> Option<Combined> {
        let alone = [chosen];
        let used = if self.associations[chosen].config.prefer { &alone[..] } else { survivors };
        let (mut estimates, mut bounds): (Vec<Estimate>, Vec<(f64, f64)>) = (Vec::new(), Vec::new());
        for source in used.iter().map(|&i| &self.associations[i]) {
            if let Some(estimate) = source.estimator.estimate(now.mono) {
                estimates.push(estimate);
                bounds.push((source.asymmetry().get(), source.error_bound(now.mono).get()));
            }
        }
        if estimates.is_empty() {
            return None;
        }
        let offsets = estimates.iter().zip(&bounds);
        let by_offset = weights(offsets.map(|(e, b)| (e.offset, e.offset_variance, b.0)).collect());
        let by_rate = weights(estimates.iter().map(|e| (e.rate, e.rate_variance, 1.0)).collect());
        let mean = |weights: &[f64], value: fn(&Estimate) -> f64| -> f64 {
            estimates.iter().zip(weights).map(|(e, w)| w * value(e)).sum::<f64>()
                / weights.iter().sum::<f64>()
        };
        let within = estimates.iter().zip(&bounds).map(|(e, b)| (e.offset - b.1, e.offset + b.1));
        Some(Combined {
            offset: held_within(mean(&by_offset, |e| e.offset), within),
            rate: mean(&by_rate, |e| e.rate),
            offset_error: by_offset.iter().sum::<f64>().sqrt().recip(),
            rate_error: by_rate.iter().sum::<f64>().sqrt().recip(),
            sample_error: mean(&by_offset, |e| e.sample_error),
            wander: mean(&by_offset, |e| e.wander.ln()).exp(),
        })
    }

    /// Orders a step; gives the moment as the stepped clock shows it.
    fn step(&mut self, now: Now, by: Seconds, combined: Combined) -> Now {
        self.outputs.push_back(Output::Clock(ClockCommand::Step(by)));
        self.discipline.stepped(now, by, combined);
        self.epoch = self.epoch.wrapping_add(1);
        for association in self.associations.iter_mut().filter(|a| !a.is_local_clock()) {
            association.filter.clock_stepped(by);
            association.estimator.clock_stepped(by);
        }
        let shown = now.wall.to_unix(PIVOT).0 - self.eras_off * ERA;
        let moved = now.wall.offset(by).to_unix(PIVOT).0 - shown;
        // The step ends in the right era: where that is further than 68 years, the difference of timestamps did not show it.
        let eras = ((moved as f64 - by.get()) / ERA as f64).round();
        self.eras_off = 0;
        self.event(Event::TimeReset(Seconds::new(by.get() + eras * ERA as f64)));
        Now { wall: now.wall.offset(by), ..now }
    }

    /// Whether the clock is in another era than it can be, and may not be moved that far.
    fn panics_at_era(&mut self) -> bool {
        let admitted = self.discipline.admits_any_offset(&self.setup.config.tinker);
        let panics = self.eras_off != 0 && self.discipline.steers() && !admitted;
        if panics {
            self.event(Event::PanicStop(Seconds::new((self.eras_off * ERA) as f64)));
            self.exit(ExitReason::Panic);
        }
        panics
    }

    /// The clock is right but for whole eras.
    fn leave_wrong_era(&mut self) {
        let eras = std::mem::take(&mut self.eras_off);
        if eras != 0 && self.discipline.steers() {
            self.outputs.push_back(Output::Clock(ClockCommand::Step(Seconds::ZERO)));
            self.event(Event::TimeReset(Seconds::new((eras * ERA) as f64)));
        }
    }

    /// `-q` with a small offset: one slew for all of it, which the kernel ends without us.
    fn set_and_quit(&mut self, now: Now) {
        if !self.discipline.steers() {
            self.exit(ExitReason::NotSet);
            return;
        }
        let offset = self.discipline.offset(now.mono);
        let micros = self.discipline.slew_all(now);
        self.outputs.push_back(Output::Clock(ClockCommand::Slew { micros }));
        self.event(Event::TimeSlew(offset));
        self.exit(ExitReason::ClockSet);
    }

    fn watch_leap(&mut self, now: Now, survivors: &[usize]) {
        let votes: Vec<Leap> = survivors.iter().map(|&i| self.associations[i].header.leap).collect();
        self.watch_leap_file(now);
        match self.leap.update(now.wall, PIVOT, self.setup.leap_table.as_ref(), &votes) {
            Some(Change::Armed(leap)) => self.event(Event::LeapArmed(leap)),
            Some(Change::Disarmed) => self.event(Event::LeapDisarmed),
            Some(Change::Occurred(leap)) => self.event(Event::LeapOccurred(leap)),
            None => {}
        }
    }

    /// TAI − UTC by the leap second file.
    pub(in crate::engine) fn tai(&self, at: NtpTimestamp) -> Option<i32> {
        self.setup.leap_table.as_ref()?.tai(at.to_unix(PIVOT).0)
    }

    /// Tells of a leap second file that came into use.
    pub(in crate::engine) fn leap_file_read(&mut self, now: Now) {
        self.leap_told = None;
        let Some(table) = &self.setup.leap_table else { return };
        let Some((last, _)) = table.entries.last().copied() else { return };
        let event = Event::LeapFile { tai: self.tai(now.wall), last, expires: table.expires };
        self.event(event);
    }

    /// Tells once a day that the leap second file is old or will be soon. Not before the clock is set:
    /// until then nobody knows what day it is.
    fn watch_leap_file(&mut self, now: Now) {
        let expires = self.setup.leap_table.as_ref().and_then(|table| table.expires);
        let told_today = self.leap_told.is_some_and(|told| now.mono.since(told) < LOG_EVERY);
        let Some(expires) = expires.filter(|_| !told_today) else { return };
        let left = expires - now.wall.to_unix(PIVOT).0;
        if left < LEAP_FILE_SOON {
            self.leap_told = Some(now.mono);
            self.event(Event::LeapFileOld(left));
        }
    }

    /// Takes over the system variables from the chosen peer and tells what changed.
    fn follow(&mut self, now: Now, chosen: usize) {
        let was = (self.system.peer, self.system.leap);
        let peer = &self.associations[chosen];
        self.system.follow(now, peer, &self.discipline);
        let local = peer.is_local_clock();
        self.system.leap =
            if !local && self.settles(now) { Leap::Unsynchronised } else { self.leap.announced() };
        if was.0 != self.system.peer {
            let peer = &mut self.associations[chosen];
            let told = peer.note_event(PeerEvent::SystemPeer);
            let local_unit = match peer.config.target {
                Target::LocalClock { unit } => Some(unit),
                _ => None,
            };
            let stratum = peer.header.stratum;
            let address = peer.shown_address();
            self.event(Event::BecameSystemPeer(told));
            self.event(Event::SynchronizedTo { address, stratum, local_unit });
        }
        if was.1 == Leap::Unsynchronised && self.system.leap != Leap::Unsynchronised {
            self.system.settling = None;
            self.event(Event::ClockSync);
        }
    }

    /// Whether the clock is not served yet, since it is still on its way to where the sources say it should be: clients
    /// would take the pace for that of their own crystals, and time from a clock that is known to be wrong. It is
    /// served as soon as what is left could as well be an error of the estimate, and after a minute in any case: where only slews
    /// are allowed, the way may take long, and the root dispersion holds what is left.
    fn settles(&mut self, now: Now) -> bool {
        if self.system.leap != Leap::Unsynchronised || !self.discipline.steers() {
            return false;
        }
        let since = *self.system.settling.get_or_insert(now.mono);
        let left = self.discipline.offset(now.mono).abs();
        let near = (self.discipline.offset_error() * SURE).max(SETTLED);
        left > near && now.mono.since(since) < SETTLING
    }

    /// Looks, while the clock is on its way, whether it has arrived.
    pub(in crate::engine) fn watch_settling(&mut self, now: Now) {
        let waiting = self.system.leap == Leap::Unsynchronised
            && self.system.settling.is_some()
            && self.discipline.set_outside().is_none();
        let peer = self.associations.iter().position(|a| waiting && Some(a.id) == self.system.peer);
        if let Some(index) = peer
            && !self.settles(now)
        {
            self.follow(now, index);
            self.tell_kernel(now);
        }
    }

    /// Nobody survived: the local clock takes over if there is one.
    fn fall_back(&mut self, now: Now) {
        let local =
            self.associations.iter().position(|a| a.is_local_clock() && !a.config.noselect && a.reach != 0);
        match local {
            Some(index) if !self.servers_starting(now.mono) => {
                self.mark(&[], index);
                self.watch_leap(now, &[]);
                self.follow(now, index);
                self.tell_kernel(now);
                let poll = self.system_poll(now.mono).get();
                self.record_loop(now, Seconds::ZERO, poll);
            }
            _ if self
                .system
                .peer
                .is_some_and(|id| self.associations.iter().any(|a| a.id == id && a.is_local_clock())) => {}
            // A server is reachable, but its samples are too old, too uncertain or in contradiction to others': until that changes
            // the clock runs on, and the root dispersion grows.
            _ if self.associations.iter().any(|a| a.may_count() && a.reach != 0) => {}
            _ => {
                if self.system.peer.take().is_some() {
                    self.system.source = 0;
                    self.event(Event::NoSystemPeer);
                }
            }
        }
    }

    /// Frequency, status and, where something is left to correct, the first slew.
    fn command_clock(&mut self, now: Now) {
        if !self.discipline.steers() {
            return;
        }
        if let Some(frequency) = self.discipline.new_frequency(now) {
            self.outputs.push_back(Output::Clock(ClockCommand::Frequency(frequency)));
        }
        self.begin_slewing(now);
        self.tell_kernel(now);
        self.watch_range(now);
    }

    /// Logs once a day that the clock runs at a rate that the kernel cannot correct.
    fn watch_range(&mut self, now: Now) {
        let logged = self.too_fast_logged.is_some_and(|at| now.mono.since(at) < LOG_EVERY);
        if let Some(frequency) = self.discipline.beyond_range().filter(|_| !logged) {
            self.too_fast_logged = Some(now.mono);
            self.event(Event::FrequencyExceeds(frequency));
        }
    }

    pub(in crate::engine) fn tell_kernel(&mut self, now: Now) {
        if !self.discipline.steers() {
            return;
        }
        let max_error = self.system.root_dispersion_at(now.mono) + self.system.root_delay * 0.5;
        let status = ClockStatus {
            leap: match self.system.leap {
                Leap::Unsynchronised => Leap::Unsynchronised,
                _ => self.leap.for_kernel(now.wall, PIVOT),
            },
            max_error,
            est_error: self.discipline.offset_error().max(self.discipline.jitter()),
            time_constant: self.discipline.poll(now.mono),
            tai: self.tai(now.wall),
        };
        self.kernel_leap = status.leap;
        self.outputs.push_back(Output::Clock(ClockCommand::Status(status)));
    }

    /// The poll exponent that is shown as the clock's: the system peer's.
    pub(in crate::engine) fn system_poll(&self, now: MonoTime) -> PollExponent {
        let peer = self.associations.iter().find(|a| Some(a.id) == self.system.peer);
        peer.map_or_else(|| self.discipline.poll(now), |a| a.poll)
    }

    /// The frequency as the drift file and ntpq show it.
    #[must_use]
    pub fn frequency(&self) -> Ppm {
        self.discipline.frequency()
    }
}

/// The weights of several estimates of one value, each with its variance and the scale of what its variance does not know of:
/// the reciprocals of the variances, to which as much is added as the estimates differ by more than the variances
/// explain (the between-study variance of `DerSimonian` and Laird, 1986), in the proportion of the squared scales. Paths are longer one
/// way than the other by amounts that no sample shows: without this the source that is surest of itself would have it
/// all. But by no more than half of the round trip: that is the scale of an offset, so a near server is believed before a far one.
fn weights(estimates: Vec<(f64, f64, f64)>) -> Vec<f64> {
    let least = estimates.iter().map(|e| e.2).fold(f64::INFINITY, f64::min).max(LEAST_SCALE);
    let own: Vec<(f64, f64, f64)> = estimates
        .into_iter()
        .map(|(value, variance, scale)| {
            (value, variance.max(1e-24).recip(), (scale / least).max(1.0).powi(2))
        })
        .collect();
    let sum: f64 = own.iter().map(|(_, w, _)| w).sum();
    let mean = own.iter().map(|(v, w, _)| v * w).sum::<f64>() / sum;
    let excess = own.iter().map(|(v, w, _)| w * (v - mean).powi(2)).sum::<f64>() - (own.len() as f64 - 1.0);
    let room = own.iter().map(|(_, w, a)| w * a).sum::<f64>()
        - own.iter().map(|(_, w, a)| w * w * a).sum::<f64>() / sum;
    let between = if own.len() > 1 && room > 0.0 { (excess / room).max(0.0) } else { 0.0 };
    own.iter().map(|(_, w, a)| (w.recip() + between * a).recip()).collect()
}

/// The nearest value that all sources hold for possible, where there is one.
fn held_within(value: f64, bounds: impl Iterator<Item = (f64, f64)>) -> f64 {
    let (low, high) =
        bounds.fold((f64::NEG_INFINITY, f64::INFINITY), |(low, high), b| (b.0.max(low), b.1.min(high)));
    if low <= high { value.clamp(low, high) } else { value }
}
