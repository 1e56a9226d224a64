//! The log file of `-l` and `logfile`.

use crate::sys::privileges::Account;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A log file, open or failing.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: Option<File>,
    /// It was not there before.
    made: bool,
    /// Lines since the last that could be written.
    lost: u32,
    /// The file ends within a line: the disk was full.
    torn: bool,
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
        let (file, made) = open(path)?;
        let torn = !made && ends_within_a_line(&file, path);
        Ok(Self { path: path.to_owned(), file: Some(file), made, lost: 0, torn })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it anew, for log rotation. If that fails, the file that is open stays in use.
    ///
    /// # Errors
    /// What the system says, unless the open file is still the one of that name.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        match open(&self.path) {
            Ok((file, _)) => {
                if !self.is_in_place() {
                    self.torn = false;
                }
                self.file = Some(file);
                Ok(())
            }
            Err(_) if self.is_in_place() => Ok(()),
            Err(why) => Err(why),
        }
    }

    fn is_in_place(&self) -> bool {
        let identity = |found: &fs::Metadata| (found.dev(), found.ino());
        let open = self.file.as_ref().and_then(|file| file.metadata().ok());
        let named = fs::metadata(&self.path).ok();
        open.zip(named).is_some_and(|(open, named)| identity(&open) == identity(&named))
    }

    /// The descriptor of the open file.
    pub(super) fn raw_fd(&self) -> Option<RawFd> {
        self.file.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// Makes the file the user's that the daemon is about to become, who could not open it anew otherwise. Only a file
    /// of root's, by one name, that was made here or lies where root alone may make files: the user may own the
    /// directory, and have put another file of root's in the place.
    ///
    /// # Errors
    /// Of fchown.
    pub(super) fn hand_to(&self, account: &Account) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let found = file.metadata()?;
        let plain = found.is_file() && found.nlink() == 1 && found.uid() == 0;
        if plain && (self.made || only_root_may_change(&self.path)) { account.give(file) } else { Ok(()) }
    }

    /// Adds a line, as `stamped` makes it of a text; before it, how many could not be written.
    pub(super) fn append(&mut self, text: &str, stamped: impl Fn(&str) -> String) -> Appended {
        let mut lines = if self.torn { "\n".to_owned() } else { String::new() };
        if self.lost > 0 {
            let what = if self.lost == 1 { "line was" } else { "lines were" };
            let line = format!("{} log {what} not written here: the log file was not writable", self.lost);
            lines.extend([stamped(&line), "\n".to_owned()]);
        }
        lines.extend([stamped(text), "\n".to_owned()]);
        match self.write(lines.as_bytes()) {
            Ok(()) => {
                self.lost = 0;
                Appended::Yes
            }
            Err(why) => {
                self.lost += 1;
                if self.lost > 1 { Appended::StillFailing } else { Appended::FailedNow(why) }
            }
        }
    }

    /// The file stays open if this fails: who has given up root may not be able to open it again.
    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(open(&self.path)?.0),
        };
        // One write call usually, so that lines of other writers do not fall between.
        while !bytes.is_empty() {
            match file.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.torn = bytes[..count].last() != Some(&b'\n');
                    bytes = &bytes[count..];
                }
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) => return Err(why),
            }
        }
        Ok(())
    }
}

/// Whether the last process was killed while it wrote a line.
fn ends_within_a_line(file: &File, path: &Path) -> bool {
    let Some(length) = file.metadata().ok().filter(fs::Metadata::is_file).map(|found| found.len()) else {
        return false;
    };
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let mut last = [b'\n'];
    let reader = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path);
    let read = reader.and_then(|reader| reader.read_exact_at(&mut last, length.saturating_sub(1)));
    length > 0 && read.is_ok() && last != *b"\n"
}

/// The directory is root's, and no other user may write to it; nor may one rename a directory above it.
fn only_root_may_change(path: &Path) -> bool {
    const WRITABLE_BY_OTHERS: u32 = 0o022;
    const STICKY: u32 = 0o1000;
    let kept = |directory: &Path, allowed: u32| {
        let found = fs::metadata(if directory.as_os_str().is_empty() { Path::new(".") } else { directory });
        found.is_ok_and(|found| {
            let mode = found.mode();
            found.uid() == 0 && (mode & WRITABLE_BY_OTHERS == 0 || mode & allowed != 0)
        })
    };
    let mut above = path.ancestors().skip(1);
    above.next().is_some_and(|directory| kept(directory, 0)) && above.all(|directory| kept(directory, STICKY))
}

