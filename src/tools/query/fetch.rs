//! What is read from a server, as values: for the screens, JSON, checks and metrics alike.

use crate::tools::link::{Ask, Link, Trouble};
use crate::units::NtpTimestamp;
use crate::wire::control::opcode;
use crate::wire::status::PeerStatus;
use crate::wire::varlist::VarList;
use std::net::IpAddr;

/// An association's identifier and status word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Its identifier.
    pub id: u16,
    /// Its status word.
    pub status: PeerStatus,
}

/// The associations, by their identifiers, as ntpq shows them; servers have orders of their own.
///
/// # Errors
/// [`Trouble`], also where the list has an odd length.
pub fn associations(link: &mut Link) -> Result<Vec<Listed>, Trouble> {
    let reply = link.ask(&Ask::new(opcode::READ_STATUS, 0, b""))?;
    let (pairs, rest) = reply.data.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(Trouble::Cannot("Server returned a list of associations of odd length".to_owned()));
    }
    let listed = |p: &[u8; 4]| Listed {
        id: u16::from_be_bytes([p[0], p[1]]),
        status: PeerStatus(u16::from_be_bytes([p[2], p[3]])),
    };
    let mut found: Vec<Listed> = pairs.iter().map(listed).collect();
    found.sort_by_key(|listed| listed.id);
    Ok(found)
}

/// A status word with variables.
#[derive(Clone, PartialEq, Debug)]
pub struct Variables {
    /// The status word of the system, the association or the clock.
    pub status: u16,
    /// The variables.
    pub list: VarList,
}

/// Variables of the system (association 0) or of an association; those of `names`, by default all.
///
/// # Errors
/// [`Trouble`].
pub fn variables(link: &mut Link, association: u16, names: &str) -> Result<Variables, Trouble> {
    let reply = link.ask(&Ask::new(opcode::READ_VARIABLES, association, names.as_bytes()))?;
    Ok(Variables { status: reply.status, list: VarList::parse(&reply.data) })
}

/// Variables by name. A server that refuses them together because it lacks one is
/// asked for each: what it has is better than nothing.
///
/// # Errors
/// [`Trouble`]; the refusal, where it knows none of them.
pub fn named_variables(link: &mut Link, association: u16, names: &[&str]) -> Result<Variables, Trouble> {
    match variables(link, association, &names.join(",")) {
        Err(trouble) if trouble.is_unknown_variable() => {
            let mut found: Option<Variables> = None;
            for name in names {
                match (variables(link, association, name), &mut found) {
                    (Ok(one), Some(all)) => all.list.extend(one.list),
                    (Ok(one), None) => found = Some(one),
                    (Err(again), _) if again.is_unknown_variable() => {}
                    (Err(other), _) => return Err(other),
                }
            }
            found.ok_or(trouble)
        }
        other => other,
    }
}

/// A source of time, as `peers` shows it.
#[derive(Clone, PartialEq, Debug)]
pub struct Source {
    /// Its identifier and status word.
    pub listed: Listed,
    /// Its address.
    pub address: Option<IpAddr>,
    /// The name it was configured by, if the server reports it.
    pub host: Option<String>,
    /// Our server's own address towards it.
    pub local: Option<IpAddr>,
    /// Its reference identifier, as sent.
    pub refid: String,
    /// Its stratum, 0..=16.
    pub stratum: i64,
    /// The letter of column `t`.
    pub kind: char,
    /// When it was heard last, or else its reference time; zero: never.
    pub heard: NtpTimestamp,
    /// Seconds between polls.
    pub poll: i64,
    /// The last eight polls, newest in the lowest bit.
    pub reach: u8,
    /// Milliseconds.
    pub delay: f64,
    /// Milliseconds.
    pub offset: f64,
    /// Milliseconds.
    pub jitter: Option<f64>,
    /// Milliseconds.
    pub dispersion: Option<f64>,
    /// All of its variables.
    pub list: VarList,
}

/// Polls are shown between these exponents; those of reference clocks from 0 on.
const POLL_RANGE: (i64, i64) = (3, 17);

impl Source {
    /// From the variables of an association.
    #[must_use]
    pub fn new(listed: Listed, list: VarList) -> Self {
        let address = |name| list.get(name).and_then(|text| text.split('%').next()?.parse().ok());
        let source: Option<IpAddr> = address("srcadr");
        let exponent = |name| list.integer(name).unwrap_or(POLL_RANGE.1);
        let least = if source.is_some_and(is_clock) { 0 } else { POLL_RANGE.0 };
        let poll = exponent("ppoll").min(exponent("hpoll")).clamp(least, POLL_RANGE.1);
        let stamp = |name| list.timestamp(name).filter(|stamp| stamp.era_seconds() != 0);
        Self {
            listed,
            address: source,
            host: list.get("srchost").filter(|name| !name.is_empty()).map(str::to_owned),
            local: address("dstadr"),
            refid: list.get("refid").unwrap_or_default().to_owned(),
            stratum: list.integer("stratum").unwrap_or(0),
            kind: kind(list.integer("hmode").unwrap_or(0), source, list.get("refid").unwrap_or_default()),
            heard: stamp("rec").or_else(|| stamp("reftime")).unwrap_or(NtpTimestamp::ZERO),
            poll: 1 << poll,
            reach: list.integer("reach").unwrap_or(0) as u8,
            delay: list.number("delay").unwrap_or(0.0),
            offset: list.number("offset").unwrap_or(0.0),
            jitter: list.number("jitter"),
            dispersion: list.number("dispersion"),
            list,
        }
    }

