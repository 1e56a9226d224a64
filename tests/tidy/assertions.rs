//! Invariants are asserted: `debug_assert!` with a sentence that says what must hold. Simulation and fuzzing run with them.

use super::source::{Finding, Source};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{Expr, ExprLit, Lit, Token};

/// The macros, and how many arguments stand before the message.
const MACROS: [(&str, usize); 3] = [("debug_assert", 1), ("debug_assert_eq", 2), ("debug_assert_ne", 2)];
/// A message of fewer words is no sentence.
const WORDS: usize = 3;

/// The assertions of a file outside of its tests: the lines where they stand, and those without a sentence.
#[derive(Default)]
pub struct Assertions {
    pub lines: Vec<usize>,
    pub mute: Vec<usize>,
}

struct Visitor<'a> {
    source: &'a Source,
    found: Assertions,
}

impl<'ast> Visit<'ast> for Visitor<'_> {
    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        let line = called.span().start().line;
        let before = MACROS.iter().find(|(name, _)| called.path.is_ident(name)).map(|(_, before)| *before);
        if let Some(before) = before.filter(|_| !self.source.in_test(line)) {
            self.found.lines.push(line);
            let arguments = called.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated);
            let message = arguments.ok().and_then(|all| all.into_iter().nth(before));
            let is_sentence = matches!(
                message,
                Some(Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) if text.value().split(' ').count() >= WORDS
            );
            if !is_sentence {
                self.found.mute.push(line);
            }
        }
        visit::visit_macro(self, called);
    }
}

pub fn assertions(source: &Source) -> Assertions {
    let mut visitor = Visitor { source, found: Assertions::default() };
    visitor.visit_file(&source.syntax);
    visitor.found
}

pub fn check(source: &Source) -> Vec<Finding> {
    let remedy = "say in a sentence what must hold";
    let what = || "a debug_assert without a message".to_owned();
    assertions(source)
        .mute
        .into_iter()
        .map(|line| source.finding(line, "assertions", what(), remedy))
        .collect()
}

#[test]
fn assertions_are_counted_and_must_say_what_holds() {
    let text = "fn f() {\n    debug_assert!(a < b, \"a is less than b: {a}\");\n    debug_assert_eq!(a, b);\n    \
                debug_assert!(a);\n    debug_assert_ne!(a, b, \"they differ\");\n    assert!(a);\n}\n\
                #[cfg(test)]\nmod tests {\n    fn g() { debug_assert!(true); }\n}\n";
    let source = Source::parse("src/engine/a.rs", text).unwrap();
    let found = assertions(&source);
    assert_eq!((found.lines, found.mute), (vec![2, 3, 4, 5], vec![3, 4, 5]));
    assert_eq!(check(&source).len(), 3);
}
