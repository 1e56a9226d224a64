//! What reference clocks send, with changes, against what always holds: what a fuzzer does, for a moment, on any compiler.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on fails
#![allow(unreachable_pub)] // the modules of a test have no other readers

mod oracle;

use sim::chance::Dice;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Then it is enough.
const BUDGET: Duration = Duration::from_secs(2);

/// The seeds of a fuzz target.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// A number below `end`.
fn below(dice: &mut Dice, end: usize) -> usize {
    (dice.uniform() * end as f64) as usize
}

/// The checksum of a changed line, so that more than the checksum is tried.
fn sealed(text: &[u8]) -> Vec<u8> {
    let lines = text.split(|b| *b == b'\n').map(|line| {
        let body = line.strip_prefix(b"$").and_then(|line| line.split(|b| *b == b'*').next());
        let Some(body) = body.filter(|_| line.contains(&b'*')) else { return line.to_vec() };
        let sum = body.iter().fold(0, |sum, b| sum ^ (b & 0x7f));
        [b"$", body, format!("*{sum:02X}").as_bytes()].concat()
    });
    lines.collect::<Vec<_>>().join(&b'\n')
}

fn changed(text: &[u8], dice: &mut Dice) -> Vec<u8> {
    const PIECES: [&[u8]; 12] =
        [b",", b"*", b"\n", b".", b"-1", b"99999999999", b"\0", b"\xff", b"\"", b"{", b"1e308", b"null"];
    let mut text = text.to_vec();
    for _ in 0..=below(dice, 3) {
        let at = below(dice, text.len() + 1);
        match below(dice, 4) {
            0 => drop(text.splice(at..at, PIECES[below(dice, PIECES.len())].iter().copied())),
            1 => drop(text.drain(at..(at + below(dice, 9)).min(text.len()))),
            2 => {
                if let Some(byte) = text.get_mut(at) {
                    *byte = b'0' + below(dice, 10) as u8;
                }
            }
            _ => {
                if let Some(byte) = text.get_mut(at) {
                    *byte = below(dice, 256) as u8;
                }
            }
        }
    }
    text
}

fn replay(target: &str, hold: impl Fn(&[u8]), finish: impl Fn(&[u8]) -> Vec<u8>) {
    let seeds = seeds(target);
    let (begun, mut dice, mut tried) = (Instant::now(), Dice::new(0x5eed, 0), 0);
    seeds.iter().for_each(|seed| hold(seed));
    while begun.elapsed() < BUDGET && tried < 20_000 {
        hold(&finish(&changed(&seeds[tried % seeds.len()], &mut dice)));
        tried += 1;
    }
    assert!(tried > 100, "only {tried} tried");
}

#[test]
fn what_receivers_send_and_its_like_holds() {
    replay("nmea", oracle::nmea, sealed);
}

#[test]
fn what_gpsd_sends_and_its_like_holds() {
    replay("gpsd", oracle::gpsd, <[u8]>::to_vec);
}

/// The stamps of the seeds are those of the oracle's clock, or the change would only ever be that they are old.
fn at_the_oracles_time(seconds: &'static [usize]) -> impl Fn(&[u8]) -> Vec<u8> {
    move |data| {
        let mut data = data.to_vec();
        for at in seconds {
            if let Some(bytes) = data.get_mut(*at..).and_then(|rest| rest.first_chunk_mut::<4>()) {
                let (seed, now) = (i32::from_ne_bytes(*bytes), oracle::AT as i32);
                // Their last byte may have been changed.
                *bytes = now.wrapping_add(seed.wrapping_sub(1_795_850_128) % 30_000).to_ne_bytes();
            }
        }
        data
    }
}

#[test]
fn segments_of_shared_memory_and_their_like_hold() {
    replay("shm", oracle::shm, at_the_oracles_time(&[8, 16, 20, 24]));
}

#[test]
fn samples_by_sockets_and_their_like_hold() {
    replay("sock", oracle::sock, at_the_oracles_time(&[0]));
}
