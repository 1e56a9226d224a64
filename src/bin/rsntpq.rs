//! The companions of the daemon: one program under their names.

use rsntpd::tools;
use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    let (companion, args) = tools::chosen(&args);
    ExitCode::from(tools::run(companion, &args))
}
