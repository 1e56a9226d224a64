//! Several processes that serve as one: one engine keeps time and publishes what replies are made
//! of; the others take it over, and report their counters. Both are arrays of integers, since the shell
//! puts them into memory that the processes share.

use super::System;
use crate::units::{Leap, MonoTime, NtpTimestamp, RefId, Seconds, Stratum};

/// Integers of [`System::to_words`].
pub const SYSTEM_WORDS: usize = 6;

/// Set in the first word of what was ever published.
const MARK: u64 = 1 << 63;

impl System {
    /// What responses are made of, for engines in other processes.
    #[must_use]
    pub fn to_words(&self) -> [u64; SYSTEM_WORDS] {
        let face =
            u32::from_be_bytes([0, self.leap.to_bits(), self.stratum.get(), self.precision.cast_unsigned()]);
        [
            MARK | u64::from(face),
            self.root_delay.get().to_bits(),
            self.root_dispersion.get().to_bits(),
            u64::from(u32::from_be_bytes(self.refid.to_bytes())),
            self.reftime.to_bits(),
            self.updated.as_nanos(),
        ]
    }

    /// Takes over what another engine has published. Zeros, which say that it has not yet, change nothing.
    pub fn take_words(&mut self, words: &[u64; SYSTEM_WORDS]) {
        let [face, root_delay, root_dispersion, refid, reftime, updated] = *words;
        if face & MARK == 0 {
            return;
        }
        let [_, leap, stratum, precision] = (face as u32).to_be_bytes();
        self.leap = Leap::from_bits(leap);
        self.stratum = Stratum::new(stratum);
        self.precision = precision.cast_signed();
        self.root_delay = Seconds::new(f64::from_bits(root_delay));
        self.root_dispersion = Seconds::new(f64::from_bits(root_dispersion));
        self.refid = RefId::from_bytes((refid as u32).to_be_bytes());
        self.reftime = NtpTimestamp::from_bits(reftime);
        self.updated = MonoTime::from_nanos(updated);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_arrives() {
        let mut ours = System::new(-23, MonoTime::from_nanos(5));
        ours.leap = Leap::from_bits(1);
        ours.stratum = Stratum::new(3);
        ours.root_delay = Seconds::new(0.0123);
        ours.root_dispersion = Seconds::new(4.5e-3);
        ours.refid = RefId::from_bytes([192, 0, 2, 200]);
        ours.reftime = NtpTimestamp::from_bits(u64::MAX - 7);
        let mut theirs = System::new(0, MonoTime::ZERO);
        theirs.take_words(&[0; SYSTEM_WORDS]);
        assert_eq!((theirs.stratum, theirs.leap), (Stratum::UNSYNCHRONISED, Leap::Unsynchronised));
        theirs.take_words(&ours.to_words());
        assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    }
}
