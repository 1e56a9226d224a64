//! What happens in the engine that people or control programs hear of: typed, with the mode-6
//! event code and the text for the log.

use crate::engine::clock::leap::date_stamp;
use crate::engine::contract::{ClockFailure, ExitReason};
use crate::engine::report::logconfig::{Class, Kind};
use crate::units::{AssocId, Host, Leap, PollExponent, Ppm, Seconds, Stratum};
use crate::wire::event::{PeerEvent, SystemEvent};

/// How urgent a log line is (syslog's levels).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// LOG_ERR.
    Error,
    /// LOG_WARNING.
    Warning,
    /// LOG_NOTICE.
    Notice,
    /// LOG_INFO.
    Info,
    /// LOG_DEBUG.
    Debug,
}

/// Which association an event is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Its identifier.
    pub id: AssocId,
    /// Its address; 127.127.T.U for a clock.
    pub address: Host,
    /// Its mode-6 status word after the event.
    pub status: u16,
}

/// Why a peer's packets stopped or changed the association (kiss codes).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kiss {
    /// DENY: access denied.
    Deny,
    /// RSTR: access restricted.
    Restricted,
    /// RATE: poll less often.
    Rate,
}

impl Kiss {
    /// The peer event that it raises.
    #[must_use]
    pub const fn code(self) -> PeerEvent {
        match self {
            Self::Rate => PeerEvent::RateExceeded,
            Self::Deny | Self::Restricted => PeerEvent::AccessDenied,
        }
    }
}

/// Something worth telling.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// Started; mode-6 system event 6 (restart).
    Restart,
    /// The frequency of the drift file is in use.
    FrequencyInitialized(Ppm),
    /// No drift file: the frequency is being learnt; system event 1 (freq_not_set).
    FrequencyNotSet,
    /// The frequency is known; system event 2 (freq_set).
    FrequencySet(Ppm),
    /// An offset beyond the step threshold is being watched; system event 3 (spike_detect).
    SpikeDetected(Seconds),
    /// A measurement of the frequency began; system event 4 (freq_mode).
    FrequencyMode,
    /// Synchronised; system event 5 (clock_sync).
    ClockSync,
    /// A new system peer; the log's `synchronized to ADDRESS, stratum N`.
    SynchronizedTo {
        /// Whom.
        address: Host,
        /// Its stratum.
        stratum: Stratum,
        /// Whether it is the local clock (`synchronized to LOCAL(0), stratum 10`).
        local_unit: Option<u8>,
    },
    /// The clock was stepped; system event 12 (clock_step); the log's `time reset`.
    TimeReset(Seconds),
    /// Another process set the clock, by so much, or the machine was suspended.
    ClockSetOutside(Seconds),
    /// The clock needs a frequency correction that the kernel does not grant (ntpd's wording).
    FrequencyExceeds(Ppm),
    /// With `-x` or a small offset under `-q`: the log's `time slew`.
    TimeSlew(Seconds),
    /// Offset beyond the panic threshold; system event 7 (panic_stop).
    PanicStop(Seconds),
    /// Nothing left to synchronise to; system event 8 (no_system_peer); `no servers reachable`.
    NoSystemPeer,
    /// A leap second was armed; system event 9 (leap_armed).
    LeapArmed(Leap),
    /// Servers no longer announce the leap second; system event 10 (leap_disarmed).
    LeapDisarmed,
    /// A leap second happened; system event 11 (leap_event).
    LeapOccurred(Leap),
    /// A leap second file is in use.
    LeapFile {
        /// TAI − UTC now, where the file goes back far enough.
        tai: Option<i32>,
        /// The last leap second it knows of, Unix time.
        last: i64,
        /// When it expires, Unix time.
        expires: Option<i64>,
    },
    /// The leap second file expires in so many seconds, or has since.
    LeapFileOld(i64),
    /// An association was made; peer event 1 (mobilize).
    Mobilized(Peer),
    /// An association ended; peer event 2 (demobilize).
    Demobilized(Peer),
    /// A peer became unreachable; peer event 3 (unreachable).
    Unreachable(Peer),
    /// A peer became reachable; peer event 4 (reachable).
    Reachable(Peer),
    /// A peer was restarted (its state cleared); peer event 5 (restart).
    PeerRestart(Peer),
    /// No answer to polls; peer event 6 (no_reply).
    NoReply(Peer),
    /// A kiss code was obeyed, and the poll exponent then; peer events 7 (rate_exceeded) and 8 (access_denied).
    KissObeyed(Peer, Kiss, PollExponent),
    /// A peer became the system peer; peer event 10 (sys_peer).
    BecameSystemPeer(Peer),
    /// The authentication state of a peer is bad; peer event 12 (bad_auth).
    BadAuth(Peer),
    /// The poll process sent a popcorn spike away; peer event 9… 13 (popcorn).
    Popcorn(Peer, Seconds),
    /// A name resolved.
    NameResolved {
        /// The name.
        name: String,
        /// The address in use.
        address: Host,
    },
    /// A line or a name leads to an address that another association has.
    DuplicateAddress {
        /// The line's address or name.
        name: String,
        /// The address.
        address: Host,
    },
    /// A line or a name leads to an address that is no server's.
    InvalidAddress(Host),
    /// A name did not resolve; it is tried again.
    NameFailed {
        /// The name.
        name: String,
        /// The resolver's words.
        reason: String,
        /// When it is tried again.
        retry: Seconds,
    },
    /// The kernel does not let us steer the clock: measuring and serving only. Said once.
    CannotSteer,
    /// A clock command failed otherwise.
    ClockFailed {
        /// What was asked, in words.
        what: &'static str,
        /// Why.
        why: ClockFailure,
    },
    /// The new configuration is in force: how many associations were added and removed.
    Reloaded {
        /// New associations.
        added: usize,
        /// Ended associations.
        removed: usize,
    },
    /// The state of the clock loop, once an hour.
    LoopState {
        /// What is left to correct.
        offset: Seconds,
        /// The frequency in force.
        frequency: Ppm,
        /// Its jitter.
        jitter: Seconds,
        /// The poll exponent.
        poll: PollExponent,
    },
    /// A configured thing this engine cannot do; said once at start.
    NotSupported(String),
    /// The process ends.
    Exiting(ExitReason),
}

