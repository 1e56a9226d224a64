//! GPSD_JSON (type 46): the JSON port of gpsd, which has the receiver.
//!
//! Units from 128 on are of the same receivers, and give their pulses only. A connection that is lost is made anew here, as gpsd
//! comes and goes sooner than devices do. What is used of times and pulses is the engine's business.

use super::driver::{Behaviour, Drained, Turn};
use super::error::OpenError;
use super::lines::Lines;
use super::stream::{Stream, described};
use crate::engine::contract::{ClockDevice, DeviceReport, Reading, Reads, Trouble};
use crate::engine::report::event::Level;
use crate::sys::clock;
use crate::units::{Driver, Seconds, UnixTime};
use crate::wire::refclock::gpsd::{self, Fix, Protocol, Record, Stamps};
use chrono::DateTime;
use mio::Interest;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::FileTypeExt as _;

/// gpsd's port.
const PORT: u16 = 2947;
/// `mode` 0: serial time only; its lowest two bits are the mode.
const MODE: u32 = 3;
/// A lost connection is made anew after this many seconds, which grow by some with each attempt up to the most.
const RETRY: u32 = 10;
const RETRY_MORE: u32 = 5;
const RETRY_MOST: u32 = 120;
/// After so many seconds without a line gpsd is asked again, and after some more it counts as lost.
const ASK: u32 = 30;
const SILENCE: u32 = 90;
/// The same trouble is logged once in so many seconds.
const LOG_PAUSE: u32 = 3600;
/// Reads in a turn.
const READS: usize = 16;
/// A record's stamp is not older than this, nor in the future by more than the other, or the clock was set in between.
const OLDEST: Seconds = Seconds::new(5.0);
const AHEAD: Seconds = Seconds::new(0.5);

/// A receiver that gpsd has.
#[derive(Debug)]
pub(super) struct Gpsd {
    name: String,
    /// As gpsd was given it.
    device: String,
    servers: Vec<SocketAddr>,
    wanted: Wanted,
    throttle: Throttle,
    link: Link,
    lines: Lines,
    protocol: Option<Protocol>,
    /// Why nothing comes, which is reported each second until something does.
    fault: Option<String>,
    has_fix: bool,
    /// Of the receiver's time, by its fix.
    precision: Option<i8>,
    /// Seconds until the next attempt, if this one fails.
    retry: u32,
    /// Since a line came.
    silent: u32,
}

/// What is reported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Wanted {
    times: bool,
    pulses: bool,
}

/// The connection.
#[derive(Debug)]
enum Link {
    /// There is none: seconds until the next attempt.
    Down(u32),
    /// It is made, or is being made, to this one of the servers.
    Up(Stream, usize),
}

/// What may be logged again, and when.
#[derive(Debug)]
struct Throttle {
    off: bool,
    /// Seconds.
    left: u32,
}

/// What was read in a turn.
#[derive(Debug)]
struct Arrived {
    lines: Vec<(Vec<u8>, UnixTime)>,
    end: io::Result<Drained>,
}

