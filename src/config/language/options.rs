//! The keywords of commands that are about an address: associations, clocks, access, interfaces.

#![allow(clippy::redundant_closure_for_method_calls)] // the method's name alone is no function for all lifetimes

use super::nts::AUTOKEY;
use super::{Row, Since, Takes, row};
use crate::config::line::to_path;
use crate::config::model::{AccessFlags, InterfaceAction, InterfaceMatch};
use crate::units::{KeyId, PollExponent, RefId, Seconds, Stratum};

pub(super) const ASSOCIATION: &[Row] = &[
    row(
        "iburst",
        Takes::Nothing,
        "up to 8 packets within a minute, at first 2 s apart, while it does not respond",
    )
    .server_flag(|server| &mut server.iburst),
    row("burst", Takes::Nothing, "8 packets, 2 s apart, at each poll while it responds")
        .server_flag(|server| &mut server.burst),
    row("prefer", Takes::Nothing, "prefer this server to others").server_flag(|server| &mut server.prefer),
    row("noselect", Takes::Nothing, "show it, never synchronize to it")
        .server_flag(|server| &mut server.noselect),
    row("true", Takes::Nothing, "always survive the selection").server_flag(|server| &mut server.truechimer),
    row("minpoll", Takes::Integer, "smallest poll interval; never above maxpoll")
        .held(3.0, 17.0)
        .default("6")
        .unit("log2 s")
        .server_option(|options, found| {
            options.server.minpoll = PollExponent::new(found.value.number() as u8);
        }),
    row("maxpoll", Takes::Integer, "largest poll interval; 0 is as without it")
        .held(3.0, 17.0)
        .absent(0.0)
        .default("10")
        .unit("log2 s")
        .server_option(|options, found| {
            options.maxpoll = Some(PollExponent::new(found.value.number() as u8));
        }),
    row("key", Takes::Integer, "authenticate with this key of the keys file")
        .only(1.0, 65_535.0)
        .default("none")
        .server_option(|options, found| options.server.key = Some(KeyId(found.value.number() as u32))),
    row("version", Takes::Integer, "the NTP version of the packets sent")
        .only(1.0, 4.0)
        .default("4")
        .server_option(|options, found| options.server.version = found.value.number() as u8),
    row("preempt", Takes::Nothing, "give way while of no use and servers exceed tos maxclock")
        .server_flag(|server| &mut server.preempt),
    row("xleave", Takes::Nothing, "interleaved mode, if the other side of a peer line has it, too")
        .server_flag(|server| &mut server.xleave),
    row("mode", Takes::Integer, "bits for the driver of a reference clock")
        .default("0")
        .idle("it is for reference clocks")
        .server_option(|options, found| options.mode_or_ttl(found)),
    row(
        "ttl",
        Takes::Integer,
        "which entry of the ttl table packets to a group have, from 0 on; no number of hops",
    )
    .default("0")
    .server_option(|options, found| options.mode_or_ttl(found)),
    row("autokey", Takes::Nothing, "authenticate by Autokey").missing(AUTOKEY),
    row("bias", Takes::Number, "offset to add").unit("seconds").idle("ntpd 4.2.6 reads it and never uses it"),
    row("ident", Takes::Text("GROUP"), "the Autokey group").since(Since::V428).idle(AUTOKEY),
    row("xmtnonce", Takes::Nothing, "send a random number and no time")
        .since(Since::V428P(14))
        .idle("requests never contain the time of this machine"),
    row("nts", Takes::Nothing, "authenticate by Network Time Security; NAME:PORT: another port than 4460")
        .since(Since::NtpSec)
        .nts_option(|_, _| ()),
    row(
        "noval",
        Takes::Nothing,
        "with nts: do not check the certificate; whoever is on the path can forge the time",
    )
    .since(Since::NtpSec)
    .nts_option(|nts, _| nts.noval = true),
    row("ca", Takes::Token("FILE | DIR"), "with nts: the certificates to trust, PEM")
        .default("that of the nts command")
        .since(Since::NtpSec)
        .nts_option(|nts, found| nts.ca = Some(to_path(found.value.text().to_vec()))),
    row("aead", Takes::Algorithms, "with nts: the algorithms to offer, the most wanted first")
        .default("that of the nts command")
        .since(Since::NtpSec)
        .nts_option(|nts, found| nts.aeads = found.value.aeads().to_vec()),
    row("ask", Takes::Token("HOST"), "the NTP server to request from the key server")
        .since(Since::NtpSec)
        .missing("the key server names the NTP server"),
    row("require", Takes::Token("HOST"), "the NTP server to insist on")
        .since(Since::NtpSec)
        .missing("the key server names the NTP server, and no other is used"),
    row("expire", Takes::Integer, "how long keys are used")
        .unit("seconds")
        .since(Since::NtpSec)
        .missing("keys are exchanged again after four weeks, or when the server no longer knows them"),
    row("cert", Takes::Token("FILE"), "the certificate to show")
        .since(Since::NtpSec)
        .idle("no server asks its clients for a certificate"),
];

