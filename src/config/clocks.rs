//! Reference clocks: NTPsec's `refclock`, `fudge`, and what their options mean to the driver of a clock. `types.rs` has the
//! types, `uses.rs` which driver uses which option.

mod types;
mod uses;

use self::uses::{Optional, without_use};
use super::address::{address, take_family};
use super::diagnostic::{Severity, quote};
use super::findings::Spot;
use super::language::{self, Context, Effect};
use super::line::{Advice, Dropped, Line};
use super::model::{ClockAddress, Family, Fudge, Kind, Server, Target};
use super::reader::{self, Found};
use super::servers::{self, Placed, is_this_machine};
use crate::units::Driver;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// The longest name that a socket can have, in bytes: a zero ends it.
const SOCKET_NAME: usize = 107;

/// Speeds that a serial line can have, bits a second.
const SPEEDS: [u32; 30] = [
    50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19_200, 38_400, 57_600, 115_200,
    230_400, 460_800, 500_000, 576_000, 921_600, 1_000_000, 1_152_000, 1_500_000, 2_000_000, 2_500_000,
    3_000_000, 3_500_000, 4_000_000,
];

/// The name of the driver of this type behind `refclock`.
pub(super) fn keyword(kind: u8) -> Option<&'static str> {
    types::of_number(kind).keyword
}

/// Why a clock of this type cannot be used, and what to use instead.
pub(super) struct NoDriver {
    pub(super) message: String,
    pub(super) instead: &'static str,
}

/// What there is to say of a type without a driver; nothing if it has one.
pub(super) fn no_driver(kind: u8) -> Option<NoDriver> {
    if Driver::of_number(kind).is_some() {
        return None;
    }
    let known = types::of_number(kind);
    let message = format!("rsntpd has no driver for clocks of type {kind} ({})", known.label);
    Some(NoDriver { message, instead: known.instead })
}

/// NTPsec's `refclock DRIVER [OPTION …]`, which is a `server` line and a `fudge` line in one.
pub(super) fn refclock(line: &mut Line<'_>) -> Result<Option<Placed>, Dropped> {
    let at = line.next_span();
    let text = line.text("refclock", "the name of a driver, such as shm")?;
    let Some(known) = types::of_keyword(&text) else {
        let message = format!("unknown clock driver {}", quote(&text));
        let names = types::keywords();
        let suggestion = language::suggest(&text, names.iter().copied()).map(str::to_owned);
        let advice = Advice { expected: Some(reader::choice(&names)), suggestion };
        line.say(Severity::Error, at, message, advice, "the whole line is ignored");
        return Err(Dropped);
    };
    let driver = Driver::of_number(known.number);
    line.without_effect = driver.is_none();
    let contexts = [Context::Refclock, Context::Fudge, Context::Clock, Context::Association];
    let name = format!("refclock {}", known.keyword.unwrap_or_default());
    let effect = format!("{name} is used without {{rest}}");
    let found = reader::list(line, &contexts, "refclock", &effect)?;
    let (mut unit, mut fudge, mut others) = (0, Fudge::default(), Vec::new());
    for option in found {
        match option.row.effect {
            Effect::ClockUnit => unit = option.value.number() as u8,
            Effect::Fudge(apply) => {
                // `tai` is a flag that means something else to other drivers.
                if note_unused(line, driver, &option) == Use::Used || option.row.name != "tai" {
                    apply(&mut fudge, &option.value);
                }
            }
            _ => others.push(option),
        }
    }
    let target = match driver {
        Some(Driver::Local) => Target::LocalClock { unit },
        _ => Target::RefClock { kind: known.number, unit },
    };
    let mut server = Server { fudge, ..Server::new(Kind::Server, target) };
    servers::options(line, "server", &mut server, &others, &at);
    if let Some(driver) = driver {
        others.iter().try_for_each(|option| check_device(line, driver, option, &mut server))?;
        one_path(line, driver, &others, &mut server);
    }
    let usable = servers::check_target(line, at.clone(), &server, &name, &text);
    Ok(usable.then(|| Placed { server, spot: line.spot(at) }))
}

/// Whether a driver uses an option.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Used,
    Unused,
}

/// Notes that an option has no effect on a clock with this driver.
pub(super) fn note_unused(line: &mut Line<'_>, driver: Option<Driver>, option: &Found) -> Use {
    let why = driver.zip(Optional::of_name(option.row.name));
    let why = why.and_then(|(driver, option)| without_use(driver, option));
    let Some(why) = why else { return Use::Used };
    if !option.is_default() {
        let message = format!("{} has no effect", option.row.name);
        line.say(Severity::Note, option.span.clone(), message, Advice::default(), why);
    }
    Use::Unused
}

