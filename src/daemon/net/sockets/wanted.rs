//! Which addresses get a socket: `interface` lines and the command line.

use super::{Hears, WILDCARDS};
use crate::config::model::{InterfaceAction, InterfaceMatch, InterfaceRule, in_prefix};
use crate::engine::contract::Interface;
use crate::sys::interfaces::LocalAddress;
use std::net::{IpAddr, Ipv4Addr};

/// Which addresses are wanted, from `-4 -6 -I -L` and `interface` lines.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// IPv4 at all.
    pub v4: bool,
    /// IPv6 at all.
    pub v6: bool,
    /// Interface names or addresses of `-I`; none means all.
    pub only: Vec<String>,
    /// Leave out interfaces with a colon in the name.
    pub no_virtual: bool,
    /// `interface` lines: the last that matches counts.
    pub rules: Vec<InterfaceRule>,
    /// Broadcasts and groups.
    pub hears: Hears,
    /// `dscp`, where it is not the default.
    pub dscp: Option<u8>,
    /// `nts port`: where requests are answered beside port 123.
    pub second_port: Option<u16>,
    /// How many sockets there may be; `None`: any number.
    pub room: Option<usize>,
}

impl Wanted {
    pub(super) fn admits(&self, local: &LocalAddress) -> bool {
        let ip = local.address.ip();
        if !(if ip.is_ipv4() { self.v4 } else { self.v6 }) || ip.is_multicast() || ip.is_unspecified() {
            return false;
        }
        // ntpd always listens there: its own tools ask there.
        if ip == IpAddr::V4(Ipv4Addr::LOCALHOST) {
            return true;
        }
        if self.no_virtual && local.name.contains(':') {
            return false;
        }
        if !self.only.is_empty() {
            let named = |o: &String| o.eq_ignore_ascii_case(&local.name) || o.parse() == Ok(ip);
            return local.loopback || self.only.iter().any(named);
        }
        let action =
            self.rules.iter().rev().find(|rule| matches(&rule.matches, local)).map(|rule| rule.action);
        match action {
            Some(action) => action == InterfaceAction::Listen,
            None => self.rules.is_empty() || local.loopback,
        }
    }

    /// The wanted ones among the machine's addresses.
    pub(super) fn interfaces(&self, locals: &[LocalAddress]) -> Vec<Interface> {
        let admitted = locals.iter().filter(|local| self.admits(local));
        admitted.map(|l| Interface { name: l.name.clone(), address: l.address.ip() }).collect()
    }

    /// Whether there is this wildcard socket: unless the last `interface` line that is about them says
    /// `ignore`. `all`, names and addresses are not about them.
    pub(super) fn opens_wildcard(&self, wildcard: IpAddr) -> bool {
        let v4 = wildcard.is_ipv4();
        let about = |rule: &&InterfaceRule| match rule.matches {
            InterfaceMatch::Wildcard => true,
            InterfaceMatch::V4 => v4,
            InterfaceMatch::V6 => !v4,
            InterfaceMatch::All | InterfaceMatch::Name(_) | InterfaceMatch::Address(..) => false,
        };
        let rule = self.rules.iter().rev().find(about);
        (if v4 { self.v4 } else { self.v6 }) && rule.is_none_or(|rule| rule.action != InterfaceAction::Ignore)
    }

    /// Whether the lines close a wildcard socket that would be open without them.
    #[must_use]
    pub fn ignores_wildcard(&self) -> bool {
        let closed = |ip: IpAddr| (if ip.is_ipv4() { self.v4 } else { self.v6 }) && !self.opens_wildcard(ip);
        WILDCARDS.into_iter().any(closed)
    }

    /// Whether requests to an address without a socket of its own are answered: it may be new. Not
    /// where the configuration chooses the addresses to listen on, unless it has `interface listen wildcard`:
    /// there the addresses without a socket are those that are not to be served. `ignore` and `drop`
    /// have the same effect: no reply is sent, and no ICMP message reports a closed port.
    pub(super) fn answers_on_wildcard(&self) -> bool {
        let chosen = !self.rules.is_empty() || !self.only.is_empty() || self.no_virtual;
        let rule = self.rules.iter().rev().find(|rule| rule.matches == InterfaceMatch::Wildcard);
        rule.map_or(!chosen, |rule| rule.action == InterfaceAction::Listen)
    }
}

