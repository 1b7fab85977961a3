//! Publishing crews: each text that differs from the newest version is the next one, and none is ever changed.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use qd_crew::Diagnostics;
use qd_store::OnlyIf;
use qd_types::{Code, CrewName, CrewVersion};
use serde_json::json as value;

use crate::access::Caller;
use crate::body;
use crate::context::Shared;
use crate::crews::PublishError;
use crate::openapi::{Answer, Operation, Schema};
use crate::problem::{FieldError, Problem};
use crate::routes::{Name, json};
use crate::view::{CrewView, PublishedView};

/// A crew file larger than this is not read.
const BYTES_MAX: usize = 256 * 1024;

/// `PUT /v1/crews/{name}`.
pub(crate) async fn publish(
    State(context): State<Shared>,
    caller: Caller,
    Name(name): Name,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let name = CrewName::parse(&name).map_err(|wrong| {
        let detail = format!("the crew's name {}; it takes 1 to 128 characters", wrong.reason);
        Problem::new(Code::ValidationFailed, detail)
    })?;
    let only_if = condition(request.headers())?;
    let text = body::yaml(request, &context, BYTES_MAX).await?;
    let made = context.crews.publish(&caller.tenant, &name, text, only_if, caller.actor()).await?;
    let crew = CrewView::of(&made.stored, &made.compiled);
    let status = if made.is_new { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = json(status, &PublishedView { crew, warnings: made.warnings });
    let version = made.stored.version;
    response.headers_mut().insert(header::ETAG, etag(version));
    let location = HeaderValue::try_from(format!("/v1/crews/{name}?version={version}"));
    if let (true, Ok(location)) = (made.is_new, location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// The tag of a version.
pub(crate) fn etag(version: CrewVersion) -> HeaderValue {
    HeaderValue::try_from(format!("\"v{version}\"")).unwrap_or(const { HeaderValue::from_static("\"\"") })
}

/// `If-Match` and `If-None-Match` (RFC 9110, 13.1).
fn condition(headers: &HeaderMap) -> Result<OnlyIf, Problem> {
    match (tags(headers, &header::IF_MATCH)?, tags(headers, &header::IF_NONE_MATCH)?) {
        (None, None) => Ok(OnlyIf::Always),
        (Some(Tags::Any), None) => Ok(OnlyIf::Known),
        (Some(Tags::These(versions)), None) => Ok(OnlyIf::Newest(versions)),
        (None, Some(Tags::Any)) => Ok(OnlyIf::New),
        (None, Some(Tags::These(_))) => {
            let detail = "`If-None-Match` takes `*` here: publish only if there is no such crew yet";
            Err(Problem::new(Code::InvalidRequest, detail))
        }
        (Some(_), Some(_)) => {
            let detail =
                "send `If-Match` to follow a version, or `If-None-Match: *` to make a crew, not both";
            Err(Problem::new(Code::InvalidRequest, detail))
        }
    }
}

enum Tags {
    Any,
    These(Vec<CrewVersion>),
}

/// Versions of a condition. A tag that is no version of ours, or a weak one, matches none.
fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Tags>, Problem> {
    let malformed = || {
        let detail = format!("`{name}` takes the `ETag` of a crew in its quotation marks, several, or `*`");
        Problem::new(Code::InvalidRequest, detail)
    };
    let mut versions = None;
    for line in headers.get_all(name) {
        let line = line.to_str().map_err(|_| malformed())?.trim();
        if line == "*" {
            return Ok(Some(Tags::Any));
        }
        for tag in line.split(',').map(str::trim) {
            let opaque = tag.strip_prefix("W/").unwrap_or(tag);
            let inner = opaque.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
            let inner = inner.ok_or_else(malformed)?;
            let version = inner.strip_prefix('v').and_then(|number| number.parse().ok());
            let is_strong = opaque.len() == tag.len();
            versions.get_or_insert_with(Vec::new).extend(version.filter(|_| is_strong).map(CrewVersion));
        }
    }
    Ok(versions.map(Tags::These))
}

impl From<PublishError> for Problem {
    fn from(error: PublishError) -> Self {
        let detail = error.to_string();
        match error {
            PublishError::Configured(_) => Self::new(Code::CrewConfigured, detail),
            PublishError::Unexpected(_) => Self::new(Code::PreconditionFailed, detail),
            PublishError::Misnamed { .. } => Self::new(Code::InvalidCrew, detail),
            PublishError::Mistakes(found) => mistakes(&found),
            PublishError::Full => Self::new(Code::QuotaExceeded, detail),
            PublishError::Gone => Self::new(Code::Internal, detail),
            PublishError::Store(_) => Self::store_unavailable(),
        }
    }
}

fn mistakes(found: &Diagnostics) -> Problem {
    let error = |message| FieldError { path: String::new(), code: Code::InvalidCrew, message };
    let told: Vec<_> = found.0.iter().map(|diagnostic| error(diagnostic.to_string())).collect();
    let detail = match told.as_slice() {
        [only] => only.message.clone(),
        several => format!("the crew has {} mistakes; see `errors`", several.len()),
    };
    Problem { detail, ..Problem::of_fields(told) }
}

pub(crate) fn about() -> Operation {
    let crew = value!({
        "agents": { "writer": { "role": "Writer", "goal": "Write well", "backstory": "You like short words." } },
        "tasks": [{ "name": "draft", "description": "Write about {topic}", "expected_output": "A text", "agent": "writer" }],
    });
    let schema = || Schema::object().about("A crew file; `quarterdeck check --schema` has its schema.");
    let answer = |about| Answer::json(about, "PublishedCrew").header("ETag");
    Operation::new("crews", "publishCrew", "publish a crew, or a new version of one")
        .about(
            "The body is a crew file. Versions are never changed: jobs stay with the one that they were made of. A crew that \
             says the same as the newest version makes no new one. Crews of the server's configuration are changed there.",
        )
        .path("name", "Name of the crew.", Schema::name())
        .header("If-Match", "Only on top of this version: the `ETag` that reading it answered.", Schema::text().example("\"v3\""))
        .header("If-None-Match", "`*`: only if there is no such crew yet.", Schema::words(["*"]))
        .body_as("application/json", schema(), &[("one task", crew.clone())])
        .body_as("application/yaml", schema(), &[("one task", crew)])
        .answers(201, answer("The new version.").header("Location"))
        .answers(200, answer("The newest version, which says the same."))
        .fails(&[Code::InvalidCrew, Code::CrewConfigured, Code::PreconditionFailed, Code::QuotaExceeded])
}
