//! The election: fit sources become candidates, those that jumped or run away are left out, the rest is selected.

use super::authentication;
use super::intersection::{Candidate, Limits, Outcome, select};
use crate::config::model::{AuthSelection, Tos};
use crate::engine::contract::Interface;
use crate::engine::estimator::{Estimate, KnownRate};
use crate::engine::sources::{Origin, Selection, Source, Sources};
use crate::engine::system::refid_of;
use crate::units::{AssocId, MonoTime, RefId, Seconds};
use crate::wire::event::flash;
use std::collections::BTreeSet;

/// A source whose rate is so many standard errors and so much (s/s) off the clock's does not follow UTC, as the others
/// do. A margin of 1 ppm is for errors that the standard errors do not contain.
const FOREIGN_SIGMAS: f64 = 5.0;
const FOREIGN_RATE: f64 = 1e-6;

/// What an election needs of our own clock and machine.
#[derive(Clone, Copy, Debug)]
pub struct OurView<'a> {
    /// Now.
    pub now: MonoTime,
    /// How far the clock stands ahead of its free-running self.
    pub correction: Seconds,
    /// Its rate, while it is synchronized.
    pub rate: Option<KnownRate>,
    /// The addresses of this machine.
    pub interfaces: &'a [Interface],
}

impl OurView<'_> {
    /// Whether a source has our clock run at a rate that it certainly does not have.
    fn is_foreign(&self, e: &Estimate) -> bool {
        self.rate.is_some_and(|known| {
            let error = (e.rate_variance + known.error * known.error).sqrt();
            (e.rate - known.rate).abs() > FOREIGN_SIGMAS * error + FOREIGN_RATE
        })
    }

    /// TEST12: a server that has its time from us is no source.
    fn is_followed_by(&self, source: &Source) -> bool {
        let header = source.header();
        header.stratum.get() > 1 && source.measures() && is_our_refid(header.refid, self.interfaces)
    }
}

/// TEST12: whether a host with this reference identifier has its time from this machine, whose addresses are these. That of loopback says
/// nothing: a host in orphan mode has it, too.
#[must_use]
pub fn is_our_refid(refid: RefId, interfaces: &[Interface]) -> bool {
    interfaces.iter().any(|i| !i.address.is_loopback() && refid_of(i.address) == refid)
}

/// Runs selection over all sources, which remember what became of them.
pub fn elect(sources: &mut Sources, ours: &OurView<'_>, tos: &Tos, policy: AuthSelection) -> Outcome {
    let mut candidates: Vec<Candidate> =
        sources.iter_mut().filter_map(|source| candidate(source, ours, tos)).collect();
    let doubted = doubted(sources, ours, &candidates, tos.mindist);
    candidates.retain(|c| !doubted.contains(&c.id));
    let surplus = surplus(sources, &candidates);
    candidates.retain(|c| !surplus.contains(&c.id));
    let limits = Limits {
        min_clock: tos.minclock as usize,
        min_sane: tos.minsane as usize,
        min_distance: tos.mindist,
    };
    let admitted = authentication::admit(candidates, sources, policy, &limits);
    let candidates = admitted.candidates;
    let mut outcome = select(&candidates, &limits);
    debug_assert!(
        outcome.survivors.iter().all(|id| candidates.iter().any(|c| c.id == *id)),
        "a survivor was a candidate: {outcome:?}"
    );
    debug_assert!(
        !candidates.iter().any(|c| c.truechimer && outcome.falsetickers.contains(&c.id)),
        "a source that is configured as right is no falseticker: {outcome:?}"
    );
    outcome.falsetickers.extend(admitted.falsetickers);
    for id in doubted.iter().chain(&outcome.falsetickers) {
        mark(sources, *id, Selection::Falsetick);
    }
    for id in &outcome.outliers {
        mark(sources, *id, Selection::Outlier);
    }
    // Unless it is followed, a pulse has nothing wrong with it; ntpd shows it as a falseticker.
    for id in &outcome.pulses {
        mark(sources, *id, Selection::Backup);
    }
    outcome
}

