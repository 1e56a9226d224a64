//! Associations: `server`, `pool`, `peer`, `broadcast`, `manycastclient`, NTPsec's `refclock`; and
//! `fudge`, `unpeer`.

use super::address::{address, checked_address, is_hopeless, on_link, take_family};
use super::diagnostic::{Severity, quote};
use super::encoding::lossy;
use super::findings::Spot;
use super::hostname;
use super::language::{self, Context, Effect};
use super::line::{Advice, Dropped, Line};
use super::model::{ClockAddress, Family, Fudge, Idle, Kind, Server, Target};
use super::reader::{self, Found};
use crate::units::PollExponent;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;

/// NTPsec's names of clock drivers, and their types.
const DRIVERS: [(&str, u8); 15] = [
    ("arbiter", 11),
    ("generic", 8),
    ("gpsd", 46),
    ("hpgps", 26),
    ("jjy", 40),
    ("local", 1),
    ("modem", 18),
    ("neoclock", 44),
    ("nmea", 20),
    ("oncore", 30),
    ("pps", 22),
    ("shm", 28),
    ("spectracom", 4),
    ("trimble", 29),
    ("truetime", 5),
];

/// NTPsec's name of a clock of this type.
pub(super) fn driver(kind: u8) -> Option<&'static str> {
    DRIVERS.iter().find(|(_, number)| *number == kind).map(|(name, _)| *name)
}

/// The effect of a keyword that ends a list of options.
pub(super) const REST_IS_LOST: &str = "what comes before it takes effect, it and the rest of the line do not";

/// An association line; `command` is its command. Nothing if it is valid and cannot be used.
pub(super) fn association(
    line: &mut Line<'_>,
    command: &'static str,
    kind: Kind,
) -> Result<Option<Placed>, Dropped> {
    let family = take_family(line);
    let at = line.next_span();
    let text = line.text(command, "an address or a host name")?;
    let mut server = Server::new(kind, target(line, &text, at.clone(), family));
    if matches!(server.target, Target::Name(_)) && on_link(&text).is_none() {
        server.family = family;
    }
    line.without_effect = unsupported(&server).is_some();
    let name = format!("{command} {}", String::from_utf8_lossy(&text));
    let effect = format!("{name} is used without {{rest}}");
    let found = reader::list(line, &[Context::Association], command, &effect)?;
    options(line, command, &mut server, &found, &at);
    let usable = check_target(line, at.clone(), &server, &name, &text);
    Ok(usable.then(|| Placed { server, spot: line.spot(at) }))
}

/// NTPsec's `refclock DRIVER [OPTION …]`, which is a `server` line and a `fudge` line in one.
pub(super) fn refclock(line: &mut Line<'_>) -> Result<Option<Placed>, Dropped> {
    let at = line.next_span();
    let text = line.text("refclock", "the name of a driver, such as shm")?;
    let Some((driver, kind)) = DRIVERS.iter().find(|(name, _)| name.as_bytes() == text) else {
        let message = format!("unknown clock driver {}", quote(&text));
        let names: Vec<&str> = DRIVERS.iter().map(|(name, _)| *name).collect();
        let suggestion = language::suggest(&text, names.iter().copied()).map(str::to_owned);
        let advice = Advice { expected: Some(reader::choice(&names)), suggestion };
        line.say(Severity::Error, at, message, advice, "the whole line is ignored");
        return Err(Dropped);
    };
    line.without_effect = *kind != 1;
    let contexts = [Context::Refclock, Context::Fudge, Context::Association];
    let effect = format!("the clock {driver} is used without {{rest}}");
    let found = reader::list(line, &contexts, "refclock", &effect)?;
    let (mut unit, mut fudge, mut others) = (0, Fudge::default(), Vec::new());
    for option in found {
        match option.row.effect {
            Effect::ClockUnit => unit = option.value.number() as u8,
            Effect::Fudge(apply) => apply(&mut fudge, &option.value),
            _ => others.push(option),
        }
    }
    let target =
        if *kind == 1 { Target::LocalClock { unit } } else { Target::RefClock { kind: *kind, unit } };
    let mut server = Server { fudge, ..Server::new(Kind::Server, target) };
    options(line, "server", &mut server, &others, &at);
    let name = format!("refclock {driver}");
    let usable = check_target(line, at.clone(), &server, &name, &text);
    Ok(usable.then(|| Placed { server, spot: line.spot(at) }))
}

