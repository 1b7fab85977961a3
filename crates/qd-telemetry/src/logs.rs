//! The set-up of logs: which lines are written, and how they look. What stands in them is `fields.rs`.

use std::io::IsTerminal;

use tracing_subscriber::filter::{LevelFilter, Targets};
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
    },
}

/// Sends logs of at least `level` to standard error. Called once, by the binary; a second call changes nothing.
///
/// # Errors
/// If the level is not understood.
pub fn start_logs(level: &str, format: LogFormat) -> Result<(), Error> {
    let filter = understood(level)?;
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

/// Whether [`start_logs`] would take this level.
///
/// # Errors
/// If the level is not understood.
pub fn check_level(level: &str) -> Result<(), Error> {
    understood(level).map(drop)
}

fn understood(level: &str) -> Result<Targets, Error> {
    filter(level).ok_or_else(|| Error::Level { level: level.to_owned() })
}

/// A level, or levels by target as in `info,qd_store=debug`. A plain level leaves libraries at `warn`.
fn filter(text: &str) -> Option<Targets> {
    let mut filter = Targets::new();
    for directive in text.split(',') {
        if directive.trim().is_empty() {
            return None;
        }
        // A word that is no level would be taken for a target's name: here it is a mistake.
        filter = match directive.trim().split_once('=') {
            Some((target, level)) => filter.with_target(target, level.parse::<LevelFilter>().ok()?),
            None => filter.with_default(directive.trim().parse::<LevelFilter>().ok()?),
        };
    }
    if text.contains('=') {
        return Some(filter);
    }
    let cap = filter.default_level().unwrap_or(LevelFilter::OFF).min(LevelFilter::WARN);
    Some(
        filter.with_targets(["hyper", "hyper_util", "h2", "reqwest", "rustls"].map(|library| (library, cap))),
    )
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::filter::LevelFilter;

    use super::filter;

    #[test]
    fn libraries_are_quieter_than_the_product_unless_they_are_named() {
        for (text, target, level) in [
            ("debug", "qd_store", LevelFilter::DEBUG),
            ("debug", "hyper::proto", LevelFilter::WARN),
            ("error", "hyper", LevelFilter::ERROR),
            ("info,hyper=debug", "hyper", LevelFilter::DEBUG),
            ("info, qd_store=trace", "qd_engine", LevelFilter::INFO),
            ("off", "qd_store", LevelFilter::OFF),
        ] {
            let filter = filter(text).unwrap();
            let level = level.into_level();
            assert!(level.is_none_or(|level| filter.would_enable(target, &level)), "{text} {target}");
            let louder =
                level.map_or(Some(tracing::Level::ERROR), |level| LEVELS.into_iter().find(|l| *l > level));
            assert!(louder.is_none_or(|louder| !filter.would_enable(target, &louder)), "{text} {target}");
        }
    }

    const LEVELS: [tracing::Level; 5] = [
        tracing::Level::ERROR,
        tracing::Level::WARN,
        tracing::Level::INFO,
        tracing::Level::DEBUG,
        tracing::Level::TRACE,
    ];

    #[test]
    fn words_that_are_no_level_are_mistakes() {
        for text in ["loud", "", "info,qd_store=loud", "info,quiet"] {
            assert!(filter(text).is_none(), "{text}");
        }
    }
}
