//! The keywords of commands that set values and switches.

use super::effect::Note;
use super::{Row, Since, Takes, row};
use crate::config::model::{AuthSelection, FilegenType, Mru, StatKind};
use crate::config::statistics::rotation;
use crate::units::{Ppm, Seconds};

const MEMORY: &str = "memory for clients is taken as it is needed, up to maxdepth";

pub(super) const DISCARD: &[Row] = &[
    row("average", Takes::Integer, "spacing of packets, on average")
        .held(0.0, 17.0)
        .default("3")
        .unit("log2 s")
        .sets(|config, value| config.discard.average = value as u8),
    row("minimum", Takes::Integer, "smallest spacing of packets; plain seconds in ntpd 4.2.8")
        .held(0.0, 17.0)
        .default("1")
        .unit("log2 s")
        .sets(|config, value| config.discard.minimum = value as u8)
        .noting(minimum_in_4_2_8),
    row("monitor", Takes::Integer, "age at which a client's place may be reused")
        .held(0.0, 4e9)
        .default("3000")
        .unit("seconds")
        .idle("when the list of clients is full, the one heard longest ago is replaced")
        .sets(|config, value| config.discard.monitor = value as u32),
];

fn minimum_in_4_2_8(exponent: f64) -> Option<Note> {
    // One is two seconds in both.
    (exponent > 1.0).then(|| Note {
        message: "minimum is a power of two here and in ntpd 4.2.6; in 4.2.8 it is seconds",
        effect: format!("packets must be {} s apart", 1u32 << (exponent as u32)),
    })
}

pub(super) const MRU: &[Row] = &[
    row("maxdepth", Takes::Integer, "most clients in the list; the later of it and maxmem counts")
        .held(1.0, 20_480_000.0)
        .default("40000")
        .since(Since::V428)
        .sets(|config, value| config.mru.maxdepth = value as u32),
    row("maxmem", Takes::Integer, "the same as maxdepth, by memory")
        .held(1.0, 2e6)
        .unit("KiB")
        .since(Since::V428)
        .sets(|config, value| config.mru.maxdepth = Mru::depth_of(value as u32).max(1)),
    row("maxage", Takes::Integer, "age at which a client may be dropped; ntpd's default is 64")
        .held(0.0, 4e9)
        .default("3600")
        .unit("seconds")
        .since(Since::V428)
        .sets(|config, value| config.mru.maxage = value as u32),
    row("mindepth", Takes::Integer, "clients that stay in the list whatever their age")
        .held(0.0, 1e7)
        .default("600")
        .since(Since::V428)
        .sets(|config, value| config.mru.mindepth = value as u32),
    row("minage", Takes::Integer, "age below which a client is not dropped")
        .unit("seconds")
        .since(Since::NtpSec)
        .idle(MEMORY),
    row("mincount", Takes::Integer, "packets below which a client may be dropped")
        .since(Since::NtpSec)
        .idle(MEMORY),
    row("initalloc", Takes::Integer, "places at the start").since(Since::V428).idle(MEMORY),
    row("initmem", Takes::Integer, "memory at the start").unit("KiB").since(Since::V428).idle(MEMORY),
    row("incalloc", Takes::Integer, "places that are added at a time").since(Since::V428).idle(MEMORY),
    row("incmem", Takes::Integer, "memory that is added at a time")
        .unit("KiB")
        .since(Since::V428)
        .idle(MEMORY),
];

pub(super) const RLIMIT: &[Row] = &[
    row("memlock", Takes::Integer, "memory that may be locked")
        .unit("MiB")
        .since(Since::V428)
        .as_its_command(),
    row("stacksize", Takes::Integer, "size of the stack")
        .unit("pages of 4 KiB")
        .since(Since::V428)
        .as_its_command(),
    row("filenum", Takes::Integer, "files that may be open").since(Since::V428).as_its_command(),
];

