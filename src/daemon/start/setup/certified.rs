//! Probable mistakes about the files of NTS: the server's certificate and its key, and the roots that clients check servers with.

use super::Pass;
use crate::config::{Diagnostic, Parsed, Severity};
use crate::daemon::nts::credentials::{self, Doubt, Setting};
use crate::daemon::nts::roots;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

const NO_SERVER: &str = "no keys are exchanged with clients";

/// What is wrong with the files of NTS at this Unix time. Adds the servers that cannot be authenticated to `useless`.
pub(super) fn look(parsed: &Parsed, pass: Pass, now: i64, useless: &mut BTreeSet<usize>) -> Vec<Diagnostic> {
    let mut found = roots_of(parsed, useless);
    // Later, whoever has the private key reads it again, and says so.
    if parsed.config.nts.serves && pass == Pass::Start {
        found.extend(server(parsed, now));
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

/// What keeps clients from taking the certificate of our server, at the setting of `nts` that names the file.
fn server(parsed: &Parsed, now: i64) -> Vec<Diagnostic> {
    let nts = &parsed.config.nts;
    let at = |setting, doubt: Doubt| {
        let setting = match setting {
            Setting::Certificate => "cert",
            Setting::Key => "key",
        };
        parsed.mark(setting).map(|mark| warning(mark, doubt.message, &doubt.effect))
    };
    let mut found = Vec::new();
    if let (Some(chain), Some(key)) = (nts.certificate.as_deref(), nts.key.as_deref()) {
        found.extend(match credentials::read(chain, key) {
            Ok(certified) => credentials::dates_of(chain, &certified, now)
                .and_then(|doubt| at(Setting::Certificate, doubt)),
            Err(why) => {
                let doubt = Doubt { message: why.to_string(), effect: NO_SERVER.to_owned() };
                at(why.setting(), doubt)
            }
        });
    }
    let open = nts.key.as_deref().and_then(credentials::open_key);
    found.extend(open.and_then(|doubt| at(Setting::Key, doubt)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::files::scratch;
    use crate::units::DAY;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

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