    /// Seconds since it was heard; `None`: never, or not in the past.
    #[must_use]
    pub fn when(&self, now: NtpTimestamp) -> Option<i64> {
        let seconds = i64::from(now.era_seconds().wrapping_sub(self.heard.era_seconds()).cast_signed());
        (self.heard.era_seconds() != 0 && seconds > 0).then_some(seconds)
    }
}

/// Whether an address names a reference clock.
#[must_use]
pub fn is_clock(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(v4) if v4.octets()[..2] == [127, 127])
}

/// The reference identifier of a source before its keys are exchanged.
const NTS: &str = "NTS";

/// The letter of column `t`, by the mode of the association (ntpq's manual page).
fn kind(mode: i64, source: Option<IpAddr>, refid: &str) -> char {
    match (mode, source) {
        (1, _) => 's',
        (2, _) => 'S',
        (3, Some(address)) if is_clock(address) => 'l',
        // A server of NTS has no address before its keys are exchanged.
        (3, Some(address)) if address.is_unspecified() && refid != NTS => 'p',
        (3, Some(address)) if address.is_multicast() => 'a',
        (3, _) => 'u',
        (5, Some(address)) if address.is_multicast() => 'M',
        (5, _) => 'B',
        (6, _) => 'b',
        _ => '-',
    }
}

/// Which sources of a server are shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    /// All.
    All,
    /// Those that are configured or reachable.
    InUse,
}

impl Which {
    /// Whether a source with this status is one of them.
    pub(super) const fn has(self, status: PeerStatus) -> bool {
        matches!(self, Self::All) || status.configured() || status.reachable()
    }
}

/// Most sources that are read of a server.
const SOURCES_MAX: usize = 2_048;
/// Most memory that their variables take, bytes.
const MEMORY_MAX: usize = 16 << 20;

/// The sources of a server. An association that is gone when it is asked for is left out.
///
/// # Errors
/// [`Trouble`], also where the server has more to say than a server has.
pub fn sources(link: &mut Link, which: Which) -> Result<Vec<Source>, Trouble> {
    let mut found = Vec::new();
    let mut memory = 0;
    let listed: Vec<Listed> =
        associations(link)?.into_iter().filter(|listed| which.has(listed.status)).collect();
    if listed.len() > SOURCES_MAX {
        let many = listed.len();
        return Err(Trouble::Cannot(format!(
            "The server lists {many} associations, more than {SOURCES_MAX}"
        )));
    }
    for listed in listed {
        match variables(link, listed.id, "") {
            Ok(Variables { status, list }) => {
                let listed = Listed { id: listed.id, status: PeerStatus(status) };
                memory += list.memory();
                if memory > MEMORY_MAX {
                    let what = "The server has more variables of its associations than a server has";
                    return Err(Trouble::Cannot(what.to_owned()));
                }
                found.push(Source::new(listed, list));
            }
            Err(Trouble::Server(_)) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(list: &[u8]) -> Source {
        Source::new(Listed { id: 1, status: PeerStatus(0x963a) }, VarList::parse(list))
    }

    #[test]
    fn a_source_of_ntpd() {
        let s = source(
            b"srcadr=127.127.1.0, hmode=3, hpoll=6, ppoll=10, reach=0xff, rec=0xeead8c50.475b3bce, \
              reftime=0x0.0, offset=-1.5, jitter=0.3, stratum=10, refid=LOCL",
        );
        assert_eq!((s.kind, s.poll, s.reach, s.offset), ('l', 64, 255, -1.5));
        assert_eq!(s.when(NtpTimestamp::from_bits(0xeead_8c58_0000_0000)), Some(8));
        assert_eq!(s.when(NtpTimestamp::from_bits(0xeead_8c50_ffff_0000)), None);
    }

    #[test]
    fn a_clock_may_be_polled_each_second() {
        for (address, poll) in [("127.127.28.0", 1), ("192.0.2.1", 8)] {
            let text = format!("srcadr={address}, srchost=\"SHM(0)\", hmode=3, hpoll=0, ppoll=0");
            let s = source(text.as_bytes());
            assert_eq!((s.poll, s.host.as_deref()), (poll, Some("SHM(0)")), "{address}");
        }
    }

    #[test]
    fn nonsense_is_held_in_range() {
        let s = source(b"srcadr=x, hpoll=99, ppoll=-7, reach=0xfff, rec=0x00000000.00000000, offset=nan");
        assert_eq!((s.address, s.poll, s.reach, s.offset), (None, 8, 255, 0.0));
        assert_eq!(s.when(NtpTimestamp::from_bits(0xeead_8c50_ffff_0000)), None);
    }

    #[test]
    fn letters_by_mode() {
        let of = |mode, address: &str| kind(mode, address.parse().ok(), "INIT");
        assert_eq!([of(1, "192.0.2.1"), of(3, "192.0.2.1"), of(3, "224.0.1.1")], ['s', 'u', 'a']);
        assert_eq!(
            [of(5, "224.0.1.1"), of(5, "192.0.2.255"), of(3, "0.0.0.0"), of(0, "")],
            ['M', 'B', 'p', '-']
        );
        assert_eq!(kind(3, "0.0.0.0".parse().ok(), NTS), 'u');
    }
}
