//! `statistics`, `filegen`, `interface`, `logconfig`.

use super::address::address;
use super::diagnostic::{Severity, quote};
use super::language::{self, Context, Effect, Row};
use super::lexer::{Token, TokenKind};
use super::line::{Advice, Dropped, Line};
use super::model::{Config, Filegen, FilegenType, InterfaceMatch, InterfaceRule, StatKind, Statistics};
use super::reader::{self, Value, choice};
use std::ops::Range;

/// The row of a keyword that must stand here.
fn row(token: Option<&Token>, context: Context) -> Option<&'static Row> {
    token.and_then(|token| reader::row_of(token, &[context]))
}

fn filegen_of<'c>(all: &'c mut Vec<Filegen>, name: &str, kind: StatKind) -> &'c mut Filegen {
    let index = all.iter().position(|f| f.kind == kind).unwrap_or_else(|| {
        let fresh =
            Filegen { kind, file: name.to_owned(), rotation: FilegenType::Day, link: true, enabled: false };
        all.push(fresh);
        all.len() - 1
    });
    &mut all[index]
}

pub(super) fn statistics(line: &mut Line<'_>, into: &mut Statistics) -> Result<(), Dropped> {
    for found in reader::keywords(line, Context::Statistics, "statistics")? {
        if let Effect::Statistics(kind) = found.row.effect {
            filegen_of(&mut into.filegens, found.row.name, kind).enabled = true;
        }
    }
    Ok(())
}

/// What a `filegen` line says.
pub(super) struct FilegenLine {
    name: &'static str,
    kind: StatKind,
    pub(super) file: Option<String>,
    pub(super) rotation: Option<FilegenType>,
    pub(super) link: Option<bool>,
    pub(super) enabled: bool,
}

impl FilegenLine {
    /// Applies the line: `filegen` lines come after all `statistics` lines, and each begins with the kind's own
    /// name as the file's, and a file that is written.
    pub(super) fn apply(self, into: &mut Statistics) {
        let filegen = filegen_of(&mut into.filegens, self.name, self.kind);
        filegen.file = self.file.unwrap_or_else(|| self.name.to_owned());
        filegen.rotation = self.rotation.unwrap_or(filegen.rotation);
        filegen.link = self.link.unwrap_or(filegen.link);
        filegen.enabled = self.enabled;
    }
}

pub(super) fn filegen(line: &mut Line<'_>) -> Result<FilegenLine, Dropped> {
    let token = line.next();
    let names = language::names(Context::Statistics);
    let kind = row(token.as_ref(), Context::Statistics);
    let (Some((row, Effect::Statistics(kind))), Some(token)) = (kind.map(|row| (row, row.effect)), &token)
    else {
        let Some(token) = token else { return Err(line.bad_argument("filegen", None, &choice(&names))) };
        line.unexpected(&token, &choice(&names), &names, "the whole line is ignored".to_owned());
        return Err(Dropped);
    };
    reader::report(line, row, &Value::Nothing, token);
    let mut new = FilegenLine { name: row.name, kind, file: None, rotation: None, link: None, enabled: true };
    while let Some(token) = line.next() {
        match reader::row_of(&token, &[Context::Filegen]).map(|row| row.effect) {
            Some(Effect::Filegen(read)) => read(&mut new, line)?,
            _ => {
                let classes = language::names(Context::Filegen);
                let effect =
                    "what comes before it takes effect, it and the rest of the line do not".to_owned();
                line.unexpected(&token, &choice(&classes), &classes, effect);
                break;
            }
        }
    }
    Ok(new)
}

/// The argument of `type`.
pub(super) fn rotation(line: &mut Line<'_>) -> Result<FilegenType, Dropped> {
    let token = line.next();
    match row(token.as_ref(), Context::FilegenType).map(|row| row.effect) {
        Some(Effect::FilegenType(rotation)) => Ok(rotation),
        _ => {
            let names = language::names(Context::FilegenType);
            Err(line.bad_argument("type", token.as_ref(), &choice(&names)))
        }
    }
}

pub(super) fn interface(line: &mut Line<'_>, config: &mut Config, command: &str) -> Result<(), Dropped> {
    let token = line.next();
    let action = row(token.as_ref(), Context::InterfaceAction).map(|row| row.effect);
    let Some(Effect::InterfaceAction(action)) = action else {
        let expected = "listen, ignore or drop, and then which";
        return Err(line.bad_argument(command, token.as_ref(), expected));
    };
    let wanted = "all, ipv4, ipv6, wildcard, a name or an address";
    let which = row(line.peek(), Context::InterfaceMatch).map(|row| row.effect);
    let matches = match which {
        Some(Effect::InterfaceMatch(matches)) => {
            line.next();
            matches()
        }
        _ => {
            let at = line.next_span();
            let text = line.name(command, wanted)?;
            report_length(line, &text, at.clone());
            let found = interface_name(&text);
            if matches!(found, InterfaceMatch::Name(_)) && !may_be_interface(&text) {
                let message = format!("{} cannot be the name of an interface", quote(text.as_bytes()));
                let effect = "the rule is about no address";
                line.say(Severity::Error, at, message, Advice::expected(wanted), effect);
            }
            found
        }
    };
    config.interfaces.push(InterfaceRule { action, matches });
    line.done(&format!("the {command} rule"));
    Ok(())
}

