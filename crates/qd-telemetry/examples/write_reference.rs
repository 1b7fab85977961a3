//! Writes the reference pages of metrics and log fields into docs/reference; `cargo xtask docs` runs it.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for page in qd_telemetry::pages() {
        let file = root.join(page.path);
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(file, page.text)?;
    }
    Ok(())
}
