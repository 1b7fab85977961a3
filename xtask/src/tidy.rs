//! `cargo xtask tidy`: the rules of this house that a program can check, and the table of sizes.
//!
//! A rule is one file in `tidy/rules/` and one line in [`RULES`]; it looks at a [`Tree`] and answers findings. What is
//! let off stands in `exceptions.toml`, with a reason, and that list only shrinks.

mod exceptions;
mod finding;
mod mask;
mod rules;
mod rust_file;
mod sizes;
mod tree;

use std::path::Path;

use exceptions::Exceptions;
use finding::Finding;
use tree::Tree;

/// One thing that is checked.
type Rule = fn(&Tree) -> Vec<Finding>;

const RULES: &[Rule] = &[
    rules::adr::check,
    rules::codes::check,
    rules::imports::check,
    rules::links::check,
    rules::lock::check,
    rules::names::check,
    rules::paths::check,
    rules::proofs::check,
    rules::shape::check,
    rules::sleeps::check,
    rules::words::check,
];

/// Where exceptions stand.
const EXCEPTIONS: &str = "xtask/exceptions.toml";

/// Prints table and findings; answers whether there are none.
pub(crate) fn run(root: &Path) -> anyhow::Result<bool> {
    let tree = Tree::read(root)?;
    print!("{}", sizes::table(&tree));
    let exceptions = match tree.text(EXCEPTIONS) {
        Some(text) => Exceptions::parse(text)?,
        None => Exceptions::default(),
    };
    let findings = exceptions.apply(findings(&tree));
    if findings.is_empty() {
        println!("\ntidy: {} files, nothing to mend, {} exceptions", tree.len(), exceptions.count());
        return Ok(true);
    }
    println!();
    for finding in &findings {
        println!("{finding}");
    }
    println!("\ntidy: {} to mend", findings.len());
    Ok(false)
}

fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings: Vec<Finding> = RULES.iter().flat_map(|rule| rule(tree)).collect();
    findings.sort();
    findings
}
