//! Small files: keys, drift, leap seconds, cookies and their keys, statistics.
#![no_main]

#[path = "../../tests/fuzz/files.rs"]
mod oracle;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| oracle::hold(data));
