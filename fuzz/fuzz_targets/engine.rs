//! The whole engine: datagrams of anyone, time that jumps, names, keys, devices, reloads.
#![no_main]

#[path = "../../tests/fuzz/engine/mod.rs"]
mod oracle;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| oracle::hold(data));
