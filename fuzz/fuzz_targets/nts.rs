//! Messages of the key exchange, and the extension fields of packets of NTS.
#![no_main]

#[path = "../../tests/nts/oracle.rs"]
mod oracle;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| oracle::nts(data));
