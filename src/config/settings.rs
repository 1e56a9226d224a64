//! Commands that set values: `tinker`, `tos`, `discard`, `enable`, `statistics`, `filegen`,
//! `interface` and their like. A row per word: what it takes and what it sets.

use super::diagnostic::{Severity, quote};
use super::lexer::{Token, TokenKind};
use super::line::{Advice, Dropped, Line, to_path};
use super::model::{
    Config, Discard, Enable, Filegen, FilegenType, InterfaceAction, InterfaceMatch, InterfaceRule, StatKind,
    Tinker, Tos,
};
use super::servers::{address, boolean};
use crate::units::{KeyId, Ppm, Seconds};

type Setter<T> = fn(&mut T, f64);

/// A numeric setting: name, whether only whole numbers will do, smallest and largest value, and
/// what it sets.
struct Setting<T> {
    name: &'static str,
    whole: bool,
    range: (f64, f64),
    set: Setter<T>,
}

const fn real<T>(name: &'static str, low: f64, high: f64, set: Setter<T>) -> Setting<T> {
    Setting { name, whole: false, range: (low, high), set }
}

const fn whole<T>(name: &'static str, low: f64, high: f64, set: Setter<T>) -> Setting<T> {
    Setting { name, whole: true, range: (low, high), set }
}

const TINKER: &[Setting<Tinker>] = &[
    real("allan", 0.0, 255.0, |t, v| t.allan = v),
    real("dispersion", 0.0, 1e6, |t, v| t.dispersion = Ppm::new(v)),
    real("freq", -500.0, 500.0, |t, v| t.freq = Some(Ppm::new(v))),
    real("huffpuff", 0.0, 1e9, |t, v| t.huffpuff = Seconds::new(v)),
    real("panic", 0.0, 1e12, |t, v| t.panic = Seconds::new(v)),
    real("step", 0.0, 1e12, |t, v| t.step = Seconds::new(v)),
    real("stepback", 0.0, 1e12, |t, v| t.step = Seconds::new(v)),
    real("stepfwd", 0.0, 1e12, |t, v| t.step = Seconds::new(v)),
    real("stepout", 0.0, 1e12, |t, v| t.stepout = Seconds::new(v)),
    real("tick", 0.0, 1e12, |_, _| {}),
];

const TOS: &[Setting<Tos>] = &[
    whole("beacon", 0.0, 4e9, |t, v| t.beacon = v as u32),
    whole("ceiling", 0.0, 16.0, |t, v| t.ceiling = v as u8),
    whole("cohort", 0.0, 1.0, |t, v| t.cohort = v != 0.0),
    whole("floor", 0.0, 16.0, |t, v| t.floor = v as u8),
    real("maxclock", 1.0, 1e4, |t, v| t.maxclock = v as u32),
    real("maxdist", 0.0, 16.0, |t, v| t.maxdist = Seconds::new(v)),
    real("minclock", 1.0, 1e4, |t, v| t.minclock = v as u32),
    real("mindist", 0.0, 16.0, |t, v| t.mindist = Seconds::new(v)),
    whole("minsane", 0.0, 1e4, |t, v| t.minsane = v as u32),
    whole("orphan", 1.0, 17.0, |t, v| t.orphan = v as u8),
    whole("orphanwait", 0.0, 1e9, |t, v| t.orphanwait = Seconds::new(v)),
];

const DISCARD: &[Setting<Discard>] = &[
    whole("average", 0.0, 17.0, |d, v| d.average = v as u8),
    whole("minimum", 0.0, 17.0, |d, v| d.minimum = v as u8),
    whole("monitor", 0.0, 4e9, |d, v| d.monitor = v as u32),
];