pub(super) const TOS: &[Row] = &[
    row("minclock", Takes::Number, "fewest survivors that clustering leaves")
        .held(1.0, 1e4)
        .default("3")
        .sets(|config, value| config.tos.minclock = value as u32),
    row("maxclock", Takes::Number, "most servers that pools find")
        .held(1.0, 1e4)
        .default("10")
        .sets(|config, value| config.tos.maxclock = value as u32),
    row("minsane", Takes::Integer, "fewest servers that must agree")
        .held(0.0, 1e4)
        .default("1")
        .sets(|config, value| config.tos.minsane = value as u32),
    row("mindist", Takes::Number, "smallest selection distance")
        .held(0.0, 16.0)
        .default("0.001")
        .unit("seconds")
        .sets(|config, value| config.tos.mindist = Seconds::new(value)),
    row("maxdist", Takes::Number, "largest root distance of a source")
        .held(0.0, 16.0)
        .default("1.5")
        .unit("seconds")
        .sets(|config, value| config.tos.maxdist = Seconds::new(value)),
    row("floor", Takes::Integer, "smallest stratum of a source")
        .held(0.0, 16.0)
        .default("0")
        .sets(|config, value| config.tos.floor = value as u8),
    row("ceiling", Takes::Integer, "stratum from which a source is not used")
        .held(0.0, 16.0)
        .default("16")
        .sets(|config, value| config.tos.ceiling = value as u8),
    row("cohort", Takes::Boolean, "whether manycast clients of our own stratum are answered")
        .default("0")
        .sets(|config, value| config.tos.cohort = value != 0.0),
    row("orphan", Takes::Integer, "stratum at which to serve while no source is there; off from 16 on")
        .held(1.0, 17.0)
        .default("17: off")
        .sets(|config, value| config.tos.orphan = value as u8),
    row("orphanwait", Takes::Integer, "how long to wait for sources before orphan mode")
        .held(0.0, 1e9)
        .default("300")
        .unit("seconds")
        .since(Since::V428)
        .sets(|config, value| config.tos.orphanwait = Seconds::new(value)),
    row("beacon", Takes::Integer, "after how many polls the search for manycast servers begins anew")
        .held(0.0, 4e9)
        .default("7200")
        .unit("polls")
        .sets(|config, value| config.tos.beacon = value as u32),
    row(
        "auth",
        Takes::Choice("ignore | mixed | prefer | require"),
        "what sources without authentication are good for",
    )
    .default("mixed where a line has nts, else ignore")
    .since(Since::Ours)
    .sets_value(|config, value| config.tos.auth = AuthSelection::of_name(value.text())),
    row("showversion", Takes::Boolean, "whether every client is shown version, processor and system")
        .default("0")
        .since(Since::Ours)
        .sets(|config, value| config.tos.showversion = value != 0.0),
    row("bcpollbstep", Takes::Integer, "how early broadcasts may come")
        .held(0.0, 4.0)
        .default("0")
        .since(Since::V428P(5))
        .idle("broadcasts that come early are always refused"),
    row("basedate", Takes::Keywords("DATE | DAYS"), "the earliest date of the NTP era")
        .since(Since::V428P(11))
        .idle("the era is chosen by the nearest date to the clock"),
];

