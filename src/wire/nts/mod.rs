//! Network Time Security (RFC 8915): the records of its key exchange, the extension fields of its packets.

pub mod fields;
pub mod master;
pub mod records;
mod secret;

pub use secret::Secret;

/// The TCP port of the key exchange.
pub const KE_PORT: u16 = 4460;
/// What both sides say in TLS that they speak (ALPN).
pub const ALPN: &[u8] = b"ntske/1";
/// The label of the keys that TLS gives.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-network-time-security";
/// Cookies that a server gives, and a client keeps.
pub const COOKIES: usize = 8;
/// Longest cookie that is kept, bytes.
pub const COOKIE_MAX: usize = 256;

/// Whose packets a key seals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// The client's.
    ToServer,
    /// The server's.
    ToClient,
}

/// The context of the exporter for a key: the next protocol (NTPv4), the number of the algorithm, the direction.
///
/// chronyd before 4.6.1 takes the number 15 for algorithm 30 too: `number` is then not the algorithm's.
#[must_use]
pub const fn exporter_context(number: u16, direction: Direction) -> [u8; 5] {
    let [high, low] = number.to_be_bytes();
    [
        0,
        0,
        high,
        low,
        match direction {
            Direction::ToServer => 0,
            Direction::ToClient => 1,
        },
    ]
}