/// What means more to a clock than to a server.
pub(super) const CLOCK: &[Row] = &[
    row("minpoll", Takes::Integer, "poll interval; from 3 on in ntpd")
        .held(0.0, 17.0)
        .default("6")
        .unit("log2 s")
        .server_option(|options, found| {
            options.server.minpoll = PollExponent::of_clock(found.value.number() as u8);
        }),
    row("maxpoll", Takes::Integer, "largest poll interval; 0 is as without it unless minpoll is 0")
        .held(0.0, 17.0)
        .default("minpoll")
        .unit("log2 s")
        .server_option(|options, found| {
            options.maxpoll = Some(PollExponent::of_clock(found.value.number() as u8));
        }),
    row(
        "mode",
        Takes::Integer,
        "NMEA: sentences, speed; SHM: 1 owner only; GPSD_JSON: 0 serial, 1 with pulses, 2 either",
    )
    .default("0")
    .server_option(|options, found| options.mode_or_ttl(found)),
];

/// Beside those of `server` and `fudge`.
pub(super) const REFCLOCK: &[Row] = &[
    row("unit", Takes::Integer, "which one of its kind: UNIT of 127.127.TYPE.UNIT")
        .refusing(0.0, 255.0)
        .default("0")
        .since(Since::NtpSec)
        .clock_unit(),
    row("subtype", Takes::Integer, "the same as mode")
        .default("0")
        .since(Since::NtpSec)
        .server_option(|options, found| options.mode_or_ttl(found)),
    row(
        "path",
        Takes::Token("FILE"),
        "the device; for phc also an interface or the name of a clock, for sock the socket",
    )
    .default("that of the unit")
    .since(Since::NtpSec)
    .server_option(|options, found| options.server.device.path = Some(to_path(found.value.text().to_vec()))),
    row("ppspath", Takes::Token("FILE"), "the device of the pulses of an NMEA clock, or of a PPS")
        .default("/dev/gpsppsUNIT of NMEA")
        .since(Since::NtpSec)
        .server_option(|options, found| {
            options.server.device.pulse_path = Some(to_path(found.value.text().to_vec()));
        }),
    row("baud", Takes::Integer, "speed of the serial line")
        .default("that of mode")
        .unit("bit/s")
        .since(Since::NtpSec)
        .server_option(|options, found| options.server.device.baud = Some(found.value.number() as u32)),
    row("tai", Takes::Nothing, "a PTP hardware clock has TAI, not UTC: the same as flag1 1")
        .since(Since::Ours)
        .fudge(|fudge, _| fudge.flags[0] = true),
];

