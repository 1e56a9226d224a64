//! Rules of the file system, landlock(7): which folders a process may still read and write. By three system calls; what an older
//! kernel cannot hold back is left out.

use nix::errno::Errno;
use nix::libc::{self, c_int, c_long, c_void};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

const CREATE_RULESET: c_long = 444;
const ADD_RULE: c_long = 445;
const RESTRICT_SELF: c_long = 446;
/// Asks for the version instead of making a set.
const VERSION: u32 = 1;
const PATH_BENEATH: u32 = 1;
const NET_PORT: u32 = 2;

const EXECUTE: u64 = 1;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const REMOVE_FILE: u64 = 1 << 5;
const MAKE_REG: u64 = 1 << 8;
const MAKE_SOCK: u64 = 1 << 9;
/// All that the first version has.
const FIRST: u64 = (1 << 13) - 1;
/// Since version 3.
const TRUNCATE: u64 = 1 << 14;
/// Since version 5.
const IOCTL_DEV: u64 = 1 << 15;
/// What a rule about a single file may grant.
const OF_FILES: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV;

const BIND_TCP: u64 = 1;
const CONNECT_TCP: u64 = 2;
/// Sockets without a name in the file system, and signals, of processes that are not bound by the same rules.
const SCOPES: u64 = 3;

/// What is allowed beneath a path.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Access {
    /// Files and folders are read.
    Read,
    /// Files are made, written, replaced, linked and removed, too.
    Write,
    /// Devices are read, written and asked.
    Device,
    /// Files and sockets are made and removed, but not written.
    Socket,
}

impl Access {
    /// Whether it allows all that the other one does.
    #[must_use]
    pub const fn includes(self, other: Self) -> bool {
        self.rights() & other.rights() == other.rights()
    }

    const fn rights(self) -> u64 {
        let read = READ_FILE | READ_DIR;
        match self {
            Self::Read => read,
            Self::Write => read | WRITE_FILE | TRUNCATE | REMOVE_FILE | MAKE_REG,
            Self::Device => read | WRITE_FILE | TRUNCATE | IOCTL_DEV,
            Self::Socket => read | REMOVE_FILE | MAKE_SOCK,
        }
    }
}

/// The kernel's `struct landlock_ruleset_attr`; older ones have less of it.
#[repr(C)]
struct Handled {
    files: u64,
    net: u64,
    scopes: u64,
}

impl Handled {
    /// What a version can hold back.
    const fn of(version: u32, net: Net, scopes: u64) -> (Self, usize) {
        let files =
            FIRST | if version >= 3 { TRUNCATE } else { 0 } | if version >= 5 { IOCTL_DEV } else { 0 };
        let net = if version >= 4 && matches!(net, Net::Ports) { BIND_TCP | CONNECT_TCP } else { 0 };
        let scopes = if version >= 6 { scopes } else { 0 };
        let size = match version {
            ..4 => 8,
            4 | 5 => 16,
            _ => 24,
        };
        (Self { files, net, scopes }, size)
    }
}

#[repr(C, packed)]
struct PathRule {
    allowed: u64,
    parent: c_int,
}

#[repr(C)]
struct PortRule {
    allowed: u64,
    port: u64,
}

/// Rules that are being made; what none allows is refused.
#[derive(Debug)]
pub struct Rules {
    set: OwnedFd,
    files: u64,
    net: u64,
    /// Of the kernel.
    version: u32,
}

impl Rules {
    /// Nothing is allowed yet.
    ///
    /// # Errors
    /// `ENOSYS` before Linux 5.13, `EOPNOTSUPP` where it is switched off.
    pub fn new(alone: Alone, net: Net) -> io::Result<Self> {
        let none = std::ptr::null::<c_void>();
        // SAFETY: without a structure the kernel only gives a number.
        let version = Errno::result(unsafe { libc::syscall(CREATE_RULESET, none, 0, VERSION) })? as u32;
        let scopes = if alone == Alone::Yes { SCOPES } else { 0 };
        let (handled, size) = Handled::of(version, net, scopes);
        // SAFETY: the kernel reads so many bytes of the structure, which is no shorter.
        let set = Errno::result(unsafe { libc::syscall(CREATE_RULESET, &raw const handled, size, 0) })?;
        // SAFETY: the descriptor is new, and no other code knows it.
        let set = unsafe { OwnedFd::from_raw_fd(set as c_int) };
        Ok(Self { set, files: handled.files, net: handled.net, version })
    }

