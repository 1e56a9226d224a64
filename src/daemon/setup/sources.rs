//! Reads files, and remembers those that may no longer be read once root is given up.

use crate::daemon::files;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Files as they were read.
#[derive(Clone, Default)]
pub(super) struct Sources {
    read: BTreeMap<PathBuf, Vec<u8>>,
    stale: Vec<PathBuf>,
    lost: Vec<String>,
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
        match read(path) {
            Ok(text) => {
                self.read.insert(path.to_owned(), text.clone());
                Ok(text)
            }
            Err(why) if why.kind() == io::ErrorKind::PermissionDenied => {
                let Some(text) = self.read.get(path) else { return Err(ReadError(why)) };
                self.stale.push(path.to_owned());
                Ok(text.clone())
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

    /// Which files could be read once and now cannot, and why, since this was last asked.
    pub(super) fn take_lost(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lost)
    }

    /// Which files were given as they had been, since this was last asked.
    pub(super) fn take_stale(&mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.stale)
    }
}
