//! Seeds, and a loop that changes them: what a fuzzer does, but without looking at what the program does with them.

use fastrand::Rng;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Inputs like the seeds of a target, at most, and so long at most.
const COUNT: usize = 1_000_000;
const TIME: Duration = Duration::from_secs(20);
/// Longest input, bytes.
const LENGTH_MAX: usize = 4_096;

/// The seeds of a target, by name.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let entries = fs::read_dir(&folder).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "no seeds in {}", folder.display());
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// A seed with a few changes: bytes set, flipped, removed, repeated, and pieces of other seeds.
fn changed(seeds: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    let mut data = rng.choice(seeds).cloned().unwrap_or_default();
    for _ in 0..rng.u32(1..8) {
        let at = rng.usize(..=data.len());
        let to = (at + rng.usize(1..32)).min(data.len());
        match rng.u32(..6) {
            0 => drop(data.drain(at..to)),
            1 => drop(data.splice(at..at, (0..rng.usize(1..16)).map(|_| rng.u8(..)).collect::<Vec<u8>>())),
            2 => {
                let piece = data[at..to].to_vec();
                data.splice(at..at, piece);
            }
            3 => {
                let other = rng.choice(seeds).unwrap();
                let from = rng.usize(..=other.len());
                let until = (from + rng.usize(1..96)).min(other.len());
                data.splice(at..to, other[from..until].iter().copied());
            }
            4 => {
                if let Some(byte) = data.get_mut(at) {
                    *byte ^= 1 << rng.u32(..8);
                }
            }
            _ => {
                if let Some(byte) = data.get_mut(at) {
                    *byte = rng.u8(..);
                }
            }
        }
    }
    data.truncate(LENGTH_MAX);
    data
}

/// Holds the seeds of a target against `hold`.
pub fn all(target: &str, hold: fn(&[u8])) {
    seeds(target).iter().for_each(|seed| held(target, seed, hold));
}

/// Holds their like against `hold`, the same each time, as far as it comes.
pub fn like(target: &str, hold: fn(&[u8])) {
    let seeds = seeds(target);
    let (begun, mut rng, mut tried) = (Instant::now(), Rng::with_seed(0x5eed), 0);
    while tried < COUNT && begun.elapsed() < TIME {
        held(target, &changed(&seeds, &mut rng), hold);
        tried += 1;
    }
    println!("{target}: {} seeds, {tried} like them in {:.1} s", seeds.len(), begun.elapsed().as_secs_f64());
    assert!(tried > 20, "only {tried} of {target} tried");
}

fn held(target: &str, data: &[u8], hold: fn(&[u8])) {
    let held = std::panic::catch_unwind(|| hold(data));
    assert!(held.is_ok(), "{target} does not hold of b\"{}\"", data.escape_ascii());
}
