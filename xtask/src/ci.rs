//! `cargo xtask ci`: the whole gate, the same here and on every other machine. Cheap stages go first.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::process::{Program, shown, timed};
use crate::{test, tidy};

/// One part of the gate.
struct Stage {
    name: &'static str,
    work: Work,
}

enum Work {
    Program(Program),
    Tidy,
    Tests,
    /// Nothing to do here, and why.
    Skipped(&'static str),
}

impl Stage {
    fn program<const N: usize>(name: &'static str, arguments: [&str; N]) -> Self {
        Self { name, work: Work::Program(Program::new("cargo", arguments)) }
    }

    /// What repeats this stage alone.
    fn command(&self) -> String {
        match &self.work {
            Work::Program(program) => program.to_string(),
            Work::Tidy => "cargo xtask tidy".to_owned(),
            Work::Tests => "cargo xtask test".to_owned(),
            Work::Skipped(why) => format!("skipped: {why}"),
        }
    }

    fn run(&self, root: &Path) -> anyhow::Result<Verdict> {
        let passed = match &self.work {
            Work::Program(program) => program.run(root)?,
            Work::Tidy => tidy::run(root)?,
            Work::Tests => test::run(root, &[])?,
            Work::Skipped(_) => return Ok(Verdict::Skipped),
        };
        Ok(if passed { Verdict::Passed } else { Verdict::Failed })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Passed,
    Failed,
    Skipped,
}

/// Runs the stages up to the first that fails; answers whether all passed.
pub(crate) fn run(root: &Path) -> anyhow::Result<bool> {
    let has_deny = Program::new("cargo", ["deny", "--version"]).succeeds(root);
    let mut done = Vec::new();
    let mut failed = None;
    for stage in stages(has_deny) {
        println!("\n== {}: {}", stage.name, stage.command());
        let (verdict, took) = timed(|| stage.run(root));
        let verdict = verdict?;
        println!("== {} {} after {}", stage.name, word(verdict), shown(took));
        done.push((stage.name, verdict, took));
        if verdict == Verdict::Failed {
            failed = Some(stage);
            break;
        }
    }
    print!("\n{}", summary(&done));
    if let Some(stage) = &failed {
        println!("\nstage `{}` failed; repeat it with: {}", stage.name, stage.command());
    }
    Ok(failed.is_none())
}

fn stages(has_deny: bool) -> Vec<Stage> {
    let mut docs =
        Program::new("cargo", ["doc", "--workspace", "--no-deps", "--document-private-items", "--locked"]);
    docs = docs.with("RUSTDOCFLAGS", "-D warnings");
    let deny = if has_deny {
        let arguments = ["deny", "--locked", "check", "bans", "licenses", "sources"];
        Stage::program("dependencies", arguments)
    } else {
        let why = "cargo-deny is not installed (`cargo install cargo-deny --locked`)";
        Stage { name: "dependencies", work: Work::Skipped(why) }
    };
    vec![
        Stage::program("format", ["fmt", "--all", "--check"]),
        Stage { name: "tidy", work: Work::Tidy },
        Stage::program(
            "lint",
            ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"],
        ),
        Stage { name: "tests", work: Work::Tests },
        Stage { name: "docs", work: Work::Program(docs) },
        deny,
    ]
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "passed",
        Verdict::Failed => "FAILED",
        Verdict::Skipped => "skipped",
    }
}

fn summary(done: &[(&str, Verdict, Duration)]) -> String {
    let mut text = String::new();
    let mut line = |name: &str, verdict: &str, took: Duration| {
        writeln!(text, "{name:<14}{verdict:<9}{:>14}", shown(took)).expect("writing to a String cannot fail");
    };
    for (name, verdict, took) in done {
        line(name, word(*verdict), *took);
    }
    line("together", "", done.iter().map(|(_, _, took)| *took).sum());
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::{Stage, Verdict, stages, summary};

    #[test]
    fn every_stage_says_how_to_repeat_it() {
        let commands: Vec<_> = stages(true).iter().map(Stage::command).collect();
        assert_eq!(
            commands,
            [
                "cargo fmt --all --check",
                "cargo xtask tidy",
                "cargo clippy --workspace --all-targets --locked -- -D warnings",
                "cargo xtask test",
                "RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --document-private-items --locked",
                "cargo deny --locked check bans licenses sources",
            ]
        );
    }

    #[test]
    fn missing_cargo_deny_is_told_and_fails_nothing() {
        let last = stages(false).pop().unwrap();
        assert!(last.command().contains("cargo-deny is not installed"));
        assert_eq!(last.run(Path::new(".")).unwrap(), Verdict::Skipped);
    }

    #[test]
    fn failing_program_fails_its_stage() {
        let stage = Stage::program("broken", ["no-such-subcommand"]);
        assert_eq!(stage.run(Path::new(".")).unwrap(), Verdict::Failed);
    }

    #[test]
    fn summary_lists_times_and_their_sum() {
        let done = [
            ("format", Verdict::Passed, Duration::from_secs(2)),
            ("tidy", Verdict::Failed, Duration::from_secs(60)),
        ];
        let text = summary(&done);
        assert!(text.contains("format        passed            2.0 s"), "{text}");
        assert!(text.contains("tidy          FAILED       1 min 00 s"), "{text}");
        assert!(text.ends_with("together                   1 min 02 s\n"), "{text}");
    }
}