impl Gpsd {
    pub(super) fn open(device: &ClockDevice) -> Result<Self, OpenError> {
        let loopback =
            [SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)), SocketAddr::from((Ipv6Addr::LOCALHOST, PORT))];
        Self::of(device, loopback.to_vec())
    }

    fn of(device: &ClockDevice, servers: Vec<SocketAddr>) -> Result<Self, OpenError> {
        let path = device.path().ok_or(OpenError::NoPath)?;
        match std::fs::metadata(&path) {
            Ok(found) if found.file_type().is_char_device() => {}
            Ok(_) => return Err(OpenError::NoCharacterDevice(path)),
            Err(why) => return Err(OpenError::device(path, &why)),
        }
        let [_, ignore_pulses, log_all, _] = device.fudge.flags;
        let only_pulses = device.unit >= Driver::GPSD_PULSES;
        let wanted = Wanted {
            times: !only_pulses,
            pulses: !ignore_pulses && (only_pulses || device.device.mode & MODE != 0),
        };
        Ok(Self {
            name: format!("{}({})", device.driver.name(), device.unit),
            device: path.to_string_lossy().into_owned(),
            servers,
            wanted,
            throttle: Throttle { off: log_all, left: 0 },
            link: Link::Down(0),
            lines: Lines::new(gpsd::LONGEST),
            protocol: None,
            fault: None,
            has_fix: false,
            precision: None,
            retry: RETRY,
            silent: 0,
        })
    }

    /// Begins to connect to this server, or else to the next one.
    fn connect(&mut self, server: usize, turn: &mut Turn<'_>) {
        let Some(address) = self.servers.get(server) else { return };
        let begun = Stream::connect(*address).and_then(|stream| {
            turn.watch(stream.raw_fd(), Interest::READABLE | Interest::WRITABLE)?;
            Ok(stream)
        });
        self.silent = 0;
        match begun {
            Ok(stream) => self.link = Link::Up(stream, server),
            Err(why) => self.failed(server, &why, turn),
        }
    }

    /// The connection to this server failed, or could not be made.
    fn failed(&mut self, server: usize, why: &io::Error, turn: &mut Turn<'_>) {
        self.lines.clear();
        (self.has_fix, self.precision) = (false, None);
        if self.protocol.take().is_none() && server + 1 < self.servers.len() {
            self.connect(server + 1, turn);
            return;
        }
        let text = format!("gpsd, port {PORT} of localhost: {}", described(why));
        self.faulty(text, turn);
        self.link = Link::Down(self.retry);
        self.retry = (self.retry + RETRY_MORE).min(RETRY_MOST);
    }

    /// Nothing comes for now, for this reason.
    fn faulty(&mut self, text: String, turn: &mut Turn<'_>) {
        if self.throttle.admits() {
            turn.notice(Level::Warning, format!("{}: {text}", self.name));
        }
        turn.report(DeviceReport::Trouble { trouble: Trouble::Fault, text: text.clone() });
        self.fault = Some(text);
    }

    fn send(&mut self, line: &str, turn: &mut Turn<'_>) {
        if let Link::Up(stream, server) = &mut self.link
            && let Err(why) = stream.send(line)
        {
            let server = *server;
            self.failed(server, &why, turn);
        }
    }

    /// Asks for a sign of life, and for the receiver: gpsd opens one again that was unplugged, or that it was given since, if it is
    /// asked for.
    fn ask(&mut self, turn: &mut Turn<'_>) {
        let watch = self.protocol.map(|protocol| gpsd::watch(&self.device, protocol)).unwrap_or_default();
        self.send(&format!("{}{watch}", gpsd::ALIVE), turn);
    }

    fn line(&mut self, line: &[u8], at: UnixTime, turn: &mut Turn<'_>) {
        self.silent = 0;
        match gpsd::parse(line) {
            Ok(record) => self.record(record, at, turn),
            Err(why) => {
                turn.report(DeviceReport::Trouble { trouble: Trouble::BadFormat, text: why.to_string() });
            }
        }
    }

    fn record(&mut self, record: Record, at: UnixTime, turn: &mut Turn<'_>) {
        if matches!(record, Record::Fix(_) | Record::Offset(_) | Record::Pulse(_)) {
            self.fault = None;
        }
        let with_offsets = self.protocol >= Some(Protocol::WITH_OFFSETS);
        match record {
            Record::Version { protocol, release } => self.greeted(protocol, &release, turn),
            Record::Fix(fix) if self.is_ours(fix.device.as_deref()) => self.fix(&fix, at, turn),
            // Without a fix a receiver guesses.
            Record::Offset(stamps)
                if with_offsets && self.has_fix && self.is_ours(stamps.device.as_deref()) =>
            {
                self.time(&stamps, turn);
            }
            Record::Pulse(stamps) if self.wanted.pulses && self.is_ours(stamps.device.as_deref()) => {
                self.pulse(&stamps, turn);
            }
            Record::Error(message) => {
                let text = format!("gpsd reports: {message}");
                self.faulty(text, turn);
            }
            Record::Fix(_) | Record::Offset(_) | Record::Pulse(_) | Record::Other => {}
        }
    }

    fn is_ours(&self, device: Option<&str>) -> bool {
        device.is_none_or(|device| device == self.device)
    }

    /// gpsd says which one it is: first of all, and when it is asked for a sign of life.
    fn greeted(&mut self, protocol: Protocol, release: &str, turn: &mut Turn<'_>) {
        self.fault = None;
        if self.protocol.replace(protocol).is_some() {
            return;
        }
        self.retry = RETRY;
        let name = &self.name;
        turn.notice(Level::Info, format!("{name}: GPSD release={release} protocol={protocol}"));
        let request = gpsd::watch(&self.device, protocol);
        self.send(&request, turn);
    }

    fn fix(&mut self, fix: &Fix, at: UnixTime, turn: &mut Turn<'_>) {
        self.has_fix = fix.is_one();
        self.precision = fix.error.and_then(exponent);
        if !self.has_fix {
            let text = format!("no fix, mode {}", fix.mode);
            turn.report(DeviceReport::Trouble { trouble: Trouble::BadSignal, text });
        } else if self.protocol < Some(Protocol::WITH_OFFSETS)
            && let Some(real) = fix.time
        {
            self.time(&Stamps { device: None, real, clock: at, precision: None }, turn);
        }
    }

    /// The time by the receiver's serial line.
    fn time(&self, stamps: &Stamps, turn: &mut Turn<'_>) {
        if self.wanted.times {
            let offset = stamps.real.since(stamps.clock);
            reading(Reads::Time, offset, stamps, stamps.precision.or(self.precision), turn);
        }
    }

    fn pulse(&self, stamps: &Stamps, turn: &mut Turn<'_>) {
        let offset = stamps.real.since(stamps.clock).fraction();
        reading(Reads::Pulse, offset, stamps, stamps.precision, turn);
    }

    fn arrived(&mut self) -> Option<(Arrived, usize)> {
        let Link::Up(stream, server) = &mut self.link else { return None };
        let mut lines = Vec::new();
        let mut buffer = [0; 4096];
        let mut read = || -> io::Result<Drained> {
            if !stream.is_connected()? {
                return Ok(Drained::All);
            }
            for _ in 0..READS {
                match stream.read(&mut buffer) {
                    Ok(0) => return Err(io::Error::other("it has closed the connection")),
                    Ok(length) => {
                        let at = clock::unix_time();
                        lines.extend(self.lines.push(&buffer[..length]).into_iter().map(|line| (line, at)));
                    }
                    Err(why) if why.kind() == io::ErrorKind::WouldBlock => return Ok(Drained::All),
                    Err(why) => return Err(why),
                }
            }
            Ok(Drained::More)
        };
        let end = read();
        Some((Arrived { lines, end }, *server))
    }
}

