//! Devices of reference clocks: what a receiver sends in each second, by a law of its own.

use super::chance::Dice;
use rsntpd::engine::contract::Trouble;
use rsntpd::units::{AssocId, Driver, Leap};

/// What a device does.
#[derive(Clone, Debug)]
pub enum Says {
    /// The time: that of the second in which it says so, and `error` seconds more.
    Time { error: f64, precision: Option<i8>, bound: Option<f64>, leap: Leap },
    /// A pulse.
    Pulse,
    /// Something that cannot be used.
    Trouble(Trouble),
    /// It is unplugged: it says nothing until it is opened again.
    Gone,
}

impl Says {
    /// The right time.
    pub const fn time() -> Self {
        Self::Time { error: 0.0, precision: None, bound: None, leap: Leap::None }
    }

    /// The time, with this precision claimed.
    pub const fn precise(precision: i8) -> Self {
        Self::Time { error: 0.0, precision: Some(precision), bound: None, leap: Leap::None }
    }
}

/// What it does in a second of true time, and how long after its beginning.
pub type Law = Box<dyn FnMut(f64, &mut Dice) -> Vec<(f64, Says)>>;

/// The device of a reference clock of a host.
pub struct Device {
    pub host: usize,
    pub driver: Driver,
    pub unit: u8,
    pub law: Law,
    /// Whether it is there, by true time.
    pub present: Box<dyn Fn(f64) -> bool>,
    pub dice: Dice,
    /// The association that has opened it.
    pub opened_by: Option<AssocId>,
}

impl Device {
    pub fn new(driver: Driver, dice: Dice, law: Law) -> Self {
        Self { host: 0, driver, unit: 0, law, present: Box::new(|_| true), dice, opened_by: None }
    }

    /// A pulse each second, with Gaussian jitter.
    pub fn pulses(driver: Driver, jitter: f64, dice: Dice) -> Self {
        Self::new(driver, dice, Box::new(move |_, dice| vec![(jitter * dice.normal(), Says::Pulse)]))
    }
}

/// What is about to happen at a device.
pub struct Due {
    pub at: f64,
    pub device: usize,
    /// The second that it is about.
    pub second: f64,
    pub says: Says,
}
