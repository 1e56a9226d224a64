//! The certificate of our server with its private key: how they are read, and what clients and other users will make of them.

use super::certificate;
use super::tls;
use super::verify::date;
use crate::daemon::files;
use crate::engine::contract::Validity;
use crate::units::DAY;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};
use zeroize::Zeroizing;

/// A certificate that ends sooner is worth a warning: authorities renew theirs a month before.
const SOON: i64 = 21 * DAY;
/// Others may read the file.
const READABLE_BY_ALL: u32 = 0o004;

/// Which setting of `nts` names the file that something is wrong with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Setting {
    /// `cert`.
    Certificate,
    /// `key`.
    Key,
}

/// Why there is no certificate to show.
#[derive(Debug)]
pub enum BadCredentials {
    /// The certificate cannot be read.
    NoChain(PathBuf, io::Error),
    /// There is no certificate in this file, or one that makes no sense.
    NoCertificate(PathBuf),
    /// The key cannot be read.
    NoKeyFile(PathBuf, io::Error),
    /// There is no private key in this file, or one that makes no sense.
    NoKey(PathBuf),
    /// The key is another certificate's.
    OtherKey {
        /// The file of the certificate.
        chain: PathBuf,
        /// That of the key.
        key: PathBuf,
    },
    /// TLS does not take them.
    Tls {
        /// The file of the certificate.
        chain: PathBuf,
        /// That of the key.
        key: PathBuf,
        /// Why.
        why: Error,
    },
}

impl BadCredentials {
    /// The setting to look at.
    #[must_use]
    pub const fn setting(&self) -> Setting {
        match self {
            Self::NoChain(..) | Self::NoCertificate(_) => Setting::Certificate,
            Self::NoKeyFile(..) | Self::NoKey(_) | Self::OtherKey { .. } | Self::Tls { .. } => Setting::Key,
        }
    }
}

impl fmt::Display for BadCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoChain(path, why) => write!(f, "certificate {}: {}", path.display(), files::words(why)),
            Self::NoCertificate(path) => write!(f, "{} has no certificate in PEM", path.display()),
            Self::NoKeyFile(path, why) => write!(f, "private key {}: {}", path.display(), files::words(why)),
            Self::NoKey(path) => {
                write!(f, "{} has no private key in PEM without a password", path.display())
            }
            Self::OtherKey { chain, key } => {
                write!(f, "{} is not the key of the certificate in {}", key.display(), chain.display())
            }
            Self::Tls { chain, key, why } => {
                write!(f, "{} and {} cannot be used: {why}", chain.display(), key.display())
            }
        }
    }
}

/// Reads a certificate with its chain, and its key.
///
/// # Errors
/// [`BadCredentials`].
pub fn read(chain: &Path, key: &Path) -> Result<CertifiedKey, BadCredentials> {
    let text = files::read(chain).map_err(|why| BadCredentials::NoChain(chain.to_owned(), why))?;
    let certificates: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_slice_iter(&text).collect();
    let certificates = certificates
        .ok()
        .filter(|all| !all.is_empty() && all.iter().all(|der| certificate::validity(der).is_some()))
        .ok_or_else(|| BadCredentials::NoCertificate(chain.to_owned()))?;
    let text =
        files::read(key).map(Zeroizing::new).map_err(|why| BadCredentials::NoKeyFile(key.to_owned(), why))?;
    let private = PrivateKeyDer::from_pem_slice(&text).map_err(|_| BadCredentials::NoKey(key.to_owned()))?;
    let (chain, key) = (chain.to_owned(), key.to_owned());
    CertifiedKey::from_der(certificates, private, &tls::provider()).map_err(|why| match why {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => BadCredentials::OtherKey { chain, key },
        why => BadCredentials::Tls { chain, key, why },
    })
}

/// Something that keeps clients from trusting the certificate, now or soon.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Doubt {
    /// What is so.
    pub message: String,
    /// What follows, and what to do.
    pub effect: String,
}

/// What clients make of the dates of a chain at this Unix time: the first thing that keeps them from trusting it.
#[must_use]
pub fn dates_of(chain: &Path, certified: &CertifiedKey, now: i64) -> Option<Doubt> {
    let mut valid = certified.cert.iter().filter_map(|der| certificate::validity(der));
    valid.find_map(|valid| dates(chain, valid, now))
}

/// Until when all certificates of a chain are valid, seconds since 1970.
#[must_use]
pub fn end_of(certified: &CertifiedKey) -> i64 {
    let valid = certified.cert.iter().filter_map(|der| certificate::validity(der));
    valid.map(|valid| valid.until).fold(i64::MAX, i64::min)
}

fn dates(path: &Path, valid: Validity, now: i64) -> Option<Doubt> {
    let path = path.display();
    let doubt = |message, effect: &str| Some(Doubt { message, effect: effect.to_owned() });
    if now > valid.until {
        let message = format!("the certificate in {path} expired on {}", date(valid.until));
        return doubt(message, "clients refuse it: renew it, and reload");
    }
    if now < valid.from {
        let (from, now) = (date(valid.from), date(now));
        let message = format!("the certificate in {path} is not valid before {from}, and it is {now}");
        return doubt(message, "clients refuse it until then, unless this clock is wrong");
    }
    if valid.until - now >= SOON {
        return None;
    }
    let days = (valid.until - now) / DAY;
    let message = format!("the certificate in {path} expires on {}, in {days} days", date(valid.until));
    doubt(message, "clients refuse it from then on: renew it; a new file is read by itself")
}

/// Whether other users of the machine can read the key.
#[must_use]
pub fn open_key(path: &Path) -> Option<Doubt> {
    let mode = fs::metadata(path).ok()?.mode();
    let path = path.display();
    (mode & READABLE_BY_ALL != 0).then(|| Doubt {
        message: format!("all users of this machine can read the private key in {path}"),
        effect: format!("any of them can pose as this server: chmod 640 {path}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_compared_with_the_clock() {
        let reported = |now| {
            let valid = Validity { from: 1_000 * DAY, until: 1_100 * DAY };
            dates(Path::new("/cert"), valid, now).map(|found| found.message)
        };
        assert_eq!(reported(1_001 * DAY), None);
        assert_eq!(reported(1_079 * DAY), None);
        let soon = "the certificate in /cert expires on 1973-01-05 00:00:00 UTC, in 20 days";
        assert_eq!(reported(1_079 * DAY + 1).as_deref(), Some(soon));
        assert_eq!(
            reported(1_100 * DAY + 1).as_deref(),
            Some("the certificate in /cert expired on 1973-01-05 00:00:00 UTC")
        );
        let early = "the certificate in /cert is not valid before 1972-09-27 00:00:00 UTC, and it is 1970-01-01 00:00:00 UTC";
        assert_eq!(reported(0).as_deref(), Some(early));
    }
}
