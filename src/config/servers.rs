//! Associations: `server`, `pool`, `peer`, `broadcast`, `manycastclient`, and `fudge`.

use super::diagnostic::{Severity, quote};
use super::lexer::{Token, TokenKind};
use super::line::{Advice, Dropped, Line};
use super::model::{Family, Fudge, Kind, Server, Target};
use crate::units::{KeyId, PollExponent, RefId, Seconds, Stratum};
use std::net::{IpAddr, Ipv4Addr};

/// What an option takes.
#[derive(Clone, Copy)]
enum Argument {
    Flag(fn(&mut Server)),
    Integer(fn(&mut Line<'_>, &mut Server, i64)),
    /// Read, but without effect here.
    Ignored(&'static str),
    IgnoredInteger(&'static str),
    IgnoredNumber(&'static str),
    IgnoredText(&'static str),
}

/// The options, one row each.
const OPTIONS: &[(&str, Argument)] = &[
    ("autokey", Argument::Ignored("Autokey is not supported: it is broken by design and was never safe")),
    ("bias", Argument::IgnoredNumber("ntpd reads it and never uses it")),
    ("burst", Argument::Flag(|s| s.burst = true)),
    ("iburst", Argument::Flag(|s| s.iburst = true)),
    ("ident", Argument::IgnoredText("it belongs to Autokey, which is not supported")),
    ("key", Argument::Integer(set_key)),
    ("maxpoll", Argument::Integer(set_maxpoll)),
    ("minpoll", Argument::Integer(set_minpoll)),
    ("mode", Argument::IgnoredInteger("it is for reference clocks, which are not yet supported")),
    ("noselect", Argument::Flag(|s| s.noselect = true)),
    ("preempt", Argument::Flag(|s| s.preempt = true)),
    ("prefer", Argument::Flag(|s| s.prefer = true)),
    ("true", Argument::Flag(|s| s.truechimer = true)),
    ("ttl", Argument::IgnoredInteger("it is for broadcast, which is not yet supported")),
    ("version", Argument::Integer(set_version)),
    ("xleave", Argument::Flag(|s| s.xleave = true)),
];

fn set_key(line: &mut Line<'_>, server: &mut Server, value: i64) {
    match u32::try_from(value).ok().filter(|k| (1..=65_535).contains(k)) {
        Some(key) => server.key = Some(KeyId(key)),
        None => {
            let message = format!("key {value} is out of range");
            let advice = Advice::expected("1 to 65535");
            line.say(Severity::Error, line.end(), message, advice, "the server is used without a key");
        }
    }
}

fn clamp_poll(line: &mut Line<'_>, word: &str, value: i64) -> PollExponent {
    let clamped = PollExponent::new(value.clamp(0, 17) as u8);
    if i64::from(clamped.get()) != value {
        let message = format!("{word} {value} is out of range");
        let effect = format!("{word} {} is used", clamped.get());
        line.say(
            Severity::Warning,
            line.end(),
            message,
            Advice::expected("3 to 17, the power of two in seconds"),
            effect,
        );
    }
    clamped
}

fn set_minpoll(line: &mut Line<'_>, server: &mut Server, value: i64) {
    server.minpoll = clamp_poll(line, "minpoll", value);
}

fn set_maxpoll(line: &mut Line<'_>, server: &mut Server, value: i64) {
    server.maxpoll = clamp_poll(line, "maxpoll", value);
}

fn set_version(line: &mut Line<'_>, server: &mut Server, value: i64) {
    match u8::try_from(value).ok().filter(|v| (1..=4).contains(v)) {
        Some(version) => server.version = version,
        None => {
            let message = format!("there is no NTP version {value}");
            line.say(Severity::Warning, line.end(), message, Advice::expected("1 to 4"), "version 4 is used");
        }
    }
}

/// An association line; `word` is its command.
pub(super) fn association(line: &mut Line<'_>, word: &'static str) -> Result<Option<Server>, Dropped> {
    let kind = match word {
        "pool" => Kind::Pool,
        "peer" => Kind::Peer,
        "broadcast" => Kind::Broadcast,
        "manycastclient" => Kind::ManycastClient,
        _ => Kind::Server,
    };
    let family = take_family(line);
    let at = line.next_span();
    let text = line.text(word, "an address or a host name")?;
    let mut server = Server::new(kind, target(&text));
    server.family = family;
    let name = format!("{word} {}", String::from_utf8_lossy(&text));
    options(line, &mut server, &name)?;
    if server.minpoll > server.maxpoll {
        let effect = format!("minpoll {} is used, as ntpd does", server.maxpoll.get());
        line.say(
            Severity::Warning,
            at.clone(),
            "minpoll is above maxpoll".to_owned(),
            Advice::default(),
            effect,
        );
        server.minpoll = server.maxpoll;
    }
    Ok(check_target(line, at, &server, &name).then_some(server))
}

/// Whom `unpeer` names.
pub(super) enum Unpeer {
    /// An association's identifier.
    Id(u16),
    /// Whom its line is about.
    Target(Target),
}

/// The argument of `unpeer`: all digits are an identifier.
pub(super) fn unpeer(line: &mut Line<'_>) -> Result<Unpeer, Dropped> {
    take_family(line);
    let text = line.text("unpeer", "an address, a host name or an association's identifier")?;
    let id = std::str::from_utf8(&text).ok().and_then(|digits| digits.parse().ok());
    Ok(id.map_or_else(|| Unpeer::Target(target(&text)), Unpeer::Id))
}

fn options(line: &mut Line<'_>, server: &mut Server, name: &str) -> Result<(), Dropped> {
    while let Some(token) = line.next() {
        let option = match token.kind {
            TokenKind::Keyword(word) => OPTIONS.iter().find(|(option, _)| *option == word),
            _ => None,
        };
        let Some((word, argument)) = option else {
            let candidates: Vec<&str> = OPTIONS.iter().map(|(w, _)| *w).collect();
            let rest = if line.peek().is_some() { "this word and what follows it" } else { "it" };
            let expected = "an option such as iburst, prefer, minpoll, maxpoll, key or version";
            line.unexpected(&token, expected, &candidates, format!("{name} is used without {rest}"));
            break;
        };
        let ignored = |line: &mut Line<'_>, why: &str| {
            let message = format!("{word} has no effect");
            line.say(Severity::Warning, token.span.clone(), message, Advice::default(), why.to_owned());
        };
        match argument {
            Argument::Flag(set) => set(server),
            Argument::Integer(set) => {
                let value = line.integer(word)?;
                set(line, server, value);
            }
            Argument::Ignored(why) => ignored(line, why),
            Argument::IgnoredInteger(why) => {
                line.integer(word)?;
                ignored(line, why);
            }
            Argument::IgnoredNumber(why) => {
                line.number(word)?;
                ignored(line, why);
            }
            Argument::IgnoredText(why) => {
                line.text(word, "a name")?;
                ignored(line, why);
            }
        }
    }
    Ok(())
}

/// Says what will not work with this target; false if the line cannot be used at all.
fn check_target(line: &mut Line<'_>, at: std::ops::Range<usize>, server: &Server, name: &str) -> bool {
    let multicast = matches!(server.target, Target::Address(a) if a.is_multicast());
    let wrong = match server.kind {
        Kind::Server | Kind::Peer | Kind::Pool => multicast,
        Kind::ManycastClient => matches!(server.target, Target::Address(_)) && !multicast,
        Kind::Broadcast => false,
    };
    if wrong {
        let message = format!("{name}: invalid address for this kind of association");
        let advice =
            Advice::expected(if multicast { "the address of one host" } else { "a multicast address" });
        line.say(Severity::Error, at, message, advice, "the line is ignored");
        return false;
    }
    let unsupported = match (&server.kind, &server.target) {
        (Kind::Peer, _) => "symmetric peers are not yet supported by rsntpd",
        (Kind::Broadcast, _) => "broadcast is not yet supported by rsntpd",
        (Kind::ManycastClient, _) => "manycast is not yet supported by rsntpd",
        (_, Target::RefClock { .. }) => "reference clocks other than LOCAL are not yet supported by rsntpd",
        _ => return true,
    };
    line.say(Severity::Warning, at, unsupported.to_owned(), Advice::default(), format!("{name} is ignored"));
    true
}

pub(super) fn take_family(line: &mut Line<'_>) -> Family {
    match line.take_family() {
        Some(4) => Family::V4,
        Some(6) => Family::V6,
        _ => Family::Any,
    }
}

/// A numeric address, with or without the brackets and the scope of IPv6.
pub(super) fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    bare.split('%').next().unwrap_or(bare).parse().ok()
}

fn target(text: &[u8]) -> Target {
    match address(text) {
        Some(IpAddr::V4(v4)) if v4.octets()[..2] == [127, 127] => {
            let [_, _, kind, unit] = v4.octets();
            if kind == 1 { Target::LocalClock { unit } } else { Target::RefClock { kind, unit } }
        }
        Some(address) => Target::Address(address),
        None => Target::Name(String::from_utf8_lossy(text).into_owned()),
    }
}

/// A `fudge` line: the clock's address and its factors.
pub(super) fn fudge(line: &mut Line<'_>) -> Result<(Ipv4Addr, Vec<FudgeFactor>), Dropped> {
    let at = line.next_span();
    let text = line.text("fudge", "the address of a clock, 127.127.T.U")?;
    let mut factors = Vec::new();
    while let Some(token) = line.next() {
        match factor(line, &token)? {
            Some(factor) => factors.push(factor),
            None => break,
        }
    }
    if factors.is_empty() {
        return Err(line.bad_argument("fudge", None, "a factor such as stratum or refid"));
    }
    match address(&text) {
        Some(IpAddr::V4(clock)) if clock.octets()[..2] == [127, 127] => Ok((clock, factors)),
        _ => {
            let message = format!("{} is no clock", quote(&text));
            line.say(Severity::Error, at, message, Advice::expected("127.127.T.U"), "the line is ignored");
            Err(Dropped)
        }
    }
}

/// One factor of a `fudge` line.
#[derive(Clone, Copy, Debug)]
pub(super) enum FudgeFactor {
    Time1(f64),
    Time2(f64),
    Stratum(Stratum),
    RefId(RefId),
    Flag(usize, bool),
    Nothing,
}

impl FudgeFactor {
    pub(super) fn apply(self, fudge: &mut Fudge) {
        match self {
            Self::Time1(value) => fudge.time1 = Seconds::new(value),
            Self::Time2(value) => fudge.time2 = Seconds::new(value),
            Self::Stratum(value) => fudge.stratum = Some(value),
            Self::RefId(value) => fudge.refid = Some(value),
            Self::Flag(index, set) => fudge.flags[index] = set,
            Self::Nothing => {}
        }
    }
}

const FACTORS: [&str; 9] =
    ["time1", "time2", "stratum", "refid", "flag1", "flag2", "flag3", "flag4", "abbrev"];

fn factor(line: &mut Line<'_>, token: &Token) -> Result<Option<FudgeFactor>, Dropped> {
    let TokenKind::Keyword(word) = token.kind else {
        line.unexpected(
            token,
            "a factor such as stratum or refid",
            &FACTORS,
            "the factors before it take effect".into(),
        );
        return Ok(None);
    };
    Ok(Some(match word {
        "time1" => FudgeFactor::Time1(line.number(word)?),
        "time2" => FudgeFactor::Time2(line.number(word)?),
        "stratum" => {
            let value = line.integer(word)?;
            match u8::try_from(value).ok().filter(|v| *v <= 16) {
                Some(stratum) => FudgeFactor::Stratum(Stratum::new(stratum)),
                None => {
                    let message = format!("stratum {value} is out of range");
                    line.say(
                        Severity::Error,
                        token.span.clone(),
                        message,
                        Advice::expected("0 to 16"),
                        "the clock's default is used",
                    );
                    FudgeFactor::Nothing
                }
            }
        }
        "refid" => FudgeFactor::RefId(RefId::from_text(&line.text(word, "up to four characters")?)),
        "flag1" | "flag2" | "flag3" | "flag4" => {
            let index = usize::from(word.as_bytes()[4] - b'1');
            FudgeFactor::Flag(index, boolean(line, word)?)
        }
        "abbrev" => {
            line.text(word, "a name")?;
            FudgeFactor::Nothing
        }
        _ => {
            line.unexpected(
                token,
                "a factor such as stratum or refid",
                &FACTORS,
                "the factors before it take effect".into(),
            );
            return Ok(None);
        }
    }))
}

/// `0`, `1` or `true`; another number is taken as 1, as ntpd does.
pub(super) fn boolean(line: &mut Line<'_>, of: &str) -> Result<bool, Dropped> {
    if line.take_keyword("true") {
        return Ok(true);
    }
    let value = line.integer(of)?;
    if !(0..=1).contains(&value) {
        let message = format!("{of} {value} is neither 0 nor 1");
        line.say(Severity::Warning, line.end(), message, Advice::expected("0 or 1"), "1 is used");
    }
    Ok(value != 0)
}
