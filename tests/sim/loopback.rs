//! A server on loopback for the companions under test.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// It answers each datagram with others, until it is dropped.
pub struct Loopback {
    /// Where it listens, `127.0.0.1:PORT`.
    pub address: String,
    stop: Arc<AtomicBool>,
}

impl Loopback {
    pub fn new(mut answer: impl FnMut(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let address = socket.local_addr().unwrap().to_string();
        let stop = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&stop);
        std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            while !ended.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                for datagram in answer(&buffer[..length]) {
                    // What is too long for a datagram is lost, as is what comes when the companion has ended.
                    let _lost = socket.send_to(&datagram, from);
                }
            }
        });
        Self { address, stop }
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
