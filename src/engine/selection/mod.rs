//! Which sources are believed (`select.rs`), and what they agree on (`update.rs`).

pub mod select;
mod update;
