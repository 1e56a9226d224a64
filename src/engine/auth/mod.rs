//! Symmetric keys: message authentication codes of time packets. HASH(key || packet) as ntpd
//! computes it (RFC 5905 section 7.3), or the AES-128 CMAC of the packet (RFC 8573).

pub mod aead;
pub mod cookie;

use crate::config::model::{Digest, Key};
use crate::units::KeyId;
use crate::wire::trailer::{self, BadTrailer, DIGEST_CUT, DIGEST_MAX, DigestLength, Trailer};
use aes::Aes128;
use cmac::{Cmac, KeyInit as _, Mac as _};
use md5::Md5;
use ripemd::Ripemd160;
use sha1::{Digest as _, Sha1};
use sha2::{Sha256, Sha384, Sha512};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use subtle::ConstantTimeEq;

/// What a packet's code is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Authenticity {
    /// It carries none.
    None,
    /// It is right, by this trusted key, which its sender may use.
    Verified(KeyId),
    /// It is wrong, by a key we lack or do not trust or that its sender may not use, or a crypto-NAK.
    Failed,
}

/// The keys that are both in the keys file and trusted.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    usable: BTreeMap<KeyId, Usable>,
    uses: Uses,
}

/// How often keys were used (ntpq's `authinfo`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Uses {
    /// Keys looked for.
    pub lookups: u64,
    /// Keys that were not there, or not trusted.
    pub not_found: u64,
    /// Digests made for what we send.
    pub digests_made: u64,
    /// CMACs made for what we send.
    pub cmacs_made: u64,
    /// Digests computed to check what came.
    pub digests_checked: u64,
    /// CMACs computed to check what came.
    pub cmacs_checked: u64,
    /// Digests that were wrong.
    pub digests_wrong: u64,
    /// CMACs that were wrong.
    pub cmacs_wrong: u64,
}

#[derive(Clone, Debug)]
struct Usable {
    key: Key,
    begun: Begun,
}

impl Keys {
    /// The usable ones of `keys`: those that `trusted` names.
    #[must_use]
    pub fn new(keys: &[Key], trusted: &[KeyId]) -> Self {
        let usable = keys.iter().filter(|k| trusted.contains(&k.id));
        let usable = usable.filter_map(|key| Some((key.id, Usable::new(key)?))).collect();
        Self { usable, uses: Uses::default() }
    }

    /// Other keys from now on; the counters go on.
    pub fn replace(&mut self, keys: &[Key], trusted: &[KeyId]) {
        self.usable = Self::new(keys, trusted).usable;
    }

    /// How many keys can be used.
    #[must_use]
    pub fn len(&self) -> usize {
        self.usable.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.usable.is_empty()
    }

    /// How often keys were used.
    #[must_use]
    pub const fn uses(&self) -> Uses {
        self.uses
    }

    /// Looks for a key, and counts that.
    fn find<'k>(usable: &'k BTreeMap<KeyId, Usable>, uses: &mut Uses, key: KeyId) -> Option<&'k Usable> {
        let found = usable.get(&key);
        uses.lookups += 1;
        uses.not_found += u64::from(found.is_none());
        found
    }

    /// Whether a key can be used.
    #[must_use]
    pub fn contains(&self, key: KeyId) -> bool {
        self.usable.contains_key(&key)
    }

    /// Whether `digest` is the right code of `covered` by this key, which `from` may use.
    #[must_use]
    pub fn verify(&mut self, covered: &[u8], key: KeyId, digest: &[u8], from: IpAddr) -> bool {
        let uses = &mut self.uses;
        let Some(known) = Self::find(&self.usable, uses, key) else { return false };
        if !known.key.admits(from) {
            return false;
        }
        let right = known.begun.code(covered).is(digest);
        let (checked, wrong) = match known.begun {
            Begun::AesCmac(_) => (&mut uses.cmacs_checked, &mut uses.cmacs_wrong),
            _ => (&mut uses.digests_checked, &mut uses.digests_wrong),
        };
        *checked += 1;
        *wrong += u64::from(!right);
        right
    }

    /// The code of what we send by this key.
    fn make(&mut self, key: KeyId, packet: &[u8]) -> Option<Code> {
        let known = Self::find(&self.usable, &mut self.uses, key)?;
        match known.begun {
            Begun::AesCmac(_) => self.uses.cmacs_made += 1,
            _ => self.uses.digests_made += 1,
        }
        Some(known.begun.code(packet))
    }

    /// Checks what follows the header of a packet from `from`.
    ///
    /// # Errors
    /// [`BadTrailer`] where it is neither extension fields nor a code.
    pub fn check(&mut self, packet: &[u8], from: IpAddr) -> Result<Authenticity, BadTrailer> {
        Ok(match trailer::parse(packet)? {
            Trailer::None => Authenticity::None,
            Trailer::CryptoNak => Authenticity::Failed,
            Trailer::Mac { covered, key, digest } => {
                if self.verify(&packet[..covered], KeyId(key), digest, from) {
                    Authenticity::Verified(KeyId(key))
                } else {
                    Authenticity::Failed
                }
            }
        })
    }

    /// Appends the MAC to a packet of ours, its digest cut to 20 bytes; without that key nothing is appended
    /// and the answer is false.
    pub fn sign(&mut self, key: KeyId, packet: &mut Vec<u8>) -> bool {
        self.sign_as(key, DigestLength::Cut, packet)
    }

    /// The same, with a digest of this length.
    pub fn sign_as(&mut self, key: KeyId, length: DigestLength, packet: &mut Vec<u8>) -> bool {
        debug_assert!(packet.len().is_multiple_of(4), "a MAC follows a packet of whole words");
        let Some(code) = self.make(key, packet) else { return false };
        packet.extend(key.0.to_be_bytes());
        packet.extend(code.digest(length));
        true
    }

    /// Writes the MAC behind the first `len` bytes of `reply`, with a digest of the length that the request's
    /// has, whose sender knows no other. Gives the new length.
    pub fn sign_into(&mut self, key: KeyId, length: DigestLength, len: usize, reply: &mut [u8]) -> usize {
        let Some(code) = self.make(key, &reply[..len]) else { return len };
        let code = code.digest(length);
        debug_assert!(len + 4 + code.len() <= reply.len(), "a response with its MAC fits the buffer");
        reply[len..len + 4].copy_from_slice(&key.0.to_be_bytes());
        reply[len + 4..len + 4 + code.len()].copy_from_slice(code);
        len + 4 + code.len()
    }
}

