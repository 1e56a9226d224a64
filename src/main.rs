//! The rsntpd daemon.

fn main() {}
