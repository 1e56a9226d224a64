//! What can be known of a configuration without a daemon: its mistakes, the access of a client, what is in effect.
//!
//! Text and values in, text out: files, the terminal and the exit are the shell's (`src/daemon/start/inspect.rs`).

mod explain;
mod findings;
mod json;
mod print_config;

pub use explain::{Place, explain};
pub use findings::{Findings, old_leapfile};
pub use print_config::Printed;

/// What an inspection ends with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// There are no errors.
    Clean,
    /// There are errors.
    Errors,
    /// The file cannot be read.
    Unreadable,
}

impl Outcome {
    /// The exit status that rsntpd(8) documents.
    #[must_use]
    pub const fn exit_status(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Errors => 1,
            Self::Unreadable => 2,
        }
    }
}
