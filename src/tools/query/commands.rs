//! The commands of ntpq: names, arguments, what they are for, and which function does it.

use super::console::{Console, Output};
use super::{associations, change, local, mru, ordered, peers, summaries, variables};
use crate::tools::link::Trouble;

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
    /// What it is for, in a line.
    pub help: &'static str,
    /// Whether it asks the server something, so that `--json` has an answer.
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
    other(":config", "text", "give the server a line of ntp.conf (needs a key)", change::config),
    other("addvars", "name[=value],…", "add to the list of variables", local::addvars),
    read("apeers", "", "as peers, with association identifiers", peers::apeers),
    read("associations", "", "list configured and reachable associations", associations::associations),
    other("authenticate", "[yes|no]", "sign all requests", local::authenticate),
    read("authinfo", "", "counters of authentication", summaries::authinfo),
    read("cl", "[assoc]", "as clocklist", variables::clocklist),
    other("clearvars", "", "empty the list of variables", local::clearvars),
    read("clocklist", "[assoc]", "read the listed variables of a reference clock", variables::clocklist),
    read("clockvar", SOME, "read variables of a reference clock", variables::clockvar),
    other("config", "text", "as :config", change::config),
    other(
        "config-from-file",
        "file",
        "give the server the lines of a file (needs a key)",
        change::config_from_file,
    ),
    other("cooked", "", "show values as people read them", local::cooked),
    read("cv", SOME, "as clockvar", variables::clockvar),
    other("delay", "[milliseconds]", "kept for old scripts: nothing uses it", local::delay),
    other("help", "[command]", "list commands, or explain one", local::help),
    other("host", "[-4|-6] [name]", "turn to another server", local::host),
    other("hostnames", "[yes|no]", "show names or numbers of hosts", local::hostnames),
    read("ifstats", "", "the server's addresses with their counters (may need a key)", ordered::ifstats),
    read("iostats", "", "counters of input and output", summaries::iostats),
    read("kerninfo", "", "state of the server's kernel clock", summaries::kerninfo),
    other("keyid", "[key]", "number of the key to sign with", local::keyid),
    other("keytype", "[type]", "type of that key: MD5, SHA1, AES-128-CMAC, …", local::keytype),
    read("lassociations", "", "list all associations", associations::lassociations),
    read("lopeers", "", "as opeers, of all associations", peers::lopeers),
    read("lpassociations", "", "the last list of all associations again", associations::lpassociations),
    read("lpeers", "", "as peers, of all associations", peers::lpeers),
    read("monstats", "", "the table of clients: size and limits", summaries::monstats),
    read("mreadlist", "first last", "readlist for a range of associations", variables::mreadlist),
    read("mreadvar", "first last [name,…]", "readvar for a range of associations", variables::mreadvar),
    read("mrl", "first last", "as mreadlist", variables::mreadlist),
    read("mrulist", "[name=value …]", "the clients seen lately (see the manual page)", mru::mrulist),
    read("mrv", "first last [name,…]", "as mreadvar", variables::mreadvar),
    other("ntpversion", "[1|2|3|4]", "version of requests", local::ntpversion),
    read("opeers", "", "as peers, with our address instead of the reference identifier", peers::opeers),
    read("passociations", "", "the last list of associations again", associations::passociations),
    other("passwd", "[password]", "password of the key", local::passwd),
    read("peers", "", "the sources of time, a line for each", peers::peers),
    read("pstats", "assoc", "counters of an association", summaries::pstats),
    read("pstatus", "assoc", "read an association's status and variables", variables::pstatus),
    other("raw", "", "show values as they come", local::raw),
    read("readlist", "[assoc]", "read the listed variables", variables::readlist),
    read("readvar", SOME, "read variables of the system or an association", variables::readvar),
    read("reslist", "", "the server's restrictions with their hits (may need a key)", ordered::reslist),
    read("rl", "[assoc]", "as readlist", variables::readlist),
    other("rmvars", "name,…", "remove from the list of variables", local::rmvars),
    read("rv", SOME, "as readvar", variables::readvar),
    other("saveconfig", "file", "have the server write its configuration (needs a key)", change::saveconfig),
    other("showvars", "", "show the list of variables", local::showvars),
    read("sysinfo", "", "summary of the system variables", summaries::sysinfo),
    read("sysstats", "", "uptime and counters of packets", summaries::sysstats),
    other("timeout", "[milliseconds]", "how long to wait for an answer in all", local::timeout),
    read("timerstats", "", "counters of timers", summaries::timerstats),
    other("version", "", "version of this program", local::version),
    other("writelist", "[assoc]", "write the listed variables (needs a key)", change::writelist),
    other("writevar", "assoc name=value,…", "write variables (needs a key)", change::writevar),
];

/// The command of a name or of the beginning of one.
///
/// # Errors
/// `unknown`, or `ambiguous` with what it may be.
pub fn find(word: &str) -> std::result::Result<&'static Command, String> {
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
        [] => Err("unknown".to_owned()),
        [one] => Ok(one),
        _ => {
            let names: Vec<&str> = close.iter().map(|c| c.name).collect();
            Err(format!("ambiguous: {}", names.join(", ")))
        }
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
        assert!(find("sys").unwrap_err().starts_with("ambiguous: sysinfo, sysstats"));
        assert_eq!(find("xyzzy").unwrap_err(), "unknown");
    }
}
