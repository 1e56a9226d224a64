//! Associations: `server`, `pool`, `peer`, `broadcast`, `manycastclient`; and `unpeer`.

use super::address::{address, checked_address, is_hopeless, on_link, take_family};
use super::clocks;
use super::diagnostic::{Severity, quote};
use super::encoding::lossy;
use super::findings::Spot;
use super::hostname;
use super::language::{Context, Effect};
use super::line::{Advice, Dropped, Line};
use super::model::{ClockAddress, Family, Idle, Kind, Server, Target};
use super::nts;
use super::reader::{self, Found};
use crate::units::PollExponent;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;

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
    // Elsewhere a port is part of a name that cannot be one.
    let split = nts::with_port(&text).filter(|_| line.has_ahead("nts"));
    let host = split.as_ref().map_or(&text[..], |split| split.host);
    let mut server = Server::new(kind, target(line, host, at.clone(), family));
    if matches!(server.target, Target::Name(_)) && on_link(host).is_none() {
        server.family = family;
    }
    line.without_effect = is_unsupported(&server);
    let name = format!("{command} {}", String::from_utf8_lossy(&text));
    let effect = format!("{name} is used without {{rest}}");
    // Some options mean more to a clock than to a server.
    let contexts = match server.target.clock() {
        Some(_) => &[Context::Clock, Context::Association][..],
        None => &[Context::Association],
    };
    let found = reader::list(line, contexts, command, &effect)?;
    options(line, command, &mut server, &found, &at);
    let mut host = &text[..];
    match (split, &mut server.nts) {
        (Some(split), Some(nts)) => (host, nts.port) = (split.host, Some(split.port)),
        // It was the value of another option.
        (Some(_), None) => server.target = target(line, &text, at.clone(), family),
        (None, _) => {}
    }
    let usable = check_target(line, at.clone(), &server, &name, host);
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

    /// `mode` and `ttl`: ntpd keeps both in one place, as 32 bits with a sign. It means something to clocks, and where packets go
    /// to many; elsewhere it is kept.
    pub(super) fn mode_or_ttl(&mut self, found: &Found) {
        let number = found.value.number() as i64 as i32;
        match self.server.kind {
            _ if self.server.target.clock().is_some() => self.server.device.mode = number.cast_unsigned(),
            Kind::Broadcast | Kind::ManycastClient => self.server.ttl = Some(number),
            Kind::Server | Kind::Pool | Kind::Peer => {
                let value = number.to_string().into_bytes();
                self.keep(Idle { option: "ttl", value, ..found.idle(self.command) });
            }
        }
    }
}

/// Sets the options of a server.
pub(super) fn options(
    line: &mut Line<'_>,
    command: &'static str,
    server: &mut Server,
    found: &[Found],
    at: &Range<usize>,
) {
    let nts = nts::Wanted::of(server, found);
    let mut options = Options { command, server, maxpoll: None };
    for option in found {
        if let Some(clock) = options.server.target.clock() {
            clocks::note_unused(line, clock.driver(), option);
        }
        match option.row.effect {
            Effect::ServerFlag(flag) => *flag(options.server) = true,
            Effect::ServerOption(apply) => apply(&mut options, option),
            Effect::NtsOption(apply) if nts == nts::Wanted::Yes => {
                apply(options.server.nts.get_or_insert_default(), option);
            }
            effect => {
                if let Effect::NtsOption(_) = effect {
                    nts::report_unused(line, nts, option);
                }
                options.keep(option.idle(command));
            }
        }
    }
    nts::settle(line, options.server, found);
    let maxpoll = options.maxpoll.filter(|maxpoll| counts(*maxpoll, server));
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

/// A maxpoll of 0 is one only where minpoll is 0 as well: to ntpd it is as none.
fn counts(maxpoll: PollExponent, server: &Server) -> bool {
    server.target.clock().is_none() || maxpoll.get() > 0 || server.minpoll.get() == 0
}

/// A clock is polled at one interval, unless it is given two.
pub(super) const fn default_maxpoll(server: &Server) -> PollExponent {
    match server.target {
        Target::LocalClock { .. } | Target::RefClock { .. } => server.minpoll,
        Target::Address(_) | Target::Name(_) => PollExponent::DEFAULT_MAX,
    }
}

/// Says what will not work with this target; false if the line cannot be used at all.
pub(super) fn check_target(
    line: &mut Line<'_>,
    at: Range<usize>,
    server: &Server,
    name: &str,
    text: &[u8],
) -> bool {
    let multicast = matches!(server.target, Target::Address(a) if a.is_multicast());
    let wrong = match server.kind {
        Kind::Server | Kind::Peer | Kind::Pool => multicast,
        Kind::ManycastClient => matches!(server.target, Target::Address(_)) && !multicast,
        Kind::Broadcast => false,
    };
    let problem = match &server.target {
        _ if wrong && multicast => Some(("is a multicast address", "the address of one host")),
        _ if wrong => Some(("is the address of one host", "a multicast address")),
        _ if server.nts.is_some() && !matches!(server.kind, Kind::Server | Kind::Pool) => {
            Some(("cannot be authenticated by NTS", "server or pool for NTS; key for other associations"))
        }
        Target::Name(name) if nts::with_port(name.as_bytes()).is_some() => {
            Some(("is not an address", "an address without a port, or a host name; a port is for nts only"))
        }
        Target::Name(name) if is_hopeless(name.as_bytes()) && on_link(text).is_none() => {
            Some(("is not an address", "an address without a port, or a host name"))
        }
        _ => None,
    };
    let driver = server.target.clock().and_then(ClockAddress::driver);
    let lacks = driver.and_then(|driver| clocks::lacks(driver, server));
    let problem = problem.map(|(what, expected)| (format!("{} {what}", quote(text)), expected));
    let lacks = lacks.map(|(message, expected)| (message.to_owned(), expected));
    if let Some((message, expected)) = problem.or(lacks) {
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
    if let Some(clocks::NoDriver { message, instead }) =
        server.target.clock().and_then(|c| clocks::no_driver(c.kind))
    {
        let effect = format!("{name} is not used: {instead}");
        line.say(Severity::Warning, at.clone(), message, Advice::default(), effect);
    }
    if is_unreachable(server) {
        let message = "a manycast client needs the address of its group, not a name".to_owned();
        line.say(Severity::Warning, at, message, Advice::default(), format!("{name} is not used"));
    }
    true
}

/// Whether it names no group that a manycast client could look for.
const fn is_unreachable(server: &Server) -> bool {
    matches!((&server.kind, &server.target), (Kind::ManycastClient, Target::Name(_)))
}

/// Whether the engine makes no association of this server.
pub(super) fn is_unsupported(server: &Server) -> bool {
    is_unreachable(server) || server.target.clock().is_some_and(|clock| clock.driver().is_none())
}

pub(super) fn clock(address: Ipv4Addr) -> Option<ClockAddress> {
    let [a, b, kind, unit] = address.octets();
    (a == 127 && b == 127).then_some(ClockAddress { kind, unit })
}

pub(super) fn target(line: &mut Line<'_>, text: &[u8], at: Range<usize>, family: Family) -> Target {
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
