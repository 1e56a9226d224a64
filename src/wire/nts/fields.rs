//! The extension fields of an NTS packet (RFC 8915 section 5), read and written without allocation.

use crate::units::Aead;
use crate::wire::header::HEADER_LEN;

/// Length of the unique identifiers that are made, bytes.
pub const UNIQUE_LEN: usize = 32;
/// Shortest unique identifier, bytes.
const UNIQUE_MIN: usize = 32;
/// Shortest field in a packet, bytes (RFC 7822).
const FIELD_MIN: usize = 16;
/// Type and length of a field, bytes.
const HEAD: usize = 4;
/// The lengths in front of a nonce, bytes.
const LENGTHS: usize = 4;

const UNIQUE: u16 = 0x0104;
const COOKIE: u16 = 0x0204;
const PLACEHOLDER: u16 = 0x0304;
const AUTHENTICATOR: u16 = 0x0404;

/// The bytes do not add up to the fields of an NTS packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadFields;

/// The fields of a packet, as far as they are NTS's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Fields<'a> {
    /// The unique identifier.
    pub unique: Option<&'a [u8]>,
    /// The first cookie outside of the encryption.
    pub cookie: Option<&'a [u8]>,
    /// Placeholders that are at least as long as that cookie.
    pub placeholders: usize,
    /// The authenticator; fields behind it are not authenticated and were not read.
    pub sealed: Option<Sealed<'a>>,
}

/// An authenticator with what it encrypts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sealed<'a> {
    /// Bytes of the packet that it covers: all before it.
    pub covered: usize,
    /// The nonce.
    pub nonce: &'a [u8],
    /// Where the ciphertext begins in the packet.
    pub at: usize,
    /// The ciphertext with its tag.
    pub ciphertext: &'a [u8],
    /// Bytes that are there for the nonce.
    room: usize,
}

/// The field at the beginning: its type, its body, and what is behind it.
fn split(bytes: &[u8], least: usize) -> Option<(u16, &[u8], &[u8])> {
    let head = bytes.first_chunk::<HEAD>()?;
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
    if length < least || !length.is_multiple_of(4) {
        return None;
    }
    let (field, rest) = bytes.split_at_checked(length)?;
    Some((u16::from_be_bytes([head[0], head[1]]), &field[HEAD..], rest))
}

impl<'a> Fields<'a> {
    /// The fields behind the header.
    ///
    /// # Errors
    /// [`BadFields`] for lengths that run over the end or are too short, for a second unique identifier, and for an
    /// authenticator whose nonce and ciphertext do not fit into it.
    pub fn parse(packet: &'a [u8]) -> Result<Self, BadFields> {
        let mut read = Self::default();
        let mut rest = packet.get(HEADER_LEN..).ok_or(BadFields)?;
        let mut lengths = 0;
        while !rest.is_empty() {
            let covered = packet.len() - rest.len();
            let (kind, body, behind) = split(rest, FIELD_MIN).ok_or(BadFields)?;
            rest = behind;
            match kind {
                UNIQUE if read.unique.is_none() && body.len() >= UNIQUE_MIN => read.unique = Some(body),
                UNIQUE => return Err(BadFields),
                COOKIE if read.cookie.is_none() => read.cookie = Some(body),
                PLACEHOLDER => {
                    read.placeholders += 1;
                    lengths += body.len();
                }
                AUTHENTICATOR => {
                    read.sealed = Some(Sealed::parse(packet, covered, body).ok_or(BadFields)?);
                    break;
                }
                _ => {}
            }
        }
        // What is shorter than the cookie stands for none: the answer would be longer than the request.
        let cookie = read.cookie.map_or(0, <[u8]>::len).max(1);
        read.placeholders = read.placeholders.min(lengths / cookie);
        Ok(read)
    }

    /// Whether it has all that a request of NTS must have.
    #[must_use]
    pub const fn is_request(&self) -> bool {
        self.unique.is_some() && self.cookie.is_some() && self.sealed.is_some()
    }
}

