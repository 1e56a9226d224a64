//! A reference clock: what its device says once a second becomes samples, and a measurement at each poll.
//!
//! | question | file |
//! |---|---|
//! | what a reading is worth, polls | here |
//! | the readings between two polls | `median.rs` |
//! | pulses | `pulse.rs` |
//! | counters, events, clockstats | `counts.rs` |
//!
//! It knows no device: what differs between drivers beyond their readings stands in `Numbering` and in the `match`es here.

mod counts;
mod median;
mod pulse;

pub use counts::Counts;

use self::median::{Ring, Summary};
use self::pulse::{Pulses, Verdict};
use super::common::Common;
use super::kind::{Behaviour, Polled, Turn};
use crate::config::model::{ClockAddress, Server};
use crate::engine::contract::{ClockDevice, Now, Reading, Reads, Trouble};
use crate::engine::estimator::Measurement;
use crate::engine::timers::{Timer, Timers};
use crate::units::{Driver, Host, Leap, MonoTime, NtpTimestamp, PIVOT, Seconds, Stratum, has_leap_seconds};
use crate::wire::event::ClockEvent;
use std::net::{IpAddr, Ipv4Addr};

/// A device that could not be opened, or was lost, is opened again after this long.
pub const RETRY: Seconds = Seconds::new(60.0);
/// At the start it is polled after this long, until it has so many samples that its error is known.
const START_POLL: Seconds = Seconds::new(4.0);
const START_SAMPLES: usize = 4;
/// Without a pulse for so many readings of the time, these are used instead, if the clock may do so; after so many pulses those again.
const PULSES_LOST: u32 = 60;
const PULSES_BACK: u32 = 20;
/// An offset that is a tenth of what is left moves `time1` at each poll (`enable calibrate`).
const CALIBRATION: f64 = 0.1;

/// What says which second a pulse was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Numbering {
    /// The system clock, once it is synchronized.
    System,
    /// The clock's own readings of the time, which are used themselves while there are no pulses.
    Own,
    /// The same, which are never used themselves.
    OwnOnly,
}

/// What a reference clock is read by.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    /// Now.
    pub now: Now,
    /// Whether our clock is synchronized.
    pub synchronized: bool,
    /// TAI − UTC, where it is known, seconds.
    pub tai: Option<i32>,
    /// How far the clock stands ahead of its free-running self now.
    pub correction: Seconds,
    /// The clock's precision.
    pub floor: Seconds,
}

/// A sample of a reference clock.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sample {
    /// For the estimator.
    pub measured: Measurement,
    /// It comes from something else than those before: pulses, or sentences. What was estimated from these does not hold for it.
    pub is_other: bool,
}

/// The state of its device.
#[derive(Clone, PartialEq, Eq, Debug)]
enum State {
    /// It was asked for.
    Opening,
    /// It is read.
    Open,
    /// It is not there: why.
    Failed(String),
}

/// A reference clock.
#[derive(Clone, Debug)]
pub struct Reference {
    driver: Driver,
    unit: u8,
    state: State,
    ring: Ring,
    pulses: Pulses,
    counts: Counts,
    /// What it sent last (`timecode`).
    timecode: String,
    /// The most that its last reading may be off, where it says so.
    error: Option<Seconds>,
    /// The deviation of the readings of the last poll.
    deviation: Seconds,
    /// Whether its samples are pulses.
    by_pulses: bool,
    /// What `enable calibrate` has added to `time1`.
    calibrated: Seconds,
}

impl Reference {
    /// The clock of this address, if there is a driver for it.
    #[must_use]
    pub fn new(address: ClockAddress) -> Option<Self> {
        let driver = Driver::of_number(address.kind).filter(|driver| *driver != Driver::Local)?;
        Some(Self {
            driver,
            unit: address.unit,
            state: State::Opening,
            ring: Ring::default(),
            pulses: Pulses::default(),
            counts: Counts::default(),
            timecode: String::new(),
            error: None,
            deviation: Seconds::ZERO,
            by_pulses: driver == Driver::Pps,
            calibrated: Seconds::ZERO,
        })
    }

    /// Its address, 127.127.T.U.
    #[must_use]
    pub fn address(&self) -> Host {
        IpAddr::V4(Ipv4Addr::new(127, 127, self.driver.number(), self.unit)).into()
    }

    /// Its driver.
    #[must_use]
    pub const fn driver(&self) -> Driver {
        self.driver
    }

