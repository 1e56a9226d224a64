//! Every path that a file names, made absolute: `use` trees and aliases, `super`, macro arguments.
//!
//! It works on tokens, so nothing inside a macro escapes it; strings and comments are no tokens.

use super::source::Source;
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};

/// A name with its line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    pub name: String,
    pub line: usize,
}

/// What a file names.
#[derive(Default)]
pub struct Facts {
    /// Absolute: `crate::engine::selection::select`, `std::fs::File`, `nom::Parser`; a glob ends with `*`.
    pub paths: Vec<Seen>,
    /// Macros that are called, by their last name.
    pub macros: Vec<Seen>,
    /// Methods and fields: what stands behind a dot.
    pub members: Vec<Seen>,
    /// `static` items.
    pub statics: Vec<usize>,
    /// `unsafe`, and whether it opens a block.
    pub unsafes: Vec<(usize, bool)>,
    /// Functions: name, first and last line.
    pub functions: Vec<(String, usize, usize)>,
}

/// A path as written, with the module it is written in.
struct Raw {
    segments: Vec<String>,
    module: Vec<String>,
    line: usize,
    /// In a `use`: a single name can then be a crate.
    import: bool,
}

#[derive(Default)]
struct Scan {
    facts: Facts,
    raw: Vec<Raw>,
    /// `use` imports: the name they give, and the path behind it.
    imports: Vec<(String, usize)>,
    children: BTreeSet<(Vec<String>, String)>,
}

/// Reads a file; `crates` are the external ones that a path can begin with.
pub fn facts(source: &Source, crates: &[String]) -> Facts {
    let mut scan = Scan::default();
    scan.stream(source.tokens.clone(), &source.module());
    scan.resolve(crates)
}

fn ident(token: Option<&TokenTree>) -> Option<String> {
    match token {
        Some(TokenTree::Ident(i)) => Some(i.to_string().trim_start_matches("r#").to_owned()),
        _ => None,
    }
}

fn punct(token: Option<&TokenTree>, c: char) -> bool {
    matches!(token, Some(TokenTree::Punct(p)) if p.as_char() == c)
}

fn group(token: Option<&TokenTree>, delimiter: Delimiter) -> Option<&Group> {
    match token {
        Some(TokenTree::Group(g)) if g.delimiter() == delimiter => Some(g),
        _ => None,
    }
}

fn is_path_separator(tokens: &[TokenTree], at: usize) -> bool {
    punct(tokens.get(at), ':') && punct(tokens.get(at + 1), ':')
}

impl Scan {
    fn stream(&mut self, stream: TokenStream, module: &[String]) {
        let tokens: Vec<TokenTree> = stream.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            at = self.token(&tokens, at, module);
        }
    }

    /// Looks at the token at `at`; gives where to go on.
    fn token(&mut self, tokens: &[TokenTree], at: usize, module: &[String]) -> usize {
        if let TokenTree::Group(g) = &tokens[at] {
            self.stream(g.stream(), module);
            return at + 1;
        }
        let Some(word) = ident(tokens.get(at)) else { return at + 1 };
        let line = tokens[at].span().start().line;
        let before = at.checked_sub(1).map(|i| &tokens[i]);
        match word.as_str() {
            "use" if !punct(tokens.get(at + 1), '<') => return self.import(tokens, at + 1, module),
            "mod" => return self.inner_module(tokens, at, module),
            "static" if !punct(before, '\'') => self.facts.statics.push(line),
            "unsafe" => {
                self.facts.unsafes.push((line, group(tokens.get(at + 1), Delimiter::Brace).is_some()));
            }
            "fn" => self.function(tokens, at, line),
            _ if punct(before, '.') => self.facts.members.push(Seen { name: word, line }),
            _ => return self.path(tokens, at, module),
        }
        at + 1
    }

    fn inner_module(&mut self, tokens: &[TokenTree], at: usize, module: &[String]) -> usize {
        let Some(name) = ident(tokens.get(at + 1)) else { return at + 1 };
        self.children.insert((module.to_vec(), name.clone()));
        let Some(body) = group(tokens.get(at + 2), Delimiter::Brace) else { return at + 2 };
        self.stream(body.stream(), &[module, &[name]].concat());
        at + 3
    }

    fn function(&mut self, tokens: &[TokenTree], at: usize, line: usize) {
        let Some(name) = ident(tokens.get(at + 1)) else { return };
        for token in &tokens[at + 2..] {
            if punct(Some(token), ';') {
                return;
            }
            if let Some(body) = group(Some(token), Delimiter::Brace) {
                self.facts.functions.push((name, line, body.span_close().end().line));
                return;
            }
        }
    }

    /// A path outside of `use`: as many `name::name` as there are.
    fn path(&mut self, tokens: &[TokenTree], mut at: usize, module: &[String]) -> usize {
        let line = tokens[at].span().start().line;
        let mut segments = Vec::new();
        while let Some(segment) = ident(tokens.get(at)) {
            segments.push(segment);
            at += 1;
            if !is_path_separator(tokens, at) || ident(tokens.get(at + 2)).is_none() {
                break;
            }
            at += 2;
        }
        if punct(tokens.get(at), '!') && matches!(tokens.get(at + 1), Some(TokenTree::Group(_))) {
            let name = segments.last().cloned().unwrap_or_default();
            self.facts.macros.push(Seen { name, line });
        }
        if is_path_separator(tokens, at) && group(tokens.get(at + 2), Delimiter::Brace).is_some() {
            // `use` inside a macro's argument whose keyword the macro ate.
            return self.tree(tokens, at - 1, module, segments[..segments.len() - 1].to_vec());
        }
        self.raw.push(Raw { segments, module: module.to_vec(), line, import: false });
        at
    }

    fn import(&mut self, tokens: &[TokenTree], at: usize, module: &[String]) -> usize {
        let at = if is_path_separator(tokens, at) { at + 2 } else { at };
        self.tree(tokens, at, module, Vec::new())
    }

    /// One tree of a `use` behind `prefix`; gives where it ends.
    fn tree(&mut self, tokens: &[TokenTree], mut at: usize, module: &[String], prefix: Vec<String>) -> usize {
        let mut segments = prefix;
        loop {
            let line = tokens.get(at).map_or(0, |t| t.span().start().line);
            if let Some(list) = group(tokens.get(at), Delimiter::Brace) {
                let inner: Vec<TokenTree> = list.stream().into_iter().collect();
                let mut next = 0;
                while next < inner.len() {
                    next = self.tree(&inner, next, module, segments.clone()) + 1;
                }
                return at + 1;
            }
            if punct(tokens.get(at), '*') {
                segments.push("*".to_owned());
                self.raw.push(Raw { segments, module: module.to_vec(), line, import: true });
                return at + 1;
            }
            let Some(segment) = ident(tokens.get(at)) else { return at + 1 };
            // `a::{self}` is `a`.
            if segment != "self" || segments.is_empty() {
                segments.push(segment);
            }
            at += 1;
            if is_path_separator(tokens, at) {
                at += 2;
                continue;
            }
            let mut name = segments.last().cloned().unwrap_or_default();
            if ident(tokens.get(at)).as_deref() == Some("as") {
                name = ident(tokens.get(at + 1)).unwrap_or_default();
                at += 2;
            }
            self.imports.push((name, self.raw.len()));
            self.raw.push(Raw { segments, module: module.to_vec(), line, import: true });
            return at;
        }
    }

    fn resolve(mut self, crates: &[String]) -> Facts {
        let mut aliases: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
        for (name, index) in &self.imports {
            let path = absolute(&self.raw[*index], crates, &self.children);
            aliases.entry(name.clone()).or_default().extend(path);
        }
        for raw in &self.raw {
            let line = raw.line;
            let mut add = |path: Vec<String>| self.facts.paths.push(Seen { name: path.join("::"), line });
            match aliases.get(&raw.segments[0]) {
                Some(targets) if !raw.import => {
                    targets.iter().for_each(|t| add([t, &raw.segments[1..]].concat()));
                }
                _ => absolute(raw, crates, &self.children).into_iter().for_each(add),
            }
        }
        self.facts
    }
}