impl Event {
    /// How urgent the log line is.
    #[must_use]
    pub fn level(&self) -> Level {
        match self {
            Self::PanicStop(_) | Self::CannotSteer | Self::ClockFailed { .. } | Self::InvalidAddress(_) => {
                Level::Error
            }
            Self::ClockSetOutside(_)
            | Self::FrequencyExceeds(_)
            | Self::NameFailed { .. }
            | Self::NotSupported(_)
            | Self::BadAuth(_)
            | Self::LeapFileOld(_) => Level::Warning,
            Self::TimeReset(_) | Self::TimeSlew(_) | Self::NoSystemPeer | Self::KissObeyed(..) => {
                Level::Notice
            }
            Self::NoReply(_) | Self::Popcorn(..) => Level::Debug,
            _ => Level::Info,
        }
    }

    /// What `logconfig` may leave out of the log: class and kind; `None` for what is always logged.
    #[must_use]
    pub const fn class(&self) -> Option<(Class, Kind)> {
        Some(match self {
            Self::Restart
            | Self::FrequencyNotSet
            | Self::FrequencySet(_)
            | Self::SpikeDetected(_)
            | Self::FrequencyMode
            | Self::ClockSync
            | Self::LeapArmed(_)
            | Self::LeapDisarmed
            | Self::LeapFile { .. }
            | Self::LeapOccurred(_) => (Class::System, Kind::Event),
            Self::FrequencyInitialized(_) => (Class::System, Kind::Status),
            Self::LoopState { .. } => (Class::System, Kind::Statistics),
            Self::SynchronizedTo { .. } => (Class::Sync, Kind::Status),
            Self::TimeReset(_) | Self::TimeSlew(_) | Self::NoSystemPeer => (Class::Sync, Kind::Event),
            Self::Mobilized(_)
            | Self::Demobilized(_)
            | Self::Unreachable(_)
            | Self::Reachable(_)
            | Self::PeerRestart(_)
            | Self::NoReply(_)
            | Self::BecameSystemPeer(_)
            | Self::Popcorn(..) => (Class::Peer, Kind::Event),
            // Faults, refusals and what an administrator has just asked for.
            Self::PanicStop(_)
            | Self::KissObeyed(..)
            | Self::BadAuth(_)
            | Self::LeapFileOld(_)
            | Self::ClockSetOutside(_)
            | Self::FrequencyExceeds(_)
            | Self::NameResolved { .. }
            | Self::NameFailed { .. }
            | Self::DuplicateAddress { .. }
            | Self::InvalidAddress(_)
            | Self::CannotSteer
            | Self::ClockFailed { .. }
            | Self::Reloaded { .. }
            | Self::NotSupported(_)
            | Self::Exiting(_) => return None,
        })
    }

