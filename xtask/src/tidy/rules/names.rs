//! Names that say nothing: files and types called after what they are not.

use crate::tidy::finding::{Finding, line_of, places};
use crate::tidy::tree::Tree;

const FORBIDDEN: &[&str] = &["utils", "util", "helpers", "helper", "common", "misc"];
const FORBIDDEN_ENDS: &[&str] = &["Manager", "Helper", "Util", "Utils"];

/// Paths of everything, types of Rust files.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let paths = tree.texts().filter_map(|(path, _)| of_path(path));
    let types = tree.rust().iter().flat_map(|file| types(&file.path, &file.code));
    paths.chain(types).collect()
}

fn of_path(path: &str) -> Option<Finding> {
    let parts = path.split('/').map(|part| part.split('.').next().unwrap_or(part));
    let message = match parts.into_iter().find(|part| FORBIDDEN.contains(part)) {
        Some(part) => format!("`{part}` says nothing; name it after the noun that it is about"),
        None if path.rsplit('/').next() == Some("mod.rs") => {
            "write module `foo` as foo.rs beside the folder foo/".to_owned()
        }
        None => return None,
    };
    Some(Finding::new(path, 1, "names", message))
}

fn types<'a>(path: &'a str, code: &'a str) -> impl Iterator<Item = Finding> + 'a {
    ["struct", "enum", "trait", "type"].into_iter().flat_map(move |kind| {
        places(code, kind).filter_map(move |place| {
            let rest = code[place + kind.len()..].trim_start();
            let name = rest.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or_default();
            let end = FORBIDDEN_ENDS.iter().find(|end| name.ends_with(*end))?;
            let message = format!("`{name}`: `{end}` says nothing; name it after what it does");
            Some(Finding::new(path, line_of(code, place), "names", message))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::tree::Tree;

    #[test]
    fn empty_names_are_found() {
        for (path, text, count) in [
            ("crates/a/src/utils.rs", "", 1),
            ("crates/a/src/common/x.rs", "", 1),
            ("web/misc.js", "", 1),
            ("crates/a/tests/it/helpers.rs", "", 1),
            ("crates/a/src/mod.rs", "", 1),
            ("crates/a/src/x.rs", "pub struct CrewManager;\nenum JobUtils {}\n// struct NoHelper", 2),
            ("crates/a/src/utility_bills.rs", "struct Managed;", 0),
        ] {
            assert_eq!(check(&Tree::of(&[(path, text)])).len(), count, "{path}");
        }
    }
}
