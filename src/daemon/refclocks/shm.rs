//! SHM (type 28): a segment of shared memory that another program writes time into.

use super::driver::Behaviour;
use super::error::OpenError;
use crate::engine::contract::ClockDevice;
use crate::sys::shm::{Make, Segment};

/// The key of unit 0: `NTP0`.
const KEY: i32 = 0x4e54_5030;
/// Units whose segments only root may write.
const PRIVATE_UNITS: u8 = 2;
/// `mode`: a segment that is made here is for its owner only, whatever its unit.
const PRIVATE: u32 = 1;
/// Bytes of a segment that is made here.
const LENGTH: usize = 96;

/// A segment of shared memory.
#[derive(Debug)]
pub(super) struct Shm {
    _segment: Segment,
}

impl Shm {
    pub(super) fn open(device: &ClockDevice) -> Result<Self, OpenError> {
        let unit = device.unit;
        let private = unit < PRIVATE_UNITS || device.device.mode & PRIVATE != 0;
        let make = Make { length: LENGTH, mode: if private { 0o600 } else { 0o666 } };
        let attached = Segment::attach(KEY + i32::from(unit), make);
        let segment = attached.map_err(|why| OpenError::Segment(unit, why))?;
        Ok(Self { _segment: segment })
    }
}

impl Behaviour for Shm {}
