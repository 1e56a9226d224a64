//! The drivers: what each does with its device, in a file of its own. A new one is a file that answers [`Behaviour`], a variant of
//! [`Device`], and a line in [`open`].

use super::error::OpenError;
use super::gpsd::Gpsd;
use super::nmea::Nmea;
use super::phc::Phc;
use super::pps::Pps;
use super::shm::Shm;
use super::sock::Sock;
use crate::engine::contract::{ClockDevice, DeviceReport};
use crate::engine::report::event::Level;
use crate::units::Driver;
use enum_dispatch::enum_dispatch;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use std::io;
use std::os::fd::RawFd;

/// An open device, by its driver.
#[enum_dispatch]
#[derive(Debug)]
pub(super) enum Device {
    /// Type 20.
    Nmea,
    /// Type 22.
    Pps,
    /// Type 28.
    Shm,
    /// Type 46.
    Gpsd,
    Phc,
    Sock,
}

/// Opens a device. Nothing is sent or started yet: that is [`Behaviour::begin`]'s. `own` is the user that the daemon runs as, or
/// will run as.
///
/// # Errors
/// Why it cannot be opened.
pub(super) fn open(device: &ClockDevice, own: u32) -> Result<Device, OpenError> {
    match device.driver {
        Driver::Nmea => Nmea::open(device).map(Device::from),
        Driver::Shm => Shm::open(device, own).map(Device::from),
        Driver::Pps => Pps::open(device).map(Device::from),
        Driver::GpsdJson => Gpsd::open(device).map(Device::from),
        Driver::Phc => Phc::open(device).map(Device::from),
        Driver::Sock => Sock::open(device).map(Device::from),
        Driver::Local => Err(OpenError::NoDriver(Driver::Local)),
    }
}

/// Whether a driver has taken all there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Drained {
    /// All: the next event is that of new data.
    All,
    /// There may be more: it is called again once others had their turn.
    More,
}

/// What a driver is called with.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    /// What it reports, in order; after a [`DeviceReport::Failed`] it is closed.
    pub(super) reports: &'a mut Vec<DeviceReport>,
    /// Lines for the log.
    pub(super) notices: &'a mut Vec<(Level, String)>,
    pub(super) registry: &'a Registry,
    pub(super) token: Token,
}

impl Turn<'_> {
    pub(super) fn report(&mut self, report: DeviceReport) {
        self.reports.push(report);
    }

    pub(super) fn notice(&mut self, level: Level, text: String) {
        self.notices.push((level, text));
    }

    /// Has [`Behaviour::ready`] called when this descriptor is ready, by edges. Called again, it changes what is waited for; a
    /// descriptor that is closed needs nothing.
    ///
    /// # Errors
    /// Of epoll, which does not take every kind of file.
    pub(super) fn watch(&self, fd: RawFd, interest: Interest) -> io::Result<()> {
        let mut source = SourceFd(&fd);
        match self.registry.register(&mut source, self.token, interest) {
            Err(why) if why.kind() == io::ErrorKind::AlreadyExists => {
                self.registry.reregister(&mut source, self.token, interest)
            }
            result => result,
        }
    }
}

/// What each driver answers. Where most say the same, that stands here.
#[enum_dispatch(Device)]
pub(super) trait Behaviour {
    /// An association takes the device, once or again: what it has to be watched is watched. The daemon has given up root by then.
    fn begin(&mut self, _turn: &mut Turn<'_>) {}

    /// A descriptor of it is ready: takes what is there, until there is nothing, but not for long.
    fn ready(&mut self, _turn: &mut Turn<'_>) -> Drained {
        Drained::All
    }

    /// Whether [`Behaviour::tick`] is to be called.
    fn wants_ticks(&self) -> bool {
        false
    }

    /// A tenth of a second after each second of the wall clock.
    fn tick(&mut self, _turn: &mut Turn<'_>) {}
}
