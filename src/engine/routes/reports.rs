//! Events and statistics: to the log, to mode 6, to the files.

use crate::config::model::StatKind;
use crate::engine::Engine;
use crate::engine::contract::{ExitReason, Now, Output};
use crate::engine::reject::Counters;
use crate::engine::report::event::Event;
use crate::engine::report::rows::Code;
use crate::engine::report::statistics::{self, Records};
use crate::engine::sources::{Exchange, Source};
use crate::units::{AssocId, NtpTimestamp, Seconds};

impl Engine {
    /// Counts and reports an event.
    pub(in crate::engine) fn event(&mut self, event: Event) {
        let row = event.row();
        if let Code::System(code) = row.code {
            self.system.note_event(code);
        }
        // protostats: an event as ntpd's event log words it.
        if self.wants(StatKind::Proto)
            && let Some(fields) = row.protostats(self.system.status())
        {
            self.record(self.moment.wall, StatKind::Proto, &fields);
        }
        self.outbox.push(Output::Event(event));
    }

    /// Ends the process after what is already waiting.
    pub(in crate::engine) fn exit(&mut self, reason: ExitReason) {
        self.exiting = true;
        self.event(Event::Exiting(reason));
        self.outbox.push(Output::Exit(reason));
    }

    /// Whether the configuration wants such lines.
    fn wants(&self, kind: StatKind) -> bool {
        let config = &self.setup.config;
        config.enable.stats && config.statistics.filegens.iter().any(|f| f.kind == kind && f.enabled)
    }

    fn record(&mut self, at: NtpTimestamp, kind: StatKind, fields: &str) {
        self.outbox.push(Output::Stat(statistics::line(kind, at, fields)));
    }

    /// loopstats, at every update of the clock that a new sample brought.
    pub(super) fn record_loop(&mut self, now: Now, offset: Seconds, poll: u8) {
        // The local clock's polls bring news only while it is the system peer.
        let counts = |s: &&Source| s.measures() || Some(s.id()) == self.system.peer;
        let newest = self.sources.iter().filter(counts).filter_map(|s| s.reach().last_response()).max();
        if self.records.is_new(newest) && self.wants(StatKind::Loop) {
            let fields = statistics::loop_fields(self.clock.discipline(), offset, poll);
            self.record(now.wall, StatKind::Loop, &fields);
        }
    }

    /// peerstats, whenever the clock filter has a new best sample.
    pub(super) fn record_peer(&mut self, now: Now, id: AssocId) {
        let wanted = self.wants(StatKind::Peer);
        let Some(source) = self.sources.get_mut(id) else { return };
        let Some(best) = source.new_best() else { return };
        if wanted {
            let fields = statistics::peer_fields(source, &best);
            self.record(now.wall, StatKind::Peer, &fields);
        }
    }

    /// rawstats, at every valid response.
    pub(super) fn record_raw(&mut self, now: Now, id: AssocId, exchange: &Exchange) {
        if self.wants(StatKind::Raw)
            && let Some(source) = self.sources.get(id)
        {
            let fields = statistics::raw_fields(source, exchange);
            self.record(now.wall, StatKind::Raw, &fields);
        }
    }

    /// What is due once an hour: the event with the state of the loop, and sysstats: the counters, which begin anew.
    pub(in crate::engine) fn record_hourly(&mut self, now: Now) {
        if !Records::hour_is_over(now.mono, &mut self.timers) {
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
        if self.wants(StatKind::Sys) {
            let fields =
                statistics::system_fields(self.records.since_reset(now.mono), self.server.counters());
            self.record(now.wall, StatKind::Sys, &fields);
            *self.server.counters_mut() = Counters::default();
            self.records.reset(now.mono);
        }
    }
}
