//! One row for each event: all that its reports need.

use crate::engine::contract::{ClockFailure, ExitReason};
use crate::engine::report::event::{Event, Kiss, Level};
use crate::engine::report::logconfig::{ALWAYS, Filtered};
use crate::engine::report::logconfig::{PEER_EVENTS, SYNC_EVENTS, SYNC_STATUS};
use crate::engine::report::logconfig::{SYS_EVENTS, SYS_STATISTICS, SYS_STATUS};
use crate::engine::sources::Peer;
use crate::units::{Aead, DAY, Host, Leap, PollExponent, Ppm, Seconds, clock_name, date_stamp};
use crate::wire::event::PeerEvent;
use crate::wire::event::SystemEvent as Sys;
use std::net::SocketAddr;

/// The event of mode 6 that an event raises.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Code<'a> {
    /// None: the event is only logged.
    LogOnly,
    /// One of the system.
    System(Sys),
    /// One of an association.
    Peer(&'a Peer, PeerEvent),
}

/// What reports need of an event.
#[derive(Clone, PartialEq, Debug)]
pub struct Row<'a> {
    /// The event of mode 6, whose name protostats has.
    pub code: Code<'a>,
    /// What `logconfig` may leave out of the log.
    pub class: Filtered,
    /// How urgent the log line is.
    pub level: Level,
    detail: String,
    /// The log line.
    pub text: String,
}

impl<'a> Row<'a> {
    fn new(
        code: Code<'a>,
        class: Filtered,
        level: Level,
        detail: impl Into<String>,
        text: impl Into<String>,
    ) -> Self {
        let mut row = Self { code, class, level, detail: detail.into(), text: text.into() };
        if let Code::Peer(peer, code) = code {
            row.text.insert_str(0, &row.peer_line(peer, code));
        }
        row
    }

    /// The event as protostats has it, ntpd's `ADDRESS STATUS CODE NAME [DETAIL]`; `None` for what is
    /// no event of mode 6. `status` is the system status word after the event.
    #[must_use]
    pub fn protostats(&self, status: u16) -> Option<String> {
        match self.code {
            Code::LogOnly => None,
            Code::System(code) => {
                Some(format!("0.0.0.0 {status:04x} {:02x} {}{}", code as u8, code.name(), self.detail))
            }
            Code::Peer(peer, code) => Some(self.peer_line(peer, code)),
        }
    }

    /// ntpd marks the codes of peers with the highest bit.
    fn peer_line(&self, peer: &Peer, code: PeerEvent) -> String {
        let (marked, name) = (code as u8 | 0x80, code.name());
        format!("{} {:04x} {marked:02x} {name}{}", source_name(peer.address), peer.status, self.detail)
    }
}

/// `event => code, class, level, what follows the name in protostats, log line;`. The line of an association's event
/// begins as in protostats: its row has what follows.
macro_rules! rows {
    ($($event:pat => $code:expr, $class:expr, $level:ident, $detail:expr, $text:expr;)+) => {
        impl Event {
            /// What reports need of the event.
            #[must_use]
            pub fn row(&self) -> Row<'_> {
                match self {
                    $($event => Row::new($code, $class, Level::$level, $detail, $text),)+
                }
            }
        }
    };
}

