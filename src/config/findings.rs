//! What was found wrong, held within bounds, and places to come back to.

use super::diagnostic::{Diagnostic, Severity};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// So many findings are kept; no administrator reads more, and a file of garbage has one a line.
const KEPT: usize = 1000;

/// A place in a text that was read.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    /// The number of the text.
    pub(super) text: usize,
    /// The line, from 1.
    pub(super) line: u32,
    /// Where the line begins in the text.
    pub(super) start: usize,
    /// The bytes of the line that it is about.
    pub(super) span: Range<usize>,
}

/// A text that was read.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) file: PathBuf,
    pub(super) bytes: Vec<u8>,
    pub(super) stack: Vec<(PathBuf, u32)>,
}

/// What was found, in order; the first ones whole, of the others how many there are.
#[derive(Debug)]
pub(super) struct Findings {
    /// How many are kept whole.
    most: usize,
    kept: Vec<Diagnostic>,
    more: usize,
    worst: Option<Severity>,
    last: Option<Diagnostic>,
}

impl Default for Findings {
    fn default() -> Self {
        Self::keeping(KEPT)
    }
}

impl Findings {
    /// None yet; so many will be kept whole.
    pub(super) const fn keeping(most: usize) -> Self {
        Self { most, kept: Vec::new(), more: 0, worst: None, last: None }
    }

    pub(super) fn push(&mut self, severity: Severity, make: impl FnOnce() -> Diagnostic) {
        if self.kept.len() < self.most {
            self.kept.push(make());
            return;
        }
        if self.more == 0 {
            self.last = Some(make());
        }
        self.more += 1;
        debug_assert_eq!(self.kept.len(), self.most, "findings are only counted once enough are kept");
        // `Severity` begins with the worst.
        self.worst = Some(self.worst.map_or(severity, |worst| worst.min(severity)));
    }

    /// Whether something in this line is invalid.
    pub(super) fn has_error(&self, file: &Path, line: u32) -> bool {
        let is_there = |found: &Diagnostic| found.line == line && found.file == file;
        self.kept.iter().any(|found| found.severity == Severity::Error && is_there(found))
    }

    /// Whether what is pushed now is only counted, so that its tokens need not be found.
    pub(super) fn only_counts(&self) -> bool {
        self.more > 0
    }

    /// All that was found; the last one counts those that are not listed.
    pub(super) fn into_list(mut self) -> Vec<Diagnostic> {
        if let (Some(mut last), Some(worst)) = (self.last, self.worst) {
            last.severity = worst;
            last.message =
                format!("{} more findings, of which this is the first: {}", self.more, last.message);
            self.kept.push(last);
        }
        self.kept
    }
}
