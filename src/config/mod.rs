//! ntp.conf, the keys file, the drift file and the leap second file: bytes to checked values with diagnostics.
//!
//! `language.rs` has a row for each token. `lexer.rs` cuts a line into tokens, `reader.rs` reads tokens with
//! their arguments as their rows say, `parser.rs` reads the files, `command.rs` runs commands (`servers.rs`, `clocks.rs`, `restrict.rs`,
//! `settings.rs`, `statistics.rs`, `nts.rs`, `idle.rs`), `draft.rs` keeps their order of application; `lint.rs` looks at
//! the whole, `print.rs` writes it down again. Nothing here opens a file: an include reader is passed in.

mod address;
mod clocks;
mod command;
mod diagnostic;
mod draft;
mod encoding;
mod findings;
mod hostname;
mod idle;
mod keys;
pub mod language;
mod leapfile;
mod lexer;
mod line;
mod lint;
pub mod model;
mod nts;
mod parser;
mod print;
mod reader;
mod restrict;
mod servers;
mod settings;
mod statistics;

pub use diagnostic::{Diagnostic, Notice, Severity, Style};
pub use draft::Known;
pub use keys::{DriftRecord, parse_drift, parse_drift_record, parse_keys};
#[cfg(test)]
pub(crate) use leapfile::leapfile_check;
pub use leapfile::parse_leapfile;
pub use lint::{Outlook, usable};
pub use parser::{Read, Unreadable, parse, parse_at_run_time, parse_onto};
pub use print::print;

use crate::units::AssocId;

/// A configuration and all that was found wrong with its text.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// What takes effect.
    pub config: model::Config,
    /// What was found, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
    /// What is valid and probably wrong (a warning), or does nothing (a note).
    pub lints: Vec<Diagnostic>,
    /// What is to be expected of the servers.
    pub outlook: Outlook,
    /// Where lines stand that name a file: the command, or the setting of `nts`, and a note without tokens.
    pub marks: Vec<(&'static str, Diagnostic)>,
    /// Associations without a line that `unpeer` names at run time.
    pub unpeered: Vec<AssocId>,
}

impl Parsed {
    /// What there is to say about the line of `command`, or about this setting of `nts`, to be filled in; nothing if no file has such a line.
    #[must_use]
    pub fn mark(&self, command: &str) -> Option<&Diagnostic> {
        self.marks.iter().rev().find(|(name, _)| *name == command).map(|(_, mark)| mark)
    }
}
