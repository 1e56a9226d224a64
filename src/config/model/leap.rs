//! The leap second file's values.

/// How a leap second is spread over the time before it, in replies to clients.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SmearSettings {
    /// `leapsmearinterval`, seconds; 0: not at all.
    pub interval: u32,
    /// `leapsmearmode`.
    pub law: SmearLaw,
}

/// By which law the part that is spread grows from 0 to 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SmearLaw {
    /// (1 − cos πx)/2, as in ntpd 4.2.8: the rate changes smoothly.
    #[default]
    Cosine,
    /// x, as in NTPsec and at the public servers that smear.
    Linear,
}

impl SmearLaw {
    /// Its name in ntp.conf.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::Linear => "linear",
        }
    }
}

/// What a `leap-seconds.list` says (NIST's and IERS's file, also in the time zone database).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LeapTable {
    /// From which Unix second on TAI − UTC is how many seconds, oldest first, at least one entry.
    pub entries: Vec<(i64, i32)>,
    /// The Unix second from which on the file is silent about the future; `None` if it does not say.
    pub expires: Option<i64>,
}

impl LeapTable {
    /// TAI − UTC at a Unix second; `None` before the first entry.
    #[must_use]
    pub fn tai(&self, unix: i64) -> Option<i32> {
        self.entries.iter().rev().find(|(since, _)| *since <= unix).map(|(_, tai)| *tai)
    }

    /// The first leap second that ends after a Unix second: that end, and by how much TAI − UTC grows.
    #[must_use]
    pub fn next(&self, unix: i64) -> Option<(i64, i32)> {
        let pair = self.entries.windows(2).find(|pair| pair[1].0 > unix)?;
        Some((pair[1].0, pair[1].1 - pair[0].1))
    }

    /// Whether the file still speaks for the time at a Unix second.
    #[must_use]
    pub fn is_valid(&self, unix: i64) -> bool {
        self.expires.is_none_or(|expires| unix < expires)
    }
}
