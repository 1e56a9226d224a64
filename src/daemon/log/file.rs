//! The log file of `-l` and `logfile`.

use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a file that failed is left alone.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// A log file, open or failing.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: Option<File>,
    failed_at: Option<Instant>,
}

/// What became of a line.
#[derive(Debug)]
pub(super) enum Appended {
    /// It is in the file.
    Yes,
    /// It is not, and this is news.
    FailedNow(io::Error),
    /// It is not, as before.
    StillFailing,
}

impl LogFile {
    /// Opens for appending, makes the file if there is none.
    ///
    /// # Errors
    /// What the system says, or a symbolic link that belongs to neither root nor us.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = open(path)?;
        Ok(Self { path: path.to_owned(), file: Some(file), failed_at: None })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it anew; if that fails, the file that is open stays in use.
    pub(super) fn reopen(&mut self) {
        if let Ok(file) = open(&self.path) {
            self.file = Some(file);
            self.failed_at = None;
        }
    }

    /// Adds a line.
    pub(super) fn append(&mut self, line: &str) -> Appended {
        if self.failed_at.is_some_and(|at| at.elapsed() < RETRY_AFTER) {
            return Appended::StillFailing;
        }
        let failed_before = self.failed_at.is_some();
        match self.try_append(line) {
            Ok(()) => {
                self.failed_at = None;
                Appended::Yes
            }
            Err(why) => {
                self.file = None;
                self.failed_at = Some(Instant::now());
                if failed_before { Appended::StillFailing } else { Appended::FailedNow(why) }
            }
        }
    }

    fn try_append(&mut self, line: &str) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(open(&self.path)?);
        }
        // One write call a line, so that lines of other writers do not fall between.
        self.file.as_mut().map_or(Ok(()), |file| file.write_all(format!("{line}\n").as_bytes()))
    }
}

/// The file is opened as root in a directory that may belong to the daemon's user. A symbolic link there is
/// followed only if root or we made it (`/dev/stdout` is one). Never waits, whatever is at `path`.
fn open(path: &Path) -> io::Result<File> {
    let with = |flags: OFlag| {
        let flags = flags | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        OpenOptions::new().append(true).create(true).mode(0o644).custom_flags(flags.bits()).open(path)
    };
    match with(OFlag::O_NOFOLLOW) {
        Err(why) if why.raw_os_error() == Some(Errno::ELOOP as i32) => {
            let owner = path.symlink_metadata()?.uid();
            if owner == 0 || owner == nix::unistd::geteuid().as_raw() {
                with(OFlag::empty())
            } else {
                Err(io::Error::other("it is a symbolic link that belongs to another user"))
            }
        }
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_symbolic_links_are_followed() {
        let dir = crate::daemon::files::scratch("log-link");
        let (link, file) = (dir.path().join("link"), dir.path().join("file"));
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let mut log = LogFile::open(&link).unwrap();
        assert!(matches!(log.append("x"), Appended::Yes));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "x\n");
    }

    #[test]
    fn foreign_symbolic_links_are_refused() {
        if !nix::unistd::geteuid().is_root() {
            return; // only root can make a link of another user's
        }
        let dir = crate::daemon::files::scratch("log-foreign");
        let (link, file) = (dir.path().join("link"), dir.path().join("file"));
        std::os::unix::fs::symlink(&file, &link).unwrap();
        std::os::unix::fs::lchown(&link, Some(38), Some(38)).unwrap();
        let why = LogFile::open(&link).unwrap_err();
        assert!(why.to_string().contains("another user"), "{why}");
        assert!(!file.exists());
    }
}
