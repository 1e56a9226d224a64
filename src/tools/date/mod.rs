//! `rsntpdate`: sets the clock once, with ntpdate's options and messages.
//!
//! | question | file |
//! |---|---|
//! | options, messages, setting the clock | here |
//! | polling | `ask.rs` |
//! | selection | `choose.rs` |

pub mod ask;
pub mod choose;

use super::link::{Host, unspecified};
use super::options::{self, flag, valued};
use super::query::cooked::date;
use crate::config::model::Family;
use crate::config::parse_keys;
use crate::engine::auth::Keys;
use crate::sys::clock;
use crate::sys::privileges::{Account, AccountError, DropError, Duty, drop_root};
use crate::units::{KeyId, NTP_PORT, Seconds, Stratum};
use crate::wire::header::Version;
use crate::wire::kiss::Kiss;
use ask::{Asking, Server, ask_all};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;
use syslog::{Facility, Formatter3164};

/// No server gave a usable time, or the clock could not be set, or a mistake on the command line.
const FAILED: u8 = 1;
/// Up to this offset the clock is slewed, except with `-b` or `-B`. Seconds.
const STEP_ABOVE: f64 = 0.5;
/// The longest slew the kernel is given, seconds: half an hour's offset takes 41 days.
const SLEW_MAX: f64 = 2000.0;
/// Least and greatest response timeout, seconds.
const TIMEOUT_MIN: f64 = 0.1;
const TIMEOUT_MAX: f64 = 3600.0;
/// Addresses used of a name; of all servers together.
const ADDRESSES_MAX: usize = 8;
const SERVERS_MAX: usize = 64;

/// The command line.
#[must_use]
pub fn command() -> Command {
    let number = |id, short, value, help| valued(id, short, value, help);
    options::command("rsntpdate", "rsntpdate sets the clock once from NTP servers, as ntpdate does.")
        .override_usage("rsntpdate [OPTION]... SERVER...")
        .after_help(
            "Offsets above 0.5 s are stepped, smaller ones are slewed. Samples of one server are taken 2 s apart.
While a daemon uses port 123, rsntpdate does not run, except with -q, -d or -u.

Exit status: 0, or 1 if no server could be used or the clock could not be set.",
        )
        .arg(flag("ipv4", '4', "Use IPv4 only"))
        .arg(flag("ipv6", '6', "Use IPv6 only"))
        .arg(
            number("key", 'a', "KEY", "Authenticate with key number KEY")
                .value_parser(value_parser!(u32).range(1..=65_535)),
        )
        .arg(flag("step", 'b', "Step the clock, whatever the offset"))
        .arg(flag("slew", 'B', "Slew the clock, whatever the offset"))
        .arg(flag("debug", 'd', "Print debugging output, do not set the clock"))
        .arg(number("authdelay", 'e', "SECONDS", "Accepted for compatibility, no effect"))
        .arg(
            valued("keyfile", 'k', "FILE", "Keys file, default /etc/ntp/keys")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            number("ntpversion", 'o', "N", "NTP version of requests, 1 to 4, default 4")
                .value_parser(value_parser!(u8).range(1..=4)),
        )
        .arg(
            number("samples", 'p', "N", "Samples per server, 1 to 8, default 4")
                .value_parser(value_parser!(u32).range(1..=8)),
        )
        .arg(flag("query", 'q', "Query only, do not set the clock"))
        .arg(flag("syslog", 's', "Log to syslog instead of standard output"))
        .arg(
            number("timeout", 't', "SECONDS", "Response timeout, default 1")
                .value_parser(value_parser!(f64)),
        )
        .arg(flag("unprivileged-port", 'u', "Use an unprivileged source port"))
        .arg(valued("user", 'U', "USER", "Run as USER after opening the port"))
        .arg(
            Arg::new("verbose")
                .short('v')
                .long("verbose")
                .action(ArgAction::SetTrue)
                .help("Log the version"),
        )
        .arg(Arg::new("servers").value_name("SERVER").num_args(0..).help("Names or addresses of NTP servers"))
}

