//! The shell around the engine: command line, start-up, event loop, files, logging.

pub mod check;
mod errands;
pub mod event_loop;
pub mod explain;
pub mod files;
pub mod leapfile;
pub mod log;
pub mod net;
pub mod perform;
pub mod print_config;
pub mod reload;
pub mod saveconfig;
pub mod start;
pub mod statistics;
pub mod workers;
