//! Sealing and opening what NTS authenticates (RFC 8915 section 5.6), in place and without allocation.

use crate::units::Aead;
use crate::wire::nts::fields::{Authenticator, Sealed};
use aes::{Aes128, Aes192, Aes256};
use aes_gcm_siv::Aes128GcmSiv;
use aes_gcm_siv::aead::{AeadInOut, KeyInit};
use aes_siv::siv::CmacSiv;

/// An algorithm with its key, ready for use.
pub enum Cipher {
    /// AES-SIV-CMAC-256: two keys of 128 bits.
    Siv256(CmacSiv<Aes128>),
    /// AES-SIV-CMAC-384.
    Siv384(CmacSiv<Aes192>),
    /// AES-SIV-CMAC-512.
    Siv512(CmacSiv<Aes256>),
    /// AES-128-GCM-SIV.
    GcmSiv(Aes128GcmSiv),
}

/// What was sealed cannot be opened: another key, or it was changed on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unopened;

impl std::fmt::Debug for Cipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Cipher").field(&self.aead()).finish()
    }
}

impl Cipher {
    /// The algorithm with this key; `None` if the key has not the length that it wants.
    #[must_use]
    pub fn new(aead: Aead, key: &[u8]) -> Option<Self> {
        match aead {
            Aead::AesSivCmac256 => CmacSiv::new_from_slice(key).map(Self::Siv256).ok(),
            Aead::AesSivCmac384 => CmacSiv::new_from_slice(key).map(Self::Siv384).ok(),
            Aead::AesSivCmac512 => CmacSiv::new_from_slice(key).map(Self::Siv512).ok(),
            Aead::Aes128GcmSiv => Aes128GcmSiv::new_from_slice(key).map(Self::GcmSiv).ok(),
        }
    }

    /// The algorithm.
    #[must_use]
    pub const fn aead(&self) -> Aead {
        match self {
            Self::Siv256(_) => Aead::AesSivCmac256,
            Self::Siv384(_) => Aead::AesSivCmac384,
            Self::Siv512(_) => Aead::AesSivCmac512,
            Self::GcmSiv(_) => Aead::Aes128GcmSiv,
        }
    }

    /// Encrypts `text` in place; gives the tag, `None` for a nonce that the algorithm does not take.
    pub fn encrypt(&mut self, covered: &[u8], nonce: &[u8], text: &mut [u8]) -> Option<[u8; Aead::TAG]> {
        let headers = [covered, nonce];
        let tag = match self {
            Self::Siv256(siv) => siv.encrypt_inout_detached(headers, text.into()).ok()?,
            Self::Siv384(siv) => siv.encrypt_inout_detached(headers, text.into()).ok()?,
            Self::Siv512(siv) => siv.encrypt_inout_detached(headers, text.into()).ok()?,
            Self::GcmSiv(gcm) => {
                return gcm
                    .encrypt_inout_detached(nonce.try_into().ok()?, covered, text.into())
                    .ok()
                    .map(Into::into);
            }
        };
        Some(tag.into())
    }

    /// Decrypts `text` in place.
    ///
    /// # Errors
    /// [`Unopened`]; `text` is then of no meaning.
    pub fn decrypt(
        &mut self,
        covered: &[u8],
        nonce: &[u8],
        text: &mut [u8],
        tag: &[u8; Aead::TAG],
    ) -> Result<(), Unopened> {
        let headers = [covered, nonce];
        match self {
            Self::Siv256(siv) => siv.decrypt_inout_detached(headers, text.into(), tag.into()),
            Self::Siv384(siv) => siv.decrypt_inout_detached(headers, text.into(), tag.into()),
            Self::Siv512(siv) => siv.decrypt_inout_detached(headers, text.into(), tag.into()),
            Self::GcmSiv(gcm) => {
                let nonce = nonce.try_into().map_err(|_| Unopened)?;
                return gcm
                    .decrypt_inout_detached(nonce, covered, text.into(), tag.into())
                    .map_err(|_| Unopened);
            }
        }
        .map_err(|_| Unopened)
    }

