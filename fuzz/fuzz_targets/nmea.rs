//! What a receiver sends over its serial line.
#![no_main]

#[path = "../../tests/clocks/oracle.rs"]
#[allow(dead_code)] // gpsd has a target of its own
mod oracle;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| oracle::nmea(data));
