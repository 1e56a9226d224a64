//! Restrict and interface lines that are not about the addresses they seem to be about.

use super::{Entry, LOOKED_AT, Lint, bits};
use crate::config::diagnostic::Severity;
use crate::config::model::{AccessFlags, InterfaceAction, InterfaceMatch, Restrict, RestrictTarget, Target};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

impl Entry {
    /// Whether it is about a single address.
    pub(super) const fn is_host(&self) -> bool {
        self.key.1 == if self.v4 { u32::MAX as u128 } else { u128::MAX }
    }

    /// Whether it is about a private network (RFC 1918, RFC 4193) or one that ends at the link.
    pub(super) fn is_private(&self) -> bool {
        if self.v4 {
            let address = Ipv4Addr::from_bits(self.key.0 as u32);
            address.is_private() || address.is_link_local()
        } else {
            let address = Ipv6Addr::from_bits(self.key.0);
            address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}

/// An address of as many bits as `like` has.
fn like(bits: u128, like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::from_bits(bits as u32).into(),
        IpAddr::V6(_) => Ipv6Addr::from_bits(bits).into(),
    }
}

/// All bits of an address of this family.
fn all_bits(address: IpAddr) -> u128 {
    if address.is_ipv4() { u32::MAX.into() } else { u128::MAX }
}

/// Whether the one bits of a mask come before its zero bits.
fn is_contiguous(mask: IpAddr) -> bool {
    let zeros = all_bits(mask) & !bits(mask);
    zeros & zeros.wrapping_add(1) == 0
}

impl Lint<'_> {
    pub(super) fn clients(&mut self) {
        let config = self.config;
        let before = self.found.len();
        for line in config.restrict.iter().take(20 * LOOKED_AT) {
            if self.found.len() - before >= LOOKED_AT {
                return;
            }
            if let RestrictTarget::Net { address, mask } = line.target {
                self.net(line, address, mask);
            }
            self.ntpport(line);
            self.notrust(line);
        }
    }

    fn say_at(&mut self, severity: Severity, line: &Restrict, message: String, effect: String) {
        if let Some(spot) = self.spot_of(&line.origin) {
            self.say(severity, &spot, message, effect);
        }
    }

    /// Masks that do not do what they seem to.
    fn net(&mut self, line: &Restrict, address: IpAddr, mask: IpAddr) {
        let (all, given) = (all_bits(mask), bits(mask));
        let network = like(bits(address) & given, address);
        if !is_contiguous(mask) {
            let inverted = like(all & !given, mask);
            let message = format!("the mask {mask} has zero bits before one bits");
            let effect = if is_contiguous(inverted) {
                format!("it compares the wrong end of addresses: write mask {inverted}")
            } else {
                format!("the line is about every address that agrees with {network} in the one bits")
            };
            self.say_at(Severity::Warning, line, message, effect);
        } else if given == 0 && bits(address) != 0 {
            let message = format!("under the mask {mask}, {address} stands for every address");
            let effect = "the line is as restrict default: give the mask of the network".to_owned();
            self.say_at(Severity::Warning, line, message, effect);
        } else if given == all && bits(address) == 0 {
            let message = format!("no client has the address {address}");
            let effect = "the line is about no client: restrict default is about all".to_owned();
            self.say_at(Severity::Warning, line, message, effect);
        } else if given == all && is_network(address) {
            if self.findings.has_error(&line.origin.file, line.origin.line) {
                return; // `restrict 10.0.0.0 255.0.0.0`, which has been reported
            }
            let message = format!("{address} is the address of a network, and the line has no mask");
            let effect =
                format!("the line is about that one address: add mask, such as {}", usual_mask(address));
            self.say_at(Severity::Warning, line, message, effect);
        } else if network != address {
            let message = format!("{address} has one bits where the mask {mask} has none");
            let effect = format!("the line is about {network} mask {mask}, all of that network");
            self.say_at(Severity::Note, line, message, effect);
        }
    }

