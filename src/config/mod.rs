//! ntp.conf, the keys file, the drift file and the leap second file: octets to checked values with diagnostics.
//!
//! `lexer.rs` cuts a line into words, `words.rs` knows the language, `parser.rs` runs commands
//! (`servers.rs`, `restrict.rs`, `settings.rs`) and keeps their order of application. Nothing here
//! opens a file: an include reader is passed in.

mod diagnostic;
mod keys;
mod leapfile;
mod lexer;
mod line;
pub mod model;
mod parser;
mod restrict;
mod servers;
mod settings;
mod words;

pub use diagnostic::{Diagnostic, Severity};
pub use keys::{parse_drift, parse_keys};
#[cfg(test)]
pub(crate) use leapfile::leapfile_check;
pub use leapfile::parse_leapfile;
pub use parser::{Known, parse, parse_at_run_time, parse_onto};

/// A configuration and all that was found wrong with its text.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// What takes effect.
    pub config: model::Config,
    /// What was found, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
}
