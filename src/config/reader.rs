//! Keywords and their arguments, read as their rows say: kind, range, and what becomes of them.

use super::diagnostic::Severity;
use super::language::{self, Beyond, Context, Row, Standing, Takes};
use super::lexer::{Token, TokenKind};
use super::line::{Advice, Dropped, Line};
use super::model::Idle;
use super::nts;
use super::print;
use crate::units::Aead;
use std::ops::Range;

/// What stood behind a keyword.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Value {
    Nothing,
    Number(f64),
    Boolean(bool),
    Text(Vec<u8>),
    Algorithms(Vec<Aead>),
}

impl Value {
    /// The number; 0 for what is none.
    pub(super) fn number(&self) -> f64 {
        match self {
            Self::Number(value) => *value,
            Self::Boolean(on) => f64::from(u8::from(*on)),
            Self::Nothing | Self::Text(_) | Self::Algorithms(_) => 0.0,
        }
    }

    /// The text; empty for what is none.
    pub(super) fn text(&self) -> &[u8] {
        match self {
            Self::Text(text) => text,
            Self::Nothing | Self::Number(_) | Self::Boolean(_) | Self::Algorithms(_) => &[],
        }
    }

    /// The algorithms; none for what is another value.
    pub(super) fn aeads(&self) -> &[Aead] {
        match self {
            Self::Algorithms(aeads) => aeads,
            Self::Nothing | Self::Number(_) | Self::Boolean(_) | Self::Text(_) => &[],
        }
    }
}

/// A keyword with its argument.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) row: &'static Row,
    pub(super) value: Value,
    /// Where the keyword stands.
    pub(super) span: Range<usize>,
    /// Where its value stands.
    pub(super) at: Range<usize>,
}

impl Found {
    /// Whether it says what holds without it.
    pub(super) fn is_default(&self) -> bool {
        is_default(self.row, &self.value)
    }

    /// For the list of what changes nothing.
    pub(super) fn idle(&self, command: &'static str) -> Idle {
        Idle { command, option: self.row.name, value: self.written() }
    }

    /// The value as it is written in a configuration.
    pub(super) fn written(&self) -> Vec<u8> {
        match (&self.value, self.row.takes) {
            (Value::Text(text), Takes::Token(_)) => print::plain(text),
            (Value::Text(text), _) => print::token(text),
            // Whole numbers are read without exponent only; they are within ±2^53.
            (Value::Number(value), Takes::Integer) => (*value as i64).to_string().into_bytes(),
            (Value::Number(value), _) => print::number(*value).into_bytes(),
            (Value::Boolean(on), _) => u8::from(*on).to_string().into_bytes(),
            (Value::Algorithms(aeads), _) => print::aeads(aeads).into_bytes(),
            (Value::Nothing, _) => Vec::new(),
        }
    }
}

/// The keywords of `context` to the end of the line. A keyword that does not belong there ends the list, and
/// this is reported with `effect`; a missing or wrong argument loses the whole line.
pub(super) fn keywords(line: &mut Line<'_>, context: Context, of: &str) -> Result<Vec<Found>, Dropped> {
    list(line, &[context], of, super::servers::REST_IS_LOST)
}

/// As [`keywords`], with keywords of several contexts and another effect of a keyword that is not known;
/// `{rest}` in it stands for this keyword and those behind it.
pub(super) fn list(
    line: &mut Line<'_>,
    contexts: &[Context],
    of: &str,
    effect: &str,
) -> Result<Vec<Found>, Dropped> {
    let mut found = Vec::new();
    let mut any = false;
    while let Some(token) = line.next() {
        any = true;
        let Some(row) = row_of(&token, contexts) else {
            let names: Vec<&str> = contexts.iter().flat_map(|c| language::names(*c)).collect();
            let rest = if line.peek().is_some() { "it and the rest of the line" } else { "it" };
            // Whoever writes an address behind an address means another server.
            let expected = if contexts.last() == Some(&Context::Association) && token.text.contains(&b'.') {
                "an option such as iburst; another server needs a line of its own".to_owned()
            } else {
                choice(&names)
            };
            line.unexpected(&token, &expected, &names, effect.replace("{rest}", rest));
            break;
        };
        found.extend(argument(line, row, &token)?);
    }
    if !any
        && !matches!(
            contexts[0],
            Context::Association | Context::Clock | Context::Crypto | Context::Refclock | Context::Trap
        )
    {
        let names: Vec<&str> = contexts.iter().flat_map(|c| language::names(*c)).collect();
        return Err(line.bad_argument(of, None, &choice(&names)));
    }
    Ok(found)
}

/// The row of a keyword where one of these contexts is.
pub(super) fn row_of(token: &Token, contexts: &[Context]) -> Option<&'static Row> {
    let TokenKind::Keyword(keyword) = token.kind else { return None };
    contexts.iter().find_map(|context| language::find(*context, keyword))
}

/// The first of them, for a message.
pub(super) fn choice(names: &[&str]) -> String {
    const SHOWN: usize = 8;
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [few @ .., last] if names.len() <= SHOWN => format!("{} or {last}", few.join(", ")),
        _ => format!("one of {}, …", names[..SHOWN].join(", ")),
    }
}

