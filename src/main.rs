//! The rsntpd daemon, and its companions under their own names.

use rsntpd::daemon::reload;
use rsntpd::daemon::start::cli::{self, Command};
use rsntpd::daemon::start::{inspect, run};
use rsntpd::tools;
use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    if let Some((companion, args)) = tools::chosen(&args) {
        return ExitCode::from(tools::run(companion, &args));
    }
    ExitCode::from(match cli::parse(args) {
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
