//! `restrict` lines.

use super::address::{address, checked_address, is_hopeless, take_family};
use super::diagnostic::{Severity, quote};
use super::encoding::lossy;
use super::hostname;
use super::language::{self, Context, Effect, Since};
use super::lexer::{Token, TokenKind};
use super::line::{Advice, Dropped, Line};
use super::model::{AccessFlags, Family, Restrict, RestrictTarget};
use super::reader;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

/// A `restrict` line. ntpd drops the flags behind an unknown keyword and so opens the server; here they are
/// kept, as far as they restrict.
pub(super) fn restrict(line: &mut Line<'_>) -> Result<Restrict, Dropped> {
    let family = take_family(line);
    let at = line.next_span();
    let mut target = target(line, family)?;
    let mut entry = Flags::default();
    if line.take_keyword("mask") {
        target = masked(line, target, family, &mut entry)?;
    }
    if let RestrictTarget::Name(name, _) | RestrictTarget::Around { name, .. } = &target
        && is_hopeless(name.as_bytes())
    {
        let message = format!("{} is not an address", quote(name.as_bytes()));
        let advice = Advice::expected("an IPv4 or IPv6 address, or a host name");
        line.say(Severity::Error, at.clone(), message, advice, "the whole line is ignored, as ntpd does");
        return Err(Dropped);
    }
    if let RestrictTarget::Name(name, _) | RestrictTarget::Around { name, .. } = &target
        && let Some(fault) = hostname::fault(name.as_bytes())
    {
        let effect = format!(
            "{} is looked up, and will not be found: the line restricts no host",
            quote(name.as_bytes())
        );
        line.say(Severity::Error, at, fault.message, fault.advice, effect);
    }
    // The servers' own line is not ntpd 4.2.6's: nothing narrows what that would restrict.
    entry.lost &= target != RestrictTarget::Source;
    while let Some(token) = line.next() {
        if !flag(line, &mut entry, &token)? {
            line.expect_any();
            report_unknown(line, &token, entry.flags);
            entry.lost = target != RestrictTarget::Source;
        }
    }
    Ok(Restrict { target, flags: entry.flags, ntpport: entry.ntpport, origin: line.origin() })
}

/// The flags of a line, while it is read.
#[derive(Default)]
struct Flags {
    flags: AccessFlags,
    ntpport: bool,
    /// ntpd 4.2.6 reads no further: what follows may only restrict.
    lost: bool,
}

/// Takes a flag; false if it is none.
fn flag(line: &mut Line<'_>, entry: &mut Flags, token: &Token) -> Result<bool, Dropped> {
    let Some(row) = reader::row_of(token, &[Context::Restrict]) else { return Ok(false) };
    entry.lost |= row.since != Since::V426;
    match row.effect {
        Effect::Flag(flag) => entry.flags = entry.flags.union(flag),
        Effect::NtpPort => {
            report_lost_port(line, token, entry);
            entry.ntpport |= !entry.lost;
        }
        _ => {}
    }
    reader::argument(line, row, token)?;
    Ok(true)
}

/// `ntpport` takes clients out of an entry: where ntpd does not read it, it must not count.
fn report_lost_port(line: &mut Line<'_>, token: &Token, entry: &Flags) {
    if entry.lost && !entry.ntpport {
        let message = "ntpport behind a keyword that ntpd 4.2.6 does not know".to_owned();
        let advice = Advice::expected("ntpport before that keyword");
        let effect = "it is ignored, as ntpd does: the line applies to packets from any port";
        line.say(Severity::Error, token.span.clone(), message, advice, effect);
    }
}

