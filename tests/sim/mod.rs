//! A deterministic world for engines: clocks that drift and wander, links that delay, lose and
//! reorder, servers that are right or wrong. One seed decides everything. The engine runs here by
//! the same calls as in the daemon, and nothing else is different.

// Each test target uses its part of this tree.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod chance;
pub mod clock;
pub mod least_squares;
pub mod link;
pub mod ntpd_like;
pub mod scenario;
pub mod sweep;
pub mod world;
pub mod yardstick;
