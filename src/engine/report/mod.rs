//! What the engine reports: events (`event.rs`), what is reported of each (`rows.rs`), which are logged
//! (`logconfig.rs`), lines of statistics files (`statistics.rs`). [`Reports`] keeps count of them, knows which lines are wanted, and
//! puts them into the outbox; it must not know what brings an event about.

pub mod event;
pub mod logconfig;
pub mod rows;
pub mod statistics;

use self::event::Event;
use self::rows::Code;
use self::statistics::LoopUpdate;
use crate::config::model::{Config, StatKind};
use crate::engine::contract::{Now, Output};
use crate::engine::outbox::Outbox;
use crate::engine::reject::Counters;
use crate::engine::sources::filter::Stage;
use crate::engine::sources::{Exchange, Source};
use crate::engine::system::System;
use crate::engine::timers::{Timer, Timers};
use crate::units::{MonoTime, NtpTimestamp, Seconds};
use crate::wire::event::SystemEvent;

/// How often a line of sysstats is written.
const HOUR: Seconds = Seconds::new(3600.0);
/// The status word counts no more events than this.
const EVENTS_MAX: u8 = 15;

/// Makes the fields of a line of what was counted in so many seconds.
type FieldsOf = fn(i64, &Counters) -> String;

/// The reports of the daemon: what was reported so far, as far as later reports depend on it, and what is wanted.
#[derive(Clone, Debug)]
pub struct Reports {
    /// The statistics that the configuration wants.
    wanted: Vec<StatKind>,
    /// The last system event, and how many of it there were since a client with a key has seen them, at most 15.
    last_event: SystemEvent,
    event_count: u8,
    /// Since when the counters of packets count.
    counting_since: MonoTime,
    /// The newest response that a line of loopstats was written for.
    loop_recorded: Option<MonoTime>,
}

impl Reports {
    /// Nothing reported yet.
    #[must_use]
    pub fn new(now: MonoTime, config: &Config, timers: &mut Timers) -> Self {
        timers.set(Timer::Hourly, now + HOUR);
        Self {
            wanted: wanted(config),
            last_event: SystemEvent::Unspecified,
            event_count: 0,
            counting_since: now,
            loop_recorded: None,
        }
    }

    /// Another configuration is in force.
    pub fn reconfigure(&mut self, config: &Config) {
        self.wanted = wanted(config);
    }

    /// Counts an event as ntpd does, and reports it: to protostats as ntpd's event log words it, and to the log.
    pub fn event(&mut self, at: NtpTimestamp, event: Event, system: &System, outbox: &mut Outbox) {
        let row = event.row();
        if let Code::System(code) = row.code {
            self.count(code);
        }
        if self.wants(StatKind::Proto)
            && let Some(fields) = row.protostats(self.status(system))
        {
            push_line(outbox, StatKind::Proto, at, &fields);
        }
        outbox.push(Output::Event(event));
    }

    fn count(&mut self, code: SystemEvent) {
        if self.last_event != code {
            self.last_event = code;
            self.event_count = 0;
        }
        self.event_count = (self.event_count + 1).min(EVENTS_MAX);
    }

    /// The RFC 9327 system status word.
    #[must_use]
    pub fn status(&self, system: &System) -> u16 {
        debug_assert!(self.event_count <= EVENTS_MAX, "the status word counts no more than 15 events");
        system.status() | u16::from(self.event_count) << 4 | self.last_event as u16
    }

    /// A client with a key has seen the system events.
    pub const fn events_seen(&mut self) {
        self.event_count = 0;
    }

    fn wants(&self, kind: StatKind) -> bool {
        self.wanted.contains(&kind)
    }

    /// loopstats, at every update of the clock that a new sample brought.
    pub fn clock_updated(&mut self, at: NtpTimestamp, update: &LoopUpdate<'_>, outbox: &mut Outbox) {
        if update.newest <= self.loop_recorded {
            return;
        }
        self.loop_recorded = update.newest;
        if self.wants(StatKind::Loop) {
            push_line(outbox, StatKind::Loop, at, &statistics::loop_fields(update));
        }
    }

    /// peerstats, whenever the clock filter has a new best sample.
    pub fn new_best(&self, at: NtpTimestamp, source: &Source, best: &Stage, outbox: &mut Outbox) {
        if self.wants(StatKind::Peer) {
            push_line(outbox, StatKind::Peer, at, &statistics::peer_fields(source, best));
        }
    }

    /// rawstats, at every valid response.
    pub fn exchanged(&self, at: NtpTimestamp, source: &Source, exchange: &Exchange, outbox: &mut Outbox) {
        if self.wants(StatKind::Raw) {
            push_line(outbox, StatKind::Raw, at, &statistics::raw_fields(source, exchange));
        }
    }

    /// clockstats, when a reference clock says something that its driver records.
    pub fn clock_read(&self, at: NtpTimestamp, source: &Source, text: &str, outbox: &mut Outbox) {
        if self.wants(StatKind::Clock) {
            push_line(outbox, StatKind::Clock, at, &statistics::clock_fields(source, text));
        }
    }

    /// Whether the hour is over; then the next one begins.
    pub fn hour_is_over(now: MonoTime, timers: &mut Timers) -> bool {
        let over = timers.is_due(Timer::Hourly, now);
        if over {
            timers.set(Timer::Hourly, now + HOUR);
        }
        over
    }

    /// sysstats, ntsstats and ntskestats, as far as they are wanted: what was counted of packets, which begins anew then.
    pub fn packets_counted(&mut self, now: Now, counters: &mut Counters, outbox: &mut Outbox) {
        let kinds: [(StatKind, FieldsOf); 3] = [
            (StatKind::Sys, statistics::system_fields),
            (StatKind::Nts, statistics::security_fields),
            (StatKind::NtsKe, statistics::exchange_fields),
        ];
        let mut written = false;
        for (kind, fields) in kinds {
            if self.wants(kind) {
                push_line(outbox, kind, now.wall, &fields(self.counted_for(now.mono), counters));
                written = true;
            }
        }
        if written {
            *counters = Counters::default();
            self.counting_since = now.mono;
        }
    }

    /// Whole seconds that the counters have counted (`ss_reset`).
    #[must_use]
    pub fn counted_for(&self, now: MonoTime) -> i64 {
        now.since(self.counting_since).get() as i64
    }
}

fn push_line(outbox: &mut Outbox, kind: StatKind, at: NtpTimestamp, fields: &str) {
    outbox.push(Output::Stat(statistics::line(kind, at, fields)));
}

/// The statistics that a configuration wants.
fn wanted(config: &Config) -> Vec<StatKind> {
    let enabled = config.statistics.filegens.iter().filter(|f| config.enable.stats && f.enabled);
    enabled.map(|f| f.kind).collect()
}
