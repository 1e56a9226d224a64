//! Reads files, and remembers those that may no longer be read once root is given up.

use crate::daemon::files;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Files as they were read.
#[derive(Clone, Default)]
pub(super) struct Sources {
    read: BTreeMap<PathBuf, Source>,
    stale: Vec<PathBuf>,
    lost: Vec<String>,
}

/// A file as it was read.
#[derive(Clone)]
struct Source {
    text: Vec<u8>,
    state: Option<State>,
}

/// Device, inode, size, and when the content and the rest changed: whether a file is as it was, without reading it.
type State = (u64, u64, u64, (i64, i64), (i64, i64));

fn state(path: &Path) -> Option<State> {
    let of = std::fs::metadata(path).ok()?;
    Some((of.dev(), of.ino(), of.size(), (of.mtime(), of.mtime_nsec()), (of.ctime(), of.ctime_nsec())))
}

impl fmt::Debug for Sources {
    /// Without the contents: the keys file is among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.read.keys()).finish()
    }
}

/// Why a file cannot be read.
#[derive(Debug)]
pub(super) struct ReadError(io::Error);

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&files::words(&self.0))
    }
}

impl Sources {
    /// The file's content; if it may no longer be read, what it was when it was.
    pub(super) fn read(&mut self, path: &Path) -> Result<Vec<u8>, ReadError> {
        self.read_by(files::read, path)
    }

    /// The same by another way of reading.
    pub(super) fn read_by(
        &mut self,
        read: fn(&Path) -> io::Result<Vec<u8>>,
        path: &Path,
    ) -> Result<Vec<u8>, ReadError> {
        // Before the content: what changes meanwhile counts as changed.
        let state = state(path);
        match read(path) {
            Ok(text) => {
                self.read.insert(path.to_owned(), Source { text: text.clone(), state });
                Ok(text)
            }
            Err(why) if why.kind() == io::ErrorKind::PermissionDenied => {
                let Some(known) = self.read.get(path) else { return Err(ReadError(why)) };
                // A keys file for root only is usual, and nothing is lost while it stays as it was.
                if state.is_none() || state != known.state {
                    self.stale.push(path.to_owned());
                }
                Ok(known.text.clone())
            }
            Err(why) => {
                if self.read.contains_key(path) {
                    self.lost.push(format!(
                        "{} can no longer be read: {}",
                        path.display(),
                        files::words(&why)
                    ));
                }
                Err(ReadError(why))
            }
        }
    }

    /// All that were read.
    pub(super) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.read.keys()
    }

    /// Which files could be read once and now cannot, and why, since this was last asked.
    pub(super) fn take_lost(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lost)
    }

    /// Which files have changed and were given as they had been, since this was last asked.
    pub(super) fn take_stale(&mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.stale)
    }
}
