//! Bytes to values and back: the NTP header with what follows it, and mode 6. No state, no sockets.

pub mod control;
pub mod header;
pub mod trailer;

pub use header::{Header, HeaderError, Mode, Version};
