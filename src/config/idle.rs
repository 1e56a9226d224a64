//! Commands with one value, and commands that are understood and change nothing: kept, so that nothing
//! is lost when the configuration is printed.

use super::language::{self, Context, Row, Takes};
use super::lexer::{Token, TokenKind};
use super::line::{Dropped, Line, to_path};
use super::model::{Config, Idle};
use super::reader::{self, Value, tell};
use super::settings::{idle_options, keep, one};
use super::{print, servers};
use crate::units::{KeyId, Ppm};

/// Whether the model has a place for this command, though it changes nothing.
pub(super) fn has_field(name: &str) -> bool {
    name == "requestkey"
}

/// A command with one value, which the model has a place for. The last one counts.
pub(super) fn set(
    line: &mut Line<'_>,
    row: &'static Row,
    first: &Token,
    config: &mut Config,
) -> Result<(), Dropped> {
    let Some(found) = one(line, row, first)? else { return Ok(()) };
    let number = found.value.number();
    match (row.name, found.value) {
        ("requestkey", _) => config.auth.request = Some(KeyId(number as u32)),
        ("controlkey", _) => config.auth.control = Some(KeyId(number as u32)),
        ("dscp", _) => config.dscp = Some(number as u8),
        ("nonvolatile", _) => config.drift_threshold = Some(Ppm::from_rate(number)),
        ("keys", Value::Text(path)) => config.auth.keys = Some(to_path(path)),
        ("logfile", Value::Text(path)) => config.logfile = Some(to_path(path)),
        ("pidfile", Value::Text(path)) => config.pidfile = Some(to_path(path)),
        ("leapfile", Value::Text(path)) => config.leapfile = Some(to_path(path)),
        ("saveconfigdir", Value::Text(path)) => config.saveconfigdir = Some(to_path(path)),
        ("statsdir", Value::Text(path)) => config.statistics.dir = Some(to_path(path)),
        _ => {}
    }
    Ok(())
}

/// Brings what changes nothing into the order of the table, so that it does not tell how it was written.
/// What stands there several times stays in its order.
pub(super) fn sort(config: &mut Config) {
    let rank = |idle: &Idle| (language::rank(Context::Command, idle.command), idle.option);
    config.idle.sort_by_key(rank);
    for server in &mut config.servers {
        server.idle.sort_by_key(|idle| language::rank(Context::Association, idle.option));
    }
}

/// A command that changes nothing.
pub(super) fn keep_command(
    line: &mut Line<'_>,
    row: &'static Row,
    first: &Token,
    idle: &mut Vec<Idle>,
) -> Result<(), Dropped> {
    let alone = |value: Vec<u8>| Idle { command: row.name, option: "", value };
    match row.takes {
        Takes::Integer | Takes::Number | Takes::Text(_) | Takes::Word(_) => {
            if let Some(found) = one(line, row, first)? {
                keep(idle, alone(found.written()));
            }
            return Ok(());
        }
        Takes::Texts(_) => idle.push(alone(texts(line, row)?)),
        _ => match row.name {
            "crypto" => {
                // What its options lack loses the whole line.
                let mut options = Vec::new();
                idle_options(line, Context::Crypto, row.name, &mut options)?;
                keep(idle, alone(Vec::new()));
                options.into_iter().for_each(|option| keep(idle, option));
            }
            "rlimit" | "reset" => {
                let context = if row.name == "reset" { Context::Reset } else { Context::Rlimit };
                idle_options(line, context, row.name, idle)?;
            }
            "ttl" => idle.push(alone(hops(line, row)?)),
            "trap" => idle.push(alone(trap(line, row)?)),
            "broadcastclient" => {
                keep(idle, alone(Vec::new()));
                line.done(row.name);
            }
            _ => line.skip(),
        },
    }
    tell(line, row, &Value::Nothing, first);
    Ok(())
}

/// The words to the end of the line, at least one; `-4` and `-6` belong to the one behind them.
fn texts(line: &mut Line<'_>, row: &Row) -> Result<Vec<u8>, Dropped> {
    let mut words = vec![text(line, row)?];
    while line.peek().is_some() {
        words.push(text(line, row)?);
    }
    Ok(words.join(&b' '))
}

fn text(line: &mut Line<'_>, row: &Row) -> Result<Vec<u8>, Dropped> {
    super::address::take_family(line);
    Ok(print::word(&line.text(row.name, row.argument())?))
}

/// The numbers of `ttl`, as far as there are any.
fn hops(line: &mut Line<'_>, row: &Row) -> Result<Vec<u8>, Dropped> {
    let mut numbers = Vec::new();
    while let Some(Token { kind: TokenKind::Integer(value), .. }) = line.peek() {
        numbers.push(value.to_string());
        line.next();
    }
    if numbers.is_empty() {
        let found = line.next();
        return Err(line.bad_argument(row.name, found.as_ref(), "whole numbers, in hops"));
    }
    line.done("ttl with the numbers before it");
    Ok(numbers.join(" ").into_bytes())
}

fn trap(line: &mut Line<'_>, row: &Row) -> Result<Vec<u8>, Dropped> {
    let mut words = vec![text(line, row)?];
    for found in reader::list(line, &[Context::Trap], row.name, servers::REST_IS_LOST)? {
        words.push(found.row.name.as_bytes().to_vec());
        words.push(found.written());
    }
    Ok(words.join(&b' '))
}
