//! Leap smear: a coming leap second is spread over the hours before it, in the replies to clients only. The clock of this machine,
//! and the packets of its associations, have UTC and its leap second.
//!
//! A reply's reference, receive and transmit timestamps are off by s, which goes from 0 to −1 s where a second is inserted and to
//! +1 s where one is deleted, and its reference identifier says so: 254.a.b.c, where a.b.c is s with 22 bits after the point. When
//! the clock has made its leap, both agree. Whatever the time, replies announce no leap second while `leapsmearinterval` is set.

use crate::config::model::{SmearLaw, SmearSettings};
use crate::engine::contract::{Now, Setup};
use crate::units::{Leap, MonoTime, NtpDuration, NtpTimestamp, PIVOT, RefId, Seconds};
use crate::wire::Header;

/// Around the leap second, while it is not sure whether the clock has made its leap: replies say that they are not synchronized.
const MARGIN: Seconds = Seconds::new(0.01);
/// The same moment, computed again from a clock that is slewed meanwhile.
const SAME: f64 = 1e-3;
/// So long after it the clock has made its leap, whatever it shows.
const OVER: Seconds = Seconds::new(3.0);
/// Bits after the point in a reference identifier.
const FRACTION_BITS: i32 = 22;
/// The first byte of the reference identifier of a smeared reply.
const MARK: u8 = 254;

/// The leap second that is coming.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Coming {
    /// What the clock shows when it leaps.
    leaps: NtpTimestamp,
    /// Whether a second is inserted or deleted.
    leap: Leap,
    settings: SmearSettings,
    /// When that is: the clock may show the time before it twice.
    at: MonoTime,
}

/// What is done to replies while leap seconds are smeared.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Smear {
    coming: Option<Coming>,
}

impl Coming {
    /// The leap second that ends at this Unix second, by which TAI − UTC grows by so much.
    fn new(now: Now, end: i64, grows: i32, settings: SmearSettings) -> Self {
        let leap = if grows > 0 { Leap::Insert } else { Leap::Delete };
        // A deleted second is the last of its day.
        let leaps = NtpTimestamp::from_unix(if leap == Leap::Insert { end } else { end - 1 }, 0);
        Self { leaps, leap, settings, at: now.mono + (leaps - now.wall).to_seconds() }
    }

    /// By how much a reply is off whose time is `at`.
    fn shift(&self, now: MonoTime, at: NtpTimestamp) -> f64 {
        let interval = f64::from(self.settings.interval);
        let part = 1.0 + (at - self.leaps).to_seconds().get() / interval;
        if part <= 0.0 || now >= self.at {
            return 0.0;
        }
        let part = part.min(1.0);
        let done = match self.settings.law {
            SmearLaw::Linear => part,
            SmearLaw::Cosine => (1.0 - libm::cos(std::f64::consts::PI * part)) / 2.0,
        };
        if self.leap == Leap::Insert { -done } else { done }
    }

    /// Whether both are at the same moment, by the clock.
    fn is_near(&self, other: &Self) -> bool {
        self.at.since(other.at).get().abs() < SAME
    }

    /// Whether the clock makes its leap about now.
    fn is_leaping(&self, now: MonoTime) -> bool {
        let second = if self.leap == Leap::Insert { Seconds::new(1.0) } else { Seconds::ZERO };
        now >= self.at + MARGIN * -1.0 && now <= self.at + second + MARGIN
    }
}

