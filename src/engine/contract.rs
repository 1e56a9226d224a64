//! What passes between the engine and whatever drives it: the daemon's event loop or the simulator.

mod device;
mod nts;

pub use device::{ClockDevice, DeviceReport, Reading, Reads, Trouble};
pub use nts::{
    CertificateCheck, CookieOrigin, CookieSource, Established, FailureClass, Kept, KeyFailure, KeyRequest,
    Keys, Validity,
};

use crate::config::model::{Config, Family, Key, LeapTable, StatKind};
use crate::engine::clock::{Drift, Record};
use crate::engine::control::shell_request::{Brought, ShellRequest, ShellRequestId};
use crate::engine::report::event::Event;
use crate::units::{AssocId, ClockStatus, Host, MonoTime, NtpTimestamp, PIVOT, Ppm, Seconds, Stamp};
use crate::wire::nts::master::MasterKeys;
use std::net::{IpAddr, SocketAddr};

/// The two clocks at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// The monotonic clock: deadlines and intervals.
    pub mono: MonoTime,
    /// The wall clock that is being disciplined.
    pub wall: NtpTimestamp,
}

/// A socket of the shell; the engine only hands it back.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SocketId(pub u32);

/// A datagram that arrived.
#[derive(Clone, Copy, Debug)]
pub struct Rx<'a> {
    /// The bytes; the shell hands over at most 2,048.
    pub data: &'a [u8],
    /// Who sent it.
    pub from: SocketAddr,
    /// The address it was sent to.
    pub to: IpAddr,
    /// Where it arrived, and where an answer must leave.
    pub socket: SocketId,
    /// When it arrived, by the wall clock.
    pub received: Stamp,
}

/// Names a request whose time of sending the engine wants to know.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SendToken(pub u64);

/// A datagram to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tx {
    /// The bytes.
    pub data: Vec<u8>,
    /// The destination.
    pub to: SocketAddr,
    /// From which socket; `None`: from the wildcard socket of the family, port 123.
    pub socket: Option<SocketId>,
    /// The source address to leave from, for answers: the address that was asked.
    pub from: Option<IpAddr>,
    /// Where set, the shell answers with [`Input::Sent`].
    pub token: Option<SendToken>,
    /// Where set, the transmit timestamp is the time: the shell reads the clock right before it sends and has
    /// [`crate::engine::Engine::complete`] write it.
    pub complete: Option<AssocId>,
    /// The most routers that a packet for a group passes, and one (its TTL); `None`: as the socket has it.
    pub hops: Option<u8>,
}

impl Tx {
    /// A datagram for this destination, without content yet, from the wildcard socket.
    #[must_use]
    pub const fn new(to: SocketAddr) -> Self {
        Self { data: Vec::new(), to, socket: None, from: None, token: None, complete: None, hops: None }
    }
}

/// Names a lookup.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LookupId(pub u64);

/// Why a lookup gave no address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LookupError {
    /// The resolver's words.
    pub text: String,
}

/// A local address of the machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    /// The interface's name.
    pub name: String,
    /// The address.
    pub address: IpAddr,
}

/// A command of the engine to the kernel clock. Every command is complete in itself: whatever happens
/// to the daemon afterwards, the clock ends up at its true frequency.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum ClockCommand {
    /// Set the frequency correction (adjtimex ADJ_FREQUENCY), ±500 ppm.
    Frequency(Ppm),
    /// Move the phase by this much *in addition* to what an earlier slew has left, in whole
    /// microseconds, at no more than 500 µs a second; the kernel ends it by itself
    /// (adjtimex ADJ_OFFSET_SINGLESHOT). The engine asks at most once a second and for at most 500 µs; with `-q`, right before it exits,
    /// for all that is less than a step.
    Slew {
        /// Microseconds, positive forward.
        micros: i32,
    },
    /// Work off a phase with the kernel's own loop, its frequency held: a quarter of what is left
    /// each second, until nothing is (adjtimex ADJ_OFFSET). Takes the place of what an earlier one has left; zero
    /// ends it. The engine asks at most once a second and for at most 20 ms.
    PllSlew {
        /// Nanoseconds, positive forward.
        nanos: i32,
        /// What an earlier one should have left: another value means that this kernel works otherwise.
        left: i32,
    },
    /// Move the wall clock at once, and on by whole eras to a time within 68 years of [`crate::units::PIVOT`]; drops what
    /// slews have left.
    Step(Seconds),
    /// Report to the kernel how good the clock is.
    Status(ClockStatus),
}

/// What became of a clock command.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ClockReport {
    /// The command.
    pub command: ClockCommand,
    /// How it ended.
    pub result: Result<(), ClockFailure>,
}

/// Why the clock did not obey.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClockFailure {
    /// No permission (EPERM): the engine measures and serves on, as under `disable ntp`.
    NotPermitted,
    /// The kernel's own loop does not work as Linux's does: it is left alone from now on.
    NoLoop,
    /// Anything else, with the errno.
    Os(i32),
}

