//! The reference clocks of real files: each word of their lines is in the configuration, or a finding on its line is about it. The lines
//! are cut here without the parser.

use rsntpd::config::Parsed;
use rsntpd::config::model::{ClockAddress, Server};
use rsntpd::units::{Driver, RefId};

/// What a file has, and what was asked of it.
#[derive(Default, Debug)]
pub struct Count {
    pub lines: usize,
    pub words: usize,
    /// Words that are in neither, with their lines.
    pub lost: Vec<String>,
}

/// The words of a line, without its comment.
fn words(line: &str) -> Vec<&str> {
    line.split('#').next().unwrap_or_default().split_whitespace().collect()
}

fn clock(address: &str) -> Option<ClockAddress> {
    let (kind, unit) = address.strip_prefix("127.127.")?.split_once('.')?;
    Some(ClockAddress { kind: kind.parse().ok()?, unit: unit.parse().ok()? })
}

/// Whether the clock has what the word and the one behind it say.
fn has(server: &Server, word: &str, value: &str) -> Option<bool> {
    let number = value.parse::<f64>().ok();
    let is = |field: f64| number == Some(field);
    let is_fudge = |flag: usize| number == Some(f64::from(u8::from(server.fudge.flags[flag])));
    Some(match word {
        "prefer" => server.prefer,
        "noselect" => server.noselect,
        "true" => server.truechimer,
        "minpoll" => is(server.minpoll.get().into()),
        "maxpoll" => is(server.maxpoll.get().into()),
        "mode" | "subtype" => is(server.device.mode.into()),
        "time1" => is(server.fudge.time1.get()),
        "time2" => is(server.fudge.time2.get()),
        "stratum" => is(server.fudge.stratum?.get().into()),
        "refid" => server.fudge.refid == Some(RefId::from_text(value.as_bytes())),
        "flag1" => is_fudge(0),
        "flag2" => is_fudge(1),
        "flag3" => is_fudge(2),
        "flag4" => is_fudge(3),
        "unit" => is(server.target.clock()?.unit.into()),
        "path" => server.device.path.as_ref()?.to_str() == Some(value),
        "baud" => is(server.device.baud?.into()),
        _ => return None,
    })
}

/// Looks through a file.
pub fn look(text: &str, parsed: &Parsed) -> Count {
    let mut count = Count::default();
    for (number, line) in (1u32..).zip(text.lines()) {
        let words = words(line);
        let of_line = match &words[..] {
            ["server" | "peer" | "fudge", address, rest @ ..] => clock(address).map(|clock| (clock, rest)),
            _ => None,
        };
        let Some((address, rest)) = of_line else { continue };
        count.lines += 1;
        let found: Vec<String> = parsed
            .diagnostics
            .iter()
            .chain(&parsed.lints)
            .filter(|found| found.line == number)
            .map(|found| {
                format!("{} {}", found.message, String::from_utf8_lossy(&found.source[found.span.clone()]))
            })
            .collect();
        let servers = parsed.config.servers.iter();
        let Some(server) = servers.into_iter().find(|server| server.target.clock() == Some(address)) else {
            if found.is_empty() {
                count.lost.push(format!("line {number}: {line}"));
            }
            continue;
        };
        if Driver::of_number(address.kind).is_none() && !words[0].starts_with("fudge") && found.is_empty() {
            count.lost.push(format!("line {number}: no word on the type of {line}"));
        }
        for (at, word) in rest.iter().enumerate() {
            // What is a value is looked at with its word.
            let Some(here) = has(server, word, rest.get(at + 1).copied().unwrap_or_default()) else {
                continue;
            };
            count.words += 1;
            // A later line, or a later word, may say something else.
            let again = || {
                text.lines()
                    .skip(number as usize)
                    .any(|later| later.contains(word) && later.contains(words[1]))
            };
            let told = found.iter().any(|found| {
                found.contains(word) || found.contains("has a line already") || found.contains("no driver")
            });
            if !here && !told && !again() {
                count.lost.push(format!("line {number}: {word} of {line}"));
            }
        }
        for word in rest.iter().filter(|word| has(server, word, "").is_none()) {
            let is_value = rest.windows(2).any(|two| two[1] == *word && has(server, two[0], "").is_some());
            let told = found.iter().any(|found| {
                found.contains(word) || found.contains("no driver") || found.contains("comment")
            });
            if !is_value && !told && word.parse::<f64>().is_err() {
                count.lost.push(format!("line {number}: {word} of {line}"));
            }
        }
    }
    count
}
