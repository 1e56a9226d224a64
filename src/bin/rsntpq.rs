//! The companions of the daemon: one program under their names.

use rsntpd::tools;
use rsntpd::units::Companion;
use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    let (companion, args) = tools::chosen(&args).unwrap_or((Companion::Query, args));
    ExitCode::from(tools::run(companion, &args))
}
