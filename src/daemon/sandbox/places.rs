//! Where the daemon reads and writes, by its configuration. It is always folders: files are replaced by others of their name.

use crate::config::model::{ClockAddress, Config, Server, Target};
use crate::daemon::nts::keys;
use crate::daemon::start::cli::Options;
use crate::daemon::statistics::StatFiles;
use crate::sys::landlock::{Access, Net};
use crate::sys::seccomp::{Libc, Process};
use crate::units::Driver;
use crate::wire::nts::KE_PORT;
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

/// What all machines have their names, zones, roots and devices in; what of it a user may read, the files' modes say.
const SYSTEM: [&str; 7] = ["/etc", "/usr/share", "/run", "/var/run", "/proc", "/sys", "/dev"];
/// Files of the system that may be links to elsewhere.
const LINKS: [&str; 3] = ["/etc/resolv.conf", "/etc/hosts", "/etc/localtime"];
/// TCP ports of DNS and gpsd.
const PORTS: [u16; 2] = [53, 2947];

/// What a process reads, writes and calls.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Places {
    pub(super) paths: BTreeSet<(PathBuf, Access)>,
    pub(super) ports: BTreeSet<u16>,
    pub(super) net: Net,
}

/// What the rules in force do not allow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Lacking {
    Folder(PathBuf),
    Port(u16),
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "{}", path.display()),
            Self::Port(port) => write!(f, "TCP port {port}"),
        }
    }
}

impl Places {
    pub(super) fn of(process: Process, options: &Options, config: &Config, read: &[PathBuf]) -> Self {
        Self::by_libc(process, options, config, read, Libc::OF_PROGRAM)
    }

    /// Name services of the machine's C library may read, and connect to, anything: there only writing is held back.
    fn by_libc(process: Process, options: &Options, config: &Config, read: &[PathBuf], whose: Libc) -> Self {
        let net = if whose == Libc::Own { Net::Ports } else { Net::Free };
        let mut this = Self { paths: BTreeSet::new(), ports: BTreeSet::new(), net };
        if whose == Libc::Own {
            this.read(options, config, read);
        } else {
            this.add("/", Access::Read);
        }
        for logfile in [&options.logfile, &config.logfile].into_iter().flatten() {
            this.beside(logfile, Access::Write);
        }
        if process == Process::Main {
            this.write(options, config);
            this.devices(config);
            this.connect(config);
        }
        this
    }

    fn add(&mut self, path: impl Into<PathBuf>, access: Access) {
        self.paths.insert((path.into(), access));
    }

    /// The folder that a file is in.
    fn beside(&mut self, file: &Path, access: Access) {
        self.paths.extend(file.parent().map(|folder| (folder.to_owned(), access)));
    }

    fn read(&mut self, options: &Options, config: &Config, read: &[PathBuf]) {
        SYSTEM.iter().for_each(|folder| self.add(*folder, Access::Read));
        let nts = &config.nts;
        let of_lines = config.servers.iter().filter_map(|server| server.nts.as_ref()?.ca.as_ref());
        let named = [&config.auth.keys, &config.leapfile, &nts.certificate, &nts.key, &nts.ca];
        let files =
            read.iter().chain([&options.configfile]).chain(named.into_iter().flatten()).chain(of_lines);
        for file in files.map(PathBuf::as_path).chain(LINKS.map(Path::new)) {
            self.beside(file, Access::Read);
            if let Ok(real) = file.canonicalize() {
                self.beside(&real, Access::Read);
            }
        }
        // It may be a folder.
        self.paths.extend(nts.ca.iter().map(|ca| (ca.clone(), Access::Read)));
    }

    fn write(&mut self, options: &Options, config: &Config) {
        let nts = &config.nts;
        let cookies = nts.cookie_keys.clone().unwrap_or_else(|| keys::DEFAULT.into());
        for file in config.driftfile.iter().chain(nts.serves.then_some(&cookies)) {
            self.beside(file, Access::Write);
        }
        // What is written there, ntpq can change.
        let statistics = &config.statistics;
        let names = statistics.filegens.iter().map(|filegen| filegen.file.as_str());
        for name in names.chain([""]) {
            self.beside(&StatFiles::base(statistics.dir.as_deref(), &format!("{name}x")), Access::Write);
        }
        for folder in [&config.saveconfigdir, &nts.dump].into_iter().flatten() {
            self.add(folder, Access::Write);
        }
        // They are removed at the end.
        for pidfile in [&options.pidfile, &config.pidfile].into_iter().flatten() {
            self.beside(pidfile, Access::Socket);
        }
    }

    fn devices(&mut self, config: &Config) {
        self.add("/dev", Access::Device);
        for Server { target, device, .. } in &config.servers {
            let driver = target.clock().and_then(ClockAddress::driver);
            let access = if driver == Some(Driver::Sock) { Access::Socket } else { Access::Device };
            device.path.iter().for_each(|path| self.beside(path, access));
            device.pulse_path.iter().for_each(|path| self.beside(path, Access::Device));
        }
    }

