//! NMEA 0183: what a receiver's line says of the time.
//!
//! A line is a value or a reason why it is of no use. What the lines before it decide (which kinds have checksums, which second it
//! is) is a [`Receiver`], which the caller owns. Dates are the business of [`unfold`].

mod hide;
mod unfold;

pub use unfold::{Dates, WallTime, unfold};

use crate::units::Driver;

/// The longest line that is read, in bytes: the standard has 82, makers have their own.
pub const LONGEST: usize = 255;
/// Lines that are no sentences, one after the other, from which it is another speed or no receiver at all: one may be the rest
/// of a sentence, and some receivers send a few lines of binary data.
const STRANGE: u8 = 4;
/// Kinds that are read if `mode` names none, in [`Kind::ALL`]'s order of bits: all but the last.
const USUAL: u8 = 0b1_1111;

/// A kind of sentence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Recommended minimum data.
    Rmc,
    /// Fix data.
    Gga,
    /// Position.
    Gll,
    /// Time and date.
    Zda,
    /// Time and date of the next pulse (Accord).
    Zdg,
    /// Fix data of Garmin's.
    Pgrmf,
}

/// Where a sentence has its date.
#[derive(Clone, Copy, Debug)]
enum DateFields {
    None,
    /// `ddmmyy` in one field.
    Packed(usize),
    /// Day, month and year in fields of their own, from this one on.
    Split(usize),
}

/// What shows that there is a fix.
#[derive(Clone, Copy, Debug)]
enum Fix {
    Always,
    /// This field is `A`.
    Active(usize),
    /// This field is another than 0.
    NotZero(usize),
}

/// Where a kind of sentence has what; fields are counted from its name.
#[derive(Clone, Copy, Debug)]
struct Layout {
    name: &'static [u8],
    time: usize,
    date: DateFields,
    fix: Fix,
    /// Latitude and longitude, with the field after each.
    position: &'static [usize],
}

const LAYOUTS: [Layout; 6] = [
    Layout { name: b"RMC", time: 1, date: DateFields::Packed(9), fix: Fix::Active(2), position: &[3, 5] },
    Layout { name: b"GGA", time: 1, date: DateFields::None, fix: Fix::NotZero(6), position: &[2, 4] },
    Layout { name: b"GLL", time: 5, date: DateFields::None, fix: Fix::Active(6), position: &[1, 3] },
    Layout { name: b"ZDA", time: 1, date: DateFields::Split(2), fix: Fix::Always, position: &[] },
    Layout { name: b"ZDG", time: 1, date: DateFields::Split(2), fix: Fix::NotZero(6), position: &[] },
    Layout { name: b"PGRMF", time: 4, date: DateFields::Packed(3), fix: Fix::NotZero(11), position: &[6, 8] },
];

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Rmc, Self::Gga, Self::Gll, Self::Zda, Self::Zdg, Self::Pgrmf];

    const fn bit(self) -> u8 {
        1 << self as u8
    }

    const fn layout(self) -> Layout {
        LAYOUTS[self as usize]
    }

    /// Of a sentence's first field: `$`, two letters for the talker, whichever they are, and the kind.
    fn of(address: &[u8]) -> Option<Self> {
        let name = address.strip_prefix(b"$")?;
        let standard = || name.split_at_checked(2).map(|(_talker, kind)| kind);
        Self::ALL.into_iter().find(|kind| match kind {
            Self::Pgrmf => name == kind.layout().name,
            _ => standard() == Some(kind.layout().name),
        })
    }
}

/// Why a sentence is of no use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unusable {
    /// It is no sentence, its checksum is wrong, or lacks.
    Format,
    /// The receiver has no fix, or no time yet.
    Signal,
    /// There is no such date.
    Date,
    /// There is no such time.
    Time,
}

/// A time of day.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimeOfDay {
    /// Seconds since midnight, UTC: 86,400 in a leap second.
    pub seconds: u32,
    /// Nanoseconds, below a billion.
    pub nanos: u32,
}

/// A date as a sentence has it: it is one of the calendar, in some century.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Date {
    /// The year: with four digits, or the last two.
    pub year: i64,
    /// The month, 1..=12.
    pub month: i64,
    /// The day, 1..=31.
    pub day: i64,
}

/// A sentence of a receiver that has a fix.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sentence {
    /// Its kind.
    pub kind: Kind,
    /// The time.
    pub time: TimeOfDay,
    /// The date, if this kind has one.
    pub date: Option<Date>,
}

/// What `mode` says of a receiver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mode {
    wanted: u8,
    /// The speed of its line, bits a second.
    pub speed: u32,
    /// Whether its dates may be of another era of the GPS weeks.
    pub dates: Dates,
}

