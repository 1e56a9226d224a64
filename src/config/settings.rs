//! Commands that set values: `tinker`, `tos`, `discard`, `mru`, `enable`, and commands with one value.

use super::diagnostic::Severity;
use super::language::{Context, Effect, Note, Row};
use super::lexer::{Token, TokenKind};
use super::line::{Advice, Dropped, Line, to_path};
use super::model::{Config, Enable, Idle, SmearLaw, Variable};
use super::reader::{self, Found, Value, choice};
use crate::units::{KeyId, Ppm};
use std::ops::{Range, RangeInclusive};

/// Largest number of a key.
const KEY_MAX: i64 = 65_535;

/// The settings behind `tinker`, `tos`, `discard` and `mru`.
pub(super) fn settings(
    line: &mut Line<'_>,
    context: Context,
    command: &'static str,
    config: &mut Config,
) -> Result<(), Dropped> {
    let at = line.next_span();
    for found in reader::keywords(line, context, command)? {
        let value = found.value.number();
        match found.row.effect {
            Effect::Set(apply) => apply(config, value),
            Effect::SetValue(apply) => apply(config, &found.value),
            Effect::SetNoting(apply, note) => {
                apply(config, value);
                if let Some(Note { message, effect }) = note(value) {
                    line.say(Severity::Note, at.clone(), message.to_owned(), Advice::default(), effect);
                }
            }
            _ if context == Context::Mru => keep(&mut config.idle, found.idle(command)),
            _ => {}
        }
    }
    Ok(())
}

/// The law behind `leapsmearmode`.
pub(super) fn smear_law(line: &mut Line<'_>, command: &str) -> Result<SmearLaw, Dropped> {
    const LAWS: [SmearLaw; 2] = [SmearLaw::Linear, SmearLaw::Cosine];
    let token = line.peek().cloned();
    let text = line.text(command, "linear or cosine")?;
    let law = LAWS.into_iter().find(|law| law.name().as_bytes() == text);
    law.ok_or_else(|| line.bad_argument(command, token.as_ref(), "linear or cosine"))
}

/// Keeps what changes nothing; the last one of a kind counts.
pub(super) fn keep(idle: &mut Vec<Idle>, new: Idle) {
    idle.retain(|old| (old.command, old.option) != (new.command, new.option));
    idle.push(new);
}

/// Which way `enable` and `disable` turn a switch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Turn {
    On,
    Off,
}

/// A switch that a line turns.
pub(super) struct Switched {
    pub(super) row: &'static Row,
    pub(super) turn: Turn,
}

impl Turn {
    /// What it is by default.
    fn default_of(row: &Row) -> Self {
        if row.default == "on" { Self::On } else { Self::Off }
    }
}

/// The switches that an `enable` or `disable` line names.
pub(super) fn switches(
    line: &mut Line<'_>,
    command: &'static str,
    turn: Turn,
) -> Result<Vec<&'static Row>, Dropped> {
    let mut found = Vec::new();
    let mut any = false;
    while let Some(token) = line.next() {
        any = true;
        let Some(row) = reader::row_of(&token, &[Context::Switch]) else {
            let names = super::language::names(Context::Switch);
            let effect = "what comes before it takes effect, it and the rest of the line do not".to_owned();
            line.unexpected(&token, &choice(&names), &names, effect);
            break;
        };
        if turn != Turn::default_of(row) {
            reader::report(line, row, &Value::Nothing, &token);
        }
        found.push(row);
    }
    if any { Ok(found) } else { Err(line.bad_argument(command, None, "a switch such as monitor or ntp")) }
}

/// Sets a switch.
pub(super) fn switch(row: &Row, turn: Turn, into: &mut Enable) {
    if let Effect::Switch(switch) = row.effect {
        *switch(into) = turn == Turn::On;
    }
}

/// Keys from the first to the last number, of which only 1 to 65535 are keys.
pub(super) type KeyRange = RangeInclusive<i64>;

/// Each key of these ranges once, in ascending order.
pub(super) fn keys_of(mut ranges: Vec<KeyRange>) -> Vec<KeyId> {
    ranges.sort_unstable_by_key(|range| *range.start());
    let mut keys = Vec::new();
    let mut next = 1;
    for range in ranges {
        let (first, last) = ((*range.start()).max(next), (*range.end()).min(KEY_MAX));
        keys.extend((first..=last).map(|key| KeyId(key as u32)));
        next = next.max(last + 1);
    }
    keys
}

