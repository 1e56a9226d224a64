//! Sockets for broadcasts and for groups. Each is bound to the broadcast address of a network, or to the group: what is sent there
//! arrives at no other socket of ours that would use it, whatever `interface` lines say of the wildcard sockets.

use super::{Open, Role, Sockets, with_port};
use crate::config::model::Config;
use crate::engine::report::event::Level;
use crate::sys::interfaces::LocalAddress;
use crate::sys::socket::{Sharing, UdpSocket};
use mio::Registry;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};

/// What is to be heard beside what is sent to this machine.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Hears {
    /// Broadcasts of the networks that this machine is in.
    pub broadcasts: bool,
    /// What is sent to these groups.
    pub groups: Vec<IpAddr>,
}

impl Hears {
    /// What a configuration hears.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let mut groups = config.reception.groups.clone();
        groups.extend(config.manycast.iter().filter(|group| !config.reception.groups.contains(group)));
        Self { broadcasts: config.hears_broadcasts(), groups }
    }
}

/// What is known of these sockets from look to look.
#[derive(Debug, Default)]
pub(super) struct Reception {
    /// Groups that were joined, and on which interface.
    joined: BTreeSet<(IpAddr, String)>,
    /// What could not be done, and was logged.
    failed: BTreeSet<(IpAddr, String)>,
}

/// A socket that there should be.
struct Place {
    name: String,
    role: Role,
}

impl Sockets {
    /// Opens and closes the sockets for broadcasts and groups, and joins the groups on all interfaces; true if any changed.
    pub(super) fn follow_reception(
        &mut self,
        locals: &[LocalAddress],
        registry: Option<&Registry>,
    ) -> io::Result<bool> {
        let places = self.places(locals);
        let mut changed = self.close_where(registry, |open| {
            !open.role().answers() && places.get(&open.bound).is_none_or(|place| place.role != open.role())
        });
        for (address, place) in places {
            if !self.open.iter().any(|open| open.role() == place.role && open.bound == address) {
                changed |= self.open_place(address, &place, registry)?;
            }
        }
        self.join_groups(locals);
        Ok(changed)
    }

    /// The sockets that there should be.
    fn places(&self, locals: &[LocalAddress]) -> BTreeMap<SocketAddr, Place> {
        let hears = &self.wanted.hears;
        let mut places = BTreeMap::new();
        let networks =
            locals.iter().filter(|local| hears.broadcasts && !local.loopback && self.wanted.admits(local));
        for local in networks {
            if let Some(broadcast) = local.broadcast {
                let place = Place { name: local.name.clone(), role: Role::Broadcast(local.address.ip()) };
                // Of several addresses in a network the first one is named.
                places.entry(with_port(SocketAddr::new(broadcast.into(), 0))).or_insert(place);
            }
        }
        for group in
            hears.groups.iter().filter(|ip| if ip.is_ipv4() { self.wanted.v4 } else { self.wanted.v6 })
        {
            let place = Place { name: "multicast".to_owned(), role: Role::Group };
            places.insert(with_port(SocketAddr::new(*group, 0)), place);
        }
        places
    }

    fn open_place(
        &mut self,
        address: SocketAddr,
        place: &Place,
        registry: Option<&Registry>,
    ) -> io::Result<bool> {
        let key = (address.ip(), place.name.clone());
        match UdpSocket::bind(address, Sharing::Shared) {
            Ok(socket) => {
                self.reception.failed.remove(&key);
                self.reception.joined.retain(|(group, _)| *group != address.ip());
                self.add(socket, address, &place.name, place.role);
                if let (Some(registry), Some(open)) = (registry, self.open.last()) {
                    open.watch(registry)?;
                }
                Ok(true)
            }
            Err(why) => {
                if self.reception.failed.insert(key) {
                    let text = format!("unable to hear what is sent to {}: {why}", address.ip());
                    self.notices.push((Level::Error, text));
                }
                Ok(false)
            }
        }
    }

    /// Joins the groups on all interfaces that take multicasts. On one that was away the kernel has ended the membership.
    fn join_groups(&mut self, locals: &[LocalAddress]) {
        let usable = |local: &&LocalAddress| local.multicast && !local.loopback && self.wanted.admits(local);
        let usable: Vec<&LocalAddress> = locals.iter().filter(usable).collect();
        let Reception { joined, failed } = &mut self.reception;
        joined.retain(|(_, name)| usable.iter().any(|local| local.name == *name));
        let groups: Vec<&Open> = self.open.iter().filter(|open| open.role == Role::Group).collect();
        joined.retain(|(group, _)| groups.iter().any(|open| open.ip == *group));
        for open in groups {
            let family = usable.iter().filter(|local| local.address.is_ipv4() == open.ip.is_ipv4());
            for local in family {
                let key = (open.ip, local.name.clone());
                if joined.contains(&key) {
                    continue;
                }
                let Some(index) = local.index() else { continue };
                match open.socket.join(open.ip, local.address.ip(), index) {
                    Ok(()) => {
                        failed.remove(&key);
                        let text = format!(
                            "Joined {} socket to multicast group {} on {}",
                            local.address.ip(),
                            open.ip,
                            local.name
                        );
                        self.notices.push((Level::Info, text));
                        joined.insert(key);
                    }
                    Err(why) if why.kind() == io::ErrorKind::AddrInUse => {
                        joined.insert(key);
                    }
                    Err(why) => {
                        if failed.insert(key) {
                            let text = format!(
                                "unable to join multicast group {} on {}: {why}",
                                open.ip, local.name
                            );
                            self.notices.push((Level::Error, text));
                        }
                    }
                }
            }
        }
    }
}
