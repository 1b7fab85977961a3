//! Error codes: each word of `codes!` in qd-types has its page in docs/errors, and each page its word.

use std::collections::BTreeMap;

use super::adr::missing;
use crate::tidy::finding::{Finding, line_of};
use crate::tidy::mask::closing;
use crate::tidy::tree::Tree;

const SOURCE: &str = "crates/qd-types/src/failure.rs";
const FOLDER: &str = "docs/errors/";
const PARTS: &[&str] = &["## Symptom", "## Likely causes", "## What to do"];

/// Words and pages.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let words = words(tree);
    if words.is_empty() {
        findings.push(Finding::new(SOURCE, 1, "codes", "no error code was found in `codes! { … }`"));
    }
    for (word, line) in &words {
        if tree.text(&format!("{FOLDER}{word}.md")).is_none() {
            let message = format!("error code `{word}` has no page {FOLDER}{word}.md");
            findings.push(Finding::new(SOURCE, *line, "codes", message));
        }
    }
    for (path, text) in tree.texts().filter(|(path, _)| path.starts_with(FOLDER)) {
        let word = path[FOLDER.len()..].trim_end_matches(".md");
        if !words.contains_key(word) {
            let message = format!("there is no error code `{word}`; remove the page or add the code");
            findings.push(Finding::new(path, 1, "codes", message));
        } else if text.lines().next() != Some(&format!("# {word}")) {
            findings.push(Finding::new(path, 1, "codes", format!("the page begins with `# {word}`")));
        }
        findings.extend(missing(path, text, PARTS, "codes"));
    }
    findings
}

/// The words with their lines.
fn words(tree: &Tree) -> BTreeMap<&str, usize> {
    let block = tree.rust().iter().find(|file| file.path == SOURCE).and_then(|file| {
        // The macro's own definition has no exclamation mark after its name.
        let open = file.code.find("codes! {")? + "codes! ".len();
        Some((file.text.as_str(), open, closing(&file.code, open)?))
    });
    let Some((text, open, close)) = block else { return BTreeMap::new() };
    let first = line_of(text, open);
    let lines = (first..).zip(text[open..close].lines());
    lines.filter_map(|(number, line)| Some((word(line)?, number))).collect()
}

/// The word of `Variant = "word",`.
fn word(line: &str) -> Option<&str> {
    let line = line.trim();
    let (variant, word) = line.strip_suffix("\",")?.split_once(" = \"")?;
    variant.chars().all(char::is_alphanumeric).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::{SOURCE, check};
    use crate::tidy::tree::Tree;

    const CODES: &str = "macro_rules! codes {\n    () => {};\n}\n\ncodes! {\n    /// A.\n    NotFound = \"not_found\",\n    /// B.\n    QueueFull = \"queue_full\",\n}\n";

    fn page(word: &str) -> String {
        format!("# {word}\n\n## Symptom\n\n## Likely causes\n\n## What to do\n")
    }

    fn found(pages: &[(&str, &str)]) -> Vec<String> {
        let tree = Tree::of(&[&[(SOURCE, CODES)], pages].concat());
        check(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn words_and_pages_belong_together() {
        let (first, second) = (page("not_found"), page("queue_full"));
        let good = [("docs/errors/not_found.md", &*first), ("docs/errors/queue_full.md", &*second)];
        assert_eq!(found(&good), Vec::<String>::new());
        let missing = found(&good[..1]);
        assert_eq!(missing.len(), 1);
        assert!(
            missing[0].starts_with("crates/qd-types/src/failure.rs:9: error code `queue_full` has no page")
        );
        let extra = found(&[good[0], good[1], ("docs/errors/gone.md", &second)]);
        assert!(extra[0].contains("there is no error code `gone`"), "{extra:?}");
        let misnamed = found(&[good[0], ("docs/errors/queue_full.md", &first)]);
        assert!(misnamed[0].contains("begins with `# queue_full`"), "{misnamed:?}");
        let short = found(&[good[0], ("docs/errors/queue_full.md", "# queue_full\n")]);
        assert_eq!(short.len(), 3, "{short:?}");
    }

    #[test]
    fn codes_that_cannot_be_found_are_no_reason_to_pass() {
        assert!(check(&Tree::of(&[]))[0].message.contains("no error code was found"));
    }
}
