//! The keys file's values.

use crate::units::KeyId;
use std::net::IpAddr;
use zeroize::Zeroizing;

/// A symmetric key, as read from the keys file.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// Its identifier.
    pub id: KeyId,
    /// The digest it is used with.
    pub digest: Digest,
    /// The secret; its memory is overwritten when it is given back.
    pub secret: Zeroizing<Vec<u8>>,
    /// Who may use it, as address and prefix length (4.2.8's fourth field); empty: every address.
    pub hosts: Vec<(IpAddr, u8)>,
}

impl Key {
    /// A key that every client that knows it may use.
    #[must_use]
    pub fn new(id: KeyId, digest: Digest, secret: Vec<u8>) -> Self {
        Self { id, digest, secret: Zeroizing::new(secret), hosts: Vec::new() }
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

/// Message digests of the keys file. What is longer than 20 bytes is cut to 20 in our packets, as
/// ntpd does since 4.2.8p11 and chrony does in version 4, so that no program takes it for an extension
/// field. A request with an uncut digest gets a reply with one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Digest {
    /// MD5, 16 bytes.
    Md5,
    /// SHA-1, 20 bytes.
    Sha1,
    /// RIPEMD-160, 20 bytes.
    Ripemd160,
    /// SHA-256, cut to 20 bytes.
    Sha256,
    /// SHA-384, cut to 20 bytes.
    Sha384,
    /// SHA-512, cut to 20 bytes.
    Sha512,
    /// AES-128 CMAC (RFC 8573), 16 bytes.
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
