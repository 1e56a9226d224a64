//! Reference clocks: their devices are the shell's, which sends what they say.

use crate::engine::Engine;
use crate::engine::contract::{DeviceReport, Now, Output, Reading};
use crate::engine::report::event::Event;
use crate::engine::selection::{Numbered, Trusted, combine, system_peer};
use crate::engine::sources::reference::{RETRY, Reader, Sample};
use crate::engine::sources::{Polled, Source};
use crate::engine::timers::Timer;
use crate::units::{AssocId, Driver, Seconds};
use crate::wire::event::PeerEvent;

/// A clock that says something after a silence is polled after this long.
const SOON: Seconds = Seconds::new(2.0);

impl Engine {
    /// Asks the shell for the device of a reference clock.
    pub(super) fn open_device(&mut self, id: AssocId) {
        self.timers.clear(Timer::Device(id));
        if let Some(source) = self.sources.get(id)
            && let Some(clock) = source.as_reference()
        {
            let device = Box::new(clock.device(source.config()));
            self.outbox.push(Output::OpenClock { id, device });
        }
    }

    /// Opens the devices again that were not there, if it is time.
    pub(in crate::engine) fn open_devices_due(&mut self, now: Now) {
        for timer in self.timers.due(now.mono) {
            if let Timer::Device(id) = timer {
                self.open_device(id);
            }
        }
    }

    /// The device of a reference clock says something.
    pub(in crate::engine) fn device_reported(&mut self, now: Now, id: AssocId, report: DeviceReport) {
        let Some(source) = self.sources.get_mut(id) else { return };
        let address = source.shown_address();
        let Some(clock) = source.as_reference_mut() else { return };
        match report {
            DeviceReport::Opened => {
                if clock.opened() {
                    self.event(Event::DeviceOpened(address));
                }
            }
            DeviceReport::Failed(why) => {
                self.timers.set(Timer::Device(id), now.mono + RETRY);
                if clock.failed(why.clone()) {
                    self.event(Event::DeviceFailed { address, why, retry: RETRY });
                }
            }
            DeviceReport::Trouble { trouble, text } => clock.trouble(trouble, text),
            DeviceReport::Reading(reading) => self.reading(now, id, reading),
        }
    }

    /// A reading of a reference clock: the estimator takes it as a sample at once; the clock is updated when it is polled.
    fn reading(&mut self, now: Now, id: AssocId, reading: Reading) {
        let by = Reader {
            now,
            synchronized: self.system.is_synchronized(),
            tai: self.setup.tai(now.wall),
            correction: self.clock.discipline().correction(now.mono),
            floor: self.system.floor(),
        };
        let Some(source) = self.sources.get_mut(id) else { return };
        let Some(sample) = source.read(reading, &by) else { return };
        let free = self.clock.free_running(&sample.measured, Seconds::ZERO, Seconds::ZERO);
        let anew = sample.is_other.then(|| self.clock.new_estimator());
        source.take_sample(&free, anew);
        let soon = now.mono + SOON;
        if !source.reach().is_reachable() && self.timers.get(Timer::Poll(id)).is_some_and(|at| at > soon) {
            self.timers.set(Timer::Poll(id), soon);
        }
        self.record_sample(now, id, &sample);
        // A pulse that is followed moves the clock at once: what it shows would be older with each second until the next poll.
        if self.system.peer() == Some(id) && self.sources.get(id).is_some_and(Source::gives_pulses) {
            self.update_clock(now);
        }
    }

    /// Whether the clock may follow this pulse, which agrees with these survivors.
    pub(super) fn may_follow(&self, now: Now, pulse: AssocId, survivors: &[AssocId]) -> bool {
        let Some(pulse) = self.sources.get(pulse) else { return false };
        let survivors: Vec<&Source> = survivors.iter().filter_map(|id| self.sources.get(*id)).collect();
        let best = system_peer(&survivors, self.system.peer());
        let others = best.and_then(|best| combine(now.mono, &survivors, best));
        let correction = self.clock.discipline().correction(now.mono);
        let configured = self.setup.config.tos.minsane == 0 && survivors.is_empty();
        let trusted = if configured || self.local_number().is_some() {
            Trusted::ByConfiguration
        } else if self.system.peer() == Some(pulse.id()) {
            Trusted::ByPulse
        } else {
            Trusted::No
        };
        let numbered = Numbered {
            now: now.mono,
            offset: others.map_or(Seconds::ZERO, |others| Seconds::new(others.offset) - correction),
            root_distance: self.system.root_distance_at(now.mono),
            trusted,
        };
        numbered.admits(pulse, &survivors)
    }

    /// The LOCAL clock with `prefer`: it says that the clock of this machine shows the right second.
    pub(super) fn local_number(&self) -> Option<AssocId> {
        self.sources.iter().find(|s| s.is_fallback() && s.config().prefer).map(Source::id)
    }

    fn record_sample(&mut self, now: Now, id: AssocId, sample: &Sample) {
        let Some(source) = self.sources.get(id) else { return };
        let line = source.as_reference().and_then(|clock| clock.statistics_of(source.config(), sample));
        if let Some(line) = line {
            self.reports.clock_read(now.wall, source, &line, &mut self.outbox);
        }
    }

    /// Reports what the poll of a reference clock showed.
    pub(super) fn clock_polled(&mut self, now: Now, id: AssocId, polled: &Polled) {
        let Some(source) = self.sources.get_mut(id) else { return };
        if let Some(line) = &polled.statistics {
            self.reports.clock_read(now.wall, source, line, &mut self.outbox);
        }
        if let Some(trouble) = polled.trouble {
            let peer = source.note_event(PeerEvent::ClockEvent);
            self.event(Event::ClockTrouble(peer, trouble));
        }
    }

    /// `enable calibrate`: while a pulse is followed, the other reference clocks come to agree with it.
    pub(super) fn calibrate(&mut self, id: AssocId) {
        let peer = self.system.peer().and_then(|peer| self.sources.get(peer));
        let by_pulse = peer.is_some_and(|peer| peer.clock_driver() == Some(Driver::Pps) && peer.id() != id);
        let near = self.setup.config.tos.mindist;
        if !self.setup.config.enable.calibrate || !by_pulse {
            return;
        }
        let left = self.clock.discipline().offset(self.moment.mono).abs();
        if let Some(source) = self.sources.get_mut(id)
            && let Some(offset) = source.filter().best().map(|best| best.offset)
            && left < near
            && let Some(clock) = source.as_reference_mut()
            && clock.driver() != Driver::Pps
        {
            clock.calibrate(offset);
        }
    }

    /// Logs what `enable calibrate` found, for the administrator to write into ntp.conf.
    pub(in crate::engine) fn log_calibration(&mut self) {
        let found: Vec<Event> = self
            .sources
            .iter()
            .filter_map(|source| {
                let clock = source.as_reference().filter(|clock| clock.calibrated() != Seconds::ZERO)?;
                let (address, time1) = (source.shown_address(), clock.time1(source.config()));
                Some(Event::Calibrated { address, time1 })
            })
            .collect();
        for event in found {
            self.event(event);
        }
    }
}