/// Reads `NAME VALUE` pairs into `into`.
fn pairs<T: Copy>(
    line: &mut Line<'_>,
    command: &str,
    table: &[Setting<T>],
    into: &mut T,
) -> Result<(), Dropped> {
    let mut new = *into;
    let mut any = false;
    while let Some(token) = line.next() {
        let row = match token.kind {
            TokenKind::Keyword(word) => table.iter().find(|row| row.name == word),
            _ => None,
        };
        let Some(row) = row else {
            let names: Vec<&str> = table.iter().map(|r| r.name).collect();
            let effect = "the settings before it take effect, it and what follows do not".to_owned();
            line.unexpected(&token, &format!("a setting of {command}: {}", names.join(" ")), &names, effect);
            break;
        };
        let value = if row.name == "cohort" {
            f64::from(u8::from(boolean(line, row.name)?))
        } else if row.whole {
            line.integer(row.name)? as f64
        } else {
            line.number(row.name)?
        };
        (row.set)(&mut new, held(line, row, value));
        any = true;
    }
    if !any && line.peek().is_none() && new_is_empty_line(line, command) {
        return Err(Dropped);
    }
    *into = new;
    Ok(())
}

/// A command without any word is an error; one whose first word was wrong has been told.
fn new_is_empty_line(line: &mut Line<'_>, command: &str) -> bool {
    let told = line.diagnostics.last().is_some_and(|d| d.line == line.number && d.file == line.file);
    if !told {
        line.bad_argument(command, None, "a setting and its value");
    }
    true
}

fn held<T>(line: &mut Line<'_>, row: &Setting<T>, value: f64) -> f64 {
    let (low, high) = row.range;
    let held = value.clamp(low, high);
    if held != value {
        let message = format!("{} {value} is out of range", row.name);
        line.say(
            Severity::Warning,
            line.end(),
            message,
            Advice::expected(&format!("{low} to {high}")),
            format!("{held} is used"),
        );
    }
    held
}

pub(super) fn tinker(line: &mut Line<'_>, config: &mut Config) -> Result<(), Dropped> {
    pairs(line, "tinker", TINKER, &mut config.tinker)
}

pub(super) fn tos(line: &mut Line<'_>, config: &mut Config) -> Result<(), Dropped> {
    let before = config.tos.orphan;
    pairs(line, "tos", TOS, &mut config.tos)?;
    if config.tos.orphan != before && config.tos.orphan < 16 {
        let message = "orphan mode is not yet supported by rsntpd".to_owned();
        line.say(Severity::Warning, line.end(), message, Advice::default(), "the setting has no effect");
    }
    Ok(())
}

pub(super) fn discard(line: &mut Line<'_>, config: &mut Config) -> Result<(), Dropped> {
    pairs(line, "discard", DISCARD, &mut config.discard)
}

