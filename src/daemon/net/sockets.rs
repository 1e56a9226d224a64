//! The sockets on port 123: a wildcard one per family and one per address of the machine. `nts port` adds a second port (`second.rs`).
//!
//! What is sent to an address of ours arrives at that address's socket, and is answered from it.
//! The wildcard sockets send our own requests. What arrives at them came for an address that has
//! no socket (yet): it is answered from the address that was asked, if that was ours alone.
//!
//! Broadcasts and what is sent to groups arrive at sockets of their own (`reception.rs`), and nothing is sent from them.
//!
//! Where several processes serve (`workers.rs`), each has wildcard sockets only, of a group each.

mod counts;
mod open;
mod reception;
mod second;
mod wanted;

use self::counts::Closed;
pub use self::counts::{Arrival, COUNTS, Counts};
pub use self::open::{FIRST_TOKEN, Open, Role};
pub use self::reception::Hears;
use self::reception::Reception;
pub use self::wanted::Wanted;
use crate::config::model::InterfaceRule;
use crate::engine::contract::{Interface, SocketId, Tx};
use crate::engine::report::event::Level;
use crate::sys::interfaces::{self, LocalAddress};
use crate::sys::socket::{Sharing, UdpSocket};
use crate::sys::{group, outside};
use crate::units::NTP_PORT;
use crate::wire::Mode;
use mio::{Registry, Token};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The addresses of the wildcard sockets.
const WILDCARDS: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
/// All open sockets.
#[derive(Debug)]
pub struct Sockets {
    open: Vec<Open>,
    next_id: u32,
    wanted: Wanted,
    closed: Closed,
    /// Where there are wildcard sockets only: the addresses that are served.
    served: Option<Vec<Interface>>,
    /// Addresses that are served by the wildcard sockets, because there may be no more sockets.
    crowded: BTreeMap<IpAddr, String>,
    /// Addresses whose socket could not be opened, which was logged.
    failed: BTreeSet<SocketAddr>,
    /// Of the sockets for broadcasts and groups.
    reception: Reception,
    /// All addresses of the machine, served or not: nothing comes from them by an interface.
    own: Vec<IpAddr>,
    /// Lines for the log.
    notices: Vec<(Level, String)>,
    warned_crowded: bool,
}

impl Sockets {
    fn none(wanted: Wanted) -> Self {
        Self {
            open: Vec::new(),
            next_id: 0,
            wanted,
            closed: Closed::default(),
            served: None,
            crowded: BTreeMap::new(),
            failed: BTreeSet::new(),
            reception: Reception::default(),
            own: Vec::new(),
            notices: Vec::new(),
            warned_crowded: false,
        }
    }

    /// Binds the wildcard sockets and one for each wanted address.
    ///
    /// # Errors
    /// When port 123 is taken, with the socket that could not be bound. A family or an address that
    /// the machine lacks is left out.
    pub fn open(wanted: Wanted, locals: &[LocalAddress]) -> io::Result<Self> {
        let mut sockets = Self::none(wanted);
        for ip in WILDCARDS {
            if !sockets.wanted.opens_wildcard(ip) {
                continue;
            }
            // Not shared: only this bind finds another process that holds the port already.
            match UdpSocket::bind(SocketAddr::new(ip, NTP_PORT), Sharing::Alone) {
                Ok(socket) => {
                    socket.share(Sharing::Shared)?;
                    sockets.add(socket, SocketAddr::new(ip, NTP_PORT), "wildcard", Role::Unicast);
                }
                Err(e) if unusable_family(&e) && ip.is_ipv6() => {}
                Err(e) => return Err(e),
            }
        }
        sockets.follow(locals, None)?;
        sockets.open_second_port();
        sockets.refuse_own(own_addresses(locals));
        if sockets.open.is_empty() && !sockets.failed.is_empty() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        Ok(sockets)
    }

