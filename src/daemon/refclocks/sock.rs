//! SOCK: a socket that gpsd, ptp4l or another program sends samples to.
//!
//! Whoever may write to the socket sets the clock: only root and the daemon's user may, and nothing but an old socket is removed for it.

use super::driver::{Behaviour, Drained, Turn};
use super::error::OpenError;
use crate::engine::contract::{ClockDevice, DeviceReport, Reading, Reads, Trouble};
use crate::engine::report::event::Level;
use crate::sys::clock;
use crate::sys::device::errno_of;
use crate::units::Seconds;
use crate::wire::refclock::sock::{self, Refused, StandsFor};
use mio::Interest;
use nix::errno::Errno;
use std::fs::{self, Permissions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// Samples taken at a time.
const DRAIN: usize = 32;
/// A sample that was sent longer ago has waited for a daemon that was stopped.
const OLDEST: Seconds = Seconds::new(128.0);

/// A socket.
#[derive(Debug)]
pub(super) struct Sock {
    socket: UnixDatagram,
    path: PathBuf,
    /// Which file it is: another one in its place is not ours to remove.
    file: Option<File>,
    /// Why the last sample was refused: the same reason is logged once.
    refused: Option<Refused>,
}

/// A file, whatever its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct File {
    device: u64,
    inode: u64,
}

impl File {
    pub(super) fn of(path: &Path) -> Option<Self> {
        let found = fs::symlink_metadata(path).ok()?;
        Some(Self { device: found.dev(), inode: found.ino() })
    }
}

impl Sock {
    pub(super) fn open(device: &ClockDevice) -> Result<Self, OpenError> {
        let path = device.path().ok_or(OpenError::NoPath)?;
        let failed = |why: io::Error| match why.raw_os_error() {
            Some(errno) => OpenError::Socket(path.clone(), Errno::from_raw(errno)),
            // The path does not fit into a socket's address.
            None => OpenError::Socket(path.clone(), Errno::ENAMETOOLONG),
        };
        if let Some(folder) = path.parent().filter(|folder| is_free_for_all(folder)) {
            return Err(OpenError::OpenFolder(folder.to_owned()));
        }
        match fs::symlink_metadata(&path) {
            Ok(old) if old.file_type().is_socket() => fs::remove_file(&path).map_err(failed)?,
            Ok(_) => return Err(OpenError::NoSocket(path)),
            Err(why) if why.kind() == io::ErrorKind::NotFound => {}
            Err(why) => return Err(failed(why)),
        }
        // As it is made, only its owner may write it: the daemon's umask takes that from others.
        let socket = UnixDatagram::bind(&path).map_err(failed)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        let file = File::of(&path);
        Ok(Self { socket, path, file, refused: None })
    }

    fn take(&mut self, data: &[u8], turn: &mut Turn<'_>) {
        match sock::parse(data, clock::unix_time(), OLDEST) {
            Ok(sample) => {
                self.refused = None;
                let reads = match sample.stands_for {
                    StandsFor::Time => Reads::Time,
                    StandsFor::Pulse => Reads::Pulse,
                };
                let text = format!("{} {:+.9}", sample.at, sample.offset.get());
                let reading = Reading::new(reads, sample.at.ntp(), sample.offset, text);
                turn.report(DeviceReport::Reading(Reading { leap: sample.leap, ..reading }));
            }
            Err(why) => {
                if self.refused.map(|before| std::mem::discriminant(&before))
                    != Some(std::mem::discriminant(&why))
                {
                    turn.notice(Level::Warning, why.to_string());
                }
                self.refused = Some(why);
                let trouble =
                    if matches!(why, Refused::Stale(_)) { Trouble::BadTime } else { Trouble::BadFormat };
                turn.report(DeviceReport::Trouble { trouble, text: String::new() });
            }
        }
    }
}

/// Whether any user may replace files there.
fn is_free_for_all(folder: &Path) -> bool {
    const OTHERS_WRITE: u32 = 0o002;
    const STICKY: u32 = 0o1000;
    fs::metadata(folder).is_ok_and(|found| {
        // In a sticky folder only the owners of the file and of the folder may.
        let kept = found.mode() & STICKY != 0 && found.uid() == 0;
        found.mode() & OTHERS_WRITE != 0 && !kept
    })
}

impl Behaviour for Sock {
    fn begin(&mut self, turn: &mut Turn<'_>) {
        if let Err(why) = turn.watch(self.socket.as_raw_fd(), Interest::READABLE) {
            turn.report(DeviceReport::Failed(OpenError::Watch(errno_of(&why)).to_string()));
        }
    }

    fn ready(&mut self, turn: &mut Turn<'_>) -> Drained {
        for _ in 0..DRAIN {
            // One byte more than the longest: a longer datagram is none, it is not cut to one.
            let mut data = [0; sock::LONGEST + 1];
            match self.socket.recv(&mut data) {
                Ok(length) => self.take(&data[..length], turn),
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => return Drained::All,
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) => {
                    let lost = OpenError::Socket(self.path.clone(), errno_of(&why));
                    turn.report(DeviceReport::Failed(lost.to_string()));
                    return Drained::All;
                }
            }
        }
        Drained::More
    }
}

impl Drop for Sock {
    fn drop(&mut self) {
        if self.file.is_some() && self.file == File::of(&self.path) {
            // In a folder of root's the user that the daemon became may not: the next start removes it.
            let _left_behind = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::{Device, Fudge};
    use crate::units::Driver;

    fn device(path: Option<PathBuf>) -> ClockDevice {
        let device = Device { path, ..Device::default() };
        ClockDevice { driver: Driver::Sock, unit: 0, device, fudge: Fudge::default() }
    }

    #[test]
    fn the_socket_is_for_its_owner_and_replaces_only_a_socket() {
        let folder = std::env::temp_dir().join(format!("rsntpd-sock-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let path = folder.join("gps.sock");
        let open = || Sock::open(&device(Some(path.clone())));
        let socket = open().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let second = open().unwrap();
        drop(socket);
        assert!(path.exists(), "another one's");
        drop(second);
        assert!(!path.exists());
        fs::write(&path, "precious").unwrap();
        assert_eq!(open().unwrap_err(), OpenError::NoSocket(path.clone()));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        fs::remove_file(&path).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
        assert_eq!(open().unwrap_err(), OpenError::OpenFolder(folder.clone()));
        let long = folder.join("x".repeat(200));
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        let why = Sock::open(&device(Some(long.clone()))).unwrap_err();
        assert_eq!(why, OpenError::Socket(long, Errno::ENAMETOOLONG));
        assert_eq!(Sock::open(&device(None)).unwrap_err(), OpenError::NoPath);
        fs::remove_dir_all(&folder).unwrap();
    }
}
