//! What holds of all that comes as a message or a packet of NTS: for the replay and the fuzz target.

use rsntpd::units::Aead;
use rsntpd::wire::nts::fields::{self, Fields};
use rsntpd::wire::nts::records::{self, Request, Response};
use rsntpd::wire::nts::{COOKIE_MAX, COOKIES};

/// Length of the header of a packet, bytes.
const HEADER: usize = 48;

/// These bytes as a message of either side, as a packet, and as what a packet encrypts.
///
/// # Panics
/// If something does not hold.
pub fn nts(data: &[u8]) {
    message(data);
    if let Ok(fields) = Fields::parse(data) {
        packet(data, &fields);
    }
    if let Ok(cookies) = fields::cookies(data) {
        let lengths: usize = cookies.map(|cookie| 4 + cookie.len()).sum();
        assert!(lengths <= data.len(), "{lengths} bytes of cookies in {}", data.len());
    }
}

fn message(data: &[u8]) {
    let end = records::end(data);
    assert!(end.is_none_or(|end| (4..=data.len()).contains(&end)), "{end:?}");
    if let Ok(request) = Request::parse(data) {
        assert_eq!(end, Some(data.len()));
        // What is not known here is not written.
        let written = request.to_bytes();
        assert_eq!(records::end(&written), Some(written.len()));
        if request.ntpv4 && !request.aeads.is_empty() {
            assert_eq!(Request::parse(&written), Ok(request.clone()));
        }
        let refusal = records::nothing_in_common(&request);
        assert_eq!(records::end(&refusal), Some(refusal.len()));
    }
    match Response::parse(data, &Aead::ALL) {
        Ok(response) => {
            assert_eq!(end, Some(data.len()));
            assert!((1..=COOKIES).contains(&response.cookies.len()));
            assert!(
                response.cookies.iter().all(|cookie| cookie.len() <= COOKIE_MAX && cookie.len() % 4 == 0)
            );
            let name = response.server.as_deref().unwrap_or("a");
            let of_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b':');
            assert!(!name.is_empty() && name.len() <= 255 && name.bytes().all(of_name), "{name:?}");
            assert_ne!(response.port, Some(0));
            let written = response.to_bytes();
            assert_eq!(Response::parse(&written, &Aead::ALL), Ok(response));
        }
        Err(why) => assert!(why.to_string().bytes().all(|b| matches!(b, b' '..=b'~')), "{why}"),
    }
}

fn packet(data: &[u8], fields: &Fields<'_>) {
    let unique = fields.unique.map_or(32, <[u8]>::len);
    assert!(unique >= 32);
    // An answer with as many cookies is never longer.
    let cookie = fields.cookie.map_or(0, <[u8]>::len);
    assert!(
        HEADER + (1 + fields.placeholders) * cookie <= data.len(),
        "{} placeholders",
        fields.placeholders
    );
    if let Some(sealed) = fields.sealed {
        assert!((HEADER..data.len()).contains(&sealed.covered) && sealed.covered % 4 == 0);
        let end = sealed.at + sealed.ciphertext.len();
        assert!(sealed.at >= sealed.covered + 8 + sealed.nonce.len() && end <= data.len());
        assert_eq!(data.get(sealed.at..end), Some(sealed.ciphertext));
        assert!(sealed.ciphertext.len() >= Aead::TAG);
    }
    assert!(!fields.is_request() || fields.sealed.is_some());
}
