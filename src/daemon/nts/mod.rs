//! Network Time Security's key exchange: TLS, which only the shell knows.

pub mod certificate;
pub mod client;
pub mod credentials;
pub mod dump;
pub mod exchange;
pub mod keys;
pub mod roots;
pub mod server;
pub mod serving;
mod session;
#[cfg(test)]
mod test_server;
pub mod tls;
pub mod verify;
