//! Network Time Security: the `nts` command, and what `nts` makes of a `server` or `pool` line.

use super::diagnostic::{Severity, quote};
use super::draft::Draft;
use super::language::{Context, Effect, Row};
use super::lexer::{Token, TokenKind};
use super::line::{Advice, Dropped, Line, to_path};
use super::model::{Server, Target};
use super::reader::{self, Found, Value};
use super::settings::keep;
use crate::units::{Aead, KeyId};

/// The version that has NTS.
const VERSION: u8 = 4;

/// `nts SETTING …`.
pub(super) fn settings(
    line: &mut Line<'_>,
    command: &'static str,
    draft: &mut Draft<'_>,
) -> Result<(), Dropped> {
    let config = &mut draft.config;
    let mut marks = Vec::new();
    for found in reader::keywords(line, Context::Nts, command)? {
        match found.row.effect {
            Effect::Set(apply) => apply(config, found.value.number()),
            Effect::SetValue(apply) => apply(config, &found.value),
            Effect::Path(field) => *field(config) = Some(to_path(found.value.text().to_vec())),
            _ => keep(&mut config.idle, found.idle(command)),
        }
        if found.row.marked {
            let end = if found.value == Value::Nothing { found.span.end } else { found.at.end };
            let span = found.span.start..end;
            draft.places.nts.insert(found.row.name, line.spot(span.clone()));
            marks.push((found.row.name, line.mark(span)));
        }
    }
    marks.into_iter().for_each(|(name, mark)| draft.mark(name, mark));
    Ok(())
}

/// A host and the port of its key exchange.
pub(super) struct WithPort<'a> {
    pub(super) host: &'a [u8],
    pub(super) port: u16,
}

/// `NAME:PORT`, `ADDRESS:PORT` or `[ADDRESS]:PORT`.
pub(super) fn with_port(text: &[u8]) -> Option<WithPort<'_>> {
    let colon = text.iter().rposition(|b| *b == b':')?;
    let (host, port) = (&text[..colon], &text[colon + 1..]);
    let is_host = match host {
        [b'[', .., b']'] => true,
        host => !host.is_empty() && !host.contains(&b':') && !host.contains(&b'['),
    };
    let digits = std::str::from_utf8(port).ok().filter(|port| port.bytes().all(|b| b.is_ascii_digit()))?;
    let port = digits.parse().ok().filter(|port| *port > 0 && is_host)?;
    Some(WithPort { host, port })
}

/// Whether a line asks for NTS.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Yes,
    No,
    /// It does, and there is nothing to authenticate.
    OfClock,
}

impl Wanted {
    pub(super) fn of(server: &Server, options: &[Found]) -> Self {
        match () {
            () if !options.iter().any(|option| option.row.name == "nts") => Self::No,
            () if server.target.clock().is_some() => Self::OfClock,
            () => Self::Yes,
        }
    }
}

/// Reports an option that belongs to `nts` where that is not wanted.
pub(super) fn report_unused(line: &mut Line<'_>, nts: Wanted, option: &Found) {
    let message = format!("{} has no effect", option.row.name);
    let effect = if nts == Wanted::OfClock {
        "a reference clock is attached to this machine, not reached over the network"
    } else {
        "it belongs to nts, which this line does not have"
    };
    line.say(Severity::Warning, option.span.clone(), message, Advice::default(), effect);
}

/// What `nts` makes of the other options, once all are read.
pub(super) fn settle(line: &mut Line<'_>, server: &mut Server, options: &[Found]) {
    let Some(nts) = &server.nts else { return };
    let at = |name: &str| {
        options.iter().rfind(|option| option.row.name == name).map_or(0..0, |option| option.span.clone())
    };
    if nts.noval {
        let name = match &server.target {
            Target::Name(name) => name.clone(),
            Target::Address(address) => address.to_string(),
            Target::LocalClock { .. } | Target::RefClock { .. } => String::new(),
        };
        let message = format!("noval: the certificate of {name} is not checked");
        let effect =
            "whoever controls the network can pose as this server: remove noval, or name its roots by ca";
        line.say(Severity::Warning, at("noval"), message, Advice::default(), effect);
    }
    if let Some(KeyId(key)) = server.key.take() {
        let message = format!("key {key} and nts are on one line");
        let effect = "nts is used, the key is not: remove one of them";
        line.say(Severity::Error, at("key"), message, Advice::default(), effect);
    }
    if server.version != VERSION {
        let message = format!("NTS has no version {} of NTP", server.version);
        line.say(Severity::Warning, at("version"), message, Advice::default(), "version 4 is used");
        server.version = VERSION;
    }
}

/// Names of algorithms with colons or commas between them; those that are unknown are reported, and left out.
pub(super) fn algorithms(line: &mut Line<'_>, row: &Row) -> Result<Vec<Aead>, Dropped> {
    let mut aeads = Vec::new();
    loop {
        let span = line.next_span();
        let text = line.text(row.name, row.argument())?;
        for name in text.split(|b| matches!(b, b':' | b',' | b' ')).filter(|name| !name.is_empty()) {
            match std::str::from_utf8(name).ok().and_then(Aead::of_name) {
                Some(aead) if aeads.contains(&aead) => {}
                Some(aead) => aeads.push(aead),
                None => {
                    let message = format!("unknown algorithm {}", quote(name));
                    let names = Aead::ALL.map(Aead::name);
                    let advice = Advice::expected(&reader::choice(&names));
                    line.say(Severity::Error, span.clone(), message, advice, "it is left out");
                }
            }
        }
        if !matches!(line.peek(), Some(Token { kind: TokenKind::Special(b','), .. })) {
            return Ok(aeads);
        }
        line.next();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_set_apart_from_hosts() {
        for (text, host, port) in [
            ("a.example:4461", "a.example", 4461),
            ("192.0.2.1:1", "192.0.2.1", 1),
            ("[2001:db8::1]:65535", "[2001:db8::1]", 65_535),
            ("[fe80::1%eth0]:4460", "[fe80::1%eth0]", 4460),
        ] {
            let split = with_port(text.as_bytes()).unwrap();
            assert_eq!((split.host, split.port), (host.as_bytes(), port), "{text}");
        }
        for text in [
            "a",
            "a:",
            ":1",
            "a:0",
            "a:65536",
            "a:+1",
            "a:b",
            "2001:db8::1",
            "[2001:db8::1]",
            "a:1:2",
            "[a:1",
        ] {
            assert!(with_port(text.as_bytes()).is_none(), "{text}");
        }
    }
}
