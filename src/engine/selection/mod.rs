//! Which sources are right, and what they agree on.
//!
//! | question | file |
//! |---|---|
//! | which sources are fit, which have jumped or run away | `elect.rs` |
//! | which may vote by `tos auth` | `authentication.rs` |
//! | intersection and clustering | `intersection.rs` |
//! | what the survivors agree on | `combine.rs` |
//! | which pulse the clock follows | `pulse.rs` |
//! | which host the others follow that have no source (orphan mode) | `orphan.rs` |

mod authentication;
mod combine;
pub mod elect;
pub mod intersection;
mod orphan;
mod pulse;

pub use combine::combine;
pub use elect::{OurView, elect, is_our_refid, mark, system_peer};
pub use intersection::{Candidate, Limits, Outcome, select};
pub use orphan::parent;
pub use pulse::{Numbered, Trusted};