    /// What it did.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// What it sent last; why its device is not there, if that is so.
    #[must_use]
    pub fn timecode(&self) -> &str {
        if let State::Failed(why) = &self.state { why } else { &self.timecode }
    }

    /// Its device, to be opened.
    #[must_use]
    pub fn device(&self, line: &Server) -> ClockDevice {
        ClockDevice { driver: self.driver, unit: self.unit, device: line.device.clone(), fudge: line.fudge }
    }

    /// `time1` as it is in force: as the line has it, with what `enable calibrate` found.
    #[must_use]
    pub fn time1(&self, line: &Server) -> Seconds {
        line.fudge.time1 + self.calibrated
    }

    /// What `enable calibrate` has added to `time1`.
    #[must_use]
    pub const fn calibrated(&self) -> Seconds {
        self.calibrated
    }

    /// It was off by `offset` while pulses were followed: `time1` takes a part of that away.
    pub fn calibrate(&mut self, offset: Seconds) {
        self.calibrated -= offset * CALIBRATION;
    }

    /// Whether its samples are pulses now.
    #[must_use]
    pub const fn gives_pulses(&self) -> bool {
        self.by_pulses
    }

    /// Whether it says itself which second its pulses begin.
    #[must_use]
    pub fn numbers_itself(&self, line: &Server) -> bool {
        self.numbering(line) != Numbering::System
    }

    /// Whether its device is not there.
    #[must_use]
    pub const fn has_failed(&self) -> bool {
        matches!(self.state, State::Failed(_))
    }

    /// Its device is open; gives whether it had failed before.
    pub fn opened(&mut self) -> bool {
        matches!(std::mem::replace(&mut self.state, State::Open), State::Failed(_))
    }

    /// Its device could not be opened, or was lost; gives whether that is news.
    pub fn failed(&mut self, why: String) -> bool {
        self.counts.lately.reports += 1;
        self.counts.count(Trouble::Fault);
        let now = State::Failed(why);
        std::mem::replace(&mut self.state, now) != self.state
    }

    /// Something is wrong with what it sends.
    pub fn trouble(&mut self, trouble: Trouble, text: String) {
        self.counts.lately.reports += 1;
        self.counts.count(trouble);
        if !text.is_empty() {
            self.timecode = text;
        }
    }

    /// Nothing of use came since the last poll: gives the event, if it is another one than before.
    fn idle(&mut self) -> Option<ClockEvent> {
        let worst = self.counts.worst().unwrap_or_else(|| {
            self.counts.count(Trouble::NoReply);
            Trouble::NoReply
        });
        self.counts.report(if self.has_failed() { Trouble::Fault } else { worst })
    }

    fn numbering(&self, line: &Server) -> Numbering {
        match self.driver {
            Driver::GpsdJson if self.unit < Driver::GPSD_PULSES && line.device.mode & 3 == 1 => {
                Numbering::OwnOnly
            }
            Driver::GpsdJson if self.unit < Driver::GPSD_PULSES => Numbering::Own,
            Driver::Nmea => Numbering::Own,
            _ => Numbering::System,
        }
    }

    /// Takes a reading in; gives the sample, if it is one.
    pub(super) fn read(&mut self, common: &mut Common, reading: Reading, by: &Reader) -> Option<Sample> {
        self.counts.lately.reports += 1;
        self.timecode = reading.text;
        common.tally.received += 1;
        if !reading.offset.get().is_finite() {
            self.counts.count(Trouble::BadTime);
            return None;
        }
        if reading.leap == Leap::Unsynchronised {
            self.counts.count(Trouble::BadSignal);
            return None;
        }
        common.header.leap = plausible(reading.leap, reading.at);
        common.header.reftime = reading.at.offset(reading.offset);
        self.counts.lately.good += 1;
        let age = (by.now.wall - reading.at).to_seconds().max(Seconds::ZERO);
        let at = by.now.mono + age * -1.0;
        let line = &common.config;
        let (offset, by_pulses) = match reading.reads {
            Reads::Time => {
                self.counts.lately.times += 1;
                (self.time(line, at, reading.offset, by)?, false)
            }
            Reads::Pulse => {
                self.counts.lately.pulses += 1;
                let estimate = common.estimator.estimate(at).filter(|_| self.by_pulses);
                let expected = estimate.map(|e| e.offset - by.correction.get());
                (self.pulse(line, at, reading.offset, expected, by)?, true)
            }
        };
        if by_pulses {
            self.counts.lately.pulses_used += 1;
        } else {
            self.counts.lately.times_used += 1;
        }
        self.error = reading.error;
        let own = if by_pulses { PULSE_PRECISION } else { precision_of(self.driver) };
        common.header.precision = reading.precision.unwrap_or(own);
        let is_other = std::mem::replace(&mut self.by_pulses, by_pulses) != by_pulses;
        if is_other {
            self.ring.clear();
        }
        self.ring.push(offset);
        let spread = self.claimed(common).max(by.floor);
        Some(Sample { measured: Measurement::one_way(at, Seconds::new(offset), spread), is_other })
    }

