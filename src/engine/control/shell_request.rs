//! What a control request needs of the shell before it can be answered: counters that only the shell
//! and the kernel have, a configuration text to be parsed, a file to be written.
//!
//! The engine parks the request, asks with [`crate::engine::contract::Output::ShellRequest`], and answers when
//! [`crate::engine::contract::Input::Returned`] comes. Only what a request needs is read.

use crate::engine::contract::Setup;
use crate::units::KernelClock;
use std::net::IpAddr;

/// Names a shell request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ShellRequestId(pub u64);

/// What the shell is to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ShellRequest {
    /// Read the counters of the kernel and of the shell.
    Survey,
    /// Take a configuration text in on top of the configuration in force. Its sender has shown the
    /// control key.
    Configure {
        /// The text, at most a datagram.
        text: Vec<u8>,
        /// Who sent it, for the log.
        from: IpAddr,
    },
    /// Write the configuration in force to a new file in `saveconfigdir`.
    Save {
        /// The file's name as asked for, with `strftime` conversions.
        name: Vec<u8>,
        /// Who asked, for the log.
        from: IpAddr,
    },
}

/// What a shell request brought.
#[derive(Debug)]
pub enum Brought {
    /// The counters.
    Survey(Box<Survey>),
    /// What became of a configuration text.
    Configured {
        /// For the sender: `Config Succeeded`, or what is wrong.
        reply: String,
        /// The new configuration, if anything took effect.
        setup: Option<Box<Setup>>,
    },
    /// What became of a file.
    Saved {
        /// For the sender.
        reply: String,
        /// The file's name, if it was written (the variable `savedconfig`).
        file: Option<String>,
    },
}

/// Counters of the shell and the kernel at one moment.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Survey {
    /// The kernel's clock, where it can be read.
    pub kernel: Option<KernelClock>,
    /// All sockets together.
    pub traffic: Traffic,
    /// Each socket.
    pub endpoints: Vec<Endpoint>,
}

/// Datagrams since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Traffic {
    /// Received.
    pub received: u64,
    /// Received and dropped before they were looked at: too long.
    pub dropped: u64,
    /// Received and not meant for us: broadcasts, addresses that are not served.
    pub ignored: u64,
    /// Sent.
    pub sent: u64,
    /// Not sent: the kernel refused.
    pub not_sent: u64,
    /// Times that the loop woke.
    pub wakeups: u64,
    /// Times of them with a datagram.
    pub useful_wakeups: u64,
}

/// One socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint {
    /// The interface's name.
    pub name: String,
    /// Its address; unspecified for a wildcard socket.
    pub address: IpAddr,
    /// Whether what arrives is looked at.
    pub serves: bool,
    /// Datagrams received.
    pub received: u64,
    /// Datagrams sent.
    pub sent: u64,
    /// Datagrams not sent.
    pub not_sent: u64,
    /// Seconds since it was opened.
    pub uptime: u64,
}
