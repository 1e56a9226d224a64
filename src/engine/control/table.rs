//! Tables of variables: one row a name. The requested ones are sent in the order of the table,
//! each once, as with ntpd: repeating a name makes no longer response.

use crate::engine::control::shell_request::Survey;
use crate::engine::control::text;
use crate::engine::control::{Control, View};
use crate::wire::control::ControlError;

/// What the system variables are read from.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) view: &'a View<'a>,
    pub(super) control: &'a Control,
    /// Read when a requested variable needs it.
    pub(super) survey: Option<&'a Survey>,
    /// Whether the asker is shown what the daemon and the machine are.
    pub(super) discloses: bool,
}

/// A variable. Its value is `None` where there is nothing to show now.
pub(super) struct Row<F: 'static> {
    pub(super) name: &'static str,
    pub(super) value: F,
    /// Whether the shell must be asked first.
    pub(super) survey: bool,
}

impl<F> Row<F> {
    pub(super) const fn new(name: &'static str, value: F) -> Self {
        Self { name, value, survey: false }
    }

    pub(super) const fn surveyed(name: &'static str, value: F) -> Self {
        Self { name, value, survey: true }
    }
}

/// A variable of the system.
pub(super) type SystemRow = Row<fn(&Scene<'_>) -> Option<String>>;

/// A variable that the configuration made, and whether it is shown without being asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Extra {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) shown: bool,
}

/// What a request asks for.
pub(super) struct Chosen<'t, F: 'static> {
    pub(super) rows: Vec<&'t Row<F>>,
    pub(super) extras: Vec<Extra>,
}

/// The variables that `data` names; those of `shown`, in that order, where it names none.
///
/// # Errors
/// [`ControlError::Variable`] for a name that there is not.
pub(super) fn choose<'t, F>(
    tables: &'t [&'t [Row<F>]],
    shown: &[&str],
    extras: Vec<Extra>,
    data: &[u8],
) -> Result<Chosen<'t, F>, ControlError> {
    let wanted = text::items(data)?;
    let all = || tables.iter().flat_map(|table| table.iter());
    if wanted.is_empty() {
        let rows = shown.iter().filter_map(|name| all().find(|row| row.name == *name)).collect();
        return Ok(Chosen { rows, extras: extras.into_iter().filter(|e| e.shown).collect() });
    }
    let is_wanted = |name: &str| wanted.iter().any(|(other, _)| other == name);
    let rows: Vec<_> = all().filter(|row| is_wanted(row.name)).collect();
    // A name that the daemon has itself is not hidden by one of the configuration.
    let extras: Vec<_> = extras
        .into_iter()
        .filter(|e| is_wanted(&e.name) && rows.iter().all(|row| row.name != e.name))
        .collect();
    let known = |name: &str| rows.iter().any(|r| r.name == name) || extras.iter().any(|e| e.name == name);
    if wanted.iter().all(|(name, _)| known(name)) {
        Ok(Chosen { rows, extras })
    } else {
        Err(ControlError::Variable)
    }
}

/// `name="a,b,c"` as far as it fits into a datagram.
pub(super) fn names<'n>(names: impl Iterator<Item = &'n str>) -> String {
    const ROOM: usize = 440;
    let mut list = String::new();
    for name in names {
        if list.len() + name.len() >= ROOM {
            break;
        }
        if !list.is_empty() {
            list.push(',');
        }
        list.push_str(name);
    }
    text::quoted(&list)
}
