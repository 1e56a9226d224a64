//! Keys on a machine in FIPS mode: digests that FIPS 140 does not know are not used there, as in ntpd with OpenSSL.

use super::warning;
use crate::config::Notice;
use crate::config::model::{Digest, Key};
use std::path::Path;

/// The name of a digest that FIPS 140 does not know.
const fn unapproved(digest: Digest) -> Option<&'static str> {
    match digest {
        Digest::Md5 => Some("MD5"),
        Digest::Ripemd160 => Some("RIPEMD160"),
        Digest::Sha1 | Digest::Sha256 | Digest::Sha384 | Digest::Sha512 | Digest::AesCmac => None,
    }
}

/// The keys of `path` without those that are not to be used, which the log names: by their numbers, in one line.
pub(super) fn fit(mut keys: Vec<Key>, path: &Path, notices: &mut Vec<Notice>) -> Vec<Key> {
    let unfit: Vec<String> =
        keys.iter().filter_map(|key| Some(format!("{} ({})", key.id.0, unapproved(key.digest)?))).collect();
    if !unfit.is_empty() {
        notices.push(warning(format!(
            "{}: this machine is in FIPS mode: not used: keys {}; SHA-1, SHA-2 and AES128CMAC are, and `enable fips-legacy' uses all",
            path.display(),
            unfit.join(", ")
        )));
    }
    keys.retain(|key| unapproved(key.digest).is_none());
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::KeyId;

    #[test]
    fn md5_and_ripemd_are_named_and_not_used() {
        let key = |id, digest| Key::new(KeyId(id), digest, b"sixteen bytes...".to_vec());
        let keys = vec![
            key(1, Digest::Md5),
            key(2, Digest::Sha1),
            key(3, Digest::Ripemd160),
            key(4, Digest::Sha256),
            key(5, Digest::AesCmac),
        ];
        let mut notices = Vec::new();
        let left = fit(keys, Path::new("/etc/ntp/keys"), &mut notices);
        assert_eq!(left.iter().map(|k| k.id.0).collect::<Vec<_>>(), [2, 4, 5]);
        let [only] = &notices[..] else { panic!("{notices:?}") };
        assert!(only.text.contains("keys 1 (MD5), 3 (RIPEMD160);"), "{}", only.text);
        assert_eq!(fit(left, Path::new("/etc/ntp/keys"), &mut notices).len(), 3);
        assert_eq!(notices.len(), 1);
    }
}
