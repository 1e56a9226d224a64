//! The second port (`nts port`): networks that let no long packets to UDP port 123 through, or slow them, let them pass there. A
//! wildcard socket of each family answers on it, for the addresses that are served on port 123.

use super::{Role, Sockets, WILDCARDS, unusable_family};
use crate::engine::report::event::Level;
use crate::sys::group;
use crate::sys::socket::{Sharing, UdpSocket};
use std::io;
use std::net::{IpAddr, SocketAddr};

impl Sockets {
    /// Opens the second port, if there is one. Where it cannot be, the time is served on port 123 all the same.
    pub(super) fn open_second_port(&mut self) {
        for address in self.second_addresses() {
            match UdpSocket::bind(address, Sharing::Alone) {
                Ok(socket) => self.add(socket, address, "wildcard", Role::SecondPort),
                Err(why) => self.second_failed(address, &why),
            }
        }
    }

    /// The same for a main process, the first of these, and its workers.
    pub(super) fn open_second_groups(sets: &mut [Self]) {
        let Some((first, workers)) = sets.split_first().map(|(first, rest)| (first, rest.len() as u32))
        else {
            return;
        };
        for address in first.second_addresses() {
            match group::bind(address, workers) {
                Ok(group) => {
                    for (set, socket) in sets.iter_mut().zip(group) {
                        set.add(socket, address, "wildcard", Role::SecondPort);
                    }
                }
                Err(why) => sets[0].second_failed(address, &why),
            }
        }
    }

    fn second_addresses(&self) -> Vec<SocketAddr> {
        let Some(port) = self.wanted.second_port else { return Vec::new() };
        let of_family = |ip: &IpAddr| if ip.is_ipv4() { self.wanted.v4 } else { self.wanted.v6 };
        WILDCARDS.into_iter().filter(of_family).map(|ip| SocketAddr::new(ip, port)).collect()
    }

    fn second_failed(&mut self, address: SocketAddr, why: &io::Error) {
        if !(address.is_ipv6() && unusable_family(why)) {
            let (ip, port) = (address.ip(), address.port());
            let text = format!(
                "nts port: cannot bind UDP port {port} of {ip}: {why}; clients of NTS are sent there and get no time"
            );
            self.notices.push((Level::Error, text));
        }
    }

    /// Whether requests to this address are answered on the second port: it is served on port 123, too.
    pub(super) fn serves(&self, to: IpAddr) -> bool {
        self.wanted.answers_on_wildcard()
            || self.open.iter().any(|open| open.is_own() && open.ip == to)
            || self.served.as_ref().is_some_and(|served| served.iter().any(|one| one.address == to))
            || self.crowded.contains_key(&to)
    }
}
