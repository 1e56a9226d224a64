//! The roots that certificates of NTS servers are to lead to: those of a line, or the system's.
//!
//! They are read for each key exchange and let go behind it, so an update of the system's takes no restart. In a jail (`-i`) they are
//! read in there, as all that is read once root has been given up.

use crate::daemon::files;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Where distributions keep their roots; the first that is there counts. Red Hat's new place comes before its old one, which stays
/// behind unkept.
const PLACES: [&str; 5] = [
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// Most files of a folder that are read.
const FILES_MAX: usize = 1_024;

/// Roots, and where they are from.
#[derive(Debug)]
pub struct Roots {
    /// The certificates.
    pub store: RootCertStore,
    /// The file or folder.
    pub from: PathBuf,
}

/// Why there are no roots.
#[derive(Debug)]
pub enum RootsError {
    /// None of the places is there.
    NoStore(Vec<PathBuf>),
    /// This file or folder cannot be read.
    Unreadable(PathBuf, io::Error),
    /// This one has no certificate that can be used.
    Empty(PathBuf),
}

impl fmt::Display for RootsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoStore(places) => {
                f.write_str("no CA store was found; looked for")?;
                places.iter().try_for_each(|place| write!(f, " {}", place.display()))?;
                f.write_str(": install ca-certificates or name one with `nts ca`")
            }
            Self::Unreadable(path, why) => {
                write!(f, "cannot read the CA store {}: {}", path.display(), files::words(why))
            }
            Self::Empty(path) => write!(f, "the CA store {} has no usable certificate", path.display()),
        }
    }
}

/// The roots of this file or folder, or the system's.
///
/// # Errors
/// [`RootsError`].
pub fn load(ca: Option<&Path>) -> Result<Roots, RootsError> {
    let from = match ca {
        Some(ca) => ca.to_owned(),
        None => {
            let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
            let mut places: Vec<PathBuf> = named.into_iter().chain(PLACES.map(PathBuf::from)).collect();
            let Some(at) = places.iter().position(|place| place.exists()) else {
                return Err(RootsError::NoStore(places));
            };
            places.swap_remove(at)
        }
    };
    let mut store = RootCertStore::empty();
    let result = if from.is_dir() { add_folder(&mut store, &from) } else { add_file(&mut store, &from) };
    match result {
        Err(why) => Err(RootsError::Unreadable(from, why)),
        Ok(()) if store.is_empty() => Err(RootsError::Empty(from)),
        Ok(()) => Ok(Roots { store, from }),
    }
}

/// What can be read of the folder's files counts: a key that lies among them is no reason to trust none.
fn add_folder(store: &mut RootCertStore, folder: &Path) -> io::Result<()> {
    for entry in folder.read_dir()?.take(FILES_MAX) {
        let _not_one_of_them = add_file(store, &entry?.path());
    }
    Ok(())
}

fn add_file(store: &mut RootCertStore, path: &Path) -> io::Result<()> {
    let text = files::read(path)?;
    let certificates = CertificateDer::pem_slice_iter(&text).filter_map(Result::ok);
    store.add_parsable_certificates(certificates);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::files::scratch;
    use std::fs;

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/nts").join(name)
    }

    #[test]
    fn roots_come_from_a_file_or_from_all_files_of_a_folder() {
        assert_eq!(load(Some(&fixture("ca.pem"))).unwrap().store.len(), 1);
        let dir = scratch("nts-roots");
        for name in ["ca.pem", "other-ca.pem", "key.pem"] {
            fs::copy(fixture(name), dir.path().join(name)).unwrap();
        }
        fs::create_dir(dir.path().join("folder")).unwrap();
        let roots = load(Some(dir.path())).unwrap();
        assert_eq!((roots.store.len(), roots.from.as_path()), (2, dir.path()));
    }

    #[test]
    fn what_cannot_be_parsed_is_skipped() {
        let dir = scratch("nts-roots-bad");
        let bundle = dir.path().join("bundle.pem");
        let good = fs::read_to_string(fixture("ca.pem")).unwrap();
        let bad = "-----BEGIN CERTIFICATE-----\nMAMBAf8=\n-----END CERTIFICATE-----\n";
        fs::write(&bundle, [bad, &good, "text between\n", bad].concat()).unwrap();
        assert_eq!(load(Some(&bundle)).unwrap().store.len(), 1);
        fs::write(&bundle, bad).unwrap();
        assert!(load(Some(&bundle)).unwrap_err().to_string().ends_with("has no usable certificate"));
        let why = load(Some(&dir.path().join("none"))).unwrap_err().to_string();
        assert!(why.ends_with("none: No such file or directory"), "{why}");
        let why = RootsError::NoStore(vec!["/a".into(), "/b".into()]).to_string();
        assert!(why.starts_with("no CA store was found; looked for /a /b: install"), "{why}");
    }
}
