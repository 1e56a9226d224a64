//! The table of options: names, what they take, whether they may be repeated, and the help text.

use clap::builder::{FalseyValueParser, ValueParser};
use clap::{Arg, ArgAction, Command, value_parser};
use std::ffi::OsString;
use std::path::PathBuf;

/// Arguments that belong to no option. ntpd 4.2.6 takes none.
pub(super) const BARE: &str = "bare";

const ABOUT: &str = "rsntpd synchronizes the clock of this machine by NTP and serves the time to others.
It replaces ntpd 4.2.6p5, with the same command line and ntp.conf.";

const USAGE: &str = "rsntpd [OPTION]...
       rsntpd --check [FILE] [--json]
       rsntpd --explain ADDRESS [FILE]
       rsntpd --reload [-p FILE]
       rsntpd --print-config [FILE]
       rsntpd --help-config [WORD]";

const AFTER: &str =
    "Long option names may be abbreviated as long as they are unambiguous. --configfile=FILE, --configfile FILE
and -cFILE are equivalent. The environment variable NTPD_CONFIGFILE=FILE (and so on for every long name)
presets an option. Options marked * may be repeated. Settings in ntp.conf override options.

Exit status of --check and --print-config: 0 no errors, 1 errors, 2 the file cannot be read.";

/// ntpd prints its version and then the line of its build; scripts look at the first two words.
const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\nrsntpd ",
    env!("CARGO_PKG_VERSION"),
    " stands in for ntpd 4.2.6p5 (NTP version 4, RFC 5905)"
);

/// ntpd's name and version first, for who asks `ntpd`. What comes last is a version of ntpd again: Chef's cookbook
/// takes the last one of the line.
const VERSION_OF_NTPD: &str =
    concat!("4.2.6p5 (rsntpd ", env!("CARGO_PKG_VERSION"), "), compatible with ntpd 4.2.6p5");

/// The parser of the program that was started by this name.
pub(super) fn command(name: &str) -> Command {
    let (shown, version) = if name == "ntpd" { ("ntpd", VERSION_OF_NTPD) } else { ("rsntpd", VERSION) };
    Command::new(shown)
        .about(ABOUT)
        .version(version)
        .override_usage(USAGE)
        .after_help(AFTER)
        .help_template("{about}\n\n{usage-heading} {usage}\n\n{all-args}{after-help}")
        .disable_help_flag(true)
        .disable_version_flag(true)
        .infer_long_args(true)
        .next_help_heading("Inspect without starting")
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
            .help("Check FILE and print every problem with its effect, without starting"),
        Arg::new("json")
            .long("json")
            .requires("check")
            .action(ArgAction::SetTrue)
            .help("With --check: print the result as one JSON object"),
        Arg::new("explain")
            .long("explain")
            .value_names(["ADDRESS", "FILE"])
            .num_args(1..=2)
            .value_parser(value_parser!(OsString))
            .help("Explain the access rights of ADDRESS and the restrict lines behind them"),
        Arg::new("print-config")
            .long("print-config")
            .value_name("FILE")
            .num_args(0..=1)
            .value_parser(value_parser!(PathBuf))
            .conflicts_with_all(["check", "explain"])
            .help("Print the effective configuration of FILE as an ntp.conf"),
        preset(
            Arg::new("saveconfigquit")
                .long("saveconfigquit")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Save the effective configuration to FILE and exit, as ntpd does"),
        ),
        Arg::new("help-config")
            .long("help-config")
            .value_name("WORD")
            .num_args(0..=1)
            .conflicts_with_all(["check", "explain", "print-config"])
            .help("Explain the ntp.conf keyword WORD, or list all keywords"),
        Arg::new("help")
            .short('?')
            .long("help")
            .alias("more-help")
            .action(ArgAction::Help)
            .help("Print this help"),
        Arg::new("version").long("version").action(ArgAction::Version).help("Print the version"),
    ]
}

