//! Pages of program files that only the start has needed: the reader of the configuration, the command line, the
//! loader. The kernel maps them in large pieces and leaves them mapped, so they would count towards our memory for ever.

use nix::sys::mman::{MmapAdvise, madvise};
use std::ffi::c_void;
use std::fs;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

/// Where the kernel lists the mappings.
const MAPS: &str = "/proc/self/maps";

/// Gives back all pages of the program's and its libraries' code. What is needed again, the kernel maps again from its
/// cache, at the price of some page faults (microseconds in all). Memory that is locked stays. Without /proc nothing
/// happens.
pub fn give_back_code() {
    let Ok(maps) = fs::read_to_string(MAPS) else { return };
    for (start, length) in maps.lines().filter_map(code) {
        // SAFETY: the mapping is a file's, private and not writable: its pages come back as they are in the file. (What
        // a debugger has written there is lost: set breakpoints when the daemon serves.)
        let _locked = unsafe { madvise(start, length, MmapAdvise::MADV_DONTNEED) };
    }
}

/// Start and length of a mapping, if it is code from a file: `7f0000001000-7f0000003000 r-xp 00001000 fe:00 42 /lib/x.so`.
fn code(line: &str) -> Option<(NonNull<c_void>, usize)> {
    let mut words = line.split_ascii_whitespace();
    let (from, to) = words.next()?.split_once('-')?;
    let is_code = words.next()? == "r-xp" && words.nth(3)?.starts_with('/');
    let address = |word| usize::from_str_radix(word, 16).ok();
    let (from, to) = (NonZeroUsize::new(address(from)?)?, address(to)?);
    let start = NonNull::new(std::ptr::with_exposed_provenance_mut(from.get()))?;
    is_code.then_some((start, to.checked_sub(from.get())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_of_files_is_given_back() {
        let length = |line| code(line).map(|(_, length)| length);
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
