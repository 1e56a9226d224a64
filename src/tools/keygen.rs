//! `rsntp-keygen`: a keys file of random keys, as `ntp-keygen -M` makes it, with AES-128 CMAC keys
//! besides. Every byte comes from the random number generator of the kernel, and no key is the
//! same twice. The file is there whole or not at all, and for its owner alone.

use super::options::{self, valued};
use crate::sys::{clock, random};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// Keys of each type.
const EACH: u32 = 10;
/// Characters of an MD5 key: the keys file takes up to 20 as they stand.
const CHARACTERS: usize = 20;
/// A mistake on the command line, or a file that cannot be written.
const FAILED: u8 = 1;

/// ntp-keygen's options for Autokey, without and with a value.
const AUTOKEY: &[(char, &str)] = &[
    ('d', "debug-level"),
    ('e', "id-key"),
    ('G', "gq-params"),
    ('H', "host-key"),
    ('I', "iffkey"),
    ('P', "pvt-cert"),
    ('T', "trusted-cert"),
];
const AUTOKEY_VALUES: &[(char, &str)] = &[
    ('b', "imbits"),
    ('c', "certificate"),
    ('C', "cipher"),
    ('D', "set-debug-level"),
    ('i', "ident"),
    ('l', "lifetime"),
    ('m', "modulus"),
    ('p', "password"),
    ('q', "export-passwd"),
    ('S', "sign-key"),
    ('s', "subject-name"),
    ('v', "mv-keys"),
];

/// The command line.
#[must_use]
pub fn command() -> Command {
    let command = options::command(
        "rsntp-keygen",
        "rsntp-keygen writes a file of random symmetric keys for the keys command of ntp.conf.",
    );
    options::without_effect(command, AUTOKEY, AUTOKEY_VALUES)
        .override_usage("rsntp-keygen -M [-o FILE]")
        .after_help(
            "The file is ntpkey_MD5key_HOST.TIME in the current directory, with a link ntpkey_md5_HOST to it,
unless -o names another. Autokey is broken: its options are accepted, and no certificates are written.

Exit status: 0, or 1 if the file could not be written.",
        )
        .arg(
            Arg::new("md5key")
                .short('M')
                .long("md5key")
                .action(ArgAction::SetTrue)
                .help("Generate 10 keys each of MD5, SHA1 and AES-128-CMAC"),
        )
        .arg(
            valued("output", 'o', "FILE", "Write to FILE, which must not exist")
                .value_parser(value_parser!(PathBuf)),
        )
}

/// Runs it.
#[must_use]
pub fn main(args: &[OsString]) -> u8 {
    match options::parse(command(), args, FAILED) {
        Ok(matches) => run(&matches),
        Err(code) => code,
    }
}

fn run(matches: &ArgMatches) -> u8 {
    if !matches.get_flag("md5key") {
        super::complain(
            "rsntp-keygen: Autokey is not supported, only symmetric keys are generated: use -M\n",
        );
        return FAILED;
    }
    for (short, _) in AUTOKEY.iter().filter(|(_, long)| matches.get_count(long) > 0 && *long != "debug-level")
    {
        super::complain(&format!("rsntp-keygen: Autokey is not supported, -{short} ignored\n"));
    }
    let host = host_name();
    let (file, link) = match matches.get_one::<PathBuf>("output") {
        Some(file) => (file.clone(), None),
        None => {
            let stamp = clock::wall().era_seconds();
            let link = PathBuf::from(format!("ntpkey_md5_{host}"));
            (PathBuf::from(format!("ntpkey_MD5key_{host}.{stamp}")), Some(link))
        }
    };
    match write(&file, link.as_deref()) {
        Ok(()) => {
            super::say(&format!("Generated new file {}\n", file.display()));
            0
        }
        Err(error) => {
            super::complain(&format!("rsntp-keygen: {}: {error}\n", file.display()));
            FAILED
        }
    }
}

/// The machine's name, as far as it can stand in a file's name.
fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let plain: String =
        name.trim().chars().filter(|c| c.is_ascii_alphanumeric() || "-._".contains(*c)).take(64).collect();
    if plain.is_empty() { "localhost".to_owned() } else { plain }
}

fn write(file: &Path, link: Option<&Path>) -> io::Result<()> {
    let name = file.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let title = name.to_string_lossy();
    let text = format!("# {title}\n# {}\n\n{}", super::local_time().format("%a %b %e %H:%M:%S %Y"), keys()?);
    let mut aside = name.to_owned();
    aside.push(format!(".{}", hex(&random::bytes::<8>()?)));
    let aside = file.with_file_name(aside);
    let mut open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
    let written = open.write_all(text.as_bytes()).and_then(|()| open.sync_all());
    // A hard link fails if the file exists: no keys are overwritten.
    let placed = written.and_then(|()| fs::hard_link(&aside, file));
    fs::remove_file(&aside)?;
    placed?;
    if let Some(link) = link {
        let fresh = link.with_extension(hex(&random::bytes::<8>()?));
        symlink(name, &fresh)?;
        fs::rename(&fresh, link)?;
    }
    Ok(())
}

/// The lines of the keys.
fn keys() -> io::Result<String> {
    let mut text = String::new();
    for id in 1..=EACH {
        let _ = writeln!(text, "{id:2} MD5 {}  # MD5 key", characters()?);
    }
    for id in EACH + 1..=2 * EACH {
        let _ = writeln!(text, "{id:2} SHA1 {}  # SHA1 key", hex(&random::bytes::<20>()?));
    }
    for id in 2 * EACH + 1..=3 * EACH {
        let _ = writeln!(text, "{id:2} AES128CMAC {}  # AES-128 CMAC key", hex(&random::bytes::<16>()?));
    }
    Ok(text)
}

/// Printable characters but `#`, which begins a comment; each equally likely.
fn characters() -> io::Result<String> {
    let mut key = String::with_capacity(CHARACTERS);
    while key.len() < CHARACTERS {
        let fitting = random::bytes::<64>()?.into_iter().map(|byte| byte & 0x7f);
        let room = CHARACTERS - key.len();
        key.extend(fitting.filter(|c| c.is_ascii_graphic() && *c != b'#').take(room).map(char::from));
    }
    Ok(key)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Style;
    use crate::config::model::Digest;
    use std::collections::BTreeSet;

    #[test]
    fn the_daemon_reads_thirty_different_keys() {
        let text = keys().unwrap();
        let (keys, findings) = crate::config::parse_keys(Path::new("keys"), text.as_bytes());
        assert!(findings.is_empty(), "{}", findings[0].render(Style::Plain));
        assert_eq!(keys.len(), 30);
        let secrets: BTreeSet<&[u8]> = keys.iter().map(|key| key.secret.as_slice()).collect();
        assert_eq!(secrets.len(), 30);
        let of =
            |digest| keys.iter().filter(|k| k.digest == digest).map(|k| k.secret.len()).collect::<Vec<_>>();
        assert_eq!(of(Digest::Md5), [20; 10]);
        assert_eq!(of(Digest::Sha1), [20; 10]);
        assert_eq!(of(Digest::AesCmac), [16; 10]);
    }
}
