//! The address of a host, with the link that it is on.

use std::fmt;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

/// The UDP port of NTP.
pub const NTP_PORT: u16 = 123;

/// An address and, where it is an IPv6 address of one link, that link: `fe80::1` is another host on another link.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Host {
    /// The address.
    pub ip: IpAddr,
    /// The index of the interface that the link is at; 0 for addresses that are the same everywhere.
    pub scope: u32,
}

impl Host {
    /// Whether ntpd 4.2.6 refuses a server with this address: multicast, and 127.0.0.0/8 but for 127.0.0.1 and the clocks'
    /// 127.127.0.0/16.
    #[must_use]
    pub fn is_no_server(&self) -> bool {
        match self.ip {
            IpAddr::V4(v4) => {
                v4.is_multicast() || v4.is_loopback() && !matches!(v4.octets(), [_, 0, 0, 1] | [_, 127, ..])
            }
            IpAddr::V6(v6) => v6.is_multicast(),
        }
    }

    /// The address with a port.
    #[must_use]
    pub const fn at_port(&self, port: u16) -> SocketAddr {
        match self.ip {
            IpAddr::V6(v6) => SocketAddr::V6(SocketAddrV6::new(v6, port, 0, self.scope)),
            IpAddr::V4(_) => SocketAddr::new(self.ip, port),
        }
    }
}

impl From<IpAddr> for Host {
    fn from(ip: IpAddr) -> Self {
        Self { ip, scope: 0 }
    }
}

impl From<SocketAddr> for Host {
    fn from(address: SocketAddr) -> Self {
        let scope = match address {
            SocketAddr::V6(v6) => v6.scope_id(),
            SocketAddr::V4(_) => 0,
        };
        Self { ip: address.ip(), scope }
    }
}

impl fmt::Display for Host {
    /// As ntpd shows it: `fe80::1%2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scope {
            0 => write!(f, "{}", self.ip),
            scope => write!(f, "{}%{scope}", self.ip),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_part_of_the_address() {
        let ip: IpAddr = "fe80::1".parse().unwrap();
        let host = Host { ip, scope: 2 };
        assert_eq!(
            (host.to_string().as_str(), Host::from(ip).to_string().as_str()),
            ("fe80::1%2", "fe80::1")
        );
        assert_eq!(Host::from(host.at_port(123)), host);
        assert_ne!(host, Host { scope: 3, ..host });
        assert_eq!(host.at_port(123).to_string(), "[fe80::1%2]:123");
    }

    #[test]
    fn a8_of_127_8_only_its_first_address_and_the_clocks_are_servers() {
        for (text, refused) in [
            ("127.0.0.1", false),
            ("127.127.1.0", false),
            ("127.0.0.2", true),
            ("127.0.1.1", true),
            ("127.1.0.1", true),
            ("127.255.255.254", true),
            ("224.0.1.1", true),
            ("ff02::101", true),
            ("::1", false),
            ("fe80::1", false),
            ("192.0.2.1", false),
        ] {
            let host = Host::from(text.parse::<IpAddr>().unwrap());
            assert_eq!(host.is_no_server(), refused, "{text}");
        }
    }
}
