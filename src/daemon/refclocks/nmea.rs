//! NMEA (type 20): a receiver that sends sentences, over a serial line or from a server of these.
//!
//! A sentence's time stamp is when its end was read. What it is off by is the line's speed and the receiver: `time2` corrects it.

use super::driver::{Behaviour, Drained, Turn};
use super::error::OpenError;
use super::lines::Lines;
use super::pulse::{self, PulseDevice};
use super::stream::{Stream, described};
use crate::engine::contract::{ClockDevice, DeviceReport, Reading, Reads, Trouble};
use crate::engine::report::event::Level;
use crate::sys::clock;
use crate::sys::tty::Tty;
use crate::units::{BUILT, Driver, MonoTime, Seconds, UnixTime};
use crate::wire::refclock::nmea::{self, Heard, Mode, Position, Receiver, Sentence, Unusable, WallTime};
use mio::Interest;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

/// Reads in a turn: a receiver sends a dozen sentences a second.
const READS: usize = 32;
/// A connection in which nothing comes for so many seconds is made anew: the other side may be gone without a word.
const SILENCE: u32 = 120;
/// The time between two sentences is that between their stamps, but for this; or one of them has waited to be read.
const WAITED: Seconds = Seconds::new(0.5);

/// A receiver.
#[derive(Debug)]
pub(super) struct Nmea {
    name: String,
    path: PathBuf,
    port: Port,
    mode: Mode,
    receiver: Receiver,
    lines: Lines,
    last: Option<Taken>,
    pulses: Pulses,
    /// The last sentence: clock variables show it, also while pulses are followed.
    text: String,
    /// By how many weeks its dates are moved.
    weeks: i64,
    /// Since something came.
    silent: u32,
    announced: bool,
}

/// What it is attached to.
#[derive(Debug)]
enum Port {
    Serial(Tty, u32),
    Net(Stream, SocketAddr),
}

/// Its pulses (`flag1`).
#[derive(Debug)]
enum Pulses {
    /// There are none, or they are not wanted.
    None,
    /// They are wanted, but there are none: why, until it is logged.
    Missing(String),
    Open(PulseDevice),
}

/// The last sentence, and when it was read.
#[derive(Clone, Copy, Debug)]
struct Taken {
    seconds: i64,
    read: MonoTime,
}

/// When a line was read.
#[derive(Clone, Copy, Debug)]
struct Stamp {
    wall: UnixTime,
    mono: MonoTime,
}

/// A sentence's reading.
#[derive(Debug)]
struct Timed {
    reading: Reading,
    /// It has waited to be read, or the one before it.
    waited: bool,
}

/// Why nothing more comes.
#[derive(Debug)]
enum Lost {
    HungUp,
    Silent,
    Os(io::Error),
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HungUp => f.write_str("hung up"),
            Self::Silent => write!(f, "nothing came for {SILENCE} s"),
            Self::Os(why) => f.write_str(&described(why)),
        }
    }
}

impl Nmea {
    pub(super) fn open(device: &ClockDevice) -> Result<Self, OpenError> {
        let path = device.path().ok_or(OpenError::NoPath)?;
        let mode = Mode::of(device.device.mode);
        let speed = device.device.baud.unwrap_or(mode.speed);
        let port = match net_address(&path) {
            Some(address) => {
                let address = address?;
                let stream = Stream::connect(address).map_err(|why| OpenError::connect(address, &why))?;
                Port::Net(stream, address)
            }
            None => Tty::open(&path, speed)
                .map(|tty| Port::Serial(tty, speed))
                .map_err(|why| OpenError::Line(path.clone(), why))?,
        };
        let [wanted, _, _, hidden] = device.fudge.flags;
        let pulses = if wanted { port.pulses(device, &path) } else { Pulses::None };
        let position = if hidden { Position::Hidden } else { Position::Shown };
        Ok(Self {
            name: format!("{}({})", device.driver.name(), device.unit),
            path,
            port,
            mode,
            receiver: Receiver::new(mode, position),
            lines: Lines::new(nmea::LONGEST),
            last: None,
            pulses,
            text: String::new(),
            weeks: 0,
            silent: 0,
            announced: false,
        })
    }

