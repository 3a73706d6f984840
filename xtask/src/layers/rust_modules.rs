//! The modules of a Rust crate, and where a path in one of them leads.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use syn::{Attribute, Item, UseTree, Visibility};

/// Segments of a path: `["crate", "store", "Store"]`.
pub(super) type Segments = Vec<String>;

/// One module, and what its scope has.
#[derive(Default)]
pub(super) struct Module {
    pub(super) file: PathBuf,
    pub(super) items: Vec<Item>,
    pub(super) defined: BTreeSet<String>,
    pub(super) uses: BTreeMap<String, Segments>,
    pub(super) globs: Vec<Segments>,
    /// Its own documentation.
    pub(super) docs: Vec<Attribute>,
    pub(super) public_modules: BTreeSet<String>,
}

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    Module(Segments),
    Item { file: PathBuf, name: String },
}

/// The modules of one crate, by their path below its root.
pub(super) struct Crate(pub(super) BTreeMap<Segments, Module>);

fn parsed(file: &Path) -> Result<syn::File, Box<dyn Error>> {
    let text = fs::read_to_string(file).map_err(|fault| format!("{}: {fault}", file.display()))?;
    syn::parse_file(&text).map_err(|fault| format!("{}: {fault}", file.display()).into())
}

/// Reads a module and those below it. `below` is the folder in which its child modules stand.
fn read(
    modules: &mut BTreeMap<Segments, Module>,
    path: Segments,
    file: &Path,
    below: &Path,
    items: Vec<Item>,
) -> Result<(), Box<dyn Error>> {
    let mut module = Module { file: file.to_owned(), ..Module::default() };
    for item in items {
        if is_test(attributes(&item)) {
            continue;
        }
        match item {
            Item::Mod(child) => {
                let name = child.ident.to_string();
                if matches!(child.vis, Visibility::Public(_)) {
                    module.public_modules.insert(name.clone());
                }
                let mut child_path = path.clone();
                child_path.push(name.clone());
                match child.content {
                    Some((_, items)) => read(modules, child_path, file, &below.join(&name), items)?,
                    None => {
                        let child_file = match named_file(&child.attrs) {
                            Some(named) => file.parent().unwrap_or(below).join(named),
                            None => file_of(&name, below),
                        };
                        let parsed = parsed(&child_file)?;
                        read(modules, child_path.clone(), &child_file, &below.join(&name), parsed.items)?;
                        if let Some(read) = modules.get_mut(&child_path) {
                            read.docs = parsed.attrs;
                        }
                    }
                }
            }
            Item::Use(item) => {
                names_of(&item.tree, &mut Vec::new(), &mut module);
                module.items.push(Item::Use(item));
            }
            item => {
                module.defined.extend(name(&item));
                module.items.push(item);
            }
        }
    }
    modules.insert(path, module);
    Ok(())
}

fn file_of(name: &str, below: &Path) -> PathBuf {
    let flat = below.join(format!("{name}.rs"));
    if flat.exists() { flat } else { below.join(name).join("mod.rs") }
}

/// The file of `#[path = "…"]`.
fn named_file(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        syn::Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    })
}

/// What a `use` brings into a module's scope.
pub(super) fn names_of(tree: &UseTree, before: &mut Segments, module: &mut Module) {
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            names_of(&path.tree, before, module);
            before.pop();
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| names_of(tree, before, module)),
        UseTree::Glob(_) => module.globs.push(before.clone()),
        UseTree::Name(name) => bring(name.ident.to_string(), name.ident.to_string(), before, module),
        UseTree::Rename(name) => bring(name.rename.to_string(), name.ident.to_string(), before, module),
    }
}

fn bring(alias: String, name: String, before: &[String], module: &mut Module) {
    let mut path = before.to_vec();
    let is_itself = name == "self";
    if !is_itself {
        path.push(name);
    }
    let alias = if is_itself { path.last().cloned().unwrap_or_default() } else { alias };
    module.uses.insert(alias, path);
}

pub(super) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// The name that an item defines in its module.
pub(super) fn name(item: &Item) -> Option<String> {
    Some(match item {
        Item::Const(item) => item.ident.to_string(),
        Item::Enum(item) => item.ident.to_string(),
        Item::Fn(item) => item.sig.ident.to_string(),
        Item::Macro(item) => item.ident.as_ref()?.to_string(),
        Item::Static(item) => item.ident.to_string(),
        Item::Struct(item) => item.ident.to_string(),
        Item::Trait(item) => item.ident.to_string(),
        Item::Type(item) => item.ident.to_string(),
        _ => return None,
    })
}

/// Whether the item is built for tests alone.
pub(super) fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else { return attribute.path().is_ident("test") };
        let words = list.tokens.to_string();
        list.path.is_ident("cfg") && words.contains("test") && !words.contains("not") && !words.contains("feature")
    })
}

impl Crate {
    /// Reads the crate whose root is this file.
    ///
    /// # Errors
    /// A file that cannot be read or parsed, or a `mod` item without a file.
    pub(super) fn read(root: &Path) -> Result<Self, Box<dyn Error>> {
        let mut modules = BTreeMap::new();
        let folder = root.parent().ok_or("a crate's root is in a folder")?;
        read(&mut modules, Vec::new(), root, folder, parsed(root)?.items)?;
        Ok(Self(modules))
    }

    /// Where a path that stands in `module` leads; nothing for what another crate defines.
    pub(super) fn follow(&self, module: &[String], path: &[String], depth: u8) -> Option<Target> {
        match path.split_first() {
            Some((first, rest)) if first == "crate" => self.below(&[], rest, depth),
            _ => self.below(module, path, depth),
        }
    }

    fn below(&self, module: &[String], path: &[String], depth: u8) -> Option<Target> {
        let Some((first, rest)) = path.split_first() else { return Some(Target::Module(module.to_vec())) };
        // A circle of re-exports leads nowhere.
        let depth = depth.checked_sub(1)?;
        match first.as_str() {
            "self" => return self.below(module, rest, depth),
            "super" => return self.below(module.split_last()?.1, rest, depth),
            _ => {}
        }
        let here = self.0.get(module)?;
        let mut child = module.to_vec();
        child.push(first.clone());
        if self.0.contains_key(&child) {
            return self.below(&child, rest, depth);
        }
        if here.defined.contains(first) {
            return Some(Target::Item { file: here.file.clone(), name: first.clone() });
        }
        if let Some(used) = here.uses.get(first) {
            // `use serde::x` where no module `serde` is: another crate.
            if used.first() == Some(first) && used.len() == 1 {
                return None;
            }
            return match self.follow(module, used, depth)? {
                Target::Module(path) => self.below(&path, rest, depth),
                item => Some(item),
            };
        }
        here.globs.iter().find_map(|glob| match self.follow(module, glob, depth)? {
            Target::Module(path) if path != module => self.below(&path, std::slice::from_ref(first), depth),
            _ => None,
        })
    }
}
