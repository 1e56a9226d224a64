//! What happens in the engine that people or control programs hear of. What a report needs of each event (code,
//! class, level, texts) is its row in `rows.rs`.

use crate::engine::contract::{ClockFailure, ExitReason};
use crate::units::{AssocId, Host, Leap, PollExponent, Ppm, Seconds, Stratum};
pub use crate::wire::kiss::Kiss;

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

/// Something worth telling.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// Started; mode-6 system event 6 (restart).
    Restart,
    /// The frequency of the drift file is in use.
    FrequencyInitialized(Ppm),
    /// No drift file: the frequency is being learnt; system event 1 (freq_not_set).
    FrequencyNotSet,
    /// An offset beyond the step threshold is being watched; system event 3 (spike_detect).
    SpikeDetected(Seconds),
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
    /// A kiss code was obeyed, and the poll exponent then; peer events 7 (rate_exceeded) and 8 (access_denied).
    KissObeyed(Peer, Kiss, PollExponent),
    /// A peer became the system peer; peer event 10 (sys_peer).
    BecameSystemPeer(Peer),
    /// The authentication state of a peer is bad; peer event 12 (bad_auth).
    BadAuth(Peer),
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
