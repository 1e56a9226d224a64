//! Reference clocks: opens their devices, and hands what they say to the engine. Nothing is judged here.
//!
//! Devices are opened by the configuration before root is given up, and wait for the association that the engine makes of the same
//! line. One that an association gives up waits for a moment, too: after a reload another one may want the same, and what root had
//! opened could not be opened again.

mod driver;
mod error;
mod gpsd;
mod lines;
mod nmea;
mod phc;
mod pps;
mod pulse;
mod shm;
mod sock;
mod stream;

use self::driver::{Behaviour as _, Device, Drained, Turn};
use self::error::OpenError;
use crate::config::model::Config;
use crate::engine::contract::{ClockDevice, DeviceReport};
use crate::engine::report::event::Level;
use crate::sys::clock;
use crate::units::{AssocId, MonoTime, Seconds};
use mio::{Registry, Token};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// First token of a device in the event loop: those below are the sockets'.
const FIRST_TOKEN: usize = 1 << (usize::BITS - 1);
/// When a tick is due, after the second of the wall clock: pulses are stamped, and what is sent once a second has been sent.
const TICK: Seconds = Seconds::new(0.1);

/// The devices of reference clocks.
#[derive(Debug, Default)]
pub struct RefClocks {
    /// Where devices are watched; none before the event loop is built, and in workers.
    registry: Option<Rc<Registry>>,
    open: BTreeMap<AssocId, Open>,
    /// Opened, or not, for associations that are still to be made.
    waiting: Vec<(ClockDevice, Result<Device, OpenError>)>,
    /// Those that may have more to read.
    unread: Vec<AssocId>,
    reports: VecDeque<(AssocId, DeviceReport)>,
    notices: Vec<(Level, String)>,
    next_tick: Option<MonoTime>,
    /// The user that the daemon runs as, or will run as.
    own: u32,
}

#[derive(Debug)]
struct Open {
    what: ClockDevice,
    device: Device,
}

/// What a device is called for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Call {
    Begin,
    Ready,
    Tick,
}

impl RefClocks {
    /// Opens the devices of a configuration. `own` is the user that the daemon is going to run as.
    #[must_use]
    pub fn open_all(config: &Config, own: u32) -> Self {
        let wanted = config.servers.iter().filter_map(ClockDevice::of);
        let waiting = wanted.map(|what| {
            let device = driver::open(&what, own);
            (what, device)
        });
        Self { waiting: waiting.collect(), own, ..Self::default() }
    }

    /// Watches the devices from now on.
    pub fn watch(&mut self, registry: Rc<Registry>) {
        self.registry = Some(registry);
        self.plan_tick();
    }

    /// Opens the device of an association, again if it is open; what became of it is reported.
    pub fn open(&mut self, id: AssocId, what: ClockDevice) {
        self.close(id);
        // The last one is the one that was given up last.
        let waits = self.waiting.iter().rposition(|(other, _)| same(other, &what));
        let result = if let Some(at) = waits {
            self.waiting.remove(at).1
        } else {
            // Its old self is not to be in the way.
            self.waiting.retain(|(other, _)| (other.driver, other.unit) != (what.driver, what.unit));
            driver::open(&what, self.own)
        };
        match result {
            Ok(device) => {
                self.report(id, DeviceReport::Opened);
                self.open.insert(id, Open { what, device });
                self.call(id, Call::Begin);
                self.plan_tick();
            }
            Err(why) => self.report(id, DeviceReport::Failed(why.to_string())),
        }
    }

    /// Closes the device of an association, unless another one wants it before the next tick.
    pub fn close(&mut self, id: AssocId) {
        self.unread.retain(|other| *other != id);
        if let Some(Open { what, device }) = self.open.remove(&id) {
            self.waiting.push((what, Ok(device)));
            self.plan_tick();
        }
    }

    /// Whether the token is one of a device, which is then read.
    pub fn ready(&mut self, token: Token) -> bool {
        let Some(number) = token.0.checked_sub(FIRST_TOKEN) else { return false };
        if let Ok(number) = u16::try_from(number) {
            self.call(AssocId(number), Call::Ready);
        }
        true
    }

    /// When [`RefClocks::work`] is to be called.
    #[must_use]
    pub fn next_deadline(&self) -> Option<MonoTime> {
        if self.unread.is_empty() { self.next_tick } else { Some(MonoTime::ZERO) }
    }

    /// Reads on where something was left, and does what is due each second.
    pub fn work(&mut self, now: MonoTime) {
        for id in std::mem::take(&mut self.unread) {
            self.call(id, Call::Ready);
        }
        if self.next_tick.is_some_and(|due| due <= now) {
            self.next_tick = None;
            self.waiting.clear();
            let ids: Vec<AssocId> = self.open.keys().copied().collect();
            for id in ids {
                self.call(id, Call::Tick);
            }
            self.plan_tick();
        }
    }

    /// The next report for the engine.
    pub fn next_report(&mut self) -> Option<(AssocId, DeviceReport)> {
        self.reports.pop_front()
    }

    /// Lines for the log since the last call.
    pub fn take_notices(&mut self) -> Vec<(Level, String)> {
        std::mem::take(&mut self.notices)
    }

    fn report(&mut self, id: AssocId, report: DeviceReport) {
        self.reports.push_back((id, report));
    }

    fn call(&mut self, id: AssocId, call: Call) {
        let (Some(registry), Some(open)) = (&self.registry, self.open.get_mut(&id)) else { return };
        let mut reports = Vec::new();
        let token = Token(FIRST_TOKEN + usize::from(id.0));
        let mut turn = Turn { reports: &mut reports, notices: &mut self.notices, registry, token };
        let mut drained = Drained::All;
        match call {
            Call::Begin => open.device.begin(&mut turn),
            Call::Ready => drained = open.device.ready(&mut turn),
            Call::Tick if open.device.wants_ticks() => open.device.tick(&mut turn),
            Call::Tick => {}
        }
        if drained == Drained::More && !self.unread.contains(&id) {
            self.unread.push(id);
        }
        let failed = reports.iter().any(|report| matches!(report, DeviceReport::Failed(_)));
        self.reports.extend(reports.into_iter().map(|report| (id, report)));
        if failed {
            // It is opened anew when the engine asks for it again.
            self.open.remove(&id);
            self.unread.retain(|other| *other != id);
        }
    }

    /// A tick comes only while a device wants one, or one waits to be closed.
    fn plan_tick(&mut self) {
        let wanted = !self.waiting.is_empty() || self.open.values().any(|open| open.device.wants_ticks());
        if wanted && self.next_tick.is_none() {
            let (_, nanos) = clock::unix();
            let past = Seconds::new(f64::from(nanos) * 1e-9);
            let next = if past < TICK { TICK } else { TICK + Seconds::new(1.0) };
            self.next_tick = Some(clock::mono() + (next - past));
        }
    }
}

/// Whether a device that was opened for the one line does for the other: the engine knows what `fudge` adds to readings.
fn same(a: &ClockDevice, b: &ClockDevice) -> bool {
    a.driver == b.driver && a.unit == b.unit && a.device == b.device && a.fudge.flags == b.fudge.flags
}

#[cfg(test)]
mod harness;
#[cfg(test)]
mod tests;
