//! The header of mode 6, the control protocol of ntpq (RFC 9327 section 2).

use crate::units::Leap;

/// Bytes of the header.
pub const HEADER_LEN: usize = 12;
/// Most bytes of data in one datagram.
pub const DATA_MAX: usize = 468;

/// Operation codes.
pub mod opcode {
    /// Associations and their status words, or one association's variables.
    pub const READ_STATUS: u8 = 1;
    /// Variables of the system or of an association.
    pub const READ_VARIABLES: u8 = 2;
    /// Sets variables; needs authentication.
    pub const WRITE_VARIABLES: u8 = 3;
    /// Variables of a reference clock.
    pub const READ_CLOCK: u8 = 4;
    /// Sets variables of a reference clock; needs authentication.
    pub const WRITE_CLOCK: u8 = 5;
    /// Configuration text; needs authentication.
    pub const CONFIGURE: u8 = 8;
    /// Writes the configuration to a file; needs authentication.
    pub const SAVE_CONFIG: u8 = 9;
    /// The clients heard of late, oldest first; needs a nonce.
    pub const READ_MRU: u8 = 10;
    /// Lists in a fixed order: local addresses, access list; needs authentication.
    pub const READ_ORDERED_LIST: u8 = 11;
    /// A nonce, which shows that its bearer receives what is sent to its address.
    pub const REQUEST_NONCE: u8 = 12;
}

/// Error codes of a response (RFC 9327 section 2, status word of errors).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ControlError {
    /// 0: unspecified.
    Unspecified,
    /// 1: authentication failure, no permission.
    Permission,
    /// 2: invalid message length or format.
    Format,
    /// 3: invalid operation code.
    Opcode,
    /// 4: unknown association identifier.
    Association,
    /// 5: unknown variable name.
    Variable,
    /// 6: bad variable value.
    Value,
    /// 7: administratively prohibited: `nomodify`, `nomrulist`.
    Prohibited,
}

impl ControlError {
    /// The code for the high byte of the status word.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Unspecified => 0,
            Self::Permission => 1,
            Self::Format => 2,
            Self::Opcode => 3,
            Self::Association => 4,
            Self::Variable => 5,
            Self::Value => 6,
            Self::Prohibited => 7,
        }
    }
}

/// A message authentication code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Code<'a> {
    /// What it is the code of.
    pub covered: &'a [u8],
    /// The key identifier.
    pub key: u32,
    /// The digest, perhaps cut.
    pub digest: &'a [u8],
}

/// Lengthens a response to where its code begins: a multiple of eight bytes, as ntpd and its ntpq
/// have it.
pub fn pad_for_code(datagram: &mut Vec<u8>) {
    datagram.resize(datagram.len().next_multiple_of(8), 0);
}

/// A request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request<'a> {
    /// Protocol version, 1..=4: echoed.
    pub version: u8,
    /// Operation, 0..=31.
    pub opcode: u8,
    /// Sequence number: echoed.
    pub sequence: u16,
    /// The association, 0 for the system.
    pub association: u16,
    /// The data.
    pub data: &'a [u8],
}

impl<'a> Request<'a> {
    /// Reads a request. `Ok(None)` for what is no request (too short, another mode, an unknown version,
    /// a response or a fragment): it deserves no answer.
    ///
    /// # Errors
    /// The request with [`ControlError::Format`] where its count is past its end.
    pub fn parse(packet: &'a [u8]) -> Result<Option<Self>, (Self, ControlError)> {
        let Some(header) = packet.first_chunk::<HEADER_LEN>() else { return Ok(None) };
        let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let version = (header[0] >> 3) & 7;
        let no_request =
            header[0] & 7 != 6 || !(1..=4).contains(&version) || header[1] & 0xe0 != 0 || word(8) != 0;
        if no_request {
            return Ok(None);
        }
        let count = usize::from(word(10));
        let request = Self {
            version,
            opcode: header[1] & 0x1f,
            sequence: word(2),
            association: word(6),
            data: packet.get(HEADER_LEN..HEADER_LEN + count).unwrap_or_default(),
        };
        // What follows the data (padding, a code, ntpstat's zeros) is not for us.
        if packet.len() < HEADER_LEN + count {
            Err((request, ControlError::Format))
        } else {
            Ok(Some(request))
        }
    }

