//! What may follow the 48 bytes of the header: extension fields, then a message authentication code.

use super::header::HEADER_LEN;

/// Longest digest in a packet of version 4, bytes: longer ones are cut.
pub const DIGEST_CUT: usize = 20;
/// Longest digest there is (SHA-512), bytes.
pub const DIGEST_MAX: usize = 64;
/// Longest message authentication code of version 4: key identifier and digest.
pub const MAC_MAX: usize = 4 + DIGEST_CUT;
/// Lengths of codes with a digest that is not cut: SHA-256, SHA-384 and SHA-512.
const LONG_MACS: [usize; 3] = [4 + 32, 4 + 48, 4 + 64];
/// Shortest extension field (RFC 7822).
const FIELD_MIN: usize = 16;

/// What follows the header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trailer<'a> {
    /// Nothing that authenticates.
    None,
    /// A crypto-NAK: key identifier 0 and no digest.
    CryptoNak,
    /// A message authentication code.
    Mac {
        /// Bytes that the digest covers: header and extension fields.
        covered: usize,
        /// The key identifier.
        key: u32,
        /// The digest, 16 or 20 bytes; 32, 48 or 64 where it was not cut.
        digest: &'a [u8],
    },
}

/// The bytes do not add up to extension fields and a code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadTrailer;

/// Finds the message authentication code behind the header and any extension fields (RFC 7822
/// section 3: a remainder of up to 24 bytes is the code). A remainder with the length of a digest
/// that was not cut is one too, if it begins as a key number of the keys file does and no extension
/// field can (type 0): chrony sends such codes in version 3, NTPsec's ntpdig in version 4.
///
/// # Errors
/// [`BadTrailer`] for lengths that are no multiple of four, run over the end, or leave a remainder
/// that is no code.
pub fn parse(packet: &[u8]) -> Result<Trailer<'_>, BadTrailer> {
    let mut at = HEADER_LEN;
    if packet.len() < at || !packet.len().is_multiple_of(4) {
        return Err(BadTrailer);
    }
    while packet.len() - at > MAC_MAX && !is_long_mac(&packet[at..]) {
        let length = usize::from(u16::from_be_bytes([packet[at + 2], packet[at + 3]]));
        if length < FIELD_MIN || !length.is_multiple_of(4) || length > packet.len() - at {
            return Err(BadTrailer);
        }
        at += length;
    }
    let rest = &packet[at..];
    match rest.len() {
        0 => Ok(Trailer::None),
        4 if rest == [0; 4] => Ok(Trailer::CryptoNak),
        length if length == 20 || length == 24 || is_long_mac(rest) => {
            debug_assert!(at.is_multiple_of(4), "a MAC covers whole words: {at} bytes");
            let (key, digest) = rest.split_at(4);
            debug_assert!(digest.len() <= DIGEST_MAX, "no digest is longer than that of SHA-512");
            let key = u32::from_be_bytes([key[0], key[1], key[2], key[3]]);
            Ok(Trailer::Mac { covered: at, key, digest })
        }
        _ => Err(BadTrailer),
    }
}

fn is_long_mac(rest: &[u8]) -> bool {
    LONG_MACS.contains(&rest.len()) && rest.starts_with(&[0, 0])
}

/// How much of its digest a MAC has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum DigestLength {
    /// At most 20 bytes, as version 4 wants it.
    #[default]
    Cut,
    /// All of it.
    Whole,
}

impl DigestLength {
    /// That of a packet's MAC.
    #[must_use]
    pub fn of(packet: &[u8]) -> Self {
        match parse(packet) {
            Ok(Trailer::Mac { digest, .. }) if digest.len() > DIGEST_CUT => Self::Whole,
            _ => Self::Cut,
        }
    }

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Cut => Self::Whole,
            Self::Whole => Self::Cut,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(tail: &[u8]) -> Vec<u8> {
        [&[0u8; HEADER_LEN][..], tail].concat()
    }

    #[test]
    fn codes_are_found_behind_extension_fields() {
        assert_eq!(parse(&packet(&[])), Ok(Trailer::None));
        assert_eq!(parse(&packet(&[0; 4])), Ok(Trailer::CryptoNak));
        let mut tail = vec![0, 1, 0, 28];
        tail.extend([0; 24]);
        tail.extend([0, 0, 0, 7]);
        tail.extend([9; 16]);
        assert_eq!(parse(&packet(&tail)), Ok(Trailer::Mac { covered: 76, key: 7, digest: &[9; 16] }));
    }

    #[test]
    fn digests_that_are_not_cut_are_no_extension_fields() {
        for length in [32, 48, 64] {
            let mut tail = vec![0, 0, 0, 28];
            tail.extend(vec![9; length]);
            let expected = Trailer::Mac { covered: 48, key: 28, digest: &vec![9; length][..] };
            assert_eq!(parse(&packet(&tail)), Ok(expected));
            tail[1] = 1;
            assert_ne!(parse(&packet(&tail)), Ok(expected));
        }
    }

    #[test]
    fn lengths_that_do_not_add_up_are_refused() {
        for tail in [&[0u8; 3][..], &[0; 8], &[0; 12], &[0; 16], &[0, 1, 0, 200, 0, 0, 0, 0][..], &[0; 28]] {
            assert_eq!(parse(&packet(tail)), Err(BadTrailer), "{tail:?}");
        }
    }
}
