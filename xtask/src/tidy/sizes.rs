//! The table of sizes: what a reader of this code is up against, by crate and in all.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::rust_file::RustFile;
use super::tree::Tree;

/// Sizes of some files.
#[derive(Debug, Default)]
struct Sizes {
    lines: usize,
    /// Of each file, without inline test modules.
    net: Vec<usize>,
    functions: Vec<usize>,
}

impl Sizes {
    fn add(&mut self, file: &RustFile) {
        self.lines += file.lines();
        self.net.push(file.net_lines());
        self.functions.extend(file.functions.iter().map(|function| function.lines));
    }
}

/// Code by crate, then all code and all tests.
pub(crate) fn table(tree: &Tree) -> String {
    let mut crates: BTreeMap<&str, Sizes> = BTreeMap::new();
    let (mut code, mut tests) = (Sizes::default(), Sizes::default());
    for file in tree.rust() {
        if file.is_test {
            tests.add(file);
            continue;
        }
        code.add(file);
        crates.entry(crate_of(&file.path)).or_default().add(file);
    }
    let mut text = format!(
        "{:<14}{:>6}{:>8}{:>8}{:>6}{:>6}{:>6}{:>8}{:>6}{:>6}{:>6}{:>6}\n",
        "", "files", "lines", "net", "p50", "p90", "max", "fns", "p50", "p90", "max", ">70"
    );
    let all = crates.iter().map(|(name, sizes)| (*name, sizes)).chain([("code", &code), ("tests", &tests)]);
    for (name, sizes) in all {
        let net = Spread::of(&sizes.net);
        let functions = Spread::of(&sizes.functions);
        let long = sizes.functions.iter().filter(|lines| **lines > 70).count();
        let total: usize = sizes.net.iter().sum();
        writeln!(
            text,
            "{name:<14}{:>6}{:>8}{total:>8}{net}{:>8}{functions}{long:>6}",
            sizes.net.len(),
            sizes.lines,
            sizes.functions.len()
        )
        .expect("writing to a String cannot fail");
    }
    text
}

fn crate_of(path: &str) -> &str {
    let inside = path.strip_prefix("crates/").unwrap_or(path);
    inside.split('/').next().unwrap_or(inside)
}

/// Median, ninetieth percentile and maximum.
#[derive(Debug, PartialEq, Eq)]
struct Spread([usize; 3]);

impl Spread {
    fn of(sizes: &[usize]) -> Self {
        let mut sorted = sizes.to_vec();
        sorted.sort_unstable();
        let rank = |percent: usize| (sorted.len() * percent).div_ceil(100).saturating_sub(1);
        Self([50, 90, 100].map(|percent| sorted.get(rank(percent)).copied().unwrap_or(0)))
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|size| write!(f, "{size:>6}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Spread, table};
    use crate::tidy::tree::Tree;

    #[test]
    fn percentiles_are_sizes_that_exist() {
        let sizes: Vec<usize> = (1..=10).rev().collect();
        assert_eq!(Spread::of(&sizes), Spread([5, 9, 10]));
        assert_eq!(Spread::of(&[7]), Spread([7, 7, 7]));
        assert_eq!(Spread::of(&[]), Spread([0, 0, 0]));
    }

    #[test]
    fn tests_are_counted_apart() {
        let tree = Tree::of(&[
            ("crates/a/src/lib.rs", "fn f() {\n}\n#[cfg(test)]\nmod tests {\n}\n"),
            ("crates/a/tests/it/main.rs", "fn g() {}\n"),
            ("xtask/src/main.rs", "fn main() {}\n"),
        ]);
        let table = table(&tree);
        let row = |name: &str| {
            let line = table.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().skip(1).map(|n| n.parse().unwrap()).collect::<Vec<usize>>()
        };
        assert_eq!(row("a "), [1, 5, 2, 2, 2, 2, 1, 2, 2, 2, 0]);
        assert_eq!(row("code"), [2, 6, 3, 1, 2, 2, 2, 1, 2, 2, 0]);
        assert_eq!(row("tests"), [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0]);
    }
}