pub(super) const TINKER: &[Row] = &[
    row("panic", Takes::Number, "panic threshold: largest offset that is corrected; 0: any")
        .held(0.0, 1e12)
        .default("1000")
        .unit("seconds").sets(|config, value| config.tinker.panic = Seconds::new(value)),
    row("step", Takes::Number, "stepped from this offset on; 0: never; 0 or above 0.5: as disable kernel")
        .held(0.0, 1e12)
        .default("0.128")
        .unit("seconds").sets(|config, value| config.tinker.step = Seconds::new(value)),
    row("stepback", Takes::Number, "the same as step, for steps back; here for both")
        .held(0.0, 1e12)
        .default("0.128")
        .unit("seconds")
        .since(Since::V428).sets(|config, value| config.tinker.step = Seconds::new(value)),
    row("stepfwd", Takes::Number, "the same as step, for steps forward; here for both")
        .held(0.0, 1e12)
        .default("0.128")
        .unit("seconds")
        .since(Since::V428).sets(|config, value| config.tinker.step = Seconds::new(value)),
    row("stepout", Takes::Number, "stepout threshold: how long an offset must last before a step")
        .held(0.0, 1e12)
        .default("900")
        .unit("seconds").sets(|config, value| config.tinker.stepout = Seconds::new(value)),
    row("allan", Takes::Number, "the Allan intercept")
        .held(0.0, 255.0)
        .default("11")
        .unit("log2 s")
        .idle("the time constant follows from the noise and the wander that are measured").sets(|config, value| config.tinker.allan = value),
    row("dispersion", Takes::Number, "growth of the error bound")
        .held(0.0, 1e6)
        .default("15")
        .unit("ppm")
        .idle("errors are always taken to grow by 15 ppm").sets(|config, value| config.tinker.dispersion = Ppm::new(value)),
    row("freq", Takes::Number, "the frequency at the start").held(-500.0, 500.0).unit("ppm").idle(
        "the frequency is the drift file's or measured, as with ntpd 4.2.6, which overwrites it at the start",
    ).sets(|config, value| config.tinker.freq = Some(Ppm::new(value))),
    row("huffpuff", Takes::Number, "span of the huff-n'-puff filter")
        .held(0.0, 1e9)
        .default("0: off")
        .unit("seconds")
        .idle("long delays are weighed by the estimator, which has no such filter").sets(|config, value| config.tinker.huffpuff = Seconds::new(value)),
    row("resume", Takes::Number, "suspended for so long, any offset is corrected, once; 0: panic threshold holds")
        .held(0.0, 1e12)
        .default("0")
        .unit("seconds")
        .since(Since::Ours)
        .sets(|config, value| config.tinker.resume = Seconds::new(value)),
    row("tick", Takes::Number, "the length of a tick of the clock")
        .unit("seconds")
        .since(Since::V428)
        .idle("the kernel knows its own tick"),
];

const UNPEER: &str = "Autokey is not supported, and its errors end no association";

pub(super) const SWITCHES: &[Row] = &[
    row("auth", Takes::Nothing, "require authentication of unconfigured sources")
        .default("on")
        .switch(|enable| &mut enable.auth),
    row("bclient", Takes::Nothing, "receive broadcasts").default("off").switch(|enable| &mut enable.bclient),
    row("calibrate", Takes::Nothing, "move time1 of reference clocks until they agree with the PPS")
        .default("off")
        .switch(|enable| &mut enable.calibrate),
    row("kernel", Takes::Nothing, "correct offsets above 1 ms by the kernel PLL; off: at 500 us/s")
        .default("on")
        .switch(|enable| &mut enable.kernel),
    row("monitor", Takes::Nothing, "record clients; rsntpd needs it for limited only")
        .default("on")
        .switch(|enable| &mut enable.monitor),
    row("ntp", Takes::Nothing, "discipline the clock").default("on").switch(|enable| &mut enable.ntp),
    row("stats", Takes::Nothing, "write statistics").default("on").switch(|enable| &mut enable.stats),
    row("fips-legacy", Takes::Nothing, "use MD5 and RIPEMD160 keys on a machine in FIPS mode, too")
        .default("off")
        .since(Since::Ours)
        .switch(|enable| &mut enable.fips_legacy),
    row("mode7", Takes::Nothing, "respond to ntpdc")
        .default("off")
        .since(Since::V428)
        .missing("mode 7 (ntpdc) is not served: it was an amplifier; use ntpq"),
    row("pps", Takes::Nothing, "use the pulse per second of the kernel")
        .default("off")
        .idle("ntpd's manual names it, and no ntpd has it"),
    row("unpeer_crypto_early", Takes::Nothing, "end an association whose Autokey fails")
        .default("on")
        .since(Since::V428)
        .idle(UNPEER),
    row("unpeer_crypto_nak_early", Takes::Nothing, "end an association at a crypto-NAK")
        .default("on")
        .since(Since::V428)
        .idle(UNPEER),
    row("unpeer_digest_early", Takes::Nothing, "end an association at a wrong digest")
        .default("on")
        .since(Since::V428)
        .idle(UNPEER),
    row("pcsedge", Takes::Nothing, "which edge of a pulse counts")
        .default("off")
        .since(Since::V428P(12))
        .idle("flag2 of the fudge line of a clock says which edge of its pulse counts"),
];

