//! Other programs: how they are started, shown to people, and timed.

use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;

/// A program with its arguments and variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    name: String,
    arguments: Vec<String>,
    variables: Vec<(&'static str, &'static str)>,
}

impl Program {
    pub(crate) fn new<'a>(name: &str, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        let arguments = arguments.into_iter().map(str::to_owned).collect();
        Self { name: name.to_owned(), arguments, variables: Vec::new() }
    }

    pub(crate) fn with(mut self, variable: &'static str, value: &'static str) -> Self {
        self.variables.push((variable, value));
        self
    }

    pub(crate) fn and<'a>(mut self, arguments: impl IntoIterator<Item = &'a String>) -> Self {
        self.arguments.extend(arguments.into_iter().cloned());
        self
    }

    /// Runs it with its output shown; answers whether it succeeded.
    pub(crate) fn run(&self, folder: &Path) -> anyhow::Result<bool> {
        let status = self.command(folder).status().with_context(|| format!("cannot start `{self}`"))?;
        Ok(status.success())
    }

    /// Runs it without showing anything; answers whether it is there and succeeded.
    pub(crate) fn succeeds(&self, folder: &Path) -> bool {
        let mut command = self.command(folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    /// Runs it and answers what it printed.
    pub(crate) fn output(&self, folder: &Path) -> anyhow::Result<String> {
        let output = self.command(folder).output().with_context(|| format!("cannot start `{self}`"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            anyhow::bail!("`{self}` failed: {}", said.trim());
        }
        String::from_utf8(output.stdout).with_context(|| format!("`{self}` printed no text"))
    }

    fn command(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.name);
        command.args(&self.arguments).envs(self.variables.iter().copied()).current_dir(folder);
        command
    }
}

/// As it can be pasted into a shell.
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (variable, value) in &self.variables {
            write!(f, "{variable}={} ", quoted(value))?;
        }
        f.write_str(&self.name)?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {}", quoted(argument)))
    }
}

fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=/.,:+@".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Does something and says how long it took.
// Times of commands are for the person who waits; nothing is decided by them, so no Env is needed.
#[allow(clippy::disallowed_methods)]
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let result = work();
    (result, began.elapsed())
}

/// `7.4 s`, `3 min 05 s`.
pub(crate) fn shown(span: Duration) -> String {
    let seconds = span.as_secs();
    if seconds < 60 {
        format!("{:.1} s", span.as_secs_f64())
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::{Program, shown};

    #[test]
    fn programs_are_shown_as_a_shell_takes_them() {
        let program = Program::new("cargo", ["doc", "a b", "it's", ""]).with("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(program.to_string(), r"RUSTDOCFLAGS='-D warnings' cargo doc 'a b' 'it'\''s' ''");
    }

    #[test]
    fn programs_that_are_missing_or_fail_do_not_succeed() {
        let here = Path::new(".");
        assert!(Program::new("cargo", ["--version"]).succeeds(here));
        assert!(!Program::new("cargo", ["no-such-subcommand"]).succeeds(here));
        assert!(!Program::new("no-such-program-anywhere", []).succeeds(here));
        let error = Program::new("no-such-program-anywhere", []).run(here).unwrap_err();
        assert!(error.to_string().contains("cannot start `no-such-program-anywhere`"), "{error}");
        assert!(Program::new("cargo", ["no-such-subcommand"]).output(here).is_err());
    }

    #[test]
    fn times_read_well() {
        assert_eq!(shown(Duration::from_millis(7_449)), "7.4 s");
        assert_eq!(shown(Duration::from_secs(185)), "3 min 05 s");
    }
}
