//! A server of key exchanges for tests, with the certificates of tests/fixtures/nts.

use super::tls;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a server shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Certificate {
    Server,
    Expired,
    Early,
    Other,
    Rsa,
    /// That of `Server`, with a key that is not its own.
    Stolen,
}

/// A file of the tests.
pub(super) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/nts").join(name)
}

/// The bytes of these digits, whatever stands between them.
pub(super) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.bytes().filter_map(|c| char::from(c).to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// What TLS needs for it.
pub(super) fn config(certificate: Certificate, alpn: &[&[u8]]) -> ServerConfig {
    let (chain, key) = match certificate {
        Certificate::Server => ("server.pem", "key.pem"),
        Certificate::Expired => ("expired.pem", "key.pem"),
        Certificate::Early => ("early.pem", "key.pem"),
        Certificate::Other => ("other.pem", "key.pem"),
        Certificate::Rsa => ("rsa.pem", "rsa-key.pem"),
        Certificate::Stolen => ("server.pem", "stolen-key.pem"),
    };
    let chain = CertificateDer::pem_file_iter(fixture(chain)).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(fixture(key)).unwrap();
    let provider = Arc::new(tls::provider());
    // A thief does not compare the key with the certificate.
    let key = CertifiedKey::new(chain, provider.key_provider.load_private_key(key).unwrap());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config
}