    /// Clients send from any port, so that `ntpport` lets them through.
    fn ntpport(&mut self, line: &Restrict) {
        let ours = super::entries(line);
        let Some(open) =
            ours.iter().filter(|e| e.key.2 && !e.is_host() && !e.flags.is_empty()).find_map(|e| {
                let others = self.list.iter().filter(|o| o.v4 == e.v4 && o.key == (e.key.0, e.key.1, false));
                let rest = others.fold(AccessFlags::NONE, |flags, o| flags.union(o.flags));
                let open = e.flags.without(rest);
                (!open.is_empty()).then_some(open)
            })
        else {
            return;
        };
        let flags = open.names().collect::<Vec<_>>().join(" ");
        let message = "with ntpport, the line is about packets from port 123 only".to_owned();
        let effect =
            format!("{flags} does not apply to other clients, which use other ports: remove ntpport");
        self.say_at(Severity::Warning, line, message, effect);
    }

    /// `notrust` once meant something else, and is written to this day by people who do not mean authentication.
    fn notrust(&mut self, line: &Restrict) {
        let deaf = line.flags.contains(AccessFlags::IGNORE) || line.flags.contains(AccessFlags::NOSERVE);
        let keys = self.config.auth.keys.is_some() && self.has_trusted_key();
        if !line.flags.contains(AccessFlags::NOTRUST) || deaf || keys {
            return;
        }
        // A server is reported at its own line.
        let is_server = |address: &IpAddr| {
            self.config.servers.iter().any(|server| server.target == Target::Address(*address))
        };
        if let RestrictTarget::Net { address, mask } = &line.target
            && bits(*mask) == all_bits(*mask)
            && is_server(address)
        {
            return;
        }
        if line.target == RestrictTarget::Source {
            return;
        }
        let message = "notrust demands authentication, and there is no trusted key".to_owned();
        let effect = "no client that the line is about gets the time: remove notrust".to_owned();
        self.say_at(Severity::Warning, line, message, effect);
    }

    /// Where there are rules, what no rule is about is not opened.
    pub(super) fn interfaces(&mut self) {
        let rules = &self.config.interfaces;
        let (mut v4, mut v6) = (true, true);
        // The last rule that matches counts.
        for rule in rules.iter().rev() {
            let (of4, of6, whole) = match &rule.matches {
                InterfaceMatch::All => (v4, v6, true),
                InterfaceMatch::V4 => (v4, false, true),
                InterfaceMatch::V6 => (false, v6, true),
                InterfaceMatch::Wildcard => (true, true, false),
                InterfaceMatch::Name(_) => (v4, v6, false),
                // Whoever names this machine alone means it.
                InterfaceMatch::Address(net, _) if is_loopback(*net) => (true, true, false),
                InterfaceMatch::Address(net, length) => {
                    (v4 && net.is_ipv4(), v6 && net.is_ipv6(), *length == 0)
                }
            };
            if rule.action == InterfaceAction::Listen {
                if of4 || of6 {
                    return;
                }
            } else if whole {
                v4 &= !of4;
                v6 &= !of6;
            }
        }
        let Some(spot) = self.places.interface.clone().filter(|_| !rules.is_empty()) else { return };
        let message = "no interface rule opens an address".to_owned();
        let effect = "only this machine itself is served: where there are rules, other addresses need one with listen, \
                      such as interface listen all before the others";
        self.say(Severity::Warning, &spot, message, effect.to_owned());
    }
}

const fn is_loopback(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_loopback(),
    }
}

/// Whether an address is one that networks have, not hosts.
fn is_network(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.octets()[3] == 0,
        IpAddr::V6(v6) => v6.segments()[4..] == [0; 4],
    }
}

/// The mask that a network with this address often has.
fn usual_mask(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let zeros = v4.octets().iter().rev().take_while(|byte| **byte == 0).count().min(3);
            Ipv4Addr::from_bits(u32::MAX << (8 * zeros)).into()
        }
        IpAddr::V6(_) => Ipv6Addr::from_bits(!u128::from(u64::MAX)).into(),
    }
}