/// Runs it.
#[must_use]
pub fn main(args: &[OsString]) -> u8 {
    match options::parse(command(), args, FAILED) {
        Ok(matches) => Run::new(&matches).run(&matches),
        Err(code) => code,
    }
}

/// One run: what may be done, and where messages go.
struct Run {
    query: bool,
    debug: bool,
    syslog: bool,
}

/// What a message of the log is about.
#[derive(Clone, Copy)]
enum News {
    /// Something failed.
    Fault,
    /// Something was done.
    Notice,
}

/// How the clock is set.
#[derive(Clone, Copy)]
enum Way {
    /// `-b`.
    Step,
    /// `-B`.
    Slew,
    /// A large offset is stepped, a small one slewed.
    BySize,
}

impl Run {
    fn new(matches: &ArgMatches) -> Self {
        let flag = |name| matches.get_flag(name);
        Self { query: flag("query"), debug: flag("debug"), syslog: flag("syslog") && !flag("debug") }
    }

    /// A message of the log, with the time and the process as ntpdate has them.
    fn log(&self, news: News, text: &str) {
        if self.syslog && log_by_syslog(news, text).is_ok() {
            return;
        }
        let line = format!(
            "{} ntpdate[{}]: {text}\n",
            super::local_time().format("%e %b %H:%M:%S"),
            std::process::id()
        );
        match news {
            News::Fault => super::complain(&line),
            News::Notice => super::say(&line),
        }
    }

    fn fail(&self, text: &str) -> u8 {
        self.log(News::Fault, text);
        FAILED
    }

