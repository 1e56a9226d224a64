//! Capabilities of this thread, capabilities(7), by the two system calls themselves. The crates for
//! this keep them in a std `HashSet`, which ends the program where there is no randomness to be had:
//! on kernels before 3.17 in a root directory without /dev/urandom.

use nix::errno::Errno;
use nix::libc;

/// `_LINUX_CAPABILITY_VERSION_3`: two words for each set; since 2.6.26.
const VERSION: u32 = 0x2008_0522;

/// One capability.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capability(u32);

impl Capability {
    /// CAP_NET_BIND_SERVICE: bind ports below 1024.
    pub const NET_BIND_SERVICE: Self = Self(10);
    /// CAP_SYS_TIME: set the clock.
    pub const SYS_TIME: Self = Self(25);
}

/// Capabilities have lower numbers than this.
const NUMBERS: libc::c_ulong = 64;

/// Empties the bounding set of this thread: no program that it may ever run can have capabilities, whatever file they are on. Where that is
/// not allowed (CAP_SETPCAP is missing), the set stays as it is.
#[allow(unsafe_code)]
pub fn empty_bounding_set() {
    for number in 0..NUMBERS {
        // SAFETY: the call takes numbers, and changes only this thread's set. Numbers that the kernel does not know are refused.
        let _unknown_or_forbidden = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, number, 0, 0, 0) };
    }
}

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// The sets of a thread; the first word holds capabilities 0 to 31.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Sets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Whether this thread may use any of these.
///
/// # Errors
/// What the kernel says.
pub fn has_any(of: &[Capability]) -> nix::Result<bool> {
    let wanted = of.iter().fold(0, |bits, capability| bits | 1_u32 << capability.0);
    Ok(own()?[0].effective & wanted != 0)
}

#[allow(unsafe_code)]
fn own() -> nix::Result<[Sets; 2]> {
    let mut header = Header { version: VERSION, pid: 0 };
    let mut sets = [Sets::default(); 2];
    // SAFETY: both pointers are to live values of the layout of this version, which the kernel
    // fills; pid 0 is this thread.
    let read = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()) };
    Errno::result(read)?;
    Ok(sets)
}

/// Gives up all capabilities but those of `keep` that this thread has.
///
/// # Errors
/// What the kernel says.
#[allow(unsafe_code)]
pub fn keep_only(keep: &[Capability]) -> nix::Result<()> {
    let header = Header { version: VERSION, pid: 0 };
    let sets = own()?;
    let wanted = keep.iter().fold(0, |bits, capability| bits | 1_u32 << capability.0);
    let kept = sets[0].permitted & wanted;
    let sets = [Sets { effective: kept, permitted: kept, inheritable: 0 }, Sets::default()];
    // SAFETY: both pointers are to live values of the layout of this version, which the kernel only reads.
    let written = unsafe { libc::syscall(libc::SYS_capset, &raw const header, sets.as_ptr()) };
    Errno::result(written).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn sets_of_thread() -> Vec<u64> {
        let status = fs::read_to_string("/proc/thread-self/status").unwrap();
        let of = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            u64::from_str_radix(line.trim(), 16).unwrap()
        };
        vec![of("CapInh:"), of("CapPrm:"), of("CapEff:")]
    }

    #[test]
    fn nothing_is_kept_but_what_was_there() {
        std::thread::spawn(|| {
            let wanted = 1 << 10 | 1 << 25;
            let kept = sets_of_thread()[1] & wanted;
            keep_only(&[Capability::SYS_TIME, Capability::NET_BIND_SERVICE]).unwrap();
            assert_eq!(sets_of_thread(), [0, kept, kept]);
            keep_only(&[Capability::SYS_TIME]).unwrap();
            assert_eq!(sets_of_thread(), [0, kept & 1 << 25, kept & 1 << 25]);
            keep_only(&[]).unwrap();
            assert_eq!(sets_of_thread(), [0, 0, 0]);
        })
        .join()
        .unwrap();
    }
}