impl Mode {
    /// From the number in ntp.conf: bits 0 to 3 are kinds of sentences, 4 to 6 the speed, 8 is Garmin's sentence, 25 trusts the date.
    #[must_use]
    pub const fn of(bits: u32) -> Self {
        let asked = (bits & 0x0f) as u8;
        // ZDA's bit is ZDG's, too.
        let zdg = if asked & Kind::Zda.bit() == 0 { 0 } else { Kind::Zdg.bit() };
        let pgrmf = if bits & 0x100 == 0 { 0 } else { Kind::Pgrmf.bit() };
        let named = asked | zdg | pgrmf;
        let wanted = if named == 0 { USUAL } else { named };
        let speeds = Driver::NMEA_SPEEDS;
        let place = (bits >> 4 & 7) as usize;
        let speed = speeds[if place < speeds.len() { place } else { 0 }];
        let dates = if bits & 0x200_0000 == 0 { Dates::Unfolded } else { Dates::Trusted };
        Self { wanted, speed, dates }
    }

    /// Whether sentences of this kind are read.
    #[must_use]
    pub const fn wants(self, kind: Kind) -> bool {
        self.wanted & kind.bit() != 0
    }
}

/// Whether the clock variables may show where the receiver is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Position {
    /// As it is sent.
    Shown,
    /// Its digits are replaced (`flag4`).
    Hidden,
}

/// What came of a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard {
    /// It is not for us, or another one of the same second has had the time.
    Nothing,
    /// The time, with the line to show.
    Time {
        /// What it says.
        sentence: Sentence,
        /// The line, printable.
        text: String,
    },
    /// It should have been the time.
    Unusable {
        /// Why it is not.
        why: Unusable,
        /// The line, printable.
        text: String,
    },
}

/// What the lines of a receiver decide for those that come later.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receiver {
    mode: Mode,
    position: Position,
    /// Kinds that have had a checksum: it is required from then on.
    checked: u8,
    /// The second of the last sentence: the first one of a second is the one that counts.
    second: Option<u32>,
    /// There was a ZDG: it is of the pulse, the others are not.
    of_the_pulse: bool,
    strange: u8,
}

impl Receiver {
    /// One that has sent nothing yet.
    #[must_use]
    pub const fn new(mode: Mode, position: Position) -> Self {
        // The recommended minimum comes with a checksum, or it is none.
        Self { mode, position, checked: Kind::Rmc.bit(), second: None, of_the_pulse: false, strange: 0 }
    }

    /// Takes a line without its end.
    pub fn hear(&mut self, raw: &[u8]) -> Heard {
        let Some(line) = clean(raw) else { return self.stranger() };
        if line.is_empty() {
            return Heard::Nothing;
        }
        // AIS and the like come over the same line, and are sentences.
        if !matches!(line.first(), Some(b'$' | b'!')) {
            return self.stranger();
        }
        self.strange = 0;
        let address = line.split(|b| matches!(b, b',' | b'*')).next().unwrap_or_default();
        let known = Kind::of(address).filter(|kind| self.mode.wants(*kind));
        let Some(kind) = known.filter(|kind| *kind == Kind::Zdg || !self.of_the_pulse) else {
            return Heard::Nothing;
        };
        match self.read(kind, &line) {
            Ok(None) => Heard::Nothing,
            Ok(Some(sentence)) => {
                Heard::Time { sentence, text: hide::shown(kind.layout().position, &line, self.position) }
            }
            Err(why) => Heard::Unusable { why, text: hide::shown_damaged(kind, why, &line, self.position) },
        }
    }

    /// A line that is no sentence.
    fn stranger(&mut self) -> Heard {
        self.strange = self.strange.saturating_add(1);
        if self.strange < STRANGE {
            return Heard::Nothing;
        }
        // It is not shown: the rest of a sentence has the position, too.
        Heard::Unusable { why: Unusable::Format, text: String::new() }
    }