// Where ntpd 4.2.6p5 has a wording that people search for (`synchronized to`, `time reset`, `frequency initialized`),
// it is kept. Faults, refusals and what an administrator has just asked for are logged always.
rows! {
    Self::Restart => Code::System(Sys::Restart), SYS_EVENTS, Info, "", "restart";
    Self::FrequencyInitialized(ppm) => Code::System(Sys::FrequencySet), SYS_STATUS, Info,
        format!(" ntpd {ppm}"), format!("frequency initialized {ppm} from the drift file");
    Self::FrequencyNotSet => Code::System(Sys::FrequencyNotSet), SYS_EVENTS, Info,
        "", "frequency not initialized: no drift file, measuring";
    Self::SpikeDetected(offset) => Code::System(Sys::SpikeDetect), SYS_EVENTS, Info,
        format!(" {offset}"), format!("spike detected: offset {offset}, ignored unless it persists");
    Self::ClockSync => Code::System(Sys::ClockSync), SYS_EVENTS, Info, "", "clock is synchronized";
    Self::SynchronizedTo { address, stratum } => Code::LogOnly, SYNC_STATUS, Info,
        "", format!("synchronized to {}, stratum {stratum}", source_name(*address));
    Self::TimeReset(by) => Code::System(Sys::ClockStep), SYNC_EVENTS, Notice,
        format!(" {by}"), format!("time reset {by}");
    Self::StepsInARow { count, forward } => Code::LogOnly, ALWAYS, Warning, "", format!(
        "{count} steps in a row, all {}: the sources or this clock are broken",
        if *forward { "forward" } else { "back" }
    );
    Self::ClockSetOutside { by, running } => Code::LogOnly, ALWAYS, Warning, "", set_outside(*by, running);
    Self::Suspended { span, any_offset } => Code::LogOnly, ALWAYS, Notice, "", format!(
        "machine was suspended for {:.0} s: polling all servers{}",
        span.get(),
        if *any_offset { ", correcting any offset once (tinker resume)" } else { "" }
    );
    Self::FrequencyExceeds(ppm) => Code::LogOnly, ALWAYS, Warning, "",
        format!("frequency error {:.0} PPM exceeds tolerance {:.0} PPM", ppm.get(), Ppm::MAX.get());
    Self::TimeSlew(by) => Code::LogOnly, SYNC_EVENTS, Notice, "", format!("time slew {by}");
    Self::PanicStop(by) => Code::System(Sys::PanicStop), ALWAYS, Error, format!(" {:+.0} s", by.get()), format!(
        "time correction of {:.0} seconds exceeds sanity limit; set clock manually to the correct UTC time, or start \
         with -g",
        by.get()
    );
    Self::NoSystemPeer => Code::System(Sys::NoSystemPeer), SYNC_EVENTS, Notice, "", "no servers reachable";
    Self::StandsAlone(stratum) => Code::LogOnly, SYNC_STATUS, Notice, "",
        format!("no source: orphan mode, serving the time of this host at stratum {stratum}");
    Self::LeapArmed(leap) => Code::System(Sys::LeapArmed), SYS_EVENTS, Info,
        "", format!("leap second armed: {}", leap_words(*leap));
    Self::LeapDisarmed => Code::System(Sys::LeapDisarmed), SYS_EVENTS, Info,
        "", "leap second disarmed: no longer announced by the servers";
    Self::LeapOccurred(leap) => Code::System(Sys::LeapEvent), SYS_EVENTS, Info,
        "", format!("leap second: {}", leap_words(*leap));
    Self::LeapFile { tai, last, expires } => Code::LogOnly, SYS_EVENTS, Info, "", leap_file(*tai, *last, *expires);
    Self::LeapFileOld(left) => Code::LogOnly, ALWAYS, Warning, "", leap_file_old(*left);
    Self::Mobilized(peer) => Code::Peer(peer, PeerEvent::Mobilize), PEER_EVENTS, Info,
        format!(" assoc {}", peer.id.0), "";
    Self::Demobilized(peer) => Code::Peer(peer, PeerEvent::Demobilize), PEER_EVENTS, Info,
        format!(" assoc {}", peer.id.0), "";
    Self::TimedOut(peer) => Code::Peer(peer, PeerEvent::Restart), PEER_EVENTS, Info, " timeout", "";
    Self::Unreachable(peer) => Code::Peer(peer, PeerEvent::Unreachable), PEER_EVENTS, Info, "", "";
    Self::Reachable(peer) => Code::Peer(peer, PeerEvent::Reachable), PEER_EVENTS, Info, "", "";
    Self::KissObeyed(peer, kiss, poll) => Code::Peer(peer, kiss.code()), ALWAYS, Notice,
        "", kiss_words(*kiss, *poll);
    Self::BecameSystemPeer(peer) => Code::Peer(peer, PeerEvent::SystemPeer), PEER_EVENTS, Info, "", "";
    Self::BadAuth(peer) => Code::Peer(peer, PeerEvent::BadAuth), ALWAYS, Warning, "", ": MAC missing or invalid";
    Self::ClockTrouble(peer, trouble) => Code::Peer(peer, PeerEvent::ClockEvent), PEER_EVENTS, Info,
        format!(" {}", trouble.name()), "";
    Self::DeviceOpened(address) => Code::LogOnly, ALWAYS, Notice, "",
        format!("{}: device opened", source_name(*address));
    Self::DeviceFailed { address, why, retry } => Code::LogOnly, ALWAYS, Warning, "",
        format!("{}: {why}; trying again every {:.0} s", source_name(*address), retry.get());
    Self::Calibrated { address, time1 } => Code::LogOnly, ALWAYS, Notice, "", format!(
        "{}: calibrated by the pulse, fudge {address} time1 {:.6}",
        source_name(*address),
        time1.get()
    );
    Self::NameResolved { name, address } => Code::LogOnly, ALWAYS, Info,
        "", format!("resolved {name} to {address}");
    Self::Soliciting(address) => Code::LogOnly, ALWAYS, Info, "", format!("Soliciting pool server {address}");
    Self::DuplicateAddress { name, address } => Code::LogOnly, ALWAYS, Info, "", duplicate(name, *address);
    Self::InvalidAddress(address) => Code::LogOnly, ALWAYS, Error,
        "", format!("attempt to configure invalid address {address}");
    Self::NameFailed { name, reason, retry } => Code::LogOnly, ALWAYS, Warning,
        "", format!("cannot resolve {name}: {reason}; next attempt in {:.0} s", retry.get());
    Self::KeysEstablished { server, aead, cookies, address, port } => Code::LogOnly, ALWAYS, Info,
        "", keys_words(server, *aead, *cookies, address.at_port(*port));
    Self::KeysFailed { server, reason, retry } => Code::LogOnly, ALWAYS, Warning,
        "", format!("NTS key exchange with {server} failed: {reason}; next attempt in {:.0} s", retry.get());
    Self::CookieRefused(address) => Code::LogOnly, ALWAYS, Info,
        "", format!("{address} does not know our NTS cookie (NTSN)");
    Self::CannotSteer => Code::LogOnly, ALWAYS, Error, "",
        "cannot adjust the system clock (CAP_SYS_TIME missing): serving time without disciplining it, as with \
         \"disable ntp\"";
    Self::ClockFailed { what, why } => Code::LogOnly, ALWAYS, Error,
        "", format!("{what} failed: {}", failure_words(*why));
    Self::Reloaded { added, removed } => Code::LogOnly, ALWAYS, Info,
        "", format!("configuration reloaded: {added} associations added, {removed} removed");
    Self::LoopState { offset, frequency, jitter, poll } => Code::LogOnly, SYS_STATISTICS, Info,
        "", loop_state(*offset, *frequency, *jitter, *poll);
    Self::NotSupported(what) => Code::LogOnly, ALWAYS, Warning, "", format!("not yet supported, ignored: {what}");
    Self::Exiting(reason) => Code::LogOnly, ALWAYS, Info, "", exit_words(*reason);
}

