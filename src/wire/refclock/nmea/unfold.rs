//! Dates: of which day, century and era of the GPS weeks a sentence is.
//!
//! GPS counts weeks with ten bits. A receiver whose program is older than its 1024 weeks shows a date that is too early by so many, once
//! or several times, until it is thrown away.

use super::{Date, Kind, Sentence, Unusable};
use crate::units::{DAY, GPS_ERA_WEEKS, WEEK, day_of};

/// The most eras that a receiver is behind: GPS began in 1980, so three reach 2038 from there.
const MOST_ERAS: i64 = 3;

/// Whether a receiver's dates may be of another era.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dates {
    /// They are moved by whole eras.
    Unfolded,
    /// They are as they are: `mode` has bit 25.
    Trusted,
}

/// What is known of the time beside the sentence, Unix seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WallTime {
    /// The wall clock.
    pub wall: i64,
    /// When the program was built: no sentence is older.
    pub built: i64,
}

/// A sentence's time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unfolded {
    /// Unix seconds.
    pub unix: i64,
    /// Nanoseconds, below a billion.
    pub nanos: u32,
    /// By how many weeks its date was moved.
    pub weeks: i64,
}

impl Date {
    /// The year with its century: no receiver is older than GPS.
    const fn full_year(self) -> i64 {
        match self.year {
            80..=99 => 1900 + self.year,
            0..=79 => 2000 + self.year,
            year => year,
        }
    }

    /// The day, counted from 1970-01-01; `None` if there is no such date.
    pub(super) const fn day_number(self) -> Option<i64> {
        day_of(self.full_year(), self.month, self.day)
    }
}

/// Which second a sentence is of. One without a date is of the day that brings it nearest to the wall clock; one with a date is moved by
/// whole eras of GPS weeks until it is nearer than half an era to the wall clock, or to when the program was built, whichever is later.
///
/// # Errors
/// [`Unusable::Date`], if no era does.
pub fn unfold(sentence: &Sentence, known: WallTime, dates: Dates) -> Result<Unfolded, Unusable> {
    let seconds = i64::from(sentence.time.seconds);
    // ZDG is sent before the pulse that it is of: as ZDA is sent after it, it is a second ahead.
    let ahead = i64::from(sentence.kind == Kind::Zdg);
    let nanos = sentence.time.nanos;
    let Some(date) = sentence.date else {
        let nearest = known.wall.saturating_sub(seconds - DAY / 2).div_euclid(DAY);
        return Ok(Unfolded { unix: nearest * DAY + seconds, nanos, weeks: 0 });
    };
    let day = date.day_number().ok_or(Unusable::Date)?;
    let unix = day * DAY + seconds - ahead;
    if dates == Dates::Trusted {
        return Ok(Unfolded { unix, nanos, weeks: 0 });
    }
    let around = known.wall.max(known.built);
    let within = |eras: &i64| {
        let distance = around.saturating_sub(unix + eras * GPS_ERA_WEEKS * WEEK);
        (-GPS_ERA_WEEKS / 2 * WEEK..GPS_ERA_WEEKS / 2 * WEEK).contains(&distance)
    };
    let eras = (0..=MOST_ERAS).find(within).ok_or(Unusable::Date)?;
    let weeks = eras * GPS_ERA_WEEKS;
    Ok(Unfolded { unix: unix + weeks * WEEK, nanos, weeks })
}