    /// What may be the message authentication codes of `packet`, of which this is the request: behind the
    /// data padded to eight bytes (ntpd and its ntpq) or to four (RFC 9327 section 2). Of whole codes
    /// only: the zeros that ntpstat sends behind its request are too many.
    pub fn codes<'p>(&self, packet: &'p [u8]) -> impl Iterator<Item = Code<'p>> {
        let end = HEADER_LEN + self.data.len();
        let starts = [end.next_multiple_of(8), end.next_multiple_of(4)];
        let both = starts[0] != starts[1];
        starts.into_iter().take(if both { 2 } else { 1 }).filter_map(|at| {
            let (covered, rest) = packet.split_at_checked(at)?;
            let (key, digest) = rest.split_first_chunk::<4>()?;
            let whole = matches!(digest.len(), 16 | 20 | 32 | 48 | 64);
            whole.then(|| Code { covered, key: u32::from_be_bytes(*key), digest })
        })
    }

    /// The datagrams of a successful response, at most [`DATA_MAX`] bytes of data each, cut where
    /// `pieces` are cut. The count does not include the padding to a multiple of four.
    #[must_use]
    pub fn respond(&self, leap: Leap, status: u16, pieces: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut offset = 0usize;
        let last = pieces.len().saturating_sub(1);
        let mut datagrams = Vec::with_capacity(pieces.len().max(1));
        for (index, piece) in pieces.iter().enumerate() {
            let more = if index < last { 0x20 } else { 0 };
            datagrams.push(self.datagram(leap, 0x80 | more, status, offset, piece));
            offset += piece.len();
        }
        if pieces.is_empty() {
            datagrams.push(self.datagram(leap, 0x80, status, 0, &[]));
        }
        datagrams
    }

    /// The datagram of an error.
    #[must_use]
    pub fn refuse(&self, leap: Leap, error: ControlError) -> Vec<u8> {
        self.datagram(leap, 0xc0, u16::from(error.code()) << 8, 0, &[])
    }

    fn datagram(&self, leap: Leap, bits: u8, status: u16, offset: usize, data: &[u8]) -> Vec<u8> {
        debug_assert!(data.len() <= DATA_MAX, "a fragment holds no more than it may: {} bytes", data.len());
        debug_assert!(
            (1..=4).contains(&self.version) && self.opcode < 32,
            "what is echoed fits its bits: {self:?}"
        );
        let mut out = Vec::with_capacity(HEADER_LEN + data.len() + 3);
        out.push(leap.to_bits() << 6 | self.version << 3 | 6);
        out.push(bits | self.opcode);
        out.extend(self.sequence.to_be_bytes());
        out.extend(status.to_be_bytes());
        out.extend(self.association.to_be_bytes());
        out.extend((offset as u16).to_be_bytes());
        out.extend((data.len() as u16).to_be_bytes());
        out.extend(data);
        out.resize(out.len().next_multiple_of(4), 0);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ntpstat_sends_is_a_request_in_spite_of_its_tail() {
        let mut packet = vec![0x16, 2, 0, 1];
        packet.resize(576, 0);
        let request = Request::parse(&packet).unwrap().unwrap();
        assert_eq!((request.version, request.opcode, request.sequence), (2, 2, 1));
        let answer = request.respond(Leap::None, 0x0615, &[b"stratum=3".to_vec()]);
        assert_eq!(answer[0][..12], [0x16, 0x82, 0, 1, 6, 0x15, 0, 0, 0, 0, 0, 9]);
        assert_eq!(answer[0].len(), 24);
    }

    #[test]
    fn codes_are_looked_for_behind_both_paddings() {
        let with = |data: &[u8], pad: usize, code: &[u8]| {
            let mut packet = vec![0x16, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0, data.len() as u8];
            packet.extend(data);
            packet.resize(packet.len().next_multiple_of(pad), 0);
            let covered = packet.len();
            packet.extend([0, 0, 0, 9]);
            packet.extend(code);
            (packet, covered)
        };
        for pad in [4, 8] {
            for (data, digest) in [(&b"abc"[..], 16), (b"abcdefgh", 20), (b"", 64)] {
                let (packet, covered) = with(data, pad, &vec![7; digest]);
                let request = Request::parse(&packet).unwrap().unwrap();
                assert!(request.codes(&packet).any(|c| c.covered.len() == covered && c.key == 9));
            }
        }
        let (plain, _) = with(b"abc", 8, &[0; 552]);
        assert_eq!(Request::parse(&plain).unwrap().unwrap().codes(&plain).count(), 0);
    }

    #[test]
    fn responses_and_fragments_are_no_requests() {
        let request = |first, second, offset| [first, second, 0, 1, 0, 0, 0, 0, 0, offset, 0, 0];
        assert!(Request::parse(&request(0x16, 2, 0)).unwrap().is_some());
        for bad in [request(0x16, 0x82, 0), request(0x16, 0x22, 0), request(0x16, 2, 4), request(0x13, 2, 0)]
        {
            assert_eq!(Request::parse(&bad), Ok(None));
        }
        assert_eq!(Request::parse(&request(0x2e, 2, 0)), Ok(None), "version 5");
        let short = [0x16, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 4, b'a'];
        assert_eq!(Request::parse(&short).unwrap_err().1, ControlError::Format);
    }
}
