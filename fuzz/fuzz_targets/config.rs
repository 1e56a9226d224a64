//! ntp.conf: whatever stands in a file, every finding can be shown, and what is printed of the
//! configuration reads as the same.
#![no_main]

#[path = "../../tests/config/oracle.rs"]
mod oracle;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| oracle::hold(data));
