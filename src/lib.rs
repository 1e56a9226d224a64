//! rsntpd: a drop-in replacement for the classic ntpd.
//!
//! A pure engine (bytes and time in, bytes and clock commands out: [`engine`]) inside one thin,
//! single-threaded event loop ([`daemon`]). `docs/architecture.md` draws the map; `tests/tidy`
//! enforces which layer may know which.

pub mod check;
pub mod config;
pub mod daemon;
pub mod engine;
pub mod sys;
pub mod tools;
pub mod units;
pub mod wire;
