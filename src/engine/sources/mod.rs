//! The sources: associations with servers and the local clock, from their line in ntp.conf to their samples.
//!
//! | question | file |
//! |---|---|
//! | what an association is | `association.rs` |
//! | how it is made and ended | `peers.rs`, `names.rs` |
//! | when it is polled, and with what | `poll.rs` |
//! | what its response amounts to | `datagram.rs`, `receive.rs` |
//! | the clock filter | `filter.rs` |

pub mod association;
mod datagram;
pub mod filter;
pub mod names;
pub(in crate::engine) mod peers;
mod poll;
pub mod receive;
