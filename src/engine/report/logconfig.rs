//! `logconfig`: which events reach the log. A set of classes and kinds, as ntpd keeps it.

use crate::engine::report::rows::Row;

/// What an event is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// `sys`: the daemon as a whole.
    System,
    /// `peer`: an association.
    Peer,
    /// `clock`: a reference clock.
    Clock,
    /// `sync`: the system peer.
    Sync,
}

/// What kind of news an event is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `info`.
    Info,
    /// `events`.
    Event,
    /// `status`.
    Status,
    /// `statistics`.
    Statistics,
}

/// What `logconfig` may leave out of the log.
pub type Filtered = Option<(Class, Kind)>;

/// Nothing leaves it out.
pub const ALWAYS: Filtered = None;
/// `sysevents`.
pub const SYS_EVENTS: Filtered = Some((Class::System, Kind::Event));
/// `sysstatus`.
pub const SYS_STATUS: Filtered = Some((Class::System, Kind::Status));
/// `sysstatistics`.
pub const SYS_STATISTICS: Filtered = Some((Class::System, Kind::Statistics));
/// `peerevents`.
pub const PEER_EVENTS: Filtered = Some((Class::Peer, Kind::Event));
/// `syncevents`.
pub const SYNC_EVENTS: Filtered = Some((Class::Sync, Kind::Event));
/// `syncstatus`.
pub const SYNC_STATUS: Filtered = Some((Class::Sync, Kind::Status));

const CLASSES: [(&str, Class); 4] =
    [("sys", Class::System), ("peer", Class::Peer), ("clock", Class::Clock), ("sync", Class::Sync)];
const KINDS: [(&str, Kind); 4] = [
    ("info", Kind::Info),
    ("events", Kind::Event),
    ("status", Kind::Status),
    ("statistics", Kind::Statistics),
];

/// The events that are logged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogFilter(u16);

impl Default for LogFilter {
    /// What Red Hat's ntpd logs: `=syncall +sysevents +sysstatus`.
    fn default() -> Self {
        Self(0).with("=syncall").with("+sysevents").with("+sysstatus")
    }
}

impl LogFilter {
    /// What the words of `logconfig` lines, in their order, leave of the default. An unknown word with
    /// `=` leaves nothing, as with ntpd; other unknown ones change nothing.
    #[must_use]
    pub fn new(words: &[String]) -> Self {
        words.iter().fold(Self::default(), |set, word| set.with(word))
    }

    fn with(self, word: &str) -> Self {
        let (name, rest) = match word.as_bytes().first() {
            Some(sign @ (b'=' | b'+' | b'-')) => (*sign, &word[1..]),
            // 4.2.8: without a sign it is =.
            _ => (b'=', word),
        };
        let bits = bits_of(rest).unwrap_or(0);
        Self(match name {
            b'+' => self.0 | bits,
            b'-' => self.0 & !bits,
            _ => bits,
        })
    }

    /// Whether an event is to be logged.
    ///
    /// Events without a class always are: that the clock cannot be adjusted, that it is off beyond the
    /// panic limit, that something is not supported or failed. ntpd writes these past its mask too,
    /// and an administrator who wants a quiet log still needs them.
    #[must_use]
    pub fn admits(self, row: &Row<'_>) -> bool {
        row.class.is_none_or(|(class, kind)| self.0 & bit(class, kind) != 0)
    }
}

const fn bit(class: Class, kind: Kind) -> u16 {
    1 << (4 * class as u16 + kind as u16)
}

/// A word without its sign: CLASS KIND, either of which may be `all`; a class left out is `sys`.
fn bits_of(word: &str) -> Option<u16> {
    let (class, kind) = CLASSES
        .iter()
        .find_map(|(name, class)| Some((Some(*class), word.strip_prefix(name)?)))
        .or_else(|| {
            // `all` alone is a kind, with more behind it a class.
            word.strip_prefix("all").filter(|rest| !rest.is_empty()).map(|rest| (None, rest))
        })
        .unwrap_or((Some(Class::System), word));
    // `allsync` is `syncall`.
    if class.is_none()
        && let Some((_, class)) = CLASSES.iter().find(|(name, _)| *name == kind)
    {
        return Some(bits(Some(*class), None));
    }
    if kind == "all" {
        return Some(bits(class, None));
    }
    KINDS.iter().find(|(name, _)| *name == kind).map(|(_, kind)| bits(class, Some(*kind)))
}

fn bits(class: Option<Class>, kind: Option<Kind>) -> u16 {
    let classes = CLASSES.iter().map(|(_, c)| *c).filter(|c| class.is_none_or(|wanted| wanted == *c));
    let kinds =
        |c| KINDS.iter().filter(move |(_, k)| kind.is_none_or(|w| w == *k)).map(move |(_, k)| bit(c, *k));
    classes.flat_map(kinds).fold(0, |all, one| all | one)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::report::event::Event;

    fn of(words: &str) -> LogFilter {
        LogFilter::new(&words.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn words_add_take_away_and_begin_anew() {
        assert_eq!(of("=all"), of("=sysall"), "a class left out is sys");
        assert_eq!(of("=allall").0, 0xffff);
        assert_eq!(of("=allsync"), of("=syncall"));
        assert_eq!(of("=allevents"), of("=sysevents +peerevents +clockevents +syncevents"));
        assert_eq!(of("=syncall +sysevents +sysstatus"), LogFilter::default());
        assert_eq!(of("=allall -allinfo -allevents -allstatistics"), of("=allstatus"));
        assert_eq!(of("syncstatus"), of("=syncstatus"));
        assert_eq!((of("=nonsense").0, of("+nonsense")), (0, LogFilter::default()));
        assert_eq!(of("-syncstatus").0, LogFilter::default().0 & !of("=syncstatus").0);
    }

    #[test]
    fn what_must_be_known_is_always_logged() {
        let admits = |filter: LogFilter, event: &Event| filter.admits(&event.row());
        let silent = of("=nothing");
        assert!(admits(silent, &Event::CannotSteer));
        assert!(admits(silent, &Event::PanicStop(crate::units::Seconds::new(2e3))));
        assert!(admits(silent, &Event::NotSupported(String::new())));
        assert!(!admits(silent, &Event::Restart) && admits(LogFilter::default(), &Event::Restart));
        assert!(!admits(silent, &Event::NoSystemPeer) && admits(of("=syncevents"), &Event::NoSystemPeer));
    }
}
