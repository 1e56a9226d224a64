//! The certificate of our key exchange and its private key, read again when they change.

use crate::daemon::log::Log;
use crate::daemon::nts::credentials::{self, BadCredentials, Doubt};
use crate::daemon::nts::tls;
use crate::engine::report::event::Level;
use crate::sys::clock;
use crate::wire::nts::ALPN;
use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// What is shown to clients, and where it comes from.
#[derive(Debug)]
pub struct Identity {
    chain: PathBuf,
    key: PathBuf,
    shown: Shown,
    written: [Option<Written>; 2],
}

/// What clients are shown.
#[derive(Debug)]
struct Shown {
    config: Arc<ServerConfig>,
    /// Until when it is valid, seconds since 1970.
    until: i64,
}

/// What TLS needs to show this certificate.
fn configure(certified: CertifiedKey) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(tls::provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    // Each key exchange is one of its own: nothing is resumed.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

/// Reads a certificate with its key, for TLS; logs with `log` what clients and other users will make of them.
fn load(chain: &Path, key: &Path, log: Option<&mut Log>) -> Result<Shown, BadCredentials> {
    let certified = credentials::read(chain, key)?;
    if let Some(log) = log {
        let dates = credentials::dates_of(chain, &certified, clock::unix().0);
        for Doubt { message, effect } in dates.into_iter().chain(credentials::open_key(key)) {
            log.write(Level::Warning, &format!("NTS: {message}; {effect}"));
        }
    }
    let until = credentials::end_of(&certified);
    let config = configure(certified).map_err(|why| BadCredentials::Tls {
        chain: chain.to_owned(),
        key: key.to_owned(),
        why,
    })?;
    Ok(Shown { config: Arc::new(config), until })
}

/// Reads the files: see [`Identity::read`].
///
/// # Errors
/// [`BadCredentials`].
#[cfg(test)]
pub fn configured(chain: &Path, key: &Path) -> Result<Arc<ServerConfig>, BadCredentials> {
    load(chain, key, None).map(|shown| shown.config)
}

impl Identity {
    /// Reads the files. What clients will make of them was logged with the configuration.
    ///
    /// # Errors
    /// [`BadCredentials`].
    pub fn read(chain: PathBuf, key: PathBuf) -> Result<Self, BadCredentials> {
        let written = [&chain, &key].map(|path| written(path));
        let shown = load(&chain, &key, None)?;
        Ok(Self { chain, key, shown, written })
    }

    /// Where the files are, from now on.
    pub fn move_to(&mut self, chain: &Path, key: &Path) {
        (self.chain, self.key) = (chain.to_owned(), key.to_owned());
    }

    /// For a new connection.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.shown.config)
    }

    /// Until when the certificate and those above it are valid, seconds since 1970.
    #[must_use]
    pub const fn valid_until(&self) -> i64 {
        self.shown.until
    }

    /// Reads the files again if others have their names or they were written since. What cannot be used changes nothing. Files that
    /// only root may read can be read at the start only: so nothing is read without need.
    pub fn reread(&mut self, log: &mut Log) {
        let written = [&self.chain, &self.key].map(|path| written(path));
        if written == self.written {
            return;
        }
        self.written = written;
        match load(&self.chain, &self.key, Some(log)) {
            Ok(shown) => {
                self.shown = shown;
                log.write(Level::Info, "NTS certificate read again");
            }
            Err(why) => {
                log.write(Level::Error, &format!("NTS certificate: {why}; the one read before stays"));
            }
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
        configured(&fixture(chain), &fixture(key)).unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_be_shown_is_named() {
        assert!(configured(&fixture("rsa.pem"), &fixture("rsa-key.pem")).is_ok());
        assert!(
            why("server.pem", "stolen-key.pem")
                .contains("stolen-key.pem is not the key of the certificate in")
        );
        assert!(why("none.pem", "key.pem").ends_with("none.pem: No such file or directory"));
        assert!(why("key.pem", "key.pem").contains("key.pem has no certificate in PEM"));
        assert!(why("server.pem", "server.pem").contains("server.pem has no private key in PEM"));
    }

    #[test]
    fn the_first_of_a_chain_to_expire_counts() {
        let dir = scratch("nts-chain");
        let chain = dir.path().join("chain");
        let text = ["rsa.pem", "expired.pem", "server.pem"].map(|name| fs::read(fixture(name)).unwrap());
        fs::write(&chain, text.concat()).unwrap();
        let identity = Identity::read(chain, fixture("rsa-key.pem")).unwrap();
        assert_eq!(identity.valid_until(), 1_609_459_200);
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
        let mut identity = Identity::read(chain.clone(), key.clone()).unwrap();
        let first = identity.config();
        assert_eq!(identity.valid_until(), 4_102_358_400);
        identity.reread(&mut log);
        assert!(Arc::ptr_eq(&first, &identity.config()));
        put(["server.pem", "stolen-key.pem"]);
        // As if it had been a while.
        identity.written = [None; 2];
        identity.reread(&mut log);
        assert!(Arc::ptr_eq(&first, &identity.config()));
        assert_eq!(identity.valid_until(), 4_102_358_400);
        put(["rsa.pem", "rsa-key.pem"]);
        identity.written = [None; 2];
        identity.reread(&mut log);
        assert!(!Arc::ptr_eq(&first, &identity.config()));
        assert_eq!(identity.valid_until(), 3_471_292_800);
    }
}