    /// The mode-6 system event code (RFC 9327 section 3.1) that the event raises, if it is one.
    #[must_use]
    pub fn system_code(&self) -> Option<SystemEvent> {
        Some(match self {
            Self::FrequencyNotSet => SystemEvent::FrequencyNotSet,
            Self::FrequencySet(_) | Self::FrequencyInitialized(_) => SystemEvent::FrequencySet,
            Self::SpikeDetected(_) => SystemEvent::SpikeDetect,
            Self::FrequencyMode => SystemEvent::FrequencyMode,
            Self::ClockSync => SystemEvent::ClockSync,
            Self::Restart => SystemEvent::Restart,
            Self::PanicStop(_) => SystemEvent::PanicStop,
            Self::NoSystemPeer => SystemEvent::NoSystemPeer,
            Self::LeapArmed(_) => SystemEvent::LeapArmed,
            Self::LeapDisarmed => SystemEvent::LeapDisarmed,
            Self::LeapOccurred(_) => SystemEvent::LeapEvent,
            Self::TimeReset(_) => SystemEvent::ClockStep,
            _ => return None,
        })
    }

    /// The mode-6 peer event code (RFC 9327 section 3.2) that the event raises, if it is one.
    #[must_use]
    pub fn peer_code(&self) -> Option<PeerEvent> {
        Some(match self {
            Self::Mobilized(_) => PeerEvent::Mobilize,
            Self::Demobilized(_) => PeerEvent::Demobilize,
            Self::Unreachable(_) => PeerEvent::Unreachable,
            Self::Reachable(_) => PeerEvent::Reachable,
            Self::PeerRestart(_) => PeerEvent::Restart,
            Self::NoReply(_) => PeerEvent::NoReply,
            Self::KissObeyed(_, kiss, _) => kiss.code(),
            Self::BecameSystemPeer(_) => PeerEvent::SystemPeer,
            Self::BadAuth(_) => PeerEvent::BadAuth,
            Self::Popcorn(..) => PeerEvent::Popcorn,
            _ => return None,
        })
    }

    /// The event as protostats has it, ntpd's `ADDRESS STATUS CODE NAME [DETAIL]`; `None` for what is
    /// no event of mode 6. `status` is the system status word after the event.
    #[must_use]
    pub fn report(&self, status: u16) -> Option<String> {
        if let Some((peer, detail)) = self.peer_report() {
            return Some(peer_line(peer, self.peer_code()?, &detail));
        }
        let detail = match self {
            Self::FrequencySet(ppm) | Self::FrequencyInitialized(ppm) => format!(" ntpd {ppm}"),
            Self::SpikeDetected(offset) => format!(" {offset}"),
            Self::PanicStop(offset) => format!(" {:+.0} s", offset.get()),
            Self::TimeReset(by) => format!(" {by}"),
            _ => String::new(),
        };
        let code = self.system_code()?;
        Some(format!("0.0.0.0 {status:04x} {:02x} {}{detail}", code as u8, code.name()))
    }

