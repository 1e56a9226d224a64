//! The table of options: names, what they take, whether they may be repeated, and the help text.

use clap::builder::{FalseyValueParser, ValueParser};
use clap::{Arg, ArgAction, Command, value_parser};
use std::ffi::OsString;
use std::path::PathBuf;

/// Arguments that belong to no option. ntpd 4.2.6 takes none.
pub(super) const BARE: &str = "bare";

const ABOUT: &str = "rsntpd keeps the clock of this machine right by NTP and serves the time to others.
It takes the command line, the ntp.conf and the place of ntpd 4.2.6p5.";

const USAGE: &str = "rsntpd [OPTION]...
       rsntpd --check [FILE] [--json]
       rsntpd --explain ADDRESS [FILE]
       rsntpd --print-config [FILE]
       rsntpd --help-config [WORD]";

const AFTER: &str =
    "Long names may be shortened while they stay unambiguous, and --configfile=FILE works as well as
--configfile FILE and -cFILE. An environment variable NTPD_CONFIGFILE=FILE (and so on for every long
name) presets an option. Options marked * may be repeated. Where ntp.conf says something else than an
option, ntp.conf wins.

Exit status of --check and --print-config: 0 all understood, 1 something was not, 2 the file cannot be
read.";

/// ntpd prints its version and then the line of its build; scripts look at the first two words.
const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\nrsntpd ",
    env!("CARGO_PKG_VERSION"),
    " stands in for ntpd 4.2.6p5 (NTP version 4, RFC 5905)"
);

/// The parser.
pub(super) fn command() -> Command {
    Command::new("rsntpd")
        .about(ABOUT)
        .version(VERSION)
        .override_usage(USAGE)
        .after_help(AFTER)
        .help_template("{about}\n\n{usage-heading} {usage}\n\n{all-args}{after-help}")
        .disable_help_flag(true)
        .disable_version_flag(true)
        .infer_long_args(true)
        .next_help_heading("Look without running")
        .args(looking())
        .next_help_heading("Start")
        .args(start())
        .next_help_heading("Clock")
        .args(clock())
        .next_help_heading("Files")
        .args(files())
        .next_help_heading("Network and access")
        .args(network())
        .next_help_heading("Privileges and resources")
        .args(privileges())
        .next_help_heading("Accepted without effect")
        .args(without_effect())
        .arg(Arg::new(BARE).num_args(0..).value_parser(ValueParser::os_string()).hide(true))
}

/// An option without a value.
fn flag(short: char, long: &'static str, help: &'static str) -> Arg {
    preset(Arg::new(long).short(short).long(long).help(help).action(ArgAction::SetTrue))
        // For the environment, where 1, yes and anything else but 0, no, off and nothing switch it on.
        .value_parser(FalseyValueParser::new())
}

/// An option with a value.
fn value(short: char, long: &'static str, name: &'static str, help: &'static str) -> Arg {
    preset(Arg::new(long).short(short).long(long).value_name(name).help(help).action(ArgAction::Set))
        .allow_hyphen_values(true)
}

/// An option whose value is a path, which need not be UTF-8.
fn file(short: char, long: &'static str, name: &'static str, help: &'static str) -> Arg {
    value(short, long, name, help).value_parser(value_parser!(PathBuf))
}

/// The environment may give it a value, as with every option of ntpd.
fn preset(arg: Arg) -> Arg {
    let name = arg.get_id().as_str().to_ascii_uppercase().replace('-', "_");
    arg.env(format!("NTPD_{name}")).hide_env(true)
}

fn looking() -> Vec<Arg> {
    vec![
        Arg::new("check")
            .long("check")
            .value_name("FILE")
            .num_args(0..=1)
            .value_parser(value_parser!(PathBuf))
            .conflicts_with("explain")
            .help("Tell what in FILE is not understood and what takes effect instead"),
        Arg::new("json")
            .long("json")
            .requires("check")
            .action(ArgAction::SetTrue)
            .help("With --check: print one JSON object for programs"),
        Arg::new("explain")
            .long("explain")
            .value_names(["ADDRESS", "FILE"])
            .num_args(1..=2)
            .value_parser(value_parser!(OsString))
            .help("Tell what the client ADDRESS may do, by which restrict lines of FILE"),
        Arg::new("print-config")
            .long("print-config")
            .value_name("FILE")
            .num_args(0..=1)
            .value_parser(value_parser!(PathBuf))
            .conflicts_with_all(["check", "explain"])
            .help("Print what of FILE is in effect, in the words of ntp.conf"),
        preset(
            Arg::new("saveconfigquit")
                .long("saveconfigquit")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Write the same to FILE and exit, as ntpd does"),
        ),
        Arg::new("help-config")
            .long("help-config")
            .value_name("WORD")
            .num_args(0..=1)
            .conflicts_with_all(["check", "explain", "print-config"])
            .help("Tell what WORD means in ntp.conf, or list all words"),
        Arg::new("help")
            .short('?')
            .long("help")
            .alias("more-help")
            .action(ArgAction::Help)
            .help("Print this text"),
        Arg::new("version").long("version").action(ArgAction::Version).help("Print the version"),
    ]
}

