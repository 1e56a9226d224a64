//! Network Time Security: what a `server … nts` line and the `nts` command ask for.

use crate::units::Aead;
use std::path::PathBuf;

/// Algorithms that a client offers without an `aead` option: the shorter packets first.
pub const OFFERED: [Aead; 2] = [Aead::Aes128GcmSiv, Aead::AesSivCmac256];
/// Key exchanges that the server has open at a time, without `nts connections`.
const CONNECTIONS: u32 = 100;

/// `nts` on a `server` or `pool` line, with the options that belong to it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NtsLine {
    /// The port of the key exchange; `None`: 4460.
    pub port: Option<u16>,
    /// `noval`: any certificate will do.
    pub noval: bool,
    /// `ca`: a file or folder with the roots to trust, instead of that of the `nts` command or the system.
    pub ca: Option<PathBuf>,
    /// `aead`: the algorithms to offer, the most wanted first; empty: those of the `nts` command.
    pub aeads: Vec<Aead>,
}

/// The `nts` command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Nts {
    /// `enable`: exchange keys with clients, and answer their packets.
    pub serves: bool,
    /// `cert`: the certificate with its chain, PEM.
    pub certificate: Option<PathBuf>,
    /// `key`: its private key, PEM.
    pub key: Option<PathBuf>,
    /// `ca`: a file or folder with the roots to trust; `None`: the system's.
    pub ca: Option<PathBuf>,
    /// `cookie`: where the keys of the cookies are kept; `None`: /var/lib/ntp/nts-keys.
    pub cookie_keys: Option<PathBuf>,
    /// `port`: the second UDP port that answers, to which clients are sent.
    pub port: Option<u16>,
    /// `aead`: the algorithms, the most wanted first; empty: all that there are.
    pub aeads: Vec<Aead>,
    /// `dump`: the folder where a client keeps its cookies while the daemon does not run.
    pub dump: Option<PathBuf>,
    /// `time-check`: how many times the clock must have been set before dates of certificates count; 0: they always do.
    pub time_check: u32,
    /// `connections`: key exchanges that the server has open at a time.
    pub connections: u32,
    /// `processes`: 0 makes no process for the server's key exchange, so that only time is served.
    pub processes: u32,
}

impl Default for Nts {
    fn default() -> Self {
        Self {
            serves: false,
            certificate: None,
            key: None,
            ca: None,
            cookie_keys: None,
            port: None,
            aeads: Vec::new(),
            dump: None,
            time_check: 0,
            connections: CONNECTIONS,
            processes: 1,
        }
    }
}

/// `tos auth`: what sources without authentication are good for beside authenticated ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuthSelection {
    /// `ignore`: it makes no difference.
    Ignore,
    /// `mixed`: where one source is authenticated, the others count only while they agree with it.
    Mixed,
    /// `prefer`: where an authenticated source can be selected, the others cannot.
    Prefer,
    /// `require`: only authenticated sources can be selected.
    Require,
}

impl AuthSelection {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Ignore, Self::Mixed, Self::Prefer, Self::Require];

    /// Its token in ntp.conf.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ignore => "ignore",
            Self::Mixed => "mixed",
            Self::Prefer => "prefer",
            Self::Require => "require",
        }
    }

    /// The one with this token.
    #[must_use]
    pub fn of_name(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name().as_bytes() == name)
    }
}
