//! `restrict` lines.

use super::address::{address, is_hopeless, take_family, told_address};
use super::diagnostic::{Severity, quote};
use super::language::{self, Context};
use super::lexer::{Token, TokenKind};
use super::line::{Advice, Dropped, Line};
use super::model::{AccessFlags, Family, Restrict, RestrictTarget};
use super::reader;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A `restrict` line. An unknown word loses nothing but itself: where ntpd drops the flags behind
/// it too, and so opens the server, they are kept.
pub(super) fn restrict(line: &mut Line<'_>) -> Result<Restrict, Dropped> {
    let family = take_family(line);
    let at = line.next_span();
    let mut target = target(line, family)?;
    if line.take_keyword("mask") {
        target = masked(line, target)?;
    }
    if let RestrictTarget::Name(name, _) = &target
        && is_hopeless(name.as_bytes())
    {
        let message = format!("{} is no address", quote(name.as_bytes()));
        let advice = Advice::expected("an IPv4 or IPv6 address, or a host name");
        line.say(Severity::Error, at, message, advice, "the whole line is ignored, as ntpd does");
        return Err(Dropped);
    }
    let mut entry = Restrict { target, flags: AccessFlags::NONE, ntpport: false, origin: line.origin() };
    while let Some(token) = line.next() {
        if !flag(line, &mut entry, &token)? {
            tell_unknown(line, &token, entry.flags);
        }
    }
    Ok(entry)
}

/// Takes a flag; false if it is none.
fn flag(line: &mut Line<'_>, entry: &mut Restrict, token: &Token) -> Result<bool, Dropped> {
    let Some(row) = reader::row_of(token, &[Context::Restrict]) else { return Ok(false) };
    if let Some((_, flag)) = AccessFlags::WORDS.iter().find(|(name, _)| *name == row.name) {
        entry.flags = entry.flags.union(*flag);
    }
    entry.ntpport |= row.name == "ntpport";
    reader::argument(line, row, token)?;
    Ok(true)
}

fn tell_unknown(line: &mut Line<'_>, token: &Token, before: AccessFlags) {
    let names = language::names(Context::Restrict);
    let flags: Vec<&str> = before.words().collect();
    let so_far = if flags.is_empty() { "none".to_owned() } else { flags.join(" ") };
    let (expected, effect) = if address(&token.text).is_some() {
        let expected = "mask before a mask; another address needs a restrict line of its own";
        (expected, "the line is about the first address only".to_owned())
    } else {
        let effect = format!("it is ignored, the line's other flags apply (before it: {so_far})");
        ("a flag such as nomodify, noquery or ignore", effect)
    };
    line.unexpected(token, expected, &names, effect);
}

fn target(line: &mut Line<'_>, family: Family) -> Result<RestrictTarget, Dropped> {
    if line.take_keyword("default") {
        return Ok(RestrictTarget::Default(family));
    }
    if line.take_keyword("source") {
        return Ok(RestrictTarget::Source);
    }
    let at = line.next_span();
    if let Some(Token { kind: TokenKind::Integer(_) | TokenKind::Double(_), .. }) = line.peek() {
        let found = line.next();
        return Err(line.bad_argument("restrict", found.as_ref(), "an address of four numbers"));
    }
    let text = line.text("restrict", "an address, a host name, default or source")?;
    if let Some(address) = told_address(line, &text, at.clone()) {
        if !family.admits(address) {
            let message = format!("{} is not of the family that the line asks for", quote(&text));
            line.say(Severity::Error, at, message, Advice::default(), "the whole line is ignored");
            return Err(Dropped);
        }
        return Ok(RestrictTarget::Net { address, mask: full_mask(address) });
    }
    if let Some((address, mask)) = prefix(&text) {
        let message = format!("ntpd takes {} for a host name and ignores the line", quote(&text));
        let effect = format!("rsntpd applies it as {address} mask {mask}");
        line.say(Severity::Warning, at, message, Advice::expected("ADDRESS mask MASK"), effect);
        return Ok(RestrictTarget::Net { address, mask });
    }
    Ok(RestrictTarget::Name(String::from_utf8_lossy(&text).into_owned(), family))
}

fn masked(line: &mut Line<'_>, target: RestrictTarget) -> Result<RestrictTarget, Dropped> {
    let at = line.next_span();
    let token = line.next();
    let mask = token.as_ref().filter(|t| t.kind == TokenKind::Text);
    let mask = mask.and_then(|t| told_address(line, &t.text, at.clone()));
    let wrong = "a mask of the same family, such as 255.255.255.0";
    match (target, mask) {
        (RestrictTarget::Net { address, .. }, Some(mask)) if mask.is_ipv4() == address.is_ipv4() => {
            Ok(RestrictTarget::Net { address, mask })
        }
        (RestrictTarget::Name(name, _), Some(mask)) => {
            if mask != full_mask(mask) {
                let message = format!("a mask around the name {}", quote(name.as_bytes()));
                let advice = Advice::expected("an address before the mask");
                line.say(Severity::Warning, at, message, advice, "the line is about that one host");
            }
            let family = if mask.is_ipv4() { Family::V4 } else { Family::V6 };
            Ok(RestrictTarget::Name(name, family))
        }
        (target @ (RestrictTarget::Default(_) | RestrictTarget::Source), Some(_)) => {
            let effect = "the line's flags apply as without mask; ntpd would lose them";
            let message = "mask belongs behind an address".to_owned();
            line.say(Severity::Error, at, message, Advice::default(), effect);
            Ok(target)
        }
        _ => Err(line.bad_argument("mask", token.as_ref(), wrong)),
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