pub(super) const FUDGE: &[Row] = &[
    row("stratum", Takes::Integer, "the stratum of the clock; a LOCAL clock should be far down")
        .only(0.0, 16.0)
        .default("0: 5 for LOCAL")
        .fudge(|fudge, value| fudge.stratum = Some(Stratum::new(value.number() as u8))),
    row("refid", Takes::Text("ID"), "the identifier of the clock, four characters")
        .default("that of the driver, such as GPS")
        .fudge(|fudge, value| fudge.refid = Some(RefId::from_text(value.text()))),
    row(
        "time1",
        Takes::Correction,
        "added to the time of the clock, or of its pulses; g and G add 1024 and 8192 weeks each",
    )
    .default("0")
    .unit("seconds")
    .fudge(|fudge, value| fudge.time1 = Seconds::new(value.number())),
    row("time2", Takes::Correction, "added to the serial time of a receiver; the limit of SHM")
        .default("0")
        .unit("seconds")
        .fudge(|fudge, value| fudge.time2 = Seconds::new(value.number())),
    row(
        "flag1",
        Takes::Boolean,
        "NMEA: take its pulses; SHM: no limit; GPSD_JSON: its pulses are a PPS; PHC: it has TAI",
    )
    .default("0")
    .fudge(|fudge, value| fudge.flags[0] = value.number() != 0.0),
    row(
        "flag2",
        Takes::Boolean,
        "NMEA, PPS: the clear edge counts; GPSD_JSON: ignore pulses; PHC: no hardware comparison",
    )
    .default("0")
    .fudge(|fudge, value| fudge.flags[1] = value.number() != 0.0),
    row("flag3", Takes::Boolean, "GPSD_JSON: log every trouble; the kernel PPS of NMEA and PPS is not used")
        .default("0")
        .fudge(|fudge, value| fudge.flags[2] = value.number() != 0.0),
    row("flag4", Takes::Boolean, "NMEA: show no position; the others: write what is read to clockstats")
        .default("0")
        .fudge(|fudge, value| fudge.flags[3] = value.number() != 0.0),
    row("abbrev", Takes::Text("NAME"), "a short name")
        .since(Since::V428)
        .idle("ntpd 4.2.8 stops at this keyword")
        .fudge(|_, _| ()),
    row("minjitter", Takes::Number, "smallest jitter of the clock, and smallest error of its samples")
        .held(0.0, 16.0)
        .default("0")
        .unit("seconds")
        .since(Since::V428P(14))
        .fudge(|fudge, value| fudge.min_jitter = Some(Seconds::new(value.number()))),
];

pub(super) const RESTRICT_TARGET: &[Row] = &[
    row(
        "default",
        Takes::Nothing,
        "all addresses without a more specific entry; both families without -4 or -6",
    ),
    row("source", Takes::Nothing, "the configured servers, as their addresses become known")
        .since(Since::V428),
    row("mask", Takes::Token("MASK"), "the network around the address").default("that one host"),
];

pub(super) const RESTRICT: &[Row] = &[
    row("ignore", Takes::Nothing, "drop everything").flag(AccessFlags::IGNORE),
    row("noserve", Takes::Nothing, "drop time requests, and responses of servers").flag(AccessFlags::NOSERVE),
    row("noquery", Takes::Nothing, "drop ntpq's requests").flag(AccessFlags::NOQUERY),
    row("nomodify", Takes::Nothing, "refuse ntpq's changes").flag(AccessFlags::NOMODIFY),
    row("notrust", Takes::Nothing, "drop what is not authenticated").flag(AccessFlags::NOTRUST),
    row("nopeer", Takes::Nothing, "no new associations without authentication").flag(AccessFlags::NOPEER),
    row("noepeer", Takes::Nothing, "the same for peers whose address is not configured")
        .since(Since::V428P(11))
        .flag(AccessFlags::NOEPEER),
    row("limited", Takes::Nothing, "limit the rate of requests (discard)").flag(AccessFlags::LIMITED),
    row("kod", Takes::Nothing, "send limited clients a kiss of death; no effect without limited")
        .flag(AccessFlags::KOD),
    row("version", Takes::Nothing, "drop packets of other versions than 4").flag(AccessFlags::VERSION),
    row("flake", Takes::Nothing, "drop one packet in ten").flag(AccessFlags::FLAKE),
    row("ntpport", Takes::Nothing, "the line is for packets from port 123 only").ntp_port(),
    row("notrap", Takes::Nothing, "refuse traps; there are none anyway").flag(AccessFlags::NOTRAP),
    row("lowpriotrap", Takes::Nothing, "traps from there may give way")
        .idle("there are no traps")
        .flag(AccessFlags::LOWPRIOTRAP),
    row("mssntp", Takes::Nothing, "let Samba sign the responses")
        .missing("responses are not signed for Windows domains")
        .flag(AccessFlags::MSSNTP),
    row("nomrulist", Takes::Nothing, "refuse the list of clients")
        .since(Since::V428)
        .flag(AccessFlags::NOMRULIST),
    row("epeer", Takes::Nothing, "take back noepeer")
        .since(Since::V428P(11))
        .idle("there are no unconfigured peers, whatever it says"),
    row("ippeerlimit", Takes::Integer, "how many peers one address may be")
        .default("-1: any")
        .since(Since::V428P(11))
        .idle("there are no unconfigured peers"),
    row("serverresponse", Takes::Token("fuzz"), "blur the timestamps of responses")
        .since(Since::V428P(11))
        .idle("the last bits of timestamps are random anyway"),
];

