//! What will bite in the files that the configuration names, told at the line that names them.

use crate::config::{Diagnostic, Parsed, Severity};
use crate::sys::privileges::Account;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Others may read the file.
const READABLE_BY_ALL: u32 = 0o004;

/// The doubts about the files of `parsed`; `user` is whom the daemon becomes, as `-u` says.
pub(super) fn look(parsed: &Parsed, user: Option<&str>) -> Vec<Diagnostic> {
    let keys = parsed.config.auth.keys.as_deref().zip(parsed.mark("keys"));
    let drift = parsed.config.driftfile.as_deref().zip(parsed.mark("driftfile"));
    let keys = keys.and_then(|(path, mark)| readable_keys(path).map(|text| filled(mark, text)));
    let drift = drift.and_then(|(path, mark)| closed_directory(path, user).map(|text| filled(mark, text)));
    keys.into_iter().chain(drift).collect()
}

fn filled(mark: &Diagnostic, (message, effect): (String, String)) -> Diagnostic {
    Diagnostic { severity: Severity::Warning, message, effect, ..mark.clone() }
}

fn readable_keys(path: &Path) -> Option<(String, String)> {
    let mode = fs::metadata(path).ok()?.mode();
    (mode & READABLE_BY_ALL != 0).then(|| {
        let path = path.display();
        let message = format!("every user of this machine can read the keys in {path}");
        (message, format!("they can forge this machine's packets: chmod 640 {path}"))
    })
}

/// The drift file is replaced as a whole, for which its directory must be open to the user.
fn closed_directory(path: &Path, user: Option<&str>) -> Option<(String, String)> {
    let user = user?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty())?;
    let account = Account::find(user).ok()?;
    let owner = fs::metadata(directory).ok()?;
    if account.may_change(owner.uid(), owner.gid(), owner.mode()) {
        return None;
    }
    let directory = directory.display();
    let message = format!("user {user} may not write to {directory}");
    Some((message, format!("the frequency will not be remembered: chown {user} {directory}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn files_that_are_too_open_or_too_closed_are_told_at_their_lines() {
        let dir = std::env::temp_dir().join(format!("rsntpd-doubts-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let keys = dir.join("keys");
        fs::write(&keys, "1 M secret\n").unwrap();
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let text = format!("keys {0}/keys # here\ndriftfile {0}/drift\n", dir.display());
        let parsed =
            crate::config::parse(Path::new("ntp.conf"), text.as_bytes(), &mut |_| Err(String::new()));
        mode(&keys, 0o644);
        mode(&dir, 0o755);
        // A number that is nobody's.
        let seen = look(&parsed, Some("12345:12345"));
        assert_eq!(seen.iter().map(|found| found.line).collect::<Vec<_>>(), [1, 2]);
        assert!(seen[0].render(false).contains("chmod 640") && seen[1].message.contains("may not write to"));
        mode(&keys, 0o640);
        mode(&dir, 0o777);
        assert!(look(&parsed, Some("12345:12345")).is_empty());
        mode(&dir, 0o755);
        assert!(look(&parsed, None).is_empty() && look(&parsed, Some("0:0")).is_empty());
        fs::remove_dir_all(&dir).unwrap();
    }
}
