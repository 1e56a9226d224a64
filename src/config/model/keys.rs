//! The keys file's values.

use crate::units::KeyId;
use std::net::IpAddr;

/// A symmetric key, as read from the keys file.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// Its identifier.
    pub id: KeyId,
    /// The digest it is used with.
    pub digest: Digest,
    /// The secret.
    pub secret: Vec<u8>,
    /// Who may use it, as address and prefix length (4.2.8's fourth field); empty: everybody.
    pub hosts: Vec<(IpAddr, u8)>,
}

impl Key {
    /// A key that everybody may use who knows it.
    #[must_use]
    pub const fn new(id: KeyId, digest: Digest, secret: Vec<u8>) -> Self {
        Self { id, digest, secret, hosts: Vec::new() }
    }

    /// Whether packets of `address` may carry this key.
    #[must_use]
    pub fn admits(&self, address: IpAddr) -> bool {
        self.hosts.is_empty() || self.hosts.iter().any(|(net, length)| in_prefix(address, *net, *length))
    }
}

impl std::fmt::Debug for Key {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({}, {:?})", self.id.0, self.digest)
    }
}

/// Message digests of the keys file. What is longer than 20 octets is cut to 20 in our packets, as
/// ntpd does since 4.2.8p11 and chrony does in version 4, so that nobody takes it for an extension
/// field. Who asks with an uncut digest is answered with one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Digest {
    /// MD5, 16 octets.
    Md5,
    /// SHA-1, 20 octets.
    Sha1,
    /// RIPEMD-160, 20 octets.
    Ripemd160,
    /// SHA-256, cut to 20 octets.
    Sha256,
    /// SHA-384, cut to 20 octets.
    Sha384,
    /// SHA-512, cut to 20 octets.
    Sha512,
    /// AES-128 CMAC (RFC 8573), 16 octets.
    AesCmac,
}

/// Whether `address` lies in `net/length`; never across families.
#[must_use]
pub fn in_prefix(address: IpAddr, net: IpAddr, length: u8) -> bool {
    let (a, b, width) = match (address, net) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
        _ => return false,
    };
    let ignored = u32::from(width - length.min(width));
    a.checked_shr(ignored).unwrap_or(0) == b.checked_shr(ignored).unwrap_or(0)
}
