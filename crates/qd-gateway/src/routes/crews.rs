//! Reading published crews; `publish.rs` adds to them.

pub(crate) mod publish;

use axum::extract::State;
use axum::response::Response;
use http::{StatusCode, header};
use qd_types::{Code, CrewName, CrewVersion};
use serde_json::json;

use super::{Name, json};
use crate::access::Caller;
use crate::context::Shared;
use crate::openapi::{Answer, Operation, Schema};
use crate::problem::Problem;
use crate::query::Parameters;
use crate::view::CrewView;

/// `GET /v1/crews`: the newest version of each.
pub(crate) async fn list(State(context): State<Shared>, caller: Caller) -> Result<Response, Problem> {
    let crews = context.crews.all(&caller.tenant).await?;
    let views: Vec<_> = crews.iter().map(|(stored, compiled)| CrewView::of(stored, compiled)).collect();
    Ok(json(StatusCode::OK, &json!({ "crews": views })))
}

/// `GET /v1/crews/{name}`.
pub(crate) async fn read(
    State(context): State<Shared>,
    caller: Caller,
    Name(name): Name,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let version = parameters.whole("version", 1, u32::MAX).map(CrewVersion);
    parameters.finish()?;
    let unknown = || match version {
        Some(version) => Problem::not_found("crew", &format!("{name}` of version `{version}")),
        None => Problem::not_found("crew", &name),
    };
    let crew = CrewName::parse(&name).map_err(|_| unknown())?;
    let found = context.crews.version(&caller.tenant, &crew, version).await?;
    let (stored, compiled) = found.ok_or_else(unknown)?;
    let mut response = json(StatusCode::OK, &CrewView::of(&stored, &compiled));
    response.headers_mut().insert(header::ETAG, publish::etag(stored.version));
    Ok(response)
}

pub(crate) fn about_list() -> Operation {
    Operation::new("crews", "listCrews", "the crews that can be executed")
        .answers(200, Answer::json("The newest version of each.", "CrewList"))
        .fails(&[Code::StoreUnavailable])
}

pub(crate) fn about_read() -> Operation {
    Operation::new("crews", "readCrew", "a crew")
        .path("name", "Name of the crew.", Schema::name())
        .query("version", "This version; the newest one without.", Schema::whole(1, i64::from(u32::MAX)))
        .answers(200, Answer::json("The version.", "Crew").header("ETag"))
        .fails(&[Code::NotFound, Code::ValidationFailed, Code::StoreUnavailable])
}