/// Candidates that would give a host, or the holder of a key, more than its vote: a second association with the same host, and
/// associations that packets by one key made, as far as they are more than all others.
fn surplus(sources: &Sources, candidates: &[Candidate]) -> Vec<AssocId> {
    let all: Vec<&Source> = candidates.iter().filter_map(|c| sources.get(c.id)).collect();
    let mut surplus = Vec::new();
    for (index, source) in all.iter().enumerate() {
        if all[..index].iter().any(|other| other.address() == source.address()) {
            surplus.push(source.id());
        }
    }
    let votes = || all.iter().filter(|s| !surplus.contains(&s.id()));
    let ephemeral = |source: &Source| source.origin() == Origin::Ephemeral;
    let by_packet = |key| votes().filter(move |s| ephemeral(s) && s.config().key == key);
    let keys: BTreeSet<_> = votes().filter(|s| ephemeral(s)).map(|s| s.config().key).collect();
    let more: Vec<AssocId> = keys
        .into_iter()
        .flat_map(|key| {
            let own = by_packet(key).count();
            let others = votes().count() - own;
            let most = if others == 0 { own } else { others };
            by_packet(key).skip(most).map(|s| s.id()).collect::<Vec<_>>()
        })
        .collect();
    surplus.extend(more);
    surplus
}

/// Selection made this of a source.
pub fn mark(sources: &mut Sources, id: AssocId, selection: Selection) {
    if let Some(source) = sources.get_mut(id) {
        source.select(selection);
    }
}

fn candidate(source: &mut Source, ours: &OurView<'_>, tos: &Tos) -> Option<Candidate> {
    let loops = if ours.is_followed_by(source) { flash::PEER_LOOP } else { 0 };
    source.select(Selection::Reject);
    let fit = source.test_fitness(ours.now, tos, loops);
    // Hosts without a source are no candidates: the parent among them is followed while there is nothing else.
    let orphan = tos.orphan_stratum().is_some_and(|stratum| source.header().stratum.get() >= stratum);
    if !fit || orphan || !source.measures() {
        return None;
    }
    let best = source.filter().best()?;
    // Later corrections of the clock have made the measured offset stale: judge by the estimate.
    let estimate = source.estimator().estimate(ours.now);
    let offset = estimate.map_or(best.offset.get(), |e| e.offset - ours.correction.get());
    Some(Candidate {
        id: source.id(),
        stratum: source.header().stratum.get(),
        offset,
        distance: source.error_bound(ours.now).get(),
        asymmetry: source.asymmetry().get(),
        error: estimate.map_or(0.0, |e| e.offset_variance.sqrt()),
        jitter: source.filter().jitter().get(),
        truechimer: source.config().truechimer,
        prefer: source.config().prefer,
        decides: source.config().prefer && source.as_reference().is_some(),
        pulse: source.gives_pulses(),
    })
}

/// Candidates that have jumped away, or run away from our clock's known rate, while the others do not: it is they that
/// changed. When most of them seem to, it was our clock. One that is still within `tos mindist` of the others has
/// not jumped away, whatever alarmed it: on a busy machine packets do. Before the clock's rate is known, what does not fit may as
/// well be its doing; and where halves stand against each other, one vote less would make a majority of the other half.
fn doubted(
    sources: &Sources,
    ours: &OurView<'_>,
    candidates: &[Candidate],
    mindist: Seconds,
) -> Vec<AssocId> {
    if ours.rate.is_none() {
        return Vec::new();
    }
    let alarmed = |c: &Candidate| sources.get(c.id).is_some_and(|s| s.estimator().alarmed());
    let calm: Vec<f64> = candidates.iter().filter(|c| !alarmed(c)).map(|c| c.offset).collect();
    let near = mindist.get();
    let jumped = |c: &Candidate| alarmed(c) && !calm.iter().any(|offset| (offset - c.offset).abs() < near);
    let runs_away = |c: &Candidate| {
        let estimate = sources.get(c.id).and_then(|s| s.estimator().estimate(ours.now));
        estimate.is_some_and(|e| ours.is_foreign(&e))
    };
    let doubted: Vec<AssocId> =
        candidates.iter().filter(|c| !c.truechimer && (jumped(c) || runs_away(c))).map(|c| c.id).collect();
    if 2 * doubted.len() <= candidates.len() { doubted } else { Vec::new() }
}

/// The system peer: the first survivor, unless the present one survives at the same stratum
/// (no hopping between equals) and none is preferred.
#[must_use]
pub fn system_peer<'a>(survivors: &[&'a Source], present: Option<AssocId>) -> Option<&'a Source> {
    let best = *survivors.first()?;
    let stays = survivors.iter().copied().find(|s| {
        Some(s.id()) == present && s.header().stratum <= best.header().stratum && !best.config().prefer
    });
    Some(stays.unwrap_or(best))
}
