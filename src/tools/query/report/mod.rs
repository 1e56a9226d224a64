//! `rsntpq report`: one page of HTML from the statistics files of one host or several, with its charts
//! inside, to be read on a screen or on paper without anything else.
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
use crate::sys::clock;
use crate::tools::options;
use crate::units::{NtpTimestamp, PIVOT};
use clap::{Arg, Command, value_parser};
use lines::Statistics;
use page::Host;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

/// Nothing to report, a file that cannot be read or written, or a mistake on the command line.
const FAILED: u8 = 1;
/// Longest line accepted: ntpd's have some 100 bytes.
const LINE_MAX: usize = 512;
/// Endings of compressed files.
const COMPRESSED: [&str; 5] = [".gz", ".bz2", ".xz", ".zst", ".Z"];

/// The command line.
#[must_use]
pub fn command() -> Command {
    options::command(
        "rsntpq report",
        "rsntpq report makes an HTML page with charts from the daemon's statistics files.",
    )
    .override_usage("rsntpq report [--out FILE] STATSDIR...")
    .after_help(
        "All files of STATSDIR whose names begin with loopstats or peerstats are read, those of ntpd, too
(statsdir and filegen in ntp.conf); compressed ones are not. With several directories, one for each host,
the page compares the hosts. The page needs no other files.

Exit status: 0, or 1 if there is nothing to report or the page could not be written.",
    )
    .arg(
        Arg::new("out")
            .long("out")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("Write to FILE, atomically, instead of standard output"),
    )
    .arg(
        Arg::new("statsdir")
            .value_name("STATSDIR")
            .required(true)
            .num_args(1..)
            .value_parser(value_parser!(PathBuf))
            .help("Directories with statistics files, one per host"),
    )
}

/// Runs it.
#[must_use]
pub fn main(args: &[OsString]) -> u8 {
    let matches = match options::parse(command(), args, FAILED) {
        Ok(matches) => matches,
        Err(code) => return code,
    };
    let folders = matches.get_many::<PathBuf>("statsdir").into_iter().flatten();
    let hosts: Vec<Host> =
        folders.map(|folder| Host { name: folder.display().to_string(), statistics: read(folder) }).collect();
    for why in hosts.iter().filter_map(|host| host.statistics.as_ref().err()) {
        fail(&why.to_string());
    }
    if hosts.iter().all(|host| host.statistics.is_err()) {
        return FAILED;
    }
    let now = clock::wall().to_unix(PIVOT).0;
    let page = match page::page(&hosts, now as f64) {
        Ok(page) => page,
        Err(why) => return fail(&why.to_string()),
    };
    let Some(file) = matches.get_one::<PathBuf>("out") else {
        crate::tools::say(&page);
        return 0;
    };
    match replace(file, &page) {
        Ok(()) => 0,
        Err(error) => fail(&format!("{}: {error}", file.display())),
    }
}

fn fail(why: &str) -> u8 {
    crate::tools::complain(&format!("rsntpq report: {why}\n"));
    FAILED
}

/// Why a directory has no statistics for the report.
#[derive(Debug)]
enum Unread {
    /// It, or a file in it.
    File(PathBuf, io::Error),
    /// No line in it is one of loopstats or peerstats; perhaps there are compressed files.
    NoLine { folder: PathBuf, compressed: bool },
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, why) => write!(f, "{}: {why}", path.display()),
            Self::NoLine { folder, compressed } => {
                let hint = if *compressed { ", only compressed files" } else { "" };
                write!(f, "{}: no line of loopstats or peerstats found{hint}", folder.display())
            }
        }
    }
}

/// Reads the statistics files of a directory.
fn read(folder: &Path) -> Result<Statistics, Unread> {
    let failed = |path: &Path, why: io::Error| Unread::File(path.to_owned(), why);
    let mut statistics = Statistics::default();
    for entry in std::fs::read_dir(folder).map_err(|error| failed(folder, error))? {
        let path = entry.map_err(|error| failed(folder, error))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let take = match name {
            n if n.starts_with("loopstats") => Statistics::take_loop,
            n if n.starts_with("peerstats") => Statistics::take_peer,
            _ => continue,
        };
        if !path.is_file() {
            continue;
        }
        if COMPRESSED.iter().any(|ending| name.ends_with(ending)) {
            statistics.compressed += 1;
            continue;
        }
        let file = std::fs::File::open(&path).map_err(|error| failed(&path, error))?;
        take_lines(&mut statistics, take, BufReader::new(file)).map_err(|error| failed(&path, error))?;
    }
    statistics.finish();
    if statistics.is_empty() {
        return Err(Unread::NoLine { folder: folder.to_owned(), compressed: statistics.compressed > 0 });
    }
    Ok(statistics)
}

fn take_lines(
    statistics: &mut Statistics,
    take: fn(&mut Statistics, &str),
    lines: impl io::BufRead,
) -> io::Result<()> {
    for line in lines.split(b'\n') {
        let line = line?;
        match std::str::from_utf8(&line) {
            Ok(text) if text.len() <= LINE_MAX => take(statistics, text),
            _ => statistics.skipped += 1,
        }
    }
    Ok(())
}

/// The page of one host with these files of loopstats and peerstats.
///
/// # Errors
/// That there is no line in them, or why a chart could not be drawn.
pub fn page_of(name: &str, loops: &[u8], peers: &[u8], now: NtpTimestamp) -> Result<String, String> {
    let mut statistics = Statistics::default();
    let taken = take_lines(&mut statistics, Statistics::take_loop, loops)
        .and_then(|()| take_lines(&mut statistics, Statistics::take_peer, peers));
    taken.map_err(|why| why.to_string())?;
    statistics.finish();
    if statistics.is_empty() {
        return Err(Unread::NoLine { folder: PathBuf::from(name), compressed: false }.to_string());
    }
    let host = Host { name: name.to_owned(), statistics: Ok(statistics) };
    page::page(&[host], now.to_unix(PIVOT).0 as f64).map_err(|why| why.to_string())
}
