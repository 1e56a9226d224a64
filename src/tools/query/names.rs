//! Names for addresses: host names by the resolver, unless they are not wanted, and reference clocks.

use super::fetch::is_clock;
use crate::units::Driver;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long one address may take.
const ONE: Duration = Duration::from_secs(1);
/// How long all of them may take: then the rest stays numeric.
const ALL: Duration = Duration::from_secs(4);
/// Names of the reference clocks by type, as ntpd's documentation has them.
const CLOCKS: [&str; 47] = [
    "UNKNOWN",
    "LOCAL",
    "GPS_TRAK",
    "WWV_PST",
    "SPECTRACOM",
    "TRUETIME",
    "IRIG_AUDIO",
    "CHU_AUDIO",
    "GENERIC",
    "GPS_MX4200",
    "GPS_AS2201",
    "GPS_ARBITER",
    "IRIG_TPRO",
    "ATOM_LEITCH",
    "MSF_EES",
    "GPSTM_TRUE",
    "GPS_BANC",
    "GPS_DATUM",
    "ACTS_MODEM",
    "WWV_HEATH",
    "GPS_NMEA",
    "GPS_VME",
    "PPS",
    "ACTS_PTB",
    "ACTS_USNO",
    "TRUETIME",
    "GPS_HP",
    "MSF_ARCRON",
    "SHM",
    "GPS_PALISADE",
    "GPS_ONCORE",
    "GPS_JUPITER",
    "CHRONOLOG",
    "DUMBCLOCK",
    "ULINK_M320",
    "PCF",
    "WWV_AUDIO",
    "FG",
    "HOPF_S",
    "HOPF_P",
    "JJY",
    "TT_IRIG",
    "GPS_ZYFER",
    "GPS_RIPENCC",
    "NEOCLK4X",
    "PCI_TSYNC",
    "GPSD_JSON",
];

/// Names found so far.
#[derive(Debug)]
pub struct Names {
    /// Addresses stay numbers (`-n`).
    pub numeric: bool,
    known: BTreeMap<IpAddr, Option<String>>,
    left: Duration,
}

impl Names {
    /// Without any name yet.
    #[must_use]
    pub const fn resolved() -> Self {
        Self { numeric: false, known: BTreeMap::new(), left: ALL }
    }

    /// The same, with addresses that stay numbers.
    #[must_use]
    pub const fn numeric() -> Self {
        Self { numeric: true, known: BTreeMap::new(), left: ALL }
    }

    /// The name of an address, or its numbers.
    pub fn of(&mut self, address: IpAddr) -> String {
        if self.numeric {
            return address.to_string();
        }
        if is_clock(address) {
            return clock_name(address);
        }
        if address.is_unspecified() {
            return address.to_string();
        }
        if !self.known.contains_key(&address) {
            let start = Instant::now();
            let name = reverse(address, ONE.min(self.left));
            self.left = self.left.saturating_sub(start.elapsed());
            self.known.insert(address, name);
        }
        self.known.get(&address).cloned().flatten().unwrap_or_else(|| address.to_string())
    }

    /// The same for a text that may be an address; other texts stay as they are.
    pub fn of_text(&mut self, text: &str) -> String {
        text.parse().map_or_else(|_| text.to_owned(), |address| self.of(address))
    }
}

/// A reference clock's name with its unit, `LOCAL(0)`.
#[must_use]
pub fn clock_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => {
            let [_, _, kind, unit] = v4.octets();
            let classic = || *CLOCKS.get(usize::from(kind)).unwrap_or(&CLOCKS[0]);
            format!("{}({unit})", Driver::of_number(kind).map_or_else(classic, Driver::name))
        }
        IpAddr::V6(v6) => v6.to_string(),
    }
}

/// The resolver's name of an address. It is not to be trusted: only characters of host names.
fn reverse(address: IpAddr, patience: Duration) -> Option<String> {
    if patience.is_zero() {
        return None;
    }
    let (sender, receiver) = mpsc::channel();
    // A resolver that hangs is left behind: it ends with the program.
    std::thread::spawn(move || {
        let _receiver_gone = sender.send(dns_lookup::lookup_addr(&address).ok());
    });
    let name = receiver.recv_timeout(patience).ok().flatten()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let good = !name.is_empty() && name.len() < 256 && name.chars().all(plain);
    (good && name.parse::<IpAddr>().is_err()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_and_numbers() {
        let mut names = Names::resolved();
        assert_eq!(names.of_text("127.127.1.0"), "LOCAL(0)");
        assert_eq!(names.of_text("127.127.28.2"), "SHM(2)");
        assert_eq!(names.of_text("127.127.128.0"), "PHC(0)");
        assert_eq!(names.of_text("127.127.129.3"), "SOCK(3)");
        assert_eq!(names.of_text("127.127.99.1"), "UNKNOWN(1)");
        assert_eq!(names.of_text("LOCL"), "LOCL");
        assert_eq!(Names::numeric().of_text("127.127.1.0"), "127.127.1.0");
    }
}
