//! `seccomp` and `landlock`, words of our own.

use rsntpd::config::model::{Landlock, Seccomp};
use rsntpd::config::{Diagnostic, parse, print};
use std::path::Path;

#[test]
fn the_words_of_the_sandbox() {
    for (text, seccomp, landlock, said) in [
        ("", Seccomp::Trap, Landlock::On, ""),
        ("seccomp trap\nlandlock on\n", Seccomp::Trap, Landlock::On, ""),
        ("seccomp log\n", Seccomp::Log, Landlock::On, ""),
        ("seccomp off\nlandlock off\n", Seccomp::Off, Landlock::Off, ""),
        ("landlock off\nlandlock on\n", Seccomp::Trap, Landlock::On, ""),
        ("seccomp kill\n", Seccomp::Trap, Landlock::On, "does not take \"kill\""),
        ("seccomp\n", Seccomp::Trap, Landlock::On, "needs a value"),
        ("landlock 0\n", Seccomp::Trap, Landlock::On, "does not take \"0\""),
        ("landlok off\n", Seccomp::Trap, Landlock::On, "did you mean landlock?"),
        ("secomp off\n", Seccomp::Trap, Landlock::On, "did you mean seccomp?"),
    ] {
        let read = |text: &[u8]| parse(Path::new("ntp.conf"), text, &mut |_| Err("".into()));
        let parsed = read(text.as_bytes());
        assert_eq!((parsed.config.seccomp, parsed.config.landlock), (seccomp, landlock), "{text}");
        let lines: Vec<String> = parsed.diagnostics.iter().map(Diagnostic::log_line).collect();
        let as_expected = lines.iter().all(|line| line.contains(said));
        assert!(lines.is_empty() == said.is_empty() && as_expected, "{text}: {lines:?}");
        let again = read(&print(&parsed.config));
        assert_eq!(again.config, parsed.config, "{text}");
    }
}
