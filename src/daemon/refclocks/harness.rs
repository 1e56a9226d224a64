//! What drivers are tested with: a loop of their own.

use super::driver::{Behaviour, Drained, Turn};
use crate::config::model::{Kind, Server, Target};
use crate::engine::contract::{ClockDevice, DeviceReport};
use crate::engine::report::event::Level;
use crate::units::Driver;
use mio::{Events, Poll, Token};
use std::path::Path;
use std::time::Duration;

/// How long something that must happen is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// The device of a line with this `path`.
pub(super) fn device(driver: Driver, unit: u8, path: &Path) -> ClockDevice {
    let server = Server::new(Kind::Server, Target::RefClock { kind: driver.number(), unit });
    let mut device = ClockDevice::of(&server).unwrap();
    device.device.path = Some(path.to_owned());
    device
}

/// The loop, and what came of it.
#[derive(Debug)]
pub(super) struct Harness {
    poll: Poll,
    events: Events,
    pub(super) reports: Vec<DeviceReport>,
    pub(super) notices: Vec<(Level, String)>,
}

impl Harness {
    pub(super) fn new() -> Self {
        let (poll, events) = (Poll::new().unwrap(), Events::with_capacity(16));
        Self { poll, events, reports: Vec::new(), notices: Vec::new() }
    }

    /// Calls a driver once.
    pub(super) fn call(&mut self, call: impl FnOnce(&mut Turn<'_>)) {
        let registry = self.poll.registry();
        call(&mut Turn { reports: &mut self.reports, notices: &mut self.notices, registry, token: Token(7) });
    }

    /// Lets a driver read until there are so many reports, and gives them.
    pub(super) fn reports(&mut self, driver: &mut impl Behaviour, wanted: usize) -> Vec<DeviceReport> {
        while self.reports.len() < wanted {
            self.poll.poll(&mut self.events, Some(PATIENCE)).unwrap();
            assert!(!self.events.is_empty(), "{:?}", self.reports);
            self.ready(driver);
        }
        std::mem::take(&mut self.reports)
    }

    /// Lets a driver read what is there, until something happens.
    pub(super) fn until(&mut self, driver: &mut impl Behaviour, mut done: impl FnMut() -> bool) {
        while !done() {
            self.poll.poll(&mut self.events, Some(Duration::from_millis(5))).unwrap();
            self.ready(driver);
        }
    }

    pub(super) fn ready(&mut self, driver: &mut impl Behaviour) {
        let mut drained = Drained::More;
        while drained == Drained::More {
            self.call(|turn| drained = driver.ready(turn));
        }
    }

    pub(super) fn log(&self) -> Vec<&str> {
        self.notices.iter().map(|(_, line)| line.as_str()).collect()
    }
}