impl<'a> Sealed<'a> {
    fn parse(packet: &'a [u8], covered: usize, body: &'a [u8]) -> Option<Self> {
        let lengths = body.first_chunk::<LENGTHS>()?;
        let nonce_length = usize::from(u16::from_be_bytes([lengths[0], lengths[1]]));
        let length = usize::from(u16::from_be_bytes([lengths[2], lengths[3]]));
        let start = LENGTHS + nonce_length.next_multiple_of(4);
        if start + length.next_multiple_of(4) > body.len() || length < Aead::TAG {
            return None;
        }
        let nonce = body.get(LENGTHS..LENGTHS + nonce_length)?;
        let at = covered + HEAD + start;
        let room = body.len() - LENGTHS - length.next_multiple_of(4);
        Some(Self { covered, nonce, at, ciphertext: packet.get(at..at + length)?, room })
    }

    /// Whether the field has the room for a nonce that this algorithm asks for, however long the nonce in it is.
    #[must_use]
    pub const fn has_room(&self, aead: Aead) -> bool {
        self.room >= aead.nonce_length()
    }
}

/// The cookies among decrypted fields.
///
/// # Errors
/// [`BadFields`] if these are no fields.
pub fn cookies(plain: &[u8]) -> Result<impl Iterator<Item = &[u8]>, BadFields> {
    let mut rest = plain;
    while !rest.is_empty() {
        rest = split(rest, HEAD).ok_or(BadFields)?.2;
    }
    let mut rest = plain;
    let fields = std::iter::from_fn(move || {
        let (kind, body, behind) = split(rest, HEAD)?;
        rest = behind;
        Some((kind, body))
    });
    Ok(fields.filter(|(kind, _)| *kind == COOKIE).map(|(_, body)| body))
}

/// Writes fields one behind the other. What no longer fits is not written, and makes [`Writer::finish`] fail.
#[derive(Debug)]
pub struct Writer<'a> {
    buffer: &'a mut [u8],
    at: usize,
    fits: bool,
}

impl<'a> Writer<'a> {
    /// Begins behind `at` bytes of the buffer.
    pub const fn new(buffer: &'a mut [u8], at: usize) -> Self {
        Self { buffer, at, fits: true }
    }

    fn field(&mut self, kind: u16, length: usize) -> Option<&mut [u8]> {
        let whole = HEAD + length.next_multiple_of(4);
        let room = self.buffer.get_mut(self.at..).and_then(|rest| rest.get_mut(..whole));
        let Some((room, encoded)) = room.zip(u16::try_from(whole).ok()) else {
            self.fits = false;
            return None;
        };
        self.at += whole;
        room.fill(0);
        room[..2].copy_from_slice(&kind.to_be_bytes());
        room[2..HEAD].copy_from_slice(&encoded.to_be_bytes());
        Some(&mut room[HEAD..])
    }

    fn copy(&mut self, kind: u16, body: &[u8]) {
        if let Some(room) = self.field(kind, body.len()) {
            room[..body.len()].copy_from_slice(body);
        }
    }

    /// A unique identifier.
    pub fn unique(&mut self, unique: &[u8]) {
        self.copy(UNIQUE, unique);
    }

    /// A cookie.
    pub fn cookie(&mut self, cookie: &[u8]) {
        self.copy(COOKIE, cookie);
    }

    /// Room for a cookie of this length, to be filled.
    pub fn cookie_room(&mut self, length: usize) -> Option<&mut [u8]> {
        self.field(COOKIE, length)
    }

    /// A placeholder for a cookie of this length.
    pub fn placeholder(&mut self, length: usize) {
        self.field(PLACEHOLDER, length);
    }

    /// Where the next field goes: the bytes written so far, if all of them had room.
    #[must_use]
    pub const fn finish(self) -> Option<usize> {
        if self.fits { Some(self.at) } else { None }
    }
}

/// Where the parts of an authenticator go in a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Authenticator {
    /// Where the field begins: what is before it is covered.
    pub at: usize,
    /// The algorithm.
    pub aead: Aead,
}

impl Authenticator {
    /// Where the nonce goes.
    #[must_use]
    pub const fn nonce_at(&self) -> usize {
        self.at + HEAD + LENGTHS
    }

    /// Where the ciphertext goes, its tag included.
    #[must_use]
    pub const fn ciphertext_at(&self) -> usize {
        self.nonce_at() + self.aead.nonce_length().next_multiple_of(4)
    }

