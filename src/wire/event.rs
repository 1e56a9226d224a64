//! Event codes of mode 6 with their names (RFC 9327 section 3; the names are those of ntpq), and the bits of `flash`.
//! Both sides read these tables: the engine that raises an event, ntpq that prints it.

/// What stands for a code without a name.
pub(super) const UNKNOWN: &str = "unknown";

/// An enum of event codes, one row each.
macro_rules! codes {
    ($(#[$doc:meta])* $codes:ident { $($variant:ident = $code:literal $name:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum $codes {
            $(#[doc = concat!("`", $name, "`")] $variant = $code,)+
        }

        impl $codes {
            /// The name, as ntpq and protostats have it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                Self::name_of(self as u16)
            }

            /// The name of a code that another daemon sent.
            #[must_use]
            pub const fn name_of(code: u16) -> &'static str {
                match code {
                    $($code => $name,)+
                    _ => UNKNOWN,
                }
            }
        }
    };
}

codes! {
    /// System events (RFC 9327 section 3.1).
    SystemEvent {
        Unspecified = 0 "unspecified",
        FrequencyNotSet = 1 "freq_not_set",
        FrequencySet = 2 "freq_set",
        SpikeDetect = 3 "spike_detect",
        FrequencyMode = 4 "freq_mode",
        ClockSync = 5 "clock_sync",
        Restart = 6 "restart",
        PanicStop = 7 "panic_stop",
        NoSystemPeer = 8 "no_sys_peer",
        LeapArmed = 9 "leap_armed",
        LeapDisarmed = 10 "leap_disarmed",
        LeapEvent = 11 "leap_event",
        ClockStep = 12 "clock_step",
        Kernel = 13 "kern",
        Tai = 14 "TAI...",
        StaleLeapSeconds = 15 "stale leapsecond values",
    }
}

codes! {
    /// Peer events (RFC 9327 section 3.2).
    PeerEvent {
        Unspecified = 0 "unspecified",
        Mobilize = 1 "mobilize",
        Demobilize = 2 "demobilize",
        Unreachable = 3 "unreachable",
        Reachable = 4 "reachable",
        Restart = 5 "restart",
        NoReply = 6 "no_reply",
        RateExceeded = 7 "rate_exceeded",
        AccessDenied = 8 "access_denied",
        LeapArmed = 9 "leap_armed",
        SystemPeer = 10 "sys_peer",
        ClockEvent = 11 "clock_event",
        BadAuth = 12 "bad_auth",
        Popcorn = 13 "popcorn",
        InterleaveMode = 14 "interleave_mode",
        InterleaveError = 15 "interleave_error",
    }
}

codes! {
    /// Events of reference clocks (RFC 9327 section 3.3).
    ClockEvent {
        Unspecified = 0 "clk_unspec",
        NoReply = 1 "clk_no_reply",
        BadFormat = 2 "clk_bad_format",
        Fault = 3 "clk_fault",
        BadSignal = 4 "clk_bad_signal",
        BadDate = 5 "clk_bad_date",
        BadTime = 6 "clk_bad_time",
    }
}

/// The packet and peer tests that failed, as bits of ntpq's `flash` (RFC 5905 section 9).
pub mod flash {
    /// TEST1: duplicate of the last packet.
    pub const DUPLICATE: u16 = 0x0001;
    /// TEST2: the origin is not what we sent.
    pub const BOGUS: u16 = 0x0002;
    /// TEST3: a timestamp is missing.
    pub const INVALID: u16 = 0x0004;
    /// TEST4: access denied.
    pub const DENIED: u16 = 0x0008;
    /// TEST5: authentication failed.
    pub const AUTH: u16 = 0x0010;
    /// TEST6: the server is not synchronized.
    pub const UNSYNCHRONISED: u16 = 0x0020;
    /// TEST7: the header makes no sense.
    pub const HEADER: u16 = 0x0040;
    /// TEST8: Autokey failed.
    pub const AUTOKEY: u16 = 0x0080;
    /// TEST9: Autokey's certificates failed.
    pub const CRYPTO: u16 = 0x0100;
    /// TEST10: the peer's stratum is unusable.
    pub const PEER_STRATUM: u16 = 0x0200;
    /// TEST11: the peer is too far from its reference.
    pub const PEER_DISTANCE: u16 = 0x0400;
    /// TEST12: the peer is synchronized to us.
    pub const PEER_LOOP: u16 = 0x0800;
    /// TEST13: the peer is unreachable.
    pub const PEER_UNREACHABLE: u16 = 0x1000;

    /// ntpq's names, from the lowest bit.
    const NAMES: [(u16, &str); 13] = [
        (DUPLICATE, "pkt_dup"),
        (BOGUS, "pkt_bogus"),
        (INVALID, "pkt_unsync"),
        (DENIED, "pkt_denied"),
        (AUTH, "pkt_auth"),
        (UNSYNCHRONISED, "pkt_stratum"),
        (HEADER, "pkt_header"),
        (AUTOKEY, "pkt_autokey"),
        (CRYPTO, "pkt_crypto"),
        (PEER_STRATUM, "peer_stratum"),
        (PEER_DISTANCE, "peer_dist"),
        (PEER_LOOP, "peer_loop"),
        (PEER_UNREACHABLE, "peer_unreach"),
    ];

    /// The names of the bits that are set, the lowest first.
    #[must_use]
    pub fn names(flash: u64) -> Vec<&'static str> {
        NAMES.iter().filter(|(bit, _)| flash & u64::from(*bit) != 0).map(|(_, name)| *name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_fit_their_four_bits_and_unknown_ones_have_a_word() {
        assert_eq!(SystemEvent::StaleLeapSeconds as u16, 15);
        assert_eq!(PeerEvent::InterleaveError as u16, 15);
        assert_eq!((PeerEvent::BadAuth as u16, PeerEvent::BadAuth.name()), (12, "bad_auth"));
        assert_eq!(ClockEvent::name_of(7), UNKNOWN);
    }

    #[test]
    fn every_bit_of_flash_has_one_name() {
        assert_eq!(flash::names(0x1600), ["peer_stratum", "peer_dist", "peer_unreach"]);
        assert_eq!((flash::names(u64::MAX).len(), flash::names(!0x1fff).len()), (13, 0));
    }
}
