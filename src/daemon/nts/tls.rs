//! What both sides of the key exchange say in TLS, and the keys that it gives them.

use crate::engine::contract::Keys;
use crate::sys::random;
use crate::units::Aead;
use crate::wire::nts::{Direction, EXPORTER_LABEL, Secret, exporter_context};
use rustls::ConnectionCommon;
use rustls::crypto::{CryptoProvider, ring};
use std::hash::RandomState;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};

/// The algorithms of TLS 1.3: those that clocks and servers have, the cheaper key exchange first.
#[must_use]
pub fn provider() -> CryptoProvider {
    let cipher_suites = vec![
        ring::cipher_suite::TLS13_AES_256_GCM_SHA384,
        ring::cipher_suite::TLS13_AES_128_GCM_SHA256,
        ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    ];
    let kx_groups = vec![ring::kx_group::X25519, ring::kx_group::SECP256R1, ring::kx_group::SECP384R1];
    CryptoProvider { cipher_suites, kx_groups, ..ring::default_provider() }
}

/// Whether [`open_randomness`] found a source.
static OPEN: AtomicBool = AtomicBool::new(false);

/// Opens the source of randomness that kernels before 3.17 have, for later: in a jail it may be out of reach.
pub fn open_randomness() {
    if random::bytes::<1>().is_err() {
        return;
    }
    // rustls has hash maps: they take theirs once for each thread, and panic where there is none.
    let _taken = RandomState::new();
    if random::is_ready() {
        let _reported_later = provider().secure_random.fill(&mut [0]);
    }
    OPEN.store(true, Ordering::Relaxed);
}

/// Whether TLS finds randomness, and does not wait for it.
#[must_use]
pub fn has_randomness() -> bool {
    (OPEN.load(Ordering::Relaxed) || random::bytes::<1>().is_ok()) && random::is_ready()
}

/// The keys of an algorithm, exported with this number in the context: chronyd before 4.6.1 takes 15 for algorithm 30.
///
/// # Errors
/// What TLS says, before the handshake is over.
pub fn export<S, C>(connection: &C, aead: Aead, number: u16) -> Result<Keys, rustls::Error>
where
    C: Deref<Target = ConnectionCommon<S>> + DerefMut,
{
    let key = |direction| {
        let mut bytes = zeroize::Zeroizing::new([0; Aead::KEY_MAX]);
        let key = bytes.get_mut(..aead.key_length()).unwrap_or_default();
        connection.export_keying_material(
            &mut *key,
            EXPORTER_LABEL,
            Some(&exporter_context(number, direction)),
        )?;
        Secret::new(key).ok_or(rustls::Error::HandshakeNotComplete)
    };
    Ok(Keys { to_server: key(Direction::ToServer)?, to_client: key(Direction::ToClient)? })
}
