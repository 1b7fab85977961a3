//! `cargo xtask docs`: the pages of docs/reference, written from the tables they come from. Tests compare them.

use std::path::Path;

use crate::process::Program;

/// Writes them; answers whether it succeeded.
pub(crate) fn run(root: &Path) -> anyhow::Result<bool> {
    let figures =
        Program::new("cargo", ["run", "--quiet", "--package", "qd-telemetry", "--example", "write_reference"]);
    // Command line, files and HTTP API: the tests that compare these pages write them as well.
    let outside = Program::new("cargo", ["test", "--quiet", "--package", "quarterdeck", "--bins", "reference::"])
        .with("UPDATE_SNAPSHOTS", "1");
    Ok(figures.run(root)? && outside.run(root)?)
}
