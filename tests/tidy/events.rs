//! Each event that has a row in the table of reports is raised somewhere: what never happens is not described.

use super::paths::facts;
use super::source::{Finding, Source};
use std::collections::BTreeSet;

const EVENTS: &str = "src/engine/report/event.rs";
const ROWS: &str = "src/engine/report/rows.rs";
const PATH: &str = "crate::engine::report::event::Event::";

/// The events that no code outside the table names.
pub fn never_raised(sources: &[Source]) -> Vec<Finding> {
    let raised: BTreeSet<String> = sources
        .iter()
        .filter(|source| source.file.starts_with("src/") && source.file != ROWS)
        .flat_map(|source| {
            let named = facts(source, &[]).paths.into_iter().filter(|path| !source.in_test(path.line));
            named.filter_map(|path| path.name.strip_prefix(PATH).map(str::to_owned)).collect::<Vec<_>>()
        })
        .collect();
    let remedy = "raise it, or remove it with its row";
    let lines = |source: &Source, variant: &syn::Variant| {
        let what = format!("no code raises `{}`", variant.ident);
        source.finding(variant.ident.span().start().line, "event", what, remedy)
    };
    variants(sources)
        .into_iter()
        .filter(|(_, variant)| !raised.contains(&variant.ident.to_string()))
        .map(|(source, variant)| lines(source, variant))
        .collect()
}

/// The variants of the events, with the file they are in.
pub fn variants(sources: &[Source]) -> Vec<(&Source, &syn::Variant)> {
    let files = sources.iter().filter(|source| source.file == EVENTS);
    files
        .flat_map(|source| {
            source.syntax.items.iter().filter_map(move |item| match item {
                syn::Item::Enum(item) if item.ident == "Event" => Some((source, item)),
                _ => None,
            })
        })
        .flat_map(|(source, item)| item.variants.iter().map(move |variant| (source, variant)))
        .collect()
}

#[test]
fn events_that_nothing_raises_are_found() {
    let source = |file: &str, text: &str| Source::parse(file, text).unwrap();
    let sources = [
        source(EVENTS, "pub enum Event { Raised, Described, Tested }"),
        source(ROWS, "use crate::engine::report::event::Event; fn f(e: Event) { Event::Described; }"),
        source(
            "src/engine/mod.rs",
            "use crate::engine::report::event::Event;\nfn f() { g(Event::Raised) }\n\
             #[cfg(test)]\nmod tests {\n    use super::*;\n    fn f() { g(Event::Tested) }\n}\n",
        ),
    ];
    let what: Vec<String> = never_raised(&sources).into_iter().map(|found| found.what).collect();
    assert_eq!(what, ["no code raises `Described`", "no code raises `Tested`"]);
}
