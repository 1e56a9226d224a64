//! `--print-config`: the configuration in ntpd's syntax.

use super::Outcome;
use crate::config::{self, Parsed, Severity};

/// A configuration as it is printed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Printed {
    /// What is in effect, in canonical ntp.conf syntax; read again, it means the same.
    pub text: Vec<u8>,
    /// What was not valid, a line each.
    pub errors: Vec<String>,
}

impl Printed {
    /// Prints what is in effect.
    #[must_use]
    pub fn of(parsed: &Parsed) -> Self {
        let errors = parsed.diagnostics.iter().filter(|found| found.severity == Severity::Error);
        Self {
            text: config::print(&parsed.config),
            errors: errors.map(config::Diagnostic::log_line).collect(),
        }
    }

    /// Whether there were errors.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        if self.errors.is_empty() { Outcome::Clean } else { Outcome::Errors }
    }
}
