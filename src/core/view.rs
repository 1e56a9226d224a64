//! What ntpq sees of the engine, in the order, units and precision of ntpd 4.2.6p5.

use super::association::Association;
use super::contract::Now;
use super::control::{PeerView, Var, View};
use super::engine::Engine;
use super::filter::{MAX_DISPERSION, PHI, Stage};
use super::leap::{PIVOT, date_stamp};
use super::reject::flash;
use crate::units::{MonoTime, RefId, Seconds};
use std::net::{IpAddr, Ipv4Addr};

/// Association modes as ntpq numbers them.
const MODE_CLIENT: i64 = 3;
const MODE_SERVER: i64 = 4;
/// Shortest poll exponent of the discipline, shown as `mintc`.
const MIN_POLL: i64 = 3;

impl Engine {
    /// Everything that mode 6 can be asked for, as of now.
    pub(super) fn view(&self, now: Now) -> View {
        View {
            leap: self.system.leap,
            status: self.system.status(),
            system: self.system_vars(now),
            peers: self
                .associations
                .iter()
                .map(|a| PeerView {
                    id: a.id,
                    status: a.status(),
                    vars: peer_vars(a, now, self.system.precision),
                })
                .collect(),
            clock: self.associations.iter().find(|a| a.is_local_clock()).map(|a| (a.id, clock_vars(a))),
        }
    }

    fn system_vars(&self, now: Now) -> Vec<Var> {
        let system = &self.system;
        let poll = self.system_poll(now.mono);
        let mut vars = vec![
            Var::text("version", &format!("rsntpd {}", env!("CARGO_PKG_VERSION"))),
            Var::text("processor", &self.machine.processor),
            Var::text("system", &self.machine.system),
            Var::integer("leap", i64::from(system.leap.to_bits())),
            Var::integer("stratum", i64::from(system.stratum.get())),
            Var::integer("precision", i64::from(system.precision)),
            Var::seconds("rootdelay", system.root_delay.get()),
            Var::seconds("rootdisp", system.root_dispersion_at(now.mono).get()),
            refid("refid", system.refid, system.stratum.get() > 1 && system.stratum.get() < 16),
            Var::timestamp("reftime", system.reftime),
            Var::timestamp("clock", now.wall),
            Var::integer("peer", system.peer.map_or(0, |id| i64::from(id.0))),
            Var::integer("tc", i64::from(poll.get())),
            Var::integer("mintc", MIN_POLL),
            Var::seconds("offset", self.discipline.offset(now.mono).get()),
            Var::number("frequency", self.discipline.frequency().get()),
            Var::seconds("sys_jitter", system.jitter.get()),
            Var::seconds("clk_jitter", self.discipline.jitter().get()),
            Var::number("clk_wander", self.discipline.wander().get()),
        ];
        vars.extend(self.leap_vars(now));
        vars.extend(self.added_vars());
        vars.extend(self.hidden_vars(now.mono));
        vars
    }

    /// `tai`, `leapsec` (the next leap second, else the last) and `expire`, as far as they are known.
    fn leap_vars(&self, now: Now) -> Vec<Var> {
        let unix = now.wall.to_unix(PIVOT).0;
        let table = self.setup.leap_table.as_ref();
        let in_file = table.and_then(|t| t.next(unix).or(t.entries.last().copied())).map(|(at, _)| at);
        let date = |name: &str, at: i64| Var::word(name, date_stamp(at).as_bytes());
        let tai = self.tai(now.wall).map(|tai| Var::integer("tai", i64::from(tai)));
        let leap = self.leap.armed_for().or(in_file).map(|at| date("leapsec", at));
        let expires = table.and_then(|t| t.expires).map(|at| date("expire", at));
        [tai, leap, expires].into_iter().flatten().collect()
    }

    /// `setvar`, `--var` and `--dvar`: as with ntpd a later one of the same name takes the place of an
    /// earlier one, and a name that the daemon has itself is not hidden by it.
    fn added_vars(&self) -> Vec<Var> {
        let added = &self.setup.config.setvar;
        let is_last = |index: usize| added[index + 1..].iter().all(|later| later.0 != added[index].0);
        let kept = added.iter().enumerate().filter(|(index, _)| is_last(*index)).map(|(_, added)| added);
        kept.map(|(name, value, shown)| {
            let var = Var::given(name, value);
            if *shown { var } else { var.hidden() }
        })
        .collect()
    }

