//! ntp.conf and the keys file: text to a checked [`model::Config`] with diagnostics.

pub mod model;