pub(super) const STATISTICS: &[Row] = &[
    row("loopstats", Takes::Nothing, "each update of the clock: offset, frequency, jitter, wander, poll")
        .statistics(StatKind::Loop),
    row("peerstats", Takes::Nothing, "each measurement: server, status, offset, delay, dispersion, jitter")
        .statistics(StatKind::Peer),
    row("clockstats", Takes::Nothing, "each reply of a reference clock").statistics(StatKind::Clock),
    row("rawstats", Takes::Nothing, "each packet with its four timestamps").statistics(StatKind::Raw),
    row("sysstats", Takes::Nothing, "each hour: counters of packets").statistics(StatKind::Sys),
    row("protostats", Takes::Nothing, "each event, as it is logged").statistics(StatKind::Proto),
    row("cryptostats", Takes::Nothing, "each event of Autokey")
        .idle("there is no Autokey")
        .statistics(StatKind::Crypto),
    row("ntsstats", Takes::Nothing, "each hour: counters of Network Time Security")
        .since(Since::NtpSec)
        .statistics(StatKind::Nts),
    row("ntskestats", Takes::Nothing, "each hour: counters of its key exchange")
        .since(Since::NtpSec)
        .statistics(StatKind::NtsKe),
    row("ntskelog", Takes::Nothing, "the same as ntskestats, in a file of this name")
        .since(Since::NtpSec)
        .statistics(StatKind::NtsKe),
    row("timingstats", Takes::Nothing, "how long the daemon's own steps take")
        .idle("there is no timing code")
        .statistics(StatKind::Timing),
];

pub(super) const FILEGEN: &[Row] = &[
    row("file", Takes::Text("NAME"), "the name behind statsdir").default("the kind").filegen(
        |filegen, line| {
            filegen.file = Some(line.name("file", "a file name")?);
            Ok(())
        },
    ),
    row("type", Takes::Keywords("TYPE"), "when a new file begins").default("day").filegen(|filegen, line| {
        filegen.rotation = Some(rotation(line)?);
        Ok(())
    }),
    row("link", Takes::Nothing, "keep a hard link without suffix to the current file")
        .default("link")
        .filegen(|filegen, _| {
            filegen.link = Some(true);
            Ok(())
        }),
    row("nolink", Takes::Nothing, "keep no such link").filegen(|filegen, _| {
        filegen.link = Some(false);
        Ok(())
    }),
    row("enable", Takes::Nothing, "write it").default("enable").filegen(|filegen, _| {
        filegen.enabled = true;
        Ok(())
    }),
    row("disable", Takes::Nothing, "do not write it").filegen(|filegen, _| {
        filegen.enabled = false;
        Ok(())
    }),
];

pub(super) const FILEGEN_TYPE: &[Row] = &[
    row("none", Takes::Nothing, "one file, without suffix").filegen_type(FilegenType::None),
    row("pid", Takes::Nothing, "one file a process, .#PID").filegen_type(FilegenType::Pid),
    row("day", Takes::Nothing, "one file a day, .YYYYMMDD").filegen_type(FilegenType::Day),
    row("week", Takes::Nothing, "one file a week, .YYYYwWW").filegen_type(FilegenType::Week),
    row("month", Takes::Nothing, "one file a month, .YYYYMM").filegen_type(FilegenType::Month),
    row("year", Takes::Nothing, "one file a year, .YYYY").filegen_type(FilegenType::Year),
    row("age", Takes::Nothing, "one file a day of running, .aSSSSSSSS").filegen_type(FilegenType::Age),
];
