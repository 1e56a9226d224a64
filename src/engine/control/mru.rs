//! `mrulist`: the clients heard of late, oldest first, a batch a request (RFC 9327 section 4, read
//! MRU). The server keeps nothing between batches: the reader names its last entries, and the batch
//! continues behind the first of them that is still as the reader has it.

use crate::engine::contract::Now;
use crate::engine::control::text::{self, Packer};
use crate::engine::control::{Answer, Asker, Control, Reply, View};
use crate::engine::server::clients::{Client, ClientTable, Filter};
use crate::units::{MonoTime, NtpTimestamp, Seconds};
use crate::wire::control::{ControlError, Request, opcode};
use std::net::{IpAddr, SocketAddr};

/// Most datagrams of a batch, as with ntpd.
const FRAGMENTS_MAX: usize = 128;
/// Most entries of a batch that asks by entries, as with ntpd.
const ENTRIES_MAX: usize = 256;
/// Entries that a request may name as its last.
const PRIORS: usize = 16;
/// Bytes of the items that end a batch.
const ENDING: usize = 80;

/// A request, as far as it is valid.
#[derive(Clone, Debug, Default)]
struct Wanted {
    fragments: Option<usize>,
    entries: Option<usize>,
    filter: Filter,
    min_drops: u32,
    /// `maxlstint` and `minlstint`: seconds since the last packet.
    age: (Option<u32>, Option<u32>),
    local: Option<IpAddr>,
    /// `recent`: only so many of the newest.
    recent: Option<usize>,
    last: [Option<NtpTimestamp>; PRIORS],
    address: [Option<IpAddr>; PRIORS],
}

fn number<T: std::str::FromStr>(value: &str) -> Result<T, ControlError> {
    value.parse().map_err(|_| ControlError::Value)
}

fn bits(value: &str) -> Result<u16, ControlError> {
    let digits = value.strip_prefix("0x").ok_or(ControlError::Value)?;
    u16::from_str_radix(digits, 16).map_err(|_| ControlError::Value)
}

fn stamp(value: &str) -> Result<NtpTimestamp, ControlError> {
    let (seconds, fraction) = value
        .strip_prefix("0x")
        .and_then(|digits| digits.split_once('.'))
        .filter(|(a, b)| a.len() <= 8 && b.len() <= 8)
        .ok_or(ControlError::Value)?;
    let hex = |digits| u32::from_str_radix(digits, 16).map_err(|_| ControlError::Value);
    Ok(NtpTimestamp::from_bits(u64::from(hex(seconds)?) << 32 | u64::from(hex(fraction)?)))
}

/// An address with or without a port, IPv6 ones with or without brackets.
fn address(value: &str) -> Result<IpAddr, ControlError> {
    let bare = value.strip_prefix('[').and_then(|v| v.strip_suffix(']')).unwrap_or(value);
    let with_port = value.parse::<SocketAddr>().map(|endpoint| endpoint.ip());
    with_port.or_else(|_| bare.parse()).map_err(|_| ControlError::Value)
}

impl Wanted {
    /// Reads the items; those that are not known are left to later versions.
    fn read(data: &[u8]) -> Result<Self, ControlError> {
        let mut wanted = Self::default();
        for (name, value) in text::items(data)? {
            let value = value.unwrap_or_default();
            match name.as_str() {
                "frags" => wanted.fragments = Some(number(&value)?),
                "limit" => wanted.entries = Some(number(&value)?),
                "mincount" => wanted.filter.min_count = number::<i64>(&value)?.max(0) as u32,
                "mindrop" => wanted.min_drops = number(&value)?,
                "resall" => wanted.filter.all = bits(&value)?,
                "resany" => wanted.filter.any = bits(&value)?,
                "maxlstint" => wanted.age.0 = Some(number(&value)?).filter(|age| *age > 0),
                "minlstint" => wanted.age.1 = Some(number(&value)?),
                "laddr" => wanted.local = Some(address(&value)?),
                "recent" => wanted.recent = Some(number(&value)?),
                _ => wanted.prior(&name, &value)?,
            }
        }
        Ok(wanted)
    }

    /// `last.N` and `addr.N`.
    fn prior(&mut self, name: &str, value: &str) -> Result<(), ControlError> {
        let Some((tag, index)) = name.split_once('.') else { return Ok(()) };
        let Some(index) = index.parse::<usize>().ok().filter(|index| *index < PRIORS) else { return Ok(()) };
        match tag {
            "last" => self.last[index] = Some(stamp(value)?),
            "addr" => self.address[index] = Some(address(value)?),
            _ => {}
        }
        Ok(())
    }

    /// The entries the reader has, newest first; they end at the first gap, as with ntpd.
    fn priors(&self) -> impl Iterator<Item = (IpAddr, NtpTimestamp)> {
        self.address.iter().zip(&self.last).map_while(|(address, last)| Some(((*address)?, (*last)?)))
    }

    /// Datagrams and entries of the batch; one of them must be given.
    fn limits(&self) -> Result<(usize, usize), ControlError> {
        let entries = self.entries.unwrap_or(0);
        match self.fragments.unwrap_or(0) {
            0 if (1..=ENTRIES_MAX).contains(&entries) => Ok((FRAGMENTS_MAX, entries)),
            1..=FRAGMENTS_MAX if entries == 0 => Ok((self.fragments.unwrap_or(1), usize::MAX)),
            fragments @ 1..=FRAGMENTS_MAX => Ok((fragments, entries)),
            _ => Err(ControlError::Value),
        }
    }

