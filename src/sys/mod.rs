//! System calls: clock, sockets, interfaces, privileges, signals. The only layer with `unsafe`.
//!
//! What is here does one thing the kernel offers and reports how it went; every decision is made
//! by the callers in [`crate::daemon`]. All of it works, or falls back, on Linux 2.6.32.

#[allow(unsafe_code)] // C structures of variable length throughout
mod ancillary;
#[allow(unsafe_code)] // system calls that nix has only with allocation
pub mod batch;
pub mod clock;
pub mod interfaces;
pub mod privileges;
pub mod signals;
pub mod socket;
