//! The whole daemon as a value: no sockets, files, clocks, threads or statics.
//!
//! The shell (or the simulator) calls [`Engine::handle`] with what happened, performs what
//! [`Engine::next_output`] gives, and calls again at [`Engine::next_deadline`].

pub mod contract;
mod engine;
pub mod event;

pub use engine::{Engine, Served};
