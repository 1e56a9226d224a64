//! The shell around the engine: command line, start-up, event loop, files, logging.

pub mod cli;
pub mod files;
pub mod log;
pub mod resolver;