impl Usable {
    /// `None` for a CMAC key of another length than AES-128 takes, which the keys file never gives.
    fn new(key: &Key) -> Option<Self> {
        let secret = &key.secret;
        let begun = match key.digest {
            Digest::Md5 => Begun::Md5(Md5::new_with_prefix(secret)),
            Digest::Sha1 => Begun::Sha1(Sha1::new_with_prefix(secret)),
            Digest::Ripemd160 => Begun::Ripemd160(Ripemd160::new_with_prefix(secret)),
            Digest::Sha256 => Begun::Sha256(Sha256::new_with_prefix(secret)),
            Digest::Sha384 => Begun::Sha384(Sha384::new_with_prefix(secret)),
            Digest::Sha512 => Begun::Sha512(Sha512::new_with_prefix(secret)),
            Digest::AesCmac => Begun::AesCmac(Box::new(Cmac::new_from_slice(secret).ok()?)),
        };
        Some(Self { key: key.clone(), begun })
    }
}

/// A digest that has taken in its key: what every packet's code begins with.
#[derive(Clone)]
enum Begun {
    Md5(Md5),
    Sha1(Sha1),
    Ripemd160(Ripemd160),
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
    AesCmac(Box<Cmac<Aes128>>),
}

impl fmt::Debug for Begun {
    /// Without the state, which stands for the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Begun")
    }
}

impl Begun {
    fn code(&self, packet: &[u8]) -> Code {
        match self {
            Self::Md5(begun) => Code::new(&begun.clone().chain_update(packet).finalize()),
            Self::Sha1(begun) => Code::new(&begun.clone().chain_update(packet).finalize()),
            Self::Ripemd160(begun) => Code::new(&begun.clone().chain_update(packet).finalize()),
            Self::Sha256(begun) => Code::new(&begun.clone().chain_update(packet).finalize()),
            Self::Sha384(begun) => Code::new(&begun.clone().chain_update(packet).finalize()),
            Self::Sha512(begun) => Code::new(&begun.clone().chain_update(packet).finalize()),
            Self::AesCmac(begun) => {
                Code::new(&begun.as_ref().clone().chain_update(packet).finalize().into_bytes())
            }
        }
    }
}

/// A code without an allocation.
struct Code {
    bytes: [u8; DIGEST_MAX],
    length: usize,
}

impl Code {
    fn new(digest: &[u8]) -> Self {
        debug_assert!(digest.len() <= DIGEST_MAX, "no digest is longer than that of SHA-512");
        let length = digest.len().min(DIGEST_MAX);
        let mut bytes = [0; DIGEST_MAX];
        bytes[..length].copy_from_slice(&digest[..length]);
        Self { bytes, length }
    }

    fn digest(&self, length: DigestLength) -> &[u8] {
        match length {
            DigestLength::Cut => self.cut(),
            DigestLength::Whole => self.whole(),
        }
    }

