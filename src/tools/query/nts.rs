//! What a daemon says of Network Time Security: of each source (`authdata`), and what it has counted (`ntsinfo`).

use super::commands::Result;
use super::console::{Console, Output};
use super::cooked::{cut, interval};
use super::fetch::{self, Source, Which};
use super::{associations, json, peers};
use crate::tools::link::{Link, Trouble};
use crate::units::Aead;
use crate::wire::counter::Counter;
use crate::wire::varlist::VarList;
use chrono::DateTime;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// What NTPsec's daemon has of a source, too: how many cookies are left, −1 without NTS.
const COOKIES: &str = "ntscookies";
/// What only ours has; and the name, where a source has no address before its keys are exchanged.
const DETAILS: &str = "srchost,ntsaead,ntske_age,ntske_attempts,ntske_error,ntsnak,ntscookielen";

/// NTS of a source. What the server does not report is `None`.
#[derive(Clone, PartialEq, Debug)]
pub struct SourceNts {
    /// Cookies left.
    pub cookies: i64,
    /// The algorithm, once there are keys.
    pub aead: Option<Aead>,
    /// Seconds since the keys were exchanged.
    pub age: Option<i64>,
    /// Key exchanges since the last genuine response.
    pub attempts: Option<i64>,
    /// Whether the server has refused our cookie since then.
    pub refused: Option<bool>,
    /// Length of a cookie, bytes.
    pub cookie_length: Option<i64>,
    /// Why the last key exchange failed.
    pub failure: Option<String>,
}

impl SourceNts {
    /// From the variables of an association; `None` if it has no NTS.
    #[must_use]
    pub fn new(list: &VarList) -> Option<Self> {
        Some(Self {
            cookies: list.integer(COOKIES).filter(|cookies| *cookies >= 0)?,
            aead: list.get("ntsaead").and_then(Aead::of_name),
            age: list.integer("ntske_age"),
            attempts: list.integer("ntske_attempts"),
            refused: list.integer("ntsnak").map(|refused| refused != 0),
            cookie_length: list.integer("ntscookielen"),
            failure: list.get("ntske_error").map(str::to_owned),
        })
    }

    /// What keeps requests from being authenticated, or soon will.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        match &self.failure {
            Some(why) => Some(format!("key exchange failed: {why}")),
            None if self.refused == Some(true) => {
                Some("the server does not know our cookie (NAK)".to_owned())
            }
            None => None,
        }
    }
}

