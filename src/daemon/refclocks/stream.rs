//! A TCP connection that is never waited for.

use mio::net::TcpStream;
use nix::errno::Errno;
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd as _, RawFd};

/// An error in the words of ntpd's messages, which have no numbers.
pub(super) fn described(why: &io::Error) -> String {
    why.raw_os_error().map_or_else(|| why.to_string(), |code| Errno::from_raw(code).desc().to_owned())
}

/// A connection, or one that is being made.
#[derive(Debug)]
pub(super) struct Stream {
    socket: TcpStream,
    connected: bool,
}

impl Stream {
    /// Begins to connect.
    ///
    /// # Errors
    /// Where that shows at once why it cannot be done.
    pub(super) fn connect(to: SocketAddr) -> io::Result<Self> {
        Ok(Self { socket: TcpStream::connect(to)?, connected: false })
    }

    /// The descriptor to be watched for reading and writing.
    pub(super) fn raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Whether it is connected by now.
    ///
    /// # Errors
    /// Why it will not be.
    pub(super) fn is_connected(&mut self) -> io::Result<bool> {
        if !self.connected {
            if let Some(why) = self.socket.take_error()? {
                return Err(why);
            }
            self.connected = match self.socket.peer_addr() {
                Ok(_) => true,
                Err(why) if why.kind() == io::ErrorKind::NotConnected => false,
                Err(why) => return Err(why),
            };
        }
        Ok(self.connected)
    }

    /// Reads what is there; 0: the other side has ended.
    ///
    /// # Errors
    /// `WouldBlock`: nothing is there.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.socket.read(buffer) {
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    /// Sends a line.
    ///
    /// # Errors
    /// Also where the other side has not read what was sent before.
    pub(super) fn send(&mut self, line: &str) -> io::Result<()> {
        let sent = self.socket.write(line.as_bytes())?;
        if sent < line.len() { Err(io::ErrorKind::WriteZero.into()) } else { Ok(()) }
    }
}
