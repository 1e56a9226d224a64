//! Bytes to values and back: the NTP header with what follows it, and mode 6. No state, no sockets.

pub mod header;

pub use header::{Header, HeaderError, Mode, Version};
