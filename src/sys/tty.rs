//! Serial lines: opened for a program that reads lines from a device and sends nothing.

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::sys::termios::{
    BaudRate, ControlFlags, FlushArg, InputFlags, LocalFlags, OutputFlags, SetArg, Termios, cfsetspeed,
    tcflush, tcgetattr, tcsetattr,
};
use nix::unistd::read;
use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

/// Why a serial line cannot be opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TtyError {
    /// The kernel's reason.
    Os(Errno),
    /// It is a file, a pipe or another device.
    NoTerminal,
    /// No line has this speed.
    Speed(u32),
}

impl fmt::Display for TtyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Os(why) => f.write_str(why.desc()),
            Self::NoTerminal => f.write_str("not a serial line"),
            Self::Speed(speed) => write!(f, "serial lines have no speed of {speed} bps"),
        }
    }
}

/// An open serial line; it is never waited for.
#[derive(Debug)]
pub struct Tty {
    fd: OwnedFd,
}

impl Tty {
    /// Opens a line at this speed, bits a second, to be read line by line: 8 bits, no parity, no modem control, CR as LF. It does not
    /// become the controlling terminal.
    ///
    /// # Errors
    /// Why not.
    pub fn open(path: &Path, speed: u32) -> Result<Self, TtyError> {
        let speed = baud(speed).ok_or(TtyError::Speed(speed))?;
        let flags = OFlag::O_RDWR | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let fd = open(path, flags, Mode::empty()).map_err(TtyError::Os)?;
        let mut settings = tcgetattr(&fd).map_err(|why| match why {
            Errno::ENOTTY | Errno::EINVAL => TtyError::NoTerminal,
            other => TtyError::Os(other),
        })?;
        prepare(&mut settings, speed).map_err(TtyError::Os)?;
        tcsetattr(&fd, SetArg::TCSANOW, &settings).map_err(TtyError::Os)?;
        let this = Self { fd };
        this.flush();
        Ok(this)
    }

    /// The descriptor to be watched.
    #[must_use]
    pub fn raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Drops what has arrived and was not read.
    pub fn flush(&self) {
        // If it fails, the line is read as it is: what is old is found out by its time.
        let _flushed = tcflush(&self.fd, FlushArg::TCIOFLUSH);
    }

    /// Reads what is there, at most one line; 0: it was hung up.
    ///
    /// # Errors
    /// `EAGAIN`: nothing is there; `EIO`: the device is gone.
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        loop {
            match read(&self.fd, buffer) {
                Err(Errno::EINTR) => {}
                other => return other,
            }
        }
    }
}

impl AsFd for Tty {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// As ntpd sets the lines of its receivers.
fn prepare(settings: &mut Termios, speed: BaudRate) -> Result<(), Errno> {
    settings.input_flags = InputFlags::IGNBRK | InputFlags::IGNPAR | InputFlags::ICRNL;
    settings.output_flags = OutputFlags::empty();
    settings.control_flags = ControlFlags::CS8 | ControlFlags::CREAD | ControlFlags::CLOCAL;
    // Lines are made by the kernel: their end wakes, and is stamped, once.
    settings.local_flags = LocalFlags::ICANON;
    settings.control_chars.fill(0);
    cfsetspeed(settings, speed)
}

const fn baud(speed: u32) -> Option<BaudRate> {
    Some(match speed {
        50 => BaudRate::B50,
        75 => BaudRate::B75,
        110 => BaudRate::B110,
        134 => BaudRate::B134,
        150 => BaudRate::B150,
        200 => BaudRate::B200,
        300 => BaudRate::B300,
        600 => BaudRate::B600,
        1200 => BaudRate::B1200,
        1800 => BaudRate::B1800,
        2400 => BaudRate::B2400,
        4800 => BaudRate::B4800,
        9600 => BaudRate::B9600,
        19_200 => BaudRate::B19200,
        38_400 => BaudRate::B38400,
        57_600 => BaudRate::B57600,
        115_200 => BaudRate::B115200,
        230_400 => BaudRate::B230400,
        460_800 => BaudRate::B460800,
        500_000 => BaudRate::B500000,
        576_000 => BaudRate::B576000,
        921_600 => BaudRate::B921600,
        1_000_000 => BaudRate::B1000000,
        1_152_000 => BaudRate::B1152000,
        1_500_000 => BaudRate::B1500000,
        2_000_000 => BaudRate::B2000000,
        2_500_000 => BaudRate::B2500000,
        3_000_000 => BaudRate::B3000000,
        3_500_000 => BaudRate::B3500000,
        4_000_000 => BaudRate::B4000000,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::pty::openpty;
    use nix::unistd::{mkfifo, ttyname, write};
    use std::fs;

    #[test]
    fn lines_are_read_as_a_receiver_sends_them() {
        let pair = openpty(None, None).unwrap();
        let path = ttyname(&pair.slave).unwrap();
        write(&pair.master, b"the end of an old line\n").unwrap();
        let tty = Tty::open(&path, 9600).unwrap();
        let mut buffer = [0; 100];
        assert_eq!(tty.read(&mut buffer), Err(Errno::EAGAIN), "what is old is dropped");
        write(&pair.master, b"$GP\x03ZDA\r\n$GPRMC\nno end").unwrap();
        for line in [&b"$GP\x03ZDA\n"[..], b"\n", b"$GPRMC\n"] {
            let length = tty.read(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], line);
        }
        assert_eq!(tty.read(&mut buffer), Err(Errno::EAGAIN));
        // Nothing is sent back to the receiver.
        let settings = tcgetattr(&pair.slave).unwrap();
        assert_eq!((settings.local_flags, settings.output_flags), (LocalFlags::ICANON, OutputFlags::empty()));
        assert!(settings.control_chars.iter().all(|c| *c == 0));
        drop((pair.master, pair.slave));
        assert!(matches!(tty.read(&mut buffer), Ok(0) | Err(Errno::EIO)), "unplugged");
    }

    #[test]
    fn what_is_no_serial_line_is_refused() {
        let speed = Tty::open(Path::new("/dev/null"), 9601).unwrap_err();
        assert_eq!(speed.to_string(), "serial lines have no speed of 9601 bps");
        assert_eq!(Tty::open(Path::new("/dev/null"), 9600).unwrap_err(), TtyError::NoTerminal);
        assert_eq!(Tty::open(Path::new("/nowhere"), 9600).unwrap_err(), TtyError::Os(Errno::ENOENT));
        let folder = std::env::temp_dir().join(format!("rsntpd-tty-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (fifo, file) = (folder.join("fifo"), folder.join("file"));
        mkfifo(&fifo, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        fs::write(&file, "$GPRMC").unwrap();
        for path in [&fifo, &file] {
            assert_eq!(Tty::open(path, 9600).unwrap_err().to_string(), "not a serial line");
        }
        assert_eq!(Tty::open(&folder, 9600).unwrap_err(), TtyError::Os(Errno::EISDIR));
        fs::remove_dir_all(&folder).unwrap();
    }
}
