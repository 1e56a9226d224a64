//! The `nts` command, and what `nts` adds to a server line.

use super::{Page, plain, token};
use crate::config::model::{Nts, NtsLine, Target};
use crate::units::Aead;
use std::os::unix::ffi::OsStrExt as _;

/// Names with colons between them.
pub(in crate::config) fn aeads(aeads: &[Aead]) -> String {
    aeads.iter().map(|aead| aead.name()).collect::<Vec<_>>().join(":")
}

/// A server's name or address, with the port of its key exchange.
pub(super) fn with_port(target: &Target, port: u16) -> Vec<u8> {
    let host = match target {
        Target::Address(address) => address.to_string(),
        Target::Name(name) => name.clone(),
        Target::LocalClock { .. } | Target::RefClock { .. } => String::new(),
    };
    let brackets = host.contains(':');
    token(if brackets { format!("[{host}]:{port}") } else { format!("{host}:{port}") }.as_bytes())
}

/// `nts` and the options that belong to it.
pub(super) fn options(nts: &NtsLine) -> Vec<u8> {
    let mut options = b"nts".to_vec();
    if nts.noval {
        options.extend(b" noval");
    }
    if let Some(ca) = &nts.ca {
        options.extend([b" ca ", plain(ca.as_os_str().as_bytes()).as_slice()].concat());
    }
    if !nts.aeads.is_empty() {
        options.extend(format!(" aead {}", aeads(&nts.aeads)).into_bytes());
    }
    options
}

impl Page {
    /// One setting a line.
    pub(super) fn nts(&mut self, nts: &Nts) {
        let default = Nts::default();
        if nts.serves {
            self.say("nts enable");
        }
        for (name, path) in [
            ("cert", &nts.certificate),
            ("key", &nts.key),
            ("ca", &nts.ca),
            ("cookie", &nts.cookie_keys),
            ("dump", &nts.dump),
        ] {
            if let Some(path) = path {
                self.line(&[b"nts", name.as_bytes(), &plain(path.as_os_str().as_bytes())]);
            }
        }
        if let Some(port) = nts.port {
            self.say(&format!("nts port {port}"));
        }
        if !nts.aeads.is_empty() {
            self.say(&format!("nts aead {}", aeads(&nts.aeads)));
        }
        for (name, value, default) in [
            ("time-check", nts.time_check, default.time_check),
            ("connections", nts.connections, default.connections),
            ("processes", nts.processes, default.processes),
        ] {
            if value != default {
                self.say(&format!("nts {name} {value}"));
            }
        }
    }
}
