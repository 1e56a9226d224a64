//! `restrict` lines.

use super::diagnostic::{Severity, quote};
use super::lexer::{Token, TokenKind};
use super::line::{Advice, Dropped, Line};
use super::model::{AccessFlags, Family, Restrict, RestrictTarget};
use super::servers::{address, take_family};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A `restrict` line. An unknown word loses nothing but itself: where ntpd drops the flags behind
/// it too, and so opens the server, they are kept.
pub(super) fn restrict(line: &mut Line<'_>) -> Result<Restrict, Dropped> {
    let family = take_family(line);
    let mut target = target(line, family)?;
    if line.take_keyword("mask") {
        target = masked(line, &target)?;
    }
    let mut entry = Restrict { target, flags: AccessFlags::NONE, ntpport: false, origin: line.origin() };
    while let Some(token) = line.next() {
        flag(line, &mut entry, &token)?;
    }
    let kod_alone = entry.flags.contains(AccessFlags::KOD) && !entry.flags.contains(AccessFlags::LIMITED);
    if kod_alone {
        let message = "kod does nothing without limited".to_owned();
        line.say(
            Severity::Note,
            line.end(),
            message,
            Advice::default(),
            "nobody is rate limited by this line",
        );
    }
    Ok(entry)
}

fn flag(line: &mut Line<'_>, entry: &mut Restrict, token: &Token) -> Result<(), Dropped> {
    if let TokenKind::Keyword(word) = token.kind {
        if let Some((_, flag)) = AccessFlags::WORDS.iter().find(|(name, _)| *name == word) {
            entry.flags = entry.flags.union(*flag);
            return Ok(());
        }
        match word {
            "ntpport" => {
                entry.ntpport = true;
                return Ok(());
            }
            "ippeerlimit" => {
                line.integer(word)?;
                return Ok(());
            }
            "serverresponse" => {
                line.text(word, "fuzz")?;
                return Ok(());
            }
            "epeer" => return Ok(()),
            _ => {}
        }
    }
    let names: Vec<&str> = AccessFlags::WORDS.iter().map(|(name, _)| *name).chain(["ntpport"]).collect();
    let flags: Vec<&str> = entry.flags.words().collect();
    let so_far = if flags.is_empty() { "none".to_owned() } else { flags.join(" ") };
    let effect = format!("the word is ignored, the line's other flags apply (before it: {so_far})");
    line.unexpected(token, "a flag such as nomodify, noquery or ignore", &names, effect);
    Ok(())
}

fn target(line: &mut Line<'_>, family: Family) -> Result<RestrictTarget, Dropped> {
    if line.take_keyword("default") {
        return Ok(RestrictTarget::Default(family));
    }
    if line.take_keyword("source") {
        return Ok(RestrictTarget::Source);
    }
    let at = line.next_span();
    let text = line.text("restrict", "an address, a host name, default or source")?;
    if let Some(address) = address(&text) {
        if !family.admits(address) {
            let message = format!("{} is not of the family that the line asks for", quote(&text));
            line.say(Severity::Error, at, message, Advice::default(), "the whole line is ignored");
            return Err(Dropped);
        }
        return Ok(RestrictTarget::Net { address, mask: full_mask(address) });
    }
    if let Some((address, mask)) = prefix(&text) {
        let message = format!("ntpd takes {} for a host name", quote(&text));
        let effect = format!("rsntpd applies it as {address} mask {mask}");
        line.say(Severity::Warning, at, message, Advice::expected("ADDRESS mask MASK"), effect);
        return Ok(RestrictTarget::Net { address, mask });
    }
    Ok(RestrictTarget::Name(String::from_utf8_lossy(&text).into_owned(), family))
}

fn masked(line: &mut Line<'_>, target: &RestrictTarget) -> Result<RestrictTarget, Dropped> {
    let token = line.next();
    let mask = token.as_ref().filter(|t| t.kind == TokenKind::Text).and_then(|t| address(&t.text));
    let RestrictTarget::Net { address: net, .. } = *target else {
        return Err(line.bad_argument("mask", token.as_ref(), "an address before it, not a name"));
    };
    match mask {
        Some(mask) if mask.is_ipv4() == net.is_ipv4() => Ok(RestrictTarget::Net { address: net, mask }),
        _ => {
            Err(line.bad_argument("mask", token.as_ref(), "a mask of the same family, such as 255.255.255.0"))
        }
    }
}

fn full_mask(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::BROADCAST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)),
    }
}

/// `ADDRESS/LENGTH`.
fn prefix(text: &[u8]) -> Option<(IpAddr, IpAddr)> {
    let slash = text.iter().rposition(|b| *b == b'/')?;
    let net = address(&text[..slash])?;
    let length: u32 = std::str::from_utf8(&text[slash + 1..]).ok()?.parse().ok()?;
    let mask = match net {
        IpAddr::V4(_) if length <= 32 => {
            IpAddr::V4(Ipv4Addr::from_bits(u32::MAX.checked_shl(32 - length).unwrap_or(0)))
        }
        IpAddr::V6(_) if length <= 128 => {
            IpAddr::V6(Ipv6Addr::from_bits(u128::MAX.checked_shl(128 - length).unwrap_or(0)))
        }
        _ => return None,
    };
    Some((net, mask))
}