    fn run(&self, matches: &ArgMatches) -> u8 {
        if matches.get_flag("verbose") || self.debug {
            self.log(News::Notice, concat!("rsntpdate ", env!("CARGO_PKG_VERSION")));
        }
        let mut servers = self.servers(matches);
        if servers.is_empty() {
            return self.fail("no servers can be used, exiting");
        }
        let mut how = match self.asking(matches) {
            Ok(how) => how,
            Err(why) => return self.fail(&why.to_string()),
        };
        let any_port = self.query || self.debug || matches.get_flag("unprivileged-port");
        let sockets = match sockets(&servers, if any_port { 0 } else { NTP_PORT }) {
            Ok(sockets) => sockets,
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                return self.fail("the NTP socket is in use, exiting");
            }
            Err(error) => return self.fail(&format!("bind() fails: {error}")),
        };
        if let Some(user) = matches.get_one::<String>("user")
            && let Err(why) = become_user(user)
        {
            return self.fail(&why.to_string());
        }
        if let Err(error) = ask_all(&mut servers, &sockets, &mut how) {
            return self.fail(&format!("polling failed: {error}"));
        }
        for server in &servers {
            if let Some(text) = kissed(server) {
                self.log(News::Fault, &format!("{}: {text}", server.address.ip()));
            }
        }
        self.report(&servers);
        let Some(best) = choose::choose(&servers) else {
            return self.fail("no server suitable for synchronization found");
        };
        let way = match (matches.get_flag("step"), matches.get_flag("slew")) {
            (true, _) => Way::Step,
            (false, true) => Way::Slew,
            (false, false) => Way::BySize,
        };
        self.set(&servers[best], way)
    }

    fn servers(&self, matches: &ArgMatches) -> Vec<Server> {
        let family = match (matches.get_flag("ipv4"), matches.get_flag("ipv6")) {
            (true, false) => Family::V4,
            (false, true) => Family::V6,
            _ => Family::Any,
        };
        let mut found: Vec<Server> = Vec::new();
        for name in matches.get_many::<String>("servers").into_iter().flatten() {
            match Host::find(name, family) {
                Ok(host) => {
                    for address in host.addresses.into_iter().take(ADDRESSES_MAX) {
                        let known = found.iter().any(|server| server.address == address);
                        if !known && found.len() < SERVERS_MAX {
                            found.push(Server::new(address));
                        }
                    }
                }
                Err(why) => self.log(News::Fault, &format!("Can't find host {why}")),
            }
        }
        found
    }

    /// How servers are polled, by the command line.
    fn asking(&self, matches: &ArgMatches) -> Result<Asking, Unusable> {
        let seconds = matches.get_one::<f64>("timeout").copied().unwrap_or(1.0);
        // ntpdate raises shorter ones, too.
        let seconds = seconds.max(TIMEOUT_MIN);
        if !seconds.is_finite() || seconds > TIMEOUT_MAX {
            return Err(Unusable::Timeout(seconds));
        }
        let key = match matches.get_one::<u32>("key") {
            Some(id) => {
                let file = matches
                    .get_one::<PathBuf>("keyfile")
                    .map_or(Path::new("/etc/ntp/keys"), PathBuf::as_path);
                Some((key(file, KeyId(*id))?, KeyId(*id)))
            }
            None => None,
        };
        Ok(Asking {
            samples: matches.get_one::<u32>("samples").copied().unwrap_or(4),
            gap: ask::GAP,
            timeout: Duration::from_secs_f64(seconds),
            version: matches
                .get_one::<u8>("ntpversion")
                .and_then(|v| Version::new(*v))
                .unwrap_or(Version::V4),
            key,
            trace: if self.debug {
                |what, address| super::say(&format!("{what}({})\n", address.ip()))
            } else {
                |_, _| {}
            },
        })
    }

    /// The servers and their responses, for `-q` and `-d`.
    fn report(&self, servers: &[Server]) {
        for server in servers {
            if self.debug {
                super::say(&details(server));
            } else if self.query {
                let (offset, delay) = server.best().map_or((0.0, 0.0), |best| (best.offset, best.delay));
                let stratum = server.header.map_or(0, |header| Stratum::from_wire(header.stratum).get());
                let host = server.address.ip();
                super::say(&format!(
                    "server {host}, stratum {stratum}, offset {offset:.6}, delay {delay:.5}\n"
                ));
            }
        }
    }

    /// Sets the clock by a server, or reports what would be done.
    fn set(&self, server: &Server, way: Way) -> u8 {
        let (offset, host) = (server.best().map_or(0.0, |best| best.offset), server.address.ip());
        let step = match way {
            Way::Step => true,
            Way::Slew => false,
            Way::BySize => offset.abs() > STEP_ABOVE,
        };
        if !self.query && !self.debug {
            let done = if step { clock::step(Seconds::new(offset)) } else { slew(offset) };
            if let Err(error) = done {
                let what = if step { "step" } else { "adjust" };
                return self.fail(&format!("Can't {what} time by {offset:.6} sec: {error}"));
            }
        }
        let what = if step { "step" } else { "adjust" };
        self.log(News::Notice, &format!("{what} time server {host} offset {offset:.6} sec"));
        0
    }
}

/// The log line about a server that refused to be polled further.
fn kissed(server: &Server) -> Option<String> {
    Some(match (server.kiss?, server.samples.len()) {
        (Kiss::Rate, 0) => "rate exceeded (RATE), no sample".to_owned(),
        (Kiss::Rate, 1) => "rate exceeded (RATE) after 1 sample".to_owned(),
        (Kiss::Rate, count) => format!("rate exceeded (RATE) after {count} samples"),
        (kiss @ (Kiss::Deny | Kiss::Restricted), _) => {
            format!("access denied ({}), server not used", kiss.letters())
        }
    })
}

/// Replaces any slew in progress.
fn slew(offset: f64) -> io::Result<()> {
    if offset.abs() > SLEW_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "more than 2000 s cannot be slewed"));
    }
    clock::drop_single_shot()?;
    clock::slew((offset * 1e6).round() as i32)
}

