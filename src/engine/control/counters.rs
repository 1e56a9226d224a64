//! Counters and figures that ntpq asks for by name: `monstats`, `sysstats`, `authinfo`, `kerninfo`,
//! `iostats`, `timerstats`. What ntpd counts and has no meaning here is 0.

use crate::engine::control::shell_request::Traffic;
use crate::engine::control::table::{Row, Scene, SystemRow};
use crate::engine::control::text;
use crate::units::{KernelClock, Pps, Seconds};
use crate::wire::counter::Counter;

fn zero(_: &Scene<'_>) -> Option<String> {
    Some("0".to_owned())
}

/// Bytes in KiB, rounded.
fn kib(bytes: usize) -> String {
    ((bytes + 512) / 1024).to_string()
}

fn uptime(s: &Scene<'_>) -> Option<String> {
    Some((s.view.now.mono.since(s.view.started).get() as u64).to_string())
}

/// The client table (`monstats`). Names that only NTPsec's ntpq asks for are among them.
pub(super) const MONITOR: [SystemRow; 16] = [
    Row::new("mru_enabled", |s| Some(text::hex(u64::from(s.view.server.clients().is_on())))),
    Row::new("mru_depth", |s| Some(s.view.server.clients().len().to_string())),
    Row::new("mru_deepest", |s| Some(s.view.server.clients().tally().deepest.to_string())),
    Row::new("mru_mindepth", |s| Some(s.view.server.clients().mru().mindepth.to_string())),
    Row::new("mru_maxage", |s| Some(s.view.server.clients().mru().maxage.to_string())),
    Row::new("mru_maxdepth", |s| Some(s.view.server.clients().depth().to_string())),
    Row::new("mru_mem", |s| {
        let clients = s.view.server.clients();
        Some(kib(clients.memory_bound() / clients.depth().max(1) * clients.len()))
    }),
    Row::new("mru_maxmem", |s| Some(kib(s.view.server.clients().memory_bound()))),
    Row::new("mru_hashslots", |s| Some(s.view.server.clients().len().to_string())),
    Row::new("mru_minage", |s| Some(s.view.setup.config.discard.monitor.to_string())),
    Row::new("mru_exists", |s| Some(s.view.server.clients().tally().known.to_string())),
    Row::new("mru_new", |s| Some(s.view.server.clients().tally().new.to_string())),
    Row::new("mru_recycleold", |s| Some(s.view.server.clients().tally().replaced_aged.to_string())),
    Row::new("mru_recyclefull", |s| Some(s.view.server.clients().tally().replaced_full.to_string())),
    Row::new("mru_none", |s| Some(s.view.server.clients().tally().refused.to_string())),
    Row::new("mru_oldest_age", |s| {
        let oldest = s.view.server.clients().oldest_first().next();
        let age = oldest.map_or(Seconds::ZERO, |client| s.view.now.mono.since(client.heard));
        Some((age.get().max(0.0) as u64).to_string())
    }),
];

fn since_reset(s: &Scene<'_>) -> Option<String> {
    Some(s.view.reports.counted_for(s.view.now.mono).to_string())
}

fn count(s: &Scene<'_>, counter: Counter) -> Option<String> {
    Some(s.view.server.counters().get(counter).to_string())
}

/// Each counter of packets under its name and under the one of what was counted since the last reset:
/// no other is kept.
macro_rules! packets {
    ($($counter:ident),+ $(,)?) => {
        [
            Row::new("ss_uptime", uptime),
            Row::new("ss_reset", since_reset),
            Row::new("ss_reset_r", since_reset),
        $(
            Row::new(Counter::$counter.name(), |s| count(s, Counter::$counter)),
            Row::new(Counter::$counter.name_since_reset(), |s| count(s, Counter::$counter)),
        )+
            Row::new("ss_numctlreq", |s| Some(s.control.requests.to_string())),
            Row::new("ss_lamport", zero),
            Row::new("ss_tsrounding", zero),
        ]
    };
}