    fn admits(&self, now: Now, table: &ClientTable, client: &Client) -> bool {
        let age = now.mono.since(client.heard);
        let seconds = |limit: u32| Seconds::new(f64::from(limit));
        self.filter.admits(client)
            && client.dropped >= self.min_drops
            && self.local.is_none_or(|local| table.local_of(client) == Some(local))
            && self.age.0.is_none_or(|most| age <= seconds(most))
            && self.age.1.is_none_or(|least| age >= seconds(least))
    }
}

impl Control {
    /// Whether a request for the list carries a nonce that is this asker's.
    pub(super) fn has_nonce(&self, now: MonoTime, request: &Request<'_>, from: SocketAddr) -> bool {
        let nonce = |data| text::items(data).ok()?.into_iter().find(|(name, _)| name == "nonce")?.1;
        request.opcode == opcode::READ_MRU
            && nonce(request.data).is_some_and(|nonce| self.nonces.admits(now, from, &nonce))
    }

    /// Answers `READ_MRU`. Without a nonce there is no response.
    pub(super) fn mru_list(
        &self,
        view: &View<'_>,
        asker: &Asker,
        request: &Request<'_>,
    ) -> Result<Answer, ControlError> {
        let (now, table) = (view.now, view.server.clients());
        if !self.has_nonce(now.mono, request, asker.from) {
            return Ok(Answer::Silence);
        }
        let wanted = Wanted::read(request.data)?;
        let (fragments, most) = wanted.limits()?;
        let mut packer = Packer::default();
        packer.push(&format!("nonce={}", self.nonces.make(now.mono, asker.from)));
        let mut priors = wanted.priors().peekable();
        let clients: Box<dyn Iterator<Item = &Client>> = if priors.peek().is_some() {
            let found = priors.find(|(address, last)| table.newer_than(*address, *last).is_some());
            // ntpq then goes back to older entries, or begins anew.
            let (address, last) = found.ok_or(ControlError::Variable)?;
            let prior = table.find(address).ok_or(ControlError::Variable)?;
            packer.push(&format!("last.older={last}"));
            packer.push(&format!("addr.older={}", prior.endpoint()));
            let newer = table.newer_than(address, last).ok_or(ControlError::Variable)?;
            // One entry asks for that one itself.
            if most == 1 { Box::new(std::iter::once(prior)) } else { Box::new(newer) }
        } else {
            let skipped = wanted.recent.map_or(0, |recent| table.len().saturating_sub(recent));
            Box::new(table.oldest_first().skip(skipped))
        };
        let clients = clients.filter(|client| wanted.admits(now, table, client));
        Ok(batch(now, packer, clients, fragments, most))
    }
}

/// As many entries as fit; `now` and `last.newest` behind the last there is.
fn batch<'c>(
    now: Now,
    mut packer: Packer,
    clients: impl Iterator<Item = &'c Client>,
    fragments: usize,
    most: usize,
) -> Answer {
    let mut clients = clients.enumerate().peekable();
    let mut newest = None;
    while let Some((index, client)) = clients.peek().filter(|(index, _)| *index < most) {
        if !packer.push_within(&entry(*index, client), fragments, ENDING) {
            break;
        }
        newest = Some(client.last);
        clients.next();
    }
    if clients.peek().is_none() {
        packer.push(&format!("now={}", now.wall));
        if let Some(last) = newest {
            packer.push(&format!("last.newest={last}"));
        }
    }
    Answer::Reply(Reply::new(0, packer.finish()))
}

fn entry(index: usize, client: &Client) -> [String; 7] {
    [
        format!("addr.{index}={}", client.endpoint()),
        format!("last.{index}={}", client.last),
        format!("first.{index}={}", client.first),
        format!("ct.{index}={}", client.count),
        format!("mv.{index}={}", client.mode_version()),
        format!("rs.{index}={}", text::hex(u64::from(client.restrict_word()))),
        format!("dr.{index}={}", client.dropped),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_as_ntpq_writes_them() {
        let data = b"nonce=abc, frags=32, mincount=-3, resany=0x20, laddr=10.0.0.1, unknown=7, \
            addr.0=[2001:db8::1]:123, last.0=0xeead8cb2.58edb548, addr.1=10.0.0.2:5, last.1=0x1.2, addr.3=10.0.0.3";
        let wanted = Wanted::read(data).unwrap();
        assert_eq!(wanted.limits(), Ok((32, usize::MAX)));
        assert_eq!((wanted.filter.min_count, wanted.filter.any), (0, 0x20));
        let priors: Vec<_> = wanted.priors().map(|(a, l)| (a.to_string(), l.to_string())).collect();
        let expected = [("2001:db8::1", "0xeead8cb2.58edb548"), ("10.0.0.2", "0x00000001.00000002")];
        assert_eq!(priors, expected.map(|(a, l)| (a.to_owned(), l.to_owned())));
        for wrong in ["frags=x", "resall=20", "laddr=10.0.0", "last.0=5", "addr.15=", "limit=-1"] {
            assert_eq!(Wanted::read(wrong.as_bytes()).err(), Some(ControlError::Value), "{wrong}");
        }
        for (limits, expected) in [
            ("frags=129", None),
            ("limit=257", None),
            ("", None),
            ("limit=5", Some((128, 5))),
            ("frags=3, limit=300", Some((3, 300))),
        ] {
            assert_eq!(Wanted::read(limits.as_bytes()).unwrap().limits().ok(), expected, "{limits}");
        }
    }
}
