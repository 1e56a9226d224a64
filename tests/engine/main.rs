//! The engine from outside, one server and one exchange at a time: what it must do, and what a
//! hostile network must not make it do. Long runs are the simulator's.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on fails

mod bench;
mod client;
mod hostile;
mod server;
