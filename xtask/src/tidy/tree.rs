//! The repository as the rules see it: every text that is tracked or about to be.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;

use super::rust_file::RustFile;
use crate::process::Program;

/// Larger files are data; nobody reads them.
const TEXT_BYTES_MAX: u64 = 4 << 20;

/// All texts by path, the Rust ones read closer.
#[derive(Debug)]
pub(crate) struct Tree {
    texts: BTreeMap<String, String>,
    rust: Vec<RustFile>,
}

impl Tree {
    /// Reads what git knows, and what is new and not ignored.
    pub(crate) fn read(root: &Path) -> anyhow::Result<Self> {
        let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let listed = Program::new("git", list).output(root)?;
        let mut texts = Vec::new();
        for path in listed.split_terminator('\0') {
            let full = root.join(path);
            // A file that was removed and not yet staged is listed all the same.
            let Ok(meta) = std::fs::symlink_metadata(&full) else { continue };
            if !meta.is_file() || meta.len() > TEXT_BYTES_MAX {
                continue;
            }
            let bytes = std::fs::read(&full).with_context(|| format!("cannot read {path}"))?;
            texts.extend(String::from_utf8(bytes).ok().map(|text| (path.to_owned(), text)));
        }
        Ok(Self::new(texts))
    }

    pub(crate) fn new(texts: impl IntoIterator<Item = (String, String)>) -> Self {
        let texts: BTreeMap<String, String> = texts.into_iter().collect();
        let is_rust = |path: &str| path.strip_suffix(".rs").is_some();
        let mut rust: Vec<RustFile> = texts
            .iter()
            .filter(|(path, _)| is_rust(path))
            .map(|(path, text)| RustFile::new(path, text))
            .collect();
        let tests: Vec<String> = rust.iter().flat_map(RustFile::test_modules_elsewhere).collect();
        for file in &mut rust {
            let stem = file.path.trim_end_matches(".rs");
            let belongs = |module: &String| {
                stem.strip_prefix(module.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            file.is_test |= tests.iter().any(belongs);
        }
        Self { texts, rust }
    }

    /// A tree of a rule's test.
    #[cfg(test)]
    pub(crate) fn of(texts: &[(&str, &str)]) -> Self {
        Self::new(texts.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())))
    }

    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    /// Every text with its path, in order of paths.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    pub(crate) fn rust(&self) -> &[RustFile] {
        &self.rust
    }

    pub(crate) fn len(&self) -> usize {
        self.texts.len()
    }
}

#[cfg(test)]
mod tests {
    use super::Tree;

    #[test]
    fn modules_behind_cfg_test_are_tests_with_all_below_them() {
        let tree = Tree::of(&[
            ("crates/a/src/lib.rs", "#[cfg(test)]\nmod suite;\nmod real;"),
            ("crates/a/src/suite.rs", "mod part;"),
            ("crates/a/src/suite/part.rs", ""),
            ("crates/a/src/suite_of_rooms.rs", ""),
            ("crates/a/src/real.rs", "#[cfg(test)]\nmod tests;"),
            ("crates/a/src/real/tests.rs", ""),
            ("crates/a/tests/it/main.rs", ""),
        ]);
        let tests: Vec<_> = tree.rust().iter().filter(|f| f.is_test).map(|f| f.path.as_str()).collect();
        assert_eq!(
            tests,
            [
                "crates/a/src/real/tests.rs",
                "crates/a/src/suite.rs",
                "crates/a/src/suite/part.rs",
                "crates/a/tests/it/main.rs"
            ]
        );
    }
}
