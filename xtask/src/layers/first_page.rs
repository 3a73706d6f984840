//! What the documentation of a library begins with, and whether it has examples.

use std::error::Error;
use std::path::Path;

use syn::{Attribute, Item, Visibility};

use super::rust_modules::{Crate, Module, Segments, Target, attributes, name, names_of};

/// What the first page of a library's documentation lists of its own: its types, or where it has none its modules; and whether the documentation of
/// each has an example.
///
/// # Errors
/// As [`Crate::read`].
pub(super) fn of_library(root: &Path) -> Result<Vec<(String, bool)>, Box<dyn Error>> {
    let modules = Crate::read(root)?;
    let Some(top) = modules.0.get(&Segments::new()) else { return Ok(Vec::new()) };
    let exported = top.items.iter().filter_map(|item| match item {
        Item::Use(item) if matches!(item.vis, Visibility::Public(_)) => Some(&item.tree),
        _ => None,
    });
    let mut names = Module::default();
    exported.for_each(|tree| names_of(tree, &mut Vec::new(), &mut names));
    let mut types: Vec<(String, bool)> = names
        .uses
        .iter()
        .filter_map(|(alias, path)| match modules.follow(&[], path, 32)? {
            Target::Item { file, name } => Some((alias.clone(), type_has_example(&modules, &file, &name)?)),
            Target::Module(_) => None,
        })
        .collect();
    types.extend(top.items.iter().filter_map(|item| Some((name(item)?, has_example(type_attributes(item)?)))));
    if types.is_empty() {
        for (path, module) in modules.0.iter().filter(|(path, _)| path.len() == 1) {
            if top.public_modules.contains(&path.concat()) {
                types.push((path.concat(), has_example(&module.docs)));
            }
        }
    }
    Ok(types)
}

/// The attributes of a type or a trait.
fn type_attributes(item: &Item) -> Option<&[Attribute]> {
    match item {
        Item::Enum(_) | Item::Struct(_) | Item::Trait(_) | Item::Type(_) => Some(attributes(item)),
        _ => None,
    }
}

fn has_example(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => text.value().contains("```"),
            _ => false,
        },
        _ => false,
    })
}

/// Whether the documentation of the type that this file defines has an example; nothing for what is no type.
fn type_has_example(modules: &Crate, file: &Path, wanted: &str) -> Option<bool> {
    let items = modules.0.values().filter(|module| module.file == file).flat_map(|module| &module.items);
    let item = items.into_iter().find(|item| name(item).as_deref() == Some(wanted))?;
    type_attributes(item).map(has_example)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_first_page_is_the_types_that_the_root_exports_or_its_modules() {
        let folder = std::env::temp_dir().join(format!("xtask-page-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
        write(
            "a.rs",
            "//! A.\n//! ```\n//! ```\n/// ```\n/// ```\npub struct A; /// None.\npub struct B; pub fn f() {}",
        );
        write("lib.rs", "pub mod a; mod b { pub struct Hidden; } pub use a::{A, B, f}; pub use serde::Serialize;");
        let page = of_library(&folder.join("lib.rs")).unwrap();
        assert_eq!(page, [("A".to_owned(), true), ("B".to_owned(), false)]);
        write("lib.rs", "pub mod a; mod b {}");
        assert_eq!(of_library(&folder.join("lib.rs")).unwrap(), [("a".to_owned(), true)]);
        fs::remove_dir_all(&folder).unwrap();
    }
}