fn report_unknown(line: &mut Line<'_>, token: &Token, before: AccessFlags) {
    let names = language::names(Context::Restrict);
    let flags: Vec<&str> = before.names().collect();
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
    let number = line.peek().is_some_and(|token| match token.kind {
        TokenKind::Integer(_) => true,
        // To ntpd 4.2.6 only what has a point is a number; anything else is a name.
        TokenKind::Double(_) => token.text.contains(&b'.'),
        _ => false,
    });
    if number {
        let found = line.next();
        return Err(line.bad_argument("restrict", found.as_ref(), "an address of four numbers"));
    }
    let text = line.text("restrict", "an address, a host name, default or source")?;
    if let Some(address) = checked_address(line, &text, at.clone(), family) {
        return Ok(RestrictTarget::Net { address, mask: full_mask(address) });
    }
    if let Some((address, mask)) = prefix(&text) {
        let message = format!("ntpd takes {} for a host name and ignores the line", quote(&text));
        let effect =
            format!("its flags are added for {address} mask {mask}; the line opens nothing, as in ntpd");
        line.say(Severity::Warning, at, message, Advice::expected("ADDRESS mask MASK"), effect);
        return Ok(RestrictTarget::Adds { address, mask });
    }
    Ok(RestrictTarget::Name(lossy(&text), family))
}

/// Takes the mask of a target, whose `-4` or `-6` was `family`.
fn masked(
    line: &mut Line<'_>,
    target: RestrictTarget,
    family: Family,
    entry: &mut Flags,
) -> Result<RestrictTarget, Dropped> {
    let at = line.next_span();
    let token = line.next();
    let mask = token.as_ref().filter(|t| t.kind == TokenKind::Text);
    let mask = mask.and_then(|t| checked_address(line, &t.text, at.clone(), Family::Any));
    let Some(mask) = mask else {
        let wrong = "a mask of the same family, such as 255.255.255.0";
        return Err(line.bad_argument("mask", token.as_ref(), wrong));
    };
    if family != Family::Any || matches!(target, RestrictTarget::Default(_)) {
        return Ok(unread_mask(line, target, mask, &at, entry));
    }
    match target {
        RestrictTarget::Net { address, .. } if mask.is_ipv4() == address.is_ipv4() => {
            Ok(RestrictTarget::Net { address, mask })
        }
        RestrictTarget::Adds { address, .. } if mask.is_ipv4() == address.is_ipv4() => {
            Ok(RestrictTarget::Adds { address, mask })
        }
        RestrictTarget::Net { address, .. } => {
            let (family, name) = if address.is_ipv4() { (Family::V4, "IPv4") } else { (Family::V6, "IPv6") };
            let message = format!("the mask {mask} is of another family than {address}");
            let advice = Advice::expected("a mask of the same family, such as 255.255.255.0");
            let effect = format!("ntpd finds no bits in it: the flags apply to every {name} client");
            line.say(Severity::Error, at, message, advice, effect);
            Ok(RestrictTarget::Default(family))
        }
        RestrictTarget::Name(name, family) => Ok(RestrictTarget::Around { name, family, mask }),
        target => Ok(unread_mask(line, target, mask, &at, entry)),
    }
}

/// A mask where ntpd takes none: it makes an entry without flags for the target alone. Here the flags are
/// added where the line says, and nothing is opened.
fn unread_mask(
    line: &mut Line<'_>,
    target: RestrictTarget,
    mask: IpAddr,
    at: &Range<usize>,
    entry: &mut Flags,
) -> RestrictTarget {
    entry.lost = true;
    let (severity, message, expected, effect, target) = match target {
        RestrictTarget::Net { address, .. } | RestrictTarget::Adds { address, .. }
            if mask.is_ipv4() == address.is_ipv4() =>
        {
            let effect =
                format!("the flags are added for {address} mask {mask}; the line opens nothing, as in ntpd");
            let target = RestrictTarget::Adds { address, mask };
            let message = "ntpd takes no mask behind -4 or -6";
            (Severity::Warning, message, "the address without -4 or -6", effect, target)
        }
        target => {
            let effect = "the line's flags apply as without mask; ntpd would lose them".to_owned();
            (Severity::Error, "mask belongs behind an address", "ADDRESS mask MASK", effect, target)
        }
    };
    line.say(severity, at.clone(), message.to_owned(), Advice::expected(expected), effect);
    target
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
