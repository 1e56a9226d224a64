//! The rsntpd daemon, and its companions under their own names.

use rsntpd::daemon::start::cli::{self, Command};
use rsntpd::daemon::start::run;
use rsntpd::daemon::{check, explain, print_config, reload};
use rsntpd::tools;
use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    if let Some((tool, args)) = tools::chosen(&args) {
        return ExitCode::from(tool.run(&args));
    }
    ExitCode::from(match cli::parse(args) {
        Ok(Command::Check(request)) => check::print(&request),
        Ok(Command::Reload { pidfile, name }) => reload::ask(&pidfile, &name),
        Ok(Command::Explain { address, file }) => explain::print(address, &file),
        Ok(Command::PrintConfig { file }) => print_config::print(&file),
        Ok(Command::SaveConfig { file, to }) => print_config::save(&file, &to),
        Ok(Command::HelpConfig { word }) => print_config::help(word.as_deref()),
        Ok(Command::Run(options)) => run::run(*options),
        Err(error) => error.print(),
    })
}