/// Sets a switch.
pub(super) type Set = fn(&mut Enable, bool);
/// A switch of `enable` and `disable`.
type Switch = (&'static str, Set);

const SWITCHES: [Switch; 12] = [
    ("auth", |e, on| e.auth = on),
    ("bclient", |e, on| e.bclient = on),
    ("calibrate", |e, on| e.calibrate = on),
    ("kernel", |e, on| e.kernel = on),
    ("mode7", |_, _| {}),
    ("monitor", |e, on| e.monitor = on),
    ("ntp", |e, on| e.ntp = on),
    ("pps", |_, _| {}),
    ("stats", |e, on| e.stats = on),
    ("unpeer_crypto_early", |_, _| {}),
    ("unpeer_crypto_nak_early", |_, _| {}),
    ("unpeer_digest_early", |_, _| {}),
];

/// The switches that an `enable` or `disable` line names.
pub(super) fn switches(line: &mut Line<'_>, command: &str) -> Result<Vec<Set>, Dropped> {
    let mut found = Vec::new();
    while let Some(token) = line.next() {
        let row = match token.kind {
            TokenKind::Keyword(word) => SWITCHES.iter().find(|(name, _)| *name == word),
            _ => None,
        };
        let Some((name, set)) = row else {
            let names: Vec<&str> = SWITCHES.iter().map(|(n, _)| *n).collect();
            let effect = "the words before it take effect, it and what follows do not".to_owned();
            line.unexpected(&token, &format!("one of {}", names.join(" ")), &names, effect);
            return Ok(found);
        };
        if *name == "mode7" && command == "enable" {
            let message = "mode 7 (ntpdc) is not served: it was an amplifier".to_owned();
            line.say(Severity::Warning, token.span.clone(), message, Advice::default(), "use ntpq");
        }
        found.push(*set);
    }
    if found.is_empty() {
        return Err(line.bad_argument(command, None, "a word such as monitor or ntp"));
    }
    Ok(found)
}

/// Key identifiers, single or as `( FIRST ... LAST )`.
pub(super) fn trusted_keys(line: &mut Line<'_>) -> Result<Vec<KeyId>, Dropped> {
    let mut keys = Vec::new();
    while let Some(token) = line.peek().cloned() {
        match token.kind {
            TokenKind::Integer(value) => {
                line.next();
                keys.extend(key_id(line, &token, value));
            }
            TokenKind::Special(b'(') => {
                line.next();
                let first = line.integer("trustedkey")?;
                if !line.take_keyword("...") {
                    let found = line.next();
                    return Err(line.bad_argument(
                        "a key range",
                        found.as_ref(),
                        "( FIRST ... LAST ) with spaces",
                    ));
                }
                let last = line.integer("trustedkey")?;
                match line.next() {
                    Some(Token { kind: TokenKind::Special(b')'), .. }) => {}
                    found => return Err(line.bad_argument("a key range", found.as_ref(), "a closing )")),
                }
                keys.extend((first.max(1)..=last.min(65_535)).map(|k| KeyId(k as u32)));
            }
            _ => break,
        }
    }
    if keys.is_empty() && line.peek().is_none() {
        return Err(line.bad_argument("trustedkey", None, "key numbers"));
    }
    line.done("trustedkey with the numbers before it");
    Ok(keys)
}

fn key_id(line: &mut Line<'_>, token: &Token, value: i64) -> Option<KeyId> {
    let key = u32::try_from(value).ok().filter(|k| (1..=65_535).contains(k)).map(KeyId);
    if key.is_none() {
        let message = format!("key {value} is out of range");
        line.say(
            Severity::Error,
            token.span.clone(),
            message,
            Advice::expected("1 to 65535"),
            "this key is not used",
        );
    }
    key
}

/// A single key identifier for `requestkey` or `controlkey`.
pub(super) fn one_key(line: &mut Line<'_>, command: &str) -> Result<Option<KeyId>, Dropped> {
    let token = line.peek().cloned();
    let value = line.integer(command)?;
    let key = token.and_then(|t| key_id(line, &t, value));
    line.done(command);
    Ok(key)
}

const STATISTICS: [(&str, StatKind); 8] = [
    ("clockstats", StatKind::Clock),
    ("cryptostats", StatKind::Crypto),
    ("loopstats", StatKind::Loop),
    ("peerstats", StatKind::Peer),
    ("protostats", StatKind::Proto),
    ("rawstats", StatKind::Raw),
    ("sysstats", StatKind::Sys),
    ("timingstats", StatKind::Timing),
];

fn stat_kind(token: &Token) -> Option<(&'static str, StatKind)> {
    match token.kind {
        TokenKind::Keyword(word) => STATISTICS.iter().find(|(name, _)| *name == word).copied(),
        _ => None,
    }
}

fn filegen_of<'c>(config: &'c mut Config, name: &str, kind: StatKind) -> &'c mut Filegen {
    let all = &mut config.statistics.filegens;
    let index = all.iter().position(|f| f.kind == kind).unwrap_or_else(|| {
        let fresh =
            Filegen { kind, file: name.to_owned(), rotation: FilegenType::Day, link: true, enabled: false };
        all.push(fresh);
        all.len() - 1
    });
    &mut all[index]
}

