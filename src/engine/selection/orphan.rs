//! Orphan mode: hosts that have lost all sources of time agree on one of them, the parent, and follow that.

use crate::config::model::Tos;
use crate::engine::sources::{Source, Sources};
use crate::engine::system::refid_of;
use crate::units::AssocId;
use std::net::IpAddr;

/// The place of a host in the order in which parents are chosen: the lowest address wins (of IPv6, its hash).
fn rank(address: IpAddr) -> u32 {
    u32::from_be_bytes(refid_of(address).to_bytes())
}

/// The parent: of all fit sources that serve at the orphan stratum the one with the lowest address, if that is lower than the one by
/// which it knows us. `None` if there is no such source, or this host is to be the parent.
#[must_use]
pub fn parent(sources: &Sources, tos: &Tos) -> Option<AssocId> {
    let stratum = tos.orphan_stratum()?;
    let ranked = |s: &Source| Some((rank(s.address()?.ip), s.id(), rank(s.local_address()?)));
    let orphans =
        sources.iter().filter(|s| s.measures() && s.is_fit() && s.header().stratum.get() == stratum);
    let (_, id, _) = orphans.filter_map(ranked).filter(|(theirs, _, ours)| theirs < ours).min()?;
    Some(id)
}
