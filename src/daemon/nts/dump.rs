//! Cookies on disk, from one process of the daemon to the next: a restart is then no new key exchange, and needs no certificate.
//!
//! One file for each server and port in the folder of `nts dump`, for its owner only. Cookies are used once: a file is removed when it
//! is read.

use crate::daemon::files::{self, ReplaceError};
use crate::engine::contract::{CookieOrigin, Established, Kept, Keys, Validity};
use crate::units::{Aead, Host};
use crate::wire::nts::{COOKIE_MAX, COOKIES, Secret};
use std::fmt::{self, Write as _};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The first line; another form gets another number.
const HEAD: &str = "rsntpd nts cookies 1";
/// The last line: a file without it is cut off.
const END: &str = "end";
/// Longest name of a file, bytes, with what is put behind it while it is written.
const NAME_MAX: usize = 200;

/// Why cookies were not kept or not found: a sentence for the log.
#[derive(Debug)]
pub enum DumpError {
    /// The name of this server makes no name of a file.
    Name(String),
    /// This file cannot be written.
    Write(PathBuf, ReplaceError),
    /// This file cannot be read or removed.
    Read(PathBuf, io::Error),
    /// This file has something else in it.
    Content(PathBuf),
}

impl fmt::Display for DumpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(server) => write!(f, "cannot keep NTS cookies of {server}: its name is too long"),
            Self::Write(path, why) => write!(f, "cannot keep NTS cookies in {}: {why}", path.display()),
            Self::Read(path, why) => {
                write!(f, "NTS cookies in {} not used: {}", path.display(), files::words(why))
            }
            Self::Content(path) => {
                write!(f, "{} removed: it does not hold NTS cookies of this version", path.display())
            }
        }
    }
}

/// Keeps cookies in this folder; without cookies, what was kept is removed.
///
/// # Errors
/// [`DumpError`].
pub fn keep(folder: &Path, kept: &Kept) -> Result<(), DumpError> {
    let path = path_of(folder, &kept.server, kept.port)?;
    if kept.established.cookies.is_empty() {
        return remove(&path).map_err(|why| DumpError::Read(path, why));
    }
    let text = text_of(&kept.established);
    files::replace_private(&path, text.as_bytes(), None).map_err(|why| DumpError::Write(path, why))
}

/// Takes the cookies of a server out of this folder, if they were kept there.
///
/// # Errors
/// [`DumpError`]. A file that is of no use is gone behind it.
pub fn take(folder: &Path, server: &str, port: u16) -> Result<Option<Established>, DumpError> {
    let path = path_of(folder, server, port)?;
    let text = match path.symlink_metadata() {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(why) => return Err(DumpError::Read(path, why)),
        Ok(found) => {
            // A link may lead anywhere.
            let text = if found.is_file() { files::read(&path) } else { Ok(Vec::new()) }.map(Zeroizing::new);
            // Another process must not send them again, whatever becomes of them here.
            remove(&path).and(text)
        }
    };
    match text.map(|text| std::str::from_utf8(&text).ok().and_then(read)) {
        Ok(Some(found)) => Ok(Some(found)),
        Ok(None) => Err(DumpError::Content(path)),
        Err(why) => Err(DumpError::Read(path, why)),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
        _ => Ok(()),
    }
}

/// Where the cookies of a server are kept. No name of a server leads out of the folder.
fn path_of(folder: &Path, server: &str, port: u16) -> Result<PathBuf, DumpError> {
    let mut name = "nts-".to_owned();
    for byte in server.bytes().map(|byte| byte.to_ascii_lowercase()) {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_') {
            name.push(char::from(byte));
        } else {
            let _to_memory = write!(name, "%{byte:02x}");
        }
    }
    let _to_memory = write!(name, ".{port}");
    if name.len() > NAME_MAX { Err(DumpError::Name(server.to_owned())) } else { Ok(folder.join(name)) }
}

fn text_of(kept: &Established) -> Zeroizing<String> {
    // Large enough that no part of it stays behind in memory that was let go.
    let mut text = Zeroizing::new(String::with_capacity(8 << 10));
    let _to_memory = write_to(&mut text, kept);
    text
}