    fn peer_report(&self) -> Option<(&Peer, String)> {
        Some(match self {
            Self::Mobilized(peer) | Self::Demobilized(peer) => (peer, format!(" assoc {}", peer.id.0)),
            Self::Unreachable(peer)
            | Self::Reachable(peer)
            | Self::PeerRestart(peer)
            | Self::NoReply(peer)
            | Self::KissObeyed(peer, ..)
            | Self::BecameSystemPeer(peer)
            | Self::BadAuth(peer) => (peer, String::new()),
            Self::Popcorn(peer, offset) => (peer, format!(" {offset}")),
            _ => return None,
        })
    }

    /// The line for the log. Where ntpd 4.2.6p5 has a wording that people search for
    /// (`synchronized to`, `time reset`, `no servers reachable`, `frequency initialized`), it is kept;
    /// peer events have the form `ADDRESS STATUS CODE NAME` of its event log.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::FrequencyInitialized(ppm) => format!("frequency initialized {ppm} from the drift file"),
            Self::FrequencySet(ppm) => format!("frequency set {ppm}"),
            Self::FrequencyNotSet => "frequency not initialized: no drift file, measuring".to_owned(),
            Self::FrequencyMode => "measuring the clock frequency".to_owned(),
            Self::Restart => "restart".to_owned(),
            Self::SpikeDetected(offset) => {
                format!("spike detected: offset {offset}, ignored unless it persists")
            }
            Self::ClockSync => "clock is synchronized".to_owned(),
            Self::SynchronizedTo { address, stratum, local_unit: None } => {
                format!("synchronized to {address}, stratum {stratum}")
            }
            Self::SynchronizedTo { stratum, local_unit: Some(unit), .. } => {
                format!("synchronized to LOCAL({unit}), stratum {stratum}")
            }
            Self::TimeReset(offset) => format!("time reset {offset}"),
            Self::TimeSlew(offset) => format!("time slew {offset}"),
            Self::FrequencyExceeds(ppm) => {
                format!("frequency error {:.0} PPM exceeds tolerance {:.0} PPM", ppm.get(), Ppm::MAX.get())
            }
            Self::ClockSetOutside(by) => format!(
                "clock was set {by} by another process (date, hwclock, ntpdate or another time daemon) or while the \
                 machine was suspended: polling all servers"
            ),
            Self::PanicStop(offset) => format!(
                "time correction of {:.0} seconds exceeds sanity limit; set clock manually to the correct UTC time, \
                 or start with -g",
                offset.get()
            ),
            Self::NoSystemPeer => "no servers reachable".to_owned(),
            Self::LeapArmed(leap) => format!("leap second armed: {}", leap_word(*leap)),
            Self::LeapDisarmed => "leap second disarmed: no longer announced by the servers".to_owned(),
            Self::LeapOccurred(leap) => format!("leap second: {}", leap_word(*leap)),
            Self::LeapFile { .. } | Self::LeapFileOld(_) => self.leap_file_text(),
            Self::NameResolved { .. }
            | Self::DuplicateAddress { .. }
            | Self::InvalidAddress(_)
            | Self::NameFailed { .. } => self.name_text(),
            Self::CannotSteer => {
                "cannot adjust the system clock (CAP_SYS_TIME missing): serving time without \
                                  disciplining it, as with \"disable ntp\""
                    .into()
            }
            Self::ClockFailed { what, why } => format!("{what} failed: {}", failure_words(*why)),
            Self::Reloaded { added, removed } => {
                format!("configuration reloaded: {added} associations added, {removed} removed")
            }
            Self::LoopState { offset, frequency, jitter, poll } => format!(
                "offset {:.6} sec freq {:.3} ppm error {:.6} poll {}",
                offset.get(),
                frequency.get(),
                jitter.get(),
                poll.get()
            ),
            Self::NotSupported(what) => format!("not yet supported, ignored: {what}"),
            Self::Exiting(reason) => exit_words(*reason).to_owned(),
            Self::Mobilized(_)
            | Self::Demobilized(_)
            | Self::Unreachable(_)
            | Self::Reachable(_)
            | Self::PeerRestart(_)
            | Self::NoReply(_)
            | Self::KissObeyed(..)
            | Self::BecameSystemPeer(_)
            | Self::BadAuth(_)
            | Self::Popcorn(..) => self.peer_text(),
        }
    }

    fn name_text(&self) -> String {
        match self {
            Self::NameResolved { name, address } => format!("resolved {name} to {address}"),
            Self::DuplicateAddress { name, address } if *name == address.to_string() => {
                format!("duplicate server {address} ignored")
            }
            Self::DuplicateAddress { name, address } => {
                format!("duplicate server {name} ignored: its address {address} is already in use")
            }
            Self::InvalidAddress(address) => format!("attempt to configure invalid address {address}"),
            Self::NameFailed { name, reason, retry } => {
                format!("cannot resolve {name}: {reason}; next attempt in {:.0} s", retry.get())
            }
            _ => String::new(),
        }
    }

    fn leap_file_text(&self) -> String {
        match self {
            Self::LeapFile { tai, last, expires } => {
                let tai = tai.map_or_else(|| "unknown".to_owned(), |tai| format!("{tai} s"));
                let expires = expires.map_or_else(|| "never".to_owned(), date_stamp);
                format!("leap second file: TAI-UTC {tai}, last leap {}, expires {expires}", date_stamp(*last))
            }
            Self::LeapFileOld(left) if *left > 0 => {
                format!("the leap second file expires in {}: get a new one", days_words(*left))
            }
            Self::LeapFileOld(left) => format!(
                "the leap second file expired {} ago: leap seconds are taken from the servers until there is \
                 a new one",
                days_words(-left)
            ),
            _ => String::new(),
        }
    }

    /// As in protostats, with a word on what is not plain.
    fn peer_text(&self) -> String {
        let remark = match self {
            Self::KissObeyed(_, Kiss::Rate, poll) => {
                let seconds = poll.interval().get();
                return self.report(0).map_or_else(String::new, |line| {
                    format!("{line}: rate exceeded (RATE): poll interval increased to {seconds:.0} s")
                });
            }
            Self::KissObeyed(_, Kiss::Deny, _) => ": access denied (DENY): the server is no longer polled",
            Self::KissObeyed(_, Kiss::Restricted, _) => {
                ": access restricted (RSTR): the server is no longer polled"
            }
            Self::BadAuth(_) => ": MAC missing or invalid",
            _ => "",
        };
        // The system status is not looked at: these are events of peers.
        self.report(0).map_or_else(String::new, |line| line + remark)
    }
}

