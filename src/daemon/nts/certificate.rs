//! The dates of a certificate: rustls compares them with a time, and does not say what they are.

use crate::engine::contract::Validity;
use crate::units::{DAY, day_of};

/// The tags of DER (ITU-T X.690) on the way to the dates.
mod tag {
    pub(super) const SEQUENCE: u8 = 0x30;
    pub(super) const UTC_TIME: u8 = 0x17;
    pub(super) const GENERALIZED_TIME: u8 = 0x18;
    /// Before the serial number, in all but the first version of certificates.
    pub(super) const VERSION: u8 = 0xa0;
}

/// A tag, a length, and so many bytes of contents.
struct Element<'a> {
    tag: u8,
    body: &'a [u8],
}

impl<'a> Element<'a> {
    /// The next element of `rest`, which goes on behind it.
    fn take(rest: &mut &'a [u8]) -> Option<Self> {
        let (&[tag, first], behind) = rest.split_first_chunk()?;
        let (length, behind) = match first {
            0..=0x7f => (usize::from(first), behind),
            // So many bytes of length: four are more than any certificate has.
            0x81..=0x84 => {
                let (length, behind) = behind.split_at_checked(usize::from(first & 0x7f))?;
                (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), behind)
            }
            _ => return None,
        };
        let (body, behind) = behind.split_at_checked(length)?;
        *rest = behind;
        Some(Self { tag, body })
    }

    /// The contents of the next element, a sequence.
    fn sequence(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
        Self::take(rest).filter(|element| element.tag == tag::SEQUENCE).map(|element| element.body)
    }
}

/// From when to when this certificate (X.509, DER) is valid; `None` if it is none.
#[must_use]
pub fn validity(mut der: &[u8]) -> Option<Validity> {
    let mut certificate = Element::sequence(&mut der)?;
    let mut signed = Element::sequence(&mut certificate)?;
    if signed.first() == Some(&tag::VERSION) {
        Element::take(&mut signed)?;
    }
    // The serial number, the algorithm of the signature and the issuer.
    for _ in 0..3 {
        Element::take(&mut signed)?;
    }
    let mut dates = Element::sequence(&mut signed)?;
    Some(Validity { from: time(&mut dates)?, until: time(&mut dates)? })
}

/// Both forms as RFC 5280 has them: with seconds, in UTC.
fn time(dates: &mut &[u8]) -> Option<i64> {
    let Element { tag, body } = Element::take(dates)?;
    let digits = body.strip_suffix(b"Z").filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let pair = |[tens, ones]: [u8; 2]| i64::from(tens - b'0') * 10 + i64::from(ones - b'0');
    let (year, rest) = match (tag, pairs) {
        // Two digits of a year from 1950 to 2049.
        (tag::UTC_TIME, [year, rest @ ..]) => ((pair(*year) + 50) % 100 + 1950, rest),
        (tag::GENERALIZED_TIME, [century, year, rest @ ..]) => (pair(*century) * 100 + pair(*year), rest),
        _ => return None,
    };
    let &[month, day, hour, minute, second] = rest else { return None };
    let [hour, minute, second] = [hour, minute, second].map(pair);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some(day_of(year, pair(month), pair(day))? * DAY + (hour * 60 + minute) * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;

    /// Made by OpenSSL 3: the first date is before 2050, the second after it.
    const PEM: &[u8] = b"-----BEGIN CERTIFICATE-----
MIIBrTCCAVOgAwIBAgIUdAMZ6BI6oL/+IGwRvw7RUAmOIoYwCgYIKoZIzj0EAwIw
GjEYMBYGA1UEAwwPbnRwLmV4YW1wbGUub3JnMCAXDTI2MTEyOTA5MTUwNVoYDzIw
ODEwOTAxMDkxNTA1WjAaMRgwFgYDVQQDDA9udHAuZXhhbXBsZS5vcmcwWTATBgcq
hkjOPQIBBggqhkjOPQMBBwNCAATfXGBfBHm6wo57uAuERC9PJk7jA23tL1aP1xYx
GeW38hrS8o3K4MQ859ZsstgG5tsjH83N+hbHzZZVLeRb1sMao3UwczAdBgNVHQ4E
FgQU6F64wLpwBhlr+rqqOUJmSFTaDoIwHwYDVR0jBBgwFoAU6F64wLpwBhlr+rqq
OUJmSFTaDoIwDwYDVR0TAQH/BAUwAwEB/zAgBgNVHREEGTAXgg9udHAuZXhhbXBs
ZS5vcmeHBMAAAgEwCgYIKoZIzj0EAwIDSAAwRQIhAKd3cX5f5n/RJJXkQifkpHG4
Ws9N+JD+hsWap/B8u38dAiAkYMJR+WNNBoRNH80lsHJdA/u3IgX/A/GSgJwZd+DI
Kw==
-----END CERTIFICATE-----
";

    fn of_times(from: Element<'_>, until: Element<'_>) -> Option<Validity> {
        let wrap = |element: Element<'_>| {
            [&[element.tag, u8::try_from(element.body.len()).unwrap()], element.body].concat()
        };
        let sequence = |body: &[u8]| wrap(Element { tag: tag::SEQUENCE, body });
        let dates = sequence(&[wrap(from), wrap(until)].concat());
        // The first version of certificates, with the shortest elements there are.
        let signed = sequence(&[&[2, 1, 7], &[0x30, 0][..], &[0x30, 0], &dates].concat());
        validity(&sequence(&signed))
    }

    fn of_utc(from: &[u8]) -> Option<i64> {
        let until = Element { tag: tag::GENERALIZED_TIME, body: b"99991231235959Z" };
        of_times(Element { tag: tag::UTC_TIME, body: from }, until).map(|validity| validity.from)
    }

    #[test]
    fn dates_are_read_in_both_forms() {
        let der = CertificateDer::from_pem_slice(PEM).unwrap();
        let expected = Validity { from: 1_795_943_705, until: 3_523_943_705 };
        assert_eq!(validity(&der), Some(expected));
        for length in 0..der.len() {
            assert_eq!(validity(&der[..length]), None, "{length}");
        }
    }

    #[test]
    fn years_of_two_digits_are_from_1950_to_2049() {
        assert_eq!(of_utc(b"700101000000Z"), Some(0));
        assert_eq!(of_utc(b"500101000000Z"), Some(-631_152_000));
        assert_eq!(of_utc(b"491231235959Z"), Some(2_524_607_999));
        assert_eq!(of_utc(b"000229120000Z"), Some(951_825_600));
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for wrong in [
            &b""[..],
            b"Z",
            b"7001010000Z",
            b"700101000000",
            b"700101000000+0100",
            b"70010100000Z",
            b"19700101000000Z",
            b"010229000000Z",
            b"701301000000Z",
            b"700101240000Z",
            b"700101006000Z",
            b"700101000060Z",
            b"7001010000 0Z",
        ] {
            assert_eq!(of_utc(wrong), None, "{}", String::from_utf8_lossy(wrong));
        }
        let ancient = |tag| Element { tag, body: &b"700101000000Z"[..] };
        assert_eq!(of_times(ancient(tag::UTC_TIME), ancient(tag::GENERALIZED_TIME)), None);
    }

    #[test]
    fn lengths_beyond_the_end_are_refused() {
        for der in [
            &[0x30, 0x80, 0, 0][..],
            &[0x30, 0x85, 0, 0, 0, 0, 0],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x31, 0],
            &[0x30, 0x82, 1],
        ] {
            assert_eq!(validity(der), None, "{der:x?}");
        }
    }
}
