//! The small files: drift and pid, and reading without surprises.

use crate::engine::clock::Record;
use crate::sys::privileges::Account;
use crate::units::{Ppm, Seconds};
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// Largest configuration, keys or drift file that is read, bytes.
pub const READ_MAX: u64 = 4 << 20;

/// How long a pipe may take to hand over a configuration.
const PIPE_PATIENCE: Duration = Duration::from_secs(5);

/// Reads a whole regular file of at most [`READ_MAX`] bytes. Nothing else is read: a FIFO or a device could keep the
/// daemon waiting for ever, or never end.
///
/// # Errors
/// What the system says, that it is no regular file, or that the file is too large.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Before it is opened: opening alone does something to some devices.
    only_regular(&fs::metadata(path)?)?;
    let file = open_at_once(path)?;
    // Another file may have taken its place since.
    only_regular(&file.metadata()?)?;
    bounded(file)
}

/// As [`read`], but takes a pipe as well, for at most five seconds: the configuration of `--check /dev/stdin`.
///
/// # Errors
/// As of [`read`]; a pipe without a writer, or whose writer takes longer.
pub fn read_or_pipe(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.file_type().is_fifo() {
        return read(path);
    }
    let mut file = open_at_once(path)?;
    let (mut bytes, until) = (Vec::new(), Instant::now() + PIPE_PATIENCE);
    while bytes.len() as u64 <= READ_MAX {
        let mut piece = [0; 8192];
        match file.read(&mut piece) {
            Ok(0) if bytes.is_empty() => {
                return Err(io::Error::other("it is a FIFO that no process writes to"));
            }
            Ok(0) => return Ok(bytes),
            Ok(length) => bytes.extend_from_slice(&piece[..length]),
            Err(why) if why.kind() == io::ErrorKind::WouldBlock => {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(io::Error::other("it is a FIFO whose writer does not finish"));
                }
                let mut readable = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
                poll(&mut readable, PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO))?;
            }
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(why) => return Err(why),
        }
    }
    Err(too_large())
}

/// Opens for reading without waiting for whatever stands behind the name.
fn open_at_once(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)
}

fn bounded(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(READ_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > READ_MAX { Err(too_large()) } else { Ok(bytes) }
}

fn too_large() -> io::Error {
    io::Error::other("it is larger than 4 MiB, which no configuration needs")
}

fn only_regular(found: &Metadata) -> io::Result<()> {
    let kind = found.file_type();
    if kind.is_file() {
        return Ok(());
    }
    let what = match () {
        () if kind.is_dir() => "a directory",
        () if kind.is_fifo() => "a FIFO",
        () if kind.is_socket() => "a socket",
        () => "a device",
    };
    Err(io::Error::other(format!("it is {what}, expected a regular file")))
}

/// The system's words for an error, without the number that Rust adds.
#[must_use]
pub fn words(error: &io::Error) -> String {
    error
        .raw_os_error()
        .map_or_else(|| error.to_string(), |errno| nix::errno::Errno::from_raw(errno).desc().to_owned())
}

/// Why a file of the daemon's own was not written: a sentence for the log.
#[derive(Debug)]
pub enum SaveError {
    /// The frequency for this drift file is not a number.
    NoNumber(PathBuf),
    /// This drift file.
    Drift(PathBuf, ReplaceError),
    /// The file beside the drift file.
    DriftRecord(PathBuf, ReplaceError),
    /// This pid file.
    Pid(PathBuf, ReplaceError),
}

impl fmt::Display for SaveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNumber(path) => {
                write!(f, "not saved to the drift file {}: the frequency is not a number", path.display())
            }
            Self::Drift(path, why) => {
                write!(f, "cannot save the frequency to the drift file {}: {why}", path.display())
            }
            Self::DriftRecord(path, why) => {
                write!(f, "cannot save how right the frequency was to {}: {why}", path.display())
            }
            Self::Pid(path, why) => write!(f, "cannot write the pid file {}: {why}", path.display()),
        }
    }
}

/// Why a file has not got its new content.
#[derive(Debug)]
pub enum ReplaceError {
    /// The device cannot be written to.
    Device(io::Error),
    /// The file that is to take its place cannot be made, or cannot take it.
    Temporary(PathBuf, io::Error),
}

impl fmt::Display for ReplaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(why) => f.write_str(&words(why)),
            Self::Temporary(path, why) => write!(f, "{}: {}", path.display(), words(why)),
        }
    }
}

