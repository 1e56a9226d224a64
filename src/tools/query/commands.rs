//! The commands of ntpq: names, arguments, what they are for, and which function does it.

use super::console::{Console, Output};
use super::{associations, change, local, mru, nts, ordered, peers, summaries, variables};
use crate::tools::link::Trouble;
use std::fmt;

/// What a command gives.
pub type Result = std::result::Result<Output, Trouble>;
/// A command's function: the console, the words behind its name, and the same as one text.
pub type Run = fn(&mut Console, &[&str], &str) -> Result;

/// A command.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// Its name.
    pub name: &'static str,
    /// Its arguments, for the help.
    pub arguments: &'static str,
    /// One line about it.
    pub help: &'static str,
    /// Whether it reads from the server, so that `--json` has data.
    pub reads: bool,
    /// What does it.
    pub run: Run,
}

const fn read(name: &'static str, arguments: &'static str, help: &'static str, run: Run) -> Command {
    Command { name, arguments, help, reads: true, run }
}

const fn other(name: &'static str, arguments: &'static str, help: &'static str, run: Run) -> Command {
    Command { name, arguments, help, reads: false, run }
}

const SOME: &str = "[assoc [name,…]]";

/// All of them, but `quit` and `exit`.
pub const COMMANDS: &[Command] = &[
    other(":config", "text", "Send a line of ntp.conf to the server (needs a key)", change::config),
    other("addvars", "name[=value],…", "Add variables to the variable list", local::addvars),
    read("apeers", "", "Same as peers, with association IDs", peers::apeers),
    read("associations", "", "List configured and reachable associations", associations::associations),
    read("authdata", "", "Show how each source is authenticated: keys, cookies, failures", nts::authdata),
    other("authenticate", "[yes|no]", "Show whether requests are signed", local::authenticate),
    read("authinfo", "", "Show authentication counters", summaries::authinfo),
    read("cl", "[assoc]", "Same as clocklist", variables::clocklist),
    other("clearvars", "", "Clear the variable list", local::clearvars),
    read(
        "clocklist",
        "[assoc]",
        "Read the variables on the list from a reference clock",
        variables::clocklist,
    ),
    read("clockvar", SOME, "Read variables of a reference clock", variables::clockvar),
    other("config", "text", "Same as :config", change::config),
    other(
        "config-from-file",
        "file",
        "Send the lines of a file to the server (needs a key)",
        change::config_from_file,
    ),
    other("cooked", "", "Print formatted values", local::cooked),
    read("cv", SOME, "Same as clockvar", variables::clockvar),
    other("delay", "[milliseconds]", "Accepted for compatibility, no effect", local::delay),
    other("help", "[command]", "List commands, or describe one", local::help),
    other("host", "[-4|-6] [name]", "Set the host to query", local::host),
    other("hostnames", "[yes|no]", "Show names or addresses of hosts", local::hostnames),
    read("ifstats", "", "List network interfaces with their counters (may need a key)", ordered::ifstats),
    read("iostats", "", "Show input and output counters", summaries::iostats),
    read("kerninfo", "", "Show the state of the kernel clock", summaries::kerninfo),
    other("keyid", "[key]", "Set the key number for signed requests", local::keyid),
    other("keytype", "[type]", "Set the key type: MD5, SHA1, AES-128-CMAC, …", local::keytype),
    read("lassociations", "", "List all associations", associations::lassociations),
    read("lopeers", "", "Same as opeers, for all associations", peers::lopeers),
    read("lpassociations", "", "Print the last list of all associations again", associations::lpassociations),
    read("lpeers", "", "Same as peers, for all associations", peers::lpeers),
    read("monstats", "", "Show size and limits of the client table", summaries::monstats),
    read("mreadlist", "first last", "Same as readlist, for a range of associations", variables::mreadlist),
    read(
        "mreadvar",
        "first last [name,…]",
        "Same as readvar, for a range of associations",
        variables::mreadvar,
    ),
    read("mrl", "first last", "Same as mreadlist", variables::mreadlist),
    read(
        "mrulist",
        "[name=value …]",
        "List the most recently seen clients (filters: see rsntpq(8))",
        mru::mrulist,
    ),
    read("mrv", "first last [name,…]", "Same as mreadvar", variables::mreadvar),
    other("ntpversion", "[1|2|3|4]", "Set the NTP version of requests", local::ntpversion),
    read("ntsinfo", "", "Show the counters of Network Time Security", nts::ntsinfo),
    read("opeers", "", "Same as peers, with the local address instead of the reference ID", peers::opeers),
    read("passociations", "", "Print the last list of associations again", associations::passociations),
    other("passwd", "[password]", "Set the password of the key", local::passwd),
    read("peers", "", "List the time sources", peers::peers),
    read("pstats", "assoc", "Show the counters of an association", summaries::pstats),
    read("pstatus", "assoc", "Read status and variables of an association", variables::pstatus),
    other("raw", "", "Print values as received", local::raw),
    read("readlist", "[assoc]", "Read the variables on the list", variables::readlist),
    read("readvar", SOME, "Read variables of the system or of an association", variables::readvar),
    read("reslist", "", "List the restrictions with their hit counts (may need a key)", ordered::reslist),
    read("rl", "[assoc]", "Same as readlist", variables::readlist),
    other("rmvars", "name,…", "Remove variables from the variable list", local::rmvars),
    read("rv", SOME, "Same as readvar", variables::readvar),
    other(
        "saveconfig",
        "file",
        "Save the configuration to a file on the server (needs a key)",
        change::saveconfig,
    ),
    other("showvars", "", "Show the variable list", local::showvars),
    read("sysinfo", "", "Show a summary of the system variables", summaries::sysinfo),
    read("sysstats", "", "Show uptime and packet counters", summaries::sysstats),
    other("timeout", "[milliseconds]", "Set the response timeout", local::timeout),
    read("timerstats", "", "Show timer counters", summaries::timerstats),
    other("version", "", "Print the version of this program", local::version),
    other("writelist", "[assoc]", "Write the variables on the list (needs a key)", change::writelist),
    other("writevar", "assoc name=value,…", "Write variables (needs a key)", change::writevar),
];

