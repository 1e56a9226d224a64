//! What happens in the engine that is logged or reported to control programs. What a report needs of each event (code,
//! class, level, texts) is its row in `rows.rs`.

use crate::engine::contract::{ClockFailure, ExitReason};
use crate::engine::sources::Peer;
use crate::units::{Aead, Host, Leap, PollExponent, Ppm, Seconds, Stratum};
use crate::wire::event::ClockEvent;
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

/// Something worth a report.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// The daemon started.
    Restart,
    /// The frequency of the drift file is in use.
    FrequencyInitialized(Ppm),
    /// No drift file: the frequency is being measured.
    FrequencyNotSet,
    /// An offset beyond the step threshold is being watched.
    SpikeDetected(Seconds),
    /// The clock is synchronized.
    ClockSync,
    /// A new system peer; the log's `synchronized to ADDRESS, stratum N`, of a clock `synchronized to LOCAL(0), stratum 10`.
    SynchronizedTo {
        /// The system peer.
        address: Host,
        /// Its stratum.
        stratum: Stratum,
    },
    /// The clock was stepped; the log's `time reset`.
    TimeReset(Seconds),
    /// So many steps in a row went the same way.
    StepsInARow {
        /// How many.
        count: u32,
        /// Which way.
        forward: bool,
    },
    /// Another process set the clock.
    ClockSetOutside {
        /// By how much.
        by: Seconds,
        /// Programs that set clocks and run here.
        running: Vec<String>,
    },
    /// The machine was suspended.
    Suspended {
        /// For how long.
        span: Seconds,
        /// Whether any offset is corrected now, once (`tinker resume`).
        any_offset: bool,
    },
    /// The clock needs a frequency correction that the kernel does not grant (ntpd's wording).
    FrequencyExceeds(Ppm),
    /// With `-x` or a small offset under `-q`: the log's `time slew`.
    TimeSlew(Seconds),
    /// Offset beyond the panic threshold.
    PanicStop(Seconds),
    /// No source is left to synchronize to; `no servers reachable`.
    NoSystemPeer,
    /// No source is there, and the clock of this host is served at this stratum (orphan mode).
    StandsAlone(Stratum),
    /// A leap second was armed.
    LeapArmed(Leap),
    /// Servers no longer announce the leap second.
    LeapDisarmed,
    /// A leap second happened.
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
    /// The leap second file expires in this many seconds, or expired this many ago (negative).
    LeapFileOld(i64),
    /// An association that a packet had made has not been heard of for long, and ends.
    TimedOut(Peer),
    /// An association was made.
    Mobilized(Peer),
    /// An association ended.
    Demobilized(Peer),
    /// A peer became unreachable.
    Unreachable(Peer),
    /// A peer became reachable.
    Reachable(Peer),
    /// A kiss of death was obeyed, and the poll exponent then.
    KissObeyed(Peer, Kiss, PollExponent),
    /// A peer became the system peer.
    BecameSystemPeer(Peer),
    /// The authentication state of a peer is bad.
    BadAuth(Peer),
    /// Something is wrong with a reference clock.
    ClockTrouble(Peer, ClockEvent),
    /// The device of a reference clock is there, after it was not.
    DeviceOpened(Host),
    /// The device of a reference clock could not be opened, or was lost.
    DeviceFailed {
        /// The clock.
        address: Host,
        /// Why.
        why: String,
        /// It is opened again after this long.
        retry: Seconds,
    },
    /// What `enable calibrate` has found `time1` of a reference clock to be.
    Calibrated {
        /// The clock.
        address: Host,
        /// What ntp.conf should have.
        time1: Seconds,
    },
    /// A name resolved.
    NameResolved {
        /// The name.
        name: String,
        /// The address in use.
        address: Host,
    },
    /// A pool sends a packet to an address of its name, to see whether a server is there.
    Soliciting(Host),
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
        /// Why, as the resolver has it.
        reason: String,
        /// When it is tried again.
        retry: Seconds,
    },
    /// Keys were exchanged with a server of NTS, or an earlier process had kept them.
    KeysEstablished {
        /// The server of the exchange, with its port.
        server: String,
        /// The algorithm.
        aead: Aead,
        /// How many cookies there are.
        cookies: usize,
        /// The NTP server.
        address: Host,
        /// Its UDP port.
        port: u16,
    },
    /// An exchange of keys failed; it is tried again.
    KeysFailed {
        /// The server of the exchange, with its port.
        server: String,
        /// Why.
        reason: String,
        /// When it is tried again.
        retry: Seconds,
    },
    /// A server cannot open our cookie: keys are exchanged anew unless it can open the next one.
    CookieRefused(Host),
    /// The kernel does not let the daemon adjust the clock: it measures and serves only. Reported once.
    CannotSteer,
    /// A clock command failed otherwise.
    ClockFailed {
        /// The command, in words.
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
    /// A configured feature that the engine does not have; reported once at start.
    NotSupported(String),
    /// The process ends.
    Exiting(ExitReason),
}
