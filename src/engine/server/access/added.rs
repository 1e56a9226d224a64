//! Lines that add flags to whatever entry applies, and so open nothing: there are few of them, and mostly none.

use crate::config::model::{AccessFlags, Origin, Restrict};
use crate::engine::server::access::widen;
use crate::units::NTP_PORT;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// Which clients a line is about: IPv4 or not, the mask, and whether packets from port 123 only.
type Shape = (bool, u128, bool);

/// The lines by the masked address, of one shape.
type Lines = BTreeMap<u128, (AccessFlags, Vec<Origin>)>;

/// The lines, one shape after another.
#[derive(Clone, Debug, Default)]
pub(super) struct Added(BTreeMap<Shape, Lines>);

impl Added {
    pub(super) fn insert(&mut self, address: IpAddr, mask: IpAddr, line: &Restrict) {
        let mask = widen(mask);
        let lines = self.0.entry((address.is_ipv4(), mask, line.ntpport)).or_default();
        let (flags, origins) = lines.entry(widen(address) & mask).or_default();
        *flags = flags.union(line.flags);
        origins.push(line.origin.clone());
    }

    fn matching(&self, from: SocketAddr) -> impl Iterator<Item = &(AccessFlags, Vec<Origin>)> {
        let address = widen(from.ip());
        self.0.iter().filter_map(move |((v4, mask, ntpport), lines)| {
            let applies = *v4 == from.is_ipv4() && (!ntpport || from.port() == NTP_PORT);
            lines.get(&(address & mask)).filter(|_| applies)
        })
    }

    /// What is added for a packet from `from`.
    pub(super) fn flags(&self, from: SocketAddr) -> AccessFlags {
        self.matching(from).fold(AccessFlags::NONE, |sum, (flags, _)| sum.union(*flags))
    }

    /// The lines that add it.
    pub(super) fn origins(&self, from: SocketAddr) -> Vec<&Origin> {
        self.matching(from).flat_map(|(_, origins)| origins).collect()
    }
}
