//! What is let off for now. The list only shrinks: an exception that is no longer needed is itself a finding.

use std::collections::BTreeMap;

use anyhow::Context;

use super::EXCEPTIONS;
use super::finding::{Finding, line_of};

/// Findings that are let off, by rule and path.
#[derive(Debug, Default)]
pub(crate) struct Exceptions {
    all: Vec<Exception>,
}

#[derive(Debug)]
struct Exception {
    rule: String,
    path: String,
    /// How many findings.
    count: usize,
    line: usize,
}

impl Exceptions {
    /// Reads `[[exception]]` tables.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let mut document: toml::Table = text.parse().with_context(|| format!("{EXCEPTIONS} is no TOML"))?;
        let tables = match document.remove("exception") {
            None => Vec::new(),
            Some(toml::Value::Array(tables)) => tables,
            Some(_) => anyhow::bail!("{EXCEPTIONS}: write `[[exception]]`"),
        };
        if let Some(unknown) = document.keys().next() {
            anyhow::bail!("{EXCEPTIONS}: `{unknown}` means nothing here");
        }
        let lines = text.match_indices("[[exception]]").map(|(place, _)| line_of(text, place));
        let all = tables
            .into_iter()
            .zip(lines)
            .map(|(table, line)| exception(table, line).with_context(|| format!("{EXCEPTIONS}:{line}")));
        Ok(Self { all: all.collect::<Result<_, _>>()? })
    }

    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    /// The findings that are not let off, and one for each exception that lets off more than there is.
    pub(crate) fn apply(&self, findings: Vec<Finding>) -> Vec<Finding> {
        let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for finding in &findings {
            *counts.entry((finding.rule, &finding.path)).or_default() += 1;
        }
        let mut left: Vec<Finding> = Vec::new();
        for exception in &self.all {
            let found = counts.get(&(exception.rule.as_str(), exception.path.as_str())).copied().unwrap_or(0);
            if found < exception.count {
                let (rule, path, count) = (&exception.rule, &exception.path, exception.count);
                let message = if found == 0 {
                    format!("`{path}` needs no exception from `{rule}` any more; remove it")
                } else {
                    format!(
                        "`{path}` needs {found} instead of {count} exceptions from `{rule}`; lower the count"
                    )
                };
                left.push(Finding::new(EXCEPTIONS, exception.line, "exceptions", message));
            }
        }
        let let_off = |finding: &Finding| {
            let mine = self.all.iter().find(|e| e.rule == finding.rule && e.path == finding.path);
            mine.is_some_and(|e| counts[&(finding.rule, finding.path.as_str())] <= e.count)
        };
        left.extend(findings.iter().filter(|finding| !let_off(finding)).cloned());
        left
    }
}

fn exception(table: toml::Value, line: usize) -> anyhow::Result<Exception> {
    let toml::Value::Table(mut table) = table else { anyhow::bail!("an exception is a table") };
    let mut text = |key: &str| match table.remove(key) {
        Some(toml::Value::String(text)) if !text.trim().is_empty() => Ok(text),
        _ => anyhow::bail!("an exception needs the text `{key}`"),
    };
    let (rule, path, _reason) = (text("rule")?, text("path")?, text("reason")?);
    let count = match table.remove("count") {
        None => 1,
        Some(toml::Value::Integer(count)) if count > 0 => usize::try_from(count)?,
        Some(_) => anyhow::bail!("`count` is a number above 0"),
    };
    match table.keys().next() {
        Some(unknown) => anyhow::bail!("`{unknown}` means nothing in an exception"),
        None => Ok(Exception { rule, path, count, line }),
    }
}

#[cfg(test)]
mod tests {
    use super::{Exceptions, Finding};

    const ONE: &str =
        "# why\n[[exception]]\nrule = \"sleeps\"\npath = \"a.rs\"\ncount = 2\nreason = \"it polls\"\n";

    fn left(findings: &[(&str, usize)]) -> Vec<String> {
        let findings = findings.iter().map(|(path, line)| Finding::new(path, *line, "sleeps", "sleeps"));
        let left = Exceptions::parse(ONE).unwrap().apply(findings.collect());
        left.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn exceptions_let_off_as_many_as_they_say_and_no_more() {
        assert_eq!(left(&[("a.rs", 1), ("a.rs", 2)]), Vec::<String>::new());
        assert_eq!(left(&[("a.rs", 1), ("a.rs", 2), ("a.rs", 3)]).len(), 3, "a new one shows all of them");
        assert_eq!(left(&[("a.rs", 1), ("a.rs", 2), ("b.rs", 7)]), ["b.rs:7: sleeps [sleeps]"]);
    }

    #[test]
    fn exceptions_that_are_not_needed_are_found() {
        let unused = left(&[]);
        assert!(unused[0].starts_with("xtask/exceptions.toml:2: `a.rs` needs no exception"), "{unused:?}");
        let half = left(&[("a.rs", 1)]);
        assert_eq!(half.len(), 1);
        assert!(half[0].contains("needs 1 instead of 2"), "{half:?}");
    }

    #[test]
    fn mistakes_in_the_list_are_named() {
        for (text, message) in [
            ("[[exception]]\nrule = \"a\"\npath = \"b\"\n", "needs the text `reason`"),
            (
                "[[exception]]\nrule = \"a\"\npath = \"b\"\nreason = \"c\"\ncount = 0\n",
                "`count` is a number above 0",
            ),
            ("[[exception]]\nrule = \"a\"\npath = \"b\"\nreason = \"c\"\nx = 0\n", "`x` means nothing"),
            ("[exception]\n", "write `[[exception]]`"),
            ("x = 1\n", "`x` means nothing here"),
            ("x", "is no TOML"),
        ] {
            let error = Exceptions::parse(text).unwrap_err();
            assert!(format!("{error:#}").contains(message), "{error:#}");
        }
    }
}
