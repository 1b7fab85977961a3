//! Placeholder.
mod config;
fn main() {
    let _ = config::read(None, None, Vec::new());
    let _ = config::variable("X");
}
