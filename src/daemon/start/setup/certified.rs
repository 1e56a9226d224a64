//! Probable mistakes about the files of NTS: the server's certificate and its key, and the roots that clients check servers with.

use super::Pass;
use crate::config::model::Nts;
use crate::config::{Diagnostic, Parsed, Severity};
use crate::daemon::files;
use crate::daemon::nts::verify::date;
use crate::daemon::nts::{certificate, roots, tls};
use crate::engine::contract::Validity;
use crate::units::DAY;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A certificate that ends sooner is worth a warning: authorities renew theirs a month before.
const SOON: i64 = 21 * DAY;
/// Others may read the file.
const READABLE_BY_ALL: u32 = 0o004;
const NO_SERVER: &str = "no keys are exchanged with clients";

/// What is wrong with the files of NTS at this Unix time. Adds the servers that cannot be authenticated to `useless`.
pub(super) fn look(parsed: &Parsed, pass: Pass, now: i64, useless: &mut BTreeSet<usize>) -> Vec<Diagnostic> {
    let mut found = roots_of(parsed, useless);
    let nts = &parsed.config.nts;
    // Later, whoever has the private key reads it again, and says so.
    if nts.serves && pass == Pass::Start {
        let server = Server { parsed, now };
        found.extend(server.identity(nts));
        found.extend(nts.key.as_deref().and_then(|key| server.open_key(key)));
    }
    found
}

fn warning(mark: &Diagnostic, message: String, effect: &str) -> Diagnostic {
    Diagnostic { severity: Severity::Warning, message, effect: effect.to_owned(), ..mark.clone() }
}

/// Roots that cannot be read, once each.
fn roots_of(parsed: &Parsed, useless: &mut BTreeSet<usize>) -> Vec<Diagnostic> {
    let mut lines: BTreeMap<Option<&PathBuf>, Vec<(usize, &Diagnostic)>> = BTreeMap::new();
    for (index, mark) in &parsed.outlook.nts {
        let line = parsed.config.servers.get(*index).and_then(|server| server.nts.as_ref());
        if let Some(nts) = line.filter(|nts| !nts.noval) {
            let ca = nts.ca.as_ref().or(parsed.config.nts.ca.as_ref());
            lines.entry(ca).or_default().push((*index, mark));
        }
    }
    let mut found = Vec::new();
    for (ca, lines) in lines {
        let (Err(why), Some((_, mark))) = (roots::load(ca.map(PathBuf::as_path)), lines.first()) else {
            continue;
        };
        useless.extend(lines.iter().map(|(index, _)| *index));
        let effect = match lines.len() {
            1 => "this server cannot be authenticated, and is never used".to_owned(),
            many => format!("{many} servers cannot be authenticated, and are never used"),
        };
        found.push(warning(mark, why.to_string(), &effect));
    }
    found
}

/// The certificate and the key of our server.
struct Server<'a> {
    parsed: &'a Parsed,
    now: i64,
}

