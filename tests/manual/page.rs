//! The page rsntp.conf(5) from the table of the language, as mdoc.

use rsntpd::config::language::help::{heading, range, since, standing};
use rsntpd::config::language::{Context, Row, Since, Standing, TABLE, options_of, rows};

/// What stands before the lists.
const HEAD: &str = include_str!("head.mdoc");
/// What each driver of reference clocks does with its words.
const CLOCKS: &str = include_str!("clocks.mdoc");
/// And behind them.
const TAIL: &str = include_str!("tail.mdoc");
/// Text is broken before this column.
const WIDTH: usize = 76;

/// The whole page.
pub fn page() -> String {
    let mut out = HEAD.to_owned() + CLOCKS;
    out += ".Sh COMMANDS\n";
    list(&mut out, Context::Command);
    out += ".Sh WORDS BEHIND COMMANDS\n";
    for (context, _) in TABLE {
        if !matches!(context, Context::Command | Context::Foreign) {
            out += &format!(".Ss {}\n", heading(context));
            list(&mut out, context);
        }
    }
    out += ".Sh WORDS OF OTHER PROGRAMS\n";
    out += "These lines are refused, with a word on what to write instead.\n";
    list(&mut out, Context::Foreign);
    out + TAIL
}

fn list(out: &mut String, context: Context) {
    *out += ".Bl -tag -width Ds\n";
    for row in rows(context) {
        item(out, context, row);
    }
    *out += ".El\n";
}

fn item(out: &mut String, context: Context, row: &Row) {
    let argument = row.argument();
    let argument = if argument.is_empty() { String::new() } else { format!(" Ar \"{}\"", escaped(argument)) };
    *out += &format!(".It Ic {}{argument}\n", name(row.name));
    sentence(out, row.help);
    if row.range.is_some() {
        sentence(out, &format!("range: {}", range(row)));
    } else if !row.unit.is_empty() {
        sentence(out, &format!("unit: {}", row.unit));
    }
    if !row.default.is_empty() {
        sentence(out, &format!("default: {}", row.default));
    }
    if context == Context::Command && !options_of(row.name).is_empty() {
        let places: Vec<String> =
            options_of(row.name).iter().map(|c| format!("\u{201c}{}\u{201d}", heading(*c))).collect();
        sentence(out, &format!("its words: see {}", places.join(", ")));
    }
    if !matches!(row.since, Since::V426 | Since::Foreign(_)) {
        sentence(out, &format!("known to {}", since(row.since)));
    } else if let Since::Foreign(program) = row.since {
        sentence(out, &format!("of {program}"));
    }
    if !matches!(row.standing, Standing::Honoured | Standing::AsItsCommand) {
        sentence(out, &standing(row.standing));
    }
}

/// A word as a macro's argument.
fn name(word: &str) -> String {
    let word = escaped(word);
    // What is short could be a macro's name.
    if word.len() <= 3 || word.starts_with('.') { format!("\\&{word}") } else { word }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-").replace('"', "\\(dq")
}

/// Text as a sentence, in lines of its own.
fn sentence(out: &mut String, text: &str) {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase()).into_iter();
    let text: String = first.chain(letters).collect::<String>() + ".";
    let text = text.replace('\u{201c}', "\\(lq").replace('\u{201d}', "\\(rq");
    let mut width = 0;
    for word in text.split(' ') {
        if width > 0 && width + word.len() > WIDTH {
            out.push('\n');
            width = 0;
        } else if width > 0 {
            out.push(' ');
        }
        if width == 0 && word.starts_with(['.', '\'']) {
            out.push_str("\\&");
        }
        out.push_str(word);
        width += word.len() + 1;
    }
    out.push('\n');
}
