//! `interface` and `nic` lines.

use std::net::IpAddr;

/// What an interface rule does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InterfaceAction {
    /// Open it.
    Listen,
    /// Do not open it.
    Ignore,
    /// Open it and drop what arrives.
    Drop,
}

/// What an interface rule matches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum InterfaceMatch {
    /// `all`.
    All,
    /// `ipv4`.
    V4,
    /// `ipv6`.
    V6,
    /// `wildcard`.
    Wildcard,
    /// An interface name.
    Name(String),
    /// An address with prefix length.
    Address(IpAddr, u8),
}

/// One `interface` / `nic` line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InterfaceRule {
    /// What to do.
    pub action: InterfaceAction,
    /// With which.
    pub matches: InterfaceMatch,
}
