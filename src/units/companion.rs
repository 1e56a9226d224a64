//! The names of the companions: the daemon must know them to refuse them, their program to choose one.

/// A companion of the daemon.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Companion {
    /// `ntpq`: what does a daemon know?
    Query,
    /// `ntpstat`: is the clock synchronized?
    Stat,
    /// `ntpdate`: set the clock once.
    Date,
    /// `ntp-wait`: wait for the daemon.
    Wait,
    /// `ntp-keygen`: make keys.
    Keygen,
    /// `ntptime`: what does the kernel know?
    Time,
    /// `ntptrace`: where does the time come from?
    Trace,
}

impl Companion {
    /// Our name and the classic one of each.
    pub const NAMES: [(&'static str, &'static str, Self); 7] = [
        ("rsntpq", "ntpq", Self::Query),
        ("rsntpstat", "ntpstat", Self::Stat),
        ("rsntpdate", "ntpdate", Self::Date),
        ("rsntp-wait", "ntp-wait", Self::Wait),
        ("rsntp-keygen", "ntp-keygen", Self::Keygen),
        ("rsntptime", "ntptime", Self::Time),
        ("rsntptrace", "ntptrace", Self::Trace),
    ];

    /// The companion of a name, ours or the classic one.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(ours, classic, _)| name == *ours || name == *classic).map(|row| row.2)
    }
}