    /// Binds wildcard sockets for a main process and `workers` others: a set for each. The first gets
    /// all that is no client's request.
    ///
    /// # Errors
    /// As of [`Sockets::open`], and where the kernel has no such groups.
    pub fn open_groups(wanted: &Wanted, locals: &[LocalAddress], workers: u32) -> io::Result<Vec<Self>> {
        let mut sets: Vec<Self> = (0..=workers)
            .map(|_| Self { served: Some(wanted.interfaces(locals)), ..Self::none(wanted.clone()) })
            .collect();
        // The workers keep no time.
        sets.iter_mut().skip(1).for_each(|set| set.wanted.hears = Hears::default());
        for ip in WILDCARDS.into_iter().filter(|ip| if ip.is_ipv4() { wanted.v4 } else { wanted.v6 }) {
            let address = SocketAddr::new(ip, NTP_PORT);
            match group::bind(address, workers) {
                Ok(group) => {
                    for (set, socket) in sets.iter_mut().zip(group) {
                        set.add(socket, address, "wildcard", Role::Unicast);
                    }
                }
                Err(e) if unusable_family(&e) && ip.is_ipv6() => {}
                Err(e) => return Err(e),
            }
        }
        Self::open_second_groups(&mut sets);
        sets.iter_mut().for_each(|set| set.refuse_own(own_addresses(locals)));
        Ok(sets)
    }

    /// Takes over the sockets of a process that has ended.
    ///
    /// # Errors
    /// Of epoll.
    pub fn inherit(&mut self, other: Self, registry: &Registry) -> io::Result<()> {
        for open in other.open {
            self.add(open.socket, open.bound, &open.name, open.role);
            if let Some(open) = self.open.last() {
                open.watch(registry)?;
            }
        }
        Ok(())
    }

    /// Opens and closes sockets so that they fit the addresses of the machine; true if any changed.
    ///
    /// # Errors
    /// When a new socket cannot be watched.
    pub fn follow(&mut self, locals: &[LocalAddress], registry: Option<&Registry>) -> io::Result<bool> {
        let changed = self.follow_addresses(locals, registry)?;
        let own = own_addresses(locals);
        if changed || own != self.own {
            self.refuse_own(own);
        }
        Ok(changed)
    }

    /// Has the kernel drop what claims to come from this machine, whose addresses these are, and comes from outside.
    fn refuse_own(&mut self, own: Vec<IpAddr>) {
        self.own = own;
        for open in &self.open {
            let others = self.own.iter().filter(|address| **address != open.ip);
            let own: Vec<IpAddr> = std::iter::once(&open.ip).chain(others).copied().collect();
            // Without the filter there are the kernel's own tests, and the access list.
            let _unfiltered = outside::refuse_own(&open.socket, open.ip, &own);
        }
    }

    fn follow_addresses(&mut self, locals: &[LocalAddress], registry: Option<&Registry>) -> io::Result<bool> {
        if let Some(served) = &mut self.served {
            let now = self.wanted.interfaces(locals);
            let changed = *served != now;
            *served = now;
            return Ok(self.follow_reception(locals, registry)? || changed);
        }
        let mut changed = self.follow_wildcards(registry)?;
        let admitted = locals.iter().filter(|local| self.wanted.admits(local));
        let wanted: BTreeMap<SocketAddr, &LocalAddress> =
            admitted.map(|local| (with_port(local.address), local)).collect();
        changed |= self.close_where(registry, |open| open.is_own() && !wanted.contains_key(&open.bound));
        let bound: BTreeSet<SocketAddr> = self.open.iter().map(|open| open.bound).collect();
        let crowded = std::mem::take(&mut self.crowded);
        self.failed.retain(|address| wanted.contains_key(address));
        for (address, local) in wanted {
            if !bound.contains(&address) {
                changed |= self.open_at(address, local, registry)?;
            }
        }
        changed |= self.follow_reception(locals, registry)?;
        changed |= !crowded.keys().eq(self.crowded.keys());
        if !self.crowded.is_empty() && !std::mem::replace(&mut self.warned_crowded, true) {
            self.notices.push((Level::Warning, self.crowded_words()));
        }
        Ok(changed)
    }

    /// Opens the socket of an address of ours; whether it could be.
    fn open_at(
        &mut self,
        address: SocketAddr,
        local: &LocalAddress,
        registry: Option<&Registry>,
    ) -> io::Result<bool> {
        let mut crowded = self.wanted.room.is_some_and(|room| self.open.len() >= room);
        if !crowded {
            // Beside a wildcard socket of ours the address must be shared; alone it shows who else is there.
            let sharing =
                if self.wildcard(address.ip()).is_some() { Sharing::Shared } else { Sharing::Alone };
            match UdpSocket::bind(address, sharing) {
                Ok(socket) => {
                    self.failed.remove(&address);
                    self.add(socket, address, &local.name, Role::Unicast);
                    if let (Some(registry), Some(open)) = (registry, self.open.last()) {
                        open.watch(registry)?;
                    }
                    return Ok(true);
                }
                Err(why) => {
                    crowded = matches!(why.raw_os_error(), Some(nix::libc::EMFILE | nix::libc::ENFILE));
                    // An IPv6 address that is still being tried out cannot be bound; the next look finds it.
                    if why.kind() == io::ErrorKind::AddrInUse && self.failed.insert(address) {
                        let (name, ip) = (&local.name, address.ip());
                        let text = format!(
                            "unable to create socket on {name} for {ip}#{NTP_PORT}: another process has the port"
                        );
                        self.notices.push((Level::Error, text));
                    }
                }
            }
        }
        if crowded {
            self.crowded.insert(address.ip(), local.name.clone());
        }
        Ok(false)
    }

