//! Servers whose key the keys file does not have: known only when both files have been read.

use crate::config::model::{Key, Server, Target};
use crate::config::{Diagnostic, Parsed, Severity};
use crate::units::KeyId;
use std::collections::{BTreeMap, BTreeSet};

/// What is wrong with the keys of servers, once for each key. Adds those servers to `useless`, by their indices.
pub(super) fn look(
    parsed: &Parsed,
    keys: &[Key],
    found: &[Diagnostic],
    useless: &mut BTreeSet<usize>,
) -> Vec<Diagnostic> {
    let mut lacking: BTreeMap<(KeyId, Fault), (usize, &Diagnostic)> = BTreeMap::new();
    for (index, mark) in &parsed.outlook.keyed {
        let Some(server) = parsed.config.servers.get(*index) else { continue };
        let Some((key, fault)) = fault(server, keys) else { continue };
        useless.insert(*index);
        lacking.entry((key, fault)).or_insert((0, mark)).0 += 1;
    }
    let file = parsed.config.auth.keys.as_deref().map(|path| path.display().to_string()).unwrap_or_default();
    let servers = lacking.into_iter().map(|((key, fault), (count, mark))| {
        let who = if count == 1 { "this server".to_owned() } else { format!("{count} servers") };
        let never = if count == 1 { "it is never used" } else { "they are never used" };
        let (what, remedy) = match (fault, skipped(found, key)) {
            (Fault::Missing, Some(line)) => {
                (format!("cannot be used: {file} line {line} is skipped"), "correct that line")
            }
            (Fault::Missing, None) => (format!("is not in {file}"), "add it there, and to the server's file"),
            (Fault::Elsewhere, _) => {
                (format!("is limited to other addresses in {file}"), "add the server's address there")
            }
        };
        let message = format!("key {} of {who} {what}", key.0);
        Diagnostic {
            severity: Severity::Warning,
            message,
            effect: format!("{never}: {remedy}"),
            ..mark.clone()
        }
    });
    servers.chain(control(parsed, keys, &file)).collect()
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Missing,
    /// Its addresses do not have the server.
    Elsewhere,
}

fn fault(server: &Server, keys: &[Key]) -> Option<(KeyId, Fault)> {
    let id = server.key?;
    let Some(key) = keys.iter().find(|key| key.id == id) else { return Some((id, Fault::Missing)) };
    match server.target {
        Target::Address(address) if !key.admits(address) => Some((id, Fault::Elsewhere)),
        _ => None,
    }
}

/// The line of the keys file that was skipped and is about this key.
fn skipped(found: &[Diagnostic], key: KeyId) -> Option<u32> {
    let words = [format!("key {} ", key.0), format!(" key {} ", key.0), format!(" key {}", key.0)];
    let is_about = |message: &str| {
        message.starts_with(&words[0]) || message.contains(&words[1]) || message.ends_with(&words[2])
    };
    found.iter().find(|one| one.severity == Severity::Error && is_about(&one.message)).map(|one| one.line)
}

/// `controlkey` without such a key.
fn control(parsed: &Parsed, keys: &[Key], file: &str) -> Option<Diagnostic> {
    let (id, mark) = (parsed.config.auth.control?, parsed.mark("controlkey")?);
    let trusted = parsed.config.auth.trusted.contains(&id);
    let message = if parsed.config.auth.keys.is_none() {
        format!("controlkey {} is in no file: there is no keys line", id.0)
    } else if !keys.iter().any(|key| key.id == id) {
        format!("controlkey {} is not in {file}", id.0)
    } else if !trusted {
        format!("controlkey {} is not trusted: the trustedkey line has no {}", id.0, id.0)
    } else {
        return None;
    };
    let effect = "ntpq can change no settings".to_owned();
    Some(Diagnostic { severity: Severity::Note, message, effect, ..mark.clone() })
}