/// Packets (`sysstats`).
pub(super) const PACKETS: [SystemRow; 34] = packets![
    Received,
    ThisVersion,
    OldVersion,
    BadFormat,
    BadAuth,
    Declined,
    Restricted,
    Limited,
    KissSent,
    Processed,
    Version1,
    Version1Client,
    Version1Zero,
    Version1Symmetric,
];

/// Symmetric keys (`authinfo`).
pub(super) const KEYS: [SystemRow; 15] = [
    Row::new("authkeys", |s| Some(s.view.server.keys().len().to_string())),
    Row::new("authfreek", zero),
    Row::new("authklookups", |s| Some(s.view.server.keys().uses().lookups.to_string())),
    Row::new("authknotfound", |s| Some(s.view.server.keys().uses().not_found.to_string())),
    Row::new("authkuncached", zero),
    Row::new("authkexpired", zero),
    Row::new("authencrypts", |s| {
        let uses = s.view.server.keys().uses();
        Some((uses.digests_made + uses.cmacs_made).to_string())
    }),
    Row::new("authdecrypts", |s| {
        let uses = s.view.server.keys().uses();
        Some((uses.digests_checked + uses.cmacs_checked).to_string())
    }),
    Row::new("authreset", uptime),
    Row::new("authdigestencrypts", |s| Some(s.view.server.keys().uses().digests_made.to_string())),
    Row::new("authcmacencrypts", |s| Some(s.view.server.keys().uses().cmacs_made.to_string())),
    Row::new("authdigestdecrypts", |s| Some(s.view.server.keys().uses().digests_checked.to_string())),
    Row::new("authdigestfails", |s| Some(s.view.server.keys().uses().digests_wrong.to_string())),
    Row::new("authcmacdecrypts", |s| Some(s.view.server.keys().uses().cmacs_checked.to_string())),
    Row::new("authcmacfails", |s| Some(s.view.server.keys().uses().cmacs_wrong.to_string())),
];

fn kernel(s: &Scene<'_>, value: fn(&KernelClock) -> String) -> Option<String> {
    Some(s.survey?.kernel.as_ref().map_or_else(|| "0".to_owned(), value))
}

/// A figure of a pulse-per-second line; 0 without one.
fn pps(s: &Scene<'_>, value: fn(&Pps) -> String) -> Option<String> {
    let line = s.survey?.kernel.as_ref().and_then(|k| k.pps);
    Some(line.map_or_else(|| "0".to_owned(), |line| value(&line)))
}

/// Seconds in milliseconds with six significant digits.
fn short_millis(value: Seconds) -> String {
    text::general(value.get() * 1e3)
}

/// The kernel's clock (`kerninfo`): times in milliseconds, frequencies in ppm.
pub(super) const KERNEL: [SystemRow; 16] = [
    Row::surveyed("koffset", |s| kernel(s, |k| short_millis(k.offset))),
    Row::surveyed("kfreq", |s| kernel(s, |k| text::general(k.frequency.get()))),
    Row::surveyed("kmaxerr", |s| kernel(s, |k| short_millis(k.max_error))),
    Row::surveyed("kesterr", |s| kernel(s, |k| short_millis(k.est_error))),
    Row::surveyed("kstflags", |s| {
        let flags: Vec<_> = s.survey?.kernel.as_ref().into_iter().flat_map(KernelClock::flags).collect();
        Some(text::quoted(&flags.join(" ")))
    }),
    Row::surveyed("ktimeconst", |s| kernel(s, |k| k.time_constant.to_string())),
    Row::surveyed("kprecis", |s| kernel(s, |k| short_millis(k.precision))),
    Row::surveyed("kfreqtol", |s| kernel(s, |k| text::general(k.tolerance.get()))),
    Row::surveyed("kppsfreq", |s| pps(s, |p| text::general(p.frequency.get()))),
    Row::surveyed("kppsstab", |s| pps(s, |p| text::general(p.stability.get()))),
    Row::surveyed("kppsjitter", |s| pps(s, |p| text::millis(p.jitter))),
    Row::surveyed("kppscalibdur", |s| pps(s, |p| p.interval.to_string())),
    Row::surveyed("kppscalibs", |s| pps(s, |p| p.calibrations.to_string())),
    Row::surveyed("kppscaliberrs", |s| pps(s, |p| p.errors.to_string())),
    Row::surveyed("kppsjitexc", |s| pps(s, |p| p.jitter_exceeded.to_string())),
    Row::surveyed("kppsstbexc", |s| pps(s, |p| p.stability_exceeded.to_string())),
];

