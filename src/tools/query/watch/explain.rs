//! What the restrictions of a client mean, in words: its bits as ntpd numbers them, and the line of
//! the access list that it falls under.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// Bits of `rs` in the table of clients with the words of ntp.conf.
const FLAGS: &[(i64, &str)] = &[
    (0x1, "ignore"),
    (0x2, "noserve"),
    (0x4, "notrust"),
    (0x8, "version"),
    (0x10, "nopeer"),
    (0x20, "limited"),
    (0x40, "noquery"),
    (0x80, "nomodify"),
    (0x100, "notrap"),
    (0x200, "lowpriotrap"),
    (0x400, "kod"),
    (0x800, "mssntp"),
    (0x1000, "flake"),
    (0x2000, "nomrulist"),
];

/// A line of the access list.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Entry {
    address: IpAddr,
    length: u32,
    flags: String,
}

impl Entry {
    /// From a row of `reslist`. `None`: its mask has holes, or it holds for packets of port 123 only.
    pub(super) fn new(row: &BTreeMap<String, String>) -> Option<Self> {
        let address = row.get("addr")?.parse().ok()?;
        let length = crate::tools::query::ordered::prefix(row.get("mask")?)?;
        let flags = row.get("flags")?.split_whitespace().collect::<Vec<_>>().join(" ");
        (!flags.split(' ').any(|flag| flag == "ntpport")).then_some(Self { address, length, flags })
    }

    fn covers(&self, address: IpAddr) -> bool {
        let same = |a: u128, b: u128, width: u32| {
            let shift = width - self.length.min(width);
            shift == 128 || a >> shift == b >> shift
        };
        match (self.address, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
            _ => false,
        }
    }

    /// The equivalent line of ntp.conf.
    fn line(&self) -> String {
        let place = match self.length {
            0 => format!("{} default", if self.address.is_ipv4() { "-4" } else { "-6" }),
            length => format!("{}/{length}", self.address),
        };
        format!("restrict {place} {}", self.flags).trim_end().to_owned()
    }
}

/// The closest line for an address.
pub(super) fn line(entries: &[Entry], address: &str) -> Option<String> {
    let address: IpAddr = address.parse().ok()?;
    let found = entries.iter().filter(|entry| entry.covers(address)).max_by_key(|entry| entry.length);
    found.map(Entry::line)
}

/// The words of the bits; `none` for none.
pub(super) fn words(bits: i64) -> String {
    let found: Vec<&str> = FLAGS.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, word)| *word).collect();
    if found.is_empty() { "none".to_owned() } else { found.join(" ") }
}

/// What a client with these bits gets, a sentence each.
pub(super) fn meaning(bits: i64) -> Vec<&'static str> {
    let has = |mask: i64| bits & mask != 0;
    if has(0x1) {
        return vec!["All its packets are dropped (ignore)."];
    }
    let time = match bits {
        _ if has(0x2) => "No time service (noserve).",
        _ if has(0x4) => "Time service only with a valid MAC (notrust).",
        _ if has(0x8) => "Time service only for NTP version 4 (version).",
        _ if has(0x420) && bits & 0x420 == 0x420 => {
            "Time service, rate limited by discard; above: dropped, with KoD (limited kod)."
        }
        _ if has(0x20) => "Time service, rate limited by discard (limited).",
        _ => "Time service.",
    };
    let ask = match bits {
        _ if has(0x40) => "No ntpq queries (noquery).",
        _ if has(0x80) => "ntpq queries, no changes (nomodify).",
        _ => "ntpq queries, and changes with the control key.",
    };
    let clients = has(0x2000) && !has(0x40);
    let mut found = vec![time, ask];
    if clients {
        found.push("No client list (nomrulist).");
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(address: &str, mask: &str, flags: &str) -> Option<Entry> {
        let row = [("addr", address), ("mask", mask), ("flags", flags)];
        Entry::new(&row.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn the_closest_line_counts() {
        let rows = [
            ("0.0.0.0", "0.0.0.0", "kod limited"),
            ("192.0.2.0", "255.255.255.0", "nomodify"),
            ("192.0.2.7", "255.255.255.255", ""),
            ("::", "::", "noquery"),
        ];
        let entries: Vec<Entry> = rows.iter().filter_map(|(a, m, f)| entry(a, m, f)).collect();
        let of = |address| line(&entries, address).unwrap();
        assert_eq!(of("198.51.100.1"), "restrict -4 default kod limited");
        assert_eq!(of("192.0.2.8"), "restrict 192.0.2.0/24 nomodify");
        assert_eq!(of("192.0.2.7"), "restrict 192.0.2.7/32");
        assert_eq!(of("2001:db8::1"), "restrict -6 default noquery");
        assert_eq!(line(&entries, "x"), None);
        assert_eq!(entry("10.0.0.1", "255.255.255.255", "interface ntpport ignore"), None);
        assert_eq!(entry("10.0.0.1", "255.0.255.0", ""), None);
    }

    #[test]
    fn bits_in_words() {
        assert_eq!(words(0x5a0), "limited nomodify notrap kod");
        assert_eq!(words(0), "none");
        assert!(meaning(0x5a0)[0].contains("KoD") && meaning(0x5a0)[1].contains("no changes"));
        assert_eq!(meaning(0x1).len(), 1);
        assert!(meaning(0x42)[0].contains("No time") && meaning(0x42)[1].contains("noquery"));
    }
}