    /// The version of the kernel's interface.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// Allows this beneath a path that is there.
    ///
    /// # Errors
    /// Of open, and of the kernel.
    pub fn allow(&self, path: &Path, access: Access) -> io::Result<()> {
        let name = CString::new(path.as_os_str().as_bytes())?;
        // SAFETY: the name ends with a zero byte; the descriptor is new, and no other code knows it.
        let parent = unsafe {
            let fd = libc::open(name.as_ptr(), libc::O_PATH | libc::O_CLOEXEC);
            OwnedFd::from_raw_fd(Errno::result(fd)?)
        };
        let of_kind = if path.is_dir() { u64::MAX } else { OF_FILES };
        let rule = PathRule { allowed: access.rights() & self.files & of_kind, parent: parent.as_raw_fd() };
        // SAFETY: the kernel reads the structure of this kind of rule.
        Errno::result(unsafe {
            libc::syscall(ADD_RULE, self.set.as_raw_fd(), PATH_BENEATH, &raw const rule, 0)
        })?;
        Ok(())
    }

    /// Allows connections to a TCP port, where the kernel would hold them back.
    ///
    /// # Errors
    /// Of the kernel.
    pub fn allow_port(&self, port: u16) -> io::Result<()> {
        if self.net & CONNECT_TCP == 0 {
            return Ok(());
        }
        let rule = PortRule { allowed: CONNECT_TCP, port: port.into() };
        // SAFETY: as above.
        Errno::result(unsafe {
            libc::syscall(ADD_RULE, self.set.as_raw_fd(), NET_PORT, &raw const rule, 0)
        })?;
        Ok(())
    }

    /// The rules hold from now on, for this thread and all that it makes. `no_new_privs` must be set.
    ///
    /// # Errors
    /// Of the kernel.
    pub fn enforce(self) -> io::Result<()> {
        // SAFETY: two numbers.
        Errno::result(unsafe { libc::syscall(RESTRICT_SELF, self.set.as_raw_fd(), 0) })?;
        Ok(())
    }
}

/// Which connections by TCP there may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Net {
    /// To the ports that are allowed, and none from outside.
    Ports,
    /// Any.
    Free,
}

/// Whether signals and nameless sockets of processes outside are out of reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Alone {
    /// They are.
    Yes,
    /// Some of them get our signals.
    No,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    #[test]
    fn each_version_holds_back_what_it_knows() {
        let of = |version| {
            let (Handled { files, net, scopes }, size) = Handled::of(version, Net::Ports, SCOPES);
            (files & TRUNCATE != 0, files & IOCTL_DEV != 0, net != 0, scopes != 0, size)
        };
        assert_eq!(of(1), (false, false, false, false, 8));
        assert_eq!(of(3), (true, false, false, false, 8));
        assert_eq!(of(4), (true, false, true, false, 16));
        assert_eq!(of(5), (true, true, true, false, 16));
        assert_eq!(of(7), (true, true, true, true, 24));
    }

    #[test]
    fn what_no_rule_allows_is_refused() {
        let Ok(rules) = Rules::new(Alone::Yes, Net::Ports) else {
            return skip::because("this kernel has no Landlock");
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let version = rules.version();
        let base = std::env::temp_dir().join(format!("rsntpd-landlock-{}", std::process::id()));
        let [read, write, other] = ["read", "write", "other"].map(|name| base.join(name));
        for folder in [&read, &write, &other] {
            fs::create_dir_all(folder).unwrap();
            fs::write(folder.join("file"), "x").unwrap();
        }
        // Rules hold for a thread.
        let tried = std::thread::spawn({
            let (read, write, other) = (read.clone(), write.clone(), other.clone());
            move || {
                nix::sys::prctl::set_no_new_privs().unwrap();
                rules.allow(&read, Access::Read).unwrap();
                rules.allow(&write, Access::Write).unwrap();
                assert!(rules.allow(&other.join("absent"), Access::Read).is_err());
                rules.allow_port(1).unwrap();
                rules.enforce().unwrap();
                let kinds = |result: io::Result<()>| result.map_err(|why| why.kind());
                [
                    kinds(fs::read(read.join("file")).map(drop)),
                    kinds(fs::write(read.join("file"), "y")),
                    kinds(fs::write(write.join("new"), "y")),
                    kinds(fs::rename(write.join("new"), write.join("file"))),
                    kinds(fs::hard_link(write.join("file"), write.join("again"))),
                    kinds(fs::remove_file(write.join("again"))),
                    kinds(fs::read(other.join("file")).map(drop)),
                    kinds(fs::remove_file(other.join("file"))),
                    kinds(TcpStream::connect(address).map(drop)),
                ]
            }
        })
        .join()
        .unwrap();
        let denied = Err(io::ErrorKind::PermissionDenied);
        let connected = if version < 4 { Ok(()) } else { denied };
        assert_eq!(tried, [Ok(()), denied, Ok(()), Ok(()), Ok(()), Ok(()), denied, denied, connected]);
        fs::remove_dir_all(base).unwrap();
    }
}
