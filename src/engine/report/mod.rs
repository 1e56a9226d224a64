//! What the engine reports: events (`event.rs`), which of them are logged (`logconfig.rs`), lines of statistics files
//! (`statistics.rs`).

pub mod event;
pub mod logconfig;
pub(in crate::engine) mod statistics;
