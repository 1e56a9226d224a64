//! Cookies: all that a server of NTS knows of a client, sealed by a key that only the server has, and kept by the client
//! (RFC 8915 section 6, in the form that it suggests, which is NTPsec's).

use super::aead::Cipher;
use crate::units::Aead;
use crate::wire::nts::Secret;
use crate::wire::nts::master::{MasterKey, MasterKeys};
use zeroize::Zeroizing;

/// Length of the nonce of a cookie, bytes.
pub const NONCE: usize = 16;
/// Where the nonce is: behind the number of the key.
const NONCE_AT: usize = 4;
/// Where the tag is; what is before it is covered by it.
const TAG_AT: usize = NONCE_AT + NONCE;
/// Where the encrypted part is.
const TEXT_AT: usize = TAG_AT + Aead::TAG;
/// Length of the algorithm's number in it, bytes.
const NUMBER: usize = 4;
/// Longest encrypted part, bytes.
const TEXT_MAX: usize = NUMBER + 2 * Aead::KEY_MAX;

/// Length of a cookie with keys of this algorithm, bytes.
#[must_use]
pub const fn length(aead: Aead) -> usize {
    TEXT_AT + NUMBER + 2 * aead.key_length()
}

/// What a cookie holds.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The algorithm.
    pub aead: Aead,
    /// The key of the client's packets.
    pub to_server: Secret,
    /// The key of our answers.
    pub to_client: Secret,
    /// By which key it was sealed.
    pub age: Age,
}

/// By which key a cookie was sealed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Age {
    /// The current one, or the next one, which another server of a cluster uses already.
    Current,
    /// The one before.
    Old,
    /// The one before that.
    Old2,
    /// An older one.
    Older,
}

/// Why a cookie is not opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadCookie {
    /// Its key is gone, or was never ours.
    TooOld,
    /// It is no cookie of ours, or not as we made it.
    Broken,
}

/// The master keys, ready for use.
#[derive(Debug)]
pub struct Cookies {
    /// The current one, and the old ones, the latest first.
    keys: Vec<Ready>,
    next: Option<Ready>,
}

#[derive(Debug)]
struct Ready {
    /// The number as it stands in cookies.
    id: [u8; NONCE_AT],
    cipher: Cipher,
}

impl Ready {
    fn new(key: &MasterKey) -> Option<Self> {
        // A number in host order is one in little endian wherever NTPsec runs.
        let id = key.id.to_le_bytes();
        Some(Self { id, cipher: Cipher::new(Aead::AesSivCmac256, key.secret.as_bytes())? })
    }
}

impl Cookies {
    /// Cookies by these keys.
    #[must_use]
    pub fn new(keys: &MasterKeys) -> Self {
        let used = [&keys.current].into_iter().chain(&keys.old);
        Self { keys: used.filter_map(Ready::new).collect(), next: keys.next.as_ref().and_then(Ready::new) }
    }

    /// What a cookie holds.
    ///
    /// # Errors
    /// [`BadCookie`].
    pub fn open(&mut self, cookie: &[u8]) -> Result<Opened, BadCookie> {
        // The length is the first thing that is looked at: clients send what they like.
        if !Aead::ALL.into_iter().any(|aead| length(aead) == cookie.len()) {
            return Err(BadCookie::Broken);
        }
        let (covered, sealed) = cookie.split_at_checked(TAG_AT).ok_or(BadCookie::Broken)?;
        let (id, nonce) = covered.split_at_checked(NONCE_AT).ok_or(BadCookie::Broken)?;
        let (tag, encrypted) = sealed.split_first_chunk().ok_or(BadCookie::Broken)?;
        let mut used =
            self.keys.iter_mut().zip([Age::Current, Age::Old, Age::Old2].into_iter().chain([Age::Older; 16]));
        let found = used.find(|(key, _)| key.id == id);
        let found =
            found.or_else(|| self.next.as_mut().filter(|key| key.id == id).map(|key| (key, Age::Current)));
        let (key, age) = found.ok_or(BadCookie::TooOld)?;
        let mut room = Zeroizing::new([0; TEXT_MAX]);
        let text = room.get_mut(..encrypted.len()).ok_or(BadCookie::Broken)?;
        text.copy_from_slice(encrypted);
        key.cipher.decrypt(covered, nonce, text, tag).map_err(|_| BadCookie::Broken)?;
        Self::read(text, age).ok_or(BadCookie::Broken)
    }

