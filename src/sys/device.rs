//! Character devices that are asked by ioctl and never waited for.

use nix::errno::Errno;
use nix::libc;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// The kernel's number of an error; 0 where it is not the kernel's.
#[must_use]
pub fn errno_of(why: &io::Error) -> Errno {
    Errno::from_raw(why.raw_os_error().unwrap_or(0))
}

/// An open device.
#[derive(Debug)]
pub(super) struct Device(File);

impl Device {
    /// Opens a device to be read.
    ///
    /// # Errors
    /// Of the kernel.
    pub(super) fn open(path: &Path) -> Result<Self, Errno> {
        let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
        opened.map(Self).map_err(|why| errno_of(&why))
    }

    /// Makes a request, whose structure `argument` is.
    ///
    /// # Errors
    /// Of the device.
    ///
    /// # Safety
    /// The kernel must read and write no more than a `T` for this request, and leave a valid one.
    pub(super) unsafe fn call<T>(&self, request: libc::Ioctl, argument: &mut T) -> Result<(), Errno> {
        // SAFETY: the caller's promise.
        Errno::result(unsafe { libc::ioctl(self.0.as_raw_fd(), request, std::ptr::from_mut(argument)) })?;
        Ok(())
    }
}
