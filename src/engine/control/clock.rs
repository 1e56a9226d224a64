//! The variables of reference clocks, the local one among them (`clockvar` of ntpq), by the names, units and order of ntpd 4.2.6p5.

use crate::engine::control::peer::{PeerRow, PeerScene};
use crate::engine::control::system::{RefidForm, refid};
use crate::engine::control::table::{self, Row};
use crate::engine::control::text;
use crate::engine::sources::Reference;
use crate::engine::sources::reference::Counts;
use crate::units::{Driver, Seconds};

/// What is shown without being asked for.
pub(super) const SHOWN: [&str; 11] = [
    "device",
    "timecode",
    "poll",
    "noreply",
    "badformat",
    "baddata",
    "fudgetime1",
    "fudgetime2",
    "stratum",
    "refid",
    "flags",
];

/// The variables.
pub(super) const TABLE: [PeerRow; 14] = [
    Row::new("type", |s| s.a.clock_driver().map(|driver| driver.number().to_string())),
    Row::new("timecode", |s| Some(timecode(s))),
    Row::new("poll", |s| Some(counts(s).map_or(s.a.tally().sent, |counts| counts.polls).to_string())),
    Row::new("noreply", |s| Some(counts(s).map_or(0, |counts| counts.no_reply).to_string())),
    Row::new("badformat", |s| Some(counts(s).map_or(0, |counts| counts.bad_format).to_string())),
    Row::new("baddata", |s| Some(counts(s).map_or(0, |counts| counts.bad_data).to_string())),
    Row::new("fudgetime1", |s| {
        let line = s.a.config();
        Some(text::millis(s.a.as_reference().map_or(line.fudge.time1, |clock| clock.time1(line))))
    }),
    Row::new("fudgetime2", |s| {
        Some(s.a.config().fudge.time2).filter(|time| *time != Seconds::ZERO).map(text::millis)
    }),
    Row::new("stratum", |s| Some(stratum(s).to_string())),
    Row::new("refid", |s| {
        let form = if stratum(s) <= 1 { RefidForm::Text } else { RefidForm::Address };
        Some(refid(s.a.header().refid, form))
    }),
    Row::new("flags", |s| {
        let flags = s.a.config().fudge.flags.iter().enumerate();
        Some(flags.fold(0, |sum, (bit, set)| sum | u8::from(*set) << bit).to_string())
    }),
    Row::new("device", |s| s.a.clock_driver().map(|driver| text::quoted(driver.description()))),
    // NTPsec's.
    Row::new("name", |s| s.a.clock_driver().map(|driver| text::quoted(driver.name()))),
    Row::new("clock_var_list", |_| Some(table::names(TABLE.iter().map(|row| row.name)))),
];

/// The stratum as the driver has it: a pulse has none of its own unless the line gives it one.
fn stratum(s: &PeerScene<'_>) -> u8 {
    let own = s.a.header().stratum.get();
    let has_none = s.a.clock_driver() == Some(Driver::Pps) && s.a.config().fudge.stratum.is_none();
    if has_none { 16 } else { own }
}

fn counts<'a>(s: &PeerScene<'a>) -> Option<&'a Counts> {
    s.a.as_reference().map(Reference::counts)
}

/// The last line in quotes; nothing where there is none.
fn timecode(s: &PeerScene<'_>) -> String {
    let sent = s.a.as_reference().map_or("", Reference::timecode);
    if sent.is_empty() { String::new() } else { text::quoted(sent) }
}