/// The file may be opened as root in a directory that belongs to the daemon's user. There no symbolic link is followed, which could be
/// changed between a look at it and its use, and no file is opened that has other names. Elsewhere a link is followed if root or we made it
/// (`/dev/stdout` is one). Never waits, whatever is at `path`. Gives also whether the file was made.
fn open(path: &Path) -> io::Result<(File, bool)> {
    let with = |flags: OFlag, new: bool| {
        let flags = flags | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let mut options = OpenOptions::new();
        options.append(true).create(true).create_new(new).mode(0o644).custom_flags(flags.bits());
        options.open(path).map(|file| (file, new))
    };
    match with(OFlag::O_NOFOLLOW, true) {
        Err(why) if why.kind() == io::ErrorKind::AlreadyExists => {}
        made => return made,
    }
    let ours_alone = !nix::unistd::geteuid().is_root() || only_root_may_change(path);
    match with(OFlag::O_NOFOLLOW, false) {
        Ok((file, _))
            if !ours_alone && file.metadata().is_ok_and(|found| found.is_file() && found.nlink() > 1) =>
        {
            Err(io::Error::other("it has other names, and other users may change its directory"))
        }
        Err(why) if why.raw_os_error() == Some(Errno::ELOOP as i32) && !ours_alone => {
            Err(io::Error::other("it is a symbolic link, and other users may change its directory"))
        }
        Err(why) if why.raw_os_error() == Some(Errno::ELOOP as i32) => {
            let owner = path.symlink_metadata()?.uid();
            if owner == 0 || owner == nix::unistd::geteuid().as_raw() {
                with(OFlag::empty(), false)
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
        assert!(matches!(log.append("x", str::to_owned), Appended::Yes));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "x\n");
    }

    #[test]
    fn foreign_symbolic_links_are_refused() {
        if !nix::unistd::geteuid().is_root() {
            return skip::because("only root can make a link of another user's");
        }
        let dir = crate::daemon::files::scratch("log-foreign");
        let (link, file) = (dir.path().join("link"), dir.path().join("file"));
        std::os::unix::fs::symlink(&file, &link).unwrap();
        std::os::unix::fs::lchown(&link, Some(38), Some(38)).unwrap();
        let why = LogFile::open(&link).unwrap_err();
        assert!(why.to_string().contains("another user"), "{why}");
        assert!(!file.exists());
    }

    #[test]
    fn d4_the_file_becomes_the_users_where_no_other_file_can_be_meant() {
        if !nix::unistd::geteuid().is_root() {
            return skip::because("only root can give files away");
        }
        let dir = crate::daemon::files::scratch("d4-hand");
        let ntp = Account::find("38:38").unwrap();
        let owner = |name: &str| fs::metadata(dir.path().join(name)).unwrap().uid();
        let hand = |name: &str| LogFile::open(&dir.path().join(name)).unwrap().hand_to(&ntp).unwrap();
        std::os::unix::fs::chown(dir.path(), Some(38), Some(38)).unwrap();
        hand("made");
        assert_eq!(owner("made"), 38);
        fs::write(dir.path().join("roots"), "").unwrap();
        hand("roots");
        assert_eq!(owner("roots"), 0, "the user could have put it there");
        std::os::unix::fs::chown(dir.path(), Some(0), Some(0)).unwrap();
        fs::hard_link(dir.path().join("roots"), dir.path().join("other")).unwrap();
        hand("roots");
        assert_eq!(owner("roots"), 0, "it has another name");
        fs::remove_file(dir.path().join("other")).unwrap();
        hand("roots");
        assert_eq!(owner("roots"), 38);
    }

    #[test]
    fn a_line_that_a_killed_process_left_unfinished_is_ended() {
        let dir = crate::daemon::files::scratch("log-torn");
        for (before, after) in [("one\ntw", "one\ntw\nnext\n"), ("one\n", "one\nnext\n"), ("", "next\n")] {
            let path = dir.path().join("log");
            fs::write(&path, before).unwrap();
            let mut log = LogFile::open(&path).unwrap();
            assert!(matches!(log.append("next", str::to_owned), Appended::Yes));
            assert_eq!(fs::read_to_string(&path).unwrap(), after);
        }
    }

    #[test]
    fn e18_a_full_disk_costs_lines_that_are_counted() {
        let dir = crate::daemon::files::scratch("e18");
        let path = dir.path().join("log");
        let mut log = LogFile::open(&path).unwrap();
        let add = |log: &mut LogFile, text: &str| log.append(text, str::to_owned);
        assert!(matches!(add(&mut log, "first"), Appended::Yes));
        let good = log.file.replace(OpenOptions::new().append(true).open("/dev/full").unwrap());
        assert!(matches!(add(&mut log, "lost"), Appended::FailedNow(_)));
        assert!(matches!(add(&mut log, "lost"), Appended::StillFailing));
        // Half a line was still written.
        (log.file, log.torn) = (good, true);
        assert!(matches!(add(&mut log, "last"), Appended::Yes));
        let written = fs::read_to_string(&path).unwrap();
        let line = "2 log lines were not written here: the log file was not writable";
        assert_eq!(written, format!("first\n\n{line}\nlast\n"));
    }
}
