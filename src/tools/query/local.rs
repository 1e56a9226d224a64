//! Commands that change how the next ones are carried out.

use super::commands::{self, COMMANDS, Result};
use super::console::{Console, Output};
use crate::config::model::Digest;
use crate::config::model::Family;
use crate::tools::link::Trouble;
use crate::units::KeyId;
use std::fmt::Write as _;
use std::time::Duration;

/// Longest wait that can be set: five minutes.
const TIMEOUT_MAX: u64 = 300_000;

fn text(line: impl Into<String>) -> Result {
    let mut line = line.into();
    line.push('\n');
    Ok(Output::Text(line))
}

fn wrong(usage: &str) -> Result {
    Err(Trouble::Cannot(format!("Usage: {usage}")))
}

/// `help`.
pub(super) fn help(_: &mut Console, words: &[&str], _: &str) -> Result {
    let mut out = String::new();
    if let [word, ..] = words {
        let command = match commands::find(word) {
            Ok(command) => command,
            Err(why) => return Err(Trouble::Cannot(format!("Command `{word}' is {why}"))),
        };
        let _ = writeln!(out, "function: {}\nusage: {} {}", command.help, command.name, command.arguments);
        return Ok(Output::Text(out));
    }
    out.push_str("rsntpq commands (`help command' explains one; unique beginnings are enough):\n");
    for command in COMMANDS {
        let _ = writeln!(out, "  {:<34}{}", format!("{} {}", command.name, command.arguments), command.help);
    }
    out.push_str("  quit, exit                        Leave rsntpq\n");
    Ok(Output::Text(out))
}

/// `host`.
pub(super) fn host(console: &mut Console, words: &[&str], _: &str) -> Result {
    let (family, words) = match words {
        ["-4", rest @ ..] => (Family::V4, rest),
        ["-6", rest @ ..] => (Family::V6, rest),
        all => (console.settings.family, all),
    };
    if let [name, ..] = words {
        let before = std::mem::replace(&mut console.settings.family, family);
        let opened = console.open(name);
        console.settings.family = before;
        opened?;
        return text(format!("current host set to {name}"));
    }
    if console.link.is_none() {
        return text("no current host");
    }
    text(format!("current host is {}", console.host()))
}

/// `timeout`.
pub(super) fn timeout(console: &mut Console, words: &[&str], _: &str) -> Result {
    if let [word, ..] = words {
        match word.parse() {
            Ok(milliseconds @ 1..=TIMEOUT_MAX) => console.timeout = Duration::from_millis(milliseconds),
            _ => return wrong("timeout [1 to 300000 milliseconds]"),
        }
        return Ok(Output::Text(String::new()));
    }
    text(format!("primary timeout {} ms", console.timeout.as_millis()))
}

/// `delay`.
pub(super) fn delay(console: &mut Console, words: &[&str], _: &str) -> Result {
    if let [word, ..] = words {
        match word.parse::<f64>() {
            Ok(milliseconds) if milliseconds.is_finite() && milliseconds >= 0.0 => {
                console.delay = milliseconds;
            }
            _ => return wrong("delay [milliseconds]"),
        }
        return Ok(Output::Text(String::new()));
    }
    text(format!("delay {} ms", console.delay))
}

/// `raw`.
pub(super) fn raw(console: &mut Console, _: &[&str], _: &str) -> Result {
    console.raw = true;
    text("Output set to raw")
}

/// `cooked`.
pub(super) fn cooked(console: &mut Console, _: &[&str], _: &str) -> Result {
    console.raw = false;
    text("Output set to cooked")
}

/// `hostnames`.
pub(super) fn hostnames(console: &mut Console, words: &[&str], _: &str) -> Result {
    match words {
        ["yes", ..] => console.names.numeric = false,
        ["no", ..] => console.names.numeric = true,
        [] => {}
        _ => return wrong("hostnames [yes|no]"),
    }
    text(if console.names.numeric { "hostnames not being shown" } else { "hostnames being shown" })
}

/// `authenticate`. Queries need no MAC, and requests that change something always get one.
pub(super) fn authenticate(_: &mut Console, words: &[&str], _: &str) -> Result {
    match words {
        [] | ["yes" | "no", ..] => {
            text("unauthenticated requests being sent, except those that change something")
        }
        _ => wrong("authenticate [yes|no]"),
    }
}

/// `ntpversion`.
pub(super) fn ntpversion(console: &mut Console, words: &[&str], _: &str) -> Result {
    if let [word, ..] = words {
        match word.parse() {
            Ok(version @ 1..=4) => console.version = version,
            _ => return wrong("ntpversion [1|2|3|4]"),
        }
        return Ok(Output::Text(String::new()));
    }
    text(format!("NTP version being claimed is {}", console.version))
}