/// The path from the crate's root, or beginning with the external crate's name; `None` for a name
/// that is neither: a local item.
fn absolute(raw: &Raw, crates: &[String], children: &BTreeSet<(Vec<String>, String)>) -> Option<Vec<String>> {
    let first = raw.segments[0].as_str();
    let mut module = raw.module.clone();
    let mut rest = &raw.segments[1..];
    match first {
        "crate" | "rsntpd" => module.clear(),
        "self" => {}
        "super" => {
            module.pop();
            while rest.first().is_some_and(|s| s == "super") {
                module.pop();
                rest = &rest[1..];
            }
        }
        _ if children.contains(&(module.clone(), first.to_owned())) => rest = &raw.segments,
        // A local variable may be called like a crate.
        _ if raw.segments.len() == 1 && !raw.import => return None,
        "std" | "core" | "alloc" => return Some([&["std".to_owned()], rest].concat()),
        _ if crates.iter().any(|c| c == first) => return Some(raw.segments.clone()),
        _ => return None,
    }
    Some([&["crate".to_owned()], &module[..], rest].concat())
}

#[cfg(test)]
fn paths_of(text: &str) -> Vec<String> {
    let source = Source::parse("src/engine/a.rs", text).unwrap();
    facts(&source, &["nom".to_owned()]).paths.into_iter().map(|s| s.name).collect()
}

#[test]
fn paths_become_absolute() {
    let of = |text: &str| paths_of(text).join(" ");
    assert_eq!(
        of("use crate::{wire::{self, Header as H}, daemon::*};"),
        "crate::wire crate::wire::Header crate::daemon::*"
    );
    assert_eq!(of("use super::super::sys;"), "crate::sys");
    assert_eq!(of("mod b; use b::c; use self::b::d;"), "crate::engine::a::b::c crate::engine::a::b::d");
    assert_eq!(of("fn f() { use ::std::{io, fs::File}; }"), "std::io std::fs::File");
    assert_eq!(of("use std::time as t; fn f() { t::Instant::now(); }"), "std::time std::time::Instant::now");
    assert_eq!(of("mod tests { use super::super::x; }"), "crate::engine::x");
    assert_eq!(
        of("fn f() { assert!(g(nom::error::E), \"{}\", core::mem::size_of::<u8>()); }"),
        "nom::error::E std::mem::size_of"
    );
    assert_eq!(of("/// std::fs\nfn f(nom: u8) -> Local { \"crate::daemon\"; x.nom; nom }"), "");
}

#[test]
fn other_facts_are_seen() {
    let text =
        "static A: &'static str = \"\";\nfn f() {\n    x.exists(); println!(\"{}\", unsafe { 1 });\n}\n";
    let facts = facts(&Source::parse("src/engine/a.rs", text).unwrap(), &[]);
    assert_eq!(facts.statics, [1]);
    assert_eq!(facts.unsafes, [(3, true)]);
    assert_eq!(facts.members, [Seen { name: "exists".to_owned(), line: 3 }]);
    assert_eq!(facts.macros, [Seen { name: "println".to_owned(), line: 3 }]);
    assert_eq!(facts.functions, [("f".to_owned(), 2, 4)]);
}
