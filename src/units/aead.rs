//! The algorithms that seal packets of NTS, by their numbers in the IANA registry.

use std::fmt;

/// An algorithm of authenticated encryption with associated data.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Aead {
    /// 15: what every implementation of NTS has.
    AesSivCmac256,
    /// 16.
    AesSivCmac384,
    /// 17.
    AesSivCmac512,
    /// 30: shorter packets and less work (RFC 8452).
    Aes128GcmSiv,
}

impl Aead {
    /// All there are, by number.
    pub const ALL: [Self; 4] =
        [Self::AesSivCmac256, Self::AesSivCmac384, Self::AesSivCmac512, Self::Aes128GcmSiv];
    /// Longest key, bytes.
    pub const KEY_MAX: usize = 64;
    /// Length of the tag, bytes: the same for all.
    pub const TAG: usize = 16;
    /// Longest nonce that is made, bytes.
    pub const NONCE_MAX: usize = 16;

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::AesSivCmac256 => 15,
            Self::AesSivCmac384 => 16,
            Self::AesSivCmac512 => 17,
            Self::Aes128GcmSiv => 30,
        }
    }

    /// The algorithm with this number.
    #[must_use]
    pub fn of_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|aead| aead.number() == number)
    }

    /// Its name in ntp.conf and in the registry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AesSivCmac256 => "AES_SIV_CMAC_256",
            Self::AesSivCmac384 => "AES_SIV_CMAC_384",
            Self::AesSivCmac512 => "AES_SIV_CMAC_512",
            Self::Aes128GcmSiv => "AES_128_GCM_SIV",
        }
    }

    /// The algorithm with this name, in capitals or not.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|aead| aead.name().eq_ignore_ascii_case(name))
    }

    /// Length of its keys, bytes.
    #[must_use]
    pub const fn key_length(self) -> usize {
        match self {
            Self::AesSivCmac256 => 32,
            Self::AesSivCmac384 => 48,
            Self::AesSivCmac512 => 64,
            Self::Aes128GcmSiv => 16,
        }
    }

    /// Length of the nonces to send, bytes.
    #[must_use]
    pub const fn nonce_length(self) -> usize {
        match self {
            Self::AesSivCmac256 | Self::AesSivCmac384 | Self::AesSivCmac512 => 16,
            Self::Aes128GcmSiv => 12,
        }
    }

    /// Whether the tag stands in front of the ciphertext; else it is behind.
    #[must_use]
    pub const fn tag_in_front(self) -> bool {
        !matches!(self, Self::Aes128GcmSiv)
    }
}

impl fmt::Display for Aead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_lead_back() {
        for aead in Aead::ALL {
            assert_eq!(Aead::of_number(aead.number()), Some(aead));
            assert_eq!(Aead::of_name(&aead.name().to_lowercase()), Some(aead));
            assert!(aead.key_length() <= Aead::KEY_MAX && aead.nonce_length() <= Aead::NONCE_MAX);
        }
        assert_eq!(Aead::of_number(14), None);
        assert_eq!(Aead::of_name("AES_SIV"), None);
    }
}
