//! Randomness of the system, on kernels with and without getrandom(2), with and without /dev.

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::time::{SystemTime, UNIX_EPOCH};

/// What the generator starts from.
type Seed = [u8; 32];

/// 32 random bytes. Never fails and never waits: in a root directory without /dev on a kernel
/// before 3.17 they are what the kernel gave this program when it started it.
#[must_use]
pub fn seed() -> Seed {
    bytes().unwrap_or_else(|_| of_program_start())
}

/// Random bytes that may be secrets, of the kernel's generator; 256 at most.
///
/// # Errors
/// On a kernel before 3.17, where there is no /dev/urandom.
pub fn bytes<const N: usize>() -> io::Result<[u8; N]> {
    of_system_call().map_or_else(of_device, Ok)
}

/// Whether the kernel has randomness for secrets. Soon after a boot it may have none yet, and TLS would wait for it.
#[must_use]
pub fn is_ready() -> bool {
    if of_system_call::<1>().is_some() {
        return true;
    }
    if Errno::last() == Errno::EAGAIN {
        return false;
    }
    // Kernels before 3.17 show it by this device alone. Without it, TLS does not wait.
    let Ok(device) = File::open("/dev/random") else { return true };
    let mut devices = [PollFd::new(device.as_fd(), PollFlags::POLLIN)];
    poll(&mut devices, PollTimeout::ZERO) == Ok(1)
}

#[allow(unsafe_code)]
fn of_system_call<const N: usize>() -> Option<[u8; N]> {
    const { assert!(N <= 256, "the kernel may give fewer of more") }
    let mut bytes = [0_u8; N];
    // Not libc's function: the C library of CentOS 7 has none, its kernel may have the call.
    // SAFETY: the kernel writes at most as many bytes as the live array has.
    let got =
        unsafe { libc::syscall(libc::SYS_getrandom, bytes.as_mut_ptr(), bytes.len(), libc::GRND_NONBLOCK) };
    (usize::try_from(got) == Ok(N)).then_some(bytes)
}

fn of_device<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// The 16 bytes of AT_RANDOM, which the C library uses for its canary, so they are not repeated as
/// they are but with clock and process id: two starts differ even where there is no AT_RANDOM.
#[allow(unsafe_code)]
fn of_program_start() -> Seed {
    const LENGTH: usize = 16;
    let mut seed = [0; 32];
    // SAFETY: getauxval reads the program's own vector; 0 means that there is no such entry.
    let at = unsafe { libc::getauxval(libc::AT_RANDOM) } as *const [u8; LENGTH];
    if !at.is_null() {
        // SAFETY: the entry points to 16 bytes that live as long as the program.
        seed[..LENGTH].copy_from_slice(&unsafe { at.read_unaligned() });
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    seed[LENGTH..].copy_from_slice(&since.as_nanos().to_be_bytes());
    for (byte, id) in seed[LENGTH..].iter_mut().zip(std::process::id().to_be_bytes()) {
        *byte ^= id;
    }
    seed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_gives_another_seed_each_time() {
        assert_ne!(seed(), seed());
        assert_ne!(of_device::<32>().unwrap(), of_device().unwrap());
        assert_ne!(of_program_start(), of_program_start());
        assert_ne!(of_program_start()[..16], [0; 16]);
        assert!(is_ready(), "a machine that runs tests has been up for a while");
        if let Some(first) = of_system_call::<32>() {
            assert_ne!(Some(first), of_system_call());
        } else {
            skip::because("the kernel has no getrandom");
        }
    }
}
