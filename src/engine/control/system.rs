//! The system variables, by the names, units and precision of ntpd 4.2.6p5; those it does not have by
//! 4.2.8's.

use crate::config::model::Variable;
use crate::engine::control::counters;
use crate::engine::control::table::{self, Extra, Row, Scene, SystemRow};
use crate::engine::control::text;
use crate::units::{NTP_PORT, PIVOT, PollExponent, Ppm, RefId, Seconds, date_stamp};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// ntpd's default of `clk_wander_threshold`, ppm.
const WANDER_THRESHOLD: f64 = 1e-7;

/// What is shown without being asked for, in the order of 4.2.6p5: ntpstat needs `tc` before `mintc`
/// and both in the first datagram.
pub(super) const SHOWN: [&str; 22] = [
    "version",
    "processor",
    "system",
    "leap",
    "stratum",
    "precision",
    "rootdelay",
    "rootdisp",
    "refid",
    "reftime",
    "clock",
    "peer",
    "tc",
    "mintc",
    "offset",
    "frequency",
    "sys_jitter",
    "clk_jitter",
    "clk_wander",
    "tai",
    "leapsec",
    "expire",
];

/// All of them, in ntpd's order.
pub(super) const TABLES: [&[SystemRow]; 10] = [
    &SYSTEM,
    &counters::MONITOR,
    &counters::PACKETS,
    &PEER,
    &counters::KEYS,
    &counters::KERNEL,
    &counters::TRAFFIC,
    &counters::TIMER,
    &LATER,
    &counters::SECURITY,
];

const SYSTEM: [SystemRow; 23] = [
    Row::new("leap", |s| Some(s.view.system.leap().to_bits().to_string())),
    Row::new("stratum", |s| Some(s.view.system.stratum().get().to_string())),
    Row::new("precision", |s| Some(s.view.system.precision().to_string())),
    Row::new("rootdelay", |s| Some(text::millis(s.view.system.root_delay()))),
    Row::new("rootdisp", |s| Some(text::millis(s.view.system.root_dispersion_at(s.view.now.mono)))),
    Row::new("refid", |s| {
        let stratum = s.view.system.stratum().get();
        let form = if stratum > 1 && stratum < 16 { RefidForm::Address } else { RefidForm::Text };
        Some(refid(s.view.system.refid(), form))
    }),
    Row::new("reftime", |s| Some(text::stamp(s.view.system.reftime()))),
    Row::new("tc", |s| Some(s.view.system_poll.get().to_string())),
    Row::new("peer", |s| Some(s.view.system.peer().map_or(0, |id| id.0).to_string())),
    Row::new("offset", |s| Some(text::millis(s.view.clock.discipline().offset(s.view.now.mono)))),
    Row::new("frequency", |s| Some(text::ppm(s.view.clock.discipline().frequency()))),
    Row::new("sys_jitter", |s| Some(text::millis(s.view.system.jitter()))),
    Row::new("clk_jitter", |s| Some(text::millis(s.view.clock.discipline().jitter()))),
    Row::new("clock", |s| Some(text::stamp(s.view.now.wall))),
    Row::new("processor", |s| s.discloses.then(|| text::quoted(&s.control.processor))),
    Row::new("system", |s| s.discloses.then(|| text::quoted(&s.control.machine_system))),
    Row::new("version", |s| s.discloses.then(|| text::quoted(concat!("rsntpd ", env!("CARGO_PKG_VERSION"))))),
    Row::new("clk_wander", |s| Some(text::ppm(s.view.clock.discipline().wander()))),
    Row::new("sys_var_list", |_| {
        Some(table::names(TABLES.iter().flat_map(|table| table.iter()).map(|row| row.name)))
    }),
    Row::new("tai", |s| s.view.setup.tai(s.view.now.wall).map(|tai| tai.to_string())),
    Row::new("leapsec", |s| leap_second(s).map(date_stamp)),
    Row::new("expire", |s| s.view.setup.leap_table.as_ref()?.expires.map(date_stamp)),
    Row::new("mintc", |_| Some(PollExponent::MIN.get().to_string())),
];

const PEER: [SystemRow; 5] = [
    Row::new("peeradr", |s| Some(peer_address(s).to_string())),
    Row::new("peermode", |s| Some(if s.view.system_peer().is_some() { "3" } else { "0" }.to_owned())),
    Row::new("bcastdelay", |_| Some(text::millis(Seconds::ZERO))),
    Row::new("authdelay", |_| Some(text::millis(Seconds::ZERO))),
    Row::new("rootdist", |s| Some(text::millis(s.view.system.root_distance_at(s.view.now.mono)))),
];

/// What 4.2.8 added at the end of its table.
const LATER: [SystemRow; 6] = [
    Row::new("fuzz", |s| Some(text::millis(s.view.system.floor()))),
    Row::new("clk_wander_threshold", |s| {
        let threshold = s.view.setup.config.drift_threshold.map_or(WANDER_THRESHOLD, Ppm::get);
        Some(text::general(threshold))
    }),
    // Without smearing there is nothing to show, as with ntpd.
    Row::new("leapsmearinterval", |s| {
        Some(s.view.setup.config.smear.interval).filter(|interval| *interval > 0).map(|i| i.to_string())
    }),
    Row::new("leapsmearoffset", |s| s.view.server.smear()?.offset(s.view.now).map(text::millis)),
    // Ours: how many steps in a row went forward, or back.
    Row::new("steps", |s| Some(s.view.clock.steps_in_a_row().to_string())),
    Row::new("savedconfig", |s| s.control.saved.as_deref().map(text::given)),
];

fn peer_address(s: &Scene<'_>) -> SocketAddr {
    let none = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    s.view.system_peer().map_or(none, |source| source.shown_address().at_port(NTP_PORT))
}

/// The next leap second, else the last one that the file knows of.
fn leap_second(s: &Scene<'_>) -> Option<i64> {
    let unix = s.view.now.wall.to_unix(PIVOT).0;
    let table = s.view.setup.leap_table.as_ref();
    let in_file = table.and_then(|t| t.next(unix).or(t.entries.last().copied())).map(|(at, _)| at);
    s.view.clock.leap().armed_for().or(in_file)
}

/// What a reference identifier stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum RefidForm {
    /// An IPv4 address, or the hash of another one.
    Address,
    /// Four letters: a reference clock or a kiss code.
    Text,
}

/// A reference identifier.
pub(super) fn refid(refid: RefId, form: RefidForm) -> String {
    match form {
        RefidForm::Address => IpAddr::V4(refid.to_ipv4()).to_string(),
        RefidForm::Text => text::word(refid.text()),
    }
}

/// `setvar`, `--var` and `--dvar`: as with ntpd a later one of the same name takes the place of an
/// earlier one.
pub(super) fn extras(added: &[Variable]) -> Vec<Extra> {
    let is_last = |index: usize| added[index + 1..].iter().all(|later| later.name != added[index].name);
    let kept = added.iter().enumerate().filter(|(index, _)| is_last(*index)).map(|(_, added)| added);
    kept.map(|Variable { name, value, shown }| Extra {
        name: text::word(name.as_bytes()),
        value: text::given(value),
        shown: *shown,
    })
    .collect()
}
