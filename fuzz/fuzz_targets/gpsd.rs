//! What gpsd, or what listens at its port, sends.
#![no_main]

#[path = "../../tests/clocks/oracle.rs"]
#[allow(dead_code)] // NMEA has a target of its own
mod oracle;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| oracle::gpsd(data));
