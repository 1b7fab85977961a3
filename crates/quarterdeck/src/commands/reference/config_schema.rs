//! `config schema`: the JSON Schema of quarterdeck.toml.

use crate::exit::Exit;
use crate::{config, output};

pub(crate) fn run() -> anyhow::Result<Exit> {
    output::print(&serde_json::to_string_pretty(&config::schema())?)?;
    Ok(Exit::Ok)
}
