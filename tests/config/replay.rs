//! The collection of real files, the small cases and what fuzzing found, each with changes, against what
//! always holds: what a fuzzer does, for a moment, on any compiler.

use crate::oracle;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Changed texts of each one.
const CHANGES: usize = 12;
/// Then it is enough, on a slow machine too.
const BUDGET: Duration = Duration::from_secs(15);

fn texts() -> Vec<Vec<u8>> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = |folder: PathBuf| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).into_iter().flatten();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    };
    let real = files(top.join("../shared/corpus"))
        .into_iter()
        .filter(|f| f.extension().is_some_and(|e| e == "conf"));
    let ours = files(top.join("conf")).into_iter().chain(files(top.join("fuzz/seeds/config")));
    let mut texts: Vec<Vec<u8>> =
        ours.chain(real).filter(|f| f.is_file()).map(|f| fs::read(f).unwrap()).collect();
    let small = fs::read(top.join("../shared/corpus/microtests.in")).unwrap_or_default();
    texts.extend(small.split(|b| *b == b'\n').map(<[u8]>::to_vec));
    texts
}

/// A generator whose numbers are the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }
}

fn changed(text: &[u8], others: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    const PIECES: [&[u8]; 14] = [
        b"\"",
        b"#",
        b"\n",
        b" ",
        b"-6 ",
        b"=",
        b"(",
        b"}",
        b"99999999999",
        b"-1",
        b"1e308",
        b"\0",
        b"\xff",
        b"{\n",
    ];
    let mut text = text.to_vec();
    for _ in 0..=dice.below(3) {
        let at = dice.below(text.len() + 1);
        match dice.below(4) {
            0 => drop(text.splice(at..at, PIECES[dice.below(PIECES.len())].iter().copied())),
            1 => drop(text.drain(at..(at + dice.below(20)).min(text.len()))),
            2 => {
                let other = &others[dice.below(others.len())];
                let from = dice.below(other.len() + 1);
                let piece = other[from..(from + dice.below(60)).min(other.len())].to_vec();
                text.splice(at..at, piece);
            }
            _ => {
                if let Some(octet) = text.get_mut(at) {
                    *octet = dice.below(256) as u8;
                }
            }
        }
    }
    text
}

#[test]
fn known_texts_and_their_like_hold() {
    let texts = texts();
    let begun = Instant::now();
    let mut dice = Dice(0x5eed);
    texts.iter().for_each(|text| oracle::hold(text));
    let mut tried = texts.len();
    'all: for _ in 0..CHANGES {
        for text in &texts {
            if begun.elapsed() > BUDGET {
                break 'all;
            }
            oracle::hold(&changed(text, &texts, &mut dice));
            tried += 1;
        }
    }
    println!("{tried} texts of {} in {:.1} s", texts.len(), begun.elapsed().as_secs_f64());
}
