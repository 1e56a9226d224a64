//! How many datagrams mode 6 sends to addresses that may be forged: a reply bucket that all of them
//! share, so that forged requests cannot make this machine a reflector.
//!
//! A request that is signed, returns a nonce of ours or comes from the machine itself does not
//! draw on the bucket: its address is not forged.

use crate::units::MonoTime;

/// Datagrams a second, in the long run.
pub const RATE: f64 = 100.0;
/// Datagrams at once after a quiet time: some hundred associations read with two datagrams each.
pub const BURST: f64 = 300.0;

/// The bucket.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReplyBucket {
    level: f64,
    at: MonoTime,
}

impl ReplyBucket {
    /// A full bucket.
    pub(super) const fn new(now: MonoTime) -> Self {
        Self { level: BURST, at: now }
    }

    /// Whether a request may be looked at.
    pub(super) fn is_open(&mut self, now: MonoTime) -> bool {
        self.level = (self.level + now.since(self.at).get().max(0.0) * RATE).min(BURST);
        debug_assert!(now >= self.at, "a bucket is filled forward in time");
        self.at = now;
        self.level >= 1.0
    }

    /// Datagrams were sent. More than there was is paid off before the next.
    pub(super) fn take(&mut self, datagrams: usize) {
        self.level -= datagrams as f64;
        debug_assert!(self.level <= BURST, "a bucket holds no more than its burst: {}", self.level);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Seconds;

    #[test]
    fn what_is_sent_in_the_long_run_does_not_depend_on_what_is_asked() {
        let mut bucket = ReplyBucket::new(MonoTime::ZERO);
        let mut sent = 0;
        for request in 0..100_000 {
            let now = MonoTime::ZERO + Seconds::new(f64::from(request) * 1e-4);
            if bucket.is_open(now) {
                bucket.take(3);
                sent += 3;
            }
        }
        assert!((1290..=1310).contains(&sent), "{sent}: 300 at once and 100 a second for 10 s");
    }
}
