//! Network Time Security's key exchange: TLS, which only the shell knows.

pub mod tls;