/// `keyid`.
pub(super) fn keyid(console: &mut Console, words: &[&str], _: &str) -> Result {
    if let [word, ..] = words {
        match word.parse() {
            Ok(id @ 1..=65_535) => console.key = Some(KeyId(id)),
            _ => return wrong("keyid [1 to 65535]"),
        }
        return Ok(Output::Text(String::new()));
    }
    text(console.key.map_or_else(|| "no keyid defined".to_owned(), |key| format!("keyid is {}", key.0)))
}

/// Types of keys as the keys file names them, with the length of the MAC in bytes.
const TYPES: [(&str, Digest, u8); 8] = [
    ("MD5", Digest::Md5, 16),
    ("SHA1", Digest::Sha1, 20),
    ("SHA", Digest::Sha1, 20),
    ("RIPEMD160", Digest::Ripemd160, 20),
    ("SHA256", Digest::Sha256, 20),
    ("SHA384", Digest::Sha384, 20),
    ("SHA512", Digest::Sha512, 20),
    ("AES-128-CMAC", Digest::AesCmac, 16),
];

/// `keytype`.
pub(super) fn keytype(console: &mut Console, words: &[&str], _: &str) -> Result {
    if let [word, ..] = words {
        let upper = word.to_ascii_uppercase();
        let upper = if ["AES", "AES128", "AES-128", "AES128CMAC", "CMAC"].contains(&upper.as_str()) {
            "AES-128-CMAC"
        } else {
            &upper
        };
        let Some((_, digest, _)) = TYPES.iter().find(|(name, _, _)| *name == upper) else {
            let names: Vec<&str> = TYPES.iter().map(|(name, _, _)| *name).collect();
            return wrong(&format!("keytype [{}]", names.join("|")));
        };
        console.digest = *digest;
        return Ok(Output::Text(String::new()));
    }
    let known = TYPES.iter().find(|(_, digest, _)| *digest == console.digest);
    let (name, bytes) = known.map_or(("MD5", 16), |(name, _, bytes)| (*name, *bytes));
    text(format!("keytype is {name} with {bytes} octet digests"))
}

/// `passwd`.
pub(super) fn passwd(console: &mut Console, words: &[&str], _: &str) -> Result {
    let secret = match (words, console.ask_secret) {
        ([word, ..], _) => Some((*word).to_owned()),
        ([], Some(ask)) => ask("Password: "),
        ([], None) => return wrong("passwd password"),
    };
    // As in the keys file: a long one is hexadecimal.
    console.secret = secret.filter(|s| !s.is_empty()).map(|secret| match secret.len() {
        0..=20 => secret.into_bytes(),
        _ => bytes(&secret).unwrap_or_else(|| secret.into_bytes()),
    });
    Ok(Output::Text(String::new()))
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = hex.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect();
    let (pairs, rest) = digits.as_deref()?.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

/// `version`.
pub(super) fn version(_: &mut Console, _: &[&str], _: &str) -> Result {
    text(concat!("rsntpq ", env!("CARGO_PKG_VERSION")))
}

/// `name` and `name=value` items of the words.
fn items(words: &[&str]) -> Vec<(String, Option<String>)> {
    let all = words.join(" ");
    let items = all.split(',').map(str::trim).filter(|item| !item.is_empty());
    items
        .map(|item| match item.split_once('=') {
            Some((name, value)) => (name.trim().to_owned(), Some(value.trim().to_owned())),
            None => (item.to_owned(), None),
        })
        .collect()
}

/// `addvars`.
pub(super) fn addvars(console: &mut Console, words: &[&str], _: &str) -> Result {
    for (name, value) in items(words) {
        console.variables.retain(|(known, _)| *known != name);
        console.variables.push((name, value));
    }
    Ok(Output::Text(String::new()))
}

/// `rmvars`.
pub(super) fn rmvars(console: &mut Console, words: &[&str], _: &str) -> Result {
    for (name, _) in items(words) {
        console.variables.retain(|(known, _)| *known != name);
    }
    Ok(Output::Text(String::new()))
}

/// `clearvars`.
pub(super) fn clearvars(console: &mut Console, _: &[&str], _: &str) -> Result {
    console.variables.clear();
    Ok(Output::Text(String::new()))
}

/// `showvars`.
pub(super) fn showvars(console: &mut Console, _: &[&str], _: &str) -> Result {
    if console.variables.is_empty() {
        return text("No variables on list");
    }
    let mut out = String::new();
    for (name, value) in &console.variables {
        let _ = match value {
            Some(value) => writeln!(out, "{name:<15} = {value}"),
            None => writeln!(out, "{name:<15}"),
        };
    }
    Ok(Output::Text(out))
}
