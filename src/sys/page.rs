//! A page of memory that one process writes and its children read, or the other way round.
//!
//! Values that belong together are written and read as a whole. A count is odd while they change and different
//! afterwards; a reader that sees either reads again. Neither process ever waits for the other.

use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, mprotect, munmap};
use std::ffi::c_void;
use std::io;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// Bytes of the page: the least that there is on Linux.
const LENGTH: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
/// Attempts of a reader before it keeps what it had: a write takes some nanoseconds.
const TRIES: usize = 1000;

/// The page with `N` words, shared with every process forked after it was made.
#[derive(Debug)]
pub struct Page<const N: usize> {
    start: NonNull<c_void>,
}

impl<const N: usize> Page<N> {
    /// A page of zeros.
    ///
    /// # Errors
    /// Of mmap.
    pub fn new() -> io::Result<Self> {
        const { assert!((N + 1) * size_of::<AtomicU64>() <= LENGTH.get()) }
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping, at a place that the kernel chooses.
        let start = unsafe { mmap_anonymous(None, LENGTH, protection, MapFlags::MAP_SHARED)? };
        Ok(Self { start })
    }

    /// It holds secrets: a core file is to be without it, from Linux 3.4 on.
    pub fn keep_out_of_dumps(&self) {
        // SAFETY: the mapping is ours; the advice changes nothing about its contents.
        let _older_kernel = unsafe { madvise(self.start, LENGTH.get(), MmapAdvise::MADV_DONTDUMP) };
    }

    /// A number that is another one after each write.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.words()[0].load(Ordering::Acquire)
    }

    /// From now on this process cannot write it: a [`Page::write`] would end the process, so what
    /// is given back cannot.
    ///
    /// # Errors
    /// Of mprotect.
    pub fn read_only(self) -> io::Result<ReadPage<N>> {
        // SAFETY: the mapping is ours, and nothing writes it any more: `self` is consumed.
        unsafe { mprotect(self.start, LENGTH.get(), ProtFlags::PROT_READ)? };
        Ok(ReadPage(self))
    }

    fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is longer than this, aligned to a page, and lives as long as `self`;
        // any bits are a valid AtomicU64.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast(), N + 1) }
    }

    /// Writes all words. There must be one writer.
    pub fn write(&self, values: &[u64; N]) {
        let (count, words) = (&self.words()[0], &self.words()[1..]);
        let before = count.load(Ordering::Relaxed);
        debug_assert!(before.is_multiple_of(2), "a page has one writer, who ended the write before");
        count.store(before.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        for (word, value) in words.iter().zip(values) {
            word.store(*value, Ordering::Relaxed);
        }
        count.store(before.wrapping_add(2), Ordering::Release);
    }

    /// All words as they were written together; `None` where a write takes too long (the writer died meanwhile).
    #[must_use]
    pub fn read(&self) -> Option<[u64; N]> {
        let (count, words) = (&self.words()[0], &self.words()[1..]);
        for _ in 0..TRIES {
            let before = count.load(Ordering::Acquire);
            let values = std::array::from_fn(|i| words[i].load(Ordering::Relaxed));
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && count.load(Ordering::Relaxed) == before {
                return Some(values);
            }
            std::hint::spin_loop();
        }
        None
    }
}

impl<const N: usize> Drop for Page<N> {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no reference into it outlives `self`.
        let _gone_with_the_process = unsafe { munmap(self.start, LENGTH.get()) };
    }
}

/// A page that this process can only read.
#[derive(Debug)]
pub struct ReadPage<const N: usize>(Page<N>);

impl<const N: usize> ReadPage<N> {
    /// See [`Page::version`].
    #[must_use]
    pub fn version(&self) -> u64 {
        self.0.version()
    }

    /// See [`Page::read`].
    #[must_use]
    pub fn read(&self) -> Option<[u64; N]> {
        self.0.read()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_together_is_read_together() {
        let page = Page::<5>::new().unwrap();
        assert_eq!(page.read(), Some([0; 5]));
        // Threads stand for processes here: both share the memory.
        struct Shared(Page<5>);
        // SAFETY: all access to the page is by atomic operations.
        unsafe impl Sync for Shared {}
        let shared = Shared(page);
        let shared = &shared;
        std::thread::scope(|scope| {
            scope.spawn(move || (1..=200_000u64).for_each(|i| shared.0.write(&[i; 5])));
            let mut last = 0;
            while last < 200_000 {
                let Some(got) = shared.0.read() else { continue };
                assert!(got.iter().all(|word| *word == got[0]), "{got:?}");
                assert!(got[0] >= last);
                last = got[0];
            }
        });
    }

    #[test]
    fn a_page_that_is_only_read_is_still_written_by_the_other() {
        let page = Page::<1>::new().unwrap();
        page.write(&[7]);
        assert_eq!(page.read_only().unwrap().read(), Some([7]));
    }
}
