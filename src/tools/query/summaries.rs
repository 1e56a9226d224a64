//! Tables of labels and values: `sysinfo`, `sysstats` and their like.

use super::associations::resolve;
use super::commands::Result;
use super::console::{Console, Output};
use super::cooked::{ZERO_SUMMARY, date, leap};
use super::{fetch, json};
use crate::tools::link::Trouble;
use crate::wire::counter::Counter;
use crate::wire::status::{PeerStatus, SystemStatus};
use crate::wire::varlist::{self, VarList};
use std::fmt::Write as _;

/// Variables with their labels, in the order of the screen.
type Table = &'static [(&'static str, &'static str)];

const SYSINFO: Table = &[
    ("peeradr", "system peer:"),
    ("peermode", "system peer mode:"),
    ("leap", "leap indicator:"),
    ("stratum", "stratum:"),
    ("precision", "log2 precision:"),
    ("rootdelay", "root delay:"),
    ("rootdisp", "root dispersion:"),
    ("refid", "reference ID:"),
    ("reftime", "reference time:"),
    ("sys_jitter", "system jitter:"),
    ("clk_jitter", "clock jitter:"),
    ("clk_wander", "clock wander:"),
    ("bcastdelay", "broadcast delay:"),
    ("authdelay", "symm. auth. delay:"),
];
const KERNINFO: Table = &[
    ("koffset", "pll offset:"),
    ("kfreq", "pll frequency:"),
    ("kmaxerr", "maximum error:"),
    ("kesterr", "estimated error:"),
    ("kstflags", "kernel status:"),
    ("ktimeconst", "pll time constant:"),
    ("kprecis", "precision:"),
    ("kfreqtol", "frequency tolerance:"),
    ("kppsfreq", "pps frequency:"),
    ("kppsstab", "pps stability:"),
    ("kppsjitter", "pps jitter:"),
    ("kppscalibdur", "calibration interval"),
    ("kppscalibs", "calibration cycles:"),
    ("kppsjitexc", "jitter exceeded:"),
    ("kppsstbexc", "stability exceeded:"),
    ("kppscaliberrs", "calibration errors:"),
];
const SYSSTATS: Table = &[
    ("ss_uptime", "uptime:"),
    ("ss_reset", "sysstats reset:"),
    (Counter::Received.name(), "packets received:"),
    (Counter::ThisVersion.name(), "current version:"),
    (Counter::OldVersion.name(), "older version:"),
    (Counter::BadFormat.name(), "bad length or format:"),
    (Counter::BadAuth.name(), "authentication failed:"),
    (Counter::Declined.name(), "declined:"),
    (Counter::Restricted.name(), "restricted:"),
    (Counter::Limited.name(), "rate limited:"),
    (Counter::KissSent.name(), "KoD responses:"),
    (Counter::Processed.name(), "processed for time:"),
];
const MONSTATS: Table = &[
    ("mru_enabled", "enabled:"),
    ("mru_depth", "addresses:"),
    ("mru_deepest", "peak addresses:"),
    ("mru_maxdepth", "maximum addresses:"),
    ("mru_mindepth", "reclaim above count:"),
    ("mru_maxage", "reclaim older than:"),
    ("mru_mem", "kilobytes:"),
    ("mru_maxmem", "maximum kilobytes:"),
];
const IOSTATS: Table = &[
    ("iostats_reset", "time since reset:"),
    ("total_rbuf", "receive buffers:"),
    ("free_rbuf", "free receive buffers:"),
    ("used_rbuf", "used receive buffers:"),
    ("rbuf_lowater", "low water refills:"),
    ("io_dropped", "dropped packets:"),
    ("io_ignored", "ignored packets:"),
    ("io_received", "received packets:"),
    ("io_sent", "packets sent:"),
    ("io_sendfailed", "packet send failures:"),
    ("io_wakeups", "input wakeups:"),
    ("io_goodwakeups", "useful input wakeups:"),
];
const AUTHINFO: Table = &[
    ("authreset", "time since reset:"),
    ("authkeys", "stored keys:"),
    ("authfreek", "free keys:"),
    ("authklookups", "key lookups:"),
    ("authknotfound", "keys not found:"),
    ("authkuncached", "uncached keys:"),
    ("authkexpired", "expired keys:"),
    ("authencrypts", "encryptions:"),
    ("authdecrypts", "decryptions:"),
];
const TIMERSTATS: Table = &[
    ("timerstats_reset", "time since reset:"),
    ("timer_overruns", "timer overruns:"),
    ("timer_xmts", "calls to transmit:"),
];
const PSTATS: Table = &[
    ("srcadr", "remote host:"),
    ("dstadr", "local address:"),
    ("timerec", "time last received:"),
    ("timer", "time until next send:"),
    ("timereach", "reachability change:"),
    ("sent", "packets sent:"),
    ("received", "packets received:"),
    ("badauth", "bad authentication:"),
    ("bogusorg", "bogus origin:"),
    ("oldpkt", "duplicate:"),
    ("seldisp", "bad dispersion:"),
    ("selbroken", "bad reference time:"),
    ("candidate", "candidate order:"),
];
/// Names of association modes.
const MODES: [&str; 9] =
    ["unspec", "sym_active", "sym_passive", "client", "server", "broadcast", "control", "private", "bclient"];

