//! The variables of associations and of the local clock, by the names, units and precision of ntpd
//! 4.2.6p5; those it does not have by 4.2.8's.

use crate::config::model::Target;
use crate::engine::contract::Now;
use crate::engine::control::system::{RefidForm, refid};
use crate::engine::control::table::{self, Row};
use crate::engine::control::text;
use crate::engine::sources::Source;
use crate::engine::sources::filter::Stage;
use crate::units::{MAX_DISPERSION, MonoTime, PHI, PollExponent, Seconds, clock_name};
use crate::wire::Mode;
use std::net::{IpAddr, Ipv4Addr};

/// What an association's variables are read from.
#[derive(Clone, Copy)]
pub(super) struct PeerScene<'a> {
    pub(super) a: &'a Source,
    pub(super) now: Now,
    /// When it is polled next.
    pub(super) next_poll: Option<MonoTime>,
    /// Our own precision: ntpd shows it until it has heard the peer's.
    pub(super) precision: i8,
}

pub(super) type PeerRow = Row<fn(&PeerScene<'_>) -> Option<String>>;

/// What is shown without being asked for, in the order of 4.2.6p5.
pub(super) const SHOWN: [&str; 31] = [
    "srcadr",
    "srcport",
    "dstadr",
    "dstport",
    "leap",
    "stratum",
    "precision",
    "rootdelay",
    "rootdisp",
    "refid",
    "reftime",
    "rec",
    "reach",
    "unreach",
    "hmode",
    "pmode",
    "hpoll",
    "ppoll",
    "headway",
    "flash",
    "keyid",
    "ttl",
    "offset",
    "delay",
    "dispersion",
    "jitter",
    "xleave",
    "bias",
    "filtdelay",
    "filtoffset",
    "filtdisp",
];

/// The same of this one: a pool has no address, so its name is shown, as by 4.2.8; by the name of a clock NTPsec's ntpq
/// knows that it is one.
pub(super) fn shown(source: &Source) -> Vec<&'static str> {
    let mut shown = SHOWN.to_vec();
    if source.config().solicits() && matches!(source.config().target, Target::Name(_)) {
        shown.insert(2, "srchost");
    }
    if source.clock_driver().is_some() {
        shown.push("srchost");
    }
    // By it NTPsec's ntpq shows that a source is authenticated.
    if source.nts().is_some() {
        shown.push("ntscookies");
    }
    shown
}

/// All of them, in ntpd's order.
pub(super) const TABLES: [&[PeerRow]; 2] = [&IDENTITY, &MEASURED];

const IDENTITY: [PeerRow; 20] = [
    Row::new("config", |s| Some(u8::from(s.a.shows_configured()).to_string())),
    Row::new("authenable", |s| Some(u8::from(s.a.is_authenticated()).to_string())),
    Row::new("authentic", |s| {
        Some(u8::from(s.a.is_authenticated() && s.a.reach().is_reachable()).to_string())
    }),
    Row::new("srcadr", |s| Some(s.a.shown_address().to_string())),
    Row::new("srcport", |s| Some(s.a.port().to_string())),
    Row::new("dstadr", |s| {
        Some(s.a.local_address().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)).to_string())
    }),
    Row::new("dstport", |s| Some(s.a.own_port().to_string())),
    Row::new("leap", |s| Some(s.a.header().leap.to_bits().to_string())),
    Row::new("hmode", |s| Some(s.a.own_mode().to_bits().to_string())),
    Row::new("stratum", |s| Some(s.a.header().stratum.get().to_string())),
    Row::new("ppoll", |s| {
        Some(if unheard(s) { s.a.config().maxpoll.get() } else { peer_poll(s.a) }.to_string())
    }),
    Row::new("hpoll", |s| Some(s.a.poll_exponent().get().to_string())),
    Row::new("precision", |s| {
        Some(if unheard(s) { s.precision } else { s.a.header().precision }.to_string())
    }),
    Row::new("rootdelay", |s| Some(text::millis(s.a.header().root_delay))),
    Row::new("rootdisp", |s| Some(text::millis(s.a.header().root_dispersion))),
    Row::new("refid", |s| {
        let stratum = s.a.header().stratum.get();
        let is_address = stratum > 1 && stratum < 16 && s.a.has_distance();
        Some(refid(s.a.header().refid, if is_address { RefidForm::Address } else { RefidForm::Text }))
    }),
    Row::new("reftime", |s| Some(text::stamp(s.a.header().reftime))),
    // What we sent was a random number, not a time.
    Row::new("org", |s| Some(text::stamp(s.a.last_transmit()))),
    Row::new("rec", |s| Some(text::stamp(s.a.reach().received()))),
    Row::new("xleave", |s| Some(s.a.tally().output_delay).filter(|d| *d > Seconds::ZERO).map(text::millis)),
];

