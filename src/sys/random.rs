//! Randomness of the system, on kernels with and without getrandom(2), with and without /dev.

use nix::libc;
use std::fs::File;
use std::io::Read as _;
use std::time::{SystemTime, UNIX_EPOCH};

/// What the generator starts from.
type Seed = [u8; 32];

/// 32 random octets. Never fails and never waits: in a root directory without /dev on a kernel
/// before 3.17 they are what the kernel gave this program when it started it.
#[must_use]
pub fn seed() -> Seed {
    of_system_call().or_else(of_device).unwrap_or_else(of_program_start)
}

#[allow(unsafe_code)]
fn of_system_call() -> Option<Seed> {
    let mut seed = [0_u8; 32];
    // Not libc's function: the C library of CentOS 7 has none, its kernel may have the call.
    // SAFETY: the kernel writes at most as many octets as the live array has.
    let got =
        unsafe { libc::syscall(libc::SYS_getrandom, seed.as_mut_ptr(), seed.len(), libc::GRND_NONBLOCK) };
    (usize::try_from(got) == Ok(seed.len())).then_some(seed)
}

fn of_device() -> Option<Seed> {
    let mut seed = [0; 32];
    File::open("/dev/urandom").and_then(|mut device| device.read_exact(&mut seed)).ok()?;
    Some(seed)
}

/// The 16 octets of AT_RANDOM, which the C library uses for its canary, so they are not repeated as
/// they are but with clock and process id: two starts differ even where there is no AT_RANDOM.
#[allow(unsafe_code)]
fn of_program_start() -> Seed {
    const LENGTH: usize = 16;
    let mut seed = [0; 32];
    // SAFETY: getauxval reads the program's own vector; 0 means that there is no such entry.
    let at = unsafe { libc::getauxval(libc::AT_RANDOM) } as *const [u8; LENGTH];
    if !at.is_null() {
        // SAFETY: the entry points to 16 octets that live as long as the program.
        seed[..LENGTH].copy_from_slice(&unsafe { at.read_unaligned() });
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    seed[LENGTH..].copy_from_slice(&since.as_nanos().to_be_bytes());
    for (octet, id) in seed[LENGTH..].iter_mut().zip(std::process::id().to_be_bytes()) {
        *octet ^= id;
    }
    seed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_gives_another_seed_each_time() {
        assert_ne!(seed(), seed());
        assert_ne!(of_device().unwrap(), of_device().unwrap());
        assert_ne!(of_program_start(), of_program_start());
        assert_ne!(of_program_start()[..16], [0; 16]);
        if let Some(first) = of_system_call() {
            assert_ne!(Some(first), of_system_call());
        }
    }
}
