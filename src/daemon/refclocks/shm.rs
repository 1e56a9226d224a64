//! SHM (type 28): a segment of shared memory that another program writes time into.
//!
//! Whoever may write the segment sets the clock. Those of units 0 and 1 are root's and ours, so one that another user owns or may
//! write is refused; the others are open to all users by their design, and it is logged.

use super::driver::{Behaviour, Turn};
use super::error::OpenError;
use crate::config::model::Fudge;
use crate::engine::contract::{ClockDevice, DeviceReport, Reading, Reads, Trouble};
use crate::engine::report::event::Level;
use crate::sys::clock;
use crate::sys::shm::{Guards, Make, Segment, Standing, TIME_ALIGNMENT, TIME_WIDTH, Taken};
use crate::units::{Driver, Seconds};
use crate::wire::refclock::shm::{self as segment, Layout, Limit, Refused};
use std::fmt;

/// The key of unit 0: `NTP0`.
const KEY: i32 = 0x4e54_5030;
/// Units whose segments only root and the daemon may write.
const PRIVATE_UNITS: u8 = 2;
/// `mode`: a segment that is made here is for its owner only, whatever its unit.
const PRIVATE: u32 = 1;
/// What the segment has until its writer comes: the precision, which claims nothing, and the number of samples.
const PRECISION: i32 = -1;
const SAMPLES: u32 = 3;

/// A segment of shared memory.
#[derive(Debug)]
pub(super) struct Shm {
    segment: Segment,
    layout: Layout,
    limit: Limit,
    /// That other users may write it, until it is logged.
    doubt: Option<Doubt>,
    /// Why the last sample was refused: the same reason is logged once.
    refused: Option<Refused>,
}

/// Why the time of a segment is not to be trusted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Doubt {
    unit: u8,
    standing: Standing,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Standing { owner, creator, mode, .. } = self.standing;
        let key = KEY + i32::from(self.unit);
        write!(
            f,
            "SHM (unit {}): the segment {key:#x} belongs to user {owner}, was made by user {creator} ",
            self.unit
        )?;
        write!(f, "and has mode {mode:03o}, so other users may set the time in it")
    }
}

impl Doubt {
    /// What is wrong with a segment that only root and user `own` are to write.
    fn of(unit: u8, standing: Standing, own: u32) -> Option<Self> {
        const OTHERS_WRITE: u32 = 0o022;
        let strange = [standing.owner, standing.creator].into_iter().any(|user| user != 0 && user != own);
        (strange || standing.mode & OTHERS_WRITE != 0).then_some(Self { unit, standing })
    }
}

impl Shm {
    /// Attaches the segment of a unit; `own`: the user that the daemon runs as, or will run as.
    pub(super) fn open(device: &ClockDevice, own: u32) -> Result<Self, OpenError> {
        let unit = device.unit;
        let private = unit < PRIVATE_UNITS || device.device.mode & PRIVATE != 0;
        let native = Layout::of_time(TIME_WIDTH, TIME_ALIGNMENT);
        let make = Make { length: native.length(), mode: if private { 0o600 } else { 0o666 } };
        let attached = Segment::attach(KEY + i32::from(unit), make);
        let segment = attached.map_err(|why| OpenError::Segment(unit, why))?;
        let standing = segment.standing();
        let layout = Layout::of_length(standing.length).ok_or(OpenError::ShortSegment(unit))?;
        let doubt = Doubt::of(unit, standing, own);
        if let Some(doubt) = doubt.filter(|_| unit < PRIVATE_UNITS) {
            return Err(OpenError::Doubted(doubt));
        }
        segment.store(layout.precision(), PRECISION as u32);
        segment.store(layout.valid(), 0);
        segment.store(layout.samples(), SAMPLES);
        Ok(Self { segment, layout, limit: limit(&device.fudge), doubt, refused: None })
    }

    fn read(&mut self, turn: &mut Turn<'_>) -> DeviceReport {
        let guards = Guards { valid: self.layout.valid(), count: segment::COUNT };
        let mut image = [0; segment::LONGEST];
        let trouble = |trouble, text| DeviceReport::Trouble { trouble, text };
        match self.segment.take(guards, &mut image) {
            Taken::Nothing => return trouble(Trouble::NoReply, String::new()),
            Taken::Torn => return trouble(Trouble::BadSignal, String::new()),
            Taken::Whole => {}
        }
        match segment::parse(self.layout, &image, clock::unix_time(), self.limit) {
            Ok(sample) => {
                self.refused = None;
                let offset = sample.clock.since(sample.receive);
                let (at, text) = (sample.receive.ntp(), sample.clock.to_string());
                let reading = Reading::new(Reads::Time, at, offset, text);
                DeviceReport::Reading(Reading { leap: sample.leap, precision: sample.precision, ..reading })
            }
            Err(why) => {
                if self.refused.map(|before| std::mem::discriminant(&before))
                    != Some(std::mem::discriminant(&why))
                {
                    turn.notice(Level::Warning, why.to_string());
                }
                self.refused = Some(why);
                trouble(Trouble::BadFormat, String::new())
            }
        }
    }
}

/// `time2` where it is a limit, ntpd's otherwise; none with flag1.
fn limit(fudge: &Fudge) -> Limit {
    let most = fudge.time2;
    if fudge.flags[0] {
        Limit::None
    } else if Driver::SHM_LIMITS.contains(&most.get()) {
        Limit::Within(Seconds::new(most.get().floor()))
    } else {
        Limit::DEFAULT
    }
}

impl Behaviour for Shm {
    fn begin(&mut self, turn: &mut Turn<'_>) {
        if let Some(doubt) = self.doubt.take() {
            turn.notice(Level::Warning, doubt.to_string());
        }
    }

    fn wants_ticks(&self) -> bool {
        true
    }

    fn tick(&mut self, turn: &mut Turn<'_>) {
        let report = self.read(turn);
        turn.report(report);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_of_others_are_doubted() {
        let own = 38;
        let doubted =
            |owner, creator, mode| Doubt::of(0, Standing { owner, creator, mode, length: 96 }, own).is_some();
        assert!(!doubted(0, 0, 0o600) && !doubted(own, own, 0o600) && !doubted(0, own, 0o644));
        assert!(doubted(65534, 0, 0o600) && doubted(0, 65534, 0o600));
        assert!(doubted(0, 0, 0o660) && doubted(0, 0, 0o602));
        let standing = Standing { owner: 65534, creator: 65534, mode: 0o666, length: 96 };
        let text = "SHM (unit 0): the segment 0x4e545030 belongs to user 65534, was made by user 65534 and has mode 666, \
                    so other users may set the time in it";
        assert_eq!(Doubt::of(0, standing, own).unwrap().to_string(), text);
    }

    #[test]
    fn time2_is_a_limit_and_flag1_lifts_it() {
        let of = |time2: f64, flag1: bool| {
            limit(&Fudge {
                time2: Seconds::new(time2),
                flags: [flag1, false, false, false],
                ..Fudge::default()
            })
        };
        let within = |seconds: f64| Limit::Within(Seconds::new(seconds));
        assert_eq!([0.0, 0.5, 86_401.0, -3.0].map(|time2| of(time2, false)), [Limit::DEFAULT; 4]);
        assert_eq!([1.0, 2.9, 86_400.0].map(|time2| of(time2, false)), [1.0, 2.0, 86_400.0].map(within));
        assert_eq!(of(3.0, true), Limit::None);
    }
}
