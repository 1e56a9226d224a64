//! Segments of shared memory of System V, which other programs write time into.
//!
//! Another process changes the memory at any time. So it is only ever copied, word by word, and what was copied counts only if the
//! writer did not write meanwhile ([`Segment::take`]).

use nix::errno::Errno;
use nix::libc;
use std::ffi::{c_int, c_void};
use std::fmt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering, fence};

/// How this build's C library counts seconds: bytes.
pub const TIME_WIDTH: usize = width(|time| &time.tv_sec);
/// What the address of such a count is a multiple of in a structure.
pub const TIME_ALIGNMENT: usize = alignment(|time| &time.tv_sec);
/// Attempts to find or make a segment: between the two another program may do either.
const TRIES: usize = 3;

/// A segment that this process has attached.
#[derive(Debug)]
pub struct Segment {
    start: NonNull<c_void>,
    standing: Standing,
}

/// Whose a segment is, and who may use it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// The user that owns it.
    pub owner: u32,
    /// The user that made it, who may change and remove it, too.
    pub creator: u32,
    /// Who may read and write it, as of a file.
    pub mode: u32,
    /// Its bytes.
    pub length: usize,
}

/// What to make where there is no segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Make {
    /// Bytes.
    pub length: usize,
    /// Who may read and write it, as of a file.
    pub mode: u32,
}

/// Where in a segment, in bytes, the words are that guard it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Guards {
    /// Not zero: there is something to take.
    pub valid: usize,
    /// Counts writes.
    pub count: usize,
}

/// What [`Segment::take`] found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// Nothing new.
    Nothing,
    /// The writer wrote meanwhile: the copy is of no use.
    Torn,
    /// The copy is what the writer wrote.
    Whole,
}

/// The call that failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call {
    /// It finds or makes the segment.
    Get,
    /// It attaches it.
    Attach,
    /// It reports whose it is.
    Stat,
}

/// Why there is no segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ShmError {
    /// The call.
    pub call: Call,
    /// Its error.
    pub why: Errno,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Get => "shmget",
            Self::Attach => "shmat",
            Self::Stat => "shmctl",
        })
    }
}

impl Segment {
    /// Attaches the segment of this key, of whatever size it is; where there is none, it is made.
    ///
    /// # Errors
    /// Of shmget, shmat and shmctl.
    pub fn attach(key: i32, make: Make) -> Result<Self, ShmError> {
        Self::of_id(find(key, make).map_err(|why| ShmError { call: Call::Get, why })?)
    }

    fn of_id(id: c_int) -> Result<Self, ShmError> {
        // SAFETY: the kernel chooses a free place; no memory of ours changes.
        let start = unsafe { libc::shmat(id, std::ptr::null(), 0) };
        // It fails with the address −1.
        let start = NonNull::new(start)
            .filter(|start| start.as_ptr() as isize != -1)
            .ok_or_else(|| ShmError { call: Call::Attach, why: Errno::last() })?;
        let none = Standing { owner: 0, creator: 0, mode: 0, length: 0 };
        let mut this = Self { start, standing: none };
        this.standing = standing(id).map_err(|why| ShmError { call: Call::Stat, why })?;
        Ok(this)
    }

    /// Whose it was when it was attached.
    #[must_use]
    pub const fn standing(&self) -> Standing {
        self.standing
    }

    fn words(&self) -> &[AtomicU32] {
        let words = self.standing.length / size_of::<AtomicU32>();
        // SAFETY: the mapping is as long as the kernel reports, aligned to a page, and lives as long as `self`: a segment never
        // shrinks, and one that is removed stays until it is detached. Any bits are a valid AtomicU32.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast(), words) }
    }

    fn word(&self, at: usize) -> Option<&AtomicU32> {
        debug_assert!(at.is_multiple_of(size_of::<AtomicU32>()), "a word of shared memory is aligned: {at}");
        self.words().get(at / size_of::<AtomicU32>())
    }

    /// Writes the word at this byte; what lies outside is not written.
    pub fn store(&self, at: usize, value: u32) {
        if let Some(word) = self.word(at) {
            word.store(value, Ordering::Release);
        }
    }

    /// Copies the beginning of the segment to `image`, whole words of it, and takes its `valid` off.
    ///
    /// Writers bump the count before and after a write, or clear `valid` meanwhile; some do only the one, and the one that does both
    /// does not say in which order another processor sees it. So both must be as they were once all is copied. A sample that is
    /// written just while `valid` is taken off is lost, and no more than that.
    pub fn take(&self, guards: Guards, image: &mut [u8]) -> Taken {
        let (Some(valid), Some(count)) = (self.word(guards.valid), self.word(guards.count)) else {
            return Taken::Nothing;
        };
        if valid.load(Ordering::Acquire) == 0 {
            return Taken::Nothing;
        }
        let before = count.load(Ordering::Acquire);
        for (bytes, word) in image.chunks_exact_mut(size_of::<AtomicU32>()).zip(self.words()) {
            bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
        }
        fence(Ordering::Acquire);
        if valid.load(Ordering::Relaxed) == 0 || count.load(Ordering::Relaxed) != before {
            return Taken::Torn;
        }
        valid.store(0, Ordering::Release);
        Taken::Whole
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no reference into it outlives `self`.
        let _gone_with_the_process = unsafe { libc::shmdt(self.start.as_ptr()) };
    }
}

const fn width<T>(_: fn(&libc::timespec) -> &T) -> usize {
    size_of::<T>()
}

