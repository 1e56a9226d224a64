//! Bytes to values and back: the NTP header with what follows it, and mode 6. No state, no sockets.
//! What a server needs of mode 6 is in `control`, what a client needs in `reply`, `varlist` and `status`;
//! what both name is in `event` (codes of events, bits of `flash`) and `counter`.

pub mod control;
pub mod counter;
pub mod event;
pub mod exchange;
pub mod header;
pub mod kiss;
pub mod nts;
pub mod refclock;
pub mod reply;
pub mod status;
pub mod trailer;
pub mod varlist;

pub use header::{Header, HeaderError, Mode, Version};
