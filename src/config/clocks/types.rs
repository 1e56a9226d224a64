//! The types of reference clocks: their names, and what to use instead of those that have no driver here.

/// A type, T of 127.127.T.U.
#[derive(Clone, Copy, Debug)]
pub(super) struct Type {
    pub(super) number: u8,
    /// What is known by it.
    pub(super) label: &'static str,
    /// The name of its driver behind `refclock`.
    pub(super) keyword: Option<&'static str>,
    /// What to use instead of it.
    pub(super) instead: &'static str,
}

const OWN: &str = "use its NTP server, or its NMEA output with type 20 or gpsd";
const WRITER: &str = "let a program that reads it write to refclock shm or refclock sock";
const MAKER: &str = "let a program that reads it write to refclock shm or refclock sock; the maker of the receiver often has one";
const GPSD: &str = "let gpsd read it, and use refclock shm";
const MODEM: &str = "telephone services are not supported: use NTP servers of the institute that runs it";
const RADIO: &str = "radio signals are not decoded here: use other servers, or a GPS receiver";
const CARD: &str = "use refclock phc if Linux has a PTP driver for it, else other servers";
const NONE: &str = "the types are those of ntpd, 1 to 46, and 128 (PHC) and 129 (SOCK)";
/// Those that have a driver.
const HERE: &str = "";

const fn known(number: u8, label: &'static str, instead: &'static str) -> Type {
    Type { number, label, keyword: None, instead }
}

const fn named(number: u8, label: &'static str, keyword: &'static str, instead: &'static str) -> Type {
    Type { number, label, keyword: Some(keyword), instead }
}

const TYPES: [Type; 48] = [
    named(1, "LOCAL", "local", HERE),
    known(2, "Trak 8820", CARD),
    known(3, "PSTI WWV", RADIO),
    named(4, "Spectracom", "spectracom", OWN),
    named(5, "TrueTime", "truetime", OWN),
    known(6, "IRIG audio", RADIO),
    known(7, "CHU audio", RADIO),
    named(8, "PARSE", "generic", MAKER),
    known(9, "Magnavox MX4200", CARD),
    known(10, "Austron 2201A", CARD),
    named(11, "Arbiter", "arbiter", OWN),
    known(12, "KSI TPRO", CARD),
    known(13, "Leitch CSD 5300", CARD),
    known(14, "EES M201", CARD),
    known(15, "TrueTime", OWN),
    known(16, "Bancomm", CARD),
    known(17, "Datum", CARD),
    named(18, "modem", "modem", MODEM),
    known(19, "Heath WWV", RADIO),
    named(20, "NMEA", "nmea", HERE),
    known(21, "TrueTime VME", CARD),
    named(22, "PPS", "pps", HERE),
    known(23, "PTB modem", MODEM),
    known(24, "USNO modem", MODEM),
    known(25, "TrueTime", OWN),
    named(26, "HP GPS", "hpgps", OWN),
    known(27, "Arcron MSF", WRITER),
    named(28, "SHM", "shm", HERE),
    named(29, "Trimble", "trimble", GPSD),
    named(30, "Oncore", "oncore", GPSD),
    known(31, "Jupiter", GPSD),
    known(32, "Chronolog WWVB", RADIO),
    known(33, "Dumb Clock", WRITER),
    known(34, "Ultralink WWVB", RADIO),
    known(35, "Conrad", WRITER),
    known(36, "WWV audio", RADIO),
    known(37, "Forum Graphic", WRITER),
    known(38, "hopf serial", WRITER),
    known(39, "hopf PCI", CARD),
    named(40, "JJY", "jjy", MODEM),
    known(41, "TrueTime PCI", CARD),
    named(42, "Zyfer", "zyfer", OWN),
    known(43, "RIPE NCC", GPSD),
    named(44, "NeoClock4X", "neoclock", WRITER),
    known(45, "Spectracom TSYNC", CARD),
    named(46, "GPSD JSON", "gpsd", HERE),
    named(128, "PHC", "phc", HERE),
    named(129, "SOCK", "sock", HERE),
];

/// The type of this number; of an unknown one only what to use instead.
pub(super) fn of_number(number: u8) -> Type {
    TYPES.iter().find(|known| known.number == number).copied().unwrap_or(Type {
        number,
        label: "unknown",
        keyword: None,
        instead: NONE,
    })
}

/// The type whose driver has this name, whatever the case of its letters.
pub(super) fn of_keyword(text: &[u8]) -> Option<&'static Type> {
    TYPES.iter().find(|known| known.keyword.is_some_and(|name| name.as_bytes().eq_ignore_ascii_case(text)))
}

/// The names of drivers, those that are here first.
pub(super) fn keywords() -> Vec<&'static str> {
    let (here, others): (Vec<&Type>, Vec<&Type>) = TYPES.iter().partition(|known| known.instead == HERE);
    here.into_iter().chain(others).filter_map(|known| known.keyword).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Driver;

    #[test]
    fn every_type_has_a_driver_or_advice() {
        for number in 0..=u8::MAX {
            let known = of_number(number);
            assert_eq!(known.instead == HERE, Driver::of_number(number).is_some(), "{known:?}");
            if let Some(name) = known.keyword {
                assert_eq!(
                    of_keyword(name.to_uppercase().as_bytes()).map(|found| found.number),
                    Some(number)
                );
            }
        }
        assert_eq!(keywords()[..7], ["local", "nmea", "pps", "shm", "gpsd", "phc", "sock"]);
    }
}
