//! `tos auth`: what sources without authentication are good for beside authenticated ones.

use super::intersection::{Candidate, Limits, select};
use crate::config::model::AuthSelection;
use crate::engine::sources::{Source, Sources};
use crate::units::AssocId;

/// What is left of the candidates.
#[derive(Debug, Default)]
pub(super) struct Admitted {
    /// Those that may vote. Where authenticated ones decide, they count as right.
    pub(super) candidates: Vec<Candidate>,
    /// Authenticated ones that the others of their kind outvote.
    pub(super) falsetickers: Vec<AssocId>,
}

/// A clock of this machine needs no authentication.
fn is_authentic(source: &Source) -> bool {
    source.is_authenticated() || source.as_reference().is_some()
}

/// The candidates that may vote. With `mixed`, where a source is authenticated: these alone say what the time is, the others
/// count while they agree with it, and while none of these can be selected there is no time (as chrony has it).
pub(super) fn admit(
    candidates: Vec<Candidate>,
    sources: &Sources,
    policy: AuthSelection,
    limits: &Limits,
) -> Admitted {
    let authentic = |c: &Candidate| sources.get(c.id).is_some_and(is_authentic);
    let (trusted, plain): (Vec<Candidate>, Vec<Candidate>) = candidates.iter().copied().partition(authentic);
    let expected = sources.servers().any(Source::is_authenticated);
    match policy {
        AuthSelection::Require => Admitted { candidates: trusted, ..Admitted::default() },
        AuthSelection::Prefer if !trusted.is_empty() => {
            Admitted { candidates: trusted, ..Admitted::default() }
        }
        AuthSelection::Mixed if expected && !plain.is_empty() => {
            let outcome = select(&trusted, &Limits { min_sane: 1, ..*limits });
            let outvoted = |c: &Candidate| outcome.falsetickers.contains(&c.id);
            let right = trusted.iter().filter(|c| !outvoted(c)).map(|c| Candidate { truechimer: true, ..*c });
            let candidates: Vec<Candidate> = right.collect();
            if candidates.is_empty() {
                return Admitted { candidates, falsetickers: outcome.falsetickers };
            }
            Admitted {
                candidates: candidates.into_iter().chain(plain).collect(),
                falsetickers: outcome.falsetickers,
            }
        }
        AuthSelection::Ignore | AuthSelection::Prefer | AuthSelection::Mixed => {
            Admitted { candidates, ..Admitted::default() }
        }
    }
}
