//! Events and statistics: to the log, to mode 6, to the files.

use crate::engine::Engine;
use crate::engine::contract::{ExitReason, Now, Output};
use crate::engine::report::Reports;
use crate::engine::report::event::Event;
use crate::engine::report::statistics::LoopUpdate;
use crate::engine::sources::{Exchange, Source};
use crate::units::{AssocId, PollExponent, Seconds};

impl Engine {
    /// Counts and reports an event.
    pub(in crate::engine) fn event(&mut self, event: Event) {
        self.reports.event(self.moment.wall, event, &self.system, &mut self.outbox);
    }

    /// Ends the process after what is already waiting.
    pub(in crate::engine) fn exit(&mut self, reason: ExitReason) {
        self.exiting = true;
        self.event(Event::Exiting(reason));
        self.outbox.push(Output::Exit(reason));
    }

    /// Records a clock update that left `offset` to correct.
    pub(super) fn record_loop(&mut self, now: Now, offset: Seconds, poll: PollExponent) {
        // The local clock's polls bring news only while it is the system peer.
        let counts = |s: &&Source| s.measures() || Some(s.id()) == self.system.peer();
        let newest = self.sources.iter().filter(counts).filter_map(|s| s.reach().last_response()).max();
        let update = LoopUpdate { discipline: self.clock.discipline(), offset, poll, newest };
        self.reports.clock_updated(now.wall, &update, &mut self.outbox);
    }

    /// Records a sample of a source, if it is the best of those in the clock filter.
    pub(super) fn record_peer(&mut self, now: Now, id: AssocId) {
        if let Some(source) = self.sources.get_mut(id)
            && let Some(best) = source.new_best()
        {
            self.reports.new_best(now.wall, source, &best, &mut self.outbox);
        }
    }

    /// Records the timestamps of an exchange.
    pub(super) fn record_raw(&mut self, now: Now, id: AssocId, exchange: &Exchange) {
        if let Some(source) = self.sources.get(id) {
            self.reports.exchanged(now.wall, source, exchange, &mut self.outbox);
        }
    }

    /// What is due once an hour: the event with the state of the loop, and the counters of packets.
    pub(in crate::engine) fn record_hourly(&mut self, now: Now) {
        if !Reports::hour_is_over(now.mono, &mut self.timers) {
            return;
        }
        let discipline = self.clock.discipline();
        let hourly = Event::LoopState {
            offset: discipline.offset(now.mono),
            frequency: discipline.frequency(),
            jitter: discipline.jitter(),
            poll: self.system_poll(now.mono),
        };
        self.event(hourly);
        self.keep_cookies();
        self.reports.packets_counted(now, self.server.counters_mut(), &mut self.outbox);
    }
}