/// Writes the frequency as ntpd does: `%.3f` and a line end, to `FILE.TEMP`, which then takes the
/// place of `path`. At no moment is there no drift file where there was one.
///
/// # Errors
/// [`SaveError`]. The old file is then as it was, and no temporary file is left.
pub fn save_drift(path: &Path, frequency: Ppm) -> Result<(), SaveError> {
    if !frequency.get().is_finite() {
        return Err(SaveError::NoNumber(path.to_owned()));
    }
    replace(path, format!("{:.3}\n", frequency.get()).as_bytes())
        .map_err(|why| SaveError::Drift(path.to_owned(), why))
}

/// The file beside the drift file that says how right it has been.
#[must_use]
pub fn drift_record(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".error");
    name.into()
}

/// Writes how right the drift file has been: root mean square of its errors in ppm, starts. Nothing beside a device
/// or where there is no drift file.
///
/// # Errors
/// [`SaveError`]. The old file is then as it was.
pub fn save_drift_record(path: &Path, record: Record) -> Result<(), SaveError> {
    if !path.is_file() {
        return Ok(());
    }
    let file = drift_record(path);
    replace(&file, format!("{:.3} {}\n", record.rms.get(), record.starts).as_bytes())
        .map_err(|why| SaveError::DriftRecord(file, why))
}

/// How long ago a file was written, by the clock as it stands; `None` if that was in the future.
#[must_use]
pub fn age(path: &Path) -> Option<Seconds> {
    let written = fs::metadata(path).and_then(|m| m.modified()).ok()?;
    SystemTime::now().duration_since(written).ok().map(|age| Seconds::new(age.as_secs_f64()))
}

/// Writes the process id in decimal without a line end, as ntpd does.
///
/// # Errors
/// [`SaveError`].
pub fn write_pid(path: &Path, pid: u32) -> Result<(), SaveError> {
    replace(path, pid.to_string().as_bytes()).map_err(|why| SaveError::Pid(path.to_owned(), why))
}

/// Removes the pid file if it still names `pid`; another daemon's file is left alone.
///
/// # Errors
/// What the system says; after dropping root this is usual, and init scripts remove the file themselves.
pub fn remove_pid(path: &Path, pid: u32) -> io::Result<()> {
    // A pid file is a few digits; anything else is not ours, and a device must not be waited for.
    if !path.symlink_metadata()?.is_file() || read(path)? != pid.to_string().as_bytes() {
        return Ok(());
    }
    fs::remove_file(path)
}

/// Puts what only the daemon may read at `path` as a whole or not at all. Root makes it the account's that the daemon is about to
/// become.
///
/// # Errors
/// [`ReplaceError`]. The old file is then as it was.
pub fn replace_private(path: &Path, content: &[u8], owner: Option<&Account>) -> Result<(), ReplaceError> {
    replace_as(path, content, 0o600, owner)
}

/// Puts `content` at `path` as a whole or not at all. A device (`/dev/null`) is written to, never replaced.
fn replace(path: &Path, content: &[u8]) -> Result<(), ReplaceError> {
    replace_as(path, content, 0o644, None)
}

fn replace_as(path: &Path, content: &[u8], mode: u32, owner: Option<&Account>) -> Result<(), ReplaceError> {
    if path.symlink_metadata().is_ok_and(|found| !found.is_file() && !found.is_symlink()) {
        let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits();
        let device = OpenOptions::new().write(true).custom_flags(flags).open(path);
        return device.and_then(|mut file| file.write_all(content)).map_err(ReplaceError::Device);
    }
    let temporary = temporary_of(path);
    let failed = |why| ReplaceError::Temporary(temporary.clone(), why);
    let result = make(&temporary, content, mode, owner).and_then(|()| fs::rename(&temporary, path));
    if let Err(why) = result {
        // Nothing more can be done if this fails too; the next save removes it.
        let _ = fs::remove_file(&temporary);
        return Err(failed(why));
    }
    // So that the new name survives a power failure; not every file system can.
    if let Some(directory) = path.parent().filter(|parent| !parent.as_os_str().is_empty())
        && let Ok(directory) = File::open(directory)
    {
        let _ = directory.sync_all();
    }
    Ok(())
}