    /// The offset of a reading of the time, if it is to be used.
    fn time(&mut self, line: &Server, at: MonoTime, offset: Seconds, by: &Reader) -> Option<f64> {
        let fudge = match self.driver {
            Driver::Nmea | Driver::GpsdJson => line.fudge.time2,
            _ => self.time1(line),
        };
        let mut offset = (offset + fudge).get();
        if self.driver == Driver::Phc && line.fudge.flags[0] {
            // TAI is ahead of UTC: without knowing by how much, it says nothing of UTC.
            let Some(tai) = by.tai else {
                self.counts.count(Trouble::BadTime);
                TAI_UNKNOWN.clone_into(&mut self.timecode);
                return None;
            };
            offset -= f64::from(tai);
        }
        let numbering = self.numbering(line);
        self.pulses.sentence(at, offset);
        match numbering {
            Numbering::System => Some(offset),
            Numbering::OwnOnly => None,
            // A clock that has begun to give pulses goes on with them until they are gone for long.
            Numbering::Own => (!self.by_pulses || self.pulses.missed() > PULSES_LOST).then_some(offset),
        }
    }

    /// The whole offset of a pulse, if it is to be used.
    fn pulse(
        &mut self,
        line: &Server,
        at: MonoTime,
        offset: Seconds,
        expected: Option<f64>,
        by: &Reader,
    ) -> Option<f64> {
        let offset = (offset + self.time1(line)).fraction().get();
        match self.pulses.judge(offset, expected) {
            Verdict::Pulse => {}
            Verdict::First => return None,
            Verdict::Stray => {
                self.counts.count(Trouble::BadSignal);
                return None;
            }
        }
        match self.numbering(line) {
            Numbering::System => by.synchronized.then_some(offset),
            Numbering::Own | Numbering::OwnOnly => {
                let whole = self.pulses.numbered(at, offset)?;
                // At first, the first ones will do; after a loss it must be seen that they stay.
                let back = self.by_pulses || self.counts.polls < 2 || self.pulses.good() >= PULSES_BACK;
                back.then_some(whole)
            }
        }
    }

    /// The error that its line, its device or its driver claims for a reading.
    fn claimed(&self, common: &Common) -> Seconds {
        let by_precision = Seconds::new(2f64.powi(i32::from(common.header.precision)));
        let least = common.config.fudge.min_jitter.unwrap_or(Seconds::ZERO);
        self.error.unwrap_or(Seconds::ZERO).max(by_precision).max(least)
    }

    /// The measurement of a poll.
    fn measured(&mut self, common: &Common, now: MonoTime, summary: &Summary) -> Measurement {
        self.deviation = summary.deviation;
        let least = common.config.fudge.min_jitter.unwrap_or(Seconds::ZERO);
        Measurement::one_way(now, summary.offset, summary.jitter.max(least))
    }

    /// The line that clockstats has of a poll, if any.
    fn statistics(&self, line: &Server) -> Option<String> {
        let [.., flag4] = line.fudge.flags;
        match self.driver {
            Driver::Nmea if !self.timecode.is_empty() => Some(self.timecode.clone()),
            Driver::Shm if flag4 => Some(self.counts.lately.of_shm()),
            Driver::GpsdJson if flag4 => Some(self.counts.lately.of_gpsd()),
            _ => None,
        }
    }

    /// The line that clockstats has of a sample, if any.
    #[must_use]
    pub fn statistics_of(&self, line: &Server, sample: &Sample) -> Option<String> {
        let offset = sample.measured.offset.get();
        match self.driver {
            Driver::Pps if line.fudge.flags[3] => Some(format!("{offset:.9}")),
            Driver::Phc if line.fudge.flags[3] => {
                Some(format!("{offset:.9} {:.9}", self.error.unwrap_or(Seconds::ZERO).get() * 2.0))
            }
            _ => None,
        }
    }

