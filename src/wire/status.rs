//! The status words of mode 6 and their names (RFC 9327 section 3; the words are those of ntpq).

use super::event::{ClockEvent, PeerEvent, SystemEvent, UNKNOWN};

const LEAP: [&str; 4] = ["leap_none", "leap_add_sec", "leap_del_sec", "leap_alarm"];
const SOURCE: [&str; 10] = [
    "sync_unspec",
    "sync_pps",
    "sync_lf_radio",
    "sync_hf_radio",
    "sync_uhf_radio",
    "sync_local",
    "sync_ntp",
    "sync_other",
    "sync_wristwatch",
    "sync_telephone",
];
const SELECTION: [&str; 8] =
    ["reject", "falsetick", "excess", "outlier", "candidate", "backup", "sys.peer", "pps.peer"];
/// Bits of the high byte of a peer's word, from the top.
const PEER_BITS: [(u16, &str); 5] =
    [(0x80, "conf"), (0x40, "authenb"), (0x20, "auth"), (0x10, "reach"), (0x08, "bcast")];

fn name(table: &[&'static str], index: u16) -> &'static str {
    table.get(usize::from(index)).copied().unwrap_or(UNKNOWN)
}

fn events(count: u16) -> String {
    match count {
        0 => "no events".to_owned(),
        1 => "1 event".to_owned(),
        more => format!("{more} events"),
    }
}

/// The system's word: leap bits, clock source, count and code of events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SystemStatus(pub u16);

impl SystemStatus {
    /// The leap bits, 0..=3.
    #[must_use]
    pub const fn leap(self) -> u16 {
        self.0 >> 14
    }

    /// What the clock follows, 0..=63: 6 is NTP.
    #[must_use]
    pub const fn source(self) -> u16 {
        self.0 >> 8 & 0x3f
    }

    /// The code of the last event, 0..=15.
    #[must_use]
    pub const fn event(self) -> u16 {
        self.0 & 0xf
    }

    /// `leap_none`, …
    #[must_use]
    pub fn leap_name(self) -> &'static str {
        name(&LEAP, self.leap())
    }

    /// `sync_ntp`, …
    #[must_use]
    pub fn source_name(self) -> &'static str {
        name(&SOURCE, self.source())
    }

    /// `clock_sync`, …
    #[must_use]
    pub fn event_name(self) -> &'static str {
        SystemEvent::name_of(self.event())
    }

    /// As ntpq writes it: `leap_none, sync_ntp, 2 events, freq_mode`.
    #[must_use]
    pub fn describe(self) -> String {
        let count = events(self.0 >> 4 & 0xf);
        format!("{}, {}, {count}, {}", self.leap_name(), self.source_name(), self.event_name())
    }
}

/// An association's word: flags, selection, count and code of events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PeerStatus(pub u16);

impl PeerStatus {
    const fn bit(self, mask: u16) -> bool {
        self.0 >> 8 & mask != 0
    }

    /// It stands in the configuration.
    #[must_use]
    pub const fn configured(self) -> bool {
        self.bit(0x80)
    }

    /// It is reachable.
    #[must_use]
    pub const fn reachable(self) -> bool {
        self.bit(0x10)
    }

    /// `none` without a key, else `ok` or `bad`.
    #[must_use]
    pub const fn authentication(self) -> &'static str {
        match (self.bit(0x40), self.bit(0x20)) {
            (false, _) => "none",
            (true, true) => "ok",
            (true, false) => "bad",
        }
    }

    /// The selection code, 0..=7.
    #[must_use]
    pub const fn selection(self) -> u16 {
        self.0 >> 8 & 7
    }

    /// `sys.peer`, …
    #[must_use]
    pub fn condition(self) -> &'static str {
        name(&SELECTION, self.selection())
    }

    /// The tally code in front of a row of `peers`.
    #[must_use]
    pub const fn tally(self) -> char {
        match self.selection() {
            1 => 'x',
            2 => '.',
            3 => '-',
            4 => '+',
            5 => '#',
            6 => '*',
            7 => 'o',
            _ => ' ',
        }
    }

    /// How many events there were, 0..=15.
    #[must_use]
    pub const fn event_count(self) -> u16 {
        self.0 >> 4 & 0xf
    }

    /// `reachable`, …; nothing for none.
    #[must_use]
    pub fn event_name(self) -> &'static str {
        match self.0 & 0xf {
            0 => "",
            code => PeerEvent::name_of(code),
        }
    }

    /// As ntpq writes it: `conf, reach, sel_sys.peer, 3 events, sys_peer`.
    #[must_use]
    pub fn describe(self) -> String {
        let mut words: Vec<String> =
            PEER_BITS.iter().filter(|(bit, _)| self.bit(*bit)).map(|(_, word)| (*word).to_owned()).collect();
        words.push(format!("sel_{}", self.condition()));
        words.push(events(self.event_count()));
        words.push(PeerEvent::name_of(self.0 & 0xf).to_owned());
        words.join(", ")
    }
}

/// A reference clock's word, as ntpq writes it: ` , no events, clk_unspec`. ntpq 4.2.6 has nothing
/// to say for the first field.
#[must_use]
pub fn describe_clock(status: u16) -> String {
    format!(", {}, {}", events(status >> 4 & 0xf), ClockEvent::name_of(status & 0xf))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_captures() {
        assert_eq!(SystemStatus(0xc511).describe(), "leap_alarm, sync_local, 1 event, freq_not_set");
        assert_eq!(SystemStatus(0xc016).describe(), "leap_alarm, sync_unspec, 1 event, restart");
        assert_eq!(PeerStatus(0x963a).describe(), "conf, reach, sel_sys.peer, 3 events, sys_peer");
        assert_eq!(PeerStatus(0x8011).describe(), "conf, sel_reject, 1 event, mobilize");
        assert_eq!(describe_clock(0), ", no events, clk_unspec");
    }

    #[test]
    fn every_word_has_a_name_and_a_tally() {
        for word in 0..=u16::MAX {
            assert!(!SystemStatus(word).describe().is_empty() && !PeerStatus(word).describe().is_empty());
        }
        let tallies: String = (0..8).map(|s| PeerStatus(s << 8).tally()).collect();
        assert_eq!(tallies, " x.-+#*o");
    }
}
