//! What the companions' command lines have in common.

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::ffi::OsString;

/// A parser with our texts; `--help` and `--version` are there already.
pub(super) fn command(name: &'static str, about: &'static str) -> Command {
    Command::new(name)
        .about(about)
        .version(env!("CARGO_PKG_VERSION"))
        .help_template("{about}\n\n{usage-heading} {usage}\n\n{all-args}{after-help}")
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args_override_self(true)
        .arg(Arg::new("help").long("help").action(ArgAction::Help).help("print this summary"))
        .arg(Arg::new("version").long("version").action(ArgAction::Version).help("print the version"))
}

/// Reads a command line.
///
/// # Errors
/// What to exit with, after what there was to say was said: 0 for `--help` and `--version`, else `usage`.
pub(super) fn parse(command: Command, args: &[OsString], usage: u8) -> Result<ArgMatches, u8> {
    let name = command.get_name().to_owned();
    command.try_get_matches_from(args).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            super::say(&error.to_string());
            0
        }
        _ => {
            let text = error.to_string();
            let what = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
            super::complain(&format!("{name}: {what}\nTry '{name} --help' for all options.\n"));
            usage
        }
    })
}

/// A flag.
pub(super) fn flag(id: &'static str, short: char, help: &'static str) -> Arg {
    Arg::new(id).short(short).long(id).action(ArgAction::SetTrue).help(help)
}

/// An option with a value.
pub(super) fn valued(id: &'static str, short: char, value: &'static str, help: &'static str) -> Arg {
    Arg::new(id).short(short).long(id).value_name(value).allow_hyphen_values(true).help(help)
}