    /// Reads what is there, but not for long.
    fn read(&mut self, turn: &mut Turn<'_>) -> Result<Drained, Lost> {
        let mut buffer = [0; 1024];
        let mut readings = Vec::new();
        let mut drained = Drained::More;
        for _ in 0..READS {
            let length = match self.port.read(&mut buffer) {
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => {
                    drained = Drained::All;
                    break;
                }
                result => result.map_err(Lost::Os)?,
            };
            let at = Stamp { wall: clock::unix_time(), mono: clock::mono() };
            if length == 0 {
                return Err(Lost::HungUp);
            }
            self.silent = 0;
            for line in self.lines.push(&buffer[..length]) {
                readings.extend(self.hear(&line, at, turn));
            }
        }
        // More than one second has waited: no stamp is right, the last one's may not be either.
        if readings.len() == 1
            && let Some(Timed { reading, waited: false }) = readings.pop()
        {
            turn.report(DeviceReport::Reading(reading));
        }
        Ok(drained)
    }

    fn hear(&mut self, line: &[u8], at: Stamp, turn: &mut Turn<'_>) -> Option<Timed> {
        let (why, text) = match self.receiver.hear(line) {
            Heard::Nothing => return None,
            Heard::Unusable { why, text } => (why, text),
            Heard::Time { sentence, text } => match self.reading(&sentence, at, turn) {
                Ok(mut timed) => {
                    self.text.clone_from(&text);
                    timed.reading.text = text;
                    return Some(timed);
                }
                Err(why) => (why, text),
            },
        };
        turn.report(DeviceReport::Trouble { trouble: trouble(why), text });
        None
    }

    /// How far the receiver is ahead.
    fn reading(&mut self, sentence: &Sentence, at: Stamp, turn: &mut Turn<'_>) -> Result<Timed, Unusable> {
        let known = WallTime { wall: at.wall.seconds(), built: BUILT };
        let time = nmea::unfold(sentence, known, self.mode.dates)?;
        if time.weeks != self.weeks {
            self.weeks = time.weeks;
            let (name, weeks) = (&self.name, time.weeks);
            turn.notice(
                Level::Warning,
                format!("{name}: the receiver's date is {weeks} weeks behind, its count of GPS weeks has overflowed: corrected"),
            );
        }
        let last = self.last.replace(Taken { seconds: time.unix, read: at.mono });
        let waited = last.is_some_and(|last| {
            let passed = Seconds::new((time.unix - last.seconds) as f64);
            (passed - at.mono.since(last.read)).abs() > WAITED
        });
        let whole = Seconds::new((time.unix - at.wall.seconds()) as f64);
        let offset = whole + Seconds::new((f64::from(time.nanos) - f64::from(at.wall.nanos())) * 1e-9);
        let reading = Reading::new(Reads::Time, at.wall.ntp(), offset, String::new());
        Ok(Timed { reading, waited })
    }

    /// Pulses whose second the sentences say; without them the sentences have to do.
    fn take_pulse(&mut self, turn: &mut Turn<'_>) {
        let Pulses::Open(device) = &mut self.pulses else { return };
        match device.take() {
            Ok(None) => {}
            Ok(Some(at)) => turn.report(pulse::reading(at, self.text.clone())),
            Err(why) => {
                let path = device.path().display();
                turn.notice(Level::Warning, format!("{}: no more pulses: {path}: {}", self.name, why.desc()));
                self.pulses = Pulses::None;
            }
        }
    }

