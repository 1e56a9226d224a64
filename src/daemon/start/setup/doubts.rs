//! Probable mistakes about the files that the configuration names, reported at the line that names them.

use crate::config::model::Config;
use crate::config::{Diagnostic, Notice, Parsed, Severity};
use crate::daemon::statistics::StatFiles;
use crate::sys::privileges::Account;
use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Others may read the file.
const READABLE_BY_ALL: u32 = 0o004;

/// What is wrong with the files and directories of `parsed`. `user` is the user that the daemon becomes, as in `-u`.
/// What the command line names is reported in `notices`, because no line of a file names it.
pub(super) fn look(parsed: &Parsed, user: Option<&str>, notices: &mut Vec<Notice>) -> Vec<Diagnostic> {
    let config = &parsed.config;
    let mut found = Vec::new();
    if let Some((path, mark)) = config.auth.keys.as_deref().zip(parsed.mark("keys")) {
        found.extend(readable_keys(path).map(|text| filled(mark, text)));
    }
    let account = user.and_then(|user| Some((user, Account::find(user).ok()?)));
    for Written { command, path, lost } in written(config) {
        // The log file is opened before root is given up.
        let account = account.as_ref().filter(|_| command != "logfile");
        let Some(Trouble { message, effect: remedy }) = trouble(&path, account) else { continue };
        let effect = format!("{lost}{remedy}");
        match parsed.mark(command) {
            Some(mark) => found.push(filled(mark, Trouble { message, effect })),
            None => notices.push(super::warning(format!("{command}: {message}; {effect}"))),
        }
    }
    found
}

/// A file that the daemon writes.
struct Written {
    /// The command of ntp.conf, or the setting of `nts`, that names it.
    command: &'static str,
    path: PathBuf,
    /// What is lost without it.
    lost: &'static str,
}

/// The files that the daemon writes as the user it becomes.
fn written(config: &Config) -> Vec<Written> {
    let mut files = Vec::new();
    if let Some(path) = &config.driftfile {
        let lost = "the frequency will not be saved";
        files.push(Written { command: "driftfile", path: path.clone(), lost });
    }
    let statistics = &config.statistics;
    if let Some(first) = statistics.filegens.iter().find(|filegen| filegen.enabled && config.enable.stats) {
        let command = if statistics.dir.is_some() { "statsdir" } else { "filegen" };
        let path = StatFiles::base(statistics.dir.as_deref(), &first.file);
        files.push(Written { command, path, lost: "no statistics are written" });
    }
    if let Some(folder) = &config.nts.dump {
        let path = folder.join("cookies");
        files.push(Written { command: "dump", path, lost: "cookies are not kept" });
    }
    if let Some(path) = config.nts.cookie_keys.clone().filter(|_| config.nts.serves) {
        let lost = "clients of NTS need new keys after each start";
        files.push(Written { command: "cookie", path, lost });
    }
    if let Some(path) = &config.logfile {
        files.push(Written { command: "logfile", path: path.clone(), lost: "the log goes to syslog" });
    }
    files
}

/// What is wrong, and its effect or the remedy.
struct Trouble {
    message: String,
    effect: String,
}

fn filled(mark: &Diagnostic, Trouble { message, effect }: Trouble) -> Diagnostic {
    Diagnostic { severity: Severity::Warning, message, effect, ..mark.clone() }
}

fn readable_keys(path: &Path) -> Option<Trouble> {
    let mode = fs::metadata(path).ok()?.mode();
    (mode & READABLE_BY_ALL != 0).then(|| {
        let path = path.display();
        let message = format!("all users of this machine can read the keys in {path}");
        let effect = format!("any of them can forge authenticated packets: chmod 640 {path}");
        Trouble { message, effect }
    })
}

/// Why no file can be made or replaced beside `path`, and what to do. Files are replaced as a whole, for which
/// their directory must be open to the user.
fn trouble(path: &Path, account: Option<&(&str, Account)>) -> Option<Trouble> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty())?;
    let shown = directory.display();
    let trouble = |message: String, effect: String| Some(Trouble { message, effect });
    if path.exists() && !path.is_file() {
        return None; // a device, such as /dev/null
    }
    let Ok(owner) = fs::metadata(directory) else {
        return trouble(format!("there is no directory {shown}"), format!(": mkdir {shown}"));
    };
    if !owner.is_dir() {
        return trouble(format!("{shown} is not a directory"), String::new());
    }
    if access(directory, AccessFlags::W_OK) == Err(Errno::EROFS) {
        return trouble(format!("{shown} is on a file system that is read-only"), String::new());
    }
    let (user, account) = account?;
    if account.may_change(owner.uid(), owner.gid(), owner.mode()) {
        return None;
    }
    trouble(format!("user {user} may not write to {shown}"), format!(": chown {user} {shown}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Style;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn files_that_are_too_open_or_too_closed_are_told_at_their_lines() {
        let dir = std::env::temp_dir().join(format!("rsntpd-doubts-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let keys = dir.join("keys");
        fs::write(&keys, "1 M secret\n").unwrap();
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let text = format!("keys {0}/keys # here\ndriftfile {0}/drift\n", dir.display());
        let parsed = crate::config::parse(Path::new("ntp.conf"), text.as_bytes(), &mut |_| Err("".into()));
        mode(&keys, 0o644);
        mode(&dir, 0o755);
        // A number that no user has.
        let mut notices = Vec::new();
        let mut look = |user| look(&parsed, user, &mut notices);
        let seen = look(Some("12345:12345"));
        assert_eq!(seen.iter().map(|found| found.line).collect::<Vec<_>>(), [1, 2]);
        assert!(
            seen[0].render(Style::Plain).contains("chmod 640")
                && seen[1].message.contains("may not write to")
        );
        mode(&keys, 0o640);
        mode(&dir, 0o777);
        assert!(look(Some("12345:12345")).is_empty());
        mode(&dir, 0o755);
        assert!(look(None).is_empty() && look(Some("0:0")).is_empty());
        fs::remove_dir_all(&dir).unwrap();
    }
}
