//! Sleeps in tests: a test that waits for a while is slow when it passes and wrong when the machine is slow.
//!
//! Tests await signals, pause tokio's time, or poll with a deadline; the last two sleep and stand in the exceptions.

use crate::tidy::finding::Finding;
use crate::tidy::tree::Tree;

/// Every line that is a test.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust() {
        for call in ["sleep(", "sleep_ms("] {
            for line in file.lines_with(call).filter(|line| file.is_test_line(*line)) {
                let message =
                    "a test sleeps; await a signal, pause time, or poll with a deadline (exceptions.toml)";
                findings.push(Finding::new(&file.path, line, "sleeps", message));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::tree::Tree;

    #[test]
    fn sleeps_are_found_in_tests_alone() {
        let calls = "//! Doc.\nfn f() {\n    std::thread::sleep(x);\n    tokio::time::sleep(x).await;\n}\n";
        assert_eq!(check(&Tree::of(&[("crates/a/tests/it/x.rs", calls)])).len(), 2);
        assert!(check(&Tree::of(&[("crates/a/src/x.rs", calls)])).is_empty());
        let inline = format!("//! Doc.\n#[cfg(test)]\nmod tests {{\n{calls}}}\n");
        assert_eq!(check(&Tree::of(&[("crates/a/src/x.rs", &inline)])).len(), 2);
        let other = "//! Doc.\nfn f() {\n    oversleep(x);\n    // sleep(x)\n}\n";
        assert!(check(&Tree::of(&[("crates/a/tests/it/x.rs", other)])).is_empty());
    }
}