    fn crowded_words(&self) -> String {
        let (many, room) = (self.crowded.len(), self.open.len());
        let instead = if WILDCARDS.iter().all(|ip| self.wildcard(*ip).is_none()) {
            "these are not served"
        } else {
            "the wildcard sockets serve these"
        };
        format!(
            "more addresses than files may be open: {room} sockets are open, {many} addresses have none; {instead} \
             (raise the limit: ulimit -n, LimitNOFILE=)"
        )
    }

    /// Opens and closes the wildcard sockets as the `interface` lines say, which may be new ones.
    fn follow_wildcards(&mut self, registry: Option<&Registry>) -> io::Result<bool> {
        let mut changed = false;
        for ip in WILDCARDS {
            let of_family = |open: &Open| open.ip.is_ipv4() == ip.is_ipv4();
            match (self.wildcard(ip).is_some(), self.wanted.opens_wildcard(ip)) {
                (true, false) => {
                    changed |= self.close_where(registry, |open| open.role == Role::Unicast && open.ip == ip);
                    let mut others = self.open.iter().filter(|open| of_family(open));
                    others.try_for_each(|open| open.socket.share(Sharing::Alone))?;
                }
                // At the start they are opened already, or cannot be.
                (false, true) if registry.is_some() => {
                    let mut others = self.open.iter().filter(|open| of_family(open));
                    others.try_for_each(|open| open.socket.share(Sharing::Shared))?;
                    match UdpSocket::bind(SocketAddr::new(ip, NTP_PORT), Sharing::Shared) {
                        Ok(socket) => {
                            self.add(socket, SocketAddr::new(ip, NTP_PORT), "wildcard", Role::Unicast);
                            if let (Some(registry), Some(open)) = (registry, self.open.last()) {
                                open.watch(registry)?;
                            }
                            changed = true;
                        }
                        Err(why) if unusable_family(&why) => {}
                        Err(why) => {
                            self.notices.push((
                                Level::Error,
                                format!("unable to bind to wildcard address {ip}: {why}"),
                            ));
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(changed)
    }

    /// Closes sockets; whether there were any.
    fn close_where(&mut self, registry: Option<&Registry>, gone: impl Fn(&Open) -> bool) -> bool {
        let before = self.open.len();
        for open in self.open.extract_if(.., |open| gone(open)) {
            self.closed.add(&open.counts);
            if let Some(registry) = registry {
                let _closed_anyway = open.unwatch(registry);
            }
        }
        self.open.len() != before
    }

    /// Lines for the log since the last call.
    pub fn take_notices(&mut self) -> Vec<(Level, String)> {
        std::mem::take(&mut self.notices)
    }

    /// The wildcard socket of the family of an address.
    fn wildcard(&self, like: IpAddr) -> Option<&Open> {
        let fits = |open: &&Open| open.ip.is_unspecified() && open.ip.is_ipv4() == like.is_ipv4();
        self.open.iter().filter(fits).find(|open| open.role == Role::Unicast)
    }

    /// The `interface` lines of a new configuration, and what broadcasts it hears; [`Sockets::follow`] then opens and closes
    /// accordingly.
    pub fn set_rules(&mut self, rules: &[InterfaceRule], hears: Hears) {
        rules.clone_into(&mut self.wanted.rules);
        self.wanted.hears = hears;
    }

    /// Whether a datagram that came to `open` is for us. What comes to a wildcard socket may be meant for
    /// an address that is not to be served; answers to our own requests come there always. What comes for many hosts must be a broadcast or
    /// a beacon.
    #[must_use]
    pub fn is_for_us(&self, open: &Open, to: IpAddr, data: &[u8]) -> bool {
        let mode = data.first().map(|first| Mode::from_bits(*first));
        match open.role() {
            Role::Unicast => {}
            Role::SecondPort => return mode == Some(Mode::Client) && self.serves(to),
            role => return mode.is_some_and(|mode| role.takes(mode)),
        }
        !open.ip.is_unspecified()
            || mode == Some(Mode::Server)
            || self.wanted.answers_on_wildcard()
            || self.served.as_ref().is_some_and(|served| served.iter().any(|one| one.address == to))
            || self.crowded.contains_key(&to)
    }

    fn add(&mut self, socket: UdpSocket, bound: SocketAddr, name: &str, role: Role) {
        let id = SocketId(self.next_id);
        self.next_id = self.next_id.wrapping_add(1);
        debug_assert!(self.open.iter().all(|open| open.id != id), "a socket has a number of its own: {id:?}");
        if let Some(code) = self.wanted.dscp {
            // Without the mark the time is served all the same.
            let _unmarked = socket.set_dscp(code);
        }
        self.open.push(Open {
            id,
            ip: bound.ip(),
            bound,
            name: name.to_owned(),
            role,
            socket,
            counts: Counts::new(),
            watched: Cell::new(false),
        });
    }

    /// Watches all sockets for datagrams.
    ///
    /// # Errors
    /// Of epoll.
    pub fn watch_all(&self, registry: &Registry) -> io::Result<()> {
        self.open.iter().try_for_each(|open| open.watch(registry))
    }

    /// The socket of a token of the event loop.
    #[must_use]
    pub fn of_token(&self, token: Token) -> Option<usize> {
        let id = u32::try_from(token.0.checked_sub(FIRST_TOKEN)?).ok()?;
        self.open.iter().position(|o| o.id.0 == id)
    }

    /// The socket at this position.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&Open> {
        self.open.get(index)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// The socket to send from: the one named, else the wildcard of the family. Without such a one, the socket of the
    /// address that the kernel would send from.
    #[must_use]
    pub fn to_send(&self, tx: &Tx) -> Option<&Open> {
        match tx.socket {
            Some(id) => self.open.iter().find(|o| o.id == id),
            None => self.wildcard(tx.to.ip()).or_else(|| {
                let from = tx.from.or_else(|| source_towards(tx.to).ok())?;
                self.open.iter().find(|open| open.is_own() && open.ip == from)
            }),
        }
    }

    /// The addresses with a socket, or that are served without, for the engine.
    #[must_use]
    pub fn interfaces(&self) -> Vec<Interface> {
        if let Some(served) = &self.served {
            return served.clone();
        }
        let specific = self.open.iter().filter(|o| o.is_own());
        let crowded =
            self.crowded.iter().map(|(address, name)| Interface { name: name.clone(), address: *address });
        specific.map(|o| Interface { name: o.name.clone(), address: o.ip }).chain(crowded).collect()
    }

    /// The index of the interface that has this address.
    #[must_use]
    pub fn interface_of(&self, address: IpAddr) -> Option<u32> {
        let name = self.interfaces().into_iter().find(|interface| interface.address == address)?.name;
        interfaces::index(&name)
    }

    /// Lines for the log: what is listened on.
    pub fn describe(&self) -> impl Iterator<Item = String> {
        self.open.iter().map(|o| format!("Listen on {} {} UDP {}", o.name, o.ip, o.bound.port()))
    }
}

/// The addresses of the machine, each once.
fn own_addresses(locals: &[LocalAddress]) -> Vec<IpAddr> {
    let mut own: Vec<IpAddr> = locals.iter().map(|local| local.address.ip()).collect();
    own.sort_unstable();
    own.dedup();
    own
}

/// The address that the kernel sends from to `to`. Nothing is sent.
fn source_towards(to: SocketAddr) -> io::Result<IpAddr> {
    let any = if to.is_ipv4() { WILDCARDS[0] } else { WILDCARDS[1] };
    let socket = std::net::UdpSocket::bind((any, 0))?;
    socket.connect(to)?;
    Ok(socket.local_addr()?.ip())
}

fn with_port(mut address: SocketAddr) -> SocketAddr {
    address.set_port(NTP_PORT);
    address
}

/// Whether an error says that the machine has no such address family.
fn unusable_family(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::AddrNotAvailable)
        || matches!(error.raw_os_error(), Some(nix::libc::EAFNOSUPPORT | nix::libc::EPROTONOSUPPORT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b11_without_a_wildcard_socket_the_route_says_where_to_send_from() {
        let from = |to: &str| source_towards(to.parse().unwrap()).unwrap();
        assert_eq!(from("127.0.0.1:123"), "127.0.0.1".parse::<IpAddr>().unwrap());
    }
}
