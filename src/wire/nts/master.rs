//! The keys that seal a server's cookies, and the text of their file, which is NTPsec's.

use super::Secret;
use std::fmt::{self, Write as _};

/// Length of a key, bytes: that of AES-SIV-CMAC-256.
pub const MASTER_LEN: usize = 32;
/// Old keys that are kept: what was sealed before that is of no use.
pub const OLD: usize = 9;
/// Seconds that a key is the current one.
pub const ROTATION: i64 = 86_400;
/// Integers of [`MasterKeys::to_words`].
pub const MASTER_WORDS: usize = 1 + (OLD + 2) * KEY_WORDS;
/// Integers of a key: its number, and its bytes.
const KEY_WORDS: usize = 1 + MASTER_LEN / 8;

/// A key with the number by which cookies name it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MasterKey {
    /// The number.
    pub id: u32,
    /// The key, of [`MASTER_LEN`] bytes.
    pub secret: Secret,
}

/// All keys of a server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MasterKeys {
    /// When the current key became that, seconds since 1970.
    pub rotated: i64,
    /// What new cookies are sealed with.
    pub current: MasterKey,
    /// What earlier cookies were sealed with, the latest first.
    pub old: Vec<MasterKey>,
    /// What comes next. It is made ahead, so that a file which is copied to other servers of a cluster is of use there for
    /// longer than a day.
    pub next: Option<MasterKey>,
}

/// What is wrong with a file of keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadKeyFile {
    /// The number of the line.
    pub line: usize,
    /// What should be there.
    pub expected: &'static str,
}

impl fmt::Display for BadKeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: expected {}", self.line, self.expected)
    }
}

impl MasterKey {
    /// A key of these bytes.
    #[must_use]
    pub fn new(id: u32, key: &[u8; MASTER_LEN]) -> Option<Self> {
        Some(Self { id, secret: Secret::new(key)? })
    }

    fn to_words(&self) -> [u64; KEY_WORDS] {
        let mut words = [u64::from(self.id); KEY_WORDS];
        let (pieces, _) = self.secret.as_bytes().as_chunks::<8>();
        for (word, piece) in words[1..].iter_mut().zip(pieces) {
            *word = u64::from_be_bytes(*piece);
        }
        words
    }

    fn from_words(words: &[u64]) -> Option<Self> {
        let (id, rest) = words.split_first()?;
        let mut key = [0; MASTER_LEN];
        for (piece, word) in key.as_chunks_mut::<8>().0.iter_mut().zip(rest) {
            *piece = word.to_be_bytes();
        }
        Self::new(*id as u32, &key)
    }
}

impl MasterKeys {
    /// The first keys of a server, made by `fresh`.
    pub fn first(now: i64, mut fresh: impl FnMut() -> MasterKey) -> Self {
        let mut keys = Self { rotated: now, current: fresh(), old: Vec::new(), next: None };
        keys.plan(fresh);
        keys
    }

    /// Sees to it that there is a next key.
    pub fn plan(&mut self, mut fresh: impl FnMut() -> MasterKey) {
        if self.next.is_none() {
            let mut next = fresh();
            while self.all().any(|key| key.id == next.id) {
                next.id = next.id.wrapping_add(1);
            }
            self.next = Some(next);
        }
    }

    /// Whether the next key is due, after it was held for so many seconds. A time of rotation that lies ahead is that of a clock that
    /// was wrong, or is now: without a battery it begins in 1970.
    #[must_use]
    pub const fn is_due(&self, now: i64, held: i64) -> bool {
        let age = now.saturating_sub(self.rotated);
        age >= ROTATION || age < 0 && held >= ROTATION
    }

    /// The next key is the current one now. Servers that share a file rotate at the same moments: whole days after the first.
    pub fn rotate(&mut self, now: i64, mut fresh: impl FnMut() -> MasterKey) {
        self.plan(&mut fresh);
        let Some(next) = self.next.take() else { return };
        self.old.insert(0, std::mem::replace(&mut self.current, next));
        self.old.truncate(OLD);
        let age = now.saturating_sub(self.rotated);
        self.rotated = if age >= ROTATION { now - age % ROTATION } else { now };
        self.plan(fresh);
    }