/// ntpd marks the codes of peers with the highest bit.
fn peer_line(peer: &Peer, code: PeerEvent, detail: &str) -> String {
    format!("{} {:04x} {:02x} {}{detail}", peer.address, peer.status, code as u8 | 0x80, code.name())
}

fn days_words(seconds: i64) -> String {
    match seconds / 86_400 {
        0 => "less than a day".to_owned(),
        1 => "a day".to_owned(),
        days => format!("{days} days"),
    }
}

const fn leap_word(leap: Leap) -> &'static str {
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

    #[test]
    fn lines_that_people_search_for() {
        let to = |unit| Event::SynchronizedTo {
            address: Host::from(std::net::IpAddr::from([192, 0, 2, 1])),
            stratum: Stratum::new(2),
            local_unit: unit,
        };
        assert_eq!(to(None).text(), "synchronized to 192.0.2.1, stratum 2");
        assert_eq!(to(Some(0)).text(), "synchronized to LOCAL(0), stratum 2");
        assert_eq!(Event::TimeReset(Seconds::new(-1.5)).text(), "time reset -1.500000 s");
        assert_eq!(Event::NoSystemPeer.text(), "no servers reachable");
        let line = Event::FrequencyInitialized(Ppm::new(-12.3456)).text();
        assert_eq!(line, "frequency initialized -12.346 PPM from the drift file");
    }
}