pub(super) const INTERFACE_ACTION: &[Row] = &[
    row("listen", Takes::Keywords("WHICH"), "open it").interface_action(InterfaceAction::Listen),
    row("ignore", Takes::Keywords("WHICH"), "do not open it").interface_action(InterfaceAction::Ignore),
    row("drop", Takes::Keywords("WHICH"), "open it and drop what arrives")
        .interface_action(InterfaceAction::Drop),
];

pub(super) const INTERFACE_MATCH: &[Row] = &[
    row("all", Takes::Nothing, "every address but the wildcard").interface_match(|| InterfaceMatch::All),
    row("ipv4", Takes::Nothing, "every IPv4 address").interface_match(|| InterfaceMatch::V4),
    row("ipv6", Takes::Nothing, "every IPv6 address").interface_match(|| InterfaceMatch::V6),
    row("wildcard", Takes::Nothing, "the address that stands for any")
        .interface_match(|| InterfaceMatch::Wildcard),
];

pub(super) const CRYPTO: &[Row] = &[
    row("host", Takes::Text("NAME"), "the name of this host").as_its_command(),
    row("ident", Takes::Text("GROUP"), "the group").as_its_command(),
    row("pw", Takes::Text("PASSWORD"), "the password of the files").as_its_command(),
    row("randfile", Takes::Text("FILE"), "the random seed").as_its_command(),
    row("digest", Takes::Text("NAME"), "the digest").as_its_command(),
    row("sign", Takes::Text("FILE"), "the sign key").as_its_command(),
    row("revoke", Takes::Integer, "as the command revoke").unit("log2 s").as_its_command().kept_as("revoke"),
];

pub(super) const TRAP: &[Row] = &[
    row("port", Takes::Integer, "the port").default("18447").as_its_command(),
    row("interface", Takes::Token("ADDRESS"), "the address to send from").as_its_command(),
];

pub(super) const RESET: &[Row] = &[
    row("allpeers", Takes::Nothing, "of all servers").since(Since::V428).as_its_command(),
    row("auth", Takes::Nothing, "of authentication").since(Since::V428).as_its_command(),
    row("ctl", Takes::Nothing, "of ntpq's requests").since(Since::V428).as_its_command(),
    row("io", Takes::Nothing, "of packets").since(Since::V428).as_its_command(),
    row("mem", Takes::Nothing, "of memory").since(Since::V428).as_its_command(),
    row("sys", Takes::Nothing, "of the system").since(Since::V428).as_its_command(),
    row("timer", Takes::Nothing, "of timers").since(Since::V428).as_its_command(),
];

pub(super) const SETVAR: &[Row] = &[row("default", Takes::Nothing, "show it in ntpq's plain rv")];

pub(super) const KEY_RANGE: &[Row] =
    &[row("...", Takes::Nothing, "all keys from the one before to the one behind")];
