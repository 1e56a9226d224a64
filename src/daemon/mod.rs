//! The shell around the engine: command line, start-up, event loop, files, logging.

pub mod check;
pub mod cli;
pub mod departures;
mod errands;
pub mod event_loop;
pub mod explain;
pub mod files;
pub mod gather;
pub mod leapfile;
pub mod log;
pub mod pace;
pub mod perform;
pub mod print_config;
pub mod reload;
pub mod resolver;
pub mod run;
pub mod saveconfig;
pub mod setup;
pub mod sockets;
pub mod statistics;
pub mod supervisor;
pub mod traffic;
pub mod workers;