    fn describe_driver(&self, common: &mut Common) {
        let fudge = &common.config.fudge;
        common.header.refid = fudge.refid.unwrap_or_else(|| self.driver.refid());
        common.header.stratum = fudge.stratum.unwrap_or(Stratum::new(0));
        common.header.poll = common.config.minpoll.get() as i8;
    }
}

/// What is shown of a clock of TAI while that means nothing.
const TAI_UNKNOWN: &str = "TAI - UTC is not known: leapfile is missing";

/// A pulse is known to about a microsecond, log2 seconds.
const PULSE_PRECISION: i8 = -20;

/// The precision of a driver before its device says another one, log2 seconds.
const fn precision_of(driver: Driver) -> i8 {
    match driver {
        Driver::Nmea => -9,
        Driver::Shm => -1,
        Driver::GpsdJson => -9,
        Driver::Local | Driver::Pps | Driver::Phc | Driver::Sock => PULSE_PRECISION,
    }
}

/// A leap second is announced for the end of a month in which there are some: receivers have warned at other times.
fn plausible(leap: Leap, at: NtpTimestamp) -> Leap {
    let announces = matches!(leap, Leap::Insert | Leap::Delete);
    if announces && !has_leap_seconds(at.to_unix(PIVOT).0) { Leap::None } else { leap }
}

impl Behaviour for Reference {
    fn poll(&mut self, common: &mut Common, turn: Turn, timers: &mut Timers) -> Polled {
        let now = turn.now.mono;
        let lost = common.reach.polled();
        self.counts.polls += 1;
        common.tally.sent += 1;
        let summary = self.ring.take();
        let statistics = self.statistics(&common.config);
        let starting = summary.is_some() && common.filter.stages().iter().flatten().count() < START_SAMPLES;
        let interval = common.config.minpoll.interval();
        let interval = if starting { interval.min(START_POLL) } else { interval };
        timers.set(Timer::Poll(common.id), now + interval);
        let mut polled = Polled { lost, statistics, ..Polled::default() };
        if let Some(summary) = summary {
            common.reach.responded(now, turn.now.wall);
            polled.measured = Some(self.measured(common, now, &summary));
        } else {
            polled.trouble = self.idle();
        }
        self.counts.lately = counts::Lately::default();
        polled
    }

    fn clock_source(&self) -> u8 {
        // RFC 9327: 1 is a pulse, 4 a radio clock of ultra high frequency, as satellites send.
        if self.driver == Driver::Pps { 1 } else { 4 }
    }

    fn describe(&self, common: &mut Common, _precision: i8) {
        common.local = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        common.header.precision = precision_of(self.driver);
        self.describe_driver(common);
    }

    fn has_distance(&self) -> bool {
        false
    }

    fn takes_each_reading(&self) -> bool {
        true
    }

    fn error_floor(&self, common: &Common) -> Seconds {
        self.claimed(common).max(self.deviation)
    }

    fn reconfigure(&mut self, common: &mut Common) {
        self.describe_driver(common);
    }

    fn clock_stepped(&mut self, by: Seconds) {
        self.ring.clock_stepped(by);
        self.pulses.clock_stepped(by);
    }

    fn poll_anew(&mut self, _common: &Common, _now: MonoTime, _timers: &mut Timers) {
        self.ring.clear();
        self.pulses = Pulses::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leap_warning_counts_in_its_months_only() {
        let at = |unix| NtpTimestamp::from_unix(unix, 0);
        let (january, june) = (1_768_003_200, 1_781_000_000);
        assert_eq!(plausible(Leap::Insert, at(january)), Leap::None);
        assert_eq!(plausible(Leap::Insert, at(june)), Leap::Insert);
        assert_eq!(plausible(Leap::Unsynchronised, at(january)), Leap::Unsynchronised);
    }

    #[test]
    fn only_types_with_a_driver_are_clocks() {
        let clock = |kind| Reference::new(ClockAddress { kind, unit: 3 });
        assert_eq!(clock(28).map(|clock| clock.address().ip.to_string()).as_deref(), Some("127.127.28.3"));
        assert!(clock(8).is_none() && clock(1).is_none());
    }
}
