//! `cargo xtask bench`: the benchmark in release mode.

use std::path::Path;

use crate::process::Program;

/// Runs it; answers whether it succeeded.
pub(crate) fn run(root: &Path, arguments: &[String]) -> anyhow::Result<bool> {
    let program = ["run", "--release", "--locked", "--package", "qd-bench", "--"];
    Program::new("cargo", program).and(arguments).run(root)
}
