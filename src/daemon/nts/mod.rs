//! Network Time Security's key exchange: TLS, which only the shell knows.

pub mod certificate;
pub mod dump;
pub mod roots;
pub mod tls;
