//! What people and programs read: data on standard output, messages on standard error.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};

use serde_json::Value;

use crate::cli::Format;
use crate::config::variable;

/// Whether standard error is a terminal that wants colours.
pub(crate) fn is_pretty() -> bool {
    std::io::stderr().is_terminal() && variable("NO_COLOR").is_none()
}

/// Prints an error the way every command does.
pub(crate) fn complain(error: &anyhow::Error) {
    let text = format!("{error:#}");
    let head = if is_pretty() { "\u{1b}[1;31merror:\u{1b}[0m" } else { "error:" };
    say(&format!("{head} {text}"));
}

/// A line on standard error. A closed pipe is not our concern.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// A line on standard output. A reader that went away ends the program like any other filter.
pub(crate) fn print(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}

/// Whether an error says no more than that nobody reads our standard output any longer: no mistake of a filter.
/// What broke inside a call of the network is wrapped in that call's own error, and stays one.
pub(crate) fn reader_went_away(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// A value in the wished form; `table` says it for people.
pub(crate) fn show(
    format: Format,
    value: &Value,
    table: impl FnOnce(&Value) -> String,
) -> anyhow::Result<()> {
    match format {
        Format::Table => print(table(value).trim_end()),
        Format::Json => print(&serde_json::to_string_pretty(value)?),
        Format::Jsonl => match value {
            Value::Array(items) => items.iter().try_for_each(|item| print(&item.to_string())),
            other => print(&other.to_string()),
        },
    }
}

/// Rows under headings, columns as wide as they must be.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([headings[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let line = |cells: &[String]| {
        let mut text = String::new();
        for (cell, width) in cells.iter().zip(&widths) {
            let _ = write!(text, "{cell:<width$}  ");
        }
        text.trim_end().to_owned()
    };
    let head: Vec<String> = headings.iter().map(|h| h.to_uppercase()).collect();
    let mut lines = vec![line(&head)];
    lines.extend(rows.iter().map(|row| line(row)));
    lines.join("\n")
}

/// Text without what could move a terminal's cursor or colours: answers of models are not trusted.
pub(crate) fn harmless(text: &str) -> String {
    text.chars().filter(|c| *c == '\n' || *c == '\t' || !c.is_control()).collect()
}

/// The beginning of a text, on one line.
pub(crate) fn excerpt(text: &str, chars: usize) -> String {
    let flat = harmless(text).split_whitespace().collect::<Vec<_>>().join(" ");
    if flat.chars().count() <= chars {
        return flat;
    }
    let cut: String = flat.chars().take(chars.saturating_sub(1)).collect();
    format!("{}…", cut.trim_end())
}

#[cfg(test)]
mod tests {
    use super::{excerpt, harmless, table};

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let rows =
            vec![vec!["a".to_owned(), "long cell".to_owned()], vec!["bbbb".to_owned(), "c".to_owned()]];
        assert_eq!(table(&["id", "what"], &rows), "ID    WHAT\na     long cell\nbbbb  c");
    }

    #[test]
    fn answers_cannot_steer_the_terminal() {
        assert_eq!(harmless("a\u{1b}[2Jb\r\nc\u{7}"), "a[2Jb\nc");
        assert_eq!(excerpt("one two\n three four", 10), "one two t…");
        assert_eq!(excerpt("short", 10), "short");
    }
}