/// Why no server is polled: the command line asks for what cannot be.
#[derive(Debug)]
enum Unusable {
    /// Seconds.
    Timeout(f64),
    KeyFile(PathBuf, io::Error),
    UnknownKey(KeyId),
    Account(AccountError),
    Root(DropError),
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout(seconds) => {
                write!(f, "timeout {seconds} s is out of range, expected at most {TIMEOUT_MAX} s")
            }
            Self::KeyFile(file, why) => write!(f, "{}: {why}", file.display()),
            Self::UnknownKey(id) => write!(f, "authentication key {} unknown", id.0),
            Self::Account(why) => write!(f, "{why}"),
            Self::Root(why) => write!(f, "{why}"),
        }
    }
}

/// Gives up root, but for what adjusts the clock.
fn become_user(user: &str) -> Result<(), Unusable> {
    let account = Account::find(user).map_err(Unusable::Account)?;
    drop_root(Duty::Clock, Some(&account), None).map_err(Unusable::Root)
}

fn key(file: &Path, id: KeyId) -> Result<Keys, Unusable> {
    let text = std::fs::read(file).map_err(|why| Unusable::KeyFile(file.to_owned(), why))?;
    let (keys, _findings) = parse_keys(file, &text);
    let keys = Keys::new(&keys, &[id]);
    if keys.contains(id) { Ok(keys) } else { Err(Unusable::UnknownKey(id)) }
}

/// A socket for each family that is needed, bound to `port` (0: any).
fn sockets(servers: &[Server], port: u16) -> io::Result<Vec<UdpSocket>> {
    let mut sockets = Vec::new();
    for v4 in [true, false] {
        if let Some(server) = servers.iter().find(|server| server.address.is_ipv4() == v4) {
            let mut address = unspecified(server.address);
            address.set_port(port);
            sockets.push(bind(address)?);
        }
    }
    Ok(sockets)
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    UdpSocket::bind(address)
}

fn log_by_syslog(news: News, text: &str) -> Result<(), syslog::Error> {
    let formatter = Formatter3164 {
        facility: Facility::LOG_DAEMON,
        hostname: None,
        process: "ntpdate".to_owned(),
        pid: std::process::id(),
    };
    let mut logger = syslog::unix(formatter)?;
    match news {
        News::Fault => logger.err(text),
        News::Notice => logger.notice(text),
    }
}

/// All about a server, for `-d`.
fn details(server: &Server) -> String {
    let mut text = format!("server {}, port {}\n", server.address.ip(), server.address.port());
    if let Err(why) = choose::usable(server) {
        text += &format!("{}: Server dropped: {why}\n", server.address.ip());
    }
    let Some(header) = &server.header else { return text + "\n" };
    let best = server.best().unwrap_or(ask::Sample { offset: 0.0, delay: 0.0 });
    let column = |value: fn(&ask::Sample) -> f64| {
        server.samples.iter().map(|s| format!(" {:.5}", value(s))).collect::<String>()
    };
    text + &format!(
        "stratum {}, precision {}, leap {:02b}\nrefid [{}], root delay {:.6}, root dispersion {:.6}\n\
         transmitted {}, in filter {}\nreference time:      {}\noriginate timestamp: {}\ntransmit timestamp:  {}\n\
         filter delay: {}\nfilter offset:{}\ndelay {:.5}, dispersion {:.5}, offset {:.6}\n\n",
        Stratum::from_wire(header.stratum).get(),
        header.precision,
        header.leap.to_bits(),
        refid(header),
        header.root_delay.to_seconds().get(),
        header.root_dispersion.to_seconds().get(),
        server.sent,
        server.samples.len(),
        date(header.reference, ""),
        date(header.receive, ""),
        date(header.transmit, ""),
        column(|s| s.delay),
        column(|s| s.offset),
        best.delay,
        choose::distance(server),
        best.offset,
    )
}

fn refid(header: &crate::wire::Header) -> String {
    if header.stratum <= 1 {
        return crate::wire::varlist::visible(header.reference_id.text());
    }
    header.reference_id.to_ipv4().to_string()
}