fn start() -> Vec<Arg> {
    vec![
        file('c', "configfile", "FILE", "Configuration file [default: /etc/ntp.conf]"),
        flag('n', "nofork", "Do not fork; log to syslog and standard error (with -l: to that file)"),
        flag('q', "quit", "Set the clock once and exit; exit status 1 if no server responds"),
        preset(
            Arg::new("debug-level")
                .short('d')
                .long("debug-level")
                .action(ArgAction::Count)
                .help("* Increase debug verbosity; do not fork"),
        ),
        Arg::new("reload")
            .long("reload")
            .action(ArgAction::SetTrue)
            .help("Reload the configuration of the daemon with pid file -p and print the result"),
        value('D', "set-debug-level", "N", "* Set debug level N")
            .value_parser(value_parser!(u32))
            .action(ArgAction::Append),
        file('l', "logfile", "FILE", "Log to FILE instead of syslog"),
        file('p', "pidfile", "FILE", "Write the process ID to FILE (if repeated, the last one counts)")
            .overrides_with("pidfile"),
    ]
}

fn clock() -> Vec<Arg> {
    vec![
        flag('g', "panicgate", "* Accept any first offset (later offsets above 1000 s stop the daemon)")
            .overrides_with("panicgate"),
        flag('x', "slew", "Slew offsets of up to 600 s instead of stepping the clock"),
        file('f', "driftfile", "FILE", "Drift file: stores the clock frequency"),
    ]
}

fn files() -> Vec<Arg> {
    vec![
        file('k', "keyfile", "FILE", "Symmetric key file"),
        value('t', "trustedkey", "KEY", "* Trust this key of the key file, 1 to 65535")
            .action(ArgAction::Append),
        file('s', "statsdir", "DIR", "Directory for statistics files"),
        Arg::new("var")
            .long("var")
            .value_name("NAME=VALUE")
            .action(ArgAction::Append)
            .env("NTPD_VAR")
            .hide_env(true)
            .help("* Add a system variable, readable by ntpq"),
        Arg::new("dvar")
            .long("dvar")
            .value_name("NAME=VALUE")
            .action(ArgAction::Append)
            .env("NTPD_DVAR")
            .hide_env(true)
            .help("* The same, and list it in ntpq's plain 'rv'"),
    ]
}

fn network() -> Vec<Arg> {
    vec![
        flag('4', "ipv4", "Use IPv4 only").conflicts_with("ipv6"),
        flag('6', "ipv6", "Use IPv6 only"),
        value('I', "interface", "IFACE", "* Listen only on this interface or address")
            .action(ArgAction::Append),
        flag('L', "novirtualips", "Do not listen on interfaces with ':' in their name"),
        value(
            'U',
            "updateinterval",
            "SECONDS",
            "Rescan network interfaces every SECONDS [default: 300; 0: never]",
        )
        .value_parser(value_parser!(i64)),
        flag('a', "authreq", "As 'enable auth': new associations must authenticate (default)")
            .conflicts_with("authnoreq"),
        flag('A', "authnoreq", "As 'disable auth'"),
    ]
}

fn privileges() -> Vec<Arg> {
    vec![
        value('u', "user", "USER[:GROUP]", "Run as USER (if repeated, the last one counts)")
            .overrides_with("user"),
        file('i', "jaildir", "DIR", "Chroot to DIR"),
        flag('N', "nice", "Run with the highest priority"),
        value('P', "priority", "N", "Run with real-time priority N").value_parser(value_parser!(i32)),
        flag('m', "mlock", "Lock the daemon into memory: never swap it out"),
        preset(
            Arg::new("server-only")
                .long("server-only")
                .help("Serve clients from worker processes (Linux 4.6)")
                .action(ArgAction::SetTrue),
        )
        .value_parser(FalseyValueParser::new()),
        preset(
            Arg::new("workers")
                .long("workers")
                .value_name("N")
                .help("Number of worker processes, 1 to 64 [default: one per processor]")
                .value_parser(value_parser!(u32).range(1..=64)),
        ),
    ]
}

fn without_effect() -> Vec<Arg> {
    vec![
        flag('b', "bcastsync", "Synchronize to broadcast servers (not supported)"),
        value('r', "propagationdelay", "SECONDS", "Broadcast propagation delay (not supported)"),
    ]
}