/// `sysinfo`.
pub(super) fn sysinfo(console: &mut Console, _: &[&str], _: &str) -> Result {
    show(console, 0, SYSINFO, Form { column: 20, head: Head::Status })
}

/// `kerninfo`.
pub(super) fn kerninfo(console: &mut Console, _: &[&str], _: &str) -> Result {
    show(console, 0, KERNINFO, Form { column: 23, head: Head::Status })
}

/// `sysstats`.
pub(super) fn sysstats(console: &mut Console, _: &[&str], _: &str) -> Result {
    show(console, 0, SYSSTATS, Form { column: 24, head: Head::None })
}

/// `monstats`.
pub(super) fn monstats(console: &mut Console, _: &[&str], _: &str) -> Result {
    show(console, 0, MONSTATS, Form { column: 22, head: Head::None })
}

/// `iostats`.
pub(super) fn iostats(console: &mut Console, _: &[&str], _: &str) -> Result {
    show(console, 0, IOSTATS, Form { column: 24, head: Head::None })
}

/// `authinfo`.
pub(super) fn authinfo(console: &mut Console, _: &[&str], _: &str) -> Result {
    show(console, 0, AUTHINFO, Form { column: 19, head: Head::None })
}

/// `timerstats`.
pub(super) fn timerstats(console: &mut Console, _: &[&str], _: &str) -> Result {
    show(console, 0, TIMERSTATS, Form { column: 20, head: Head::None })
}

/// `pstats`.
pub(super) fn pstats(console: &mut Console, words: &[&str], _: &str) -> Result {
    let [word, ..] = words else { return Err(Trouble::Cannot("Usage: pstats assoc".to_owned())) };
    let association = resolve(console, word)?;
    show(console, association, PSTATS, Form { column: 23, head: Head::Status })
}

/// What a summary begins with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Head {
    None,
    /// The status word.
    Status,
}

/// How a summary looks.
#[derive(Clone, Copy)]
struct Form {
    /// Where values begin.
    column: usize,
    head: Head,
}

/// The values of a table; those that the server does not have are left out.
fn show(console: &mut Console, association: u16, table: Table, form: Form) -> Result {
    let Form { column: at, head } = form;
    let names: Vec<&str> = table.iter().map(|(name, _)| *name).collect();
    let found = fetch::named_variables(console.link()?, association, &names)?;
    if console.settings.json {
        let mut data = serde_json::json!({ "variables": json::variables(&found.list) });
        if head == Head::Status {
            data["associd"] = association.into();
            data["status"] = format!("{:04x}", found.status).into();
        }
        return Ok(Output::Data(data));
    }
    let mut text = String::new();
    if head == Head::Status {
        let words = match association {
            0 => SystemStatus(found.status).describe(),
            _ => PeerStatus(found.status).describe(),
        };
        let _ = writeln!(text, "associd={association} status={:04x} {words},", found.status);
    }
    for (name, label) in table {
        if let Some(value) = value(console, &found.list, name) {
            let _ = writeln!(text, "{label:<at$}{value}");
        }
    }
    Ok(Output::Text(text))
}

fn value(console: &mut Console, list: &VarList, name: &str) -> Option<String> {
    let sent = list.get(name)?;
    Some(match name {
        "leap" => leap(sent),
        "peermode" => {
            let mode = varlist::integer(sent).and_then(|mode| usize::try_from(mode).ok());
            mode.and_then(|mode| MODES.get(mode)).map_or_else(|| sent.to_owned(), |mode| (*mode).to_owned())
        }
        "reftime" => {
            varlist::timestamp(sent).map_or_else(|| sent.to_owned(), |stamp| date(stamp, ZERO_SUMMARY))
        }
        "srcadr" | "dstadr" | "refid" => console.names.of_text(sent),
        "peeradr" => match sent.parse::<std::net::SocketAddr>() {
            Ok(address) if console.names.numeric || address.ip().is_unspecified() => sent.to_owned(),
            Ok(address) => format!("{}:{}", console.names.of(address.ip()), address.port()),
            Err(_) => sent.to_owned(),
        },
        _ => sent.to_owned(),
    })
}
