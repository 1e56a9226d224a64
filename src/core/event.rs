//! What happens in the engine that people or control programs hear of: typed, with the mode-6
//! event code and the text for the log.

use super::contract::{ClockFailure, ExitReason};
use crate::units::{AssocId, Leap, Ppm, Seconds, Stratum};
use std::net::IpAddr;

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
    pub address: IpAddr,
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
        address: IpAddr,
        /// Its stratum.
        stratum: Stratum,
        /// Whether it is the local clock (`synchronized to LOCAL(0), stratum 10`).
        local_unit: Option<u8>,
    },
    /// The clock was stepped; system event 12 (clock_step); the log's `time reset`.
    TimeReset(Seconds),
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
    /// A kiss code was obeyed; peer events 7 (rate_exceeded) and 8 (access_denied).
    KissObeyed(Peer, Kiss),
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
        address: IpAddr,
    },
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
    /// A configured thing this engine cannot do; said once at start.
    NotSupported(String),
    /// The process ends.
    Exiting(ExitReason),
}
