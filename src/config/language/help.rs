//! `--help-config`: what the table says of a keyword, for people.

use super::{Beyond, Context, LARGE, Row, Since, Standing, everywhere, keywords, options_of, rows, suggest};
use std::fmt::{self, Write as _};

/// ntp.conf has no such keyword.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownKeyword {
    keyword: String,
    /// The keyword that was probably meant.
    meant: Option<&'static str>,
}

impl fmt::Display for UnknownKeyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ntp.conf has no keyword `{}'", self.keyword)?;
        self.meant.map_or(Ok(()), |meant| write!(f, "; did you mean {meant}?"))
    }
}

/// What the table says of `keyword`, wherever it may stand. An address or a name of nothing is an error.
///
/// # Errors
/// There is no such keyword; with the one that was probably meant.
pub fn help(keyword: &str) -> Result<String, UnknownKeyword> {
    let found: Vec<String> = everywhere(keyword).map(|(context, row)| entry(context, row)).collect();
    if found.is_empty() {
        let meant = suggest(keyword.as_bytes(), keywords().map(|row| row.name));
        return Err(UnknownKeyword { keyword: keyword.to_owned(), meant });
    }
    Ok(found.join("\n"))
}

/// All keywords, by where they may stand.
#[must_use]
pub fn list() -> String {
    let mut out = String::new();
    for (context, rows) in super::TABLE {
        let _ = writeln!(out, "{}:", heading(context));
        for row in rows {
            let _ = writeln!(out, "  {:<23} {}", row.name, row.help);
        }
        out.push('\n');
    }
    out + "rsntpd --help-config WORD explains one keyword, rsntp.conf(5) has all of them.\n"
}

/// The keywords of a context, as a heading: `Flags of restrict`.
#[must_use]
pub fn heading(context: Context) -> String {
    let place = context.place();
    let one = place.strip_prefix("a ").or_else(|| place.strip_prefix("an "));
    let text = match one.map(|one| one.split_once(' ').unwrap_or((one, ""))) {
        None => place.to_owned(),
        Some((kind, rest)) => {
            let plural = if kind.ends_with("ch") { "es" } else { "s" };
            format!("{kind}{plural} {rest}").trim_end().to_owned()
        }
    };
    let mut letters = text.chars();
    letters.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

fn entry(context: Context, row: &Row) -> String {
    let mut out = format!("{} {}\n", row.name, row.argument()).replace(" \n", "\n");
    let _ = writeln!(out, "    {}", row.help);
    let mut fact = |name: &str, text: &str| {
        if !text.is_empty() {
            let _ = writeln!(out, "    {name:<10}{text}");
        }
    };
    fact("where", context.place());
    fact("range", &range(row));
    fact("unit", if row.range.is_none() { row.unit } else { "" });
    fact("default", row.default);
    if context == Context::Command {
        let mut options: Vec<&str> = Vec::new();
        for option in options_of(row.name).iter().flat_map(|c| rows(*c)) {
            // Some mean more to a clock.
            if !options.contains(&option.name) {
                options.push(option.name);
            }
        }
        fact("with", &options.join(" "));
    }
    fact("known to", &since(row.since));
    fact("here", &standing(row.standing));
    out
}

/// The range with its unit, and what becomes of a value beyond.
#[must_use]
pub fn range(row: &Row) -> String {
    let Some((low, high)) = row.range else { return String::new() };
    let unit = if row.unit.is_empty() { String::new() } else { format!(", {}", row.unit) };
    let span = if high >= LARGE { format!("from {low}") } else { format!("{low} to {high}") };
    let beyond = match row.beyond {
        Beyond::Held => "beyond it the nearest value is used",
        Beyond::Ignored => "beyond it the setting is ignored",
        Beyond::Refused => "beyond it the line is ignored",
    };
    format!("{span}{unit}; {beyond}")
}

/// Which programs know the keyword.
#[must_use]
pub fn since(since: Since) -> String {
    match since {
        Since::V426 => "ntpd 4.2.6 and later".to_owned(),
        Since::V428 => "ntpd 4.2.8 and later".to_owned(),
        Since::V428P(level) => format!("ntpd 4.2.8p{level} and later"),
        Since::NtpSec => "NTPsec's ntpd".to_owned(),
        Since::Ours => "rsntpd only".to_owned(),
        Since::Foreign(program) => format!("{program}, and no ntpd"),
    }
}

/// What becomes of the keyword here.
#[must_use]
pub fn standing(standing: Standing) -> String {
    match standing {
        Standing::Honoured => "honoured".to_owned(),
        Standing::Idle(why) => format!("accepted, changes nothing: {why}"),
        Standing::Missing(why) => format!("accepted without effect: {why}"),
        Standing::Refused(why) => format!("refused: {why}"),
        Standing::AsItsCommand => "as its command".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_explained_wherever_it_stands() {
        let text = help("minpoll").unwrap_or_default();
        let (of_servers, of_clocks) = text.split_once("\n\n").unwrap_or((&text, ""));
        assert!(of_clocks.contains("range     0 to 17, log2 s"), "{text}");
        assert_eq!(
            of_servers.to_owned() + "\n",
            "minpoll INTEGER\n    smallest poll interval; never above maxpoll\n    \
             where     an option of server, pool, peer, broadcast and manycastclient\n    \
             range     3 to 17, log2 s; beyond it the nearest value is used\n    default   6\n    \
             known to  ntpd 4.2.6 and later\n    here      honoured\n"
        );
        let text = help("version").unwrap_or_default();
        assert!(text.contains("an option of server") && text.contains("a flag of restrict"), "{text}");
        let text = help("tos").unwrap_or_default();
        assert!(text.contains("with      minclock maxclock"), "{text}");
        let wrong = help("minpol").unwrap_err().to_string();
        assert_eq!(wrong, "ntp.conf has no keyword `minpol'; did you mean minpoll?");
        assert!(
            help("makestep").unwrap_or_default().contains("refused: the clock is stepped above tinker step")
        );
    }

    #[test]
    fn the_list_has_every_word() {
        let text = list();
        for row in keywords() {
            assert!(
                text.lines().any(|line| line.split_whitespace().next() == Some(row.name)),
                "{}",
                row.name
            );
        }
    }
}
