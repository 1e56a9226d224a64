//! The quantities every layer speaks in. Values only: nothing here reads a clock.

mod aead;
mod companion;
mod date;
mod driver;
mod era;
mod host;
mod identity;
mod kernel;
mod mono;
mod seconds;
mod stamp;
mod timestamp;
mod unix;

pub use aead::Aead;
pub use companion::Companion;
pub use date::{
    DAY, GPS_ERA_WEEKS, UNIX_EPOCH, UNIX_EPOCH_MJD, WEEK, date_stamp, day_of, end_of_month, has_leap_seconds,
};
pub use driver::{Driver, clock_name};
pub use era::{BUILT, ERA, PIVOT, eras_off};
pub use host::{Host, NTP_PORT};
pub use identity::{AssocId, KeyId, Leap, PollExponent, RefId, Stratum};
pub use kernel::{ClockStatus, KernelClock, Pps};
pub use mono::MonoTime;
pub use seconds::{MAX_DISPERSION, PHI, Ppm, Seconds};
pub use stamp::{Stamp, Taken};
pub use timestamp::{NtpDuration, NtpShort, NtpTimestamp};
pub use unix::{Bracket, UnixTime};
