//! What the companions' command lines have in common.

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::ffi::OsString;

/// A parser with our texts; `--help` and `--version` are there already, under the letters that ntp.org
/// and NTPsec use. Long names may be abbreviated, as with the classic programs.
pub(super) fn command(name: &'static str, about: &'static str) -> Command {
    Command::new(name)
        .about(about)
        .version(env!("CARGO_PKG_VERSION"))
        .help_template("{about}\n\n{usage-heading} {usage}\n\n{all-args}{after-help}")
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args_override_self(true)
        .infer_long_args(true)
        .arg(
            Arg::new("help")
                .short('h')
                .short_aliases(['?', '!'])
                .long("help")
                .alias("more-help")
                .action(ArgAction::Help)
                .help("Print this help"),
        )
        .arg(
            Arg::new("version")
                .short('V')
                .long("version")
                .action(ArgAction::Version)
                .help("Print the version"),
        )
}

/// Options of the classic programs that change nothing here: accepted, so that scripts go on working,
/// and named in the manual page only. With a letter; those of `with_value` take one.
pub(super) fn without_effect(
    command: Command,
    plain: &'static [(char, &'static str)],
    with_value: &'static [(char, &'static str)],
) -> Command {
    let hidden = |(short, long): &(char, &'static str)| Arg::new(*long).short(*short).long(*long).hide(true);
    let plain = plain.iter().map(|option| hidden(option).action(ArgAction::Count));
    let with_value = with_value.iter().map(|option| hidden(option).num_args(1).allow_hyphen_values(true));
    command.args(plain).args(with_value)
}

/// Parses a command line.
///
/// # Errors
/// The exit status, after the text was printed: 0 for `--help` and `--version`, else `usage`.
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
