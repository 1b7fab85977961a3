//! Texts that are compared with committed ones. `UPDATE_SNAPSHOTS=1` writes them instead; then look at the difference.

use std::path::Path;

/// Compares a text with a file below the repository's root.
#[allow(clippy::disallowed_methods, reason = "the edge of a test")]
pub(crate) fn compare(path: &str, text: &str) {
    let text = format!("{}\n", text.trim_end());
    let full = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::create_dir_all(full.parent().unwrap()).unwrap();
        std::fs::write(&full, text).unwrap();
        return;
    }
    let known = std::fs::read_to_string(&full).unwrap_or_default();
    if known == text {
        return;
    }
    let first = known.lines().zip(text.lines()).position(|(known, now)| known != now);
    let number = first.unwrap_or_else(|| known.lines().count().min(text.lines().count()));
    let line = |text: &str| text.lines().nth(number).unwrap_or("(the end)").to_owned();
    panic!(
        "{path}:{} is not up to date:\n  there: {}\n  now:   {}\nwrite it with UPDATE_SNAPSHOTS=1 cargo nextest run -p quarterdeck, and look at the difference",
        number + 1,
        line(&known),
        line(&text)
    );
}
