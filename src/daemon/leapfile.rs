//! The leap second file on disk: reading it, and noticing that there is a new one.

use super::files;
use crate::config::model::LeapTable;
use crate::config::{self, Notice, Severity};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Reads the file at `path`; what is wrong with it is added to `notices`. A bad file is not used.
pub(super) fn read(path: &Path, notices: &mut Vec<Notice>) -> Option<LeapTable> {
    let text = match files::read(path) {
        Ok(text) => text,
        Err(why) => {
            let text = format!(
                "leapseconds file {}: {}; leap seconds are taken from the servers",
                path.display(),
                files::words(&why)
            );
            notices.push(Notice { severity: Severity::Warning, text });
            return None;
        }
    };
    let notice = |found: &config::Diagnostic| Notice { severity: found.severity, text: found.log_line() };
    match config::parse_leapfile(path, &text) {
        Ok((table, findings)) => {
            notices.extend(findings.iter().map(notice));
            Some(table)
        }
        Err(found) => {
            notices.push(notice(&found));
            None
        }
    }
}

/// What differs between two states of a file.
type Stamp = (u64, u64, u64, i64, i64);

/// The file that is watched.
#[derive(Debug, Default)]
pub struct LeapFile {
    path: Option<PathBuf>,
    seen: Option<Stamp>,
}

impl LeapFile {
    /// A file that was read just now.
    #[must_use]
    pub fn new(path: Option<PathBuf>) -> Self {
        let seen = path.as_deref().and_then(stamp);
        Self { path, seen }
    }

    /// Whether there is a file to look at.
    #[must_use]
    pub const fn is_watched(&self) -> bool {
        self.path.is_some()
    }

    /// The contents of the file, if it changed since it was last read and is valid; and what is to be reported.
    /// A file that is gone changes nothing.
    pub fn look(&mut self) -> (Option<LeapTable>, Vec<Notice>) {
        let mut notices = Vec::new();
        let Some(path) = &self.path else { return (None, notices) };
        let now = stamp(path);
        if now.is_none() || now == self.seen {
            return (None, notices);
        }
        self.seen = now;
        (read(path, &mut notices), notices)
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let found = fs::metadata(path).ok()?;
    Some((found.dev(), found.ino(), found.size(), found.mtime(), found.mtime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::files::scratch;

    fn file(last: u32) -> String {
        let digits = format!("2272060800102287785600{last}");
        format!("2272060800 10\n2287785600 {last}\n{}\n", config::leapfile_check(&digits))
    }

    #[test]
    fn a_new_file_is_noticed_and_a_bad_one_is_told_once() {
        let dir = scratch("leapfile");
        let path = dir.path().join("leap-seconds.list");
        fs::write(&path, file(11)).unwrap();
        let mut notices = Vec::new();
        let table = read(&path, &mut notices).unwrap();
        assert_eq!((table.entries.len(), notices.len()), (2, 0));
        let mut watched = LeapFile::new(Some(path.clone()));
        assert_eq!(watched.look(), (None, Vec::new()));
        fs::write(dir.path().join("new"), file(9)).unwrap();
        fs::rename(dir.path().join("new"), &path).unwrap();
        assert_eq!(watched.look().0.unwrap().entries[1].1, 9);
        assert_eq!(watched.look(), (None, Vec::new()));
        fs::write(&path, file(9).replace("9\n", "11\n")).unwrap();
        let (table, notices) = watched.look();
        assert!(table.is_none() && notices.len() == 1, "{notices:?}");
        assert!(
            notices[0].text.contains("does not match") && notices[0].text.ends_with("the file is not used")
        );
        assert_eq!(watched.look(), (None, Vec::new()));
        fs::remove_file(&path).unwrap();
        assert_eq!(watched.look(), (None, Vec::new()));
        assert!(read(&path, &mut Vec::new()).is_none());
        assert!(!LeapFile::new(None).is_watched());
    }
}
