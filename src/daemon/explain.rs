//! `--explain`: what one client may do, by which restrict lines, in words.

mod verdict;

use self::verdict::Verdict;
use super::files;
use super::start::cli::Options;
use super::start::setup;
use crate::config::model::{AccessFlags, Config, Family, Origin, Restrict, RestrictTarget, Target};
use crate::engine::server::access::{AccessList, Match};
use crate::sys::interfaces;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// The port of NTP, for entries with `ntpport`.
const NTP_PORT: u16 = 123;
/// Any other port, for what a client program uses.
const CLIENT_PORT: u16 = 50_000;

/// [`run`] on standard output. Returns what to exit with.
#[must_use]
pub fn print(address: IpAddr, file: &Path) -> u8 {
    super::check::finished(run(address, file, &mut io::stdout().lock(), &mut io::stderr()))
}

/// Explains what `address` may do under `file`. Returns what to exit with: 0, or 2 if the file cannot be
/// read.
///
/// # Errors
/// Writing failed.
pub fn run(address: IpAddr, file: &Path, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<u8> {
    let loaded = setup::load(&Options { configfile: file.to_owned(), ..Options::default() });
    if let Some(why) = &loaded.unreadable {
        writeln!(err, "rsntpd: {why}")?;
        return Ok(super::check::UNREADABLE);
    }
    let config = &loaded.setup.config;
    // The kernel gives IPv4 packets to IPv4 sockets, whatever an administrator calls the client.
    let address = address.to_canonical();
    if address.is_multicast() || address.is_unspecified() || address == IpAddr::V4(Ipv4Addr::BROADCAST) {
        writeln!(
            out,
            "{address}: no client has this address. Packets from it are dropped, whatever restrict lines say."
        )?;
        return Ok(super::check::CLEAN);
    }
    let mut list = AccessList::build(&config.restrict);
    list.set_sources(&numeric_servers(config));
    // What a machine without addresses would do, where they cannot be listed.
    let own: Vec<IpAddr> = interfaces::list().unwrap_or_default().iter().map(|l| l.address.ip()).collect();
    list.set_own_addresses(&own);
    let client = list.explain(SocketAddr::new(address, CLIENT_PORT));
    let server = list.explain(SocketAddr::new(address, NTP_PORT));
    let mut lines = Lines::default();
    if entry_of(&client) == entry_of(&server) {
        section(out, &mut lines, config, address, "", &client)?;
    } else {
        section(out, &mut lines, config, address, " from a port other than 123", &client)?;
        writeln!(out)?;
        section(out, &mut lines, config, address, " from port 123 (a server, or ntpd as client)", &server)?;
    }
    remarks(out, config, address, &server)?;
    Ok(super::check::CLEAN)
}

fn entry_of(found: &Match<'_>) -> (AccessFlags, IpAddr, IpAddr, bool) {
    (found.flags, found.address, found.mask, found.ntpport)
}

fn section(
    out: &mut dyn Write,
    lines: &mut Lines,
    config: &Config,
    address: IpAddr,
    port: &str,
    found: &Match<'_>,
) -> io::Result<()> {
    writeln!(out, "{address}{port}: the entry {} applies: {}.", entry(found), flags(found.flags))?;
    if found.origins.is_empty() && found.flags.is_empty() {
        writeln!(out, "  No restrict line is about it; without one everything is allowed.")?;
    } else if found.origins.is_empty() && found.added.is_empty() {
        writeln!(
            out,
            "  It is an address of this machine: packets from it with port 123 are the daemon's own."
        )?;
    } else if !found.origins.is_empty() {
        writeln!(out, "  It comes from")?;
        for origin in found.origins {
            writeln!(out, "    {}", lines.show(origin))?;
        }
    }
    if !found.added.is_empty() {
        writeln!(out, "  Lines that ntpd reads otherwise add flags here, and open nothing:")?;
        for origin in &found.added {
            writeln!(out, "    {}", lines.show(origin))?;
        }
    }
    if found.origins.len() > 1 {
        writeln!(out, "  Lines for the same address and mask add up; no later line takes a flag away.")?;
    }
    let verdict = Verdict::of(found.flags, config);
    writeln!(out, "\n  This client may")?;
    if verdict.may.is_empty() {
        writeln!(out, "    do nothing: its packets are dropped without a response")?;
    }
    for text in &verdict.may {
        writeln!(out, "    {text}")?;
    }
    writeln!(out, "  It may not")?;
    for (text, because) in &verdict.may_not {
        writeln!(out, "    {text}  ({because})")?;
    }
    if !verdict.without_effect.is_empty() {
        writeln!(out, "  Without effect here")?;
        for text in &verdict.without_effect {
            writeln!(out, "    {text}")?;
        }
    }
    Ok(())
}

/// What people stumble over.
fn remarks(out: &mut dyn Write, config: &Config, address: IpAddr, found: &Match<'_>) -> io::Result<()> {
    let mut remarks = Vec::new();
    if is_default(found) {
        remarks.push(
            "No line is about this address or its network, so the default entry applies. A line for it would \
             replace the default, not add to it."
                .to_owned(),
        );
    } else {
        remarks.push(
            "Of all entries that match, only the most specific one counts: it replaces the default, it does not \
             add to it. Flags of the default that are not repeated here do not apply to this client."
                .to_owned(),
        );
    }
    if !config.interfaces.is_empty() {
        remarks.push(
            "The interface lines of the file decide at which addresses requests arrive at all.".to_owned(),
        );
    }
    let is_our_server = numeric_servers(config).contains(&address);
    let deaf = AccessFlags::IGNORE.union(AccessFlags::NOSERVE);
    if is_our_server && AccessFlags::WORDS.iter().any(|(_, f)| deaf.contains(*f) && found.flags.contains(*f))
    {
        remarks.push(
            "This address is one of the servers of the file, and its responses are dropped, too: rsntpd is never \
             synchronized to it. Give it a restrict line of its own without ignore and noserve."
                .to_owned(),
        );
    }
    for restrict in &config.restrict {
        if !found.origins.contains(&restrict.origin) && !found.added.contains(&&restrict.origin) {
            remarks.extend(undecided(restrict, address));
        }
    }
    writeln!(out)?;
    for remark in remarks {
        writeln!(out, "  {remark}")?;
    }
    Ok(())
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
    flags.words().collect::<Vec<_>>().join(" ")
}

fn place(origin: &Origin) -> String {
    format!("{} line {}", origin.file.display(), origin.line)
}

/// The lines of the files, to be shown beside their numbers.
#[derive(Default)]
struct Lines {
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Lines {
    fn show(&mut self, origin: &Origin) -> String {
        let text = self.files.entry(origin.file.clone()).or_insert_with(|| {
            // It was readable a moment ago; if it no longer is, the number has to do.
            files::read(&origin.file).unwrap_or_default()
        });
        let index = (origin.line as usize).saturating_sub(1);
        let line = text.split(|byte| *byte == b'\n').nth(index).unwrap_or_default();
        let line = super::log::printable(String::from_utf8_lossy(line).trim());
        if line.is_empty() { place(origin) } else { format!("{}: {line}", place(origin)) }
    }
}