fn matches(rule: &InterfaceMatch, local: &LocalAddress) -> bool {
    let ip = local.address.ip();
    match rule {
        InterfaceMatch::All => !local.loopback,
        InterfaceMatch::V4 => ip.is_ipv4(),
        InterfaceMatch::V6 => ip.is_ipv6(),
        InterfaceMatch::Wildcard => false,
        InterfaceMatch::Name(name) => name.eq_ignore_ascii_case(&local.name),
        InterfaceMatch::Address(net, length) => in_prefix(ip, *net, *length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn local(name: &str, address: &str) -> LocalAddress {
        let ip: IpAddr = address.parse().unwrap();
        LocalAddress {
            name: name.to_owned(),
            address: SocketAddr::new(ip, 0),
            loopback: ip.is_loopback(),
            broadcast: None,
            multicast: true,
        }
    }

    fn rule(action: InterfaceAction, matches: InterfaceMatch) -> InterfaceRule {
        InterfaceRule { action, matches }
    }

    #[test]
    fn the_last_matching_rule_counts_and_loopback_is_always_there() {
        let mut wanted = Wanted { v4: true, v6: true, ..Wanted::default() };
        assert!(wanted.admits(&local("eth0", "192.0.2.1")) && wanted.admits(&local("eth0", "2001:db8::1")));
        wanted.rules = vec![
            rule(InterfaceAction::Ignore, InterfaceMatch::All),
            rule(InterfaceAction::Listen, InterfaceMatch::Address("192.0.2.0".parse().unwrap(), 24)),
            rule(InterfaceAction::Ignore, InterfaceMatch::V6),
        ];
        assert!(wanted.admits(&local("eth0", "192.0.2.1")));
        assert!(!wanted.admits(&local("eth1", "198.51.100.1")));
        assert!(!wanted.admits(&local("lo", "::1")));
        assert!(wanted.admits(&local("lo", "127.0.0.1")));
        let only = Wanted { v4: true, only: vec!["eth1".to_owned()], ..Wanted::default() };
        assert!(only.admits(&local("eth1", "192.0.2.1")) && !only.admits(&local("eth0", "192.0.2.2")));
        assert!(!only.admits(&local("eth1", "2001:db8::1")), "IPv6 is off");
        let plain = Wanted { v4: true, no_virtual: true, ..Wanted::default() };
        assert!(!plain.admits(&local("eth0:1", "192.0.2.3")));
    }

    #[test]
    fn a_drop_rule_and_names_in_any_case() {
        let mut wanted = Wanted { v4: true, v6: true, ..Wanted::default() };
        wanted.rules = vec![
            rule(InterfaceAction::Drop, InterfaceMatch::V4),
            rule(InterfaceAction::Listen, InterfaceMatch::Name("ETH1".to_owned())),
        ];
        assert!(!wanted.admits(&local("eth0", "192.0.2.1")) && wanted.admits(&local("eth1", "192.0.2.2")));
        assert!(!wanted.admits(&local("eth0", "2001:db8::1")), "no rule is about it, and there are rules");
        assert!(wanted.admits(&local("lo", "::1")), "but for loopback");
        let only = Wanted { v4: true, only: vec!["Eth1".to_owned()], ..Wanted::default() };
        assert!(only.admits(&local("eth1", "192.0.2.1")));
    }

    #[test]
    fn chosen_addresses_are_not_undone_by_the_wildcard_socket() {
        let all = Wanted { v4: true, v6: true, ..Wanted::default() };
        assert!(all.answers_on_wildcard());
        let with = |rules: Vec<InterfaceRule>| Wanted { rules, ..all.clone() };
        let ignore = rule(InterfaceAction::Ignore, InterfaceMatch::Name("eth1".to_owned()));
        let wildcard = |action| rule(action, InterfaceMatch::Wildcard);
        assert!(!with(vec![ignore.clone()]).answers_on_wildcard());
        assert!(with(vec![ignore, wildcard(InterfaceAction::Listen)]).answers_on_wildcard());
        assert!(!with(vec![wildcard(InterfaceAction::Ignore)]).answers_on_wildcard());
        assert!(!Wanted { only: vec!["eth0".to_owned()], ..all.clone() }.answers_on_wildcard());
        assert!(!Wanted { no_virtual: true, ..all }.answers_on_wildcard());
    }

    #[test]
    fn b11_the_wildcard_sockets_close_by_their_own_lines_only() {
        let with = |rules: Vec<InterfaceRule>| Wanted { v4: true, v6: true, rules, ..Wanted::default() };
        let both = |wanted: &Wanted| WILDCARDS.map(|ip| wanted.opens_wildcard(ip));
        let ignore = |matches| rule(InterfaceAction::Ignore, matches);
        assert_eq!(both(&with(Vec::new())), [true, true]);
        assert_eq!(both(&with(vec![ignore(InterfaceMatch::All)])), [true, true]);
        assert_eq!(both(&with(vec![ignore(InterfaceMatch::Wildcard)])), [false, false]);
        assert_eq!(both(&with(vec![ignore(InterfaceMatch::V6)])), [true, false]);
        assert_eq!(both(&with(vec![rule(InterfaceAction::Drop, InterfaceMatch::Wildcard)])), [true, true]);
        let again = rule(InterfaceAction::Listen, InterfaceMatch::Wildcard);
        assert_eq!(both(&with(vec![ignore(InterfaceMatch::Wildcard), again])), [true, true]);
    }
}
