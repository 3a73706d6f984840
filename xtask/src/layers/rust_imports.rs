//! Which file of a Rust crate imports which: from its `use` items, and from every path in its code.
//!
//! A name is followed to the file that defines it, through re-exports. A `mod` item, a re-export that the file itself does not use, and tests
//! (`#[cfg(test)]`) are no imports. Calls of methods are not seen: the type's path is.

use std::error::Error;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Item, ItemUse, UseTree, Visibility};

use super::circles::Imports;
use super::rust_modules::{Crate, Segments, Target, attributes, is_test};

/// The imports between the files of the crate whose root is this file.
///
/// # Errors
/// A file that cannot be read or parsed, or a `mod` item without a file.
pub(super) fn of_crate(root: &Path) -> Result<Imports, Box<dyn Error>> {
    let modules = Crate::read(root)?;
    let mut imports = Imports::default();
    for (path, module) in &modules.0 {
        imports.add_file(&module.file);
        let mut visitor = Paths { of: &modules, module: path, file: &module.file, imports: &mut imports };
        module.items.iter().for_each(|item| visitor.visit_item(item));
    }
    Ok(imports)
}

/// Finds the paths in a module's items.
struct Paths<'c> {
    of: &'c Crate,
    module: &'c [String],
    file: &'c Path,
    imports: &'c mut Imports,
}

impl Paths<'_> {
    fn found(&mut self, path: &[String]) {
        if let Some(Target::Item { file, name }) = self.of.follow(self.module, path, 32) {
            self.imports.add(self.file, &file, &name);
        }
    }

    fn used(&mut self, tree: &UseTree, before: &mut Segments) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.used(&path.tree, before);
                before.pop();
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.used(tree, before)),
            UseTree::Glob(_) => self.found(before),
            UseTree::Name(name) => self.found_with(before, name.ident.to_string()),
            UseTree::Rename(name) => self.found_with(before, name.ident.to_string()),
        }
    }

    fn found_with(&mut self, before: &[String], name: String) {
        let path: Segments = before.iter().cloned().chain((name != "self").then_some(name)).collect();
        self.found(&path);
    }

    /// The paths in what a macro is given.
    fn in_tokens(&mut self, tokens: TokenStream) {
        let mut path = Segments::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.found(&std::mem::take(&mut path));
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.found(&std::mem::take(&mut path));
                    colons = 0;
                    self.in_tokens(group.stream());
                }
                _ => {
                    self.found(&std::mem::take(&mut path));
                    colons = 0;
                }
            }
        }
        self.found(&path);
    }
}

impl<'a> Visit<'a> for Paths<'_> {
    fn visit_item(&mut self, item: &'a Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'a ItemUse) {
        // A re-export hands a name on; where the file uses it too, its path is found there.
        if matches!(item.vis, Visibility::Inherited) {
            self.used(&item.tree, &mut Vec::new());
        }
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        let segments: Segments = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.found(&segments);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, found: &'a syn::Macro) {
        self.in_tokens(found.tokens.clone());
        visit::visit_macro(self, found);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The imports of a crate of these files, as `from > to: name` lines.
    fn imports(files: &[(&str, &str)]) -> Vec<String> {
        let folder = std::env::temp_dir().join(format!("xtask-imports-{}-{}", std::process::id(), files.len()));
        let _ = fs::remove_dir_all(&folder);
        for (name, text) in files {
            let file = folder.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let imports = of_crate(&folder.join("lib.rs")).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        imports.shown(&folder)
    }

    #[test]
    fn a_name_is_followed_to_its_file_through_re_exports_aliases_and_globs() {
        let found = imports(&[
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a/mod.rs", "mod inner; pub use inner::Thing; pub fn helper() {}"),
            ("a/inner.rs", "pub struct Thing;"),
            ("b.rs", "use crate::a; pub fn f() -> a::Thing { a::helper(); a::Thing }"),
            ("c.rs", "use super::a::*; use crate::b::f as g; fn x(_: Thing) { g(); }"),
        ]);
        assert_eq!(
            found,
            ["b.rs > a/inner.rs: Thing", "b.rs > a/mod.rs: helper", "c.rs > a/inner.rs: Thing", "c.rs > b.rs: f"]
        );
    }

    #[test]
    fn modules_re_exports_tests_and_other_crates_are_no_imports() {
        let found = imports(&[
            ("lib.rs", "pub mod a; pub mod b; pub use a::A;"),
            ("a.rs", "use std::fmt; pub struct A; #[cfg(test)] mod tests { use crate::b::B; }"),
            ("b.rs", "use serde::Serialize; pub struct B; #[cfg(test)] fn t(_: crate::a::A) {}"),
            ("unread.rs", "not Rust"),
        ]);
        assert_eq!(found, [""; 0]);
    }

    #[test]
    fn paths_in_macros_and_in_inline_modules_count() {
        let found = imports(&[
            (
                "lib.rs",
                "#[path = \"named.rs\"] mod a; mod b { pub mod inline { fn f() { println!(\"{}\", crate::a::NUMBER); } } }",
            ),
            ("named.rs", "pub const NUMBER: u8 = 1;"),
        ]);
        assert_eq!(found, ["lib.rs > named.rs: NUMBER"]);
    }

    #[test]
    fn a_module_without_a_file_is_an_error() {
        assert!(of_crate(Path::new("/nonexistent/lib.rs")).is_err());
    }
}
