//! Messages to the service manager, sd_notify(3): readiness, reloads, the end.

use crate::sys::clock;
use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;

/// The service manager, if it wants messages.
#[derive(Debug, Default)]
pub struct Supervisor {
    socket: Option<UnixDatagram>,
}

impl Supervisor {
    /// The one of `NOTIFY_SOCKET`. Connects at once: after a change of root the socket has no name.
    #[must_use]
    pub fn of_environment() -> Self {
        let name = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        // A manager that cannot be reached runs into its timeout; the daemon serves all the same.
        Self { socket: name.and_then(|name| connect(&name).ok()) }
    }

    /// This process serves.
    pub fn ready(&self) {
        self.notify("READY=1\nSTATUS=serving");
    }

    /// The process `pid`, which this one has made, serves in its place.
    pub fn handed_over(&self, pid: u32) {
        self.notify(&format!("MAINPID={pid}\nREADY=1\nSTATUS=serving"));
    }

    /// The configuration is being read again; [`Supervisor::reloaded`] ends it.
    pub fn reloading(&self) {
        let micros = clock::mono().as_nanos() / 1000;
        self.notify(&format!("RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=reading the configuration"));
    }

    /// The configuration was read again; `failure` says what of it is not in force.
    pub fn reloaded(&self, failure: Option<&str>) {
        match failure {
            None => self.ready(),
            // A line end would begin another message.
            Some(why) => {
                self.notify(&format!("READY=1\nSTATUS=serving; reload failed: {}", why.replace('\n', " ")));
            }
        }
    }

    /// This process is about to end.
    pub fn stopping(&self) {
        self.notify("STOPPING=1\nSTATUS=ending");
    }

    fn notify(&self, state: &str) {
        if let Some(socket) = &self.socket {
            // A manager that does not read must not delay the clock.
            let _lost = socket.send(state.as_bytes());
        }
    }
}

/// A path, or behind `@` a name that no file system knows.
fn connect(name: &OsStr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    match name.as_bytes() {
        [b'@', rest @ ..] => socket.connect_addr(&SocketAddr::from_abstract_name(rest)?)?,
        _ => socket.connect(Path::new(name))?,
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 512];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn d7_a_manager_hears_of_start_reload_and_end() {
        let dir = crate::daemon::files::scratch("d7");
        let path = dir.path().join("notify");
        let abstracted = format!("rsntpd-d7-{}", std::process::id());
        let by_path = UnixDatagram::bind(&path).unwrap();
        let by_name =
            UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(abstracted.as_bytes()).unwrap()).unwrap();
        let named = format!("@{abstracted}");
        for (socket, name) in [(by_path, path.as_os_str()), (by_name, OsStr::new(&named))] {
            let supervisor = Supervisor { socket: Some(connect(name).unwrap()) };
            supervisor.ready();
            supervisor.handed_over(4711);
            supervisor.reloading();
            supervisor.reloaded(Some("one\ntwo"));
            supervisor.stopping();
            assert!(heard(&socket).starts_with("READY=1\n"));
            assert!(heard(&socket).starts_with("MAINPID=4711\nREADY=1\n"));
            let reloading = heard(&socket);
            let micros = reloading.lines().nth(1).and_then(|line| line.strip_prefix("MONOTONIC_USEC="));
            assert!(reloading.starts_with("RELOADING=1\n") && micros.unwrap().parse::<u64>().is_ok());
            assert!(heard(&socket).ends_with("STATUS=serving; reload failed: one two"));
            assert!(heard(&socket).starts_with("STOPPING=1\n"));
        }
        Supervisor::default().ready();
        assert!(connect(OsStr::new("/nonexistent/notify")).is_err());
    }
}