const fn alignment<T>(_: fn(&libc::timespec) -> &T) -> usize {
    align_of::<T>()
}

fn find(key: i32, make: Make) -> Result<c_int, Errno> {
    let mut result = Err(Errno::ENOENT);
    for _ in 0..TRIES {
        // SAFETY: numbers in, a number out. Without flags nothing is made, and no size is refused.
        result = Errno::result(unsafe { libc::shmget(key, 0, 0) });
        if result != Err(Errno::ENOENT) {
            return result;
        }
        let flags = libc::IPC_CREAT | libc::IPC_EXCL | make.mode as c_int;
        // SAFETY: numbers in, a number out.
        result = Errno::result(unsafe { libc::shmget(key, make.length, flags) });
        if result != Err(Errno::EEXIST) {
            return result;
        }
    }
    result
}

fn standing(id: c_int) -> Result<Standing, Errno> {
    // SAFETY: a structure of numbers, for which zero is a value.
    let mut status: libc::shmid_ds = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one such structure there.
    Errno::result(unsafe { libc::shmctl(id, libc::IPC_STAT, &raw mut status) })?;
    let (access, length) = (status.shm_perm, status.shm_segsz);
    Ok(Standing { owner: access.uid, creator: access.cuid, mode: u32::from(access.mode) & 0o777, length })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    const GUARDS: Guards = Guards { valid: 4, count: 0 };

    /// A segment without a key, which is gone with this process.
    fn private(length: usize) -> Segment {
        // SAFETY: numbers in, a number out.
        let id = Errno::result(unsafe { libc::shmget(libc::IPC_PRIVATE, length, 0o600) }).unwrap();
        let segment = Segment::of_id(id).unwrap();
        // SAFETY: nothing is written; the segment stays while it is attached.
        Errno::result(unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) }).unwrap();
        segment
    }

    #[test]
    fn what_is_taken_is_gone() {
        let segment = private(96);
        assert_eq!((segment.standing().mode, segment.standing().length), (0o600, 96));
        let mut image = [0; 12];
        assert_eq!(segment.take(GUARDS, &mut image), Taken::Nothing);
        segment.store(8, 7);
        segment.store(4, 1);
        assert_eq!(segment.take(GUARDS, &mut image), Taken::Whole);
        assert_eq!(image[8..], 7u32.to_ne_bytes());
        assert_eq!(segment.take(GUARDS, &mut image), Taken::Nothing);
        // Outside of the segment there is nothing.
        segment.store(96, 1);
        assert_eq!(segment.take(Guards { valid: 96, count: 0 }, &mut image), Taken::Nothing);
    }

    /// Then it is enough: where others need the processors, the two seldom run at the same time.
    const BUDGET: Duration = Duration::from_secs(20);
    /// Bytes of a sample, and where the word is behind it that ends the writer.
    const SAMPLE: usize = 96;
    const DONE: usize = 96;

    /// Takes this many samples, if there is time, from a process that writes as fast as it can, and begins a write with `begin`.
    fn race(samples: u32, begin: fn(valid: &AtomicU32, count: &AtomicU32)) {
        let segment = private(SAMPLE + size_of::<AtomicU32>());
        let word = |at: usize| segment.word(at).unwrap();
        // SAFETY: the child only touches the shared memory, and ends without running anything of this program.
        let child = unsafe { nix::unistd::fork() }.unwrap();
        let nix::unistd::ForkResult::Parent { child } = child else {
            let mut i = 0u32;
            while word(DONE).load(Ordering::Relaxed) == 0 {
                i = i.wrapping_add(1);
                begin(word(4), word(0));
                (2..SAMPLE / 4).for_each(|n| word(4 * n).store(i, Ordering::Relaxed));
                word(0).fetch_add(1, Ordering::SeqCst);
                word(4).store(1, Ordering::SeqCst);
                // A writer that never pauses would have every copy torn. Each pause is another one, so that every word is met.
                (0..i % 512).for_each(|_| std::hint::spin_loop());
            }
            // SAFETY: ends the process.
            unsafe { libc::_exit(0) }
        };
        let (mut image, mut whole, mut torn, mut refused) = ([0; SAMPLE], 0, 0, 0);
        let begun = Instant::now();
        while whole < samples && begun.elapsed() < BUDGET {
            match segment.take(GUARDS, &mut image) {
                Taken::Nothing => {}
                Taken::Torn => refused += 1,
                Taken::Whole => {
                    let (words, _) = image[8..].as_chunks::<4>();
                    torn += u32::from(words.iter().any(|word| *word != words[0]));
                    whole += 1;
                }
            }
        }
        word(DONE).store(1, Ordering::Relaxed);
        nix::sys::wait::waitpid(child, None).unwrap();
        println!("{whole} samples taken, {torn} of them torn; {refused} copies refused");
        assert!(torn == 0 && whole > 0, "{torn} of {whole}");
    }

    #[test]
    fn no_sample_is_torn_whichever_guard_the_writer_begins_with() {
        const SAMPLES: u32 = 30_000;
        // As gpsd does.
        race(SAMPLES, |valid, count| {
            valid.store(0, Ordering::SeqCst);
            count.fetch_add(1, Ordering::SeqCst);
        });
        // As ptp4l does.
        race(SAMPLES, |valid, count| {
            count.fetch_add(1, Ordering::SeqCst);
            valid.store(0, Ordering::SeqCst);
        });
    }
}
