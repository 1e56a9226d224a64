//! The engine from outside: one exchange at a time, what it must do, and what a hostile network must not make it do; and
//! over days in the simulator (`sim`), where it meets jumps, crowds of servers, and worlds that no table names.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on fails
#![allow(unreachable_pub)] // the modules of a test have no other readers

mod among;
mod associations;
mod broadcast;
mod bursts;
mod client;
mod control;
mod deadlines;
mod effects;
mod faults;
mod floods;
mod headers;
mod honesty;
mod interleaved;
mod jumps;
mod kisses;
mod listeners;
mod macs;
mod manycast;
mod names;
mod nts;
mod nts_server;
mod orphans;
mod partners;
mod paths;
mod plan;
mod pools;
mod refclocks;
mod replays;
mod server;
mod simulation;
mod simulator;
mod smear;
mod statistics;
mod vectors;
mod worlds;

// Workbench, partners and networks are shared with tests/holes.
use sim::bench;
