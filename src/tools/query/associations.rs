//! The list of associations, and finding one by its number or its place in the list.

use super::commands::Result;
use super::console::{Console, Output};
use super::fetch::{self, Listed, Which};
use crate::tools::link::Trouble;
use serde_json::json;
use std::fmt::Write as _;

const HEAD: &str = "\nind assid status  conf reach auth condition  last_event cnt\n\
                    ===========================================================\n";

/// `associations`.
pub(super) fn associations(console: &mut Console, _: &[&str], _: &str) -> Result {
    update(console)?;
    Ok(if console.listed.is_empty() { nothing(console) } else { show(console, Which::InUse) })
}

/// `lassociations`.
pub(super) fn lassociations(console: &mut Console, _: &[&str], _: &str) -> Result {
    update(console)?;
    Ok(if console.listed.is_empty() { nothing(console) } else { show(console, Which::All) })
}

/// `passociations`.
pub(super) fn passociations(console: &mut Console, _: &[&str], _: &str) -> Result {
    Ok(show(console, Which::InUse))
}

/// `lpassociations`.
pub(super) fn lpassociations(console: &mut Console, _: &[&str], _: &str) -> Result {
    Ok(show(console, Which::All))
}

fn update(console: &mut Console) -> std::result::Result<(), Trouble> {
    console.listed = fetch::associations(console.link()?)?;
    Ok(())
}

/// ntpq's line for a server without associations, to the letter: scripts compare it.
pub(super) fn none_returned(console: &Console) -> String {
    let server = if console.host_column > 0 { format!("server={} ", console.host()) } else { String::new() };
    format!("{server}No association ID's returned\n")
}

fn nothing(console: &Console) -> Output {
    if console.settings.json {
        Output::Data(json!({ "associations": [] }))
    } else {
        Output::Text(none_returned(console))
    }
}

fn show(console: &Console, which: Which) -> Output {
    let shown = console.listed.iter().zip(1..).filter(|(l, _)| which.has(l.status));
    if console.settings.json {
        let rows: Vec<_> = shown.map(|(l, index)| row_data(l, index)).collect();
        return Output::Data(json!({ "associations": rows }));
    }
    let mut text = HEAD.to_owned();
    for (listed, index) in shown {
        let status = listed.status;
        let yes = |set: bool| if set { "yes" } else { "no" };
        let _ = writeln!(
            text,
            "{index:3} {:5}  {:04x}   {:>3}  {:>4}  {:>4} {:>9} {:>11} {:2}",
            listed.id,
            status.0,
            yes(status.configured()),
            yes(status.reachable()),
            status.authentication(),
            status.condition(),
            status.event_name(),
            status.event_count(),
        );
    }
    if console.listed.is_empty() {
        "No association ID's in list\n".clone_into(&mut text);
    }
    Output::Text(text)
}

fn row_data(listed: &Listed, index: usize) -> serde_json::Value {
    let status = listed.status;
    json!({
        "index": index,
        "associd": listed.id,
        "status": format!("{:04x}", status.0),
        "configured": status.configured(),
        "reachable": status.reachable(),
        "authentication": status.authentication(),
        "condition": status.condition(),
        "last_event": status.event_name(),
        "events": status.event_count(),
    })
}

/// The association that a word means: its number, or `&3` for the third of the list, which is
/// fetched if it was not yet.
///
/// # Errors
/// Where there is none.
pub(super) fn resolve(console: &mut Console, word: &str) -> std::result::Result<u16, Trouble> {
    let Some(index) = word.strip_prefix('&') else {
        return word.parse().map_err(|_| Trouble::Cannot(format!("Illegal unsigned value {word}")));
    };
    if console.listed.is_empty() {
        console.listed = fetch::associations(console.link()?)?;
    }
    if console.listed.is_empty() {
        return Err(Trouble::Cannot(format!("No associations found, `{word}' unknown")));
    }
    let most = console.listed.len();
    let place = index.parse::<usize>().ok().and_then(|index| index.checked_sub(1));
    let found = place.and_then(|place| console.listed.get(place)).map(|listed| listed.id);
    found.ok_or_else(|| Trouble::Cannot(format!("Association for `{word}' unknown (max &{most})")))
}

/// The associations from one to another, by their place in the list or their number.
///
/// # Errors
/// Where one of them is not in the list.
pub(super) fn range(console: &mut Console, from: &str, to: &str) -> std::result::Result<Vec<u16>, Trouble> {
    if console.listed.is_empty() {
        console.listed = fetch::associations(console.link()?)?;
    }
    let mut place = |word: &str| {
        let id = resolve(console, word)?;
        let found = console.listed.iter().position(|listed| listed.id == id);
        found.ok_or_else(|| Trouble::Cannot(format!("Association {id} is not in the list")))
    };
    let (a, b) = (place(from)?, place(to)?);
    let (first, last) = if a <= b { (a, b) } else { (b, a) };
    Ok(console.listed[first..=last].iter().map(|listed| listed.id).collect())
}