    /// What `ntpq -c sysinfo` and `-c sysstats` ask for by name.
    fn hidden_vars(&self, now: MonoTime) -> Vec<Var> {
        let peer = self.associations.iter().find(|a| Some(a.id) == self.system.peer);
        let address = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), Association::shown_address);
        let port = i64::from(peer.is_some()) * 123;
        let up = now.since(self.started).get() as i64;
        let count = |name: &str, value: u64| Var::integer(name, value as i64);
        let c = &self.counters;
        [
            Var::word("peeradr", format!("{address}:{port}").as_bytes()),
            Var::integer("peermode", if peer.is_some() { MODE_CLIENT } else { 0 }),
            Var::seconds("bcastdelay", 0.0),
            Var::seconds("authdelay", 0.0),
            Var::integer("ss_uptime", up),
            Var::integer("ss_reset", self.records.since_reset(now)),
            count("ss_received", c.received),
            count("ss_thisver", c.this_version),
            count("ss_oldver", c.old_version),
            count("ss_badformat", c.bad_format),
            count("ss_badauth", c.bad_auth),
            count("ss_declined", c.declined),
            count("ss_restricted", c.restricted),
            count("ss_limited", c.limited),
            count("ss_kodsent", c.kod_sent),
            count("ss_processed", c.processed),
        ]
        .map(Var::hidden)
        .to_vec()
    }
}

fn peer_vars(a: &Association, now: Now, own_precision: i8) -> Vec<Var> {
    let header = &a.header;
    let unspecified = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let best = a.filter.best();
    let flash_shown = if a.is_local_clock() { a.flash & !flash::PEER_DISTANCE } else { a.flash };
    let text_refid = header.stratum.get() <= 1 || header.stratum.get() >= 16 || a.is_local_clock();
    // ntpd shows its own figures until it has heard the peer's.
    let unheard = a.last_answer.is_none();
    let stage = |value: fn(&Stage, MonoTime) -> f64, empty: f64| -> [f64; 8] {
        a.filter.stages().map(|s| s.map_or(empty, |s| value(&s, now.mono)))
    };
    vec![
        Var::address("srcadr", a.shown_address()),
        Var::integer("srcport", 123),
        Var::address("dstadr", a.local.unwrap_or(unspecified)),
        Var::integer("dstport", 123),
        Var::integer("leap", i64::from(header.leap.to_bits())),
        Var::integer("stratum", i64::from(header.stratum.get())),
        Var::integer("precision", i64::from(if unheard { own_precision } else { header.precision })),
        Var::seconds("rootdelay", header.root_delay.get()),
        Var::seconds("rootdisp", header.root_dispersion.get()),
        refid("refid", header.refid, !text_refid),
        Var::timestamp("reftime", header.reftime),
        Var::timestamp("rec", a.received),
        Var::hex("reach", u64::from(a.reach)),
        Var::integer("unreach", i64::from(a.unreach)),
        Var::integer("hmode", MODE_CLIENT),
        Var::integer("pmode", if a.last_answer.is_some() { MODE_SERVER } else { 0 }),
        Var::integer("hpoll", i64::from(a.poll.get())),
        Var::integer("ppoll", i64::from(if unheard { a.config.maxpoll.get() } else { peer_poll(a) })),
        Var::integer("headway", 0),
        Var::hex("flash", u64::from(flash_shown)),
        Var::integer("keyid", a.config.key.map_or(0, |k| i64::from(k.0))),
        Var::seconds("offset", best.map_or(0.0, |s| s.offset.get())),
        Var::seconds("delay", best.map_or(0.0, |s| s.delay.get())),
        Var::seconds("dispersion", a.filter.dispersion().get()),
        Var::seconds("jitter", a.filter.jitter().get()),
        Var::stages("filtdelay", stage(|s, _| s.delay.get(), 0.0)),
        Var::stages("filtoffset", stage(|s, _| s.offset.get(), 0.0)),
        Var::stages(
            "filtdisp",
            stage(|s, now| s.dispersion.get() + PHI * now.since(s.at).get().max(0.0), MAX_DISPERSION),
        ),
    ]
}

/// The poll exponent the peer said, never below ours: ntpq shows the smaller of both as `poll`.
fn peer_poll(a: &Association) -> u8 {
    (a.header.poll.clamp(0, 17) as u8).max(a.config.minpoll.get())
}

fn clock_vars(a: &Association) -> Vec<Var> {
    let fudge = &a.config.fudge;
    let flags = fudge.flags.iter().enumerate().fold(0, |sum, (bit, set)| sum | i64::from(*set) << bit);
    let optional =
        |name: &str, value: Seconds| (value != Seconds::ZERO).then(|| Var::seconds(name, value.get()));
    let mut vars = vec![
        Var::text("device", "Undisciplined local clock"),
        Var::word("timecode", b""),
        Var::integer("poll", i64::from(a.reach.count_ones())),
        Var::integer("noreply", 0),
        Var::integer("badformat", 0),
        Var::integer("baddata", 0),
        Var::number("fudgetime1", fudge.time1.get()),
    ];
    vars.extend(optional("fudgetime2", fudge.time2));
    vars.push(Var::integer("stratum", i64::from(a.header.stratum.get())));
    vars.push(refid("refid", a.header.refid, true));
    vars.push(Var::integer("flags", flags));
    vars
}

/// A reference identifier: an address, or text.
fn refid(name: &str, refid: RefId, as_address: bool) -> Var {
    if as_address { Var::address(name, IpAddr::V4(refid.to_ipv4())) } else { Var::word(name, refid.text()) }
}
