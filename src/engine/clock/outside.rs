//! The wall clock was set by another process, or the machine was suspended: earlier measurements no longer hold, and clients must
//! know before the sources have been polled again.

use crate::engine::Engine;
use crate::engine::contract::{ClockCommand, Now, Output};
use crate::engine::report::event::Event;
use crate::units::{Leap, Seconds};

/// Less is no step, seconds: two clocks cannot be read at the same instant.
const LEAST: f64 = 1e-3;
/// A leap second moves the clock by one second, give or take what it takes to notice.
const LEAP_SECOND: f64 = 0.1;
/// How long after it a majority of the sources is waited for, seconds.
pub(in crate::engine) const PATIENCE: Seconds = Seconds::new(30.0);

impl Engine {
    /// The wall clock moved by `by`, and not by a command of ours.
    pub(in crate::engine) fn clock_set(&mut self, now: Now, by: Seconds) {
        if by.get().abs() < LEAST || self.is_leap_second(by) {
            return;
        }
        // Requests under way carry time stamps of the clock before.
        self.epoch = self.epoch.wrapping_add(1);
        self.discipline.clock_set(now, by);
        for association in self.associations.iter_mut().filter(|a| !a.is_local_clock()) {
            association.filter.clear();
            if !association.estimator.clock_set() {
                association.estimator = self.discipline.new_estimator();
            }
            association.poll_anew(now.mono);
        }
        self.event(Event::ClockSetOutside(by));
        if self.discipline.steers() {
            // Who sets the clock may have set its frequency, too.
            self.outputs.push_back(Output::Clock(ClockCommand::Frequency(self.discipline.frequency())));
        }
        self.system.doubt(now.mono, by.abs());
        self.tell_kernel(now);
    }

    /// Whether that was the leap second that is armed in the kernel.
    fn is_leap_second(&mut self, by: Seconds) -> bool {
        let expected = match self.kernel_leap {
            Leap::Insert => -1.0,
            Leap::Delete => 1.0,
            Leap::None | Leap::Unsynchronised => return false,
        };
        let leapt = (by.get() - expected).abs() < LEAP_SECOND;
        if leapt {
            self.kernel_leap = Leap::None;
        }
        leapt
    }
}
