//! Names that wait for their addresses: the shell looks them up, again and again, and nothing waits for them.

use crate::config::model::{Family, Restrict};
use crate::engine::contract::{LookupId, Output};
use crate::engine::timers::{Timer, Timers};
use crate::units::{AssocId, MonoTime, Seconds};

/// First pause after a failed lookup, seconds; it doubles up to [`LAST_RETRY`].
const FIRST_RETRY: f64 = 2.0;
/// Longest pause between lookups of a name, seconds.
const LAST_RETRY: f64 = 64.0;

/// What a name is wanted for.
#[derive(Clone, Debug)]
pub enum Purpose {
    /// The address of this association.
    Association(AssocId),
    /// The address of this restrict line.
    Restrict(Box<Restrict>),
}

/// A name without an address yet.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// Its id.
    pub id: LookupId,
    /// The name.
    pub name: String,
    /// Which addresses are wanted.
    pub family: Family,
    /// What for.
    pub purpose: Purpose,
    failures: u32,
}

/// All the names without addresses.
#[derive(Clone, Debug, Default)]
pub struct Names {
    next: u64,
    waiting: Vec<Lookup>,
}

impl Names {
    /// Adds a name, whose lookup is due at once.
    pub fn add(
        &mut self,
        now: MonoTime,
        name: String,
        family: Family,
        purpose: Purpose,
        timers: &mut Timers,
    ) {
        self.next += 1;
        let id = LookupId(self.next);
        self.waiting.push(Lookup { id, name, family, purpose, failures: 0 });
        timers.set(Timer::Lookup(id), now);
    }

    /// Whether this association waits for an address.
    #[must_use]
    pub fn waits(&self, id: AssocId) -> bool {
        self.waiting.iter().any(|l| matches!(l.purpose, Purpose::Association(other) if other == id))
    }

    /// The name with this id.
    #[must_use]
    pub fn find(&self, id: LookupId) -> Option<&Lookup> {
        self.waiting.iter().find(|l| l.id == id)
    }

    /// An association ended: its name waits no longer.
    pub fn forget_association(&mut self, id: AssocId, timers: &mut Timers) {
        self.retain(|purpose| !matches!(purpose, Purpose::Association(other) if *other == id), timers);
    }

    /// The restrict lines are read anew.
    pub fn forget_restrict_lines(&mut self, timers: &mut Timers) {
        self.retain(|purpose| matches!(purpose, Purpose::Association(_)), timers);
    }

    fn retain(&mut self, wanted: impl Fn(&Purpose) -> bool, timers: &mut Timers) {
        for gone in self.waiting.extract_if(.., |l| !wanted(&l.purpose)) {
            timers.clear(Timer::Lookup(gone.id));
        }
    }

    /// Whether any name still waits for its address.
    #[must_use]
    pub fn any_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The requests to the resolver that are due.
    pub fn due(&self, now: MonoTime, timers: &mut Timers) -> Vec<Output> {
        let mut requests = Vec::new();
        for lookup in &self.waiting {
            if !timers.is_due(Timer::Lookup(lookup.id), now) {
                continue;
            }
            timers.clear(Timer::Lookup(lookup.id));
            requests.push(Output::Resolve {
                id: lookup.id,
                name: lookup.name.clone(),
                family: lookup.family,
            });
        }
        requests
    }

    /// A name has its addresses: it waits no longer.
    pub fn resolved(&mut self, id: LookupId, timers: &mut Timers) -> Option<Lookup> {
        timers.clear(Timer::Lookup(id));
        let index = self.waiting.iter().position(|l| l.id == id)?;
        Some(self.waiting.swap_remove(index))
    }

    /// A lookup failed: gives the name and the pause before it is tried again.
    pub fn failed(&mut self, now: MonoTime, id: LookupId, timers: &mut Timers) -> Option<(String, Seconds)> {
        let lookup = self.waiting.iter_mut().find(|l| l.id == id)?;
        let pause = (FIRST_RETRY * 2f64.powi(lookup.failures.min(16) as i32)).min(LAST_RETRY);
        lookup.failures += 1;
        timers.set(Timer::Lookup(id), now + Seconds::new(pause));
        Some((lookup.name.clone(), Seconds::new(pause)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_asked_again_with_growing_pauses() {
        let mut names = Names::default();
        let mut timers = Timers::default();
        let mut now = MonoTime::ZERO;
        names.add(now, "ntp.example".to_owned(), Family::Any, Purpose::Association(AssocId(1)), &mut timers);
        for pause in [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 64.0] {
            let asked = names.due(now, &mut timers);
            let [Output::Resolve { id, .. }] = asked[..] else { panic!("{asked:?}") };
            assert!(names.due(now, &mut timers).is_empty());
            assert_eq!(
                names.failed(now, id, &mut timers),
                Some(("ntp.example".to_owned(), Seconds::new(pause)))
            );
            now = timers.next().unwrap();
        }
        assert!(names.resolved(LookupId(1), &mut timers).is_some());
        assert!(!names.any_waiting());
        assert_eq!(timers.next(), None, "nothing is left to wait for");
    }
}