    fn all(&self) -> impl Iterator<Item = &MasterKey> {
        [&self.current].into_iter().chain(&self.old).chain(&self.next)
    }

    /// For other processes: all but the time of rotation.
    #[must_use]
    pub fn to_words(&self) -> [u64; MASTER_WORDS] {
        let mut words = [0; MASTER_WORDS];
        let (head, rest) = words.split_at_mut(1);
        head[0] = (1 + self.old.len().min(OLD) as u64) | (u64::from(self.next.is_some()) << 32);
        let keys = [&self.current].into_iter().chain(self.old.iter().take(OLD)).chain(&self.next);
        for (room, key) in rest.chunks_exact_mut(KEY_WORDS).zip(keys) {
            room.copy_from_slice(&key.to_words());
        }
        words
    }

    /// What [`MasterKeys::to_words`] gave; `None` where there was nothing yet.
    #[must_use]
    pub fn from_words(words: &[u64; MASTER_WORDS]) -> Option<Self> {
        let (head, rest) = words.split_first()?;
        let mut keys = rest.chunks_exact(KEY_WORDS).map_while(MasterKey::from_words);
        let old = (*head as u32 as usize).checked_sub(1)?;
        let current = keys.next()?;
        let old = keys.by_ref().take(old).collect();
        let next = if head >> 32 == 0 { None } else { keys.next() };
        Some(Self { rotated: 0, current, old, next })
    }

    /// The text of the file: NTPsec's, with the next key behind, as `N:`, where NTPsec stops reading.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("T: {}\nL: {MASTER_LEN}\n", self.rotated);
        for key in self.all() {
            let letter = if Some(key) == self.next.as_ref() { 'N' } else { 'I' };
            let _to_a_string = write!(text, "{letter}: {}\nK: ", key.id);
            for byte in key.secret.as_bytes() {
                let _to_a_string = write!(text, "{byte:02x}");
            }
            text.push('\n');
        }
        text
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// [`BadKeyFile`] for the first line that makes no sense.
    pub fn parse(text: &str) -> Result<Self, BadKeyFile> {
        let mut lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
        let last = text.lines().count() + 1;
        let mut field = |letters: &[&'static str], expected| {
            let (line, number) = lines.next().unwrap_or(("", last));
            let bad = BadKeyFile { line: number, expected };
            let (letter, value) = line.split_once(':').ok_or(bad)?;
            let letter = letters.iter().find(|known| **known == letter.trim()).ok_or(bad)?;
            Ok((*letter, value.trim(), bad))
        };
        let (_, value, bad) = field(&["T"], "T: and the time of the last rotation, seconds since 1970")?;
        let rotated = value.parse().map_err(|_| bad)?;
        let (_, value, bad) = field(&["L"], "L: 32, the length of the keys")?;
        if value.parse() != Ok(MASTER_LEN) {
            return Err(bad);
        }
        let (mut used, mut next) = (Vec::new(), None);
        loop {
            let (letter, value, bad) =
                match field(&["I", "N"], "I: and the number of a key, or N: for the next") {
                    Err(bad) if bad.line == last && !used.is_empty() => break,
                    other => other?,
                };
            let id = value.parse().map_err(|_| bad)?;
            if used.iter().chain(&next).any(|key: &MasterKey| key.id == id) {
                return Err(BadKeyFile { expected: "a number that no other key has", ..bad });
            }
            let (_, value, bad) = field(&["K"], "K: and 64 hexadecimal digits")?;
            let key = bytes(value).and_then(|key| MasterKey::new(id, &key)).ok_or(bad)?;
            if letter == "N" { next = Some(key) } else { used.push(key) }
        }
        let current = used.remove(0);
        used.truncate(OLD);
        Ok(Self { rotated, current, old: used, next })
    }
}

