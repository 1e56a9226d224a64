//! From the command line to a daemon that serves: options, configuration, sockets, fork, privileges.

mod background;
pub mod cli;
mod failure;
pub mod inspect;
pub mod run;
pub mod setup;
pub mod supervisor;
