//! Rust files as the rules see them: text, comments, tokens, and which lines are tests.

use proc_macro2::{Delimiter, LineColumn, TokenStream, TokenTree};
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

/// A rule that is broken: where, which, what, and what to do about it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Finding {
    pub file: String,
    pub line: usize,
    pub rule: &'static str,
    pub what: String,
    pub remedy: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}; {}", self.file, self.line, self.rule, self.what, self.remedy)
    }
}

/// A Rust file.
pub struct Source {
    /// Path from the top of the repository.
    pub file: String,
    pub text: String,
    pub tokens: TokenStream,
    pub syntax: syn::File,
    /// Lines of `#[cfg(test)]` items, as ranges from first to last; the whole of a test's file.
    tests: Vec<(usize, usize)>,
}

impl Source {
    /// Reads a file's text.
    pub fn parse(file: &str, text: &str) -> Result<Self, Finding> {
        let bad = |line: usize, why: String| Finding {
            file: file.to_owned(),
            line,
            rule: "syntax",
            what: why,
            remedy: "make it compile".to_owned(),
        };
        let tokens: TokenStream =
            text.parse().map_err(|e: proc_macro2::LexError| bad(e.span().start().line, e.to_string()))?;
        let syntax: syn::File =
            syn::parse2(tokens.clone()).map_err(|e| bad(e.span().start().line, e.to_string()))?;
        let mut tests = TestItems::default();
        tests.visit_file(&syntax);
        let mut source =
            Self { file: file.to_owned(), text: text.to_owned(), tokens, syntax, tests: tests.ranges };
        if !file.starts_with("src/") {
            source.is_a_test();
        }
        Ok(source)
    }

    /// Takes the whole file for a test: it is the body of a `#[cfg(test)] mod name;`.
    pub fn is_a_test(&mut self) {
        self.tests = vec![(1, usize::MAX)];
    }

    /// Whether the line belongs to a test.
    pub fn in_test(&self, line: usize) -> bool {
        self.tests.iter().any(|(first, last)| (*first..=*last).contains(&line))
    }

    /// `src/engine/clock/mod.rs` is the module `engine::clock`; lib and the programs are roots.
    pub fn module(&self) -> Vec<String> {
        let inner = self.file.strip_prefix("src/").unwrap_or("").trim_end_matches(".rs");
        let inner = inner.strip_suffix("/mod").unwrap_or(inner);
        let root = ["", "lib", "main", "mod"].contains(&inner) || inner.starts_with("bin/");
        if root { Vec::new() } else { inner.split('/').map(str::to_owned).collect() }
    }

    /// Modules declared here as files of their own: name, and whether for tests only.
    pub fn child_files(&self) -> Vec<(String, bool)> {
        let mods = self.syntax.items.iter().filter_map(|item| match item {
            syn::Item::Mod(m) if m.content.is_none() => Some((m.ident.to_string(), is_test(&m.attrs))),
            _ => None,
        });
        mods.collect()
    }

    pub fn finding(&self, line: usize, rule: &'static str, what: String, remedy: &str) -> Finding {
        Finding { file: self.file.clone(), line, rule, what, remedy: remedy.to_owned() }
    }

    /// What is not code, line by line: comments, documentation among them, and white space.
    pub fn comments(&self) -> Vec<String> {
        let mut lines: Vec<Vec<char>> = self.text.lines().map(|l| l.chars().collect()).collect();
        for (start, end) in leaves(&self.text, self.tokens.clone()) {
            for line in start.line..=end.line {
                let Some(chars) = lines.get_mut(line - 1) else { continue };
                let from = if line == start.line { start.column } else { 0 };
                let to = if line == end.line { end.column } else { chars.len() };
                let to = to.min(chars.len());
                chars[from.min(to)..to].fill(' ');
            }
        }
        lines.into_iter().map(|l| l.into_iter().collect()).collect()
    }

    /// Numbers of the lines that hold code, tests left out.
    pub fn code_lines(&self) -> BTreeSet<usize> {
        leaves(&self.text, self.tokens.clone())
            .into_iter()
            .flat_map(|(start, end)| start.line..=end.line)
            .filter(|line| !self.in_test(*line) || !self.file.starts_with("src/"))
            .collect()
    }
}

/// Where each token begins and ends; documentation comments, which are tokens too, are left out.
fn leaves(text: &str, tokens: TokenStream) -> Vec<(LineColumn, LineColumn)> {
    let lines: Vec<Vec<char>> = text.lines().map(|l| l.chars().collect()).collect();
    let is_comment = |at: LineColumn| {
        lines.get(at.line - 1).and_then(|l| l.get(at.column..at.column + 2)) == Some(&['/', '/'])
            || lines.get(at.line - 1).and_then(|l| l.get(at.column..at.column + 2)) == Some(&['/', '*'])
    };
    let mut found = Vec::new();
    let mut todo = vec![tokens];
    while let Some(stream) = todo.pop() {
        for token in stream {
            let (start, end) = (token.span().start(), token.span().end());
            match token {
                // The lexer turns a comment into `#[doc = …]`, all with the comment's own span.
                _ if is_comment(start) => {}
                TokenTree::Group(group) => {
                    if group.delimiter() != Delimiter::None {
                        found.push((group.span_open().start(), group.span_open().end()));
                        found.push((group.span_close().start(), group.span_close().end()));
                    }
                    todo.push(group.stream());
                }
                _ => found.push((start, end)),
            }
        }
    }
    found
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|a| {
        a.path().is_ident("cfg")
            && a.parse_args::<syn::Path>().is_ok_and(|condition| condition.is_ident("test"))
    })
}