impl Server<'_> {
    /// At the setting of `nts` that names the file.
    fn say(&self, setting: &str, message: String, effect: &str) -> Option<Diagnostic> {
        self.parsed.mark(setting).map(|mark| warning(mark, message, effect))
    }

    /// What keeps clients from taking the certificate.
    fn identity(&self, nts: &Nts) -> Option<Diagnostic> {
        let (path, key_path) = (nts.certificate.as_deref()?, nts.key.as_deref()?);
        let (shown, shown_key) = (path.display(), key_path.display());
        let chain: Vec<CertificateDer<'static>> = match files::read(path) {
            Ok(text) => CertificateDer::pem_slice_iter(&text).filter_map(Result::ok).collect(),
            Err(why) => {
                return self.say("cert", format!("certificate {shown}: {}", files::words(&why)), NO_SERVER);
            }
        };
        let valid: Option<Vec<Validity>> = chain.iter().map(|der| certificate::validity(der)).collect();
        let Some(valid) = valid.filter(|valid| !valid.is_empty()) else {
            return self.say("cert", format!("{shown} has no certificate in PEM"), NO_SERVER);
        };
        let text = match files::read(key_path).map(Zeroizing::new) {
            Ok(text) => text,
            Err(why) => {
                let message = format!("private key {shown_key}: {}", files::words(&why));
                return self.say("key", message, NO_SERVER);
            }
        };
        let Ok(key) = PrivateKeyDer::from_pem_slice(&text) else {
            let message = format!("{shown_key} has no private key in PEM without a password");
            return self.say("key", message, NO_SERVER);
        };
        match CertifiedKey::from_der(chain, key, &tls::provider()) {
            Ok(_) => valid.into_iter().find_map(|valid| self.dates(path, valid)),
            Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
                let message = format!("{shown_key} is not the key of the certificate in {shown}");
                self.say("key", message, NO_SERVER)
            }
            Err(why) => self.say("key", format!("{shown} and {shown_key} cannot be used: {why}"), NO_SERVER),
        }
    }

    fn dates(&self, path: &Path, valid: Validity) -> Option<Diagnostic> {
        let (path, now) = (path.display(), self.now);
        if now > valid.until {
            let message = format!("the certificate in {path} expired on {}", date(valid.until));
            return self.say("cert", message, "clients refuse it: renew it, and reload");
        }
        if now < valid.from {
            let message = format!(
                "the certificate in {path} is not valid before {}, and it is {}",
                date(valid.from),
                date(now)
            );
            return self.say("cert", message, "clients refuse it until then, unless this clock is wrong");
        }
        if valid.until - now >= SOON {
            return None;
        }
        let days = (valid.until - now) / DAY;
        let message = format!("the certificate in {path} expires on {}, in {days} days", date(valid.until));
        self.say("cert", message, "clients refuse it from then on: renew it; a new file is read by itself")
    }

    fn open_key(&self, path: &Path) -> Option<Diagnostic> {
        let mode = fs::metadata(path).ok()?.mode();
        let path = path.display();
        let message = format!("all users of this machine can read the private key in {path}");
        let effect = format!("any of them can pose as this server: chmod 640 {path}");
        (mode & READABLE_BY_ALL != 0).then(|| self.say("key", message, &effect)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::files::scratch;
    use std::os::unix::fs::PermissionsExt as _;

    /// When the certificates of the fixtures were made.
    const MADE: i64 = 1_700_000_000;

    fn fixture(name: &str) -> String {
        format!("{}/tests/fixtures/nts/{name}", env!("CARGO_MANIFEST_DIR"))
    }

    fn looked(text: &str, now: i64) -> (Vec<(u32, String)>, usize) {
        let parsed = crate::config::parse(Path::new("ntp.conf"), text.as_bytes(), &mut |_| Err("".into()));
        let mut useless = BTreeSet::new();
        let found = look(&parsed, Pass::Start, now, &mut useless);
        (found.into_iter().map(|one| (one.line, one.message)).collect(), useless.len())
    }

    #[test]
    fn certificates_that_clients_refuse_are_named() {
        let dir = scratch("nts-certified");
        let key_of = |name: &str, mode| {
            let path = dir.path().join(name);
            fs::copy(fixture(name), &path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path.display().to_string()
        };
        let (key, stolen) = (key_of("key.pem", 0o640), key_of("stolen-key.pem", 0o640));
        let reported = |cert: &str, key: &str, now| {
            looked(&format!("nts enable\nnts cert {}\nnts key {key}\n", fixture(cert)), now).0
        };
        let one = |cert: &str, key: &str, now| {
            let [(line, message)] = &reported(cert, key, now)[..] else { panic!("{cert} {key}") };
            format!("{line} {message}")
        };
        assert_eq!(reported("server.pem", &key, MADE + DAY), []);
        let none = one("none.pem", &key, MADE);
        assert!(none.starts_with("2 certificate") && none.ends_with(": No such file or directory"), "{none}");
        assert!(one("key.pem", &key, MADE).ends_with("key.pem has no certificate in PEM"));
        assert!(one("server.pem", "/none", MADE).starts_with("3 private key /none: No such file"));
        let no_key = format!("3 {} has no private key in PEM without a password", fixture("ca.pem"));
        assert!(
            reported("server.pem", &fixture("ca.pem"), MADE)
                .iter()
                .any(|(line, text)| format!("{line} {text}") == no_key)
        );
        assert!(
            one("server.pem", &stolen, MADE + DAY)
                .contains("stolen-key.pem is not the key of the certificate in")
        );
        let open = key_of("rsa-key.pem", 0o644);
        assert!(
            one("rsa.pem", &open, MADE + DAY).contains("all users of this machine can read the private key")
        );
        // Without `enable`, nothing is served.
        assert_eq!(looked("nts cert /none key /none", MADE), (Vec::new(), 0));
    }

    #[test]
    fn dates_are_compared_with_the_clock() {
        let text = format!("nts enable cert {} key {}\n", fixture("server.pem"), fixture("key.pem"));
        let parsed = crate::config::parse(Path::new("ntp.conf"), text.as_bytes(), &mut |_| Err("".into()));
        let reported = |now| {
            let valid = Validity { from: 1_000 * DAY, until: 1_100 * DAY };
            Server { parsed: &parsed, now }.dates(Path::new("/cert"), valid).map(|found| found.message)
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

    #[test]
    fn roots_are_looked_for_where_a_line_needs_them() {
        let text = format!(
            "nts ca /none\nserver a nts\nserver b nts\nserver c nts noval\nserver d nts ca {}\nserver e",
            fixture("ca.pem")
        );
        let (found, useless) = looked(&text, MADE);
        let message = "cannot read the CA store /none: No such file or directory".to_owned();
        assert_eq!((found, useless), (vec![(2, message)], 2));
    }
}
