//! Variables: every name of ntpd, its order, its status words.

use crate::bench::from;
use rsntpd::config::model::{AccessFlags, Config, Family, Origin, Restrict, RestrictTarget};
use rsntpd::units::KeyId;
use sim::desk::{Answer, CONTROL_KEY, Desk, ask, sign};
use std::collections::BTreeSet;

#[test]
fn what_ntpstat_reads_is_in_the_first_datagram() {
    let mut desk = Desk::new(|_| {});
    let mut packet = vec![0x16, 2, 0, 1];
    packet.resize(576, 0);
    let datagrams = desk.raw(&packet, from("127.0.0.1:40000"));
    let first = String::from_utf8(datagrams[0][12..].to_vec()).unwrap();
    let at = |name: &str| first.find(name).unwrap_or_else(|| panic!("{name} in {first}"));
    for name in ["stratum=", "rootdelay=", "rootdisp=", "refid="] {
        at(name);
    }
    assert!(at("tc=") < at("mintc="));
    assert_eq!((datagrams[0][0] & 0x3f, datagrams[0][1]), (0x16, 0x82));
}

#[test]
fn every_variable_of_ntpd_is_known_by_name() {
    let system = "leap stratum precision rootdelay rootdisp refid reftime tc peer offset frequency sys_jitter \
        clk_jitter clock processor system version clk_wander sys_var_list tai leapsec expire mintc mru_enabled \
        mru_depth mru_deepest mru_mindepth mru_maxage mru_maxdepth mru_mem mru_maxmem ss_uptime ss_reset \
        ss_received ss_thisver ss_oldver ss_badformat ss_badauth ss_declined ss_restricted ss_limited \
        ss_kodsent ss_processed ss_lamport ss_tsrounding peeradr peermode bcastdelay authdelay authkeys \
        authfreek authklookups authknotfound authkuncached authkexpired authencrypts authdecrypts authreset \
        koffset kfreq kmaxerr kesterr kstflags ktimeconst kprecis kfreqtol kppsfreq kppsstab kppsjitter \
        kppscalibdur kppscalibs kppscaliberrs kppsjitexc kppsstbexc iostats_reset total_rbuf free_rbuf \
        used_rbuf rbuf_lowater io_dropped io_ignored io_received io_sent io_sendfailed io_wakeups \
        io_goodwakeups timerstats_reset timer_overruns timer_xmts fuzz clk_wander_threshold rootdist \
        leapsmearinterval leapsmearoffset site";
    let peer = "config authenable authentic srcadr srcport dstadr dstport leap hmode stratum ppoll hpoll \
        precision rootdelay rootdisp refid reftime org rec xleave reach unreach timer delay offset jitter \
        dispersion keyid filtdelay filtoffset pmode received sent filtdisp flash ttl peer_var_list in out \
        headway bias srchost timerec timereach badauth bogusorg oldpkt seldisp selbroken candidate";
    let clock = "type timecode poll noreply badformat baddata fudgetime1 fudgetime2 stratum refid flags device \
        clock_var_list";
    let mut desk = Desk::new(|_| {});
    let ids = desk.associations();
    let silent = BTreeSet::from([
        "tai",
        "leapsec",
        "expire",
        "leapsmearinterval",
        "leapsmearoffset",
        "ttl",
        "in",
        "out",
        "bias",
        "srchost",
        "fudgetime2",
        "xleave",
    ]);
    for (opcode, id, names) in [(2, 0, system), (2, ids[1], peer), (4, ids[0], clock)] {
        for name in names.split_whitespace() {
            let answer = desk.asked(&ask(opcode, id, name));
            assert_eq!(answer.error(), None, "{name}");
            assert!(silent.contains(name) || answer.items()[0].0 == name, "{name}: {answer:?}");
        }
    }
    let answer = desk.asked(&ask(2, 0, "kfreq,kmaxerr,kstflags,kppsfreq"));
    assert_eq!(answer.text(), "kfreq=-12.5, kmaxerr=16000, kstflags=\"unsync nano\", kppsfreq=0\r\n");
}

#[test]
fn names_come_in_ntpds_order_and_once() {
    let mut desk = Desk::new(|_| {});
    let text = desk.asked(&ask(2, 0, "peer,stratum=5, tc ,stratum,,site")).text();
    let names: Vec<&str> = text.split(',').map(|item| item.trim().split('=').next().unwrap()).collect();
    assert_eq!(names, ["stratum", "tc", "peer", "site"]);
}

#[test]
fn events_are_counted_until_somebody_with_a_key_has_looked() {
    let mut desk = Desk::new(|_| {});
    let id = desk.associations()[1];
    let status = desk.asked(&ask(2, id, "")).status;
    assert_eq!(status & 0xff, 0x11, "mobilized once");
    desk.asked(&sign(ask(2, id, ""), KeyId(8)));
    assert_eq!(desk.asked(&ask(2, id, "")).status & 0xff, 0x01);
    let system = desk.asked(&ask(2, 0, "")).status;
    assert!(system & 0xf0 != 0);
    desk.asked(&sign(ask(2, 0, ""), KeyId(8)));
    assert_eq!(desk.asked(&ask(2, 0, "")).status & 0xf0, 0);
}

/// Scanners take them for findings; this machine and who may modify see them.
#[test]
fn strangers_are_not_shown_version_processor_and_system() {
    const HIDDEN: [&str; 3] = ["version", "processor", "system"];
    let shown = |change: fn(&mut Config), packet: &[u8], source: &str| {
        let datagrams = Desk::new(change).raw(packet, from(source));
        let answer = Answer::join(&datagrams).unwrap();
        assert!(!answer.value("stratum").is_empty(), "{answer:?}");
        HIDDEN.iter().filter(|name| answer.items().iter().any(|(other, _)| other == *name)).count()
    };
    let (plain, signed) = (ask(2, 0, ""), sign(ask(2, 0, ""), CONTROL_KEY));
    assert_eq!(shown(|_| {}, &plain, "127.0.0.1:4000"), 3);
    assert_eq!(shown(|_| {}, &plain, "[::1]:4000"), 3);
    assert_eq!(shown(|_| {}, &plain, "192.0.2.9:4000"), 0);
    assert_eq!(shown(|_| {}, &ask(2, 0, "version,stratum,system"), "192.0.2.9:4000"), 0);
    assert_eq!(shown(|config| config.tos.showversion = true, &plain, "192.0.2.9:4000"), 3);
    assert_eq!(shown(|_| {}, &signed, "192.0.2.9:4000"), 3);
    let unmodifiable = |config: &mut Config| {
        let (target, flags) = (RestrictTarget::Default(Family::Any), AccessFlags::NOMODIFY);
        config.restrict = vec![Restrict { target, flags, ntpport: false, origin: Origin::default() }];
    };
    assert_eq!(shown(unmodifiable, &signed, "192.0.2.9:4000"), 0);
    assert_eq!(shown(unmodifiable, &plain, "127.0.0.1:4000"), 3);
}