/// Reads what [`SourceNts`] has beyond what is shown of every source.
///
/// # Errors
/// [`Trouble`]; it is none if the server does not have these variables.
pub fn add_details(link: &mut Link, sources: &mut [Source]) -> std::result::Result<(), Trouble> {
    for source in sources.iter_mut().filter(|source| SourceNts::new(&source.list).is_some()) {
        match fetch::variables(link, source.listed.id, DETAILS) {
            Ok(found) => {
                source.list.extend(found.list);
                source.host = source.list.get("srchost").map(str::to_owned);
            }
            Err(Trouble::Server(_)) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(())
}

/// The name of a source, as `peers` shows it; that of one without an address in any case.
pub(super) fn name(console: &mut Console, source: &Source) -> String {
    match (source.address, &source.host) {
        (Some(address), Some(host)) if address.is_unspecified() => host.clone(),
        _ => peers::remote(console, source),
    }
}

/// Labels and order of NTPsec's ntpq.
const COUNTERS: &[(&str, &str)] = &[
    (Counter::NtsClientSent.name(), "NTS client sends:"),
    (Counter::NtsClientGood.name(), "NTS client recvs good:"),
    (Counter::NtsClientBad.name(), "NTS client recvs w error:"),
    (Counter::NtsServerGood.name(), "NTS server recvs good:"),
    (Counter::NtsServerBad.name(), "NTS server recvs w error:"),
    (Counter::NtsServerSent.name(), "NTS server sends:"),
    (Counter::CookieMade.name(), "NTS make cookies:"),
    ("nts_cookie_decode", "NTS decode cookies:"),
    (Counter::CookieOld.name(), "NTS decode cookies old:"),
    (Counter::CookieOld2.name(), "NTS decode cookies old2:"),
    (Counter::CookieOlder.name(), "NTS decode cookies older:"),
    (Counter::CookieTooOld.name(), "NTS decode cookies too old:"),
    (Counter::CookieError.name(), "NTS decode cookies error:"),
    (Counter::KeProbesGood.name(), "NTS KE client probes good:"),
    (Counter::KeProbesBad.name(), "NTS KE client probes bad:"),
    (Counter::KeGood.name(), "NTS KE serves good:"),
    (Counter::KeBad.name(), "NTS KE serves bad:"),
];
/// Until when our certificate is valid.
pub(super) const CERTIFICATE: &str = "nts_cert_notafter";
/// What rsntpd has besides: below the others, and without a value not at all.
const MORE: &[(&str, &str)] = &[
    (Counter::KeNoTls.name(), "NTS KE serves no TLS:"),
    (Counter::KeRefused.name(), "NTS KE serves refused:"),
    (Counter::KeProbesName.name(), "NTS KE client bad name:"),
    (Counter::KeProbesConnection.name(), "NTS KE client bad connect:"),
    (Counter::KeProbesTls.name(), "NTS KE client bad TLS:"),
    (Counter::KeProbesProtocol.name(), "NTS KE client bad answer:"),
    (CERTIFICATE, "NTS certificate valid to:"),
];

/// The counters of a server; of one without NTS none.
///
/// # Errors
/// [`Trouble`].
pub(super) fn counters(link: &mut Link) -> std::result::Result<VarList, Trouble> {
    let names = |table: &[(&'static str, &str)]| table.iter().map(|(name, _)| *name).collect::<Vec<_>>();
    // Most daemons know none of them: then one question is enough.
    fetch::variables(link, 0, Counter::NtsClientSent.name())?;
    let mut list = fetch::named_variables(link, 0, &names(COUNTERS))?.list;
    match fetch::variables(link, 0, &names(MORE).join(",")) {
        Ok(more) => list.extend(more.list),
        Err(trouble) if trouble.is_unknown_variable() => {}
        Err(other) => return Err(other),
    }
    Ok(list)
}

/// `ntsinfo`.
pub(super) fn ntsinfo(console: &mut Console, _: &[&str], _: &str) -> Result {
    let list = counters(console.link()?)?;
    if console.settings.json {
        return Ok(Output::Data(json!({ "variables": json::variables(&list) })));
    }
    let mut text = String::new();
    for (name, label) in COUNTERS.iter().chain(MORE) {
        let Some(value) = list.get(name) else { continue };
        let date = list.integer(name).filter(|_| *name == CERTIFICATE).and_then(utc);
        let _ = writeln!(text, "{label:<27} {:>13}", date.as_deref().unwrap_or(value));
    }
    Ok(Output::Text(text))
}

fn utc(unix: i64) -> Option<String> {
    Some(DateTime::from_timestamp(unix, 0)?.format("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// chronyc's head.
const HEAD: &str = "Name/IP address             Mode KeyID Type KLen Last Atmp  NAK Cook CLen";
/// Columns of the name.
const NAME: usize = 27;

/// How a source is authenticated.
enum Method {
    Nts(SourceNts),
    /// By this symmetric key.
    Key(i64),
    None,
}

impl Method {
    fn of(source: &Source) -> Self {
        match (SourceNts::new(&source.list), source.list.integer("keyid")) {
            (Some(nts), _) => Self::Nts(nts),
            (None, Some(id @ 1..)) => Self::Key(id),
            (None, _) => Self::None,
        }
    }
}

/// `authdata`.
pub(super) fn authdata(console: &mut Console, _: &[&str], _: &str) -> Result {
    let mut sources = fetch::sources(console.link()?, Which::InUse)?;
    add_details(console.link()?, &mut sources)?;
    if console.settings.json {
        let rows: Vec<_> = sources.iter().map(|source| data(console, source)).collect();
        return Ok(Output::Data(json!({ "sources": rows })));
    }
    if sources.is_empty() {
        return Ok(Output::Text(associations::none_returned(console)));
    }
    let mut text = format!("{HEAD}\n{}\n", "=".repeat(HEAD.len()));
    for source in &sources {
        let name = name(console, source);
        if console.settings.wide && name.len() > NAME {
            let _ = write!(text, "{name}\n{:NAME$}", "");
        } else {
            let _ = write!(text, "{:<NAME$}", cut(&name, NAME));
        }
        row(&mut text, &Method::of(source));
    }
    Ok(Output::Text(text))
}

/// The columns behind the name; below them, what is wrong.
fn row(text: &mut String, method: &Method) {
    let none = || "-".to_owned();
    let number = |value: Option<i64>| value.map_or_else(none, |value| value.to_string());
    let mut columns = [(); 9].map(|()| none());
    let mut trouble = None;
    match method {
        Method::None => {}
        Method::Key(id) => (columns[0], columns[1]) = ("SK".to_owned(), id.to_string()),
        Method::Nts(nts) => {
            let aead = |value: fn(Aead) -> i64| number(nts.aead.map(value));
            "NTS".clone_into(&mut columns[0]);
            columns[2] = aead(|aead| aead.number().into());
            columns[3] = aead(|aead| 8 * aead.key_length() as i64);
            columns[4] = nts.age.map_or_else(none, age);
            columns[5] = number(nts.attempts);
            columns[6] = number(nts.refused.map(i64::from));
            columns[7] = nts.cookies.to_string();
            columns[8] = number(nts.cookie_length);
            trouble = nts.trouble();
        }
    }
    let [mode, key, rest @ ..] = columns;
    let _ = write!(text, " {mode:>4} {key:>5}");
    for column in rest {
        let _ = write!(text, " {column:>4}");
    }
    text.push('\n');
    if let Some(why) = trouble {
        let _ = writeln!(text, "    {why}");
    }
}

/// As the column `when` of `peers` has it; 0 is a time, too.
fn age(seconds: i64) -> String {
    if seconds == 0 { "0".to_owned() } else { interval(seconds) }
}

fn data(console: &mut Console, source: &Source) -> Value {
    let method = Method::of(source);
    let (mode, key) = match &method {
        Method::Nts(_) => ("nts", None),
        Method::Key(id) => ("key", Some(*id)),
        Method::None => ("none", None),
    };
    let nts = if let Method::Nts(nts) = method { Some(nts) } else { None };
    let nts = nts.as_ref();
    json!({
        "associd": source.listed.id,
        "remote": name(console, source),
        "address": source.address.map(|a| a.to_string()),
        "mode": mode,
        "authentication": source.listed.status.authentication(),
        "keyid": key,
        "aead": nts.and_then(|nts| nts.aead).map(Aead::name),
        "ke_age_s": nts.and_then(|nts| nts.age),
        "ke_attempts": nts.and_then(|nts| nts.attempts),
        "ke_error": nts.and_then(|nts| nts.failure.as_deref()),
        "nak": nts.and_then(|nts| nts.refused),
        "cookies": nts.map(|nts| nts.cookies),
        "cookie_bytes": nts.and_then(|nts| nts.cookie_length),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn method(list: &str) -> Method {
        use crate::wire::status::PeerStatus;
        let listed = fetch::Listed { id: 1, status: PeerStatus(0xf63a) };
        Method::of(&Source::new(listed, VarList::parse(list.as_bytes())))
    }

    fn line(list: &str) -> String {
        let mut text = String::new();
        row(&mut text, &method(list));
        text
    }

    #[test]
    fn columns_are_chronycs() {
        for (list, expected) in [
            ("keyid=0", "    -     -    -    -    -    -    -    -    -\n"),
            ("keyid=7, ntscookies=-1", "   SK     7    -    -    -    -    -    -    -\n"),
            // What NTPsec's daemon has.
            ("ntscookies=8", "  NTS     -    -    -    -    -    -    8    -\n"),
            (
                "ntscookies=7, ntsaead=\"AES_SIV_CMAC_256\", ntske_age=9000, ntske_attempts=0, ntsnak=0, ntscookielen=104",
                "  NTS     -   15  256 150m    0    0    7  104\n",
            ),
            (
                "ntscookies=0, ntske_attempts=3, ntsnak=0, ntske_error=\"cannot resolve ke.test\"",
                "  NTS     -    -    -    -    3    0    0    -\n    key exchange failed: cannot resolve ke.test\n",
            ),
        ] {
            assert_eq!(line(list), expected, "{list}");
        }
        let whole = format!("{:<NAME$}{}", "", line("keyid=0"));
        assert_eq!(whole.trim_end().len(), HEAD.len());
    }

    #[test]
    fn a_cookie_that_is_refused_is_trouble() {
        let nts = |list: &str| SourceNts::new(&VarList::parse(list.as_bytes())).unwrap();
        assert_eq!(nts("ntscookies=8, ntsnak=0").trouble(), None);
        assert_eq!(
            nts("ntscookies=8, ntsnak=1").trouble().unwrap(),
            "the server does not know our cookie (NAK)"
        );
        assert_eq!(SourceNts::new(&VarList::parse(b"ntscookies=-1")), None);
    }

    #[test]
    fn dates_are_in_utc() {
        assert_eq!(utc(1_795_943_705).unwrap(), "2026-11-29 09:15:05 UTC");
        assert_eq!(utc(i64::MAX), None);
    }
}
