//! What holds of any input: the seeds of all fuzz targets, and their like for a moment, on any compiler. `make fuzz` does it for longer.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on fails
#![allow(unreachable_pub)] // the modules of a test have no other readers

mod answer;
mod control;
mod engine;
mod files;
mod query;
mod run;

/// What fuzzing found and what covers most of a target, in the order of `fuzz/seeds/`.
mod seeds {
    use crate::{answer, control, engine, files, query, run};

    #[test]
    fn hold() {
        run::all("answer", answer::hold);
        run::all("control", control::hold);
        run::all("engine", engine::hold);
        run::all("files", files::hold);
        run::all("query", query::hold);
    }
}

/// For some seconds each: `make check-fast` leaves these out.
mod likes {
    use crate::{answer, control, engine, files, query, run};

    #[test]
    fn answer() {
        run::like("answer", answer::hold);
    }

    #[test]
    fn control() {
        run::like("control", control::hold);
    }

    #[test]
    fn engine() {
        run::like("engine", engine::hold);
    }

    #[test]
    fn files() {
        run::like("files", files::hold);
    }

    #[test]
    fn query() {
        run::like("query", query::hold);
    }
}
