//! ntpq's `saveconfig NAME`: the configuration in force in a new file of `saveconfigdir`, and nowhere
//! else. The name may hold conversions of strftime, as with ntpd: `ntp-%Y%m%d-%H%M.conf`.

use super::files;
use std::fmt::{self, Write as _};
use std::fs;
use std::io;
use std::path::Path;

/// Longest name, bytes, as with ntpd.
const NAME_MAX: usize = 127;

/// What became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Saved {
    /// For the sender, in ntpd's words.
    pub reply: String,
    /// The file's name, if it was written.
    pub file: Option<String>,
}

/// Writes `text` to a new file in `directory`. An existing file, a link or a path is refused.
#[must_use]
pub fn save(directory: Option<&Path>, name: &[u8], text: &[u8]) -> Saved {
    match try_save(directory, name, text) {
        Ok(file) => Saved { reply: format!("Configuration saved to '{file}'"), file: Some(file) },
        Err(why) => Saved { reply: why.to_string(), file: None },
    }
}

/// Why nothing was written, in ntpd's words.
#[derive(Debug)]
enum SaveError {
    NoDirectory,
    LongName,
    /// The name is not UTF-8.
    NoText,
    UnsafeName(String),
    Unwritten {
        name: String,
        why: io::Error,
    },
}

impl fmt::Display for SaveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDirectory => f.write_str("saveconfig prohibited, no saveconfigdir configured"),
            Self::LongName => write!(f, "saveconfig exceeded maximum raw name length ({})", NAME_MAX + 1),
            Self::NoText => f.write_str("saveconfig rejects unsafe file name"),
            Self::UnsafeName(shown) => write!(f, "saveconfig rejects unsafe file name '{shown}'"),
            Self::Unwritten { name, why } => {
                write!(f, "Unable to save configuration to file '{name}': {}", files::words(why))
            }
        }
    }
}

fn try_save(directory: Option<&Path>, name: &[u8], text: &[u8]) -> Result<String, SaveError> {
    let directory = directory.ok_or(SaveError::NoDirectory)?;
    let name = expand(name)?;
    let path = directory.join(&name);
    let unwritten = |why| SaveError::Unwritten { name: name.clone(), why };
    // No name that can be asked for begins with a dot.
    let temporary = directory.join(format!(".{name}.TEMP"));
    let written = files::make(&temporary, text, 0o600, None).and_then(|()| give_name(&temporary, &path));
    // Half a configuration is worse than none; if it cannot be removed, the next one of that name does it.
    let _ = fs::remove_file(&temporary);
    written.map_err(unwritten)?;
    Ok(name)
}

/// Gives a whole file its name, unless something has that: at no moment is there half a file of that name.
fn give_name(temporary: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(temporary, path) {
        // The file system has no second names.
        Err(why)
            if matches!(
                why.raw_os_error(),
                Some(nix::libc::EPERM | nix::libc::EOPNOTSUPP | nix::libc::ENOSYS)
            ) =>
        {
            if path.symlink_metadata().is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            fs::rename(temporary, path)
        }
        result => result,
    }
}

/// The name with its conversions replaced by the local time.
fn expand(spec: &[u8]) -> Result<String, SaveError> {
    if spec.len() > NAME_MAX {
        return Err(SaveError::LongName);
    }
    let spec = std::str::from_utf8(spec).map_err(|_| SaveError::NoText)?;
    let mut name = String::new();
    // Only a conversion that there is not can fail.
    let known = write!(name, "{}", super::log::local_time().format(spec)).is_ok();
    if known && is_safe(&name) {
        Ok(name)
    } else {
        Err(SaveError::UnsafeName(if known { name } else { spec.to_owned() }))
    }
}

/// A letter, a digit or `_`, then these and `-.+`: neither a path nor hidden nor an option.
fn is_safe(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.len() <= NAME_MAX
        && name.bytes().next().is_some_and(plain)
        && name.bytes().all(|byte| plain(byte) || b"-.+".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::files::scratch;

    #[test]
    fn new_plain_files_only() {
        let dir = scratch("saveconfig");
        let save = |name: &str| save(Some(dir.path()), name.as_bytes(), b"server 192.0.2.1\n");
        let saved = save("ntp-%Y%m%d.conf");
        let name = saved.file.unwrap();
        assert_eq!(name.len(), "ntp-20260101.conf".len());
        assert_eq!(saved.reply, format!("Configuration saved to '{name}'"));
        let path = dir.path().join(&name);
        assert_eq!(std::fs::read(&path).unwrap(), b"server 192.0.2.1\n");
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(save(&name).reply.ends_with("File exists"));
        let victim = dir.path().join("victim");
        std::os::unix::fs::symlink(&victim, dir.path().join("link")).unwrap();
        assert!(save("link").file.is_none() && !victim.exists());
        let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(names.iter().all(|name| !name.to_string_lossy().starts_with('.')), "{names:?}");
    }

    #[test]
    fn what_a_killed_process_left_is_no_configuration_and_no_hindrance() {
        let dir = scratch("saveconfig-killed");
        fs::write(dir.path().join(".a.conf.TEMP"), b"server 192.0").unwrap();
        let saved = save(Some(dir.path()), b"a.conf", b"server 192.0.2.1\n");
        assert_eq!(saved.file.as_deref(), Some("a.conf"));
        assert_eq!(fs::read(dir.path().join("a.conf")).unwrap(), b"server 192.0.2.1\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        // Where the directory is full of something that cannot go, nothing has the name.
        fs::create_dir_all(dir.path().join(".b.conf.TEMP/x")).unwrap();
        let refused = save(Some(dir.path()), b"b.conf", b"x");
        assert!(refused.reply.starts_with("Unable to save"), "{}", refused.reply);
        assert!(!dir.path().join("b.conf").exists());
    }

    #[test]
    fn saveconfig_escapes_its_directory_2015_7976() {
        let dir = scratch("saveconfig-escape");
        std::fs::create_dir(dir.path().join("in")).unwrap();
        let unsafe_names = [
            "../x", "/etc/x", ".x", "-x", "a/b", "a\\b", "x y", "x\n", "%D", "%c", "%Q", "%", "", "%R",
            "\u{e4}",
        ];
        for name in unsafe_names {
            let saved = save(Some(&dir.path().join("in")), name.as_bytes(), b"x");
            assert!(saved.file.is_none(), "{name}");
            assert!(saved.reply.starts_with("saveconfig rejects unsafe"), "{}", saved.reply);
        }
        assert!(save(Some(dir.path()), &[b'a'; 128], b"x").reply.contains("length"));
        assert!(save(None, b"x", b"x").reply.contains("no saveconfigdir"));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