pub(super) fn statistics(line: &mut Line<'_>, config: &mut Config) -> Result<(), Dropped> {
    let names: Vec<&str> = STATISTICS.iter().map(|(n, _)| *n).collect();
    let mut any = false;
    while let Some(token) = line.next() {
        let Some((name, kind)) = stat_kind(&token) else {
            let effect = "the kinds before it take effect, it and what follows do not".to_owned();
            line.unexpected(&token, "loopstats, peerstats, clockstats, rawstats or sysstats", &names, effect);
            any = true;
            break;
        };
        filegen_of(config, name, kind).enabled = true;
        any = true;
    }
    if !any {
        return Err(line.bad_argument(
            "statistics",
            None,
            "loopstats, peerstats, clockstats, rawstats or sysstats",
        ));
    }
    Ok(())
}

pub(super) fn filegen(line: &mut Line<'_>, config: &mut Config) -> Result<(), Dropped> {
    let names: Vec<&str> = STATISTICS.iter().map(|(n, _)| *n).collect();
    let Some(token) = line.next() else {
        return Err(line.bad_argument("filegen", None, "the kind of statistics, such as loopstats"));
    };
    let Some((name, kind)) = stat_kind(&token) else {
        line.unexpected(
            &token,
            "the kind of statistics, such as loopstats",
            &names,
            "the line is ignored".to_owned(),
        );
        return Err(Dropped);
    };
    let mut new = filegen_of(config, name, kind).clone();
    new.enabled = true;
    while let Some(token) = line.next() {
        match token.kind {
            TokenKind::Keyword("file") => {
                new.file = String::from_utf8_lossy(&line.text("file", "a file name")?).into_owned();
            }
            TokenKind::Keyword("type") => new.rotation = rotation(line)?,
            TokenKind::Keyword("link") => new.link = true,
            TokenKind::Keyword("nolink") => new.link = false,
            TokenKind::Keyword("enable") => new.enabled = true,
            TokenKind::Keyword("disable") => new.enabled = false,
            _ => {
                let words = ["file", "type", "link", "nolink", "enable", "disable"];
                let effect = "the words before it take effect, it and what follows do not".to_owned();
                line.unexpected(&token, "file, type, link, nolink, enable or disable", &words, effect);
                break;
            }
        }
    }
    *filegen_of(config, name, kind) = new;
    Ok(())
}

fn rotation(line: &mut Line<'_>) -> Result<FilegenType, Dropped> {
    let token = line.next();
    Ok(match token.as_ref().map(|t| t.kind) {
        Some(TokenKind::Keyword("none")) => FilegenType::None,
        Some(TokenKind::Keyword("pid")) => FilegenType::Pid,
        Some(TokenKind::Keyword("day")) => FilegenType::Day,
        Some(TokenKind::Keyword("week")) => FilegenType::Week,
        Some(TokenKind::Keyword("month")) => FilegenType::Month,
        Some(TokenKind::Keyword("year")) => FilegenType::Year,
        Some(TokenKind::Keyword("age")) => FilegenType::Age,
        _ => {
            return Err(line.bad_argument(
                "type",
                token.as_ref(),
                "none, pid, day, week, month, year or age",
            ));
        }
    })
}

pub(super) fn interface(line: &mut Line<'_>, config: &mut Config, command: &str) -> Result<(), Dropped> {
    let token = line.next();
    let action = match token.as_ref().map(|t| t.kind) {
        Some(TokenKind::Keyword("listen")) => InterfaceAction::Listen,
        Some(TokenKind::Keyword("ignore")) => InterfaceAction::Ignore,
        Some(TokenKind::Keyword("drop")) => InterfaceAction::Drop,
        _ => return Err(line.bad_argument(command, token.as_ref(), "listen, ignore or drop")),
    };
    let token = line.next();
    let matches = match token.as_ref().map(|t| (t.kind, &t.text)) {
        Some((TokenKind::Keyword("all"), _)) => InterfaceMatch::All,
        Some((TokenKind::Keyword("ipv4"), _)) => InterfaceMatch::V4,
        Some((TokenKind::Keyword("ipv6"), _)) => InterfaceMatch::V6,
        Some((TokenKind::Keyword("wildcard"), _)) => InterfaceMatch::Wildcard,
        Some((TokenKind::Text, text)) => interface_name(text),
        _ => {
            return Err(line.bad_argument(
                command,
                token.as_ref(),
                "all, ipv4, ipv6, wildcard, a name or an address",
            ));
        }
    };
    config.interfaces.push(InterfaceRule { action, matches });
    line.done(&format!("the {command} rule"));
    Ok(())
}

