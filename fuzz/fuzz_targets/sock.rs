//! A datagram that a program sends to the socket of a clock.
#![no_main]

#[path = "../../tests/clocks/oracle.rs"]
#[allow(dead_code)] // the others have targets of their own
mod oracle;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| oracle::sock(data));
