//! What is wrong with a crew file, where, and what to do about it.
//!
//! [`Report`] collects while reading, so that all mistakes of a file are told at once.

use std::fmt::{self, Write as _};

/// Whether a crew can be used in spite of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, but somebody should look.
    Warning,
}

/// One finding in a crew file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file, or `crew NAME` where the crew comes from the store.
    pub path: String,
    /// Counted from 1; 0 if not known.
    pub line: u32,
    /// Counted from 1 in characters; 0 if not known.
    pub column: u32,
    /// Whether it stops the crew.
    pub severity: Severity,
    /// What is wrong and why.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, ": {word}: {}", self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

/// Why a crew cannot be used: every mistake that was found, in the order of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_char('\n')?;
            }
            diagnostic.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

/// Findings that are told; more of them help nobody.
const FINDINGS_MAX: usize = 100;

/// A place in one of the files of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct At {
    /// Index into [`Report::files`].
    pub(crate) file: usize,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// Findings so far.
#[derive(Debug)]
pub(crate) struct Report {
    files: Vec<String>,
    found: Vec<(At, Diagnostic)>,
}

impl Report {
    pub(crate) fn new(files: Vec<String>) -> Self {
        Self { files, found: Vec::new() }
    }

    pub(crate) fn error(&mut self, at: At, message: impl Into<String>) {
        self.push(at, Severity::Error, message.into(), None);
    }

    pub(crate) fn error_hint(&mut self, at: At, message: impl Into<String>, hint: Option<String>) {
        self.push(at, Severity::Error, message.into(), hint);
    }

    pub(crate) fn warn(&mut self, at: At, message: impl Into<String>) {
        self.push(at, Severity::Warning, message.into(), None);
    }

    fn push(&mut self, at: At, severity: Severity, message: String, hint: Option<String>) {
        let path = self.files.get(at.file).cloned().unwrap_or_default();
        let diagnostic = Diagnostic { path, line: at.line, column: at.column, severity, message, hint };
        // An alias shows the same mistake at each of its uses: once is enough.
        if !self.found.iter().any(|(place, known)| *place == at && *known == diagnostic) {
            self.found.push((at, diagnostic));
        }
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.found.iter().any(|(_, diagnostic)| diagnostic.severity == Severity::Error)
    }

    /// Everything in the order of the files if something is an error, else the warnings.
    pub(crate) fn finish(mut self) -> Result<Vec<Diagnostic>, Diagnostics> {
        let failed = self.has_errors();
        if failed && self.found.len() > FINDINGS_MAX {
            self.found.retain(|(_, diagnostic)| diagnostic.severity == Severity::Error);
        }
        self.found.sort_by_key(|(at, _)| *at);
        let mut found: Vec<Diagnostic> = self.found.into_iter().map(|(_, diagnostic)| diagnostic).collect();
        if found.len() > FINDINGS_MAX {
            let message = format!("{} more findings are not shown", found.len() - FINDINGS_MAX);
            found.truncate(FINDINGS_MAX);
            let severity = if failed { Severity::Error } else { Severity::Warning };
            let path = self.files.first().cloned().unwrap_or_default();
            found.push(Diagnostic { path, line: 0, column: 0, severity, message, hint: None });
        }
        if failed { Err(Diagnostics(found)) } else { Ok(found) }
    }
}

/// A text from a file, fit to stand in a message: bounded, and without characters that move a terminal's cursor or
/// turn the direction of writing.
pub(crate) fn quote(text: &str) -> String {
    const KEPT: usize = 64;
    let mut quoted = String::from("`");
    for c in text.chars().take(KEPT) {
        if is_deceptive(c) { quoted.extend(c.escape_unicode()) } else { quoted.push(c) }
    }
    if text.chars().nth(KEPT).is_some() {
        quoted.push('…');
    }
    quoted.push('`');
    quoted
}

/// Controls, and the characters that reorder or hide text.
pub(crate) fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{61c}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagnostic_prints_as_editors_expect_it() {
        let mut report = Report::new(vec!["crews/x.yaml".to_owned()]);
        let at = At { file: 0, line: 12, column: 5 };
        report.error_hint(at, "agent `writer` is not defined", Some("did you mean `writter`?".to_owned()));
        report.error(At::default(), "the file is empty");
        let found = report.finish().unwrap_err();
        assert_eq!(
            found.to_string(),
            "crews/x.yaml: error: the file is empty\n\
             crews/x.yaml:12:5: error: agent `writer` is not defined; did you mean `writter`?"
        );
    }

    #[test]
    fn quoted_texts_cannot_play_tricks_and_are_bounded() {
        assert_eq!(quote("a\u{1b}[31m\u{202e}b"), "`a\\u{1b}[31m\\u{202e}b`");
        assert_eq!(quote(&"x".repeat(1000)).chars().count(), 67);
    }
}
