//! Commands that change something at the server: signed, and sent once.

use super::associations::resolve;
use super::commands::Result;
use super::console::{Console, Output};
use crate::tools::link::{Ask, Sign as _, Trouble};
use crate::wire::control::{DATA_MAX, opcode};
use crate::wire::varlist::visible_lines;
use std::fmt::Write as _;

/// Longest file whose lines are sent.
const FILE_MAX: u64 = 1 << 20;

/// `:config` and `config`.
pub(super) fn config(console: &mut Console, _: &[&str], rest: &str) -> Result {
    if rest.is_empty() {
        return Err(Trouble::Cannot("Usage: :config line of ntp.conf".to_owned()));
    }
    let response = send(console, opcode::CONFIGURE, 0, rest)?;
    Ok(Output::Text(response))
}

/// `config-from-file`.
pub(super) fn config_from_file(console: &mut Console, words: &[&str], _: &str) -> Result {
    let [file, ..] = words else {
        return Err(Trouble::Cannot("Usage: config-from-file file".to_owned()));
    };
    let failure = |error: std::io::Error| Trouble::Cannot(format!("{file}: {error}"));
    if std::fs::metadata(file).map_err(failure)?.len() > FILE_MAX {
        return Err(Trouble::Cannot(format!("{file} is longer than {FILE_MAX} bytes")));
    }
    let text = String::from_utf8_lossy(&std::fs::read(file).map_err(failure)?).into_owned();
    let mut out = String::new();
    for (line, number) in text.lines().zip(1..) {
        let code = line.trim();
        if code.is_empty() || code.starts_with('#') {
            continue;
        }
        let answer = send(console, opcode::CONFIGURE, 0, code)?;
        let _ = write!(out, "Line {number}: {answer}");
    }
    Ok(Output::Text(out))
}

/// `saveconfig`.
pub(super) fn saveconfig(console: &mut Console, words: &[&str], _: &str) -> Result {
    let [file, ..] = words else { return Err(Trouble::Cannot("Usage: saveconfig file".to_owned())) };
    let response = send(console, opcode::SAVE_CONFIG, 0, file)?;
    Ok(Output::Text(response))
}

/// `writevar`.
pub(super) fn writevar(console: &mut Console, words: &[&str], _: &str) -> Result {
    let [word, assignments @ ..] = words else { return usage() };
    if assignments.is_empty() {
        return usage();
    }
    let association = resolve(console, word)?;
    let response = send(console, opcode::WRITE_VARIABLES, association, &assignments.join(" "))?;
    Ok(Output::Text(response))
}

fn usage() -> Result {
    Err(Trouble::Cannot("Usage: writevar assoc name=value,...".to_owned()))
}

/// `writelist`.
pub(super) fn writelist(console: &mut Console, words: &[&str], _: &str) -> Result {
    let association = match words {
        [] => 0,
        [word, ..] => resolve(console, word)?,
    };
    let assigned = console.variables.iter().filter_map(|(n, v)| Some(format!("{n}={}", v.as_deref()?)));
    let assignments = assigned.collect::<Vec<_>>().join(",");
    if assignments.is_empty() {
        return Err(Trouble::Cannot("No variable on the list has a value".to_owned()));
    }
    let response = send(console, opcode::WRITE_VARIABLES, association, &assignments)?;
    Ok(Output::Text(response))
}

/// Sends a signed request and returns the text of the response, in whole lines.
fn send(
    console: &mut Console,
    operation: u8,
    association: u16,
    text: &str,
) -> std::result::Result<String, Trouble> {
    if text.len() > DATA_MAX {
        return Err(Trouble::Cannot(format!("More than {DATA_MAX} bytes do not fit into a request")));
    }
    let signer = console.signer()?;
    console.key = Some(signer.key());
    let ask = Ask { opcode: operation, association, data: text.as_bytes(), sign: Some(&signer) };
    let reply = console.link()?.ask(&ask)?;
    let mut response = visible_lines(&reply.data).trim_end().to_owned();
    if response.is_empty() {
        "done".clone_into(&mut response);
    }
    response.push('\n');
    Ok(response)
}
