//! The whole daemon as a value: no sockets, files, clocks, threads or statics.
//!
//! The shell (or the simulator) calls [`Engine::handle`] with what happened, performs what
//! [`Engine::next_output`] gives, and calls again at [`Engine::next_deadline`].
//!
//! | question | file |
//! |---|---|
//! | what goes in and out | `contract.rs`, `event.rs` |
//! | the three calls | `engine.rs` |
//! | making, naming and polling associations | `peers.rs`, `names.rs`, `poll.rs`, `association.rs` |
//! | an answer from a server | `datagram.rs`, `receive.rs`, `filter.rs` |
//! | whom to believe, what to do about it | `update.rs`, `select.rs`, `discipline/`, `leap.rs`, `system.rs`, `outside.rs` |
//! | answering clients | `server.rs`, `access.rs`, `clients/`, `auth.rs` |
//! | ntpq | `control/`, `errand.rs` |
//! | statistics files, which events are logged | `statistics.rs`, `interest.rs` |
//! | SIGHUP | `reload.rs` |
//! | several processes that answer as one | `sharing.rs` |

pub mod access;
pub mod association;
pub mod auth;
pub mod clients;
pub mod contract;
pub mod control;
mod datagram;
pub mod discipline;
mod engine;
pub mod errand;
pub mod event;
pub mod filter;
pub mod interest;
pub mod leap;
pub mod names;
mod outside;
mod peers;
mod poll;
pub mod receive;
pub mod reject;
mod reload;
pub mod select;
mod server;
pub mod sharing;
mod statistics;
pub mod system;
mod update;

pub use engine::{Engine, Served};
pub use server::Reply;
