//! Random octets of the system's generator.

use std::fs::File;
use std::io::{self, Read as _};

/// Fills an array.
///
/// # Errors
/// Where there is no /dev/urandom.
pub(super) fn octets<const N: usize>() -> io::Result<[u8; N]> {
    let mut octets = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut octets)?;
    Ok(octets)
}
