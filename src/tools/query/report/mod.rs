//! `rsntpq report`: one page of HTML about the days that a folder of statistics files covers, with
//! its charts inside, to be read on a screen or on paper without anything else.
//!
//! | question | file |
//! |---|---|
//! | options, which files | here |
//! | what a line says | `lines.rs` |
//! | percentiles, Allan deviation, thinning | `numbers.rs` |
//! | charts | `chart.rs` |
//! | the page around them | `page.rs` |

mod chart;
mod lines;
mod numbers;
mod page;

use super::metrics::replace;
use crate::tools::options;
use clap::{Arg, Command, value_parser};
use lines::Statistics;
use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

/// Nothing to report, a file that cannot be read or written, or a mistake on the command line.
const FAILED: u8 = 1;
/// Longest line looked at: ntpd's have some 100 octets.
const LINE_MAX: usize = 512;

/// The command line.
#[must_use]
pub fn command() -> Command {
    options::command(
        "rsntpq report",
        "rsntpq report makes a page of charts of the statistics files that the daemon keeps.",
    )
    .override_usage("rsntpq report [--out FILE] STATSDIR")
    .after_help(
        "Read are all files of STATSDIR whose names begin with loopstats or peerstats, those of ntpd, too
(statsdir and filegen in ntp.conf). The page needs nothing else and loads nothing.

Exit status: 0, or 1 if there is nothing to report or the page could not be written.",
    )
    .arg(
        Arg::new("out")
            .long("out")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("write this file, whole or not at all; standard output by default"),
    )
    .arg(
        Arg::new("statsdir")
            .value_name("STATSDIR")
            .required(true)
            .value_parser(value_parser!(PathBuf))
            .help("where the files are"),
    )
}

/// Runs it.
#[must_use]
pub fn main(args: &[OsString]) -> u8 {
    let matches = match options::parse(command(), args, FAILED) {
        Ok(matches) => matches,
        Err(code) => return code,
    };
    let Some(folder) = matches.get_one::<PathBuf>("statsdir") else { return FAILED };
    let page = match read(folder).and_then(|statistics| page::page(folder, &statistics)) {
        Ok(page) => page,
        Err(why) => {
            crate::tools::complain(&format!("rsntpq report: {why}\n"));
            return FAILED;
        }
    };
    let Some(file) = matches.get_one::<PathBuf>("out") else {
        crate::tools::say(&page);
        return 0;
    };
    match replace(file, &page) {
        Ok(()) => 0,
        Err(error) => {
            crate::tools::complain(&format!("rsntpq report: {}: {error}\n", file.display()));
            FAILED
        }
    }
}

/// Reads all files of a folder that are ours to read.
fn read(folder: &Path) -> Result<Statistics, String> {
    let told = |path: &Path, error: io::Error| format!("{}: {error}", path.display());
    let mut statistics = Statistics::default();
    for entry in std::fs::read_dir(folder).map_err(|error| told(folder, error))? {
        let path = entry.map_err(|error| told(folder, error))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let take = match name {
            n if n.starts_with("loopstats") => Statistics::take_loop,
            n if n.starts_with("peerstats") => Statistics::take_peer,
            _ => continue,
        };
        if !path.is_file() {
            continue;
        }
        let file = std::fs::File::open(&path).map_err(|error| told(&path, error))?;
        for line in BufReader::new(file).split(b'\n') {
            let line = line.map_err(|error| told(&path, error))?;
            match std::str::from_utf8(&line) {
                Ok(text) if text.len() <= LINE_MAX => take(&mut statistics, text),
                _ => statistics.skipped += 1,
            }
        }
    }
    statistics.finish();
    if statistics.updates.is_empty() && statistics.sources.is_empty() {
        return Err(format!("{}: no line of loopstats or peerstats is there", folder.display()));
    }
    Ok(statistics)
}
