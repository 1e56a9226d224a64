//! PHC: a PTP hardware clock, of a network card or of the machine around a virtual one.
//!
//! A read takes microseconds, or as long as the device likes. So a thread of its own reads; like those of the resolver it starts after
//! the daemon has given up root. A byte in a pipe reports each reading to the event loop.

use super::driver::{Behaviour, Drained, Turn};
use super::error::OpenError;
use crate::engine::contract::{ClockDevice, DeviceReport, Reading, Reads, Trouble};
use crate::engine::report::event::Level;
use crate::sys::device::errno_of;
use crate::sys::ptp::{self, Method, PtpClock};
use crate::sys::signals;
use crate::units::Bracket;
use crate::wire::refclock::phc;
use mio::Interest;
use mio::unix::pipe;
use nix::errno::Errno;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// Reading takes so many ticks before the device counts as lost for now.
const PATIENCE: u32 = 2;

/// A hardware clock.
#[derive(Debug)]
pub(super) struct Phc {
    path: PathBuf,
    /// Until the thread has it.
    clock: Option<PtpClock>,
    thread: Option<Reader>,
    /// Ticks since the reading was wanted that is still to come.
    waited: Option<u32>,
    /// Why the last reading failed: the same reason is logged once.
    failed: Option<Errno>,
}

/// The thread that reads, as the event loop sees it.
#[derive(Debug)]
struct Reader {
    wants: Sender<()>,
    readings: Receiver<Result<Vec<Bracket>, Errno>>,
    wake: pipe::Receiver,
}

impl Phc {
    pub(super) fn open(device: &ClockDevice) -> Result<Self, OpenError> {
        let path = path(device)?;
        let best = if device.fudge.flags[1] { Method::Extended } else { Method::Precise };
        let clock = PtpClock::open(&path, best).map_err(|why| OpenError::Ptp(path.clone(), why))?;
        Ok(Self { path, clock: Some(clock), thread: None, waited: None, failed: None })
    }

    fn report(&mut self, result: &Result<Vec<Bracket>, Errno>, turn: &mut Turn<'_>) -> DeviceReport {
        let readings = match result {
            Ok(readings) => readings,
            Err(why @ (Errno::ENODEV | Errno::ENXIO)) => {
                return DeviceReport::Failed(OpenError::Device(self.path.clone(), *why).to_string());
            }
            Err(why) => {
                if self.failed != Some(*why) {
                    let text = format!("PHC {}: cannot be read: {}", self.path.display(), why.desc());
                    turn.notice(Level::Warning, text);
                }
                self.failed = Some(*why);
                return DeviceReport::Trouble { trouble: Trouble::Fault, text: String::new() };
            }
        };
        self.failed = None;
        let Some(measured) = phc::best(readings) else {
            return DeviceReport::Trouble { trouble: Trouble::BadTime, text: String::new() };
        };
        let (offset, error) = (measured.offset, measured.error);
        let text = format!("{:+.9} {:.9}", offset.get(), error.get() * 2.0);
        let reading = Reading::new(Reads::Time, measured.at.ntp(), offset, text);
        DeviceReport::Reading(Reading { error: Some(error), ..reading })
    }

    /// Wants another reading, if none is still to come.
    fn ask(&mut self) -> Option<Trouble> {
        match &mut self.waited {
            Some(ticks) if *ticks < PATIENCE => {
                *ticks += 1;
                None
            }
            Some(_) => Some(Trouble::NoReply),
            None => {
                let thread = self.thread.as_ref()?;
                if thread.wants.send(()).is_err() {
                    return Some(Trouble::Fault);
                }
                self.waited = Some(0);
                None
            }
        }
    }
}

/// The device: by its path, by the interface whose clock it is, or by what its driver calls it.
fn path(device: &ClockDevice) -> Result<PathBuf, OpenError> {
    let path = device.path().ok_or(OpenError::NoPath)?;
    if path.is_absolute() {
        return Ok(path);
    }
    let name = path.to_str().unwrap_or_default();
    let found = ptp::device_of_interface(name).or_else(|| ptp::device_of_name(name));
    found.ok_or_else(|| OpenError::NoClockOf(path.clone()))
}

impl Reader {
    fn start(mut clock: PtpClock) -> io::Result<Self> {
        let (waker, wake) = pipe::new()?;
        let (wants, wanted) = channel();
        let (sender, readings) = channel();
        let work = move || read_for(&wanted, &mut clock, &sender, &waker);
        thread::Builder::new().name("phc".to_owned()).spawn(work)?;
        Ok(Self { wants, readings, wake })
    }
}

fn read_for(
    wanted: &Receiver<()>,
    clock: &mut PtpClock,
    readings: &Sender<Result<Vec<Bracket>, Errno>>,
    mut waker: &pipe::Sender,
) {
    signals::leave_to_the_loop();
    // It ends when the clock is closed.
    while wanted.recv().is_ok() {
        if readings.send(clock.read()).is_err() {
            return;
        }
        // A pipe that is full wakes the loop as well.
        let _full = waker.write(&[0]);
    }
}

impl Behaviour for Phc {
    fn begin(&mut self, turn: &mut Turn<'_>) {
        let failed = |why: io::Error| OpenError::Watch(errno_of(&why)).to_string();
        if let Some(clock) = self.clock.take() {
            match Reader::start(clock) {
                Ok(thread) => self.thread = Some(thread),
                Err(why) => turn.report(DeviceReport::Failed(failed(why))),
            }
        }
        if let Some(thread) = &self.thread
            && let Err(why) = turn.watch(thread.wake.as_raw_fd(), Interest::READABLE)
        {
            turn.report(DeviceReport::Failed(failed(why)));
        }
    }

    fn ready(&mut self, turn: &mut Turn<'_>) -> Drained {
        let Some(thread) = &mut self.thread else { return Drained::All };
        // A byte for each reading, of which there is one at a time.
        while thread.wake.read(&mut [0; 8]).is_ok_and(|read| read > 0) {}
        let results: Vec<_> = thread.readings.try_iter().collect();
        for result in results {
            self.waited = None;
            let report = self.report(&result, turn);
            turn.report(report);
        }
        Drained::All
    }

    fn wants_ticks(&self) -> bool {
        true
    }

    fn tick(&mut self, turn: &mut Turn<'_>) {
        if let Some(trouble) = self.ask() {
            turn.report(DeviceReport::Trouble { trouble, text: String::new() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::{Device, Fudge};
    use crate::units::Driver;

    #[test]
    fn a_clock_is_named_by_its_device_its_interface_or_its_driver() {
        let named = |name: Option<&str>| {
            let device = Device { path: name.map(PathBuf::from), ..Device::default() };
            path(&ClockDevice { driver: Driver::Phc, unit: 3, device, fudge: Fudge::default() })
        };
        assert_eq!(named(None), Ok(PathBuf::from("/dev/ptp3")));
        assert_eq!(named(Some("/dev/ptp_hyperv")), Ok(PathBuf::from("/dev/ptp_hyperv")));
        let why = named(Some("no-such")).unwrap_err().to_string();
        assert_eq!(
            why,
            "PHC no-such: no network interface with a PTP clock, and no PTP clock, has this name"
        );
    }
}
