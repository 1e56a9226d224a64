//! The statistics files: which file a line goes to, and when a new one begins (ntpd's "file
//! generation sets", `filegen`).
//!
//! Files are opened when there is a line for them, which is after root was given up: they belong to
//! the daemon's user. A file that cannot be written costs one line of the log, never more.

use super::files::words;
use crate::config::model::{Filegen, FilegenType, StatKind, Statistics};
use crate::engine::contract::StatLine;
use crate::units::{DAY, NtpTimestamp, PIVOT};
use chrono::{DateTime, Datelike, Utc};
use nix::fcntl::OFlag;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where CentOS's ntpd puts its statistics without `statsdir`.
const DEFAULT_DIR: &str = "/var/log/ntpstats/";
/// Most files of the form `NAME.<pid>C<n>` that a plain file in the way may have become.
const CONFLICTS: u32 = 1000;
/// No line is longer, bytes.
const LONGEST: u64 = 4096;

/// All file sets.
#[derive(Debug, Default)]
pub struct StatFiles {
    sets: Vec<Set>,
}

/// One file set: the file in use, if any.
#[derive(Debug)]
struct Set {
    kind: StatKind,
    /// Directory and name; the suffix goes behind.
    base: OsString,
    rotation: FilegenType,
    link: bool,
    open: Option<Open>,
    /// The last failure that was reported: it is reported once, until a line gets through again.
    reported: Option<String>,
}

/// Why a line is not in its file: a sentence for the log.
#[derive(Debug)]
enum StatError {
    Open(PathBuf, io::Error),
    Write(PathBuf, io::Error),
    /// The plain name cannot become a link to the file in use.
    Link {
        plain: PathBuf,
        file: PathBuf,
        why: io::Error,
    },
}

impl fmt::Display for StatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(path, why) => write!(f, "can't open {}: {}", path.display(), words(why)),
            Self::Write(path, why) => write!(
                f,
                "cannot write the statistics file {}: {}; lines are lost until it can be",
                path.display(),
                words(why)
            ),
            Self::Link { plain, file, why } => {
                write!(f, "cannot link {} to {}: {}", plain.display(), file.display(), words(why))
            }
        }
    }
}

#[derive(Debug)]
struct Open {
    suffix: String,
    file: File,
}

/// Directory and name of a file set.
fn base(dir: &Path, file: &str) -> OsString {
    let mut base = dir.as_os_str().to_owned();
    if !base.as_encoded_bytes().ends_with(b"/") {
        base.push("/");
    }
    base.push(file);
    base
}

/// The file of a set with that suffix.
fn path_of(base: &OsString, suffix: &str) -> PathBuf {
    let mut path = base.clone();
    path.push(suffix);
    path.into()
}

impl StatFiles {
    /// Where the files of a set are: `statsdir` and `file`, without suffix.
    #[must_use]
    pub fn base(dir: Option<&Path>, file: &str) -> PathBuf {
        base(dir.unwrap_or(Path::new(DEFAULT_DIR)), file).into()
    }

    /// The file sets that are configured and enabled. Opens nothing yet.
    #[must_use]
    pub fn new(config: &Statistics) -> Self {
        let dir = config.dir.as_deref().unwrap_or(Path::new(DEFAULT_DIR));
        Self { sets: config.filegens.iter().filter(|f| f.enabled).map(|f| Set::new(dir, f)).collect() }
    }

    /// Takes over a new configuration and closes all files, as [`StatFiles::close`] does. A failure that was
    /// reported is not reported again.
    pub fn reopen(&mut self, config: &Statistics) {
        let old = std::mem::replace(self, Self::new(config));
        for set in &mut self.sets {
            set.reported = old.sets.iter().find(|o| o.base == set.base).and_then(|o| o.reported.clone());
        }
    }

    /// Closes all files: the next line opens its file anew, as log rotation requires after SIGHUP.
    pub fn close(&mut self) {
        for set in &mut self.sets {
            set.open = None;
        }
    }

    /// Appends a line; `uptime` is how many seconds the daemon has been running. Returns a new
    /// failure to report, if there is one.
    pub fn write(&mut self, line: &StatLine, uptime: u64) -> Option<String> {
        let set = self.sets.iter_mut().find(|set| set.kind == line.kind)?;
        match set.append(line, uptime) {
            Ok(()) => {
                set.reported = None;
                None
            }
            Err(why) => {
                let why = why.to_string();
                let news = set.reported.as_ref() != Some(&why);
                set.reported = Some(why.clone());
                news.then_some(why)
            }
        }
    }
}

impl Set {
    fn new(dir: &Path, filegen: &Filegen) -> Self {
        let base = base(dir, &filegen.file);
        let (kind, rotation, link) = (filegen.kind, filegen.rotation, filegen.link);
        Self { kind, base, rotation, link, open: None, reported: None }
    }

