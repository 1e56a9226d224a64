//! Which driver does something with which option of its clock.

use crate::units::Driver;

const NONE: &str = "this driver does not use it";
const LOCAL: &str = "the LOCAL clock does not use it";
const KERNEL: &str =
    "pulses are read from the kernel and disciplined here, which needs no PPS discipline of the kernel";

/// Why the driver does nothing with this option; nothing where it uses it.
pub(super) fn without_use(driver: Driver, option: Optional) -> Option<&'static str> {
    use Driver::{GpsdJson, Local, Nmea, Phc, Pps, Shm, Sock};
    let users: &[Driver] = match option {
        Optional::Burst => return Some("a reference clock has no bursts: it is read all the time"),
        Optional::Packet => return Some("no packets are sent to a reference clock"),
        Optional::Mode | Optional::Time2 => &[Nmea, Shm, GpsdJson],
        Optional::Path => &[Nmea, Pps, GpsdJson, Phc, Sock],
        Optional::PulsePath => &[Nmea, Pps],
        Optional::Baud => &[Nmea],
        Optional::Time1 | Optional::MinJitter => &[Nmea, Pps, Shm, GpsdJson, Phc, Sock],
        Optional::Flag4 => &[Nmea, Pps, Shm, GpsdJson, Phc],
        Optional::Flag1 => &[Nmea, Shm, GpsdJson, Phc],
        Optional::Flag2 => &[Nmea, Pps, GpsdJson, Phc],
        Optional::Flag3 => &[GpsdJson],
        Optional::Tai => &[Phc],
    };
    (!users.contains(&driver)).then_some(match (option, driver) {
        (_, Local) => LOCAL,
        (Optional::Path, Shm) => "a segment of shared memory has no file: its key is 0x4e545030 and the unit",
        (Optional::Baud, GpsdJson) => "gpsd sets the speed of the line",
        (Optional::Flag3, Nmea | Pps) => KERNEL,
        _ => NONE,
    })
}

/// Options that not every driver uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Optional {
    /// `iburst` and `burst`.
    Burst,
    /// What is about packets.
    Packet,
    /// `mode`, which `ttl` and `subtype` are other names of.
    Mode,
    /// `path`.
    Path,
    /// `ppspath`.
    PulsePath,
    /// `baud`.
    Baud,
    /// `time1`.
    Time1,
    /// `time2`.
    Time2,
    /// `flag1`.
    Flag1,
    /// `flag2`.
    Flag2,
    /// `flag3`.
    Flag3,
    /// `flag4`.
    Flag4,
    /// `minjitter`.
    MinJitter,
    /// `tai`.
    Tai,
}

impl Optional {
    /// The option of this name; nothing for one that holds for every clock.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "iburst" | "burst" => Self::Burst,
            "key" | "version" | "xleave" | "preempt" => Self::Packet,
            "mode" | "ttl" | "subtype" => Self::Mode,
            "path" => Self::Path,
            "ppspath" => Self::PulsePath,
            "baud" => Self::Baud,
            "time1" => Self::Time1,
            "time2" => Self::Time2,
            "flag1" => Self::Flag1,
            "flag2" => Self::Flag2,
            "flag3" => Self::Flag3,
            "flag4" => Self::Flag4,
            "minjitter" => Self::MinJitter,
            "tai" => Self::Tai,
            _ => return None,
        })
    }
}
