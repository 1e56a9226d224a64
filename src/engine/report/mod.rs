//! What the engine reports: events (`event.rs`), what is reported of each (`rows.rs`), which are logged
//! (`logconfig.rs`), lines of statistics files (`statistics.rs`).

pub mod event;
pub mod logconfig;
pub mod rows;
pub mod statistics;
