//! A deterministic world for engines: clocks that drift and wander, links that delay, lose and
//! reorder, servers that are right or wrong. One seed decides everything. The engine runs here by
//! the same calls as in the daemon, and nothing else is different.

// A world that cannot go on fails the test it is in. Its readers are tests: names say enough of a field.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod bench;
pub mod chance;
pub mod clock;
pub mod desk;
pub mod device;
pub mod least_squares;
pub mod limits;
pub mod link;
pub mod loopback;
pub mod network;
pub mod ntpd_like;
pub mod nts;
pub mod nts_client;
pub mod pair;
pub mod scenario;
pub mod sweep;
pub mod tape;
pub mod world;
pub mod yardstick;
