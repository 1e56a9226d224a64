//! The rsntpd daemon.

use rsntpd::daemon::cli::{self, Command};
use rsntpd::daemon::{check, explain, print_config, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(match cli::parse(std::env::args_os()) {
        Ok(Command::Check(request)) => check::print(&request),
        Ok(Command::Explain { address, file }) => explain::print(address, &file),
        Ok(Command::PrintConfig { file }) => print_config::print(&file),
        Ok(Command::SaveConfig { file, to }) => print_config::save(&file, &to),
        Ok(Command::HelpConfig { word }) => print_config::help(word.as_deref()),
        Ok(Command::Run(options)) => run::run(*options),
        Err(error) => error.print(),
    })
}