fn write_to(text: &mut String, kept: &Established) -> fmt::Result {
    writeln!(text, "{HEAD}\naead {}\nmade {}", kept.aead.number(), kept.made)?;
    writeln!(text, "server {} {} {}", kept.host.ip, kept.host.scope, kept.port)?;
    if let Some(Validity { from, until }) = kept.valid {
        writeln!(text, "valid {from} {until}")?;
    }
    for keys in std::iter::once(&kept.keys).chain(&kept.other_keys) {
        text.push_str("keys");
        for key in [&keys.to_server, &keys.to_client] {
            text.push(' ');
            write_hex(text, key.as_bytes())?;
        }
        text.push('\n');
    }
    for cookie in &kept.cookies {
        text.push_str("cookie ");
        write_hex(text, cookie)?;
        text.push('\n');
    }
    writeln!(text, "{END}")
}

fn write_hex(text: &mut String, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(text, "{byte:02x}"))
}

/// The bytes of an even number of digits.
fn hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    pairs.iter().map(|[high, low]| u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()).collect()
}

/// What the text of a file says; `None` unless it is whole.
#[must_use]
pub fn read(text: &str) -> Option<Established> {
    let mut lines = text.strip_suffix('\n')?.split('\n');
    if lines.next()? != HEAD || lines.next_back()? != END {
        return None;
    }
    let (mut aead, mut made, mut server, mut valid) = (None, None, None, None);
    let (mut keys, mut cookies) = (Vec::new(), Vec::new());
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["aead", number] => aead = Some(Aead::of_number(number.parse().ok()?)?),
            ["made", at] => made = Some(at.parse().ok()?),
            ["server", ip, scope, port] => {
                let host = Host { ip: ip.parse().ok()?, scope: scope.parse().ok()? };
                server = Some((host, port.parse().ok().filter(|port| *port != 0)?));
            }
            ["valid", from, until] => {
                valid = Some(Validity { from: from.parse().ok()?, until: until.parse().ok()? });
            }
            ["keys", to_server, to_client] => {
                let key = |text| {
                    let bytes = Zeroizing::new(hex(text)?);
                    Secret::new(&bytes).filter(|_| Some(bytes.len()) == aead.map(Aead::key_length))
                };
                keys.push(Keys { to_server: key(to_server)?, to_client: key(to_client)? });
            }
            ["cookie", cookie] => {
                let fits = |length: usize| length.is_multiple_of(4) && (12..=COOKIE_MAX).contains(&length);
                cookies.push(hex(cookie).filter(|cookie| fits(cookie.len()))?);
            }
            _ => return None,
        }
    }
    let (host, port) = server?;
    let mut keys = keys.into_iter();
    let (first, other_keys) = (keys.next()?, keys.next());
    if keys.next().is_some() || cookies.is_empty() || cookies.len() > COOKIES {
        return None;
    }
    let (aead, made) = (aead?, made?);
    let origin = CookieOrigin::Disk;
    Some(Established { aead, keys: first, other_keys, cookies, host, port, valid, made, origin })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::files::scratch;
    use std::os::unix::fs::PermissionsExt as _;

    fn sample(aead: Aead) -> Established {
        let secret = |byte| Secret::new(&vec![byte; aead.key_length()]).unwrap();
        let keys = |byte| Keys { to_server: secret(byte), to_client: secret(byte + 1) };
        Established {
            aead,
            keys: keys(1),
            other_keys: (aead == Aead::Aes128GcmSiv).then(|| keys(0xa0)),
            cookies: vec![vec![0xff; 64], vec![0; 100]],
            host: Host { ip: "fe80::1".parse().unwrap(), scope: 3 },
            port: 123,
            valid: Some(Validity { from: -1, until: 4_102_444_800 }),
            made: 1_795_824_000,
            origin: CookieOrigin::Disk,
        }
    }

    fn kept(server: &str, established: Established) -> Kept {
        Kept { server: server.to_owned(), port: 4460, established }
    }

    #[test]
    fn cookies_are_found_again_once() {
        let dir = scratch("nts-dump");
        for aead in Aead::ALL {
            for valid in [None, sample(aead).valid] {
                let sample = Established { valid, ..sample(aead) };
                keep(dir.path(), &kept("KE.test", sample.clone())).unwrap();
                let file = dir.path().join("nts-ke.test.4460");
                assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
                assert_eq!(take(dir.path(), "ke.test", 4461).unwrap(), None, "another port");
                assert_eq!(take(dir.path(), "ke.test", 4460).unwrap(), Some(sample));
                assert_eq!(take(dir.path(), "ke.test", 4460).unwrap(), None);
            }
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn no_cookies_remove_the_file() {
        let dir = scratch("nts-dump-none");
        let sample = sample(Aead::AesSivCmac256);
        let none = kept("ke.test", Established { cookies: Vec::new(), ..sample.clone() });
        keep(dir.path(), &none).unwrap();
        keep(dir.path(), &kept("ke.test", sample)).unwrap();
        keep(dir.path(), &none).unwrap();
        assert_eq!(take(dir.path(), "ke.test", 4460).unwrap(), None);
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let folder = Path::new("/d");
        for (server, name) in [
            ("../../etc/passwd", "nts-..%2f..%2fetc%2fpasswd.1"),
            ("fe80::1%eth0", "nts-fe80%3a%3a1%25eth0.1"),
            ("a\0b", "nts-a%00b.1"),
            ("", "nts-.1"),
        ] {
            assert_eq!(path_of(folder, server, 1).unwrap(), folder.join(name));
        }
        let why = path_of(folder, &"x".repeat(250), 1).unwrap_err().to_string();
        assert!(why.ends_with("its name is too long"), "{why}");
    }

    #[test]
    fn bad_files_are_reported_and_removed() {
        let dir = scratch("nts-dump-bad");
        let file = dir.path().join("nts-ke.test.4460");
        let whole = text_of(&sample(Aead::Aes128GcmSiv)).clone();
        assert!(read(&whole).is_some());
        let mut bad = vec![
            whole.replace("cookies 1", "cookies 2"),
            whole.replace("aead 30", "aead 15"),
            whole.replace("aead 30", "aead 99"),
            whole.replace("aead 30\n", ""),
            whole.replace("made 17", "made x"),
            whole.replace(" 123\n", " 0\n"),
            whole.replace("keys 01", "keys 0x"),
            whole.replace("keys 01", "keys 0"),
            whole.replace("cookie ff", "cookie "),
            whole.replace("end\n", "more\nend\n"),
            whole.replace("cookie", "coockie"),
            [whole.as_str(), "\0"].concat(),
        ];
        bad.push(whole.replace("end\n", &format!("{}end\n", "cookie 000102030405060708090a0b\n".repeat(7))));
        bad.extend((0..whole.len()).step_by(7).map(|at| whole[..at].to_owned()));
        for text in bad {
            fs::write(&file, &text).unwrap();
            let why = take(dir.path(), "ke.test", 4460).map(|_| text).unwrap_err().to_string();
            assert!(why.ends_with("4460 removed: it does not hold NTS cookies of this version"), "{why}");
            assert!(!file.exists());
        }
        fs::write(&file, [0xff; 10]).unwrap();
        assert!(matches!(take(dir.path(), "ke.test", 4460), Err(DumpError::Content(_))));
    }

    #[test]
    fn links_and_folders_are_not_read() {
        let dir = scratch("nts-dump-link");
        let (file, target) = (dir.path().join("nts-ke.test.4460"), dir.path().join("target"));
        fs::write(&target, text_of(&sample(Aead::AesSivCmac256)).as_bytes()).unwrap();
        std::os::unix::fs::symlink(&target, &file).unwrap();
        assert!(matches!(take(dir.path(), "ke.test", 4460), Err(DumpError::Content(_))));
        assert!(target.exists() && file.symlink_metadata().is_err());
        fs::create_dir(&file).unwrap();
        let why = take(dir.path(), "ke.test", 4460).unwrap_err().to_string();
        assert!(why.ends_with("4460 not used: Is a directory"), "{why}");
        let none = Path::new("/nowhere/at/all");
        let why = keep(none, &kept("ke.test", sample(Aead::AesSivCmac256))).unwrap_err().to_string();
        assert!(why.contains("nts-ke.test.4460.TEMP: No such file"), "{why}");
        assert_eq!(take(none, "ke.test", 4460).unwrap(), None);
    }
}
