//! The page about the command line, from clap's own description.

use std::fmt::Write as _;

use clap::{Arg, Command};

const HEAD: &str = "# Command line

Generated from the program; `quarterdeck COMMAND --help` says the same. Results go to standard output, messages to standard
error. `quarterdeck completions SHELL` and `quarterdeck man` print this for shells and for `man`.

## Exit codes

| code | means |
|---|---|
| 0 | as wished; also where the reader of the output went away |
| 1 | the thing asked about failed: a job failed or was cancelled, `doctor` found something wrong, a load test missed an objective |
| 2 | wrong arguments, or a request that the server calls invalid |
| 3 | the configuration or a crew file has mistakes |
| 4 | the server cannot be reached |
| 5 | the server wants an API key, or another one |
| 6 | there is no such thing: job, key, error code |
| 7 | something is in the way: a port, a lock, a folder that is not empty, an idempotency key |
| 8 | waiting took too long |
| 9 | a limit refused it, e.g. a full queue |
| 130 | interrupted by Ctrl-C or SIGTERM |

## Variables

| variable | does |
|---|---|
| `QUARTERDECK_CONFIG` | as `--config` |
| `QUARTERDECK_ENV` | as `--env` |
| `QUARTERDECK_API_KEY` | as `--key` of those commands |
| `QUARTERDECK_URL` | as `--url` of the commands that speak to a server |
| `QUARTERDECK_SECTION__KEY` | any setting, see [configuration](configuration.md) |
| `COLUMNS` | the width that tables are fitted to; that of the terminal without |
| `NO_COLOR` | no colours, if set to anything |
";

/// The whole page.
pub(super) fn page(commands: &[Command]) -> String {
    let mut page = HEAD.to_owned();
    page.push_str("\n## Options of every command\n\n");
    arguments(&mut page, commands[0].get_arguments());
    for command in &commands[1..] {
        let _ = write!(page, "\n## {}\n\n", super::name(command));
        if let Some(about) = command.get_about() {
            let _ = writeln!(page, "{}.\n", plain(&about.to_string()));
        }
        let usage = command.clone().render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ").trim();
        let _ = writeln!(page, "```text\n{usage}\n```");
        let own: Vec<_> = command.get_arguments().filter(|arg| !arg.is_global_set()).collect();
        if own.iter().any(|arg| is_shown(arg)) {
            page.push('\n');
            arguments(&mut page, own.into_iter());
        }
        if let Some(examples) = command.get_after_help() {
            let text = examples.to_string();
            let lines: Vec<_> = text.lines().skip(1).map(str::trim).collect();
            let _ = write!(page, "\n```sh\n{}\n```\n", lines.join("\n"));
        }
    }
    page
}

fn arguments<'a>(page: &mut String, arguments: impl Iterator<Item = &'a Arg>) {
    page.push_str("| argument | does |\n|---|---|\n");
    for argument in arguments.filter(|argument| is_shown(argument)) {
        let about = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(page, "| {} | {}{} |", spelled(argument), plain(&about), values(argument));
    }
}

fn is_shown(argument: &Arg) -> bool {
    !argument.is_hide_set() && !matches!(argument.get_id().as_str(), "help" | "version")
}

fn spelled(argument: &Arg) -> String {
    let names = argument.get_value_names().unwrap_or_default();
    let takes = argument.get_action().takes_values();
    let value =
        names.first().map_or_else(|| argument.get_id().to_string().to_uppercase(), ToString::to_string);
    if argument.is_positional() {
        return if argument.is_required_set() { format!("`{value}`") } else { format!("`[{value}]`") };
    }
    let short = argument.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
    let long = argument.get_long().unwrap_or_default();
    let value = match (takes, argument.is_require_equals_set()) {
        (false, _) => String::new(),
        (true, true) => format!("[={value}]"),
        (true, false) => format!(" {value}"),
    };
    format!("`{short}--{long}{value}`")
}

/// The words that an argument takes, and its default.
fn values(argument: &Arg) -> String {
    let words: Vec<_> =
        argument.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    let mut text = String::new();
    if argument.get_action().takes_values() && !words.is_empty() {
        let _ = write!(text, ": {}", words.join(", "));
    }
    let default: Vec<_> = argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if argument.get_action().takes_values() && !default.is_empty() {
        let _ = write!(text, " [{}]", default.join(" "));
    }
    text
}

/// Fit to stand in a table.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
