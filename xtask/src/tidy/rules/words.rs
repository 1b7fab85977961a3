//! Words that must not be left over: unfinished work, silenced lints, unwraps outside tests, banned calls allowed.

use crate::tidy::finding::{Finding, line_of, places};
use crate::tidy::rust_file::RustFile;
use crate::tidy::tree::Tree;

/// In code, wherever it is.
const LEFTOVERS: &[(&str, &str)] = &[
    ("todo!", "unfinished; finish it or leave it out"),
    ("unimplemented!", "unfinished; finish it or leave it out"),
    ("dbg!", "left over from a search for a mistake"),
    ("allow(dead_code)", "nobody calls it; remove it"),
    ("#[ignore", "a test that does not run proves nothing; mend or remove it"),
];

/// In any text, comments included. In parts, so that this file does not find itself.
const NOTES: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME")];

/// Who may call what clippy.toml bans: the source of time and chance, the edge of the process, its tests' clock, and
/// commands that only tell a person how long they took.
const MAY_CALL_BANNED: &[&str] = &[
    "crates/qd-env/src/",
    "crates/qd-store/tests/it/power.rs",
    "crates/qd-testkit/src/",
    "crates/quarterdeck/",
    "crates/qd-bench/",
    "xtask/src/process.rs",
];

/// Every text, Rust files closer.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let notes = tree.texts().flat_map(|(path, text)| of_text(path, text));
    notes.chain(tree.rust().iter().flat_map(of_rust)).collect()
}

fn of_text(path: &str, text: &str) -> Vec<Finding> {
    let found = NOTES.iter().flat_map(|note| places(text, note).map(move |place| (note, place)));
    found
        .map(|(note, place)| {
            let message = format!("`{note}`: do it now, or open an issue and leave the code whole");
            Finding::new(path, line_of(text, place), "notes", message)
        })
        .collect()
}

fn of_rust(file: &RustFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |line, rule, message: String| findings.push(Finding::new(&file.path, line, rule, message));
    for (word, why) in LEFTOVERS {
        for line in file.lines_with(word) {
            add(line, "leftovers", format!("`{word}`: {why}"));
        }
    }
    for line in file.lines_with(".unwrap()").filter(|line| !file.is_test_line(*line)) {
        let message = "`.unwrap()` outside tests; return the error, or `expect` with the reason why it holds";
        add(line, "unwrap", message.to_owned());
    }
    if !MAY_CALL_BANNED.iter().any(|place| file.path.starts_with(place)) {
        for line in file.lines_with("clippy::disallowed_methods") {
            let message = "time, chance, tasks and the environment come through qd_env::Env or Options";
            add(line, "banned-calls", message.to_owned());
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{LEFTOVERS, NOTES, check};
    use crate::tidy::tree::Tree;

    fn found(path: &str, text: &str) -> Vec<(&'static str, usize)> {
        check(&Tree::of(&[(path, text)])).into_iter().map(|finding| (finding.rule, finding.line)).collect()
    }

    #[test]
    fn leftovers_are_found_in_code_and_not_in_texts() {
        for (word, _) in LEFTOVERS {
            let close = if word.starts_with('#') { "]" } else { "" };
            let code = format!("//! Doc.\nfn f() {{ {word}{close} }}\n");
            assert_eq!(found("crates/a/src/x.rs", &code), [("leftovers", 2)], "{word}");
            let text = format!("//! Doc.\nconst A: &str = \"{word}\"; // {word}\n");
            assert_eq!(found("crates/a/src/x.rs", &text), [], "{word}");
        }
    }

    #[test]
    fn notes_are_found_in_every_text() {
        for note in NOTES {
            assert_eq!(found("docs/x.md", &format!("a\n{note}: b\n")), [("notes", 2)]);
            assert_eq!(found("crates/a/src/x.rs", &format!("//! {note}\n")), [("notes", 1)]);
            assert_eq!(found("docs/x.md", &format!("{note}S")), []);
        }
    }

    #[test]
    fn unwraps_are_found_outside_tests() {
        let code = "//! Doc.\nfn f() { x.unwrap(); y.unwrap_or(1); }\n#[cfg(test)]\nmod tests {\n fn g() { x.unwrap(); }\n}\n";
        assert_eq!(found("crates/a/src/x.rs", code), [("unwrap", 2)]);
        assert_eq!(found("crates/a/tests/it/x.rs", code), []);
    }

    #[test]
    fn banned_calls_are_allowed_at_the_edge_alone() {
        let code = "//! Doc.\n#[allow(clippy::disallowed_methods)]\nfn f() {}\n";
        assert_eq!(found("crates/qd-store/src/x.rs", code), [("banned-calls", 2)]);
        assert_eq!(found("crates/qd-env/src/clock.rs", code), []);
    }
}