impl Event {
    /// The line for the log.
    #[must_use]
    pub fn text(&self) -> String {
        self.row().text
    }
}

/// A source's address, and a reference clock's name.
fn source_name(address: Host) -> String {
    clock_name(address.ip).unwrap_or_else(|| address.to_string())
}

fn keys_words(server: &str, aead: Aead, cookies: usize, address: SocketAddr) -> String {
    format!("NTS keys of {server}: {aead}, {cookies} cookies, NTP server {address}")
}

fn duplicate(name: &str, address: Host) -> String {
    if name == address.to_string() {
        format!("duplicate server {address} ignored")
    } else {
        format!("duplicate server {name} ignored: its address {address} is already in use")
    }
}

fn loop_state(offset: Seconds, frequency: Ppm, jitter: Seconds, poll: PollExponent) -> String {
    let (offset, frequency, jitter) = (offset.get(), frequency.get(), jitter.get());
    format!("offset {offset:.6} sec freq {frequency:.3} ppm error {jitter:.6} poll {}", poll.get())
}

fn kiss_words(kiss: Kiss, poll: PollExponent) -> String {
    match kiss {
        Kiss::Rate => {
            let seconds = poll.interval().get();
            format!(": rate exceeded (RATE): poll interval increased to {seconds:.0} s")
        }
        Kiss::Deny => ": access denied (DENY): the server is no longer polled".to_owned(),
        Kiss::Restricted => ": access restricted (RSTR): the server is no longer polled".to_owned(),
    }
}

fn set_outside(by: Seconds, running: &[String]) -> String {
    let who = if running.is_empty() {
        "date, hwclock, ntpdate or the host of a virtual machine, perhaps".to_owned()
    } else {
        format!("running here: {}", running.join(", "))
    };
    format!("clock was set {by} by another process ({who}): polling all servers")
}

fn leap_file(tai: Option<i32>, last: i64, expires: Option<i64>) -> String {
    let tai = tai.map_or_else(|| "unknown".to_owned(), |tai| format!("{tai} s"));
    let expires = expires.map_or_else(|| "never".to_owned(), date_stamp);
    format!("leap second file: TAI-UTC {tai}, last leap {}, expires {expires}", date_stamp(last))
}

fn leap_file_old(left: i64) -> String {
    if left > 0 {
        return format!("the leap second file expires in {}: get a new one", days_words(left));
    }
    format!(
        "the leap second file expired {} ago: leap seconds are taken from the servers until there is a new one",
        days_words(-left)
    )
}

fn days_words(seconds: i64) -> String {
    match seconds / DAY {
        0 => "less than a day".to_owned(),
        1 => "a day".to_owned(),
        days => format!("{days} days"),
    }
}

const fn leap_words(leap: Leap) -> &'static str {
    match leap {
        Leap::Insert => "insert, the day's last minute has 61 seconds",
        Leap::Delete => "delete, the day's last minute has 59 seconds",
        Leap::None | Leap::Unsynchronised => "none",
    }
}

