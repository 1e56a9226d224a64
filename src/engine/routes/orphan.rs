//! Orphan mode (`tos orphan`): after a while without any source a host serves the time of its own clock, at a stratum that says so.
//! Of several such hosts that are each other's partners, all but the parent follow the parent (`selection/orphan.rs`).

use crate::engine::Engine;
use crate::engine::contract::Now;
use crate::engine::report::event::Event;
use crate::engine::selection;
use crate::engine::sources::Source;
use crate::engine::timers::Timer;
use crate::units::{AssocId, Seconds, Stratum};

/// How often what we say of our clock is renewed: its root dispersion is that of the parent of all, next to nothing.
const RENEWED: Seconds = Seconds::new(16.0);

impl Engine {
    /// Orphan mode begins when there has been no source for a time: at the start, from now on.
    pub(in crate::engine) fn await_sources(&mut self, now: Now) {
        let tos = &self.setup.config.tos;
        let begins = tos.orphan_stratum().map(|_| now.mono + tos.orphanwait);
        self.timers.put(Timer::Orphan, begins);
    }

    /// The parent to follow, since no source survived the selection and no local clock is there.
    pub(super) fn orphan_parent(&self) -> Option<AssocId> {
        if self.sources.iter().any(Source::is_fallback) {
            return None;
        }
        selection::parent(&self.sources, &self.setup.config.tos)
    }

    /// Whether sources that did not survive this selection may well survive the next, so that the system peer stays what it is.
    pub(super) fn may_have_sources(&self) -> bool {
        let Some(limit) = self.setup.config.tos.orphan_stratum() else {
            return self.sources.reachable().next().is_some();
        };
        // Partners that have lost their servers too are as far from the time as this host.
        let followed = |s: &Source| Some(s.id()) == self.system.peer();
        self.sources.reachable().any(|s| s.header().stratum.get() < limit && (!s.is_partner() || followed(s)))
    }

    /// There is no system peer any more.
    pub(super) fn lose_system_peer(&mut self, now: Now) {
        let Some(lost) = self.system.peer() else { return };
        self.system.lose_peer();
        self.event(Event::NoSystemPeer);
        self.await_sources(now);
        // A parent is lost: this host was without any other source all the time.
        let limit = self.setup.config.tos.orphan_stratum();
        if self.sources.get(lost).is_some_and(|s| limit == Some(s.header().stratum.get())) {
            self.timers.set(Timer::Orphan, now.mono);
        }
    }

    /// Serves the time of this host, if it is time.
    pub(in crate::engine) fn stand_alone_if_due(&mut self, now: Now) {
        if !self.timers.is_due(Timer::Orphan, now.mono) {
            return;
        }
        self.timers.clear(Timer::Orphan);
        let stratum = self.setup.config.tos.orphan_stratum().map(Stratum::new);
        let Some(stratum) = stratum.filter(|_| self.system.peer().is_none() && !self.setup.quit_after_set)
        else {
            return;
        };
        self.timers.set(Timer::Orphan, now.mono + RENEWED);
        let begins = !self.system.stands_alone();
        self.watch_leap(now, &[]);
        self.system.stand_alone(now, stratum, self.clock.leap().announced());
        if begins {
            self.event(Event::StandsAlone(stratum));
        }
        self.report_status(now);
    }

    /// A new configuration may begin orphan mode, or end it.
    pub(super) fn orphan_mode_changed(&mut self, now: Now) {
        let waits = self.timers.get(Timer::Orphan).is_some();
        match self.setup.config.tos.orphan_stratum() {
            Some(_) if !waits && self.system.peer().is_none() => self.await_sources(now),
            None if waits => {
                self.timers.clear(Timer::Orphan);
                if self.system.stands_alone() {
                    self.system.unsynchronize(now.mono);
                    self.report_status(now);
                }
            }
            _ => {}
        }
    }
}
