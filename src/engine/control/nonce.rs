//! Nonces of `mrulist` (RFC 9327 section 4, request nonce): a long response goes only to an address and port
//! that received a short one within the last seconds.

use crate::units::{MonoTime, Seconds};
use sha1::{Digest as _, Sha1};
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use subtle::ConstantTimeEq as _;

/// How long a nonce is good, as with ntpd, seconds.
const LIFE: Seconds = Seconds::new(16.0);
/// Hexadecimal digits: eight bytes of time, four of digest.
const DIGITS: usize = 24;

/// The secret that nonces are made with.
#[derive(Clone)]
pub(super) struct Nonces([u8; 16]);

impl std::fmt::Debug for Nonces {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Nonces")
    }
}

impl Nonces {
    /// With a random secret.
    pub(super) const fn new(secret: [u8; 16]) -> Self {
        Self(secret)
    }

    /// A nonce for this address and port.
    pub(super) fn make(&self, now: MonoTime, client: SocketAddr) -> String {
        let nanos = now.since(MonoTime::ZERO).get().max(0.0) * 1e9;
        self.at(nanos as u64, client)
    }

    /// Whether a nonce was made for this address and port of late.
    pub(super) fn admits(&self, now: MonoTime, client: SocketAddr, nonce: &str) -> bool {
        let Some(nanos) = nonce.get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok()) else {
            return false;
        };
        let age = now.since(MonoTime::from_nanos(nanos));
        let fresh = age >= Seconds::ZERO && age < LIFE;
        fresh
            && nonce.len() == DIGITS
            && bool::from(self.at(nanos, client).as_bytes().ct_eq(nonce.as_bytes()))
    }

    fn at(&self, nanos: u64, client: SocketAddr) -> String {
        let mut hash = Sha1::new().chain_update(self.0).chain_update(nanos.to_be_bytes());
        match client.ip() {
            IpAddr::V4(v4) => hash.update(v4.octets()),
            IpAddr::V6(v6) => hash.update(v6.octets()),
        }
        let digest = hash.chain_update(client.port().to_be_bytes()).chain_update(self.0).finalize();
        let mut nonce = format!("{nanos:016x}");
        for byte in &digest[..4] {
            let _ = write!(nonce, "{byte:02x}");
        }
        debug_assert_eq!(nonce.len(), DIGITS, "a nonce has as many digits as one that is checked");
        nonce
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_good_for_its_client_and_for_a_while() {
        let nonces = Nonces::new([3; 16]);
        let at = |seconds: f64| MonoTime::ZERO + Seconds::new(seconds);
        let client: SocketAddr = "192.0.2.1:4000".parse().unwrap();
        let nonce = nonces.make(at(100.0), client);
        assert_eq!(nonce.len(), DIGITS);
        assert!(nonces.admits(at(100.0), client, &nonce) && nonces.admits(at(115.0), client, &nonce));
        assert!(!nonces.admits(at(117.0), client, &nonce), "old");
        assert!(!nonces.admits(at(99.0), client, &nonce), "of the future");
        for other in ["192.0.2.1:4001", "192.0.2.2:4000", "[2001:db8::1]:4000"] {
            assert!(!nonces.admits(at(101.0), other.parse().unwrap(), &nonce));
        }
        assert!(!Nonces::new([4; 16]).admits(at(101.0), client, &nonce));
        for broken in ["", "zz", &nonce[..23], &format!("{nonce}0"), "äöüäöüäöüäöü"] {
            assert!(!nonces.admits(at(101.0), client, broken));
        }
    }
}