    /// A sentence, unless it is of a second that had one.
    fn read(&mut self, kind: Kind, line: &[u8]) -> Result<Option<Sentence>, Unusable> {
        let body = match checksum(line) {
            Checksum::Right(body) => {
                self.checked |= kind.bit();
                body
            }
            Checksum::None(body) if self.checked & kind.bit() == 0 => body,
            Checksum::None(_) | Checksum::Wrong => return Err(Unusable::Format),
        };
        let fields: Vec<&[u8]> = body.split(|b| *b == b',').collect();
        let layout = kind.layout();
        let time = time_of_day(field(&fields, layout.time)?);
        if let Ok(time) = time
            && self.second.replace(time.seconds) == Some(time.seconds)
        {
            return Ok(None);
        }
        match layout.fix {
            Fix::Active(at) if field(&fields, at)? != b"A" => return Err(Unusable::Signal),
            Fix::NotZero(at) if matches!(field(&fields, at)?, b"" | b"0") => return Err(Unusable::Signal),
            Fix::Active(_) | Fix::NotZero(_) | Fix::Always => {}
        }
        let time = time?;
        let date = date(&fields, layout.date)?;
        self.of_the_pulse |= kind == Kind::Zdg;
        // A leap second has no time of its own in the computer.
        Ok(Some(Sentence { kind, time, date }).filter(|_| time.seconds < 86_400))
    }
}

/// The characters of a line; `None` if it is too long.
fn clean(raw: &[u8]) -> Option<Vec<u8>> {
    if raw.len() > LONGEST {
        return None;
    }
    Some(raw.iter().map(|b| b & 0x7f).filter(|b| !b.is_ascii_control()).collect())
}

/// A line by its checksum: what stands between `$` and `*`, exclusive or.
#[derive(Clone, Copy, Debug)]
enum Checksum<'a> {
    None(&'a [u8]),
    Right(&'a [u8]),
    Wrong,
}

fn checksum(line: &[u8]) -> Checksum<'_> {
    let body = line.get(1..).unwrap_or_default();
    let Some(star) = body.iter().position(|b| *b == b'*') else { return Checksum::None(body) };
    let (body, digits) = body.split_at(star);
    let digit = |at: usize| digits.get(at).and_then(|b| char::from(*b).to_digit(16));
    let written = digit(1).zip(digit(2)).map(|(high, low)| high * 16 + low);
    let sum = body.iter().fold(0, |sum, b| sum ^ b);
    if written == Some(u32::from(sum)) { Checksum::Right(body) } else { Checksum::Wrong }
}

/// A sentence that ends before this field is none.
fn field<'a>(fields: &[&'a [u8]], at: usize) -> Result<&'a [u8], Unusable> {
    fields.get(at).copied().ok_or(Unusable::Format)
}

/// A number of at most nine digits.
fn number(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() || digits.len() > 9 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |number, digit| 10 * number + i64::from(digit - b'0')))
}

/// `hhmmss` with any number of digits after a point. A receiver that has no time yet leaves it empty.
fn time_of_day(text: &[u8]) -> Result<TimeOfDay, Unusable> {
    if text.is_empty() {
        return Err(Unusable::Signal);
    }
    let mut parts = text.splitn(2, |b| *b == b'.');
    let whole = parts.next().filter(|whole| whole.len() == 6).and_then(number).ok_or(Unusable::Time)?;
    let (hours, minutes, seconds) = (whole / 10_000, whole / 100 % 100, whole % 100);
    let leap = (hours, minutes, seconds) == (23, 59, 60);
    if hours > 23 || minutes > 59 || (seconds > 59 && !leap) {
        return Err(Unusable::Time);
    }
    let fraction = parts.next().unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return Err(Unusable::Time);
    }
    let digits = fraction.iter().copied().chain(std::iter::repeat(b'0')).take(9);
    let nanos = digits.fold(0, |nanos, digit| 10 * nanos + u32::from(digit - b'0'));
    Ok(TimeOfDay { seconds: (hours * 3600 + minutes * 60 + seconds) as u32, nanos })
}

fn date(fields: &[&[u8]], at: DateFields) -> Result<Option<Date>, Unusable> {
    let (day, month, year) = match at {
        DateFields::None => return Ok(None),
        DateFields::Packed(at) => {
            let text = field(fields, at)?;
            if text.is_empty() {
                return Err(Unusable::Signal);
            }
            let packed = Some(text).filter(|text| text.len() == 6).and_then(number);
            let packed = packed.ok_or(Unusable::Date)?;
            (packed / 10_000, packed / 100 % 100, packed % 100)
        }
        DateFields::Split(at) => {
            let texts = [field(fields, at)?, field(fields, at + 1)?, field(fields, at + 2)?];
            if texts.iter().all(|text| text.is_empty()) {
                return Err(Unusable::Signal);
            }
            let mut numbers = texts.into_iter().map(|text| number(text).ok_or(Unusable::Date));
            let mut next = || numbers.next().unwrap_or(Err(Unusable::Date));
            (next()?, next()?, next()?)
        }
    };
    let date = Date { year, month, day };
    if date.day_number().is_none() {
        return Err(Unusable::Date);
    }
    Ok(Some(date))
}

#[cfg(test)]
mod tests;