    fn whole(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// As in version 4: see [`Digest`].
    fn cut(&self) -> &[u8] {
        &self.bytes[..self.length.min(DIGEST_CUT)]
    }

    /// Whole or cut, in a time that does not depend on where they differ.
    fn is(&self, other: &[u8]) -> bool {
        let expected = if other.len() == self.length { self.whole() } else { self.cut() };
        expected.ct_eq(other).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Digest; 7] = [
        Digest::Md5,
        Digest::Sha1,
        Digest::Ripemd160,
        Digest::Sha256,
        Digest::Sha384,
        Digest::Sha512,
        Digest::AesCmac,
    ];
    const ANYBODY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn id(index: usize) -> KeyId {
        KeyId(index as u32 + 1)
    }

    /// A feature of each crate, which a change of `Cargo.toml` could lose. Not of AES: see there.
    #[test]
    fn states_are_overwritten_when_dropped() {
        fn overwritten<T: zeroize::ZeroizeOnDrop>() {}
        overwritten::<Md5>();
        overwritten::<Sha1>();
        overwritten::<Ripemd160>();
        overwritten::<Sha256>();
        overwritten::<Sha384>();
        overwritten::<Sha512>();
        overwritten::<zeroize::Zeroizing<Vec<u8>>>();
    }

    /// Key 1 to 7 of each kind, trusted; key 8 is not.
    fn keys() -> Keys {
        let secret = b"sixteen bytes...".to_vec();
        let mut all: Vec<Key> =
            ALL.iter().enumerate().map(|(i, digest)| Key::new(id(i), *digest, secret.clone())).collect();
        let trusted: Vec<KeyId> = all.iter().map(|k| k.id).collect();
        all.push(Key::new(KeyId(8), Digest::Md5, secret));
        Keys::new(&all, &trusted)
    }

    #[test]
    fn what_is_signed_is_verified_and_a_changed_bit_is_not() {
        for (index, digest) in ALL.iter().enumerate() {
            let mut packet = vec![7; 48];
            assert!(keys().sign(id(index), &mut packet));
            let expected = if matches!(digest, Digest::Md5 | Digest::AesCmac) { 68 } else { 72 };
            assert_eq!(packet.len(), expected, "{digest:?}");
            assert_eq!(keys().check(&packet, ANYBODY), Ok(Authenticity::Verified(id(index))));
            for at in [0, 47, 52, packet.len() - 1] {
                let mut changed = packet.clone();
                changed[at] ^= 1;
                assert_eq!(keys().check(&changed, ANYBODY), Ok(Authenticity::Failed));
            }
            let mut buffer = [0; 128];
            buffer[..48].fill(7);
            assert_eq!(keys().sign_into(id(index), DigestLength::of(&packet), 48, &mut buffer), packet.len());
            assert_eq!(buffer[..packet.len()], packet);
            let whole = keys().usable[&id(index)].begun.code(&packet[..48]);
            packet.truncate(52);
            packet.extend(whole.whole());
            assert_eq!(keys().check(&packet, ANYBODY), Ok(Authenticity::Verified(id(index))));
            assert_eq!(keys().sign_into(id(index), DigestLength::of(&packet), 48, &mut buffer), packet.len());
            // Cut to less than 20 bytes it would be easier to guess.
            packet.truncate(68);
            let short = packet.len() - 52 < whole.cut().len();
            assert_eq!(keys().check(&packet, ANYBODY) == Ok(Authenticity::Failed), short);
        }
    }

    fn code_of(digest: Digest, secret: &[u8]) -> String {
        let mut keys = Keys::new(&[Key::new(KeyId(1), digest, secret.to_vec())], &[KeyId(1)]);
        let mut packet = vec![0; 48];
        keys.sign(KeyId(1), &mut packet);
        assert_eq!(packet[48..52], [0, 0, 0, 1]);
        packet[52..].iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn the_codes_are_those_that_other_programs_compute() {
        // Checked against coreutils: (printf secret; head -c 48 /dev/zero) | md5sum, sha1sum …; the
        // CMAC and RIPEMD-160 against OpenSSL (openssl mac, openssl dgst).
        assert_eq!(code_of(Digest::Md5, b"secret"), "cffb1b806c0408d3fcf421b90206de76");
        assert_eq!(code_of(Digest::Sha1, b"secret"), "57f14491aea7b102344e159031c8648095729c09");
        assert_eq!(code_of(Digest::Sha256, b"secret"), "a6d0c368de71879c128462c972a17a2a0c7bd6d5");
        assert_eq!(code_of(Digest::Sha384, b"secret"), "4c24d160f5736d9254f4f917d4c0957b8e3591b2");
        assert_eq!(code_of(Digest::Sha512, b"secret"), "c8fea5bb68960a5762816aa72c8cc1685e15f7be");
        assert_eq!(code_of(Digest::Ripemd160, b"secret"), "ab83f9640b6bd7c94b7c0c444f8768db13ad5676");
        assert_eq!(code_of(Digest::AesCmac, b"sixteen bytes..."), "eb3848156ce070f88d9c4bfe3c346bda");
    }

    #[test]
    fn keys_must_be_trusted_and_their_users_listed() {
        let mut packet = vec![7; 48];
        assert!(!keys().sign(KeyId(8), &mut packet));
        assert_eq!(packet.len(), 48);
        let mut key = Key::new(KeyId(1), Digest::Sha1, b"x".to_vec());
        key.hosts = vec![("10.0.0.0".parse().unwrap(), 8)];
        let mut keys = Keys::new(&[key], &[KeyId(1)]);
        assert!(keys.sign(KeyId(1), &mut packet));
        assert_eq!(keys.check(&packet, "10.1.2.3".parse().unwrap()), Ok(Authenticity::Verified(KeyId(1))));
        assert_eq!(keys.check(&packet, ANYBODY), Ok(Authenticity::Failed));
    }
}