fn interface_name(text: &[u8]) -> InterfaceMatch {
    let slash = text.iter().rposition(|b| *b == b'/');
    let (net, length) = match slash {
        Some(at) => (&text[..at], std::str::from_utf8(&text[at + 1..]).ok().and_then(|l| l.parse().ok())),
        None => (text, None),
    };
    match address(net) {
        Some(a) if slash.is_none() => InterfaceMatch::Address(a, if a.is_ipv4() { 32 } else { 128 }),
        Some(a) if length.is_some_and(|l: u8| l <= if a.is_ipv4() { 32 } else { 128 }) => {
            InterfaceMatch::Address(a, length.unwrap_or(0))
        }
        _ => InterfaceMatch::Name(String::from_utf8_lossy(text).into_owned()),
    }
}

/// `logconfig` words: kept as written; unknown ones told.
pub(super) fn logconfig(line: &mut Line<'_>, config: &mut Config) -> Result<(), Dropped> {
    const CLASSES: [&str; 5] = ["", "clock", "peer", "sync", "sys"];
    const TYPES: [&str; 10] = [
        "all",
        "info",
        "events",
        "status",
        "statistics",
        "allall",
        "allclock",
        "allpeer",
        "allsys",
        "allsync",
    ];
    while let Some(token) = line.next() {
        let text = String::from_utf8_lossy(&token.text).into_owned();
        let word = text.trim_start_matches(['=', '+', '-']);
        let known = CLASSES.iter().any(|c| word.strip_prefix(c).is_some_and(|t| TYPES.contains(&t)))
            || TYPES.iter().any(|t| word.strip_prefix("all").is_some_and(|w| w == *t));
        if known || word.is_empty() {
            config.logconfig.push(text);
        } else {
            let message = format!("unknown class of messages {}", quote(&token.text));
            let advice = Advice::expected(
                "[=+-] and clock, peer, sync or sys with all, info, events, status or statistics",
            );
            line.say(Severity::Error, token.span.clone(), message, advice, "this word is ignored");
        }
    }
    if config.logconfig.is_empty() {
        return Err(line.bad_argument("logconfig", None, "=syncall +sysevents and the like"));
    }
    Ok(())
}

/// `setvar NAME = VALUE [default]`.
pub(super) fn setvar(line: &mut Line<'_>, config: &mut Config) -> Result<(), Dropped> {
    let name = line.text("setvar", "NAME = VALUE")?;
    let token = line.next();
    if !matches!(token.as_ref().map(|t| t.kind), Some(TokenKind::Special(b'='))) {
        return Err(line.bad_argument("setvar", token.as_ref(), "= with spaces around it"));
    }
    let value = line.text("setvar", "a value")?;
    let shown = line.take_keyword("default");
    let text = |octets: Vec<u8>| String::from_utf8_lossy(&octets).into_owned();
    config.setvar.push((text(name), text(value), shown));
    line.done("setvar");
    Ok(())
}

/// `driftfile [FILE [THRESHOLD]]`.
pub(super) fn driftfile(line: &mut Line<'_>, config: &mut Config) {
    match line.next() {
        Some(Token { kind: TokenKind::Text, text, .. }) => config.driftfile = Some(to_path(text)),
        _ => {
            config.driftfile = None;
            line.say(
                Severity::Note,
                line.end(),
                "driftfile without a file".to_owned(),
                Advice::default(),
                "the drift is not kept",
            );
            return;
        }
    }
    if let Some(Token { kind: TokenKind::Double(threshold), .. }) = line.peek() {
        config.drift_threshold = Some(Ppm::from_rate(*threshold));
        line.next();
    }
    line.done("driftfile");
}
