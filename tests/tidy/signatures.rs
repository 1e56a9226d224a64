//! What a call says of its arguments: no `bool` where an enum names the cases, no tuple where a struct names the parts.

use super::source::{Finding, Source};
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

/// Finds parameters of functions in `src/` that say nothing at the call: `bool`, and tuples, also by reference. Those of tests
/// and closures are seen by few.
pub fn check(source: &Source) -> Vec<Finding> {
    let mut signatures = Signatures { source, found: Vec::new() };
    signatures.visit_file(&source.syntax);
    signatures.found
}

struct Signatures<'s> {
    source: &'s Source,
    found: Vec<Finding>,
}

impl<'ast> Visit<'ast> for Signatures<'_> {
    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        for input in &signature.inputs {
            let syn::FnArg::Typed(parameter) = input else { continue };
            let line = parameter.ty.span().start().line;
            let (what, remedy) = match bare(&parameter.ty) {
                syn::Type::Path(path) if path.path.is_ident("bool") => {
                    ("a bool", "an enum that names the cases")
                }
                syn::Type::Tuple(tuple) if !tuple.elems.is_empty() => {
                    ("a tuple", "a struct that names the parts")
                }
                _ => continue,
            };
            if !self.source.in_test(line) {
                let what = format!("`{}` takes {what}", signature.ident);
                self.found.push(self.source.finding(line, "signature", what, &format!("make it {remedy}")));
            }
        }
        visit::visit_signature(self, signature);
    }
}

/// A type without its references.
fn bare(ty: &syn::Type) -> &syn::Type {
    match ty {
        syn::Type::Reference(reference) => bare(&reference.elem),
        syn::Type::Paren(paren) => bare(&paren.elem),
        other => other,
    }
}

#[test]
fn bools_and_tuples_are_found() {
    let of = |text: &str| {
        let found = check(&Source::parse("src/a.rs", text).unwrap());
        found.iter().map(|f| format!("{} {}", f.line, f.what)).collect::<Vec<_>>()
    };
    let none: [String; 0] = [];
    assert_eq!(of("fn f(a: bool) {}"), ["1 `f` takes a bool"]);
    assert_eq!(of("trait T {\n fn g(&self, a: &mut bool); }"), ["2 `g` takes a bool"]);
    assert_eq!(of("impl A { fn h(&self, (a, b): (u8, u8), c: &(u8, u8)) {} }").len(), 2);
    assert_eq!(of("fn f(a: Option<bool>, b: &[(u8, u8)], c: impl Fn(bool), d: ()) -> bool { true }"), none);
    assert_eq!(of("#[cfg(test)]\nmod tests { fn f(a: bool) {} }"), none);
}
