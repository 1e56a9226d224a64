//! Commands with one value, and commands that are valid and change nothing: kept, so that nothing
//! is lost when the configuration is printed.

use super::address::{address, take_family};
use super::diagnostic::{Severity, quote};
use super::language::{self, Context, Effect, Row, Takes};
use super::lexer::{Token, TokenKind};
use super::line::{Advice, Dropped, Line};
use super::model::{Config, Idle};
use super::reader::{self, Value, report};
use super::settings::{keep, one};
use super::{print, servers};
use std::net::IpAddr;

/// Brings what changes nothing into the order of the table, so that its print does not depend on how it was written.
/// What stands there several times stays in its order.
pub(super) fn sort(config: &mut Config) {
    let rank = |idle: &Idle| (language::rank(Context::Command, idle.command), idle.option);
    config.idle.sort_by_key(rank);
    for server in &mut config.servers {
        server.idle.sort_by_key(|idle| language::rank(Context::Association, idle.option));
    }
}

/// A command that changes nothing, read as its row says.
pub(super) fn keep_command(
    line: &mut Line<'_>,
    row: &'static Row,
    first: &Token,
    idle: &mut Vec<Idle>,
) -> Result<(), Dropped> {
    match row.takes {
        Takes::Integer | Takes::Number | Takes::Text(_) | Takes::Token(_) => {
            if let Some(found) = one(line, row, first)? {
                keep(idle, command(row, found.written()));
            }
            return Ok(());
        }
        Takes::Texts(_) => idle.push(command(row, texts(line, row)?)),
        _ => line.skip(),
    }
    report(line, row, &Value::Nothing, first);
    Ok(())
}

fn command(row: &'static Row, value: Vec<u8>) -> Idle {
    Idle { command: row.name, option: "", value }
}

/// A command without arguments.
pub(super) fn alone(line: &mut Line<'_>, row: &'static Row, idle: &mut Vec<Idle>) -> Result<(), Dropped> {
    keep(idle, command(row, Vec::new()));
    line.done(row.name);
    Ok(())
}

/// `crypto` and its options.
pub(super) fn crypto(line: &mut Line<'_>, row: &'static Row, idle: &mut Vec<Idle>) -> Result<(), Dropped> {
    // What its options lack loses the whole line.
    let mut found = Vec::new();
    options(line, Context::Crypto, row, &mut found)?;
    keep(idle, command(row, Vec::new()));
    found.into_iter().for_each(|option| keep(idle, option));
    Ok(())
}

/// A command whose options all change nothing.
pub(super) fn options(
    line: &mut Line<'_>,
    context: Context,
    row: &'static Row,
    idle: &mut Vec<Idle>,
) -> Result<(), Dropped> {
    for found in reader::keywords(line, context, row.name)? {
        match found.row.effect {
            Effect::KeepAs(command) => {
                keep(idle, Idle { command, option: "", value: found.written() });
            }
            _ => keep(idle, found.idle(row.name)),
        }
    }
    Ok(())
}

/// The tokens to the end of the line, at least one; `-4` and `-6` belong to the one behind them.
fn texts(line: &mut Line<'_>, row: &Row) -> Result<Vec<u8>, Dropped> {
    let mut tokens = vec![text(line, row)?];
    while line.peek().is_some() {
        tokens.push(text(line, row)?);
    }
    Ok(tokens.join(&b' '))
}

/// The groups on a line, which is kept as it was written. What is no group is reported.
pub(super) fn groups(
    line: &mut Line<'_>,
    row: &'static Row,
    idle: &mut Vec<Idle>,
) -> Result<Vec<IpAddr>, Dropped> {
    let (mut groups, mut tokens) = (Vec::new(), Vec::new());
    while tokens.is_empty() || line.peek().is_some() {
        take_family(line);
        let span = line.next_span();
        let text = line.text(row.name, row.argument())?;
        match address(&text) {
            Some(group) if group.is_multicast() => groups.push(group),
            _ => {
                let message = format!("{} takes group addresses, and {} is none", row.name, quote(&text));
                let advice =
                    Advice::expected("224.0.0.0 to 239.255.255.255, or an IPv6 address that begins with ff");
                line.say(
                    Severity::Warning,
                    span,
                    message,
                    advice,
                    "it is not used, as in ntpd; the others are",
                );
            }
        }
        tokens.push(print::token(&text));
    }
    idle.push(command(row, tokens.join(&b' ')));
    Ok(groups)
}

fn text(line: &mut Line<'_>, row: &Row) -> Result<Vec<u8>, Dropped> {
    take_family(line);
    Ok(print::token(&line.text(row.name, row.argument())?))
}

/// The numbers of `ttl`, as far as there are any; beyond 255 none is a hop limit.
pub(super) fn hops(line: &mut Line<'_>, row: &'static Row, idle: &mut Vec<Idle>) -> Result<Vec<u8>, Dropped> {
    let mut limits = Vec::new();
    let mut numbers = Vec::new();
    while let Some(Token { kind: TokenKind::Integer(value), .. }) = line.peek() {
        numbers.push(value.to_string());
        limits.push((*value).clamp(0, 255) as u8);
        line.next();
    }
    if numbers.is_empty() {
        let found = line.next();
        return Err(line.bad_argument(row.name, found.as_ref(), "whole numbers, in hops"));
    }
    line.done("ttl with the numbers before it");
    idle.push(command(row, numbers.join(" ").into_bytes()));
    Ok(limits)
}

/// `trap` with its address and options.
pub(super) fn trap(line: &mut Line<'_>, row: &'static Row, idle: &mut Vec<Idle>) -> Result<(), Dropped> {
    let mut tokens = vec![text(line, row)?];
    for found in reader::list(line, &[Context::Trap], row.name, servers::REST_IS_LOST)? {
        tokens.push(found.row.name.as_bytes().to_vec());
        tokens.push(found.written());
    }
    idle.push(command(row, tokens.join(&b' ')));
    Ok(())
}
