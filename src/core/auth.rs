//! Symmetric keys: message authentication codes of time packets, HASH(key || packet) with MD5 or
//! SHA-1 (RFC 5905 section 7.3, as ntpd computes it).

use crate::config::model::{Digest, Key};
use crate::units::KeyId;
use crate::wire::trailer::{self, BadTrailer, Trailer};
use md5::Md5;
use sha1::{Digest as _, Sha1};
use std::collections::BTreeMap;
use subtle::ConstantTimeEq;

/// What a packet's code is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Authenticity {
    /// It carries none.
    None,
    /// It is right, by this trusted key.
    Verified(KeyId),
    /// It is wrong, by a key we lack or do not trust, or a crypto-NAK.
    Failed,
}

/// The keys that are both in the keys file and trusted.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    usable: BTreeMap<KeyId, Key>,
}

impl Keys {
    /// The usable ones of `keys`: those that `trusted` names.
    #[must_use]
    pub fn new(keys: &[Key], trusted: &[KeyId]) -> Self {
        let usable = keys.iter().filter(|k| trusted.contains(&k.id)).map(|k| (k.id, k.clone())).collect();
        Self { usable }
    }

    /// Whether a key can be used.
    #[must_use]
    pub fn contains(&self, key: KeyId) -> bool {
        self.usable.contains_key(&key)
    }

    /// Checks what follows the header of a packet.
    ///
    /// # Errors
    /// [`BadTrailer`] where it is neither extension fields nor a code.
    pub fn check(&self, packet: &[u8]) -> Result<Authenticity, BadTrailer> {
        Ok(match trailer::parse(packet)? {
            Trailer::None => Authenticity::None,
            Trailer::CryptoNak => Authenticity::Failed,
            Trailer::Mac { covered, key, digest } => match self.usable.get(&KeyId(key)) {
                Some(known) if bool::from(compute(known, &packet[..covered]).as_slice().ct_eq(digest)) => {
                    Authenticity::Verified(KeyId(key))
                }
                _ => Authenticity::Failed,
            },
        })
    }

    /// Appends the code to a packet; without that key nothing is appended and the answer is false.
    pub fn sign(&self, key: KeyId, packet: &mut Vec<u8>) -> bool {
        let Some(known) = self.usable.get(&key) else { return false };
        let digest = compute(known, packet);
        packet.extend(key.0.to_be_bytes());
        packet.extend(digest.as_slice());
        true
    }

    /// Writes the code behind the first `len` octets of `packet`; gives the new length.
    pub fn sign_into(&self, key: KeyId, len: usize, packet: &mut [u8]) -> usize {
        let Some(known) = self.usable.get(&key) else { return len };
        let digest = compute(known, &packet[..len]);
        let digest = digest.as_slice();
        packet[len..len + 4].copy_from_slice(&key.0.to_be_bytes());
        packet[len + 4..len + 4 + digest.len()].copy_from_slice(digest);
        len + 4 + digest.len()
    }
}

/// A digest without an allocation.
enum Computed {
    Md5([u8; 16]),
    Sha1([u8; 20]),
}

impl Computed {
    const fn as_slice(&self) -> &[u8] {
        match self {
            Self::Md5(bytes) => bytes,
            Self::Sha1(bytes) => bytes,
        }
    }
}

fn compute(key: &Key, packet: &[u8]) -> Computed {
    match key.digest {
        Digest::Md5 => {
            Computed::Md5(Md5::new().chain_update(&key.secret).chain_update(packet).finalize().into())
        }
        Digest::Sha1 => {
            Computed::Sha1(Sha1::new().chain_update(&key.secret).chain_update(packet).finalize().into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        let key = |id, digest| Key { id: KeyId(id), digest, secret: b"secret".to_vec() };
        let all = [key(1, Digest::Md5), key(2, Digest::Sha1), key(3, Digest::Md5)];
        Keys::new(&all, &[KeyId(1), KeyId(2)])
    }

    #[test]
    fn what_is_signed_is_verified_and_a_changed_bit_is_not() {
        for id in [1, 2] {
            let mut packet = vec![7; 48];
            assert!(keys().sign(KeyId(id), &mut packet));
            assert_eq!(keys().check(&packet), Ok(Authenticity::Verified(KeyId(id))));
            for at in [0, 47, 52, packet.len() - 1] {
                let mut changed = packet.clone();
                changed[at] ^= 1;
                assert_eq!(keys().check(&changed), Ok(Authenticity::Failed));
            }
            let mut buffer = [0; 128];
            buffer[..48].fill(7);
            assert_eq!(keys().sign_into(KeyId(id), 48, &mut buffer), packet.len());
            assert_eq!(buffer[..packet.len()], packet);
        }
    }

    #[test]
    fn the_digest_is_the_one_that_ntpd_computes() {
        // md5(key || packet), checked against coreutils: printf 'secret' + 48 zero octets | md5sum.
        let mut packet = vec![0; 48];
        keys().sign(KeyId(1), &mut packet);
        assert_eq!(packet[48..52], [0, 0, 0, 1]);
        let hex: String = packet[52..].iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "cffb1b806c0408d3fcf421b90206de76");
    }

    #[test]
    fn keys_must_be_trusted() {
        let mut packet = vec![7; 48];
        assert!(!keys().sign(KeyId(3), &mut packet));
        assert_eq!(packet.len(), 48);
    }
}
