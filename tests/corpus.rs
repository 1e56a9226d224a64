//! Real ntp.conf files, and what ntpd 4.2.6p5 made of them, where the reference folder
//! `../shared` is there; without it these tests report themselves ignored.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on fails

use libtest_mimic::{Arguments, Failed, Trial};
use rsntpd::config::model::{Config, Family, RestrictTarget, Server, Target};
use rsntpd::config::{Parsed, Severity, parse};
use rsntpd::core::access::AccessList;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Files and micro-tests that agree today; the rest is told by the test's output.
const FILES_AGREE: usize = 123;
const MICRO_AGREE: usize = 147;

fn main() {
    let arguments = Arguments::from_args();
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let missing = !shared.join("corpus").is_dir();
    let trial = |name: &str, test: fn(&Path) -> Result<(), Failed>| {
        let shared = shared.clone();
        Trial::test(name, move || test(&shared)).with_ignored_flag(missing)
    };
    if missing {
        eprintln!("skipped: {} is not there", shared.display());
    }
    let trials = vec![
        trial("seed_file_yields_what_the_walk_needs", seed),
        trial("every_file_is_read_and_mistakes_are_told", every_file),
        trial("files_agree_with_4_2_6p5", files_agree),
        trial("micro_tests_agree_with_4_2_6p5", micro_tests_agree),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

fn read(file: &Path, text: &[u8]) -> Parsed {
    parse(file, text, &mut |_| Err("No such file or directory".to_owned()))
}

fn conf_files(shared: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(shared.join("corpus"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "conf"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

fn seed(shared: &Path) -> Result<(), Failed> {
    let file = shared.join("seed/ntp.conf");
    let parsed = read(&file, &fs::read(&file).unwrap());
    let config = &parsed.config;
    let targets: Vec<String> = config.servers.iter().map(|s| format!("{:?}", s.target)).collect();
    let address = |text: &str| format!("{:?}", Target::Address(text.parse().unwrap()));
    let expected = [
        address("210.72.145.44"),
        address("202.112.10.36"),
        address("59.124.196.83"),
        format!("{:?}", Target::LocalClock { unit: 0 }),
    ];
    assert_eq!(targets, expected);
    assert!(config.servers.iter().all(|s| !s.prefer));
    assert_eq!(config.servers[3].fudge.stratum.unwrap().get(), 10);
    let typo = parsed.diagnostics.iter().find(|d| d.suggestion.as_deref() == Some("prefer")).unwrap();
    assert_eq!((typo.line, typo.column), (22, 22));
    assert!(typo.log_line().contains("did you mean prefer?"));

    let access = AccessList::build(&config.restrict);
    let words = |from: &str| -> Vec<&str> { access.lookup(from.parse().unwrap()).words().collect() };
    let default = ["ignore", "kod", "nomodify", "nopeer", "noquery", "notrap"];
    assert_eq!(words("192.0.2.1:4000"), default);
    assert_eq!(words("[2001:db8::1]:4000"), default);
    assert_eq!(words("10.199.255.7:4000"), ["nomodify", "notrap"]);
    assert_eq!(words("127.0.0.1:4000"), [""; 0]);
    assert_eq!(words("210.72.145.44:123"), ["nomodify", "noquery", "notrap"]);
    assert_eq!(config.auth.keys.as_deref(), Some(Path::new("/etc/ntp/keys")));
    assert_eq!(config.driftfile.as_deref(), Some(Path::new("/var/lib/ntp/drift")));
    assert!(parsed.diagnostics.iter().any(|d| d.log_line().contains("/etc/ntp/crypto/pw")));
    Ok(())
}

/// No file panics; a file that 4.2.6p5 complained about gets a diagnostic from us as well.
fn every_file(shared: &Path) -> Result<(), Failed> {
    for file in conf_files(shared) {
        let parsed = read(&file, &fs::read(&file).unwrap());
        for d in &parsed.diagnostics {
            assert!(!d.render(false).is_empty() && d.line > 0 && d.column > 0);
        }
        let log = shared.join("corpus/expected").join(stem(&file) + ".4.2.6p5.log");
        let log = fs::read(log).unwrap_or_default();
        let complained =
            String::from_utf8_lossy(&log).lines().filter(|l| l.contains("syntax error in")).count();
        // What 4.2.8 understands is no mistake to us: only noisy files must be noisy.
        if complained > 3 {
            let told = parsed.diagnostics.iter().filter(|d| d.severity != Severity::Note).count();
            assert!(told > 0, "{}: nothing said, 4.2.6p5 found {complained}", file.display());
        }
    }
    Ok(())
}

fn stem(file: &Path) -> String {
    file.file_stem().unwrap().to_string_lossy().into_owned()
}

/// A configuration as sorted lines, for a comparison in which the order of kinds does not count.
/// The dumps show neither -4/-6 nor what the daemon refused when applying.
fn essence(config: &Config) -> Vec<String> {
    let mut lines: Vec<String> = config.servers.iter().map(server_line).collect();
    for r in &config.restrict {
        let flags: Vec<&str> = r.flags.words().collect();
        let flags = format!("{} ntpport={}", flags.join(" "), r.ntpport);
        let mut net =
            |address: IpAddr, mask: IpAddr| lines.push(format!("restrict {address} {mask}: {flags}"));
        let (zero4, zero6) = ("0.0.0.0".parse().unwrap(), "::".parse().unwrap());
        match &r.target {
            RestrictTarget::Default(family) => {
                if *family != Family::V6 {
                    net(zero4, zero4);
                }
                if *family != Family::V4 {
                    net(zero6, zero6);
                }
            }
            RestrictTarget::Net { address, mask } => net(*address, *mask),
            RestrictTarget::Name(name, _) => lines.push(format!("restrict {name}: {flags}")),
            RestrictTarget::Source => lines.push(format!("restrict source: {flags}")),
        }
    }
    let mut trusted: Vec<u32> = config.auth.trusted.iter().map(|k| k.0).collect();
    trusted.sort_unstable();
    lines.sort();
    // The first dump line of a repeated path command is overridden by the last, as in the file.
    lines.push(format!("{:?} {:?} {:?}", config.driftfile, config.logfile, config.pidfile));
    lines.push(format!(
        "{:?} {trusted:?} {:?} {:?}",
        config.auth.keys, config.auth.request, config.auth.control
    ));
    lines.push(format!("{:?} {:?}", config.tinker, config.tos));
    lines.push(format!("{:?} {:?}", config.enable, config.discard));
    lines.push(format!("{:?} {:?}", config.leapfile, config.statistics.dir));
    lines.push(format!("{:?}", config.setvar));
    lines
}

fn server_line(s: &Server) -> String {
    let plain = Server { family: Family::Any, ..s.clone() };
    format!("{plain:?}")
}

/// Compares what we make of `text` with what we make of ntpd's own dump of it.
fn disagreement(file: &Path, text: &[u8], dump: &[u8]) -> Option<String> {
    let ours = essence(&read(file, text).config);
    let theirs = essence(&read(file, dump).config);
    let only = |a: &[String], b: &[String]| {
        a.iter().filter(|l| !b.contains(l)).cloned().collect::<Vec<_>>().join("; ")
    };
    (ours != theirs)
        .then(|| format!("only ours: [{}] only 4.2.6p5's: [{}]", only(&ours, &theirs), only(&theirs, &ours)))
}

fn tally(kind: &str, results: &[(String, Option<String>)], floor: usize) -> Result<(), Failed> {
    let total = results.len();
    let agree = results.iter().filter(|(_, d)| d.is_none()).count();
    for (name, difference) in results {
        if let Some(difference) = difference {
            println!("{name}: {}", difference.chars().take(400).collect::<String>());
        }
    }
    println!("{agree} of {total} {kind} agree with 4.2.6p5");
    if agree < floor.min(total) { Err(format!("{agree} agree, it was {floor}").into()) } else { Ok(()) }
}

fn files_agree(shared: &Path) -> Result<(), Failed> {
    let mut results = Vec::new();
    for file in conf_files(shared) {
        let dump = shared.join("corpus/expected").join(stem(&file) + ".4.2.6p5.saved");
        if let Ok(dump) = fs::read(dump) {
            results.push((stem(&file), disagreement(&file, &fs::read(&file).unwrap(), &dump)));
        }
    }
    tally("files", &results, FILES_AGREE)
}

/// The case's text: `\n` and `\xNN` stand for what they say.
fn unescape(line: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = line.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let (octet, used) = match (first, tail.first()) {
            (b'\\', Some(b'n')) => (b'\n', 2),
            (b'\\', Some(b'r')) => (b'\r', 2),
            (b'\\', Some(b'x')) if tail.len() > 2 => {
                (u8::from_str_radix(std::str::from_utf8(&tail[1..3]).unwrap(), 16).unwrap(), 4)
            }
            _ => (first, 1),
        };
        out.push(octet);
        rest = &rest[used..];
    }
    out
}

fn micro_tests_agree(shared: &Path) -> Result<(), Failed> {
    let answers = fs::read(shared.join("corpus/microtests.4.2.6p5.txt")).unwrap();
    let answers = String::from_utf8_lossy(&answers).into_owned();
    let mut results = Vec::new();
    for block in answers.split("\n== ") {
        let mut lines = block.lines();
        let case = lines.next().unwrap_or_default().trim_start_matches("== ").to_owned();
        let kept: Vec<&str> =
            lines.filter(|l| !l.starts_with("LOG ") && !l.starts_with("getconfig")).collect();
        if kept.iter().any(|l| l.starts_with("rc=") || l.contains("dump error")) {
            continue;
        }
        let dump = kept.join("\n");
        results.push((case.clone(), disagreement(Path::new("e.conf"), &unescape(&case), dump.as_bytes())));
    }
    tally("micro-tests", &results, MICRO_AGREE)
}
