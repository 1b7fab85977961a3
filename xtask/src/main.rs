//! The project's own commands. `cargo xtask` alone lists them.
//!
//! What needs no more than cargo stays cargo's: here is only what takes several steps or knows the rules of this house.

mod bench;
mod ci;
mod docs;
mod process;
mod setup;
mod test;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <command>

  test [ARGS]   sets up what the tests need, then runs all of them; ARGS go to `cargo test`,
                e.g. `cargo xtask test -- store` or `cargo xtask test -p qd-crew`
  ci            the whole gate: fmt, tidy, clippy, tests, docs, dependencies
  tidy          checks the rules of ARCHITECTURE.md and CONTRIBUTING.md and prints the table of sizes
  docs          writes the pages of docs/reference from the code they come from
  bench [ARGS]  runs the benchmark in release mode; ARGS go to it";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Answers whether the command found everything in order. An error means that it could not be carried out.
fn dispatch(arguments: &[String]) -> anyhow::Result<bool> {
    let root = root();
    let (command, rest) = match arguments {
        [] => ("help", arguments),
        [command, rest @ ..] => (command.as_str(), rest),
    };
    match (command, rest) {
        ("test", rest) => test::run(&root, rest),
        ("ci", []) => ci::run(&root),
        ("tidy", []) => tidy::run(&root),
        ("docs", []) => docs::run(&root),
        ("bench", rest) => bench::run(&root, rest),
        ("ci" | "tidy" | "docs", [unexpected, ..]) => {
            anyhow::bail!("`{command}` takes no arguments, got `{unexpected}`\n\n{USAGE}")
        }
        ("help" | "--help" | "-h", _) => {
            println!("{USAGE}");
            Ok(true)
        }
        (unknown, _) => anyhow::bail!("there is no command `{unknown}`\n\n{USAGE}"),
    }
}

/// The folder of the workspace.
fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().expect("xtask lies in the workspace").to_owned()
}
