//! Variables for programs: numbers as numbers, and the unit in the name, as docs/rsntpq.schema.json
//! lists them.

use super::cooked::iso;
use crate::wire::varlist::{self, Item, VarList, unquoted};
use chrono::DateTime;
use serde_json::{Map, Value, json};

/// What a value is.
#[derive(Clone, Copy)]
enum Kind {
    /// A number whose unit is the ending of the name.
    Number(&'static str),
    /// A list of numbers, likewise.
    Numbers(&'static str),
    /// A timestamp.
    Time,
    /// Seconds since 1970.
    Unix,
}

/// Variables with a unit, or a form of their own. The others are numbers or texts as they look.
const KINDS: &[(&str, Kind)] = &[
    ("precision", Kind::Number("_log2s")),
    ("hpoll", Kind::Number("_log2s")),
    ("ppoll", Kind::Number("_log2s")),
    ("tc", Kind::Number("_log2s")),
    ("mintc", Kind::Number("_log2s")),
    ("rootdelay", Kind::Number("_ms")),
    ("rootdisp", Kind::Number("_ms")),
    ("rootdist", Kind::Number("_ms")),
    ("offset", Kind::Number("_ms")),
    ("delay", Kind::Number("_ms")),
    ("dispersion", Kind::Number("_ms")),
    ("jitter", Kind::Number("_ms")),
    ("xleave", Kind::Number("_ms")),
    ("bias", Kind::Number("_ms")),
    ("sys_jitter", Kind::Number("_ms")),
    ("clk_jitter", Kind::Number("_ms")),
    ("bcastdelay", Kind::Number("_ms")),
    ("authdelay", Kind::Number("_ms")),
    ("fudgetime1", Kind::Number("_ms")),
    ("fudgetime2", Kind::Number("_ms")),
    ("koffset", Kind::Number("_ms")),
    ("kmaxerr", Kind::Number("_ms")),
    ("kesterr", Kind::Number("_ms")),
    ("frequency", Kind::Number("_ppm")),
    ("clk_wander", Kind::Number("_ppm")),
    ("kfreq", Kind::Number("_ppm")),
    ("kfreqtol", Kind::Number("_ppm")),
    ("tai", Kind::Number("_s")),
    ("headway", Kind::Number("_s")),
    ("ss_uptime", Kind::Number("_s")),
    ("ss_reset", Kind::Number("_s")),
    ("iostats_reset", Kind::Number("_s")),
    ("timerstats_reset", Kind::Number("_s")),
    ("authreset", Kind::Number("_s")),
    ("mru_maxage", Kind::Number("_s")),
    ("mru_minage", Kind::Number("_s")),
    ("mru_oldest_age", Kind::Number("_s")),
    ("mru_mem", Kind::Number("_KiB")),
    ("mru_maxmem", Kind::Number("_KiB")),
    ("filtdelay", Kind::Numbers("_ms")),
    ("filtoffset", Kind::Numbers("_ms")),
    ("filtdisp", Kind::Numbers("_ms")),
    ("ntske_age", Kind::Number("_s")),
    ("nts_ke_serves_good_wall", Kind::Number("_s")),
    ("nts_ke_serves_good_cpu", Kind::Number("_s")),
    ("nts_ke_serves_nossl_wall", Kind::Number("_s")),
    ("nts_ke_serves_nossl_cpu", Kind::Number("_s")),
    ("nts_ke_serves_bad_wall", Kind::Number("_s")),
    ("nts_ke_serves_bad_cpu", Kind::Number("_s")),
    ("nts_cert_notafter", Kind::Unix),
    ("reftime", Kind::Time),
    ("clock", Kind::Time),
    ("org", Kind::Time),
    ("rec", Kind::Time),
    ("xmt", Kind::Time),
];

/// The variables as an object. A name that comes twice counts as it came last.
pub(super) fn variables(list: &VarList) -> Value {
    list.iter().map(entry).collect::<Map<String, Value>>().into()
}

fn entry(item: &Item) -> (String, Value) {
    let name = item.name.as_str();
    let Some(text) = item.value.as_deref() else { return (name.to_owned(), Value::Null) };
    match KINDS.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind) {
        Some(Kind::Number(unit)) => (format!("{name}{unit}"), plain(text)),
        Some(Kind::Numbers(unit)) => (format!("{name}{unit}"), text.split_whitespace().map(plain).collect()),
        Some(Kind::Unix) => {
            let date = varlist::integer(text).and_then(|seconds| DateTime::from_timestamp(seconds, 0));
            (format!("{name}_utc"), json!(date.map(|date| date.format("%Y-%m-%dT%H:%M:%SZ").to_string())))
        }
        Some(Kind::Time) => (format!("{name}_utc"), json!(varlist::timestamp(text).and_then(iso))),
        None => (name.to_owned(), plain(text)),
    }
}

/// A whole number (also hexadecimal), a number, or a text without its quotes.
fn plain(text: &str) -> Value {
    if text.starts_with('"') {
        return json!(unquoted(text));
    }
    if let Some(whole) = varlist::integer(text) {
        return json!(whole);
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => json!(number),
        _ => json!(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_in_the_names() {
        let list = VarList::parse(
            b"version=\"ntpd 4\", leap=3, offset=-0.5, frequency=7, reach=0xff, refid=192.0.2.1,\r\n\
              reftime=0x00000000.00000000, filtdelay= 1.00 2.00, nts_cert_notafter=1795943705, ntske_age=9, odd",
        );
        assert_eq!(
            variables(&list),
            json!({
                "version": "ntpd 4", "leap": 3, "offset_ms": -0.5, "frequency_ppm": 7, "reach": 255,
                "refid": "192.0.2.1", "reftime_utc": null, "filtdelay_ms": [1.0, 2.0], "odd": null,
                "nts_cert_notafter_utc": "2026-11-29T09:15:05Z", "ntske_age_s": 9,
            })
        );
    }
}
