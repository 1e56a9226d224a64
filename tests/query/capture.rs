//! Reads the captures: screens, and the datagrams behind them.

use std::path::Path;

/// One command and what it printed.
pub(crate) struct Screen {
    /// `ntpq-4.2.6p5`, `ntpstat`, …
    pub(crate) tool: String,
    /// Its arguments.
    pub(crate) command: String,
    /// Standard output and standard error.
    pub(crate) text: String,
    /// What it sent and got, in order: a request and the datagrams of its answer.
    pub(crate) exchanges: Vec<(Vec<u8>, Vec<Vec<u8>>)>,
}

/// A file of captures: all about one daemon.
pub(crate) struct Capture {
    pub(crate) name: String,
    pub(crate) screens: Vec<Screen>,
    /// All exchanges of the file.
    pub(crate) answers: Vec<(Vec<u8>, Vec<Vec<u8>>)>,
}

fn octets(hex: &str) -> Vec<u8> {
    let digit = |c: u8| char::from(c).to_digit(16).expect("hexadecimal") as u8;
    hex.trim().as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// The captures of ../shared/data; none where that is missing, and the test is reported as skipped.
pub(crate) fn captures() -> Vec<Capture> {
    let found = files();
    if found.is_empty() {
        skip::because("there is no ../shared/data with captures");
    }
    found
}

fn files() -> Vec<Capture> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let names = ["mode6-ntpd-4.2.6p5.txt", "mode6-ntpd-4.3.91.txt"];
    names.into_iter().filter_map(|name| Some(parse(name, &std::fs::read(folder.join(name)).ok()?))).collect()
}

fn parse(name: &str, text: &[u8]) -> Capture {
    let text = String::from_utf8_lossy(text);
    let mut screens: Vec<Screen> = Vec::new();
    // Carriage returns are part of a screen, so lines end at line feeds only.
    for line in text.split_inclusive('\n') {
        if let Some(title) = line.strip_prefix("### ") {
            let (tool, command) = title.trim_end_matches('\n').split_once(' ').unwrap_or((title, ""));
            let (tool, command) = (tool.to_owned(), command.to_owned());
            screens.push(Screen { tool, command, text: String::new(), exchanges: Vec::new() });
            continue;
        }
        let Some(screen) = screens.last_mut() else { continue };
        if let Some(sent) = line.strip_prefix("> ") {
            screen.exchanges.push((octets(sent), Vec::new()));
        } else if let Some(got) = line.strip_prefix("< ") {
            screen.exchanges.last_mut().expect("an answer follows a request").1.push(octets(got));
        } else {
            screen.text.push_str(line);
        }
    }
    for screen in &mut screens {
        // A blank line stands between two screens.
        if screen.text.ends_with("\n\n") || screen.text == "\n" {
            screen.text.pop();
        }
    }
    let answers = screens.iter().flat_map(|s| s.exchanges.clone()).collect();
    Capture { name: name.to_owned(), screens, answers }
}

/// Prints how much was compared, where there are captures: then it must be something.
pub(crate) fn told(what: &str, compared: usize) {
    if !files().is_empty() {
        assert!(compared > 0, "the captures hold no screen of {what}");
        println!("{what}: {compared} screens are the same");
    }
}