const MEASURED: [PeerRow; 37] = [
    Row::new("reach", |s| Some(text::hex(u64::from(s.a.reach().register())))),
    Row::new("unreach", |s| Some(s.a.reach().unreach().to_string())),
    Row::new("timer", |s| {
        Some((s.next_poll.map_or(0.0, |at| at.since(s.now.mono).get().max(0.0)) as u64).to_string())
    }),
    Row::new("delay", |s| Some(text::millis(s.a.filter().best().map_or(Seconds::ZERO, |b| b.delay)))),
    Row::new("offset", |s| Some(text::millis(s.a.filter().best().map_or(Seconds::ZERO, |b| b.offset)))),
    Row::new("jitter", |s| Some(text::millis(s.a.filter().jitter()))),
    Row::new("dispersion", |s| Some(text::millis(s.a.filter().dispersion()))),
    Row::new("keyid", |s| Some(s.a.config().key.map_or(0, |k| k.0).to_string())),
    Row::new("filtdelay", |s| Some(stages(s, |stage, _| stage.delay.get(), 0.0))),
    Row::new("filtoffset", |s| Some(stages(s, |stage, _| stage.offset.get(), 0.0))),
    Row::new("pmode", |s| Some(s.a.peer_mode().map_or(0, Mode::to_bits).to_string())),
    Row::new("received", |s| Some(s.a.tally().received.to_string())),
    Row::new("sent", |s| Some(s.a.tally().sent.to_string())),
    Row::new("filtdisp", |s| {
        let aged =
            |stage: &Stage, now: MonoTime| stage.dispersion.get() + PHI * now.since(stage.at).get().max(0.0);
        Some(stages(s, aged, MAX_DISPERSION))
    }),
    Row::new("flash", |s| Some(text::hex(u64::from(s.a.shown_flash())))),
    // Of a clock, its mode as 4.2.8 shows it; multicast hops are the announcer's.
    Row::new("ttl", |s| {
        Some(s.a.config().device.mode).filter(|mode| *mode != 0).map(|mode| mode.to_string())
    }),
    Row::new("peer_var_list", |_| {
        Some(table::names(TABLES.iter().flat_map(|table| table.iter()).map(|row| row.name)))
    }),
    Row::new("in", |_| None),
    Row::new("out", |_| None),
    Row::new("headway", |s| Some((s.a.tally().headway(s.now.mono) as u64).to_string())),
    Row::new("bias", |_| None),
    Row::new("srchost", |s| match &s.a.config().target {
        Target::Name(name) => Some(text::quoted(name)),
        Target::LocalClock { .. } | Target::RefClock { .. } => {
            clock_name(s.a.shown_address().ip).map(|name| text::quoted(&name))
        }
        Target::Address(_) => None,
    }),
    Row::new("timerec", |s| Some(seconds_since(s, s.a.reach().last_response()))),
    Row::new("timereach", |s| Some(seconds_since(s, s.a.reach().since()))),
    Row::new("badauth", |s| Some(s.a.tally().bad_auth.to_string())),
    Row::new("bogusorg", |s| Some(s.a.tally().bogus.to_string())),
    Row::new("oldpkt", |s| Some(s.a.tally().duplicates.to_string())),
    Row::new("seldisp", |s| Some(s.a.tally().too_far.to_string())),
    Row::new("selbroken", |s| Some(s.a.tally().broken.to_string())),
    // By NTPsec's names; without NTS its cookies are −1.
    Row::new("ntscookies", |s| {
        Some(s.a.nts().map_or_else(|| "-1".to_owned(), |nts| nts.cookies().to_string()))
    }),
    Row::new("ntsaead", |s| s.a.nts()?.aead().map(|aead| text::quoted(aead.name()))),
    Row::new("ntske_age", |s| s.a.nts()?.age(s.now.mono).map(|age| format!("{:.0}", age.get()))),
    Row::new("ntske_error", |s| s.a.nts()?.failure().map(text::quoted)),
    Row::new("ntske_attempts", |s| Some(s.a.nts()?.attempts().to_string())),
    Row::new("ntsnak", |s| Some(u8::from(s.a.nts()?.is_refused()).to_string())),
    Row::new("ntscookielen", |s| s.a.nts()?.cookie_length().map(|bytes| bytes.to_string())),
    Row::new("candidate", |s| Some((s.a.selection() as u16).to_string())),
];

fn unheard(s: &PeerScene<'_>) -> bool {
    s.a.reach().last_response().is_none()
}

/// The poll exponent in the peer's packets, never below ours: ntpq shows the smaller of both as `poll`.
fn peer_poll(a: &Source) -> u8 {
    PollExponent::from_wire(a.header().poll).max(a.config().minpoll).get()
}

fn stages(s: &PeerScene<'_>, value: fn(&Stage, MonoTime) -> f64, empty: f64) -> String {
    text::stages(s.a.filter().stages().map(|stage| stage.map_or(empty, |stage| value(&stage, s.now.mono))))
}

/// Whole seconds since then; since ever where it never was, as ntpd counts from its start.
fn seconds_since(s: &PeerScene<'_>, then: Option<MonoTime>) -> String {
    let age = s.now.mono.since(then.unwrap_or(s.a.tally().made)).get();
    (age.max(0.0) as u64).to_string()
}
