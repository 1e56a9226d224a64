//! Counters of packets that ntpq reads by name (`sysstats`, `ntsinfo`). The engine counts them, ntpq and the metrics ask for them.

macro_rules! counters {
    ($($(#[$doc:meta])* $counter:ident $name:literal,)+) => {
        /// A counter of packets.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Counter {
            $($(#[$doc])* $counter,)+
        }

        impl Counter {
            /// How many counters there are.
            pub const COUNT: usize = [$(Self::$counter),+].len();

            /// The variable of mode 6.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$counter => $name,)+
                }
            }

            /// The variable by which NTPsec's ntpq asks for what was counted since the last reset.
            #[must_use]
            pub const fn name_since_reset(self) -> &'static str {
                match self {
                    $(Self::$counter => concat!($name, "_r"),)+
                }
            }
        }
    };
}

counters! {
    /// Datagrams that reached the engine.
    Received "ss_received",
    /// Of the current version.
    ThisVersion "ss_thisver",
    /// Of versions 1 to 3.
    OldVersion "ss_oldver",
    /// Bad length or format.
    BadFormat "ss_badformat",
    /// Bad authentication.
    BadAuth "ss_badauth",
    /// Declined: a mode not served, no request of ours, a bogus origin.
    Declined "ss_declined",
    /// Denied by the access list.
    Restricted "ss_restricted",
    /// Rate limited.
    Limited "ss_limited",
    /// Kiss packets sent.
    KissSent "ss_kodsent",
    /// Time packets processed.
    Processed "ss_processed",
    /// Of version 1.
    Version1 "ss_ver1",
    /// Of version 1 in client mode.
    Version1Client "ss_ver1client",
    /// Of version 1 with mode 0.
    Version1Zero "ss_ver1zero",
    /// Of version 1 in symmetric mode.
    Version1Symmetric "ss_ver1symm",
    /// Answers of our server of NTS.
    NtsServerSent "nts_server_send",
    /// Genuine requests to it.
    NtsServerGood "nts_server_recv_good",
    /// Requests to it that could not be opened.
    NtsServerBad "nts_server_recv_bad",
    /// Cookies made.
    CookieMade "nts_cookie_make",
    /// Requests of NTS to a server that has none.
    CookieNotServer "nts_cookie_not_server",
    /// Cookies sealed by the current key.
    CookieCurrent "nts_cookie_decode_current",
    /// By the key before.
    CookieOld "nts_cookie_decode_old",
    /// By the key before that.
    CookieOld2 "nts_cookie_decode_old2",
    /// By older keys.
    CookieOlder "nts_cookie_decode_older",
    /// By keys that are gone.
    CookieTooOld "nts_cookie_decode_too_old",
    /// Cookies that are not as we made them.
    CookieError "nts_cookie_decode_error",
    /// Key exchanges that gave cookies.
    KeGood "nts_ke_serves_good",
    /// Connections that never spoke TLS to its end.
    KeNoTls "nts_ke_serves_nossl",
    /// Of these: refused at once, by `restrict` or the rate limit.
    KeRefused "nts_ke_serves_refused",
    /// Key exchanges that gave none.
    KeBad "nts_ke_serves_bad",
    /// How long those three took, and how long they kept a processor busy, microseconds.
    KeGoodWall "nts_ke_serves_good_wall",
    /// See above.
    KeGoodCpu "nts_ke_serves_good_cpu",
    /// See above.
    KeNoTlsWall "nts_ke_serves_nossl_wall",
    /// See above.
    KeNoTlsCpu "nts_ke_serves_nossl_cpu",
    /// See above.
    KeBadWall "nts_ke_serves_bad_wall",
    /// See above.
    KeBadCpu "nts_ke_serves_bad_cpu",
    /// Requests of NTS that left.
    NtsClientSent "nts_client_send",
    /// Genuine responses to them.
    NtsClientGood "nts_client_recv_good",
    /// Packets of their servers that were none.
    NtsClientBad "nts_client_recv_bad",
    /// Key exchanges with servers that gave keys.
    KeProbesGood "nts_ke_probes_good",
    /// Those that failed.
    KeProbesBad "nts_ke_probes_bad",
    /// Of these: the name did not resolve.
    KeProbesName "nts_ke_probes_bad_name",
    /// No connection, or it ended early.
    KeProbesConnection "nts_ke_probes_bad_connection",
    /// TLS: certificates above all.
    KeProbesTls "nts_ke_probes_bad_tls",
    /// The answer was no good.
    KeProbesProtocol "nts_ke_probes_bad_protocol",
}
