//! `--explain`: what one client may do, by which restrict lines, as text.

mod verdict;

use self::verdict::Verdict;
use crate::config::model::{AccessFlags, Config, Family, Origin, Restrict, RestrictTarget, Target};
use crate::engine::server::access::{AccessList, Match};
use crate::units::NTP_PORT;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Any other port, for what a client program uses.
const CLIENT_PORT: u16 = 50_000;

/// Where an address is explained, and what of the machine matters there.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    /// What takes effect.
    pub config: &'a Config,
    /// The addresses of this machine.
    pub own: &'a [IpAddr],
}

/// Explains what `address` may do. `line_of` gives the text of a line of the configuration, if it can be shown.
#[must_use]
pub fn explain(
    address: IpAddr,
    place: &Place<'_>,
    line_of: &mut dyn FnMut(&Origin) -> Option<String>,
) -> String {
    let config = place.config;
    // The kernel gives IPv4 packets to IPv4 sockets, whatever an administrator calls the client.
    let address = address.to_canonical();
    if address.is_multicast() || address.is_unspecified() || address == IpAddr::V4(Ipv4Addr::BROADCAST) {
        return format!(
            "{address}: no client has this address. Packets from it are dropped, whatever restrict lines say.\n"
        );
    }
    let mut list = AccessList::build(&config.restrict);
    list.set_sources(&numeric_servers(config));
    list.set_own_addresses(place.own);
    let client = list.explain(SocketAddr::new(address, CLIENT_PORT));
    let server = list.explain(SocketAddr::new(address, NTP_PORT));
    let mut page = Page { out: String::new(), config, address, line_of };
    if entry_of(&client) == entry_of(&server) {
        page.section("", &client);
    } else {
        page.section(" from a port other than 123", &client);
        page.line("");
        page.section(" from port 123 (a server, or ntpd as client)", &server);
    }
    page.line("");
    for hint in hints(config, address, &server) {
        page.line(&format!("  {hint}"));
    }
    page.out
}

fn entry_of(found: &Match<'_>) -> (AccessFlags, IpAddr, IpAddr, bool) {
    (found.flags, found.address, found.mask, found.ntpport)
}

/// What is printed.
struct Page<'a> {
    out: String,
    config: &'a Config,
    address: IpAddr,
    line_of: &'a mut dyn FnMut(&Origin) -> Option<String>,
}

impl Page<'_> {
    fn line(&mut self, text: &str) {
        self.out.push_str(text);
        self.out.push('\n');
    }

    /// The line of a restriction, behind its place.
    fn origin(&mut self, origin: &Origin) {
        let place = place(origin);
        match (self.line_of)(origin) {
            Some(text) => self.line(&format!("    {place}: {text}")),
            None => self.line(&format!("    {place}")),
        }
    }

    /// `port` says from which port of the client.
    fn section(&mut self, port: &str, found: &Match<'_>) {
        let address = self.address;
        self.line(&format!("{address}{port}: the entry {} applies: {}.", entry(found), flags(found.flags)));
        if found.origins.is_empty() && found.flags.is_empty() {
            self.line("  No restrict line is about it; without one everything is allowed.");
        } else if found.origins.is_empty() && found.added.is_empty() {
            self.line(
                "  It is an address of this machine: packets from it with port 123 are the daemon's own.",
            );
        } else if !found.origins.is_empty() {
            self.line("  It comes from");
            for origin in found.origins {
                self.origin(origin);
            }
        }
        if !found.added.is_empty() {
            self.line("  Lines that ntpd reads otherwise add flags here, and open nothing:");
            for origin in &found.added {
                self.origin(origin);
            }
        }
        if found.origins.len() > 1 {
            self.line("  Lines for the same address and mask add up; no later line takes a flag away.");
        }
        self.verdict(&Verdict::of(found.flags, self.config));
    }

    fn verdict(&mut self, verdict: &Verdict) {
        self.line("\n  This client may");
        if verdict.may.is_empty() {
            self.line("    do nothing: its packets are dropped without a response");
        }
        for text in &verdict.may {
            self.line(&format!("    {text}"));
        }
        self.line("  It may not");
        for (text, because) in &verdict.may_not {
            self.line(&format!("    {text}  ({because})"));
        }
        if !verdict.without_effect.is_empty() {
            self.line("  Without effect here");
            for text in &verdict.without_effect {
                self.line(&format!("    {text}"));
            }
        }
    }
}