fn traffic(s: &Scene<'_>, value: fn(&Traffic) -> u64) -> Option<String> {
    Some(value(&s.survey?.traffic).to_string())
}

/// Datagrams (`iostats`). There is one receive buffer, which is never kept.
pub(super) const TRAFFIC: [SystemRow; 12] = [
    Row::new("iostats_reset", uptime),
    Row::new("total_rbuf", |_| Some("1".to_owned())),
    Row::new("free_rbuf", |_| Some("1".to_owned())),
    Row::new("used_rbuf", zero),
    Row::new("rbuf_lowater", zero),
    Row::surveyed("io_dropped", |s| traffic(s, |t| t.dropped)),
    Row::surveyed("io_ignored", |s| traffic(s, |t| t.ignored)),
    Row::surveyed("io_received", |s| traffic(s, |t| t.received)),
    Row::surveyed("io_sent", |s| traffic(s, |t| t.sent)),
    Row::surveyed("io_sendfailed", |s| traffic(s, |t| t.not_sent)),
    Row::surveyed("io_wakeups", |s| traffic(s, |t| t.wakeups)),
    Row::surveyed("io_goodwakeups", |s| traffic(s, |t| t.useful_wakeups)),
];

/// Timers (`timerstats`): there are deadlines, which do not overrun.
pub(super) const TIMER: [SystemRow; 3] = [
    Row::new("timerstats_reset", uptime),
    Row::new("timer_overruns", zero),
    Row::new("timer_xmts", |s| Some(s.view.sources.requests().to_string())),
];

macro_rules! counted {
    ($($counter:ident $value:ident),+ $(,)?) => {
        [
            Row::new("nts_cookie_decode", |s| count(s, Counter::CookieCurrent)),
            Row::new("nts_cookie_decode_total", |s| {
                use Counter::{CookieCurrent, CookieError, CookieOld, CookieOld2, CookieOlder, CookieTooOld};
                let all = [CookieCurrent, CookieOld, CookieOld2, CookieOlder, CookieTooOld, CookieError];
                Some(all.map(|counter| s.view.server.counters().get(counter)).iter().sum::<u64>().to_string())
            }),
            Row::new("nts_cert_notafter", |s| Some(s.view.server.nts_certificate_end()?.to_string())),
            $(Row::new(Counter::$counter.name(), |s| $value(s, Counter::$counter))),+
        ]
    };
}

/// Microseconds that were counted, in seconds.
fn seconds(s: &Scene<'_>, counter: Counter) -> Option<String> {
    Some(format!("{:.3}", s.view.server.counters().get(counter) as f64 * 1e-6))
}

/// Network Time Security, our server's and our clients' (`ntsinfo`); until when the certificate is valid, and failures by their class,
/// NTPsec does not have.
pub(super) const SECURITY: [SystemRow; 33] = counted![
    NtsServerSent count,
    NtsServerGood count,
    NtsServerBad count,
    CookieMade count,
    CookieNotServer count,
    CookieCurrent count,
    CookieOld count,
    CookieOld2 count,
    CookieOlder count,
    CookieTooOld count,
    CookieError count,
    KeGood count,
    KeGoodWall seconds,
    KeGoodCpu seconds,
    KeNoTls count,
    KeRefused count,
    KeNoTlsWall seconds,
    KeNoTlsCpu seconds,
    KeBad count,
    KeBadWall seconds,
    KeBadCpu seconds,
    NtsClientSent count,
    NtsClientGood count,
    NtsClientBad count,
    KeProbesGood count,
    KeProbesBad count,
    KeProbesName count,
    KeProbesConnection count,
    KeProbesTls count,
    KeProbesProtocol count,
];
