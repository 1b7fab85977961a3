//! Reading published crews.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use qd_types::{Code, CrewName};
use serde_json::json;

use super::{Name, json};
use crate::access::Caller;
use crate::context::Shared;
use crate::crews::CrewBookError;
use crate::openapi::{Answer, Operation, Schema};
use crate::problem::Problem;
use crate::view::CrewView;

/// `GET /v1/crews`: the newest version of each.
pub(crate) async fn list(State(context): State<Shared>, caller: Caller) -> Result<Response, Problem> {
    let crews = context.crews.all(&caller.tenant).await?;
    let views: Vec<CrewView> = crews
        .iter()
        .map(|(stored, compiled)| match compiled {
            Ok(published) => CrewView::from(&**published),
            Err(why) => CrewView::unusable(stored, why),
        })
        .collect();
    Ok(json(StatusCode::OK, &json!({ "crews": views })))
}

/// `GET /v1/crews/{name}`.
pub(crate) async fn read(
    State(context): State<Shared>,
    caller: Caller,
    Name(name): Name,
) -> Result<Response, Problem> {
    let unknown = || Problem::not_found("crew", &name);
    let crew = CrewName::parse(&name).map_err(|_| unknown())?;
    match context.crews.newest(&caller.tenant, &crew).await {
        Ok(Some(published)) => Ok(json(StatusCode::OK, &CrewView::from(&*published))),
        Ok(None) => Err(unknown()),
        Err(CrewBookError::Unusable(why)) => {
            let stored = context.store.crew(&caller.tenant, &crew, None).await?.ok_or_else(unknown)?;
            Ok(json(StatusCode::OK, &CrewView::unusable(&stored, &why)))
        }
        Err(CrewBookError::Store(error)) => Err(CrewBookError::Store(error).into()),
    }
}

pub(crate) fn about_list() -> Operation {
    Operation::new("crews", "listCrews", "the crews that can be executed")
        .answers(200, Answer::json("The newest version of each.", "CrewList"))
        .fails(&[Code::StoreUnavailable])
}

pub(crate) fn about_read() -> Operation {
    Operation::new("crews", "readCrew", "a crew")
        .path("name", "Name of the crew.", Schema::name())
        .answers(200, Answer::json("Its newest version.", "Crew"))
        .fails(&[Code::NotFound, Code::StoreUnavailable])
}
