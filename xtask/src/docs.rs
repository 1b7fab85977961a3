//! `cargo xtask docs`: the pages of docs/reference, written from the tables they come from. Tests compare them.

use std::path::Path;

use crate::process::Program;

/// Writes them; answers whether it succeeded.
pub(crate) fn run(root: &Path) -> anyhow::Result<bool> {
    let telemetry = Program::new(
        "cargo",
        ["run", "--quiet", "--package", "qd-telemetry", "--example", "write_reference"],
    )
    .run(root)?;
    // The tests that compare pages write them instead when they are told to.
    let snapshots =
        Program::new("cargo", ["test", "--quiet", "--package", "quarterdeck", "--bins", "reference"])
            .with("UPDATE_SNAPSHOTS", "1")
            .run(root)?;
    // This one is told when it is compiled, for a library does not read the environment.
    let failures = Program::new("cargo", ["test", "--quiet", "--package", "qd-llm", "--lib", "reference"])
        .with("UPDATE_SNAPSHOTS", "1")
        .run(root)?;
    Ok(telemetry && snapshots && failures)
}
