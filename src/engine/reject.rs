//! Why a packet is not used, and what is counted of packets.

/// Why a datagram was not used. Counted, never logged: a flood must not fill the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reject {
    /// Not an NTP packet: too short, unknown version, bad extension fields, oversize.
    Format,
    /// The access list says no.
    Restricted,
    /// The source address or port cannot be: port below 123, multicast, one of our own.
    Source,
    /// Rate limited.
    Limited,
    /// A mode that we do not serve.
    Mode,
    /// Nobody we asked.
    Unasked,
    /// The origin timestamp is not ours.
    Bogus,
    /// The same packet again.
    Duplicate,
    /// A missing or wrong message authentication code.
    Auth,
    /// The server is not synchronised.
    Unsynchronised,
    /// Header values out of range.
    Header,
}

/// Counters behind ntpq's `sysstats`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Datagrams that reached the engine.
    pub received: u64,
    /// Of the current version.
    pub this_version: u64,
    /// Of versions 1 to 3.
    pub old_version: u64,
    /// Of version 1.
    pub version_1: u64,
    /// Of version 1 in client mode.
    pub version_1_client: u64,
    /// Of version 1 with mode 0.
    pub version_1_zero: u64,
    /// Of version 1 in symmetric mode.
    pub version_1_symmetric: u64,
    /// Bad length or format.
    pub bad_format: u64,
    /// Bad authentication.
    pub bad_auth: u64,
    /// Declined: a mode not served, nobody we asked, a bogus origin.
    pub declined: u64,
    /// Denied by the access list.
    pub restricted: u64,
    /// Rate limited.
    pub limited: u64,
    /// Kiss packets sent.
    pub kod_sent: u64,
    /// Time packets processed.
    pub processed: u64,
}

impl Counters {
    /// Counts a packet of version 1 by its mode.
    pub fn note_version_1(&mut self, data: &[u8]) {
        self.version_1 += 1;
        match data.first().map(|first| first & 7) {
            Some(0) => self.version_1_zero += 1,
            Some(1 | 2) => self.version_1_symmetric += 1,
            Some(3) => self.version_1_client += 1,
            _ => {}
        }
    }

    /// Counts a rejected datagram.
    pub fn reject(&mut self, reason: Reject) {
        let counter = match reason {
            Reject::Format => &mut self.bad_format,
            Reject::Auth => &mut self.bad_auth,
            Reject::Restricted | Reject::Source => &mut self.restricted,
            Reject::Limited => &mut self.limited,
            Reject::Mode | Reject::Unasked | Reject::Bogus | Reject::Duplicate => &mut self.declined,
            // A response to our request was processed, whatever its header says: the association counts why.
            Reject::Header | Reject::Unsynchronised => &mut self.processed,
        };
        *counter += 1;
    }
}
