//! The fork into the background, and the pipe by which the child reports to its parent.

use super::failure::Failure;
use super::supervisor::Supervisor;
use crate::sys::process::{self, Side};
use daemonize::{Daemonize, Outcome};
use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::path::Path;

/// What the child writes to its parent once it serves, and its process id behind it.
const SERVING: u8 = b'+';

/// Forks; the child is a daemon.
///
/// # Errors
/// Of the system calls.
pub(super) fn enter() -> io::Result<Side> {
    // The crate cannot do without /dev/null, a root directory that holds nothing but us has none.
    if !Path::new("/dev/null").exists() {
        return process::detach();
    }
    match Daemonize::new().umask(0o022).execute() {
        Outcome::Parent(Ok(_)) => Ok(Side::Parent),
        Outcome::Child(Ok(_)) => Ok(Side::Child),
        Outcome::Parent(Err(e)) | Outcome::Child(Err(e)) => Err(io::Error::other(e)),
    }
}

/// The parent: the child's process id once it serves, else what it reports.
///
/// # Errors
/// What the child reports, or that it died without a word.
pub(super) fn wait_for_child(mut reader: PipeReader) -> Result<u32, Failure> {
    let mut report = Vec::new();
    // The end comes when the child has closed its side, or has died.
    let _what_came_counts = reader.read_to_end(&mut report);
    let report = String::from_utf8_lossy(&report).into_owned();
    if let Some(id) = report.strip_prefix(char::from(SERVING)).and_then(|id| id.parse().ok()) {
        return Ok(id);
    }
    let why = if report.is_empty() { Failure::ChildDied } else { Failure::Child(report) };
    Err(why)
}

/// What waits for this process to serve.
#[derive(Debug, Default)]
pub(super) struct Parent {
    /// The process that was started, if this is its child.
    pub(super) pipe: Option<PipeWriter>,
    pub(super) supervisor: Supervisor,
}

impl Parent {
    pub(super) fn failed(&self, why: &Failure) {
        if let Some(mut pipe) = self.pipe.as_ref() {
            let _parent_gone = pipe.write_all(why.to_string().as_bytes());
        }
    }
}

/// The parent may report to whoever started it: this process serves.
pub(super) fn report_serving(mut pipe: PipeWriter) {
    let _parent_gone = write!(pipe, "{}{}", char::from(SERVING), std::process::id());
}
