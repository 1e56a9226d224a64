//! Statistics files: `statistics`, `statsdir` and `filegen`.

use std::path::PathBuf;

/// What statistics are written and where.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Statistics {
    /// `statsdir`, a prefix.
    pub dir: Option<PathBuf>,
    /// One per kind that `statistics` or `filegen` names.
    pub filegens: Vec<Filegen>,
}

/// A kind of statistics.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StatKind {
    /// `clockstats`.
    Clock,
    /// `cryptostats`.
    Crypto,
    /// `loopstats`.
    Loop,
    /// `peerstats`.
    Peer,
    /// `protostats`.
    Proto,
    /// `rawstats`.
    Raw,
    /// `sysstats`.
    Sys,
    /// `ntsstats`.
    Nts,
    /// `ntskestats`.
    NtsKe,
    /// `timingstats`.
    Timing,
}

/// How often a statistics file starts anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FilegenType {
    /// One file.
    None,
    /// One file a process.
    Pid,
    /// One file a day (the default).
    #[default]
    Day,
    /// One file a week.
    Week,
    /// One file a month.
    Month,
    /// One file a year.
    Year,
    /// One file a day of running.
    Age,
}

/// One statistics file set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Filegen {
    /// What it holds.
    pub kind: StatKind,
    /// `file`.
    pub file: String,
    /// `type`.
    pub rotation: FilegenType,
    /// `link`.
    pub link: bool,
    /// Whether it is written.
    pub enabled: bool,
}
