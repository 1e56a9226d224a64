//! The shell around the engine: command line, start-up, event loop, files, logging.

pub mod event_loop;
pub mod files;
pub mod leapfile;
pub mod log;
pub mod net;
pub mod nts;
pub mod perform;
pub mod refclocks;
pub mod reload;
mod rivals;
pub mod sandbox;
pub mod saveconfig;
mod shell_requests;
pub mod start;
pub mod statistics;
pub mod workers;