/// Key identifiers, single or as `( FIRST ... LAST )`.
pub(super) fn trusted_keys(line: &mut Line<'_>) -> Result<Vec<KeyRange>, Dropped> {
    let mut trusted = Vec::new();
    let mut any = false;
    while let Some(token) = line.peek().cloned() {
        match token.kind {
            TokenKind::Integer(value) => {
                line.next();
                if (1..=KEY_MAX).contains(&value) {
                    trusted.push(value..=value);
                } else {
                    let message = format!("key {value} is out of range");
                    let advice = Advice::expected("a whole number from 1 to 65535");
                    line.say(Severity::Error, token.span, message, advice, "this key is not trusted");
                }
            }
            TokenKind::Special(b'(') => {
                line.next();
                // Nothing is in a range that runs backwards.
                trusted.push(key_range(line)?);
            }
            _ => break,
        }
        any = true;
    }
    if !any {
        let found = line.next();
        return Err(line.bad_argument("trustedkey", found.as_ref(), "key numbers, or ( FIRST ... LAST )"));
    }
    line.done("trustedkey with the numbers before it");
    Ok(trusted)
}

fn key_range(line: &mut Line<'_>) -> Result<KeyRange, Dropped> {
    let expected = "( FIRST ... LAST ) with spaces around ...";
    let number = |line: &mut Line<'_>| match line.next() {
        Some(Token { kind: TokenKind::Integer(value), .. }) => Ok(value),
        found => Err(line.bad_argument("a key range", found.as_ref(), expected)),
    };
    let at = line.next_span();
    let first = number(line)?;
    if !line.take_keyword("...") {
        let found = line.next();
        return Err(line.bad_argument("a key range", found.as_ref(), expected));
    }
    let last = number(line)?;
    match line.next() {
        Some(Token { kind: TokenKind::Special(b')'), .. }) => Ok(held(line, at, first, last)),
        found => Err(line.bad_argument("a key range", found.as_ref(), "a closing )")),
    }
}

/// A range within the numbers of keys: ntpd keeps 16 bits of its ends.
fn held(line: &mut Line<'_>, at: Range<usize>, first: i64, last: i64) -> KeyRange {
    let bits = |key: i64| key & 0xffff;
    let range = bits(first)..=bits(last);
    if range != (first..=last) {
        let message = format!("the keys {first} to {last} are out of range");
        let effect = if range.is_empty() {
            "no key is trusted by this range, as in ntpd".to_owned()
        } else {
            format!("the keys {} to {} are trusted, as in ntpd", range.start(), range.end())
        };
        line.say(Severity::Error, at, message, Advice::expected("whole numbers from 1 to 65535"), effect);
    }
    range
}

/// `setvar NAME = VALUE [default]`.
pub(super) fn setvar(line: &mut Line<'_>, config: &mut Config) -> Result<(), Dropped> {
    let span = line.next_span();
    let mut name = line.name("setvar", "NAME = VALUE")?;
    let token = line.next();
    if !matches!(token.as_ref().map(|t| t.kind), Some(TokenKind::Special(b'='))) {
        return Err(line.bad_argument("setvar", token.as_ref(), "= with spaces around it"));
    }
    let value = line.name("setvar", "a value")?;
    let shown = line.take_keyword("default");
    if let Some(at) = name.find('=') {
        name.truncate(at);
        let message = "the name of a variable ends before =".to_owned();
        let effect = format!("the variable is {}", super::diagnostic::quote(name.as_bytes()));
        line.say(
            Severity::Warning,
            span.clone(),
            message,
            Advice::expected("= with spaces around it"),
            effect,
        );
    }
    if name.trim_ascii().is_empty() {
        let message = "setvar has no name before =".to_owned();
        line.say(
            Severity::Error,
            span,
            message,
            Advice::expected("NAME = VALUE"),
            "the whole line is ignored",
        );
        return Err(Dropped);
    }
    config.setvar.push(Variable { name, value, shown });
    line.done("setvar");
    Ok(())
}

/// `driftfile [FILE [THRESHOLD]]`.
pub(super) fn driftfile(line: &mut Line<'_>, config: &mut Config) {
    match line.next() {
        Some(Token { kind: TokenKind::Text, text, .. }) => config.driftfile = Some(to_path(text)),
        other => {
            if let Some(token) = other {
                let effect = "it is ignored, and so is what follows it".to_owned();
                line.unexpected(&token, "a file name", &[], effect);
            }
            config.driftfile = None;
            // What is left is as nonvolatile sets it, which has a range.
            let held = |threshold: Ppm| threshold.get().clamp(0.0, 1e6);
            config.drift_threshold = config.drift_threshold.map(held).map(Ppm::new);
            let message = "driftfile without a file".to_owned();
            line.say(Severity::Note, line.end(), message, Advice::default(), "the frequency is not saved");
            return;
        }
    }
    if let Some(Token { kind: TokenKind::Double(threshold), .. }) = line.peek() {
        config.drift_threshold = Some(Ppm::from_rate(*threshold));
        line.next();
    }
    line.done("driftfile");
}

/// A command with one value; nothing if it is out of range and does not count.
pub(super) fn one(line: &mut Line<'_>, row: &'static Row, first: &Token) -> Result<Option<Found>, Dropped> {
    let found = reader::argument(line, row, first)?;
    line.done(row.name);
    Ok(found)
}