fn bytes(digits: &str) -> Option<[u8; MASTER_LEN]> {
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    bytes.collect::<Option<Vec<u8>>>()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> impl FnMut() -> MasterKey {
        let mut number = 0;
        move || {
            number += 1;
            MasterKey::new(1000 + number, &[number as u8; MASTER_LEN]).unwrap()
        }
    }

    #[test]
    fn keys_rotate_once_a_day_and_ten_are_kept() {
        let mut fresh = fresh();
        let mut keys = MasterKeys::first(1_000_000, &mut fresh);
        assert!(!keys.is_due(1_000_000 + ROTATION - 1, 0) && keys.is_due(1_000_000 + ROTATION, 0));
        assert!(!keys.is_due(0, ROTATION - 1) && keys.is_due(0, ROTATION));
        let next = keys.next.clone();
        // Two days and an hour later.
        keys.rotate(1_000_000 + 2 * ROTATION + 3_600, &mut fresh);
        assert_eq!((Some(&keys.current), keys.rotated), (next.as_ref(), 1_000_000 + 2 * ROTATION));
        assert_eq!(keys.old.iter().map(|key| key.id).collect::<Vec<_>>(), [1001]);
        for day in 3..20 {
            keys.rotate(1_000_000 + day * ROTATION, &mut fresh);
        }
        assert_eq!(keys.current.id, 1019);
        assert_eq!(
            keys.old.iter().map(|key| key.id).collect::<Vec<_>>(),
            (1010..1019).rev().collect::<Vec<_>>()
        );
        assert_eq!(MasterKeys::from_words(&keys.to_words()), Some(MasterKeys { rotated: 0, ..keys.clone() }));
        assert_eq!(MasterKeys::parse(&keys.to_text()), Ok(keys));
        assert_eq!(MasterKeys::from_words(&[0; MASTER_WORDS]), None);
    }

    #[test]
    fn keys_have_numbers_of_their_own() {
        let keys = MasterKeys::first(0, || MasterKey::new(u32::MAX, &[7; MASTER_LEN]).unwrap());
        assert_eq!((keys.current.id, keys.next.map(|key| key.id)), (u32::MAX, Some(0)));
    }

    #[test]
    fn a_file_of_ntpsec_is_read() {
        let key = "6701206d2b01441f442366d316d165514880c5108d33c9a86b2ef75f0e0446cc";
        let text = format!("T: 1795849694\nL: 32\nI: 239069736\nK: {key}\n");
        let keys = MasterKeys::parse(&text).unwrap();
        assert_eq!((keys.rotated, keys.current.id, keys.old.len()), (1_795_849_694, 239_069_736, 0));
        assert_eq!(keys.next, None);
        assert_eq!(keys.to_text(), text);
    }

    #[test]
    fn bad_lines_are_named_with_what_was_expected() {
        let key = "00".repeat(32);
        let head = "T: 1\nL: 32\n";
        let of = |text: String| MasterKeys::parse(&text).unwrap_err().to_string();
        assert!(of(String::new()).starts_with("line 1: expected T: and the time"));
        assert!(of("T: soon\n".to_owned()).starts_with("line 1: expected T: and the time"));
        assert_eq!(of("T: 1\nL: 64\n".to_owned()), "line 2: expected L: 32, the length of the keys");
        assert!(of(head.to_owned()).starts_with("line 3: expected I: and the number"));
        assert!(of(format!("{head}I: 5\n")).starts_with("line 4: expected K: and 64"));
        for bad in ["", "00", &format!("{key}00"), &"0g".repeat(32), &"é".repeat(32)] {
            assert!(of(format!("{head}I: 5\nK: {bad}\n")).starts_with("line 4: expected K: and 64"), "{bad}");
        }
        assert!(of(format!("{head}I: 4294967296\nK: {key}\n")).starts_with("line 3: expected I:"));
        assert_eq!(
            of(format!("{head}I: 5\nK: {key}\n\nI: 5\nK: {key}\n")),
            "line 6: expected a number that no other key has"
        );
        assert!(of(format!("{head}I: 5\nK: {key}\nX: 5\n")).starts_with("line 5: expected I:"));
        assert!(of(format!("{head}N: 5\nK: {key}\n")).starts_with("line 5: expected I:"));
    }
}
