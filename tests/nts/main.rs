//! Recorded messages and packets of NTS, with changes, against what always holds: what a fuzzer does, for a moment, on any
//! compiler.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on fails
#![allow(unreachable_pub)] // the modules of a test have no other readers

mod oracle;

use sim::chance::Dice;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Then it is enough.
const BUDGET: Duration = Duration::from_secs(2);

/// The seeds of the fuzz target.
fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/nts");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// A number below `end`.
fn below(dice: &mut Dice, end: usize) -> usize {
    (dice.uniform() * end as f64) as usize
}

/// Types and lengths are of 16 bits: most changes are of one of them.
fn changed(seed: &[u8], dice: &mut Dice) -> Vec<u8> {
    const NUMBERS: [u16; 12] = [0, 1, 2, 4, 7, 16, 0x104, 0x204, 0x304, 0x404, 0x8000, 0xffff];
    let mut bytes = seed.to_vec();
    for _ in 0..=below(dice, 3) {
        let at = below(dice, bytes.len() + 1) & !1;
        let number = NUMBERS[below(dice, NUMBERS.len())].to_be_bytes();
        match below(dice, 5) {
            0 => drop(bytes.splice(at..at, number)),
            1 => drop(bytes.drain(at..(at + below(dice, 9)).min(bytes.len()))),
            2 => bytes.truncate(at),
            3 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = below(dice, 256) as u8;
                }
            }
            _ => {
                if let Some(two) = bytes.get_mut(at..at + 2) {
                    two.copy_from_slice(&number);
                }
            }
        }
    }
    bytes
}

#[test]
fn recorded_messages_and_packets_and_their_like_hold() {
    let seeds = seeds();
    let (begun, mut dice, mut tried) = (Instant::now(), Dice::new(0x5eed, 0), 0);
    seeds.iter().for_each(|seed| oracle::nts(seed));
    while begun.elapsed() < BUDGET && tried < 100_000 {
        oracle::nts(&changed(&seeds[tried % seeds.len()], &mut dice));
        tried += 1;
    }
    assert!(tried > 1_000, "only {tried} tried");
}