fn failure_words(failure: ClockFailure) -> String {
    match failure {
        ClockFailure::NotPermitted => "not permitted".to_owned(),
        ClockFailure::NoLoop => "kernel PLL does not behave as expected, not used".to_owned(),
        ClockFailure::Os(errno) => format!("error {errno}"),
    }
}

const fn exit_words(reason: ExitReason) -> &'static str {
    match reason {
        ExitReason::Shutdown => "exiting",
        ExitReason::ClockSet => "clock set, exiting (-q)",
        ExitReason::NoServer => "no server suitable for synchronization found",
        ExitReason::NotSet => {
            "clock not set: not permitted (CAP_SYS_TIME missing), or \"disable ntp\"; exiting (-q)"
        }
        ExitReason::Panic => "exiting: offset exceeds the panic threshold",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{AssocId, Stratum};

    fn host() -> Host {
        Host::from(std::net::IpAddr::from([192, 0, 2, 1]))
    }

    /// The event's line of protostats after that system status.
    fn protostats(event: &Event) -> Option<String> {
        event.row().protostats(0x0618)
    }

    #[test]
    fn lines_that_people_search_for() {
        let to = |address| Event::SynchronizedTo { address, stratum: Stratum::new(2) };
        assert_eq!(to(host()).text(), "synchronized to 192.0.2.1, stratum 2");
        let local = Host::from(std::net::IpAddr::from([127, 127, 1, 0]));
        assert_eq!(to(local).text(), "synchronized to LOCAL(0), stratum 2");
        assert_eq!(Event::TimeReset(Seconds::new(-1.5)).text(), "time reset -1.500000 s");
        assert_eq!(Event::NoSystemPeer.text(), "no servers reachable");
        let line = Event::FrequencyInitialized(Ppm::new(-12.3456)).text();
        assert_eq!(line, "frequency initialized -12.346 PPM from the drift file");
    }

    #[test]
    fn system_events_are_in_protostats_and_what_is_only_logged_is_not() {
        for (event, line) in [
            (Event::Restart, "0.0.0.0 0618 06 restart"),
            (Event::FrequencyNotSet, "0.0.0.0 0618 01 freq_not_set"),
            (Event::FrequencyInitialized(Ppm::new(-1.5)), "0.0.0.0 0618 02 freq_set ntpd -1.500 PPM"),
            (Event::SpikeDetected(Seconds::new(0.25)), "0.0.0.0 0618 03 spike_detect +0.250000 s"),
            (Event::ClockSync, "0.0.0.0 0618 05 clock_sync"),
            (Event::PanicStop(Seconds::new(-2e3)), "0.0.0.0 0618 07 panic_stop -2000 s"),
            (Event::NoSystemPeer, "0.0.0.0 0618 08 no_sys_peer"),
            (Event::LeapArmed(Leap::Insert), "0.0.0.0 0618 09 leap_armed"),
            (Event::LeapDisarmed, "0.0.0.0 0618 0a leap_disarmed"),
            (Event::LeapOccurred(Leap::Insert), "0.0.0.0 0618 0b leap_event"),
            (Event::TimeReset(Seconds::new(1.5)), "0.0.0.0 0618 0c clock_step +1.500000 s"),
        ] {
            assert_eq!(protostats(&event).as_deref(), Some(line));
        }
        assert_eq!(protostats(&Event::TimeSlew(Seconds::ZERO)), None);
    }

    #[test]
    fn an_associations_log_line_begins_as_in_protostats() {
        let peer = Peer { id: AssocId(7), address: host(), status: 0x9014 };
        let sixteen = PollExponent::new(4);
        for (event, line, more) in [
            (Event::Mobilized(peer), "192.0.2.1 9014 81 mobilize assoc 7", ""),
            (Event::Demobilized(peer), "192.0.2.1 9014 82 demobilize assoc 7", ""),
            (Event::Unreachable(peer), "192.0.2.1 9014 83 unreachable", ""),
            (Event::Reachable(peer), "192.0.2.1 9014 84 reachable", ""),
            (
                Event::KissObeyed(peer, Kiss::Rate, sixteen),
                "192.0.2.1 9014 87 rate_exceeded",
                ": rate exceeded (RATE): poll interval increased to 16 s",
            ),
            (
                Event::KissObeyed(peer, Kiss::Restricted, sixteen),
                "192.0.2.1 9014 88 access_denied",
                ": access restricted (RSTR): the server is no longer polled",
            ),
            (Event::BecameSystemPeer(peer), "192.0.2.1 9014 8a sys_peer", ""),
            (Event::BadAuth(peer), "192.0.2.1 9014 8c bad_auth", ": MAC missing or invalid"),
        ] {
            assert_eq!(protostats(&event).as_deref(), Some(line));
            assert_eq!(event.text(), format!("{line}{more}"));
        }
    }
}