    /// Logs what it is attached to, once.
    fn announce(&mut self, turn: &mut Turn<'_>) {
        let (name, path) = (&self.name, self.path.display());
        turn.notice(
            Level::Notice,
            match &self.port {
                Port::Serial(_, speed) => format!("{name} serial {path} open at {speed} bps"),
                Port::Net(_, address) => format!("{name} reads from {address}"),
            },
        );
        match &self.pulses {
            Pulses::None => {}
            Pulses::Open(device) => {
                turn.notice(Level::Notice, format!("{name} pulses: {}", device.path().display()));
            }
            Pulses::Missing(why) => {
                turn.notice(Level::Warning, format!("{name}: flag1 has no effect: {why}"));
            }
        }
        self.announced = true;
    }

    fn lost(&self, why: &Lost, turn: &mut Turn<'_>) {
        turn.report(DeviceReport::Failed(format!("{}: {why}", self.path.display())));
    }
}

impl Port {
    /// Its pulses: `ppspath`, `/dev/gpspps` with the unit, or the serial line.
    fn pulses(&self, device: &ClockDevice, path: &Path) -> Pulses {
        let other = Driver::pulse_device(device.unit);
        let opened = match self {
            Self::Serial(tty, _) => PulseDevice::of_line(device, &other, path, tty.as_fd()),
            Self::Net(..) => {
                PulseDevice::open(device.device.pulse_path.as_ref().unwrap_or(&other), pulse::edge(device))
            }
        };
        opened.map_or_else(|why| Pulses::Missing(why.to_string()), Pulses::Open)
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Serial(tty, _) => tty.read(buffer).map_err(io::Error::from),
            Self::Net(stream, _) => {
                if stream.is_connected()? {
                    stream.read(buffer)
                } else {
                    Err(io::ErrorKind::WouldBlock.into())
                }
            }
        }
    }

    fn watch(&self, turn: &Turn<'_>) -> io::Result<()> {
        match self {
            Self::Serial(tty, _) => turn.watch(tty.raw_fd(), Interest::READABLE),
            Self::Net(stream, _) => turn.watch(stream.raw_fd(), Interest::READABLE | Interest::WRITABLE),
        }
    }
}

impl Behaviour for Nmea {
    fn begin(&mut self, turn: &mut Turn<'_>) {
        if let Port::Serial(tty, _) = &self.port {
            // What came while nothing read it has no time.
            tty.flush();
            self.lines.clear();
        }
        if !self.announced {
            self.announce(turn);
        }
        if let Err(why) = self.port.watch(turn) {
            self.lost(&Lost::Os(why), turn);
        }
    }

    fn ready(&mut self, turn: &mut Turn<'_>) -> Drained {
        self.read(turn).unwrap_or_else(|why| {
            self.lost(&why, turn);
            Drained::All
        })
    }

    fn wants_ticks(&self) -> bool {
        matches!((&self.port, &self.pulses), (Port::Net(..), _) | (_, Pulses::Open(_)))
    }

    fn tick(&mut self, turn: &mut Turn<'_>) {
        self.take_pulse(turn);
        self.silent = self.silent.saturating_add(1);
        if self.silent > SILENCE && matches!(self.port, Port::Net(..)) {
            self.lost(&Lost::Silent, turn);
        }
    }
}

const fn trouble(why: Unusable) -> Trouble {
    match why {
        Unusable::Format => Trouble::BadFormat,
        Unusable::Signal => Trouble::BadSignal,
        Unusable::Date => Trouble::BadDate,
        Unusable::Time => Trouble::BadTime,
    }
}

/// The server of sentences that stands in place of a device: a symbolic link to `host:port`, which leads to no file.
fn net_address(path: &Path) -> Option<Result<SocketAddr, OpenError>> {
    let target = std::fs::read_link(path).ok()?;
    let leads_nowhere = std::fs::metadata(path).is_err_and(|why| why.kind() == io::ErrorKind::NotFound);
    let text = target.to_str().filter(|text| leads_nowhere && !text.contains('/'))?;
    let (host, port) = text.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    if host == "localhost" {
        return Some(Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port))));
    }
    Some(text.parse().map_err(|_| OpenError::HostName(path.to_owned(), host.to_owned())))
}

#[cfg(test)]
mod tests;