/// Whether the driver can work with an option that is about its device. A file name that cannot be meant loses the line:
/// another device than the one that is meant would be read.
fn check_device(
    line: &mut Line<'_>,
    driver: Driver,
    option: &Found,
    server: &mut Server,
) -> Result<(), Dropped> {
    let name = option.row.name;
    if Optional::of_name(name).is_some_and(|option| without_use(driver, option).is_some()) {
        return Ok(());
    }
    let device = &server.device;
    let fault = match name {
        "path" => device.path.as_deref().and_then(|path| path_fault(driver, path)),
        "ppspath" => device.pulse_path.as_deref().and_then(|path| path_fault(Driver::Pps, path)),
        "baud" if !device.baud.is_none_or(|baud| SPEEDS.contains(&baud)) => {
            let message = format!("baud {} is no speed of a serial line", option.value.number());
            let advice = Advice::expected("a speed such as 4800, 9600, 38400 or 115200");
            line.say(Severity::Error, option.at.clone(), message, advice, "the speed is that of mode");
            server.device.baud = None;
            None
        }
        _ => None,
    };
    let Some((fault, expected)) = fault.map(|fault| (fault, fault.expected(driver))) else { return Ok(()) };
    let message = format!("{name} {} {}", quote(option.value.text()), fault.what());
    line.say(
        Severity::Error,
        option.at.clone(),
        message,
        Advice::expected(&expected),
        "the whole line is ignored",
    );
    Err(Dropped)
}

/// The device of a PPS is behind `ppspath` in files of NTPsec, which there counts before `path`.
fn one_path(line: &mut Line<'_>, driver: Driver, options: &[Found], server: &mut Server) {
    let Some(path) = server.device.pulse_path.take_if(|_| driver == Driver::Pps) else { return };
    server.device.path = Some(path);
    if let Some(other) = options.iter().find(|option| option.row.name == "path") {
        let message = "path has no effect beside ppspath".to_owned();
        let effect = "a PPS has one device: that of ppspath is used, as in NTPsec";
        line.say(Severity::Note, other.span.clone(), message, Advice::default(), effect);
    }
}

/// Why a file name cannot be that of a device or socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum PathFault {
    Relative,
    TooLong,
}

impl PathFault {
    const fn what(self) -> &'static str {
        match self {
            Self::Relative => "does not begin with /",
            Self::TooLong => "is too long for a socket",
        }
    }

    fn expected(self, driver: Driver) -> String {
        match self {
            Self::TooLong => format!("at most {SOCKET_NAME} bytes"),
            Self::Relative => format!("a file name from / on, such as {}", example(driver)),
        }
    }
}

const fn example(driver: Driver) -> &'static str {
    match driver {
        Driver::Sock => "/run/rsntpd/gps.sock",
        Driver::Phc => "/dev/ptp0; or an interface such as eth0",
        Driver::Pps => "/dev/pps0",
        Driver::Local | Driver::Nmea | Driver::Shm | Driver::GpsdJson => "/dev/gps0",
    }
}

fn path_fault(driver: Driver, path: &Path) -> Option<PathFault> {
    let bytes = path.as_os_str().as_bytes();
    if driver == Driver::Sock && bytes.len() > SOCKET_NAME {
        return Some(PathFault::TooLong);
    }
    // A PTP clock may be named by its interface, or by the name that the kernel gives it.
    let named = driver == Driver::Phc && !bytes.contains(&b'/');
    (!named && !bytes.starts_with(b"/")).then_some(PathFault::Relative)
}

/// What a clock lacks, and what it would be.
pub(super) const fn lacks(driver: Driver, server: &Server) -> Option<(&'static str, &'static str)> {
    match driver {
        Driver::Sock if server.device.path.is_none() => Some((
            "a SOCK clock has no path",
            "refclock sock path FILE, the socket that is made for the writer, such as /run/rsntpd/gps.sock",
        )),
        _ => None,
    }
}

/// A `fudge` line.
pub(super) struct FudgeLine {
    pub(super) clock: ClockAddress,
    pub(super) factors: Vec<Found>,
    /// The line.
    pub(super) spot: Spot,
}

/// Reads a `fudge` line, which is at `spot`.
pub(super) fn fudge(line: &mut Line<'_>, spot: Spot) -> Result<FudgeLine, Dropped> {
    // Before a numeric address it counts for nothing.
    take_family(line);
    let at = line.next_span();
    let text = line.text("fudge", "the address of a clock, 127.127.TYPE.UNIT")?;
    let driver = match address(&text) {
        Some(IpAddr::V4(v4)) => servers::clock(v4).and_then(ClockAddress::driver),
        _ => None,
    };
    line.without_effect = driver.is_none();
    let factors = reader::keywords(line, Context::Fudge, "fudge")?;
    let Some(clock) = servers::target(line, &text, at.clone(), Family::Any).clock() else {
        let message = format!("{} is not a reference clock", quote(&text));
        let mut advice = Advice::expected("127.127.TYPE.UNIT, as on the server line");
        if is_this_machine(&text) || text.starts_with(b"127.") {
            advice.suggestion = Some("127.127.1.0, the LOCAL clock".to_owned());
        }
        line.say(Severity::Error, at, message, advice, "the line is ignored");
        return Err(Dropped);
    };
    for factor in &factors {
        note_unused(line, driver, factor);
    }
    Ok(FudgeLine { clock, factors, spot })
}

/// Applies a factor.
pub(super) fn apply(factor: &Found, fudge: &mut Fudge) {
    if let Effect::Fudge(apply) = factor.row.effect {
        apply(fudge, &factor.value);
    }
}