fn start() -> Vec<Arg> {
    vec![
        file('c', "configfile", "FILE", "Configuration file [default: /etc/ntp.conf]"),
        flag(
            'n',
            "nofork",
            "Stay in the foreground; log to syslog and standard error (with -l: to that file)",
        ),
        flag('q', "quit", "Set the clock once and exit; status 1 if no server answers"),
        preset(
            Arg::new("debug-level")
                .short('d')
                .long("debug-level")
                .action(ArgAction::Count)
                .help("* Tell more; stay in the foreground"),
        ),
        value('D', "set-debug-level", "N", "* Tell as much as N times -d")
            .value_parser(value_parser!(u32))
            .action(ArgAction::Append),
        file('l', "logfile", "FILE", "Log to FILE and not to syslog"),
        file(
            'p',
            "pidfile",
            "FILE",
            "Write the process id to FILE (may be given twice: the last one counts)",
        )
        .overrides_with("pidfile"),
    ]
}

fn clock() -> Vec<Arg> {
    vec![
        flag(
            'g',
            "panicgate",
            "* Accept a first offset of any size (later, more than 1000 s end the daemon)",
        )
        .overrides_with("panicgate"),
        flag('x', "slew", "Never step the clock for less than 600 s; slew it"),
        file('f', "driftfile", "FILE", "Where the clock's frequency is remembered"),
    ]
}

fn files() -> Vec<Arg> {
    vec![
        file('k', "keyfile", "FILE", "Symmetric keys"),
        value('t', "trustedkey", "KEY", "* A key of the keys file to trust, 1 to 65535")
            .action(ArgAction::Append),
        file('s', "statsdir", "DIR", "Where statistics files go"),
        Arg::new("var")
            .long("var")
            .value_name("NAME=VALUE")
            .action(ArgAction::Append)
            .env("NTPD_VAR")
            .hide_env(true)
            .help("* Set a system variable that ntpq can read"),
        Arg::new("dvar")
            .long("dvar")
            .value_name("NAME=VALUE")
            .action(ArgAction::Append)
            .env("NTPD_DVAR")
            .hide_env(true)
            .help("* The same, and show it in ntpq's plain 'rv'"),
    ]
}

fn network() -> Vec<Arg> {
    vec![
        flag('4', "ipv4", "Use IPv4 only").conflicts_with("ipv6"),
        flag('6', "ipv6", "Use IPv6 only"),
        value('I', "interface", "IFACE", "* Listen only on this interface or address")
            .action(ArgAction::Append),
        flag('L', "novirtualips", "Leave out interfaces with ':' in their name"),
        value('U', "updateinterval", "SECONDS", "Look for new interfaces so often [default: 300; 0: never]")
            .value_parser(value_parser!(i64)),
        flag('a', "authreq", "As 'enable auth': strangers must authenticate (the default)")
            .conflicts_with("authnoreq"),
        flag('A', "authnoreq", "As 'disable auth'"),
    ]
}

fn privileges() -> Vec<Arg> {
    vec![
        value('u', "user", "USER[:GROUP]", "Run as USER (may be given twice: the last one counts)")
            .overrides_with("user"),
        file('i', "jaildir", "DIR", "Change the root directory to DIR"),
        flag('N', "nice", "Run with the highest priority"),
        value('P', "priority", "N", "Run with real-time priority N").value_parser(value_parser!(i32)),
        flag('m', "mlock", "Lock the memory, so that the daemon is never swapped out"),
        preset(
            Arg::new("server-only")
                .long("server-only")
                .help("Let processes of their own answer clients (Linux 4.6)")
                .action(ArgAction::SetTrue),
        )
        .value_parser(FalseyValueParser::new()),
        preset(
            Arg::new("workers")
                .long("workers")
                .value_name("N")
                .help("How many: 1 to 64 [default: one for each processor]")
                .value_parser(value_parser!(u32).range(1..=64)),
        ),
    ]
}

fn without_effect() -> Vec<Arg> {
    vec![
        flag('b', "bcastsync", "Accept broadcasts (not supported: servers are asked, never overheard)"),
        value('r', "propagationdelay", "SECONDS", "The delay of broadcasts (not supported)"),
    ]
}
