//! The certificate of our key exchange and its private key, read again when they change.

use crate::daemon::files;
use crate::daemon::log::Log;
use crate::daemon::nts::{certificate, tls};
use crate::engine::report::event::Level;
use crate::sys::clock;
use crate::units::date_stamp;
use crate::wire::nts::ALPN;
use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use std::{fmt, fs, io};
use zeroize::Zeroizing;

/// A certificate that ends sooner than this is warned of, seconds.
const SOON: i64 = 21 * 86_400;

/// Why there is no certificate to show.
#[derive(Debug)]
pub enum BadIdentity {
    /// This file cannot be read.
    Unreadable(PathBuf, io::Error),
    /// There is no certificate in this file, or one that makes no sense.
    NoCertificate(PathBuf),
    /// There is no private key in this file, or one that makes no sense.
    NoKey(PathBuf, pem::Error),
    /// TLS does not take them: the key may not be the certificate's.
    Tls(rustls::Error),
}

impl fmt::Display for BadIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, why) => write!(f, "{}: {}", path.display(), files::words(why)),
            Self::NoCertificate(path) => {
                write!(f, "{}: expected certificates in PEM, that of this server first", path.display())
            }
            Self::NoKey(path, why) => {
                write!(f, "{}: expected a private key in PEM without a password: {why}", path.display())
            }
            Self::Tls(rustls::Error::InconsistentKeys(_)) => {
                f.write_str("the key does not belong to the certificate")
            }
            Self::Tls(why) => write!(f, "{why}"),
        }
    }
}

/// What is shown to clients, and where it comes from.
#[derive(Debug)]
pub struct Identity {
    chain: PathBuf,
    key: PathBuf,
    config: Arc<ServerConfig>,
    written: [Option<Written>; 2],
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, BadIdentity> {
    files::read(path).map(Zeroizing::new).map_err(|why| BadIdentity::Unreadable(path.to_owned(), why))
}

fn chain_of(path: &Path) -> Result<Vec<CertificateDer<'static>>, BadIdentity> {
    let text = read(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(|| BadIdentity::NoCertificate(path.to_owned()))
}

/// What TLS needs to show this certificate with its key.
///
/// # Errors
/// [`BadIdentity`].
pub fn configure(chain: &Path, key: &Path) -> Result<ServerConfig, BadIdentity> {
    let certificates = chain_of(chain)?;
    let private =
        PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|why| BadIdentity::NoKey(key.to_owned(), why))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(tls::provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(BadIdentity::Tls)?
        .with_no_client_auth()
        .with_single_cert(certificates, private)
        .map_err(BadIdentity::Tls)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    // Each key exchange is one of its own: nothing is resumed.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

impl Identity {
    /// Reads the files.
    ///
    /// # Errors
    /// [`BadIdentity`].
    pub fn read(chain: PathBuf, key: PathBuf, log: &mut Log) -> Result<Self, BadIdentity> {
        let written = [&chain, &key].map(|path| written(path));
        let config = Arc::new(configure(&chain, &key)?);
        let this = Self { chain, key, config, written };
        this.warn(log);
        Ok(this)
    }

    /// Where the files are, from now on.
    pub fn move_to(&mut self, chain: &Path, key: &Path) {
        (self.chain, self.key) = (chain.to_owned(), key.to_owned());
    }

    /// For a new connection.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Reads the files again if others have their names or they were written since. What cannot be used changes nothing. Files that
    /// only root may read can be read at the start only: so nothing is read without need.
    pub fn reread(&mut self, log: &mut Log) {
        let written = [&self.chain, &self.key].map(|path| written(path));
        if written == self.written {
            return;
        }
        self.written = written;
        match configure(&self.chain, &self.key) {
            Ok(config) => {
                self.config = Arc::new(config);
                log.write(Level::Info, "NTS certificate read again");
                self.warn(log);
            }
            Err(why) => {
                log.write(Level::Error, &format!("NTS certificate: {why}; the one read before stays"));
            }
        }
    }

    /// Logs what clients or other users will make of it.
    fn warn(&self, log: &mut Log) {
        let path = self.chain.display();
        let chain = chain_of(&self.chain).unwrap_or_default();
        if let Some(valid) = chain.first().and_then(|first| certificate::validity(first)) {
            let (now, until) = (clock::unix().0, date_stamp(valid.until));
            if now > valid.until {
                log.write(Level::Warning, &format!("NTS certificate {path} has expired ({until})"));
            } else if now > valid.until - SOON {
                log.write(Level::Warning, &format!("NTS certificate {path} expires soon ({until})"));
            }
        }
        if fs::metadata(&self.key).is_ok_and(|found| found.permissions().mode() & 0o004 != 0) {
            let path = self.key.display();
            log.write(Level::Warning, &format!("NTS key {path} can be read by every user of this machine"));
        }
    }
}

/// Which file has a name, and when it was written.
type Written = (u64, SystemTime);

fn written(path: &Path) -> Option<Written> {
    let found = fs::metadata(path).ok()?;
    Some((found.ino(), found.modified().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::files::scratch;

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/nts").join(name)
    }

    fn why(chain: &str, key: &str) -> String {
        configure(&fixture(chain), &fixture(key)).unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_be_shown_is_named() {
        assert!(configure(&fixture("rsa.pem"), &fixture("rsa-key.pem")).is_ok());
        assert_eq!(why("server.pem", "stolen-key.pem"), "the key does not belong to the certificate");
        assert!(why("none.pem", "key.pem").ends_with("none.pem: No such file or directory"));
        assert!(why("key.pem", "key.pem").contains("key.pem: expected certificates in PEM"));
        assert!(why("server.pem", "server.pem").contains("server.pem: expected a private key in PEM"));
    }

    #[test]
    fn a_new_certificate_is_taken_and_a_bad_one_is_not() {
        let dir = scratch("nts-identity");
        let (chain, key) = (dir.path().join("chain"), dir.path().join("key"));
        let put = |from: [&str; 2]| {
            for (from, to) in from.iter().zip([&chain, &key]) {
                fs::copy(fixture(from), to).unwrap();
            }
        };
        put(["server.pem", "key.pem"]);
        let mut log = Log::start(&crate::daemon::start::cli::Options::default());
        let mut identity = Identity::read(chain.clone(), key.clone(), &mut log).unwrap();
        let first = identity.config();
        identity.reread(&mut log);
        assert!(Arc::ptr_eq(&first, &identity.config()));
        put(["server.pem", "stolen-key.pem"]);
        // As if it had been a while.
        identity.written = [None; 2];
        identity.reread(&mut log);
        assert!(Arc::ptr_eq(&first, &identity.config()));
        put(["rsa.pem", "rsa-key.pem"]);
        identity.written = [None; 2];
        identity.reread(&mut log);
        assert!(!Arc::ptr_eq(&first, &identity.config()));
    }
}
