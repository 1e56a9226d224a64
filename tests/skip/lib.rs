//! A test that cannot run on this machine is reported as skipped.
//!
//! Rust's harness knows of a test only that it passed or failed, and hides what a passing one prints. So the report goes
//! around the harness: to standard error, and to the file that `SKIPPED` names, which `make check` counts.

use std::fs::OpenOptions;
use std::io::Write as _;

/// Reports that the test of this thread, or a part of it, is skipped: `reason` is what the machine lacks.
pub fn because(reason: &str) {
    let thread = std::thread::current();
    let line = format!("skipped  {}: {reason}\n", thread.name().unwrap_or("a test"));
    // One write each: lines of tests that run at the same time are not mixed. If a report cannot be
    // written, no test fails for that.
    let _shown = std::io::stderr().write_all(line.as_bytes());
    if let Some(file) = std::env::var_os("SKIPPED") {
        let file = OpenOptions::new().create(true).append(true).open(file);
        let _counted = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
}
