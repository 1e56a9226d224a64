//! The keys of the cookies: their file, their rotation, and the page by which the other processes of the daemon get them.

use crate::daemon::files::{self, ReplaceError};
use crate::daemon::log::Log;
use crate::engine::report::event::Level;
use crate::sys::page::Page;
use crate::sys::privileges::Account;
use crate::sys::{clock, random};
use crate::units::{MonoTime, Seconds};
use crate::wire::nts::master::{MASTER_LEN, MASTER_WORDS, MasterKey, MasterKeys};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

/// Where they are kept without `nts cookie`: where NTPsec has them.
pub const DEFAULT: &str = "/var/lib/ntp/nts-keys";
/// How often it is looked whether the next key is due. Servers of a cluster may differ by as much: the next key of the others opens,
/// too.
const LOOK: Seconds = Seconds::new(60.0);

/// The keys, in the process that keeps their file.
#[derive(Debug)]
pub struct KeyKeeper {
    path: PathBuf,
    keys: MasterKeys,
    page: Page<MASTER_WORDS>,
    /// Seeded when there was /dev/urandom: in a root directory of its own there may be none.
    rng: ChaCha20Rng,
    /// When the current key was read or made.
    since: MonoTime,
    next_look: MonoTime,
    /// Whether it has been logged that the file cannot be written.
    unwritable: bool,
}

/// Why the file has no keys.
#[derive(Debug)]
enum NoKeys {
    /// There is no file.
    Missing,
    /// It cannot be read.
    Unreadable(io::Error),
    /// It makes no sense.
    Bad(String),
}

impl fmt::Display for NoKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("there is no such file"),
            Self::Unreadable(why) => f.write_str(&files::words(why)),
            Self::Bad(why) => f.write_str(why),
        }
    }
}

fn read(path: &Path) -> Result<MasterKeys, NoKeys> {
    let text = files::read(path).map_err(|why| match why.kind() {
        io::ErrorKind::NotFound => NoKeys::Missing,
        _ => NoKeys::Unreadable(why),
    })?;
    MasterKeys::parse(&String::from_utf8_lossy(&text)).map_err(|why| NoKeys::Bad(why.to_string()))
}

fn fresh(rng: &mut ChaCha20Rng) -> MasterKey {
    loop {
        let mut key = [0; MASTER_LEN];
        rng.fill_bytes(&mut key);
        // Keys are never empty, so the first try succeeds.
        if let Some(key) = MasterKey::new(rng.next_u32(), &key) {
            return key;
        }
    }
}

impl KeyKeeper {
    /// Reads the keys, as root; makes them where there are none. The file becomes the user's that the daemon is about to become.
    ///
    /// # Errors
    /// Without randomness for secrets, or memory to share.
    pub fn open(path: PathBuf, account: Option<&Account>, log: &mut Log) -> io::Result<Self> {
        let mut rng = ChaCha20Rng::from_seed(random::bytes()?);
        let (page, since) = (Page::new()?, clock::mono());
        page.keep_out_of_dumps();
        let now = clock::unix().0;
        let keys = read(&path).unwrap_or_else(|why| {
            if !matches!(why, NoKeys::Missing) {
                let mut aside = path.clone().into_os_string();
                aside.push(".bad");
                let kept = match fs::rename(&path, &aside) {
                    Ok(()) => format!("it is kept as {}", Path::new(&aside).display()),
                    Err(why) => files::words(&why),
                };
                let what = "clients that have cookies must exchange keys again";
                log.write(
                    Level::Error,
                    &format!("NTS keys {}: {why}; {kept}; new keys: {what}", path.display()),
                );
            }
            MasterKeys::first(now, || fresh(&mut rng))
        });
        let mut this = Self { path, keys, page, rng, since, next_look: since + LOOK, unwritable: false };
        this.keys.plan(|| fresh(&mut this.rng));
        if this.keys.is_due(now, 0) {
            this.keys.rotate(now, || fresh(&mut this.rng));
        }
        // Also where nothing is new: it becomes the user's, and no other user's.
        let saved = files::replace_private(&this.path, this.keys.to_text().as_bytes(), account);
        this.note(saved, log);
        this.page.write(&this.keys.to_words());
        Ok(this)
    }

    /// The keys in force.
    #[must_use]
    pub fn keys(&self) -> Box<MasterKeys> {
        Box::new(self.keys.clone())
    }

    /// Where the file is, from now on.
    pub fn move_to(&mut self, path: PathBuf) {
        self.path = path;
    }

