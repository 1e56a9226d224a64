//! The sockets on port 123: a wildcard one per family and one per address of the machine.
//!
//! What is sent to an address of ours arrives at that address's socket, and is answered from it.
//! The wildcard sockets send our own requests. What arrives at them came for an address that has
//! no socket (yet): it is answered from the address that was asked, if that was ours alone.

use crate::config::model::{InterfaceAction, InterfaceMatch, InterfaceRule, in_prefix};
use crate::core::contract::{Interface, SocketId};
use crate::core::errand::{Endpoint, Traffic};
use crate::sys::clock;
use crate::sys::interfaces::LocalAddress;
use crate::sys::socket::UdpSocket;
use crate::units::MonoTime;
use crate::wire::Mode;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use std::cell::Cell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The NTP port.
pub const PORT: u16 = 123;
/// First mio token of a socket; those below are the loop's own.
pub const FIRST_TOKEN: usize = 16;

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
    /// `dscp`, where it is not the default.
    pub dscp: Option<u8>,
}

impl Wanted {
    fn admits(&self, local: &LocalAddress) -> bool {
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

    /// Whether requests to an address without a socket of its own are answered: it may be new. Not
    /// where somebody has chosen the addresses to listen on, unless `interface listen wildcard` says so:
    /// there the addresses without a socket are those that are not to be served. `ignore` and `drop`
    /// come to the same: nothing answers, and no ICMP message tells that nobody is there.
    fn answers_on_wildcard(&self) -> bool {
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

/// An open socket.
#[derive(Debug)]
pub struct Open {
    /// Its name towards the engine.
    pub id: SocketId,
    /// Its address; unspecified for the wildcard.
    pub ip: IpAddr,
    /// Its address with the scope that it is bound with.
    bound: SocketAddr,
    /// The interface's name.
    name: String,
    /// The socket.
    pub socket: UdpSocket,
    /// Its datagrams.
    pub counts: Counts,
}

/// Datagrams of a socket, since it was opened.
#[derive(Debug)]
pub struct Counts {
    since: MonoTime,
    received: Cell<u64>,
    dropped: Cell<u64>,
    ignored: Cell<u64>,
    sent: Cell<u64>,
    not_sent: Cell<u64>,
}

fn bump(counter: &Cell<u64>) {
    counter.set(counter.get() + 1);
}

impl Counts {
    fn new() -> Self {
        let zero = Cell::default;
        let since = clock::mono();
        Self { since, received: zero(), dropped: zero(), ignored: zero(), sent: zero(), not_sent: zero() }
    }

    /// A datagram arrived; `usable` unless it is too long, `for_us` unless it asks nobody in particular
    /// or an address that is not served.
    pub fn arrived(&self, usable: bool, for_us: bool) {
        bump(&self.received);
        if !usable {
            bump(&self.dropped);
        } else if !for_us {
            bump(&self.ignored);
        }
    }

    /// So many datagrams were sent, and so many were not.
    pub fn left(&self, sent: usize, not_sent: usize) {
        self.sent.set(self.sent.get() + sent as u64);
        self.not_sent.set(self.not_sent.get() + not_sent as u64);
    }
}

/// All open sockets.
#[derive(Debug)]
pub struct Sockets {
    open: Vec<Open>,
    next_id: u32,
    wanted: Wanted,
    closed: Closed,
}

/// Datagrams of the sockets that are closed by now.
#[derive(Clone, Copy, Debug, Default)]
struct Closed {
    received: u64,
    dropped: u64,
    ignored: u64,
    sent: u64,
    not_sent: u64,
}

impl Closed {
    fn add(&mut self, counts: &Counts) {
        self.received += counts.received.get();
        self.dropped += counts.dropped.get();
        self.ignored += counts.ignored.get();
        self.sent += counts.sent.get();
        self.not_sent += counts.not_sent.get();
    }
}

impl Sockets {
    /// Binds the wildcard sockets and one for each wanted address.
    ///
    /// # Errors
    /// When port 123 is taken, with the socket that could not be bound. A family or an address that
    /// the machine lacks is left out.
    pub fn open(wanted: Wanted, locals: &[LocalAddress]) -> io::Result<Self> {
        let mut sockets = Self { open: Vec::new(), next_id: 0, wanted, closed: Closed::default() };
        let wildcards = [
            (sockets.wanted.v4, IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            (sockets.wanted.v6, IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
        ];
        for (_, ip) in wildcards.into_iter().filter(|(wanted, _)| *wanted) {
            // Not shared: whoever holds the port already is noticed here and nowhere else.
            match UdpSocket::bind(SocketAddr::new(ip, PORT), false) {
                Ok(socket) => {
                    socket.share(true)?;
                    sockets.add(socket, SocketAddr::new(ip, PORT), "wildcard");
                }
                Err(e) if unusable_family(&e) && ip.is_ipv6() => {}
                Err(e) => return Err(e),
            }
        }
        sockets.follow(locals, None)?;
        Ok(sockets)
    }

    /// Opens and closes sockets so that they fit the addresses of the machine; true if any changed.
    ///
    /// # Errors
    /// When a new socket cannot be watched.
    pub fn follow(&mut self, locals: &[LocalAddress], registry: Option<&Registry>) -> io::Result<bool> {
        let wanted: Vec<&LocalAddress> = locals.iter().filter(|l| self.wanted.admits(l)).collect();
        let mut changed = false;
        let mut index = 0;
        while index < self.open.len() {
            let open = &self.open[index];
            let stays = open.ip.is_unspecified() || wanted.iter().any(|l| with_port(l.address) == open.bound);
            if stays {
                index += 1;
                continue;
            }
            let gone = self.open.swap_remove(index);
            self.closed.add(&gone.counts);
            if let Some(registry) = registry {
                let _closed_anyway = registry.deregister(&mut SourceFd(&gone.socket.raw_fd()));
            }
            changed = true;
        }
        for local in wanted {
            let address = with_port(local.address);
            if self.open.iter().any(|o| o.bound == address) {
                continue;
            }
            // An IPv6 address that is still being tried out cannot be bound; the next look finds it.
            if let Ok(socket) = UdpSocket::bind(address, true) {
                self.add(socket, address, &local.name);
                if let (Some(registry), Some(open)) = (registry, self.open.last()) {
                    watch(registry, open)?;
                }
                changed = true;
            }
        }
        Ok(changed)
    }

    /// The `interface` lines of a new configuration; [`Sockets::follow`] then opens and closes accordingly.
    pub fn set_rules(&mut self, rules: &[InterfaceRule]) {
        rules.clone_into(&mut self.wanted.rules);
    }

    /// Whether a datagram that came to `open` is for us. What comes to a wildcard socket may be meant for
    /// an address that is not to be served; answers to our own requests come there always.
    #[must_use]
    pub fn is_for_us(&self, open: &Open, data: &[u8]) -> bool {
        let is_answer = data.first().is_some_and(|first| Mode::from_bits(*first) == Mode::Server);
        !open.ip.is_unspecified() || is_answer || self.wanted.answers_on_wildcard()
    }

    fn add(&mut self, socket: UdpSocket, bound: SocketAddr, name: &str) {
        let id = SocketId(self.next_id);
        self.next_id = self.next_id.wrapping_add(1);
        if let Some(code) = self.wanted.dscp {
            // Without the mark the time is served all the same.
            let _unmarked = socket.set_dscp(code);
        }
        self.open.push(Open {
            id,
            ip: bound.ip(),
            bound,
            name: name.to_owned(),
            socket,
            counts: Counts::new(),
        });
    }

    /// Watches all sockets for datagrams.
    ///
    /// # Errors
    /// Of epoll.
    pub fn watch_all(&self, registry: &Registry) -> io::Result<()> {
        self.open.iter().try_for_each(|open| watch(registry, open))
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

    /// The socket to send from: the one named, else the wildcard of the family.
    #[must_use]
    pub fn to_send(&self, id: Option<SocketId>, to: SocketAddr) -> Option<&Open> {
        let wildcard = || self.open.iter().find(|o| o.ip.is_unspecified() && o.ip.is_ipv4() == to.is_ipv4());
        match id {
            Some(id) => self.open.iter().find(|o| o.id == id),
            None => wildcard(),
        }
    }

    /// The addresses with a socket, for the engine.
    #[must_use]
    pub fn interfaces(&self) -> Vec<Interface> {
        let specific = self.open.iter().filter(|o| !o.ip.is_unspecified());
        specific.map(|o| Interface { name: o.name.clone(), address: o.ip }).collect()
    }

    /// The counters of all sockets, for ntpq.
    #[must_use]
    pub fn survey(&self) -> (Traffic, Vec<Endpoint>) {
        let mut all = self.closed;
        let mut endpoints = Vec::with_capacity(self.open.len());
        for open in &self.open {
            let counts = &open.counts;
            all.add(counts);
            endpoints.push(Endpoint {
                name: open.name.clone(),
                address: open.ip,
                serves: !open.ip.is_unspecified() || self.wanted.answers_on_wildcard(),
                received: counts.received.get(),
                sent: counts.sent.get(),
                not_sent: counts.not_sent.get(),
                uptime: clock::mono().since(counts.since).get() as u64,
            });
        }
        let Closed { received, dropped, ignored, sent, not_sent } = all;
        (Traffic { received, dropped, ignored, sent, not_sent, ..Traffic::default() }, endpoints)
    }

    /// Lines for the log: what is listened on.
    pub fn describe(&self) -> impl Iterator<Item = String> {
        self.open.iter().map(|o| format!("Listen on {} {} UDP {PORT}", o.name, o.ip))
    }
}

fn with_port(mut address: SocketAddr) -> SocketAddr {
    address.set_port(PORT);
    address
}

fn watch(registry: &Registry, open: &Open) -> io::Result<()> {
    let token = Token(FIRST_TOKEN + open.id.0 as usize);
    registry.register(&mut SourceFd(&open.socket.raw_fd()), token, Interest::READABLE)
}

/// Whether an error says that the machine has no such address family.
fn unusable_family(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::AddrNotAvailable)
        || matches!(error.raw_os_error(), Some(nix::libc::EAFNOSUPPORT | nix::libc::EPROTONOSUPPORT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(name: &str, address: &str) -> LocalAddress {
        let ip: IpAddr = address.parse().unwrap();
        LocalAddress { name: name.to_owned(), address: SocketAddr::new(ip, 0), loopback: ip.is_loopback() }
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
}
