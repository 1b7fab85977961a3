//! Pages of docs/reference, generated from what the program itself goes by, and compared with the committed ones.
//!
//! `cargo xtask docs` writes them anew.

mod cli;
mod life;
mod schema;
#[path = "../tests/it/snapshot.rs"]
mod snapshot;

use std::fmt::Write as _;

use clap::{Command, CommandFactory};
use qd_crew::SchemaOf;

use crate::cli::Cli;
use crate::config;

/// Every command with its words, ours first.
fn commands() -> Vec<Command> {
    fn collect(command: &Command, found: &mut Vec<Command>) {
        found.push(command.clone());
        let below =
            command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help");
        below.for_each(|below| collect(below, found));
    }
    let mut root = Cli::command();
    root.build();
    let mut found = Vec::new();
    collect(&root, &mut found);
    found
}

/// `quarterdeck jobs list` of a command.
fn name(command: &Command) -> String {
    command.get_bin_name().unwrap_or(command.get_name()).to_owned()
}

#[test]
fn help_of_every_command_is_as_it_was_and_has_an_example() {
    let mut all = String::new();
    for mut command in commands() {
        let name = name(&command);
        let help = command.render_long_help().to_string();
        assert!(help.contains("Examples:\n  quarterdeck"), "{name} has no example");
        let _ = writeln!(all, "$ {name} --help\n{help}");
    }
    snapshot::compare("crates/quarterdeck/tests/snapshots/help.txt", &all);
}

#[test]
fn reference_of_the_command_line_is_up_to_date() {
    snapshot::compare("docs/reference/cli.md", &cli::page(&commands()));
}

#[test]
fn reference_of_the_configuration_is_up_to_date() {
    snapshot::compare("docs/reference/configuration.md", &schema::configuration(&config::schema()));
}

#[test]
fn reference_of_crew_files_is_up_to_date() {
    snapshot::compare("docs/reference/crew-file.md", &schema::crew_file(&qd_crew::schema(SchemaOf::Crew)));
}

#[test]
fn reference_of_the_http_api_is_up_to_date() {
    let document = serde_json::to_string_pretty(&qd_gateway::openapi()).unwrap();
    snapshot::compare("docs/reference/openapi.json", &document);
}

#[test]
fn life_of_a_job_is_drawn_as_it_is() {
    snapshot::compare("docs/reference/job-life-cycle.md", &life::page());
}