/// What people stumble over.
fn hints(config: &Config, address: IpAddr, found: &Match<'_>) -> Vec<String> {
    let mut hints = Vec::new();
    if is_default(found) {
        hints.push(
            "No line is about this address or its network, so the default entry applies. A line for it would \
             replace the default, not add to it."
                .to_owned(),
        );
    } else {
        hints.push(
            "Of all entries that match, only the most specific one counts: it replaces the default, it does not \
             add to it. Flags of the default that are not repeated here do not apply to this client."
                .to_owned(),
        );
    }
    if !config.interfaces.is_empty() {
        hints.push(
            "The interface lines of the file decide at which addresses requests arrive at all.".to_owned(),
        );
    }
    let is_our_server = numeric_servers(config).contains(&address);
    let deaf = AccessFlags::IGNORE.union(AccessFlags::NOSERVE);
    if is_our_server && AccessFlags::NAMES.iter().any(|(_, f)| deaf.contains(*f) && found.flags.contains(*f))
    {
        hints.push(
            "This address is one of the servers of the file, and its responses are dropped, too: rsntpd is never \
             synchronized to it. Give it a restrict line of its own without ignore and noserve."
                .to_owned(),
        );
    }
    for restrict in &config.restrict {
        if !found.origins.contains(&restrict.origin) && !found.added.contains(&&restrict.origin) {
            hints.extend(undecided(restrict, address));
        }
    }
    hints
}

/// The servers of the file whose addresses are known without asking anybody.
fn numeric_servers(config: &Config) -> Vec<IpAddr> {
    let address = |target: &Target| match target {
        Target::Address(address) => Some(*address),
        Target::Name(_) | Target::LocalClock { .. } | Target::RefClock { .. } => None,
    };
    config.servers.iter().filter_map(|server| address(&server.target)).collect()
}

/// Entries that depend on what is known only when the daemon runs.
fn undecided(restrict: &Restrict, address: IpAddr) -> Option<String> {
    let place = place(&restrict.origin);
    match &restrict.target {
        RestrictTarget::Name(name, family) if family.admits(address) => {
            let flags = flags(restrict.flags);
            Some(format!(
                "If {address} is an address of {name}, the entry of {place} applies instead: {flags}."
            ))
        }
        RestrictTarget::Around { name, mask, .. } if mask.is_ipv4() == address.is_ipv4() => Some(format!(
            "If {address} is in the network of {name} with the mask {mask}, the entry of {place} applies unless \
             another one is more specific: {}.",
            flags(restrict.flags)
        )),
        RestrictTarget::Source => Some(format!(
            "If {address} becomes one of our servers, restrict source ({place}) may apply instead."
        )),
        RestrictTarget::Name(..)
        | RestrictTarget::Around { .. }
        | RestrictTarget::Default(_)
        | RestrictTarget::Net { .. }
        | RestrictTarget::Adds { .. } => None,
    }
}

fn is_default(found: &Match<'_>) -> bool {
    found.mask.is_unspecified()
}

fn entry(found: &Match<'_>) -> String {
    let port = if found.ntpport { " ntpport" } else { "" };
    let host = match found.mask {
        IpAddr::V4(mask) => mask.to_bits() == u32::MAX,
        IpAddr::V6(mask) => mask.to_bits() == u128::MAX,
    };
    if is_default(found) {
        let family = if Family::V4.admits(found.mask) { "IPv4" } else { "IPv6" };
        format!("default{port} ({family})")
    } else if host {
        format!("{}{port}", found.address)
    } else {
        format!("{} mask {}{port}", found.address, found.mask)
    }
}

fn flags(flags: AccessFlags) -> String {
    if flags.is_empty() {
        return "no restriction".to_owned();
    }
    flags.names().collect::<Vec<_>>().join(" ")
}

fn place(origin: &Origin) -> String {
    format!("{} line {}", origin.file.display(), origin.line)
}
