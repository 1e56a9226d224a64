//! The rsntpd daemon. Its companions are another program, `src/bin/rsntpq.rs`.

use rsntpd::daemon::reload;
use rsntpd::daemon::start::cli::{self, Command};
use rsntpd::daemon::start::{inspect, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(match cli::parse(std::env::args_os()) {
        Ok(Command::Check(request)) => inspect::check(&request),
        Ok(Command::Reload { pidfile, name }) => reload::ask(&pidfile, &name),
        Ok(Command::Explain { address, file }) => inspect::explain(address, &file),
        Ok(Command::PrintConfig { file }) => inspect::print_config(&file),
        Ok(Command::SaveConfig { file, to }) => inspect::save_config(&file, &to),
        Ok(Command::HelpConfig { word }) => inspect::help_config(word.as_deref()),
        Ok(Command::Run(options)) => run::run(*options),
        Err(error) => error.print(),
    })
}
