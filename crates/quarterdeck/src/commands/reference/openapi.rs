//! `openapi`: the document of the HTTP API, without a server.

use crate::exit::Exit;
use crate::output;

pub(crate) fn run() -> anyhow::Result<Exit> {
    output::print(&serde_json::to_string_pretty(&qd_gateway::openapi())?)?;
    Ok(Exit::Ok)
}
