//! System calls: clock, sockets, interfaces, privileges, signals. The only layer with `unsafe`.
//!
//! What is here does one thing the kernel offers and reports how it went; every decision is made
//! by the callers in [`crate::daemon`]. All of it works, or falls back, on Linux 2.6.32.

pub mod alarm;
#[allow(unsafe_code)] // C structures of variable length throughout
mod ancillary;
#[allow(unsafe_code)] // system calls that nix has only with allocation
pub mod batch;
pub mod capabilities;
pub mod clock;
pub mod clock_watch;
#[allow(unsafe_code)] // ioctl takes any pointer
pub mod device;
pub mod fips;
#[allow(unsafe_code)] // nix has no programs for groups of sockets
pub mod group;
pub mod interfaces;
#[allow(unsafe_code)] // system calls that no crate here has
pub mod landlock;
pub mod outside;
#[allow(unsafe_code)] // memory of several processes
pub mod page;
#[allow(unsafe_code)] // nix has no ioctls of PPS
pub mod pps;
pub mod privileges;
pub mod process;
#[allow(unsafe_code)] // nor of PTP clocks
pub mod ptp;
pub mod random;
#[allow(unsafe_code)] // advice about memory
pub mod resident;
#[allow(unsafe_code)] // a filter is a program, and its signal has a handler
pub mod seccomp;
#[allow(unsafe_code)] // nix has no shared memory of System V
pub mod shm;
pub mod signals;
pub mod socket;
pub mod tcp;
pub mod tty;
pub mod zone;
