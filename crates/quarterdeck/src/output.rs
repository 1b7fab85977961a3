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

/// How many characters a line of standard output has room for: `COLUMNS`, or what the terminal says. Files have no width.
pub(crate) fn width() -> Option<usize> {
    let wished =
        variable("COLUMNS").and_then(|columns| columns.trim().parse().ok()).filter(|width| *width > 0);
    let out = std::io::stdout();
    let of_terminal = || {
        let size = rustix::termios::tcgetwinsize(&out).ok().filter(|_| out.is_terminal())?;
        Some(usize::from(size.ws_col)).filter(|width| *width > 0)
    };
    wished.or_else(of_terminal)
}

/// Rows under headings, columns as wide as they must be and the line allows.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    fitted(headings, rows, width())
}

/// Narrowest column, so that something of it can be read.
const COLUMN_MIN: usize = 8;
const GAP: usize = 2;

fn fitted(headings: &[&str], rows: &[Vec<String>], room: Option<usize>) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([headings[column].chars().count()]).max().unwrap_or(0)
    };
    let mut widths: Vec<usize> = (0..headings.len()).map(width).collect();
    if let Some(room) = room {
        shrink(&mut widths, room);
    }
    let line = |cells: &[String]| {
        let mut text = String::new();
        for (cell, width) in cells.iter().zip(&widths) {
            let cell = if cell.chars().count() > *width { excerpt(cell, *width) } else { cell.clone() };
            let _ = write!(text, "{cell:<width$}{:GAP$}", "");
        }
        text.trim_end().to_owned()
    };
    let head: Vec<String> = headings.iter().map(|h| h.to_uppercase()).collect();
    let mut lines = vec![line(&head)];
    lines.extend(rows.iter().map(|row| line(row)));
    lines.join("\n")
}

/// Takes from the widest column what is too much. The first one is what a line is about, and stays whole.
fn shrink(widths: &mut [usize], room: usize) {
    loop {
        let total = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
        let widest = widths.iter_mut().skip(1).max().filter(|width| **width > COLUMN_MIN);
        match widest {
            Some(width) if total > room => *width -= 1,
            _ => return,
        }
    }
}

/// Returns when nobody reads our standard output any longer; never where that cannot be told.
pub(crate) async fn reader_gone() {
    use rustix::event::{PollFd, PollFlags, poll};
    let watching = tokio::task::spawn_blocking(|| {
        let out = std::io::stdout();
        loop {
            // Nothing is asked for: only the other end's going away wakes this up.
            let mut ends = [PollFd::new(&out, PollFlags::empty())];
            match poll(&mut ends, None) {
                Ok(_) => return ends[0].revents().intersects(PollFlags::ERR | PollFlags::HUP),
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    });
    if !watching.await.unwrap_or(false) {
        std::future::pending::<()>().await;
    }
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
    use super::{excerpt, fitted, harmless};

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let rows =
            vec![vec!["a".to_owned(), "long cell".to_owned()], vec!["bbbb".to_owned(), "c".to_owned()]];
        let table = |room| fitted(&["id", "what"], &rows, room);
        assert_eq!(table(None), "ID    WHAT\na     long cell\nbbbb  c");
        assert_eq!(table(Some(15)), table(None));
        assert_eq!(table(Some(14)), "ID    WHAT\na     long ce…\nbbbb  c");
        assert_eq!(table(Some(3)), table(Some(14)), "no column becomes too narrow to read");
    }

    #[test]
    fn answers_cannot_steer_the_terminal() {
        assert_eq!(harmless("a\u{1b}[2Jb\r\nc\u{7}"), "a[2Jb\nc");
        assert_eq!(excerpt("one two\n three four", 10), "one two t…");
        assert_eq!(excerpt("short", 10), "short");
    }
}