    fn append(&mut self, line: &StatLine, uptime: u64) -> Result<(), StatError> {
        let suffix = suffix(self.rotation, line.at, uptime);
        if self.open.as_ref().is_none_or(|open| open.suffix != suffix) {
            // The old file is closed first, whatever becomes of the new one.
            self.open = None;
            let file = self.begin(&suffix)?;
            self.open = Some(Open { suffix, file });
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        let added = add(&mut open.file, &line.text);
        let suffix = &open.suffix;
        added.map_err(|why| StatError::Write(path_of(&self.base, suffix), why))
    }

    /// Opens the file with that suffix and makes the plain name a link to it.
    fn begin(&self, suffix: &str) -> Result<File, StatError> {
        let path = path_of(&self.base, suffix);
        let file = open(&path).map_err(|why| StatError::Open(path.clone(), why))?;
        if self.link && !suffix.is_empty() {
            let plain = Path::new(&self.base);
            make_way(plain)
                .and_then(|()| fs::hard_link(&path, plain))
                .or_else(|why| if same_file(&path, plain) { Ok(()) } else { Err(why) })
                .map_err(|why| StatError::Link { plain: plain.to_owned(), file: path, why })?;
        }
        Ok(file)
    }
}

/// Opens for appending; makes the file if there is none. Follows no link, and never waits.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file =
        OpenOptions::new().append(true).create(true).mode(0o644).custom_flags(flags.bits()).open(path)?;
    let found = file.metadata()?;
    if found.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if found.is_file()
        && let Some(whole) = torn_at(path, found.len())
    {
        file.set_len(whole)?;
    }
    Ok(file)
}

/// Where a file of this length ends with a whole line, if it ends within one: the process was killed, or the machine
/// stopped, while the line was written. What has no line end for long is no file of ours, and stays.
fn torn_at(path: &Path, length: u64) -> Option<u64> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path).ok()?;
    let from = length.saturating_sub(LONGEST);
    let mut end = vec![0; usize::try_from(length - from).ok()?];
    file.read_exact_at(&mut end, from).ok()?;
    let whole = end.iter().rposition(|byte| *byte == b'\n').map(|at| from + at as u64 + 1);
    whole.filter(|whole| *whole < length)
}

/// Adds a line as a whole or not at all: what a full disk took of it is taken back.
fn add(file: &mut File, text: &str) -> io::Result<()> {
    let line = format!("{text}\n");
    let before = file.metadata()?;
    file.write_all(line.as_bytes()).inspect_err(|_| {
        if before.is_file() {
            // If this fails too, half a line stays; nothing more can be done.
            let _ = file.set_len(before.len());
        }
    })
}

/// Clears the plain name: the link to the file before goes, a file of its own is kept by another name.
fn make_way(plain: &Path) -> io::Result<()> {
    let found = match plain.symlink_metadata() {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if !found.is_file() {
        return Err(io::Error::other("something that is no file is in the way"));
    }
    if found.nlink() > 1 {
        return fs::remove_file(plain);
    }
    let pid = std::process::id();
    let free = (0..CONFLICTS).find_map(|n| {
        let mut name = plain.as_os_str().to_owned();
        name.push(format!(".{pid}C{n}"));
        Some(PathBuf::from(name)).filter(|name| name.symlink_metadata().is_err())
    });
    fs::rename(plain, free.ok_or_else(|| io::Error::other("too many files were in the way"))?)
}

fn same_file(a: &Path, b: &Path) -> bool {
    let identity = |path: &Path| path.symlink_metadata().ok().map(|m| (m.dev(), m.ino()));
    identity(a).is_some() && identity(a) == identity(b)
}

/// What goes behind the name of the file, by the time of the line in UTC.
fn suffix(rotation: FilegenType, at: NtpTimestamp, uptime: u64) -> String {
    let date: DateTime<Utc> = DateTime::from_timestamp(at.to_unix(PIVOT).0, 0).unwrap_or_default();
    let year = date.year();
    match rotation {
        FilegenType::None => String::new(),
        FilegenType::Pid => format!(".#{}", std::process::id()),
        FilegenType::Day => format!(".{year:04}{:02}{:02}", date.month(), date.day()),
        // 4.2.6 counts weeks of seven days from the first of January, beginning with 0.
        FilegenType::Week => format!(".{year:04}w{:02}", date.ordinal0() / 7),
        FilegenType::Month => format!(".{year:04}{:02}", date.month()),
        FilegenType::Year => format!(".{year:04}"),
        FilegenType::Age => format!(".a{:08}", uptime - uptime % DAY as u64),
    }
}

#[cfg(test)]
mod tests;