/// The argument of a keyword; nothing if it is out of range and does not count, or is refused.
pub(super) fn argument(
    line: &mut Line<'_>,
    row: &'static Row,
    token: &Token,
) -> Result<Option<Found>, Dropped> {
    let at = line.next_span();
    let value = match row.takes {
        Takes::Integer => Value::Number(line.integer(row)? as f64),
        Takes::Number => Value::Number(line.number(row)?),
        Takes::Correction => Value::Number(line.correction(row)?),
        Takes::Boolean => Value::Boolean(boolean(line, row)?),
        Takes::Choice(label) => Value::Text(one_of(line, row, label)?),
        Takes::Algorithms => Value::Algorithms(nts::algorithms(line, row)?),
        Takes::Text(label) | Takes::Token(label) => Value::Text(line.text(row.name, label)?),
        _ => Value::Nothing,
    };
    // Each that is unknown has been reported, and none is left.
    if matches!(&value, Value::Algorithms(aeads) if aeads.is_empty()) {
        return Ok(None);
    }
    let written = value.clone();
    let Some(value) = in_range(line, row, value, at.clone())? else { return Ok(None) };
    report(line, row, &written, token);
    let refused = matches!(row.standing, Standing::Refused(_));
    Ok((!refused).then_some(Found { row, value, span: token.span.clone(), at }))
}

fn in_range(
    line: &mut Line<'_>,
    row: &Row,
    value: Value,
    at: Range<usize>,
) -> Result<Option<Value>, Dropped> {
    let (Value::Number(number), Some((low, high))) = (&value, row.range) else { return Ok(Some(value)) };
    if row.absent == Some(*number) {
        let message = format!("{} {number} is as without it", row.name);
        let advice = Advice::expected(&row.expects());
        line.say(Severity::Warning, at, message, advice, format!("it is {}, as in ntpd", row.default));
        return Ok(None);
    }
    let held = number.clamp(low, high);
    if held == *number {
        return Ok(Some(value));
    }
    let message = format!("{} {number} is out of range", row.name);
    if row.beyond == Beyond::Refused {
        line.say(Severity::Error, at, message, Advice::expected(&row.expects()), "the whole line is ignored");
        return Err(Dropped);
    }
    if line.without_effect || row.standing != Standing::Honoured {
        // Its range would mislead whoever reads that it has no effect.
        return Ok((row.beyond == Beyond::Held).then_some(Value::Number(held)));
    }
    let default = if row.default.is_empty() { "nothing" } else { row.default };
    let (severity, effect, value) = match row.beyond {
        Beyond::Held => {
            (Severity::Warning, format!("{} {held} is used", row.name), Some(Value::Number(held)))
        }
        Beyond::Ignored | Beyond::Refused => {
            (Severity::Error, format!("{} is as without it: {default}", row.name), None)
        }
    };
    let expected = Some(row.expects());
    let advice = Advice { expected, suggestion: exponent(row, *number) };
    line.say(severity, at, message, advice, effect);
    Ok(value)
}

/// The exponent that was probably meant by someone who wrote seconds.
fn exponent(row: &Row, seconds: f64) -> Option<String> {
    let (low, high) = row.range.filter(|_| row.unit == "log2 s")?;
    let exponent = seconds.log2().round();
    let exact = seconds > high && exponent.exp2() == seconds;
    (exact && (low..=high).contains(&exponent)).then(|| format!("{exponent}, which is {} s", exponent.exp2()))
}

/// Reports what becomes of a keyword that is not honoured.
pub(super) fn report(line: &mut Line<'_>, row: &Row, value: &Value, token: &Token) {
    let (severity, why) = match row.standing {
        Standing::Honoured | Standing::AsItsCommand => return,
        // What changes nothing anywhere need not be reported.
        Standing::Idle(_) if is_default(row, value) => return,
        Standing::Idle(why) => (Severity::Note, why),
        Standing::Missing(_) if is_default(row, value) => return,
        Standing::Missing(why) => (Severity::Warning, why),
        Standing::Refused(why) => (Severity::Error, why),
    };
    let message = format!("{} has no effect", row.name);
    line.say(severity, token.span.clone(), message, Advice::default(), why);
}

/// Whether it says what holds anyway. A default may have an explanation behind a colon.
fn is_default(row: &Row, value: &Value) -> bool {
    let default = row.default.split(':').next().and_then(|d| d.parse::<f64>().ok());
    match value {
        Value::Number(_) | Value::Boolean(_) => default == Some(value.number()),
        Value::Text(text) => !text.is_empty() && text.eq_ignore_ascii_case(row.default.as_bytes()),
        Value::Nothing | Value::Algorithms(_) => false,
    }
}

/// One of the tokens of a label such as `linear | cosine`; some are keywords elsewhere.
fn one_of(line: &mut Line<'_>, row: &Row, label: &str) -> Result<Vec<u8>, Dropped> {
    let token = line.next();
    line.expect_any();
    let is_one = |token: &&Token| label.split(" | ").any(|one| one.as_bytes() == token.text);
    match token.as_ref().filter(is_one) {
        Some(token) => Ok(token.text.clone()),
        None => {
            Err(line.bad_argument(row.name, token.as_ref(), &choice(&label.split(" | ").collect::<Vec<_>>())))
        }
    }
}

/// `0`, `1` or `true`; another number is taken as 1, as ntpd does.
fn boolean(line: &mut Line<'_>, row: &Row) -> Result<bool, Dropped> {
    if line.take_keyword("true") {
        return Ok(true);
    }
    let at = line.next_span();
    let value = line.integer(row)?;
    if !(0..=1).contains(&value) && row.standing == Standing::Honoured && !line.without_effect {
        let message = format!("{} {value} is neither 0 nor 1", row.name);
        line.say(Severity::Warning, at, message, Advice::expected("0 or 1"), "1 is used");
    }
    Ok(value != 0)
}
