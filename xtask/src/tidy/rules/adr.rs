//! Decisions: `docs/adr/NNNN-title.md`, numbered without gaps from 0001, each with its four parts.

use crate::tidy::finding::Finding;
use crate::tidy::tree::Tree;

const FOLDER: &str = "docs/adr/";
const PARTS: &[&str] = &["## Context", "## Decision", "## Consequences", "## Rejected"];

/// Numbers and parts.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut expected = 1_u32;
    for (path, text) in tree.texts().filter(|(path, _)| path.starts_with(FOLDER)) {
        let name = &path[FOLDER.len()..];
        match number(name) {
            Some(number) if number == expected => expected += 1,
            Some(number) => {
                let message = format!("decision {number:04} stands where {expected:04} was due");
                findings.push(Finding::new(path, 1, "adr", message));
                expected = number + 1;
            }
            None => findings.push(Finding::new(path, 1, "adr", "a decision is named NNNN-title.md")),
        }
        findings.extend(missing_parts(path, text));
    }
    findings
}

fn number(name: &str) -> Option<u32> {
    let (number, title) = name.strip_suffix(".md")?.split_once('-')?;
    let is_number = number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && !title.is_empty()).then(|| number.parse().ok()).flatten()
}

/// Parts that a page does not have, as findings. Pages of errors and decisions alike.
pub(super) fn missing(path: &str, text: &str, parts: &[&str], rule: &'static str) -> Vec<Finding> {
    let has = |part: &str| text.lines().any(|line| line.trim_end() == part);
    let absent = parts.iter().filter(|part| !has(part));
    absent.map(|part| Finding::new(path, 1, rule, format!("the page lacks its part `{part}`"))).collect()
}

fn missing_parts(path: &str, text: &str) -> Vec<Finding> {
    missing(path, text, PARTS, "adr")
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::tree::Tree;

    const GOOD: &str = "# 1. X\n\n## Context\n\n## Decision\n\n## Consequences\n\n## Rejected\n";

    #[test]
    fn numbers_are_dense_and_pages_whole() {
        let good = Tree::of(&[("docs/adr/0001-a.md", GOOD), ("docs/adr/0002-b.md", GOOD)]);
        assert_eq!(check(&good), []);
        for (name, text, message) in [
            ("docs/adr/0003-c.md", GOOD, "decision 0003 stands where 0002 was due"),
            ("docs/adr/0001-c.md", GOOD, "decision 0001 stands where 0002 was due"),
            ("docs/adr/notes.md", GOOD, "a decision is named NNNN-title.md"),
            ("docs/adr/0002-.md", GOOD, "a decision is named"),
            (
                "docs/adr/0002-c.md",
                "## Context\n## Decision\n## Rejected\n",
                "lacks its part `## Consequences`",
            ),
        ] {
            let findings = check(&Tree::of(&[("docs/adr/0001-a.md", GOOD), (name, text)]));
            assert_eq!(findings.len(), 1, "{name}: {findings:?}");
            assert!(findings[0].message.contains(message), "{findings:?}");
        }
    }
}