/// Reports a reading, unless its stamp is of another time.
fn reading(reads: Reads, offset: Seconds, stamps: &Stamps, precision: Option<i8>, turn: &mut Turn<'_>) {
    let age = clock::unix_time().since(stamps.clock);
    let text = in_words(stamps.real);
    if age > OLDEST || age < AHEAD * -1.0 {
        turn.report(DeviceReport::Trouble { trouble: Trouble::BadTime, text });
        return;
    }
    let reading = Reading::new(reads, stamps.clock.ntp(), offset, text);
    turn.report(DeviceReport::Reading(Reading { precision, ..reading }));
}

impl Behaviour for Gpsd {
    fn begin(&mut self, turn: &mut Turn<'_>) {
        match &self.link {
            Link::Down(_) => self.connect(0, turn),
            Link::Up(stream, server) => {
                let server = *server;
                if let Err(why) = turn.watch(stream.raw_fd(), Interest::READABLE | Interest::WRITABLE) {
                    self.failed(server, &why, turn);
                }
            }
        }
    }

    fn ready(&mut self, turn: &mut Turn<'_>) -> Drained {
        let Some((Arrived { lines, end }, server)) = self.arrived() else { return Drained::All };
        for (line, at) in lines {
            self.line(&line, at, turn);
        }
        end.unwrap_or_else(|why| {
            // A request may have failed before.
            if matches!(self.link, Link::Up(_, now) if now == server) {
                self.failed(server, &why, turn);
            }
            Drained::All
        })
    }

    fn wants_ticks(&self) -> bool {
        true
    }

    fn tick(&mut self, turn: &mut Turn<'_>) {
        self.throttle.left = self.throttle.left.saturating_sub(1);
        if let Some(text) = self.fault.clone() {
            turn.report(DeviceReport::Trouble { trouble: Trouble::Fault, text });
        }
        self.silent += 1;
        match &mut self.link {
            Link::Down(left) if *left > 1 => *left -= 1,
            Link::Down(_) => self.connect(0, turn),
            Link::Up(_, server) if self.silent > SILENCE => {
                let server = *server;
                self.failed(server, &io::Error::other("no sign of life"), turn);
            }
            Link::Up(..) if self.silent == ASK => self.ask(turn),
            Link::Up(..) => {}
        }
    }
}

impl Throttle {
    fn admits(&mut self) -> bool {
        let admits = self.off || self.left == 0;
        if admits {
            self.left = LOG_PAUSE;
        }
        admits
    }
}

/// log2 seconds, as far as a clock may claim.
fn exponent(error: Seconds) -> Option<i8> {
    let exponent = error.get().log2().round();
    exponent.is_finite().then(|| exponent.clamp(-30.0, 7.0) as i8)
}

/// A time as ntpd writes it.
fn in_words(time: UnixTime) -> String {
    let stamp = time.ntp();
    let date = DateTime::from_timestamp(time.seconds(), time.nanos());
    let words = date.map(|date| date.format("%a, %b %e %Y %k:%M:%S%.3f").to_string()).unwrap_or_default();
    format!("{stamp:?}  {words}")
}

#[cfg(test)]
mod tests;
