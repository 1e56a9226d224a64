//! The answers of the server beside a plain model of them.
#![no_main]

#[path = "../../tests/fuzz/answer.rs"]
mod oracle;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| oracle::hold(data));
