//! Packets between the sockets and the engine, and names looked up: which sockets there are, and when they are read and written.

pub mod departures;
pub mod gather;
pub mod pace;
pub mod resolver;
pub mod sockets;
pub mod traffic;
