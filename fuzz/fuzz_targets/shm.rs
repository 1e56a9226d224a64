//! A segment of shared memory, as another program may have left it.
#![no_main]

#[path = "../../tests/clocks/oracle.rs"]
#[allow(dead_code)] // the others have targets of their own
mod oracle;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| oracle::shm(data));