impl Smear {
    /// What it is from now on by the configuration and the leap second file; `before` is what it was.
    #[must_use]
    pub fn watch(before: Option<Self>, now: Now, setup: &Setup) -> Option<Self> {
        let settings = setup.config.smear;
        if settings.interval == 0 {
            return before;
        }
        let (unix, _) = now.wall.to_unix(PIVOT);
        let table = setup.leap_table.as_ref().filter(|table| table.is_valid(unix));
        let next = table.and_then(|table| table.next(unix));
        let fresh = next.map(|(end, grows)| Coming::new(now, end, grows, settings));
        let old = before.and_then(|smear| smear.coming);
        let same = |old: &Coming| fresh.is_some_and(|new| new.leaps == old.leaps);
        let coming = match old {
            // The clock leaps, or has just done so: whether it shows the day's last second once more is not asked.
            Some(old) if now.mono >= old.at && now.mono < old.at + OVER => Some(old),
            Some(old) if same(&old) => {
                fresh.map(|new| if new.is_near(&old) { Coming { at: old.at, ..new } } else { new })
            }
            _ => fresh,
        };
        Some(Self { coming })
    }

    /// Makes a reply a smeared one, as far as it is written; gives what its transmit timestamp is off by.
    #[must_use]
    pub fn apply(&self, now: MonoTime, reply: &mut Header) -> NtpDuration {
        let leaping = self.coming.is_some_and(|coming| coming.is_leaping(now));
        if reply.leap != Leap::Unsynchronised {
            reply.leap = if leaping { Leap::Unsynchronised } else { Leap::None };
        }
        let Some(coming) = self.coming else { return NtpDuration::default() };
        let by = |at: NtpTimestamp| NtpDuration::from_seconds(Seconds::new(coming.shift(now, at)));
        let seconds = coming.shift(now, reply.receive);
        if seconds != 0.0 {
            reply.reference_id = refid(seconds);
        }
        let shift = NtpDuration::from_seconds(Seconds::new(seconds));
        if !reply.reference.is_zero() {
            reply.reference = reply.reference + shift;
        }
        if !reply.transmit.is_zero() {
            // An earlier reply left then, in interleaved mode.
            reply.transmit = reply.transmit + by(reply.transmit);
        }
        reply.receive = reply.receive + shift;
        shift
    }

    /// What a reply would be off by now; `None` while no leap second is being smeared.
    #[must_use]
    pub fn offset(&self, now: Now) -> Option<Seconds> {
        self.coming.map(|coming| coming.shift(now.mono, now.wall)).filter(|s| *s != 0.0).map(Seconds::new)
    }
}

/// 254.a.b.c: the offset of a smeared reply.
fn refid(shift: f64) -> RefId {
    let bits = libm::round(shift * f64::from(1 << FRACTION_BITS)) as i32;
    let [_, a, b, c] = bits.to_be_bytes();
    RefId::from_bytes([MARK, a, b, c])
}

/// Integers of [`Smear::to_words`].
pub const SMEAR_WORDS: usize = 2;
/// Set in the first word while leap seconds are smeared.
const SET: u64 = 1 << 63;
const COMING: u64 = 1 << 62;
const INSERT: u64 = 1 << 61;
const LINEAR: u64 = 1 << 60;

impl Smear {
    /// For engines in other processes.
    #[must_use]
    pub fn to_words(smear: Option<Self>) -> [u64; SMEAR_WORDS] {
        let Some(Self { coming }) = smear else { return [0; SMEAR_WORDS] };
        let Some(Coming { leaps, leap, settings, at }) = coming else { return [SET, 0] };
        let flag = |set: bool, flag: u64| if set { flag } else { 0 };
        let flags = flag(leap == Leap::Insert, INSERT) | flag(settings.law == SmearLaw::Linear, LINEAR);
        let interval = u64::from(settings.interval & INTERVAL_MAX) << 32;
        [SET | COMING | flags | interval | u64::from(leaps.era_seconds()), at.as_nanos()]
    }

    /// What another engine has published.
    #[must_use]
    pub fn from_words([first, at]: [u64; SMEAR_WORDS]) -> Option<Self> {
        if first & SET == 0 {
            return None;
        }
        let coming = (first & COMING != 0).then(|| Coming {
            leaps: NtpTimestamp::from_bits(first << 32),
            leap: if first & INSERT != 0 { Leap::Insert } else { Leap::Delete },
            settings: SmearSettings {
                interval: (first >> 32) as u32 & INTERVAL_MAX,
                law: if first & LINEAR != 0 { SmearLaw::Linear } else { SmearLaw::Cosine },
            },
            at: MonoTime::from_nanos(at),
        });
        Some(Self { coming })
    }
}

