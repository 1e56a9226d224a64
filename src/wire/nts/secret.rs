//! A key that no other process may read.

use crate::units::Aead;
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A key of at most 64 bytes. It is overwritten when it is let go, and never shown.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Secret {
    bytes: [u8; Aead::KEY_MAX],
    length: usize,
}

impl Secret {
    /// These bytes; `None` if there are none, or too many.
    #[must_use]
    pub fn new(key: &[u8]) -> Option<Self> {
        let mut bytes = [0; Aead::KEY_MAX];
        let length = key.len();
        bytes.get_mut(..length).filter(|_| length > 0)?.copy_from_slice(key);
        Some(Self { bytes, length })
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Secret::new(&[0xab; 32]).unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(32 bytes)");
        assert_eq!(secret.as_bytes(), [0xab; 32]);
        assert_eq!(Secret::new(&[]), None);
        assert_eq!(Secret::new(&[0; 65]), None);
    }
}