    /// The page with the keys, for a process that was forked since.
    #[must_use]
    pub fn into_page(self) -> Page<MASTER_WORDS> {
        self.page
    }

    /// When to look again whether the next key is due.
    #[must_use]
    pub const fn next_look(&self) -> MonoTime {
        self.next_look
    }

    /// The next key is taken if it is due; gives whether that is so.
    pub fn look(&mut self, now: MonoTime, log: &mut Log) -> bool {
        self.next_look = now + LOOK;
        let (wall, held) = (clock::unix().0, now.since(self.since).get() as i64);
        if !self.keys.is_due(wall, held) {
            return false;
        }
        let mut keys = self.keys.clone();
        keys.rotate(wall, || fresh(&mut self.rng));
        // No cookie goes out by a key that a restart would not find.
        let saved = files::replace_private(&self.path, keys.to_text().as_bytes(), None);
        let rotates = saved.is_ok();
        self.note(saved, log);
        if rotates {
            log.write(Level::Info, "NTS cookies are sealed by a new key");
            self.put_in_force(keys);
        }
        rotates
    }

    /// Reads the file again, which another server of the cluster may have written; gives whether there are other keys in it.
    pub fn reread(&mut self, log: &mut Log) -> bool {
        match read(&self.path) {
            Ok(mut keys) => {
                keys.plan(|| self.keys.next.clone().unwrap_or_else(|| fresh(&mut self.rng)));
                if keys == self.keys {
                    return false;
                }
                self.put_in_force(keys);
                true
            }
            Err(why) => {
                let path = self.path.display();
                log.write(Level::Warning, &format!("NTS keys {path}: {why}; the keys in force stay"));
                false
            }
        }
    }

    fn put_in_force(&mut self, keys: MasterKeys) {
        self.page.write(&keys.to_words());
        self.keys = keys;
        self.since = clock::mono();
    }

    fn note(&mut self, saved: Result<(), ReplaceError>, log: &mut Log) {
        let before = std::mem::replace(&mut self.unwritable, saved.is_err());
        if let Err(why) = saved
            && !before
        {
            let what = "after a restart clients must exchange keys again";
            log.write(Level::Error, &format!("cannot write the NTS keys: {why}; {what}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::files::scratch;
    use crate::daemon::start::cli::Options;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn keys_are_kept_for_their_owner_and_bad_files_aside() {
        let dir = scratch("nts-keys");
        let path = dir.path().join("nts-keys");
        let mut log = Log::start(&Options::default());
        let mut first = KeyKeeper::open(path.clone(), None, &mut log).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let second = KeyKeeper::open(path.clone(), None, &mut log).unwrap();
        assert_eq!(first.keys(), second.keys());
        let words = second.into_page().read().unwrap();
        assert_eq!(MasterKeys::from_words(&words).unwrap().current, first.keys().current);
        assert!(!first.reread(&mut log) && !first.look(first.since + Seconds::new(90_000.0), &mut log));

        // A day later by its own account.
        let before = *first.keys();
        first.keys.rotated -= 86_400;
        assert!(first.look(first.since, &mut log));
        assert_eq!((Some(&first.keys.current), &first.keys.old[0]), (before.next.as_ref(), &before.current));
        assert_eq!(read(&path).unwrap(), *first.keys());

        // Another server's file.
        fs::write(&path, before.to_text()).unwrap();
        assert!(first.reread(&mut log));
        assert_eq!(*first.keys(), before);
        fs::write(&path, "T: 1\nL: 32\nI: 7\nK: 00\n").unwrap();
        assert!(!first.reread(&mut log));
        assert_eq!(*first.keys(), before);
        let third = KeyKeeper::open(path.clone(), None, &mut log).unwrap();
        assert_ne!(third.keys().current, before.current);
        assert_eq!(fs::read(dir.path().join("nts-keys.bad")).unwrap(), b"T: 1\nL: 32\nI: 7\nK: 00\n");
    }

    #[test]
    fn no_cookie_goes_out_by_a_key_that_could_not_be_kept() {
        let dir = scratch("nts-keys-unwritable");
        let path = dir.path().join("none/nts-keys");
        let mut log = Log::start(&Options::default());
        let mut keeper = KeyKeeper::open(path, None, &mut log).unwrap();
        let before = keeper.keys();
        keeper.keys.rotated -= 86_400;
        assert!(!keeper.look(keeper.since, &mut log));
        assert_eq!(keeper.keys().current, before.current);
    }
}
