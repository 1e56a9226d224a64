//! The settings of the `nts` command.

use super::{Row, Since, Takes, row};

/// What becomes of everything that belongs to Autokey.
pub(super) const AUTOKEY: &str =
    "Autokey is not supported: it is broken by design and was never safe; use nts";
const TLS: &str = "the ciphers and curves of TLS 1.3 are fixed";

const fn setting(name: &'static str, takes: Takes, help: &'static str) -> Row {
    row(name, takes, help).since(Since::NtpSec)
}

pub(super) const NTS: &[Row] = &[
    setting(
        "enable",
        Takes::Nothing,
        "serve NTS: exchange keys with clients (TCP port 4460), seal their replies",
    )
    .marked()
    .sets(|config, _| config.nts.serves = true),
    setting("disable", Takes::Nothing, "do not serve NTS")
        .default("disable")
        .sets(|config, _| config.nts.serves = false),
    setting(
        "cert",
        Takes::Token("FILE"),
        "the server's certificate, PEM, with those between it and the root",
    )
    .default("none")
    .marked()
    .path(|config| &mut config.nts.certificate),
    setting("key", Takes::Token("FILE"), "the private key of the certificate, PEM")
        .default("none")
        .marked()
        .path(|config| &mut config.nts.key),
    setting("ca", Takes::Token("FILE | DIR"), "the certificates that clients trust, PEM; of DIR all files")
        .default("the system's")
        .marked()
        .path(|config| &mut config.nts.ca),
    setting("cookie", Takes::Token("FILE"), "where the server keeps the keys of its cookies")
        .default("/var/lib/ntp/nts-keys")
        .marked()
        .path(|config| &mut config.nts.cookie_keys),
    setting("port", Takes::Integer, "a second UDP port that answers, to which clients are sent")
        .only(1.0, 65_535.0)
        .default("none: 123")
        .sets(|config, port| config.nts.port = Some(port as u16)),
    setting("aead", Takes::Algorithms, "the algorithms, the most wanted first")
        .default("all for a server; a client offers AES_128_GCM_SIV:AES_SIV_CMAC_256")
        .sets_value(|config, value| config.nts.aeads = value.aeads().to_vec()),
    setting("dump", Takes::Token("DIR"), "where a client keeps its cookies while the daemon does not run")
        .default("none")
        .since(Since::Ours)
        .marked()
        .path(|config| &mut config.nts.dump),
    setting("time-check", Takes::Integer, "updates of the clock until the dates of certificates count")
        .held(0.0, 1e9)
        .default("0: they always do")
        .since(Since::Ours)
        .sets(|config, updates| config.nts.time_check = updates as u32),
    setting("connections", Takes::Integer, "key exchanges that the server has open at a time")
        .held(1.0, 10_000.0)
        .default("100")
        .since(Since::Ours)
        .sets(|config, connections| config.nts.connections = connections as u32),
    setting("processes", Takes::Integer, "processes for key exchange; 0: clients get their keys elsewhere")
        .held(0.0, 1.0)
        .default("1")
        .since(Since::Ours)
        .sets(|config, processes| config.nts.processes = processes as u32),
    setting("mintls", Takes::Token("VERSION"), "the lowest version of TLS")
        .default("TLS1.3")
        .idle("TLS 1.3 is the only version"),
    setting("maxtls", Takes::Token("VERSION"), "the highest version of TLS")
        .default("TLS1.3")
        .missing("TLS 1.3 is used all the same: it is the only version"),
    setting("tlsciphers", Takes::Token("LIST"), "ciphers of TLS 1.2").idle("TLS 1.3 is the only version"),
    setting("tlsciphersuites", Takes::Token("LIST"), "ciphers of TLS 1.3").idle(TLS),
    setting("tlsecdhcurves", Takes::Token("LIST"), "curves for the keys of TLS").idle(TLS),
    setting("tlscipherserverpreference", Takes::Boolean, "whether the server chooses the cipher").idle(TLS),
];
