//! A server that plays back the answers of a capture.

use super::capture::Capture;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Answers by operation, association and data, with the sequence number and version of the request.
/// What was not captured is answered with "unknown variable".
pub(crate) struct Replay {
    address: String,
    stop: Arc<AtomicBool>,
}

impl Replay {
    /// Plays a whole file: of several answers to the same request, the last one.
    pub(crate) fn start(capture: &Capture) -> Self {
        Self::of(capture.answers.clone())
    }

    /// Plays these answers.
    pub(crate) fn of(answers: Vec<(Vec<u8>, Vec<Vec<u8>>)>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let address = socket.local_addr().unwrap().to_string();
        let stop = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&stop);
        std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            while !ended.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                for answer in answer(&answers, &buffer[..length]) {
                    socket.send_to(&answer, from).unwrap();
                }
            }
        });
        Self { address, stop }
    }

    /// Where it listens, `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Operation, association and data of a request.
fn question(packet: &[u8]) -> (u8, [u8; 2], &[u8]) {
    let count = usize::from(u16::from_be_bytes([packet[10], packet[11]]));
    (packet[1] & 0x1f, [packet[6], packet[7]], &packet[12..12 + count])
}

fn answer(answers: &[(Vec<u8>, Vec<Vec<u8>>)], packet: &[u8]) -> Vec<Vec<u8>> {
    let wanted = question(packet);
    let found = answers.iter().rev().find(|(sent, got)| !got.is_empty() && question(sent) == wanted);
    let mut datagrams = match found {
        Some((_, datagrams)) => datagrams.clone(),
        None => {
            let mut error = packet[..12].to_vec();
            error[1] |= 0xc0;
            error[4..12].copy_from_slice(&[5, 0, packet[6], packet[7], 0, 0, 0, 0]);
            vec![error]
        }
    };
    for datagram in &mut datagrams {
        datagram[0] = datagram[0] & 0xc0 | packet[0] & 0x3f;
        datagram[2..4].copy_from_slice(&packet[2..4]);
    }
    datagrams
}
