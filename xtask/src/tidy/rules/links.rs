//! Links between documents: what they point to exists.

use crate::tidy::finding::{Finding, line_of};
use crate::tidy::tree::Tree;

/// Every Markdown file.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let documents = tree.texts().filter(|(path, _)| path.ends_with(".md"));
    documents.flat_map(|(path, text)| of_document(tree, path, text)).collect()
}

fn of_document(tree: &Tree, path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (place, _) in text.match_indices("](") {
        let rest = &text[place + "](".len()..];
        let Some(target) = rest.split([')', '\n', ' ']).next() else { continue };
        let file = target.split('#').next().unwrap_or_default();
        if file.is_empty() || target.contains("://") || target.starts_with("mailto:") {
            continue;
        }
        let full = resolved(path, file);
        let is_folder = || tree.texts().any(|(other, _)| other.starts_with(&format!("{full}/")));
        if tree.text(&full).is_none() && !is_folder() {
            let message = format!("the link points to `{full}`, which is not there");
            findings.push(Finding::new(path, line_of(text, place), "links", message));
        }
    }
    findings
}

/// A target as seen from the root.
fn resolved(from: &str, target: &str) -> String {
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let base = if target.starts_with('/') { "" } else { folder };
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(target.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::tree::Tree;

    #[test]
    fn links_that_lead_nowhere_are_found() {
        for (link, count) in [
            ("[a](guides/x.md)", 0),
            ("[a](guides)", 0),
            ("[a](guides/)", 0),
            ("[a](../README.md#start)", 0),
            ("[a](#here) [b](https://example.com/x) [c](mailto:a@b.c)", 0),
            ("[a](guides/y.md)", 1),
            ("[a](README.md) and [b](../gone)", 2),
        ] {
            let tree = Tree::of(&[("README.md", ""), ("docs/a.md", link), ("docs/guides/x.md", "")]);
            assert_eq!(check(&tree).len(), count, "{link}");
        }
    }
}