/// Whether the kernel could give an interface this name; an alias has a label behind a colon.
fn may_be_interface(text: &str) -> bool {
    const LONGEST: usize = 15;
    let name = text.split_once(':').map_or(text, |(name, _)| name);
    let is_number = text.split('.').count() == 4 && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    !name.is_empty() && name.len() <= LONGEST && !text.contains(['/', ',', ' ', ';', '*', '=']) && !is_number
}

/// Reports what is no prefix length.
fn report_length(line: &mut Line<'_>, text: &str, at: Range<usize>) {
    let Some((net, length)) = text.rsplit_once('/') else { return };
    let Some(address) = address(net.as_bytes()) else { return };
    let whole: u8 = if address.is_ipv4() { 32 } else { 128 };
    if length.parse().is_ok_and(|length: u8| length <= whole) {
        return;
    }
    let message = format!("{} cannot be a prefix length", quote(length.as_bytes()));
    let advice = Advice::expected(&format!("a whole number from 0 to {whole}"));
    line.say(Severity::Error, at, message, advice, format!("the rule is about {address} alone"));
}

fn interface_name(text: &str) -> InterfaceMatch {
    let (net, length) = text.rsplit_once('/').map_or((text, None), |(net, length)| (net, Some(length)));
    let Some(address) = address(net.as_bytes()) else { return InterfaceMatch::Name(text.to_owned()) };
    let whole: u8 = if address.is_ipv4() { 32 } else { 128 };
    match length.map(str::parse::<u8>) {
        None => InterfaceMatch::Address(address, whole),
        Some(Ok(length)) if length <= whole => InterfaceMatch::Address(address, length),
        // ntpd takes the nearest length, or none.
        Some(_) => InterfaceMatch::Address(address, whole),
    }
}

const CLASSES: [&str; 5] = ["", "clock", "peer", "sync", "sys"];
const MESSAGES: [&str; 5] = ["all", "info", "events", "status", "statistics"];

/// Whether ntpd knows this class of messages; `text` has no sign.
fn is_class(text: &str) -> bool {
    let all = text.strip_prefix("all").is_some_and(|w| MESSAGES.contains(&w) || CLASSES[1..].contains(&w));
    all || CLASSES.iter().any(|class| text.strip_prefix(class).is_some_and(|t| MESSAGES.contains(&t)))
}

/// `logconfig` classes: kept as written; unknown ones are reported.
pub(super) fn logconfig(line: &mut Line<'_>, config: &mut Config) -> Result<(), Dropped> {
    let mut classes = Vec::new();
    let mut any = false;
    let example = "=syncall +sysevents and the like";
    while let Some(token) = line.next() {
        // To the scanner it is the option; ntpd reads as far as that.
        if let TokenKind::Family(_) = token.kind {
            if !any {
                return Err(line.bad_argument("logconfig", Some(&token), example));
            }
            line.unexpected(&token, "=, + or - and a class", &[], super::servers::REST_IS_LOST.to_owned());
            break;
        }
        any = true;
        let text = String::from_utf8_lossy(&token.text).into_owned();
        let class = text.strip_prefix(['=', '+', '-']).unwrap_or(&text);
        if is_class(class) || class.is_empty() {
            // 4.2.8: without a sign it is =.
            let sign = if text.starts_with(['=', '+', '-']) { "" } else { "=" };
            classes.push(format!("{sign}{text}"));
            continue;
        }
        let message = format!("unknown message class {}", quote(&token.text));
        let advice = Advice::expected(
            "=, + or -, then clock, peer, sync, sys or all, then all, info, events, status or statistics",
        );
        let effect = if text.starts_with('=') { "nothing is logged, as ntpd does" } else { "it is ignored" };
        if text.starts_with('=') {
            // An unknown class still empties the mask.
            classes.push("=".to_owned());
        }
        line.say(Severity::Error, token.span.clone(), message, advice, effect);
    }
    config.logconfig.extend(classes);
    if any { Ok(()) } else { Err(line.bad_argument("logconfig", None, example)) }
}