    /// Completes a packet with an authenticator: so many bytes of fields to encrypt stand where they belong, the field ends at
    /// `end`. `None` if it does not fit.
    pub fn seal(
        &mut self,
        packet: &mut [u8],
        place: Authenticator,
        nonce: &[u8; Aead::NONCE_MAX],
        plain: usize,
        end: usize,
    ) -> Option<()> {
        place.write_head(packet, plain, end)?;
        let (nonce, text) = (nonce.get(..place.aead.nonce_length())?, place.plain_at());
        let (covered, field) = packet.split_at_mut_checked(place.at)?;
        let field = field.get_mut(..end - place.at)?;
        field.get_mut(place.nonce_at() - place.at..)?.get_mut(..nonce.len())?.copy_from_slice(nonce);
        let tag = self.encrypt(covered, nonce, field.get_mut(text - place.at..)?.get_mut(..plain)?)?;
        let at = if place.aead.tag_in_front() { place.ciphertext_at() } else { text + plain };
        field.get_mut(at - place.at..)?.get_mut(..Aead::TAG)?.copy_from_slice(&tag);
        Some(())
    }

    /// Opens a packet's authenticator into `text`, which is as long as what it encrypts at least; gives the fields that were
    /// encrypted.
    ///
    /// # Errors
    /// [`Unopened`], too where `text` is too short.
    pub fn open<'t>(
        &mut self,
        packet: &[u8],
        sealed: &Sealed<'_>,
        text: &'t mut [u8],
    ) -> Result<&'t [u8], Unopened> {
        let aead = self.aead();
        let split = if aead.tag_in_front() {
            Some(Aead::TAG)
        } else {
            sealed.ciphertext.len().checked_sub(Aead::TAG)
        };
        let (front, back) = split.and_then(|at| sealed.ciphertext.split_at_checked(at)).ok_or(Unopened)?;
        let (tag, encrypted) = if aead.tag_in_front() { (front, back) } else { (back, front) };
        let tag = tag.try_into().map_err(|_| Unopened)?;
        let covered = packet.get(..sealed.covered).filter(|_| sealed.has_room(aead)).ok_or(Unopened)?;
        let text = text.get_mut(..encrypted.len()).ok_or(Unopened)?;
        text.copy_from_slice(encrypted);
        self.decrypt(covered, sealed.nonce, text, tag)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(aead: Aead, plain: &[u8]) -> Vec<u8> {
        let mut packet = vec![3; 400];
        let place = Authenticator { at: 100, aead };
        let at = place.plain_at();
        packet[at..at + plain.len()].copy_from_slice(plain);
        let end = place.end(plain.len());
        let mut cipher = Cipher::new(aead, &vec![5; aead.key_length()]).unwrap();
        cipher.seal(&mut packet, place, &[8; 16], plain.len(), end).unwrap();
        packet.truncate(end);
        packet
    }

    fn sealed(packet: &[u8]) -> Sealed<'_> {
        // Fields are looked for behind the header.
        let whole = crate::wire::nts::fields::Fields::parse(packet).unwrap();
        whole.sealed.unwrap()
    }

    #[test]
    fn what_is_sealed_is_opened_by_the_same_key_only() {
        for aead in Aead::ALL {
            for length in [0, 4, 100, 111] {
                let plain: Vec<u8> = (0..length).collect();
                let mut packet = packet(aead, &plain);
                packet[48..52].copy_from_slice(&[0x01, 0x04, 0, 52]);
                let mut cipher = Cipher::new(aead, &vec![5; aead.key_length()]).unwrap();
                // The header of the field that covers has been changed: it does not open.
                let mut text = [0; 400];
                assert_eq!(cipher.open(&packet, &sealed(&packet), &mut text), Err(Unopened));
                let place = Authenticator { at: 100, aead };
                let at = place.plain_at();
                packet[at..at + plain.len()].copy_from_slice(&plain);
                let end = packet.len();
                cipher.seal(&mut packet, place, &[8; 16], plain.len(), end).unwrap();
                assert_eq!(cipher.open(&packet, &sealed(&packet), &mut text), Ok(&plain[..]));
                let mut other = Cipher::new(aead, &vec![6; aead.key_length()]).unwrap();
                assert_eq!(other.open(&packet, &sealed(&packet), &mut text), Err(Unopened));
                assert!(Cipher::new(aead, &[5; 15]).is_none());
            }
        }
    }
}