/// Makes a file with this content on the disk. What a crash left in its place goes; no other user's link is followed.
///
/// # Errors
/// What the system says.
pub fn make(path: &Path, content: &[u8], mode: u32, owner: Option<&Account>) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
        _ => {}
    }
    // create_new is O_EXCL: an existing file or link, even a dangling one, is an error.
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(path)?;
    file.write_all(content)?;
    // Before it has its name: what has it by then may be another's link.
    owner.map_or(Ok(()), |account| account.give(&file))?;
    file.sync_all()
}

/// `FILE.TEMP` in the same directory: ntpd's name, which security policies of distributions know.
fn temporary_of(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".TEMP");
    PathBuf::from(name)
}

/// A directory of a test's own, removed at its end.
#[cfg(test)]
pub(crate) struct Scratch(PathBuf);

#[cfg(test)]
impl Scratch {
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

#[cfg(test)]
impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Makes a directory for a test.
#[cfg(test)]
pub(crate) fn scratch(name: &str) -> Scratch {
    let path = std::env::temp_dir().join(format!("rsntpd-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    Scratch(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn how_right_it_was_is_written_beside_the_drift_file() {
        let dir = scratch("drift-record");
        let path = dir.path().join("drift");
        let record = Record { rms: Ppm::new(0.25), starts: 3 };
        save_drift_record(&path, record).unwrap();
        assert!(names(dir.path()).is_empty(), "not without a drift file");
        save_drift(&path, Ppm::new(1.0)).unwrap();
        save_drift_record(&path, record).unwrap();
        assert_eq!(fs::read(drift_record(&path)).unwrap(), b"0.250 3\n");
        assert_eq!(names(dir.path()), ["drift", "drift.error"]);
        save_drift_record(Path::new("/dev/null"), record).unwrap();
        assert!(!Path::new("/dev/null.error").exists());
        assert!(age(&path).unwrap() < Seconds::new(60.0));
        assert_eq!(age(&dir.path().join("none")), None);
    }

    #[test]
    fn drift_is_written_as_ntpd_does_and_replaces_the_old() {
        let dir = scratch("drift");
        let path = dir.path().join("drift");
        save_drift(&path, Ppm::new(-12.345_678)).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"-12.346\n");
        fs::write(dir.path().join("drift.TEMP"), "left by a crash").unwrap();
        save_drift(&path, Ppm::new(0.5)).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"0.500\n");
        assert_eq!(names(dir.path()), ["drift"]);
        assert!(save_drift(&path, Ppm::new(f64::NAN)).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"0.500\n");
    }

    #[test]
    fn a_link_in_the_way_of_the_temporary_file_is_not_followed() {
        let dir = scratch("drift-link");
        let (path, victim) = (dir.path().join("drift"), dir.path().join("victim"));
        fs::write(&victim, "precious").unwrap();
        std::os::unix::fs::symlink(&victim, dir.path().join("drift.TEMP")).unwrap();
        save_drift(&path, Ppm::new(1.0)).unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
        assert_eq!(names(dir.path()), ["drift", "victim"]);
    }

    #[test]
    fn missing_directories_and_directories_in_the_place_are_told() {
        let dir = scratch("drift-missing");
        let why = save_drift(&dir.path().join("no/drift"), Ppm::ZERO).unwrap_err().to_string();
        assert!(why.starts_with("cannot save the frequency to the drift file"), "{why}");
        assert!(why.ends_with("no/drift.TEMP: No such file or directory"), "{why}");
        assert!(save_drift(dir.path(), Ppm::ZERO).unwrap_err().to_string().ends_with("Is a directory"));
    }

    #[test]
    fn devices_are_written_to_and_stay() {
        save_drift(Path::new("/dev/null"), Ppm::ZERO).unwrap();
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
        assert!(
            write_pid(Path::new("/dev/full"), 1)
                .unwrap_err()
                .to_string()
                .ends_with("No space left on device")
        );
    }