    fn read(text: &[u8], age: Age) -> Option<Opened> {
        let (number, keys) = text.split_first_chunk()?;
        let aead = Aead::of_number(u16::try_from(u32::from_le_bytes(*number)).ok()?)?;
        let (to_server, to_client) = keys.split_at_checked(aead.key_length())?;
        let whole = to_client.len() == aead.key_length();
        Some(Opened { aead, to_server: Secret::new(to_server)?, to_client: Secret::new(to_client)?, age })
            .filter(|_| whole)
    }

    /// Makes a cookie by the current key where there is room for exactly that; `None` if there is not.
    pub fn make(&mut self, of: &Opened, nonce: &[u8; NONCE], room: &mut [u8]) -> Option<()> {
        let key = self.keys.first_mut()?;
        let room = Some(room).filter(|room| room.len() == length(of.aead))?;
        let (covered, sealed) = room.split_at_mut_checked(TAG_AT)?;
        let (id, place) = covered.split_at_mut_checked(NONCE_AT)?;
        id.copy_from_slice(&key.id);
        place.copy_from_slice(nonce);
        let (tag, text) = sealed.split_first_chunk_mut()?;
        let (number, keys) = text.split_first_chunk_mut()?;
        *number = u32::from(of.aead.number()).to_le_bytes();
        let (to_server, to_client) = keys.split_at_mut_checked(of.to_server.as_bytes().len())?;
        to_server.copy_from_slice(of.to_server.as_bytes());
        to_client.copy_from_slice(of.to_client.as_bytes());
        *tag = key.cipher.encrypt(covered, nonce, text)?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn master(id: u32) -> MasterKey {
        MasterKey::new(id, &[id as u8; 32]).unwrap()
    }

    fn keys() -> MasterKeys {
        MasterKeys {
            rotated: 0,
            current: master(9),
            old: (1..6).rev().map(master).collect(),
            next: Some(master(10)),
        }
    }

    fn client(aead: Aead) -> Opened {
        let key = |fill| Secret::new(&vec![fill; aead.key_length()]).unwrap();
        Opened { aead, to_server: key(1), to_client: key(2), age: Age::Current }
    }

    fn cookie(keys: &MasterKeys, aead: Aead) -> Vec<u8> {
        let mut room = vec![0xee; length(aead)];
        Cookies::new(keys).make(&client(aead), &[7; 16], &mut room).unwrap();
        room
    }

    #[test]
    fn what_is_made_is_opened() {
        for (aead, expected) in Aead::ALL.into_iter().zip([104, 136, 168, 72]) {
            let made = cookie(&keys(), aead);
            assert_eq!(made.len(), expected);
            let opened = Cookies::new(&keys()).open(&made).unwrap();
            assert_eq!((opened.aead, opened.age), (aead, Age::Current));
            assert_eq!(opened.to_server, client(aead).to_server);
            assert_eq!(opened.to_client, client(aead).to_client);
            assert_eq!(Cookies::new(&keys()).make(&opened, &[0; 16], &mut [0; 100]), None);
            for at in 0..made.len() {
                let mut forged = made.clone();
                forged[at] ^= 1;
                assert!(Cookies::new(&keys()).open(&forged).is_err(), "{at}");
            }
        }
    }

    #[test]
    fn a_cookie_shows_by_which_key_it_was_sealed() {
        let mut cookies = Cookies::new(&keys());
        let mut age = |id| {
            let by = MasterKeys { current: master(id), ..keys() };
            cookies.open(&cookie(&by, Aead::AesSivCmac256)).map(|opened| opened.age)
        };
        assert_eq!([9, 10].map(&mut age), [Ok(Age::Current); 2]);
        assert_eq!([5, 4].map(&mut age), [Ok(Age::Old), Ok(Age::Old2)]);
        assert_eq!([3, 2, 1].map(&mut age), [Ok(Age::Older); 3]);
        assert_eq!(age(6), Err(BadCookie::TooOld));
        let other = MasterKeys { current: MasterKey::new(9, &[8; 32]).unwrap(), ..keys() };
        assert_eq!(
            Cookies::new(&keys()).open(&cookie(&other, Aead::AesSivCmac256)).map(|_| ()),
            Err(BadCookie::Broken)
        );
    }

    // ntpd-rs before 0.3.3 ended where a cookie was shorter than it expected.
    #[test]
    fn cve_2023_33192_cookies_of_any_length_do_no_harm() {
        let mut cookies = Cookies::new(&keys());
        let mut long = cookie(&keys(), Aead::AesSivCmac256);
        long.resize(2_000, 0);
        for length in 0..long.len() {
            assert_eq!(cookies.open(&long[..length]).is_ok(), length == 104, "{length}");
        }
    }
}
