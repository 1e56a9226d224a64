//! Mode 6: a conversation of control packets with an engine that has associations, clients and a control key.
#![no_main]

#[path = "../../tests/fuzz/control.rs"]
mod oracle;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| oracle::hold(data));