/// A server while its options are read.
pub(super) struct Options<'a> {
    command: &'static str,
    pub(super) server: &'a mut Server,
    /// As written; without it the default depends on the rest.
    pub(super) maxpoll: Option<PollExponent>,
}

impl Options<'_> {
    /// Keeps an option that changes nothing; the last one of its kind counts.
    fn keep(&mut self, idle: Idle) {
        self.server.idle.retain(|old| old.option != idle.option);
        self.server.idle.push(idle);
    }

    /// `mode` and `ttl`: ntpd keeps both in one place, as 32 bits with a sign. It means something where packets go to many;
    /// elsewhere it is kept.
    pub(super) fn mode_or_ttl(&mut self, found: &Found) {
        let number = found.value.number() as i64 as i32;
        match self.server.kind {
            Kind::Broadcast | Kind::ManycastClient => self.server.ttl = Some(number),
            Kind::Server | Kind::Pool | Kind::Peer => {
                let is_clock =
                    matches!(self.server.target, Target::LocalClock { .. } | Target::RefClock { .. });
                let option = if is_clock { "mode" } else { "ttl" };
                let value = number.to_string().into_bytes();
                self.keep(Idle { option, value, ..found.idle(self.command) });
            }
        }
    }
}

/// Sets the options of a server.
fn options(
    line: &mut Line<'_>,
    command: &'static str,
    server: &mut Server,
    found: &[Found],
    at: &Range<usize>,
) {
    let mut options = Options { command, server, maxpoll: None };
    for option in found {
        match option.row.effect {
            Effect::ServerFlag(flag) => *flag(options.server) = true,
            Effect::ServerOption(apply) => apply(&mut options, option),
            _ => options.keep(option.idle(command)),
        }
    }
    let maxpoll = options.maxpoll;
    server.maxpoll = maxpoll.unwrap_or_else(|| default_maxpoll(server));
    if server.minpoll > server.maxpoll {
        let effect = format!("minpoll {} is used, as ntpd does", server.maxpoll.get());
        let message = format!("minpoll {} is above maxpoll {}", server.minpoll.get(), server.maxpoll.get());
        if !line.without_effect {
            line.say(Severity::Warning, at.clone(), message, Advice::default(), effect);
        }
        server.minpoll = server.maxpoll;
    }
    debug_assert!(server.minpoll <= server.maxpoll, "a server that was read has a range of poll intervals");
}

/// A clock is polled at one interval, unless it is given two.
pub(super) const fn default_maxpoll(server: &Server) -> PollExponent {
    match server.target {
        Target::LocalClock { .. } | Target::RefClock { .. } => server.minpoll,
        Target::Address(_) | Target::Name(_) => PollExponent::DEFAULT_MAX,
    }
}

/// Says what will not work with this target; false if the line cannot be used at all.
fn check_target(line: &mut Line<'_>, at: Range<usize>, server: &Server, name: &str, text: &[u8]) -> bool {
    let multicast = matches!(server.target, Target::Address(a) if a.is_multicast());
    let wrong = match server.kind {
        Kind::Server | Kind::Peer | Kind::Pool => multicast,
        Kind::ManycastClient => matches!(server.target, Target::Address(_)) && !multicast,
        Kind::Broadcast => false,
    };
    let problem = match &server.target {
        _ if wrong && multicast => Some(("is a multicast address", "the address of one host")),
        _ if wrong => Some(("is the address of one host", "a multicast address")),
        Target::Name(name) if is_hopeless(name.as_bytes()) && on_link(text).is_none() => {
            Some(("is not an address", "an address without a port, or a host name"))
        }
        _ => None,
    };
    if let Some((what, expected)) = problem {
        let message = format!("{} {what}", quote(text));
        line.say(Severity::Error, at, message, Advice::expected(expected), "the line is ignored");
        return false;
    }
    if matches!(server.target, Target::Address(IpAddr::V6(v6)) if v6.is_unicast_link_local()) {
        let message = format!("{} is an address of one link, and the link is missing", quote(text));
        let text = String::from_utf8_lossy(text);
        let advice = Advice::expected(&format!("the interface behind it, as in {text}%eth0"));
        line.say(Severity::Warning, at.clone(), message, advice, "requests to it cannot be sent");
    }
    if let Target::Name(name) = &server.target
        && let Some(fault) = hostname::fault(text)
    {
        let effect = format!("{} is looked up, and will not be found", quote(name.as_bytes()));
        line.say(Severity::Error, at.clone(), fault.message, fault.advice, effect);
    }
    if let Some(why) = unsupported(server) {
        line.say(Severity::Warning, at, why.to_owned(), Advice::default(), format!("{name} is not used"));
    }
    true
}

