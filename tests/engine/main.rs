//! The engine from outside, one server and one exchange at a time: what it must do, and what a
//! hostile network must not make it do. Long runs are the simulator's.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on fails
#![allow(unreachable_pub)] // the modules of a test have no other readers

mod associations;
mod bench;
mod client;
mod effects;
mod floods;
mod headers;
mod hostile;
mod interleaved;
mod kisses;
mod macs;
mod names;
mod server;
