//! Daemons under test, each in a network namespace of its own, without the means to set the clock.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Where the daemon listens in its namespace.
pub const SERVER: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Before what else this machine does, which is not to be measured.
const NICE: &str = "-15";

/// A daemon that runs.
#[derive(Debug)]
pub struct Daemon {
    pub name: String,
    namespace: String,
    /// The measuring end of its wire.
    pub outside: String,
    child: Option<Child>,
    /// What it follows.
    server: Option<Child>,
    /// From start to the first answer, seconds.
    pub first_answer: f64,
}

/// The directory for configurations and logs.
pub fn work() -> PathBuf {
    std::env::temp_dir().join(format!("rsntpd-serve.{}", std::process::id()))
}

fn quiet(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}

/// `ip` with these words.
fn ip(words: &str) -> bool {
    quiet(Command::new("ip").args(words.split_whitespace()))
}

/// The number that the generator printed under this name.
fn value(text: &str, name: &str) -> f64 {
    let found = text.split_whitespace().find_map(|w| w.strip_prefix(name)?.strip_prefix('='));
    found.and_then(|v| v.parse().ok()).unwrap_or(f64::NAN)
}

/// The processes in a namespace.
fn pids_in(namespace: &str) -> Vec<String> {
    let output = Command::new("ip").args(["netns", "pids", namespace]).output();
    let text = output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

impl Daemon {
    /// Starts `program` (words, `{conf}` for the file with `conf`) pinned to processor 0.
    pub fn start(name: &str, program: &str, conf: &str) -> Result<Self, String> {
        Self::start_behind(name, program, conf, None)
    }

    /// The same, with another daemon at the other end of its wire, program and configuration: then the
    /// first answer is the first one that says that it follows that.
    pub fn start_behind(
        name: &str,
        program: &str,
        conf: &str,
        server: Option<(&str, &str)>,
    ) -> Result<Self, String> {
        let namespace = format!("rsb{}-{name}", std::process::id());
        let outside = format!("{namespace}-o");
        let file = work().join(format!("{name}.conf"));
        fs::write(&file, conf).map_err(|e| e.to_string())?;
        let wire = [
            format!("netns add {namespace}"),
            format!("netns add {outside}"),
            format!("-n {namespace} link set lo up"),
            format!("-n {outside} link set lo up"),
            format!("-n {namespace} link add eth0 type veth peer name eth0 netns {outside}"),
            format!("-n {namespace} addr add 10.99.0.1/24 dev eth0"),
            format!("-n {outside} addr add 10.99.0.2/24 dev eth0"),
            format!("-n {namespace} link set eth0 up"),
            format!("-n {outside} link set eth0 up"),
        ];
        if let Some(failed) = wire.iter().find(|words| !ip(words)) {
            return Err(format!("ip {failed} failed"));
        }
        let log = fs::File::create(work().join(format!("{name}.log"))).map_err(|e| e.to_string())?;
        // A private view of what the daemons write, and of the users that they ask for.
        let script = "mount -t tmpfs none /var/lib; mount -t tmpfs none /run; mkdir -p /var/lib/openntpd/db \
            /var/lib/openntpd/run /run/openntpd; mount --bind \"$0/passwd\" /etc/passwd; cd /; \
            echo $EPOCHREALTIME > \"$0/started\"; exec setpriv --bounding-set -sys_time --inh-caps -sys_time -- \"$@\"";
        let program = program.replace("{conf}", &file.to_string_lossy());
        let mut command = Command::new("ip");
        command.args([
            "netns", "exec", &namespace, "nice", "-n", NICE, "taskset", "-c", "0", "unshare", "-m", "bash",
            "-c", script,
        ]);
        command.arg(work()).args(program.split_whitespace());
        let errors = log.try_clone().map_err(|e| e.to_string())?;
        let mut daemon =
            Self { name: name.to_owned(), namespace, outside, child: None, server: None, first_answer: 0.0 };
        let mut asks = "rate=2000 seconds=10 sources=1 first=1";
        if let Some((program, conf)) = server {
            daemon.server = Some(daemon.start_server(program, conf)?);
            asks = "rate=500 seconds=20 sources=1 first=1 synchronised=1";
        }
        let asking = daemon.generator(&daemon.namespace, "load", asks).spawn();
        let asking = asking.map_err(|e| e.to_string())?;
        std::thread::sleep(Duration::from_millis(50));
        daemon.child = Some(command.stdout(log).stderr(errors).spawn().map_err(|e| e.to_string())?);
        let output = asking.wait_with_output().map_err(|e| e.to_string())?;
        let first = value(&String::from_utf8_lossy(&output.stdout), "first");
        let started = fs::read_to_string(work().join("started")).unwrap_or_default();
        daemon.first_answer = first - started.trim().parse().unwrap_or(f64::NAN);
        if first.is_nan() {
            let log = fs::read_to_string(work().join(format!("{name}.log"))).unwrap_or_default();
            return Err(format!("no answer; it says: {}", log.lines().last().unwrap_or("nothing")));
        }
        Ok(daemon)
    }

    fn start_server(&self, program: &str, conf: &str) -> Result<Child, String> {
        let file = work().join(format!("{}-server.conf", self.name));
        fs::write(&file, conf).map_err(|e| e.to_string())?;
        let program = program.replace("{conf}", &file.to_string_lossy());
        let mut command = Command::new("ip");
        let tame = ["setpriv", "--bounding-set", "-sys_time", "--inh-caps", "-sys_time", "--"];
        command.args(["netns", "exec", &self.outside]).args(tame).args(program.split_whitespace());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().map_err(|e| e.to_string())?;
        std::thread::sleep(Duration::from_secs(2));
        Ok(child)
    }

    /// Runs the load generator beside the daemon, pinned to processor 1.
    pub fn load(&self, plan: &str) -> Result<Loaded, String> {
        self.load_in(&self.namespace, "load", plan)
    }

    /// Exchanges keys with the daemon, as many as can be.
    pub fn exchange_keys(&self, plan: &str) -> Result<Loaded, String> {
        self.load_in(&self.namespace, "keys", plan)
    }

    /// Runs it at the other end of the wire.
    pub fn load_outside(&self, plan: &str) -> Result<Loaded, String> {
        self.load_in(&self.outside, "load", &format!("server=10.99.0.1 {plan}"))
    }

    fn load_in(&self, namespace: &str, which: &str, plan: &str) -> Result<Loaded, String> {
        let cpu = self.cpu_nanos();
        let child = self.generator(namespace, which, plan).spawn().map_err(|e| e.to_string())?;
        let output = child.wait_with_output().map_err(|e| e.to_string())?;
        if !output.status.success() {
            return Err(format!("{which} {plan} beside {} failed", self.name));
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let value = |name: &str| value(&text, name);
        Ok(Loaded {
            sent: value("sent"),
            received: value("received"),
            seconds: value("seconds"),
            turnaround: value("turnaround"),
            turnaround_worst: value("turnaround99"),
            offset: value("offset"),
            offset_worst: value("offset99"),
            cpu: (self.cpu_nanos() - cpu) as f64 * 1e-3,
        })
    }

    fn generator(&self, namespace: &str, which: &str, plan: &str) -> Command {
        let own = std::env::current_exe().unwrap_or_default();
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace, "nice", "-n", NICE, "taskset", "-c", "1"]);
        command.arg(own).arg(which).args(plan.split_whitespace()).stdout(Stdio::piped());
        command
    }

    fn pids(&self) -> Vec<String> {
        pids_in(&self.namespace)
    }

    /// Every thread of every process of the daemon.
    fn tasks(&self) -> Vec<PathBuf> {
        let of = |pid: &String| fs::read_dir(Path::new("/proc").join(pid).join("task")).ok();
        self.pids().iter().filter_map(of).flatten().flatten().map(|entry| entry.path()).collect()
    }

    fn cpu_nanos(&self) -> u64 {
        let of = |task: &PathBuf| -> Option<u64> {
            fs::read_to_string(task.join("schedstat")).ok()?.split_whitespace().next()?.parse().ok()
        };
        self.tasks().iter().filter_map(of).sum()
    }

    fn status(&self, field: &str) -> u64 {
        let of = |task: &PathBuf| -> Option<u64> {
            let text = fs::read_to_string(task.join("status")).ok()?;
            let line = text.lines().find(|l| l.starts_with(field))?;
            line.split_whitespace().nth(1)?.parse().ok()
        };
        self.tasks().iter().filter_map(of).sum()
    }

    /// How often its threads have gone to sleep.
    pub fn wake_ups(&self) -> u64 {
        self.status("voluntary_ctxt_switches")
    }

    /// Resident memory of all its processes, kB: `VmRSS`, or a part of it.
    pub fn memory(&self, which: &str) -> u64 {
        let of = |pid: &String| -> Option<u64> {
            let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            text.lines().find(|l| l.starts_with(which))?.split_whitespace().nth(1)?.parse().ok()
        };
        self.pids().iter().filter_map(of).sum()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        for pid in self.pids().into_iter().chain(pids_in(&self.outside)) {
            let _gone = quiet(Command::new("kill").arg(pid));
        }
        std::thread::sleep(Duration::from_millis(100));
        for pid in self.pids().into_iter().chain(pids_in(&self.outside)) {
            let _gone = quiet(Command::new("kill").args(["-9", &pid]));
        }
        let _reaped = self.child.as_mut().map(Child::wait);
        let _reaped = self.server.as_mut().map(Child::wait);
        ip(&format!("netns del {}", self.namespace));
        ip(&format!("netns del {}", self.outside));
    }
}

/// What a run of the generator came to; times in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Loaded {
    pub sent: f64,
    pub received: f64,
    pub seconds: f64,
    pub turnaround: f64,
    pub turnaround_worst: f64,
    pub offset: f64,
    pub offset_worst: f64,
    /// Processor time of the daemon.
    pub cpu: f64,
}

impl Loaded {
    pub fn per_second(&self) -> f64 {
        self.received / self.seconds
    }

    pub fn cost(&self) -> f64 {
        self.cpu / self.received
    }

    pub fn lost(&self) -> f64 {
        self.sent - self.received
    }
}
