//! Proofs: a test that a document names, as `qd_store::name_of_the_test`, is a test of that crate.
//!
//! A promise whose test was renamed or removed is a promise without proof.

use crate::tidy::finding::{Finding, line_of};
use crate::tidy::tree::Tree;

/// Every Markdown file.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let documents = tree.texts().filter(|(path, _)| path.ends_with(".md"));
    documents.flat_map(|(path, text)| of_document(tree, path, text)).collect()
}

fn of_document(tree: &Tree, path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, span) in code_spans(text) {
        let Some((krate, test)) = named_test(span) else { continue };
        if !is_test(tree, krate, test) {
            let message = format!("`{span}` is no test; name one that exists, or write it");
            findings.push(Finding::new(path, number, "proofs", message));
        }
    }
    findings
}

/// Inline code with its lines.
fn code_spans(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut place = 0;
    text.split('`').enumerate().filter_map(move |(index, span)| {
        let line = line_of(text, place);
        place += span.len() + 1;
        (index % 2 == 1).then_some((line, span))
    })
}

/// Crate and name; names of tests are sentences, which tells them from other paths.
fn named_test(span: &str) -> Option<(&str, &str)> {
    let (krate, test) = span.split_once("::")?;
    let is_ours = krate.starts_with("qd_") || ["quarterdeck", "xtask"].contains(&krate);
    let is_name = test.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    (is_ours && is_name && test.matches('_').count() >= 2).then_some((krate, test))
}

fn is_test(tree: &Tree, krate: &str, test: &str) -> bool {
    let folder = krate.replace('_', "-");
    let folders = [format!("crates/{folder}/"), format!("{folder}/")];
    let files = tree.rust().iter().filter(|file| folders.iter().any(|folder| file.path.starts_with(folder)));
    files
        .flat_map(|file| file.functions.iter().filter(|function| file.is_test_line(function.line)))
        .any(|function| function.name == test)
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::tree::Tree;

    #[test]
    fn tests_that_do_not_exist_are_found() {
        let code =
            "//! Doc.\nfn code_and_no_test() {}\n#[cfg(test)]\nmod tests {\n    fn nothing_is_lost() {}\n}\n";
        for (text, count) in [
            ("`qd_store::nothing_is_lost`", 0),
            ("`qd_store::nothing_was_lost`", 1),
            ("`qd_llm::nothing_is_lost`", 1),
            ("`qd_store::code_and_no_test`", 1),
            ("`qd_env::Env` and `nothing_was_lost` and qd_store::nothing_was_lost", 0),
        ] {
            let tree = Tree::of(&[("docs/a.md", text), ("crates/qd-store/src/x.rs", code)]);
            assert_eq!(check(&tree).len(), count, "{text}");
        }
        let tree = Tree::of(&[("docs/a.md", "a\nb `x`\n`qd_store::not_a_test`")]);
        assert_eq!(check(&tree)[0].line, 3);
    }
}
