//! What the process tells about itself: for now logs, their set-up and the names of their fields.
//!
//! Field names are the glossary's words (`job`, `crew`, `worker`, `attempt`, `step`); units stand in the name
//! (`duration_ms`). Prompt texts, tokens and keys are never logged.

use std::io::IsTerminal;

use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, registry};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// Why logs could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The level is no filter.
    #[error(
        "log level `{level}` is not understood; use error, warn, info, debug, trace or a filter such as info,qd_store=debug"
    )]
    Level {
        /// As given.
        level: String,
        /// Why.
        source: ParseError,
    },
}

/// Sends logs of at least `level` to standard error. Called once, by the binary; a second call changes nothing.
///
/// # Errors
/// If the level is not understood.
pub fn start_logs(level: &str, format: LogFormat) -> Result<(), Error> {
    let parsed = quieted(level).parse::<Targets>();
    let filter = parsed.map_err(|source| Error::Level { level: level.to_owned(), source })?;
    let terminal = std::io::stderr().is_terminal();
    let json = match format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = if json {
        lines.json().flatten_event(true).with_current_span(false).boxed()
    } else {
        lines.with_ansi(terminal).with_target(false).boxed()
    };
    // An error here means that somebody set logs up before, e.g. another test of the same process.
    let _ = registry().with(lines.with_filter(filter)).try_init();
    Ok(())
}

/// Libraries speak up at `warn` unless the filter names them.
fn quieted(level: &str) -> String {
    if level.contains(['=', ',']) {
        return level.to_owned();
    }
    ["hyper", "hyper_util", "h2", "reqwest", "rustls"].iter().fold(level.to_owned(), |filter, library| {
        let cap = if matches!(level, "error" | "off") { level } else { "warn" };
        format!("{filter},{library}={cap}")
    })
}

#[cfg(test)]
mod tests {
    use super::{Targets, quieted};

    #[test]
    fn libraries_are_quieter_than_the_product() {
        for (level, part) in
            [("debug", "hyper=warn"), ("error", "hyper=error"), ("info,hyper=debug", "info,hyper=debug")]
        {
            let filter = quieted(level);
            assert!(filter.contains(part), "{filter}");
            assert!(filter.parse::<Targets>().is_ok());
        }
        for wrong in ["loud", "info,qd_store=loud"] {
            assert!(quieted(wrong).parse::<Targets>().is_err(), "{wrong}");
        }
    }
}
