//! Two programs: nothing of the companions is linked into the daemon, and nothing of the daemon into the companions.

use object::{Object as _, ObjectSymbol as _, SymbolKind};
use rsntpd::units::Companion;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

const DAEMON: &str = env!("CARGO_BIN_EXE_rsntpd");
const COMPANIONS: &str = env!("CARGO_BIN_EXE_rsntpq");

/// What the names of functions hold, however they are mangled: crates, and modules of ours.
const OF_THE_COMPANIONS: [&str; 9] = [
    "6rsntpd5tools",
    "ratatui_core",
    "ratatui_widgets",
    "ratatui_termion",
    "7termion",
    "rustyline",
    "plotters",
    "plotters_svg",
    "dns_lookup",
];
const OF_THE_DAEMON: [&str; 3] = ["6rsntpd6daemon", "3mio", "9daemonize"];

/// How many functions and statics of a program have each of the words in their names.
fn linked<const N: usize>(program: &str, words: [&str; N]) -> [usize; N] {
    let bytes = std::fs::read(program).unwrap();
    let file = object::File::parse(&*bytes).unwrap();
    // The linker lists all files that it has opened, also those of which it took nothing.
    let taken = file.symbols().filter(|symbol| symbol.kind() != SymbolKind::File);
    let names: Vec<&str> = taken.filter_map(|symbol| symbol.name().ok()).collect();
    words.map(|word| names.iter().filter(|name| name.contains(word)).count())
}

#[test]
fn each_program_has_only_its_own() {
    // A program without names (a stripped one) would tell nothing: the same search has to find them where they belong.
    let there = linked(COMPANIONS, OF_THE_COMPANIONS);
    assert!(there.iter().all(|count| *count > 0), "{there:?} of {OF_THE_COMPANIONS:?} in rsntpq");
    assert_eq!(linked(DAEMON, OF_THE_COMPANIONS), [0; 9], "{OF_THE_COMPANIONS:?} in rsntpd");
    let there = linked(DAEMON, OF_THE_DAEMON);
    assert!(there.iter().all(|count| *count > 0), "{there:?} of {OF_THE_DAEMON:?} in rsntpd");
    assert_eq!(linked(COMPANIONS, OF_THE_DAEMON), [0; 3], "{OF_THE_DAEMON:?} in rsntpq");
}

/// Output, errors and status of a program started under a name.
fn under(program: &str, name: &str, args: &[&str]) -> (String, String, i32) {
    let output = Command::new(program).arg0(name).args(args).env_clear().output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code().unwrap())
}

#[test]
fn rsntpq_is_each_companion_by_its_name() {
    for (ours, classic, _) in Companion::NAMES {
        for name in [ours, classic] {
            let by_name = under(COMPANIONS, &format!("/usr/sbin/{name}"), &["--help"]);
            let (help, errors, status) = &by_name;
            assert!(
                *status == 0 && errors.is_empty() && help.starts_with(&format!("{ours} ")),
                "{name}: {by_name:?}"
            );
            assert_eq!(under(COMPANIONS, "rsntpq", &["--tool", name, "--help"]), by_name, "--tool {name}");
        }
    }
    let query = under(COMPANIONS, "rsntpq", &["--help"]);
    assert_eq!(under(COMPANIONS, "another-name", &["--help"]), query);
}

#[test]
fn a_companion_that_is_linked_to_the_daemon_says_so() {
    let (out, errors, status) = under(DAEMON, "/usr/sbin/ntpstat", &[]);
    let expected = "rsntpd: this is the daemon; ntpstat is in the program rsntpq: link ntpstat to that\n";
    assert_eq!((out.as_str(), errors.as_str(), status), ("", expected, 1));
    let (out, errors, status) = under(DAEMON, "rsntpd", &["--tool", "rsntpq", "-pn"]);
    assert!(
        out.is_empty() && errors.starts_with("rsntpd: illegal option --tool\n") && status == 1,
        "{errors}"
    );
}