    fn connect(&mut self, config: &Config) {
        if self.net == Net::Ports {
            let lines =
                config.servers.iter().filter(|server| !matches!(server.target, Target::RefClock { .. }));
            self.ports.extend(lines.filter_map(|server| server.nts.as_ref()?.port));
            self.ports.extend(PORTS.into_iter().chain([KE_PORT]));
        }
    }

    /// What `wanted` has and these do not allow.
    pub(super) fn lacking(&self, wanted: &Self) -> Vec<Lacking> {
        let allowed = |(path, access): &&(PathBuf, Access)| {
            self.paths.iter().any(|(folder, given)| path.starts_with(folder) && given.includes(*access))
        };
        let folders = wanted.paths.iter().filter(|place| !allowed(place));
        let ports = wanted.ports.difference(&self.ports);
        folders
            .map(|(path, _)| Lacking::Folder(path.clone()))
            .chain(ports.map(|port| Lacking::Port(*port)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn places(process: Process, text: &str, whose: Libc) -> Places {
        let parsed = config::parse(Path::new("/etc/ntp.conf"), text.as_bytes(), &mut |_| Err("".into()));
        let options = Options {
            configfile: "/srv/time/ntp.conf".into(),
            pidfile: Some("/run/rsntpd.pid".into()),
            ..Options::default()
        };
        Places::by_libc(process, &options, &parsed.config, &[], whose)
    }

    const ALL: &str = "driftfile /var/lib/ntp/drift\nlogfile /var/log/ntp/log\nkeys /opt/keys/keys\n\
                       statsdir /var/stat/\nsaveconfigdir /var/save\nnts dump /var/dump\n\
                       nts enable cert /opt/tls/c key /opt/tls/k cookie /var/cookie/keys\n\
                       refclock sock unit 1 path /var/sock/time\nrefclock nmea unit 1 path /opt/dev/gps\n\
                       server a:4461 nts ca /opt/roots/pem\n";

    #[test]
    fn what_is_named_may_be_read_and_only_what_is_made_be_written() {
        let main = places(Process::Main, ALL, Libc::Own);
        let of = |access| {
            let of_kind = main.paths.iter().filter(move |(_, given)| *given == access);
            of_kind.map(|(path, _)| path.to_string_lossy()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(of(Access::Write), "/var/cookie /var/dump /var/lib/ntp /var/log/ntp /var/save /var/stat");
        assert_eq!(of(Access::Socket), "/run /var/sock");
        assert_eq!(of(Access::Device), "/dev /opt/dev");
        for folder in ["/srv/time", "/opt/keys", "/opt/tls", "/opt/roots", "/etc", "/proc"] {
            assert!(main.paths.contains(&(folder.into(), Access::Read)), "{folder}");
        }
        assert_eq!(main.ports, [53, 2947, 4460, 4461].into());
    }

    #[test]
    fn processes_that_do_not_keep_time_write_the_log_and_call_no_port() {
        for process in [Process::Worker, Process::KeyExchange] {
            let found = places(process, ALL, Libc::Own);
            let written: Vec<_> = found.paths.iter().filter(|(_, access)| *access != Access::Read).collect();
            assert_eq!(written, [&("/var/log/ntp".into(), Access::Write)]);
            assert!(found.ports.is_empty() && found.net == Net::Ports);
        }
    }

    #[test]
    fn where_the_c_library_is_the_machines_all_may_be_read() {
        let found = places(Process::Main, ALL, Libc::Foreign);
        let read: Vec<_> = found.paths.iter().filter(|(_, access)| *access == Access::Read).collect();
        assert_eq!(read, [&("/".into(), Access::Read)]);
        assert!(found.ports.is_empty() && found.net == Net::Free);
    }

    #[test]
    fn what_a_reload_adds_elsewhere_takes_a_restart() {
        let before = places(Process::Main, "driftfile /var/lib/ntp/drift\n", Libc::Own);
        let lacking = |text: &str| before.lacking(&places(Process::Main, text, Libc::Own));
        assert_eq!(lacking("driftfile /var/lib/ntp/other\nkeys /etc/keys\n"), []);
        assert_eq!(lacking("driftfile /var/lib/ntp/below/other\n"), []);
        assert_eq!(lacking("keys /opt/keys/keys\n"), [Lacking::Folder("/opt/keys".into())]);
        // It may be read already.
        assert_eq!(lacking("driftfile /etc/drift\n"), [Lacking::Folder("/etc".into())]);
        assert_eq!(lacking("server a:4461 nts\n"), [Lacking::Port(4461)]);
        let text = Lacking::Folder("/opt/keys".into()).to_string();
        assert_eq!(text, "/opt/keys");
    }
}
