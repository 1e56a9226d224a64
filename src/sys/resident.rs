//! Pages of program files that only the start has needed: the reader of the configuration, the command line, the
//! loader. The kernel maps them in large pieces and leaves them mapped, so they would count towards our memory for ever.

use nix::sys::mman::{MmapAdvise, madvise};
use std::ffi::c_void;
use std::fs;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

/// Where the kernel lists the mappings, and what is resident of each.
const MAPS: &str = "/proc/self/smaps";

/// Gives back all pages of the program's and its libraries' code, and of their read-only data. What is needed again,
/// the kernel maps again from its cache, at the price of some page faults (microseconds in all). Memory that is locked stays.
/// Without /proc nothing happens.
pub fn give_back_code() {
    let Ok(maps) = fs::read_to_string(MAPS) else { return };
    for (start, length) in unchanged(&maps) {
        // SAFETY: the mapping is a file's, private and not writable, and none of its pages is another than in the file: they
        // come back as they are there. (What a debugger has written is lost: set breakpoints when the daemon serves.)
        let _locked = unsafe { madvise(start, length, MmapAdvise::MADV_DONTNEED) };
    }
}

/// Start and length of a mapping.
type Mapping = (NonNull<c_void>, usize);

/// What may be given back: code of files, and read-only data of files of which no page was written before it became that. The
/// loader writes addresses into some; kernels before 2.6.37 do not say of which.
fn unchanged(maps: &str) -> Vec<Mapping> {
    let mut found = Vec::new();
    // Read-only data, and how many of the two lines say that none of it was written.
    let mut data = None;
    for line in maps.lines() {
        match line.split_ascii_whitespace().collect::<Vec<_>>()[..] {
            ["Anonymous:" | "Swap:", "0", "kB"] => match data.take() {
                Some((mapping, Written::Unknown)) => data = Some((mapping, Written::HalfKnown)),
                Some((mapping, Written::HalfKnown)) => found.push(mapping),
                None => {}
            },
            [first, ..] if !first.ends_with(':') => {
                found.extend(of_file(line, "r-xp"));
                data = of_file(line, "r--p").map(|mapping| (mapping, Written::Unknown));
            }
            _ => {}
        }
    }
    found
}

/// What has been read of whether a mapping was written.
enum Written {
    Unknown,
    HalfKnown,
}

/// A mapping of a file with these permissions: `7f0000001000-7f0000003000 r-xp 00001000 fe:00 42 /lib/x.so`.
fn of_file(line: &str, permissions: &str) -> Option<Mapping> {
    let mut words = line.split_ascii_whitespace();
    let (from, to) = words.next()?.split_once('-')?;
    let is_it = words.next()? == permissions && words.nth(3)?.starts_with('/');
    let address = |word| usize::from_str_radix(word, 16).ok();
    let (from, to) = (NonZeroUsize::new(address(from)?)?, address(to)?);
    let start = NonNull::new(std::ptr::with_exposed_provenance_mut(from.get()))?;
    is_it.then_some((start, to.checked_sub(from.get())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_as_in_its_file_is_given_back() {
        let length = |maps: &str| unchanged(maps).first().map(|(_, length)| *length);
        let data = "7f0000001000-7f0000003000 r--p 00001000 fe:00 42 /lib/x.so";
        assert_eq!(length(&format!("{data}\nRss: 8 kB\nAnonymous:  0 kB\nSwap:  0 kB")), Some(0x2000));
        for written in ["Anonymous: 4 kB\nSwap: 0 kB", "Anonymous: 0 kB\nSwap: 4 kB", "Swap: 0 kB"] {
            assert_eq!(length(&format!("{data}\n{written}")), None, "{written}");
        }
        let both = format!(
            "{data}\nAnonymous: 0 kB\n7f0000003000-7f0000004000 rw-p 0 fe:00 42 /lib/x.so\nAnonymous: 4 kB\nSwap: 0 kB"
        );
        assert_eq!(length(&both), None, "the next mapping's lines are not this one's");
        assert_eq!(length("7f0000001000-7f0000003000 r-xp 00001000 fe:00 42    /lib/x y.so"), Some(0x2000));
        for other in [
            "7f0000001000-7f0000003000 r--p 00001000 fe:00 42 /lib/x.so",
            "7f0000001000-7f0000003000 rwxp 00001000 fe:00 42 /lib/x.so",
            "7f0000001000-7f0000003000 r-xs 00001000 fe:00 42 /lib/x.so",
            "7f0000001000-7f0000003000 r-xp 00000000 00:00 0",
            "7fff00001000-7fff00003000 r-xp 00000000 00:00 0 [vdso]",
            "7f0000003000-7f0000001000 r-xp 00001000 fe:00 42 /lib/x.so",
            "x-y r-xp 00001000 fe:00 42 /lib/x.so",
            "",
        ] {
            assert_eq!(length(other), None, "{other}");
        }
    }

    #[test]
    fn the_program_goes_on_with_less() {
        let resident = || {
            let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
            statm.split_whitespace().nth(2).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or_default()
        };
        let before = resident();
        give_back_code();
        let after = resident();
        assert!(after < before, "{after} pages of files after, {before} before");
    }
}
