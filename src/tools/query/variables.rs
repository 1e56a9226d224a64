//! Reading variables: of the system, of an association, of a reference clock.

use super::associations::{range, resolve};
use super::commands::Result;
use super::console::{Console, Output};
use super::{cooked, json};
use crate::tools::link::{Ask, Trouble};
use crate::wire::control::opcode;
use crate::wire::reply::Reply;
use crate::wire::status::{PeerStatus, SystemStatus, describe_clock};
use crate::wire::varlist::{VarList, visible_lines};

/// `readvar`.
pub(super) fn readvar(console: &mut Console, words: &[&str], _: &str) -> Result {
    let (association, names) = which(console, words)?;
    read(console, opcode::READ_VARIABLES, association, &names)
}

/// `readlist`.
pub(super) fn readlist(console: &mut Console, words: &[&str], _: &str) -> Result {
    let (association, _) = which(console, &words[..words.len().min(1)])?;
    let names = listed(console);
    read(console, opcode::READ_VARIABLES, association, &names)
}

/// `clockvar`.
pub(super) fn clockvar(console: &mut Console, words: &[&str], _: &str) -> Result {
    let (association, names) = which(console, words)?;
    read(console, opcode::READ_CLOCK, association, &names)
}

/// `clocklist`.
pub(super) fn clocklist(console: &mut Console, words: &[&str], _: &str) -> Result {
    let (association, _) = which(console, &words[..words.len().min(1)])?;
    let names = listed(console);
    read(console, opcode::READ_CLOCK, association, &names)
}

/// `pstatus`.
pub(super) fn pstatus(console: &mut Console, words: &[&str], _: &str) -> Result {
    let [word, ..] = words else { return Err(Trouble::Cannot("Usage: pstatus assoc".to_owned())) };
    let association = resolve(console, word)?;
    read(console, opcode::READ_STATUS, association, "")
}

/// `mreadvar`.
pub(super) fn mreadvar(console: &mut Console, words: &[&str], _: &str) -> Result {
    let [from, to, names @ ..] = words else {
        return Err(Trouble::Cannot("Usage: mreadvar first last [name,...]".to_owned()));
    };
    read_range(console, from, to, &names.join(","))
}

/// `mreadlist`.
pub(super) fn mreadlist(console: &mut Console, words: &[&str], _: &str) -> Result {
    let [from, to, ..] = words else {
        return Err(Trouble::Cannot("Usage: mreadlist first last".to_owned()));
    };
    let names = listed(console);
    read_range(console, from, to, &names)
}

fn read_range(console: &mut Console, from: &str, to: &str, names: &str) -> Result {
    let (mut text, mut rows) = (String::new(), Vec::new());
    for association in range(console, from, to)? {
        match read(console, opcode::READ_VARIABLES, association, names)? {
            Output::Text(one) => {
                if !text.is_empty() {
                    text.push('\n');
                }
                if is_brief(console, names) {
                    text.push_str(&format!("associd={association} "));
                }
                text.push_str(&one);
            }
            Output::Data(one) => rows.push(one),
        }
    }
    Ok(if console.settings.json {
        Output::Data(serde_json::json!({ "associations": rows }))
    } else {
        Output::Text(text)
    })
}

/// Whether the status line is left out: a query of variables by name is for their values
/// only, for scripts. ntpq does so since 4.2.6, unless `--old-rv` was given.
fn is_brief(console: &Console, names: &str) -> bool {
    !names.is_empty() && !console.settings.old_rv
}

/// The association and the names that the words ask for. Names may follow without an association.
fn which(console: &mut Console, words: &[&str]) -> std::result::Result<(u16, String), Trouble> {
    match words {
        [] => Ok((0, String::new())),
        [first, names @ ..] if first.starts_with('&') || first.bytes().all(|b| b.is_ascii_digit()) => {
            Ok((resolve(console, first)?, names.join(",")))
        }
        names => Ok((0, names.join(","))),
    }
}

/// The names that `addvars` collected.
fn listed(console: &Console) -> String {
    let names: Vec<&str> = console.variables.iter().map(|(name, _)| name.as_str()).collect();
    names.join(",")
}

fn read(console: &mut Console, operation: u8, association: u16, names: &str) -> Result {
    let reply = console.link()?.ask(&Ask::new(operation, association, names.as_bytes()))?;
    if console.settings.json {
        return Ok(Output::Data(data(&reply, operation, association)));
    }
    let brief = is_brief(console, names);
    if console.raw {
        let (status, body) = (reply.status, visible_lines(&reply.data));
        let head =
            if brief { String::new() } else { format!("associd={association} status=0x{status:04x},\n") };
        return Ok(Output::Text(head + &body));
    }
    let list = VarList::parse(&reply.data);
    if list.is_empty() {
        return Err(Trouble::Cannot(format!("No information returned for association {association}")));
    }
    let body = cooked::lines(&list, &mut console.names);
    if brief {
        return Ok(Output::Text(body));
    }
    let status = describe(reply.status, operation, association);
    Ok(Output::Text(format!("associd={association} status={:04x} {status},\n{body}", reply.status)))
}

fn describe(status: u16, operation: u8, association: u16) -> String {
    match (operation, association) {
        (opcode::READ_CLOCK, _) => describe_clock(status),
        (_, 0) => SystemStatus(status).describe(),
        _ => PeerStatus(status).describe(),
    }
}

fn data(reply: &Reply, operation: u8, association: u16) -> serde_json::Value {
    let described = describe(reply.status, operation, association);
    serde_json::json!({
        "associd": association,
        "status": format!("{:04x}", reply.status),
        "status_text": described.trim_start_matches([',', ' ']),
        "variables": json::variables(&VarList::parse(&reply.data)),
    })
}