/// Why a word is no command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NoCommand {
    /// No command begins like this.
    Unknown,
    /// All these do.
    Ambiguous(Vec<&'static str>),
}

impl fmt::Display for NoCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("unknown"),
            Self::Ambiguous(names) => write!(f, "ambiguous: {}", names.join(", ")),
        }
    }
}

/// The command of a name or of the beginning of one.
///
/// # Errors
/// [`NoCommand`].
pub fn find(word: &str) -> std::result::Result<&'static Command, NoCommand> {
    let word = match word {
        // The names ntpq knows besides, and those that a shorter one would make ambiguous.
        "as" => "associations",
        "las" => "lassociations",
        "pas" => "passociations",
        "lpas" => "lpassociations",
        "pe" => "peers",
        "?" => "help",
        other => other,
    };
    if let Some(command) = COMMANDS.iter().find(|c| c.name == word) {
        return Ok(command);
    }
    let close: Vec<&Command> = COMMANDS.iter().filter(|c| c.name.starts_with(word)).collect();
    match close[..] {
        [] => Err(NoCommand::Unknown),
        [one] => Ok(one),
        _ => Err(NoCommand::Ambiguous(close.iter().map(|c| c.name).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_found_by_their_beginning() {
        assert!(COMMANDS.is_sorted_by_key(|c| c.name));
        for (word, name) in [("as", "associations"), ("rv", "rv"), ("mru", "mrulist"), ("sysi", "sysinfo")] {
            assert_eq!(find(word).unwrap().name, name);
        }
        assert!(find("sys").unwrap_err().to_string().starts_with("ambiguous: sysinfo, sysstats"));
        assert_eq!(find("xyzzy").unwrap_err(), NoCommand::Unknown);
    }
}
