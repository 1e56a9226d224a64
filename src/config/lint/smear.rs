//! Leap seconds that are smeared: by servers, whose time then contradicts a leap second file and other servers, and in our own
//! replies.

use super::Lint;
use super::sources::name;
use crate::config::diagnostic::Severity;
use crate::config::findings::Spot;
use crate::config::model::{AccessFlags, ClockAddress, Family, Kind, Server, SmearLaw, Target};
use crate::units::Driver;
use std::net::IpAddr;

/// Public servers that smear leap seconds, as their owners' pages say: Google, Meta, Amazon.
const NAMES: [&str; 12] = [
    "time.google.com",
    "time1.google.com",
    "time2.google.com",
    "time3.google.com",
    "time4.google.com",
    "time.android.com",
    "time.facebook.com",
    "time1.facebook.com",
    "time2.facebook.com",
    "time3.facebook.com",
    "time4.facebook.com",
    "time5.facebook.com",
];
/// Amazon's public server; inside of its clouds it has the addresses below.
const AMAZON: &str = "time.aws.com";
/// The same by address: Amazon's at each machine, Google's.
const ADDRESSES: [&str; 10] = [
    "169.254.169.123",
    "fd00:ec2::123",
    "216.239.35.0",
    "216.239.35.4",
    "216.239.35.8",
    "216.239.35.12",
    "2001:4860:4806::",
    "2001:4860:4806:4::",
    "2001:4860:4806:8::",
    "2001:4860:4806:c::",
];
/// The fastest that clients' clocks can be slewed, s/s.
const FASTEST: f64 = 500e-6;

/// Whether it is a server that is known to smear leap seconds.
fn smears(server: &Server) -> bool {
    match &server.target {
        Target::Name(name) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            NAMES.contains(&name.as_str()) || name == AMAZON
        }
        Target::Address(address) => ADDRESSES.iter().any(|known| known.parse() == Ok::<IpAddr, _>(*address)),
        Target::LocalClock { .. } | Target::RefClock { .. } => false,
    }
}

/// Whether it has leap seconds as they are, beside a server that smears them.
fn has_leaps(server: &Server, smearing: &Server) -> bool {
    match server.target.clock().map(ClockAddress::driver) {
        None => !smears(server),
        Some(Some(Driver::Nmea | Driver::GpsdJson)) => true,
        // The hardware clocks of Amazon's machines; those of others may have a host that is smeared.
        Some(Some(Driver::Phc)) => is_amazon(smearing),
        // It is not known who writes to the others.
        Some(_) => false,
    }
}

/// Whether it is Amazon's server, at the address that its machines use.
fn is_amazon(server: &Server) -> bool {
    matches!(server.target, Target::Address(address) if ADDRESSES[..2].iter().any(|known| known.parse() == Ok::<IpAddr, _>(address)))
}

impl Lint<'_> {
    pub(super) fn smear(&mut self) {
        self.smearing_sources();
        self.smeared_replies();
    }

    /// Servers that smear, beside what has leap seconds as they are.
    fn smearing_sources(&mut self) {
        let counts = |server: &Server| !server.noselect && server.kind != Kind::Broadcast;
        let named = |(server, spot): (&Server, &Spot)| (name(&server.target), spot.clone());
        let all = || self.file_servers().filter(|(server, _)| counts(server));
        let Some((smearing, spot)) = all().find(|(server, _)| smears(server)) else { return };
        let other = all().find(|(server, _)| has_leaps(server, smearing)).map(named);
        let (name, spot) = named((smearing, spot));
        if self.config.leapfile.is_some() || self.config.smear.interval > 0 {
            let which = if self.config.leapfile.is_some() { "leapfile" } else { "leapsmearinterval" };
            let message = format!("{name} smears leap seconds, and there is {which}");
            let effect = format!(
                "around a leap second the clock is off by up to a second, which this machine then makes twice or takes back: remove \
                 {which}, or use servers that do not smear"
            );
            self.say(Severity::Warning, &spot, message, effect);
        }
        if let Some((other, _)) = other {
            let message = format!("{name} smears leap seconds, and {other} does not");
            let effect = "around a leap second they disagree by up to a second, and the clock may follow either: use servers \
                          of one kind (RFC 8633)";
            self.say(Severity::Warning, &spot, message, effect.to_owned());
        }
    }

    /// `leapsmearinterval` that does nothing, or harm.
    fn smeared_replies(&mut self) {
        let smear = self.config.smear;
        let Some(spot) = self.places.smear.clone().filter(|_| smear.interval > 0) else { return };
        let interval = f64::from(smear.interval);
        let steepest = match smear.law {
            SmearLaw::Linear => 1.0,
            SmearLaw::Cosine => std::f64::consts::FRAC_PI_2,
        };
        if self.config.leapfile.is_none() {
            let message = "leapsmearinterval without leapfile".to_owned();
            let effect = "leap seconds are neither smeared nor announced to clients: add leapfile".to_owned();
            self.say(Severity::Warning, &spot, message, effect);
        } else if steepest / interval > FASTEST {
            let message = format!("leapsmearinterval {} is short", smear.interval);
            let least = (steepest / FASTEST).ceil();
            let effect =
                format!("clients cannot slew their clocks so fast: use {least} or more, such as 86400");
            self.say(Severity::Warning, &spot, message, effect);
        }
        let deaf = |family| {
            let flags = self.default(family).flags;
            flags.contains(AccessFlags::IGNORE) || flags.contains(AccessFlags::NOSERVE)
        };
        if !(deaf(Family::V4) && deaf(Family::V6)) {
            let message = "smeared time is served to every client".to_owned();
            let effect = "clients that also poll other servers get contradicting time around a leap second, and a server of the \
                          public pool must not smear: restrict default ignore, and let in those that poll smeared servers only";
            self.say(Severity::Note, &spot, message, effect.to_owned());
        }
    }
}
