//! System calls: clock, sockets, interfaces, privileges, signals. The only layer with `unsafe`.
//!
//! What is here does one thing the kernel offers and reports how it went; every decision is made
//! by the callers in [`crate::daemon`]. All of it works, or falls back, on Linux 2.6.32.

pub mod clock;
pub mod interfaces;
pub mod kernel;
pub mod privileges;
pub mod signals;
pub mod socket;
