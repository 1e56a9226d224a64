//! The rsntpd daemon.

use rsntpd::daemon::cli::{self, Command};
use rsntpd::daemon::{check, explain, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(match cli::parse(std::env::args_os()) {
        Ok(Command::Check { file }) => check::print(&file),
        Ok(Command::Explain { address, file }) => explain::print(address, &file),
        Ok(Command::Run(options)) => run::run(*options),
        Err(error) => error.print(),
    })
}
