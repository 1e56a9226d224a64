//! `docs/architecture.md` names real files and real functions, or it misleads.
//!
//! In code spans, `src/…`, `tests/…` and the like are paths, and `name()` or `Type::name()` is a
//! function of the Rust file that was named before it in the same line.

use super::source::{Finding, Source};
use std::collections::BTreeSet;
use syn::visit::{self, Visit};

/// Folders whose files the page may name.
const FOLDERS: [&str; 5] = ["src/", "tests/", "benches/", "docs/", "conf/"];

/// What a page refers to, and what of it is wrong.
#[derive(Default)]
pub struct Checked {
    pub paths: BTreeSet<String>,
    pub functions: usize,
    pub found: Vec<Finding>,
}

/// Checks a page; `exists` tells whether there is a file or folder of that path.
pub fn check(page: &str, text: &str, sources: &[Source], exists: &dyn Fn(&str) -> bool) -> Checked {
    let mut checked = Checked::default();
    let mut wrong = |line: usize, what: String, remedy: &str| {
        let (file, remedy) = (page.to_owned(), remedy.to_owned());
        checked.found.push(Finding { file, line, rule: "map", what, remedy });
    };
    let mut paths = BTreeSet::new();
    let mut functions = 0;
    for (line, number) in text.lines().zip(1..) {
        let mut file = None;
        for span in line.split('`').skip(1).step_by(2) {
            if FOLDERS.iter().any(|folder| span.starts_with(folder)) {
                if !exists(span) {
                    wrong(number, format!("there is no {span}"), "name the file that there is");
                }
                file = sources.iter().find(|s| s.file == span).or(file);
                paths.insert(span.trim_end_matches('/').to_owned());
            } else if let Some(name) = span.strip_suffix("()") {
                functions += 1;
                match file {
                    None => wrong(
                        number,
                        format!("{span} without its file"),
                        "name the file before it, in the same line",
                    ),
                    Some(source) if !functions_of(source).contains(name) => {
                        let what = format!("{} has no function {name}", source.file);
                        wrong(number, what, "name the function that does it now");
                    }
                    Some(_) => {}
                }
            }
        }
    }
    Checked { paths, functions, ..checked }
}

/// The functions of a file: `name`, and `Type::name` for those of a type or trait.
fn functions_of(source: &Source) -> BTreeSet<String> {
    let mut functions = Functions::default();
    functions.visit_file(&source.syntax);
    functions.names
}

#[derive(Default)]
struct Functions {
    owner: Option<String>,
    names: BTreeSet<String>,
}

impl Functions {
    fn add(&mut self, name: &syn::Ident) {
        if let Some(owner) = &self.owner {
            self.names.insert(format!("{owner}::{name}"));
        }
        self.names.insert(name.to_string());
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.add(&item.sig.ident);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if let syn::Type::Path(path) = &*item.self_ty {
            self.owner = path.path.segments.last().map(|s| s.ident.to_string());
        }
        visit::visit_item_impl(self, item);
        self.owner = None;
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.add(&item.sig.ident);
    }
}

/// Folders of `src/` that the page does not name.
pub fn unmapped(checked: &Checked, folders: &BTreeSet<String>) -> Vec<String> {
    folders.iter().filter(|f| !checked.paths.contains(*f)).cloned().collect()
}

#[test]
fn wrong_references_are_told() {
    let text = "struct S;\nimpl S { pub fn go(&self) {} }\nfn alone() {}\n";
    let sources = [Source::parse("src/engine/a.rs", text).unwrap()];
    let exists = |path: &str| ["src/engine/a.rs", "src/engine/"].contains(&path);
    let of = |page: &str| {
        check("docs/x.md", page, &sources, &exists)
            .found
            .into_iter()
            .map(|f| f.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(of("`src/engine/a.rs` has `S::go()`, `go()` and `alone()`, in `src/engine/`.\n"), [""; 0]);
    assert_eq!(
        of("\n`src/engine/b.rs`"),
        ["docs/x.md:2: map: there is no src/engine/b.rs; name the file that there is"]
    );
    assert_eq!(of("`src/engine/a.rs`: `T::go()`").len(), 1);
    assert_eq!(of("`src/engine/a.rs`: `gone()`").len(), 1);
    assert_eq!(of("`src/engine/a.rs`\n`alone()`").len(), 1);
    let checked = check("docs/x.md", "`src/engine/` `alone()`", &sources, &exists);
    assert_eq!(checked.functions, 1);
    let folders = ["src/engine", "src/wire"].map(str::to_owned).into();
    assert_eq!(unmapped(&checked, &folders), ["src/wire"]);
}
