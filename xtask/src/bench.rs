//! `cargo xtask bench`: the product as users build it, then the benchmark that measures it.

use std::path::Path;

use crate::process::Program;

/// Runs it; answers whether it succeeded.
pub(crate) fn run(root: &Path, arguments: &[String]) -> anyhow::Result<bool> {
    for program in programs(arguments) {
        if !program.run(root)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Two builds: together they would share features, and what is measured would not be what is shipped.
fn programs(arguments: &[String]) -> [Program; 2] {
    let product = ["build", "--release", "--locked", "--package", "quarterdeck"];
    let benchmark = ["run", "--release", "--locked", "--package", "qd-bench", "--"];
    [Program::new("cargo", product), Program::new("cargo", benchmark).and(arguments)]
}

#[cfg(test)]
mod tests {
    use super::programs;

    #[test]
    fn product_is_built_before_it_is_measured() {
        let commands = programs(&["accept".to_owned()]).map(|program| program.to_string());
        assert_eq!(
            commands,
            [
                "cargo build --release --locked --package quarterdeck",
                "cargo run --release --locked --package qd-bench -- accept",
            ]
        );
    }
}
