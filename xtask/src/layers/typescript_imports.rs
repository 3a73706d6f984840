//! Which file of the npm package imports which, from its `import` and `export … from` statements.

use std::error::Error;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::circles::Imports;

/// The imports between the TypeScript files of this folder and of those in it.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn of_folder(folder: &Path) -> Result<Imports, Box<dyn Error>> {
    let mut imports = Imports::default();
    read(folder, &mut imports)?;
    Ok(imports)
}

fn read(folder: &Path, imports: &mut Imports) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder).map_err(|fault| format!("{}: {fault}", folder.display()))? {
        let file = entry?.path();
        if file.is_dir() {
            read(&file, imports)?;
        } else if file.extension().is_some_and(|extension| extension == "ts") {
            imports.add_file(&file);
            for imported in relative(&fs::read_to_string(&file)?) {
                let imported = without_dots(&folder.join(imported));
                imports.add(&file, &imported, "import");
            }
        }
    }
    Ok(())
}

/// What a text imports from files beside it. A `.js` of an import is the `.ts` that it is built from.
fn relative(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for quote in ['\'', '"'] {
        for keyword in ["from ", "import ", "import("] {
            for (at, _) in text.match_indices(&format!("{keyword}{quote}.")) {
                let path = text.get(at + keyword.len() + 1..).unwrap_or_default();
                let path = path.split(quote).next().unwrap_or_default();
                found.push(path.strip_suffix(".js").map_or_else(|| path.to_owned(), |stem| format!("{stem}.ts")));
            }
        }
    }
    found
}

/// `a/./b/../c` as `a/c`.
fn without_dots(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut path, component| {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(path.pop()),
            other => path.push(other),
        }
        path
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_import_is_found() {
        let text = "import { a } from './a.js';\nexport * from \"../b.js\";\nimport './c.js';\nawait import('./d.json');\n\
                    import x from 'package';\n// nothing from here\n";
        let mut found = relative(text);
        found.sort();
        assert_eq!(found, ["../b.ts", "./a.ts", "./c.ts", "./d.json"]);
        assert_eq!(without_dots(Path::new("/x/./y/../z.ts")), Path::new("/x/z.ts"));
    }
}