#[derive(Default)]
struct TestItems {
    ranges: Vec<(usize, usize)>,
}

impl TestItems {
    fn note(&mut self, attributes: &[syn::Attribute], item: proc_macro2::Span) {
        if is_test(attributes) {
            self.ranges.push((item.start().line, item.end().line));
        }
    }
}

impl<'ast> Visit<'ast> for TestItems {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes = match item {
            syn::Item::Const(i) => &i.attrs,
            syn::Item::Enum(i) => &i.attrs,
            syn::Item::Fn(i) => &i.attrs,
            syn::Item::Impl(i) => &i.attrs,
            syn::Item::Mod(i) => &i.attrs,
            syn::Item::Struct(i) => &i.attrs,
            syn::Item::Use(i) => &i.attrs,
            _ => &Vec::new(),
        };
        self.note(attributes, item.span());
        visit::visit_item(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.note(&item.attrs, item.span());
        visit::visit_impl_item_fn(self, item);
    }
}

/// All files under these folders of the repository, sorted; build products are passed over.
pub fn files_under(top: &Path, folders: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut todo: Vec<_> = folders.iter().map(|f| top.join(f)).collect();
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            let skipped = path.file_name().is_some_and(|n| n == "target");
            let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
            todo.extend(entries.map(|e| e.path()).filter(|_| !skipped));
        } else if path.is_file() {
            found.push(path.strip_prefix(top).unwrap().to_string_lossy().into_owned());
        }
    }
    found.sort();
    found
}

/// Parses the Rust files among `files`; bodies of `#[cfg(test)] mod name;` are known as tests.
pub fn parse_all(top: &Path, files: &[String]) -> Result<Vec<Source>, Finding> {
    let rust = files.iter().filter(|f| f.ends_with(".rs"));
    let mut sources: Vec<Source> = rust
        .map(|f| Source::parse(f, &std::fs::read_to_string(top.join(f)).unwrap()))
        .collect::<Result<_, _>>()?;
    mark_test_files(&mut sources);
    Ok(sources)
}

fn mark_test_files(sources: &mut [Source]) {
    let mut tests: Vec<Vec<String>> = Vec::new();
    for source in sources.iter().filter(|s| s.file.starts_with("src/")) {
        for (name, _) in source.child_files().into_iter().filter(|(_, test)| *test) {
            let mut module = source.module();
            module.push(name);
            tests.push(module);
        }
    }
    for source in sources.iter_mut().filter(|s| s.file.starts_with("src/")) {
        let module = source.module();
        if tests.iter().any(|t| module.starts_with(t)) {
            source.is_a_test();
        }
    }
}

#[test]
fn comments_and_code_are_told_apart() {
    let text = "//! top\n/// doc\nfn f() { // tail é\n    let s = \"// no\n comment\"; /* in\n side */\n}\n";
    let source = Source::parse("src/x.rs", text).unwrap();
    let comments: Vec<String> = source.comments().iter().map(|l| l.trim().to_owned()).collect();
    assert_eq!(comments, ["//! top", "/// doc", "// tail é", "", "/* in", "side */", ""]);
    assert_eq!(source.code_lines().into_iter().collect::<Vec<_>>(), [3, 4, 5, 7]);
}

#[test]
fn tests_are_no_code() {
    let text = "fn f() {}\n#[cfg(test)]\nmod tests {\n    fn g() {}\n}\nimpl S {\n    #[cfg(test)]\n    fn h() {}\n}\n";
    let source = Source::parse("src/x.rs", text).unwrap();
    assert_eq!(source.code_lines().into_iter().collect::<Vec<_>>(), [1, 6, 9]);
    let mut sources = [
        Source::parse("src/a/mod.rs", "#[cfg(test)]\nmod check;\nmod real;\n").unwrap(),
        Source::parse("src/a/check.rs", "fn f() {}\n").unwrap(),
        Source::parse("src/a/real.rs", "fn f() {}\n").unwrap(),
    ];
    mark_test_files(&mut sources);
    assert_eq!(sources.each_ref().map(|s| s.in_test(3)), [false, true, false]);
}

#[test]
fn what_does_not_parse_is_told() {
    let found = Source::parse("src/x.rs", "fn f() {}\nfn {}\n").err().unwrap();
    assert_eq!((found.line, found.rule), (2, "syntax"));
}
