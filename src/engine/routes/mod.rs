//! Routes: what needs more than one owner. Each file is one way through the engine, from an input to the outputs.
//!
//! | from | to | file |
//! |---|---|---|
//! | a line of ntp.conf, the addresses of a name | associations | `associations.rs`, `names.rs` |
//! | a response to a pool or to a beacon | an association | `pools.rs` |
//! | a beacon that came to a group of ours | its answer | `manycast.rs` |
//! | a deadline | requests, corrections | `polls.rs`, `clock.rs` |
//! | what the device of a reference clock says | a sample | `refclocks.rs` |
//! | a datagram that is no client's request | a sample | `datagram.rs` |
//! | a request of mode 6 | its answer, and what it changes | `control.rs` |
//! | a packet of a host that no association is with | a new one | `partners.rs`, `listeners.rs` |
//! | keys of NTS, or the need for them | sealed requests, an exchange | `nts.rs` |
//! | a sample | a clock update | `update.rs` |
//! | no source | orphan mode | `orphan.rs` |
//! | what the kernel reports of the clock | new measurements | `clock.rs` |
//! | a new configuration | what differs | `reload.rs` |
//! | an event | the log, statistics files | `reports.rs` |

mod associations;
mod clock;
mod control;
mod datagram;
mod listeners;
mod manycast;
mod names;
mod nts;
mod orphan;
mod partners;
mod polls;
mod pools;
mod refclocks;
mod reload;
mod reports;
mod update;
