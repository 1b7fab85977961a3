//! `cargo xtask test`: what the tests need, then every test.

use std::path::Path;

use crate::process::{Program, shown, timed};
use crate::setup;

/// Runs them; answers whether all passed.
pub(crate) fn run(root: &Path, arguments: &[String]) -> anyhow::Result<bool> {
    let (passed, took) = timed(|| {
        setup::ensure_c_compiler(root)?;
        if includes_product(arguments) {
            setup::ensure_clients(root)?;
        }
        command(arguments).run(root)
    });
    let passed = passed?;
    println!("\n{} in {}", if passed { "all tests passed" } else { "tests failed" }, shown(took));
    Ok(passed)
}

/// Whether the end-to-end tests run: they do unless other packages are named.
fn includes_product(arguments: &[String]) -> bool {
    let own: Vec<&str> = arguments.iter().map(String::as_str).take_while(|word| *word != "--").collect();
    let named = own.iter().enumerate().filter_map(|(place, argument)| match *argument {
        "-p" | "--package" => own.get(place + 1).copied(),
        other => other.strip_prefix("--package="),
    });
    let mut packages = named.peekable();
    packages.peek().is_none() || packages.any(|package| package == "quarterdeck")
}

/// What runs, with further arguments for `cargo test`.
pub(crate) fn command(arguments: &[String]) -> Program {
    // Everything except benchmarks, which `--all-targets` would run as well.
    let targets = ["--lib", "--bins", "--tests", "--examples"];
    let own = arguments.split(|argument| argument == "--").next().unwrap_or_default();
    let is_selected = |names: &[&str]| own.iter().any(|argument| names.contains(&word(argument)));
    let mut words = vec!["test", "--locked"];
    if !is_selected(&["-p", "--package", "--workspace", "--all", "--manifest-path"]) {
        words.push("--workspace");
    }
    // Whoever names one package or target means just that; a package without a library would refuse `--lib`.
    if !is_selected(&[
        "-p",
        "--package",
        "--lib",
        "--bin",
        "--bins",
        "--test",
        "--tests",
        "--example",
        "--examples",
        "--bench",
        "--benches",
        "--all-targets",
        "--doc",
    ]) {
        words.extend(targets);
    }
    Program::new("cargo", words).and(arguments)
}

/// An argument without its value.
fn word(argument: &str) -> &str {
    argument.split('=').next().unwrap_or(argument)
}

#[cfg(test)]
mod tests {
    use super::{command, includes_product};

    #[test]
    fn arguments_narrow_what_runs() {
        for (given, runs) in [
            ("", "cargo test --locked --workspace --lib --bins --tests --examples"),
            ("-- store", "cargo test --locked --workspace --lib --bins --tests --examples -- store"),
            (
                "claim -- --nocapture",
                "cargo test --locked --workspace --lib --bins --tests --examples claim -- --nocapture",
            ),
            ("-p qd-crew", "cargo test --locked -p qd-crew"),
            ("--package=xtask", "cargo test --locked --package=xtask"),
            ("--test it", "cargo test --locked --workspace --test it"),
            ("-- -p", "cargo test --locked --workspace --lib --bins --tests --examples -- -p"),
        ] {
            let arguments: Vec<String> = given.split_whitespace().map(str::to_owned).collect();
            assert_eq!(command(&arguments).to_string(), runs, "{given}");
        }
    }

    #[test]
    fn clients_are_set_up_for_the_product_alone() {
        for (given, includes) in [
            ("", true),
            ("-- -p qd-llm", true),
            ("-p qd-llm", false),
            ("--package=qd-llm --lib", false),
            ("-p qd-llm --package quarterdeck", true),
        ] {
            let arguments: Vec<String> = given.split_whitespace().map(str::to_owned).collect();
            assert_eq!(includes_product(&arguments), includes, "{given}");
        }
    }
}
