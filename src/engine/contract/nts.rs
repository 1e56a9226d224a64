//! The key exchange of NTS: what the engine asks of the shell, and what that brings.

use crate::config::model::Family;
use crate::units::{Aead, Host};
use crate::wire::nts::Secret;
use std::net::IpAddr;
use std::path::PathBuf;

/// A key exchange to make.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyRequest {
    /// The name or address of the server, as its certificate has it.
    pub server: String,
    /// Its TCP port.
    pub port: u16,
    /// Which of its addresses are wanted.
    pub family: Family,
    /// A file or folder with the roots to trust; `None`: the system's.
    pub ca: Option<PathBuf>,
    /// What its certificate must show.
    pub check: CertificateCheck,
    /// The algorithms to offer, the most wanted first.
    pub aeads: Vec<Aead>,
    /// NTP servers that there are already: where the name has other addresses, these are asked first.
    pub avoid: Vec<IpAddr>,
    /// Where to look for them.
    pub from: CookieSource,
}

/// What a certificate must show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CertificateCheck {
    /// Names, signatures and dates.
    Whole,
    /// Names and signatures: the clock has not been set.
    NotDates,
    /// Nothing (`noval`).
    Nothing,
}

/// Where cookies may come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CookieSource {
    /// Those that an earlier process kept, if there are some; else from the server.
    DiskFirst,
    /// From the server.
    Server,
}

/// The keys of an association.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keys {
    /// For what the client sends.
    pub to_server: Secret,
    /// For what the server sends.
    pub to_client: Secret,
}

/// What a key exchange gave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Established {
    /// The algorithm.
    pub aead: Aead,
    /// The keys.
    pub keys: Keys,
    /// The keys of the other exporter context, where it is unknown which one the server takes: chronyd before 4.6.1 exports the
    /// keys of algorithm 30 as if it were 15.
    pub other_keys: Option<Keys>,
    /// The cookies, at most eight.
    pub cookies: Vec<Vec<u8>>,
    /// The NTP server.
    pub host: Host,
    /// Its UDP port.
    pub port: u16,
    /// From when to when the server's certificate and those above it are valid, seconds since 1970; `None` if that was not looked
    /// at.
    pub valid: Option<Validity>,
    /// When the keys were made, seconds since 1970 by the wall clock.
    pub made: i64,
    /// Where the cookies come from.
    pub origin: CookieOrigin,
}

/// From when to when certificates are valid, seconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Validity {
    /// Not before.
    pub from: i64,
    /// Not after.
    pub until: i64,
}

/// Where cookies come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CookieOrigin {
    /// From the server.
    Server,
    /// An earlier process kept them: the server may have forgotten its keys since.
    Disk,
}

/// Why there are no keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyFailure {
    /// What failed.
    pub class: FailureClass,
    /// In words.
    pub text: String,
}

/// What failed in a key exchange. What may pass soon is tried again soon.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum FailureClass {
    /// The name did not resolve.
    Name,
    /// No connection, or it ended early.
    Connection,
    /// TLS: certificates above all.
    Tls,
    /// The server's answer.
    Protocol,
}

/// Cookies to keep for the next process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    /// The name or address of the server of the key exchange.
    pub server: String,
    /// Its TCP port.
    pub port: u16,
    /// What is left; without cookies there is nothing to keep, and what was kept is removed.
    pub established: Established,
}