/// Something that happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// A datagram arrived.
    Datagram(Rx<'a>),
    /// A request left. Comes more than once where the kernel stamps what leaves, later than the clock was read; or never.
    Sent {
        /// Which.
        token: SendToken,
        /// When it left.
        at: Stamp,
        /// The address of ours that it left from, where that is known: a response must come to it.
        from: Option<IpAddr>,
    },
    /// A deadline passed (or not: an early or repeated timer is harmless).
    Timer,
    /// A lookup ended.
    Resolved {
        /// Which.
        id: LookupId,
        /// The addresses, in the resolver's order, or why there are none.
        result: Result<Vec<Host>, LookupError>,
    },
    /// A clock command was performed.
    ClockDone(ClockReport),
    /// The wall clock shows a time that so many eras of 2^32 s would have to be added to, to lie within 68 years of
    /// [`crate::units::PIVOT`]: no NTP timestamp shows that. Steps of the clock see to it by themselves.
    WrongEra(i64),
    /// The wall clock moved against the monotonic one, and not by a command of ours: another process set it, the kernel inserted a
    /// leap second, or, where the kernel does not report that, the machine was suspended.
    ClockSet {
        /// By how much.
        by: Seconds,
        /// Programs that set clocks and run here, for the log.
        running: Vec<String>,
    },
    /// The machine was suspended for so long. The wall clock went on by the hardware clock; the monotonic one stood still.
    Suspended(Seconds),
    /// The machine's addresses are now these.
    Interfaces(Vec<Interface>),
    /// The configuration is now this one.
    Reload(Box<Setup>),
    /// The leap second file now says this.
    LeapSeconds(LeapTable),
    /// What an [`Output::ShellRequest`] brought.
    Returned {
        /// Which.
        id: ShellRequestId,
        /// What.
        result: Brought,
    },
    /// What the device of a reference clock says.
    Clock {
        /// Whose device.
        id: AssocId,
        /// What.
        report: DeviceReport,
    },
    /// A key exchange ended.
    Established {
        /// For which association.
        id: AssocId,
        /// The keys and cookies, or why there are none.
        result: Result<Box<Established>, KeyFailure>,
    },
    /// NTS is served, and its cookies are sealed by these keys from now on.
    CookieKeys(Box<MasterKeys>),
    /// Our key exchange shows a certificate that is valid until then, seconds since 1970; `None`: it does not run.
    KeyExchange(Option<i64>),
    /// SIGTERM or SIGINT: save and stop.
    Shutdown,
}

/// Something to do.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Send a datagram.
    Send(Tx),
    /// Command the kernel clock; answered by [`Input::ClockDone`].
    Clock(ClockCommand),
    /// Look a name up; answered by [`Input::Resolved`].
    Resolve {
        /// For the answer.
        id: LookupId,
        /// The name.
        name: String,
        /// Which addresses are wanted.
        family: Family,
    },
    /// Write the drift file.
    SaveDrift(Ppm),
    /// Write beside it how right it has been.
    SaveDriftRecord(Record),
    /// Append a line to a statistics file.
    Stat(StatLine),
    /// Do what a control request needs of the shell; answered by [`Input::Returned`].
    ShellRequest {
        /// For the answer.
        id: ShellRequestId,
        /// What to do.
        shell_request: ShellRequest,
    },
    /// Open the device of a reference clock, again if it is open; answered by [`Input::Clock`].
    OpenClock {
        /// For the answers.
        id: AssocId,
        /// The device.
        device: Box<ClockDevice>,
    },
    /// Close the device of a reference clock.
    CloseClock(AssocId),
    /// Exchange keys with a server of NTS; answered by [`Input::Established`]. An earlier one for the same association is given
    /// up.
    Establish {
        /// For the answer.
        id: AssocId,
        /// Which server, and how.
        request: Box<KeyRequest>,
    },
    /// Keep cookies for the next process, where the configuration says where.
    KeepCookies(Box<Kept>),
    /// Log an event.
    Event(Event),
    /// End the process.
    Exit(ExitReason),
}

/// A line of a statistics file, without its line end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StatLine {
    /// Which file set.
    pub kind: StatKind,
    /// When, for the choice of the file.
    pub at: NtpTimestamp,
    /// The line.
    pub text: String,
}

/// Why the daemon ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExitReason {
    /// SIGTERM or SIGINT, everything saved: exit status 0.
    Shutdown,
    /// `-q`: the clock was set: exit status 0.
    ClockSet,
    /// `-q`: no server answered: exit status 1.
    NoServer,
    /// `-q`: the time is known, but the clock may not be set (no permission, or `disable ntp`): exit status 1.
    NotSet,
    /// The offset exceeds the panic threshold: exit status 255, as ntpd's exit(-1).
    Panic,
}

/// Everything that a (re)start gives the engine and a reload may change.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// The configuration, with the command line's settings merged in.
    pub config: Config,
    /// The keys of the keys file.
    pub keys: Vec<Key>,
    /// What the leap second file says, where there is one that makes sense.
    pub leap_table: Option<LeapTable>,
    /// Associations to end that no line made (`unpeer`).
    pub unpeered: Vec<AssocId>,
    /// `-g`: the first offset may exceed the panic threshold, once.
    pub allow_panic_once: bool,
    /// `-q`: set the clock once and exit.
    pub quit_after_set: bool,
}

impl Setup {
    /// TAI − UTC by the leap second file, seconds.
    #[must_use]
    pub fn tai(&self, at: NtpTimestamp) -> Option<i32> {
        self.leap_table.as_ref()?.tai(at.to_unix(PIVOT).0)
    }
}

/// What the engine must know of the machine at its start.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Whether the kernel lets us steer the clock.
    pub can_steer: bool,
    /// Clock reading precision, log2 seconds (for example −23).
    pub precision: i8,
    /// The frequency of the drift file, where there is one that makes sense.
    pub drift: Option<Drift>,
    /// `uname` system name and release, `Linux/2.6.32`, for mode 6.
    pub system: String,
    /// `uname` machine, `x86_64`, for mode 6.
    pub processor: String,
    /// Seed of the engine's generator, from the system's.
    pub seed: [u8; 32],
}
