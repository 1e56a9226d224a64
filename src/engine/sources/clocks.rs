//! A source as a clock of this machine: what only reference clocks are asked.

use super::kind::Kind;
use super::reference::{Reader, Reference, Sample};
use super::source::Source;
use crate::engine::contract::Reading;
use crate::engine::estimator::{Estimator, Measurement};
use crate::units::Driver;

impl Source {
    /// The driver, if it is a clock of this machine.
    #[must_use]
    pub const fn clock_driver(&self) -> Option<Driver> {
        match &self.kind {
            Kind::Local(_) => Some(Driver::Local),
            Kind::Reference(clock) => Some(clock.driver()),
            _ => None,
        }
    }

    /// A reading of a reference clock; gives the sample, if it is one.
    pub fn read(&mut self, reading: Reading, by: &Reader) -> Option<Sample> {
        if let Kind::Reference(clock) = &mut self.kind {
            clock.read(&mut self.common, reading, by)
        } else {
            None
        }
    }

    /// Takes a sample of a reference clock into the estimator, as it would be if our clock ran free. What was estimated from samples of
    /// another kind gives way to `anew`.
    pub fn take_sample(&mut self, free: &Measurement, anew: Option<Estimator>) {
        if let Some(estimator) = anew {
            self.common.estimator = estimator;
        }
        self.common.estimator.take(free);
    }

    /// A reference clock.
    #[must_use]
    pub const fn as_reference(&self) -> Option<&Reference> {
        if let Kind::Reference(clock) = &self.kind { Some(clock) } else { None }
    }

    /// The same, to change it.
    pub const fn as_reference_mut(&mut self) -> Option<&mut Reference> {
        if let Kind::Reference(clock) = &mut self.kind { Some(clock) } else { None }
    }

    /// A reference clock whose samples are pulses now.
    #[must_use]
    pub fn gives_pulses(&self) -> bool {
        self.as_reference().is_some_and(Reference::gives_pulses)
    }

    /// A reference clock whose device is not there.
    #[must_use]
    pub const fn lacks_device(&self) -> bool {
        if let Kind::Reference(clock) = &self.kind { clock.has_failed() } else { false }
    }
}
