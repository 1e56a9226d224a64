//! PPS (type 22): a pulse at the beginning of each second, which the kernel stamps.

use super::driver::{Behaviour, Turn};
use super::error::OpenError;
use super::pulse::{self, PulseDevice};
use crate::engine::contract::{ClockDevice, DeviceReport, Trouble};
use crate::engine::report::event::Level;
use crate::units::UnixTime;

/// A device of pulses.
#[derive(Debug)]
pub(super) struct Pps {
    pulses: PulseDevice,
    /// A line for the log, until it is logged.
    notice: Option<String>,
}

impl Pps {
    pub(super) fn open(device: &ClockDevice) -> Result<Self, OpenError> {
        let path = device.path().ok_or(OpenError::NoPath)?;
        let pulses = PulseDevice::open(&path, pulse::edge(device))?;
        let notice = device.fudge.flags[2].then(|| {
            let unit = device.unit;
            format!("PPS({unit}): flag3 has no effect: the daemon disciplines the clock by the pulses, not the kernel")
        });
        Ok(Self { pulses, notice })
    }

    fn read(&mut self) -> DeviceReport {
        match self.pulses.take() {
            Ok(Some(at)) => reading(at),
            Ok(None) => DeviceReport::Trouble { trouble: Trouble::NoReply, text: String::new() },
            Err(why) => {
                DeviceReport::Failed(OpenError::Device(self.pulses.path().to_owned(), why).to_string())
            }
        }
    }
}

fn reading(at: UnixTime) -> DeviceReport {
    pulse::reading(at, format!("{:.9}", at.to_nearest_second().get()))
}

impl Behaviour for Pps {
    fn begin(&mut self, turn: &mut Turn<'_>) {
        if let Some(notice) = self.notice.take() {
            turn.notice(Level::Warning, notice);
        }
    }

    fn wants_ticks(&self) -> bool {
        true
    }

    fn tick(&mut self, turn: &mut Turn<'_>) {
        let report = self.read();
        turn.report(report);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::contract::Reads;

    #[test]
    fn a_pulse_says_how_far_the_second_is() {
        let read = |nanos: u32| match reading(UnixTime::new(1_795_850_392, nanos).unwrap()) {
            DeviceReport::Reading(reading) => (reading.reads, reading.offset.get(), reading.text),
            other => panic!("{other:?}"),
        };
        // The clock is 2.5 ms fast: the pulse came late by it.
        assert_eq!(read(2_500_000), (Reads::Pulse, -0.0025, "-0.002500000".to_owned()));
        assert_eq!(read(999_999_999).2, "0.000000001");
    }
}
