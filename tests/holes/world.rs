//! The built daemon in a network namespace without a way out, and without the means to set a clock.

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rsntpd::engine::auth::Keys;
use rsntpd::units::NtpTimestamp;
use rsntpd::wire::{Header, Mode, Version};
use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long a daemon may take to answer, and to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why there can be no namespace here.
pub fn lacking() -> Option<&'static str> {
    let has = |program: &str| {
        ["/bin", "/sbin", "/usr/bin", "/usr/sbin"].iter().any(|dir| Path::new(dir).join(program).exists())
    };
    if !nix::unistd::geteuid().is_root() {
        Some("only root makes network namespaces")
    } else if !has("ip") || !has("setpriv") {
        Some("no ip (iproute2) or setpriv (util-linux)")
    } else {
        None
    }
}

/// The namespace of the calling thread, and a folder.
pub struct World {
    folder: PathBuf,
}

impl World {
    /// Puts this thread into a namespace that has nothing but 127.0.0.1 and ::1.
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("rsntpd-holes.{}.{number}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let world = Self { folder };
        world.ip("link set lo up");
        world
    }

    pub fn ip(&self, words: &str) {
        let status = Command::new("ip").args(words.split(' ')).status().unwrap();
        assert!(status.success(), "ip {words}");
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The words of a path of the folder.
    pub fn named(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// A daemon with this ntp.conf, its log in the file `log`; `limits` is run by sh before.
    pub fn launch(&self, configuration: &str, limits: &str, options: &[&str]) -> Daemon {
        let file = self.write("ntp.conf", configuration);
        let mut command = Command::new("sh");
        command.args([
            "-c",
            &format!("{limits} exec setpriv --bounding-set -sys_time --inh-caps -sys_time -- \"$@\""),
        ]);
        command.args(["sh", env!("CARGO_BIN_EXE_rsntpd"), "-n", "-c"]).arg(file);
        command.arg("-l").arg(self.path("log")).args(options);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Daemon { child }
    }

    /// The same, once it serves.
    pub fn daemon(&self, configuration: &str, options: &[&str]) -> Daemon {
        let mut daemon = self.launch(configuration, "", options);
        assert!(daemon.serves(), "{}", self.read("log"));
        daemon
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _left_behind = fs::remove_dir_all(&self.folder);
    }
}

/// A daemon, which ends with the test.
pub struct Daemon {
    child: Child,
}

impl Daemon {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Whether it answers on 127.0.0.1 within [`PATIENCE`].
    pub fn serves(&mut self) -> bool {
        until(|| self.ended().is_some() || answer("127.0.0.1").is_some()) && self.ended().is_none()
    }

    /// A number of its /proc/PID/status, in kB or as it stands.
    pub fn status(&self, name: &str) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Ends it by SIGTERM.
    pub fn end(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        assert!(until(|| self.ended().is_some()), "SIGTERM ends it");
        self.ended().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _how = self.child.wait();
    }
}

/// Whether that comes true within [`PATIENCE`].
pub fn until(mut wanted: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while !wanted() {
        if begun.elapsed() > PATIENCE {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// A socket on loopback for conversations with the daemon there.
pub fn socket() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    socket
}

/// What comes back from the daemon at 127.0.0.1, at once.
pub fn exchange(socket: &UdpSocket, packet: &[u8]) -> Option<Vec<u8>> {
    socket.send_to(packet, "127.0.0.1:123").ok()?;
    let mut buffer = [0; 2048];
    let (length, _) = socket.recv_from(&mut buffer).ok()?;
    Some(buffer[..length].to_vec())
}

/// The daemon's answer to a client's request.
pub fn answer(host: &str) -> Option<Header> {
    let any = if host.contains(':') { "[::]:0" } else { "0.0.0.0:0" };
    let socket = UdpSocket::bind(any).ok()?;
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let stamp = NtpTimestamp::from_bits(0x0123_4567_89ab_cdef);
    socket.send_to(&Header::request(Mode::Client, Version::V4, stamp).to_bytes(), (host, 123)).ok()?;
    let mut buffer = [0; 512];
    let (length, _) = socket.recv_from(&mut buffer).ok()?;
    Header::parse(&buffer[..length]).ok().filter(|header| header.origin == stamp)
}

/// Sends a control request signed by the desk's control key; the text of the answer.
pub fn configure(opcode: u8, text: &str) -> String {
    use sim::desk::{Answer, CONTROL_KEY, ask, keys};
    let mut packet = ask(opcode, 0, text);
    packet.resize(packet.len().next_multiple_of(8), 0);
    assert!(Keys::new(&keys(), &[CONTROL_KEY]).sign(CONTROL_KEY, &mut packet));
    let answer = exchange(&socket(), &packet).expect("an answer");
    Answer::join(&[answer]).unwrap().text()
}

/// A keys file with the desk's control key, and the lines of ntp.conf that trust it.
pub fn control_key(world: &World) -> String {
    world.write("keys", "7 SHA1 control\n");
    format!("keys {}\ntrustedkey 7\ncontrolkey 7\n", world.named("keys"))
}
