//! The first entry of a sorted list that matches, found in logarithmic time.
//!
//! Prefixes nest, so each family's address space falls into ranges of addresses with the same
//! answer. Masks that are no prefixes are asked one after another; there are few different ones.

use crate::engine::server::access::Entry;
use crate::units::NTP_PORT;
use std::collections::BTreeMap;

/// No entry.
const NONE: u32 = u32::MAX;

/// The port that a packet comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FromPort {
    /// Not that of NTP: entries with `ntpport` do not match.
    Other,
    /// That of NTP.
    Ntp,
}

impl FromPort {
    pub(super) const fn of(port: u16) -> Self {
        if port == NTP_PORT { Self::Ntp } else { Self::Other }
    }
}

/// The entries of one kind of mask that is no prefix, by ascending address.
#[derive(Clone, Debug)]
struct OddMask {
    mask: u128,
    ntpport: bool,
    entries: Vec<(u128, u32)>,
}

/// Where in a list of entries the answers are. It must be made anew when the list changes.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    /// Where ranges begin, ascending. The first range begins at 0.
    starts: Vec<u128>,
    /// For each range, the entry by [`FromPort`].
    answers: Vec<[u32; 2]>,
    odd: Vec<OddMask>,
}

impl Index {
    /// The index of `list`, which is sorted by descending key; `width` has the bits of an address set.
    pub(super) fn new(list: &[Entry], width: u128) -> Self {
        let is_prefix = |mask: u128| {
            let hosts = !mask & width;
            hosts & hosts.wrapping_add(1) == 0
        };
        let mut prefixes: Vec<(u128, u128, u32, bool)> = Vec::new();
        let mut odd: BTreeMap<(u128, bool), Vec<(u128, u32)>> = BTreeMap::new();
        for (position, entry) in list.iter().enumerate().rev() {
            let position = u32::try_from(position).unwrap_or(NONE);
            if is_prefix(entry.mask) {
                let last = entry.address | (!entry.mask & width);
                prefixes.push((entry.address, last, position, entry.ntpport));
            } else {
                odd.entry((entry.mask, entry.ntpport)).or_default().push((entry.address, position));
            }
        }
        let other = ranges(prefixes.iter().filter(|p| !p.3).map(|p| (p.0, p.1, p.2)));
        let ntp = ranges(prefixes.iter().map(|p| (p.0, p.1, p.2)));
        let (starts, answers) = merge(&other, &ntp);
        let odd =
            odd.into_iter().map(|((mask, ntpport), entries)| OddMask { mask, ntpport, entries }).collect();
        debug_assert_eq!(starts.len(), answers.len(), "each range has its answers");
        debug_assert!(starts.is_sorted_by(|one, next| one < next), "ranges follow one another");
        Self { starts, answers, odd }
    }

    /// The position of the first entry of the list that matches.
    pub(super) fn find(&self, address: u128, port: FromPort) -> Option<usize> {
        let range = self.starts.partition_point(|start| *start <= address);
        let answers = range.checked_sub(1).and_then(|r| self.answers.get(r));
        let mut best = answers.map_or(NONE, |a| a[port as usize]);
        for kind in self.odd.iter().filter(|kind| port == FromPort::Ntp || !kind.ntpport) {
            let wanted = address & kind.mask;
            let behind = kind.entries.partition_point(|(a, _)| *a <= wanted);
            if let Some((found, position)) = behind.checked_sub(1).map(|i| kind.entries[i])
                && found == wanted
            {
                best = best.min(position);
            }
        }
        (best != NONE).then_some(best as usize)
    }
}

/// Cuts nested intervals, the outer before the inner, into ranges: where each begins and whose it is.
fn ranges(intervals: impl Iterator<Item = (u128, u128, u32)>) -> Vec<(u128, u32)> {
    let mut ranges: Vec<(u128, u32)> = Vec::new();
    let mut begin = |start: u128, whose: u32| match ranges.last_mut() {
        Some(last) if last.0 == start => last.1 = whose,
        _ => ranges.push((start, whose)),
    };
    let mut open: Vec<(u128, u32)> = Vec::new();
    for (first, last, position) in intervals {
        while let Some((end, _)) = open.pop_if(|(end, _)| *end < first) {
            begin(end.wrapping_add(1), open.last().map_or(NONE, |outer| outer.1));
        }
        begin(first, position);
        open.push((last, position));
    }
    while let Some((end, _)) = open.pop() {
        // Behind the last address there is nothing.
        if let Some(start) = end.checked_add(1) {
            begin(start, open.last().map_or(NONE, |outer| outer.1));
        }
    }
    ranges
}

/// Both divisions of the address space in one.
fn merge(other: &[(u128, u32)], ntp: &[(u128, u32)]) -> (Vec<u128>, Vec<[u32; 2]>) {
    let (mut starts, mut answers): (Vec<u128>, Vec<[u32; 2]>) = (Vec::new(), Vec::new());
    let (mut i, mut j) = (0, 0);
    let mut now = [NONE, NONE];
    while let Some(start) = [other.get(i), ntp.get(j)].into_iter().flatten().map(|r| r.0).min() {
        if let Some(range) = other.get(i).filter(|r| r.0 == start) {
            now[0] = range.1;
            i += 1;
        }
        if let Some(range) = ntp.get(j).filter(|r| r.0 == start) {
            now[1] = range.1;
            j += 1;
        }
        if answers.last() != Some(&now) {
            starts.push(start);
            answers.push(now);
        }
    }
    (starts, answers)
}
