//! The clock's own routes: corrections that are due, commands that failed, a clock that another process set, or that stood still
//! with a suspended machine: earlier measurements no longer hold, and clients must know before the sources have been polled again.

use crate::engine::Engine;
use crate::engine::clock::{Clock, FirstOffset, KernelPll};
use crate::engine::contract::{ClockCommand, ClockFailure, ClockReport, Now};
use crate::engine::report::event::Event;
use crate::units::Seconds;

impl Engine {
    /// The next slew, if it is time.
    pub(in crate::engine) fn slew(&mut self, now: Now) {
        self.clock.woke(now, &mut self.timers);
        self.watch_settling(now);
        let pll = if self.setup.config.enable.kernel { KernelPll::Allowed } else { KernelPll::Forbidden };
        let tinker = self.setup.config.tinker;
        self.clock.slew_if_due(now, pll, &tinker, &mut self.timers, &mut self.outbox);
    }

    /// A clock command was performed, or failed.
    pub(in crate::engine) fn clock_done(&mut self, now: Now, report: ClockReport) {
        let Err(failure) = report.result else { return };
        if let ClockCommand::Step(by) = report.command {
            self.clock.step_failed(by);
            self.sources.iter_mut().for_each(|source| source.clock_stepped(by * -1.0));
        }
        match failure {
            ClockFailure::NoLoop => self.clock.pll_failed(),
            ClockFailure::NotPermitted => self.stop_adjusting(now),
            ClockFailure::Os(_) => {
                let what = match report.command {
                    ClockCommand::Frequency(_) => "setting the clock's frequency",
                    ClockCommand::Slew { .. } | ClockCommand::PllSlew { .. } => "slewing the clock",
                    ClockCommand::Step(_) => "stepping the clock",
                    ClockCommand::Status(_) => "setting the clock's status",
                };
                self.event(Event::ClockFailed { what, why: failure });
            }
        }
    }

    /// The clock turned out not to be ours to adjust.
    fn stop_adjusting(&mut self, now: Now) {
        if !self.clock.discipline().steers() {
            return;
        }
        self.event(Event::CannotSteer);
        self.clock.stop_adjusting(now, &mut self.timers);
        for source in self.sources.iter_mut() {
            source.restart_estimate(self.clock.new_estimator());
        }
    }

    /// The wall clock moved by `by`, and not by a command of ours.
    pub(in crate::engine) fn clock_set(&mut self, now: Now, by: Seconds, running: Vec<String>) {
        if self.clock.set_outside(now, by) {
            self.event(Event::ClockSetOutside { by, running });
            self.measure_anew(now, by.abs());
        }
    }

    /// The machine was suspended for `span`: the clock is what the hardware clock made of it.
    pub(in crate::engine) fn suspended(&mut self, now: Now, span: Seconds) {
        let least = self.setup.config.tinker.resume;
        let any_offset = least > Seconds::ZERO && span >= least;
        self.clock.suspended(now, span, if any_offset { FirstOffset::Any } else { FirstOffset::WithinPanic });
        self.event(Event::Suspended { span, any_offset });
        self.measure_anew(now, Clock::error_after(span));
    }

    /// The clock may be off by so much more, and earlier offsets no longer hold: all sources are polled at once.
    fn measure_anew(&mut self, now: Now, error: Seconds) {
        for source in self.sources.iter_mut() {
            source.clock_set(now.mono, &mut self.timers, || self.clock.new_estimator());
        }
        self.server.forget_smear();
        self.clock.repeat_frequency(&mut self.outbox);
        self.system.doubt(now.mono, error);
        self.report_status(now);
    }
}
