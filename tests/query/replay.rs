//! A server that plays back the answers of a capture.

use super::capture::Capture;
use sim::loopback::Loopback;

/// Answers by operation, association and data, with the sequence number and version of the request.
/// What was not captured is answered with "unknown variable".
pub(crate) struct Replay {
    server: Loopback,
}

impl Replay {
    /// Plays a whole file: of several answers to the same request, the last one.
    pub(crate) fn start(capture: &Capture) -> Self {
        Self::of(capture.answers.clone())
    }

    /// Plays these answers.
    pub(crate) fn of(answers: Vec<(Vec<u8>, Vec<Vec<u8>>)>) -> Self {
        Self { server: Loopback::new(move |packet| answer(&answers, packet)) }
    }

    /// Where it listens, `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> String {
        self.server.address.clone()
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
