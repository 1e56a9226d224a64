//! What reference clocks send: bytes to values, or the reason why not. No devices, no state of the daemon.

pub mod gpsd;
pub mod nmea;
pub mod phc;
pub mod shm;
pub mod sock;
