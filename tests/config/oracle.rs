//! What holds of every text, whoever wrote it: for the property tests, the replay and the fuzz target.
//!
//! A text may have the files that it includes behind it, each behind a byte 28, which a text file has not: `includefile` with a name
//! that ends in a digit reads one of these, others read what is always the same.

use rsntpd::config::model::{Config, Origin};
use rsntpd::config::{Diagnostic, Parsed, Severity, Style, parse, print};
use std::path::Path;

/// What every includefile holds.
const INCLUDED: &[u8] = b"server included.example ibrust\nincludefile again\nrestrict 192.0.2.9 nomodify\n";

/// Between the files of a tree.
const SEPARATOR: u8 = 28;
/// Files that are read at most, and bytes of them: the last one may go beyond.
const INCLUDES_MAX: usize = 1_000;
const INCLUDED_MAX: usize = 4 << 20;

/// Reads a text that may include others.
pub fn read(text: &[u8]) -> Parsed {
    let files: Vec<&[u8]> = text.split(|b| *b == SEPARATOR).collect();
    let (mut reads, mut bytes) = (0, 0);
    parse(Path::new("/etc/ntp.conf"), files[0], &mut |path| {
        reads += 1;
        assert!(reads <= INCLUDES_MAX && bytes <= INCLUDED_MAX, "{reads} files with {bytes} bytes are read");
        let name = path.as_os_str();
        let digit = name.as_encoded_bytes().last().filter(|last| last.is_ascii_digit() && files.len() > 1);
        let file = match digit {
            // The first one includes itself.
            Some(digit) => files[usize::from(digit - b'0') % files.len()],
            None if name.len() % 2 == 0 => INCLUDED,
            None => return Err("No such file".into()),
        };
        bytes += file.len();
        Ok(file.to_vec())
    })
}

/// The configuration without the places that it comes from.
fn plain(config: &Config) -> Config {
    let mut config = config.clone();
    for entry in &mut config.restrict {
        entry.origin = Origin::default();
    }
    config
}

/// Every finding can be shown, and what is printed of the configuration reads as the same configuration,
/// without an error, and prints as the same text.
///
/// # Panics
/// If it is not so.
pub fn hold(text: &[u8]) {
    let first = read(text);
    for found in first.diagnostics.iter().chain(&first.lints) {
        assert!(found.span.end <= found.source.len() && found.span.start <= found.span.end);
        assert!(found.line > 0 && found.column > 0 && !found.effect.is_empty(), "{found:?}");
        assert!(!found.log_line().contains('\n'), "{found:?}");
        let shown = found.render(Style::Plain);
        assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
    }
    let printed = print(&first.config);
    let second = read(&printed);
    let shown = String::from_utf8_lossy(&printed);
    let errors: Vec<String> = second
        .diagnostics
        .iter()
        .filter(|d| d.severity == Severity::Error)
        // Names that no resolver finds are kept all the same, as ntpd keeps them.
        .filter(|d| !d.message.contains(" cannot be "))
        .map(Diagnostic::log_line)
        .collect();
    assert!(errors.is_empty(), "{shown}\n{errors:?}");
    assert_eq!(String::from_utf8_lossy(&print(&second.config)), shown);
    assert_eq!(plain(&second.config), plain(&first.config), "{shown}");
}