    #[test]
    fn pid_files_have_no_line_end_and_only_our_own_is_removed() {
        let dir = scratch("pid");
        let path = dir.path().join("ntpd.pid");
        write_pid(&path, 4711).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"4711");
        remove_pid(&path, 4712).unwrap();
        assert!(path.exists());
        remove_pid(&path, 4711).unwrap();
        assert!(names(dir.path()).is_empty());
        assert!(remove_pid(&path, 4711).is_err());
    }

    #[test]
    fn e13_only_regular_files_are_read_and_nothing_is_waited_for() {
        let dir = scratch("e13");
        let (fifo, link) = (dir.path().join("fifo"), dir.path().join("link"));
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        std::os::unix::fs::symlink(&fifo, &link).unwrap();
        let socket = dir.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let kinds: [(&Path, &str); 6] = [
            (&fifo, "a FIFO"),
            (&link, "a FIFO"),
            (&socket, "a socket"),
            (dir.path(), "a directory"),
            (Path::new("/dev/zero"), "a device"),
            (Path::new("/dev/null"), "a device"),
        ];
        for (path, what) in kinds {
            let why = read(path).unwrap_err().to_string();
            assert_eq!(why, format!("it is {what}, expected a regular file"), "{}", path.display());
        }
        assert!(read_or_pipe(&fifo).unwrap_err().to_string().contains("no process writes"));
        assert!(read_or_pipe(Path::new("/dev/zero")).unwrap_err().to_string().contains("a device"));
        assert_eq!(read(&dir.path().join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn e13_a_pipe_is_read_to_its_end() {
        let (reader, mut writer) = io::pipe().unwrap();
        let path = PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader)));
        let writing = std::thread::spawn(move || {
            writer.write_all(b"server 192.0.2.1\n").unwrap();
            std::thread::sleep(Duration::from_millis(20));
            writer.write_all(&[b'#'; 100_000]).unwrap();
        });
        let bytes = read_or_pipe(&path).unwrap();
        writing.join().unwrap();
        assert!(bytes.starts_with(b"server 192.0.2.1\n#") && bytes.len() == 100_017);
    }

    #[test]
    fn huge_files_are_not_read() {
        let dir = scratch("huge");
        let path = dir.path().join("file");
        File::create(&path).unwrap().set_len(READ_MAX + 1).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("larger"));
        File::create(&path).unwrap().set_len(READ_MAX).unwrap();
        assert_eq!(read(&path).unwrap().len() as u64, READ_MAX);
    }

    /// Not a test by itself: the child of the two tests below, which stands before a full disk.
    #[test]
    fn child_on_a_full_disk() {
        let Some(dir) = std::env::var_os("RSNTPD_TEST_FULL_DISK") else { return };
        let dir = PathBuf::from(dir);
        let why = save_drift(&dir.join("drift"), Ppm::new(99.0)).unwrap_err().to_string();
        let expected = std::env::var("RSNTPD_TEST_EXPECTED").unwrap();
        assert!(why.contains(&expected), "{why}");
        assert_eq!(fs::read(dir.join("drift")).unwrap(), b"1.000\n");
        assert_eq!(names(&dir), std::env::var("RSNTPD_TEST_NAMES").unwrap().split(' ').collect::<Vec<_>>());
    }

    /// Runs the child behind `shell` (its words before the script), which prepares `dir` by `script`.
    fn run_child(shell: &[&str], script: &str, dir: &Path, expected: &str, left: &str) {
        let script = format!("{script} exec \"$0\" --exact daemon::files::tests::child_on_a_full_disk -q");
        let output = Command::new(shell[0])
            .args(&shell[1..])
            .args(["-c", &script])
            .arg(std::env::current_exe().unwrap())
            .env("RSNTPD_TEST_FULL_DISK", dir)
            .env("RSNTPD_TEST_EXPECTED", expected)
            .env("RSNTPD_TEST_NAMES", left)
            .output()
            .unwrap();
        let printed = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&printed));
    }

    #[test]
    fn a_file_size_limit_keeps_the_old_drift_and_leaves_nothing() {
        let dir = scratch("drift-limit");
        fs::write(dir.path().join("drift"), "1.000\n").unwrap();
        run_child(&["sh"], "trap '' XFSZ; ulimit -f 0;", dir.path(), "File too large", "drift");
    }

    #[test]
    fn a_full_disk_keeps_the_old_drift_and_leaves_nothing() {
        // Needs a file system of its own; where that is not allowed the size limit above stands in.
        let allowed = Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|s| s.success());
        if !allowed || !nix::unistd::geteuid().is_root() {
            return skip::because("mounting a file system is not allowed");
        }
        let dir = scratch("drift-full");
        let script = "cd \"$RSNTPD_TEST_FULL_DISK\" && mount -t tmpfs -o size=16k tmpfs . && cd \"$PWD\" || exit 9; \
                      echo 1.000 >drift; head -c 1m /dev/zero >filler 2>/dev/null;";
        run_child(&["unshare", "-m", "sh"], script, dir.path(), "No space left on device", "drift filler");
        assert!(names(dir.path()).is_empty(), "the mount stayed in its own namespace");
    }
}