/// Why the engine makes no association of this server, where it makes none.
pub(super) const fn unsupported(server: &Server) -> Option<&'static str> {
    match (&server.kind, &server.target) {
        (Kind::ManycastClient, Target::Name(_)) => {
            Some("a manycast client needs the address of its group, not a name")
        }
        (_, Target::RefClock { .. }) => {
            Some("reference clocks other than LOCAL are not yet supported by rsntpd")
        }
        _ => None,
    }
}

fn clock(address: Ipv4Addr) -> Option<ClockAddress> {
    let [a, b, kind, unit] = address.octets();
    (a == 127 && b == 127).then_some(ClockAddress { kind, unit })
}

fn target(line: &mut Line<'_>, text: &[u8], at: Range<usize>, family: Family) -> Target {
    if let Some(name) = on_link(text) {
        return Target::Name(name);
    }
    match checked_address(line, text, at, family) {
        Some(IpAddr::V4(v4)) if clock(v4).is_some() => match clock(v4) {
            Some(ClockAddress { kind, unit }) if kind != 1 => Target::RefClock { kind, unit },
            _ => Target::LocalClock { unit: v4.octets()[3] },
        },
        Some(address) => Target::Address(address),
        None => Target::Name(lossy(text)),
    }
}

/// A server and where its address stands.
pub(super) struct Placed {
    pub(super) server: Server,
    pub(super) spot: Spot,
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
    line.without_effect =
        !matches!(address(&text), Some(IpAddr::V4(v4)) if clock(v4).is_some_and(|clock| clock.kind == 1));
    let factors = reader::keywords(line, Context::Fudge, "fudge")?;
    let Some(clock) = target(line, &text, at.clone(), Family::Any).clock() else {
        let message = format!("{} is not a reference clock", quote(&text));
        let mut advice = Advice::expected("127.127.TYPE.UNIT, as on the server line");
        if is_this_machine(&text) || text.starts_with(b"127.") {
            advice.suggestion = Some("127.127.1.0, the LOCAL clock".to_owned());
        }
        line.say(Severity::Error, at, message, advice, "the line is ignored");
        return Err(Dropped);
    };
    Ok(FudgeLine { clock, factors, spot })
}

/// Whether the address or name stands for the machine that reads it.
pub(super) fn is_this_machine(text: &[u8]) -> bool {
    const NAMES: [&str; 6] =
        ["localhost", "localhost.localdomain", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback"];
    let bare = text.strip_suffix(b".").unwrap_or(text);
    match address(text) {
        Some(IpAddr::V4(v4)) if clock(v4).is_some() => false,
        Some(address) => address.to_canonical().is_loopback() || address.is_unspecified(),
        None => NAMES.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(bare)),
    }
}

/// Applies a factor.
pub(super) fn apply(factor: &Found, fudge: &mut Fudge) {
    if let Effect::Fudge(apply) = factor.row.effect {
        apply(fudge, &factor.value);
    }
}

/// What `unpeer` names.
pub(super) enum Named {
    /// An association's identifier.
    Id(u16),
    /// The target of its line.
    Target(Target),
}

/// The argument of `unpeer`: all digits are an identifier, if they fit one. The address or name is what
/// counts, whatever family stands before it.
pub(super) fn named(line: &mut Line<'_>, command: &str) -> Result<Named, Dropped> {
    let family = take_family(line);
    let at = line.next_span();
    let text = line.text(command, "an address, a host name or an association's identifier")?;
    let id = text.iter().all(u8::is_ascii_digit).then(|| std::str::from_utf8(&text).ok()?.parse().ok());
    Ok(match id.flatten() {
        Some(id) => Named::Id(id),
        None => Named::Target(target(line, &text, at, family)),
    })
}

/// The target of an `unpeer` line of a file; nothing for an identifier, as there are no associations yet.
pub(super) fn unpeer(line: &mut Line<'_>, command: &str) -> Result<Option<Target>, Dropped> {
    let at = line.next_span();
    let target = match named(line, command)? {
        Named::Target(target) => Some(target),
        Named::Id(_) => {
            let message = "there are no associations with numbers yet".to_owned();
            let advice = Advice::expected("the address of a server line");
            line.say(Severity::Note, at, message, advice, "it is ignored");
            None
        }
    };
    line.done(command);
    Ok(target)
}