/// Room for the interval between the flags and the seconds of the leap.
const INTERVAL_MAX: u32 = (1 << 28) - 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::{Config, LeapTable};

    const END: i64 = 1_767_225_600;

    fn setup(law: SmearLaw, grows: i32) -> Setup {
        let table = LeapTable { entries: vec![(0, 37), (END, 37 + grows)], expires: None };
        let smear = SmearSettings { interval: 86_400, law };
        Setup { config: Config { smear, ..Config::default() }, leap_table: Some(table), ..Setup::default() }
    }

    /// `before` the clock shows the end of the leap second's day.
    fn now(before: f64) -> Now {
        let wall = NtpTimestamp::from_unix(END, 0).offset(Seconds::new(-before));
        Now { mono: MonoTime::ZERO + Seconds::new(1e6 - before), wall }
    }

    #[test]
    fn the_captured_reference_identifier() {
        assert_eq!(refid(-0.500_28).to_bytes()[..3], [254, 223, 251]);
        assert_eq!(refid(-1.0).to_bytes(), [254, 192, 0, 0]);
        assert_eq!(refid(1.0).to_bytes(), [254, 64, 0, 0]);
    }

    #[test]
    fn it_begins_at_0_and_ends_at_a_second() {
        for (law, quarter) in [(SmearLaw::Linear, 0.25), (SmearLaw::Cosine, 0.146_446_609_4)] {
            for (grows, sign, end) in [(1, -1.0, 0.0), (-1, 1.0, 1.0)] {
                let setup = setup(law, grows);
                let at = |before: f64| {
                    let now = now(before + end);
                    let smear = Smear::watch(None, now, &setup).unwrap();
                    smear.coming.unwrap().shift(now.mono, now.wall)
                };
                for (before, wanted) in
                    [(90_000.0, 0.0), (86_400.0, 0.0), (64_800.0, quarter), (43_200.0, 0.5), (1e-6, 1.0)]
                {
                    assert!((at(before) - sign * wanted).abs() < 1e-8, "{law:?} {grows} {before}");
                }
            }
        }
    }

    #[test]
    fn when_the_clock_repeats_the_last_second_it_is_over() {
        let setup = setup(SmearLaw::Cosine, 1);
        let before = Smear::watch(None, now(0.5), &setup);
        assert!((before.unwrap().offset(now(0.5)).unwrap().get() + 1.0).abs() < 1e-6);
        let again = Now { mono: now(-0.2).mono, wall: now(0.8).wall };
        let after = Smear::watch(before, again, &setup);
        assert_eq!(after.unwrap().offset(again), None);
        assert!(
            after.unwrap().coming.unwrap().is_leaping(again.mono),
            "replies are not to be used meanwhile"
        );
        // Also where it was seen to show the next day for a moment.
        let early = Smear::watch(before, now(-0.1), &setup);
        assert_eq!(Smear::watch(early, again, &setup).unwrap().offset(again), None);
        let later = Now { mono: now(-4.2).mono, wall: now(-3.2).wall };
        assert_eq!(Smear::watch(after, later, &setup), Some(Smear { coming: None }));
    }

    #[test]
    fn what_is_published_arrives() {
        for (law, grows) in [(SmearLaw::Linear, 1), (SmearLaw::Cosine, -1)] {
            let smear = Smear::watch(None, now(1000.0), &setup(law, grows));
            assert!(smear.unwrap().coming.is_some());
            assert_eq!(Smear::from_words(Smear::to_words(smear)), smear);
        }
        for smear in [None, Some(Smear { coming: None })] {
            assert_eq!(Smear::from_words(Smear::to_words(smear)), smear);
        }
    }
}
