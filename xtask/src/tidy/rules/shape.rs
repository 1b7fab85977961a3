//! Size and shape: how long files and functions are, how full folders, and what a file opens with.

use std::collections::BTreeMap;

use crate::tidy::finding::Finding;
use crate::tidy::rust_file::RustFile;
use crate::tidy::tree::Tree;

const FILE_LINES_MAX: usize = 700;
const TEST_FILE_LINES_MAX: usize = 1000;
const FUNCTION_LINES_MAX: usize = 70;
const FOLDER_FILES_MAX: usize = 20;

/// Every Rust file and every folder of them.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings: Vec<_> = tree.rust().iter().flat_map(of_file).collect();
    let mut folders: BTreeMap<&str, usize> = BTreeMap::new();
    for file in tree.rust() {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        *folders.entry(folder).or_default() += 1;
    }
    let full = folders.into_iter().filter(|(_, files)| *files > FOLDER_FILES_MAX);
    findings.extend(full.map(|(folder, files)| {
        let message =
            format!("{files} Rust files in one folder, at most {FOLDER_FILES_MAX}; group them by noun");
        Finding::new(folder, 1, "folder-files", message)
    }));
    findings
}

fn of_file(file: &RustFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |line, rule, message: String| findings.push(Finding::new(&file.path, line, rule, message));
    if !file.text.starts_with("//!") {
        let message = "a file opens with `//!`: what it is, what it leaves to others";
        add(1, "file-doc", message.to_owned());
    }
    let most = if file.is_test { TEST_FILE_LINES_MAX } else { FILE_LINES_MAX };
    let lines = file.net_lines();
    if lines > most {
        add(1, "file-lines", format!("{lines} lines without inline tests, at most {most}; split it by noun"));
    }
    for function in file.functions.iter().filter(|function| function.lines > FUNCTION_LINES_MAX) {
        let (name, lines) = (&function.name, function.lines);
        let message = format!("`{name}` has {lines} lines, at most {FUNCTION_LINES_MAX}; name its parts");
        add(function.line, "function-lines", message);
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::tree::Tree;

    fn rules(path: &str, text: &str) -> Vec<&'static str> {
        check(&Tree::of(&[(path, text)])).into_iter().map(|finding| finding.rule).collect()
    }

    fn file(lines: usize) -> String {
        format!("//! Doc.\n{}", "const A: u8 = 1;\n".repeat(lines - 1))
    }

    #[test]
    fn long_files_are_found() {
        assert!(rules("crates/a/src/x.rs", &file(700)).is_empty());
        assert_eq!(rules("crates/a/src/x.rs", &file(701)), ["file-lines"]);
        let with_tests = format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", file(650), "\n".repeat(500));
        assert!(rules("crates/a/src/x.rs", &with_tests).is_empty(), "inline tests do not count");
        assert!(rules("crates/a/tests/it/x.rs", &file(1000)).is_empty());
        assert_eq!(rules("crates/a/tests/it/x.rs", &file(1001)), ["file-lines"]);
    }

    #[test]
    fn long_functions_are_found() {
        let function = |lines: usize| format!("//! Doc.\nfn f() {{\n{}}}\n", "    x();\n".repeat(lines - 2));
        assert!(rules("crates/a/src/x.rs", &function(70)).is_empty());
        assert_eq!(rules("crates/a/src/x.rs", &function(71)), ["function-lines"]);
    }

    #[test]
    fn files_without_a_word_of_introduction_are_found() {
        assert_eq!(rules("crates/a/src/x.rs", "// A comment.\n"), ["file-doc"]);
        assert_eq!(rules("crates/a/src/x.rs", ""), ["file-doc"]);
    }

    #[test]
    fn full_folders_are_found() {
        let names: Vec<String> = (0..21).map(|n| format!("crates/a/src/file_{n}.rs")).collect();
        let files: Vec<(&str, &str)> = names.iter().map(|name| (&**name, "//! Doc.\n")).collect();
        assert!(check(&Tree::of(&files[..20])).is_empty());
        let findings = check(&Tree::of(&files));
        assert_eq!((findings[0].path.as_str(), findings[0].rule), ("crates/a/src", "folder-files"));
    }
}