    /// Where the fields go that are to be encrypted in place.
    #[must_use]
    pub const fn plain_at(&self) -> usize {
        self.ciphertext_at() + if self.aead.tag_in_front() { Aead::TAG } else { 0 }
    }

    /// Where the shortest field ends that has room for so many bytes of plaintext.
    #[must_use]
    pub fn end(&self, plain: usize) -> usize {
        self.ciphertext_at() + (plain + Aead::TAG).next_multiple_of(4)
    }

    /// Writes type and lengths of a field that ends at `end` and has so many bytes of plaintext, and zeros where nothing goes;
    /// `None` if it does not fit.
    pub fn write_head(&self, packet: &mut [u8], plain: usize, end: usize) -> Option<()> {
        if end < self.end(plain) || !(end - self.at).is_multiple_of(4) {
            return None;
        }
        let field = packet.get_mut(self.at..end)?;
        let lengths = [
            AUTHENTICATOR,
            u16::try_from(field.len()).ok()?,
            u16::try_from(self.aead.nonce_length()).ok()?,
            u16::try_from(plain + Aead::TAG).ok()?,
        ];
        for (place, number) in field.chunks_exact_mut(2).zip(lengths) {
            place.copy_from_slice(&number.to_be_bytes());
        }
        packet.get_mut(self.ciphertext_at() + plain + Aead::TAG..end)?.fill(0);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(cookie: usize, placeholders: &[usize]) -> Vec<u8> {
        let mut buffer = [0; 1_500];
        let mut writer = Writer::new(&mut buffer, HEADER_LEN);
        writer.unique(&[7; UNIQUE_LEN]);
        writer.cookie(&vec![9; cookie]);
        for length in placeholders {
            writer.placeholder(*length);
        }
        let at = writer.finish().unwrap();
        let authenticator = Authenticator { at, aead: Aead::AesSivCmac256 };
        let end = authenticator.end(0);
        authenticator.write_head(&mut buffer, 0, end).unwrap();
        buffer[..end].to_vec()
    }

    #[test]
    fn what_is_written_is_read() {
        let packet = request(100, &[100, 100]);
        assert_eq!(packet.len(), 228 + 2 * 104);
        let fields = Fields::parse(&packet).unwrap();
        assert!(fields.is_request());
        assert_eq!(fields.unique, Some(&[7; 32][..]));
        assert_eq!(fields.cookie, Some(&[9; 100][..]));
        assert_eq!(fields.placeholders, 2);
        let sealed = fields.sealed.unwrap();
        assert_eq!((sealed.covered, sealed.nonce.len(), sealed.ciphertext.len()), (396, 16, 16));
    }

    #[test]
    fn short_placeholders_do_not_make_an_answer_longer_than_its_request() {
        assert_eq!(Fields::parse(&request(100, &[12; 10])).unwrap().placeholders, 1);
        assert_eq!(Fields::parse(&request(100, &[96])).unwrap().placeholders, 0);
        assert_eq!(Fields::parse(&request(100, &[200])).unwrap().placeholders, 1);
    }

    #[test]
    fn a_field_has_room_for_the_nonce_of_its_algorithm() {
        let authenticator = Authenticator { at: 48, aead: Aead::Aes128GcmSiv };
        assert_eq!(authenticator.end(0) - 48, 36);
        assert_eq!(Authenticator { aead: Aead::AesSivCmac256, ..authenticator }.end(0) - 48, 40);
    }

    #[test]
    fn cut_packets_are_no_fields() {
        let packet = request(100, &[100]);
        for length in 49..packet.len() {
            let fields = Fields::parse(&packet[..length]);
            assert!(fields.is_err() || fields.unwrap().sealed.is_none(), "{length}");
        }
        let mut twice = request(100, &[]);
        twice.splice(48..48, twice[48..84].to_vec());
        assert_eq!(Fields::parse(&twice), Err(BadFields));
    }

    #[test]
    fn what_does_not_fit_is_not_written() {
        let mut buffer = [0; 60];
        let mut writer = Writer::new(&mut buffer, HEADER_LEN);
        writer.cookie(&[1; 12]);
        assert_eq!(writer.finish(), None);
        let mut writer = Writer::new(&mut buffer, HEADER_LEN);
        writer.cookie(&[1; 8]);
        assert_eq!(writer.finish(), Some(60));
    }
}
