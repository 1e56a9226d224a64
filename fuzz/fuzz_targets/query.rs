//! All that a server sends to rsntpq.
#![no_main]

#[path = "../../tests/fuzz/query.rs"]
mod oracle;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| oracle::hold(data));
